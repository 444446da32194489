/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The stages between parsing and the way out, in their order: is it an endpoint's
 * answer, else to a VIP of ours; a flow that a table knows, else the ring's.
 */
#ifndef SLUICE_BPF_STAGE_STEER_H
#define SLUICE_BPF_STAGE_STEER_H

#include "bpf/maps.h"
#include "bpf/stage/flow_table.h"
#include "bpf/stage/nat_flow.h"
#include "bpf/stage/packet.h"
#include "bpf/stage/pick.h"
#include "bpf/stage/probe.h"
#include "bpf/stage/quic.h"
#include "bpf/stage/state.h"
#include "bpf/stage/vip.h"

/* A SYN for a flow that was heard of so lately is taken for a stray one. */
#define SYN_STRAY_TICKS 56

static __always_inline const struct ip_addr *snat_address(const struct packet *p,
							  const struct contract *c)
{
	return p->is_ipv6 ? &c->snat6 : &c->snat4;
}

/* Sent to a NAT address and port of ours.  Cheap, so that strangers do not pay for
 * a lookup in nat_rev. */
static __always_inline bool packet_may_be_answer(const struct packet *p, const struct contract *c)
{
	__u16 port = bpf_ntohs(p->key.dst_port);

	return port >= c->snat_port_low && port <= c->snat_port_high &&
	       address_equal(&p->key.dst, snat_address(p, c));
}

/* ---- NAT ---- */

/* A new flow to p's endpoint: its port is found when it is stored. */
static __always_inline int steer_nat(struct packet *p, const struct contract *c)
{
	const struct ip_addr *snat = snat_address(p, c);

	if (packet_is_mid_flow(p))
		return VERDICT_NO_FLOW;
	if (p->ttl <= 1)
		return VERDICT_TTL;
	if (!address_is_set(snat))
		return VERDICT_NO_SNAT_ADDRESS;
	p->to.src = *snat;
	p->to.src_port = 0;
	p->out_ipv6 = p->is_ipv6;
	return STAGE_NEXT;
}

/* A flow of nat_fwd or nat_rev. */
static __always_inline int steer_nat_known(struct packet *p)
{
	p->way = WAY_NAT;
	p->why = WHY_NAT;
	p->out_ipv6 = p->is_ipv6;
	return p->ttl <= 1 ? VERDICT_TTL : STAGE_NEXT;
}

/* ---- the flow table ---- */

/* Is the endpoint of a known flow still p's?  VERDICT_ENDPOINT_DOWN: it is out,
 * and p is in the middle of its connection; VERDICT_NO_ENDPOINT: choose anew. */
static __always_inline int table_follow(struct packet *p, union slot_word is, __u32 tick)
{
	__u32 id = slot_endpoint(is), flow_state = slot_state(is);
	const struct endpoint *endpoint = bpf_map_lookup_elem(&endpoints, &id);
	enum endpoint_state state = ENDPOINT_OUT;

	p->state = flow_state;
	if (endpoint && endpoint->way > WAY_NAT && endpoint->pool == p->pool)
		state = endpoint_state(endpoint, id);
	if (endpoint && state != ENDPOINT_OUT) {
		p->endpoint = id;
		p->generation = endpoint->generation;
		p->way = endpoint->way;
		p->to.dst = endpoint->addr;
		p->to.dst_port = endpoint->port;
	}
	if (packet_is_syn(p)) {
		if (state == ENDPOINT_OUT || flow_state == SLOT_CLOSING)
			return VERDICT_NO_ENDPOINT;
		if (flow_state == SLOT_PROBATION) /* repeated */
			return STAGE_NEXT;
		return state == ENDPOINT_READY && slot_silent(is, tick) < SYN_STRAY_TICKS
			       ? STAGE_NEXT
			       : VERDICT_NO_ENDPOINT;
	}
	if (state != ENDPOINT_OUT)
		return STAGE_NEXT;
	if (p->key.proto != IPPROTO_TCP)
		return VERDICT_NO_ENDPOINT;
	p->endpoint = id; /* to be counted and told */
	p->why = WHY_DOWN;
	return VERDICT_ENDPOINT_DOWN;
}

