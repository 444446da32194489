#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# The controller is killed: traffic goes on, the CLI works, and a new one adopts what is there.
# shellcheck source=tests/lab/testing.sh
. "$(dirname "$0")/testing.sh"
lab_begin

endpoints() {
	ctl_json '[.[] | {id, endpoint, address, cluster, pool, health}] | sort_by(.id)' show endpoints
}

before=$(endpoints)
touch "$lab_dir/controller.hold"
undo rm -f "$lab_dir/controller.hold"
traffic_start
kill -9 "$(lab_pid controller)"
check "the controller is gone" wait_for 10 eval '! lab_running controller'
check "without a controller sluicectl shows every endpoint as it was" equals "$(endpoints)" "$before"
lab_ctl drain endpoint ai/gemma-3-27b-0 --cluster cluster-a >"$test_work/out" 2>&1
undo lab_ctl undrain endpoint ai/gemma-3-27b-0 --cluster cluster-a
check "without a controller an endpoint can be drained" equals \
	"$(ctl_json '.[] | select(.endpoint == "ai/gemma-3-27b-0" and .cluster == "cluster-a") | .use' show endpoints)" draining
lab_ctl undrain endpoint ai/gemma-3-27b-0 --cluster cluster-a >/dev/null
rm -f "$lab_dir/controller.hold"
check "a new controller answers" wait_for 20 lab_in gw curl -sf -o /dev/null http://127.0.0.1:9465/metrics
sleep 1
check "the new controller has adopted ids and health as they were" equals "$(endpoints)" "$before"
traffic_stop 20
check "no request failed meanwhile" traffic_was_good 20
test_end
