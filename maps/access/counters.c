// SPDX-License-Identifier: BSD-2-Clause
/* Per-CPU counters: one value a possible CPU, summed when read. */
#include "maps/access/maps.h"

#include <errno.h>
#include <stdlib.h>

#include <bpf/bpf.h>

#include "userspace/base/cleanup.h"

static int traffic_read(const struct maps *maps, enum map_id id, uint32_t index,
			struct traffic *values, struct traffic *ret_traffic)
{
	struct traffic sum = {0};
	int err = bpf_map_lookup_elem(maps->fds[id], &index, values);

	if (err)
		return err;
	for (int cpu = 0; cpu < maps->cpu_count; cpu++) {
		sum.packets += values[cpu].packets;
		sum.bytes += values[cpu].bytes;
	}
	*ret_traffic = sum;
	return 0;
}

static int traffic_read_range(const struct maps *maps, enum map_id id, uint32_t first,
			      uint32_t count, struct traffic *ret_traffic)
{
	_cleanup_free_ struct traffic *values = NULL;

	values = calloc((size_t)maps->cpu_count, sizeof(*values));
	if (!values)
		return -ENOMEM;
	for (uint32_t i = 0; i < count; i++) {
		int err = traffic_read(maps, id, first + i, values, &ret_traffic[i]);

		if (err)
			return err;
	}
	return 0;
}

int verdicts_read(const struct maps *maps, struct traffic ret_traffic[VERDICT_COUNT])
{
	return traffic_read_range(maps, MAP_VERDICTS, 0, VERDICT_COUNT, ret_traffic);
}

int vip_stats_read(const struct maps *maps, uint32_t vip, struct traffic *ret_traffic)
{
	return traffic_read_range(maps, MAP_VIP_STATS, vip, 1, ret_traffic);
}

int ep_stats_read(const struct maps *maps, uint32_t endpoint, struct traffic *ret_traffic)
{
	return traffic_read_range(maps, MAP_EP_STATS, endpoint, 1, ret_traffic);
}

int passive_read(const struct maps *maps, uint32_t endpoint, struct passive *ret_passive)
{
	_cleanup_free_ struct passive *values = NULL;
	struct passive sum = {0};
	int err;

	values = calloc((size_t)maps->cpu_count, sizeof(*values));
	if (!values)
		return -ENOMEM;
	err = bpf_map_lookup_elem(maps->fds[MAP_PASSIVE], &endpoint, values);
	if (err)
		return err;
	for (int cpu = 0; cpu < maps->cpu_count; cpu++) {
		sum.syns += values[cpu].syns;
		sum.synacks += values[cpu].synacks;
		sum.resets += values[cpu].resets;
		if (values[cpu].seen_at > sum.seen_at)
			sum.seen_at = values[cpu].seen_at;
	}
	*ret_passive = sum;
	return 0;
}
