/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The packet's new addresses, ports, TTL and checksums.
 *
 * Checksums are changed incrementally (RFC 1624): the payload is never read.
 * IPv4 addresses are held as ::ffff:a.b.c.d, so one difference over both
 * 16-byte addresses serves both families; equal words cancel out.
 *
 * XDP writes to the frame and cannot see whether the sender left the checksum
 * to hardware; on veth the sender must be told not to (`ethtool -K DEV tx off`).
 * TC uses the kernel's helpers, which know.
 */
#ifndef SLUICE_BPF_STAGE_REWRITE_H
#define SLUICE_BPF_STAGE_REWRITE_H

#include <linux/if_ether.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/tcp.h>
#include <linux/udp.h>
#include <stddef.h>

#include "bpf/stage/packet.h"
#include "bpf/stage/parse.h"
#include "bpf/stage/route.h"

#define L3_OFFSET_MASK 0x3f /* the verifier: it is small */

static __always_inline __u16 checksum_fold(__u32 sum)
{
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

/* The checksum field after data worth `difference` changed (bpf_csum_diff). */
static __always_inline __u16 checksum_update(__u16 check, __u32 difference)
{
	return ~checksum_fold((__u32)checksum_fold(difference) + (__u16)~check);
}

/* Of the addresses; both structs begin with source and destination. */
static __always_inline __u32 rewrite_address_difference(struct packet *p)
{
	return bpf_csum_diff((__be32 *)&p->key, 2 * sizeof(struct ip_addr), (__be32 *)&p->to,
			     2 * sizeof(struct ip_addr), 0);
}

static __always_inline __u32 rewrite_port_difference(const struct packet *p)
{
	return (__u32)p->to.src_port + p->to.dst_port + (__u16)~p->key.src_port +
	       (__u16)~p->key.dst_port;
}

/* ---- XDP: straight into the frame ---- */

static __always_inline int rewrite_l4(const struct packet *p, void *l4, void *end, __u32 difference)
{
	struct tcphdr *tcp = l4;
	struct udphdr *udp = l4;

	difference = (__u32)checksum_fold(difference) + checksum_fold(rewrite_port_difference(p));
	if (p->key.proto == IPPROTO_TCP) {
		if ((void *)(tcp + 1) > end)
			return VERDICT_MALFORMED;
		tcp->source = p->to.src_port;
		tcp->dest = p->to.dst_port;
		tcp->check = checksum_update(tcp->check, difference);
		return STAGE_NEXT;
	}
	if ((void *)(udp + 1) > end)
		return VERDICT_MALFORMED;
	udp->source = p->to.src_port;
	udp->dest = p->to.dst_port;
	if (udp->check) { /* zero: the sender computed none */
		udp->check = checksum_update(udp->check, difference);
		if (!udp->check)
			udp->check = 0xffff;
	}
	return STAGE_NEXT;
}

static __always_inline int rewrite_ipv4(const struct packet *p, void *l3, void *end,
					__u32 difference, bool is_hop)
{
	struct iphdr *ip = l3;
	int stage;

	if ((void *)(ip + 1) > end)
		return VERDICT_MALFORMED;
	stage = rewrite_l4(p, ip + 1, end, difference);
	if (stage != STAGE_NEXT)
		return stage;
	ip->saddr = p->to.src.words[3];
	ip->daddr = p->to.dst.words[3];
	if (is_hop) { /* TTL is the upper byte of its word: it falls by 0x0100 */
		ip->ttl--;
		difference = (__u32)checksum_fold(difference) + (__u16)~bpf_htons(0x0100);
	}
	ip->check = checksum_update(ip->check, difference);
	return STAGE_NEXT;
}

static __always_inline int rewrite_ipv6(const struct packet *p, void *l3, void *end,
					__u32 difference, bool is_hop)
{
	struct ipv6hdr *ip = l3;
	int stage;

	if ((void *)(ip + 1) > end)
		return VERDICT_MALFORMED;
	stage = rewrite_l4(p, ip + 1, end, difference);
	if (stage != STAGE_NEXT)
		return stage;
	__builtin_memcpy(&ip->saddr, &p->to.src, sizeof(ip->saddr));
	__builtin_memcpy(&ip->daddr, &p->to.dst, sizeof(ip->daddr));
	if (is_hop)
		ip->hop_limit--;
	return STAGE_NEXT;
}

/* Addresses, ports and checksums behind the Ethernet header; is_hop, a constant: the
 * TTL as well.  STAGE_NEXT, or nothing was written: the checks come first and repeat
 * what parsing saw, for the verifier. */
static __always_inline int rewrite_addresses(struct packet *p, void *l3, void *end, bool is_hop)
{
	__u32 difference = rewrite_address_difference(p);

	return p->is_ipv6 ? rewrite_ipv6(p, l3, end, difference, is_hop)
			  : rewrite_ipv4(p, l3, end, difference, is_hop);
}

/* For this host's own stack (a probe's answer): the MACs and the TTL stay. */
static __always_inline int rewrite_frame_local(struct packet *p, void *data, void *end)
{
	return rewrite_addresses(p, data + (p->l3_offset & L3_OFFSET_MASK), end, false);
}

/* STAGE_NEXT: the frame is as it is to leave.  Otherwise nothing was written. */
static __always_inline int rewrite_frame(struct packet *p, void *data, void *end,
					 const struct route *route)
{
	struct ethhdr *eth = data;
	int stage;

	if ((void *)(eth + 1) > end)
		return VERDICT_MALFORMED;
	stage = rewrite_addresses(p, data + ETH_HLEN, end, true);
	if (stage != STAGE_NEXT)
		return stage;
	__builtin_memcpy(eth->h_dest, route->dmac, ETH_ALEN);
	__builtin_memcpy(eth->h_source, route->smac, ETH_ALEN);
	return STAGE_NEXT;
}

#endif
