// SPDX-License-Identifier: BSD-2-Clause
/* Paths: how each endpoint is reached.  An endpoint without one is shown too: its
 * packets' way is asked of the kernel, one by one. */
#include "maps/cli/view.h"

#include <arpa/inet.h>

#include "userspace/base/address.h"
#include "userspace/base/cleanup.h"

static const struct column columns[] = {
	{"endpoint", COLUMN_TEXT, .about = "whose path"},
	{"id", COLUMN_NUMBER, .identity = true, .about = "of the endpoint"},
	{"address", COLUMN_TEXT, .about = "of the endpoint"},
	{"way", COLUMN_TEXT, .about = "nat, ipip, gue or l2"},
	{"path", COLUMN_TEXT,
	 .about = "ready; unresolved: its next hop is not known yet; kernel: no next hop that XDP "
		  "could send by; none: no way to it, see the controller's log"},
	{"source", COLUMN_TEXT, .about = "outer source address of encapsulated packets"},
	{"nexthop", COLUMN_NUMBER, .about = "id"},
	{"via", COLUMN_TEXT, .about = "address of the next hop"},
	{"mtu", COLUMN_NUMBER, .about = "of the route, bytes with the outer headers"},
};

static const char *const ways[WAY_COUNT] = {"none", "nat", "ipip", "gue", "l2"};

static const char *state_of(const struct path *path, bool counts, const struct nexthop *hop)
{
	if (!counts)
		return "none";
	if (path->nexthop >= NEXTHOPS_MAX)
		return "kernel";
	return hop->state == NEXTHOP_RESOLVED ? "ready" : "unresolved";
}

static void address_push(struct table *table, const struct ip_addr *addr)
{
	char text[ADDRESS_TEXT_MAX];

	table_push_text(table, address_is_zero(addr) ? NULL : address_format(addr, text));
}

static void path_push(struct table *table, const struct maps *maps, const struct path *path,
		      bool counts)
{
	struct nexthop hop = {0};
	bool has_hop = counts && path->nexthop < NEXTHOPS_MAX;

	if (has_hop)
		hop = maps->nexthops[path->nexthop];
	table_push_text(table, state_of(path, counts, &hop));
	if (!counts) {
		for (int i = 0; i < 4; i++)
			table_push_none(table);
		return;
	}
	address_push(table, &path->src);
	if (has_hop)
		table_push_number(table, path->nexthop);
	else
		table_push_none(table);
	address_push(table, &hop.addr);
	table_push_number(table, path->mtu);
}

static int fill(const struct request *request, const struct maps *maps, const struct view_now *now,
		struct table *table)
{
	(void)request;
	(void)now;
	for (uint32_t id = 0; id < ENDPOINTS_MAX; id++) {
		const struct endpoint *endpoint = &maps->endpoints[id];
		const struct path path = maps->paths[id];
		char text[ADDRESS_TEXT_MAX];

		if (endpoint->way == WAY_NONE)
			continue;
		table_row(table);
		view_push_name(table, endpoint->name, sizeof(endpoint->name));
		table_push_number(table, id);
		table_push_text(table,
				address_port_format(&endpoint->addr, ntohs(endpoint->port), text));
		table_push_text(table, endpoint->way < WAY_COUNT ? ways[endpoint->way] : "invalid");
		path_push(table, maps, &path,
			  path.generation && path.generation == endpoint->generation);
	}
	return 0;
}

const struct view view_paths = {
	.name = "paths",
	.about = "how each endpoint is reached, as the controller follows routes and neighbours",
	.empty = "no endpoints",
	VIEW_COLUMNS(columns),
	.fill = fill,
};
