/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Stage 1, what is rare: IPv4 options, IPv6 extension headers, fragments, ICMP.
 *
 * Reads by helper, so that headers may lie beyond the linear part, and out of
 * line.  A chain of extension headers is walked to its end or to a bound; what
 * comes behind the bound, or has a stop to make at our address (a routing header
 * with segments left), has kind KIND_REFUSED.  The walk keeps its place in the
 * packet struct and not in registers: the verifier then sees each step once.
 */
#ifndef SLUICE_BPF_STAGE_PARSE_ODD_H
#define SLUICE_BPF_STAGE_PARSE_ODD_H

#include "bpf/stage/parse.h"

#define IPV6_OFFSET_MASK 0xfff8
#define IPV6_MORE_FRAGMENTS 0x0001
/* RFC 8200 has six kinds of which one may come twice; each is bounded by 2 KiB, the
 * chain by what p->l4_offset holds. */
#define IPV6_EXTENSIONS_MAX 8

/* What extension headers have in common. */
struct ipv6_extension {
	__u8 next;
	__u8 units; /* of 8 bytes beyond the first 8 */
	__be16 offset; /* fragment header: offset and more; routing header: type, segments left */
	__be32 id; /* fragment header */
};

static __always_inline bool proto_is_extension(__u8 proto)
{
	return proto == IPPROTO_HOPOPTS || proto == IPPROTO_ROUTING || proto == IPPROTO_DSTOPTS ||
	       proto == IPPROTO_FRAGMENT;
}

static __always_inline int odd_ipv4(struct frame_ctx *ctx, struct packet *p)
{
	struct iphdr ip;
	__u16 fragment;

	if (bytes_load(ctx, p->l3_offset, &ip, sizeof(ip)))
		return VERDICT_MALFORMED;
	parse_ipv4_fields(p, &ip);
	p->has_options = ip.ihl > 5;
	p->l4_offset = p->l3_offset + ip.ihl * 4;
	fragment = bpf_ntohs(ip.frag_off);
	if (fragment & (IPV4_MORE_FRAGMENTS | IPV4_OFFSET_MASK)) {
		p->is_fragment = true;
		p->fragment_id = ip.id;
		p->fragment_proto = ip.protocol;
	}
	if (fragment & IPV4_OFFSET_MASK)
		p->kind = KIND_LATER;
	return STAGE_NEXT;
}

static __always_inline void odd_fragment(struct packet *p, const struct ipv6_extension *header)
{
	__u16 fragment = bpf_ntohs(header->offset);

	if (!(fragment & (IPV6_OFFSET_MASK | IPV6_MORE_FRAGMENTS)))
		return; /* atomic: all of the datagram, RFC 6946 */
	p->is_fragment = true;
	p->fragment_id = header->id;
	p->fragment_proto = header->next;
	if (fragment & IPV6_OFFSET_MASK)
		p->kind = KIND_LATER;
}

/* One extension header, at p->l4_offset. */
static __always_inline int odd_extension(struct frame_ctx *ctx, struct packet *p)
{
	bool is_fragment = p->key.proto == IPPROTO_FRAGMENT;
	struct ipv6_extension header;

	if (bytes_load(ctx, p->l4_offset, &header, sizeof(header)))
		return VERDICT_MALFORMED;
	if (is_fragment)
		odd_fragment(p, &header);
	else if (p->key.proto == IPPROTO_ROUTING && bpf_ntohs(header.offset) & 0xff)
		p->kind = KIND_REFUSED;
	p->has_options = true;
	p->key.proto = header.next;
	p->l4_offset += is_fragment ? 8 : 8 + 8 * header.units;
	return STAGE_NEXT;
}

static __always_inline int odd_ipv6(struct frame_ctx *ctx, struct packet *p)
{
	struct ipv6hdr ip;

	if (bytes_load(ctx, p->l3_offset, &ip, sizeof(ip)))
		return VERDICT_MALFORMED;
	parse_ipv6_fields(p, &ip);
	p->l4_offset = p->l3_offset + sizeof(ip);
	for (int i = 0; i < IPV6_EXTENSIONS_MAX; i++) {
		if (!proto_is_extension(p->key.proto) || p->kind != KIND_PORTS)
			return STAGE_NEXT;
		if (odd_extension(ctx, p) != STAGE_NEXT)
			return VERDICT_MALFORMED;
	}
	if (proto_is_extension(p->key.proto) && p->kind == KIND_PORTS)
		p->kind = KIND_REFUSED;
	return STAGE_NEXT;
}

static __always_inline int odd_ports(struct frame_ctx *ctx, struct packet *p)
{
	struct tcphdr l4 = {};

	if (p->key.proto == IPPROTO_TCP) {
		if (bytes_load(ctx, p->l4_offset, &l4, sizeof(l4)))
			return VERDICT_MALFORMED;
	} else if (bytes_load(ctx, p->l4_offset, &l4, sizeof(struct udphdr))) {
		return VERDICT_MALFORMED;
	}
	return parse_l4(p, &l4, &l4 + 1);
}

static __always_inline int odd_icmp(struct frame_ctx *ctx, struct packet *p)
{
	p->kind = KIND_ICMP;
	if (p->l3_offset + p->bytes > p->frame_bytes)
		p->lies = true;
	if (bytes_load(ctx, p->l4_offset, &p->icmp_type, sizeof(p->icmp_type)))
		return VERDICT_MALFORMED;
	return STAGE_EDGE;
}

/* STAGE_NEXT: as parse_packet().  STAGE_EDGE: another kind. */
__noinline int parse_odd(struct frame_ctx *ctx, struct packet *p)
{
	int stage;

	if (!p)
		return VERDICT_MALFORMED;
	p->is_odd = true;
	stage = p->is_ipv6 ? odd_ipv6(ctx, p) : odd_ipv4(ctx, p);
	if (stage != STAGE_NEXT)
		return stage;
	/* headers that go beyond the packet they are in */
	if (p->l4_offset > p->l3_offset + p->bytes)
		return VERDICT_MALFORMED;
	if (p->kind != KIND_PORTS) {
		if (p->l3_offset + p->bytes > p->frame_bytes)
			p->lies = true;
		return STAGE_EDGE;
	}
	if (proto_has_ports(p->key.proto))
		return odd_ports(ctx, p);
	if (p->key.proto == (p->is_ipv6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP))
		return odd_icmp(ctx, p);
	return VERDICT_NOT_A_VIP;
}

#endif
