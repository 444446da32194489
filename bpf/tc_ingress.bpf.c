// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* TC ingress at every device of the gateway: what XDP cannot take.
 *
 * That is: devices without native XDP; next hops whose neighbour must be
 * resolved first or whose device has no native XDP; packets that are merged or
 * whose checksums are unfinished.  What XDP has judged carries its mark and is
 * neither counted nor touched again.  The stages are XDP's; rewriting goes
 * through helpers that know the checksum's state, and bpf_redirect_neigh sends
 * by the kernel's own neighbour table, which resolves and keeps it fresh.
 */
#include <linux/pkt_cls.h>

#define PACKET_LOAD(ctx, to, bytes) bpf_skb_load_bytes(ctx, 0, to, bytes)

#include "bpf/maps.h"
#include "bpf/stage/encap_skb.h"
#include "bpf/stage/packet.h"
#include "bpf/stage/parse.h"
#include "bpf/stage/probe_skb.h"
#include "bpf/stage/rewrite_skb.h"
#include "bpf/stage/route.h"
#include "bpf/stage/snat.h"
#include "bpf/stage/steer.h"
#include "bpf/stage/verdict.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

#define TC_PASS TC_ACT_UNSPEC /* TCX_NEXT: other programs have their turn */
#define HEADERS_MAX 128 /* what parsing may want in the linear part */

/* XDP's verdict on this packet, taken off so that no other TC program of ours,
 * in this gateway or the next, reads it again; VERDICT_TO_TC without a mark. */
static __always_inline __u32 mark_take(struct __sk_buff *skb)
{
	struct mark *mark = (void *)(long)skb->data_meta;
	bool is_ours;

	if ((void *)(mark + 1) > (void *)(long)skb->data || mark->magic != MARK_MAGIC)
		return VERDICT_TO_TC;
	is_ours = mark->ifindex == skb->ifindex;
	mark->magic = 0;
	return is_ours ? mark->verdict : VERDICT_TO_TC;
}

static __always_inline int verdict_out(struct __sk_buff *skb, const struct packet *p, __u32 verdict)
{
	event_report(skb, p, verdict);
	verdict_count(p, verdict);
	return verdict_is_drop(verdict) ? TC_ACT_SHOT : TC_PASS;
}

/* The answer to a probe of ours, for the stack. */
static __always_inline int local_out(struct __sk_buff *skb, struct packet *p,
				     const struct contract *c)
{
	int stage;

	event_report(skb, p, VERDICT_PROBE_RETURNED);
	stage = probe_skb(skb, p);
	verdict_count(p, stage == STAGE_NEXT ? VERDICT_PROBE_RETURNED : stage);
	if (stage != STAGE_NEXT)
		return TC_ACT_SHOT;
	probe_count_returned(p, c);
	return TC_PASS;
}

/* Data begins with the Ethernet header, except behind generic XDP from Linux 6.9
 * on: where that had to copy the packet for more headroom, mac_len got lost and
 * data begins with the IP header. */
static __always_inline bool ethernet_is_missing(struct __sk_buff *skb)
{
	struct ethhdr *eth = (void *)(long)skb->data;

	return (void *)(eth + 1) <= (void *)(long)skb->data_end && eth->h_proto != skb->protocol;
}

/* Global: the verifier checks it once, whatever ways there are through it. */
__noinline int parse_skb(struct __sk_buff *skb, struct packet *p)
{
	__u32 wanted = skb->len < HEADERS_MAX ? skb->len : HEADERS_MAX;

	if (!p)
		return VERDICT_NOT_IP;
	if (skb->vlan_present) /* the tag is not in the frame: a VLAN device's packet */
		return VERDICT_NOT_IP;
	/* failure shows as short headers */
	if ((void *)(long)skb->data + wanted > (void *)(long)skb->data_end)
		bpf_skb_pull_data(skb, wanted);
	if (ethernet_is_missing(skb))
		return parse_packet(p, skb->protocol, 0, (void *)(long)skb->data,
				    (void *)(long)skb->data_end);
	return parse_packet(p, skb->protocol, ETH_HLEN, (void *)(long)skb->data,
			    (void *)(long)skb->data_end);
}

/* Makes room for the Ethernet header that bpf_redirect_neigh wants to fill. */
static __always_inline int ethernet_restore(struct __sk_buff *skb, struct packet *p)
{
	if (p->l3_offset == ETH_HLEN)
		return STAGE_NEXT;
	if (bpf_skb_change_head(skb, ETH_HLEN, 0))
		return VERDICT_MALFORMED;
	p->l3_offset = ETH_HLEN;
	p->l4_offset += ETH_HLEN;
	return STAGE_NEXT;
}

static __always_inline int send(const struct packet *p, const struct route *route)
{
	struct bpf_redir_neigh via = {.nh_family = route->via_ipv6 ? AF_INET6 : AF_INET};

	if (route->via_ipv6)
		__builtin_memcpy(via.ipv6_nh, &route->via, sizeof(via.ipv6_nh));
	else
		via.ipv4_nh = route->via.words[3];
	verdict_count(p, verdict_sent(p));
	return bpf_redirect_neigh(route->ifindex, &via, sizeof(via), 0);
}

/* The way out of a packet that has an endpoint.  L2: the neighbour is the
 * endpoint itself, wherever routes would lead. */
static __always_inline int find_way(struct __sk_buff *skb, struct packet *p,
				    const struct contract *c, struct route *ret_route)
{
	struct ip_addr source;
	int stage;

	if (p->way != WAY_NAT) {
		p->out_ipv6 = address_is_ipv6(&p->to.dst);
		if (!route_from_path(p, ret_route) && !address_is_set(&p->to.src))
			encap_source(p, c);
		source = p->to.src;
		if (p->way != WAY_L2 && !address_is_set(&source))
			return VERDICT_NO_SNAT_ADDRESS;
	}
	stage = route_find(skb, p, 0, ret_route);
	return stage == ROUTE_NO_NEIGHBOUR ? STAGE_NEXT : stage;
}

SEC("tc")
int tc_ingress(struct __sk_buff *skb)
{
	struct packet *p = packet_new(skb->ifindex, skb->len, skb->gso_segs ? skb->gso_segs : 1);
	const struct contract *contract_ = contract_get();
	struct route route = {};
	struct nat_flow *flow = NULL;
	int stage;

	if (!contract_ || !p || mark_take(skb) != VERDICT_TO_TC)
		return TC_PASS;
	stage = parse_skb(skb, p);
	if (stage == STAGE_NEXT)
		stage = steer_packet(p, contract_, &flow);
	if (stage == STAGE_LOCAL)
		return local_out(skb, p, contract_);
	if (stage != STAGE_NEXT)
		return verdict_out(skb, p, stage);

	stage = find_way(skb, p, contract_, &route);
	if (stage == STAGE_NEXT && p->way == WAY_NAT && !flow)
		stage = flow_store(p, contract_, p->now);
	if (stage == STAGE_NEXT)
		stage = ethernet_restore(skb, p);
	if (stage == STAGE_NEXT)
		event_report(skb, p, verdict_sent(p));
	if (stage == STAGE_NEXT)
		stage = p->way == WAY_NAT ? rewrite_skb(skb, p) : encap_skb(skb, p);
	if (stage != STAGE_NEXT)
		return verdict_out(skb, p, stage);
	if (flow)
		flow_touch(p, flow, p->now);
	return send(p, &route);
}
