/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Stage 1: is this IPIP or GUE?
 *
 * Reads only.  A gateway of ours sends no outer options, extension headers or
 * fragments, so what has them is left to the stack.  A GUE packet is known by
 * its UDP port; variant 1 (the inner IP header right behind the UDP header, told
 * by its first nibble) and variant 0 with nothing but its four base bytes are
 * taken.  Its UDP checksum may be zero in both families, as RFC 6935 allows for
 * tunnels; another one is not verified, for the inner packet has its own.
 *
 * A length or checksum that lies is only noted here: whether that is ours to
 * drop is known when the inner destination is.
 */
#ifndef SLUICE_BPF_DECAP_OUTER_H
#define SLUICE_BPF_DECAP_OUTER_H

#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/udp.h>

#include "bpf/decap/maps.h"

#define IPV4_MORE_FRAGMENTS 0x2000
#define IPV4_OFFSET_MASK 0x1fff
#define GUE_BASE_BYTES 4
#define HEADERS_MAX 128 /* Ethernet 14, IPv6 40, UDP 8, GUE 4, inner IPv6 40 are 106 */

/* Offsets are from the Ethernet header on. */
struct tunnel {
	__u32 inner; /* offset of the inner header */
	__u32 end; /* offset of the end of what the outer headers hold */
	__u32 inner_end; /* offset of the end of the inner packet */
	__u8 inner_proto; /* IPPROTO_IPIP or IPPROTO_IPV6 */
	__u8 outer_tos, inner_tos; /* traffic class, for IPv6 */
	bool is_gue;
	bool outer_is_ipv6;
	bool is_fragment;
	bool lies;
	struct ip_addr outer_dst;
};

struct gue_base {
	__u8 variant_control_length; /* 2 bits, 1 bit, 5 bits (of words behind these four bytes) */
	__u8 proto;
	__be16 flags;
};

static __always_inline bool is_ip_proto(__u8 proto)
{
	return proto == IPPROTO_IPIP || proto == IPPROTO_IPV6;
}

/* Ones' complement sum of a header without options; all ones: it is right. */
static __always_inline bool ipv4_checksum_is_right(const struct iphdr *ip)
{
	const __u16 *words = (const void *)ip;
	__u32 sum = 0;

#pragma unroll
	for (int i = 0; i < 10; i++)
		sum += words[i];
	sum = (sum & 0xffff) + (sum >> 16);
	return (sum & 0xffff) + (sum >> 16) == 0xffff;
}

static __always_inline int gue_parse(struct tunnel *t, void *payload, void *end)
{
	struct gue_base *gue = payload;

	if ((void *)(gue + 1) > end)
		return DECAP_GUE_OTHER;
	switch (gue->variant_control_length >> 4) {
	case 4: t->inner_proto = IPPROTO_IPIP; return STAGE_NEXT;
	case 6: t->inner_proto = IPPROTO_IPV6; return STAGE_NEXT;
	}
	if (gue->variant_control_length != 0 || gue->flags != 0 || !is_ip_proto(gue->proto))
		return DECAP_GUE_OTHER;
	t->inner_proto = gue->proto;
	t->inner += sizeof(*gue);
	return STAGE_NEXT;
}

static __always_inline int udp_parse(struct tunnel *t, __be16 gue_port, void *l4, void *end)
{
	struct udphdr *udp = l4;
	__u32 udp_end;

	if ((void *)(udp + 1) > end || udp->dest != gue_port)
		return DECAP_NOT_A_TUNNEL;
	udp_end = t->inner + bpf_ntohs(udp->len);
	if (udp_end > t->end)
		t->lies = true;
	t->end = udp_end;
	t->inner += sizeof(*udp);
	t->is_gue = true;
	return gue_parse(t, udp + 1, end);
}

/* `proto`: what the outer header says is behind it. */
static __always_inline int outer_parse_l4(struct tunnel *t, __be16 gue_port, __u8 proto, void *l4,
					  void *end)
{
	if (proto == IPPROTO_UDP)
		return udp_parse(t, gue_port, l4, end);
	if (!is_ip_proto(proto))
		return DECAP_NOT_A_TUNNEL;
	t->inner_proto = proto;
	return STAGE_NEXT;
}

