// SPDX-License-Identifier: BSD-2-Clause
/* L4 flows: read only, the kernel programs write them. */
#include "maps/access/maps.h"

#include <bpf/bpf.h>

#include "maps/access/walk.h"
#include "userspace/base/clock.h"

struct flows_walk {
	int (*each)(void *ctx, const struct flow_key *key, const struct nat_flow *flow);
	void *ctx;
};

static int flows_fd(const struct maps *maps, bool reverse)
{
	return maps->fds[reverse ? MAP_NAT_REV : MAP_NAT_FWD];
}

int flows_lookup(const struct maps *maps, bool reverse, const struct flow_key *key,
		 struct nat_flow *ret_flow)
{
	struct nat_flow flow;
	int err = bpf_map_lookup_elem(flows_fd(maps, reverse), key, &flow);

	if (!err)
		*ret_flow = flow;
	return err;
}

static int flow_visit(void *ctx, const void *key, const void *value)
{
	const struct flows_walk *walk = ctx;

	return walk->each(walk->ctx, key, value);
}

int flows_each(const struct maps *maps, bool reverse,
	       int (*each)(void *ctx, const struct flow_key *key, const struct nat_flow *flow),
	       void *ctx)
{
	struct flows_walk walk = {each, ctx};

	return walk_hash(flows_fd(maps, reverse), sizeof(struct flow_key), sizeof(struct nat_flow),
			 NAT_FLOWS_MAX, flow_visit, &walk);
}

bool nat_flow_is_live(const struct maps *maps, const struct nat_flow *flow, uint64_t now_ns)
{
	return flow->endpoint < ENDPOINTS_MAX && flow->state != FLOW_CLOSING &&
	       flow->generation == maps->endpoints[flow->endpoint].generation &&
	       flow->seen_at + NAT_LIVE_S * NS_PER_S > now_ns;
}

struct nat_count {
	const struct maps *maps;
	uint64_t now_ns;
	uint32_t *counts;
	struct nat_client_counts *clients;
};

static int nat_flow_count(void *ctx, const void *key, const void *value)
{
	const struct nat_count *count = ctx;
	const struct nat_flow *flow = value;

	if (count->clients && flow->state != FLOW_CLOSING)
		nat_client_counts_add(count->clients, &((const struct flow_key *)key)->src);
	if (nat_flow_is_live(count->maps, flow, count->now_ns))
		count->counts[flow->endpoint]++;
	return 0;
}

int nat_flows_count_part(const struct maps *maps, struct walk_position *position, uint32_t entries,
			 uint64_t now_ns, uint32_t *counts, struct nat_client_counts *clients)
{
	struct nat_count count = {maps, now_ns, counts, clients};

	return walk_hash_part(flows_fd(maps, false), sizeof(struct flow_key),
			      sizeof(struct nat_flow), NAT_FLOWS_MAX, position, entries,
			      nat_flow_count, &count);
}

int nat_flows_count(const struct maps *maps, uint64_t now_ns, uint32_t *counts)
{
	struct walk_position position = {0};
	int err = 0;

	while (!err && !position.done)
		err = nat_flows_count_part(maps, &position, UINT32_MAX, now_ns, counts, NULL);
	return err;
}
