// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* XDP at every device of the gateway: L4 VIPs are served here, both ways.
 *
 * The body is the list of stages.  xdp_ingress is for native XDP; xdp_shared is
 * the same as an extension, for a place in libxdp's dispatcher.  xdp_generic
 * only drops what is to be dropped and leaves all else to TC, uncounted: under
 * generic XDP packets are already merged and their checksums may be unfinished,
 * which only TC can tell.  Both take multi-buffer packets, so that MTU 9000
 * works.
 */
#define PACKET_LOAD(ctx, to, bytes) bpf_xdp_load_bytes((struct xdp_md *)(ctx), 0, to, bytes)

#include "bpf/stage/bytes_xdp.h"

#include "bpf/maps.h"
#include "bpf/stage/edge.h"
#include "bpf/stage/encap.h"
#include "bpf/stage/packet.h"
#include "bpf/stage/parse.h"
#include "bpf/stage/parse_odd.h"
#include "bpf/stage/rewrite.h"
#include "bpf/stage/rewrite_odd.h"
#include "bpf/stage/route.h"
#include "bpf/stage/snat.h"
#include "bpf/stage/splice.h"
#include "bpf/stage/splice_frame.h"
#include "bpf/stage/steer.h"
#include "bpf/stage/tell.h"
#include "bpf/stage/verdict.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

/* One of so many new flows begins in TC, 0: none.  XDP only reads neighbours; TC
 * sends by them, which makes the kernel ask again when an entry has gone stale.
 * A flow's first packet cannot be overtaken by others of it. */
const volatile __u32 neighbour_interval = 0;

static __always_inline void *xdp_data(struct xdp_md *ctx)
{
	return (void *)(long)ctx->data;
}

static __always_inline void *xdp_end(struct xdp_md *ctx)
{
	return (void *)(long)ctx->data_end;
}

/* Writes the mark for TC; false: this driver has no metadata. */
static __always_inline bool mark_put(struct xdp_md *ctx, __u32 ifindex, __u32 verdict)
{
	struct mark *mark;

	if (bpf_xdp_adjust_meta(ctx, -(int)sizeof(*mark)))
		return false;
	mark = (void *)(long)ctx->data_meta;
	if ((void *)(mark + 1) > xdp_data(ctx))
		return false;
	mark->magic = MARK_MAGIC;
	mark->ifindex = ifindex;
	mark->verdict = verdict;
	return true;
}

/* What sluicectl explain asks, in front of the frame; NULL: nobody asks.  Metadata
 * comes from BPF_PROG_TEST_RUN only, and the secret from the contract. */
static __always_inline struct explain *explain_find(struct xdp_md *ctx, const struct contract *c)
{
	struct explain *explain = (void *)(long)ctx->data_meta;

	if ((void *)(explain + 1) > xdp_data(ctx))
		return NULL;
	if (explain->magic != EXPLAIN_MAGIC || explain->secret != (__u32)c->hash_secret)
		return NULL;
	return explain;
}

static __noinline void explain_write(struct xdp_md *ctx, const struct packet *p, __u32 nexthop,
				     __u32 verdict)
{
	struct explain *explain = (void *)(long)ctx->data_meta;

	if ((void *)(explain + 1) > xdp_data(ctx))
		return;
	explain->secret = p->row;
	explain->vip = p->vip;
	explain->endpoint = p->endpoint;
	explain->nexthop = nexthop;
	explain->verdict = verdict;
	explain->why = p->why;
	explain->state = p->state;
	explain->way = p->way;
	explain->pad = 1; /* answered */
}

/* The frame becomes the answer that the verdict names. */
static __noinline int answer_out(struct xdp_md *ctx, const struct packet *p, __u32 verdict,
				 bool is_generic)
{
	if (is_generic) /* left to TC */
		return XDP_PASS;
	event_report(ctx, p, verdict);
	verdict = tell(ctx, p, verdict);
	verdict_count(p, verdict);
	return verdict_is_answer(verdict) ? bytes_reflect(ctx) : XDP_DROP;
}

