/* SPDX-License-Identifier: BSD-2-Clause */
/* What still runs at endpoints that shall get nothing new. */
#ifndef SLUICE_CLI_REMAINING_H
#define SLUICE_CLI_REMAINING_H

#include <stddef.h>
#include <stdint.h>

#include "maps/access/maps.h"

struct remaining {
	uint64_t requests; /* in flight through the proxy */
	uint64_t no_byte_yet; /* of these: no byte of the answer has come */
	uint64_t nat_flows; /* live L4 flows through NAT */
	uint64_t table_flows; /* live L4 flows in the flow table: encapsulated or readdressed */
};

static inline uint64_t remaining_flows(const struct remaining *remaining)
{
	return remaining->nat_flows + remaining->table_flows;
}

/* Live L4 flows of every endpoint by id, from both tables; free() them.
 * -errno after a message. */
struct flow_counts {
	uint32_t nat[ENDPOINTS_MAX];
	uint32_t table[ENDPOINTS_MAX];
};
int flow_counts_read(const struct maps *maps, uint64_t now_ns, uint32_t tick,
		     struct flow_counts **ret_counts);

/* Sum over `ids`. */
struct remaining remaining_of(const struct maps *maps, const struct flow_counts *counts,
			      const uint32_t *ids, size_t count);

#endif
