/* SPDX-License-Identifier: BSD-2-Clause */
/* Maglev rings: which endpoint takes which share of a pool's new flows.
 *
 * Pure: the same seed and the same set of members give the same rows on every
 * gateway, in whatever order the members are named. */
#ifndef SLUICE_PUBLISH_RING_H
#define SLUICE_PUBLISH_RING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "maps/layout/ring.h"
#include "maps/layout/types.h"

#define RING_WEIGHT_MAX 10000u

struct ring_member {
	struct ip_addr addr; /* address and port decide its rows, the id does not */
	__be16 port;
	uint32_t weight; /* share relative to the others; 0: takes no rows */
	uint32_t endpoint; /* id written into the rows */
};

/* Rows for so many members that take rows, by the rule in maps/layout/ring.h. */
uint32_t ring_size_for(size_t member_count);

/* A new ring: *ret_slots is malloc'd, *ret_size rows and the header before them,
 * ready for rings_put().  Without members, or with weights of 0 only, every row
 * is ENDPOINT_NONE.
 *
 * `before` is the ring it replaces (header first) or NULL: its rows become the
 * `previous` of the new ones, and `tick` (clock_tick()) when it was swapped.  Rows of
 * a ring of another size stand for other flows, so then `previous` is ENDPOINT_NONE.
 *
 * -EINVAL: a weight above RING_WEIGHT_MAX, or ENDPOINT_NONE as an id; -E2BIG: more members than
 * ENDPOINTS_MAX; -ENOMEM. */
int ring_build(const struct ring_member *members, size_t count, uint64_t seed,
	       const struct ring_slot *before, uint32_t tick, struct ring_slot **ret_slots,
	       uint32_t *ret_size);

/* The same with `size` rows, a prime, whatever the number of members. */
int ring_build_sized(const struct ring_member *members, size_t count, uint32_t size, uint64_t seed,
		     const struct ring_slot *before, uint32_t tick, struct ring_slot **ret_slots);

/* Do both send every flow to the same endpoint?  Then there is nothing to swap. */
bool ring_rows_equal(const struct ring_slot *a, const struct ring_slot *b);

#endif
