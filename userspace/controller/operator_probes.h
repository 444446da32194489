/* SPDX-License-Identifier: BSD-2-Clause */
/* Probes of the operator's endpoints: those that `sluicectl vip add` makes, which are
 * in the maps only and may come and go at any time, so the maps are looked at every
 * second.
 *
 * A probe is a TCP connection.  To an endpoint reached by NAT it is a plain one; to
 * others it takes the way of traffic (maps/layout/probe.h) and stands for a TCP VIP of
 * the endpoint's pool.  Not probed, so UNKNOWN, which serves: endpoints of pools with
 * UDP VIPs only, since silence of a UDP server says nothing; and endpoints whose
 * address is of another family than the VIP, because their probes would have to
 * change family on the way. */
#ifndef SLUICE_CONTROLLER_OPERATOR_PROBES_H
#define SLUICE_CONTROLLER_OPERATOR_PROBES_H

#include <stdbool.h>
#include <stdint.h>

struct loop;
struct maps;
struct operator_probes;
struct prober;

/* All borrowed, and outliving it; `maps`: role MAPS_CONTROLLER.  Arms one timer of the
 * loop.  Takes the prober's path (prober_path).  -ENOMEM. */
int operator_probes_new(struct loop *loop, struct maps *maps, struct prober *prober,
			struct operator_probes **ret_probes);
/* Leaves the prober's targets as they are. */
void operator_probes_free(struct operator_probes *probes);

/* Looks at the maps now; done every second by itself. */
void operator_probes_follow(struct operator_probes *probes);

/* Is the prober's target `id` one of these? */
bool operator_probes_has(const struct operator_probes *probes, uint32_t id);
/* The id is the controller's now: its target is somebody else's matter. */
void operator_probes_forget(struct operator_probes *probes, uint32_t id);

#endif
