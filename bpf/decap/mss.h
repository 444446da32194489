/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The MSS that a VIP offers to its client, made to fit through the tunnel.
 *
 * Only packets from the client are encapsulated, and how large they are is said
 * once, in the MSS option of the SYN-ACK (or of a SYN that the VIP sends).  It
 * is only ever made smaller; a SYN without one means 536 bytes, which fits.
 */
#ifndef SLUICE_BPF_DECAP_MSS_H
#define SLUICE_BPF_DECAP_MSS_H

#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/tcp.h>
#include <stddef.h>

#include "bpf/decap/maps.h"

#define TCP_FLAG_SYN_BYTE 0x02 /* of byte 13 */
#define TCP_OPTION_END 0
#define TCP_OPTION_NOP 1
#define TCP_OPTION_MSS 2
#define TCP_OPTION_MSS_BYTES 4
#define TCP_OPTIONS_MAX 40

struct syn {
	struct ip_addr src;
	__u32 tcp; /* offset of the TCP header */
	__u32 options_bytes;
	__u16 mss_max; /* host order */
};

static __always_inline int syn_parse_tcp(struct syn *syn, void *l4, void *end)
{
	struct tcphdr *tcp = l4;

	if ((void *)(tcp + 1) > end || !(((__u8 *)tcp)[13] & TCP_FLAG_SYN_BYTE))
		return DECAP_NOT_A_SYN;
	syn->options_bytes = (__u32)tcp->doff * 4 - sizeof(*tcp); /* huge where doff lies */
	return STAGE_NEXT;
}

/* STAGE_NEXT: a SYN, if its source is a VIP. */
static __always_inline int syn_parse(struct __sk_buff *skb, const struct decap_config *config,
				     struct syn *syn)
{
	void *data = (void *)(long)skb->data, *end = (void *)(long)skb->data_end;
	struct ipv6hdr *ipv6 = data + ETH_HLEN;
	struct iphdr *ipv4 = data + ETH_HLEN;

	if (skb->protocol == bpf_htons(ETH_P_IP)) {
		if ((void *)(ipv4 + 1) > end || ipv4->version != 4 || ipv4->ihl < 5 ||
		    ipv4->protocol != IPPROTO_TCP || ipv4->frag_off & bpf_htons(0x1fff))
			return DECAP_NOT_A_SYN;
		address_from_ipv4(&syn->src, ipv4->saddr);
		syn->tcp = ETH_HLEN + ipv4->ihl * 4;
		syn->mss_max = config->mss4;
		return syn_parse_tcp(syn, (void *)ipv4 + ipv4->ihl * 4, end);
	}
	if (skb->protocol != bpf_htons(ETH_P_IPV6) || (void *)(ipv6 + 1) > end ||
	    ipv6->version != 6 || ipv6->nexthdr != IPPROTO_TCP)
		return DECAP_NOT_A_SYN;
	__builtin_memcpy(&syn->src, &ipv6->saddr, sizeof(syn->src));
	syn->tcp = ETH_HLEN + sizeof(*ipv6);
	syn->mss_max = config->mss6;
	return syn_parse_tcp(syn, ipv6 + 1, end);
}

struct options_walk {
	__u8 bytes[TCP_OPTIONS_MAX];
	__u32 count; /* of bytes, at most TCP_OPTIONS_MAX */
	__u32 at; /* where the next option begins */
	int result; /* STAGE_NEXT: the MSS option is at `at` */
};

/* One option; 1 ends the walk.  A callback, so that the verifier looks at it
 * once and not along every way through 40 bytes. */
static long option_step(__u32 index, void *ctx)
{
	struct options_walk *walk = ctx;
	__u32 at = walk->at, bytes;
	__u8 kind;

	if (at >= walk->count || at >= TCP_OPTIONS_MAX)
		return 1;
	kind = walk->bytes[at];
	if (kind == TCP_OPTION_END)
		return 1;
	if (kind == TCP_OPTION_NOP) {
		walk->at = at + 1;
		return 0;
	}
	if (at + 1 >= walk->count || at + 1 >= TCP_OPTIONS_MAX) {
		walk->result = DECAP_MSS_UNREADABLE;
		return 1;
	}
	bytes = walk->bytes[at + 1];
	if (bytes < 2 || at + bytes > walk->count ||
	    (kind == TCP_OPTION_MSS && bytes != TCP_OPTION_MSS_BYTES)) {
		walk->result = DECAP_MSS_UNREADABLE;
		return 1;
	}
	if (kind == TCP_OPTION_MSS) {
		walk->result = STAGE_NEXT;
		return 1;
	}
	walk->at = at + bytes;
	return 0;
}

/* Finds the MSS option; *ret_at is its offset in the packet. */
static __always_inline int mss_find(struct __sk_buff *skb, const struct syn *syn, __u32 *ret_at)
{
	struct options_walk walk = {.count = syn->options_bytes, .result = DECAP_MSS_ABSENT};

	if (walk.count == 0)
		return DECAP_MSS_ABSENT;
	if (walk.count > TCP_OPTIONS_MAX)
		return DECAP_MSS_UNREADABLE;
	if (bpf_skb_load_bytes(skb, syn->tcp + sizeof(struct tcphdr), walk.bytes, walk.count))
		return DECAP_MSS_UNREADABLE;
	bpf_loop(TCP_OPTIONS_MAX, option_step, &walk, 0);
	*ret_at = syn->tcp + sizeof(struct tcphdr) + walk.at;
	return walk.result;
}

/* Ends in the packet's verdict. */
static __always_inline int mss_clamp(struct __sk_buff *skb, const struct syn *syn)
{
	__be16 mss_old, mss = bpf_htons(syn->mss_max);
	__u32 check = syn->tcp + offsetof(struct tcphdr, check);
	__be16 from, to;
	__u32 at = 0;
	int stage = mss_find(skb, syn, &at);

	if (stage != STAGE_NEXT)
		return stage;
	at += 2; /* kind and length */
	if (bpf_skb_load_bytes(skb, at, &mss_old, sizeof(mss_old)))
		return DECAP_MSS_UNREADABLE;
	if (bpf_ntohs(mss_old) <= syn->mss_max)
		return DECAP_MSS_FITS;
	/* behind an odd number of NOPs its bytes are halves of two of the checksum's words */
	from = (at - syn->tcp) & 1 ? __builtin_bswap16(mss_old) : mss_old;
	to = (at - syn->tcp) & 1 ? __builtin_bswap16(mss) : mss;
	if (bpf_skb_store_bytes(skb, at, &mss, sizeof(mss), 0))
		return DECAP_MSS_UNREADABLE;
	/* cannot fail: all headers up to the option are ours to write by now */
	bpf_l4_csum_replace(skb, check, from, to, sizeof(to));
	return DECAP_MSS_CLAMPED;
}

#endif
