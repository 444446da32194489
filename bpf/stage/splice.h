/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Spliced connections (maps/layout/splice.h): is a packet part of one, may it pass,
 * and what has been seen when it did.
 *
 * Judging reads only, so that a packet may be left to TC, or be one to be explained,
 * after it.  What its receiver will judge by itself is not judged here (sequence
 * numbers out of the window, old acknowledgements); it just does not move the numbers
 * that are tracked, so a forged packet can do to them what it could do to the two ends,
 * and no more.  A reset is passed on where its receiver might take it; what counts as
 * the end is only one at a number that the sender alone knows.
 */
#ifndef SLUICE_BPF_STAGE_SPLICE_H
#define SLUICE_BPF_STAGE_SPLICE_H

#include "bpf/stage/route.h"
#include "bpf/stage/splice_tcp.h"
#include "bpf/stage/verdict.h"
#include "maps/layout/splice.h"

/* ---- events ---- */

static __noinline void splice_tell(const struct packet *p, const struct splice *splice, __u32 kind)
{
	struct splice_event *event = bpf_ringbuf_reserve(&splice_events, sizeof(*event), 0);

	if (!event) /* a sweep will find it */
		return;
	event->at = bpf_ktime_get_ns();
	event->id = splice->id;
	event->key = p->key;
	event->kind = kind;
	event->pad = 0;
	bpf_ringbuf_submit(event, 0);
}

/* ---- which splice ---- */

static __always_inline struct splice *splice_peer(const struct splice *splice)
{
	struct flow_key key = {
		.src = splice->dst,
		.dst = splice->src,
		.src_port = splice->dst_port,
		.dst_port = splice->src_port,
		.proto = IPPROTO_TCP,
	};
	struct splice *peer = bpf_map_lookup_elem(&splices, &key);

	return peer && peer->id == splice->id ? peer : NULL;
}

/* Notes where p, from a server to a connection of the proxy's, ends, and its timestamp. */
__noinline int splice_learn_note(struct frame_ctx *ctx, struct packet *p)
{
	struct splice_tcp *t = splice_tcp_get(false);
	struct splice_learn *learn;
	struct splice_seen seen;
	struct flow_key key;

	if (!p || !t || p->is_dry || p->lies || p->is_fragment)
		return 0;
	key = p->key; /* 6.1 takes no key from what a global function is given */
	learn = bpf_map_lookup_elem(&splice_learns, &key);
	if (!learn || splice_tcp_load(ctx, p, t) != STAGE_NEXT)
		return 0;
	t->ack_delta = t->tsval_delta = t->tsecr_delta = 0;
	if (options_translate(t, false) != STAGE_NEXT || !t->has_timestamps)
		return 0;
	seen.end = t->seq + t->payload_bytes + !!(p->tcp_flags & (TCP_FIN | TCP_SYN));
	seen.tsval = t->tsval;
	*(volatile __u64 *)&learn->seen[learn->segments % SPLICE_LEARNT] = *(__u64 *)&seen;
	learn->segments++;
	return 0;
}

/* A SYN for what has ended: whoever has the ports now is another. */
__noinline int splice_release(struct packet *p, struct splice *splice)
{
	struct splice *peer;

	if (!p || !splice || p->is_dry)
		return 0;
	peer = splice_peer(splice);
	if (peer)
		peer->end = SPLICE_END_REUSED;
	if (splice->end != SPLICE_END_REUSED)
		splice_tell(p, splice, SPLICE_EVENT_REUSED);
	splice->end = SPLICE_END_REUSED;
	return 0;
}

/* The record of p's direction, if p is to take the splice's way.  Where nothing is
 * spliced it costs the look at one array. */
static __always_inline struct splice *splice_find(struct frame_ctx *ctx, struct packet *p)
{
	const struct splice_setup *setup;
	struct splice *splice;
	__u32 zero = 0;
	__u16 port;

	if (p->key.proto != IPPROTO_TCP)
		return NULL;
	setup = bpf_map_lookup_elem(&splice_setup, &zero);
	if (!setup || !setup->is_on)
		return NULL;
	splice = bpf_map_lookup_elem(&splices, &p->key);
	if (!splice) {
		port = bpf_ntohs(p->key.dst_port);
		if (port >= setup->port_low && port <= setup->port_high)
			splice_learn_note(ctx, p);
		return NULL;
	}
	if (p->tcp_flags & TCP_SYN) {
		if (packet_is_syn(p) && splice->end != SPLICE_OPEN)
			splice_release(p, splice);
		return NULL;
	}
	return splice->end == SPLICE_END_REUSED ? NULL : splice;
}

