#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# What a rule can ask for beyond a backend: the model under another name, copies to another
# pool, and a session that stays with its pod; from YAML to the answer.
# shellcheck source=tests/lab/testing.sh
. "$(dirname "$0")/testing.sh"
lab_begin
[[ $lab_config != "$LAB_EXAMPLE" ]] || skip_all "this lab runs on examples/two-region itself, which tests do not edit"

features=$lab_config/config-cluster/70-features.yaml
undo rm -f "$features"
cat >"$test_work/features.yaml" <<'EOF'
apiVersion: inference.networking.x-k8s.io/v1alpha2
kind: InferenceModelRewrite
metadata: {name: served, namespace: ai}
spec:
  poolRef: {group: networking.gke.io, kind: GCPInferencePoolImport, name: llama-3-8b}
  rules:
  - matches: [{model: {value: food-review}}]
    targets: [{modelRewrite: food-review-1}]
---
apiVersion: llm-d.ai/v1alpha2
kind: InferenceModelRewrite
metadata: {name: mirrored, namespace: ai}
spec:
  poolRef: {group: inference.networking.x-k8s.io, kind: InferencePoolImport, name: gemma-3-27b}
  rules:
  - matches: [{model: {value: food-review}}]
    targets: [{modelRewrite: gemma-3-27b-it}]
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: features, namespace: ai}
spec:
  parentRefs: [{name: inference, namespace: gateway-infra, sectionName: http}]
  rules:
  - matches:
    - path: {type: PathPrefix, value: /v1}
      headers: [{name: X-Gateway-Model-Name, value: food-review}]
    filters:
    - type: RequestMirror
      requestMirror:
        backendRef: {group: inference.networking.x-k8s.io, kind: InferencePoolImport, name: gemma-3-27b}
    sessionPersistence: {sessionName: lab, absoluteTimeout: 1h}
    backendRefs: [{group: networking.gke.io, kind: GCPInferencePoolImport, name: llama-3-8b}]
EOF
cp "$test_work/features.yaml" "$features.new" && mv "$features.new" "$features"

is_served() {
	[[ $(chat food-review) == 200* ]]
}
line() { # the last line of the access log for the model
	jq -c 'select(.model == "food-review")' "$lab_run_dir/access.log" | tail -n 1
}
# stream_models: the models that the events of a stream name
stream_models() {
	lab_in client curl -sN -m 10 "http://$LAB_VIP/v1/chat/completions" -H 'content-type: application/json' \
		-d '{"model": "food-review", "stream": true, "max_tokens": 3, "messages": [{"role": "user", "content": "hello"}]}' |
		sed -n 's/^data: {/{/p' | jq -r .model | sort -u
}
mirrors_answered() {
	lab_in gw curl -s http://127.0.0.1:9466/metrics |
		awk '/^sluice_proxy_mirrors_total{reason="answered"}/ { print $2 }'
}
# same_pod POD: the next requests with the cookie go there too
same_pod() {
	local i

	for i in 1 2 3 4 5 6; do
		equals "$(chat food-review -b "$test_work/jar")" "200 $1" || return 1
	done
}

check "a model under a name that no server knows is served" wait_for 20 is_served
check "the answer has the client's name" equals "$(lab_chat food-review | jq -r .model)" food-review
check "and so has each event of a stream" equals "$(stream_models)" food-review
check "the log has both names, and where the copy went" wait_for 10 eval \
	'equals "$(line | jq -c "[.served_model, .mirrored]")" "[\"food-review-1\",[\"ai/gemma-3-27b\"]]"'
check "the copies are answered, under that pool's name" wait_for 10 eval '[ "$(mirrors_answered)" -ge 3 ]'
got=$(chat food-review -c "$test_work/jar")
check "a session stays with its pod" same_pod "${got#* }"
check "which the log says" wait_for 10 eval 'equals "$(line | jq -r .pick.reason)" persisted'
rm "$features"
check "the rest is as it was" chat_is_good llama-3-8b-instruct
test_end
