#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# sluicectl capture: what becomes of packets, as lines, JSON and a file that other tools read.
# shellcheck source=tests/lab/testing.sh
. "$(dirname "$0")/testing.sh"
lab_begin

vip=$LAB_L4_VIP:8000
get() {
	lab_in client curl -s -m 3 -o /dev/null -w '%{http_code}' "http://$vip/health"
}

# capture_start OPTIONS...: in the background; stdout and stderr in $test_work
capture_start() {
	: >"$test_work/err"
	"$LAB_BIN/sluicectl" --instance "$lab_name" capture "$@" >"$test_work/out" 2>"$test_work/err" &
	capture_pid=$!
	undo kill -KILL $capture_pid
	wait_for 5 grep -qs '^sluicectl: capturing' "$test_work/err" || cat "$test_work/err"
}

# capture_map FIELD: of what is asked of the programs now
capture_map() {
	bpftool -j map lookup pinned "$lab_pins/capture" key 0 0 0 0 | jq -r ".formatted.value.$1"
}

verdicts_of() {
	jq -r .verdict "$test_work/out" | sort -u | tr '\n' ' '
}

# has FILE PATTERN: a line that matches
has() {
	grep -qE "$2" "$1" || {
		head -n 5 "$1"
		return 1
	}
}

lab_ctl vip add "$vip/tcp" --endpoint 10.10.0.31:8000 >/dev/null
undo lab_ctl vip remove "$vip/tcp"

# XDP leaves a new endpoint's packets to TC until the controller knows its neighbour.
forwarded() {
	ctl_json '[.[] | select(.verdict == "forwarded") | .packets] | add // 0' show verdicts
}
xdp_forwards() {
	local before
	before=$(forwarded)
	get >/dev/null
	[ "$(forwarded)" -gt "$before" ]
}
wait_for 10 xdp_forwards

# ---- lines, filters ----

capture_start --vip "$vip/tcp" --count 4
check "a request passes" equals "$(get)" 200
check "capture ends after --count records" wait $capture_pid
check "and has printed so many lines" equals "$(wc -l <"$test_work/out")" 4
head -n 1 "$test_work/out" >"$test_work/first"
check "the first is the client's SYN, forwarded" has "$test_work/first" \
	"^[0-9:.]+ forwarded \([a-z]+\) tcp syn 10\.1\.0\.2:[0-9]+ > $vip, vip $vip/tcp, endpoint operator/10\.10\.0\.31:8000 10\.10\.0\.31:8000, 74 bytes by to-client$"
check "the programs report nothing any more" equals "$(capture_map interval)" 0

capture_start --vip "$vip/tcp" --verdict returned --seconds 2 --json
get >/dev/null
lab_in client curl -s -m 3 -o /dev/null "http://$LAB_VIP/health" # another VIP's
wait $capture_pid
check "only the verdict that was asked for is reported" equals "$(verdicts_of)" "returned "
check "every record has what it is about" jq -es \
	"length > 2 and all(.vip == \"$vip/tcp\" and .endpoint == \"operator/10.10.0.31:8000\" and
		.packets == 1 and .device == \"to-europe\" and (.at - now | fabs) < 30)" "$test_work/out"

capture_start --vip "$vip/tcp" --interval 4 --seconds 3 --json
for _ in $(seq 10); do
	get >/dev/null
done
wait $capture_pid
check "one of four packets is reported and says that it stands for four" jq -es \
	'length > 5 and length < 60 and all(.packets == 4)' "$test_work/out"

# ---- a file ----

capture_start --vip "$vip/tcp" --pcap "$test_work/file" --seconds 2
get >/dev/null
wait $capture_pid
check "the file is its owner's alone" equals "$(stat -c %a "$test_work/file")" 600
if command -v tcpdump >/dev/null; then
	tcpdump -nr "$test_work/file" >"$test_work/read" 2>"$test_work/read.err"
	check "tcpdump reads the file" eval '[ -s "$test_work/read" ] || { cat "$test_work/read.err"; false; }'
	check "with the client's SYN to the VIP" has "$test_work/read" \
		"IP 10\.1\.0\.2\.[0-9]+ > ${vip/:/\\.}: Flags \[S\], seq [0-9]+, win [0-9]+, options \[mss 1460"
	check "and the server's answer as it came in" has "$test_work/read" \
		'IP 10\.10\.0\.31\.8000 > 10\.2\.1\.1\.[0-9]+: Flags \[S\.\]'
	check "at the time it is" eval \
		'age=$(($(date +%s) - $(tcpdump -tt -nr "$test_work/file" -c 1 2>/dev/null | cut -d. -f1))); between 0 $age 30'
	capture_start --vip "$vip/tcp" --pcap - --count 3
	get >/dev/null
	wait $capture_pid
	check "the file can go to stdout" equals "$(tcpdump -nr - <"$test_work/out" 2>/dev/null | wc -l)" 3
else
	skip "tcpdump reads the file" "tcpdump is not installed (scripts/deps test)"
fi
if command -v tshark >/dev/null; then
	tshark -r "$test_work/file" -T fields -e frame.interface_name -e frame.comment >"$test_work/read" 2>/dev/null
	check "Wireshark shows the device and the verdict in the comment" has "$test_work/read" \
		"^to-client[[:space:]]verdict=forwarded why=[a-z]+ vip=$vip/tcp endpoint=operator/10\.10\.0\.31:8000 packets=1$"
	check "and no packet is malformed" equals \
		"$(tshark -r "$test_work/file" -Y '_ws.malformed and not _ws.short' 2>/dev/null | wc -l)" 0
else
	skip "Wireshark shows the comment" "tshark is not installed"
fi

# ---- one at a time, and ending ----

capture_start --vip "$vip/tcp"
check "a second capture is refused" eval \
	'! lab_ctl capture --count 1 2>"$test_work/second" && grep -q "another sluicectl captures" "$test_work/second"'
check "VIPs can be changed meanwhile" lab_ctl vip set "$vip/tcp" --endpoint 10.10.0.31:8000 --endpoint 10.20.0.31:8000
first=$(capture_map until)
sleep 1.5
check "its end is moved ahead while it runs" between $((first + 900000000)) "$(capture_map until)" $((first + 3000000000))
kill -INT $capture_pid
wait $capture_pid
check "Ctrl-C ends it well" equals $? 0
check "and nothing is asked for any more" equals "$(capture_map interval)" 0

capture_start --vip "$vip/tcp"
kill -KILL $capture_pid
wait $capture_pid 2>/dev/null
check "killed, it cannot clear the map" equals "$(capture_map interval)" 1
now=$(awk '{ printf "%.0f", $1 * 1e9 }' /proc/uptime)
check "but what it asked for ends within 3 s" between 1 "$(capture_map until)" $((now + 3100000000))
capture_start --vip "$vip/tcp" --count 1
get >/dev/null
check "and another one can begin at once" wait $capture_pid
test_end