/* ---- may it pass ---- */

/* What the other side has acknowledged, in numbers as the sender of p counts. */
static __always_inline __u32 splice_received(const struct splice *peer)
{
	return peer->acked + peer->ack_delta;
}

/* What the other side takes beyond that. */
static __always_inline __u32 splice_window(const struct splice *peer)
{
	return (__u32)peer->window << (peer->scale & 15);
}

static __always_inline bool splice_reset_fits(const struct splice_tcp *t,
					      const struct splice *splice,
					      const struct splice *peer)
{
	__u32 received = splice_received(peer);

	return t->seq - received <= splice_window(peer) || t->seq == splice->next;
}

/* STAGE_NEXT: p, whose record is `splice`, may be sent on; its TCP header is translated
 * in the scratch slot.  Otherwise its verdict. */
__noinline int splice_judge(struct frame_ctx *ctx, struct packet *p, struct splice *splice,
			    struct splice *peer)
{
	struct splice_tcp *t;
	int stage;

	if (!p || !splice || !peer)
		return VERDICT_SPLICE_HALF;
	t = splice_tcp_get(p->is_dry);
	if (!t || p->is_fragment)
		return VERDICT_SPLICE_ODD;
	if (p->lies)
		return VERDICT_MALFORMED;
	if (p->ttl <= 1)
		return VERDICT_TTL;
	stage = splice_tcp_load(ctx, p, t);
	if (stage != STAGE_NEXT)
		return stage;
	if (!(p->tcp_flags & (TCP_ACK | TCP_RST)))
		return VERDICT_SPLICE_ODD;
	/* data that ends before the limit is old: its sender lacks an acknowledgement */
	if (t->payload_bytes && splice->flags & SPLICE_F_LIMIT &&
	    !TCP_REACHES(splice->limit, t->seq + t->payload_bytes))
		return splice->flags & SPLICE_F_CLIENT ? VERDICT_SPLICE_DATA
						       : VERDICT_SPLICE_PAST_END;
	if (p->tcp_flags & TCP_RST && !splice_reset_fits(t, splice, peer))
		return VERDICT_SPLICE_STRAY;
	return splice_tcp_translate(t, splice, p->is_dry);
}

/* A packet of the splice was dropped with this verdict. */
static __noinline void splice_note_refused(const struct packet *p, struct splice *splice,
					   __u32 verdict)
{
	bool is_past = verdict == VERDICT_SPLICE_DATA || verdict == VERDICT_SPLICE_PAST_END;

	splice->refused += p->count;
	if (!is_past || splice->saw & SPLICE_TOLD_PAST)
		return;
	splice->saw |= SPLICE_TOLD_PAST;
	splice_tell(p, splice,
		    verdict == VERDICT_SPLICE_DATA ? SPLICE_EVENT_DATA : SPLICE_EVENT_PAST_END);
}

/* ---- the way out ---- */

/* Bytes of the IP packet that p becomes: its header has no options. */
static __always_inline __u32 splice_bytes_out(const struct packet *p)
{
	return (__u32)p->l3_offset + p->bytes - p->l4_offset + (p->out_ipv6 ? 40 : 20);
}

static __always_inline bool splice_route_known(const struct splice *splice, struct route *ret_route)
{
	const struct nexthop *hop;

	ret_route->nexthop = splice->nexthop;
	hop = bpf_map_lookup_elem(&nexthops, &ret_route->nexthop);
	if (!hop || hop->state != NEXTHOP_RESOLVED)
		return false;
	ret_route->ifindex = hop->ifindex;
	ret_route->vlan = hop->vlan;
	ret_route->mtu = hop->mtu;
	ret_route->via = hop->addr;
	ret_route->via_ipv6 = address_is_ipv6(&hop->addr);
	__builtin_memcpy(ret_route->dmac, hop->dmac, sizeof(ret_route->dmac));
	__builtin_memcpy(ret_route->smac, hop->smac, sizeof(ret_route->smac));
	return true;
}

/* p->to is what the packet is to become, and *ret_route how it leaves: STAGE_NEXT,
 * ROUTE_NO_NEIGHBOUR or a verdict.  A merged packet will be cut to fit. */
