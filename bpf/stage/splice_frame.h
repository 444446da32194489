/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* XDP: a spliced packet as it leaves.
 *
 * All in front of TCP is made anew, as this is another connection: link header, the
 * next hop's tag, and an IP header without options, of either family.  What the ends
 * say to each other and to the network by it stays: DSCP and ECN, whether it may be
 * fragmented, and the TTL, less this hop.
 */
#ifndef SLUICE_BPF_STAGE_SPLICE_FRAME_H
#define SLUICE_BPF_STAGE_SPLICE_FRAME_H

#include "bpf/stage/parse.h"
#include "bpf/stage/splice_ip.h"

/* Writes the link header; returns where the next one begins. */
static __always_inline void *splice_link_write(const struct packet *p, const struct route *route,
					       struct ethhdr *eth)
{
	__be16 protocol = p->out_ipv6 ? bpf_htons(ETH_P_IPV6) : bpf_htons(ETH_P_IP);
	struct vlan_tag *tag = (void *)(eth + 1);

	__builtin_memcpy(eth->h_dest, route->dmac, ETH_ALEN);
	__builtin_memcpy(eth->h_source, route->smac, ETH_ALEN);
	if (!route->vlan) {
		eth->h_proto = protocol;
		return tag;
	}
	eth->h_proto = bpf_htons(ETH_P_8021Q);
	tag->tci = bpf_htons(route->vlan);
	tag->protocol = protocol;
	return tag + 1;
}

static __always_inline int splice_head_write(struct xdp_md *ctx, const struct packet *p,
					     const struct splice *splice, const struct route *route,
					     __be32 ipv4_word)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	void *l3;

	if (data + ETH_HLEN + VLAN_HEADER_BYTES > end)
		return VERDICT_MALFORMED;
	l3 = splice_link_write(p, route, data);
	if (p->out_ipv6) {
		if (l3 + sizeof(struct ipv6hdr) > end)
			return VERDICT_MALFORMED;
		splice_write_ipv6(p, splice, l3);
	} else {
		if (l3 + sizeof(struct iphdr) > end)
			return VERDICT_MALFORMED;
		splice_write_ipv4(p, ipv4_word, l3);
	}
	return STAGE_NEXT;
}

/* STAGE_NEXT: the frame is as it is to leave.  A helper fails only where there is no
 * room: then it is dropped half written. */
__noinline int splice_frame(struct xdp_md *ctx, struct packet *p, struct splice *splice,
			    struct route *route)
{
	struct splice_tcp *t = splice_tcp_get(false);
	__be32 ipv4_word;
	__u32 difference;
	int grow;

	if (!p || !splice || !route || !t)
		return VERDICT_MALFORMED;
	difference = (__u32)checksum_fold(splice_tcp_difference(t)) +
		     checksum_fold(rewrite_address_difference(p));
	t->tcp.check = checksum_update(t->tcp.check, difference);
	ipv4_word = splice_ipv4_word(ctx, p);
	if (splice_tcp_store(ctx, p, t))
		return VERDICT_MALFORMED;
	grow = ETH_HLEN + (route->vlan ? VLAN_HEADER_BYTES : 0) + (p->out_ipv6 ? 40 : 20) -
	       p->l4_offset;
	if (grow && bpf_xdp_adjust_head(ctx, -grow))
		return VERDICT_NO_HEADROOM;
	return splice_head_write(ctx, p, splice, route, ipv4_word);
}

#endif
