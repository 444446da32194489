// SPDX-License-Identifier: BSD-2-Clause
/* Three steps a kind of object: find the slot that holds it already, give a free
 * slot to what has none, list the slots of ours that nobody claimed.  Endpoints
 * are looked up in a sorted list, because there may be 16384 of them; the other
 * kinds are few. */
#include "userspace/publish/plan.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "userspace/base/address.h"
#include "userspace/base/cleanup.h"
#include "userspace/base/log.h"
#include "userspace/sources/desired.h"

#define SLOT_NONE UINT32_MAX

enum slot_use { SLOT_FREE, SLOT_LATER, SLOT_TAKEN };

/* ---- slots of pools, clusters and VIPs ---- */

/* The next free slot from *cursor on, going round; slots marked LATER only when
 * no other is left. */
static uint32_t slot_take(uint8_t *uses, uint32_t count, uint32_t *cursor)
{
	for (enum slot_use use = SLOT_FREE; use <= SLOT_LATER; use++) {
		for (uint32_t i = 0; i < count; i++) {
			uint32_t slot = (*cursor + i) % count;

			if (uses[slot] > use)
				continue;
			uses[slot] = SLOT_TAKEN;
			*cursor = (slot + 1) % count;
			return slot;
		}
	}
	return SLOT_NONE;
}

static void name_cut(char *field, size_t size, const char *name)
{
	snprintf(field, size, "%s", name);
}

/* ---- clusters ---- */

static uint32_t cluster_find(const struct plan_observed *observed, const char *name,
			     const uint8_t *uses)
{
	for (uint32_t id = 0; id < CLUSTERS_MAX; id++) {
		if (uses[id] != SLOT_TAKEN && name[0] &&
		    strcmp(observed->clusters[id].name, name) == 0)
			return id;
	}
	return SLOT_NONE;
}

static bool cluster_differs(const struct cluster *a, const struct cluster *b)
{
	return strcmp(a->name, b->name) != 0 || strcmp(a->region, b->region) != 0 ||
	       a->endpoints != b->endpoints;
}

/* What is free now, and what only when nothing else is: a slot that is being
 * given back, and one of whose last cluster the operator has said something. */
static void clusters_mark(const struct plan_observed *observed, uint8_t uses[CLUSTERS_MAX])
{
	for (uint32_t id = 0; id < CLUSTERS_MAX; id++) {
		bool spoken_of = observed->admin[ADMIN_CLUSTER_BASE + id].state != ADMIN_READY;

		if (uses[id] != SLOT_TAKEN && (spoken_of || observed->clusters[id].name[0]))
			uses[id] = SLOT_LATER;
	}
}

static int clusters_plan(struct plan *plan, const struct desired *desired,
			 const struct plan_observed *observed)
{
	uint8_t uses[CLUSTERS_MAX] = {0};

	plan->gone_clusters = arena_alloc(&plan->arena, CLUSTERS_MAX, sizeof(uint32_t));
	if (!plan->gone_clusters)
		return -ENOMEM;
	for (size_t i = 0; i < plan->cluster_count; i++) {
		struct plan_cluster *cluster = &plan->clusters[i];

		name_cut(cluster->record.name, sizeof(cluster->record.name),
			 desired->clusters[i].name);
		name_cut(cluster->record.region, sizeof(cluster->record.region),
			 desired->clusters[i].region);
		cluster->id = cluster_find(observed, cluster->record.name, uses);
		if (cluster->id != SLOT_NONE)
			uses[cluster->id] = SLOT_TAKEN;
	}
	clusters_mark(observed, uses);
	for (size_t i = 0; i < plan->cluster_count; i++) {
		struct plan_cluster *cluster = &plan->clusters[i];

		if (cluster->id != SLOT_NONE)
			continue;
		cluster->fresh = true;
		cluster->id = slot_take(uses, CLUSTERS_MAX, &plan->cursor.cluster);
		if (cluster->id == SLOT_NONE)
			return log_error(-ENOSPC, "cluster %s: the maps hold %d; configure fewer",
					 cluster->record.name, CLUSTERS_MAX);
	}
	for (uint32_t id = 0; id < CLUSTERS_MAX; id++) {
		if (observed->clusters[id].name[0] && uses[id] != SLOT_TAKEN)
			plan->gone_clusters[plan->gone_cluster_count++] = id;
	}
	return 0;
}

