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
#define CONTRACT_VERSION 4u

/* Limits: memory is taken at load up to these.  Ids are below them. */
#define VIPS_MAX 4096 /* ids; entries of map vips: twice that, for addresses */
#define POOLS_MAX 2048
#define CLUSTERS_MAX 64
#define ENDPOINTS_MAX 16384
#define WORKERS_MAX 32
#define DEVICES_MAX 64
#define NAT_FLOWS_MAX 131072
#define NAT_CLIENTS_MAX 65536
#define FRAGMENTS_MAX 8192
#define CIDS_MAX ENDPOINTS_MAX
#define FLOW_SETS_MIN (1u << 7) /* of 8 flows; a power of two */
#define FLOW_SETS_DEFAULT (1u << 17) /* a million flows, 8 MiB */
#define FLOW_SETS_MAX (1u << 24)
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
	__u32 flow_sets; /* entries of map flows, a power of two */
	struct ip_addr snat4; /* the gateway's address as NAT source, all zero: none */
	struct ip_addr snat6;
	struct ip_addr encap4; /* outer source of packets to endpoints by IPIP and GUE where no
				* path says better; all zero: snat4, snat6 */
	struct ip_addr encap6;
	__u32 nat_client_max; /* NAT flows a client address may have, 0: no cap */
	__u32 probe_mark; /* SO_MARK of health probes: upper 16 bits; the lower are the
			   * endpoint's id.  0: probes do not take the data path */
	__u32 probe_port_low; /* source ports of such probes, not among the NAT ports: low ... */
	__u32 probe_port_high; /* ... to high, inclusive, at most PROBE_PORTS_MAX (probe.h) */
	__u64 hash_secret; /* secret of this boot: table hashes, never ring hashes */
	__u64 ring_seed; /* shared by all gateways: ring hashes */
};
_Static_assert(sizeof(struct contract) == 160, "contract is a wire format");

#endif
