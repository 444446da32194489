// SPDX-License-Identifier: BSD-2-Clause
/* The balancer as it is, called as a function from the timing loop. */
#include "bpf/xdp_ingress.bpf.c"
#include "tests/bench/measure.bpf.h"

__attribute__((noinline)) int balancer(struct xdp_md *ctx)
{
	return handle(ctx, false);
}

/* As little as a function of the context can do: the compiler must not see that
 * it does nothing. */
__attribute__((noinline)) int nothing(struct xdp_md *ctx)
{
	return ctx->data == ctx->data_end ? XDP_DROP : XDP_TX;
}

SEC("xdp.frags")
int measure_balancer(struct xdp_md *ctx)
{
	MEASURE_FUNCTION(balancer);
	return XDP_PASS;
}

SEC("xdp.frags")
int measure_nothing(struct xdp_md *ctx)
{
	MEASURE_FUNCTION(nothing);
	return XDP_PASS;
}
