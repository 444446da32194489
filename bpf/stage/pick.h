/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Stage 4, flows that no table knows: an endpoint from the pool's Maglev ring.
 *
 * The row is a hash of the 5-tuple with the configured seed, so gateways that
 * share seed and ring agree without talking.  The ring says what the pool is;
 * admin and health say live whether the endpoint there may take the packet.  If
 * it may not, following rows are tried: they are as good as random, and the
 * flows of one bad endpoint spread over all others.
 *
 * A packet mid-flow is some old flow's that the table lost or another gateway
 * had: a draining endpoint keeps it, and within the grace after a swap it goes
 * where the row pointed before (maps/layout/ring.h).
 *
 * Pick least looks at two rows and takes the endpoint with less to do: live flows
 * as last counted, those given and closed since, and what its server reports (Mitzenmacher,
 * "The power of two choices", TPDS 2001).
 */
#ifndef SLUICE_BPF_STAGE_PICK_H
#define SLUICE_BPF_STAGE_PICK_H

#include "bpf/maps.h"
#include "bpf/stage/hash.h"
#include "bpf/stage/packet.h"
#include "bpf/stage/state.h"

/* With 9 of 10 endpoints out the chance that all rows miss is 0.9^128, 1e-6. */
#define PICK_ROWS_MAX 128

/* Makes `id` the packet's endpoint if it may have it. */
static __always_inline bool pick_take(struct packet *p, __u32 id, enum endpoint_state worst,
				      bool *is_mixed)
{
	const struct endpoint *endpoint = bpf_map_lookup_elem(&endpoints, &id);

	if (!endpoint || endpoint->way == WAY_NONE || endpoint->pool != p->pool)
		return false;
	if ((endpoint->way == WAY_NAT || endpoint->way == WAY_L2) &&
	    address_is_ipv6(&endpoint->addr) != p->is_ipv6) {
		*is_mixed = true;
		return false;
	}
	if (endpoint_state(endpoint, id) > worst)
		return false;
	p->endpoint = id;
	p->generation = endpoint->generation;
	p->way = endpoint->way;
	p->to.dst = endpoint->addr;
	p->to.dst_port = endpoint->port;
	return true;
}

static __always_inline const struct ring_slot *ring_row(void *ring, __u32 row)
{
	__u32 index = row + 1;

	return bpf_map_lookup_elem(ring, &index);
}

struct pick_walk {
	struct packet *packet;
	__u32 start;
	__u32 size;
	bool is_mixed;
	bool is_found;
};

/* 1: done; 0: look at the next row. */
static long pick_next(__u32 index, struct pick_walk *walk)
{
	struct packet *p = walk->packet;
	const struct ring_slot *slot;
	__u32 pool = p->pool;
	void *ring;

	ring = bpf_map_lookup_elem(&rings, &pool);
	if (!ring)
		return 1;
	slot = ring_row(ring, (walk->start + 1 + index) % walk->size);
	if (!slot)
		return 1;
	walk->is_found = pick_take(p, slot->endpoint, ENDPOINT_READY, &walk->is_mixed);
	return walk->is_found;
}

/* The rows behind the first: rare, so out of line. */
__noinline int pick_walk(struct packet *p, __u32 start, __u32 size)
{
	struct pick_walk walk = {.packet = p, .start = start, .size = size};

	if (!p || !size)
		return VERDICT_NO_RING;

	bpf_loop(PICK_ROWS_MAX, pick_next, &walk, 0);
	if (walk.is_found) {
		p->why = WHY_RING_NEXT;
		return STAGE_NEXT;
	}
	return walk.is_mixed ? VERDICT_FAMILY_MISMATCH : VERDICT_NO_ENDPOINT;
}

