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

#include "bpf/stage/bytes_skb.h"

#include "bpf/maps.h"
#include "bpf/stage/edge.h"
#include "bpf/stage/encap_skb.h"
#include "bpf/stage/packet.h"
#include "bpf/stage/parse.h"
#include "bpf/stage/parse_odd.h"
#include "bpf/stage/probe_skb.h"
#include "bpf/stage/rewrite_skb.h"
#include "bpf/stage/route.h"
#include "bpf/stage/snat.h"
#include "bpf/stage/splice.h"
#include "bpf/stage/splice_skb.h"
#include "bpf/stage/steer.h"
#include "bpf/stage/tell.h"
#include "bpf/stage/verdict.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

#define TC_PASS TC_ACT_UNSPEC /* TCX_NEXT: other programs have their turn */
#define HEADERS_MAX 128 /* what parsing may want in the linear part */
#define TAGS_MAX 3 /* two that parsing takes in the frame, one beside it */

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

/* What the Ethernet header, where there is one, says of the packet behind it. */
static __always_inline int ethernet_follow(struct __sk_buff *skb, const struct packet *p)
{
	__be16 protocol = p->is_ipv6 ? bpf_htons(ETH_P_IPV6) : bpf_htons(ETH_P_IP);

	if (p->l3_offset == ETH_HLEN && bpf_skb_store_bytes(skb, offsetof(struct ethhdr, h_proto),
							    &protocol, sizeof(protocol), 0))
		return VERDICT_MALFORMED;
	return STAGE_NEXT;
}

/* The answer to a probe of ours, for the stack. */
static __always_inline int local_out(struct __sk_buff *skb, struct packet *p,
				     const struct contract *c)
{
	bool changes_family = probe_changes_family(p);
	int stage;

	event_report(skb, p, VERDICT_PROBE_RETURNED);
	stage = probe_skb(skb, p);
	if (stage == STAGE_NEXT && changes_family)
		stage = ethernet_follow(skb, p);
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
	int stage;

	if (!p)
		return VERDICT_NOT_IP;
	p->has_tag_beside = skb->vlan_present;
	/* failure shows as short headers */
	if ((void *)(long)skb->data + wanted > (void *)(long)skb->data_end)
		bpf_skb_pull_data(skb, wanted);
	if (ethernet_is_missing(skb))
		stage = parse_packet(p, skb->protocol, 0, (void *)(long)skb->data,
				     (void *)(long)skb->data_end);
	else
		stage = parse_packet(p, skb->protocol, ETH_HLEN, (void *)(long)skb->data,
				     (void *)(long)skb->data_end);
	return stage == STAGE_ODD ? parse_odd(skb, p) : stage;
}

/* Makes room for the Ethernet header that bpf_redirect_neigh wants to fill. */
static __always_inline int ethernet_restore(struct __sk_buff *skb, struct packet *p)
{
	if (p->l3_offset)
		return STAGE_NEXT;
	if (bpf_skb_change_head(skb, ETH_HLEN, 0))
		return VERDICT_NO_HEADROOM;
	p->l3_offset = ETH_HLEN;
	p->l4_offset += ETH_HLEN;
	return STAGE_NEXT;
}

/* Takes VLAN tags off: those in the frame, and the one beside it. */
static __noinline int tags_take(struct __sk_buff *skb, struct packet *p)
{
	__u32 in_frame = (__u32)(p->l3_offset - ETH_HLEN) / VLAN_HEADER_BYTES;

	for (__u32 i = 0; i < TAGS_MAX; i++) {
		if (i >= in_frame + p->has_tag_beside)
			break;
		if (bpf_skb_vlan_pop(skb))
			return VERDICT_NO_HEADROOM;
	}
	p->l4_offset -= p->l3_offset - ETH_HLEN;
	p->l3_offset = ETH_HLEN;
	return STAGE_NEXT;
}

/* The packet begins with a plain Ethernet header, as all that writes to it wants. */
static __always_inline int link_make_plain(struct __sk_buff *skb, struct packet *p)
{
	int stage = ethernet_restore(skb, p);

	if (stage == STAGE_NEXT && (p->has_tag_beside || p->l3_offset != ETH_HLEN))
		stage = tags_take(skb, p);
	return stage;
}

/* The packet becomes the answer that the verdict names.  Where its Ethernet header
 * is missing the kernel finds its sender. */
static __noinline int answer_out(struct __sk_buff *skb, struct packet *p, __u32 verdict)
{
	bool is_bare = p->l3_offset < ETH_HLEN;

	event_report(skb, p, verdict);
	if (is_bare && ethernet_restore(skb, p) != STAGE_NEXT)
		verdict = VERDICT_NO_HEADROOM;
	else
		verdict = tell(skb, p, verdict);
	verdict_count(p, verdict);
	if (!verdict_is_answer(verdict))
		return TC_ACT_SHOT;
	return is_bare ? bpf_redirect_neigh(skb->ifindex, NULL, 0, 0) : bytes_reflect(skb);
}

static __always_inline int verdict_out(struct __sk_buff *skb, struct packet *p, __u32 verdict)
{
	verdict = tell_intent(p, verdict);
	if (verdict_is_answer(verdict))
		return answer_out(skb, p, verdict);
	event_report(skb, p, verdict);
	verdict_count(p, verdict);
	return verdict_is_drop(verdict) ? TC_ACT_SHOT : TC_PASS;
}