/* A flow that no table knows, or whose endpoint is out (index: its slot). */
__noinline int steer_new(struct packet *p, struct flow_set *set, const struct contract *c,
			 __u32 tick, int index)
{
	bool was_known;
	int stage;

	if (!p || !set || !c)
		return VERDICT_NO_RING;
	was_known = p->why == WHY_MOVED;
	p->endpoint = ENDPOINT_NONE;
	stage = pick_endpoint(p, c->ring_seed, tick);
	if (stage != STAGE_NEXT)
		return stage;
	if (was_known)
		p->why = WHY_MOVED;
	if (p->way == WAY_NAT) {
		stage = steer_nat(p, c);
		if (stage != STAGE_NEXT)
			p->endpoint = ENDPOINT_NONE;
		else if (p->pick == VIP_PICK_LEAST && !p->is_dry)
			opens_add(p->endpoint, 1);
		return stage;
	}
	if (p->is_dry || p->tcp_flags & (TCP_RST | TCP_FIN))
		return STAGE_NEXT;
	if (packet_is_syn(p) && p->is_stable && !was_known)
		return STAGE_NEXT;
	if (!table_store(p, set, index, tick))
		p->why = WHY_FULL;
	if (p->pick == VIP_PICK_LEAST && !packet_is_mid_flow(p))
		opens_add(p->endpoint, 1);
	return STAGE_NEXT;
}

static __always_inline int steer_flow(struct packet *p, const struct contract *c)
{
	__u32 tick = p->now >> TICK_SHIFT;
	struct flow_set *set = table_set(p, c);
	union slot_word is;
	int index, stage;

	if (!set)
		return VERDICT_TABLE_FULL; /* flow_sets is its size: cannot be */
	index = table_find(set, table_tag(p));
	if (index >= 0 && index < FLOW_SLOTS) {
		is.word = *(volatile __u64 *)&set->slots[index];
		stage = table_follow(p, is, tick);
		if (stage == STAGE_NEXT) {
			p->why = WHY_HIT;
			table_touch(p, set, index, is, tick);
		}
		if (stage != VERDICT_NO_ENDPOINT)
			return stage;
		p->why = WHY_MOVED;
	}
	return steer_new(p, set, c, tick, index);
}

/* STAGE_NEXT: p->way is how, p->to is where the packet goes (a new NAT flow's port
 * is still 0).  *ret_flow: its entry in nat_fwd or nat_rev, NULL: none.  STAGE_LOCAL:
 * the answer to a health probe, to be rewritten to p->to and passed. */
static __always_inline int steer_packet(struct frame_ctx *ctx, struct packet *p,
					const struct contract *c, struct nat_flow **ret_flow)
{
	struct nat_flow *flow;
	enum flow_fate fate;
	int stage;

	*ret_flow = NULL;
	p->client_max = c->nat_client_max;
	if (probe_is_answer(p, c))
		return STAGE_LOCAL;
	if (packet_may_be_answer(p, c)) {
		p->is_answer = true;
		p->now = bpf_ktime_get_coarse_ns();
		*ret_flow = flow_find(p, p->now);
		if (*ret_flow) {
			stage = packet_check(p);
			return stage == STAGE_NEXT ? steer_nat_known(p) : stage;
		}
		p->is_answer = false; /* nor a stray one: the stack resets it */
	}
	stage = vip_find(p);
	if (stage != STAGE_NEXT)
		return stage;
	p->now = bpf_ktime_get_coarse_ns();
	flow = p->vip_flags & VIP_F_NAT ? flow_find(p, p->now) : NULL;
	if (!flow) {
		if (p->vip_flags & VIP_F_QUIC && p->key.proto == IPPROTO_UDP &&
		    quic_steer(ctx, p, c))
			return p->way == WAY_NAT ? steer_nat(p, c) : STAGE_NEXT;
		return steer_flow(p, c);
	}
	fate = flow_fate(p, flow);
	if (fate == FLOW_IS_DOWN) {
		p->why = WHY_DOWN;
		return VERDICT_ENDPOINT_DOWN;
	}
	if (fate == FLOW_KEEPS) {
		*ret_flow = flow;
		return steer_nat_known(p);
	}
	if (!p->is_dry)
		flow_forget(p);
	return steer_flow(p, c);
}

#endif
