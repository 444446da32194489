/* SPDX-License-Identifier: BSD-2-Clause */
/* Time.  Deciding code never calls these: it is given `now`. */
#ifndef SLUICE_BASE_CLOCK_H
#define SLUICE_BASE_CLOCK_H

#include <stdint.h>
#include <time.h>

#define NS_PER_US 1000ull
#define NS_PER_MS 1000000ull
#define NS_PER_S 1000000000ull

static inline uint64_t clock_read_ns(clockid_t id)
{
	struct timespec t;

	clock_gettime(id, &t);
	return (uint64_t)t.tv_sec * NS_PER_S + (uint64_t)t.tv_nsec;
}

/* For durations and deadlines; the clock of bpf_ktime_get_ns. */
static inline uint64_t clock_monotonic_ns(void)
{
	return clock_read_ns(CLOCK_MONOTONIC);
}

/* For what is written down and shown. */
static inline uint64_t clock_realtime_ns(void)
{
	return clock_read_ns(CLOCK_REALTIME);
}

/* Now in ticks of the data path (maps/layout/flow.h: 1.07 s): the clock of
 * bpf_ktime_get_coarse_ns. */
static inline uint32_t clock_tick(void)
{
	return (uint32_t)(clock_read_ns(CLOCK_MONOTONIC_COARSE) >> 30);
}

#endif
