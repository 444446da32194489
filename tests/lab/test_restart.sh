#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# A new proxy takes the place of the one that runs, under requests that never stop and streams that
# last longer than the change: none fails, and every stream is whole.
# shellcheck source=tests/lab/testing.sh
. "$(dirname "$0")/testing.sh"
lab_begin
steady=$LAB_ROOT/build/tests/lab/tools/steady
[ -x "$steady" ] || skip_all "build/tests/lab/tools/steady is not built; make tests"

proxy_is_not() {
	[ "$(lab_pid proxy)" != "$1" ] && lab_running proxy
}
# workers_of PID
workers_of() {
	pgrep -c -P "$1" sluice-worker
}
counter() {
	lab_in gw curl -s -m 5 "http://127.0.0.1:9466/metrics" | awk -v m="$1" '$1 == m { print $2 }'
}
proxy_says() {
	grep -q "$1" "$lab_dir/proxy.log"
}
# replaced OPTIONS...: a successor is started and ends without having the place
refused_successor() {
	! lab_in gw timeout 60 "$LAB_BIN/sluice-proxy" --instance "$lab_name" --workers 2 --replace "$@" \
		2>&1
}
in_flight_is() {
	equals "$(ctl_json "[.[].in_flight // 0] | add" show endpoints)" "$1"
}
field() {
	sed -n "s/.*\\b$1 \\([0-9]*\\).*/\\1/p" <<<"$result"
}

mkfifo "$test_work/go"
lab_in client "$steady" "$LAB_VIP" 80 gemma-3-27b-it 4 4 50 400 \
	<"$test_work/go" >"$test_work/steady" 2>"$test_work/steady.errors" &
steady_pid=$!
exec 7>"$test_work/go"
undo kill $steady_pid
check "50 streams have begun" wait_for 60 grep -q streaming "$test_work/steady"
starts=$(counter sluice_proxy_worker_starts_total)
requests=$(counter sluice_proxy_sessions_total)

first=$(lab_pid proxy)
check "a successor with an option that is none ends" refused_successor --no-such-option
check "a successor whose log cannot be written ends" refused_successor --access-log /nonexistent/log
check "a successor whose page has no address ends" refused_successor --metrics 192.0.2.1:9466
check "the proxy goes on" equals "$(lab_pid proxy) $(workers_of "$first")" "$first 2"

lab_proxy_replace
check "a successor takes the place" wait_for 30 proxy_is_not "$first"
second=$(lab_pid proxy)
check "it has two workers" wait_for 10 eval 'equals "$(workers_of '"$second"')" 2'
check "its counters go on" eval \
	'[ "$(counter sluice_proxy_worker_starts_total)" -ge $((starts + 2)) ] &&
	[ "$(counter sluice_proxy_sessions_total)" -gt "$requests" ]'
kill -USR2 "$second"
check "a signal starts one, too" wait_for 30 proxy_is_not "$second"
check "a proxy that hands over nothing is refused its place" eval \
	'! lab_in gw "$LAB_BIN/sluice-proxy" --instance "$lab_name"'

exec 7>&-
wait $steady_pid
result=$(tail -n 1 "$test_work/steady")
check "no request failed" eval 'cat "$test_work/steady.errors"; echo "$result"
	[ "$(field failed)" = 0 ] && [ "$(field asked)" -gt 200 ]'
check "every stream was whole" equals "$(field whole)" 50
check "connections that were kept were told that they end" eval '[ "$(field closed)" -ge 4 ]'
check "the first proxy has ended" wait_for 40 eval "! kill -0 $first"
check "the second as well" wait_for 40 eval "! kill -0 $second"
check "nothing is counted in flight" wait_for 15 in_flight_is 0
check "the gateway answers" chat_is_good llama-3-8b-instruct
check "a proxy that is killed after that is replaced by its keeper" eval \
	'third=$(lab_pid proxy); kill -9 "$third"; wait_for 30 proxy_is_not "$third" &&
	wait_for 30 chat_is_good llama-3-8b-instruct'
test_end
