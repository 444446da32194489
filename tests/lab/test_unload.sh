#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# sluice-loader unload puts the host back to what it was.
# shellcheck source=tests/lab/testing.sh
. "$(dirname "$0")/testing.sh"
[ "$(id -u)" = 0 ] || skip_all "network namespaces need root"
lab_init "t$$" || exit 1
undo lab_sweep
mkdir -p "$lab_dir"
lab_config=$LAB_EXAMPLE

# What the programs may touch: links with their XDP and offloads, queues, addresses, pins.
host_state() {
	local dev
	lab_in gw ip -d -o link show | sed -E 's/NO-CARRIER,//; s/ (prog|xdp)[^\\]*//; s/qdisc [a-z]+//; s/state [A-Z]+//'
	lab_in gw ip -d -o link show | grep -o 'prog/xdp.*'
	for dev in to-client to-europe to-us; do
		lab_in gw tc qdisc show dev $dev | grep -v noqueue
		lab_in gw ethtool -k $dev | grep -E '^generic-receive-offload|^tcp-segmentation-offload'
	done
	lab_in gw ip -4 -o addr show dev lo
	lab_in gw ip neigh show proto 83
	find "$lab_pins" 2>/dev/null
}

check "the namespaces come up" lab_topology_up
host_state >"$test_work/before"
check "the programs load" lab_loader load --snat 10.2.1.1
check "and attach to three links" lab_loader attach to-client to-europe to-us
check "native XDP is on the links" eval '[ "$(lab_in gw ip -d -o link show | grep -c "prog/xdp")" -ge 3 ]'
: >"$lab_dir/pods"
lab_controller_start
check "the controller puts the VIP on lo" wait_for 20 eval 'lab_in gw ip -4 -o addr show dev lo | grep -q "$LAB_VIP/32"'
lab_ctl vip add 10.99.0.20:8000/tcp --way ipip --endpoint 10.10.0.31:8000 --endpoint 10.2.2.2:8000 >/dev/null
lab_in gw ip neigh replace 10.2.2.9 lladdr 02:00:00:00:00:09 nud reachable proto 83 dev to-us
check "the kernel keeps two neighbours for the controller, and one for somebody else" wait_for 10 eval \
	'[ "$(lab_in gw ip -d neigh show proto 83 | tee /dev/stderr | grep -c managed)" = 2 ]'
kill -TERM "$(lab_pid controller)"
check "the controller ends when asked" wait_for 15 eval '! lab_running controller'
check "status says what is attached" eval 'lab_loader status | grep -q to-europe'
check "unload succeeds" lab_loader unload
check "the neighbour that is none of ours stays" eval 'lab_in gw ip neigh show 10.2.2.9 | grep 02:00:00:00:00:09'
lab_in gw ip neigh del 10.2.2.9 dev to-us
host_state >"$test_work/after"
check "links, queues, addresses, neighbours and pins are as before" diff "$test_work/before" "$test_work/after"
check "unloading again is harmless" lab_loader unload
test_end