static __always_inline int outer_parse_ipv4(struct tunnel *t, __be16 gue_port, void *data,
					    void *end)
{
	struct iphdr *ip = data + ETH_HLEN;
	__u16 fragment;

	if ((void *)(ip + 1) > end || ip->version != 4 || ip->ihl != 5)
		return DECAP_NOT_A_TUNNEL;
	fragment = bpf_ntohs(ip->frag_off);
	/* the ports, if it is UDP, are in the first one */
	if (fragment & IPV4_OFFSET_MASK && !is_ip_proto(ip->protocol))
		return DECAP_NOT_A_TUNNEL;
	t->is_fragment = fragment & (IPV4_MORE_FRAGMENTS | IPV4_OFFSET_MASK);
	t->lies = !ipv4_checksum_is_right(ip);
	t->end = ETH_HLEN + bpf_ntohs(ip->tot_len);
	t->inner = ETH_HLEN + sizeof(*ip);
	t->outer_tos = ip->tos;
	address_from_ipv4(&t->outer_dst, ip->daddr);
	return outer_parse_l4(t, gue_port, ip->protocol, ip + 1, end);
}

static __always_inline int outer_parse_ipv6(struct tunnel *t, __be16 gue_port, void *data,
					    void *end)
{
	struct ipv6hdr *ip = data + ETH_HLEN;

	if ((void *)(ip + 1) > end || ip->version != 6)
		return DECAP_NOT_A_TUNNEL;
	t->outer_is_ipv6 = true;
	t->inner = ETH_HLEN + sizeof(*ip);
	t->end = t->inner + bpf_ntohs(ip->payload_len);
	t->outer_tos = ip->priority << 4 | ip->flow_lbl[0] >> 4;
	__builtin_memcpy(&t->outer_dst, &ip->daddr, sizeof(t->outer_dst));
	return outer_parse_l4(t, gue_port, ip->nexthdr, ip + 1, end);
}

/* The linear part then holds all headers, unless the packet is shorter. */
static __always_inline void headers_pull(struct __sk_buff *skb)
{
	__u32 wanted = skb->len < HEADERS_MAX ? skb->len : HEADERS_MAX;

	/* failure shows as short headers */
	if ((void *)(long)skb->data + wanted > (void *)(long)skb->data_end)
		bpf_skb_pull_data(skb, wanted);
}

/* STAGE_NEXT: a tunnel's packet to this host. */
static __always_inline int outer_parse(struct __sk_buff *skb, const struct decap_config *config,
				       struct tunnel *t)
{
	void *data, *end;
	int stage = DECAP_NOT_A_TUNNEL;
	struct ethhdr *eth;

	if (skb->vlan_present) /* the tag is not in the frame: a VLAN device's packet */
		return DECAP_NOT_A_TUNNEL;
	headers_pull(skb);
	data = (void *)(long)skb->data;
	end = (void *)(long)skb->data_end;
	eth = data;
	/* they differ behind a generic XDP program that had to copy the packet (Linux 6.9 on):
	 * data begins with the IP header there */
	if ((void *)(eth + 1) > end || eth->h_proto != skb->protocol)
		return DECAP_NOT_A_TUNNEL;
	if (eth->h_proto == bpf_htons(ETH_P_IP))
		stage = outer_parse_ipv4(t, config->gue_port, data, end);
	else if (eth->h_proto == bpf_htons(ETH_P_IPV6))
		stage = outer_parse_ipv6(t, config->gue_port, data, end);
	if (stage == DECAP_NOT_A_TUNNEL)
		return stage;
	if (!bpf_map_lookup_elem(&decap_locals, &t->outer_dst))
		return DECAP_NOT_LOCAL;
	if (stage == STAGE_NEXT && t->is_fragment)
		return DECAP_OUTER_FRAGMENT;
	if (t->end > skb->len)
		t->lies = true;
	return stage;
}

#endif
