/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Every pinned map of the contract, with its key and value types.
 *
 * Each program object defines all of them, so that each sees the same names
 * and any object can be loaded alone; the loader creates them once and gives
 * the other objects the pinned ones.  What a map means, and who writes it, is
 * said in maps/layout; this file only says how the kernel stores it.
 */
#ifndef SLUICE_BPF_MAPS_H
#define SLUICE_BPF_MAPS_H

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#include "maps/layout/contract.h"
#include "maps/layout/device.h"
#include "maps/layout/endpoint.h"
#include "maps/layout/flow.h"
#include "maps/layout/path.h"
#include "maps/layout/probe.h"
#include "maps/layout/ring.h"
#include "maps/layout/splice.h"
#include "maps/layout/verdict.h"
#include "maps/layout/vip.h"

#define DEFINE_MAP(name, map_type, key_type, value_type, max, flags)                               \
	struct {                                                                                   \
		__uint(type, map_type);                                                            \
		__uint(max_entries, max);                                                          \
		__uint(map_flags, flags);                                                          \
		__type(key, key_type);                                                             \
		__type(value, value_type);                                                         \
	} name SEC(".maps")

/* Read and written by processes through mmap. */
#define DEFINE_MAPPABLE(name, value_type, max)                                                     \
	DEFINE_MAP(name, BPF_MAP_TYPE_ARRAY, __u32, value_type, max, BPF_F_MMAPABLE)

DEFINE_MAP(contract, BPF_MAP_TYPE_ARRAY, __u32, struct contract, 1, 0);
DEFINE_MAP(vips, BPF_MAP_TYPE_HASH, struct vip_key, struct vip, 2 * VIPS_MAX, 0);
DEFINE_MAPPABLE(pools, struct pool, POOLS_MAX);
DEFINE_MAPPABLE(clusters, struct cluster, CLUSTERS_MAX);
DEFINE_MAPPABLE(endpoints, struct endpoint, ENDPOINTS_MAX);
DEFINE_MAPPABLE(admin, struct admin, ADMIN_SLOTS);
DEFINE_MAPPABLE(health, struct health, ENDPOINTS_MAX);
DEFINE_MAPPABLE(load, struct load, ENDPOINTS_MAX);
DEFINE_MAPPABLE(inflight, struct inflight, WORKERS_MAX *ENDPOINTS_MAX);
DEFINE_MAP(passive, BPF_MAP_TYPE_PERCPU_ARRAY, __u32, struct passive, ENDPOINTS_MAX, 0);
DEFINE_MAPPABLE(paths, struct path, ENDPOINTS_MAX);
DEFINE_MAPPABLE(nexthops, struct nexthop, NEXTHOPS_MAX);
DEFINE_MAPPABLE(live, struct live, ENDPOINTS_MAX);
DEFINE_MAPPABLE(opens, struct opens, ENDPOINTS_MAX);
DEFINE_MAP(cids, BPF_MAP_TYPE_HASH, struct cid_key, struct cid, CIDS_MAX, 0);
DEFINE_MAPPABLE(flows, struct flow_set, FLOW_SETS_DEFAULT); /* the loader knows better */
DEFINE_MAP(fragments, BPF_MAP_TYPE_LRU_HASH, struct fragment_key, struct fragment, FRAGMENTS_MAX,
	   0);
DEFINE_MAP(nat_clients, BPF_MAP_TYPE_LRU_HASH, struct ip_addr, struct nat_client, NAT_CLIENTS_MAX,
	   0);
DEFINE_MAP(nat_fwd, BPF_MAP_TYPE_LRU_HASH, struct flow_key, struct nat_flow, NAT_FLOWS_MAX, 0);
DEFINE_MAP(nat_rev, BPF_MAP_TYPE_LRU_HASH, struct flow_key, struct nat_flow, NAT_FLOWS_MAX, 0);
DEFINE_MAPPABLE(probes, struct probe_port, PROBE_PORTS_MAX);
DEFINE_MAP(devices, BPF_MAP_TYPE_DEVMAP_HASH, __u32, struct bpf_devmap_val, DEVICES_MAX, 0);
/* 64-bit values let user space read the socket's cookie back. */
DEFINE_MAP(listeners, BPF_MAP_TYPE_SOCKMAP, __u32, __u64, LISTENERS_MAX, 0);
DEFINE_MAP(verdicts, BPF_MAP_TYPE_PERCPU_ARRAY, __u32, struct traffic, VERDICT_COUNT, 0);
DEFINE_MAP(vip_stats, BPF_MAP_TYPE_PERCPU_ARRAY, __u32, struct traffic, VIPS_MAX, 0);
DEFINE_MAP(ep_stats, BPF_MAP_TYPE_PERCPU_ARRAY, __u32, struct traffic, ENDPOINTS_MAX, 0);

DEFINE_MAP(capture, BPF_MAP_TYPE_ARRAY, __u32, struct capture, 1, 0);

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, EVENTS_BYTES);
} events SEC(".maps");

/* Not preallocated: where nothing is spliced they take no memory. */
DEFINE_MAP(splices, BPF_MAP_TYPE_HASH, struct flow_key, struct splice, SPLICES_MAX,
	   BPF_F_NO_PREALLOC);
DEFINE_MAP(splice_learns, BPF_MAP_TYPE_HASH, struct flow_key, struct splice_learn,
	   SPLICE_LEARNS_MAX, BPF_F_NO_PREALLOC);
DEFINE_MAP(splice_setup, BPF_MAP_TYPE_ARRAY, __u32, struct splice_setup, 1, 0);

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, SPLICE_EVENTS_BYTES);
} splice_events SEC(".maps");

/* clang 14 describes an inner map's value type in BTF only if a variable has it. */
const volatile struct ring_slot ring_slot_described;

/* Inner arrays differ in size from pool to pool, hence BPF_F_INNER_MAP (5.10). */
struct ring {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, RING_SIZE_SMALL + 1);
	__uint(map_flags, BPF_F_INNER_MAP);
	__type(key, __u32);
	__type(value, struct ring_slot);
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, POOLS_MAX);
	__type(key, __u32);
	__array(values, struct ring);
} rings SEC(".maps");

static __always_inline const struct contract *contract_get(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&contract, &zero);
}

#endif
