#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# Runs the acceptance check as the client of a lab that is up:  run.sh INSTANCE
# Exits 77, with the reason in the last line, where its client cannot be installed.
set -uo pipefail
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=tests/lab/lib.sh
. "$here/../lib.sh"
lab_init "$1" || exit 2

"$here/install.sh" || exit
lab_in client node "$here/check.mjs" "$lab_name" "$LAB_VIP" "$lab_run_dir/access.log"
