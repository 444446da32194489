/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* L4 flows through NAT: one entry a direction.
 *
 * Maps `nat_fwd` and `nat_rev`: LRU hashes, NAT_FLOWS_MAX each.  Writer: XDP
 * and TC.  Reader: CLI.  The entries of a flow name each other; a flow whose
 * other half was evicted is rebuilt on its next packet from the client.
 */
#ifndef SLUICE_MAPS_LAYOUT_FLOW_H
#define SLUICE_MAPS_LAYOUT_FLOW_H

#include "maps/layout/types.h"

/* A packet's 5-tuple as it arrives.  In nat_fwd: client to VIP.  In nat_rev:
 * endpoint to the gateway's NAT address. */
struct flow_key {
	struct ip_addr src;
	struct ip_addr dst;
	__be16 src_port;
	__be16 dst_port;
	__u8 proto; /* IPPROTO_TCP or IPPROTO_UDP */
	__u8 pad[3];
};
_Static_assert(sizeof(struct flow_key) == 40, "flow_key is a wire format");

enum flow_state { FLOW_NEW, FLOW_ESTABLISHED, FLOW_CLOSING, FLOW_STATE_COUNT };

/* What to write over the packet's 5-tuple. */
struct nat_flow {
	struct ip_addr src;
	struct ip_addr dst;
	__be16 src_port;
	__be16 dst_port;
	__u32 endpoint; /* id */
	__u32 generation; /* of the endpoint when the flow began */
	__u32 vip; /* vip id, for statistics */
	__u32 state; /* enum flow_state */
	__u32 pad;
	__u64 seen_at; /* bpf_ktime_get_ns of the last packet this way */
	__u64 packets;
	__u64 bytes; /* IP total lengths */
};
_Static_assert(sizeof(struct nat_flow) == 80, "nat_flow is a wire format");

#endif
