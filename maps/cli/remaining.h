/* SPDX-License-Identifier: BSD-2-Clause */
/* What still runs at endpoints that shall get nothing new. */
#ifndef SLUICE_CLI_REMAINING_H
#define SLUICE_CLI_REMAINING_H

#include <stddef.h>
#include <stdint.h>

#include "maps/access/maps.h"

/* A flow counts as live when it is not closing and its client sent a packet this
 * recently; NAT keeps entries of idle ones until it needs their room. */
#define REMAINING_LIVE_S 60

struct remaining {
	uint64_t requests; /* in flight through the proxy */
	uint64_t no_byte_yet; /* of these: no byte of the answer has come */
	uint64_t flows; /* live L4 flows */
};

/* Sum over `ids`, as of `now_ns` (CLOCK_MONOTONIC).  -errno after a message. */
int remaining_read(const struct maps *maps, const uint32_t *ids, size_t count, uint64_t now_ns,
		   struct remaining *ret_remaining);

#endif
