/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Stage: the way out.
 *
 * The controller has worked it out ahead (maps/layout/path.h): then it is two
 * array look-ups.  Where it has not (no controller yet, a device without Ethernet,
 * NAT, whose answers go to any client) the kernel's own routes and neighbours are
 * asked, with the addresses the packet is to leave with, before a byte of it is
 * changed.  ROUTE_NO_NEIGHBOUR is not a verdict: TC can send such a packet
 * (bpf_redirect_neigh resolves), XDP leaves it to TC.
 */
#ifndef SLUICE_BPF_STAGE_ROUTE_H
#define SLUICE_BPF_STAGE_ROUTE_H

#include <linux/udp.h>

#include "bpf/maps.h"
#include "bpf/stage/packet.h"

#define AF_INET 2
#define AF_INET6 10

#define ROUTE_NO_NEIGHBOUR (-2)

struct route {
	__u32 ifindex; /* to leave by */
	__u32 nexthop; /* id, NEXTHOP_NONE: the kernel said */
	bool via_ipv6; /* family of the next hop; the kernel's answers only, like via */
	struct ip_addr via; /* next hop; IPv4 in words[3] */
	__u8 dmac[6]; /* set unless ROUTE_NO_NEIGHBOUR */
	__u8 smac[6];
	__u16 vlan; /* id, 0: untagged */
	__u16 mtu; /* 0: unknown, or checked by the kernel */
	__u16 check; /* of struct path */
};

/* Bytes that encapsulation adds. */
static __always_inline __u32 route_overhead(const struct packet *p)
{
	__u32 bytes = p->out_ipv6 ? 40 : 20;

	if (p->way == WAY_GUE)
		return bytes + sizeof(struct udphdr);
	return p->way == WAY_IPIP ? bytes : 0;
}

/* What the way carries of a packet that goes by it; 0: unknown. */
static __always_inline __u16 route_mtu_inside(const struct packet *p, const struct route *route)
{
	__u32 overhead = route_overhead(p);

	return route->mtu > overhead ? route->mtu - overhead : 0;
}

static __always_inline int route_result(long result)
{
	switch (result) {
	case BPF_FIB_LKUP_RET_SUCCESS: return STAGE_NEXT;
	case BPF_FIB_LKUP_RET_NO_NEIGH: return ROUTE_NO_NEIGHBOUR;
	case BPF_FIB_LKUP_RET_FRAG_NEEDED: return VERDICT_TOO_BIG;
	case BPF_FIB_LKUP_RET_FWD_DISABLED: return VERDICT_FORWARDING_OFF;
	default: return VERDICT_NO_ROUTE;
	}
}

static __always_inline void route_take(const struct bpf_fib_lookup *fib, struct route *ret_route)
{
	ret_route->ifindex = fib->ifindex;
	ret_route->nexthop = NEXTHOP_NONE;
	ret_route->via_ipv6 = fib->family == AF_INET6;
	if (ret_route->via_ipv6)
		__builtin_memcpy(&ret_route->via, fib->ipv6_dst, sizeof(ret_route->via));
	else
		ret_route->via.words[3] = fib->ipv4_dst;
	__builtin_memcpy(ret_route->dmac, fib->dmac, sizeof(ret_route->dmac));
	__builtin_memcpy(ret_route->smac, fib->smac, sizeof(ret_route->smac));
	ret_route->vlan = 0;
	ret_route->mtu = fib->mtu_result;
	ret_route->check = 0;
}

/* mtu_bytes: checked against the route's MTU; 0: against the skb itself (TC,
 * where a merged packet is larger than any link's MTU).  Unused at TC egress. */
static __noinline __attribute__((unused)) int route_find(void *ctx, const struct packet *p,
							 __u16 mtu_bytes, struct route *ret_route)
{
	bool is_nat = p->way == WAY_NAT;
	struct bpf_fib_lookup fib = {
		.tos = p->tos,
		.l4_protocol = is_nat ? p->key.proto : 0,
		.sport = is_nat ? p->to.src_port : 0,
		.dport = is_nat ? p->to.dst_port : 0,
		.tot_len = mtu_bytes,
		.ifindex = p->ifindex,
	};
	long result;

	if (p->out_ipv6) {
		fib.family = AF_INET6;
		__builtin_memcpy(fib.ipv6_src, &p->to.src, sizeof(p->to.src));
		__builtin_memcpy(fib.ipv6_dst, &p->to.dst, sizeof(p->to.dst));
	} else {
		fib.family = AF_INET;
		fib.ipv4_src = p->to.src.words[3];
		fib.ipv4_dst = p->to.dst.words[3];
	}
	result = bpf_fib_lookup(ctx, &fib, sizeof(fib), 0);
	route_take(&fib, ret_route);
	return route_result(result);
}

/* The outer source where no path says it. */
static __always_inline void encap_source(struct packet *p, const struct contract *c)
{
	const struct ip_addr *source = p->out_ipv6 ? &c->encap6 : &c->encap4;

	if (!address_is_set(source))
		source = p->out_ipv6 ? &c->snat6 : &c->snat4;
	p->to.src = *source;
}

/* The way to p's endpoint as the controller worked it out.  False: it has not. */
static __always_inline bool route_from_path(struct packet *p, struct route *ret_route)
{
	__u32 id = p->endpoint;
	const struct path *path = bpf_map_lookup_elem(&paths, &id);
	const struct nexthop *hop;

	if (!path || path->generation != p->generation || !path->generation)
		return false;
	p->to.src = path->src;
	ret_route->nexthop = path->nexthop;
	hop = bpf_map_lookup_elem(&nexthops, &ret_route->nexthop);
	if (!hop || hop->state != NEXTHOP_RESOLVED)
		return false;
	ret_route->ifindex = hop->ifindex;
	ret_route->vlan = hop->vlan;
	ret_route->mtu = path->mtu ? path->mtu : hop->mtu;
	ret_route->check = path->check;
	__builtin_memcpy(ret_route->dmac, hop->dmac, sizeof(ret_route->dmac));
	__builtin_memcpy(ret_route->smac, hop->smac, sizeof(ret_route->smac));
	return true;
}

/* L2: the packet keeps the VIP as its destination, so it may go to the endpoint
 * itself only, never to a router on the way there. */
static __always_inline bool route_is_direct(const struct packet *p, const struct route *route)
{
	if (route->via_ipv6)
		return address_equal(&route->via, &p->to.dst);
	return route->via.words[3] == p->to.dst.words[3];
}

/* May XDP send by this device?  Back where it came from always; else only a
 * device with native XDP, as others have no queue for XDP's frames. */
static __always_inline bool route_is_native(const struct packet *p, __u32 ifindex)
{
	return ifindex == p->ifindex || bpf_map_lookup_elem(&devices, &ifindex);
}

#endif
