/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* A frame's bytes wherever they lie, for stages that XDP and TC share: included by
 * a program before them; bytes_skb.h is TC's.  A helper call each, so for what is
 * rare; what is frequent reads the linear part.  Offsets count from the start of
 * the frame, lengths are constants.  0 or a negative errno: the frame is shorter. */
#ifndef SLUICE_BPF_STAGE_BYTES_H
#define SLUICE_BPF_STAGE_BYTES_H

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#include "bpf/maps.h"

/* struct frame_ctx is the program's context; the verifier wants its real name. */
#define frame_ctx xdp_md

static __always_inline long bytes_load(struct frame_ctx *ctx, __u32 offset, void *to, __u32 size)
{
	return bpf_xdp_load_bytes(ctx, offset, to, size);
}

static __always_inline long bytes_store(struct frame_ctx *ctx, __u32 offset, const void *from,
					__u32 size)
{
	return bpf_xdp_store_bytes(ctx, offset, (void *)from, size);
}

/* Makes the frame `size` bytes long, not longer than it is. */
static __always_inline long bytes_cut(struct frame_ctx *ctx, __u32 size)
{
	return bpf_xdp_adjust_tail(ctx, (int)size - (int)bpf_xdp_get_buff_len(ctx));
}

/* Sends the frame out by the device that it came in by.  By redirect: veth leaves what
 * XDP_TX sends lying until something else wakes its peer, where that has no XDP program;
 * these frames are single ones, and somebody waits for them. */
static __always_inline int bytes_reflect(struct frame_ctx *ctx)
{
	return bpf_redirect_map(&devices, ctx->ingress_ifindex, XDP_TX);
}

#endif
