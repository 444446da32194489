/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* XDP: IPIP, GUE and L2 direct return.  The packet itself is not touched: the
 * endpoint has the VIP and answers the client by itself.
 *
 * The frame's link header is dropped and written anew at its new place, so VLAN
 * tags come and go with the next hop.  IPIP is RFC 2003 and RFC 2473.  GUE is
 * draft-ietf-intarea-gue variant 1: the inner IP header follows the UDP header
 * directly, 8 bytes less than with a GUE header.  Its UDP checksum is zero: over
 * IPv6 too (RFC 6935, RFC 6936), as the inner checksums cover what matters.  The
 * UDP source port is a hash of the flow, which spreads flows over an endpoint's
 * queues; IPIP has nothing to spread by.  TOS is copied (RFC 6040, normal mode),
 * the inner TTL stays: the endpoint is where the VIP is, not a hop further.
 */
#ifndef SLUICE_BPF_STAGE_ENCAP_H
#define SLUICE_BPF_STAGE_ENCAP_H

#include <linux/if_ether.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/udp.h>

#include "bpf/stage/packet.h"
#include "bpf/stage/parse.h"
#include "bpf/stage/rewrite.h"
#include "bpf/stage/route.h"

#define ENCAP_TTL 64
#define VLAN_HEADER_BYTES 4
#define GUE_PORT_LOW 0xc000 /* of source ports: the dynamic ones, RFC 6335 */

struct vlan_tag {
	__be16 tci;
	__be16 protocol; /* of what follows */
};

static __always_inline __be16 encap_source_port(const struct packet *p)
{
	return bpf_htons(GUE_PORT_LOW | (__u16)(p->hash >> 40));
}

/* Sum of the outer IPv4 header's constant words as they lie in memory (the
 * definition of path.check): DF, TTL, source, destination. */
static __always_inline __u32 encap_sum_ipv4(const struct packet *p)
{
	__u32 src = p->to.src.words[3], dst = p->to.dst.words[3];

	return (__u32)bpf_htons(0x4000) + bpf_htons(ENCAP_TTL << 8) + (src & 0xffff) + (src >> 16) +
	       (dst & 0xffff) + (dst >> 16);
}

static __always_inline void encap_write_ipv4(const struct packet *p, struct iphdr *ip, __u32 total,
					     __u8 protocol, __u16 known_sum)
{
	__u32 sum = known_sum ? known_sum : encap_sum_ipv4(p);
	__be16 first = bpf_htons(0x4500 | p->tos), length = bpf_htons(total);

	sum += (__u32)first + length + bpf_htons(protocol);
	*(__be16 *)ip = first;
	ip->tot_len = length;
	ip->id = 0; /* atomic datagram, RFC 6864 */
	ip->frag_off = bpf_htons(0x4000);
	ip->ttl = ENCAP_TTL;
	ip->protocol = protocol;
	ip->check = ~checksum_fold(sum);
	ip->saddr = p->to.src.words[3];
	ip->daddr = p->to.dst.words[3];
}

static __always_inline void encap_write_ipv6(const struct packet *p, struct ipv6hdr *ip,
					     __u32 payload, __u8 protocol)
{
	__be32 *first = (__be32 *)ip;

	/* flow label: 20 bits of the flow's hash, RFC 6438 */
	*first = bpf_htonl(6u << 28 | (__u32)p->tos << 20 | ((__u32)(p->hash >> 40) & 0xfffff));
	ip->payload_len = bpf_htons(payload);
	ip->nexthdr = protocol;
	ip->hop_limit = ENCAP_TTL;
	__builtin_memcpy(&ip->saddr, &p->to.src, sizeof(ip->saddr));
	__builtin_memcpy(&ip->daddr, &p->to.dst, sizeof(ip->daddr));
}

static __always_inline void encap_write_udp(const struct packet *p, struct udphdr *udp)
{
	udp->source = encap_source_port(p);
	udp->dest = bpf_htons(GUE_PORT);
	udp->len = bpf_htons(p->bytes + sizeof(*udp));
	udp->check = 0;
}

static __always_inline __u8 encap_inner_protocol(const struct packet *p)
{
	if (p->way == WAY_GUE)
		return IPPROTO_UDP;
	return p->is_ipv6 ? IPPROTO_IPV6 : IPPROTO_IPIP;
}

static __always_inline int encap_headers(const struct packet *p, void *l3, void *end, __u16 check)
{
	__u32 total = p->bytes + route_overhead(p);
	struct ipv6hdr *ip6 = l3;
	struct iphdr *ip4 = l3;
	void *l4;

	if (p->out_ipv6) {
		if ((void *)(ip6 + 1) > end)
			return VERDICT_MALFORMED;
		encap_write_ipv6(p, ip6, total - sizeof(*ip6), encap_inner_protocol(p));
		l4 = ip6 + 1;
	} else {
		if ((void *)(ip4 + 1) > end)
			return VERDICT_MALFORMED;
		encap_write_ipv4(p, ip4, total, encap_inner_protocol(p), check);
		l4 = ip4 + 1;
	}
	if (p->way == WAY_GUE) {
		if (l4 + sizeof(struct udphdr) > end)
			return VERDICT_MALFORMED;
		encap_write_udp(p, l4);
	}
	return STAGE_NEXT;
}

/* STAGE_NEXT: the frame is as it is to leave. */
static __always_inline int encap_frame(struct xdp_md *ctx, const struct packet *p,
				       const struct route *route)
{
	__u32 overhead = route_overhead(p);
	int grow = (int)(ETH_HLEN + overhead) - p->l3_offset;
	__be16 protocol = p->is_ipv6 ? bpf_htons(ETH_P_IPV6) : bpf_htons(ETH_P_IP);
	struct ethhdr *eth;
	void *l3, *end;

	if (route->vlan)
		grow += VLAN_HEADER_BYTES;
	if (grow && bpf_xdp_adjust_head(ctx, -grow))
		return VERDICT_NO_HEADROOM;
	eth = (void *)(long)ctx->data;
	end = (void *)(long)ctx->data_end;
	if ((void *)(eth + 1) + VLAN_HEADER_BYTES > end)
		return VERDICT_MALFORMED;
	if (overhead)
		protocol = p->out_ipv6 ? bpf_htons(ETH_P_IPV6) : bpf_htons(ETH_P_IP);
	__builtin_memcpy(eth->h_dest, route->dmac, ETH_ALEN);
	__builtin_memcpy(eth->h_source, route->smac, ETH_ALEN);
	l3 = eth + 1;
	if (route->vlan) {
		struct vlan_tag *tag = l3;

		eth->h_proto = bpf_htons(ETH_P_8021Q);
		tag->tci = bpf_htons(route->vlan);
		tag->protocol = protocol;
		l3 = tag + 1;
	} else {
		eth->h_proto = protocol;
	}
	return overhead ? encap_headers(p, l3, end, route->check) : STAGE_NEXT;
}

#endif
