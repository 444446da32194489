/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Packets that are answered here: the frame becomes the answer and leaves by the
 * device that it came in by, to the MAC it came from, with the tags it came with.
 *
 * - an echo request to a VIP's address: the reply (RFC 792, RFC 4443);
 * - a packet larger than the way to its endpoint carries: ICMP too big, quoting what
 *   RFC 1812 and RFC 4443 ask for, 548 and 1232 bytes, from the address the packet
 *   was sent to; never for an ICMP error or a later fragment, and bounded a CPU and
 *   tick, as RFC 4443 section 2.4 (f) demands;
 * - a TCP packet mid-flow whose endpoint is out, if the VIP says so: a reset as
 *   RFC 9293 section 3.10.7.1 has it for a connection that does not exist.
 *
 * Answers are never longer than what they answer, so no room is made and nobody is
 * amplified.  Checksums of what is new are computed whole.
 */
#ifndef SLUICE_BPF_STAGE_TELL_H
#define SLUICE_BPF_STAGE_TELL_H

#include "bpf/stage/icmp.h"
#include "bpf/stage/rewrite.h"

#define TELL_TTL 64
#define TELL_TOO_BIG_MAX 1000 /* a tick and CPU */
#define QUOTE_BYTES_IPV4 548 /* the error is 576 bytes long: RFC 1812, 4.3.2.3 */
#define QUOTE_BYTES_IPV6 1232 /* 1280: RFC 4443, 2.4 (c) */
#define IPV6_MTU_MIN 1280
#define CSUM_DIFF_BYTES_MAX 512 /* what bpf_csum_diff takes at once */

struct tell_ipv4 {
	struct iphdr ip;
	union {
		struct {
			__u8 type, code;
			__be16 check;
			__be16 unused, mtu;
		} icmp;
		struct tcphdr tcp;
	};
};

struct tell_ipv6 {
	struct ipv6hdr ip;
	union {
		struct {
			__u8 type, code;
			__be16 check;
			__be32 mtu;
		} icmp;
		struct tcphdr tcp;
	};
};

/* What lies behind the ICMP header; and the budget.  One a CPU, as packet_scratch. */
struct tell {
	__u8 quote[QUOTE_BYTES_IPV6];
	__u32 tick;
	__u32 told; /* in this tick */
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct tell);
} tell_scratch SEC(".maps");

static __always_inline struct tell *tell_get(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&tell_scratch, &zero);
}

/* ---- parts ---- */

static __always_inline long tell_swap_macs(struct frame_ctx *ctx)
{
	struct ethhdr eth, back;

	if (bytes_load(ctx, 0, &eth, 2 * ETH_ALEN))
		return -1;
	__builtin_memcpy(back.h_dest, eth.h_source, ETH_ALEN);
	__builtin_memcpy(back.h_source, eth.h_dest, ETH_ALEN);
	return bytes_store(ctx, 0, &back, 2 * ETH_ALEN);
}

/* From the address that p was sent to, back to its sender. */
static __always_inline void tell_ipv4_header(const struct packet *p, struct iphdr *ip, __u8 proto,
					     __u32 total)
{
	*ip = (struct iphdr){
		.version = 4,
		.ihl = 5,
		.tot_len = bpf_htons(total),
		.frag_off = bpf_htons(0x4000), /* and id 0: atomic, RFC 6864 */
		.ttl = TELL_TTL,
		.protocol = proto,
		.saddr = p->key.dst.words[3],
		.daddr = p->key.src.words[3],
	};
	ip->check = ~checksum_fold(bpf_csum_diff(NULL, 0, (__be32 *)ip, sizeof(*ip), 0));
}

