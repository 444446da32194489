// SPDX-License-Identifier: BSD-2-Clause
/* The only writer of controller-owned records.  A slot changes its occupant while
 * its `way` says that it is free, and `way` is stored last, so a reader that sees
 * it in use sees the new record; one that copied the old record before notices by
 * the generation. */
#include "userspace/publish/apply.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "maps/access/maps.h"
#include "userspace/base/address.h"
#include "userspace/base/cleanup.h"
#include "userspace/base/clock.h"
#include "userspace/base/log.h"
#include "userspace/publish/snapshot.h"
#include "userspace/publish/vip_address.h"

/* ---- reading ---- */

struct vip_collector {
	struct plan_vip *vips;
	size_t count, room;
};

static int vip_collect(void *ctx, const struct vip_key *key, const struct vip *vip)
{
	struct vip_collector *collector = ctx;

	if (collector->count == collector->room) {
		size_t room = collector->room ? collector->room * 2 : 16;
		struct plan_vip *vips =
			reallocarray(collector->vips, room, sizeof(*collector->vips));

		if (!vips)
			return -ENOMEM;
		collector->vips = vips;
		collector->room = room;
	}
	collector->vips[collector->count++] = (struct plan_vip){.key = *key, .vip = *vip};
	return 0;
}

int apply_view_read(const struct maps *maps, struct apply_view *ret_view)
{
	struct vip_collector collector = {0};
	int err = vips_each(maps, vip_collect, &collector);

	if (err) {
		free(collector.vips);
		return log_error(err, "vips: cannot read the map (%s)", strerror(-err));
	}
	*ret_view = (struct apply_view){
		.observed = {.endpoints = maps->endpoints,
			     .pools = maps->pools,
			     .clusters = maps->clusters,
			     .admin = maps->admin,
			     .vips = collector.vips,
			     .vip_count = collector.count},
		.vips = collector.vips,
	};
	return 0;
}

void apply_view_deinit(struct apply_view *view)
{
	free(view->vips);
	memset(view, 0, sizeof(*view));
}

/* ---- arrays ---- */

static void way_store(struct endpoint *slot, uint8_t way)
{
	__atomic_store_n(&slot->way, way, __ATOMIC_RELEASE);
}

/* Ids that get a new occupant are free first, and swept out of the flow table: its
 * slots would send another one's flows there. */
static int fresh_forget(const struct maps *maps, const struct plan *plan)
{
	_cleanup_free_ uint32_t *ids = calloc(plan->endpoint_count + 1, sizeof(*ids));
	size_t count = 0;

	if (!ids)
		return log_error(-ENOMEM, "endpoints: out of memory");
	for (size_t i = 0; i < plan->endpoint_count; i++) {
		const struct plan_endpoint *endpoint = &plan->endpoints[i];

		if (!endpoint->fresh || endpoint->id == ENDPOINT_NONE)
			continue;
		way_store(&maps->endpoints[endpoint->id], WAY_NONE);
		ids[count++] = endpoint->id;
	}
	flow_table_forget_all(maps, ids, count, clock_tick());
	return 0;
}

static void endpoint_store(const struct maps *maps, const struct plan_endpoint *endpoint)
{
	struct endpoint *slot = &maps->endpoints[endpoint->id];
	struct endpoint record = endpoint->record;
	uint8_t way = record.way;

	if (endpoint->fresh) {
		maps->health[endpoint->id] = (struct health){.generation = record.generation};
		maps->load[endpoint->id] = (struct load){.generation = record.generation};
		record.way = WAY_NONE;
	}
	/* address, port and generation of a kept slot are the same: no reader
	 * can see half of a move */
	*slot = record;
	way_store(slot, way);
}

/* Keeps what probes know of a cluster that stays. */
static void cluster_store(const struct maps *maps, const struct plan_cluster *cluster)
{
	struct cluster *slot = &maps->clusters[cluster->id];
	struct cluster record = cluster->record;

	if (!cluster->fresh) {
		record.rtt_us = slot->rtt_us;
		record.observed_at = slot->observed_at;
	}
	*slot = record;
}

