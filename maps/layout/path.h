/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The way to an endpoint, worked out ahead of the packets.
 *
 * `endpoints` says what an endpoint is; a path says how the gateway reaches it
 * now: outer source address, next hop, MTU.  The controller follows routes and
 * neighbours by netlink and rewrites these; the packet path only copies.  A path
 * of another generation, or without a next hop, does not count: XDP then asks
 * the kernel (bpf_fib_lookup), so an operator's VIP works with no controller.
 *
 * Next hops are shared: a router's new MAC is one write for all endpoints behind
 * it, and one for all spliced flows.
 */
#ifndef SLUICE_MAPS_LAYOUT_PATH_H
#define SLUICE_MAPS_LAYOUT_PATH_H

#include "maps/layout/types.h"

#define NEXTHOPS_MAX 4096
#define GUE_PORT 6080 /* IANA: gue */

/* Map `paths`: array, ENDPOINTS_MAX, mappable, by endpoint id.  Writer:
 * controller.  Readers: XDP, TC, CLI.  All zero (generation 0): unknown. */
struct path {
	__u32 generation; /* of the endpoint; written last, 0 while the rest changes */
	__u32 nexthop; /* id, < NEXTHOPS_MAX, or NEXTHOP_NONE: ask the kernel */
	struct ip_addr src; /* outer source: the gateway's address on the way out */
	__u16 mtu; /* of the route: largest packet with the outer headers; 0: unknown */
	__u16 check; /* IPIP and GUE over IPv4, else 0: the folded, not complemented, sum of
		      * these 16-bit words of the outer header as they lie in memory: fragment
		      * word (DF), TTL (64) with a protocol of 0, source, destination.  Not in
		      * it: version, length and TOS; total length; id (0); protocol */
	__u32 pad;
};
_Static_assert(sizeof(struct path) == 32, "path is a wire format");

enum nexthop_state {
	NEXTHOP_FREE,
	NEXTHOP_UNRESOLVED, /* known, but the neighbour has not answered: TC sends */
	NEXTHOP_RESOLVED,
};

/* Map `nexthops`: array, NEXTHOPS_MAX, mappable.  Writer: controller.  Readers:
 * XDP, TC, CLI.  `dmac` and `state` are one aligned word, written by one store:
 * a reader never mixes two MACs. */
struct nexthop {
	__u8 dmac[6];
	__u16 state; /* enum nexthop_state */
	__u8 smac[6]; /* the device's own */
	__u16 vlan; /* VLAN id to leave with, 0: untagged */
	__u32 ifindex; /* physical device to leave by, in the gateway's namespace */
	__u16 mtu; /* of the device */
	__u16 pad;
	struct ip_addr addr; /* the neighbour's */
	__u64 changed_at; /* CLOCK_REALTIME, ns */
};
_Static_assert(sizeof(struct nexthop) == 48, "nexthop is a wire format");

#endif
