#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# Drain and down: an endpoint in DRAIN gets no new flow and keeps its old ones, TCP and UDP, and the
# CLI says how many are left; from one in MAINT new connections and UDP move at once.
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
	l4_in ep$i "$LAB_BIN/sluice-loader" decap eth0 --vip $L4_VIP4 --vip $L4_VIP6 >"$l4_dir/decap.log" 2>&1
	undo l4_in ep$i "$LAB_BIN/sluice-loader" decap --off eth0
done

left() { # flows of endpoint 1 as the CLI tells them
	l4_ctl 1 --json show endpoints | jq '[.[] | select(.address | startswith("10.2.0.21")) | .flows] | add'
}
finished() { # LOG COUNT: every answer came, from one endpoint
	cat "$l4_dir/$1.error"
	sort "$l4_dir/$1" | uniq -c
	[ "$(wc -l <"$l4_dir/$1")" = "$2" ] && [ "$(sort -u "$l4_dir/$1" | wc -l)" = 1 ]
}
only_ep2() {
	l4_ask "$1" 4 25 >"$l4_dir/new" && all_are ep2 "$l4_dir/new"
}

for way in nat ipip; do
	for proto in tcp udp; do
		# shellcheck disable=SC2046 # several words
		l4_ctl 1 vip add "$(l4_vip 4)/$proto" --way $way $(l4_endpoints 4) >/dev/null
	done
	pids=()
	for n in 1 2 3 4 5 6 7 8; do
		l4_hold "tcp-$n" tcp 4 60 100
		pids+=("$l4_hold_pid")
		l4_hold "udp-$n" udp 4 60 100
		pids+=("$l4_hold_pid")
	done
	sleep 2.5
	on_ep1=$(cat "$l4_dir"/tcp-[1-8] "$l4_dir"/udp-[1-8] | grep -c ep1)
	check "$way: some flows are endpoint 1's" between 1 "$on_ep1" 100000
	l4_ctl 1 drain endpoint 10.2.0.21:$L4_PORT >"$l4_dir/drain" 2>&1
	check "$way: no new TCP flow goes to a draining endpoint" only_ep2 tcp
	check "$way: no new UDP flow goes there" only_ep2 udp
	check "$way: the CLI says how many are left" between 1 "$(left)" 16
	wait "${pids[@]}"
	for n in 1 2 3 4 5 6 7 8; do
		check "$way: TCP flow $n went on where it was, whole" finished "tcp-$n" 60
		check "$way: UDP flow $n went on where it was, whole" finished "udp-$n" 60
	done
	l4_ctl 1 undrain endpoint 10.2.0.21:$L4_PORT >/dev/null

	l4_hold udp-move udp 4 40 50
	pids=("$l4_hold_pid")
	l4_hold tcp-move tcp 4 40 50
	pids+=("$l4_hold_pid")
	sleep 1
	for i in 1 2; do # whichever has them
		l4_ctl 1 maint endpoint 10.2.0.2$i:$L4_PORT >/dev/null
		check "$way: endpoint $i in MAINT: new connections move at once" eval \
			'l4_ask tcp 4 10 >"$l4_dir/new" && all_are ep'$((3 - i))' "$l4_dir/new"'
		check "$way: and new UDP flows" eval \
			'l4_ask udp 4 10 >"$l4_dir/new" && all_are ep'$((3 - i))' "$l4_dir/new"'
		l4_ctl 1 undrain endpoint 10.2.0.2$i:$L4_PORT >/dev/null
	done
	wait "${pids[@]}" 2>/dev/null
	check "$way: the UDP flow moved and lost at most what was under way" eval \
		'cat "$l4_dir/udp-move.error"; [ "$(wc -l <"$l4_dir/udp-move")" = 40 ]'
	for proto in tcp udp; do
		l4_ctl 1 vip remove "$(l4_vip 4)/$proto" >/dev/null
	done
done
test_end
