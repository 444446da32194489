// SPDX-License-Identifier: BSD-2-Clause
/* Endpoints: what was asked for beside what was observed, and what follows. */
#include "maps/cli/view.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

#include "maps/cli/remaining.h"
#include "maps/cli/target.h"
#include "userspace/base/address.h"
#include "userspace/base/cleanup.h"
#include "userspace/base/log.h"

static const struct column columns[] = {
	{"id", COLUMN_NUMBER, .identity = true, .about = "index into maps endpoints, health, ..."},
	{"endpoint", COLUMN_TEXT, .identity = true, .about = "namespace/pod"},
	{"address", COLUMN_TEXT, .identity = true, .about = "address and port"},
	{"cluster", COLUMN_TEXT, .about = "where it runs"},
	{"pool", COLUMN_TEXT, .about = "what it belongs to"},
	{"way", COLUMN_TEXT, .about = "how L4 packets reach it: nat, ipip, gue or l2"},
	{"use", COLUMN_TEXT, .about = "what follows: usable, draining, down or maint"},
	{"admin", COLUMN_TEXT, .about = "asked for: READY, DRAIN or MAINT"},
	{"cluster_admin", COLUMN_TEXT, .about = "asked for of its cluster"},
	{"drain_left", COLUMN_AGE,
	 .about = "until the deadline of its drain, or of its cluster's; 0: over, so maint"},
	{"health", COLUMN_TEXT, .about = "observed by probes: UNKNOWN, UP or DOWN"},
	{"reason", COLUMN_TEXT, .about = "of the last probe"},
	{"since", COLUMN_AGE, .about = "since health last changed"},
	{"probed", COLUMN_AGE, .wide = true, .about = "since the last probe ended"},
	{"waiting", COLUMN_NUMBER, .about = "requests queued in the engine, by the last sample"},
	{"running", COLUMN_NUMBER, .about = "requests in its batch"},
	{"kv", COLUMN_PERMILLE, .about = "KV cache in use"},
	{"sampled", COLUMN_AGE, .about = "since that sample was taken"},
	{"in_flight", COLUMN_NUMBER, .about = "requests that this gateway has there"},
	{"no_byte_yet", COLUMN_NUMBER, .wide = true,
	 .about = "of these: no byte of the answer has come"},
	{"flows", COLUMN_NUMBER, .about = "live L4 flows, from the NAT and the flow table"},
	{"opened", COLUMN_COUNTER, .wide = true,
	 .about = "L4 flows that VIPs with pick least gave to it"},
	{"server_id", COLUMN_NUMBER, .wide = true, .about = "in QUIC connection ids"},
	{"packets", COLUMN_COUNTER, .wide = true, .about = "L4 packets sent on to it"},
	{"bytes", COLUMN_COUNTER, .wide = true, .about = "of these packets"},
};

/* What is looked up once for all rows. */
struct known {
	struct flow_counts *flows;
	uint32_t server_ids[ENDPOINTS_MAX]; /* by endpoint; 0: none */
};

static void known_free(struct known **known)
{
	if (*known)
		free((*known)->flows);
	free(*known);
}

static int server_id_note(void *ctx, const struct cid_key *key, const struct cid *cid)
{
	struct known *known = ctx;

	if (cid->endpoint < ENDPOINTS_MAX)
		known->server_ids[cid->endpoint] = key->server_id;
	return 0;
}

static int known_read(const struct maps *maps, const struct view_now *now, struct known **ret_known)
{
	_cleanup_(known_free) struct known *known = calloc(1, sizeof(*known));
	int err;

	if (!known)
		return log_error(-ENOMEM, "endpoints: out of memory");
	err = flow_counts_read(maps, now->monotonic_ns, now->tick, &known->flows);
	if (err)
		return err;
	err = cids_each(maps, server_id_note, known);
	if (err)
		return log_error(err, "cids: cannot walk the map (%s)", strerror(-err));
	*ret_known = TAKE_PTR(known);
	return 0;
}

