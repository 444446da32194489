/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* TC: a probe's packet with the addresses and ports of p->to, by the helpers that
 * know a checksum's state (rewrite_skb.h): what a socket of this host sends has its
 * checksum still unfinished.  The TTL stays: no hop is passed here. */
#ifndef SLUICE_BPF_STAGE_PROBE_SKB_H
#define SLUICE_BPF_STAGE_PROBE_SKB_H

#include "bpf/stage/packet.h"
#include "bpf/stage/rewrite_skb.h"

static __always_inline long probe_skb_ipv4(struct __sk_buff *skb, const struct packet *p)
{
	__be32 addresses[2] = {p->to.src.words[3], p->to.dst.words[3]};
	__u32 check = p->l3_offset + offsetof(struct iphdr, check);
	long error;

	error = bpf_l3_csum_replace(skb, check, p->key.src.words[3], addresses[0], sizeof(__be32));
	error |= bpf_l3_csum_replace(skb, check, p->key.dst.words[3], addresses[1], sizeof(__be32));
	error |= bpf_skb_store_bytes(skb, p->l3_offset + offsetof(struct iphdr, saddr), addresses,
				     sizeof(addresses), 0);
	return error;
}

static __always_inline long probe_skb_ipv6(struct __sk_buff *skb, const struct packet *p)
{
	return bpf_skb_store_bytes(skb, p->l3_offset + offsetof(struct ipv6hdr, saddr), &p->to.src,
				   2 * sizeof(struct ip_addr), 0);
}

/* As rewrite_skb() fails. */
static __always_inline int probe_skb(struct __sk_buff *skb, const struct packet *p)
{
	long error = rewrite_skb_l4(skb, p);

	error |= p->is_ipv6 ? probe_skb_ipv6(skb, p) : probe_skb_ipv4(skb, p);
	return error ? VERDICT_MALFORMED : STAGE_NEXT;
}

#endif
