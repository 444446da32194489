/* SPDX-License-Identifier: BSD-2-Clause */
/* From the desired state to records with ids: what has to be in the maps, and
 * what differs from what is there.
 *
 * Pure.  The maps themselves are the memory of who has which id: an endpoint
 * keeps its id and generation as long as cluster, name, address and port stay,
 * across reloads and across restarts of the controller.  Records of the operator
 * are neither adopted nor touched.
 *
 * A slot that was given back is taken again as late as possible: endpoints take
 * the lowest generation first (a freed slot keeps its own, and a new occupant
 * raises it), the others go round from `cursor`.
 */
#ifndef SLUICE_PUBLISH_PLAN_H
#define SLUICE_PUBLISH_PLAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "maps/layout/contract.h"
#include "maps/layout/endpoint.h"
#include "maps/layout/vip.h"
#include "userspace/base/arena.h"
#include "userspace/sources/message.h"

struct desired;
struct snapshot;

struct plan_vip {
	struct vip_key key;
	struct vip vip;
	bool changed; /* differs from what is observed */
};

/* What is in the maps, of all owners. */
struct plan_observed {
	const struct endpoint *endpoints; /* ENDPOINTS_MAX */
	const struct pool *pools; /* POOLS_MAX */
	const struct cluster *clusters; /* CLUSTERS_MAX */
	const struct admin *admin; /* ADMIN_SLOTS */
	const struct plan_vip *vips;
	size_t vip_count;
};

/* Where to look for the next free slot; start with zeros, hand on from plan to
 * plan. */
struct plan_cursor {
	uint32_t pool, cluster, vip;
};

struct plan_endpoint {
	uint32_t id; /* ENDPOINT_NONE: the table is full, it is left out */
	bool changed;
	bool fresh; /* a new occupant: what was observed of the old one is void */
	struct endpoint record;
};

struct plan_pool {
	uint32_t id;
	bool changed;
	struct pool record;
};

struct plan_cluster {
	uint32_t id;
	bool changed;
	bool fresh;
	struct cluster record; /* rtt_us and observed_at are not the plan's: 0 */
};

/* The first four are parallel to the lists of struct desired. */
struct plan {
	size_t endpoint_count, pool_count, cluster_count, vip_count;
	struct plan_endpoint *endpoints;
	struct plan_pool *pools;
	struct plan_cluster *clusters;
	struct plan_vip *vips; /* key.port 0: the operator has it, it is left out */
	/* given back */
	size_t gone_endpoint_count, gone_pool_count, gone_cluster_count, gone_vip_count;
	uint32_t *gone_endpoints, *gone_pools, *gone_clusters;
	struct plan_vip *gone_vips;
	struct plan_cursor cursor; /* for the next plan */
	struct messages messages;
	struct arena arena; /* owns everything above */
};

/* -ENOSPC, after a message: more pools, clusters or VIPs than the maps hold;
 * -ENOMEM. */
int plan_make(const struct desired *desired, const struct plan_observed *observed,
	      const struct plan_cursor *cursor, struct plan **ret_plan);
void plan_free(struct plan *plan);
static inline void plan_freep(struct plan **plan)
{
	plan_free(*plan);
}

/* Something in the maps has to change. */
bool plan_has_changes(const struct plan *plan);

/* The routes snapshot of the plan; it borrows from `desired`, which must live
 * longer.  -ENOMEM. */
int plan_snapshot(const struct plan *plan, const struct desired *desired, uint64_t generation,
		  uint64_t now_ns, struct snapshot **ret_snapshot);

#endif
