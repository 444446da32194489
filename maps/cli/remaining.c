// SPDX-License-Identifier: BSD-2-Clause
#include "maps/cli/remaining.h"

#include <stdbool.h>
#include <string.h>

#include "userspace/base/clock.h"
#include "userspace/base/log.h"

struct walk {
	const struct maps *maps;
	bool wanted[ENDPOINTS_MAX];
	uint64_t now_ns;
	uint64_t flows;
};

static int flow_count(void *ctx, const struct flow_key *key, const struct nat_flow *flow)
{
	struct walk *walk = ctx;
	uint32_t id = flow->endpoint;

	(void)key;
	if (id < ENDPOINTS_MAX && walk->wanted[id] && flow->state != FLOW_CLOSING &&
	    flow->generation == walk->maps->endpoints[id].generation &&
	    flow->seen_at + REMAINING_LIVE_S * NS_PER_S > walk->now_ns)
		walk->flows++;
	return 0;
}

int remaining_read(const struct maps *maps, const uint32_t *ids, size_t count, uint64_t now_ns,
		   struct remaining *ret_remaining)
{
	struct walk walk = {.maps = maps, .now_ns = now_ns};
	struct remaining remaining = {0};
	int err;

	for (size_t i = 0; i < count; i++) {
		struct inflight inflight = inflight_sum(maps, ids[i]);

		remaining.requests += inflight.requests;
		remaining.no_byte_yet += inflight.waiting;
		walk.wanted[ids[i]] = true;
	}
	err = flows_each(maps, false, flow_count, &walk);
	if (err)
		return log_error(err, "nat_fwd: cannot walk the map (%s)", strerror(-err));
	remaining.flows = walk.flows;
	*ret_remaining = remaining;
	return 0;
}
