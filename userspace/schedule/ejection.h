/* SPDX-License-Identifier: BSD-2-Clause */
/* What failed is left alone for a while, and tried again by one request at a
 * time: after the n-th failure in a row for 2^n times the step, up to a limit.
 * Serves endpoints and whole clusters.  Pure.
 */
#ifndef SLUICE_SCHEDULE_EJECTION_H
#define SLUICE_SCHEDULE_EJECTION_H

#include <stdbool.h>
#include <stdint.h>

#define EJECTION_STEP_NS 500000000ull
#define EJECTION_MAX_NS 30000000000ull

struct ejection {
	uint64_t until_ns; /* CLOCK_MONOTONIC; 0: never failed since the last success */
	uint32_t failures; /* in a row */
};

/* free_failures: so many in a row are forgiven (0: the first one counts). */
void ejection_fail(struct ejection *ejection, uint32_t free_failures, uint64_t now_ns);
void ejection_succeed(struct ejection *ejection);
/* Not to be picked now, unless nothing else is left. */
bool ejection_active(const struct ejection *ejection, uint64_t now_ns);
/* A request was given to it.  If this is the trial after an ejection, nobody
 * else tries until it has told or another step has passed. */
void ejection_given(struct ejection *ejection, uint64_t now_ns);

#endif
