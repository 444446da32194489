#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# A client that leaves: its request ends at the server at once.
# shellcheck source=tests/lab/testing.sh
. "$(dirname "$0")/testing.sh"
lab_begin

aborted() {
	local pod sum=0
	for pod in $(pods); do
		sum=$((sum + $(pod_gauge "$pod" 'vllm:request_success_total{engine="0",finished_reason="abort",model_name="gemma-3-27b-it"}')))
	done
	echo $sum
}

ask() {
	lab_in client curl -sN -m 1 "http://$LAB_VIP/v1/completions" -H 'content-type: application/json' \
		-d "{\"model\": \"gemma-3-27b-it\", \"prompt\": \"a\", \"max_tokens\": 2000, \"ignore_eos\": true, \"stream\": $1}"
}

check "nothing runs before" equals "$(pods_sum vllm:num_requests_running)" 0
ask true >"$test_work/stream"
check "a streaming client leaves after 1 s with some tokens" between 20 "$(grep -c '"text"' "$test_work/stream")" 200
check "its request has ended at the server" wait_for 1 eval 'equals "$(pods_sum vllm:num_requests_running)" 0'
ask false >/dev/null
check "a client that waits for a whole answer leaves: ended as well" wait_for 1 eval \
	'equals "$(pods_sum vllm:num_requests_running)" 0'
check "nothing is counted in flight" wait_for 2 eval \
	'equals "$(ctl_json "[.[].in_flight // 0] | add" show endpoints)" 0'
test_end
