/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* ICMP and ICMPv6 to addresses of ours.
 *
 * An error to a VIP quotes a packet that an endpoint has sent from there; its flow
 * names the endpoint, and the error goes the flow's way as it is.  Through NAT both
 * ends know other addresses than the routers between: the quoted header is
 * translated like the outer one (RFC 5508, section 4), both ways.  An error that
 * quotes no flow of ours at a VIP is dropped; at the NAT address it may be the
 * gateway's own and is passed.
 *
 * Looking for the flow stores and touches nothing: an error is anyone's to forge.  Echo requests to
 * a VIP's address are answered by tell.h.  All other kinds are passed to the stack.
 */
#ifndef SLUICE_BPF_STAGE_ICMP_H
#define SLUICE_BPF_STAGE_ICMP_H

#include "bpf/maps.h"
#include "bpf/stage/packet.h"
#include "bpf/stage/parse_odd.h"
#include "bpf/stage/rewrite.h"
#include "bpf/stage/steer.h"
#include "bpf/stage/vip.h"

#define ICMP_HEADER_BYTES 8
#define ICMP_FIND_FLOW (-5)
#define QUOTE_L4_BYTES_MIN 8 /* what RFC 792 makes every router quote */

#define ICMP4_UNREACHABLE 3
#define ICMP4_ECHO_REQUEST 8
#define ICMP4_TIME_EXCEEDED 11
#define ICMP4_PARAMETER_PROBLEM 12
#define ICMP6_UNREACHABLE 1
#define ICMP6_PARAMETER_PROBLEM 4 /* with too big and time exceeded between */
#define ICMP6_ECHO_REQUEST 128

/* The packet that an error quotes. */
struct quote {
	struct flow_key key; /* as it stands there */
	struct translation to; /* NAT: what it is to say */
	struct flow_key outer; /* of the error itself, while p->key is the flow's */
	__u32 ip; /* offset of its IP header from the error's */
	__u32 l4; /* of its L4 header, likewise */
	__u32 l4_bytes; /* of that packet's L4 that are quoted */
	__u32 end; /* of the quoted bytes */
	__u32 units; /* extension headers passed */
};

/* Not on the stack; one a CPU, as packet_scratch. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct quote);
} quote_scratch SEC(".maps");

static __always_inline struct quote *quote_get(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&quote_scratch, &zero);
}

static __always_inline bool icmp_is_error(const struct packet *p)
{
	if (p->is_ipv6)
		return p->icmp_type >= ICMP6_UNREACHABLE && p->icmp_type <= ICMP6_PARAMETER_PROBLEM;
	return p->icmp_type == ICMP4_UNREACHABLE || p->icmp_type == ICMP4_TIME_EXCEEDED ||
	       p->icmp_type == ICMP4_PARAMETER_PROBLEM;
}

static __always_inline bool icmp_is_echo_request(const struct packet *p)
{
	return p->icmp_type == (p->is_ipv6 ? ICMP6_ECHO_REQUEST : ICMP4_ECHO_REQUEST);
}

/* ICMP never answers to such (RFC 1122, 3.2.2; RFC 4443, 2.4 (e)). */
static __always_inline bool icmp_has_reader(const struct packet *p)
{
	const struct ip_addr *src = &p->key.src;
	__u8 first = src->bytes[p->is_ipv6 ? 0 : 12];

	if (p->is_ipv6)
		return first != 0xff && address_is_set(src);
	return first != 0 && first != 127 && first < 224;
}

static __always_inline bool icmp_is_answered(const struct packet *p)
{
	return icmp_is_echo_request(p) && !p->has_options && !p->is_fragment && icmp_has_reader(p);
}

/* ---- reading the quote ---- */

static __always_inline bool quote_ipv4(struct frame_ctx *ctx, const struct packet *p,
				       struct quote *q)
{
	struct iphdr ip;
	__u32 end;

	if (bytes_load(ctx, p->l3_offset + q->ip, &ip, sizeof(ip)) || ip.version != 4 ||
	    ip.ihl < 5 || ip.frag_off & bpf_htons(IPV4_OFFSET_MASK))
		return false;
	q->key.proto = ip.protocol;
	address_from_ipv4(&q->key.src, ip.saddr);
	address_from_ipv4(&q->key.dst, ip.daddr);
	q->l4 = q->ip + ip.ihl * 4;
	end = q->ip + bpf_ntohs(ip.tot_len);
	if (end < q->end) /* what follows is no part of the packet: RFC 4884 */
		q->end = end;
	return true;
}