/* ---- pools ---- */

static uint32_t pool_find(const struct plan_observed *observed, const char *name,
			  const uint8_t *uses)
{
	for (uint32_t id = 0; id < POOLS_MAX; id++) {
		if (uses[id] != SLOT_TAKEN && observed->pools[id].owner == VIP_OWNER_CONTROLLER &&
		    strcmp(observed->pools[id].name, name) == 0)
			return id;
	}
	return SLOT_NONE;
}

static void pools_mark(const struct plan_observed *observed, uint8_t uses[POOLS_MAX])
{
	for (uint32_t id = 0; id < POOLS_MAX; id++) {
		const struct pool *pool = &observed->pools[id];

		if (uses[id] == SLOT_TAKEN || (!pool->name[0] && pool->owner == VIP_OWNER_NONE))
			continue;
		uses[id] = pool->owner == VIP_OWNER_CONTROLLER ? SLOT_LATER : SLOT_TAKEN;
	}
}

static int pool_place(struct plan *plan, struct plan_pool *pool,
		      const struct plan_observed *observed, uint8_t *uses)
{
	if (pool->id == SLOT_NONE)
		pool->id = slot_take(uses, POOLS_MAX, &plan->cursor.pool);
	if (pool->id == SLOT_NONE)
		return log_error(-ENOSPC, "pool %s: the maps hold %d; name fewer in routes",
				 pool->record.name, POOLS_MAX);
	pool->changed = memcmp(&pool->record, &observed->pools[pool->id], sizeof(pool->record)) !=
			0;
	return 0;
}

static int pools_plan(struct plan *plan, const struct desired *desired,
		      const struct plan_observed *observed)
{
	uint8_t uses[POOLS_MAX] = {0};

	plan->gone_pools = arena_alloc(&plan->arena, POOLS_MAX, sizeof(uint32_t));
	if (!plan->gone_pools)
		return -ENOMEM;
	for (size_t i = 0; i < plan->pool_count; i++) {
		struct plan_pool *pool = &plan->pools[i];

		name_cut(pool->record.name, sizeof(pool->record.name), desired->pools[i].name);
		pool->record.owner = VIP_OWNER_CONTROLLER;
		pool->record.endpoints = (uint32_t)desired->pools[i].endpoint_count;
		/* pools of one name and two kinds: both lists are in order */
		pool->id = pool_find(observed, pool->record.name, uses);
		if (pool->id != SLOT_NONE)
			uses[pool->id] = SLOT_TAKEN;
	}
	pools_mark(observed, uses);
	for (size_t i = 0; i < plan->pool_count; i++) {
		int err = pool_place(plan, &plan->pools[i], observed, uses);

		if (err)
			return err;
	}
	for (uint32_t id = 0; id < POOLS_MAX; id++) {
		if (observed->pools[id].owner == VIP_OWNER_CONTROLLER && uses[id] != SLOT_TAKEN)
			plan->gone_pools[plan->gone_pool_count++] = id;
	}
	return 0;
}

/* ---- endpoints ---- */

/* A slot of the endpoints table as the search sees it. */
struct slot {
	const struct endpoint *record;
	uint32_t id;
};

/* Who it is: cluster, address, port and name. */
static int slot_compare_identity(const void *a, const void *b)
{
	const struct endpoint *one = ((const struct slot *)a)->record;
	const struct endpoint *other = ((const struct slot *)b)->record;
	int order = memcmp(&one->addr, &other->addr, sizeof(one->addr));

	if (!order)
		order = (int)ntohs(one->port) - (int)ntohs(other->port);
	if (!order)
		order = strcmp(one->name, other->name);
	if (!order && one->cluster != other->cluster)
		order = one->cluster < other->cluster ? -1 : 1;
	return order;
}

