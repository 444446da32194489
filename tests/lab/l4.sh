#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# The L4 lab: gateways and endpoints on one link, for tests of ways out, drains and floods.
#
#   client 10.1.0.2, fd00:1::2 --- [bridge] --- gw1 10.1.0.11, gw2 10.1.0.12 (fd00:1::11, ::12)
#   gw1 10.2.0.1, gw2 10.2.0.3 (fd00:2::1, ::3) --- [bridge] --- ep1 10.2.0.21, ep2 10.2.0.22 (fd00:2::21, ::22)
#   VIPs 10.99.0.30 and fd00:99::30, port 7000, on every endpoint's lo; answers go straight back
#   to the client by gw1's kernel (direct return)
#
# One instance a gateway: NAME-1 and NAME-2.  Source this after testing.sh; l4_up brings all up.

L4_VIP4=10.99.0.30
L4_VIP6=fd00:99::30
L4_PORT=7000
l4_name=l4t$$
# shellcheck disable=SC2154 # of testing.sh
l4_dir=$test_work/l4
l4_who=$LAB_ROOT/build/tests/lab/tools/who
l4_pids=()

l4_ns() {
	echo "sluice-$l4_name-$1"
}

l4_in() {
	local ns
	ns=$(l4_ns "$1")
	shift
	nsenter --net="/run/netns/$ns" "$@"
}

# l4_spawn LOG NAMESPACE COMMAND...
l4_spawn() {
	local log=$1 ns
	ns=$(l4_ns "$2")
	shift 2
	setsid nsenter --net="/run/netns/$ns" "$@" </dev/null >>"$l4_dir/$log.log" 2>&1 &
	l4_pids+=($!)
	l4_last_pid=$!
	disown $!
}

# l4_port A_NS A_DEV IPV4 IPV6 BRIDGE: a link to one of the two bridges, both in namespace "switch"
l4_port() {
	local peer=$5-$1

	ip link add "$2" netns "$(l4_ns "$1")" type veth peer name "${peer:0:15}" netns "$(l4_ns switch)" &&
		l4_in "$1" ip addr add "$3/24" dev "$2" &&
		l4_in "$1" ip -6 addr add "$4/64" dev "$2" nodad &&
		l4_in "$1" ip link set "$2" up &&
		l4_in switch ip link set "${peer:0:15}" master "$5" up &&
		l4_in switch ethtool -K "${peer:0:15}" gro on tx off >/dev/null 2>&1 &&
		l4_in "$1" ethtool -K "$2" gro on tx off >/dev/null 2>&1
}

l4_gateway() {
	local i=$1

	l4_port "gw$i" front "10.1.0.1$i" "fd00:1::1$i" front &&
		l4_port "gw$i" back "10.2.0.$((2 * i - 1))" "fd00:2::$((2 * i - 1))" back &&
		l4_in "gw$i" sh -c 'echo 1 >/proc/sys/net/ipv4/ip_forward
			echo 1 >/proc/sys/net/ipv6/conf/all/forwarding'
}

l4_endpoint() {
	local i=$1

	l4_port "ep$i" eth0 "10.2.0.2$i" "fd00:2::2$i" back &&
		l4_in "ep$i" ip route add default via 10.2.0.1 &&
		l4_in "ep$i" ip -6 route add default via fd00:2::1 &&
		l4_in "ep$i" sh -c 'echo 1 >/proc/sys/net/ipv4/conf/all/arp_ignore
			echo 2 >/proc/sys/net/ipv4/conf/all/arp_announce' &&
		l4_in "ep$i" ip addr add "$L4_VIP4/32" dev lo &&
		l4_in "ep$i" ip -6 addr add "$L4_VIP6/128" dev lo nodad
}

l4_topology() {
	local ns

	for ns in client switch gw1 gw2 ep1 ep2; do
		ip netns add "$(l4_ns $ns)" && l4_in $ns ip link set lo up || return 1
	done
	l4_in switch ip link add front type bridge && l4_in switch ip link set front up &&
		l4_in switch ip link add back type bridge && l4_in switch ip link set back up &&
		l4_port client eth0 10.1.0.2 fd00:1::2 front && l4_gateway 1 && l4_gateway 2 &&
		l4_endpoint 1 && l4_endpoint 2 && l4_by 1
}

# l4_by GATEWAY: the client's way to everything
l4_by() {
	l4_in client ip route replace default via "10.1.0.1$1" &&
		l4_in client ip -6 route replace default via "fd00:1::1$1"
}

l4_loader() {
	local i=$1
	shift
	l4_in "gw$i" "$LAB_BIN/sluice-loader" --instance "$l4_name-$i" "$@"
}

