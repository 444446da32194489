#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# Servers that misbehave: what can be retried is, and the client is told honestly of the rest.
# shellcheck source=tests/lab/testing.sh
. "$(dirname "$0")/testing.sh"
lab_begin
undo reset_faults

fault_all() {
	local pod
	for pod in $(pods | grep "$1"); do
		lab_fault "$pod" "$2"
	done
}

fault_all cluster-a/gemma '{"refuse": true}'
check "refused connections are retried: ten of ten answered" eval \
	'[ "$(chats 10 gemma-3-27b-it | grep -c "^200 cluster-b/")" = 10 ]'
reset_faults
check "all well again" lab_wait_ready 30

fault_all cluster-a/llama '{"error": 503}'
check "servers that say 503 are passed over: ten of ten answered" eval \
	'[ "$(chats 10 llama-3-8b-instruct | grep -c "^200 ")" = 10 ]'
reset_faults

fault_all gemma '{"cut_after": 3}'
lab_in client curl -sN -m 30 "http://$LAB_VIP/v1/completions" -H 'content-type: application/json' \
	-d '{"model": "gemma-3-27b-it", "prompt": "a", "max_tokens": 20, "ignore_eos": true, "stream": true}' \
	>"$test_work/stream"
status=$?
check "a stream that is cut does not look whole" eval \
	'[ $status -ne 0 ] || grep -q "\"error\"" "$test_work/stream"'
check "what came before the cut was passed on" equals "$(grep -c '"text": ' "$test_work/stream")" 3
reset_faults

fault_all gemma '{"metrics": "broken"}'
sleep 1
check "with broken metrics requests are answered" eval '[ "$(chats 5 gemma-3-27b-it | grep -c "^200 ")" = 5 ]'
reset_faults

fault_all cluster-a/gemma '{"healthy": false}'
check "unhealthy pods are seen to be DOWN" wait_for 20 eval \
	'equals "$(ctl_json "[.[] | select(.cluster == \"cluster-a\" and .health == \"DOWN\")] | length" show endpoints)" 4'
check "and get no request" eval '! chats 6 gemma-3-27b-it | grep -q cluster-a/'
reset_faults
check "all well again" lab_wait_ready 30
test_end
