/* SPDX-License-Identifier: BSD-2-Clause */
/* Counts the live flows of endpoints behind L4 VIPs and publishes them in map `live`.
 *
 * A sweep reads opens[] first, then counts both flow tables, so that a flow opened
 * meanwhile counts twice for one interval rather than never.  A flow table larger than
 * the default one is counted in parts, since the caller has other things to do.
 */
#ifndef SLUICE_PUBLISH_LIVE_SWEEP_H
#define SLUICE_PUBLISH_LIVE_SWEEP_H

#include <stdint.h>

#include "maps/layout/flow.h"
#include "userspace/publish/live_plan.h"

struct live_sweep;
struct maps;

/* Sets counted in one step: 8 MiB, some milliseconds. */
#define LIVE_SETS_A_STEP (1u << 17)

/* maps: role MAPS_CONTROLLER, borrowed.  sets_a_step: LIVE_SETS_A_STEP, or what a
 * test wants.  -ENOMEM. */
int live_sweep_new(struct maps *maps, uint32_t sets_a_step, struct live_sweep **ret_sweep);
void live_sweep_free(struct live_sweep *sweep);

/* Begins a sweep or goes on with it.  Without an L4 VIP it voids what it published
 * and is LIVE_IDLE.  -errno when a map cannot be walked: the sweep is given up. */
int live_sweep_step(struct live_sweep *sweep, enum live_step *ret_step);

#endif
