/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Stage 1: Ethernet, IP and the first bytes of TCP or UDP.
 *
 * Reads only; works on the linear part [data, end) that XDP and TC both give.
 * Options and extension headers are walked so that the ports are found and the
 * packet can be told from a stranger's, but an L4 VIP takes none of them
 * (stage vip).  VLAN tags, ICMP and later fragments have no ports here: passed.
 */
#ifndef SLUICE_BPF_STAGE_PARSE_H
#define SLUICE_BPF_STAGE_PARSE_H

#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/tcp.h>
#include <linux/udp.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "bpf/stage/packet.h"
#include "maps/layout/verdict.h"

#define IPV4_MORE_FRAGMENTS 0x2000
#define IPV4_OFFSET_MASK 0x1fff
#define IPV6_OFFSET_MASK 0xfff8
#define IPV6_MORE_FRAGMENTS 0x0001
/* More than real headers need; a bound for the verifier. */
#define L4_OFFSET_MAX 0x0fff
#define IPV6_EXTENSIONS_MAX 4 /* what a real sender needs; more is passed to the stack */

struct ipv6_extension {
	__u8 next;
	__u8 units; /* of 8 bytes beyond the first 8 */
	__be16 offset; /* fragment header only */
};

static __always_inline void address_from_ipv4(struct ip_addr *addr, __be32 ipv4)
{
	addr->words[0] = 0;
	addr->words[1] = 0;
	addr->words[2] = bpf_htonl(0xffff);
	addr->words[3] = ipv4;
}

static __always_inline int parse_tcp(struct packet *p, void *l4, void *end)
{
	struct tcphdr *tcp = l4;

	if ((void *)(tcp + 1) > end)
		return VERDICT_MALFORMED;
	p->key.src_port = tcp->source;
	p->key.dst_port = tcp->dest;
	p->tcp_flags = ((__u8 *)tcp)[13];
	if (tcp->doff < 5 || p->l3_offset + p->bytes < p->l4_offset + (__u32)tcp->doff * 4)
		p->lies = true;
	return STAGE_NEXT;
}

static __always_inline int parse_udp(struct packet *p, void *l4, void *end)
{
	struct udphdr *udp = l4;
	__u32 length;

	if ((void *)(udp + 1) > end)
		return VERDICT_MALFORMED;
	p->key.src_port = udp->source;
	p->key.dst_port = udp->dest;
	length = bpf_ntohs(udp->len);
	/* a first fragment's UDP length is that of the whole datagram */
	if (length < sizeof(*udp) ||
	    (!p->is_fragment && p->l3_offset + p->bytes < p->l4_offset + length))
		p->lies = true;
	return STAGE_NEXT;
}

static __always_inline int parse_l4(struct packet *p, void *data, void *end)
{
	void *l4 = data + (p->l4_offset & L4_OFFSET_MAX);

	if (p->l4_offset > L4_OFFSET_MAX)
		return VERDICT_MALFORMED;
	if (p->l3_offset + p->bytes > p->frame_bytes)
		p->lies = true;
	if (p->key.proto == IPPROTO_TCP)
		return parse_tcp(p, l4, end);
	if (p->key.proto == IPPROTO_UDP)
		return parse_udp(p, l4, end);
	return VERDICT_NOT_A_VIP;
}

static __always_inline int parse_ipv4(struct packet *p, __u32 l3_offset, void *data, void *end)
{
	struct iphdr *ip = data + l3_offset;
	__u16 fragment;

	if ((void *)(ip + 1) > end || ip->version != 4 || ip->ihl < 5)
		return VERDICT_MALFORMED;
	p->bytes = bpf_ntohs(ip->tot_len);
	p->ttl = ip->ttl;
	p->tos = ip->tos;
	p->key.proto = ip->protocol;
	address_from_ipv4(&p->key.src, ip->saddr);
	address_from_ipv4(&p->key.dst, ip->daddr);
	p->has_options = ip->ihl > 5;
	p->l4_offset = l3_offset + ip->ihl * 4;

	fragment = bpf_ntohs(ip->frag_off);
	p->is_fragment = fragment & IPV4_MORE_FRAGMENTS;
	if (fragment & IPV4_OFFSET_MASK)
		return VERDICT_LATER_FRAGMENT;
	return parse_l4(p, data, end);
}

/* Moves l4_offset and proto past one extension header.  STAGE_NEXT: there may
 * be another.  `*done`: proto is no extension header. */
static __always_inline int parse_ipv6_extension(struct packet *p, void *data, void *end, bool *done)
{
	struct ipv6_extension *extension = data + (p->l4_offset & L4_OFFSET_MAX);
	bool is_fragment = p->key.proto == IPPROTO_FRAGMENT;

	if (!is_fragment && p->key.proto != IPPROTO_HOPOPTS && p->key.proto != IPPROTO_ROUTING &&
	    p->key.proto != IPPROTO_DSTOPTS) {
		*done = true;
		return STAGE_NEXT;
	}
	if ((void *)(extension + 1) > end)
		return VERDICT_MALFORMED;
	p->has_options = true;
	p->key.proto = extension->next;
	p->l4_offset += is_fragment ? 8 : 8 + 8 * extension->units;
	if (!is_fragment)
		return STAGE_NEXT;
	p->is_fragment = bpf_ntohs(extension->offset) & IPV6_MORE_FRAGMENTS;
	if (bpf_ntohs(extension->offset) & IPV6_OFFSET_MASK)
		return VERDICT_LATER_FRAGMENT;
	return STAGE_NEXT;
}

static __always_inline int parse_ipv6(struct packet *p, __u32 l3_offset, void *data, void *end)
{
	struct ipv6hdr *ip = data + l3_offset;
	bool done = false;

	if ((void *)(ip + 1) > end || ip->version != 6)
		return VERDICT_MALFORMED;
	p->is_ipv6 = true;
	p->bytes = sizeof(*ip) + bpf_ntohs(ip->payload_len);
	p->ttl = ip->hop_limit;
	p->tos = ip->priority << 4 | ip->flow_lbl[0] >> 4;
	p->key.proto = ip->nexthdr;
	__builtin_memcpy(&p->key.src, &ip->saddr, sizeof(p->key.src));
	__builtin_memcpy(&p->key.dst, &ip->daddr, sizeof(p->key.dst));
	p->l4_offset = l3_offset + sizeof(*ip);

#pragma unroll
	for (int i = 0; i < IPV6_EXTENSIONS_MAX; i++) {
		int stage = done ? STAGE_NEXT : parse_ipv6_extension(p, data, end, &done);

		if (stage != STAGE_NEXT)
			return stage;
	}
	return parse_l4(p, data, end);
}

/* STAGE_NEXT with key, lengths and flags set: a TCP or UDP packet with ports.
 * p->frame_bytes is the caller's.  l3_offset: 14, or 0 where there is no
 * Ethernet header; an argument, so that the verifier sees that it is small. */
static __always_inline int parse_packet(struct packet *p, __be16 protocol, __u32 l3_offset,
					void *data, void *end)
{
	p->l3_offset = l3_offset;
	if (protocol == bpf_htons(ETH_P_IP))
		return parse_ipv4(p, l3_offset, data, end);
	if (protocol == bpf_htons(ETH_P_IPV6))
		return parse_ipv6(p, l3_offset, data, end);
	return VERDICT_NOT_IP;
}

#endif
