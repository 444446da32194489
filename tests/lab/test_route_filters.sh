#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# What a route asks for beyond its backends, from the YAML to the client: CORS, filters of one
# backend, and retries of statuses that the gateway would pass on otherwise.
# shellcheck source=tests/lab/testing.sh
. "$(dirname "$0")/testing.sh"
lab_begin
[[ $lab_config != "$LAB_EXAMPLE" ]] || skip_all "this lab runs on examples/two-region itself, which tests do not edit"
undo reset_faults

# A host of its own, so that nobody else's requests meet the route.
route=$lab_config/config-cluster/25-route-filters.yaml
undo rm -f "$route"
cat >"$route" <<'END'
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: filters, namespace: ai}
spec:
  parentRefs: [{name: inference, namespace: gateway-infra, sectionName: http}]
  hostnames: [filters.test]
  rules:
  - matches:
    - path: {type: PathPrefix, value: /v1}
      method: POST
    filters:
    - type: CORS
      cors:
        allowOrigins: ['https://*.app.test']
        allowMethods: [POST]
        allowHeaders: [Authorization, Content-Type]
    - type: ResponseHeaderModifier
      responseHeaderModifier: {set: [{name: X-Who, value: rule}, {name: X-Rule, value: 'yes'}]}
    backendRefs:
    - group: inference.networking.x-k8s.io
      kind: InferencePoolImport
      name: gemma-3-27b
      filters:
      - type: ResponseHeaderModifier
        responseHeaderModifier: {set: [{name: X-Who, value: backend}]}
    retry: {codes: [500], attempts: 7, backoff: 1ms}
END

# preflight ORIGIN: the head of the answer
preflight() {
	lab_in client curl -s -m 10 -i -X OPTIONS "http://$LAB_VIP/v1/chat/completions" \
		-H 'Host: filters.test' -H "Origin: $1" -H 'Access-Control-Request-Method: POST' \
		-H 'Access-Control-Request-Headers: authorization' | tr -d '\r'
}

# preflight_allows ORIGIN
preflight_allows() {
	local got

	got=$(preflight "$1")
	echo "$got"
	[[ $got == "HTTP/1.1 204 "* ]] &&
		grep -qx "Access-Control-Allow-Origin: $1" <<<"$got" &&
		grep -qx 'Access-Control-Allow-Headers: Authorization, Content-Type' <<<"$got"
}

preflight_denies() {
	local got

	got=$(preflight "$1")
	echo "$got"
	[[ $got == "HTTP/1.1 204 "* ]] && ! grep -qi '^access-control-' <<<"$got"
}

# answered_with HEADERS...: a chat from a page of ours is answered 200 with all these lines
answered_with() {
	local got line

	got=$(lab_chat gemma-3-27b-it -H 'Host: filters.test' -H 'Origin: https://my.app.test' \
		-o /dev/null -D - -m 20 | tr -d '\r')
	echo "$got"
	[[ $got == "HTTP/1.1 200 "* ]] || return 1
	for line in "$@"; do
		grep -qx "$line" <<<"$got" || return 1
	done
}

# retried: one more chat, and by now the log has a retry of a 500
retried() {
	answered_with 'X-Rule: yes' || return 1
	tail -n 20 "$lab_run_dir/access.log" |
		jq -e 'select(.route == "ai/filters") | .retries[]? | select(.status == 500)' >/dev/null
}

check "a preflight from an allowed origin is answered by the gateway" \
	wait_for 15 preflight_allows https://my.app.test
check "one from elsewhere is told nothing" preflight_denies https://app.test.evil
check "an answer has the policy's headers, and the backend's filters after the rule's" answered_with \
	'Access-Control-Allow-Origin: https://my.app.test' 'Vary: Origin' 'X-Who: backend' 'X-Rule: yes'
for pod in $(pods | grep cluster-a/gemma-3-27b); do
	lab_fault "$pod" '{"error": 500}'
done
check "a listed status is tried again until another cluster answers" answered_with 'X-Rule: yes'
check "the access log has the status of what was not passed on" wait_for 30 retried
test_end
