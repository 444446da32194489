// SPDX-License-Identifier: BSD-2-Clause
#include "maps/cli/tally.h"

static void tally_add(struct tally *tally, const struct maps *maps, uint32_t id)
{
	struct load load = endpoint_load(maps, id);

	switch (endpoint_use(maps, id, 0)) {
	case ENDPOINT_FREE: return;
	case ENDPOINT_USABLE: tally->usable++; break;
	case ENDPOINT_DRAINING: tally->draining++; break;
	case ENDPOINT_DOWN: tally->down++; break;
	case ENDPOINT_MAINT: tally->maint++; break;
	}
	tally->endpoints++;
	tally->waiting += load.waiting;
	tally->running += load.running;
	tally->in_flight += inflight_sum(maps, id).requests;
}

struct tally tally_pool(const struct maps *maps, uint32_t pool)
{
	struct tally tally = {0};

	for (uint32_t id = 0; id < ENDPOINTS_MAX; id++) {
		if (maps->endpoints[id].way != WAY_NONE && maps->endpoints[id].pool == pool)
			tally_add(&tally, maps, id);
	}
	return tally;
}

struct tally tally_cluster(const struct maps *maps, uint32_t cluster)
{
	struct tally tally = {0};

	for (uint32_t id = 0; id < ENDPOINTS_MAX; id++) {
		if (maps->endpoints[id].way != WAY_NONE && maps->endpoints[id].cluster == cluster)
			tally_add(&tally, maps, id);
	}
	return tally;
}

void tally_push(const struct tally *tally, struct table *table)
{
	table_push_number(table, tally->endpoints);
	table_push_number(table, tally->usable);
	table_push_number(table, tally->draining);
	table_push_number(table, tally->down);
	table_push_number(table, tally->maint);
	table_push_number(table, tally->waiting);
	table_push_number(table, tally->running);
	table_push_number(table, tally->in_flight);
}
