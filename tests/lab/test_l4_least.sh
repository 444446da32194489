#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# Pick least: the load of endpoints reaches the packet path.  One endpoint answers twice as slowly
# as the other; its share of new connections falls to about a third, where Maglev gives it half.
# shellcheck source=tests/lab/testing.sh
. "$(dirname "$0")/testing.sh"
# shellcheck source=tests/lab/l4.sh
. "$(dirname "$0")/l4.sh"
l4_up || {
	check "the namespaces come up" cat "$l4_dir/topology.log"
	test_end
}
for i in 1 2; do
	l4_server $i $L4_VIP4 $((i * 150))
	l4_server $i "10.2.0.2$i" $((i * 150))
	l4_in ep$i "$LAB_BIN/sluice-loader" decap eth0 --vip $L4_VIP4 >"$l4_dir/decap.log" 2>&1
	undo l4_in ep$i "$LAB_BIN/sluice-loader" decap --off eth0
done
check "the gateway comes up" l4_load 1
l4_controller 1

# share_of_slow PICK WAY: percent of connections that the slow endpoint got
share_of_slow() {
	# shellcheck disable=SC2046 # several words
	l4_ctl 1 vip add "$(l4_vip 4)/tcp" --way "$2" --pick "$1" $(l4_endpoints 4) >/dev/null
	sleep 1
	l4_in client timeout 60 "$l4_who" load $L4_VIP4 $L4_PORT 40 8 >"$l4_dir/load"
	l4_ctl 1 vip remove "$(l4_vip 4)/tcp" >/dev/null
	awk '{ count[$1] = $2; sum += $2 } END {
		if (count["failed"] > 0 || sum < 200) print 999
		else print int(100 * count["ep2"] / sum + 0.5) }' "$l4_dir/load"
}

for way in ipip nat; do
	maglev=$(share_of_slow maglev $way)
	least=$(share_of_slow least $way)
	echo "# $way: the slow endpoint's share is $maglev % by Maglev, $least % by least"
	check "$way: Maglev does not look, the slow one gets about half" between 40 "$maglev" 60
	check "$way: least gives it less, about a third" between 22 "$least" 42
	check "$way: that is clearly less than before" between 8 $((maglev - least)) 40
done
test_end
