/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* L4 flows: which endpoint a flow stays with, and what NAT made of it.
 *
 * Map `flows` serves endpoints that get packets encapsulated or readdressed: an
 * array of sets, one cache line each, eight flows a set.  A lookup is one hash
 * and one line; there is no insertion cost beyond a store, and memory is fixed.
 * The price is honest: a slot holds a 32-bit tag, not the 5-tuple, so a packet
 * mid-flow of a flow that is not in the table finds a stranger's slot with
 * probability 8 * 2^-32 at most (a SYN, under pick maglev, does not look).  The
 * set and the tag are two halves of one 64-bit hash keyed by contract.hash_secret.
 *
 * Maps `nat_fwd` and `nat_rev` serve endpoints reached by NAT, one entry a
 * direction: LRU hashes, NAT_FLOWS_MAX each.  The entries of a flow name each
 * other; a flow whose other half was evicted is rebuilt on its next packet.
 *
 * Map `fragments` remembers where the first fragment of a datagram went.
 *
 * Writer of all four: XDP and TC; when an endpoint id gets a new meaning, its
 * owner (controller or CLI) empties the slots that name it.  Readers: CLI,
 * controller.
 */
#ifndef SLUICE_MAPS_LAYOUT_FLOW_H
#define SLUICE_MAPS_LAYOUT_FLOW_H

#include "maps/layout/types.h"

/* Time in the data path: CLOCK_MONOTONIC_COARSE in ns, shifted right, so a tick
 * is 1.07 s.  16 bits of it wrap after 19.5 hours. */
#define TICK_SHIFT 30

#define FLOW_SLOTS 8 /* of a set: 64 bytes */
#define FLOW_PROBATION_MAX 3 /* slots of a set that unconfirmed flows may have */

/* `where` of a slot: endpoint id in the lower 14 bits, enum slot_state above. */
#define FLOW_ENDPOINT_BITS 14
#define FLOW_ENDPOINT_MASK ((1u << FLOW_ENDPOINT_BITS) - 1)

enum slot_state {
	SLOT_FREE,
	SLOT_PROBATION, /* seen in one tick only: may be one packet of a flood */
	SLOT_CONFIRMED, /* packets in different ticks */
	SLOT_CLOSING, /* FIN or RST seen */
};

/* How long a silent slot keeps its flow, in ticks. */
#define FLOW_PROBATION_TICKS 8
#define FLOW_CLOSING_TICKS 56 /* a minute: TIME_WAIT */
#define FLOW_CLOSED_TICKS 4 /* closing and silent so long: another flow may have it */
#define FLOW_UDP_TICKS 168 /* three minutes: RFC 4787 asks for two at least */
#define FLOW_TCP_TICKS 6990 /* RFC 5382 asks for 2 hours 4 minutes */

struct flow_slot {
	__u32 tag; /* upper half of the flow's hash; UDP: lowest bit set, TCP: clear */
	__u16 where;
	__u16 tick; /* of the last packet */
};
_Static_assert(sizeof(struct flow_slot) == 8, "flow_slot is written by one store");

/* Map `flows`: array, contract.flow_sets, mappable. */
struct flow_set {
	struct flow_slot slots[FLOW_SLOTS];
};
_Static_assert(sizeof(struct flow_set) == 64, "flow_set is one cache line");

/* A packet's 5-tuple as it arrives.  In nat_fwd: client to VIP.  In nat_rev:
 * endpoint to the gateway's NAT address. */
struct flow_key {
	struct ip_addr src;
	struct ip_addr dst;
	__be16 src_port;
	__be16 dst_port;
	__u8 proto; /* IPPROTO_TCP or IPPROTO_UDP */
	__u8 pad[3];
};
_Static_assert(sizeof(struct flow_key) == 40, "flow_key is a wire format");

enum flow_state { FLOW_NEW, FLOW_ESTABLISHED, FLOW_CLOSING, FLOW_STATE_COUNT };

/* What to write over the packet's 5-tuple. */
struct nat_flow {
	struct ip_addr src;
	struct ip_addr dst;
	__be16 src_port;
	__be16 dst_port;
	__u32 endpoint; /* id */
	__u32 generation; /* of the endpoint when the flow began */
	__u32 vip; /* vip id, for statistics */
	__u32 state; /* enum flow_state */
	__u32 pad;
	__u64 seen_at; /* bpf_ktime_get_coarse_ns of the last packet this way */
	__u64 packets;
	__u64 bytes; /* IP total lengths */
};
_Static_assert(sizeof(struct nat_flow) == 80, "nat_flow is a wire format");

/* Map `nat_clients`: LRU hash, NAT_CLIENTS_MAX, struct ip_addr -> struct
 * nat_client.  Flows that a client has opened through NAT, for the cap
 * contract.nat_client_max; counted down when a flow closes or its port is reused.
 * One that the LRU of nat_fwd pushed out is not: the controller, which counts again,
 * takes it off after two sweeps. */
struct nat_client {
	__u32 flows;
	__u32 pad;
};
_Static_assert(sizeof(struct nat_client) == 8, "nat_client is a wire format");

/* Map `fragments`: LRU hash, FRAGMENTS_MAX. */
struct fragment_key {
	struct ip_addr src;
	struct ip_addr dst;
	__u32 id; /* as in the header, network order; IPv4: 16 bits */
	__u8 proto; /* of the datagram */
	__u8 pad[3];
};
_Static_assert(sizeof(struct fragment_key) == 40, "fragment_key is a wire format");

struct fragment {
	struct ip_addr src; /* NAT: what the later ones are rewritten to */
	struct ip_addr dst;
	__u32 endpoint;
	__u32 generation;
	__u32 vip;
	__u32 is_answer; /* 1: from an endpoint to its client */
	__u64 seen_at; /* bpf_ktime_get_coarse_ns of the first fragment */
};
_Static_assert(sizeof(struct fragment) == 56, "fragment is a wire format");

#endif
