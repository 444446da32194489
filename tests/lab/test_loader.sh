#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# sluice-loader and the packet path by real traffic: every way to attach, IPv4 and IPv6, TCP and
# UDP, offloads on and off, upgrades under traffic, other people's programs, and loaders killed at
# any moment.
# shellcheck source=tests/lab/testing.sh
. "$(dirname "$0")/testing.sh"
[ "$(id -u)" = 0 ] || skip_all "network namespaces need root"
lab_init "t$$" || exit 1
undo lab_sweep
mkdir -p "$lab_dir"
echo_tool=$LAB_ROOT/build/tests/lab/tools/echo
devices="to-client to-europe to-us"
vip4=10.99.0.20
vip6=fd00:99::20
port=9000

ipv6_up() {
	lab_in gw sh -c 'echo 1 >/proc/sys/net/ipv6/conf/all/forwarding' &&
		ipv6_link client eth0 1 to-client && ipv6_link europe-west4 eth0 21 to-europe &&
		ipv6_link us-east5 eth0 22 to-us
}
ipv6_link() {
	lab_in gw ip addr add "fd00:$3::1/64" dev "$4" nodad &&
		lab_in "$1" ip addr add "fd00:$3::2/64" dev "$2" nodad &&
		lab_in "$1" ip route add default via "fd00:$3::1"
}
servers_up() {
	local region net
	for region in europe-west4:10.2.1.2:fd00:21::2 us-east5:10.2.2.2:fd00:22::2; do
		lab_spawn "echo4-${region%%:*}" "${region%%:*}" "$echo_tool" serve "$(cut -d: -f2 <<<"$region")" $port
		net=${region#*:*:}
		lab_spawn "echo6-${region%%:*}" "${region%%:*}" "$echo_tool" serve "$net" $port
	done
}
vips_add() {
	local proto
	for proto in tcp udp; do
		lab_ctl vip add "$vip4:$port/$proto" --endpoint 10.2.1.2:$port --endpoint 10.2.2.2:$port &&
			lab_ctl vip add "[$vip6]:$port/$proto" --endpoint "[fd00:21::2]:$port" \
				--endpoint "[fd00:22::2]:$port" || return 1
	done
}
load() {
	lab_loader load --snat 10.2.1.1 --snat fd00:21::1 && vips_add
}
# offloads on|off: of checksums at the senders
offloads() {
	local ns
	for ns in client europe-west4 us-east5; do
		lab_in $ns ethtool -K eth0 tx "$1" gro on >/dev/null 2>&1
	done
}
tcp() {
	lab_in client "$echo_tool" tcp "$1" $port "$2"
}
udp() {
	lab_in client "$echo_tool" udp "$1" $port "$2" "$3"
}
verdict() {
	ctl_json ".[] | select(.verdict == \"$1\") | .packets" show verdicts
}
serves() {
	local i
	for i in 1 2 3 4; do
		tcp $vip4 10000 && tcp $vip6 10000 || return 1
	done
	tcp $vip4 5000000 && tcp $vip6 5000000 && udp $vip4 50 1 && udp $vip6 50 1
}
hooks() {
	ctl_hooks=$(lab_loader --json status | jq -r '[.hooks[] | .device + "=" + .hook] | sort | join(" ")')
	echo "$ctl_hooks"
}
attach() {
	lab_loader attach "$@"
}
detach_all() {
	# shellcheck disable=SC2086 # words
	lab_loader detach $devices
}
neighbours_forget() {
	lab_in gw ip neigh flush all
}
# What a gateway may leave in its namespace and in bpffs.
state() {
	local dev
	for dev in $devices; do
		lab_in gw ip -d -o link show dev "$dev" | grep -o 'prog/xdp.*'
		lab_in gw tc qdisc show dev "$dev" | grep -v noqueue
		lab_in gw tc filter show dev "$dev" ingress
		lab_in gw tc filter show dev "$dev" egress
	done
	find /sys/fs/bpf/sluice -path "*/$lab_name*"
	find "$lab_run_dir" -maxdepth 0 -empty
}
# links_of PROGRAM_ID: how many hold it; this bpftool knows no TCX, but every link's program
links_of() {
	bpftool -j link show | jq "[.[] | select(.prog_id == $1)] | length"
}
other_ports() {
	"$LAB_BIN/sluice-loader" --instance "$lab_name-c" load --snat 10.2.1.1 --snat-ports "$1"
}
extensions_refused() {
	lab_loader check | grep -q '^extensions  *no'
}
is_clean() {
	[ -z "$(state)" ] || {
		state
		return 1
	}
}

check "the namespaces come up" lab_topology_up
check "with IPv6" ipv6_up
servers_up
check "load" load
check "a second load is refused with a sentence" eval \
	'! lab_loader load 2>"$test_work/err" && grep -q "is loaded already (generation 1" "$test_work/err"'

# ---- every way to attach ----
# shellcheck disable=SC2086 # words
{
	extensions_refused && {
		check "check says that this kernel refuses extensions, and thus libxdp's dispatcher" eval \
			'lab_loader check | grep -q "^extensions  *no .*(EPERM), so libxdp.s dispatcher cannot"'
		before=$(state)
		check "--share is refused for that reason, not served by a single program" eval \
			'! attach to-us --share 2>"$test_work/err" && grep -q "cannot be shared: this kernel refuses extension programs (EPERM)" "$test_work/err"'
		check "and leaves the device as it was" equals "$(state | grep -v netns-sk_lookup)" "$before"
	}
	check "native XDP attaches" attach $devices
	check "--share does not change what is attached" eval \
		'! attach to-us --share 2>"$test_work/err" && grep -q "has native XDP of this instance; detach it first" "$test_work/err"'
	check "native XDP serves TCP and UDP, IPv4 and IPv6" serves
	check "also when the neighbours must be found first" eval 'neighbours_forget && serves'
	check "most packets went by XDP, not by TC" eval '[ "$(verdict to_tc)" -lt "$(($(verdict forwarded) / 10))" ]'
	check "attaching again changes nothing" attach $devices
	check "another mode is refused while it is attached" eval '! attach to-us --mode generic && serves'
	check "detach" detach_all
	check "nobody answers then" eval '! tcp $vip4 100'
	offloads on
	check "TC attaches" attach $devices --mode tc
	check "TC serves, with checksums left to the hardware and packets merged" serves
	check "detach" detach_all
	check "clsact attaches" attach $devices --mode clsact
	check "clsact serves" serves
	check "detach takes the qdisc away" eval 'detach_all && [ -z "$(lab_in gw tc qdisc show dev to-us | grep clsact)" ]'
	check "generic XDP attaches on request" attach $devices --mode generic
	check "generic XDP serves, with checksums left to the hardware" serves
	check "detach" detach_all
	offloads off
	check "one link with XDP, the others with TC alone" eval 'attach to-client && attach to-europe to-us --mode tc'
	check "serve together" serves
	# TCX, or clsact where the kernel has none
	check "status names them" equals \
		"$(hooks | sed 's/clsact_own/tcx/g; s/clsact_egress/tcx_egress/g' | tr ' ' '\n' | sort | xargs)" \
		"netns=sk_lookup to-client=native to-client=tcx to-client=tcx_egress to-europe=tcx to-europe=tcx_egress to-us=tcx to-us=tcx_egress"
	check "detach" detach_all
}

# ---- egress, where health probes leave ----
# programs_of HOOK: ids of the programs at to-us
programs_of() {
	lab_loader --json status | jq -r "[.hooks[] | select(.device == \"to-us\" and .hook == \"$1\") | .program_id] | join(\" \")"
}
egress_of() {
	lab_loader --json status | jq -r '.programs[] | select(.name == "tc_egress") | .id'
}
check "clsact attaches" attach to-us --mode clsact
check "with the egress program on the same qdisc" eval \
	'lab_in gw tc filter show dev to-us egress | grep -q tc_egress && equals "$(programs_of clsact_egress)" "$(egress_of)"'
check "an egress filter that is lost comes back by attaching again" eval \
	'lab_in gw tc filter del dev to-us egress && attach to-us --mode clsact && lab_in gw tc filter show dev to-us egress | grep -q tc_egress'
old=$(egress_of)
check "an upgrade replaces it" eval \
	'lab_loader upgrade && [ "$(egress_of)" != "$old" ] && equals "$(programs_of clsact_egress)" "$(egress_of)"'
check "detach takes filter and qdisc away" eval \
	'lab_loader detach to-us && [ -z "$(lab_in gw tc qdisc show dev to-us | grep clsact)" ]'
check "TC attaches" attach to-us --mode tc
old=$(egress_of)
check "an upgrade replaces the egress program" eval \
	'lab_loader upgrade && [ "$(egress_of)" != "$old" ] && equals "$(programs_of tcx_egress)$(programs_of clsact_egress)" "$(egress_of)"'
check "detach takes it away" eval \
	'lab_loader detach to-us && equals "$(links_of "$(egress_of)")" 0 && [ -z "$(lab_in gw tc filter show dev to-us egress)" ]'
check "ports of probes and of NAT may not overlap" eval \
	'! other_ports 64000-65100 2>"$test_work/err" && grep -q "overlaps the ports of health probes, 65001-65400" "$test_work/err"'
check "more ports of probes than the map holds are refused" eval \
	'! "$LAB_BIN/sluice-loader" --instance "$lab_name-c" load --probe-ports 40000-41024 2>"$test_work/err" && grep -q "more than 1024 ports" "$test_work/err"'
check "status says where probes leave from" equals \
	"$(lab_loader --json status | jq -c '[.probes.port_low, .probes.port_high]')" "[65001,65400]"

# ---- counted once ----
check "native XDP attaches" attach to-client
before=$(($(verdict not_a_vip) + $(verdict not_ip)))
lab_in client "$echo_tool" udp 10.1.0.1 7777 20 1 >/dev/null
after=$(($(verdict not_a_vip) + $(verdict not_ip)))
# 20 datagrams, and at most some ARP and neighbour discovery
check "a packet that XDP and TC both see is counted once" between 20 $((after - before)) 28
check "detach" lab_loader detach to-client

# ---- other people's things ----
other=$lab_name-b
other() {
	lab_in gw "$LAB_BIN/sluice-loader" --instance "$other" "$@"
}
undo other unload
check "another instance takes a link" eval 'other load && other attach to-us'
check "its XDP program is not replaced: EBUSY, with its id" eval \
	'! attach to-us 2>"$test_work/err" && grep -q "another XDP program is attached (id [0-9]" "$test_work/err"'
check "and nothing of ours stays there" eval '! hooks | grep -q to-us'
check "TC alone is possible beside it" eval 'attach to-us --mode tc && lab_loader detach to-us'
check "the other instance is unloaded" other unload
check "two instances share a clsact qdisc" eval \
	'other load && other attach to-us --mode clsact && attach to-us --mode clsact &&
	lab_loader upgrade && lab_loader detach to-us && lab_in gw tc filter show dev to-us ingress | grep -q tc_ingress'
check "which goes with the one that made it" eval \
	'other unload && [ -z "$(lab_in gw tc qdisc show dev to-us | grep clsact)" ]'
lab_in gw tc qdisc add dev to-us clsact
check "a clsact qdisc of somebody else stays" eval \
	'attach to-us --mode clsact && lab_loader detach to-us && lab_in gw tc qdisc show dev to-us | grep -q clsact'
lab_in gw tc qdisc del dev to-us clsact
check "somebody's filter on our clsact qdisc stays, and the qdisc with it" eval \
	'attach to-us --mode clsact && lab_in gw tc filter add dev to-us egress prio 9 bpf da pinned "$lab_pins/programs/tc_ingress" &&
	lab_loader detach to-us && lab_in gw tc filter show dev to-us egress | grep -q tc_ingress'
lab_in gw tc qdisc del dev to-us clsact

# ---- devices come and go ----
device_make() {
	lab_in gw ip link add x0 type veth peer name x1 && lab_in gw ip link set x0 up
}
check "a device that went away and came back is attached again" eval \
	'device_make && attach x0 && lab_in gw ip link del x0 && device_make && attach x0 &&
	lab_in gw ip -d link show x0 | grep -q prog/xdp'
lab_in gw ip link del x0
check "an upgrade goes on without a device that is gone" lab_loader upgrade
check "detach forgets it" lab_loader detach x0
lab_in gw ip link add x0.1 type veth peer name x1
check "a device with a dot in its name" eval 'attach x0.1 && hooks | grep -qF x0.1=native && lab_loader detach x0.1'
lab_in gw ip link del x0.1

# ---- upgrade under traffic ----
for mode in auto clsact; do
	# shellcheck disable=SC2086 # words
	check "$mode attaches" attach $devices --mode $mode
	udp $vip4 400 4 >"$test_work/udp" 2>&1 &
	traffic=$!
	undo kill $traffic
	for i in 1 2 3 4; do
		check "upgrade $i" lab_loader upgrade
	done
	check "of 400 datagrams none is lost in 4 upgrades ($mode)" eval 'wait $traffic || ! cat "$test_work/udp"'
	check "detach" detach_all
done
check "generations were counted" equals "$(lab_loader --json status | jq .generation)" 13
check "maps of another contract version are refused by name" eval '
	cp_contract=$(bpftool -j map lookup pinned "$lab_pins/contract" key 0 0 0 0 | jq -r ".value[]" | sed "s/^0x//")
	set -- $cp_contract; set -- "${@:1:4}" 63 "${@:6}"
	bpftool map update pinned "$lab_pins/contract" key 0 0 0 0 value hex "$@" &&
	! lab_loader upgrade 2>"$test_work/err" && grep -q "contract version 99" "$test_work/err"'
check "and can be unloaded" lab_loader unload
check "which leaves nothing" is_clean

# ---- wherever unload is called, whatever is left ----
check "unload works from another namespace" eval \
	'load && attach $devices --mode clsact && "$LAB_BIN/sluice-loader" --instance "$lab_name" unload'
check "and leaves nothing" is_clean
commands=("load --snat 10.2.1.1" "attach $devices" "upgrade" "detach to-us" "attach to-us --mode clsact" "unload")
killed=0
lab_loader_killed() {
	local delay=$1
	shift
	timeout -s KILL "$delay" nsenter --net="/run/netns/$(lab_ns gw)" "$LAB_BIN/sluice-loader" \
		--instance "$lab_name" "$@" >/dev/null 2>&1
}
for delay in 0.005 0.02 0.04 0.08 0.15 0.25 0.4 0.6 0.9; do
	for command in "${commands[@]}"; do
		# shellcheck disable=SC2086 # words
		{ lab_loader_killed $delay $command; } 2>/dev/null
		[ $? -ne 137 ] || killed=$((killed + 1))
	done
	lab_loader unload >>"$test_work/unloads" 2>&1 || echo "unload failed" >>"$test_work/unloads"
	is_clean >>"$test_work/unloads" || echo "not clean" >>"$test_work/unloads"
done
check "$killed loaders were killed half-way and unload cleared each of them" eval \
	'[ $killed -ge 5 ] && ! grep -E "failed|not clean" "$test_work/unloads"'
check "what comes after serves as before" eval 'load && attach $devices && serves'
for ns in client gw europe-west4 us-east5; do
	lab_in $ns true && ip netns pids "$(lab_ns $ns)" | xargs -r kill
	ip netns del "$(lab_ns $ns)"
done
check "unload works when the namespace is gone" "$LAB_BIN/sluice-loader" --instance "$lab_name" unload
check "and leaves no pin" eval '[ -z "$(find /sys/fs/bpf/sluice -path "*/$lab_name*")" ]'
test_end
