// SPDX-License-Identifier: BSD-2-Clause
/* The plan's other half: routes, names and ids for the proxy.  The snapshot keeps
 * the order of pools and listeners of the desired state, so its routes are used
 * as they are. */
#include "userspace/publish/plan.h"

#include <errno.h>

#include "userspace/base/cleanup.h"
#include "userspace/publish/snapshot.h"
#include "userspace/sources/desired.h"

static int clusters_copy(struct snapshot *snapshot, const struct plan *plan,
			 const struct desired *desired)
{
	snapshot->clusters =
		snapshot_alloc(snapshot, plan->cluster_count, sizeof(*snapshot->clusters));
	if (!snapshot->clusters)
		return -ENOMEM;
	snapshot->cluster_count = plan->cluster_count;
	for (size_t i = 0; i < plan->cluster_count; i++)
		snapshot->clusters[i] = (struct snapshot_cluster){
			.id = plan->clusters[i].id,
			.name = desired->clusters[i].name,
			.region = desired->clusters[i].region,
		};
	return 0;
}

static int pool_copy(struct snapshot *snapshot, const struct plan *plan,
		     const struct desired *desired, size_t index)
{
	const struct desired_pool *from = &desired->pools[index];
	struct snapshot_pool *to = &snapshot->pools[index];

	to->id = plan->pools[index].id;
	to->name = from->name;
	to->kind = from->kind;
	to->drain_timeout_ms = from->drain_timeout_ms;
	to->rewrite_count = from->rewrite_count;
	to->rewrites = from->rewrites;
	to->endpoints = snapshot_alloc(snapshot, from->endpoint_count, sizeof(*to->endpoints));
	if (!to->endpoints)
		return -ENOMEM;
	for (size_t i = 0; i < from->endpoint_count; i++) {
		const struct plan_endpoint *endpoint = &plan->endpoints[from->endpoints[i]];

		if (endpoint->id == ENDPOINT_NONE)
			continue;
		to->endpoints[to->endpoint_count++] = (struct snapshot_endpoint){
			.id = endpoint->id,
			.generation = endpoint->record.generation,
			.cluster = desired->endpoints[from->endpoints[i]].cluster,
		};
	}
	return 0;
}

static int pools_copy(struct snapshot *snapshot, const struct plan *plan,
		      const struct desired *desired)
{
	snapshot->pools = snapshot_alloc(snapshot, plan->pool_count, sizeof(*snapshot->pools));
	if (!snapshot->pools)
		return -ENOMEM;
	snapshot->pool_count = plan->pool_count;
	for (size_t i = 0; i < plan->pool_count; i++) {
		int err = pool_copy(snapshot, plan, desired, i);

		if (err)
			return err;
	}
	return 0;
}

static int listeners_copy(struct snapshot *snapshot, const struct desired *desired)
{
	snapshot->listeners =
		snapshot_alloc(snapshot, desired->listener_count, sizeof(*snapshot->listeners));
	if (!snapshot->listeners)
		return -ENOMEM;
	snapshot->listener_count = desired->listener_count;
	for (size_t i = 0; i < desired->listener_count; i++) {
		const struct desired_listener *from = &desired->listeners[i];

		snapshot->listeners[i] = (struct snapshot_listener){
			.gateway = from->gateway,
			.name = from->name,
			.addr = desired->vips[from->vip].addr,
			.port = desired->vips[from->vip].port,
			.hostname = from->hostname,
		};
	}
	return 0;
}

static int objectives_copy(struct snapshot *snapshot, const struct desired *desired)
{
	snapshot->objectives =
		snapshot_alloc(snapshot, desired->objective_count, sizeof(*snapshot->objectives));
	snapshot->base_models =
		snapshot_alloc(snapshot, desired->base_model_count, sizeof(*snapshot->base_models));
	if (!snapshot->objectives || !snapshot->base_models)
		return -ENOMEM;
	snapshot->objective_count = desired->objective_count;
	snapshot->base_model_count = desired->base_model_count;
	for (size_t i = 0; i < desired->objective_count; i++) {
		const struct desired_objective *from = &desired->objectives[i];

		snapshot->objectives[i] = (struct snapshot_objective){
			.name = from->name,
			.namespace_ = from->namespace_,
			.pool = from->pool,
			.priority = from->priority,
		};
	}
	for (size_t i = 0; i < desired->base_model_count; i++)
		snapshot->base_models[i] = (struct snapshot_base_model){
			.model = desired->base_models[i].model,
			.base = desired->base_models[i].base,
		};
	return 0;
}

int plan_snapshot(const struct plan *plan, const struct desired *desired, uint64_t generation,
		  uint64_t now_ns, struct snapshot **ret_snapshot)
{
	_cleanup_(snapshot_freep) struct snapshot *snapshot = NULL;
	int err = snapshot_new(&snapshot);

	if (!err)
		err = clusters_copy(snapshot, plan, desired);
	if (!err)
		err = pools_copy(snapshot, plan, desired);
	if (!err)
		err = listeners_copy(snapshot, desired);
	if (!err)
		err = objectives_copy(snapshot, desired);
	if (err)
		return err;
	snapshot->generation = generation;
	snapshot->written_at = now_ns;
	snapshot->routes = desired->routes;
	snapshot->route_count = desired->route_count;
	*ret_snapshot = TAKE_PTR(snapshot);
	return 0;
}
