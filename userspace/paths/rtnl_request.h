/* SPDX-License-Identifier: BSD-2-Clause */
/* rtnetlink requests as bytes.  Several go into one datagram: the kernel works
 * through them in order. */
#ifndef SLUICE_PATHS_RTNL_REQUEST_H
#define SLUICE_PATHS_RTNL_REQUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "maps/layout/types.h"

#define RTNL_REQUEST_MAX 80 /* bytes of the largest below */
#define RTNL_BATCH_MAX 64 /* requests of one datagram */

struct rtnl_batch {
	size_t size; /* bytes */
	uint32_t count;
	_Alignas(8) uint8_t bytes[RTNL_BATCH_MAX * RTNL_REQUEST_MAX];
};

/* All need room for one request more (count < RTNL_BATCH_MAX). */
void rtnl_ask_links(struct rtnl_batch *batch, uint32_t seq);
void rtnl_ask_neighbours(struct rtnl_batch *batch, uint32_t seq);
/* As the kernel would send; or, fib_match, the route as it was configured. */
void rtnl_ask_route(struct rtnl_batch *batch, uint32_t seq, const struct ip_addr *to,
		    bool fib_match);
void rtnl_ask_neighbour(struct rtnl_batch *batch, uint32_t seq, uint32_t ifindex,
			const struct ip_addr *addr);
/* Resolve it now, and (where the kernel can: 5.16) keep it resolved; keep = false takes
 * that back.  Acknowledged.  Never for a permanent entry: the kernel would make it one
 * that is asked for. */
void rtnl_hold_neighbour(struct rtnl_batch *batch, uint32_t seq, uint32_t ifindex,
			 const struct ip_addr *addr, bool keep);
/* Not acknowledged unless it fails. */
void rtnl_remove_neighbour(struct rtnl_batch *batch, uint32_t seq, uint32_t ifindex,
			   const struct ip_addr *addr);

#endif
