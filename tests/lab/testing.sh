#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# What a lab test is written with; sourced by every tests/lab/test_*.sh.
#
# A test begins with lab_begin (a lab that is shared, or one of its own), says what it proves with
# `check SENTENCE COMMAND...`, and ends with test_end.  Output is TAP.  A shared lab
# ($SLUICE_LAB) saves the time of bringing one up; a test leaves it as it found it, also when it
# fails half-way: what must be undone is given to `undo`.

# shellcheck source=tests/lab/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

test_number=0
test_failed=0
test_run_pid=
test_work=$(mktemp -d)
test_undo=()

# undo COMMAND...: run at the end, last one first
undo() {
	test_undo+=("$(printf '%q ' "$@")")
}

test_cleanup() {
	local i

	trap '' INT TERM
	for ((i = ${#test_undo[@]} - 1; i >= 0; i--)); do
		eval "${test_undo[i]}" >/dev/null 2>&1
	done
	[ -z "$test_run_pid" ] || lab_stop
	rm -rf "$test_work"
}
trap test_cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# check SENTENCE COMMAND...: the sentence is proved if the command succeeds
check() {
	local sentence=$1
	shift

	test_number=$((test_number + 1))
	if "$@" >"$test_work/check" 2>&1; then
		echo "ok $test_number - $sentence"
		return 0
	fi
	test_failed=1
	echo "not ok $test_number - $sentence"
	echo "# $*"
	tail -n 20 "$test_work/check" | sed 's/^/# /'
	return 1
}

skip() {
	test_number=$((test_number + 1))
	echo "skip: $2"
	echo "ok $test_number # SKIP $1"
}

skip_all() {
	skip "$(basename "$0" .sh)" "$1"
	test_end
}

test_end() {
	if [ $test_failed -ne 0 ] && [ -d "${lab_dir:-/nonexistent}" ]; then
		for log in loader controller proxy; do
			[ ! -s "$lab_dir/$log.log" ] || tail -n 6 "$lab_dir/$log.log" | sed "s/^/# $log: /"
		done
	fi
	echo "1..$test_number"
	exit $test_failed
}

# wait_for SECONDS COMMAND...: until it succeeds
wait_for() {
	local end=$(($(date +%s%N) + $1 * 1000000000))
	shift

	until "$@"; do
		[ "$(date +%s%N)" -lt "$end" ] || return 1
		sleep 0.1
	done
}

equals() {
	[ "$1" = "$2" ] || {
		echo "got '$1', wants '$2'"
		return 1
	}
}

# between LOW VALUE HIGH: whole numbers
between() {
	[ "$2" -ge "$1" ] && [ "$2" -le "$3" ] || {
		echo "got $2, wants $1 to $3"
		return 1
	}
}

# lab_start [OPTIONS OF scripts/run...]: a lab of this test's own, ready
lab_start() {
	lab_init "t$$" || exit 1
	rm -f "$test_work/run.log"
	set -m # its own process group; and SIGINT works, whatever our own parent ignores
	env --default-signal=INT,HUP "$LAB_ROOT/scripts/run" --no-install --quiet \
		--instance "$lab_name" "$@" \
		>"$test_work/run.log" 2>&1 </dev/null &
	test_run_pid=$!
	set +m
	wait_for 60 lab_is_ready || {
		sed 's/^/# /' "$test_work/run.log"
		return 1
	}
}

lab_is_ready() {
	! kill -0 "$test_run_pid" 2>/dev/null || grep -qs '^ready$' "$test_work/run.log"
}

lab_stop() {
	kill -TERM "$test_run_pid" 2>/dev/null
	wait "$test_run_pid"
	test_run_pid=
}

# lab_begin: the shared lab if there is one, else one of its own
lab_begin() {
	[ "$(id -u)" = 0 ] || skip_all "network namespaces need root"
	if [ -n "${SLUICE_LAB:-}" ]; then
		lab_init "$SLUICE_LAB" || exit 1
	else
		cp -r "$LAB_EXAMPLE" "$test_work/config"
		lab_start --config "$test_work/config" || {
			check "a lab comes up" false
			test_end
		}
	fi
	lab_config=$(cat "$lab_dir/config")
	check "the lab is ready" lab_wait_ready 20 || test_end
}

# ---- requests of the client ----

# chat MODEL [CURL OPTIONS...]: prints a line "STATUS POD" of one short answer, "STATUS " without a pod
chat() {
	local model=$1 status head=$test_work/head.$BASHPID
	shift
	status=$(lab_chat "$model" -o /dev/null -D "$head" -w '%{http_code}' "$@")
	echo "$status $(sed -n 's/^x-inference-pod: \([^\r]*\).*/\1/ip' "$head" 2>/dev/null)"
	rm -f "$head"
}

# chats COUNT MODEL: one line "STATUS POD" each, one after the other
chats() {
	local i
	for ((i = 0; i < $1; i++)); do
		chat "$2"
	done
}

chat_is_good() {
	equals "$(lab_chat_status "$1")" 200
}

# ---- the proxy with other options ----

proxy_stop() {
	kill -TERM "$(lab_pid proxy)"
	wait_for 10 eval '! lab_running proxy'
}

# proxy_restart OPTIONS...: until proxy_restore, which is made sure of
proxy_restart() {
	touch "$lab_dir/proxy.hold"
	undo proxy_restore
	proxy_stop && SLUICE_LAB_PROXY_OPTIONS=$* lab_proxy_start
}

proxy_restore() {
	proxy_stop
	lab_proxy_start
	rm -f "$lab_dir/proxy.hold"
	wait_for 10 chat_is_good gemma-3-27b-it
}

# ---- traffic ----

# traffic_start: requests all the time, until traffic_stop; lines go to traffic.log
traffic_start() {
	: >"$test_work/traffic.log"
	(
		trap 'exit 0' TERM
		while :; do
			chat gemma-3-27b-it >>"$test_work/traffic.log"
			chat llama-3-8b-instruct >>"$test_work/traffic.log"
			sleep 0.02
		done
	) &
	traffic_pid=$!
	undo kill $traffic_pid
}

traffic_counts() {
	[ "$(grep -c . "$test_work/traffic.log")" -ge "$1" ]
}

# traffic_stop [COUNT]: once so many requests have been sent, or half a minute is over
traffic_stop() {
	wait_for 30 traffic_counts "${1:-0}"
	kill "$traffic_pid" 2>/dev/null
	wait "$traffic_pid" 2>/dev/null
	return 0
}

# traffic_was_good COUNT: at least so many requests, all answered 200
traffic_was_good() {
	local all bad

	all=$(grep -c . "$test_work/traffic.log")
	bad=$(grep -vc '^200 ' "$test_work/traffic.log")
	echo "$all requests, $bad not answered 200"
	grep -v '^200 ' "$test_work/traffic.log" | sort | uniq -c | head -5
	[ "$all" -ge "$1" ] && [ "$bad" -eq 0 ]
}

# proxy_is_not PID: another one has its place
proxy_is_not() {
	[ "$(lab_pid proxy)" != "$1" ] && lab_running proxy
}

# proxy_replace OPTIONS...: a proxy with these options more, and without them again at the end
proxy_replace() {
	local before

	undo lab_proxy_replace
	before=$(lab_pid proxy)
	lab_proxy_replace "$@" && wait_for 30 proxy_is_not "$before"
}

# ctl_json FILTER ARGUMENTS...: jq over a table of sluicectl
ctl_json() {
	local filter=$1
	shift
	lab_ctl --json "$@" | jq -r "$filter"
}

# pod_gauge CLUSTER/POD METRIC: its value in that pod's own metrics page
pod_gauge() {
	local region address
	read -r region address < <(awk -v p="$1" '$1 "/" $3 == p { print $2, $5 }' "$lab_dir/pods")
	lab_in "$region" curl -s -m 2 "http://$address:9000/metrics" |
		awk -v m="$2" 'index($0, m "{") == 1 || $1 == m { sum += $NF } END { print sum + 0 }'
}

pods() {
	awk '{ print $1 "/" $3 }' "$lab_dir/pods"
}

pods_sum() {
	local pod sum=0
	for pod in $(pods); do
		sum=$((sum + $(pod_gauge "$pod" "$1")))
	done
	echo $sum
}

# reset_faults: every pod is well again, and is seen to be
reset_faults() {
	local pod
	for pod in $(pods); do
		lab_fault "$pod" '{"reset": true}'
	done
}
