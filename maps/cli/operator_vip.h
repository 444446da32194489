/* SPDX-License-Identifier: BSD-2-Clause */
/* L4 VIPs that belong to the operator: records, ring and VIP written together.
 *
 * Ids are given out from the top of their ranges downwards; the controller's go
 * from 0 upwards, and neither touches records of the other.  Callers hold the
 * lock of operator_lock.h.  Everything is built aside: packets see the old VIP or
 * the new one. */
#ifndef SLUICE_CLI_OPERATOR_VIP_H
#define SLUICE_CLI_OPERATOR_VIP_H

#include <stddef.h>
#include <stdint.h>

#include "maps/access/maps.h"
#include "maps/cli/vip_spec.h"

/* What a change did. */
struct operator_vip {
	struct vip_key key;
	struct vip vip;
	uint32_t added, kept, removed; /* endpoints */
	uint32_t ring_size, rows_moved; /* rows whose endpoint changed */
	uint64_t flows_cut; /* live L4 flows to endpoints that were removed */
};

/* All return -errno after a message: -EEXIST, -ENOENT, -EPERM (the controller's),
 * -EAFNOSUPPORT (VIP and endpoint of different families), -ENOSPC (no free id). */
int operator_vip_add(const struct maps *maps, const struct vip_key *key, const char *pool_name,
		     const struct endpoint_spec *specs, size_t spec_count,
		     struct operator_vip *ret_done);
/* Replaces the endpoints; those that stay keep their ids, so their flows go on. */
int operator_vip_set(const struct maps *maps, const struct vip_key *key,
		     const struct endpoint_spec *specs, size_t spec_count,
		     struct operator_vip *ret_done);
int operator_vip_remove(const struct maps *maps, const struct vip_key *key,
			struct operator_vip *ret_done);

#endif
