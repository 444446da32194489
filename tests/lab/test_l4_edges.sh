#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# Rare packets, by real sockets over real links: echo, fragments, IP options, path MTU and ICMP
# errors both ways, by IPv4 and IPv6, through NAT and tunnels.
# shellcheck source=tests/lab/testing.sh
. "$(dirname "$0")/testing.sh"
# shellcheck source=tests/lab/l4.sh
. "$(dirname "$0")/l4.sh"
l4_up || {
	check "the namespaces come up" cat "$l4_dir/topology.log"
	test_end
}
odd=$LAB_ROOT/build/tests/lab/tools/odd
closed=7001 # nobody listens there
for i in 1 2; do
	l4_spawn "odd$i" ep$i "$odd" serve $L4_PORT $L4_VIP4 $L4_VIP6 10.2.0.2$i fd00:2::2$i
	l4_in ep$i "$LAB_BIN/sluice-loader" decap eth0 --vip $L4_VIP4 --vip $L4_VIP6 >"$l4_dir/decap.log" 2>&1
	undo l4_in ep$i "$LAB_BIN/sluice-loader" decap --off eth0
done
l4_in client sh -c 'echo 0 0 >/proc/sys/net/ipv4/ping_group_range'
check "the gateway comes up" l4_load 1

# vips COMMAND WAY: TCP and UDP of both families, and the port that nobody listens on
vips() {
	local family ports proto ends

	for family in 4 6; do
		for ports in tcp:$L4_PORT udp:$L4_PORT udp:$closed; do
			proto=${ports%:*}
			ends=$(l4_endpoints $family)
			# shellcheck disable=SC2086 # several words
			l4_ctl 1 vip "$1" "$(l4_vip $family | sed "s/$L4_PORT\$/${ports#*:}/")/$proto" \
				--way "$2" ${ends//$L4_PORT/${ports#*:}} || return 1
		done
	done
}
# ask tcp|udp FAMILY BYTES [HOW]
ask() {
	l4_in client timeout 20 "$odd" ask "$1" "$(l4_vip_address "$2")" $L4_PORT "${@:3}"
}
paths_forget() {
	l4_in client ip route flush cache
	l4_in client ip -6 route flush cache
}
refused() { # FAMILY
	! l4_in client timeout 20 "$odd" ask udp "$(l4_vip_address "$1")" $closed 10 2>"$l4_dir/refused" &&
		cat "$l4_dir/refused" && grep -q "Connection refused" "$l4_dir/refused"
}
said() { # PATTERN: lines of both servers
	cat "$l4_dir"/odd[12].log | grep -c "$1"
}
more_than() { # COUNT PATTERN
	[ "$(said "$2")" -gt "$1" ]
}
with_options() { # FAMILY: it comes back; by UDP the server says that it saw them
	local before
	before=$(said options)
	ask tcp "$1" 100 options && ask udp "$1" 100 options && more_than "$before" options
}
client_gone() { # FAMILY: the server is told that nobody waits for its answer
	local before
	before=$(said "error Connection refused")
	l4_in client "$odd" leave "$(l4_vip_address "$1")" $L4_PORT
	wait_for 3 more_than "$before" "error Connection refused"
}
# clamped FAMILY: a stream comes back whole, and nobody had to be told what is too big
clamped() {
	local before
	before=$(l4_verdict 1 too_big_told)
	ask tcp "$1" 200000 && [ "$(l4_verdict 1 too_big_told)" = "$before" ]
}
mtu_found() { # FAMILY
	paths_forget
	ask udp "$1" $((1500 - ($1 == 4 ? 28 : 48))) df >"$l4_dir/df"
	cat "$l4_dir/df"
	grep -q '^mtu 14' "$l4_dir/df" && grep -q '^whole' "$l4_dir/df"
}

command="add"
for way in nat ipip gue; do
	check "$way: VIPs" vips $command $way
	command="set"
	for family in 4 6; do
		[ "$way $family" != "gue 4" ] || continue # for time
		what="$way, IPv$family"
		paths_forget
		[ $way != nat ] || check "IPv$family: an echo request to the VIP is answered" \
			l4_in client "$odd" ping "$(l4_vip_address $family)" 3
		check "$what: a datagram of 3000 bytes and its answer arrive whole" ask udp $family 3000
		paths_forget
		check "$what: a TCP stream of large segments comes back" clamped $family
		check "$what: options in the IP header, TCP and UDP" with_options $family
		[ $way = nat ] || check "$what: the sender is told what is too big" mtu_found $family
		check "$what: port unreachable at the endpoint refuses the client's socket" refused $family
		check "$what: port unreachable at the client reaches the flow's endpoint" client_gone $family
	done
done
test_end