# l4_ctl GATEWAY ARGUMENTS...
l4_ctl() {
	local i=$1
	shift
	"$LAB_BIN/sluicectl" --instance "$l4_name-$i" "$@"
}

# l4_load GATEWAY [OPTIONS OF load...]
l4_load() {
	local i=$1
	shift
	l4_loader "$i" load --snat "10.2.0.$((2 * i - 1))" --snat "fd00:2::$((2 * i - 1))" "$@" \
		>>"$l4_dir/loader.log" 2>&1 &&
		l4_loader "$i" attach front back >>"$l4_dir/loader.log" 2>&1
}

# l4_controller GATEWAY: it follows neighbours, counts flows and probes
l4_controller() {
	mkdir -p "$l4_dir/config" # empty: every VIP is the operator's
	l4_spawn "controller-$1" "gw$1" "$LAB_BIN/sluice-controller" --instance "$l4_name-$1" \
		--config-cluster "$l4_dir/config"
	l4_controller_pid=$l4_last_pid
}

# l4_server ENDPOINT ADDRESS [DELAY_MS]
l4_server() {
	l4_spawn "ep$1" "ep$1" "$l4_who" serve "$2" $L4_PORT "ep$1" "${3:-0}"
}

# l4_servers [DELAY_MS OF ep2]: on the VIPs and on each endpoint's own addresses
l4_servers() {
	local i

	for i in 1 2; do
		l4_server $i "$L4_VIP4" "$([ $i = 1 ] || echo "${1:-0}")"
		l4_server $i "$L4_VIP6" "$([ $i = 1 ] || echo "${1:-0}")"
		l4_server $i "10.2.0.2$i" "$([ $i = 1 ] || echo "${1:-0}")"
		l4_server $i "fd00:2::2$i" "$([ $i = 1 ] || echo "${1:-0}")"
	done
}

l4_up() {
	[ "$(id -u)" = 0 ] || skip_all "network namespaces need root"
	[ -x "$l4_who" ] || skip_all "$l4_who is not built (make tests)"
	undo l4_down
	mkdir -p "$l4_dir"
	l4_topology >"$l4_dir/topology.log" 2>&1
}

l4_down() {
	local i ns pid

	for ns in client switch gw1 gw2 ep1 ep2; do
		for pid in $(ip netns pids "$(l4_ns $ns)" 2>/dev/null); do
			kill -KILL "$pid"
		done
	done
	for i in 1 2; do
		[ ! -d "/sys/fs/bpf/sluice/$l4_name-$i" ] || l4_loader $i unload
		rm -rf "/run/sluice/$l4_name-$i"
	done
	for ns in client switch gw1 gw2 ep1 ep2; do
		ip netns del "$(l4_ns $ns)"
	done
	rmdir /run/sluice /sys/fs/bpf/sluice
}

# l4_endpoints FAMILY: the --endpoint options of both, IPv4 or IPv6
l4_endpoints() {
	if [ "$1" = 4 ]; then
		echo "--endpoint 10.2.0.21:$L4_PORT --endpoint 10.2.0.22:$L4_PORT"
	else
		echo "--endpoint [fd00:2::21]:$L4_PORT --endpoint [fd00:2::22]:$L4_PORT"
	fi
}

# l4_vip FAMILY: as sluicectl wants it, without the protocol
l4_vip() {
	if [ "$1" = 4 ]; then echo "$L4_VIP4:$L4_PORT"; else echo "[$L4_VIP6]:$L4_PORT"; fi
}

l4_vip_address() {
	if [ "$1" = 4 ]; then echo "$L4_VIP4"; else echo "$L4_VIP6"; fi
}

# l4_ask PROTO FAMILY COUNT: who answered, a name a line
l4_ask() {
	l4_in client timeout 60 "$l4_who" ask "$1" "$(l4_vip_address "$2")" $L4_PORT "$3"
}

# l4_hold LOG PROTO FAMILY COUNT GAP_MS: one flow in the background; names go to LOG
l4_hold() {
	l4_in client timeout 90 "$l4_who" hold "$2" "$(l4_vip_address "$3")" $L4_PORT "$4" "$5" \
		>"$l4_dir/$1" 2>"$l4_dir/$1.error" &
	l4_hold_pid=$!
}

# l4_verdict GATEWAY NAME: how many packets
l4_verdict() {
	l4_ctl "$1" --json show verdicts | jq -r --arg v "$2" '.[] | select(.verdict == $v) | .packets'
}

# all_are NAME FILE: at least one line, and every line is that
all_are() {
	sort "$2" | uniq -c
	[ -s "$2" ] && ! grep -qvx "$1" "$2"
}
