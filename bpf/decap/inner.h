/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Stage 2: is what is inside for one of the VIPs, and whole?
 *
 * Reads only.  From the VIP on a packet is ours to judge: one that lies is
 * dropped, so the stack never sees an inner packet longer than its outer one.
 * What is behind the inner IP header is the stack's business.
 */
#ifndef SLUICE_BPF_DECAP_INNER_H
#define SLUICE_BPF_DECAP_INNER_H

#include "bpf/decap/outer.h"

#define ECN_MASK 3
#define ECN_NOT_ECT 0
#define ECN_ECT_1 1
#define ECN_ECT_0 2
#define ECN_CE 3

static __always_inline int inner_parse_ipv4(struct tunnel *t, void *l3, void *end,
					    struct ip_addr *dst)
{
	struct iphdr *ip = l3;
	__u32 bytes;

	if ((void *)(ip + 1) > end || ip->version != 4 || ip->ihl < 5)
		return DECAP_BAD_INNER;
	bytes = bpf_ntohs(ip->tot_len);
	if (bytes < (__u32)ip->ihl * 4)
		t->lies = true;
	t->inner_end = t->inner + bytes;
	t->inner_tos = ip->tos;
	address_from_ipv4(dst, ip->daddr);
	return STAGE_NEXT;
}

static __always_inline int inner_parse_ipv6(struct tunnel *t, void *l3, void *end,
					    struct ip_addr *dst)
{
	struct ipv6hdr *ip = l3;

	if ((void *)(ip + 1) > end || ip->version != 6)
		return DECAP_BAD_INNER;
	t->inner_end = t->inner + sizeof(*ip) + bpf_ntohs(ip->payload_len);
	t->inner_tos = ip->priority << 4 | ip->flow_lbl[0] >> 4;
	__builtin_memcpy(dst, &ip->daddr, sizeof(*dst));
	return STAGE_NEXT;
}

/* STAGE_NEXT: a whole packet to a VIP, in one tunnel packet. */
static __always_inline int inner_parse(struct __sk_buff *skb, struct tunnel *t)
{
	void *data = (void *)(long)skb->data, *end = (void *)(long)skb->data_end;
	void *l3 = data + (t->inner & (HEADERS_MAX - 1)); /* the verifier: it is small */
	struct ip_addr dst;
	int stage;

	stage = t->inner_proto == IPPROTO_IPV6 ? inner_parse_ipv6(t, l3, end, &dst)
					       : inner_parse_ipv4(t, l3, end, &dst);
	if (stage != STAGE_NEXT)
		return stage;
	if (!bpf_map_lookup_elem(&decap_vips, &dst))
		return DECAP_NOT_A_VIP;
	if (t->lies || t->inner_end > t->end)
		return DECAP_MALFORMED;
	/* GRO that knows the tunnel corrects the inner length, GRO that sees only UDP does not */
	if (skb->gso_size && t->inner_end != t->end)
		return DECAP_MERGED;
	return STAGE_NEXT;
}

/* RFC 6040, section 4.2: the inner packet's ECN bits after decapsulation, or
 * -1 if it is to be dropped. */
static __always_inline int ecn_decapsulate(__u8 outer, __u8 inner)
{
	outer &= ECN_MASK;
	inner &= ECN_MASK;
	if (outer == ECN_CE)
		return inner == ECN_NOT_ECT ? -1 : ECN_CE;
	if (outer == ECN_ECT_1 && inner == ECN_ECT_0)
		return ECN_ECT_1;
	return inner;
}

#endif
