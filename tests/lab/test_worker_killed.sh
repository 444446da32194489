#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# A proxy worker is killed with connections in its queue: none is lost.
# shellcheck source=tests/lab/testing.sh
. "$(dirname "$0")/testing.sh"
lab_begin

parent=$(lab_pid proxy)
workers() {
	pgrep -P "$parent" sluice-worker
}
worker_count() {
	workers | wc -l
}

mapfile -t old < <(workers)
check "the parent has two workers" equals "${#old[@]}" 2
# Nobody accepts: what arrives now waits in the listeners' queues.
kill -STOP "${old[@]}"
for i in $(seq 20); do
	chat gemma-3-27b-it -m 20 >"$test_work/queued.$i" &
	queued[i]=$!
done
sleep 0.5
kill -9 "${old[0]}"
kill -CONT "${old[1]}"
for i in $(seq 20); do
	wait "${queued[i]}"
done
check "all 20 connections that were queued are answered" equals \
	"$(cat "$test_work"/queued.* | grep -c '^200 ')" 20
check "the parent has started another worker" wait_for 15 eval 'equals "$(worker_count)" 2'
check "the killed one is not among them" eval '! workers | grep -qx "${old[0]}"'
check "the parent is the same process" kill -0 "$parent"

traffic_start
sleep 0.5
kill -9 "$(workers | tail -n 1)"
sleep 1.5
traffic_stop
# a request that the dead worker held is lost with it; at most one was in its hands
check "under traffic at most the request in hand is lost" eval \
	'[ "$(grep -vc "^200 " "$test_work/traffic.log")" -le 1 ]'
check "there are two workers again" wait_for 15 eval 'equals "$(worker_count)" 2'
test_end
