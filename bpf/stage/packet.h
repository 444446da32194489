/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What the stages know of the packet at hand.
 *
 * A stage gets this struct, adds what it found, and returns STAGE_NEXT or the
 * verdict (enum verdict) that ends the packet's way.  No stage writes to the
 * packet before rewrite.h does, so every earlier exit leaves it as it came.
 */
#ifndef SLUICE_BPF_STAGE_PACKET_H
#define SLUICE_BPF_STAGE_PACKET_H

#include <linux/types.h>
#include <stdbool.h>

#include "maps/layout/flow.h"

#define STAGE_NEXT (-1) /* nothing decided: go on with the next stage */
#define VIP_NONE 0xffffffffu

/* The 5-tuple's addresses and ports to be written; the head of struct nat_flow. */
struct translation {
	struct ip_addr src;
	struct ip_addr dst;
	__be16 src_port;
	__be16 dst_port;
};

struct packet {
	struct flow_key key; /* as it arrived */
	struct translation to; /* as it is to leave */
	__u32 ifindex; /* it arrived by */
	__u32 frame_bytes; /* of all data there is */
	__u32 bytes; /* IP total length */
	__u32 count; /* packets on the wire: more than 1 when TC sees merged ones */
	__u32 vip; /* id or VIP_NONE */
	__u32 pool; /* of an L4 VIP */
	__u32 endpoint; /* id or ENDPOINT_NONE */
	__u32 generation; /* of the endpoint */
	__u16 l3_offset; /* from the start of the data: 14, or 0 without Ethernet header */
	__u16 l4_offset; /* likewise */
	__u8 why; /* enum why: how the endpoint was found */
	__u8 tcp_flags; /* TCP_SYN and so on; 0 for UDP */
	__u8 ttl; /* or hop limit */
	__u8 tos; /* or traffic class */
	bool is_ipv6;
	bool is_answer; /* from an endpoint to its client */
	bool is_fragment; /* the first one: later ones have no ports */
	bool has_options; /* IPv4 options or IPv6 extension headers */
	bool lies; /* lengths inside the headers contradict each other */
};

#define TCP_FIN 0x01
#define TCP_SYN 0x02
#define TCP_RST 0x04
#define TCP_ACK 0x10

/* The packet that may begin a TCP connection. */
static __always_inline bool packet_is_syn(const struct packet *p)
{
	return (p->tcp_flags & (TCP_SYN | TCP_ACK | TCP_RST | TCP_FIN)) == TCP_SYN;
}

#endif