static void identity_push(const struct maps *maps, uint32_t id, struct table *table)
{
	const struct endpoint *endpoint = &maps->endpoints[id];
	char address[ADDRESS_TEXT_MAX];

	table_push_number(table, id);
	view_push_name(table, endpoint->name, sizeof(endpoint->name));
	table_push_text(table,
			address_port_format(&endpoint->addr, ntohs(endpoint->port), address));
	view_push_cluster(table, maps, endpoint->cluster);
	view_push_pool(table, maps, endpoint->pool);
	view_push_way(table, endpoint->way);
}

static void states_push(const struct maps *maps, uint32_t id, const struct view_now *now,
			struct table *table)
{
	uint32_t cluster = maps->endpoints[id].cluster;
	struct health health = endpoint_health(maps, id);

	table_push_text(table, endpoint_use_name(endpoint_use(maps, id, 0)));
	table_push_text(table, admin_state_name((uint8_t)endpoint_admin(maps, id)));
	if (cluster < CLUSTERS_MAX)
		table_push_text(table, admin_state_name((uint8_t)cluster_admin(maps, cluster)));
	else
		table_push_none(table);
	view_push_left(table, endpoint_drain_until(maps, id), now->monotonic_ns);
	table_push_text(table, health_state_name(health.state));
	table_push_text(table, health_reason_name(health.reason));
	view_push_age(table, health.since, now->realtime_ns);
	view_push_age(table, health.probed_at, now->realtime_ns);
}

/* A sample that was never taken has no numbers. */
static void load_push(const struct maps *maps, uint32_t id, const struct view_now *now,
		      struct table *table)
{
	struct load load = endpoint_load(maps, id);

	if (!load.sampled_at) {
		for (int i = 0; i < 4; i++)
			table_push_none(table);
		return;
	}
	table_push_number(table, load.waiting);
	table_push_number(table, load.running);
	table_push_number(table, load.kv_permille);
	view_push_age(table, load.sampled_at, now->realtime_ns);
}

static void flows_push(const struct maps *maps, uint32_t id, const struct known *known,
		       struct table *table)
{
	table_push_number(table, (uint64_t)known->flows->nat[id] + known->flows->table[id]);
	table_push_number(table, __atomic_load_n(&maps->opens[id].count, __ATOMIC_RELAXED));
	if (known->server_ids[id])
		table_push_number(table, known->server_ids[id]);
	else
		table_push_none(table);
}

static int row_push(const struct maps *maps, uint32_t id, const struct known *known,
		    const struct view_now *now, struct table *table)
{
	struct inflight inflight = inflight_sum(maps, id);
	struct traffic traffic;
	int err;

	err = ep_stats_read(maps, id, &traffic);
	if (err)
		return log_error(err, "ep_stats: cannot read the counters of endpoint %u (%s)", id,
				 strerror(-err));
	table_row(table);
	identity_push(maps, id, table);
	states_push(maps, id, now, table);
	load_push(maps, id, now, table);
	table_push_number(table, inflight.requests);
	table_push_number(table, inflight.waiting);
	flows_push(maps, id, known, table);
	table_push_number(table, traffic.packets);
	table_push_number(table, traffic.bytes);
	return 0;
}

static int fill(const struct request *request, const struct maps *maps, const struct view_now *now,
		struct table *table)
{
	_cleanup_(known_free) struct known *known = NULL;
	struct target_filter filter;
	int err;

	err = target_filter_init(request, maps, &filter);
	if (!err)
		err = known_read(maps, now, &known);
	for (uint32_t id = 0; !err && id < ENDPOINTS_MAX; id++) {
		if (target_filter_matches(&filter, maps, id))
			err = row_push(maps, id, known, now, table);
	}
	return err;
}

const struct view view_endpoints = {
	.name = "endpoints",
	.about =
		"model servers: asked for (admin) beside observed (health, load), and what follows",
	.empty = "no endpoints that match; the controller makes them from pods, the operator with "
		 "'sluicectl vip add'",
	VIEW_COLUMNS(columns),
	.fill = fill,
};
