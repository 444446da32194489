/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* TC's twin of bytes_xdp.h.  Whoever stores keeps the sum of all stored words and
 * their checksum field as it was, so skb->csum stays right. */
#ifndef SLUICE_BPF_STAGE_BYTES_H
#define SLUICE_BPF_STAGE_BYTES_H

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#define frame_ctx __sk_buff

static __always_inline long bytes_load(struct frame_ctx *ctx, __u32 offset, void *to, __u32 size)
{
	return bpf_skb_load_bytes(ctx, offset, to, size);
}

static __always_inline long bytes_store(struct frame_ctx *ctx, __u32 offset, const void *from,
					__u32 size)
{
	return bpf_skb_store_bytes(ctx, offset, from, size, 0);
}

static __always_inline long bytes_cut(struct frame_ctx *ctx, __u32 size)
{
	return bpf_skb_change_tail(ctx, size, 0);
}

static __always_inline int bytes_reflect(struct frame_ctx *ctx)
{
	return bpf_redirect(ctx->ifindex, 0);
}

#endif
