/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Stage 4, new flows only: an endpoint from the pool's Maglev ring.
 *
 * The row is a hash of the 5-tuple with the configured seed, so gateways that
 * share seed and ring agree without talking.  The ring says what the pool is;
 * admin and health say live whether the endpoint there may take a new flow.  If
 * it may not, following rows are tried: they are as good as random, and the
 * flows of one bad endpoint spread over all others.
 */
#ifndef SLUICE_BPF_STAGE_PICK_H
#define SLUICE_BPF_STAGE_PICK_H

#include "bpf/maps.h"
#include "bpf/stage/packet.h"

/* With 9 of 10 endpoints out the chance that all rows miss is 0.9^128, 1e-6. */
#define PICK_ROWS_MAX 128

/* Mixes the 40 bytes of a 5-tuple; every input bit reaches the upper half.
 * Ring rows depend on it: a change is a change of every gateway's picks. */
static __always_inline __u32 flow_hash(const struct flow_key *key, __u64 seed)
{
	const __u64 *words = (const __u64 *)key;
	__u64 hash = seed;

#pragma unroll
	for (int i = 0; i < (int)(sizeof(*key) / sizeof(*words)); i++) {
		hash = (hash ^ words[i]) * 0x9e3779b97f4a7c15ull;
		hash ^= hash >> 32;
	}
	return hash >> 32 ^ hash;
}

enum endpoint_state { ENDPOINT_READY, ENDPOINT_DRAINING, ENDPOINT_OUT };

/* What the operator wants of an endpoint's slot or a cluster's. */
static __always_inline __u32 admin_state(__u32 slot, __u32 generation)
{
	const struct admin *record = bpf_map_lookup_elem(&admin, &slot);

	if (!record || record->generation != generation)
		return ADMIN_READY;
	return record->state;
}

/* The truth table over admin and health; UNKNOWN health serves. */
static __always_inline enum endpoint_state endpoint_state(const struct endpoint *endpoint, __u32 id)
{
	const struct health *seen = bpf_map_lookup_elem(&health, &id);
	__u32 own = admin_state(id, endpoint->generation);
	__u32 cluster = ADMIN_READY;

	if (endpoint->cluster < CLUSTERS_MAX) /* an operator's endpoint has none */
		cluster = admin_state(ADMIN_CLUSTER_BASE + endpoint->cluster, 0);

	if (own == ADMIN_MAINT || cluster == ADMIN_MAINT)
		return ENDPOINT_OUT;
	if (seen && seen->state == HEALTH_DOWN && seen->generation == endpoint->generation)
		return ENDPOINT_OUT;
	if (own == ADMIN_DRAIN || cluster == ADMIN_DRAIN)
		return ENDPOINT_DRAINING;
	return ENDPOINT_READY;
}

static __always_inline bool address_is_ipv6(const struct ip_addr *addr)
{
	return addr->words[0] || addr->words[1] || addr->words[2] != bpf_htonl(0xffff);
}

struct pick {
	struct packet *packet;
	__u32 row; /* the first to look at */
	__u32 size;
	int verdict; /* STAGE_NEXT: packet has its endpoint */
};

/* 1: done, one way or the other; 0: look at the next row. */
static long pick_row(__u32 index, struct pick *pick)
{
	struct packet *p = pick->packet;
	const struct ring_slot *slot;
	const struct endpoint *endpoint;
	__u32 pool = p->pool;
	__u32 row, id;
	void *ring;

	ring = bpf_map_lookup_elem(&rings, &pool);
	if (!ring)
		return 1;
	row = 1 + (pick->row + index) % pick->size;
	slot = bpf_map_lookup_elem(ring, &row);
	if (!slot)
		return 1;
	id = slot->endpoint;
	endpoint = bpf_map_lookup_elem(&endpoints, &id);
	if (!endpoint || endpoint->way != WAY_NAT || endpoint->pool != pool)
		return 0;
	if (address_is_ipv6(&endpoint->addr) != p->is_ipv6) {
		pick->verdict = VERDICT_FAMILY_MISMATCH;
		return 0;
	}
	if (endpoint_state(endpoint, id) != ENDPOINT_READY)
		return 0;
	p->endpoint = id;
	p->generation = endpoint->generation;
	p->to.dst = endpoint->addr;
	p->to.dst_port = endpoint->port;
	pick->verdict = STAGE_NEXT;
	return 1;
}

/* STAGE_NEXT: p->endpoint and p->to.dst are set. */
static __noinline int pick_endpoint(struct packet *p, __u64 ring_seed)
{
	struct pick pick = {.packet = p, .verdict = VERDICT_NO_ENDPOINT};
	const struct ring_slot *header;
	__u32 pool = p->pool, zero = 0;
	void *ring;

	ring = bpf_map_lookup_elem(&rings, &pool);
	if (!ring)
		return VERDICT_NO_RING;
	header = bpf_map_lookup_elem(ring, &zero);
	if (!header || header->size == 0)
		return VERDICT_NO_RING;
	pick.size = header->size;
	pick.row = flow_hash(&p->key, ring_seed) % pick.size;
	bpf_loop(PICK_ROWS_MAX, pick_row, &pick, 0);
	return pick.verdict;
}

#endif
