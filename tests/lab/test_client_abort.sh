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

# ask STREAM SECONDS: an answer that takes its server more than 20 s; whoever sees nothing running
# long before that sees a request that was ended
ask() {
	lab_in client curl -sN -m "$2" "http://$LAB_VIP/v1/completions" -H 'content-type: application/json' \
		-d "{\"model\": \"gemma-3-27b-it\", \"prompt\": \"a\", \"max_tokens\": 2000, \"ignore_eos\": true, \"stream\": $1}"
}
running_is() {
	equals "$(pods_sum vllm:num_requests_running)" "$1"
}

check "nothing runs before" wait_for 10 running_is 0
before=$(aborted)
# curl ends with the next token after awk has left
check "a streaming client leaves after 20 tokens" equals \
	"$(ask true 15 | awk '/"text"/ && ++n == 20 { print n; exit }')" 20
check "its request has ended at the server" wait_for 5 running_is 0
ask false 3 >/dev/null
check "a client that waits for a whole answer leaves: ended as well" wait_for 5 running_is 0
check "both servers say that they were aborted" wait_for 5 eval 'equals "$(aborted)" $((before + 2))'
check "nothing is counted in flight" wait_for 5 eval \
	'equals "$(ctl_json "[.[].in_flight // 0] | add" show endpoints)" 0'
test_end
