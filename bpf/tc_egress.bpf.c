// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* TC egress at every device of the gateway: health probes take the way of traffic.
 *
 * The prober's packets to an endpoint's own address become a client's packets to the
 * VIP, encapsulated with the headers that XDP would write, and leave by the route
 * that the kernel found for the endpoint.  So what would be wrong with a client's
 * packets is wrong with these: no decapsulation there, no VIP on the host, nobody
 * listening on it.  Everything else passes at the cost of one compare.
 */
#include <linux/pkt_cls.h>

#define PACKET_LOAD(ctx, to, bytes) bpf_skb_load_bytes(ctx, 0, to, bytes)

#include "bpf/maps.h"
#include "bpf/stage/bytes_skb.h"
#include "bpf/stage/encap_skb.h"
#include "bpf/stage/hash.h"
#include "bpf/stage/packet.h"
#include "bpf/stage/parse.h"
#include "bpf/stage/probe.h"
#include "bpf/stage/rewrite_skb.h"
#include "bpf/stage/route.h"
#include "bpf/stage/verdict.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

#define TC_PASS TC_ACT_UNSPEC /* TCX_NEXT: other programs have their turn */
#define HEADERS_BYTES (ETH_HLEN + sizeof(struct ipv6hdr) + sizeof(struct tcphdr))
#define ENDPOINT_MASK ((1u << PROBE_MARK_SHIFT) - 1)

/* A VLAN tag that the device is to write is not in the frame and stays: the outer
 * packet is to leave with it too.  Devices without Ethernet headers are not served. */
static __always_inline int probe_parse(struct __sk_buff *skb, struct packet *p)
{
	struct ethhdr *eth;

	if ((void *)(long)skb->data + HEADERS_BYTES > (void *)(long)skb->data_end)
		bpf_skb_pull_data(skb, skb->len < HEADERS_BYTES ? skb->len : HEADERS_BYTES);
	eth = (void *)(long)skb->data;
	if ((void *)(eth + 1) > (void *)(long)skb->data_end || eth->h_proto != skb->protocol)
		return VERDICT_NOT_IP;
	return parse_packet(p, skb->protocol, ETH_HLEN, (void *)(long)skb->data,
			    (void *)(long)skb->data_end);
}

/* The outer addresses, as traffic to the endpoint has them.  *ret_outer is p->to. */
static __always_inline int probe_outer(struct packet *p, const struct contract *c,
				       struct translation *ret_outer)
{
	const struct translation inner = p->to;
	__u32 id = p->endpoint;
	const struct endpoint *endpoint = bpf_map_lookup_elem(&endpoints, &id);
	struct route route = {};

	if (!endpoint || endpoint->generation != p->generation || endpoint->way <= WAY_NAT)
		return VERDICT_NO_ENDPOINT; /* it has gone while the probe was on its way */
	p->way = endpoint->way;
	p->to = (struct translation){.dst = endpoint->addr};
	p->out_ipv6 = address_is_ipv6(&p->to.dst);
	if (!route_from_path(p, &route) && !address_is_set(&p->to.src))
		encap_source(p, c);
	*ret_outer = p->to;
	p->to = inner;
	if (p->way != WAY_L2 && !address_is_set(&ret_outer->src))
		return VERDICT_NO_SNAT_ADDRESS;
	return STAGE_NEXT;
}

static __always_inline int probe_write(struct __sk_buff *skb, struct packet *p,
				       const struct contract *c, const struct translation *outer)
{
	int stage = rewrite_skb_local(skb, p);

	if (stage != STAGE_NEXT)
		return stage;
	p->key.dst = p->to.dst;
	p->key.dst_port = p->to.dst_port;
	p->hash = hash_flow(&p->key, p->is_ipv6, c->hash_secret); /* GUE's source port */
	p->to = *outer;
	return encap_skb(skb, p);
}

/* vip_stats and ep_stats are of clients' packets. */
static __always_inline int probe_out(struct packet *p, __u32 verdict)
{
	p->vip = VIP_NONE;
	verdict_count(p, verdict);
	return verdict_is_drop(verdict) ? TC_ACT_SHOT : TC_PASS;
}

static __always_inline int probe_send(struct __sk_buff *skb, const struct contract *c)
{
	struct packet *p = packet_new(skb->ifindex, skb->len, 1, false);
	struct translation outer = {};
	struct probe_port *port;
	int stage;

	if (!p || probe_parse(skb, p) != STAGE_NEXT)
		return TC_PASS;
	port = probe_sent_find(p, c, skb->mark & ENDPOINT_MASK);
	if (!port)
		return TC_PASS;
	stage = probe_outer(p, c, &outer);
	event_report(skb, p, stage == STAGE_NEXT ? VERDICT_PROBE_SENT : stage);
	if (stage == STAGE_NEXT)
		stage = probe_write(skb, p, c, &outer);
	if (stage != STAGE_NEXT)
		return probe_out(p, stage);
	skb->mark = 0; /* a device below this one has the program too */
	port->sent++;
	return probe_out(p, VERDICT_PROBE_SENT);
}

SEC("tc")
int tc_egress(struct __sk_buff *skb)
{
	const struct contract *contract_;

	if (!(skb->mark >> PROBE_MARK_SHIFT))
		return TC_PASS;
	contract_ = contract_get();
	if (!contract_ || (skb->mark ^ contract_->probe_mark) >> PROBE_MARK_SHIFT)
		return TC_PASS;
	return probe_send(skb, contract_);
}
