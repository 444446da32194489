/* SPDX-License-Identifier: BSD-2-Clause */
/* What can be shown: each view fills a table from the maps, and is shown once or
 * watched.  A view reads only; it works with no other process running. */
#ifndef SLUICE_CLI_VIEW_H
#define SLUICE_CLI_VIEW_H

#include <stddef.h>
#include <stdint.h>

#include "maps/access/maps.h"
#include "maps/cli/request.h"
#include "maps/cli/table.h"

struct view_now {
	uint64_t realtime_ns; /* ages of what processes wrote */
	uint64_t monotonic_ns; /* ages of what kernel programs wrote */
	uint32_t tick; /* clock_tick(): ages of slots of the flow table */
};

struct view {
	const char *name;
	const char *about; /* one line */
	const char *empty; /* said when there is nothing */
	bool single; /* one object, not a list */
	const struct column *columns;
	size_t column_count;
	/* Pushes rows.  0 or -errno after a message. */
	int (*fill)(const struct request *request, const struct maps *maps,
		    const struct view_now *now, struct table *table);
};

extern const struct view view_vips, view_pools, view_endpoints, view_clusters, view_flows,
	view_flow_table, view_verdicts, view_rings, view_contract, view_paths, view_nexthops;

/* NULL: no such view. */
const struct view *view_find(const char *name);
/* "vips, pools, ..." */
const char *view_names(void);
void view_help_print(FILE *out);

/* A table of what `view` shows now; free with table_deinit().  -errno after a
 * message. */
int view_take(const struct view *view, const struct request *request, const struct maps *maps,
	      const struct view_now *now, struct table *ret_table);

/* ---- shared by views ---- */
struct view_now view_now_read(void);
/* Age of a moment; an empty cell for 0 (never). */
void view_push_age(struct table *table, uint64_t at_ns, uint64_t now_ns);
/* Time left until a deadline (both CLOCK_MONOTONIC ns); 0 once it has passed. */
uint64_t view_left(uint64_t until, uint64_t now_ns);
/* The same as a cell; an empty one for `until` 0 (none). */
void view_push_left(struct table *table, uint64_t until, uint64_t now_ns);
/* Names in maps are cut to their field and may lack the NUL: at most `size`
 * bytes; an empty cell for "". */
void view_push_name(struct table *table, const char *name, size_t size);
/* Name of pool or cluster, "#ID" if the slot has none, empty for NONE. */
void view_push_pool(struct table *table, const struct maps *maps, uint32_t pool);
void view_push_cluster(struct table *table, const struct maps *maps, uint32_t cluster);
const char *view_owner_name(uint32_t owner);
/* "nat", "ipip", ...; "mixed"; empty for WAY_NONE. */
#define VIEW_WAY_MIXED WAY_COUNT
void view_push_way(struct table *table, uint8_t way);

#define VIEW_COLUMNS(columns_array)                                                                \
	.columns = (columns_array), .column_count = ARRAY_SIZE(columns_array)

#endif
