/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Health probes of ours among the packets (maps/layout/probe.h): which probe a
 * packet belongs to, by the gateway's port, and what it is to become.  A packet
 * that differs from its port's record in anything is a stranger's.
 */
#ifndef SLUICE_BPF_STAGE_PROBE_H
#define SLUICE_BPF_STAGE_PROBE_H

#include "bpf/maps.h"
#include "bpf/stage/packet.h"
#include "bpf/stage/vip.h"

/* The packet is for this host once it is rewritten: no verdict yet. */
#define STAGE_LOCAL (-5)

static __always_inline struct probe_port *probe_port_at(const struct contract *c, __be16 port)
{
	__u32 index = bpf_ntohs(port) - c->probe_port_low;

	if (index > c->probe_port_high - c->probe_port_low || !c->probe_mark)
		return NULL;
	return bpf_map_lookup_elem(&probes, &index);
}

static __always_inline void probe_take(struct packet *p, const struct probe_port *port)
{
	p->endpoint = port->endpoint;
	p->generation = port->generation;
	p->vip = port->vip_id;
	p->why = WHY_PROBE;
}

/* Rewriting a probe's packet knows plain headers only, and ours have no others. */
static __always_inline bool probe_is_plain(const struct packet *p)
{
	return packet_check(p) == STAGE_NEXT && !p->has_options && !p->is_fragment &&
	       p->l3_offset <= ETH_HLEN;
}

/* Is it the answer to a probe?  Then p->to is what the probe's socket waits for. */
__noinline int probe_answer_find(struct packet *p, const struct contract *c)
{
	const struct probe_port *port;

	if (!p || !c)
		return 0;
	port = probe_port_at(c, p->key.dst_port);
	if (!port || !port->generation || p->key.proto != IPPROTO_TCP)
		return 0;
	if (p->key.src_port != port->vip_port || !address_equal(&p->key.src, &port->vip) ||
	    !address_equal(&p->key.dst, &port->vip_src) || !probe_is_plain(p))
		return 0;
	probe_take(p, port);
	p->is_answer = true;
	p->to.src = port->addr;
	p->to.src_port = port->port;
	p->to.dst = port->src;
	p->to.dst_port = p->key.dst_port;
	return 1;
}

/* The same for every packet: most are told by their port. */
static __always_inline bool probe_is_answer(struct packet *p, const struct contract *c)
{
	__u32 index = bpf_ntohs(p->key.dst_port) - c->probe_port_low;

	return index <= c->probe_port_high - c->probe_port_low && probe_answer_find(p, c);
}

/* The record of a packet that the prober sends with the mark of `endpoint`.  Then
 * p->to is what it is to become: a client's packet to the VIP.  NULL: none of ours. */
static __always_inline struct probe_port *probe_sent_find(struct packet *p,
							  const struct contract *c, __u32 endpoint)
{
	struct probe_port *port = probe_port_at(c, p->key.src_port);

	if (!port || !port->generation || port->endpoint != endpoint || p->key.proto != IPPROTO_TCP)
		return NULL;
	if (p->key.dst_port != port->port || !address_equal(&p->key.dst, &port->addr) ||
	    !address_equal(&p->key.src, &port->src) || !probe_is_plain(p))
		return NULL;
	probe_take(p, port);
	p->to.src = port->vip_src;
	p->to.src_port = p->key.src_port;
	p->to.dst = port->vip;
	p->to.dst_port = port->vip_port;
	return port;
}

/* The packet is to become one of the other IP family. */
static __always_inline bool probe_changes_family(const struct packet *p)
{
	return p->is_ipv6 != address_is_ipv6(&p->to.dst);
}

static __always_inline void probe_count_returned(const struct packet *p, const struct contract *c)
{
	struct probe_port *port = probe_port_at(c, p->key.dst_port);

	if (port)
		port->returned += p->count;
}

#endif
