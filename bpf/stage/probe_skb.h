/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* TC: a probe's packet with the addresses and ports of p->to (rewrite_skb_local).
 *
 * Where VIP and endpoint are of different IP families the header is exchanged for
 * one of the other (bpf_skb_change_proto makes it the other's size).  The checksum
 * of TCP follows the addresses: what else its pseudo header has sums up the same.
 */
#ifndef SLUICE_BPF_STAGE_PROBE_SKB_H
#define SLUICE_BPF_STAGE_PROBE_SKB_H

#include "bpf/stage/encap.h"
#include "bpf/stage/packet.h"
#include "bpf/stage/probe.h"
#include "bpf/stage/rewrite_skb.h"

static __always_inline long probe_skb_store(struct __sk_buff *skb, const struct packet *p,
					    const void *header, __u32 bytes)
{
	return bpf_skb_store_bytes(skb, p->l3_offset, header, bytes, BPF_F_RECOMPUTE_CSUM);
}

/* The header of the other family, with p->to's addresses; the link header is the
 * caller's. */
static __noinline long probe_skb_other(struct __sk_buff *skb, struct packet *p)
{
	__u32 payload = p->bytes - (p->l4_offset - p->l3_offset);
	bool is_ipv6 = !p->is_ipv6;
	struct ipv6hdr ip6 = {};
	struct iphdr ip4 = {};

	if (bpf_skb_change_proto(skb, is_ipv6 ? bpf_htons(ETH_P_IPV6) : bpf_htons(ETH_P_IP), 0))
		return -1;
	p->is_ipv6 = is_ipv6;
	p->bytes = payload + (is_ipv6 ? sizeof(ip6) : sizeof(ip4));
	p->l4_offset = p->l3_offset + (is_ipv6 ? sizeof(ip6) : sizeof(ip4));
	if (is_ipv6) {
		encap_write_ipv6(p, &ip6, payload, IPPROTO_TCP);
		return probe_skb_store(skb, p, &ip6, sizeof(ip6));
	}
	encap_write_ipv4(p, &ip4, p->bytes, IPPROTO_TCP, 0);
	return probe_skb_store(skb, p, &ip4, sizeof(ip4));
}

/* As rewrite_skb() fails. */
static __always_inline int probe_skb(struct __sk_buff *skb, struct packet *p)
{
	if (!probe_changes_family(p))
		return rewrite_skb_local(skb, p);
	return rewrite_skb_l4(skb, p) || probe_skb_other(skb, p) ? VERDICT_MALFORMED : STAGE_NEXT;
}

#endif
