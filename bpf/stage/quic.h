/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* QUIC: the server id in a connection id says which endpoint a packet is for, even
 * when the client's address has changed and no table knows the flow.
 *
 * Only packets whose destination connection id a server has chosen have one: short
 * headers, and long ones but Initial and 0-RTT (RFC 9000 section 17, RFC 9369 section
 * 3.2 for the types of version 2).  The id lies as draft-ietf-quic-load-balancers,
 * section 5.2 (plain text) has it; its first three bits all set mean that there is
 * none (section 3).  What is no QUIC finds no endpoint in map cids, or an odd one:
 * the VIP asked for it.  All else, and a server that is out, goes by flow.
 */
#ifndef SLUICE_BPF_STAGE_QUIC_H
#define SLUICE_BPF_STAGE_QUIC_H

#include <linux/udp.h>

#include "bpf/maps.h"
#include "bpf/stage/flow_table.h"
#include "bpf/stage/packet.h"
#include "bpf/stage/pick.h"

#define QUIC_LONG 0x80
#define QUIC_VERSION_2 0x6b3343cfu
#define QUIC_CID_NO_ID 0xe0

struct quic_cid {
	__u8 first;
	__u8 server_id[2];
};

struct quic_long {
	__u8 first;
	__u8 version[4];
	__u8 cid_bytes;
	struct quic_cid cid;
};

/* Does the client make up the destination connection id of such a packet? */
static __always_inline bool quic_is_first_flight(const struct quic_long *head)
{
	__u32 version = (__u32)head->version[0] << 24 | head->version[1] << 16 |
			head->version[2] << 8 | head->version[3];
	__u32 type = head->first >> 4 & 3; /* version 1: 0 Initial, 1 0-RTT */

	if (version == QUIC_VERSION_2)
		type = (type - 1) & 3;
	return !version || type <= 1;
}

/* False: the packet has no server id. */
static __always_inline bool quic_read_id(struct frame_ctx *ctx, const struct packet *p,
					 __u32 *ret_id)
{
	__u32 offset = p->l4_offset + sizeof(struct udphdr);
	struct quic_long head;
	struct quic_cid cid;

	if (bytes_load(ctx, offset, &head.first, sizeof(head.first)))
		return false;
	if (head.first & QUIC_LONG) {
		if (bytes_load(ctx, offset, &head, sizeof(head)) || quic_is_first_flight(&head) ||
		    head.cid_bytes < sizeof(cid))
			return false;
		cid = head.cid;
		offset += offsetof(struct quic_long, cid);
	} else if (bytes_load(ctx, ++offset, &cid, sizeof(cid))) {
		return false;
	}
	/* bytes behind the packet are not its */
	if (offset + sizeof(cid) > p->l3_offset + p->bytes ||
	    (cid.first & QUIC_CID_NO_ID) == QUIC_CID_NO_ID)
		return false;
	*ret_id = (__u32)cid.server_id[0] << 8 | cid.server_id[1];
	return *ret_id != 0;
}

/* True: p has the endpoint that its connection id names. */
static __always_inline bool quic_take(struct frame_ctx *ctx, struct packet *p)
{
	struct cid_key key = {.pool = p->pool};
	const struct endpoint *endpoint;
	const struct cid *cid;
	bool is_mixed = false;
	__u32 id;

	if (!quic_read_id(ctx, p, &key.server_id))
		return false;
	cid = bpf_map_lookup_elem(&cids, &key);
	if (!cid)
		return false;
	id = cid->endpoint;
	endpoint = bpf_map_lookup_elem(&endpoints, &id);
	if (!endpoint || endpoint->generation != cid->generation)
		return false;
	if (!pick_take(p, id, ENDPOINT_DRAINING, &is_mixed))
		return false;
	p->why = WHY_CID;
	return true;
}

/* 1: p goes by its connection id.  The flow table follows, so that flows are counted
 * where they are; through NAT the flow's entries are the caller's. */
__noinline int quic_steer(struct frame_ctx *ctx, struct packet *p, const struct contract *c)
{
	__u32 tick;
	struct flow_set *set;
	union slot_word is;
	int index;

	if (!p || !c || p->is_fragment || !quic_take(ctx, p))
		return 0;
	set = table_set(p, c);
	if (!set || p->is_dry || p->way == WAY_NAT)
		return 1;
	tick = p->now >> TICK_SHIFT;
	index = table_find(set, table_tag(p));
	if (index >= 0 && index < FLOW_SLOTS) {
		is.word = *(volatile __u64 *)&set->slots[index];
		if (slot_endpoint(is) == p->endpoint) {
			table_touch(p, set, index, is, tick);
			return 1;
		}
	}
	table_store(p, set, index, tick);
	return 1;
}

#endif