static int slot_compare_age(const void *a, const void *b)
{
	const struct slot *one = a, *other = b;

	if (one->record->generation != other->record->generation)
		return one->record->generation < other->record->generation ? -1 : 1;
	return one->id < other->id ? -1 : 1;
}

/* Slots of `observed` in two lists: ours by identity, free ones by age. */
struct slots {
	struct slot ours[ENDPOINTS_MAX];
	struct slot free[ENDPOINTS_MAX];
	size_t ours_count, free_count, free_next;
	bool claimed[ENDPOINTS_MAX]; /* by id */
};

static void slots_collect(struct slots *slots, const struct plan_observed *observed)
{
	for (uint32_t id = 0; id < ENDPOINTS_MAX; id++) {
		const struct endpoint *record = &observed->endpoints[id];
		struct slot slot = {record, id};

		if (record->way == WAY_NONE)
			slots->free[slots->free_count++] = slot;
		else if (record->owner == VIP_OWNER_CONTROLLER)
			slots->ours[slots->ours_count++] = slot;
	}
	qsort(slots->ours, slots->ours_count, sizeof(struct slot), slot_compare_identity);
	qsort(slots->free, slots->free_count, sizeof(struct slot), slot_compare_age);
}

static const struct slot *slots_find(const struct slots *slots, const struct endpoint *record)
{
	const struct slot key = {record, 0};
	const struct slot *slot = bsearch(&key, slots->ours, slots->ours_count, sizeof(struct slot),
					  slot_compare_identity);

	return slot && !slots->claimed[slot->id] ? slot : NULL;
}

static uint32_t generation_after(uint32_t generation)
{
	return generation == UINT32_MAX ? 1 : generation + 1; /* 0 means any */
}

static struct endpoint endpoint_record(const struct plan *plan,
				       const struct desired_endpoint *endpoint)
{
	struct endpoint record = {
		.addr = endpoint->addr,
		.port = htons(endpoint->port),
		.way = WAY_NAT,
		.owner = VIP_OWNER_CONTROLLER,
		.cluster = plan->clusters[endpoint->cluster].id,
		.pool = plan->pools[endpoint->pool].id,
	};

	name_cut(record.name, sizeof(record.name), endpoint->name);
	name_cut(record.zone, sizeof(record.zone), endpoint->zone);
	return record;
}

/* Keeps the slot of whoever has one already. */
static void endpoint_keep(struct plan_endpoint *endpoint, struct slots *slots)
{
	const struct slot *slot = slots_find(slots, &endpoint->record);

	endpoint->id = ENDPOINT_NONE;
	if (!slot)
		return;
	slots->claimed[slot->id] = true;
	endpoint->id = slot->id;
	endpoint->record.generation = slot->record->generation;
	endpoint->changed = memcmp(&endpoint->record, slot->record, sizeof(endpoint->record)) != 0;
}

static bool endpoint_place(struct plan_endpoint *endpoint, struct slots *slots)
{
	const struct slot *slot;

	if (slots->free_next == slots->free_count)
		return false;
	slot = &slots->free[slots->free_next++];
	slots->claimed[slot->id] = true;
	endpoint->id = slot->id;
	endpoint->record.generation = generation_after(slot->record->generation);
	endpoint->changed = true;
	endpoint->fresh = true;
	return true;
}

/* Slots that are being given back serve last, when no other is free. */
static void slots_reclaim(struct slots *slots)
{
	size_t first = slots->free_count;

	for (size_t i = 0; i < slots->ours_count; i++) {
		if (!slots->claimed[slots->ours[i].id])
			slots->free[slots->free_count++] = slots->ours[i];
	}
	qsort(slots->free + first, slots->free_count - first, sizeof(struct slot),
	      slot_compare_age);
}

