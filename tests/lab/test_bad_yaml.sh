#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# A broken file: one message with file and line, and the last good state goes on serving.
# shellcheck source=tests/lab/testing.sh
. "$(dirname "$0")/testing.sh"
lab_begin
[[ $lab_config != "$LAB_EXAMPLE" ]] || skip_all "this lab runs on examples/two-region itself, which tests do not edit"

route=$lab_config/config-cluster/20-route-gemma.yaml
pods_file=$lab_config/cluster-a/20-pods.yaml
log=$lab_dir/controller.log
cp "$route" "$test_work/route.yaml"
undo cp "$test_work/route.yaml" "$route"
cp "$pods_file" "$test_work/pods.yaml"
undo cp "$test_work/pods.yaml" "$pods_file"

# said WORDS...: the controller has written a line since `mark` that has all of them
mark() {
	log_lines=$(wc -l <"$log")
}
said() {
	local word text
	text=$(tail -n +$((log_lines + 1)) "$log")
	for word in "$@"; do
		text=$(grep -F -- "$word" <<<"$text") || return 1
	done
}

mark
sed 's/^spec:$/spec: [/' "$test_work/route.yaml" >"$route"
check "a syntax error is reported with file and line" wait_for 15 said 20-route-gemma.yaml: "not YAML"
check "requests are still answered" chat_is_good gemma-3-27b-it

mark
sed 's/weight: 90/weight: ninety/' "$test_work/route.yaml" >"$route"
check "a wrong field is reported with file, object and field" wait_for 15 said 20-route-gemma.yaml gemma weight
check "requests are still answered" chat_is_good gemma-3-27b-it

mark
sed 's/name: gemma-3-27b-v2$/name: no-such-pool/' "$test_work/route.yaml" >"$route"
check "a route to a missing pool is reported" wait_for 15 said 20-route-gemma.yaml no-such-pool
check "the route's other backend still answers" eval \
	'chats 20 gemma-3-27b-it | tee /dev/stderr | grep -c "^200 " | { read -r good; between 11 "$good" 20; }'

cp "$test_work/route.yaml" "$route"
sed 's/weight: 90/weight: 0/; s/weight: 10/weight: 100/' "$test_work/route.yaml" >"$route.new"
mv "$route.new" "$route"
check "a good file takes effect at once" wait_for 15 eval 'chat gemma-3-27b-it | grep -q "gemma-3-27b-v2"'
cp "$test_work/route.yaml" "$route"
check "and so does the one before" wait_for 15 eval 'chats 3 gemma-3-27b-it | grep -qv "gemma-3-27b-v2"'

mark
printf '%s\n' '---' 'apiVersion: example.com/v1' 'kind: Teapot' 'metadata: {name: brown}' >>"$route"
check "an unknown kind is named" wait_for 15 said Teapot
check "requests are still answered" chat_is_good gemma-3-27b-it
test_end
