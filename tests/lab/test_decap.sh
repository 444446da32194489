#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# sluice-loader decap on an endpoint host, by real traffic: a client, a router that encapsulates
# (tests/lab/tools/encap), and a host that serves the VIPs and answers directly.
#
#   client 10.1.0.2, fd00:1::2 --- router --- endpoint 10.2.0.9, fd00:2::9; VIPs on its lo
# shellcheck source=tests/lab/testing.sh
. "$(dirname "$0")/testing.sh"
[ "$(id -u)" = 0 ] || skip_all "network namespaces need root"
lab_init "t$$" || exit 1
spaces="client router endpoint"
echo_tool=$LAB_ROOT/build/tests/lab/tools/echo
encap_tool=$LAB_ROOT/build/tests/lab/tools/encap
vip4=10.99.0.20
vip6=fd00:99::20
port=9000
loader() {
	lab_in endpoint "$LAB_BIN/sluice-loader" "$@"
}
# shellcheck disable=SC2120 # inside eval
decap() {
	loader decap eth0 --vip $vip4 --vip $vip6 "$@"
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
	[ ! -e "/run/netns/$(lab_ns endpoint)" ] || loader decap --off eth0
	for ns in $spaces; do
		[ ! -e "/run/netns/$(lab_ns "$ns")" ] || ip netns del "$(lab_ns "$ns")"
	done
	rm -rf "$lab_run_dir"
	rmdir /run/sluice 2>/dev/null
}
undo sweep
mkdir -p "$lab_dir"

# link SPACE NET: its eth0 is .2 (or .9) of 10.NET.0.0/24 and fd00:NET::/64, the router's end .1
link() {
	lab_link "$1" eth0 "10.$2.0.$3" router "to-$1" "10.$2.0.1" &&
		lab_in "$1" ip addr add "fd00:$2::$3/64" dev eth0 nodad &&
		lab_in router ip addr add "fd00:$2::1/64" dev "to-$1" nodad &&
		lab_in "$1" ip route add default via "10.$2.0.1" &&
		lab_in "$1" ip route add default via "fd00:$2::1"
}
topology_up() {
	local ns vip

	for ns in $spaces; do
		ip netns add "$(lab_ns "$ns")" && lab_in "$ns" ip link set lo up || return 1
	done
	lab_in router sh -c 'echo 1 >/proc/sys/net/ipv4/ip_forward
		echo 1 >/proc/sys/net/ipv6/conf/all/forwarding' &&
		link client 1 2 && link endpoint 2 9 || return 1
	for vip in $vip4 $vip6; do
		lab_in router ip route add blackhole $vip || return 1
	done
	lab_in endpoint ip addr add $vip4/32 dev lo &&
		lab_in endpoint ip addr add $vip6/128 dev lo nodad &&
		# the client's own segments, so that they say what MSS it was offered
		lab_in client sh -c 'echo 0 >/proc/sys/net/ipv4/tcp_timestamps' &&
		lab_in endpoint sh -c 'cd /proc/sys/net/ipv4/conf
			echo 1 >all/arp_ignore; echo 2 >all/arp_announce'
}
servers_up() {
	lab_spawn model endpoint "$LAB_BIN/sluice-model-server" --listen $vip4:8000 --pod four --model m
	lab_spawn model6 endpoint "$LAB_BIN/sluice-model-server" --listen "[$vip6]:8000" --pod six --model m
	lab_spawn echo endpoint "$echo_tool" serve $vip4 $port
	lab_spawn echo6 endpoint "$echo_tool" serve $vip6 $port
}

# encap KIND 4|6: from now on the router encapsulates so
encap() {
	local src=10.2.0.1 dst=10.2.0.9

	[ "$2" = 4 ] || { src=fd00:2::1 dst=fd00:2::9; }
	encap_stop
	: >"$lab_dir/encap.log"
	lab_spawn encap router "$encap_tool" "$1" $src $dst to-client $vip4 $vip6
	wait_for 5 encap_listens
}
encap_listens() {
	lab_in router ss -H -0 -l | grep -q to-client
}
encap_stop() {
	[ ! -e "$lab_dir/encap.pid" ] || kill "$(cat "$lab_dir/encap.pid")"
	rm -f "$lab_dir/encap.pid"
} 2>/dev/null

# ---- what the client sees ----

served_by() {
	lab_in client curl -s -m "${2:-5}" -o /dev/null -D - "http://$1:8000/v1/models" |
		sed -n 's/^x-served-by: \([^\r]*\).*/\1/ip'
}
tcp() {
	lab_in client timeout 20 "$echo_tool" tcp "$1" $port "$2"
}
serves() {
	equals "$(served_by $vip4)" four && equals "$(served_by "[$vip6]")" six &&
		tcp $vip4 600000 && tcp $vip6 600000 &&
		lab_in client "$echo_tool" udp $vip4 $port 20 1 &&
		lab_in client "$echo_tool" udp $vip6 $port 20 1
}
# mss VIP: of a connection to it, as the client's kernel goes by it
mss() {
	lab_in client "$echo_tool" mss "$1" $port
}

# ---- what the host has ----

