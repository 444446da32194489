#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# Installs the clients of package-lock.json beside it, if they are not there or are other ones.
# Exits 77, with the reason in the last line, where they cannot be had.
set -uo pipefail
here=$(cd "$(dirname "$0")" && pwd)

command -v node >/dev/null && command -v npm >/dev/null || {
	echo "node or npm is not installed (scripts/deps check)"
	exit 77
}
exec 9<"$here" && flock 9 # the check and a lab test may come at the same time
if [ ! -e "$here/node_modules/.package-lock.json" ] ||
	[ "$here/package-lock.json" -nt "$here/node_modules/.package-lock.json" ]; then
	echo "installing the clients from npm (tests/lab/check/package-lock.json)"
	timeout 120 npm ci --prefix "$here" --no-audit --no-fund --loglevel=error 9<&- || {
		echo "npm ci failed: the npm registry has the openai and @anthropic-ai/sdk packages"
		exit 77
	}
	touch "$here/node_modules/.package-lock.json"
fi
