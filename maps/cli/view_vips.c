// SPDX-License-Identifier: BSD-2-Clause
/* VIPs in the order of their addresses, with what passed through them. */
#include "maps/cli/view.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#include "maps/cli/vip_spec.h"
#include "userspace/base/cleanup.h"
#include "userspace/base/log.h"

static const struct column columns[] = {
	{"vip", COLUMN_TEXT, .identity = true, .about = "address, port and protocol"},
	{"mode", COLUMN_TEXT, .about = "L4: steered in the kernel; L7: given to the proxy"},
	{"owner", COLUMN_TEXT, .about = "controller, or operator (sluicectl vip add)"},
	{"pool", COLUMN_TEXT, .about = "of an L4 VIP"},
	{"id", COLUMN_NUMBER, .about = "index into map vip_stats"},
	{"way", COLUMN_TEXT, .about = "to its endpoints: nat, ipip, gue, l2, or mixed"},
	{"pick", COLUMN_TEXT, .about = "of new flows: maglev or least"},
	{"down", COLUMN_TEXT, .about = "to TCP flows whose endpoint is out: reset or drop"},
	{"quic", COLUMN_TEXT, .about = "yes: follows server ids in QUIC connection ids"},
	{"packets", COLUMN_COUNTER, .about = "that clients sent to it, dropped ones included"},
	{"bytes", COLUMN_COUNTER, .about = "IP total lengths"},
};

struct found {
	struct vip_key key;
	struct vip vip;
};

struct list {
	struct found *all;
	size_t count;
};

static int found_add(void *ctx, const struct vip_key *key, const struct vip *vip)
{
	struct list *list = ctx;

	if (list->count == VIPS_MAX)
		return -E2BIG;
	list->all[list->count++] = (struct found){*key, *vip};
	return 0;
}

static int found_compare(const void *a, const void *b)
{
	const struct found *left = a, *right = b;
	int order = memcmp(&left->key.addr, &right->key.addr, sizeof(left->key.addr));

	if (!order)
		order = (int)ntohs(left->key.port) - (int)ntohs(right->key.port);
	return order ? order : (int)left->key.proto - (int)right->key.proto;
}

static const char *mode_name(uint8_t mode)
{
	static const char *const names[] = {"none", "L4", "L7"};

	return mode < ARRAY_SIZE(names) ? names[mode] : "invalid";
}

/* What all endpoints of a pool have in common. */
static uint8_t pool_way(const struct maps *maps, uint32_t pool)
{
	uint8_t way = WAY_NONE;

	for (uint32_t id = 0; id < ENDPOINTS_MAX; id++) {
		const struct endpoint *endpoint = &maps->endpoints[id];

		if (endpoint->way == WAY_NONE || endpoint->pool != pool || endpoint->way == way)
			continue;
		if (way != WAY_NONE)
			return VIEW_WAY_MIXED;
		way = endpoint->way;
	}
	return way;
}

/* An L7 VIP is served by the proxy, which has none of these. */
static void l4_push(const struct maps *maps, const struct vip *vip, struct table *table)
{
	if (vip->mode != VIP_MODE_L4) {
		for (int i = 0; i < 4; i++)
			table_push_none(table);
		return;
	}
	view_push_way(table, pool_way(maps, vip->pool));
	table_push_text(table, vip_pick_name(vip->pick));
	table_push_text(table, vip_down_name(vip->down));
	table_push_text(table, vip->flags & VIP_F_QUIC ? "yes" : "no");
}

static int row_push(const struct maps *maps, const struct found *found, struct table *table)
{
	char name[VIP_TEXT_MAX];
	struct traffic traffic;
	int err;

	err = vip_stats_read(maps, found->vip.id, &traffic);
	if (err)
		return log_error(err, "%s: cannot read its counters, id %u (%s)",
				 vip_key_format(&found->key, name), found->vip.id, strerror(-err));
	table_row(table);
	table_push_text(table, vip_key_format(&found->key, name));
	table_push_text(table, mode_name(found->vip.mode));
	table_push_text(table, view_owner_name(found->vip.owner));
	view_push_pool(table, maps, found->vip.mode == VIP_MODE_L4 ? found->vip.pool : POOL_NONE);
	table_push_number(table, found->vip.id);
	l4_push(maps, &found->vip, table);
	table_push_number(table, traffic.packets);
	table_push_number(table, traffic.bytes);
	return 0;
}

static int fill(const struct request *request, const struct maps *maps, const struct view_now *now,
		struct table *table)
{
	_cleanup_free_ struct found *all = calloc(VIPS_MAX, sizeof(*all));
	struct list list = {.all = all};
	int err;

	(void)request;
	(void)now;
	if (!all)
		return log_error(-ENOMEM, "vips: out of memory");
	err = vips_each(maps, found_add, &list);
	if (err)
		return log_error(err, "vips: cannot walk the map (%s)", strerror(-err));
	qsort(all, list.count, sizeof(*all), found_compare);
	for (size_t i = 0; !err && i < list.count; i++)
		err = row_push(maps, &all[i], table);
	return err;
}

const struct view view_vips = {
	.name = "vips",
	.about = "destinations that belong to Sluice, and which path serves them",
	.empty = "no VIPs; the controller makes them from Gateways, the operator with "
		 "'sluicectl vip add'",
	VIEW_COLUMNS(columns),
	.fill = fill,
};
