/* SPDX-License-Identifier: BSD-2-Clause */
/* Counts the live flows of endpoints behind L4 VIPs and publishes them in map `live`.
 *
 * A sweep reads opens[] first, then counts both flow tables, so that a flow opened
 * meanwhile counts twice for one interval rather than never.  Full tables are counted
 * in parts of some milliseconds, since the caller has probes to answer.
 */
#ifndef SLUICE_PUBLISH_LIVE_SWEEP_H
#define SLUICE_PUBLISH_LIVE_SWEEP_H

#include <stdint.h>

#include "maps/layout/flow.h"
#include "userspace/publish/live_plan.h"

struct live_sweep;
struct maps;

/* How much is counted in one step. */
struct live_portion {
	uint32_t sets; /* of `flows` */
	uint32_t nat_flows;
};
/* 2 ms, and 3 ms. */
#define LIVE_PORTION ((struct live_portion){.sets = 1u << 15, .nat_flows = 1u << 13})

/* maps: role MAPS_CONTROLLER, borrowed.  portion: LIVE_PORTION, or what a test wants.
 * -ENOMEM. */
int live_sweep_new(struct maps *maps, struct live_portion portion, struct live_sweep **ret_sweep);
void live_sweep_free(struct live_sweep *sweep);

/* Begins a sweep or goes on with it.  Without an L4 VIP it voids what it published
 * and is LIVE_IDLE.  -errno when a map cannot be walked: the sweep is given up. */
int live_sweep_step(struct live_sweep *sweep, enum live_step *ret_step);

#endif
