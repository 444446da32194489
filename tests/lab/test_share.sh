#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# Beside another XDP program in libxdp's dispatcher: both see the packets; upgrade, detach and
# killed loaders leave the other one there.  Needs a kernel that takes extension programs: where
# this one does not, scripts/test --kernel 6.1 runs it.
# shellcheck source=tests/lab/testing.sh
. "$(dirname "$0")/testing.sh"
[ "$(id -u)" = 0 ] || skip_all "network namespaces need root"
"$LAB_BIN/sluice-loader" check | grep -q '^extensions  *yes' ||
	skip_all "this kernel refuses extension programs; scripts/test --kernel 6.1 runs this"
command -v xdp-loader >/dev/null || skip_all "xdp-loader is not installed (scripts/deps kernel)"
lab_init "t$$" || exit 1
undo lab_sweep
mkdir -p "$lab_dir"
tools=$LAB_ROOT/build/tests/lab/tools
vip=10.99.0.20
port=9000

xdp() {
	lab_in gw xdp-loader "$@"
}
undo xdp unload to-client --all
attach() {
	lab_loader attach "$@"
}
# chain: names of the dispatcher's programs at to-client, in their order
chain() {
	xdp status to-client | awk '$1 == "=>" { print $3 }' | xargs
}
beside_id() {
	xdp status to-client | awk '$3 == "beside" { print $4 }'
}
# folders: libxdp's, of dispatchers
folders() {
	ls /sys/fs/bpf/xdp | wc -l
}
xdp_hook() {
	lab_loader --json status | jq -r '.hooks[] | select(.device == "to-client" and (.hook | test("shared|native"))) | .hook'
}
beside_count() {
	bpftool -j map dump name beside_seen | jq '[.[].formatted.value] | add'
}
forwarded() {
	ctl_json '.[] | select(.verdict == "forwarded") | .packets' show verdicts
}
udp() { # COUNT GAP_MS
	lab_in client "$tools/echo" udp $vip $port "$1" "$2"
}
up() {
	lab_topology_up && lab_loader load --snat 10.2.1.1 &&
		lab_ctl vip add $vip:$port/udp --endpoint 10.2.1.2:$port &&
		lab_in client ethtool -K eth0 tx off gro on &&
		lab_in europe-west4 ethtool -K eth0 tx off gro on
}
both_see() {
	local beside before

	beside=$(beside_count)
	before=$(forwarded)
	udp 50 1 && between $((beside + 50)) "$(beside_count)" $((beside + 70)) &&
		between $((before + 50)) "$(forwarded)" $((before + 55))
}
killed_upgrade() {
	timeout -s KILL "$1" nsenter --net="/run/netns/$(lab_ns gw)" "$LAB_BIN/sluice-loader" \
		--instance "$lab_name" upgrade >/dev/null 2>&1
}
# In each moment of an upgrade: it can be done again, and leaves one program of ours.
killed_upgrades() {
	local delay killed=0

	for delay in "$@"; do
		{ killed_upgrade "$delay"; } 2>/dev/null
		[ $? -ne 137 ] || killed=$((killed + 1))
		echo "killed after $delay s: $(chain)"
		[[ $(chain) == beside*shared* ]] || return 1
	done
	[ $killed -ge 2 ] && attach to-client && equals "$(chain)" "beside xdp_shared"
}

check "a gateway with one L4 VIP" up
lab_spawn echo europe-west4 "$tools/echo" serve 10.2.1.2 $port
check "the endpoint's device" attach to-europe
check "somebody loads a program by xdp-loader" xdp load to-client "$tools/beside.bpf.o"
check "check says that it can be joined" eval \
	'lab_loader check to-client | grep -q "^to-client  *join native XDP by libxdp.s dispatcher (id [0-9]*, programs in it: 1)"'
check "generic XDP is refused beside it, with id and name" eval \
	'! attach to-client --mode generic 2>"$test_work/err" && grep -q "(id [0-9]*, xdp_dispatcher), a dispatcher, which takes native XDP only" "$test_work/err"'
check "attach joins it" attach to-client
id=$(beside_id)
check "behind it, as 60 is behind 50" equals "$(chain)" "beside xdp_shared"
check "status says so" equals "$(xdp_hook)" shared
check "both see the packets, and ours sends them on" both_see
check "attaching again changes nothing" eval 'attach to-client --share && equals "$(chain)" "beside xdp_shared"'
udp 1000 10 >"$test_work/udp" 2>&1 &
traffic=$!
undo kill $traffic
before=$(lab_loader --json status | jq '.hooks[] | select(.hook == "shared") | .program_id')
check "an upgrade under traffic" lab_loader upgrade
after=$(lab_loader --json status | jq '.hooks[] | select(.hook == "shared") | .program_id')
check "exchanges our program, $before, and not theirs" eval \
	'[ "$after" -gt "$before" ] && equals "$(chain)/$(beside_id)" "beside xdp_shared/$id"'
check "loses no datagram" eval 'wait $traffic || ! cat "$test_work/udp"'
check "a killed upgrade is completed by an attach" killed_upgrades 2 3 4 5
check "or by the next upgrade" eval 'lab_loader upgrade && equals "$(chain)/$(beside_id)" "beside xdp_shared/$id"'
check "nothing is left of dispatchers that were never attached" equals "$(folders)" 1
check "both see the packets still" both_see
check "detach takes ours out" eval 'lab_loader detach to-client && equals "$(chain)/$(beside_id)" "beside/$id"'
before=$(beside_count)
check "theirs goes on" eval '! udp 5 1; [ "$(beside_count)" -ge $((before + 5)) ]'
check "--priority 7 goes in front" eval 'attach to-client --priority 7 && equals "$(chain)" "xdp_shared beside"'
check "what ours passes goes on to theirs" eval \
	'before=$(beside_count); lab_in client "$tools/echo" udp 10.1.0.1 7777 20 1 >/dev/null; [ "$(beside_count)" -ge $((before + 20)) ]'
before=$(beside_count)
check "what ours sends on does not" eval 'udp 50 1 && between $before "$(beside_count)" $((before + 15))'
check "an upgrade keeps the priority" eval 'lab_loader upgrade && equals "$(chain)" "xdp_shared beside"'
check "unload takes ours out" eval 'lab_loader unload && equals "$(chain)/$(beside_id)" "beside/$id"'
check "they leave" eval 'xdp unload to-client --all && equals "$(folders)" 0'
check "a gateway again" eval 'lab_loader load --snat 10.2.1.1 && attach to-client --share'
check "--share on a free device makes a dispatcher" equals "$(chain)/$(xdp_hook)" xdp_shared/shared
check "which others join" eval 'xdp load to-client "$tools/beside.bpf.o" && equals "$(chain)" "beside xdp_shared"'
lab_in gw ip link del to-client
check "a device that goes away takes its place along" eval 'lab_loader unload && equals "$(folders)" 0'
test_end