static __always_inline int verdict_out(struct xdp_md *ctx, const struct packet *p, __u32 verdict,
				       bool is_generic)
{
	verdict = tell_intent(p, verdict);
	if (p->is_dry)
		explain_write(ctx, p, NEXTHOP_NONE, verdict);
	else if (verdict_is_answer(verdict))
		return answer_out(ctx, p, verdict, is_generic);
	if (verdict_is_drop(verdict)) {
		event_report(ctx, p, verdict);
		verdict_count(p, verdict);
		return XDP_DROP;
	}
	/* no mark under generic XDP: from 6.9 on TC may not find it there */
	if (!is_generic && !p->is_dry && mark_put(ctx, p->ifindex, verdict)) {
		event_report(ctx, p, verdict);
		verdict_count(p, verdict);
	}
	return XDP_PASS;
}

/* The answer to a probe of ours, for the stack.  Where TC would not find the mark
 * that it is done, TC does it; and where it becomes one of the other IP family. */
static __always_inline int local_out(struct xdp_md *ctx, struct packet *p, const struct contract *c,
				     bool is_generic)
{
	int stage;

	if (p->is_dry) {
		explain_write(ctx, p, NEXTHOP_NONE, VERDICT_PROBE_RETURNED);
		return XDP_PASS;
	}
	if (is_generic || probe_changes_family(p) ||
	    !mark_put(ctx, p->ifindex, VERDICT_PROBE_RETURNED))
		return XDP_PASS;
	event_report(ctx, p, VERDICT_PROBE_RETURNED);
	stage = rewrite_frame_local(p, xdp_data(ctx), xdp_end(ctx));
	verdict_count(p, stage == STAGE_NEXT ? VERDICT_PROBE_RETURNED : stage);
	if (stage != STAGE_NEXT)
		return XDP_DROP;
	probe_count_returned(p, c);
	return XDP_PASS;
}

/* Headers beyond the linear part: some drivers put only a few bytes there. */
static __always_inline bool headers_are_split(struct xdp_md *ctx, const struct packet *p)
{
	return p->frame_bytes > xdp_end(ctx) - xdp_data(ctx);
}

static __always_inline int send(const struct packet *p, __u32 ifindex, __u32 verdict)
{
	verdict_count(p, verdict);
	if (ifindex == p->ifindex)
		return XDP_TX;
	return bpf_redirect_map(&devices, ifindex, XDP_DROP);
}

/* Global: the verifier checks it once, whatever ways there are through it. */
__noinline int parse_frame(struct xdp_md *ctx, struct packet *p)
{
	struct ethhdr *eth = xdp_data(ctx);
	int stage;

	if (!p)
		return VERDICT_NOT_IP;
	if ((void *)(eth + 1) > xdp_end(ctx))
		return VERDICT_NOT_IP;
	stage = parse_packet(p, eth->h_proto, ETH_HLEN, xdp_data(ctx), xdp_end(ctx));
	if (stage == STAGE_ODD)
		return parse_odd(ctx, p);
	if (stage == VERDICT_MALFORMED && headers_are_split(ctx, p))
		return VERDICT_TO_TC;
	return stage;
}

static __always_inline bool neighbour_is_due(const struct packet *p, const struct nat_flow *flow)
{
	return !flow && p->why != WHY_HIT && neighbour_interval &&
	       bpf_get_prandom_u32() % neighbour_interval == 0;
}

/* The way out of a packet that has an endpoint. */
static __always_inline int find_way(struct xdp_md *ctx, struct packet *p, const struct contract *c,
				    struct route *ret_route)
{
	__u32 bytes;
	int stage;

	if (p->way == WAY_NAT)
		return route_find(ctx, p, p->bytes, ret_route);
	p->out_ipv6 = address_is_ipv6(&p->to.dst);
	bytes = p->bytes + route_overhead(p);
	if (route_from_path(p, ret_route))
		return ret_route->mtu && bytes > ret_route->mtu ? VERDICT_TOO_BIG : STAGE_NEXT;
	encap_source(p, c);
	if (p->way != WAY_L2 && !address_is_set(&p->to.src))
		return VERDICT_NO_SNAT_ADDRESS;
	stage = route_find(ctx, p, bytes, ret_route);
	if (p->way == WAY_L2 && stage == STAGE_NEXT && !route_is_direct(p, ret_route))
		return VERDICT_NO_ROUTE;
	return stage;
}

/* The packet as it is to leave. */
static __always_inline int write_packet(struct xdp_md *ctx, struct packet *p,
					const struct route *route)
{
	if (p->way == WAY_NAT)
		return p->is_odd ? rewrite_odd(ctx, p, route)
				 : rewrite_frame(p, xdp_data(ctx), xdp_end(ctx), route);
	return encap_frame(ctx, p, route);
}

