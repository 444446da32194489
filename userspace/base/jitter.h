/* SPDX-License-Identifier: BSD-2-Clause */
/* Spreading things in time: the same seed gives the same answer, so that
 * deciding code stays pure and tests stay exact. */
#ifndef SLUICE_BASE_JITTER_H
#define SLUICE_BASE_JITTER_H

#include <stdint.h>

/* The finalizer of splitmix64: neighbouring seeds give unrelated numbers. */
static inline uint64_t jitter_mix(uint64_t seed)
{
	seed += 0x9e3779b97f4a7c15ull;
	seed = (seed ^ (seed >> 30)) * 0xbf58476d1ce4e5b9ull;
	seed = (seed ^ (seed >> 27)) * 0x94d049bb133111ebull;
	return seed ^ (seed >> 31);
}

/* In [0, window); 0 for a window of 0. */
static inline uint64_t jitter_below(uint64_t window, uint64_t seed)
{
	return window ? jitter_mix(seed) % window : 0;
}

/* In [9/10, 11/10] of the value. */
static inline uint64_t jitter_around(uint64_t value, uint64_t seed)
{
	return value - value / 10 + jitter_below(value / 5 + 1, seed);
}

#endif
