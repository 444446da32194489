// SPDX-License-Identifier: BSD-2-Clause
/* Pools: how many of their endpoints can take new work, and what runs there. */
#include "maps/cli/view.h"

#include "maps/cli/tally.h"
#include "userspace/base/cleanup.h"

static const struct column columns[] = {
	{"id", COLUMN_NUMBER, .identity = true, .about = "index into maps pools and rings"},
	{"pool", COLUMN_TEXT, .about = "namespace/name"},
	{"owner", COLUMN_TEXT, .about = "controller, or operator (sluicectl vip add)"},
	{"endpoints", COLUMN_NUMBER, .about = "records that name this pool"},
	{"usable", COLUMN_NUMBER, .about = "of these: take new requests and flows"},
	{"draining", COLUMN_NUMBER, .about = "of these: finish what they have"},
	{"down", COLUMN_NUMBER, .about = "of these: probes say so"},
	{"maint", COLUMN_NUMBER, .about = "of these: taken out by the operator"},
	{"waiting", COLUMN_NUMBER, .about = "requests queued in the engines, by the last samples"},
	{"running", COLUMN_NUMBER, .about = "requests in the engines' batches"},
	{"in_flight", COLUMN_NUMBER, .about = "requests that this gateway has there"},
};

static int fill(const struct request *request, const struct maps *maps, const struct view_now *now,
		struct table *table)
{
	(void)request;
	(void)now;
	for (uint32_t id = 0; id < POOLS_MAX; id++) {
		struct tally tally;

		if (!maps->pools[id].name[0])
			continue;
		tally = tally_pool(maps, id);
		table_row(table);
		table_push_number(table, id);
		view_push_pool(table, maps, id);
		table_push_text(table, view_owner_name(maps->pools[id].owner));
		tally_push(&tally, table);
	}
	return 0;
}

const struct view view_pools = {
	.name = "pools",
	.about = "backend targets of routes and VIPs",
	.empty = "no pools; the controller makes them from InferencePools",
	VIEW_COLUMNS(columns),
	.fill = fill,
};
