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
	X(VERDICT_FRAGMENT_UNKNOWN, "fragment_unknown",                                            \
	  "a later IP fragment to a VIP whose first one has not been seen", 1)                     \
	X(VERDICT_ECHO_REPLY, "echo_reply", "an ICMP echo request to a VIP, answered", 0)          \
	X(VERDICT_ICMP_UNKNOWN, "icmp_unknown",                                                    \
	  "an ICMP error to a VIP that quotes no flow we could place", 1)                          \
	X(VERDICT_MALFORMED, "malformed", "headers are cut short or lie", 1)                       \
	X(VERDICT_UNSUPPORTED, "unsupported",                                                      \
	  "IP options or extension headers not handled on an L4 VIP", 1)                           \
	X(VERDICT_NO_RING, "no_ring", "the VIP's pool has no ring", 1)                             \
	X(VERDICT_NO_ENDPOINT, "no_endpoint", "the pool has no endpoint to take it", 1)            \
	X(VERDICT_NO_FLOW, "no_flow", "mid-flow TCP packet of a flow we do not know", 1)           \
	X(VERDICT_SNAT_EXHAUSTED, "snat_exhausted", "no free NAT port towards the endpoint", 1)    \
	X(VERDICT_NO_SNAT_ADDRESS, "no_snat_address",                                              \
	  "no source address of this family is set (--snat, --encap)", 1)                          \
	X(VERDICT_FAMILY_MISMATCH, "family_mismatch", "NAT needs VIP and endpoint of one family",  \
	  1)                                                                                       \
	X(VERDICT_TABLE_FULL, "table_full", "the flow could not be stored", 1)                     \
	X(VERDICT_TOO_BIG, "too_big", "larger than the next link's MTU", 1)                        \
	X(VERDICT_TTL, "ttl", "TTL or hop limit used up", 1)                                       \
	X(VERDICT_NO_ROUTE, "no_route", "the kernel has no route to the next hop", 1)              \
	X(VERDICT_FORWARDING_OFF, "forwarding_off",                                                \
	  "the kernel does not forward: net.ipv4.ip_forward or its IPv6 twin is 0", 1)             \
	X(VERDICT_TOO_BIG_TOLD, "too_big_told",                                                    \
	  "larger than the way to the endpoint carries: answered with ICMP too big", 0)            \
	X(VERDICT_ENDPOINT_DOWN, "endpoint_down", "mid-flow, and the flow's endpoint is out", 1)   \
	X(VERDICT_ENDPOINT_RESET, "endpoint_reset",                                                \
	  "mid-flow, and the flow's endpoint is out: answered with a reset", 0)                    \
	X(VERDICT_NO_HEADROOM, "no_headroom", "no room in front of the packet to encapsulate", 1)  \
	X(VERDICT_CLIENT_CAP, "client_cap", "the client has all NAT flows it may have", 1)         \
	X(VERDICT_PROBE_SENT, "probe_sent", "a health probe, sent the way of traffic", 0)          \
	X(VERDICT_PROBE_RETURNED, "probe_returned", "the answer to a health probe: passed", 0)     \
	X(VERDICT_SPLICED, "spliced", "sent on to the other side of a spliced connection", 0)      \
	X(VERDICT_SPLICE_DATA, "splice_data",                                                      \
	  "a spliced connection's client sent data before the answer's end", 1)                    \
	X(VERDICT_SPLICE_PAST_END, "splice_past_end",                                              \
	  "a spliced connection's server sent more than it announced", 1)                          \
	X(VERDICT_SPLICE_HALF, "splice_half",                                                      \
	  "a spliced connection that has no other direction, yet or any more", 1)                  \
	X(VERDICT_SPLICE_STRAY, "splice_stray",                                                    \
	  "a reset of a spliced connection that its receiver would not take", 1)                   \
	X(VERDICT_SPLICE_ODD, "splice_odd",                                                        \
	  "TCP options or flags that a spliced connection cannot have, or a fragment", 1)

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

