/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The TCP header of a spliced packet, translated: ports, sequence numbers, window,
 * timestamps and SACK blocks.
 *
 * The header is read into a per-CPU slot, changed in a copy of it there, and stored
 * again by whoever writes the packet.  The checksum's difference is taken over both
 * copies at once, so options may lie at odd places.  Options are walked by bpf_loop, but
 * for the layout that nearly all packets have.  Options that are none of ours go
 * through as they are: they are agreed on by SYNs, which are never translated.
 */
#ifndef SLUICE_BPF_STAGE_SPLICE_TCP_H
#define SLUICE_BPF_STAGE_SPLICE_TCP_H

#include <linux/tcp.h>
#include <bpf/bpf_endian.h>

#include "bpf/maps.h"
#include "bpf/stage/packet.h"
#include "bpf/stage/rewrite.h"

#define TCP_HEADER_BYTES_MAX 60
#define TCP_OPTIONS_BYTES_MAX 40
#define TCP_OPTION_END 0
#define TCP_OPTION_NOP 1
#define TCP_OPTION_SACK 5
#define TCP_OPTION_TIMESTAMPS 8
#define TCP_OPTION_TIMESTAMPS_BYTES 10
#define SACK_BLOCKS_MAX 4
#define SACK_BLOCK_BYTES 8
#define OPTION_BYTES_MAX (2 + SACK_BLOCKS_MAX * SACK_BLOCK_BYTES) /* of those that we change */

/* Does a lie at or behind b, of numbers that wrap? */
#define TCP_REACHES(a, b) ((__s32)((__u32)(a) - (__u32)(b)) >= 0)

struct splice_tcp {
	union {
		__u8 old[64]; /* as it arrived */
		struct tcphdr tcp_old;
	};
	union {
		__u8 bytes[96]; /* as it is to leave; room for an option at any place */
		struct tcphdr tcp;
	};
	__u32 count; /* of bytes in the header: times of 4, 20 to 60 */
	__u32 at; /* where the next option begins */
	__u32 seq; /* host order, as it arrived */
	__u32 ack;
	__u32 payload_bytes;
	__u32 tsval; /* has_timestamps: as it arrived */
	__u32 ack_delta, tsval_delta, tsecr_delta; /* of struct splice */
	bool has_timestamps;
	bool is_bad; /* options that lie */
};
_Static_assert(TCP_HEADER_BYTES_MAX + OPTION_BYTES_MAX <= 96, "an option may begin anywhere");

/* One a CPU, as packet_scratch: and none for questions, which do not look at it
 * between two calls. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 2);
	__type(key, __u32);
	__type(value, struct splice_tcp);
} splice_scratch SEC(".maps");

static __always_inline struct splice_tcp *splice_tcp_get(bool is_dry)
{
	__u32 index = is_dry;

	return bpf_map_lookup_elem(&splice_scratch, &index);
}

/* ---- reading ---- */

/* STAGE_NEXT: t holds the header of p, whose lengths are known not to lie. */
static __always_inline int splice_tcp_load(struct frame_ctx *ctx, const struct packet *p,
					   struct splice_tcp *t)
{
	__u32 there = (__u32)p->l3_offset + p->bytes - p->l4_offset;
	__u32 count = there;

	/* see bpf/decap/mss.h: 6.1 learns a lower bound from `<` only */
	asm volatile("" : "+r"(count));
	if (count > TCP_HEADER_BYTES_MAX)
		count = TCP_HEADER_BYTES_MAX;
	if (count < sizeof(t->tcp))
		return VERDICT_MALFORMED;
	if (bytes_load(ctx, p->l4_offset, t->old, count))
		return VERDICT_MALFORMED;
	t->count = t->tcp_old.doff * 4;
	if (t->count < sizeof(t->tcp) || t->count > there)
		return VERDICT_MALFORMED;
	t->seq = bpf_ntohl(t->tcp_old.seq);
	t->ack = bpf_ntohl(t->tcp_old.ack_seq);
	t->payload_bytes = there - t->count;
	t->has_timestamps = false;
	t->is_bad = false;
	__builtin_memcpy(t->bytes, t->old, sizeof(t->old));
	return STAGE_NEXT;
}

/* ---- options ---- */

/* Adds to a number at any place: byte by byte, as it may be unaligned. */
static __always_inline __u32 option_add(__u8 *at, __u32 delta)
{
	__u32 was = (__u32)at[0] << 24 | (__u32)at[1] << 16 | (__u32)at[2] << 8 | at[3];
	__u32 is = was + delta;

	at[0] = is >> 24;
	at[1] = is >> 16;
	at[2] = is >> 8;
	at[3] = is;
	return was;
}

static __always_inline void option_timestamps(struct splice_tcp *t, __u8 *option)
{
	t->has_timestamps = true;
	t->tsval = option_add(option + 2, t->tsval_delta);
	option_add(option + 6, t->tsecr_delta);
}

