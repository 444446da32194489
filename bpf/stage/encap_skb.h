/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* TC: the outer headers of IPIP and GUE.  The kernel is told what they are, so
 * that merged packets and unfinished inner checksums stay what they are until a
 * device needs to know.  The link header is bpf_redirect_neigh's. */
#ifndef SLUICE_BPF_STAGE_ENCAP_SKB_H
#define SLUICE_BPF_STAGE_ENCAP_SKB_H

#include "bpf/stage/encap.h"

#define ENCAP_BYTES_MAX (sizeof(struct ipv6hdr) + sizeof(struct udphdr))

static __always_inline __u64 encap_skb_flags(const struct packet *p)
{
	__u64 flags = p->out_ipv6 ? BPF_F_ADJ_ROOM_ENCAP_L3_IPV6 : BPF_F_ADJ_ROOM_ENCAP_L3_IPV4;

	return p->way == WAY_GUE ? flags | BPF_F_ADJ_ROOM_ENCAP_L4_UDP : flags;
}

/* The outer headers are made in a buffer, as an skb has no room to write into. */
static __noinline int encap_skb(struct __sk_buff *skb, const struct packet *p)
{
	__u8 headers[ENCAP_BYTES_MAX] = {};
	__u32 overhead = route_overhead(p);
	int stage;

	if (!overhead)
		return STAGE_NEXT;
	stage = encap_headers(p, headers, headers + sizeof(headers), 0);
	if (stage != STAGE_NEXT)
		return stage;
	if (bpf_skb_adjust_room(skb, overhead, BPF_ADJ_ROOM_MAC, encap_skb_flags(p)))
		return VERDICT_NO_HEADROOM;
	if (p->out_ipv6 && p->way == WAY_GUE)
		return bpf_skb_store_bytes(skb, ETH_HLEN, headers, 48, 0) ? VERDICT_NO_HEADROOM
									  : STAGE_NEXT;
	if (p->out_ipv6)
		return bpf_skb_store_bytes(skb, ETH_HLEN, headers, 40, 0) ? VERDICT_NO_HEADROOM
									  : STAGE_NEXT;
	if (p->way == WAY_GUE)
		return bpf_skb_store_bytes(skb, ETH_HLEN, headers, 28, 0) ? VERDICT_NO_HEADROOM
									  : STAGE_NEXT;
	return bpf_skb_store_bytes(skb, ETH_HLEN, headers, 20, 0) ? VERDICT_NO_HEADROOM
								  : STAGE_NEXT;
}

#endif
