/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The stages between parsing and routing, in their order: is it an endpoint's
 * answer, else to a VIP of ours; a known flow, else a new one and its endpoint.
 */
#ifndef SLUICE_BPF_STAGE_STEER_H
#define SLUICE_BPF_STAGE_STEER_H

#include "bpf/maps.h"
#include "bpf/stage/flow.h"
#include "bpf/stage/packet.h"
#include "bpf/stage/pick.h"
#include "bpf/stage/vip.h"

static __always_inline const struct ip_addr *snat_address(const struct packet *p,
							  const struct contract *c)
{
	return p->is_ipv6 ? &c->snat6 : &c->snat4;
}

/* Sent to a NAT address and port of ours.  Cheap, so that strangers do not pay
 * for a lookup in nat_rev. */
static __always_inline bool packet_may_be_answer(const struct packet *p, const struct contract *c)
{
	__u16 port = bpf_ntohs(p->key.dst_port);

	return port >= c->snat_port_low && port <= c->snat_port_high &&
	       address_equal(&p->key.dst, snat_address(p, c));
}

static __always_inline int steer_new_flow(struct packet *p, const struct contract *c)
{
	const struct ip_addr *snat = snat_address(p, c);
	int stage;

	if (p->key.proto == IPPROTO_TCP && !packet_is_syn(p))
		return VERDICT_NO_FLOW;
	stage = pick_endpoint(p, c->ring_seed);
	if (stage != STAGE_NEXT)
		return stage;
	if (!(snat->words[0] | snat->words[1] | snat->words[2] | snat->words[3]))
		return VERDICT_NO_SNAT_ADDRESS;
	p->to.src = *snat;
	p->to.src_port = 0;
	return STAGE_NEXT;
}

/* STAGE_NEXT: p->to is where the packet goes (a new flow's port is still 0).
 * *ret_flow: its entry, NULL for a new flow. */
static __always_inline int steer_packet(struct packet *p, const struct contract *c, __u64 now,
					struct nat_flow **ret_flow)
{
	struct nat_flow *flow;
	int stage;

	*ret_flow = NULL;
	if (packet_may_be_answer(p, c)) {
		p->is_answer = true;
		*ret_flow = flow_find(p, now);
		if (*ret_flow)
			return packet_check(p);
		p->is_answer = false; /* nor a stray one: the stack resets it */
	}
	stage = vip_find(p);
	if (stage != STAGE_NEXT)
		return stage;
	flow = flow_find(p, now);
	if (flow && flow_keeps_endpoint(p, flow)) {
		*ret_flow = flow;
		return STAGE_NEXT;
	}
	if (flow)
		flow_forget(p);
	return steer_new_flow(p, c);
}

#endif
