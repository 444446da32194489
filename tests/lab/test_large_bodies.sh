#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# Bodies of 64 MiB through workers that have 8 MiB of buffers: they arrive whole, also when they
# have to be sent again; a full disk refuses a large body and nothing else.
# shellcheck source=tests/lab/testing.sh
. "$(dirname "$0")/testing.sh"
lab_begin
large=$LAB_ROOT/build/tests/lab/tools/large
[ -x "$large" ] || skip_all "build/tests/lab/tools/large is not built; make tests"

# bodies KIB COUNT: "STATUS same" a line
bodies() {
	lab_in client timeout 300 "$large" "$LAB_VIP" 80 gemma-3-27b-it "$1" "$2"
}
broken_are() {
	local pod

	for pod in "${broken[@]}"; do
		wait_for 20 lab_fault "$pod" "$1" || return 1
	done
}
# peak_kib: the most memory that a worker of the proxy has had at once; the kernel counts by processor
# and may be some dozen pages behind
peak_kib() {
	local pid

	for pid in $(pgrep -P "$(lab_pid proxy)" sluice-worker); do
		awk '/^VmHWM:/ { print $2 }' "/proc/$pid/status"
	done | sort -n | tail -n 1
}
retried() {
	tail -n 6 "$lab_run_dir/access.log" | jq -e 'select(.path == "/v1/completions" and
		.bytes_in > 60000000 and (.retries | length) > 0)'
}
proxy_said() {
	grep -q "$1" "$lab_dir/proxy.log"
}

mkdir "$test_work/spill"
check "a proxy with 8 MiB of buffers" proxy_replace --body-bytes-max 67108864 --buffers-max 256 \
	--spill-dir "$test_work/spill" --drain-timeout-s 5
check "it answers" wait_for 10 chat_is_good gemma-3-27b-it
before=$(peak_kib)
# All servers of the region that is nearest but one: of two requests at once one meets a refusal.
mapfile -t broken < <(pods | grep ^cluster-a/gemma | tail -n +2)
for pod in "${broken[@]}"; do
	undo lab_fault "$pod" '{"reset": true}'
done
check "all servers of a region but one refuse" broken_are '{"error": 503}'
check "two bodies of 64 MiB at once arrive as they were sent, though servers refuse them" \
	equals "$(bodies 65536 2)" $'200 same\n200 same'
check "one of them was sent twice" wait_for 10 retried
check "a worker needed no more than its 8 MiB for them" between -1024 $(($(peak_kib) - before)) 10240
check "the servers are whole again" broken_are '{"reset": true}'
check "one more byte is too much" equals "$(bodies 65537 1)" "413 unsaid"

mkdir "$test_work/small"
mount -t tmpfs -o size=1m sluice-test "$test_work/small" && undo umount -l "$test_work/small"
check "a proxy with a disk of 1 MiB" proxy_replace --body-bytes-max 67108864 --buffers-max 64 \
	--spill-dir "$test_work/small" --drain-timeout-s 5
check "a body for which the disk has no room is refused" equals "$(bodies 8192 1)" "429 unsaid"
check "the log says why, and what to do" proxy_said \
	'small: cannot write a large request body (No space left on device).*--spill-dir'
check "one that fits is served" equals "$(bodies 900 1)" "200 same"
check "what a refused one took is given back" equals "$(bodies 8192 1; bodies 900 1)" \
	$'429 unsaid\n200 same'
check "small ones were never in question" chat_is_good gemma-3-27b-it
test_end
