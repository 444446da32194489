/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Last stage: every exit is counted once, by name, and reported where asked for.
 *
 * A program says how bytes of its packet are read before it includes this:
 * PACKET_LOAD(ctx, to, bytes), from the first one on.  A record shows the packet
 * as it arrived, so what is to be sent is reported before it is written to.
 *
 * The mark is what XDP tells TC of a packet it passes on: metadata in front of
 * the frame.  It carries the device, because a packet may meet a TC program
 * again on a VLAN or bridge on top.  Where a driver has no room for metadata
 * XDP counts nothing and TC, finding no mark, judges the packet itself: counted
 * once either way.
 */
#ifndef SLUICE_BPF_STAGE_VERDICT_H
#define SLUICE_BPF_STAGE_VERDICT_H

#include "bpf/maps.h"
#include "bpf/stage/packet.h"

#define SNAP_BYTES_MIN 14 /* an Ethernet header */

#define MARK_MAGIC 0x536c5563u

struct mark {
	__u32 magic;
	__u32 ifindex;
	__u32 verdict; /* VERDICT_TO_TC: not judged yet */
};

static __always_inline __u32 verdict_sent(const struct packet *p)
{
	return p->is_answer ? VERDICT_RETURNED : VERDICT_FORWARDED;
}

static __always_inline void traffic_add(struct traffic *traffic, const struct packet *p)
{
	if (!traffic)
		return;
	traffic->packets += p->count;
	traffic->bytes += p->bytes;
}

/* Is this packet to be reported?  Mostly nobody asks. */
static __always_inline bool capture_wants(const struct capture *asked, const struct packet *p,
					  __u32 verdict)
{
	if (asked->interval > 1 && bpf_get_prandom_u32() % asked->interval)
		return false;
	if (asked->vip != VIP_ID_ANY && asked->vip != p->vip)
		return false;
	if (asked->verdicts && !(asked->verdicts >> verdict & 1))
		return false;
	return bpf_ktime_get_coarse_ns() < asked->until;
}

static __noinline void event_write(void *ctx, const struct packet *p, __u32 verdict,
				   struct capture *asked)
{
	struct event *event = bpf_ringbuf_reserve(&events, sizeof(*event), 0);
	__u32 bytes = p->frame_bytes;

	if (!event) {
		__sync_fetch_and_add(&asked->lost, 1);
		return;
	}
	event->at = bpf_ktime_get_ns();
	event->src = p->key.src;
	event->dst = p->key.dst;
	event->src_port = p->key.src_port;
	event->dst_port = p->key.dst_port;
	event->proto = p->key.proto;
	event->verdict = verdict;
	event->why = p->why;
	event->tcp_flags = p->tcp_flags;
	event->vip = p->vip;
	event->frame_bytes = p->frame_bytes;
	if (bytes > EVENT_SNAP_BYTES)
		bytes = EVENT_SNAP_BYTES;
	/* every frame has so many; 6.1 learns nothing from "not 0" */
	event->snap_bytes = 0;
	if (bytes >= SNAP_BYTES_MIN && PACKET_LOAD(ctx, event->snap, bytes) == 0)
		event->snap_bytes = bytes;
	event->interval = asked->interval;
	event->endpoint = p->endpoint;
	event->ifindex = p->ifindex;
	bpf_ringbuf_submit(event, 0);
}

static __always_inline void event_report(void *ctx, const struct packet *p, __u32 verdict)
{
	__u32 zero = 0;
	struct capture *asked = bpf_map_lookup_elem(&capture, &zero);

	if (asked && asked->interval && !p->is_dry && capture_wants(asked, p, verdict))
		event_write(ctx, p, verdict, asked);
}

static __always_inline void passive_note(const struct packet *p, __u32 verdict)
{
	__u32 id = p->endpoint;
	struct passive *passive_ = bpf_map_lookup_elem(&passive, &id);

	if (!passive_)
		return;
	if (verdict == VERDICT_FORWARDED) {
		passive_->syns++;
		return;
	}
	passive_->seen_at = bpf_ktime_get_ns();
	if ((p->tcp_flags & (TCP_SYN | TCP_ACK)) == (TCP_SYN | TCP_ACK))
		passive_->synacks++;
	if (p->tcp_flags & TCP_RST)
		passive_->resets++;
}

static __always_inline void verdict_count(const struct packet *p, __u32 verdict)
{
	__u32 vip = p->vip, endpoint = p->endpoint;

	if (p->is_dry)
		return;
	traffic_add(bpf_map_lookup_elem(&verdicts, &verdict), p);
	if (vip != VIP_NONE && !p->is_answer && verdict != VERDICT_TO_TC)
		traffic_add(bpf_map_lookup_elem(&vip_stats, &vip), p);
	if (verdict == VERDICT_FORWARDED)
		traffic_add(bpf_map_lookup_elem(&ep_stats, &endpoint), p);
	if ((verdict == VERDICT_FORWARDED && packet_is_syn(p)) || verdict == VERDICT_RETURNED)
		passive_note(p, verdict);
}

static __always_inline bool verdict_is_drop(__u32 verdict)
{
	switch (verdict) {
#define X(id, name, text, drop)                                                                    \
	case id: return drop;
		VERDICT_LIST(X)
#undef X
	}
	return true;
}

#endif
