/* SPDX-License-Identifier: BSD-2-Clause */
/* L4 VIPs that belong to the operator: records, server ids, ring and VIP written
 * together.
 *
 * Ids are given out from the top of their ranges downwards; the controller's go
 * from 0 upwards, and neither touches records of the other.  Callers hold the
 * lock of operator_lock.h.  Everything is built aside: packets see the old VIP or
 * the new one. */
#ifndef SLUICE_CLI_OPERATOR_VIP_H
#define SLUICE_CLI_OPERATOR_VIP_H

#include <stdint.h>

#include "maps/access/maps.h"
#include "maps/cli/vip_spec.h"

/* What a change did. */
struct operator_vip {
	struct vip_key key;
	struct vip before; /* set: what it was */
	struct vip vip;
	uint32_t added, kept, removed; /* endpoints */
	uint32_t ways_changed; /* of kept ones */
	uint32_t ring_size, rows_moved; /* rows whose endpoint changed */
	uint64_t flows_cut; /* live L4 flows to endpoints that were removed, or that NAT has
			     * taken over */
	uint64_t nat_flows_left; /* that go on by NAT, to endpoints reached another way now */
};

/* All return -errno after a message: -EEXIST, -ENOENT, -EPERM (the controller's),
 * -ENOSPC (no free id), what vip_spec_check() says. */
int operator_vip_add(const struct maps *maps, const struct vip_spec *spec,
		     struct operator_vip *ret_done);
/* Makes it what `spec` says.  Endpoints that stay keep their ids, so their flows go
 * on; one that gets another way keeps its id too (operator_members.h). */
int operator_vip_set(const struct maps *maps, const struct vip_spec *spec,
		     struct operator_vip *ret_done);
int operator_vip_remove(const struct maps *maps, const struct vip_key *key,
			struct operator_vip *ret_done);

#endif
