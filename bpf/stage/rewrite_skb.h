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

static __always_inline long rewrite_skb_ipv4(struct __sk_buff *skb, const struct packet *p,
					     __u32 l3)
{
	__be32 addresses[2] = {p->to.src.words[3], p->to.dst.words[3]};
	__u32 check = l3 + offsetof(struct iphdr, check);
	long error;

	error = bpf_l3_csum_replace(skb, check, p->key.src.words[3], addresses[0], sizeof(__be32));
	error |= bpf_l3_csum_replace(skb, check, p->key.dst.words[3], addresses[1], sizeof(__be32));
	error |= bpf_skb_store_bytes(skb, l3 + offsetof(struct iphdr, saddr), addresses,
				     sizeof(addresses), 0);
	return error;
}

/* Of a later fragment no checksum makes up for the new addresses. */
static __always_inline long rewrite_skb_ipv6(struct __sk_buff *skb, const struct packet *p,
					     __u32 l3)
{
	__u64 flags = p->kind == KIND_LATER ? BPF_F_RECOMPUTE_CSUM : 0;

	return bpf_skb_store_bytes(skb, l3 + offsetof(struct ipv6hdr, saddr), &p->to.src,
				   2 * sizeof(struct ip_addr), flags);
}

/* l3: where the IP header lies. */
static __always_inline long rewrite_skb_addresses(struct __sk_buff *skb, const struct packet *p,
						  __u32 l3)
{
	return p->is_ipv6 ? rewrite_skb_ipv6(skb, p, l3) : rewrite_skb_ipv4(skb, p, l3);
}

static __always_inline long rewrite_skb_hop(struct __sk_buff *skb, const struct packet *p)
{
	/* TTL and protocol are one 16-bit word of the checksum */
	__be16 ttl_old = bpf_htons((__u16)p->ttl << 8), ttl_new = bpf_htons((p->ttl - 1) << 8);
	__u8 ttl = p->ttl - 1;
	long error;

	if (p->is_ipv6)
		return bpf_skb_store_bytes(skb, ETH_HLEN + offsetof(struct ipv6hdr, hop_limit),
					   &ttl, sizeof(ttl), 0);
	error = bpf_l3_csum_replace(skb, ETH_HLEN + offsetof(struct iphdr, check), ttl_old, ttl_new,
				    sizeof(__be16));
	error |= bpf_skb_store_bytes(skb, ETH_HLEN + offsetof(struct iphdr, ttl), &ttl, sizeof(ttl),
				     0);
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

	error |= rewrite_skb_addresses(skb, p, ETH_HLEN);
	error |= rewrite_skb_hop(skb, p);
	return error ? VERDICT_MALFORMED : STAGE_NEXT;
}

/* A probe's packet, leaving or coming back: no hop is passed here, so the TTL stays, and
 * tags may be in front.  What a socket of this host sends has its checksum unfinished. */
static __always_inline int rewrite_skb_local(struct __sk_buff *skb, const struct packet *p)
{
	long error = rewrite_skb_l4(skb, p);

	error |= rewrite_skb_addresses(skb, p, p->l3_offset);
	return error ? VERDICT_MALFORMED : STAGE_NEXT;
}

#endif
