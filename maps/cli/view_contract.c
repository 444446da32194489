// SPDX-License-Identifier: BSD-2-Clause
/* The contract: which release made the maps, and their limits. */
#include "maps/cli/view.h"

#include "userspace/base/address.h"
#include "userspace/base/cleanup.h"
#include "userspace/base/clock.h"

static const struct column columns[] = {
	{"instance", COLUMN_TEXT, .identity = true, .about = "name of this gateway on this host"},
	{"version", COLUMN_NUMBER, .about = "of the layouts; programs of another one are refused"},
	{"generation", COLUMN_NUMBER, .about = "counts loads and upgrades of the programs"},
	{"loaded", COLUMN_AGE, .about = "since then"},
	{"vips_max", COLUMN_NUMBER, .about = "limit"},
	{"pools_max", COLUMN_NUMBER, .about = "limit"},
	{"clusters_max", COLUMN_NUMBER, .about = "limit"},
	{"endpoints_max", COLUMN_NUMBER, .about = "limit"},
	{"workers_max", COLUMN_NUMBER, .about = "limit: proxy workers"},
	{"devices_max", COLUMN_NUMBER, .about = "limit: devices packets may leave by"},
	{"nat_flows_max", COLUMN_NUMBER, .about = "limit: L4 flows through NAT"},
	{"snat4", COLUMN_TEXT, .about = "IPv4 source address of L4 flows to endpoints"},
	{"snat6", COLUMN_TEXT, .about = "IPv6 source address of L4 flows to endpoints"},
	{"snat_port_low", COLUMN_NUMBER, .about = "first source port given out"},
	{"snat_port_high", COLUMN_NUMBER, .about = "last source port given out"},
};

static void address_push(struct table *table, const struct ip_addr *addr)
{
	char text[ADDRESS_TEXT_MAX];

	table_push_text(table, address_is_zero(addr) ? NULL : address_format(addr, text));
}

static int fill(const struct request *request, const struct maps *maps, const struct view_now *now,
		struct table *table)
{
	const struct contract *contract = &maps->contract;

	table_row(table);
	table_push_text(table, request->instance.name);
	table_push_number(table, contract->version);
	table_push_number(table, contract->generation);
	view_push_age(table, contract->loaded_at * NS_PER_S, now->realtime_ns);
	table_push_number(table, contract->vips_max);
	table_push_number(table, contract->pools_max);
	table_push_number(table, contract->clusters_max);
	table_push_number(table, contract->endpoints_max);
	table_push_number(table, contract->workers_max);
	table_push_number(table, contract->devices_max);
	table_push_number(table, contract->nat_flows_max);
	address_push(table, &contract->snat4);
	address_push(table, &contract->snat6);
	table_push_number(table, contract->snat_port_low);
	table_push_number(table, contract->snat_port_high);
	return 0;
}

const struct view view_contract = {
	.name = "contract",
	.about = "the version and limits of the pinned maps",
	.single = true,
	VIEW_COLUMNS(columns),
	.fill = fill,
};