/* What an endpoint has to do, in flows, by its weight. */
static __always_inline __u64 endpoint_load(__u32 id)
{
	const struct live *live_ = bpf_map_lookup_elem(&live, &id);
	const struct opens *opens_ = bpf_map_lookup_elem(&opens, &id);
	const struct endpoint *endpoint = bpf_map_lookup_elem(&endpoints, &id);
	__u32 weight = 100;
	__s64 flows = 1;

	if (!live_ || !opens_ || !endpoint)
		return 0;
	if (live_->generation == endpoint->generation) {
		flows += (__s64)live_->flows + live_->cost + (__s32)(opens_->count - live_->opened);
		weight = live_->weight ? live_->weight : 100;
	} else {
		flows += (__s32)opens_->count; /* nobody counts: what was given and not closed */
	}
	return (__u64)(flows > 1 ? flows : 1) * 10000 / weight;
}

/* The better of two rows' endpoints. */
__noinline int pick_least(struct packet *p, __u32 row, __u32 other_row, __u32 size)
{
	const struct ring_slot *slot;
	bool is_mixed = false;
	__u32 first, second, pool;
	void *ring;

	if (!p)
		return VERDICT_NO_RING;
	pool = p->pool;
	ring = bpf_map_lookup_elem(&rings, &pool);
	if (!ring)
		return VERDICT_NO_RING;
	slot = ring_row(ring, row);
	if (!slot)
		return VERDICT_NO_RING;
	first = slot->endpoint;
	slot = ring_row(ring, other_row);
	if (!slot)
		return VERDICT_NO_RING;
	second = slot->endpoint;
	if (first != second && endpoint_load(second) < endpoint_load(first)) {
		__u32 swap = first;

		first = second;
		second = swap;
	}
	p->why = WHY_LEAST;
	if (pick_take(p, first, ENDPOINT_READY, &is_mixed) ||
	    pick_take(p, second, ENDPOINT_READY, &is_mixed))
		return STAGE_NEXT;
	return pick_walk(p, row, size);
}

/* STAGE_NEXT: p->endpoint, p->way and p->to.dst are set.  p->is_stable: every later
 * packet of the flow would be given the same, so nothing need be stored. */
__noinline int pick_endpoint(struct packet *p, __u64 ring_seed, __u32 tick)
{
	const struct ring_slot *header, *slot;
	bool is_mid_flow, is_mixed = false, in_grace;
	__u32 pool, zero = 0, size, row;
	__u64 hash;
	void *ring;

	if (!p)
		return VERDICT_NO_RING;
	is_mid_flow = packet_is_mid_flow(p);
	pool = p->pool;
	p->is_stable = false;
	ring = bpf_map_lookup_elem(&rings, &pool);
	if (!ring)
		return VERDICT_NO_RING;
	header = bpf_map_lookup_elem(ring, &zero);
	if (!header || header->size == 0)
		return VERDICT_NO_RING;
	size = header->size;
	in_grace = header->swapped_at && tick - header->swapped_at < RING_GRACE_TICKS;
	hash = hash_flow(&p->key, p->is_ipv6, ring_seed);
	row = hash_scale(hash >> 32, size);
	p->row = row;
	if (p->pick == VIP_PICK_LEAST && !is_mid_flow)
		return pick_least(p, row, hash_scale(hash, size), size);

	slot = ring_row(ring, row);
	if (!slot)
		return VERDICT_NO_RING;
	if (is_mid_flow && in_grace && slot->previous != slot->endpoint &&
	    pick_take(p, slot->previous, ENDPOINT_DRAINING, &is_mixed)) {
		p->why = WHY_PREVIOUS;
		return STAGE_NEXT;
	}
	if (pick_take(p, slot->endpoint, is_mid_flow ? ENDPOINT_DRAINING : ENDPOINT_READY,
		      &is_mixed)) {
		p->why = WHY_RING;
		p->is_stable = !in_grace || slot->previous == slot->endpoint;
		return STAGE_NEXT;
	}
	return pick_walk(p, row, size);
}

#endif
