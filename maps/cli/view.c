// SPDX-License-Identifier: BSD-2-Clause
/* The list of views and what they share.  A row of a table that others write at
 * the same time may be seen between two writes; the next look is right again. */
#include "maps/cli/view.h"

#include <string.h>

#include "userspace/base/cleanup.h"
#include "userspace/base/clock.h"
#include "userspace/base/log.h"
#include "userspace/base/text.h"

static const struct view *const views[] = {
	&view_vips,	&view_pools,	  &view_endpoints, &view_clusters,
	&view_flows,	&view_flow_table, &view_verdicts,  &view_rings,
	&view_contract, &view_paths,	  &view_nexthops,
};

const struct view *view_find(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(views); i++) {
		if (!strcmp(views[i]->name, name))
			return views[i];
	}
	return NULL;
}

const char *view_names(void)
{
	static char buffer[256];
	struct text text = TEXT_INIT(buffer);

	for (size_t i = 0; i < ARRAY_SIZE(views); i++)
		text_printf(&text, "%s%s", i ? ", " : "", views[i]->name);
	return buffer;
}

void view_help_print(FILE *out)
{
	for (size_t i = 0; i < ARRAY_SIZE(views); i++) {
		fprintf(out, "\n%s: %s\n", views[i]->name, views[i]->about);
		for (size_t c = 0; c < views[i]->column_count; c++)
			fprintf(out, "  %-22s %s\n", views[i]->columns[c].key,
				views[i]->columns[c].about);
	}
}

int view_take(const struct view *view, const struct request *request, const struct maps *maps,
	      const struct view_now *now, struct table *ret_table)
{
	_cleanup_(table_deinit) struct table table = {0};
	int err;

	table_init(&table, view->columns, view->column_count);
	table.empty = view->empty;
	table.single = view->single;
	table.wide = request->wide;
	err = view->fill(request, maps, now, &table);
	if (err)
		return err;
	if (table.err)
		return log_error(table.err, "%s: out of memory", view->name);
	*ret_table = table;
	table = (struct table){0};
	return 0;
}

struct view_now view_now_read(void)
{
	return (struct view_now){clock_realtime_ns(), clock_monotonic_ns(), clock_tick()};
}

void view_push_age(struct table *table, uint64_t at_ns, uint64_t now_ns)
{
	if (!at_ns)
		table_push_none(table);
	else
		table_push_number(table, now_ns > at_ns ? now_ns - at_ns : 0);
}

uint64_t view_left(uint64_t until, uint64_t now_ns)
{
	return until > now_ns ? until - now_ns : 0;
}

void view_push_left(struct table *table, uint64_t until, uint64_t now_ns)
{
	if (!until)
		table_push_none(table);
	else
		table_push_number(table, view_left(until, now_ns));
}

void view_push_name(struct table *table, const char *name, size_t size)
{
	if (!name[0])
		table_push_none(table);
	else
		table_push_format(table, "%.*s", (int)strnlen(name, size), name);
}

void view_push_pool(struct table *table, const struct maps *maps, uint32_t pool)
{
	if (pool >= POOLS_MAX)
		table_push_none(table);
	else if (!maps->pools[pool].name[0])
		table_push_format(table, "#%u", pool);
	else
		view_push_name(table, maps->pools[pool].name, sizeof(maps->pools[pool].name));
}

void view_push_cluster(struct table *table, const struct maps *maps, uint32_t cluster)
{
	if (cluster >= CLUSTERS_MAX)
		table_push_none(table);
	else if (!maps->clusters[cluster].name[0])
		table_push_format(table, "#%u", cluster);
	else
		view_push_name(table, maps->clusters[cluster].name,
			       sizeof(maps->clusters[cluster].name));
}

const char *view_owner_name(uint32_t owner)
{
	static const char *const names[] = {"none", "controller", "operator"};

	return owner < ARRAY_SIZE(names) ? names[owner] : "invalid";
}

void view_push_way(struct table *table, uint8_t way)
{
	if (way == WAY_NONE)
		table_push_none(table);
	else
		table_push_text(table, way == VIEW_WAY_MIXED ? "mixed" : endpoint_way_name(way));
}
