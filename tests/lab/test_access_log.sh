#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# The access log: one JSON object a request, with who answered and why.
# shellcheck source=tests/lab/testing.sh
. "$(dirname "$0")/testing.sh"
lab_begin

log=$lab_run_dir/access.log
start=$(date -u +%FT%T.%3NZ)
# fresh: lines of requests that came in since; those of getting ready may be written only now
fresh() {
	jq -c --arg start "$start" 'select(.ts >= $start)' "$log"
}
trace=4bf92f3577b34da6a3ce929d0e0e4736
got=$(chat llama-3-8b-instruct -H "traceparent: 00-$trace-00f067aa0ba902b7-01")
lab_chat_status no-such-model >/dev/null
lab_in client curl -s -o /dev/null "http://$LAB_VIP/v1/completions" -d '{"broken": '
check "three requests make three lines" wait_for 10 eval 'equals "$(fresh | wc -l)" 3'
check "every line is a JSON object" eval 'fresh | jq -es "all(type == \"object\")" >/dev/null'
check "an answered request's line has all the fields" eval 'fresh | jq -es ".[] | select(.status == 200) |
	[has(\"ts\", \"method\", \"path\", \"status\", \"model\", \"route\", \"pool\", \"endpoint\", \"cluster\",
	\"region\", \"attempts\", \"ttft_ms\", \"total_ms\", \"bytes_in\", \"bytes_out\", \"pick\")] | all" >/dev/null'
check "it names the pod that answered" equals \
	"$(fresh | jq -r 'select(.model == "llama-3-8b-instruct") | .cluster + "/" + (.endpoint | sub(".*/"; ""))')" "${got#* }"
check "it names the trace" equals "$(fresh | jq -r "select(.trace_id) | .trace_id + .model")" "${trace}llama-3-8b-instruct"
check "the pick has the terms of its score" eval \
	'fresh | jq -es "[.[] | select(.model == \"llama-3-8b-instruct\") | .pick | .reason and (.score_ms != null)] == [true]" >/dev/null'
check "what failed says why" equals "$(fresh | jq -r 'select(.status >= 400) | has("error")' | sort -u)" true
test_end
