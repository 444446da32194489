// SPDX-License-Identifier: BSD-2-Clause
/* The yardstick: one look-up in an LRU hash with a 40-byte key among 64k keys,
 * what a flow table in a hash map pays on every packet.  As large as the LRU of
 * the balancers that have one; and the same loop without the look-up. */
#include "tests/bench/measure.bpf.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

struct key {
	__u32 words[10];
};

struct value {
	__u64 endpoint;
	__u64 seen_at;
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 1 << 20);
	__type(key, struct key);
	__type(value, struct value);
} lru SEC(".maps");

__u64 sink;

static __always_inline struct key key_of(__u32 flow)
{
	return (struct key){{flow, 1, 2, 3, 4, 5, 6, 7, 8, 9}};
}

SEC("xdp")
int measure_lookup(struct xdp_md *ctx)
{
	MEASURE_BATCHES(i, MEASURE_PACKETS({
				struct key key = key_of(flow_next());
				struct value *value = bpf_map_lookup_elem(&lru, &key);

				if (value)
					sink += value->endpoint;
				else
					result.actions[0]++;
			}));
	return XDP_PASS;
}

SEC("xdp")
int measure_no_lookup(struct xdp_md *ctx)
{
	MEASURE_BATCHES(i, MEASURE_PACKETS({ sink += flow_next(); }));
	return XDP_PASS;
}