static int endpoints_plan(struct plan *plan, const struct desired *desired,
			  const struct plan_observed *observed)
{
	_cleanup_free_ struct slots *slots = calloc(1, sizeof(*slots));
	size_t left_out = 0;

	plan->gone_endpoints = arena_alloc(&plan->arena, ENDPOINTS_MAX, sizeof(uint32_t));
	if (!slots || !plan->gone_endpoints)
		return -ENOMEM;
	slots_collect(slots, observed);
	for (size_t i = 0; i < plan->endpoint_count; i++) {
		plan->endpoints[i].record = endpoint_record(plan, &desired->endpoints[i]);
		endpoint_keep(&plan->endpoints[i], slots);
	}
	slots_reclaim(slots);
	for (size_t i = 0; i < plan->endpoint_count; i++) {
		if (plan->endpoints[i].id == ENDPOINT_NONE &&
		    !endpoint_place(&plan->endpoints[i], slots))
			left_out++;
	}
	if (left_out)
		message_add(&plan->messages, &plan->arena, LOG_LEVEL_ERROR,
			    "%zu of %zu endpoints are left out: the maps hold %d, with those of "
			    "the operator; remove pods or pools",
			    left_out, plan->endpoint_count, ENDPOINTS_MAX);
	for (size_t i = 0; i < slots->ours_count; i++) {
		if (!slots->claimed[slots->ours[i].id])
			plan->gone_endpoints[plan->gone_endpoint_count++] = slots->ours[i].id;
	}
	return 0;
}

static void clusters_count(struct plan *plan, const struct desired *desired,
			   const struct plan_observed *observed)
{
	for (size_t i = 0; i < plan->endpoint_count; i++) {
		if (plan->endpoints[i].id != ENDPOINT_NONE)
			plan->clusters[desired->endpoints[i].cluster].record.endpoints++;
	}
	for (size_t i = 0; i < plan->cluster_count; i++) {
		struct plan_cluster *cluster = &plan->clusters[i];

		cluster->changed =
			cluster_differs(&cluster->record, &observed->clusters[cluster->id]);
	}
}

/* ---- VIPs ---- */

static const struct plan_vip *vip_find(const struct plan_observed *observed,
				       const struct vip_key *key)
{
	for (size_t i = 0; i < observed->vip_count; i++) {
		if (memcmp(&observed->vips[i].key, key, sizeof(*key)) == 0)
			return &observed->vips[i];
	}
	return NULL;
}

static bool vip_is_planned(const struct plan *plan, const struct vip_key *key)
{
	for (size_t i = 0; i < plan->vip_count; i++) {
		if (memcmp(&plan->vips[i].key, key, sizeof(*key)) == 0)
			return true;
	}
	return false;
}

static void vip_keep(struct plan *plan, struct plan_vip *vip, const struct plan_vip *old)
{
	char text[ADDRESS_TEXT_MAX];

	if (old->vip.owner != VIP_OWNER_CONTROLLER) {
		message_add(&plan->messages, &plan->arena, LOG_LEVEL_ERROR,
			    "VIP %s: a Gateway asks for it, but the operator has added it by "
			    "hand; remove it with 'sluicectl vip remove' or change the Gateway",
			    address_port_format(&vip->key.addr, ntohs(vip->key.port), text));
		memset(&vip->key, 0, sizeof(vip->key));
		return;
	}
	vip->vip.id = old->vip.id;
	vip->vip.flags = old->vip.flags;
	vip->changed = memcmp(&vip->vip, &old->vip, sizeof(vip->vip)) != 0;
}

static struct plan_vip vip_wanted(const struct desired_vip *vip)
{
	return (struct plan_vip){
		.key = {.addr = vip->addr, .port = htons(vip->port), .proto = IPPROTO_TCP},
		.vip = {.id = SLOT_NONE,
			.pool = POOL_NONE,
			.mode = VIP_MODE_L7,
			.owner = VIP_OWNER_CONTROLLER},
	};
}

