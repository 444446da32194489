#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# Servers go dark with a request in hand: it is answered elsewhere, noticed within 3 s.
# shellcheck source=tests/lab/testing.sh
. "$(dirname "$0")/testing.sh"
lab_begin

# timed COMMAND...: its output, then milliseconds in a line of its own
timed() {
	local start
	start=$(date +%s%N)
	"$@"
	echo $((($(date +%s%N) - start) / 1000000))
}

for pod in $(pods | grep '^cluster-a/gemma'); do
	lab_fault "$pod" '{"hang": "all"}'
done
undo reset_faults
mapfile -t got < <(timed chat gemma-3-27b-it -m 20)
check "a request whose server hangs is answered elsewhere" equals "${got[0]%%/*}" "200 cluster-b"
# Its host still acknowledges packets, so only the health probes can tell: one a second, 1 s each,
# two in a row, the second at once after the first.
check "as soon as its health probes have failed twice" between 0 "${got[1]:-99999}" 3900
reset_faults
check "the servers are seen to be well again" lab_wait_ready 10

# The link itself: packets go nowhere, and the health probes need longer than this to notice.
undo lab_region_up europe-west4
lab_region_down europe-west4
mapfile -t got < <(timed chat llama-3-8b-instruct -m 20)
lab_region_up europe-west4
check "a request to a region without links is answered elsewhere" equals "${got[0]%%/*}" "200 cluster-b"
check "within 3 s, the answer's own time included" between 0 "${got[1]:-99999}" 3000
check "the region is seen to be well again" lab_wait_ready 15

# In hand: the request has reached its server, which is computing, when that region's link goes.
# Which region has it depends on what the proxy still suspects.
running() {
	echo $(($(pod_gauge "$1/llama-3-8b-0" vllm:num_requests_running) + $(pod_gauge "$1/llama-3-8b-1" vllm:num_requests_running)))
}
long_answer() {
	timed lab_in client curl -s -m 20 "http://$LAB_VIP/v1/completions" -D "$test_work/head" \
		-H 'content-type: application/json' -o /dev/null -w '%{http_code}\n' \
		-d '{"model": "llama-3-8b-instruct", "prompt": "hello", "max_tokens": 200, "ignore_eos": true}'
}
own_ms=$(long_answer | tail -n 1)
check "a long answer takes more than a second" between 1100 "$own_ms" 10000
long_answer >"$test_work/hand" &
hand=$!
sleep 1
check "one server has the request" equals "$(($(running cluster-a) + $(running cluster-b)))" 1
region=europe-west4
other="cluster-b"
if [ "$(running cluster-b)" = 1 ]; then
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
check "the region is seen to be well again" lab_wait_ready 15
test_end
