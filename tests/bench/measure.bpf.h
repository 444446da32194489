/* SPDX-License-Identifier: BSD-2-Clause */
/* The loop that times packets inside the kernel.
 *
 * `bpftool prog run ... repeat N` does not put a packet back: a program that
 * encapsulates meets its own packet in the second run, and is then timed doing
 * something else.  Here the packet is written anew before each call, from a
 * frame that user space gave, with the addresses of one of so many flows; what
 * the call did to the head and to the metadata is undone after it.  Batches of
 * 64 packets are timed one by one; user space takes quantiles of the batches.
 * The same loop around an empty function is what the loop itself costs.
 *
 * Open-coded iterators need Linux 6.4: a bench, not the product.
 */
#ifndef SLUICE_TESTS_BENCH_MEASURE_BPF_H
#define SLUICE_TESTS_BENCH_MEASURE_BPF_H

#include <linux/bpf.h>
#include <linux/types.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "tests/bench/measure_shared.h"

struct bpf_iter_num {
	__u64 opaque[1];
} __attribute__((aligned(8)));

extern int bpf_iter_num_new(struct bpf_iter_num *it, int start, int end) __ksym;
extern int *bpf_iter_num_next(struct bpf_iter_num *it) __ksym;
extern void bpf_iter_num_destroy(struct bpf_iter_num *it) __ksym;

/* Set and read by user space. */
struct measure_plan plan;
struct measure_result result;

#define ETH_WORDS 3 /* and two bytes: what follows them is aligned to two only */
#define L3_OFFSET 14
#define IPV4_WORDS 10 /* IPv4 and TCP */
#define IPV6_WORDS 15 /* IPv6 and TCP */

/* The number of the next packet's flow: each of them once in a round, in an order
 * that no prefetcher follows; or ever new ones. */
static __always_inline __u32 flow_next(void)
{
	__u32 count = plan.counter++;

	return plan.flow_mask == MEASURE_FLOWS_NEW ? count : count * 2654435761u & plan.flow_mask;
}

/* Word by word as the fields lie, so that the fields that are read next come from
 * one store each, as they would from a cache line. */
static __always_inline void frame_write(struct xdp_md *ctx, __u32 flow)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	__u32 *eth = data, *l3 = data + L3_OFFSET;
	const __u32 *from = plan.l3;

	if (data + L3_OFFSET + 4 * IPV4_WORDS > end)
		return;
#pragma unroll
	for (int i = 0; i < ETH_WORDS; i++)
		eth[i] = plan.eth[i];
	*(__u16 *)(eth + ETH_WORDS) = plan.eth[ETH_WORDS];
#pragma unroll
	for (int i = 0; i < IPV4_WORDS; i++)
		l3[i] = from[i];
	if (!plan.is_ipv6) {
		l3[3] = from[3] ^ bpf_htonl((flow & 0xffff) << 8); /* source 10.x.y.z */
		l3[4] = from[4] ^ bpf_htonl(flow & plan.vip_mask);
		*(__u16 *)(l3 + 5) = (__u16)from[5] ^ bpf_htons(flow >> 16); /* source port */
		return;
	}
	if (data + L3_OFFSET + 4 * IPV6_WORDS > end)
		return;
#pragma unroll
	for (int i = IPV4_WORDS; i < IPV6_WORDS; i++)
		l3[i] = from[i];
	l3[5] = from[5] ^ bpf_htonl(flow); /* the source's last word */
}

/* end - begin, in 64 bits: the verifier knows no 32-bit arithmetic of pointers. */
static __always_inline int distance(__u32 begin, __u32 end)
{
	long bytes = (long)end - (long)begin;

	asm volatile("" : "+r"(bytes));
	return bytes;
}

/* Puts head and metadata back to where they were. */
static __always_inline void frame_restore(struct xdp_md *ctx)
{
	bpf_xdp_adjust_head(ctx, distance(ctx->data, ctx->data_end) - (int)plan.frame_bytes);
	bpf_xdp_adjust_meta(ctx, distance(ctx->data_meta, ctx->data));
}

static __always_inline void result_count(int action)
{
	__u64 index = (__u32)action;

	asm volatile("%[index] &= 7" : [index] "+r"(index));
	result.actions[index]++;
}

/* Times `batch` so often, with its index. */
#define MEASURE_BATCHES(index, batch)                                                              \
	do {                                                                                       \
		struct bpf_iter_num it_;                                                           \
		int *at_;                                                                          \
                                                                                                   \
		bpf_iter_num_new(&it_, 0, plan.batches);                                           \
		while ((at_ = bpf_iter_num_next(&it_))) {                                          \
			__u64 index = (__u32)*at_;                                                 \
			__u64 began_ = bpf_ktime_get_ns();                                         \
                                                                                                   \
			batch;                                                                     \
			asm volatile("%[i] &= %[mask]"                                             \
				     : [i] "+r"(index)                                             \
				     : [mask] "i"(MEASURE_BATCHES_MAX - 1));                       \
			result.batch_ns[index] = bpf_ktime_get_ns() - began_;                      \
		}                                                                                  \
		bpf_iter_num_destroy(&it_);                                                        \
	} while (0)

/* `each` once a packet of the batch. */
#define MEASURE_PACKETS(each)                                                                      \
	do {                                                                                       \
		struct bpf_iter_num it_packet_;                                                    \
                                                                                                   \
		bpf_iter_num_new(&it_packet_, 0, MEASURE_BATCH_PACKETS);                           \
		while (bpf_iter_num_next(&it_packet_)) {                                           \
			each;                                                                      \
		}                                                                                  \
		bpf_iter_num_destroy(&it_packet_);                                                 \
	} while (0)

/* Packets through `function`, a global function of the context. */
#define MEASURE_FUNCTION(function)                                                                 \
	MEASURE_BATCHES(i_, MEASURE_PACKETS({                                                      \
				frame_write(ctx, flow_next());                                     \
				result_count(function(ctx));                                       \
				frame_restore(ctx);                                                \
			}))

#endif
