// SPDX-License-Identifier: BSD-2-Clause
/* Outer headers byte by byte. */
#include "tests/harness/tunnel.h"

#include <arpa/inet.h>
#include <assert.h>
#include <string.h>

#define ETHERNET_BYTES 14
#define IPV4_BYTES 20
#define IPV6_BYTES 40
#define UDP_BYTES 8
#define GUE_BYTES 4
#define TCP_BYTES 20
#define PROTO_IPV4 4
#define PROTO_TCP 6
#define PROTO_UDP 17
#define PROTO_IPV6 41
#define GUE_PORT_DEFAULT 6080

static void put16(uint8_t *at, uint32_t value)
{
	at[0] = (uint8_t)(value >> 8);
	at[1] = (uint8_t)value;
}

static uint32_t sum_of(const uint8_t *bytes, size_t size, uint32_t sum)
{
	for (size_t i = 0; i < size; i++)
		sum += i & 1 ? bytes[i] : (uint32_t)bytes[i] << 8;
	return sum;
}

static uint16_t fold(uint32_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

static bool is_ipv6(const struct tunnel_spec *spec)
{
	return strchr(spec->dst, ':');
}

static size_t outer_ip_bytes(const struct tunnel_spec *spec)
{
	return is_ipv6(spec) ? IPV6_BYTES : IPV4_BYTES;
}

size_t tunnel_inner_offset(const struct tunnel_spec *spec)
{
	size_t offset = ETHERNET_BYTES + outer_ip_bytes(spec);

	if (spec->kind != TUNNEL_IPIP)
		offset += UDP_BYTES;
	return spec->kind == TUNNEL_GUE0 ? offset + GUE_BYTES : offset;
}

void tunnel_checksum_mend(struct frame *frame, size_t offset)
{
	uint8_t *ip = frame->bytes + offset;

	if (ip[0] >> 4 != 4)
		return;
	put16(ip + 10, 0);
	put16(ip + 10, fold(sum_of(ip, (size_t)(ip[0] & 15) * 4, 0)));
}

void tunnel_lengths_mend(struct frame *frame, const struct tunnel_spec *spec)
{
	size_t ip_bytes = outer_ip_bytes(spec);
	uint8_t *ip = frame->bytes + ETHERNET_BYTES;
	size_t behind;

	assert(frame->size >= ETHERNET_BYTES + ip_bytes);
	behind = frame->size - ETHERNET_BYTES - ip_bytes;
	if (is_ipv6(spec))
		put16(ip + 4, (uint32_t)behind);
	else
		put16(ip + 2, (uint32_t)(behind + IPV4_BYTES));
	tunnel_checksum_mend(frame, ETHERNET_BYTES);
	if (spec->kind != TUNNEL_IPIP && behind >= UDP_BYTES)
		put16(ip + ip_bytes + 4, (uint32_t)behind);
}

static void outer_ip_put(uint8_t *ip, const struct tunnel_spec *spec, uint8_t proto)
{
	memset(ip, 0, outer_ip_bytes(spec));
	if (is_ipv6(spec)) {
		put16(ip, 0x6000u | (uint32_t)spec->tos << 4);
		ip[6] = proto;
		ip[7] = 64;
		inet_pton(AF_INET6, spec->src, ip + 8);
		inet_pton(AF_INET6, spec->dst, ip + 24);
		return;
	}
	ip[0] = 0x45;
	ip[1] = spec->tos;
	ip[6] = 0x40; /* do not fragment */
	ip[8] = 64;
	ip[9] = proto;
	inet_pton(AF_INET, spec->src, ip + 12);
	inet_pton(AF_INET, spec->dst, ip + 16);
}

void tunnel_build(struct frame *frame, const struct tunnel_spec *spec, const struct frame *inner)
{
	size_t at = tunnel_inner_offset(spec), bytes = inner->size - ETHERNET_BYTES;
	uint8_t inner_proto = inner->bytes[ETHERNET_BYTES] >> 4 == 6 ? PROTO_IPV6 : PROTO_IPV4;
	uint8_t *ip = frame->bytes + ETHERNET_BYTES, *udp = ip + outer_ip_bytes(spec);

	assert(at + bytes <= sizeof(frame->bytes));
	memcpy(frame->bytes, inner->bytes, ETHERNET_BYTES - 2);
	put16(frame->bytes + 12, is_ipv6(spec) ? 0x86dd : 0x0800);
	outer_ip_put(ip, spec, spec->kind == TUNNEL_IPIP ? inner_proto : PROTO_UDP);
	if (spec->kind != TUNNEL_IPIP) {
		memset(udp, 0, UDP_BYTES + GUE_BYTES);
		put16(udp, 50001);
		put16(udp + 2, spec->port ? spec->port : GUE_PORT_DEFAULT);
		put16(udp + 6, spec->udp_checksum);
		if (spec->kind == TUNNEL_GUE0)
			udp[UDP_BYTES + 1] = inner_proto;
	}
	memcpy(frame->bytes + at, inner->bytes + ETHERNET_BYTES, bytes);
	frame->size = at + bytes;
	tunnel_lengths_mend(frame, spec);
}

void frame_tos_set(struct frame *frame, uint8_t tos)
{
	uint8_t *ip = frame->bytes + ETHERNET_BYTES;

	if (ip[0] >> 4 == 6) {
		ip[0] = 0x60 | tos >> 4;
		ip[1] = (uint8_t)(tos << 4) | (ip[1] & 15);
		return;
	}
	ip[1] = tos;
	tunnel_checksum_mend(frame, ETHERNET_BYTES);
}

uint8_t frame_tos(const struct frame *frame)
{
	const uint8_t *ip = frame->bytes + ETHERNET_BYTES;

	return ip[0] >> 4 == 6 ? (uint8_t)(ip[0] << 4 | ip[1] >> 4) : ip[1];
}

/* Over pseudo header and segment, the checksum field included. */
static uint16_t tcp_checksum(const struct frame *frame)
{
	const uint8_t *ip = frame->bytes + ETHERNET_BYTES;
	bool six = ip[0] >> 4 == 6;
	size_t ip_bytes = six ? IPV6_BYTES : IPV4_BYTES;
	size_t bytes = frame->size - ETHERNET_BYTES - ip_bytes;
	uint32_t sum = six ? sum_of(ip + 8, 32, 0) : sum_of(ip + 12, 8, 0);

	return fold(sum_of(ip + ip_bytes, bytes, sum + PROTO_TCP + (uint32_t)bytes));
}

bool frame_tcp_checksum_is_right(const struct frame *frame)
{
	return tcp_checksum(frame) == 0;
}

void frame_build_options(struct frame *frame, const struct frame_spec *spec, const uint8_t *options,
			 size_t option_bytes)
{
	uint8_t *ip = frame->bytes + ETHERNET_BYTES, *tcp;

	frame_build(frame, spec);
	tcp = frame->bytes + frame->size - TCP_BYTES;
	tcp[12] = (uint8_t)((TCP_BYTES + option_bytes) / 4 << 4);
	memcpy(tcp + TCP_BYTES, options, option_bytes);
	frame->size += option_bytes;
	if (ip[0] >> 4 == 6)
		put16(ip + 4, (uint32_t)(TCP_BYTES + option_bytes));
	else
		put16(ip + 2, (uint32_t)(IPV4_BYTES + TCP_BYTES + option_bytes));
	tunnel_checksum_mend(frame, ETHERNET_BYTES);
	put16(tcp + 16, 0);
	put16(tcp + 16, tcp_checksum(frame));
}
