/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Stage 1: Ethernet, IP and the first bytes of TCP or UDP.
 *
 * Reads only; works on the linear part [data, end) that XDP and TC both give.
 * What most packets are is read here: at most two VLAN tags, an IP header
 * without options, TCP or UDP.  All else is left to parse_odd.h.
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
#define VLAN_HEADER_BYTES 4

/* parse_packet: for parse_odd(); p->is_ipv6 and p->l3_offset are set. */
#define STAGE_ODD (-3)
/* For edge_steer(): p->kind is not KIND_PORTS. */
#define STAGE_EDGE (-4)

struct vlan_tag {
	__be16 tci;
	__be16 protocol; /* of what follows */
};

static __always_inline bool protocol_is_tag(__be16 protocol)
{
	return protocol == bpf_htons(ETH_P_8021Q) || protocol == bpf_htons(ETH_P_8021AD);
}

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

/* `l4` is where p->l4_offset says. */
static __always_inline int parse_l4(struct packet *p, void *l4, void *end)
{
	if (p->l3_offset + p->bytes > p->frame_bytes)
		p->lies = true;
	if (p->key.proto == IPPROTO_TCP)
		return parse_tcp(p, l4, end);
	return parse_udp(p, l4, end);
}

static __always_inline bool proto_has_ports(__u8 proto)
{
	return proto == IPPROTO_TCP || proto == IPPROTO_UDP;
}

static __always_inline void parse_ipv4_fields(struct packet *p, const struct iphdr *ip)
{
	p->bytes = bpf_ntohs(ip->tot_len);
	p->ttl = ip->ttl;
	p->tos = ip->tos;
	p->key.proto = ip->protocol;
	address_from_ipv4(&p->key.src, ip->saddr);
	address_from_ipv4(&p->key.dst, ip->daddr);
}

static __always_inline void parse_ipv6_fields(struct packet *p, const struct ipv6hdr *ip)
{
	p->bytes = sizeof(*ip) + bpf_ntohs(ip->payload_len);
	p->ttl = ip->hop_limit;
	p->tos = ip->priority << 4 | ip->flow_lbl[0] >> 4;
	p->key.proto = ip->nexthdr;
	__builtin_memcpy(&p->key.src, &ip->saddr, sizeof(p->key.src));
	__builtin_memcpy(&p->key.dst, &ip->daddr, sizeof(p->key.dst));
}

static __always_inline int parse_ipv4(struct packet *p, __u32 l3_offset, void *data, void *end)
{
	struct iphdr *ip = data + l3_offset;

	if ((void *)(ip + 1) > end || ip->version != 4 || ip->ihl < 5)
		return VERDICT_MALFORMED;
	if (ip->ihl > 5 || !proto_has_ports(ip->protocol) ||
	    ip->frag_off & bpf_htons(IPV4_MORE_FRAGMENTS | IPV4_OFFSET_MASK))
		return STAGE_ODD;
	parse_ipv4_fields(p, ip);
	p->l4_offset = l3_offset + sizeof(*ip);
	return parse_l4(p, ip + 1, end);
}

static __always_inline int parse_ipv6(struct packet *p, __u32 l3_offset, void *data, void *end)
{
	struct ipv6hdr *ip = data + l3_offset;

	if ((void *)(ip + 1) > end || ip->version != 6)
		return VERDICT_MALFORMED;
	p->is_ipv6 = true;
	if (!proto_has_ports(ip->nexthdr))
		return STAGE_ODD;
	parse_ipv6_fields(p, ip);
	p->l4_offset = l3_offset + sizeof(*ip);
	return parse_l4(p, ip + 1, end);
}

static __always_inline int parse_ip(struct packet *p, __be16 protocol, __u32 l3_offset, void *data,
				    void *end)
{
	p->l3_offset = l3_offset;
	if (protocol == bpf_htons(ETH_P_IP))
		return parse_ipv4(p, l3_offset, data, end);
	if (protocol == bpf_htons(ETH_P_IPV6))
		return parse_ipv6(p, l3_offset, data, end);
	return VERDICT_NOT_IP;
}

/* Behind one tag or two (QinQ, IEEE 802.1ad), which stay where they are. */
static __always_inline int parse_tagged(struct packet *p, void *data, void *end)
{
	struct vlan_tag *tag = data + ETH_HLEN;

	p->is_odd = true;
	if ((void *)(tag + 1) > end)
		return VERDICT_NOT_IP;
	if (!protocol_is_tag(tag->protocol))
		return parse_ip(p, tag->protocol, ETH_HLEN + VLAN_HEADER_BYTES, data, end);
	tag++;
	if ((void *)(tag + 1) > end)
		return VERDICT_NOT_IP;
	return parse_ip(p, tag->protocol, ETH_HLEN + 2 * VLAN_HEADER_BYTES, data, end);
}

/* STAGE_NEXT with key, lengths and flags set: a TCP or UDP packet with ports.
 * p->frame_bytes is the caller's.  `protocol` and l3_offset: 14, or 0 where there is
 * no Ethernet header; an argument, so that the verifier sees that it is small. */
static __always_inline int parse_packet(struct packet *p, __be16 protocol, __u32 l3_offset,
					void *data, void *end)
{
	if (l3_offset && protocol_is_tag(protocol))
		return parse_tagged(p, data, end);
	return parse_ip(p, protocol, l3_offset, data, end);
}

#endif
