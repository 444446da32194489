#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# Every way out of the gateway with real sockets: NAT, IPIP, GUE, L2; IPv4 and IPv6, TCP and UDP,
# families mixed where the way allows it; endpoints decapsulate by `sluice-loader decap`.
# shellcheck source=tests/lab/testing.sh
. "$(dirname "$0")/testing.sh"
# shellcheck source=tests/lab/l4.sh
. "$(dirname "$0")/l4.sh"
l4_up || {
	check "the namespaces come up" cat "$l4_dir/topology.log"
	test_end
}
l4_servers
check "the gateway comes up" l4_load 1
for i in 1 2; do
	l4_in ep$i "$LAB_BIN/sluice-loader" decap eth0 --vip $L4_VIP4 --vip $L4_VIP6 >"$l4_dir/decap.log" 2>&1 ||
		check "endpoint $i decapsulates" cat "$l4_dir/decap.log"
	undo l4_in ep$i "$LAB_BIN/sluice-loader" decap --off eth0
done

both_answer() {
	l4_ask "$1" "$2" 40 >"$l4_dir/answers" || {
		l4_ctl 1 show verdicts
		return 1
	}
	sort "$l4_dir/answers" | uniq -c
	[ "$(sort -u "$l4_dir/answers" | tr '\n' ' ')" = "ep1 ep2 " ]
}

# way VIP_FAMILY ENDPOINT_FAMILY
try_way() {
	local way=$1 vip=$2 ep=$3 proto

	for proto in tcp udp; do
		# shellcheck disable=SC2046 # several words
		l4_ctl 1 vip add "$(l4_vip "$vip")/$proto" --way "$way" $(l4_endpoints "$ep") >"$l4_dir/add" 2>&1 || {
			check "$way: an IPv$vip VIP with IPv$ep endpoints, $proto" cat "$l4_dir/add"
			continue
		}
		check "$way, IPv$vip VIP, IPv$ep endpoints, $proto: both endpoints answer" both_answer $proto "$vip"
		l4_ctl 1 vip remove "$(l4_vip "$vip")/$proto" >/dev/null
	done
}

# refused WAY: endpoints of the other family
refused() {
	# shellcheck disable=SC2046 # several words
	! l4_ctl 1 vip add "$(l4_vip 4)/tcp" --way "$1" $(l4_endpoints 6) >"$l4_dir/refused" 2>&1 &&
		grep "of the other IP family" "$l4_dir/refused"
}

all_ways() {
	local way

	for way in nat l2; do
		try_way $way 4 4
		try_way $way 6 6
		check "$way: endpoints of the other family are refused by name" refused $way
	done
	for way in ipip gue; do
		try_way $way 4 4
		try_way $way 6 6
		try_way $way 4 6
		try_way $way 6 4
	done
}

echo "# next hops asked of the kernel"
all_ways
echo "# next hops followed by the controller"
l4_controller 1
paths_resolved() {
	[ "$(l4_ctl 1 --json show paths | jq '[.[] | select(.path == "ready")] | length')" = 2 ]
}
nexthops_are_used() {
	local rc
	# shellcheck disable=SC2046 # several words
	l4_ctl 1 vip add "$(l4_vip 4)/tcp" --way ipip $(l4_endpoints 4) >/dev/null
	wait_for 10 paths_resolved
	rc=$?
	l4_ctl 1 show paths
	l4_ctl 1 vip remove "$(l4_vip 4)/tcp" >/dev/null
	return $rc
}
check "the controller has worked out both endpoints' paths" nexthops_are_used
try_way l2 4 4
try_way ipip 6 6
try_way ipip 4 6
try_way gue 4 4
try_way gue 6 4
check "no packet was dropped as malformed" equals "$(l4_verdict 1 malformed)" 0
check "none found no headroom" equals "$(l4_verdict 1 no_headroom)" 0
test_end
