/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Stage 2: is the destination one of ours, and which path serves it?
 *
 * Only what an L4 path will send on is held to packet_check(): a stranger's odd
 * packet is the stack's business, and an L7 VIP's is TCP's.
 */
#ifndef SLUICE_BPF_STAGE_VIP_H
#define SLUICE_BPF_STAGE_VIP_H

#include "bpf/maps.h"
#include "bpf/stage/packet.h"

static __always_inline int packet_check(const struct packet *p)
{
	if (p->is_fragment)
		return VERDICT_FRAGMENT;
	if (p->has_options)
		return VERDICT_UNSUPPORTED;
	if (p->lies)
		return VERDICT_MALFORMED;
	return STAGE_NEXT;
}

/* STAGE_NEXT: an L4 VIP; the packet knows what it needs of it. */
static __always_inline int vip_find(struct packet *p)
{
	struct vip_key key = {
		.addr = p->key.dst,
		.port = p->key.dst_port,
		.proto = p->key.proto,
	};
	const struct vip *vip = bpf_map_lookup_elem(&vips, &key);

	if (!vip)
		return VERDICT_NOT_A_VIP;
	p->vip = vip->id;
	p->pool = vip->pool;
	p->vip_flags = vip->flags;
	p->pick = vip->pick;
	p->down = vip->down;
	if (vip->mode != VIP_MODE_L4)
		return VERDICT_L7_LOCAL;
	return packet_check(p);
}

#endif
