#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# For tests of health checks that take the way of traffic: a gateway, and a host that has the VIPs
# and decapsulates.  Source after testing.sh.
#
#   gw 10.2.0.1, fd00:2::1 --- host 10.2.0.9, fd00:2::9; the VIPs on the lo of both
#
# shellcheck disable=SC2154 # lab_*: of lib.sh

[ "$(id -u)" = 0 ] || skip_all "network namespaces need root"
lab_init "t$$" || exit 1
spaces="gw host"
echo_tool=$LAB_ROOT/build/tests/lab/tools/echo
vip4=10.99.0.20
vip6=fd00:99::20
port=9000
decap() {
	lab_in host "$LAB_BIN/sluice-loader" decap eth0 --vip $vip4 --vip $vip6
}
decap_off() {
	lab_in host "$LAB_BIN/sluice-loader" decap --off eth0
}

# ---- the namespaces ----

space_pids() {
	local ns
	for ns in $spaces; do
		[ ! -e "/run/netns/$(lab_ns "$ns")" ] || ip netns pids "$(lab_ns "$ns")" 2>/dev/null
	done
}
sweep() {
	local pid ns

	for pid in $(space_pids); do
		kill -KILL "$pid"
	done
	[ ! -e "/run/netns/$(lab_ns host)" ] || decap_off
	[ ! -e "/run/netns/$(lab_ns gw)" ] || lab_loader unload
	for ns in $spaces; do
		[ ! -e "/run/netns/$(lab_ns "$ns")" ] || ip netns del "$(lab_ns "$ns")"
	done
	rm -rf "$lab_pins" "$lab_run_dir"
	rmdir /run/sluice /sys/fs/bpf/sluice 2>/dev/null
}
undo sweep
mkdir -p "$lab_dir/config"

topology_up() {
	local ns

	for ns in $spaces; do
		ip netns add "$(lab_ns "$ns")" && lab_in "$ns" ip link set lo up &&
			lab_in "$ns" ip addr add $vip4/32 dev lo &&
			lab_in "$ns" ip addr add $vip6/128 dev lo nodad || return 1
	done
	lab_link host eth0 10.2.0.9 gw to-host 10.2.0.1 &&
		lab_in host ip addr add fd00:2::9/64 dev eth0 nodad &&
		lab_in gw ip addr add fd00:2::1/64 dev to-host nodad &&
		lab_in gw sh -c 'echo 1 >/proc/sys/net/ipv4/ip_forward
			echo 1 >/proc/sys/net/ipv6/conf/all/forwarding'
}
# serve NAME ADDRESS, stop NAME
serve() {
	lab_spawn "$1" host "$echo_tool" serve "$2" $port
}
stop() {
	kill "$(cat "$lab_dir/$1.pid")"
}
servers_up() {
	serve vip4 $vip4
	serve vip6 $vip6
	serve own4 10.2.0.9
	serve own6 fd00:2::9
	wait_for 5 plain_answers
}
# The host answers plain connections, whatever its VIPs do.
plain_answers() {
	lab_in gw "$echo_tool" tcp 10.2.0.9 $port 10 && lab_in gw "$echo_tool" tcp fd00:2::9 $port 10
}
load() {
	lab_loader load --snat 10.2.0.1 --snat fd00:2::1
}
controller_start() {
	lab_spawn controller gw "$LAB_BIN/sluice-controller" --instance "$lab_name" \
		--config-cluster "$lab_dir/config" --metrics off
}

# ---- what is known of an endpoint ----

# health NAME: "STATE reason"
health() {
	ctl_json ".[] | select(.endpoint == \"operator/$1\") | .health + \" \" + .reason" show endpoints
}
health_is() {
	equals "$(health "$1")" "$2"
}
both_are() {
	health_is 10.2.0.9:$port "$1" && health_is "[fd00:2::9]:$port" "$1"
}
become() {
	wait_for 20 both_are "$1" || both_are "$1"
}
verdict() {
	ctl_json ".[] | select(.verdict == \"$1\") | .packets" show verdicts
}
probed_more() {
	[ "$(verdict probe_sent)" -gt "$1" ] && [ "$(verdict probe_returned)" -gt "$2" ]
}
vips_add() {
	lab_ctl vip add "$vip4:$port/tcp" --way "$1" --endpoint 10.2.0.9:$port &&
		lab_ctl vip add "[$vip6]:$port/tcp" --way "$1" --endpoint "[fd00:2::9]:$port"
}
# A VIP of one IP family, an endpoint of the other.
mixed_vips_add() {
	lab_ctl vip add "$vip4:$port/tcp" --way "$1" --endpoint "[fd00:2::9]:$port" &&
		lab_ctl vip add "[$vip6]:$port/tcp" --way "$1" --endpoint 10.2.0.9:$port
}
vips_remove() {
	lab_ctl vip remove "$vip4:$port/tcp" && lab_ctl vip remove "[$vip6]:$port/tcp"
}

# Gateway, host and controller, no VIP yet.
probing_up() {
	check "the namespaces come up" topology_up
	servers_up
	check "load" load
	check "attach" lab_loader attach to-host
	controller_start
}
