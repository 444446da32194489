/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The endpoint host's own maps, counting, and what its stages share. */
#ifndef SLUICE_BPF_DECAP_MAPS_H
#define SLUICE_BPF_DECAP_MAPS_H

#include <stdbool.h>

#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/pkt_cls.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "maps/layout/decap.h"

#define TC_PASS TC_ACT_UNSPEC /* TCX_NEXT: other programs have their turn */
#define STAGE_NEXT (-1) /* a stage's result is an enum decap_verdict or this */

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct decap_config);
} decap_config SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, DECAP_VIPS_MAX);
	__type(key, struct ip_addr);
	__type(value, __u32);
} decap_vips SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, DECAP_LOCALS_MAX);
	__type(key, struct ip_addr);
	__type(value, __u32);
} decap_locals SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, DECAP_COUNT);
	__type(key, __u32);
	__type(value, struct traffic);
} decap_counts SEC(".maps");

static __always_inline const struct decap_config *config_get(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&decap_config, &zero);
}

static __always_inline bool decap_is_drop(__u32 verdict)
{
	switch (verdict) {
#define X(id, name, text, drop)                                                                    \
	case id: return drop;
		DECAP_LIST(X)
#undef X
	default: return false;
	}
}

/* What a packet was when it came; counted at the exit, when it may be another. */
struct size {
	__u32 packets;
	__u32 bytes;
};

static __always_inline struct size size_of(const struct __sk_buff *skb)
{
	struct size size = {
		.packets = skb->gso_segs ? skb->gso_segs : 1,
		.bytes = skb->len > ETH_HLEN ? skb->len - ETH_HLEN : 0,
	};

	return size;
}

static __always_inline int verdict_out(struct size size, __u32 verdict)
{
	struct traffic *count = bpf_map_lookup_elem(&decap_counts, &verdict);

	if (count) {
		count->packets += size.packets;
		count->bytes += size.bytes;
	}
	return decap_is_drop(verdict) ? TC_ACT_SHOT : TC_PASS;
}

static __always_inline void address_from_ipv4(struct ip_addr *addr, __be32 ipv4)
{
	addr->words[0] = 0;
	addr->words[1] = 0;
	addr->words[2] = bpf_htonl(0xffff);
	addr->words[3] = ipv4;
}

#endif
