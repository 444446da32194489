#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# Runs the acceptance check as the client of a lab that is up:  run.sh INSTANCE
# Exits 77, with the reason in the last line, where its client cannot be installed.
set -uo pipefail
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=tests/lab/lib.sh
. "$here/../lib.sh"
lab_init "$1" || exit 2

command -v node >/dev/null && command -v npm >/dev/null || {
	echo "node or npm is not installed (scripts/deps check)"
	exit 77
}
if [ ! -e "$here/node_modules/.package-lock.json" ] ||
	[ "$here/package-lock.json" -nt "$here/node_modules/.package-lock.json" ]; then
	echo "installing the check's client from npm (tests/lab/check/package-lock.json)"
	timeout 120 npm ci --prefix "$here" --no-audit --no-fund --loglevel=error || {
		echo "npm ci failed: the check needs the openai package from the npm registry"
		exit 77
	}
	touch "$here/node_modules/.package-lock.json"
fi
lab_in client node "$here/check.mjs" "$lab_name" "$LAB_VIP" "$lab_run_dir/access.log"
