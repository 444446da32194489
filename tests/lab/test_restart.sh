#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# A new proxy takes the place of the one that runs, under requests that never stop and streams that
# last longer than the change: none fails, and every stream is whole.  Then one that is told to end:
# what it has begun it finishes, up to the limit.
# shellcheck source=tests/lab/testing.sh
. "$(dirname "$0")/testing.sh"
lab_begin
steady=$LAB_ROOT/build/tests/lab/tools/steady
[ -x "$steady" ] || skip_all "build/tests/lab/tools/steady is not built; make tests"

# workers_of PID
workers_of() {
	pgrep -c -P "$1" sluice-worker
}
counter() {
	lab_in gw curl -s -m 5 "http://127.0.0.1:9466/metrics" | awk -v m="$1" '$1 == m { print $2 }'
}
# refused_successor OPTIONS...: a successor is started and ends without having the place
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

# steady_start KEPT FRESH STREAMS TOKENS: until steady_stop, which sets $result
steady_start() {
	rm -f "$test_work/go" "$test_work/steady"
	mkfifo "$test_work/go"
	lab_in client "$steady" "$LAB_VIP" 80 gemma-3-27b-it "$@" \
		<"$test_work/go" >"$test_work/steady" 2>"$test_work/steady.errors" &
	steady_pid=$!
	undo kill $steady_pid
	exec 7>"$test_work/go"
	check "$3 streams have begun" wait_for 60 grep -q streaming "$test_work/steady"
}
steady_stop() {
	exec 7>&-
	wait $steady_pid
	result=$(tail -n 1 "$test_work/steady")
}
# results FIELD=COUNT...: exactly so many
results() {
	local one

	cat "$test_work/steady.errors"
	echo "$result"
	for one; do
		equals "$(field "${one%=*}")" "${one#*=}" || return 1
	done
}

steady_start 4 4 50 400
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

steady_stop
check "no request failed, every stream was whole" results failed=0 refused=0 whole=50
check "many were asked" between 200 "$(field asked)" 10000000
check "connections that were kept were told that they end" between 4 "$(field closed)" 10000000
check "the first proxy has ended" wait_for 40 eval "! kill -0 $first"
check "the second as well" wait_for 40 eval "! kill -0 $second"
check "nothing is counted in flight" wait_for 15 in_flight_is 0
check "the gateway answers" chat_is_good llama-3-8b-instruct
check "a proxy that is killed after that is replaced by its keeper" eval \
	'third=$(lab_pid proxy); kill -9 "$third"; wait_for 30 proxy_is_not "$third" &&
	wait_for 30 chat_is_good llama-3-8b-instruct'

# ended PID TOKENS: what becomes of 20 streams of so many tokens when that proxy is told to end
undo rm -f "$lab_dir/proxy.hold"
touch "$lab_dir/proxy.hold" # nobody starts it again
ended() {
	steady_start 4 0 20 "$2"
	kill -TERM "$1"
	check "it ends" wait_for 40 eval "! kill -0 $1"
	steady_stop
}
pid=$(lab_pid proxy)
ended "$pid" 200
check "streams under way are finished, other requests as well" results failed=0 whole=20
check "connections that were kept were told so" between 4 "$(field closed)" 10000000
check "new ones are refused" between 1 "$(field refused)" 10000000
check "its pid file and its socket are gone" eval \
	'[ ! -e "$lab_run_dir/proxy.pid" ] && [ ! -e "$lab_run_dir/proxy.sock" ]'
undo lab_proxy_replace # where no proxy runs it is one as any other
check "a proxy with a limit of one second" eval 'lab_proxy_replace --drain-timeout-s 1;
	wait_for 20 chat_is_good gemma-3-27b-it'
pid=$(lab_pid proxy)
ended "$pid" 2000
check "streams that take longer than the limit are cut" results failed=20 whole=0
test_end
