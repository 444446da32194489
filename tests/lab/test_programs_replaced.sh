#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# Programs and maps are unloaded and loaded anew below a running gateway: service resumes by itself.
# shellcheck source=tests/lab/testing.sh
. "$(dirname "$0")/testing.sh"
lab_begin

now_ms() {
	echo $(($(date +%s%N) / 1000000))
}
reload_programs() {
	lab_loader unload && lab_loader load --snat 10.2.1.1 && lab_loader attach to-client to-europe to-us
}
serves() {
	equals "$(lab_chat gemma-3-27b-it -m 1 -o /dev/null -w '%{http_code}')" 200
}

controller=$(lab_pid controller)
proxy=$(lab_pid proxy)
check "the programs are unloaded and loaded anew" reload_programs
start=$(now_ms)
check "the gateway serves again by itself" wait_for 20 serves
check "within 3 s" between 0 $(($(now_ms) - start)) 3000
check "the controller is the same process" equals "$(lab_pid controller)" "$controller"
check "the proxy is the same process" equals "$(lab_pid proxy)" "$proxy"
check "all endpoints are seen to be well" lab_wait_ready 10
test_end
