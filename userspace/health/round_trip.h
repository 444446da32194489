/* SPDX-License-Identifier: BSD-2-Clause */
/* The round trip to a cluster, smoothed from connect times of probes.
 *
 * What a busy host adds to a connect time is never negative, and can be more than
 * lies between two regions: so the value falls fast and rises slowly, and stays
 * near the lowest of what is seen. */
#ifndef SLUICE_HEALTH_ROUND_TRIP_H
#define SLUICE_HEALTH_ROUND_TRIP_H

#include <stdint.h>

/* The new smoothed value in microseconds, at least 1 so that 0 stays "unknown".
 * `before` 0: the sample is taken as it is.  Otherwise half of the difference
 * downwards and a sixteenth upwards, and a sample counts as at most four times
 * the old value: one retransmitted SYN must not move traffic. */
static inline uint32_t round_trip_step(uint32_t before_us, uint64_t sample_ns)
{
	uint64_t sample_us = sample_ns / 1000;
	uint64_t ceiling = (uint64_t)before_us * 4 + 1000;
	int64_t difference, next;

	if (sample_us > UINT32_MAX / 2)
		sample_us = UINT32_MAX / 2;
	if (before_us == 0)
		return sample_us ? (uint32_t)sample_us : 1;
	if (sample_us > ceiling)
		sample_us = ceiling;
	difference = (int64_t)sample_us - (int64_t)before_us;
	next = (int64_t)before_us + difference / (difference < 0 ? 2 : 16);
	return next > 0 ? (uint32_t)next : 1;
}

#endif