static void vips_mark(struct plan *plan, const struct plan_observed *observed,
		      uint8_t uses[VIPS_MAX])
{
	for (size_t i = 0; i < observed->vip_count; i++) {
		const struct plan_vip *old = &observed->vips[i];
		bool gone = old->vip.owner == VIP_OWNER_CONTROLLER &&
			    !vip_is_planned(plan, &old->key);

		if (old->vip.id < VIPS_MAX)
			uses[old->vip.id] = gone ? SLOT_LATER : SLOT_TAKEN;
		if (gone)
			plan->gone_vips[plan->gone_vip_count++] = *old;
	}
}

static int vips_plan(struct plan *plan, const struct desired *desired,
		     const struct plan_observed *observed)
{
	uint8_t uses[VIPS_MAX] = {0};

	plan->gone_vips = arena_alloc(&plan->arena, observed->vip_count, sizeof(struct plan_vip));
	if (!plan->gone_vips)
		return -ENOMEM;
	for (size_t i = 0; i < plan->vip_count; i++) {
		struct plan_vip *vip = &plan->vips[i];
		const struct plan_vip *old;

		*vip = vip_wanted(&desired->vips[i]);
		old = vip_find(observed, &vip->key);
		if (old)
			vip_keep(plan, vip, old);
	}
	vips_mark(plan, observed, uses);
	for (size_t i = 0; i < plan->vip_count; i++) {
		struct plan_vip *vip = &plan->vips[i];

		if (vip->vip.id != SLOT_NONE || !vip->key.port)
			continue;
		vip->changed = true;
		vip->vip.id = slot_take(uses, VIPS_MAX, &plan->cursor.vip);
		if (vip->vip.id == SLOT_NONE)
			return log_error(-ENOSPC, "the maps hold %d VIPs; use fewer listeners",
					 VIPS_MAX);
	}
	return 0;
}

/* ---- the whole ---- */

static int plan_alloc(struct plan *plan, const struct desired *desired)
{
	struct arena *arena = &plan->arena;

	plan->endpoint_count = desired->endpoint_count;
	plan->pool_count = desired->pool_count;
	plan->cluster_count = desired->cluster_count;
	plan->vip_count = desired->vip_count;
	plan->endpoints = arena_alloc(arena, plan->endpoint_count, sizeof(*plan->endpoints));
	plan->pools = arena_alloc(arena, plan->pool_count, sizeof(*plan->pools));
	plan->clusters = arena_alloc(arena, plan->cluster_count, sizeof(*plan->clusters));
	plan->vips = arena_alloc(arena, plan->vip_count, sizeof(*plan->vips));
	return plan->endpoints && plan->pools && plan->clusters && plan->vips ? 0 : -ENOMEM;
}

int plan_make(const struct desired *desired, const struct plan_observed *observed,
	      const struct plan_cursor *cursor, struct plan **ret_plan)
{
	_cleanup_(plan_freep) struct plan *plan = calloc(1, sizeof(*plan));
	int err;

	if (!plan)
		return -ENOMEM;
	plan->cursor = *cursor;
	err = plan_alloc(plan, desired);
	if (!err)
		err = clusters_plan(plan, desired, observed);
	if (!err)
		err = pools_plan(plan, desired, observed);
	if (!err)
		err = endpoints_plan(plan, desired, observed);
	if (!err)
		err = vips_plan(plan, desired, observed);
	if (err)
		return err;
	clusters_count(plan, desired, observed);
	*ret_plan = TAKE_PTR(plan);
	return 0;
}

void plan_free(struct plan *plan)
{
	if (!plan)
		return;
	arena_deinit(&plan->arena);
	free(plan);
}

bool plan_has_changes(const struct plan *plan)
{
	bool changes = plan->gone_endpoint_count || plan->gone_pool_count ||
		       plan->gone_cluster_count || plan->gone_vip_count;

	for (size_t i = 0; i < plan->endpoint_count; i++)
		changes |= plan->endpoints[i].changed;
	for (size_t i = 0; i < plan->pool_count; i++)
		changes |= plan->pools[i].changed;
	for (size_t i = 0; i < plan->cluster_count; i++)
		changes |= plan->clusters[i].changed;
	for (size_t i = 0; i < plan->vip_count; i++)
		changes |= plan->vips[i].changed;
	return changes;
}