static __always_inline bool option_sack(const struct splice_tcp *t, __u8 *option, __u32 bytes)
{
	__u32 blocks = (bytes - 2) / SACK_BLOCK_BYTES;

	if (!blocks || bytes != 2 + blocks * SACK_BLOCK_BYTES || blocks > SACK_BLOCKS_MAX)
		return false;
#pragma unroll
	for (__u32 i = 0; i < SACK_BLOCKS_MAX; i++) {
		if (i < blocks) {
			option_add(option + 2 + i * SACK_BLOCK_BYTES, t->ack_delta);
			option_add(option + 6 + i * SACK_BLOCK_BYTES, t->ack_delta);
		}
	}
	return true;
}

/* One option; 1 ends the walk.  A callback, so that the verifier looks at it once;
 * bpf_loop gives it only what is on the stack, hence the flag for which slot. */
static long splice_option_step(__u32 index, void *ctx)
{
	struct splice_tcp *t = splice_tcp_get(*(bool *)ctx);
	__u32 at, bytes;
	bool is_bad;
	__u8 kind;

	if (!t)
		return 1;
	at = t->at;
	if (at >= t->count || at >= TCP_HEADER_BYTES_MAX)
		return 1;
	kind = t->bytes[at];
	if (kind == TCP_OPTION_END)
		return 1;
	if (kind == TCP_OPTION_NOP) {
		t->at = at + 1;
		return 0;
	}
	bytes = t->bytes[at + 1];
	is_bad = at + 1 >= t->count || bytes < 2 || at + bytes > t->count ||
		 (kind == TCP_OPTION_TIMESTAMPS && bytes != TCP_OPTION_TIMESTAMPS_BYTES);
	if (!is_bad && kind == TCP_OPTION_TIMESTAMPS)
		option_timestamps(t, t->bytes + at);
	else if (!is_bad && kind == TCP_OPTION_SACK)
		is_bad = !option_sack(t, t->bytes + at, bytes);
	t->at = at + bytes;
	if (!is_bad)
		return 0;
	t->is_bad = true;
	return 1;
}

/* Nothing but NOP, NOP, timestamps: RFC 7323, appendix A. */
static __always_inline bool options_are_usual(const struct splice_tcp *t)
{
	return t->count == 32 && t->bytes[20] == TCP_OPTION_NOP && t->bytes[21] == TCP_OPTION_NOP &&
	       t->bytes[22] == TCP_OPTION_TIMESTAMPS && t->bytes[23] == TCP_OPTION_TIMESTAMPS_BYTES;
}

/* STAGE_NEXT: the deltas in t are added to the options. */
static __always_inline int options_translate(struct splice_tcp *t, bool is_dry)
{
	if (options_are_usual(t)) {
		option_timestamps(t, t->bytes + 22);
		return STAGE_NEXT;
	}
	t->at = sizeof(t->tcp);
	if (t->count > sizeof(t->tcp))
		bpf_loop(TCP_OPTIONS_BYTES_MAX, splice_option_step, &is_dry, 0);
	return t->is_bad ? VERDICT_SPLICE_ODD : STAGE_NEXT;
}

/* ---- the rest ---- */

/* What is not zero does not become it: it would be a closed window that nobody opens. */
static __always_inline __be16 window_translate(__be16 field, __s8 shift)
{
	__u32 was = bpf_ntohs(field), is;

	if (shift >= 0)
		is = was << (shift & 15);
	else
		is = was >> (-shift & 15);
	if (was && !is)
		is = 1;
	return bpf_htons(is > 0xffff ? 0xffff : is);
}

/* STAGE_NEXT: t->tcp is what is to leave, but for its checksum. */
static __always_inline int splice_tcp_translate(struct splice_tcp *t, const struct splice *splice,
						bool is_dry)
{
	t->ack_delta = splice->ack_delta;
	t->tsval_delta = splice->tsval_delta;
	t->tsecr_delta = splice->tsecr_delta;
	t->tcp.source = splice->src_port;
	t->tcp.dest = splice->dst_port;
	t->tcp.seq = bpf_htonl(t->seq + splice->seq_delta);
	if (t->tcp.ack)
		t->tcp.ack_seq = bpf_htonl(t->ack + splice->ack_delta);
	t->tcp.window = window_translate(t->tcp.window, splice->window_shift);
	return options_translate(t, is_dry);
}

/* Of all that differs between t->old and t->bytes, whose checksums are the same yet. */
static __always_inline __u32 splice_tcp_difference(struct splice_tcp *t)
{
	__u32 count = t->count;

	asm volatile("" : "+r"(count));
	if (count > TCP_HEADER_BYTES_MAX)
		return 0; /* 6.1 has forgotten that it is not */
	return bpf_csum_diff((__be32 *)t->old, count, (__be32 *)t->bytes, count, 0);
}

/* 0, or a negative errno. */
static __always_inline long splice_tcp_store(struct frame_ctx *ctx, const struct packet *p,
					     struct splice_tcp *t)
{
	__u32 count = t->count;

	if (count > TCP_HEADER_BYTES_MAX)
		return -1;
	asm volatile("" : "+r"(count)); /* else it becomes one comparison, which 6.1 cannot read */
	if (count < sizeof(t->tcp))
		return -1;
	return bytes_store(ctx, p->l4_offset, t->bytes, count);
}

#endif