/* A packet of a spliced connection, from its record to the wire. */
static __noinline int splice_out(struct xdp_md *ctx, struct packet *p, struct splice *splice,
				 bool is_generic)
{
	struct splice *peer = splice_peer(splice);
	struct route route = {};
	int stage = VERDICT_SPLICE_HALF;

	if (peer)
		stage = splice_judge(ctx, p, splice, peer);
	if (stage == STAGE_NEXT)
		stage = splice_way(ctx, p, splice, false, &route);
	if (p->is_dry && stage == STAGE_NEXT) {
		explain_write(ctx, p, route.nexthop, VERDICT_SPLICED);
		return XDP_TX;
	}
	if (stage == ROUTE_NO_NEIGHBOUR ||
	    (stage == STAGE_NEXT && (is_generic || !route_is_native(p, route.ifindex))))
		stage = VERDICT_TO_TC;
	if (stage == STAGE_NEXT) {
		event_report(ctx, p, VERDICT_SPLICED);
		stage = splice_frame(ctx, p, splice, &route);
	}
	if (stage == STAGE_NEXT && peer) {
		splice_note(p, splice, peer);
		return send(p, route.ifindex, VERDICT_SPLICED);
	}
	if (stage != VERDICT_TO_TC && !p->is_dry)
		splice_note_refused(p, splice, stage);
	return verdict_out(ctx, p, stage, is_generic);
}

static __always_inline int handle(struct xdp_md *ctx, bool is_generic)
{
	const struct contract *contract_ = contract_get();
	struct route route;
	struct nat_flow *flow = NULL;
	struct splice *splice;
	struct packet *p;
	int stage;

	if (!contract_)
		return XDP_PASS;
	p = packet_new(ctx->ingress_ifindex, bpf_xdp_get_buff_len(ctx), 1,
		       explain_find(ctx, contract_));
	if (!p)
		return XDP_PASS;
	stage = parse_frame(ctx, p);
	splice = stage == STAGE_NEXT ? splice_find(ctx, p) : NULL;
	if (splice)
		return splice_out(ctx, p, splice, is_generic);
	if (stage == STAGE_NEXT)
		stage = steer_packet(ctx, p, contract_, &flow);
	else if (stage == STAGE_EDGE)
		stage = edge_steer(ctx, p, contract_);
	if (p->is_fragment)
		fragment_note(p, stage);
	if (stage == STAGE_LOCAL)
		return local_out(ctx, p, contract_, is_generic);
	if (stage == STAGE_NEXT && is_generic)
		stage = VERDICT_TO_TC;
	if (stage != STAGE_NEXT)
		return verdict_out(ctx, p, stage, is_generic);

	stage = find_way(ctx, p, contract_, &route);
	if (p->is_dry && stage == STAGE_NEXT) {
		explain_write(ctx, p, route.nexthop, VERDICT_FORWARDED);
		return XDP_TX;
	}
	if (stage == ROUTE_NO_NEIGHBOUR)
		stage = VERDICT_TO_TC;
	if (stage == STAGE_NEXT && (!route_is_native(p, route.ifindex) ||
				    (route.nexthop == NEXTHOP_NONE && neighbour_is_due(p, flow))))
		stage = VERDICT_TO_TC;
	if (stage == STAGE_NEXT && p->way == WAY_NAT && !flow && p->kind == KIND_PORTS)
		stage = flow_store(p, contract_, p->now);
	if (stage == STAGE_NEXT) {
		event_report(ctx, p, verdict_sent(p));
		stage = write_packet(ctx, p, &route);
	}
	if (stage == VERDICT_TOO_BIG)
		p->mtu = route_mtu_inside(p, &route);
	if (stage != STAGE_NEXT)
		return verdict_out(ctx, p, stage, is_generic);
	if (flow)
		flow_touch(p, flow, p->now);
	return send(p, route.ifindex, verdict_sent(p));
}

SEC("xdp.frags")
int xdp_ingress(struct xdp_md *ctx)
{
	return handle(ctx, false);
}

SEC("xdp.frags")
int xdp_generic(struct xdp_md *ctx)
{
	return handle(ctx, true);
}

/* Loaded only where a dispatcher is joined ("?"), and by loader/dispatcher.c's own section
 * handler: this section is nobody else's, so that it can never be a program alone. */
SEC("?xdp.shared")
int xdp_shared(struct xdp_md *ctx)
{
	return handle(ctx, false);
}
