/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Maps of the decapsulation program, which runs on an endpoint host.
 *
 * They belong to one device of one host and have nothing to do with a gateway's
 * instance: other pins (loader/decap.h), no struct contract, a version of their
 * own.  Writer: `sluice-loader decap`, which makes new ones each time it runs
 * and keeps only the counters.  Readers: the two programs, `decap --status`.
 *
 * Map `decap_config`: array, 1 entry.  Maps `decap_vips` and `decap_locals`:
 * hash, struct ip_addr -> __u32 1.  Map `decap_counts`: per-CPU array of struct
 * traffic, index enum decap_verdict; `packets` counts the segments of a merged packet,
 * `bytes` those behind the Ethernet header as the packet came to the program.
 */
#ifndef SLUICE_MAPS_LAYOUT_DECAP_H
#define SLUICE_MAPS_LAYOUT_DECAP_H

#include "maps/layout/types.h"
#include "maps/layout/verdict.h"

#define DECAP_VERSION 1u
#define DECAP_VIPS_MAX 256
#define DECAP_LOCALS_MAX 1024

struct decap_config {
	__u32 version; /* DECAP_VERSION */
	__u32 ifindex; /* the device, in its namespace */
	__be16 gue_port; /* UDP destination port */
	__u16 mss4; /* largest MSS that a VIP may offer to an IPv4 client */
	__u16 mss6; /* ... to an IPv6 client */
	__u16 pad;
	__u32 mtu; /* of the device when this was written */
	__u64 loaded_at; /* CLOCK_REALTIME, seconds */
};
_Static_assert(sizeof(struct decap_config) == 32, "decap_config is a wire format");

/* Every exit of the two programs counts exactly one.
 * id, name, text for people, 1 if the packet is dropped */
#define DECAP_LIST(X)                                                                              \
	X(DECAP_IPIP, "decap_ipip", "IPIP to a VIP: the outer header taken off", 0)                \
	X(DECAP_GUE, "decap_gue", "GUE to a VIP: the outer headers taken off", 0)                  \
	X(DECAP_NOT_A_TUNNEL, "not_a_tunnel",                                                      \
	  "neither IPIP nor GUE with a plain outer header: passed", 0)                             \
	X(DECAP_NOT_LOCAL, "not_local",                                                            \
	  "a tunnel's packet to none of the addresses this host had at 'decap': passed", 0)        \
	X(DECAP_OUTER_FRAGMENT, "outer_fragment", "a fragment of a tunnel's packet: passed", 0)    \
	X(DECAP_GUE_OTHER, "gue_other",                                                            \
	  "GUE that carries no bare IP packet (flags, control, other protocols): passed", 0)       \
	X(DECAP_BAD_INNER, "bad_inner", "no IP header of the named version inside: passed", 0)     \
	X(DECAP_NOT_A_VIP, "not_a_vip", "the inner destination is none of the VIPs: passed", 0)    \
	X(DECAP_MALFORMED, "malformed",                                                            \
	  "a tunnel's packet to a VIP whose lengths or outer checksum lie", 1)                     \
	X(DECAP_ECN_DROP, "ecn_drop",                                                              \
	  "congestion marked outside, and the inner packet cannot carry the mark", 1)              \
	X(DECAP_MERGED, "merged",                                                                  \
	  "several tunnel packets merged into one by UDP GRO, which cannot be parted here", 1)     \
	X(DECAP_REFUSED, "refused", "the kernel did not take the outer headers off", 1)            \
	X(DECAP_MSS_CLAMPED, "mss_clamped", "a VIP's SYN or SYN-ACK, its MSS made smaller", 0)     \
	X(DECAP_MSS_FITS, "mss_fits", "a VIP's SYN or SYN-ACK whose MSS is small enough", 0)       \
	X(DECAP_MSS_ABSENT, "mss_absent", "a VIP's SYN or SYN-ACK without an MSS", 0)              \
	X(DECAP_MSS_UNREADABLE, "mss_unreadable",                                                  \
	  "a VIP's SYN or SYN-ACK whose TCP options lie: sent as it is", 0)                        \
	X(DECAP_NOT_A_SYN, "not_a_syn", "goes out and is no SYN of a VIP", 0)

enum decap_verdict {
#define X(id, name, text, drop) id,
	DECAP_LIST(X)
#undef X
		DECAP_COUNT
};

/* Names of the maps, in bpffs and in bpftool. */
#define DECAP_MAP_LIST(X)                                                                          \
	X(DECAP_MAP_CONFIG, "decap_config")                                                        \
	X(DECAP_MAP_VIPS, "decap_vips")                                                            \
	X(DECAP_MAP_LOCALS, "decap_locals")                                                        \
	X(DECAP_MAP_COUNTS, "decap_counts")

enum decap_map {
#define X(id, name) id,
	DECAP_MAP_LIST(X)
#undef X
		DECAP_MAP_COUNT
};

#endif
