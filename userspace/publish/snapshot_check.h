/* SPDX-License-Identifier: BSD-2-Clause */
/* What must be true of a snapshot beyond its shape; private to the snapshot. */
#ifndef SLUICE_PUBLISH_SNAPSHOT_CHECK_H
#define SLUICE_PUBLISH_SNAPSHOT_CHECK_H

#include <stdbool.h>

#include "userspace/base/pattern.h"
#include "userspace/publish/snapshot.h"

struct snapshot_fault {
	char member[160]; /* "routes[3].rules[0].backends[1].pool" */
	char why[192];
};

/* Checks every index, name and value that the proxy relies on, compiles the
 * regular expressions and sums the weights.  False: ret_fault says where and why. */
bool snapshot_check(struct snapshot *snapshot, struct snapshot_fault *ret_fault);

/* Compiles into the snapshot's memory; freed with it. */
int snapshot_pattern(struct snapshot *snapshot, const char *text, regex_t **ret_regex,
		     char ret_why[PATTERN_WHY_MAX]);

#endif
