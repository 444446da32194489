/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The contract between the kernel programs and every process: version,
 * limits, and the one record that an opener checks before it touches a map.
 *
 * A change of any layout in this directory bumps CONTRACT_VERSION.  An opener
 * that finds another version refuses by name and leaves the maps alone.
 */
#ifndef SLUICE_MAPS_LAYOUT_CONTRACT_H
#define SLUICE_MAPS_LAYOUT_CONTRACT_H

#include "maps/layout/types.h"

#define CONTRACT_MAGIC 0x534c5543u /* "SLUC" */
#define CONTRACT_VERSION 1u

/* Limits: memory is taken at load up to these.  Ids are below them. */
#define VIPS_MAX 4096
#define POOLS_MAX 2048
#define CLUSTERS_MAX 64
#define ENDPOINTS_MAX 16384
#define WORKERS_MAX 32
#define DEVICES_MAX 64
#define NAT_FLOWS_MAX 131072
#define LISTENERS_MAX 2 /* one a family, see listeners in vip.h */
#define EVENTS_BYTES (1 << 20) /* ring buffer */

/* Map `contract`: array, 1 entry.  Writer: loader (sluice-loader load and
 * upgrade).  Readers: all. */
struct contract {
	__u32 magic; /* CONTRACT_MAGIC */
	__u32 version; /* CONTRACT_VERSION of the loader that made the maps */
	__u64 generation; /* counts loads and upgrades of the programs */
	__u64 loaded_at; /* CLOCK_REALTIME, seconds */
	__u32 vips_max;
	__u32 pools_max;
	__u32 clusters_max;
	__u32 endpoints_max;
	__u32 workers_max;
	__u32 devices_max;
	__u32 nat_flows_max;
	__u32 snat_port_low; /* NAT source ports given out: low ... */
	__u32 snat_port_high; /* ... to high, inclusive, host order */
	__u32 pad; /* zero */
	struct ip_addr snat4; /* the gateway's address as NAT source, all zero: none */
	struct ip_addr snat6;
	__u64 hash_secret; /* secret of this boot: table hashes, never ring hashes */
	__u64 ring_seed; /* shared by all gateways: ring hashes */
};
_Static_assert(sizeof(struct contract) == 112, "contract is a wire format");

#endif
