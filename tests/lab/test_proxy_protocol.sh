#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# Behind another balancer: with --proxy-protocol-from the client is who the PROXY header names, a
# connection that begins otherwise or comes from elsewhere is closed and counted.  And the clients
# that it names have their limits, which both workers keep together.
# shellcheck source=tests/lab/testing.sh
. "$(dirname "$0")/testing.sh"
lab_begin

# counted REASON: errors of that name
counted() {
	lab_in gw curl -s http://127.0.0.1:9466/metrics |
		awk -v f="sluice_proxy_errors_total{reason=\"$1\"}" '$1 == f { print $2 }'
}
good_behind_balancer() {
	[[ $(chat gemma-3-27b-it --haproxy-protocol) == "200 "* ]]
}
# named HEADER: sends it (printf's format) and a request; the access log's last client
named() {
	local body='{"model":"gemma-3-27b-it","prompt":"hi","max_tokens":1}'

	# shellcheck disable=SC2016
	lab_in client timeout 10 bash -c '
		exec 3<>"/dev/tcp/$1/80"
		printf "$2" >&3
		printf "POST /v1/completions HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n" >&3
		printf "Connection: close\r\nContent-Length: ${#3}\r\n\r\n%s" "$3" >&3
		cat <&3' - "$LAB_VIP" "$1" "$body" >/dev/null
}
# asks CLIENT COUNT: so many requests on one connection of that client, the last one ends it; its
# answers' statuses
asks() {
	# shellcheck disable=SC2016
	lab_in client timeout 30 bash -c '
		exec 3<>"/dev/tcp/$1/80"
		text="PROXY TCP4 $2 10.0.0.1 40000 80"$'"'\\r\\n'"'
		for ((i = 1; i < $3; i++)); do
			text+=$'"'GET /none HTTP/1.1\\r\\nHost: a\\r\\n\\r\\n'"'
		done
		text+=$'"'GET /none HTTP/1.1\\r\\nHost: a\\r\\nConnection: close\\r\\n\\r\\n'"'
		printf %s "$text" >&3
		cat <&3' - "$LAB_VIP" "$1" "$2" | grep -ao '^HTTP/1.1 [0-9]*' | cut -d' ' -f2
}
# hold CLIENT: a connection of that client that stays until it is closed there
hold() {
	# shellcheck disable=SC2016
	lab_in client bash -c '
		exec 3<>"/dev/tcp/$1/80"
		printf "PROXY TCP4 $2 10.0.0.1 40000 80\r\n" >&3
		exec timeout 60 cat <&3' - "$LAB_VIP" "$1" >/dev/null 2>&1 &
	holding+=($!)
}
workers() {
	pgrep -P "$(lab_pid proxy)" sluice-worker
}
sessions_are() {
	equals "$(lab_in gw curl -s http://127.0.0.1:9466/metrics |
		awk '$1 == "sluice_proxy_sessions" { print $2 }')" "$1"
}
limit_logged() {
	tail -n 1 "$lab_run_dir/access.log" | jq -e --arg error "$1" --arg detail "$2" \
		'.status == 429 and .error == $error and (.detail | contains($detail))'
}
client_logged() {
	equals "$(tail -n 1 "$lab_run_dir/access.log" | jq -r .client)" "$1"
}

check "the proxy starts anew" proxy_restart --proxy-protocol-from 10.1.0.0/24,2001:db8::/32 \
	--client-connections 5 --client-requests 50/h --client-burst 50
check "it serves what begins with a PROXY header" wait_for 10 good_behind_balancer
before=$(counted proxy_protocol)
check "a connection without one gets no answer" equals "$(lab_chat_status gemma-3-27b-it)" 000
check "and is counted by name" wait_for 5 eval 'equals "$(counted proxy_protocol)" $((before + 1))'
named 'PROXY TCP4 198.51.100.7 10.0.0.1 40000 80\r\n'
check "the client of version 1 is in the access log" wait_for 5 client_logged 198.51.100.7
named '\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x13\xc6\x33\x64\x08\x0a\0\0\1\x9c\x40\0\x50\4\0\4abcd'
check "the client of version 2 is in the access log" wait_for 5 client_logged 198.51.100.8
check "a connection from elsewhere gets no answer" eval \
	'! lab_in gw curl -s -m 10 --haproxy-protocol "http://$LAB_VIP/v1/models"'
check "and is counted by another name" wait_for 10 eval 'equals "$(counted proxy_untrusted)" 1'
for i in 1 2 3 4 5; do
	asks 198.51.100.9 20 >"$test_work/asks.$i" &
	asking[i]=$!
done
wait "${asking[@]}"
check "of 100 requests on 5 connections the workers let 50 pass" equals \
	"$(cat "$test_work"/asks.* | grep -vc 429)" 50
check "their connections end" wait_for 10 sessions_are 0
check "the next request is refused" equals "$(asks 198.51.100.9 1)" 429
check "in the log by the limit's name" wait_for 10 limit_logged client_requests "50 requests an hour"
check "another client is served" equals "$(asks 198.51.100.11 1)" 404
holding=()
for i in 1 2 3 4 5; do
	hold 198.51.100.10
done
check "5 connections of one client" wait_for 10 sessions_are 5
check "the sixth is refused" equals "$(asks 198.51.100.10 1)" 429
check "and counted by name" wait_for 10 eval 'equals "$(counted client_connections)" 1'
mapfile -t old < <(workers)
kill -9 "${old[@]}"
wait "${holding[@]}"
check "killed workers hold none of them" wait_for 20 eval 'equals "$(asks 198.51.100.10 1)" 404'
check "the proxy is put back" proxy_restore
test_undo=()
test_end