static __always_inline int send(const struct packet *p, const struct route *route, __u32 verdict)
{
	struct bpf_redir_neigh via = {.nh_family = route->via_ipv6 ? AF_INET6 : AF_INET};

	if (route->via_ipv6)
		__builtin_memcpy(via.ipv6_nh, &route->via, sizeof(via.ipv6_nh));
	else
		via.ipv4_nh = route->via.words[3];
	verdict_count(p, verdict);
	return bpf_redirect_neigh(route->ifindex, &via, sizeof(via), 0);
}

/* The way out of a packet that has an endpoint.  L2: the neighbour is the
 * endpoint itself, wherever routes would lead.  What is merged the kernel cuts to
 * the device's MTU; what is not must fit as it is. */
static __always_inline int find_way(struct __sk_buff *skb, struct packet *p,
				    const struct contract *c, struct route *ret_route)
{
	bool is_merged = skb->gso_segs > 1;
	struct ip_addr source;
	__u32 bytes = p->bytes;
	int stage;

	if (p->way != WAY_NAT) {
		p->out_ipv6 = address_is_ipv6(&p->to.dst);
		bytes += route_overhead(p);
		if (route_from_path(p, ret_route) && !is_merged && ret_route->mtu &&
		    bytes > ret_route->mtu)
			return VERDICT_TOO_BIG;
		if (!address_is_set(&p->to.src))
			encap_source(p, c);
		source = p->to.src;
		if (p->way != WAY_L2 && !address_is_set(&source))
			return VERDICT_NO_SNAT_ADDRESS;
	}
	stage = route_find(skb, p, is_merged ? 0 : bytes, ret_route);
	if (p->way == WAY_L2 && stage <= STAGE_NEXT && !route_is_direct(p, ret_route))
		return VERDICT_NO_ROUTE;
	return stage == ROUTE_NO_NEIGHBOUR ? STAGE_NEXT : stage;
}

/* A packet of a spliced connection, from its record to the wire. */
static __noinline int splice_out(struct __sk_buff *skb, struct packet *p, struct splice *splice)
{
	struct splice *peer = splice_peer(splice);
	struct route route = {};
	int stage = VERDICT_SPLICE_HALF;

	if (peer)
		stage = splice_judge(skb, p, splice, peer);
	if (stage == STAGE_NEXT)
		stage = splice_way(skb, p, splice, skb->gso_segs > 1, &route);
	if (stage == ROUTE_NO_NEIGHBOUR)
		stage = STAGE_NEXT;
	if (stage == STAGE_NEXT)
		event_report(skb, p, VERDICT_SPLICED);
	if (stage == STAGE_NEXT)
		stage = link_make_plain(skb, p);
	if (stage == STAGE_NEXT)
		stage = splice_skb(skb, p, splice);
	if (stage == STAGE_NEXT && peer) {
		splice_note(p, splice, peer);
		return send(p, &route, VERDICT_SPLICED);
	}
	splice_note_refused(p, splice, stage);
	return verdict_out(skb, p, stage);
}

SEC("tc")
int tc_ingress(struct __sk_buff *skb)
{
	const struct contract *contract_ = contract_get();
	struct route route = {};
	struct nat_flow *flow = NULL;
	struct splice *splice;
	struct packet *p;
	int stage;

	if (!contract_ || mark_take(skb) != VERDICT_TO_TC)
		return TC_PASS;
	p = packet_new(skb->ifindex, skb->len, skb->gso_segs ? skb->gso_segs : 1, false);
	if (!p)
		return TC_PASS;
	stage = parse_skb(skb, p);
	splice = stage == STAGE_NEXT ? splice_find(skb, p) : NULL;
	if (splice)
		return splice_out(skb, p, splice);
	if (stage == STAGE_NEXT)
		stage = steer_packet(skb, p, contract_, &flow);
	else if (stage == STAGE_EDGE)
		stage = edge_steer(skb, p, contract_);
	if (p->is_fragment)
		fragment_note(p, stage);
	if (stage == STAGE_LOCAL)
		return local_out(skb, p, contract_);
	if (stage != STAGE_NEXT)
		return verdict_out(skb, p, stage);

	stage = find_way(skb, p, contract_, &route);
	if (stage == VERDICT_TOO_BIG)
		p->mtu = route_mtu_inside(p, &route);
	if (stage == STAGE_NEXT && p->way == WAY_NAT && !flow && p->kind == KIND_PORTS)
		stage = flow_store(p, contract_, p->now);
	if (stage == STAGE_NEXT)
		event_report(skb, p, verdict_sent(p));
	if (stage == STAGE_NEXT)
		stage = link_make_plain(skb, p);
	if (stage == STAGE_NEXT)
		stage = p->way == WAY_NAT ? rewrite_skb(skb, p) : encap_skb(skb, p);
	if (stage != STAGE_NEXT)
		return verdict_out(skb, p, stage);
	if (flow)
		flow_touch(p, flow, p->now);
	return send(p, &route, verdict_sent(p));
}
