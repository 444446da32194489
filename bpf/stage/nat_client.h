/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* How many flows through NAT a client has, where the operator set a cap
 * (contract.nat_client_max): one client cannot take all ports to an endpoint.
 *
 * A flow counts from its first packet until it closes, moves or gives up its
 * port.  One that the LRU of nat_fwd pushed out is not counted down here: the
 * controller counts nat_fwd again and again and takes off what two sweeps have missed
 * (maps/access/nat_clients.c).  With no controller a count may be too high where that
 * table is full, until it is forgotten with its client, which this table's own LRU
 * pushes out.
 */
#ifndef SLUICE_BPF_STAGE_NAT_CLIENT_H
#define SLUICE_BPF_STAGE_NAT_CLIENT_H

#include "bpf/maps.h"

/* The key is copied: 6.1 takes none from memory that a function was only given. */
static __always_inline void nat_client_less(const struct ip_addr *client)
{
	struct ip_addr key = *client;
	struct nat_client *count = bpf_map_lookup_elem(&nat_clients, &key);

	if (count && count->flows)
		__sync_fetch_and_add(&count->flows, -1);
}

/* One flow more; false: the client has all it may have. */
static __always_inline bool nat_client_more(const struct ip_addr *client, __u32 max)
{
	struct ip_addr key = *client;
	struct nat_client *count = bpf_map_lookup_elem(&nat_clients, &key);
	struct nat_client first = {.flows = 1};

	if (!count) {
		bpf_map_update_elem(&nat_clients, &key, &first, BPF_NOEXIST);
		return true;
	}
	if (count->flows >= max)
		return false;
	__sync_fetch_and_add(&count->flows, 1);
	return true;
}

#endif
