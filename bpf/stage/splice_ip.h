/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The IP header of a spliced packet, for XDP and TC. */
#ifndef SLUICE_BPF_STAGE_SPLICE_IP_H
#define SLUICE_BPF_STAGE_SPLICE_IP_H

#include <linux/ip.h>
#include <linux/ipv6.h>

#include "bpf/stage/packet.h"
#include "bpf/stage/rewrite.h"
#include "bpf/stage/splice.h"

/* Identification and fragment word of what is to leave as IPv4: as they came, or an
 * atomic datagram (RFC 6864), which IPv6 is too. */
static __always_inline __be32 splice_ipv4_word(struct frame_ctx *ctx, const struct packet *p)
{
	__be32 word = bpf_htonl(0x4000);

	if (!p->is_ipv6 &&
	    bytes_load(ctx, p->l3_offset + offsetof(struct iphdr, id), &word, sizeof(word)))
		word = bpf_htonl(0x4000);
	return word;
}

static __always_inline void splice_write_ipv4(const struct packet *p, __be32 word, struct iphdr *ip)
{
	*(__be16 *)ip = bpf_htons(0x4500 | p->tos);
	ip->tot_len = bpf_htons(splice_bytes_out(p));
	__builtin_memcpy(&ip->id, &word, sizeof(word));
	ip->ttl = p->ttl - 1;
	ip->protocol = IPPROTO_TCP;
	ip->check = 0;
	ip->saddr = p->to.src.words[3];
	ip->daddr = p->to.dst.words[3];
	ip->check = ~checksum_fold(bpf_csum_diff(NULL, 0, (__be32 *)ip, sizeof(*ip), 0));
}

/* The flow label is the same in all packets of the splice, as RFC 6437 wants. */
static __always_inline void splice_write_ipv6(const struct packet *p, const struct splice *splice,
					      struct ipv6hdr *ip)
{
	__be32 first = bpf_htonl(6u << 28 | (__u32)p->tos << 20 | ((__u32)splice->id & 0xfffff));

	__builtin_memcpy(ip, &first, sizeof(first));
	ip->payload_len = bpf_htons(splice_bytes_out(p) - sizeof(*ip));
	ip->nexthdr = IPPROTO_TCP;
	ip->hop_limit = p->ttl - 1;
	__builtin_memcpy(&ip->saddr, &p->to.src, sizeof(ip->saddr));
	__builtin_memcpy(&ip->daddr, &p->to.dst, sizeof(ip->daddr));
}

#endif
