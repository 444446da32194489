/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Stage: the way out, asked of the kernel's own routes and neighbours.
 *
 * Asked with the addresses the packet is to leave with, before a byte of it is
 * changed.  ROUTE_NO_NEIGHBOUR is not a verdict: TC can send such a packet
 * (bpf_redirect_neigh resolves), XDP leaves it to TC.
 */
#ifndef SLUICE_BPF_STAGE_ROUTE_H
#define SLUICE_BPF_STAGE_ROUTE_H

#include "bpf/maps.h"
#include "bpf/stage/packet.h"

#define AF_INET 2
#define AF_INET6 10

#define ROUTE_NO_NEIGHBOUR (-2)

struct route {
	__u32 ifindex; /* to leave by */
	bool via_ipv6; /* family of the next hop */
	struct ip_addr via; /* next hop; IPv4 in words[3] */
	__u8 dmac[6]; /* set unless ROUTE_NO_NEIGHBOUR */
	__u8 smac[6];
};

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
	ret_route->via_ipv6 = fib->family == AF_INET6;
	if (ret_route->via_ipv6)
		__builtin_memcpy(&ret_route->via, fib->ipv6_dst, sizeof(ret_route->via));
	else
		ret_route->via.words[3] = fib->ipv4_dst;
	__builtin_memcpy(ret_route->dmac, fib->dmac, sizeof(ret_route->dmac));
	__builtin_memcpy(ret_route->smac, fib->smac, sizeof(ret_route->smac));
}

/* mtu_bytes: checked against the route's MTU; 0: against the skb itself (TC,
 * where a merged packet is larger than any link's MTU). */
static __noinline int route_find(void *ctx, const struct packet *p, __u16 mtu_bytes,
				 struct route *ret_route)
{
	struct bpf_fib_lookup fib = {
		.tos = p->tos,
		.l4_protocol = p->key.proto,
		.sport = p->to.src_port,
		.dport = p->to.dst_port,
		.tot_len = mtu_bytes,
		.ifindex = p->ifindex,
	};
	long result;

	if (p->is_ipv6) {
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

/* May XDP send by this device?  Back where it came from always; else only a
 * device with native XDP, as others have no queue for XDP's frames. */
static __always_inline bool route_is_native(const struct packet *p, __u32 ifindex)
{
	return ifindex == p->ifindex || bpf_map_lookup_elem(&devices, &ifindex);
}

#endif
