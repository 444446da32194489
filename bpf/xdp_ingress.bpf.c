// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* XDP at every device of the gateway: L4 VIPs are served here, both ways.
 *
 * The body is the list of stages.  xdp_ingress is for native XDP.  xdp_generic
 * only drops what is to be dropped and leaves all else to TC, uncounted: under
 * generic XDP packets are already merged and their checksums may be unfinished,
 * which only TC can tell.  Both take multi-buffer packets, so that MTU 9000
 * works.
 */
#include "bpf/maps.h"
#include "bpf/stage/packet.h"
#include "bpf/stage/parse.h"
#include "bpf/stage/rewrite.h"
#include "bpf/stage/route.h"
#include "bpf/stage/snat.h"
#include "bpf/stage/steer.h"
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

static __always_inline int verdict_out(struct xdp_md *ctx, const struct packet *p, __u32 verdict,
				       bool is_generic)
{
	if (verdict_is_drop(verdict)) {
		verdict_count(p, verdict);
		return XDP_DROP;
	}
	/* no mark under generic XDP: from 6.9 on TC may not find it there */
	if (!is_generic && mark_put(ctx, p->ifindex, verdict))
		verdict_count(p, verdict);
	return XDP_PASS;
}

/* Headers beyond the linear part: some drivers put only a few bytes there. */
static __always_inline bool headers_are_split(struct xdp_md *ctx, const struct packet *p)
{
	return p->frame_bytes > xdp_end(ctx) - xdp_data(ctx);
}

static __always_inline int send(struct xdp_md *ctx, const struct packet *p, __u32 ifindex)
{
	verdict_count(p, p->is_answer ? VERDICT_RETURNED : VERDICT_FORWARDED);
	if (ifindex == p->ifindex)
		return XDP_TX;
	return bpf_redirect_map(&devices, ifindex, XDP_DROP);
}

static __always_inline int parse_frame(struct xdp_md *ctx, struct packet *p)
{
	struct ethhdr *eth = xdp_data(ctx);
	int stage;

	if ((void *)(eth + 1) > xdp_end(ctx))
		return VERDICT_NOT_IP;
	stage = parse_packet(p, eth->h_proto, ETH_HLEN, xdp_data(ctx), xdp_end(ctx));
	if (stage == VERDICT_MALFORMED && headers_are_split(ctx, p))
		return VERDICT_TO_TC;
	return stage;
}

static __always_inline bool neighbour_is_due(const struct nat_flow *flow)
{
	return !flow && neighbour_interval && bpf_get_prandom_u32() % neighbour_interval == 0;
}

static __always_inline int handle(struct xdp_md *ctx, bool is_generic)
{
	struct packet packet = {
		.ifindex = ctx->ingress_ifindex,
		.frame_bytes = bpf_xdp_get_buff_len(ctx),
		.count = 1,
		.vip = VIP_NONE,
		.endpoint = ENDPOINT_NONE,
	};
	const struct contract *contract_ = contract_get();
	struct route route;
	struct nat_flow *flow;
	__u64 now = bpf_ktime_get_ns();
	int stage;

	if (!contract_)
		return XDP_PASS;
	stage = parse_frame(ctx, &packet);
	if (stage == STAGE_NEXT)
		stage = steer_packet(&packet, contract_, now, &flow);
	if (stage == STAGE_NEXT && is_generic)
		stage = VERDICT_TO_TC;
	if (stage != STAGE_NEXT)
		return verdict_out(ctx, &packet, stage, is_generic);

	stage = route_find(ctx, &packet, packet.bytes, &route);
	if (stage == ROUTE_NO_NEIGHBOUR)
		stage = VERDICT_TO_TC;
	if (stage == STAGE_NEXT &&
	    (!route_is_native(&packet, route.ifindex) || neighbour_is_due(flow)))
		stage = VERDICT_TO_TC;
	if (stage == STAGE_NEXT && !flow)
		stage = flow_store(&packet, contract_, now);
	if (stage == STAGE_NEXT)
		stage = rewrite_frame(&packet, xdp_data(ctx), xdp_end(ctx), &route);
	if (stage != STAGE_NEXT)
		return verdict_out(ctx, &packet, stage, is_generic);
	if (flow)
		flow_touch(&packet, flow, now);
	return send(ctx, &packet, route.ifindex);
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
