/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What the stages know of the packet at hand.
 *
 * A stage gets this struct, adds what it found, and returns STAGE_NEXT or the
 * verdict (enum verdict) that ends the packet's way.  No stage writes to the
 * packet before rewrite.h or encap.h does, so every earlier exit leaves it as
 * it came.
 */
#ifndef SLUICE_BPF_STAGE_PACKET_H
#define SLUICE_BPF_STAGE_PACKET_H

#include <linux/bpf.h>
#include <linux/in.h>
#include <linux/types.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>
#include <stdbool.h>

#include "maps/layout/endpoint.h"
#include "maps/layout/flow.h"
#include "maps/layout/verdict.h"
#include "maps/layout/vip.h"

#define STAGE_NEXT (-1) /* nothing decided: go on with the next stage */
#define VIP_NONE 0xffffffffu

/* NAT: the 5-tuple's addresses and ports to be written; the head of struct
 * nat_flow.  Encapsulation: the outer addresses. */
struct translation {
	struct ip_addr src;
	struct ip_addr dst;
	__be16 src_port;
	__be16 dst_port;
};

/* What stands where ports would. */
enum packet_kind {
	KIND_PORTS, /* TCP or UDP */
	KIND_ICMP, /* of the packet's family */
	KIND_LATER, /* a fragment that is not the first: no L4 header */
	KIND_REFUSED, /* a chain of extension headers too long, or with a stop to make */
};

struct packet {
	struct flow_key key; /* as it arrived */
	struct translation to; /* as it is to leave */
	__u64 now; /* bpf_ktime_get_coarse_ns, once it is needed */
	__u64 hash; /* of the flow in the flow table: set below, tag above */
	__u32 ifindex; /* it arrived by */
	__u32 frame_bytes; /* of all data there is */
	__u32 bytes; /* IP total length */
	__u32 count; /* packets on the wire: more than 1 when TC sees merged ones */
	__u32 vip; /* id or VIP_NONE */
	__u32 pool; /* of an L4 VIP */
	__u32 endpoint; /* id or ENDPOINT_NONE */
	__u32 generation; /* of the endpoint */
	__u32 row; /* of the ring, for explain */
	__u32 fragment_id; /* of any fragment, network order; IPv4: 16 bits */
	__u32 client_max; /* contract.nat_client_max */
	__u16 vip_flags;
	__u8 pick; /* enum vip_pick of the VIP */
	__u8 down; /* enum vip_down of the VIP */
	__u16 l3_offset; /* from the start of the data: 14 and 4 a VLAN tag, or 0 without Ethernet
			  * header */
	__u16 l4_offset; /* likewise */
	__u16 mtu; /* of the way out, less what encapsulation adds; once it was too little */
	__u8 kind; /* enum packet_kind */
	__u8 fragment_proto; /* of any fragment: what its first header says of the datagram */
	__u8 icmp_type;
	__u8 way; /* enum endpoint_way, once there is an endpoint */
	__u8 why; /* enum why: how the endpoint was found */
	__u8 state; /* of the flow before this packet, for explain */
	__u8 tcp_flags; /* TCP_SYN and so on; 0 for UDP */
	__u8 ttl; /* or hop limit */
	__u8 tos; /* or traffic class */
	bool is_ipv6;
	bool out_ipv6; /* what leaves is routed as IPv6 */
	bool is_answer; /* from an endpoint to its client */
	bool is_fragment; /* the first one, or kind is KIND_LATER */
	bool has_options; /* IPv4 options or IPv6 extension headers */
	bool has_tag_beside; /* TC: a VLAN tag that is not in the frame */
	bool is_odd; /* any of: options, tags, no ports: not rewritten in place by rewrite_frame */
	bool lies; /* lengths inside the headers contradict each other */
	bool is_stable; /* the pick would be the same for every packet of the flow */
	bool is_dry; /* to be explained only: nothing is stored, counted or sent */
};

/* Not on the stack: the frames of a call chain share 512 bytes.  One a CPU is
 * enough, as neither XDP nor TC ingress is interrupted by its like; a question
 * (explain), which a process runs and a packet may interrupt, has its own. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 2);
	__type(key, __u32);
	__type(value, struct packet);
} packet_scratch SEC(".maps");

static __always_inline struct packet *packet_new(__u32 ifindex, __u32 frame_bytes, __u32 count,
						 bool is_dry)
{
	__u32 index = is_dry;
	struct packet *p = bpf_map_lookup_elem(&packet_scratch, &index);

	if (!p)
		return NULL;
	__builtin_memset(p, 0, sizeof(*p));
	p->ifindex = ifindex;
	p->frame_bytes = frame_bytes;
	p->count = count;
	p->vip = VIP_NONE;
	p->endpoint = ENDPOINT_NONE;
	p->is_dry = is_dry;
	return p;
}

#define TCP_FIN 0x01
#define TCP_SYN 0x02
#define TCP_RST 0x04
#define TCP_ACK 0x10

/* The packet that may begin a TCP connection. */
static __always_inline bool packet_is_syn(const struct packet *p)
{
	return (p->tcp_flags & (TCP_SYN | TCP_ACK | TCP_RST | TCP_FIN)) == TCP_SYN;
}

/* Its flow exists already, or so it claims. */
static __always_inline bool packet_is_mid_flow(const struct packet *p)
{
	return p->key.proto == IPPROTO_TCP && !packet_is_syn(p);
}

static __always_inline bool address_is_ipv6(const struct ip_addr *addr)
{
	return addr->words[0] || addr->words[1] || addr->words[2] != bpf_htonl(0xffff);
}

static __always_inline bool address_is_set(const struct ip_addr *addr)
{
	return addr->words[0] | addr->words[1] | addr->words[2] | addr->words[3];
}

static __always_inline bool address_equal(const struct ip_addr *a, const struct ip_addr *b)
{
	return !(((a->words[0] ^ b->words[0]) | (a->words[1] ^ b->words[1])) |
		 ((a->words[2] ^ b->words[2]) | (a->words[3] ^ b->words[3])));
}

#endif
