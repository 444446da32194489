/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* XDP: the answer to a probe, as its socket waits for it.  Addresses, ports and
 * checksums only: the frame goes to this host's own stack, so the MACs and the TTL
 * stay. */
#ifndef SLUICE_BPF_STAGE_PROBE_FRAME_H
#define SLUICE_BPF_STAGE_PROBE_FRAME_H

#include "bpf/stage/packet.h"
#include "bpf/stage/rewrite.h"

#define L3_OFFSET_MASK 0x3f /* the verifier: it is small */

static __always_inline int probe_frame_ipv4(const struct packet *p, void *l3, void *end,
					    __u32 difference)
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
	ip->check = checksum_update(ip->check, difference);
	return STAGE_NEXT;
}

static __always_inline int probe_frame_ipv6(const struct packet *p, void *l3, void *end,
					    __u32 difference)
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
	return STAGE_NEXT;
}

/* STAGE_NEXT: the frame is written.  Otherwise nothing was. */
static __always_inline int probe_frame(struct packet *p, void *data, void *end)
{
	__u32 difference = rewrite_address_difference(p);
	void *l3 = data + (p->l3_offset & L3_OFFSET_MASK);

	if (p->is_ipv6)
		return probe_frame_ipv6(p, l3, end, difference);
	return probe_frame_ipv4(p, l3, end, difference);
}

#endif