static __always_inline void tell_ipv6_header(const struct packet *p, struct ipv6hdr *ip, __u8 proto,
					     __u32 payload)
{
	*ip = (struct ipv6hdr){
		.version = 6,
		.payload_len = bpf_htons(payload),
		.nexthdr = proto,
		.hop_limit = TELL_TTL,
	};
	__builtin_memcpy(&ip->saddr, &p->key.dst, sizeof(ip->saddr));
	__builtin_memcpy(&ip->daddr, &p->key.src, sizeof(ip->daddr));
}

/* Of p's addresses, whose order does not matter to a sum, length and protocol. */
static __always_inline __u32 tell_pseudo_sum(const struct packet *p, __u32 length, __u8 proto)
{
	/* an IPv4 address is ::ffff:a.b.c.d here: two times ffff add nothing */
	__u32 sum = bpf_csum_diff(NULL, 0, (__be32 *)&p->key, 2 * sizeof(struct ip_addr), 0);

	return (__u32)checksum_fold(sum) + bpf_htons(length) + bpf_htons(proto);
}

/* ---- echo ---- */

static __always_inline int tell_echo(struct frame_ctx *ctx, const struct packet *p)
{
	struct {
		__u8 type, code;
		__u16 check;
	} icmp;
	__u16 before, after;

	if (bytes_load(ctx, p->l4_offset, &icmp, sizeof(icmp)))
		return VERDICT_MALFORMED;
	before = *(__u16 *)&icmp;
	icmp.type = p->is_ipv6 ? ICMP6_ECHO_REQUEST + 1 : 0;
	after = *(__u16 *)&icmp;
	icmp.check = checksum_update(icmp.check, checksum_field_difference(before, after));
	if (p->is_ipv6) {
		struct ipv6hdr ip;

		tell_ipv6_header(p, &ip, IPPROTO_ICMPV6, p->bytes - sizeof(ip));
		if (bytes_store(ctx, p->l3_offset, &ip, sizeof(ip)))
			return VERDICT_MALFORMED;
	} else {
		struct iphdr ip;

		tell_ipv4_header(p, &ip, IPPROTO_ICMP, p->bytes);
		if (bytes_store(ctx, p->l3_offset, &ip, sizeof(ip)))
			return VERDICT_MALFORMED;
	}
	if (bytes_store(ctx, p->l4_offset, &icmp, sizeof(icmp)) || tell_swap_macs(ctx))
		return VERDICT_MALFORMED;
	return VERDICT_ECHO_REPLY;
}

/* ---- too big ---- */

static __always_inline bool tell_has_budget(struct tell *tell)
{
	__u32 tick = bpf_ktime_get_coarse_ns() >> TICK_SHIFT;

	if (tell->tick != tick) {
		tell->tick = tick;
		tell->told = 0;
	}
	return tell->told++ < TELL_TOO_BIG_MAX;
}

/* Is p of a kind that may be told, and long enough to be quoted?  A way that does not
 * even carry 1280 bytes of IPv6 cannot be told: nobody sends less. */
static __always_inline bool tell_may_be_big(const struct packet *p)
{
	return p->kind == KIND_PORTS && icmp_has_reader(p) && p->mtu &&
	       p->bytes >= (p->is_ipv6 ? IPV6_MTU_MIN + 1 : QUOTE_BYTES_IPV4 + 28);
}

static __always_inline long tell_too_big_ipv4(struct frame_ctx *ctx, const struct packet *p,
					      struct tell *tell)
{
	const __u32 icmp_bytes = ICMP_HEADER_BYTES + QUOTE_BYTES_IPV4;
	struct tell_ipv4 head = {};
	__u32 sum;

