// SPDX-License-Identifier: BSD-2-Clause
/* Verdicts: why packets left the kernel programs the way they did. */
#include "maps/cli/view.h"

#include <string.h>

#include "userspace/base/cleanup.h"
#include "userspace/base/log.h"

static const struct column columns[] = {
	{"verdict", COLUMN_TEXT, .identity = true, .about = "its name"},
	{"drops", COLUMN_TEXT, .about = "yes: the packet ends there"},
	{"packets", COLUMN_COUNTER, .about = "that left with it"},
	{"bytes", COLUMN_COUNTER, .about = "IP total lengths"},
	{"meaning", COLUMN_TEXT, .about = "in words"},
};

static int fill(const struct request *request, const struct maps *maps, const struct view_now *now,
		struct table *table)
{
	struct traffic traffic[VERDICT_COUNT];
	int err;

	(void)now;
	err = verdicts_read(maps, traffic);
	if (err)
		return log_error(err, "verdicts: cannot read the counters (%s)", strerror(-err));
	for (int v = 0; v < VERDICT_COUNT; v++) {
		if (!traffic[v].packets && !request->all && !request->json)
			continue;
		table_row(table);
		table_push_text(table, verdict_name((enum verdict)v));
		table_push_text(table, verdict_drops((enum verdict)v) ? "yes" : "no");
		table_push_number(table, traffic[v].packets);
		table_push_number(table, traffic[v].bytes);
		table_push_text(table, verdict_text((enum verdict)v));
	}
	return 0;
}

const struct view view_verdicts = {
	.name = "verdicts",
	.about = "why packets left the kernel programs the way they did, since load",
	.empty = "no packet judged yet; 'sluice-loader status' says where programs are attached, "
		 "--all lists every verdict",
	VIEW_COLUMNS(columns),
	.fill = fill,
};
