// SPDX-License-Identifier: BSD-2-Clause
/* Both flow tables are walked once for all endpoints: counting those of one costs
 * the same. */
#include "maps/cli/remaining.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "userspace/base/cleanup.h"
#include "userspace/base/log.h"

int flow_counts_read(const struct maps *maps, uint64_t now_ns, uint32_t tick,
		     struct flow_counts **ret_counts)
{
	_cleanup_free_ struct flow_counts *counts = calloc(1, sizeof(*counts));
	int err;

	if (!counts)
		return log_error(-ENOMEM, "flows: out of memory");
	err = nat_flows_count(maps, now_ns, counts->nat);
	if (err)
		return log_error(err, "nat_fwd: cannot walk the map (%s)", strerror(-err));
	flow_table_count(maps, tick, counts->table);
	*ret_counts = TAKE_PTR(counts);
	return 0;
}

struct remaining remaining_of(const struct maps *maps, const struct flow_counts *counts,
			      const uint32_t *ids, size_t count)
{
	struct remaining remaining = {0};

	for (size_t i = 0; i < count; i++) {
		struct inflight inflight = inflight_sum(maps, ids[i]);

		remaining.requests += inflight.requests;
		remaining.no_byte_yet += inflight.waiting;
		remaining.nat_flows += counts->nat[ids[i]];
		remaining.table_flows += counts->table[ids[i]];
	}
	return remaining;
}
