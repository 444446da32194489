#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# Health checks of the operator's endpoints by every way to attach, across upgrades and restarts of
# the controller, past devices that are not attached, by NAT, and of UDP VIPs.
# shellcheck source=tests/lab/testing.sh
. "$(dirname "$0")/testing.sh"
# shellcheck source=tests/lab/probing.sh
. "$(dirname "$0")/probing.sh"
probing_up

check "the host decapsulates" decap
check "endpoints are added" vips_add ipip
check "and are UP" become "UP ok"
for mode in tc clsact generic auto; do
	check "$mode: attach" eval "lab_loader detach to-host && lab_loader attach to-host --mode $mode"
	sent=$(verdict probe_sent) returned=$(verdict probe_returned)
	check "$mode: probes go out and come back" wait_for 10 probed_more $((sent + 4)) $((returned + 2))
	check "$mode: UP" become "UP ok"
	[ $mode = tc ] || [ $mode = clsact ] || continue
	check "$mode: upgrade" lab_loader upgrade
	sent=$(verdict probe_sent) returned=$(verdict probe_returned)
	check "$mode: also after it" wait_for 10 probed_more $((sent + 4)) $((returned + 2))
done
check "decapsulation is taken off" decap_off
check "DOWN" become "DOWN timeout"
check "the device is detached" lab_loader detach to-host
sleep 4
check "plain answers to probes that go past the programs do not count" both_are "DOWN timeout"
check "and it is said" grep -q "its probes go past the programs" "$lab_dir/controller.log"
check "the device is attached" lab_loader attach to-host
check "the host decapsulates" decap
check "UP" become "UP ok"

# ---- the controller ----
kill -KILL "$(lab_pid controller)"
check "decapsulation is taken off while no controller runs" decap_off
controller_start
check "the next one sees it" become "DOWN timeout"
check "the endpoints are removed" vips_remove

# ---- NAT and UDP ----
sent=$(verdict probe_sent)
check "an endpoint reached by NAT is connected to plainly" eval \
	'vips_add nat && become "UP ok" && equals "$(verdict probe_sent)" "$sent"'
stop own4
stop own6
check "and DOWN when it refuses" become "DOWN refused"
check "the endpoints are removed" vips_remove
lab_ctl vip add "$vip4:$port/udp" --endpoint 10.2.0.9:$port >/dev/null
sleep 2
check "an endpoint of a UDP VIP is not probed" health_is 10.2.0.9:$port "UNKNOWN none"
egress=$(lab_loader --json status | jq '.programs[] | select(.name == "tc_egress") | .id')
check "unload" lab_loader unload
check "leaves nothing at the device" eval \
	'[ -z "$(lab_in gw bpftool net show dev to-host | grep -E "tc_|xdp_")" ] && [ -z "$(bpftool prog show id "$egress" 2>/dev/null)" ]'
test_end
