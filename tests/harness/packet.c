// SPDX-License-Identifier: BSD-2-Clause
/* Frames built field by field; nothing here is shared with the programs under
 * test, so that both cannot be wrong in the same way. */
#include "tests/harness/packet.h"

#include <arpa/inet.h>
#include <assert.h>
#include <netinet/in.h>
#include <string.h>

#define MAC_BYTES 12
#define IPV4_BYTES 20
#define IPV6_BYTES 40
#define TCP_BYTES 20
#define UDP_BYTES 8
#define ICMP_BYTES 8

void frame_put16(uint8_t *at, unsigned value)
{
	at[0] = (uint8_t)(value >> 8);
	at[1] = (uint8_t)value;
}

void frame_put32(uint8_t *at, uint32_t value)
{
	frame_put16(at, value >> 16);
	frame_put16(at + 2, value & 0xffff);
}

unsigned frame_get16(const uint8_t *at)
{
	return (unsigned)at[0] << 8 | at[1];
}

uint32_t frame_get32(const uint8_t *at)
{
	return (uint32_t)frame_get16(at) << 16 | frame_get16(at + 2);
}

uint32_t frame_sum_add(uint32_t sum, const uint8_t *bytes, size_t size)
{
	for (size_t i = 0; i + 1 < size; i += 2)
		sum += frame_get16(bytes + i);
	if (size % 2)
		sum += (uint32_t)bytes[size - 1] << 8;
	return sum;
}

uint16_t frame_sum_fold(uint32_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)sum;
}

uint16_t frame_l4_sum(const uint8_t *ip, uint8_t proto, const uint8_t *l4, size_t size)
{
	bool is_ipv6 = ip[0] >> 4 == 6;
	uint32_t sum = 0;

	if (proto != IPPROTO_ICMP) {
		sum = is_ipv6 ? frame_sum_add(0, ip + 8, 32) : frame_sum_add(0, ip + 12, 8);
		sum += proto;
		sum += (uint32_t)size;
	}
	return frame_sum_fold(frame_sum_add(sum, l4, size));
}

/* ---- L4 ---- */

static size_t quic_build(uint8_t *at, const struct frame_quic *quic)
{
	size_t size = 1;

	if (!quic->first)
		return 0;
	at[0] = quic->first;
	if (quic->first & 0x80) {
		frame_put32(at + 1, 1); /* version */
		at[5] = quic->dcid_bytes;
		size = 6;
	}
	memcpy(at + size, quic->dcid, quic->dcid_bytes);
	size += quic->dcid_bytes;
	if (quic->first & 0x80)
		at[size++] = 0; /* no source connection id */
	return size;
}

static size_t payload_build(uint8_t *at, const struct frame_spec *spec)
{
	size_t size = 0;

	if (spec->inner) {
		size = frame_build_ip(at, spec->inner);
		if (spec->inner_bytes && spec->inner_bytes < size)
			size = spec->inner_bytes;
	}
	size += quic_build(at + size, &spec->quic);
	for (size_t i = 0; i < spec->payload_bytes; i++)
		at[size + i] = (uint8_t)i;
	if (spec->payload_word)
		frame_put16(at, spec->payload_word);
	return size + spec->payload_bytes;
}

static size_t tcp_options_build(uint8_t *at, const struct frame_spec *spec)
{
	size_t size = 0;

	if (spec->mss) {
		at[0] = 2;
		at[1] = 4;
		frame_put16(at + 2, spec->mss);
		size = 4;
	}
	if (spec->tcp_options & FRAME_TIMESTAMPS) {
		static const uint8_t timestamps[12] = {1, 1, 8, 10, 0, 1, 2, 3, 0, 4, 5, 6};

		memcpy(at + size, timestamps, sizeof(timestamps));
		size += sizeof(timestamps);
	}
	if (spec->tcp_options & FRAME_SACK) {
		static const uint8_t sack[12] = {1, 1, 5, 10, 0, 0, 16, 0, 0, 0, 32, 0};

		memcpy(at + size, sack, sizeof(sack));
		size += sizeof(sack);
	}
	if (spec->option_list_bytes)
		memcpy(at + size, spec->option_list, spec->option_list_bytes);
	return size + spec->option_list_bytes;
}

