/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* XDP and NAT: what rewrite.h does, for packets whose L4 header is not where it is
 * in most: behind tags, options or extension headers, or nowhere.  Tags are taken
 * off: the route is of a device of its own.  Out of line, by helper. */
#ifndef SLUICE_BPF_STAGE_REWRITE_ODD_H
#define SLUICE_BPF_STAGE_REWRITE_ODD_H

#include "bpf/stage/icmp.h"
#include "bpf/stage/packet.h"
#include "bpf/stage/rewrite.h"
#include "bpf/stage/route.h"

static __always_inline long odd_rewrite_link(struct xdp_md *ctx, struct packet *p,
					     const struct route *route)
{
	int tags = p->l3_offset - ETH_HLEN;
	struct ethhdr eth;

	__builtin_memcpy(eth.h_dest, route->dmac, ETH_ALEN);
	__builtin_memcpy(eth.h_source, route->smac, ETH_ALEN);
	eth.h_proto = p->is_ipv6 ? bpf_htons(ETH_P_IPV6) : bpf_htons(ETH_P_IP);
	if (tags && bpf_xdp_adjust_head(ctx, tags))
		return -1;
	p->l3_offset -= tags;
	p->l4_offset -= tags;
	return bytes_store(ctx, 0, &eth, sizeof(eth));
}

static __always_inline long odd_rewrite_ipv4(struct xdp_md *ctx, const struct packet *p,
					     __u32 difference)
{
	struct iphdr ip;

	if (bytes_load(ctx, p->l3_offset, &ip, sizeof(ip)))
		return -1;
	ip.saddr = p->to.src.words[3];
	ip.daddr = p->to.dst.words[3];
	ip.ttl--;
	ip.check = checksum_update(ip.check,
				   (__u32)checksum_fold(difference) + (__u16)~bpf_htons(0x0100));
	return bytes_store(ctx, p->l3_offset, &ip, sizeof(ip));
}

static __always_inline long odd_rewrite_ipv6(struct xdp_md *ctx, const struct packet *p)
{
	__u8 hop_limit = p->ttl - 1;

	if (bytes_store(ctx, p->l3_offset + offsetof(struct ipv6hdr, hop_limit), &hop_limit,
			sizeof(hop_limit)))
		return -1;
	return bytes_store(ctx, p->l3_offset + offsetof(struct ipv6hdr, saddr), &p->to.src,
			   2 * sizeof(struct ip_addr));
}

/* The header is loaded, rewritten and stored; TCP's up to its checksum. */
static __always_inline long odd_rewrite_l4(struct xdp_md *ctx, const struct packet *p,
					   __u32 difference)
{
	struct tcphdr l4 = {};

	if (p->key.proto == IPPROTO_TCP) {
		if (bytes_load(ctx, p->l4_offset, &l4, sizeof(l4)) ||
		    rewrite_l4(p, &l4, &l4 + 1, difference) != STAGE_NEXT)
			return -1;
		return bytes_store(ctx, p->l4_offset, &l4, sizeof(l4));
	}
	if (bytes_load(ctx, p->l4_offset, &l4, sizeof(struct udphdr)) ||
	    rewrite_l4(p, &l4, &l4 + 1, difference) != STAGE_NEXT)
		return -1;
	return bytes_store(ctx, p->l4_offset, &l4, sizeof(struct udphdr));
}

/* STAGE_NEXT: the frame is as it is to leave.  A helper fails only where the frame
 * is shorter than it was when it was parsed: then it is dropped half written. */
static __noinline int rewrite_odd(struct xdp_md *ctx, struct packet *p, const struct route *route)
{
	__u32 difference = rewrite_address_difference(p);
	long error = odd_rewrite_link(ctx, p, route);

	if (!error)
		error = p->is_ipv6 ? odd_rewrite_ipv6(ctx, p)
				   : odd_rewrite_ipv4(ctx, p, difference);
	if (!error && p->kind == KIND_PORTS)
		error = odd_rewrite_l4(ctx, p, difference);
	else if (!error && p->kind == KIND_ICMP)
		error = icmp_translate(ctx, p, difference);
	return error ? VERDICT_MALFORMED : STAGE_NEXT;
}

#endif
