// SPDX-License-Identifier: BSD-2-Clause
/* The table of encapsulated flows: it holds tags, not addresses, so what can be shown
 * is how many flows each endpoint has, in which state, and how full the table is.  The
 * first row is the whole table. */
#include "maps/cli/view.h"

#include <arpa/inet.h>
#include <errno.h>

#include "userspace/base/address.h"
#include "userspace/base/cleanup.h"
#include "userspace/base/log.h"

static const struct column columns[] = {
	{"id", COLUMN_NUMBER, .identity = true,
	 .about = "of the endpoint; the whole table has none"},
	{"endpoint", COLUMN_TEXT, .about = "its name; (all): the whole table"},
	{"address", COLUMN_TEXT, .about = "address and port"},
	{"way", COLUMN_TEXT, .about = "how packets reach it"},
	{"live", COLUMN_NUMBER, .about = "flows on probation or confirmed"},
	{"probation", COLUMN_NUMBER, .about = "seen in one tick (1.07 s) only, maybe a flood's"},
	{"confirmed", COLUMN_NUMBER, .about = "seen in several ticks"},
	{"closing", COLUMN_NUMBER, .about = "FIN or RST seen, kept for a minute"},
	{"udp", COLUMN_NUMBER, .about = "of these three: UDP, the rest is TCP"},
	{"load", COLUMN_PERMILLE, .about = "share of the table's slots in use"},
	{"slots", COLUMN_NUMBER, .wide = true, .about = "of the table"},
	{"sets_full", COLUMN_NUMBER,
	 .about =
		 "sets of eight with no slot free: a new flow takes the place of one on probation"},
};

static void counts_push(const struct flow_states *of, uint64_t slots, struct table *table)
{
	uint64_t live = (uint64_t)of->probation + of->confirmed;

	table_push_number(table, live);
	table_push_number(table, of->probation);
	table_push_number(table, of->confirmed);
	table_push_number(table, of->closing);
	table_push_number(table, of->udp);
	table_push_number(table, (live + of->closing) * 1000 / slots);
}

static struct flow_states sum_of(const struct flow_table_survey *survey)
{
	struct flow_states sum = {0};

	for (uint32_t id = 0; id < ENDPOINTS_MAX; id++) {
		const struct flow_states *of = &survey->endpoints[id];

		sum.probation += of->probation;
		sum.confirmed += of->confirmed;
		sum.closing += of->closing;
		sum.udp += of->udp;
	}
	return sum;
}

static void whole_push(const struct flow_table_survey *survey, uint64_t slots, struct table *table)
{
	struct flow_states sum = sum_of(survey);

	table_row(table);
	table_push_none(table);
	table_push_text(table, "(all)");
	table_push_none(table);
	table_push_none(table);
	counts_push(&sum, slots, table);
	table_push_number(table, slots);
	table_push_number(table, survey->sets_full);
}

/* Slots may outlive their endpoint: then it has neither name nor address. */
static void endpoint_push(const struct maps *maps, uint32_t id, const struct flow_states *of,
			  uint64_t slots, struct table *table)
{
	const struct endpoint *endpoint = &maps->endpoints[id];
	char address[ADDRESS_TEXT_MAX];

	table_row(table);
	table_push_number(table, id);
	if (endpoint->way == WAY_NONE) {
		table_push_format(table, "#%u (gone)", id);
		table_push_none(table);
	} else {
		view_push_name(table, endpoint->name, sizeof(endpoint->name));
		table_push_text(table, address_port_format(&endpoint->addr, ntohs(endpoint->port),
							   address));
	}
	view_push_way(table, endpoint->way);
	counts_push(of, slots, table);
	table_push_none(table);
	table_push_none(table);
}

static int fill(const struct request *request, const struct maps *maps, const struct view_now *now,
		struct table *table)
{
	_cleanup_free_ struct flow_table_survey *survey = calloc(1, sizeof(*survey));
	uint64_t slots = (uint64_t)maps->contract.flow_sets * FLOW_SLOTS;

	(void)request;
	if (!survey)
		return log_error(-ENOMEM, "flow-table: out of memory");
	flow_table_survey(maps, now->tick, survey);
	whole_push(survey, slots, table);
	for (uint32_t id = 0; id < ENDPOINTS_MAX; id++) {
		const struct flow_states *of = &survey->endpoints[id];

		if (of->probation || of->confirmed || of->closing)
			endpoint_push(maps, id, of, slots, table);
	}
	return 0;
}

const struct view view_flow_table = {
	.name = "flow-table",
	.about = "flows that are encapsulated or readdressed (ipip, gue, l2), by endpoint",
	.empty = "no flow table",
	VIEW_COLUMNS(columns),
	.fill = fill,
};
