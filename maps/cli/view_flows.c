// SPDX-License-Identifier: BSD-2-Clause
/* L4 flows, both directions in one row, the busiest of late first.
 *
 * The table may hold NAT_FLOWS_MAX flows; --limit keeps the newest in a heap of
 * that size, so that a full table costs one walk and little memory. */
#include "maps/cli/view.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#include "maps/cli/vip_spec.h"
#include "userspace/base/address.h"
#include "userspace/base/cleanup.h"
#include "userspace/base/log.h"

#define LIMIT_DEFAULT 100

static const struct column columns[] = {
	{"client", COLUMN_TEXT, .identity = true, .about = "address and port"},
	{"vip", COLUMN_TEXT, .identity = true, .about = "where it came in"},
	{"endpoint", COLUMN_TEXT, .about = "name of the one it stays with"},
	{"endpoint_address", COLUMN_TEXT, .about = "where packets are sent"},
	{"nat", COLUMN_TEXT, .wide = true, .about = "the source that the endpoint sees"},
	{"state", COLUMN_TEXT, .about = "new, established or closing"},
	{"idle", COLUMN_AGE, .about = "since the last packet of the client"},
	{"packets", COLUMN_COUNTER, .about = "of the client"},
	{"bytes", COLUMN_COUNTER, .about = "of these"},
	{"packets_back", COLUMN_COUNTER, .about = "of the endpoint"},
	{"bytes_back", COLUMN_COUNTER, .about = "of these"},
};

struct found {
	struct flow_key key;
	struct nat_flow flow;
};

/* The newest `limit` flows; found[0] is the oldest of them (a heap by seen_at). */
struct newest {
	struct found *all;
	size_t count, limit, seen;
};

static void found_swap(struct found *a, struct found *b)
{
	struct found c = *a;

	*a = *b;
	*b = c;
}

static void heap_up(struct found *all, size_t i)
{
	while (i && all[i].flow.seen_at < all[(i - 1) / 2].flow.seen_at) {
		found_swap(&all[i], &all[(i - 1) / 2]);
		i = (i - 1) / 2;
	}
}

static void heap_down(struct found *all, size_t count)
{
	for (size_t i = 0;;) {
		size_t least = i;

		for (size_t child = 2 * i + 1; child <= 2 * i + 2 && child < count; child++) {
			if (all[child].flow.seen_at < all[least].flow.seen_at)
				least = child;
		}
		if (least == i)
			return;
		found_swap(&all[i], &all[least]);
		i = least;
	}
}

static int newest_add(void *ctx, const struct flow_key *key, const struct nat_flow *flow)
{
	struct newest *newest = ctx;

	newest->seen++;
	if (newest->count < newest->limit) {
		newest->all[newest->count] = (struct found){*key, *flow};
		heap_up(newest->all, newest->count++);
	} else if (flow->seen_at > newest->all[0].flow.seen_at) {
		newest->all[0] = (struct found){*key, *flow};
		heap_down(newest->all, newest->count);
	}
	return 0;
}

static int newer_first(const void *a, const void *b)
{
	const struct found *left = a, *right = b;

	return (left->flow.seen_at < right->flow.seen_at) -
	       (left->flow.seen_at > right->flow.seen_at);
}

static void address_push(struct table *table, const struct ip_addr *addr, __be16 port)
{
	char text[ADDRESS_TEXT_MAX];

	table_push_text(table, address_port_format(addr, ntohs(port), text));
}

static void endpoint_push(struct table *table, const struct maps *maps, const struct nat_flow *flow)
{
	uint32_t id = flow->endpoint;

	if (endpoint_use(maps, id, flow->generation) == ENDPOINT_FREE)
		table_push_format(table, "#%u (gone)", id);
	else if (maps->endpoints[id].name[0])
		view_push_name(table, maps->endpoints[id].name, sizeof(maps->endpoints[id].name));
	else
		table_push_format(table, "#%u", id);
}

static const char *state_name(uint32_t state)
{
	static const char *const names[] = {"new", "established", "closing"};

	return state < ARRAY_SIZE(names) ? names[state] : "invalid";
}

/* The same flow the other way: what the endpoint sends to the NAT address. */
static void back_push(struct table *table, const struct maps *maps, const struct found *found)
{
	const struct flow_key key = {
		.src = found->flow.dst,
		.dst = found->flow.src,
		.src_port = found->flow.dst_port,
		.dst_port = found->flow.src_port,
		.proto = found->key.proto,
	};
	struct nat_flow back;

	if (flows_lookup(maps, true, &key, &back)) { /* evicted, or not there yet */
		table_push_none(table);
		table_push_none(table);
		return;
	}
	table_push_number(table, back.packets);
	table_push_number(table, back.bytes);
}

static void row_push(const struct maps *maps, const struct found *found, const struct view_now *now,
		     struct table *table)
{
	const struct vip_key vip = {
		.addr = found->key.dst, .port = found->key.dst_port, .proto = found->key.proto};
	char name[VIP_TEXT_MAX];

	table_row(table);
	address_push(table, &found->key.src, found->key.src_port);
	table_push_text(table, vip_key_format(&vip, name));
	endpoint_push(table, maps, &found->flow);
	address_push(table, &found->flow.dst, found->flow.dst_port);
	address_push(table, &found->flow.src, found->flow.src_port);
	table_push_text(table, state_name(found->flow.state));
	view_push_age(table, found->flow.seen_at, now->monotonic_ns);
	table_push_number(table, found->flow.packets);
	table_push_number(table, found->flow.bytes);
	back_push(table, maps, found);
}

static size_t limit_of(const struct request *request)
{
	if (request->all || request->limit > NAT_FLOWS_MAX)
		return NAT_FLOWS_MAX;
	return request->limit ? request->limit : LIMIT_DEFAULT;
}

static int fill(const struct request *request, const struct maps *maps, const struct view_now *now,
		struct table *table)
{
	struct newest newest = {.limit = limit_of(request)};
	_cleanup_free_ struct found *all = calloc(newest.limit, sizeof(*all));
	int err;

	if (!all)
		return log_error(-ENOMEM, "flows: out of memory");
	newest.all = all;
	err = flows_each(maps, false, newest_add, &newest);
	if (err)
		return log_error(err, "nat_fwd: cannot walk the map (%s)", strerror(-err));
	qsort(all, newest.count, sizeof(*all), newer_first);
	for (size_t i = 0; i < newest.count; i++)
		row_push(maps, &all[i], now, table);
	if (newest.count < newest.seen)
		log_info("the %zu flows used last of %zu; --limit N or --all shows more",
			 newest.count, newest.seen);
	return 0;
}

const struct view view_flows = {
	.name = "flows",
	.about = "L4 flows through NAT, the last used first; flow-table counts the others",
	.empty = "no L4 flows through NAT; 'sluicectl show flow-table' counts the others",
	VIEW_COLUMNS(columns),
	.fill = fill,
};