static size_t tcp_build(uint8_t *tcp, const struct frame_spec *spec)
{
	size_t header = TCP_BYTES + tcp_options_build(tcp + TCP_BYTES, spec);

	memset(tcp, 0, TCP_BYTES);
	frame_put16(tcp, spec->src_port);
	frame_put16(tcp + 2, spec->dst_port);
	frame_put32(tcp + 4, spec->seq ? spec->seq : 0x1234);
	frame_put32(tcp + 8, spec->ack);
	tcp[12] = (uint8_t)(header / 4 << 4);
	tcp[13] = spec->flags;
	if (!spec->has_closed_window)
		frame_put16(tcp + 14, spec->window ? spec->window : 0xffff);
	return header + payload_build(tcp + header, spec);
}

static size_t udp_build(uint8_t *udp, const struct frame_spec *spec)
{
	size_t size = UDP_BYTES + payload_build(udp + UDP_BYTES, spec);

	memset(udp, 0, UDP_BYTES);
	frame_put16(udp, spec->src_port);
	frame_put16(udp + 2, spec->dst_port);
	frame_put16(udp + 4, (unsigned)size);
	return size;
}

static size_t icmp_build(uint8_t *icmp, const struct frame_spec *spec)
{
	memset(icmp, 0, ICMP_BYTES);
	icmp[0] = spec->icmp_type;
	icmp[1] = spec->icmp_code;
	frame_put32(icmp + 4, spec->icmp_word);
	return ICMP_BYTES + payload_build(icmp + ICMP_BYTES, spec);
}

/* Everything but the checksum, which is zero. */
static size_t l4_build(uint8_t *l4, const struct frame_spec *spec)
{
	if (spec->fragment_offset)
		return payload_build(l4, spec);
	switch (spec->proto) {
	case IPPROTO_TCP: return tcp_build(l4, spec);
	case IPPROTO_UDP: return udp_build(l4, spec);
	case IPPROTO_ICMP:
	case IPPROTO_ICMPV6: return icmp_build(l4, spec);
	default: return payload_build(l4, spec);
	}
}

static void l4_checksum(const uint8_t *ip, uint8_t *l4, size_t size, const struct frame_spec *spec)
{
	bool is_udp = spec->proto == IPPROTO_UDP;
	uint16_t check = (uint16_t)~frame_l4_sum(ip, spec->proto, l4, size);

	if (spec->fragment_offset)
		return;
	if (is_udp && (spec->no_udp_checksum || (spec->inner && !spec->with_udp_checksum)))
		return;
	if (is_udp && check == 0)
		check = 0xffff;
	if (spec->proto == IPPROTO_TCP)
		frame_put16(l4 + 16, check);
	else if (is_udp)
		frame_put16(l4 + 6, check);
	else if (spec->proto == IPPROTO_ICMP || spec->proto == IPPROTO_ICMPV6)
		frame_put16(l4 + 2, check);
}

/* ---- L3 ---- */

static size_t ipv4_build(uint8_t *ip, const struct frame_spec *spec)
{
	size_t header = IPV4_BYTES + spec->option_bytes;
	bool has_df = !spec->may_fragment && !spec->is_fragment && !spec->fragment_offset;
	size_t l4_size, size;

	assert(spec->option_bytes <= 40 && spec->option_bytes % 4 == 0);
	memset(ip, 0, IPV4_BYTES);
	memset(ip + IPV4_BYTES, 1, spec->option_bytes); /* no operation */
	l4_size = l4_build(ip + header, spec);
	size = header + l4_size;
	ip[0] = (uint8_t)(0x40 | header / 4);
	ip[1] = spec->tos;
	frame_put16(ip + 2, (unsigned)((int)size + spec->length_lie));
	frame_put16(ip + 4, spec->id);
	frame_put16(ip + 6, (has_df ? 0x4000u : 0) | (spec->is_fragment ? 0x2000u : 0) |
				    spec->fragment_offset);
	ip[8] = spec->ttl ? spec->ttl : 64;
	ip[9] = spec->proto;
	inet_pton(AF_INET, spec->src, ip + 12);
	inet_pton(AF_INET, spec->dst, ip + 16);
	frame_put16(ip + 10, (uint16_t)~frame_sum_fold(frame_sum_add(0, ip, header)));
	l4_checksum(ip, ip + header, l4_size, spec);
	return size;
}

