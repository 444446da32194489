// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Never attached: `sluice-loader check` loads these two to learn whether this
 * kernel takes extension programs (freplace), which libxdp's dispatcher needs.
 * Some kernels refuse them with EPERM, and libxdp 1.3.1 then attaches a single
 * program without saying so.  Others refuse, with EINVAL, an extension that changes
 * packets for a place that does not, as libxdp's places do not: hence the metadata. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

char LICENSE[] SEC("license") = "Dual BSD/GPL";

__attribute__((noinline)) int probe_slot(struct xdp_md *ctx)
{
	volatile int result = XDP_PASS; /* keeps the call from being folded away */

	return ctx ? result : XDP_ABORTED;
}

SEC("xdp")
int probe_target(struct xdp_md *ctx)
{
	return probe_slot(ctx);
}

SEC("freplace/probe_slot")
int probe_extension(struct xdp_md *ctx)
{
	return bpf_xdp_adjust_meta(ctx, 0) ? XDP_DROP : XDP_PASS;
}