/* Moves q->l4 past one extension header. */
static __always_inline bool quote_extension(struct frame_ctx *ctx, const struct packet *p,
					    struct quote *q)
{
	bool is_fragment = q->key.proto == IPPROTO_FRAGMENT;
	struct ipv6_extension header;

	if (bytes_load(ctx, p->l3_offset + q->l4, &header, sizeof(header)))
		return false;
	if (is_fragment && header.offset & bpf_htons(IPV6_OFFSET_MASK))
		return false;
	q->key.proto = header.next;
	q->l4 += is_fragment ? 8 : 8 + 8 * header.units;
	return true;
}

static __always_inline bool quote_ipv6(struct frame_ctx *ctx, const struct packet *p,
				       struct quote *q)
{
	struct ipv6hdr ip;
	__u32 end;

	if (bytes_load(ctx, p->l3_offset + q->ip, &ip, sizeof(ip)) || ip.version != 6)
		return false;
	q->key.proto = ip.nexthdr;
	__builtin_memcpy(&q->key.src, &ip.saddr, sizeof(q->key.src));
	__builtin_memcpy(&q->key.dst, &ip.daddr, sizeof(q->key.dst));
	q->l4 = q->ip + sizeof(ip);
	end = q->l4 + bpf_ntohs(ip.payload_len);
	if (end < q->end)
		q->end = end;
	for (int i = 0; i < IPV6_EXTENSIONS_MAX; i++) {
		if (!proto_is_extension(q->key.proto))
			return true;
		if (!quote_extension(ctx, p, q))
			return false;
	}
	return true;
}

/* 1: `q` is a TCP or UDP packet with ports and all that RFC 792 asks for. */
__noinline int quote_read(struct frame_ctx *ctx, const struct packet *p, struct quote *q)
{
	if (!p || !q)
		return 0;
	__builtin_memset(q, 0, sizeof(*q));
	q->ip = p->l4_offset - p->l3_offset + ICMP_HEADER_BYTES;
	q->end = p->bytes;
	if (p->is_ipv6) {
		if (!quote_ipv6(ctx, p, q))
			return 0;
	} else if (!quote_ipv4(ctx, p, q)) {
		return 0;
	}
	if (!proto_has_ports(q->key.proto) || q->l4 + QUOTE_L4_BYTES_MIN > q->end)
		return 0;
	q->l4_bytes = q->end - q->l4;
	return !bytes_load(ctx, p->l3_offset + q->l4, &q->key.src_port, 2 * sizeof(__be16));
}

/* ---- which flow ---- */

/* The key of the flow's packets in the other direction, which tables know. */
static __always_inline void quote_reverse(const struct quote *q, struct flow_key *ret_key)
{
	*ret_key = (struct flow_key){
		.src = q->key.dst,
		.dst = q->key.src,
		.src_port = q->key.dst_port,
		.dst_port = q->key.src_port,
		.proto = q->key.proto,
	};
}

/* The endpoint of p's flow in the flow table, else by the ring. */
static __always_inline int icmp_find_in_table(struct packet *p, const struct contract *c)
{
	__u32 tick = p->now >> TICK_SHIFT;
	struct flow_set *set = table_set(p, c);
	union slot_word is;
	int index;

	if (!set)
		return VERDICT_ICMP_UNKNOWN;
	index = table_find(set, table_tag(p));
	if (index < 0 || index >= FLOW_SLOTS)
		return pick_endpoint(p, c->ring_seed, tick);
	is.word = *(volatile __u64 *)&set->slots[index];
	return table_follow(p, is, tick);
}

