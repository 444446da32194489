/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* May an endpoint have this packet?  The truth table over what the operator wants
 * and what probes saw, looked up live for every packet; UNKNOWN health serves.  The
 * clock is asked only where a drain has a deadline.  It is a call with a frame of its
 * own: inline it widened every frame of the longest chain, beyond 6.1's 512 bytes. */
#ifndef SLUICE_BPF_STAGE_STATE_H
#define SLUICE_BPF_STAGE_STATE_H

#include "bpf/maps.h"
#include "bpf/stage/packet.h"

enum endpoint_state { ENDPOINT_READY, ENDPOINT_DRAINING, ENDPOINT_OUT };

/* What the operator wants of an endpoint's slot or a cluster's. */
static __always_inline __u32 admin_state(__u32 slot, __u32 generation)
{
	const struct admin *record = bpf_map_lookup_elem(&admin, &slot);

	if (!record || record->generation != generation)
		return ADMIN_READY;
	if (record->state == ADMIN_DRAIN && record->drain_until &&
	    bpf_ktime_get_coarse_ns() >= record->drain_until)
		return ADMIN_MAINT;
	return record->state;
}

static __noinline enum endpoint_state endpoint_state(const struct endpoint *endpoint, __u32 id)
{
	const struct health *seen = bpf_map_lookup_elem(&health, &id);
	__u32 own = admin_state(id, endpoint->generation);
	__u32 cluster = ADMIN_READY;

	if (endpoint->cluster < CLUSTERS_MAX) /* an operator's endpoint has none */
		cluster = admin_state(ADMIN_CLUSTER_BASE + endpoint->cluster, 0);

	if (own >= ADMIN_MAINT || cluster >= ADMIN_MAINT)
		return ENDPOINT_OUT;
	if (seen && seen->state == HEALTH_DOWN && seen->generation == endpoint->generation)
		return ENDPOINT_OUT;
	if (own == ADMIN_DRAIN || cluster == ADMIN_DRAIN)
		return ENDPOINT_DRAINING;
	return ENDPOINT_READY;
}

/* One flow more, or less, that the endpoint has (maps/layout/endpoint.h). */
static __always_inline void opens_add(__u32 id, int difference)
{
	struct opens *opens_ = bpf_map_lookup_elem(&opens, &id);

	if (opens_)
		__sync_fetch_and_add(&opens_->count, difference);
}

#endif
