// SPDX-License-Identifier: BSD-2-Clause
/* Both ends of bench l4-wire: a sender that is run with live frames out of the
 * client's device, and a sink at the endpoints' devices.
 *
 * Pages of live frames come back as whoever had them left them, so the sender
 * writes every header anew.  The UDP checksum is zero (none computed): the peer
 * would verify it in software, which a network card does for it. */
#include <linux/bpf.h>
#include <linux/types.h>
#include <bpf/bpf_helpers.h>

#include "tests/bench/l4_wire_shared.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

struct wire_plan plan; /* written by user space */
__u64 arrived; /* one CPU runs it all: no atomics */
__u32 counter;

#define SOURCE_PORT 17 /* word of the frame: source and destination port */

SEC("xdp")
int wire_send(struct xdp_md *ctx)
{
	__u16 *frame = (void *)(long)ctx->data;
	void *end = (void *)(long)ctx->data_end;

	if ((void *)(frame + WIRE_FRAME_WORDS) > end)
		return XDP_DROP;
#pragma unroll
	for (int i = 0; i < WIRE_FRAME_WORDS; i++)
		frame[i] = plan.words[i];
	frame[SOURCE_PORT] = plan.words[SOURCE_PORT] + (counter++ % WIRE_FLOWS);
	return XDP_TX;
}

SEC("xdp")
int wire_sink(struct xdp_md *ctx)
{
	arrived++;
	return XDP_DROP;
}