/* The flow of p->key, which is a client's packet; p->to is set. */
__noinline int icmp_find_flow(struct packet *p, const struct contract *c)
{
	const struct nat_flow *flow;
	struct flow_key key;
	int stage;

	if (!p || !c)
		return VERDICT_ICMP_UNKNOWN;
	stage = vip_find(p);
	if (stage != STAGE_NEXT)
		return stage == VERDICT_L7_LOCAL ? stage : VERDICT_ICMP_UNKNOWN;
	p->now = bpf_ktime_get_coarse_ns();
	key = p->key; /* 6.1 takes no key from memory it knows as an argument only */
	flow = p->vip_flags & VIP_F_NAT ? bpf_map_lookup_elem(&nat_fwd, &key) : NULL;
	if (flow) {
		__builtin_memcpy(&p->to, flow, sizeof(p->to));
		p->endpoint = flow->endpoint;
		p->generation = flow->generation;
		p->way = WAY_NAT;
		return STAGE_NEXT;
	}
	stage = icmp_find_in_table(p, c);
	/* through NAT an unknown flow has no address to be translated to */
	return stage == STAGE_NEXT && p->way != WAY_NAT ? STAGE_NEXT : VERDICT_ICMP_UNKNOWN;
}

/* From a router towards a client: p->key becomes the client's, to find the endpoint
 * whose packet did not arrive. */
static __always_inline int icmp_take_flow_key(struct packet *p, struct quote *q)
{
	if (!address_equal(&q->key.src, &p->key.dst))
		return VERDICT_ICMP_UNKNOWN;
	q->outer = p->key;
	quote_reverse(q, &p->key);
	p->tcp_flags = p->key.proto == IPPROTO_TCP ? TCP_ACK : 0;
	return ICMP_FIND_FLOW;
}

/* After icmp_find_flow(): p->key is the error's again. */
__noinline int icmp_to_endpoint(struct packet *p, int stage)
{
	struct quote *q = quote_get();

	if (!p || !q)
		return VERDICT_MALFORMED;
	p->tcp_flags = 0;
	p->key = q->outer;
	if (stage != STAGE_NEXT)
		return stage;
	p->why = WHY_ICMP;
	if (p->way != WAY_NAT)
		return STAGE_NEXT;
	q->to = (struct translation){
		.src = p->to.dst,
		.dst = p->to.src,
		.src_port = p->to.dst_port,
		.dst_port = p->to.src_port,
	};
	p->to.src = p->key.src;
	p->out_ipv6 = p->is_ipv6;
	return p->ttl <= 1 ? VERDICT_TTL : STAGE_NEXT;
}

/* From a router towards an endpoint, or from the endpoint itself: to the client,
 * for whom it comes from the VIP. */
static __always_inline int icmp_to_client(struct packet *p, struct quote *q)
{
	const struct nat_flow *flow;

	quote_reverse(q, &q->outer);
	flow = bpf_map_lookup_elem(&nat_rev, &q->outer);
	if (!flow || !address_equal(&q->key.src, &p->key.dst))
		return VERDICT_NOT_A_VIP;
	p->is_answer = true;
	p->way = WAY_NAT;
	p->why = WHY_ICMP;
	p->vip = flow->vip;
	p->to.src = flow->src;
	p->to.dst = flow->dst;
	p->out_ipv6 = p->is_ipv6;
	q->to = (struct translation){
		.src = flow->dst,
		.dst = flow->src,
		.src_port = flow->dst_port,
		.dst_port = flow->src_port,
	};
	return p->ttl <= 1 ? VERDICT_TTL : STAGE_NEXT;
}

/* STAGE_NEXT: p's way is set; ICMP_FIND_FLOW: it is for an endpoint that is to be
 * found. */
__noinline int icmp_judge(struct frame_ctx *ctx, struct packet *p, const struct contract *c)
{
	bool at_nat, at_vip, is_read;
	struct quote *q = quote_get();
	int stage;

	if (!p || !c || !q)
		return VERDICT_MALFORMED;
	at_nat = address_equal(&p->key.dst, snat_address(p, c));
	at_vip = vip_has_address(&p->key.dst);
	if (!at_nat && !at_vip)
		return VERDICT_NOT_A_VIP;
	if (p->lies)
		return VERDICT_MALFORMED;
	if (at_vip && icmp_is_answered(p))
		return VERDICT_ECHO_REPLY;
	if (!icmp_is_error(p))
		return VERDICT_NOT_A_VIP;
	is_read = !p->is_fragment && quote_read(ctx, p, q);
	if (at_nat && is_read) {
		stage = icmp_to_client(p, q);
		if (stage != VERDICT_NOT_A_VIP)
			return stage;
	}
	if (!at_vip)
		return VERDICT_NOT_A_VIP;
	return is_read ? icmp_take_flow_key(p, q) : VERDICT_ICMP_UNKNOWN;
}

