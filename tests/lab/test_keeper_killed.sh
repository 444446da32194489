#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# The proxy's keeper is killed, alone and together with the parent: nothing stale is in the way.
# shellcheck source=tests/lab/testing.sh
. "$(dirname "$0")/testing.sh"
lab_begin

keeper() {
	pgrep -P "$(lab_pid proxy)" sluice-keeper
}
another_keeper() {
	local now
	now=$(keeper) && [ "$now" != "$1" ]
}

parent=$(lab_pid proxy)
old=$(keeper)
kill -9 "$old"
check "a killed keeper is replaced" wait_for 10 another_keeper "$old"
check "the parent is the same process" equals "$(lab_pid proxy)" "$parent"
check "requests are answered as before" chat_is_good gemma-3-27b-it

check "a second proxy of the instance is refused" eval \
	'! lab_in gw "$LAB_BIN/sluice-proxy" --instance "$lab_name" 2>"$test_work/second"'
check "with a sentence that names the first" grep -q "has a proxy already (pid $parent)" "$test_work/second"

# three in a row: every keeper that takes over makes a keeper of its own
for i in 1 2 3; do
	kill -9 "$(lab_pid proxy)"
	check "take-over $i serves" wait_for 15 chat_is_good llama-3-8b-instruct
done
check "the pid file names the parent of two workers" wait_for 10 eval \
	'equals "$(pgrep -P "$(lab_pid proxy)" -c sluice-worker)" 2'

kill -9 "$(keeper)" "$(lab_pid proxy)"
# nobody is left to take over: whoever supervises starts it again
check "after both were killed a fresh start serves" wait_for 20 chat_is_good gemma-3-27b-it
check "nothing is counted in flight" wait_for 15 eval \
	'equals "$(ctl_json "[.[].in_flight // 0] | add" show endpoints)" 0'
test_end
