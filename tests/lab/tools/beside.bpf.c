// SPDX-License-Identifier: BSD-2-Clause
/* Somebody else's XDP program, to be loaded by xdp-loader: counts packets and passes them. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

char LICENSE[] SEC("license") = "Dual BSD/GPL";

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} beside_seen SEC(".maps");

SEC("xdp")
int beside(struct xdp_md *ctx)
{
	__u32 key = 0;
	__u64 *count = bpf_map_lookup_elem(&beside_seen, &key);

	if (count)
		__sync_fetch_and_add(count, 1);
	return XDP_PASS;
}
