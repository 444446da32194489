#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# Servers go dark with a request in hand: it is answered elsewhere, noticed within 3 s.
# shellcheck source=tests/lab/testing.sh
. "$(dirname "$0")/testing.sh"
lab_begin

# What is measured is the gateway, not the machine: from the time that a request took to be answered
# elsewhere goes what the same one takes when all is well, measured a moment before.  A trial that was
# too slow, or that the gateway did not give to the dark servers because it still suspects them, is
# made again, twice at most: a gateway that cannot keep its number cannot do so in three trials either.

# timed COMMAND...: its output, then milliseconds in a line of its own
timed() {
	local start
	start=$(date +%s%N)
	"$@"
	echo $((($(date +%s%N) - start) / 1000000))
}

# attempts_since TIME: of the requests in the access log that came since
attempts_since() {
	jq --arg start "$1" 'select(.ts >= $start) | .attempts' "$lab_run_dir/access.log"
}

# moved_within MS MODEL DARKEN LIGHTEN: a request to servers that are dark is answered by cluster-b
moved_within() {
	local limit=$1 model=$2 darken=$3 lighten=$4 start well got

	wait_for 30 eval 'chat "$model" -m 20 | grep -q "^200 cluster-a/"' || return 1
	mapfile -t well < <(timed chat "$model" -m 20)
	$darken
	start=$(date -u +%FT%T.%3NZ)
	mapfile -t got < <(timed chat "$model" -m 20)
	$lighten
	lab_wait_ready 30 || return 1
	echo "${got[0]} after ${got[1]} ms, ${well[1]} ms when all is well; attempts: $(attempts_since "$start" | head -n 1)"
	equals "${got[0]%%/*}" "200 cluster-b" && between 2 "$(attempts_since "$start" | head -n 1)" 9 &&
		between 0 $((got[1] - well[1])) "$limit"
}

three_trials() {
	"$@" || "$@" || "$@"
}

gemma_of_a() {
	pods | grep '^cluster-a/gemma'
}
# holder: the pod of cluster-a that has a request
holder() {
	ctl_json '[.[] | select(.cluster == "cluster-a" and .in_flight > 0)][0] | "cluster-a/" + (.endpoint | sub(".*/"; ""))' \
		show endpoints | grep -x 'cluster-a/.\+'
}
# hung_noticed MS: servers take requests and answer none, then no probe either; the time is from when
# the one with a request in hand does so
hung_noticed() {
	local limit=$1 pod well dark_ms answered_ms request hanging=()

	wait_for 30 eval 'chat gemma-3-27b-it -m 20 | grep -q "^200 cluster-a/"' || return 1
	mapfile -t well < <(timed chat gemma-3-27b-it -m 20)
	for pod in $(gemma_of_a); do
		lab_fault "$pod" '{"hang": "inference"}'
	done
	chat gemma-3-27b-it -m 40 >"$test_work/hung" &
	request=$!
	wait_for 10 eval 'holder >"$test_work/holder"'
	for pod in $(gemma_of_a | grep -vxFf "$test_work/holder"); do
		lab_fault "$pod" '{"hang": "all"}' &
		hanging+=($!)
	done
	wait "${hanging[@]}"
	lab_fault "$(cat "$test_work/holder")" '{"hang": "all"}'
	dark_ms=$(($(date +%s%N) / 1000000))
	wait $request
	answered_ms=$(($(date +%s%N) / 1000000))
	reset_faults
	lab_wait_ready 30 || return 1
	echo "$(cat "$test_work/hung") after $((answered_ms - dark_ms)) ms, ${well[1]} ms when all is well"
	equals "$(cut -d/ -f1 "$test_work/hung")" "200 cluster-b" &&
		between 0 $((answered_ms - dark_ms - well[1])) "$limit"
}
undo reset_faults
# Its host still acknowledges packets, so only the health probes can tell: one a second, 1 s each,
# two in a row, the second at once after the first.
check "a request whose server hangs is answered elsewhere as soon as its probes have failed twice" \
	three_trials hung_noticed 3900

# The link itself: packets go nowhere, and the health probes need longer than this to notice.
undo lab_region_up europe-west4
check "a request to a region without links is answered elsewhere within 3 s" three_trials moved_within 3000 \
	llama-3-8b-instruct "lab_region_down europe-west4" "lab_region_up europe-west4"

# In hand: the request has reached its server, which is computing, when that region's link goes.
# Which region has it depends on what the proxy still suspects.
running() {
	echo $(($(pod_gauge "$1/llama-3-8b-0" vllm:num_requests_running) + $(pod_gauge "$1/llama-3-8b-1" vllm:num_requests_running)))
}
long_answer() {
	timed lab_in client curl -s -m 40 "http://$LAB_VIP/v1/completions" -D "$test_work/head" \
		-H 'content-type: application/json' -o /dev/null -w '%{http_code}\n' \
		-d '{"model": "llama-3-8b-instruct", "prompt": "hello", "max_tokens": 500, "ignore_eos": true}'
}
# held: a server has the request; says in $holder whose
held() {
	for holder in cluster-a cluster-b; do
		[ "$(running $holder)" != 1 ] || return 0
	done
	return 1
}
own_ms=$(long_answer | tail -n 1)
check "a long answer takes more than three seconds" between 3000 "$own_ms" 20000
long_answer >"$test_work/hand" &
hand=$!
check "one server has the request" wait_for 10 held
region=europe-west4
other="cluster-b"
if [ "$holder" = cluster-b ]; then
	region=us-east5
	other="cluster-a"
	undo lab_region_up us-east5
fi
lab_region_down $region
dark_ms=$(($(date +%s%N) / 1000000))
wait $hand
answered_ms=$(($(date +%s%N) / 1000000))
lab_region_up $region
check "it is answered whole by the other region" equals \
	"$(head -n 1 "$test_work/hand") $(sed -n 's/^x-inference-pod: \([a-z-]*\).*/\1/p' "$test_work/head")" "200 $other"
# the other region's answer is a whole one, from its beginning
check "noticed within 3 s" between 0 $((answered_ms - dark_ms - own_ms)) 3000
check "the region is seen to be well again" lab_wait_ready 30
test_end