count() {
	loader decap --status eth0 --json | jq -r ".[0].verdicts.$1.packets"
}
# rises VERDICT COMMAND...: while the command runs, the counter does
rises() {
	local verdict=$1 before
	shift
	before=$(count "$verdict")
	"$@" && between $((before + 1)) "$(count "$verdict")" 100000000
}
# received 4|6: IP packets that the endpoint's stack has seen; merged ones are one
received() {
	if [ "$1" = 6 ]; then
		lab_in endpoint awk '$1 == "Ip6InReceives" { print $2 }' /proc/net/snmp6
	else
		lab_in endpoint awk '$1 != "Ip:" { next }
			!n { for (i = 2; i <= NF; i++) if ($i == "InReceives") n = i; next }
			{ print $n }' /proc/net/snmp
	fi
}
state() {
	lab_in endpoint tc qdisc show
	lab_in endpoint bpftool net show
	lab_in endpoint ip -d link show dev eth0 | grep -o 'prog/.*'
	lab_in endpoint tc filter show dev eth0 ingress
	lab_in endpoint tc filter show dev eth0 egress
	find /sys/fs/bpf/sluice -name 'decap_*' 2>/dev/null | grep "_$(lab_in endpoint stat -Lc %i /proc/self/ns/net)"
}
hook() {
	loader decap --status eth0 --json | jq -r '.[0] | .ingress.hook + " " + .egress.hook'
}
# gro_waits: packets are held back a little, so that some of one flow meet whatever the load is; veth
# merges only what comes from a device without TSO
gro_waits() {
	lab_in router ethtool -K to-endpoint tso off
	lab_in endpoint unshare -m sh -c 'mount -t sysfs sysfs /sys && cd /sys/class/net/eth0 &&
		echo 500000 >gro_flush_timeout && echo 2 >napi_defer_hard_irqs'
}
# merges 4|6 VIP: IPIP of that inner family
merges() {
	local before_segments before_packets segments packets

	before_segments=$(count decap_ipip)
	before_packets=$(received "$1")
	tcp "$2" 2000000 || return 1
	segments=$(($(count decap_ipip) - before_segments))
	packets=$(($(received "$1") - before_packets))
	echo "$segments segments came as $packets packets"
	[ "$segments" -gt 1400 ] && [ "$packets" -lt $((segments * 3 / 4)) ]
}
runs_again_under_traffic() {
	local i client

	tcp $vip4 5000000 &
	client=$!
	for ((i = 0; i < 5; i++)); do
		decap >/dev/null 2>&1 || return 1
	done
	wait $client
}

check "the namespaces come up" topology_up || test_end
servers_up
state >"$test_work/before"
check "the router encapsulates" encap ipip 4
check "without decap nobody answers" equals "$(served_by $vip4 1)" ""
check "decap asks for VIPs" eval '! loader decap eth0 2>"$test_work/err" && grep -q -- "--vip ADDR" "$test_work/err"'
check "decap" eval 'decap 2>"$test_work/said"'
kind_of_hook=$(hook)
check "it warns of nothing on a host that is set up" eval '[ "$(grep -c . "$test_work/said")" = 1 ]'
for outer in 4 6; do
	for kind in ipip gue1 gue0; do
		encap $kind $outer
		check "$kind over IPv$outer: curl, bulk and datagrams to VIPs of both families" \
			rises "decap_${kind%[01]}" serves
	done
done
check "the client's segments to an IPv4 VIP leave room for the tunnel" equals "$(mss $vip4)" 1408
check "those to an IPv6 VIP too" equals "$(mss $vip6)" 1388
check "nothing had to be fragmented or was lost on the way" equals "$(cat "$lab_dir/encap.log")" ""
check "nothing was dropped" equals "$(count malformed) $(count merged) $(count refused) $(count ecn_drop)" "0 0 0 0"
check "clamped offers are counted" between 26 "$(count mss_clamped)" 1000

lab_in endpoint ethtool -K eth0 tx on >/dev/null 2>&1
check "also where the card computes checksums" rises mss_clamped serves
lab_in endpoint ethtool -K eth0 tx off >/dev/null 2>&1
check "an offer can be given" eval 'decap --mss 1000 2>/dev/null && equals "$(mss $vip4)" 1000'
check "one that is too large makes uploads hang" eval \
	'decap --mss 1460 2>/dev/null && ! lab_in client timeout 3 "$echo_tool" tcp $vip4 $port 200000 &&
		grep -q "Message too long" "$lab_dir/encap.log"'
check "decap again mends it" eval 'decap 2>/dev/null && serves'
check "its counters went on" between 100 "$(count decap_ipip)" 100000000

if gro_waits >/dev/null 2>&1; then
	for outer in 4 6; do
		encap ipip $outer
		check "merged IPv4 packets come off IPv$outer merged" merges 4 $vip4
		check "merged IPv6 packets come off IPv$outer merged" merges 6 $vip6
	done
else
	skip "merged packets come off merged" "sysfs of the namespace cannot be mounted"
fi
encap ipip 4
check "decap can be run under traffic" runs_again_under_traffic

check "--off" loader decap --off eth0
state >"$test_work/after"
check "it leaves the host as it was" diff "$test_work/before" "$test_work/after"
check "and nobody answers" equals "$(served_by $vip4 1)" ""
if [ "$kind_of_hook" != "clsact clsact" ]; then # before Linux 6.6 that is what has run so far
	check "clsact does it as well" eval 'decap --mode clsact 2>/dev/null && equals "$(hook)" "clsact clsact" && serves'
	check "also under traffic" runs_again_under_traffic
	check "a second --off" loader decap --off eth0
	state >"$test_work/after"
	check "it leaves the host as it was, qdisc and all" diff "$test_work/before" "$test_work/after"
fi
test_end
