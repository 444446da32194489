#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# The metrics pages of controller and proxy are what Prometheus wants, and say what happened.
# shellcheck source=tests/lab/testing.sh
. "$(dirname "$0")/testing.sh"
lab_begin

promtool=$LAB_ROOT/build/tools/promtool
[ -x "$promtool" ] || promtool=$(command -v promtool)
page() {
	lab_in gw curl -sf -m 5 "http://127.0.0.1:$1/metrics"
}
# pages: as they are now; counts that workers keep come a moment later
pages() {
	page 9465 >"$test_work/controller" && page 9466 >"$test_work/proxy"
}

chats 4 gemma-3-27b-it >/dev/null
chats 4 llama-3-8b-instruct >/dev/null
lab_chat_status no-such-model >/dev/null
check "what was asked for is counted" wait_for 10 eval \
	'pages && grep -q "^sluice_proxy_errors_total{reason=\"model_not_found\"" "$test_work/proxy"'
check "the controller has a page" test -s "$test_work/controller"
check "the proxy has a page" test -s "$test_work/proxy"
for name in controller proxy; do
	if [ -n "$promtool" ]; then
		check "promtool finds nothing wrong with the $name's" eval '"$promtool" check metrics <"$test_work/$name" 2>&1 | tee "$test_work/promtool" && [ ! -s "$test_work/promtool" ]'
	else
		skip "promtool on the $name's page" "promtool is not here (scripts/deps test)"
	fi
done
# has NAME PAGE WORDS...: a sample whose line has all the words
has() {
	local page=$1 word text
	shift
	text=$(grep -v '^#' "$test_work/$page")
	for word in "$@"; do
		text=$(grep -F -- "$word" <<<"$text") || {
			echo "no sample with: $*"
			return 1
		}
	done
}
check "requests are counted by model, region and status" \
	has proxy 'sluice_proxy_requests_total{model="gemma-3-27b-it",region="' 'code="200"'
check "errors are counted by reason" has proxy 'sluice_proxy_errors_total{reason="model_not_found"}'
check "time to first token is a histogram a model and region" \
	has proxy 'sluice_proxy_time_to_first_token_seconds_bucket{model="llama-3-8b-instruct",region="' 'le="+Inf"'
check "requests are counted by endpoint" has proxy 'sluice_proxy_endpoint_requests_total{endpoint="ai/llama-3-8b-'
check "verdicts of the kernel programs are there" has controller verdict '"l7_local"'
check "health of all twelve endpoints is there" equals \
	"$(grep -c '^sluice_endpoint_up{.*} 1$' "$test_work/controller")" 12
check "probes and scrapes are counted by result" eval \
	'has controller "sluice_controller_probes_total{result=\"ok\"}" &&
	has controller "sluice_controller_scrapes_total{result=\"ok\"}"'
test_end