/* Returns its size; `next` is where the chain says what comes. */
static size_t extension_build(uint8_t *at, const struct frame_extension *extension,
			      const struct frame_spec *spec)
{
	size_t size = extension->bytes ? extension->bytes : 8;

	memset(at, 0, size);
	if (extension->header == IPPROTO_FRAGMENT) {
		frame_put16(at + 2, (unsigned)spec->fragment_offset << 3 | spec->is_fragment);
		frame_put32(at + 4, spec->id);
		return 8;
	}
	at[1] = (uint8_t)(size / 8 - 1);
	if (extension->header == IPPROTO_ROUTING) {
		at[2] = 4; /* type; no segments left */
		return size;
	}
	/* PadN has a length of one byte */
	for (size_t offset = 2; offset < size;) {
		size_t pad = size - offset - 2 > 255 ? 255 : size - offset - 2;

		at[offset] = 1;
		at[offset + 1] = (uint8_t)pad;
		offset += 2 + pad;
		if (size - offset == 1) /* Pad1 */
			at[offset++] = 0;
	}
	return size;
}

static bool chain_has_fragment(const struct frame_spec *spec)
{
	for (int i = 0; i < spec->extension_count; i++) {
		if (spec->extensions[i].header == IPPROTO_FRAGMENT)
			return true;
	}
	return false;
}

/* All extension headers of `spec`, each naming the next.  *next_at: the byte of
 * the header before. */
static size_t extensions_build(uint8_t *at, const struct frame_spec *spec, uint8_t *next_at)
{
	struct frame_extension chain[FRAME_EXTENSIONS_MAX + 2];
	int count = spec->extension_count;
	size_t size = 0;

	assert(count <= FRAME_EXTENSIONS_MAX);
	memcpy(chain, spec->extensions, sizeof(spec->extensions));
	if (spec->option_bytes)
		chain[count++] = (struct frame_extension){IPPROTO_DSTOPTS, spec->option_bytes};
	if ((spec->is_fragment || spec->fragment_offset) && !chain_has_fragment(spec))
		chain[count++] = (struct frame_extension){IPPROTO_FRAGMENT, 8};
	for (int i = 0; i < count; i++) {
		*next_at = chain[i].header;
		next_at = at + size;
		size += extension_build(at + size, &chain[i], spec);
	}
	*next_at = spec->proto;
	return size;
}

static size_t ipv6_build(uint8_t *ip, const struct frame_spec *spec)
{
	size_t extensions, l4_size;

	memset(ip, 0, IPV6_BYTES);
	extensions = extensions_build(ip + IPV6_BYTES, spec, ip + 6);
	l4_size = l4_build(ip + IPV6_BYTES + extensions, spec);
	ip[0] = (uint8_t)(0x60 | spec->tos >> 4);
	ip[1] = (uint8_t)(spec->tos << 4);
	frame_put16(ip + 4, (unsigned)((int)(extensions + l4_size) + spec->length_lie));
	ip[7] = spec->ttl ? spec->ttl : 64;
	inet_pton(AF_INET6, spec->src, ip + 8);
	inet_pton(AF_INET6, spec->dst, ip + 24);
	l4_checksum(ip, ip + IPV6_BYTES + extensions, l4_size, spec);
	return IPV6_BYTES + extensions + l4_size;
}

static bool spec_is_ipv6(const struct frame_spec *spec)
{
	return strchr(spec->src, ':') != NULL;
}

size_t frame_build_ip(uint8_t *ip, const struct frame_spec *spec)
{
	return spec_is_ipv6(spec) ? ipv6_build(ip, spec) : ipv4_build(ip, spec);
}

void frame_build(struct frame *frame, const struct frame_spec *spec)
{
	static const uint8_t macs[MAC_BYTES] = {2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2};
	uint8_t *type = frame->bytes + MAC_BYTES;

	memset(frame, 0, sizeof(*frame));
	memcpy(frame->bytes, macs, sizeof(macs));
	for (int i = 0; i < FRAME_VLANS_MAX && spec->vlans[i]; i++) {
		frame_put16(type, i == 0 && spec->vlans[1] ? 0x88a8 : 0x8100);
		frame_put16(type + 2, spec->vlans[i]);
		type += 4;
	}
	frame_put16(type, spec_is_ipv6(spec) ? 0x86dd : 0x0800);
	frame->size = (size_t)(type + 2 - frame->bytes) + frame_build_ip(type + 2, spec);
}
