/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Hashes of a 5-tuple: for the flow table with this boot's secret, for rings with
 * the seed that all gateways share.
 *
 * Multiply and fold (the finaliser of SplitMix64, Steele et al., OOPSLA'14) over
 * the words that differ: two of an IPv4 packet, five of an IPv6 one.  A change
 * is a change of every gateway's picks.
 */
#ifndef SLUICE_BPF_STAGE_HASH_H
#define SLUICE_BPF_STAGE_HASH_H

#include "bpf/stage/packet.h"

static __always_inline __u64 hash_mix(__u64 hash, __u64 word)
{
	hash = (hash ^ word) * 0xbf58476d1ce4e5b9ull;
	return hash ^ hash >> 32;
}

static __always_inline __u64 hash_flow(const struct flow_key *key, bool is_ipv6, __u64 seed)
{
	__u64 ports = (__u64)key->src_port << 48 | (__u64)key->dst_port << 32 | key->proto;
	__u64 hash = hash_mix(seed, ports);

	if (is_ipv6) {
		const __u32 *src = key->src.words, *dst = key->dst.words;

		hash = hash_mix(hash, (__u64)src[0] << 32 | src[1]);
		hash = hash_mix(hash, (__u64)src[2] << 32 | src[3]);
		hash = hash_mix(hash, (__u64)dst[0] << 32 | dst[1]);
		hash = hash_mix(hash, (__u64)dst[2] << 32 | dst[3]);
	} else {
		hash = hash_mix(hash, (__u64)key->src.words[3] << 32 | key->dst.words[3]);
	}
	hash *= 0x94d049bb133111ebull;
	return hash ^ hash >> 29;
}

/* 0 .. size - 1, by the upper bits: cheaper than a remainder. */
static __always_inline __u32 hash_scale(__u32 hash, __u32 size)
{
	return (__u64)hash * size >> 32;
}

#endif
