#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# Drain and down: an endpoint in DRAIN gets no new flow and keeps its old ones, TCP and UDP, and the
# CLI says how many are left; at the deadline of a drain UDP moves and TCP ends, with no controller
# there; from an endpoint in MAINT new connections and UDP move at once.
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
of_ep1() { # FIELD: as the CLI shows it of endpoint 1's row
	l4_ctl 1 --json show endpoints |
		jq -r --arg f "$1" '[.[] | select(.address | startswith("10.2.0.21"))[$f]] | first'
}
answered() { # COUNT LOG...: each of them has so many answers
	local count=$1 log
	shift

	for log in "$@"; do
		[ "$(wc -l <"$log")" -ge "$count" ] || return 1
	done
}
# A flow is counted once its packets were seen in two ticks of a second: so many answers take that
# long at the gap they are asked with.
held_are_counted() {
	answered 15 "$l4_dir"/tcp-[1-8] "$l4_dir"/udp-[1-8]
}
late_are_counted() {
	answered 30 "$l4_dir"/tcp-late-[12] "$l4_dir"/udp-late-[12]
}
late_are_told() {
	cat "$l4_dir/endpoints"
	jq -e --argjson deadline $late_deadline 'map(select(.flows >= 4 and .drain_left_s > 0 and
		.drain_left_s < $deadline and .use == "draining")) | length > 0' "$l4_dir/endpoints"
}
only_ep2() {
	l4_ask "$1" 4 25 >"$l4_dir/new" && all_are ep2 "$l4_dir/new"
}

held_messages=80 # 8 s
late_deadline=3
late_messages=150 # 7.5 s: some are left well after the deadline
for way in nat ipip; do
	for proto in tcp udp; do
		# shellcheck disable=SC2046 # several words
		l4_ctl 1 vip add "$(l4_vip 4)/$proto" --way $way $(l4_endpoints 4) >/dev/null
	done
	pids=()
	for n in 1 2 3 4 5 6 7 8; do
		l4_hold "tcp-$n" tcp 4 $held_messages 100
		pids+=("$l4_hold_pid")
		l4_hold "udp-$n" udp 4 $held_messages 100
		pids+=("$l4_hold_pid")
	done
	wait_for 20 held_are_counted
	on_ep1=$(cat "$l4_dir"/tcp-[1-8] "$l4_dir"/udp-[1-8] | grep -c ep1)
	check "$way: some flows are endpoint 1's" between 1 "$on_ep1" 100000
	l4_ctl 1 drain endpoint 10.2.0.21:$L4_PORT >"$l4_dir/drain" 2>&1
	check "$way: no new TCP flow goes to a draining endpoint" only_ep2 tcp
	check "$way: no new UDP flow goes there" only_ep2 udp
	check "$way: the CLI says how many are left" between 1 "$(left)" 16
	wait "${pids[@]}"
	for n in 1 2 3 4 5 6 7 8; do
		check "$way: TCP flow $n went on where it was, whole" finished "tcp-$n" $held_messages
		check "$way: UDP flow $n went on where it was, whole" finished "udp-$n" $held_messages
	done
	l4_ctl 1 undrain endpoint 10.2.0.21:$L4_PORT >/dev/null

	l4_ctl 1 drain endpoint 10.2.0.22:$L4_PORT >/dev/null # so that all flows are endpoint 1's
	pids=()
	rm -f "$l4_dir"/*-late-*
	for n in 1 2; do
		l4_hold "tcp-late-$n" tcp 4 $late_messages 50
		pids+=("$l4_hold_pid")
		l4_hold "udp-late-$n" udp 4 $late_messages 50
		pids+=("$l4_hold_pid")
	done
	wait_for 20 late_are_counted
	l4_ctl 1 undrain endpoint 10.2.0.22:$L4_PORT >/dev/null
	l4_ctl 1 drain endpoint 10.2.0.21:$L4_PORT --deadline $late_deadline >"$l4_dir/drain" 2>&1
	l4_ctl 1 --json show endpoints >"$l4_dir/endpoints"
	cat "$l4_dir"/*-late-? >"$l4_dir/stayed"
	check "$way: before the deadline all flows stay" all_are ep1 "$l4_dir/stayed"
	check "$way: the CLI says how many are left, and for how long" late_are_told
	wait "${pids[@]}"
	for n in 1 2; do
		check "$way: at the deadline TCP flow $n was reset, with no controller there" eval \
			'cat "$l4_dir/tcp-late-'$n'.error"; all_are ep1 "$l4_dir/tcp-late-'$n'" &&
			[ "$(wc -l <"$l4_dir/tcp-late-'$n'")" -lt $late_messages ] &&
			grep -q "Connection reset" "$l4_dir/tcp-late-'$n'.error"'
		check "$way: UDP flow $n moved and lost nothing" eval \
			'cat "$l4_dir/udp-late-'$n'.error"; uniq -c "$l4_dir/udp-late-'$n'"
			[ "$(wc -l <"$l4_dir/udp-late-'$n'")" = $late_messages ] &&
			[ "$(uniq "$l4_dir/udp-late-'$n'" | tr "\n" " ")" = "ep1 ep2 " ]'
	done
	check "$way: then it is as in maintenance" [ "$(of_ep1 admin) $(of_ep1 use)" = "DRAIN maint" ]
	l4_ctl 1 undrain endpoint 10.2.0.21:$L4_PORT >/dev/null
	check "$way: undrain clears the deadline and brings new flows back" eval \
		'[ "$(of_ep1 drain_left_s) $(of_ep1 use)" = "null usable" ] &&
		l4_ask udp 4 25 >"$l4_dir/new" && grep -x ep1 "$l4_dir/new"'

	rm -f "$l4_dir"/*-move
	l4_hold udp-move udp 4 40 50
	pids=("$l4_hold_pid")
	l4_hold tcp-move tcp 4 40 50
	pids+=("$l4_hold_pid")
	wait_for 20 answered 5 "$l4_dir"/udp-move "$l4_dir"/tcp-move
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
