/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* TC: a spliced packet as it leaves, by helpers that know the checksum's state.
 *
 * Within a family the IP header is rewritten in place, options and all; across
 * families it is exchanged, which IPv4 options and extension headers rule out.  Merged
 * packets stay merged.  The link header is bpf_redirect_neigh's.
 */
#ifndef SLUICE_BPF_STAGE_SPLICE_SKB_H
#define SLUICE_BPF_STAGE_SPLICE_SKB_H

#include "bpf/stage/rewrite_skb.h"
#include "bpf/stage/splice_ip.h"

static __always_inline long splice_skb_tcp(struct __sk_buff *skb, struct packet *p,
					   struct splice_tcp *t)
{
	__u32 check = p->l4_offset + offsetof(struct tcphdr, check);
	__u32 header = splice_tcp_difference(t);
	long error;

	error = splice_tcp_store(skb, p, t);
	/* a size of 0: `to` is the difference itself */
	error |= bpf_l4_csum_replace(skb, check, 0, header, 0);
	error |=
		bpf_l4_csum_replace(skb, check, 0, rewrite_address_difference(p), BPF_F_PSEUDO_HDR);
	return error;
}

/* The header of the other family, of which bpf_skb_change_proto makes the room. */
static __noinline long splice_skb_other(struct __sk_buff *skb, struct packet *p,
					const struct splice *splice)
{
	__be32 ipv4_word = splice_ipv4_word(skb, p);
	struct ipv6hdr ip6;
	struct iphdr ip4;

	if (p->has_options ||
	    bpf_skb_change_proto(skb, p->out_ipv6 ? bpf_htons(ETH_P_IPV6) : bpf_htons(ETH_P_IP), 0))
		return -1;
	if (p->out_ipv6) {
		splice_write_ipv6(p, splice, &ip6);
		return bpf_skb_store_bytes(skb, ETH_HLEN, &ip6, sizeof(ip6), BPF_F_RECOMPUTE_CSUM);
	}
	splice_write_ipv4(p, ipv4_word, &ip4);
	return bpf_skb_store_bytes(skb, ETH_HLEN, &ip4, sizeof(ip4), BPF_F_RECOMPUTE_CSUM);
}

/* STAGE_NEXT: the packet, which has a plain Ethernet header, is as it is to leave.
 * Otherwise it is dropped half written. */
__noinline int splice_skb(struct __sk_buff *skb, struct packet *p, struct splice *splice)
{
	struct splice_tcp *t = splice_tcp_get(false);
	long error;

	if (!p || !splice || !t)
		return VERDICT_MALFORMED;
	if (p->is_ipv6 != p->out_ipv6 && p->has_options)
		return VERDICT_SPLICE_ODD;
	error = splice_skb_tcp(skb, p, t);
	if (p->is_ipv6 != p->out_ipv6) {
		error |= splice_skb_other(skb, p, splice);
	} else {
		error |= rewrite_skb_addresses(skb, p, ETH_HLEN);
		error |= rewrite_skb_hop(skb, p);
	}
	return error ? VERDICT_MALFORMED : STAGE_NEXT;
}

#endif
