#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# sluicectl explain: what the loaded program says of a packet is what packets then meet, and asking
# changes nothing.
# shellcheck source=tests/lab/testing.sh
. "$(dirname "$0")/testing.sh"
lab_begin

vip=$LAB_L4_VIP:8000
# explain OPTIONS...: the answer as JSON, of a packet from the client to the L4 VIP
explain() {
	lab_ctl --json explain --src 10.1.0.2:40000 --dst "$vip" "$@"
}
# answer FIELD OPTIONS...
answer() {
	local field=$1
	shift
	explain "$@" | jq -r ".$field"
}
# served_by PORT: the pod that answers a connection from that port
served_by() {
	lab_in client curl -s -m 3 -o /dev/null -D - --local-port "$1" "http://$vip/health" |
		sed -n 's/^x-inference-pod: \([^\r]*\).*/\1/p'
}
# explained_pod PORT: the pod whose address the explanation names
explained_pod() {
	local address
	address=$(lab_ctl --json explain --src "10.1.0.2:$1" --dst "$vip" | jq -r .endpoint_address)
	awk -v a="${address%:*}" '$5 == a { print $1 "/" $3 }' "$lab_dir/pods"
}
verdict_packets() {
	ctl_json '[.[].packets] | add' show verdicts
}

lab_ctl vip add "$vip/tcp" --endpoint 10.10.0.31:8000 --endpoint 10.20.0.31:8000 >/dev/null
undo lab_ctl vip remove "$vip/tcp"

check "a SYN to the VIP would be forwarded" equals \
	"$(explain | jq -r '.verdict + " " + .fate + " " + .why + " " + .way')" "forwarded sent ring nat"
check "it says the VIP with its pool and pick" equals \
	"$(explain | jq -r '.vip + " " + .vip_mode + " " + .pool + " " + .pick')" "$vip/tcp L4 operator/$vip/tcp maglev"
check "and the device it assumes" equals "$(explain | jq -r '.device + " " + .hook')" "to-client native"
check "in words too" eval \
	'lab_ctl explain --src 10.1.0.2:40000 --dst "$vip/tcp" | grep -q "^verdict   forwarded: sent on to an endpoint$"'

# not of the ephemeral ports: those linger in TIME_WAIT after other connections, and bind is refused
right=0
for port in $(seq 20001 20012); do
	[ "$(explained_pod "$port")" = "$(served_by "$port")" ] && right=$((right + 1))
done
check "12 of 12 connections go where it said" equals $right 12

lab_in client bash -c "exec 3<>/dev/tcp/$LAB_L4_VIP/8000; sleep 20" &
held=$!
undo kill $held
# the client's end of the connection that is open
held_port() {
	lab_in client ss -Htn state established dst "$vip" | awk '{ sub(/.*:/, "", $3); print $3; exit }'
}
check "a connection is there" wait_for 3 eval '[ -n "$(held_port)" ]'
check "and known as such" equals \
	"$(lab_ctl --json explain --src "10.1.0.2:$(held_port)" --dst "$vip" --tcp-flags ack |
		jq -r '.verdict + " " + .why + " " + .flow_state')" "forwarded nat established"
kill $held
wait $held 2>/dev/null
check "the middle of an unknown connection would be dropped" equals \
	"$(explain --tcp-flags ack | jq -r '.verdict + " " + .fate')" "no_flow dropped"
check "an L7 VIP's packet would go to the proxy" equals \
	"$(lab_ctl --json explain --src 10.1.0.2:1 --dst $LAB_VIP:80 | jq -r '.verdict + " " + .vip_mode')" "l7_local L7"
check "a stranger's would pass" equals \
	"$(lab_ctl --json explain --src 10.1.0.2:1 --dst 192.0.2.1:53/udp --ifname to-us |
		jq -r '.verdict + " " + .fate + " " + .device + " " + (.vip | tostring)')" "not_a_vip passed to-us null"
check "IPv6 is understood" equals \
	"$(lab_ctl --json explain --src '[fd00::1]:1' --dst '[fd00::2]:53/udp' | jq -r .verdict)" not_a_vip

# ---- other ways and picks ----

lab_ctl vip add "$LAB_L4_VIP:8001/tcp" --way ipip --endpoint 10.10.0.31:8001 >/dev/null
undo lab_ctl vip remove "$LAB_L4_VIP:8001/tcp"
lab_ctl vip add "$LAB_L4_VIP:8001/udp" --way gue --pick least --endpoint 10.10.0.31:8001 >/dev/null
undo lab_ctl vip remove "$LAB_L4_VIP:8001/udp"
check "a SYN under maglev would not be stored" equals \
	"$(lab_ctl --json explain --src 10.1.0.2:40000 --dst "$LAB_L4_VIP:8001/tcp" |
		jq -r '.verdict + " " + .why + " " + .way + " " + .changes[:20]')" "forwarded ring ipip nothing: a SYN under"
check "a datagram under least would" equals \
	"$(lab_ctl --json explain --src 10.1.0.2:40000 --dst "$LAB_L4_VIP:8001/udp" |
		jq -r '.verdict + " " + .why + " " + .way + " " + .pick + " " + .changes[:10]')" "forwarded least gue least a new flow"

# ---- asking changes nothing ----

lab_ctl --json explain --src 10.1.0.9:50000 --dst "$vip" >/dev/null
check "no flow is made" equals "$(lab_ctl --json show flows | jq -r '[.[] | select(.client == "10.1.0.9:50000")] | length')" 0
before=$(ctl_json '.[] | select(.verdict == "no_flow") | .packets' show verdicts)
for _ in $(seq 20); do
	explain --tcp-flags ack >/dev/null
done
check "nothing is counted" equals \
	"$(ctl_json '.[] | select(.verdict == "no_flow") | .packets' show verdicts)" "$before"

# ---- states ----

lab_ctl drain endpoint operator/10.10.0.31:8000 >/dev/null
undo lab_ctl undrain endpoint operator/10.10.0.31:8000
for port in $(seq 41001 41010); do
	lab_ctl --json explain --src "10.1.0.2:$port" --dst "$vip" | jq -r '.endpoint + " " + .admin'
done >"$test_work/drained"
check "a draining endpoint gets no new flow" equals "$(sort -u "$test_work/drained")" "operator/10.20.0.31:8000 READY"
lab_ctl maint endpoint operator/10.20.0.31:8000 >/dev/null
undo lab_ctl undrain endpoint operator/10.20.0.31:8000
check "with the other one out too there is none" equals "$(answer verdict)" no_endpoint

# ---- what it cannot do, it says ----

check "a device that is not there is refused by name" eval \
	'! explain --ifname nosuch0 2>"$test_work/said" && grep -q "^sluicectl: nosuch0: no such device" "$test_work/said"'
check "a packet that is none is refused" eval \
	'! lab_ctl explain --src 10.1.0.2:1 --dst "[fd00::1]:1" 2>"$test_work/said" && grep -q "not of one IP family" "$test_work/said"'
test_end