/* Why the packet went where it went: how its endpoint was found. */
#define WHY_LIST(X)                                                                                \
	X(WHY_NONE, "none", "no endpoint was looked for")                                          \
	X(WHY_HIT, "hit", "the flow table knows the flow")                                         \
	X(WHY_NAT, "nat", "the NAT table knows the flow")                                          \
	X(WHY_RING, "ring", "the row of the pool's Maglev ring")                                   \
	X(WHY_RING_NEXT, "ring_next", "another row: the endpoint of the first takes no flows")     \
	X(WHY_PREVIOUS, "previous", "the row's endpoint before the last swap")                     \
	X(WHY_LEAST, "least", "the less loaded of two rows")                                       \
	X(WHY_CID, "cid", "the server id in the QUIC connection id")                               \
	X(WHY_DOWN, "down", "the flow's endpoint is out")                                          \
	X(WHY_MOVED, "moved", "the flow's endpoint is out: a new one from the ring")               \
	X(WHY_FULL, "full", "from the ring, and the flow table had no room to remember it")        \
	X(WHY_ICMP, "icmp", "the flow that an ICMP error quotes")                                  \
	X(WHY_FRAGMENT, "fragment", "where the first fragment went")                               \
	X(WHY_PROBE, "probe", "a health probe names its endpoint")                                 \
	X(WHY_SPLICE, "splice", "the other side of a spliced connection")

enum why {
#define X(id, name, text) id,
	WHY_LIST(X)
#undef X
		WHY_COUNT
};

/* Map `capture`: array, 1 entry.  Writer: CLI (sluicectl capture); XDP and TC only
 * add to `lost`, atomically.  What is reported to `events`; nothing while interval
 * is 0. */
struct capture {
	__u32 interval; /* one of so many packets; 0: none */
	__u32 vip; /* id, or VIP_ID_ANY */
	__u64 verdicts; /* bit (1 << enum verdict); 0: all */
	__u64 until; /* bpf_ktime_get_coarse_ns: then it is over, whoever asked has died */
	__u64 lost; /* records that found no room in `events` */
};
_Static_assert(sizeof(struct capture) == 32, "capture is a wire format");
#define VIP_ID_ANY 0xffffffffu

/* What XDP and TC write over struct explain_ask when asked to explain: the
 * packet is judged, nothing is stored, counted or sent.  Metadata in front of
 * the frame, which no packet from a wire has. */
#define EXPLAIN_MAGIC 0x536c4578u
struct explain {
	__u32 magic; /* in: EXPLAIN_MAGIC */
	__u32 secret; /* in: lower half of contract.hash_secret; out: ring row */
	__u32 vip; /* out: id or 0xffffffff */
	__u32 endpoint; /* out: id or ENDPOINT_NONE */
	__u32 nexthop; /* out: id or NEXTHOP_NONE */
	__u8 verdict; /* out */
	__u8 why; /* out */
	__u8 state; /* out: enum slot_state or flow_state of the flow, before this packet */
	__u8 way; /* out: enum endpoint_way */
	__u64 pad; /* in: 0; out: 1, answered */
};
_Static_assert(sizeof(struct explain) == 32, "explain fits into metadata");

/* One sampled record of map `events`. */
#define EVENT_SNAP_BYTES 128
struct event {
	__u64 at; /* bpf_ktime_get_ns */
	struct ip_addr src;
	struct ip_addr dst;
	__be16 src_port;
	__be16 dst_port;
	__u8 proto;
	__u8 verdict; /* enum verdict */
	__u8 why; /* enum why */
	__u8 tcp_flags;
	__u32 endpoint; /* id or ENDPOINT_NONE */
	__u32 ifindex; /* in the gateway's namespace */
	__u32 vip; /* id or 0xffffffff */
	__u32 frame_bytes; /* of the whole frame */
	__u32 snap_bytes; /* of it in `snap` */
	__u32 interval; /* this record stands for so many packets */
	__u8 snap[EVENT_SNAP_BYTES]; /* from the Ethernet header on, as it arrived */
};
_Static_assert(sizeof(struct event) == 200, "event is a wire format");

#endif
