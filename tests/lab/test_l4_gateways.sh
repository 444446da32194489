#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# Two gateways with the same configuration agree without talking: the same flow goes to the same
# endpoint, and a flow that moves between them mid-life keeps its endpoint.
# shellcheck source=tests/lab/testing.sh
. "$(dirname "$0")/testing.sh"
# shellcheck source=tests/lab/l4.sh
. "$(dirname "$0")/l4.sh"
l4_up || {
	check "the namespaces come up" cat "$l4_dir/topology.log"
	test_end
}
l4_servers
check "gateway 1 comes up" l4_load 1
check "gateway 2 comes up" l4_load 2
for i in 1 2; do
	l4_in ep$i "$LAB_BIN/sluice-loader" decap eth0 --vip $L4_VIP4 --vip $L4_VIP6 >"$l4_dir/decap.log" 2>&1 ||
		check "endpoint $i decapsulates" cat "$l4_dir/decap.log"
	undo l4_in ep$i "$LAB_BIN/sluice-loader" decap --off eth0
done

# The same endpoints named in another order, and other ids: a VIP that only gateway 2 has.
l4_ctl 2 vip add 10.99.0.40:1/tcp --endpoint 10.2.0.22:1 --endpoint 10.2.0.21:1 >/dev/null

# moved LOG: the flow was held through both gateways, by one endpoint, whole
moved() {
	cat "$l4_dir/$1.error"
	sort "$l4_dir/$1" | uniq -c
	[ "$(wc -l <"$l4_dir/$1")" = 20 ] && [ "$(sort -u "$l4_dir/$1" | wc -l)" = 1 ]
}
sent_by() { # packets that gateway $1 has forwarded
	l4_verdict "$1" forwarded
}

# each way, family and protocol at least twice
for combination in ipip:4:tcp ipip:6:udp gue:6:tcp gue:4:udp l2:4:tcp l2:6:udp; do
	IFS=: read -r way family proto <<<"$combination"
	vip=$(l4_vip $family)/$proto
	# shellcheck disable=SC2046 # several words
	l4_ctl 1 vip add "$vip" --way $way $(l4_endpoints $family) >/dev/null
	# shellcheck disable=SC2046
	l4_ctl 2 vip add "$vip" --way $way $(l4_endpoints $family | awk '{ print $3, $4, $1, $2 }') >/dev/null
	before=$(sent_by 2)
	pids=()
	for n in 1 2 3 4 5 6; do
		l4_hold "hold-$n" $proto $family 20 100
		pids+=("$l4_hold_pid")
	done
	sleep 1
	l4_by 2
	sleep 0.6
	l4_by 1
	wait "${pids[@]}"
	for n in 1 2 3 4 5 6; do
		moved "hold-$n" >>"$l4_dir/moved" 2>&1 || {
			check "$way, IPv$family, $proto: flow $n keeps its endpoint" moved "hold-$n"
			break
		}
	done
	check "$way, IPv$family, $proto: flows that change gateways and back keep their endpoint" \
		between $((before + 12)) "$(sent_by 2)" 1000000000
	cat "$l4_dir"/hold-[1-6] >>"$l4_dir/all"
	l4_ctl 1 vip remove "$vip" >/dev/null
	l4_ctl 2 vip remove "$vip" >/dev/null
done
check "and the flows were of both endpoints" equals "$(sort -u "$l4_dir/all" | grep -c .)" 2
test_end