/* STAGE_NEXT: p's way is set; through NAT, icmp_translate() is to be called.  Three
 * calls in turn, not one in the other: the frames of a call chain share 512 bytes. */
static __always_inline int icmp_steer(struct frame_ctx *ctx, struct packet *p,
				      const struct contract *c)
{
	int stage = icmp_judge(ctx, p, c);

	if (stage != ICMP_FIND_FLOW)
		return stage;
	return icmp_to_endpoint(p, icmp_find_flow(p, c));
}

/* ---- translating ---- */

/* What a 16-bit field adds to a sum when it changes. */
static __always_inline __u32 checksum_field_difference(__u16 before, __u16 after)
{
	return (__u32)(__u16)~before + after;
}

/* The quoted packet's own L4 checksum, where so much of it is quoted. */
static __always_inline long quote_l4_checksum(struct frame_ctx *ctx, const struct packet *p,
					      const struct quote *q, __u32 difference,
					      __u32 *change)
{
	bool is_udp = q->key.proto == IPPROTO_UDP;
	__u32 offset = is_udp ? offsetof(struct udphdr, check) : offsetof(struct tcphdr, check);
	__u16 before, after;

	if (q->l4_bytes < offset + sizeof(before))
		return 0;
	offset += p->l3_offset + q->l4;
	if (bytes_load(ctx, offset, &before, sizeof(before)))
		return -1;
	if (is_udp && !before) /* the sender computed none */
		return 0;
	after = checksum_update(before, difference);
	if (is_udp && !after)
		after = 0xffff;
	*change += checksum_field_difference(before, after);
	return bytes_store(ctx, offset, &after, sizeof(after));
}

static __always_inline long quote_addresses(struct frame_ctx *ctx, const struct packet *p,
					    const struct quote *q, __u32 difference, __u32 *change)
{
	__be32 addresses[2] = {q->to.src.words[3], q->to.dst.words[3]};
	__u32 at = p->l3_offset + q->ip;
	__u16 before, after;

	*change += difference;
	if (p->is_ipv6)
		return bytes_store(ctx, at + offsetof(struct ipv6hdr, saddr), &q->to.src,
				   2 * sizeof(struct ip_addr));
	if (bytes_load(ctx, at + offsetof(struct iphdr, check), &before, sizeof(before)))
		return -1;
	after = checksum_update(before, difference);
	*change += checksum_field_difference(before, after);
	if (bytes_store(ctx, at + offsetof(struct iphdr, check), &after, sizeof(after)))
		return -1;
	return bytes_store(ctx, at + offsetof(struct iphdr, saddr), addresses, sizeof(addresses));
}

/* The quoted packet and the ICMP checksum; the outer header is the caller's, also
 * what it adds to ICMPv6's checksum: outer_difference.  0: done. */
__noinline int icmp_translate(struct frame_ctx *ctx, const struct packet *p, __u32 outer_difference)
{
	struct quote *q = quote_get();
	__u32 addresses, ports, change = 0;
	__u16 check;

	if (!p || !q)
		return -1;
	addresses = checksum_fold(bpf_csum_diff((__be32 *)&q->key, 2 * sizeof(struct ip_addr),
						(__be32 *)&q->to, 2 * sizeof(struct ip_addr), 0));
	ports = checksum_fold(checksum_field_difference(q->key.src_port, q->to.src_port) +
			      checksum_field_difference(q->key.dst_port, q->to.dst_port));
	if (quote_addresses(ctx, p, q, addresses, &change) ||
	    quote_l4_checksum(ctx, p, q, addresses + ports, &change) ||
	    bytes_store(ctx, p->l3_offset + q->l4, &q->to.src_port, 2 * sizeof(__be16)))
		return -1;
	change += ports;
	if (p->is_ipv6) /* its checksum has a pseudo header */
		change += checksum_fold(outer_difference);
	if (bytes_load(ctx, p->l4_offset + 2, &check, sizeof(check)))
		return -1;
	check = checksum_update(check, change);
	return bytes_store(ctx, p->l4_offset + 2, &check, sizeof(check));
}

#endif