	if (bytes_load(ctx, p->l3_offset, tell->quote, QUOTE_BYTES_IPV4) ||
	    bytes_cut(ctx, p->l3_offset + sizeof(head.ip) + icmp_bytes))
		return -1;
	tell_ipv4_header(p, &head.ip, IPPROTO_ICMP, sizeof(head.ip) + icmp_bytes);
	head.icmp.type = ICMP4_UNREACHABLE;
	head.icmp.code = 4; /* fragmentation needed */
	head.icmp.mtu = bpf_htons(p->mtu);
	sum = bpf_csum_diff(NULL, 0, (__be32 *)&head.icmp, sizeof(head.icmp), 0);
	sum = bpf_csum_diff(NULL, 0, (__be32 *)tell->quote, CSUM_DIFF_BYTES_MAX, sum);
	sum = bpf_csum_diff(NULL, 0, (__be32 *)(tell->quote + CSUM_DIFF_BYTES_MAX),
			    QUOTE_BYTES_IPV4 - CSUM_DIFF_BYTES_MAX, sum);
	head.icmp.check = ~checksum_fold(sum);
	if (bytes_store(ctx, p->l3_offset, &head, sizeof(head.ip) + ICMP_HEADER_BYTES))
		return -1;
	return bytes_store(ctx, p->l3_offset + sizeof(head.ip) + ICMP_HEADER_BYTES, tell->quote,
			   QUOTE_BYTES_IPV4);
}

static __always_inline long tell_too_big_ipv6(struct frame_ctx *ctx, const struct packet *p,
					      struct tell *tell)
{
	const __u32 icmp_bytes = ICMP_HEADER_BYTES + QUOTE_BYTES_IPV6;
	struct tell_ipv6 head = {};
	__u32 sum;

	if (bytes_load(ctx, p->l3_offset, tell->quote, QUOTE_BYTES_IPV6) ||
	    bytes_cut(ctx, p->l3_offset + sizeof(head.ip) + icmp_bytes))
		return -1;
	tell_ipv6_header(p, &head.ip, IPPROTO_ICMPV6, icmp_bytes);
	head.icmp.type = 2; /* packet too big */
	head.icmp.mtu = bpf_htonl(p->mtu);
	sum = tell_pseudo_sum(p, icmp_bytes, IPPROTO_ICMPV6);
	sum = bpf_csum_diff(NULL, 0, (__be32 *)&head.icmp, sizeof(head.icmp), sum);
	sum = bpf_csum_diff(NULL, 0, (__be32 *)tell->quote, CSUM_DIFF_BYTES_MAX, sum);
	sum = bpf_csum_diff(NULL, 0, (__be32 *)(tell->quote + CSUM_DIFF_BYTES_MAX),
			    CSUM_DIFF_BYTES_MAX, sum);
	sum = bpf_csum_diff(NULL, 0, (__be32 *)(tell->quote + 2 * CSUM_DIFF_BYTES_MAX),
			    QUOTE_BYTES_IPV6 - 2 * CSUM_DIFF_BYTES_MAX, sum);
	head.icmp.check = ~checksum_fold(sum);
	if (bytes_store(ctx, p->l3_offset, &head, sizeof(head.ip) + ICMP_HEADER_BYTES))
		return -1;
	return bytes_store(ctx, p->l3_offset + sizeof(head.ip) + ICMP_HEADER_BYTES, tell->quote,
			   QUOTE_BYTES_IPV6);
}

static __always_inline int tell_too_big(struct frame_ctx *ctx, const struct packet *p)
{
	struct tell *tell = tell_get();
	long error;

	if (!tell || !tell_has_budget(tell))
		return VERDICT_TOO_BIG;
	error = p->is_ipv6 ? tell_too_big_ipv6(ctx, p, tell) : tell_too_big_ipv4(ctx, p, tell);
	return error || tell_swap_macs(ctx) ? VERDICT_TOO_BIG : VERDICT_TOO_BIG_TOLD;
}

/* ---- reset ---- */

/* Bytes of sequence space that the packet takes up. */
static __always_inline __u32 tell_segment_bytes(const struct packet *p, const struct tcphdr *tcp)
{
	__u32 bytes = p->l3_offset + p->bytes - p->l4_offset - tcp->doff * 4;

	return bytes + !!(p->tcp_flags & TCP_SYN) + !!(p->tcp_flags & TCP_FIN);
}

