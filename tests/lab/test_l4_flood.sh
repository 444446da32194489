#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# Floods of SYNs, ACKs and UDP from random sources: established flows notice nothing, and memory
# does not grow.
# shellcheck source=tests/lab/testing.sh
. "$(dirname "$0")/testing.sh"
# shellcheck source=tests/lab/l4.sh
. "$(dirname "$0")/l4.sh"
flood=$LAB_ROOT/build/tests/lab/tools/flood
l4_up || {
	check "the namespaces come up" cat "$l4_dir/topology.log"
	test_end
}
l4_servers
# a small table: 8,192 flows, so that the flood is many times its size
check "the gateway comes up" l4_load 1 --flows 8192
for i in 1 2; do
	l4_in ep$i "$LAB_BIN/sluice-loader" decap eth0 --vip $L4_VIP4 --vip $L4_VIP6 >"$l4_dir/decap.log" 2>&1
	undo l4_in ep$i "$LAB_BIN/sluice-loader" decap --off eth0
	# the flood ends here, not in the endpoints' sockets: it is the gateway that is tested
	l4_in ep$i ip route add blackhole 198.18.0.0/15
done
mac=$(l4_in gw1 cat /proc/net/arp >/dev/null && l4_in gw1 ip -o link show front | sed -n 's/.*link\/ether \([0-9a-f:]*\).*/\1/p')
for proto in tcp udp; do
	# shellcheck disable=SC2046 # several words
	l4_ctl 1 vip add "$(l4_vip 4)/$proto" --way ipip $(l4_endpoints 4) >/dev/null
done

bpf_memory() { # bytes of the flow table, as the kernel accounts for it
	bpftool -j map show pinned "/sys/fs/bpf/sluice/$l4_name-1/flows" | jq .bytes_memlock
}
held() {
	cat "$l4_dir/$1.error"
	sort "$l4_dir/$1" | uniq -c
	[ "$(wc -l <"$l4_dir/$1")" = "$2" ] && [ "$(sort -u "$l4_dir/$1" | wc -l)" = 1 ]
}

memory=$(bpf_memory)
pids=()
for n in 1 2 3 4 5 6 7 8; do
	l4_hold "tcp-$n" tcp 4 120 50
	pids+=("$l4_hold_pid")
	l4_hold "udp-$n" udp 4 120 50
	pids+=("$l4_hold_pid")
done
sleep 2.5 # they are confirmed: packets in different ticks
# The ring turns round: whoever is not in the table would change endpoints now.
# shellcheck disable=SC2046
for proto in tcp udp; do
	l4_ctl 1 vip set "$(l4_vip 4)/$proto" --way ipip --endpoint "10.2.0.21:$L4_PORT*1" \
		--endpoint "10.2.0.22:$L4_PORT*100" >/dev/null
done
# (UDP asks again: a crowded host loses datagrams, and which endpoint answers is the question.)
# At a rate that this machine carries: what is tested is who keeps its endpoint, not how many
# packets a crowded host loses in its queues.
for kind in syn ack udp; do
	sent=$(l4_in client timeout 60 "$flood" eth0 "$mac" $L4_VIP4 $L4_PORT $kind 200000 60000)
	check "a flood of 200000 frames ($kind) goes out" between 200000 "$sent" 200064
done
wait "${pids[@]}"
for n in 1 2 3 4 5 6 7 8; do
	check "TCP flow $n kept its endpoint, every answer in time" held "tcp-$n" 120
	check "UDP flow $n kept its endpoint, every answer came" held "udp-$n" 120
done
check "the flow table is as large as before" equals "$(bpf_memory)" "$memory"
check "the gateway has judged the flood" between 500000 "$(l4_verdict 1 forwarded)" 100000000
check "new flows are served" eval 'l4_ask tcp 4 10 >"$l4_dir/new"'
test_end
