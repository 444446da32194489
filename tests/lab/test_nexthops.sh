#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# The real controller follows routes, neighbours, links and endpoints into the maps `paths` and
# `nexthops`, each change within a second.
# shellcheck source=tests/lab/testing.sh
. "$(dirname "$0")/testing.sh"
[ "$(id -u)" = 0 ] || skip_all "network namespaces need root"
lab_init "t$$" || exit 1
undo lab_sweep
mkdir -p "$lab_dir" "$test_work"/config/{config-cluster,cluster-a,cluster-b}
lab_config=$test_work/config

# within MS COMMAND...: it succeeds by then
within() {
	local end=$(($(date +%s%N) + $1 * 1000000)) began
	shift
	while :; do
		began=$(date +%s%N) # a look that began in time counts, however slow the machine
		"$@" && return 0
		[ "$began" -lt "$end" ] || return 1
		sleep 0.02
	done
}

# path ADDRESS: "STATE SOURCE VIA DEVICE VLAN MAC MTU" of the endpoint's path
path() {
	lab_in gw "$LAB_BIN/sluicectl" --instance "$lab_name" --json show nexthops >"$test_work/hops"
	lab_in gw "$LAB_BIN/sluicectl" --instance "$lab_name" --json show paths |
		jq -r --arg address "$1" --slurpfile hops "$test_work/hops" '
		.[] | select(.address == $address + ":8000" or .address == "[" + $address + "]:8000") |
		.nexthop as $id | ([$hops[0][] | select(.id == $id)][0] // {}) as $hop |
		[.path, .source, .via, $hop.device, $hop.vlan, $hop.mac, .mtu] |
		map(. // "-" | tostring) | join(" ")'
}
path_is() {
	equals "$(path "$1")" "$2"
}
hop_id() {
	ctl_json ".[] | select(.address | startswith(\"$1:\") or startswith(\"[$1]:\")) | .nexthop" show paths
}
mac() {
	lab_in "$1" ip -j link show dev "$2" | jq -r '.[0].address'
}
# way_set NAME 2|3|4: the operator's endpoint by its name gets way IPIP, GUE or L2
way_set() {
	local id bytes
	id=$(ctl_json ".[] | select(.endpoint == \"operator/$1\") | .id" show paths)
	[ -n "$id" ] || return 1
	local key=($((id & 255)) $((id >> 8)) 0 0)
	mapfile -t bytes < <(bpftool -j map lookup pinned "$lab_pins/endpoints" key "${key[@]}" |
		jq -r '.value[]' | sed 's/^0x//')
	bytes[18]=0$2
	bpftool map update pinned "$lab_pins/endpoints" key "${key[@]}" value hex "${bytes[@]}"
}
vip_add() {
	local vip=$1 way=$2 endpoint options=()
	shift 2
	for endpoint in "$@"; do
		options+=(--endpoint "$endpoint:8000")
	done
	lab_ctl vip add "$vip/tcp" "${options[@]}" || return 1
	for endpoint in "$@"; do
		way_set "$endpoint:8000" "$way" || return 1
	done
}
said() {
	equals "$(grep -c "$1" "$lab_dir/controller.log")" "$2"
}
held() {
	lab_in gw ip -d neigh show "$1" dev "$2" | grep -q managed
}

check "the namespaces come up" lab_topology_up || test_end
lab_in gw ip addr add fd00:21::1/64 dev to-europe nodad
lab_in europe-west4 ip addr add fd00:21::2/64 dev eth0 nodad
for ns in europe-west4 us-east5; do
	lab_in $ns sh -c 'echo 1 >/proc/sys/net/ipv4/conf/eth0/arp_notify'
done
check "load" lab_loader load --snat 10.2.1.1 --snat fd00:21::1 || test_end
lab_controller_start
check "the controller runs" within 5000 test -s "$lab_run_dir/routes.json" || test_end
europe=$(mac europe-west4 eth0)
us=$(mac us-east5 eth0)

# ---- new endpoints ----
check "endpoints behind a router are added by hand" vip_add 10.99.0.20:8000 2 10.10.0.31 10.10.0.32
check "their path is there within a second" within 1000 path_is 10.10.0.31 \
	"ready 10.2.1.1 10.2.1.2 to-europe - $europe 1500"
check "both share one next hop" equals "$(hop_id 10.10.0.32)" "$(hop_id 10.10.0.31)"
check "the kernel keeps its neighbour for us" within 1000 held 10.2.1.2 to-europe
check "an IPv6 endpoint" eval 'vip_add "[fd00:99::20]:8000" 3 "[fd00:21::2]" &&
	within 1000 path_is fd00:21::2 "ready fd00:21::1 fd00:21::2 to-europe - $europe 1500"'
check "an endpoint of way l2 on a link is its own next hop" eval 'vip_add 10.99.0.21:8000 4 10.2.2.2 &&
	within 1000 path_is 10.2.2.2 "ready 10.2.1.1 10.2.2.2 to-us - $us 1500"'
check "one behind a router has no path" eval 'vip_add 10.99.0.22:8000 4 10.20.0.5 &&
	within 1000 path_is 10.20.0.5 "none - - - - - -"'
check "which is said once" eval 'sleep 1.2; said "operator/10.20.0.5:8000 (10.20.0.5): no path: way l2 needs it on a link" 1'

# ---- neighbours ----
mac_change() {
	lab_in europe-west4 ip link set eth0 address "$1"
}
sleep 1.1 # ARP's locktime: an answer of the last second is not believed to be outdated
mac_change 02:00:00:00:00:77
check "a neighbour's new MAC is followed" within 1000 path_is 10.10.0.31 \
	"ready 10.2.1.1 10.2.1.2 to-europe - 02:00:00:00:00:77 1500"
europe=02:00:00:00:00:77
sleep 1
lab_in gw ip neigh flush all
check "a neighbour that is flushed is asked for again" within 1000 path_is 10.10.0.31 \
	"ready 10.2.1.1 10.2.1.2 to-europe - $europe 1500"
check "and held again" within 1000 held 10.2.1.2 to-europe
lab_in gw ip neigh replace 10.2.2.2 lladdr 02:00:00:00:00:99 nud permanent dev to-us
check "a permanent neighbour counts" within 1000 path_is 10.2.2.2 \
	"ready 10.2.1.1 10.2.2.2 to-us - 02:00:00:00:00:99 1500"
sleep 5.5 # a refresh
check "and stays permanent" eval 'lab_in gw ip neigh show 10.2.2.2 dev to-us | grep -q PERMANENT'
lab_in gw ip neigh del 10.2.2.2 dev to-us
check "without it the kernel asks" within 1500 path_is 10.2.2.2 "ready 10.2.1.1 10.2.2.2 to-us - $us 1500"

# ---- routes ----
lab_in gw ip route replace 10.10.0.0/16 via 10.2.2.2
check "a route to another device is followed" within 1000 path_is 10.10.0.31 \
	"ready 10.2.1.1 10.2.2.2 to-us - $us 1500"
lab_in gw ip route replace 10.10.0.0/16 via 10.2.1.2 mtu 1400 src 10.1.0.1
check "and back, with its MTU and source address" within 1000 path_is 10.10.0.31 \
	"ready 10.1.0.1 10.2.1.2 to-europe - $europe 1400"
lab_in gw ip route del 10.10.0.0/16
check "no route, no path" within 1000 path_is 10.10.0.31 "none - - - - - -"
check "which is said of each endpoint" eval \
	'said "operator/10.10.0.3[12]:8000 .*: no path: this host has no route to it (Network is unreachable)" 2'
lab_in gw ip route add 10.10.0.0/16 via 10.2.1.2
check "the route comes back" within 1000 path_is 10.10.0.31 "ready 10.2.1.1 10.2.1.2 to-europe - $europe 1500"

# ---- links ----
lab_in europe-west4 ip link set eth0 down
check "a link without carrier is no way to send" within 1000 path_is 10.10.0.31 \
	"unresolved 10.2.1.1 10.2.1.2 to-europe - - 1500"
lab_in europe-west4 ip link set eth0 up
check "until it has one" within 2500 path_is 10.10.0.31 "ready 10.2.1.1 10.2.1.2 to-europe - $europe 1500"
lab_in gw ip route add 10.10.0.0/16 via 10.2.2.2 metric 99
lab_in gw ip link set to-europe down
check "a link taken down: the next best route" within 1000 path_is 10.10.0.31 \
	"ready 10.2.1.1 10.2.2.2 to-us - $us 1500"
lab_in gw ip link set to-europe up
lab_in gw ip route add 10.10.0.0/16 via 10.2.1.2
check "up again" within 2500 path_is 10.10.0.31 "ready 10.2.1.1 10.2.1.2 to-europe - $europe 1500"
lab_in gw ip link set to-europe mtu 1480
check "a device's MTU is followed" within 1000 path_is 10.10.0.31 "ready 10.2.1.1 10.2.1.2 to-europe - $europe 1480"
lab_in gw ip link set to-europe mtu 1500
tun() {
	lab_in gw ip tuntap add mode tun name tun0 && lab_in gw ip link set tun0 up &&
		lab_in gw ip addr add 10.7.0.1/24 dev tun0
}
check "behind a device without Ethernet the kernel decides" eval \
	'tun && vip_add 10.99.0.23:8000 2 10.7.0.2 && within 1000 path_is 10.7.0.2 "kernel 10.2.1.1 - - - - 1500"'
if lab_in gw ip link add link to-us name to-us.7 type vlan id 7 2>/dev/null; then
	lab_in us-east5 ip link add link eth0 name eth0.7 type vlan id 7
	lab_in us-east5 ip addr add 10.17.0.2/24 dev eth0.7
	lab_in us-east5 ip link set eth0.7 up
	lab_in gw ip addr add 10.17.0.1/24 dev to-us.7
	lab_in gw ip link set to-us.7 up
	check "a VLAN device is its parent and a tag" eval \
		'vip_add 10.99.0.24:8000 4 10.17.0.2 && within 1000 path_is 10.17.0.2 "ready 10.2.1.1 10.17.0.2 to-us 7 $us 1500"'
else
	skip "a VLAN device is its parent and a tag" "this kernel has no VLAN devices"
fi

# ---- the controller dies, and falls behind ----
before=$(hop_id 10.10.0.31)
kill -KILL "$(lab_pid controller)"
lab_ctl vip remove 10.99.0.21:8000/tcp >/dev/null
lab_in gw ip route replace 10.10.0.0/16 via 10.2.1.2 mtu 1300
check "a killed controller leaves its paths" path_is 10.10.0.31 "ready 10.2.1.1 10.2.1.2 to-europe - $europe 1500"
lab_controller_start
check "the next one sees what has changed" within 3000 path_is 10.10.0.31 \
	"ready 10.2.1.1 10.2.1.2 to-europe - $europe 1300"
check "and next hops have kept their ids" equals "$(hop_id 10.10.0.31)" "$before"

routes() {
	local i
	for ((i = 0; i < 12000; i++)); do
		echo "route $1 10.$((128 + i / 65536)).$((i / 256 % 256)).$((i % 256))/32 via 10.2.2.2"
	done >"$test_work/routes"
	lab_in gw ip -batch "$test_work/routes"
}
controller=$(lab_pid controller)
undo kill -CONT "$controller"
kill -STOP "$controller"
check "12000 routes come while it sleeps" routes add
mac_change 02:00:00:00:00:78
europe=02:00:00:00:00:78
kill -CONT "$controller"
check "it reads everything again" within 2000 said "more changes than we could follow" 1
check "and knows the MAC that it missed" within 1000 path_is 10.10.0.31 \
	"ready 10.2.1.1 10.2.1.2 to-europe - $europe 1300"
# a table that changes all the time
cpu_ticks() {
	awk '{ print $14 + $15 }' "/proc/$controller/stat"
}
ticks=$(cpu_ticks)
routes del >/dev/null
check "12000 more changes cost it less than a second" between 0 $(($(cpu_ticks) - ticks)) 100

# ---- gone ----
lab_ctl vip remove 10.99.0.20:8000/tcp >/dev/null
check "an endpoint that is gone has no path" within 1000 eval \
	'[ "$(lab_ctl --json show nexthops | jq ".[] | select(.id == $before) | .paths")" = 0 ]'
check "the page counts next hops" eval \
	'lab_in gw curl -s -m 2 http://127.0.0.1:9465/metrics | grep -q "^sluice_nexthops{state=\"resolved\"} [1-9]"'
test_end