static __always_inline void tell_reset_header(const struct packet *p, const struct tcphdr *tcp,
					      struct tcphdr *reset)
{
	reset->source = tcp->dest;
	reset->dest = tcp->source;
	reset->doff = sizeof(*reset) / 4;
	reset->rst = 1;
	if (p->tcp_flags & TCP_ACK) {
		reset->seq = tcp->ack_seq;
	} else {
		reset->ack = 1;
		reset->ack_seq = bpf_htonl(bpf_ntohl(tcp->seq) + tell_segment_bytes(p, tcp));
	}
	reset->check = ~checksum_fold(
		bpf_csum_diff(NULL, 0, (__be32 *)reset, sizeof(*reset),
			      checksum_fold(tell_pseudo_sum(p, sizeof(*reset), IPPROTO_TCP))));
}

static __always_inline int tell_reset(struct frame_ctx *ctx, const struct packet *p)
{
	struct tcphdr tcp;

	if (bytes_load(ctx, p->l4_offset, &tcp, sizeof(tcp)))
		return VERDICT_ENDPOINT_DOWN;
	if (p->is_ipv6) {
		struct tell_ipv6 head = {};

		tell_ipv6_header(p, &head.ip, IPPROTO_TCP, sizeof(head.tcp));
		tell_reset_header(p, &tcp, &head.tcp);
		if (bytes_cut(ctx, p->l3_offset + sizeof(head)) ||
		    bytes_store(ctx, p->l3_offset, &head, sizeof(head)))
			return VERDICT_ENDPOINT_DOWN;
	} else {
		struct tell_ipv4 head = {};

		tell_ipv4_header(p, &head.ip, IPPROTO_TCP, sizeof(head));
		tell_reset_header(p, &tcp, &head.tcp);
		if (bytes_cut(ctx, p->l3_offset + sizeof(head)) ||
		    bytes_store(ctx, p->l3_offset, &head, sizeof(head)))
			return VERDICT_ENDPOINT_DOWN;
	}
	return tell_swap_macs(ctx) ? VERDICT_ENDPOINT_DOWN : VERDICT_ENDPOINT_RESET;
}

/* Never a reset for a reset; a fragment does not say how long the segment is. */
static __always_inline bool tell_may_reset(const struct packet *p)
{
	return p->down == VIP_DOWN_RESET && p->kind == KIND_PORTS && !p->is_fragment &&
	       !(p->tcp_flags & TCP_RST) && icmp_has_reader(p);
}

/* ---- all of them ---- */

/* The verdict on a packet that ends here, were it answered where it can be. */
static __always_inline __u32 tell_intent(const struct packet *p, __u32 verdict)
{
	if (verdict == VERDICT_TOO_BIG && tell_may_be_big(p))
		return VERDICT_TOO_BIG_TOLD;
	if (verdict == VERDICT_ENDPOINT_DOWN && tell_may_reset(p))
		return VERDICT_ENDPOINT_RESET;
	return verdict;
}

/* Is the frame an answer now, to leave by where it came from? */
static __always_inline bool verdict_is_answer(__u32 verdict)
{
	return verdict == VERDICT_ECHO_REPLY || verdict == VERDICT_TOO_BIG_TOLD ||
	       verdict == VERDICT_ENDPOINT_RESET;
}

/* Makes the answer that `intent` names; returns what became of it: `intent`, or the
 * verdict without an answer. */
__noinline int tell(struct frame_ctx *ctx, const struct packet *p, __u32 intent)
{
	if (!p)
		return VERDICT_MALFORMED;
	switch (intent) {
	case VERDICT_ECHO_REPLY: return tell_echo(ctx, p);
	case VERDICT_TOO_BIG_TOLD: return tell_too_big(ctx, p);
	case VERDICT_ENDPOINT_RESET: return tell_reset(ctx, p);
	}
	return VERDICT_MALFORMED;
}

#endif
