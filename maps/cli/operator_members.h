/* SPDX-License-Identifier: BSD-2-Clause */
/* The endpoints of one pool while it is changed: which ids they have, which are new,
 * which get another way.  First all ids are found, then all is written, so that what
 * fails before leaves nothing behind.
 *
 * An id that is given out anew, and one that NAT takes over from a tunnel, is swept
 * out of the flow table first: its slots would lead strangers there. */
#ifndef SLUICE_CLI_OPERATOR_MEMBERS_H
#define SLUICE_CLI_OPERATOR_MEMBERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "maps/access/maps.h"
#include "maps/cli/operator_cids.h"
#include "maps/cli/vip_spec.h"
#include "userspace/publish/ring.h"

struct member {
	const struct endpoint_spec *spec; /* borrowed */
	uint32_t id;
	uint8_t way_before; /* WAY_NONE: the id is new */
};

struct members {
	struct member all[REQUEST_ENDPOINTS_MAX];
	size_t count;
	size_t added_count; /* of these: new */
};

/* -ENOSPC after a message. */
int members_find(const struct maps *maps, uint32_t pool, const struct vip_spec *spec,
		 struct members *ret_members);
/* Returns how many live flows of the flow table were cut. */
uint32_t members_write(const struct maps *maps, uint32_t pool, const struct members *members);
/* Back to what was before members_write(). */
void members_undo(const struct maps *maps, const struct members *members);

bool members_have(const struct members *members, uint32_t id);
uint32_t members_ways_changed(const struct members *members);
/* What a ring is built of; *ret_ring has room for members->count. */
void members_ring(const struct members *members, struct ring_member *ret_ring);
/* Their server ids, after members_write(); -ENOMEM after a message. */
int members_server_ids(const struct maps *maps, const struct members *members,
		       struct server_ids *ret_ids);

#endif