static int records_store(const struct maps *maps, const struct plan *plan)
{
	int err = fresh_forget(maps, plan);

	if (err)
		return err;
	for (size_t i = 0; i < plan->cluster_count; i++) {
		if (plan->clusters[i].changed)
			cluster_store(maps, &plan->clusters[i]);
	}
	for (size_t i = 0; i < plan->pool_count; i++) {
		if (plan->pools[i].changed)
			maps->pools[plan->pools[i].id] = plan->pools[i].record;
	}
	for (size_t i = 0; i < plan->endpoint_count; i++) {
		if (plan->endpoints[i].changed && plan->endpoints[i].id != ENDPOINT_NONE)
			endpoint_store(maps, &plan->endpoints[i]);
	}
	return 0;
}

/* A freed endpoint keeps its generation: the next occupant counts on from it. */
static void records_remove(const struct maps *maps, const struct plan *plan)
{
	for (size_t i = 0; i < plan->gone_endpoint_count; i++)
		way_store(&maps->endpoints[plan->gone_endpoints[i]], WAY_NONE);
	flow_table_forget_all(maps, plan->gone_endpoints, plan->gone_endpoint_count, clock_tick());
	for (size_t i = 0; i < plan->gone_pool_count; i++)
		maps->pools[plan->gone_pools[i]] = (struct pool){0};
	for (size_t i = 0; i < plan->gone_cluster_count; i++)
		maps->clusters[plan->gone_clusters[i]] = (struct cluster){0};
}

/* ---- VIPs ---- */

static int vip_fault(const struct plan_vip *vip, int err, const char *what)
{
	char text[ADDRESS_TEXT_MAX];

	return log_error(err, "VIP %s: cannot %s the map (%s)",
			 address_port_format(&vip->key.addr, ntohs(vip->key.port), text), what,
			 strerror(-err));
}

/* Another port of an address that we put on lo: it is ours together. */
static bool address_is_ours(const struct plan_vip *vips, size_t count, const struct ip_addr *addr)
{
	for (size_t i = 0; i < count; i++) {
		if (vips[i].key.port && vips[i].vip.flags & VIP_F_ADDRESS_ADDED &&
		    address_equal(&vips[i].key.addr, addr))
			return true;
	}
	return false;
}

static int vip_store(const struct maps *maps, const struct plan *plan,
		     const struct apply_view *view, size_t index)
{
	struct plan_vip *vip = &plan->vips[index];
	bool added = false;
	int err = vip_address_add(&vip->key.addr, &added);

	if (err)
		return err;
	if (added || address_is_ours(plan->vips, index, &vip->key.addr) ||
	    address_is_ours(view->vips, view->observed.vip_count, &vip->key.addr)) {
		vip->changed |= !(vip->vip.flags & VIP_F_ADDRESS_ADDED);
		vip->vip.flags |= VIP_F_ADDRESS_ADDED;
	}
	if (!vip->changed)
		return 0;
	err = vips_put(maps, &vip->key, &vip->vip);
	return err ? vip_fault(vip, err, "write it into") : 0;
}

static int vip_remove(const struct maps *maps, const struct plan *plan, const struct plan_vip *gone)
{
	int err = vips_remove(maps, &gone->key);

	if (err && err != -ENOENT)
		return vip_fault(gone, err, "remove it from");
	if (gone->vip.flags & VIP_F_ADDRESS_ADDED &&
	    !address_is_ours(plan->vips, plan->vip_count, &gone->key.addr))
		return vip_address_remove(&gone->key.addr);
	return 0;
}

static void first_error(int *first, int err)
{
	if (!*first)
		*first = err;
}

int apply_addresses(const struct maps *maps, const struct plan *plan, const struct apply_view *view)
{
	int err = 0;

	for (size_t i = 0; i < plan->vip_count; i++) {
		if (plan->vips[i].key.port)
			first_error(&err, vip_store(maps, plan, view, i));
	}
	return err;
}

int apply_plan(const struct maps *maps, const struct plan *plan, const struct apply_view *view,
	       const struct snapshot *snapshot, const char *snapshot_path)
{
	int err;

	err = records_store(maps, plan);
	if (err)
		return err;
	err = snapshot_write(snapshot, snapshot_path);
	if (err)
		return err;
	err = apply_addresses(maps, plan, view);
	for (size_t i = 0; i < plan->gone_vip_count; i++)
		first_error(&err, vip_remove(maps, plan, &plan->gone_vips[i]));
	records_remove(maps, plan);
	return err;
}
