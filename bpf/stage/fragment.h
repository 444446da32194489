/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Fragments: the first one has ports and is steered like any packet; where it went
 * is remembered (map fragments, maps/layout/flow.h), and the others follow.
 *
 * That includes first fragments to a VIP's address that are passed to the stack
 * (an L7 VIP, a large echo request): they are remembered with no endpoint, so that
 * the others are passed too.  A later fragment whose first one is not known is
 * dropped at a VIP's address, because nobody here could put it together, and
 * passed at any other.
 */
#ifndef SLUICE_BPF_STAGE_FRAGMENT_H
#define SLUICE_BPF_STAGE_FRAGMENT_H

#include "bpf/maps.h"
#include "bpf/stage/packet.h"
#include "bpf/stage/verdict.h"
#include "bpf/stage/vip.h"

/* How long after its first fragment a datagram may go on: RFC 8200 gives up after a
 * minute, and 16 bits of IPv4 identification come round again. */
#define FRAGMENT_NS 60000000000ull

static __always_inline void fragment_key_make(const struct packet *p, struct fragment_key *ret_key)
{
	*ret_key = (struct fragment_key){
		.src = p->key.src,
		.dst = p->key.dst,
		.id = p->fragment_id,
		.proto = p->fragment_proto,
	};
}

/* After a fragment was steered: `stage` is how.  Remembers a first one. */
__noinline int fragment_note(const struct packet *p, int stage)
{
	struct fragment_key key;
	struct fragment value = {.endpoint = ENDPOINT_NONE};

	if (!p || p->is_dry || p->kind == KIND_LATER || p->kind == KIND_REFUSED)
		return 0;
	if (stage == STAGE_NEXT && p->kind == KIND_PORTS) {
		value.endpoint = p->endpoint;
		value.generation = p->generation;
		value.is_answer = p->is_answer;
		if (p->way == WAY_NAT) {
			value.src = p->to.src;
			value.dst = p->to.dst;
		}
	} else if (verdict_is_drop(stage) || !vip_has_address(&p->key.dst)) {
		return 0;
	}
	value.vip = p->vip;
	value.seen_at = bpf_ktime_get_coarse_ns();
	fragment_key_make(p, &key);
	bpf_map_update_elem(&fragments, &key, &value, BPF_ANY);
	return 0;
}

/* To the endpoint that has the first fragment, unless its id means another now. */
static __always_inline int fragment_follow(struct packet *p, const struct fragment *first)
{
	__u32 id = first->endpoint;
	const struct endpoint *endpoint = bpf_map_lookup_elem(&endpoints, &id);

	if (!endpoint || endpoint->generation != first->generation || endpoint->way == WAY_NONE)
		return VERDICT_FRAGMENT_UNKNOWN;
	p->endpoint = id;
	p->generation = first->generation;
	p->vip = first->vip;
	p->way = endpoint->way;
	p->why = WHY_FRAGMENT;
	p->is_answer = first->is_answer;
	if (p->way != WAY_NAT) {
		p->to.dst = endpoint->addr;
		p->to.dst_port = endpoint->port;
		return STAGE_NEXT;
	}
	if (!address_is_set(&first->dst)) /* it had another way when the first one went */
		return VERDICT_FRAGMENT_UNKNOWN;
	p->to.src = first->src;
	p->to.dst = first->dst;
	p->out_ipv6 = p->is_ipv6;
	return p->ttl <= 1 ? VERDICT_TTL : STAGE_NEXT;
}

/* A later fragment. */
__noinline int fragment_steer(struct packet *p)
{
	const struct fragment *first;
	struct fragment_key key;

	if (!p)
		return VERDICT_MALFORMED;
	fragment_key_make(p, &key);
	first = bpf_map_lookup_elem(&fragments, &key);
	if (first && bpf_ktime_get_coarse_ns() - first->seen_at < FRAGMENT_NS) {
		if (first->endpoint == ENDPOINT_NONE)
			return VERDICT_LATER_FRAGMENT;
		return p->lies ? VERDICT_MALFORMED : fragment_follow(p, first);
	}
	return vip_has_address(&p->key.dst) ? VERDICT_FRAGMENT_UNKNOWN : VERDICT_LATER_FRAGMENT;
}

#endif
