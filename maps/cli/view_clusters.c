// SPDX-License-Identifier: BSD-2-Clause
/* Clusters: what the operator wants of each, how far away it is, what it has. */
#include "maps/cli/view.h"

#include "maps/cli/tally.h"
#include "userspace/base/cleanup.h"

static const struct column columns[] = {
	{"id", COLUMN_NUMBER, .identity = true, .about = "index into map clusters"},
	{"cluster", COLUMN_TEXT, .about = "its name"},
	{"region", COLUMN_TEXT, .about = "where it is"},
	{"admin", COLUMN_TEXT, .about = "asked for: READY, DRAIN or MAINT"},
	{"drain_left", COLUMN_AGE, .about = "until the deadline of its drain; 0: over, so maint"},
	{"round_trip", COLUMN_MICROSECONDS, .about = "smoothed, measured by probes"},
	{"seen", COLUMN_AGE, .about = "since a probe there last succeeded"},
	{"endpoints", COLUMN_NUMBER, .about = "records that name this cluster"},
	{"usable", COLUMN_NUMBER, .about = "of these: take new requests and flows"},
	{"draining", COLUMN_NUMBER, .about = "of these: finish what they have"},
	{"down", COLUMN_NUMBER, .about = "of these: probes say so"},
	{"maint", COLUMN_NUMBER, .about = "of these: taken out by the operator"},
	{"waiting", COLUMN_NUMBER, .about = "requests queued in the engines, by the last samples"},
	{"running", COLUMN_NUMBER, .about = "requests in the engines' batches"},
	{"in_flight", COLUMN_NUMBER, .about = "requests that this gateway has there"},
};

static void row_push(const struct maps *maps, uint32_t id, const struct view_now *now,
		     struct table *table)
{
	const struct cluster *cluster = &maps->clusters[id];
	struct tally tally = tally_cluster(maps, id);

	table_row(table);
	table_push_number(table, id);
	view_push_cluster(table, maps, id);
	view_push_name(table, cluster->region, sizeof(cluster->region));
	table_push_text(table, admin_state_name((uint8_t)cluster_admin(maps, id)));
	view_push_left(table, cluster_drain_until(maps, id), now->monotonic_ns);
	if (cluster->rtt_us)
		table_push_number(table, cluster->rtt_us);
	else
		table_push_none(table);
	view_push_age(table, cluster->observed_at, now->realtime_ns);
	tally_push(&tally, table);
}

static int fill(const struct request *request, const struct maps *maps, const struct view_now *now,
		struct table *table)
{
	(void)request;
	for (uint32_t id = 0; id < CLUSTERS_MAX; id++) {
		if (maps->clusters[id].name[0])
			row_push(maps, id, now, table);
	}
	return 0;
}

const struct view view_clusters = {
	.name = "clusters",
	.about = "clusters, what the operator wants of them and what was observed",
	.empty = "no clusters; the controller makes them (sluice-controller --cluster NAME=DIR)",
	VIEW_COLUMNS(columns),
	.fill = fill,
};
