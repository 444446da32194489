#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# An L4 VIP of the operator: packets are steered to endpoints in the kernel, both ways.
# shellcheck source=tests/lab/testing.sh
. "$(dirname "$0")/testing.sh"
lab_begin

vip=$LAB_L4_VIP:8000
get() {
	lab_in client curl -s -m 3 -o /dev/null -D - "http://$vip$1" | sed -n 's/^x-inference-pod: \([^\r]*\).*/\1/p'
}
forwarded() {
	ctl_json '.[] | select(.verdict == "forwarded") | .packets' show verdicts
}

check "the VIP can be added" lab_ctl vip add "$vip/tcp" --endpoint 10.10.0.31:8000 --endpoint 10.20.0.31:8000
undo lab_ctl vip remove "$vip/tcp"
check "it is shown as the operator's" equals \
	"$(ctl_json '.[] | select(.vip | startswith("10.99.0.20")) | .mode + " " + .owner' show vips)" "L4 operator"
before=$(forwarded)
for i in $(seq 40); do
	get /health
done >"$test_work/served"
check "40 of 40 connections are answered" equals "$(grep -c . "$test_work/served")" 40
check "both endpoints have served" equals "$(sort -u "$test_work/served" | tr '\n' ' ')" \
	"cluster-a/llama-3-8b-0 cluster-b/llama-3-8b-0 "
check "the kernel has counted what it forwarded" between $((before + 120)) "$(forwarded)" 1000000
head -c 3000000 /dev/zero | tr '\0' a | sed 's/^/{"prompt": "/; s/$/"}/' >"$test_work/large"
check "a body of 3 MB arrives whole" eval \
	'lab_in client curl -s -m 10 "http://$vip/v1/completions" -H "content-type: application/json" \
		--data-binary @"$test_work/large" | grep -q "maximum context length is 131072"'
check "a flow is shown with its endpoint" eval \
	'lab_ctl --json show flows | jq -e ".[] | select(.vip | startswith(\"10.99.0.20\"))" >/dev/null'
check "an endpoint can be drained" lab_ctl drain endpoint operator/10.10.0.31:8000
undo lab_ctl undrain endpoint operator/10.10.0.31:8000
for i in $(seq 20); do
	get /health
done >"$test_work/served"
check "new connections avoid it" equals "$(sort -u "$test_work/served")" cluster-b/llama-3-8b-0
lab_ctl undrain endpoint operator/10.10.0.31:8000 >/dev/null
check "the VIP can be removed" lab_ctl vip remove "$vip/tcp"
check "then nobody answers there" eval '[ -z "$(get /health)" ]'
test_end
