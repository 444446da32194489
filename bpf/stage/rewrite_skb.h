/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The packet's new addresses, ports, TTL and checksums, by TC's helpers.
 *
 * They know when a checksum is left to hardware: then the field holds the
 * pseudo header's sum only, so addresses count in it (BPF_F_PSEUDO_HDR) and
 * ports do not.  Merged packets stay merged.
 */
#ifndef SLUICE_BPF_STAGE_REWRITE_SKB_H
#define SLUICE_BPF_STAGE_REWRITE_SKB_H

#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/tcp.h>
#include <linux/udp.h>
#include <stddef.h>

#include "bpf/stage/icmp.h"
#include "bpf/stage/packet.h"
#include "maps/layout/verdict.h"

#define CHECKSUM_OFFSET_IPV4 (ETH_HLEN + offsetof(struct iphdr, check))
#define SOURCE_OFFSET_IPV4 (ETH_HLEN + offsetof(struct iphdr, saddr))
#define SOURCE_OFFSET_IPV6 (ETH_HLEN + offsetof(struct ipv6hdr, saddr))
#define TTL_OFFSET_IPV4 (ETH_HLEN + offsetof(struct iphdr, ttl))
#define TTL_OFFSET_IPV6 (ETH_HLEN + offsetof(struct ipv6hdr, hop_limit))

static __always_inline long rewrite_skb_l4(struct __sk_buff *skb, const struct packet *p)
{
	bool is_tcp = p->key.proto == IPPROTO_TCP;
	__u32 check = p->l4_offset +
		      (is_tcp ? offsetof(struct tcphdr, check) : offsetof(struct udphdr, check));
	/* UDP: zero means the sender computed none, and a computed zero is sent as ffff */
	__u64 flags = is_tcp ? 0 : BPF_F_MARK_MANGLED_0;
	const __be32 *from = p->key.src.words, *to = p->to.src.words;
	long error = 0;

	/* source and destination are neighbours in both structs */
#pragma unroll
	for (int i = 0; i < 8; i++) {
		if (from[i] != to[i])
			error |= bpf_l4_csum_replace(skb, check, from[i], to[i],
						     flags | BPF_F_PSEUDO_HDR | sizeof(*to));
	}
	error |= bpf_l4_csum_replace(skb, check, p->key.src_port, p->to.src_port,
				     flags | sizeof(__be16));
	error |= bpf_l4_csum_replace(skb, check, p->key.dst_port, p->to.dst_port,
				     flags | sizeof(__be16));
	/* source and destination port are neighbours too, and first in both headers */
	error |= bpf_skb_store_bytes(skb, p->l4_offset, &p->to.src_port, 2 * sizeof(__be16), 0);
	return error;
}

static __always_inline long rewrite_skb_ipv4(struct __sk_buff *skb, const struct packet *p)
{
	__be32 addresses[2] = {p->to.src.words[3], p->to.dst.words[3]};
	/* TTL and protocol are one 16-bit word of the checksum */
	__be16 ttl_old = bpf_htons((__u16)p->ttl << 8), ttl_new = bpf_htons((p->ttl - 1) << 8);
	__u8 ttl = p->ttl - 1;
	long error;

	error = bpf_l3_csum_replace(skb, CHECKSUM_OFFSET_IPV4, p->key.src.words[3], addresses[0],
				    sizeof(__be32));
	error |= bpf_l3_csum_replace(skb, CHECKSUM_OFFSET_IPV4, p->key.dst.words[3], addresses[1],
				     sizeof(__be32));
	error |= bpf_l3_csum_replace(skb, CHECKSUM_OFFSET_IPV4, ttl_old, ttl_new, sizeof(__be16));
	error |= bpf_skb_store_bytes(skb, SOURCE_OFFSET_IPV4, addresses, sizeof(addresses), 0);
	error |= bpf_skb_store_bytes(skb, TTL_OFFSET_IPV4, &ttl, sizeof(ttl), 0);
	return error;
}

/* Of a later fragment no checksum makes up for the new addresses. */
static __always_inline long rewrite_skb_ipv6(struct __sk_buff *skb, const struct packet *p)
{
	__u64 flags = p->kind == KIND_LATER ? BPF_F_RECOMPUTE_CSUM : 0;
	__u8 hop_limit = p->ttl - 1;
	long error;

	error = bpf_skb_store_bytes(skb, SOURCE_OFFSET_IPV6, &p->to.src, 2 * sizeof(struct ip_addr),
				    flags);
	error |= bpf_skb_store_bytes(skb, TTL_OFFSET_IPV6, &hop_limit, sizeof(hop_limit), 0);
	return error;
}

/* What lies behind the IP header. */
static __always_inline long rewrite_skb_inside(struct __sk_buff *skb, struct packet *p)
{
	if (p->kind == KIND_PORTS)
		return rewrite_skb_l4(skb, p);
	if (p->kind == KIND_ICMP)
		return icmp_translate(skb, p, rewrite_address_difference(p));
	return 0;
}

/* A helper fails only when there is no memory for a private copy of the
 * headers; the half written packet is then dropped. */
static __always_inline int rewrite_skb(struct __sk_buff *skb, struct packet *p)
{
	long error = rewrite_skb_inside(skb, p);

	error |= p->is_ipv6 ? rewrite_skb_ipv6(skb, p) : rewrite_skb_ipv4(skb, p);
	return error ? VERDICT_MALFORMED : STAGE_NEXT;
}

#endif
