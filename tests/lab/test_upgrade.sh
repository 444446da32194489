#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# sluice-loader upgrade while traffic flows: no packet is lost, L7 and L4.
# shellcheck source=tests/lab/testing.sh
. "$(dirname "$0")/testing.sh"
lab_begin

# lost: segments that the client sent again because they had not arrived.  Where a machine is so busy
# that an answer is late, some are sent again that had; the other side says so (D-SACK).
lost() {
	lab_in client cat /proc/net/snmp /proc/net/netstat | awk '
		($1 == "Tcp:" || $1 == "TcpExt:") && $2 ~ /[A-Za-z]/ { split($0, name); next }
		{ for (i = 2; i <= NF; i++) value[$1 name[i]] = $i }
		END { print value["Tcp:RetransSegs"] - value["TcpExt:TCPDSACKRecv"] }'
}
vip=$LAB_L4_VIP:8000
lab_ctl vip add "$vip/tcp" --endpoint 10.10.0.32:8000 --endpoint 10.20.0.32:8000 >/dev/null
undo lab_ctl vip remove "$vip/tcp"
(
	trap 'exit 0' TERM
	while :; do
		lab_in client curl -s -m 3 -o /dev/null -w '%{http_code}\n' "http://$vip/health"
	done
) >"$test_work/l4.log" &
l4=$!
undo kill $l4
traffic_start
sleep 0.5
before=$(lost)
for i in 1 2 3; do
	check "upgrade $i succeeds" lab_loader upgrade
	sleep 0.5
done
traffic_stop 20
kill $l4
wait $l4 2>/dev/null
check "every request to the L7 VIP was answered" traffic_was_good 20
check "every connection to the L4 VIP was answered" eval \
	'[ "$(grep -c . "$test_work/l4.log")" -ge 20 ] && [ "$(grep -vc "^200$" "$test_work/l4.log")" = 0 ]'
check "the client had to send nothing again" eval '[ "$(lost)" -le "$before" ]'
test_end