static __always_inline int splice_way(void *ctx, struct packet *p, const struct splice *splice,
				      bool is_merged, struct route *ret_route)
{
	__u32 bytes;
	int stage = STAGE_NEXT;

	__builtin_memcpy(&p->to, splice, sizeof(p->to));
	p->out_ipv6 = address_is_ipv6(&p->to.dst);
	p->way = WAY_NAT;
	p->why = WHY_SPLICE;
	p->vip = splice->vip;
	p->endpoint = splice->endpoint;
	p->is_answer = !(splice->flags & SPLICE_F_CLIENT);
	bytes = is_merged ? 0 : splice_bytes_out(p);
	if (!splice_route_known(splice, ret_route))
		stage = route_find(ctx, p, bytes, ret_route);
	else if (ret_route->mtu && bytes > ret_route->mtu)
		stage = VERDICT_TOO_BIG;
	if (stage == VERDICT_TOO_BIG) /* in bytes of p as it arrives */
		p->mtu = ret_route->mtu + p->bytes - bytes;
	return stage;
}

/* ---- what has been seen ---- */

static __always_inline void splice_note_gap(struct splice *splice, __u64 now)
{
	__u64 gap = (now - splice->data_at) >> SPLICE_GAP_SHIFT;
	__u32 class = 0;

	/* the place of the highest bit, by halves */
	if (gap >> (SPLICE_GAPS - 1))
		class = SPLICE_GAPS - 1;
	else {
		if (gap >> 8) {
			class += 8;
			gap >>= 8;
		}
		if (gap >> 4) {
			class += 4;
			gap >>= 4;
		}
		if (gap >> 2) {
			class += 2;
			gap >>= 2;
		}
		class += gap >> 1 ? 2 : gap;
	}
	splice->gaps[class & (SPLICE_GAPS - 1)]++;
}

/* New data: `bytes` of it. */
static __always_inline void splice_note_data(struct splice *splice, __u32 bytes, __u64 now)
{
	if (splice->first_at)
		splice_note_gap(splice, now);
	else
		splice->first_at = now;
	splice->data_at = now;
	splice->bytes += bytes;
}

/* p's acknowledgement and window, if the other side has sent so much. */
static __always_inline void splice_note_ack(const struct splice_tcp *t, struct splice *splice,
					    const struct splice *peer)
{
	__u32 sent = peer->next + peer->seq_delta;

	if (!t->tcp_old.ack || !TCP_REACHES(t->ack, splice->acked) || !TCP_REACHES(sent, t->ack))
		return;
	splice->acked = t->ack;
	splice->window = bpf_ntohs(t->tcp_old.window);
}

/* p's end, if the other side has room for so much. */
static __always_inline void splice_note_sent(const struct splice_tcp *t, bool is_fin,
					     struct splice *splice, const struct splice *peer,
					     __u64 now)
{
	__u32 end = t->seq + t->payload_bytes + is_fin;
	__u32 more = end - splice->next;

	if (!TCP_REACHES(end, splice->next) ||
	    end - splice_received(peer) > splice_window(peer) + is_fin)
		return;
	if (is_fin) {
		splice->fin = end;
		splice->saw |= SPLICE_SAW_FIN;
	}
	splice->next = end;
	if (more > is_fin)
		splice_note_data(splice, more - is_fin, now);
}

static __always_inline bool splice_is_finished(const struct splice *splice,
					       const struct splice *peer)
{
	return splice->saw & peer->saw & SPLICE_SAW_FIN &&
	       TCP_REACHES(splice_received(peer), splice->fin) &&
	       TCP_REACHES(splice_received(splice), peer->fin);
}

static __always_inline void splice_note_end(const struct packet *p, struct splice *splice,
					    struct splice *peer, enum splice_end end, __u32 kind)
{
	if (splice->end != SPLICE_OPEN)
		return;
	splice->end = end;
	peer->end = end;
	splice_tell(p, splice, kind);
}

/* p has been sent on; its header is in the scratch slot. */
__noinline int splice_note(struct packet *p, struct splice *splice, struct splice *peer)
{
	struct splice_tcp *t = splice_tcp_get(false);
	__u64 now = bpf_ktime_get_ns();

	if (!p || !splice || !peer || !t)
		return 0;
	splice->seen_at = now;
	splice->packets += p->count;
	if (p->tcp_flags & TCP_RST) {
		if (t->seq == splice->next || t->seq == splice_received(peer))
			splice_note_end(p, splice, peer, SPLICE_END_RESET, SPLICE_EVENT_RESET);
		return 0;
	}
	splice_note_ack(t, splice, peer);
	splice_note_sent(t, p->tcp_flags & TCP_FIN, splice, peer, now);
	if (splice_is_finished(splice, peer))
		splice_note_end(p, splice, peer, SPLICE_END_FIN, SPLICE_EVENT_FIN);
	return 0;
}

#endif
