/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Verdicts: why a packet left a program the way it did, and its counters.
 *
 * Every exit of a packet program counts exactly one verdict.  Maps `verdicts`
 * (index: enum verdict), `vip_stats` (vip id) and `ep_stats` (endpoint id) are
 * per-CPU arrays of struct traffic.  vip_stats counts what clients sent to the
 * VIP, dropped packets included; ep_stats what was sent on to the endpoint;
 * answers are in verdict `returned`.  A packet left to TC counts `to_tc` and
 * then TC's verdict.  Writer: XDP, TC, sk_lookup.  Readers: telemetry, CLI.
 * Map `events` is a ring buffer of struct event.
 */
#ifndef SLUICE_MAPS_LAYOUT_VERDICT_H
#define SLUICE_MAPS_LAYOUT_VERDICT_H

#include "maps/layout/types.h"

/* id, name, text for people, 1 if the packet is dropped */
#define VERDICT_LIST(X)                                                                            \
	X(VERDICT_NOT_IP, "not_ip", "neither IPv4 nor IPv6: passed to the stack", 0)               \
	X(VERDICT_NOT_A_VIP, "not_a_vip", "destination is none of our VIPs: passed", 0)            \
	X(VERDICT_L7_LOCAL, "l7_local", "an L7 VIP: passed to the local listener", 0)              \
	X(VERDICT_L7_ASSIGNED, "l7_assigned", "sk_lookup gave the connection to the proxy", 0)     \
	X(VERDICT_L7_NO_LISTENER, "l7_no_listener", "an L7 VIP, but no proxy listens: passed", 0)  \
	X(VERDICT_FORWARDED, "forwarded", "sent on to an endpoint", 0)                             \
	X(VERDICT_RETURNED, "returned", "an endpoint's answer, sent back to the client", 0)        \
	X(VERDICT_TO_TC, "to_tc", "left to the TC program", 0)                                     \
	X(VERDICT_LATER_FRAGMENT, "later_fragment", "an IP fragment without ports: passed", 0)     \
	X(VERDICT_FRAGMENT, "fragment", "first IP fragment of an L4 flow", 1)                      \
	X(VERDICT_MALFORMED, "malformed", "headers are cut short or lie", 1)                       \
	X(VERDICT_UNSUPPORTED, "unsupported",                                                      \
	  "IP options or extension headers not handled on an L4 VIP", 1)                           \
	X(VERDICT_NO_RING, "no_ring", "the VIP's pool has no ring", 1)                             \
	X(VERDICT_NO_ENDPOINT, "no_endpoint", "the pool has no endpoint to take it", 1)            \
	X(VERDICT_NO_FLOW, "no_flow", "mid-flow TCP packet of a flow we do not know", 1)           \
	X(VERDICT_SNAT_EXHAUSTED, "snat_exhausted", "no free NAT port towards the endpoint", 1)    \
	X(VERDICT_NO_SNAT_ADDRESS, "no_snat_address",                                              \
	  "no NAT source address of this family is set", 1)                                        \
	X(VERDICT_FAMILY_MISMATCH, "family_mismatch", "NAT needs VIP and endpoint of one family",  \
	  1)                                                                                       \
	X(VERDICT_TABLE_FULL, "table_full", "the flow could not be stored", 1)                     \
	X(VERDICT_TOO_BIG, "too_big", "larger than the next link's MTU", 1)                        \
	X(VERDICT_TTL, "ttl", "TTL or hop limit used up", 1)                                       \
	X(VERDICT_NO_ROUTE, "no_route", "the kernel has no route to the next hop", 1)              \
	X(VERDICT_FORWARDING_OFF, "forwarding_off",                                                \
	  "the kernel does not forward: net.ipv4.ip_forward or its IPv6 twin is 0", 1)

enum verdict {
#define X(id, name, text, drop) id,
	VERDICT_LIST(X)
#undef X
		VERDICT_COUNT
};

struct traffic {
	__u64 packets;
	__u64 bytes; /* IP total lengths */
};
_Static_assert(sizeof(struct traffic) == 16, "traffic is a wire format");

/* One sampled record of map `events`. */
struct event {
	__u64 at; /* bpf_ktime_get_ns */
	struct ip_addr src;
	struct ip_addr dst;
	__be16 src_port;
	__be16 dst_port;
	__u8 proto;
	__u8 verdict; /* enum verdict */
	__u16 pad;
	__u32 endpoint; /* id or ENDPOINT_NONE */
	__u32 ifindex; /* in the gateway's namespace */
};
_Static_assert(sizeof(struct event) == 56, "event is a wire format");

#endif
