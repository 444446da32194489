#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# Errors are OpenAI-shaped JSON, on Anthropic's paths Anthropic-shaped, with the right status.
# shellcheck source=tests/lab/testing.sh
. "$(dirname "$0")/testing.sh"
lab_begin

# error STATUS CURL OPTIONS...: the answer has that status and an error object
error() {
	local status=$1 got
	shift
	got=$(lab_in client curl -s -m 30 -w '\n%{http_code}' "$@")
	echo "$got" | tail -c 600
	[ "${got##*$'\n'}" = "$status" ] &&
		jq -e '.error | .message and .type and has("code")' <<<"${got%$'\n'*}" >/dev/null
}

url=http://$LAB_VIP/v1/chat/completions
json='content-type: application/json'
check "a body that is no JSON is 400" error 400 "$url" -H "$json" -d '{"model": '
check "two models in one body are 400" error 400 "$url" -H "$json" -d '{"model": "a", "model": "b"}'
check "a model that is not there is 404" error 404 "$url" -H "$json" -d '{"model": "nope", "messages": []}'
# anthropic STATUS TYPE CURL OPTIONS...: the answer has that status and their shape
anthropic() {
	local status=$1 type=$2 got
	shift 2
	got=$(lab_in client curl -s -m 30 -w '\n%{http_code}' "http://$LAB_VIP/v1/messages" -H "$json" "$@")
	echo "$got" | tail -c 600
	[ "${got##*$'\n'}" = "$status" ] &&
		jq -e --arg type "$type" '.type == "error" and .error.type == $type and .error.message' <<<"${got%$'\n'*}" >/dev/null
}
check "Anthropic's clients are told in their own shape that a body is none" \
	anthropic 400 invalid_request_error -d '{"model": '
check "and that a model is not there" anthropic 404 not_found_error -d '{"model": "nope", "messages": []}'
head -c 17000000 /dev/zero | tr '\0' a | sed 's/^/{"model": "gemma-3-27b-it", "prompt": "/; s/$/"}/' >"$test_work/large"
check "a body of 17 MB is 413" error 413 "$url" -H "$json" -H 'Expect:' --data-binary @"$test_work/large"
head -c 15000000 /dev/zero | tr '\0' a | sed 's/^/{"model": "gemma-3-27b-it", "prompt": "/; s/$/"}/' >"$test_work/large"
check "one of 15 MB reaches a server (which finds it too long)" eval \
	'lab_in client curl -s -m 30 "http://$LAB_VIP/v1/completions" -H "$json" -H "Expect:" \
		--data-binary @"$test_work/large" | grep -q "maximum context length"'
check "the server's own errors are passed on" eval \
	'lab_in client curl -s -m 30 "$url" -H "$json" -d "{\"model\": \"gemma-3-27b-it\"}" | grep -q "Field required"'
check "the gateway still answers" chat_is_good gemma-3-27b-it
test_end
