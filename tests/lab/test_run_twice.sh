#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# scripts/run: a second one is refused, and nothing is left behind by Ctrl-C or by kill -9.
# shellcheck source=tests/lab/testing.sh
. "$(dirname "$0")/testing.sh"
[ "$(id -u)" = 0 ] || skip_all "network namespaces need root"

nothing_left() {
	local left
	left=$(
		ip netns list | grep "^sluice-$lab_name-"
		ls -d "$lab_pins" "$lab_run_dir" "/run/lock/sluice-lab-$lab_name.lock" 2>/dev/null
		pgrep -f -- "--instance $lab_name( |\$)" # of this instance only; nothing is killed here
	)
	[ -z "$left" ] || {
		echo "left: $left"
		return 1
	}
}

lab_start || {
	check "a lab comes up" false
	test_end
}
"$LAB_ROOT/scripts/run" --no-install --instance "$lab_name" >"$test_work/second" 2>&1
check "a second run fails" equals $? 1
check "and says why in a sentence" grep -q "is up already (pid $test_run_pid)" "$test_work/second"
check "the first one goes on serving" chat_is_good gemma-3-27b-it
check "scripts/run -- CMD runs as the client" eval \
	'"$LAB_ROOT/scripts/run" --instance "$lab_name" -- ip -4 -o addr show eth0 | grep -q 10.1.0.2'
kill -INT "$test_run_pid"
wait "$test_run_pid"
check "Ctrl-C ends it with status 130" equals $? 130
check "and leaves nothing behind" nothing_left

lab_start || {
	check "it comes up again" false
	test_end
}
check "it comes up again at once" chat_is_good llama-3-8b-instruct
kill -9 "$test_run_pid"
wait "$test_run_pid" 2>/dev/null
lab_start || {
	check "a run right after kill -9 comes up" false
	test_end
}
check "a run right after kill -9 comes up" chat_is_good llama-3-8b-instruct
kill -9 "$test_run_pid"
wait "$test_run_pid" 2>/dev/null
test_run_pid=
check "kill -9 leaves nothing behind either" wait_for 30 nothing_left
test_end
