// SPDX-License-Identifier: BSD-2-Clause
/* Frames built field by field and read back; nothing here is shared with the
 * programs under test, so that both cannot be wrong in the same way. */
#include "tests/harness/packet.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

#define MAC_BYTES 12
#define ETHERNET_BYTES 14
#define IPV4_BYTES 20
#define IPV6_BYTES 40
#define TCP_BYTES 20
#define UDP_BYTES 8

static void put16(uint8_t *at, unsigned value)
{
	at[0] = (uint8_t)(value >> 8);
	at[1] = (uint8_t)value;
}

static unsigned get16(const uint8_t *at)
{
	return (unsigned)at[0] << 8 | at[1];
}

/* RFC 1071 over big-endian words; an odd last byte is padded. */
static uint32_t sum_add(uint32_t sum, const uint8_t *bytes, size_t size)
{
	for (size_t i = 0; i + 1 < size; i += 2)
		sum += get16(bytes + i);
	if (size % 2)
		sum += (uint32_t)bytes[size - 1] << 8;
	return sum;
}

static uint16_t sum_fold(uint32_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)sum;
}

/* Of L4 bytes and pseudo header; `addresses` are both, in order. */
static uint16_t l4_sum(const uint8_t *addresses, size_t addresses_bytes, uint8_t proto,
		       const uint8_t *l4, size_t size)
{
	uint32_t sum = sum_add(0, addresses, addresses_bytes);

	sum += proto;
	sum += (uint32_t)size;
	return sum_fold(sum_add(sum, l4, size));
}

static size_t l4_header_bytes(uint8_t proto)
{
	return proto == IPPROTO_TCP ? TCP_BYTES : proto == IPPROTO_UDP ? UDP_BYTES : 0;
}

/* Everything but the checksum, which is zero. */
static size_t l4_build(uint8_t *l4, const struct frame_spec *spec)
{
	size_t header = l4_header_bytes(spec->proto);
	size_t size = header + spec->payload_bytes;

	memset(l4, 0, header);
	for (size_t i = 0; i < spec->payload_bytes; i++)
		l4[header + i] = (uint8_t)i;
	if (spec->payload_word)
		put16(l4 + header, spec->payload_word);
	if (header == 0)
		return size;
	put16(l4, spec->src_port);
	put16(l4 + 2, spec->dst_port);
	if (spec->proto == IPPROTO_UDP) {
		put16(l4 + 4, (unsigned)size);
		return size;
	}
	put16(l4 + 6, 0x1234); /* sequence number, low half */
	l4[12] = TCP_BYTES / 4 << 4;
	l4[13] = spec->flags;
	put16(l4 + 14, 0xffff); /* window */
	return size;
}

static void l4_checksum(uint8_t *l4, size_t size, const struct frame_spec *spec,
			const uint8_t *addresses, size_t addresses_bytes)
{
	uint16_t check;

	if (spec->no_udp_checksum || l4_header_bytes(spec->proto) == 0)
		return;
	check = (uint16_t)~l4_sum(addresses, addresses_bytes, spec->proto, l4, size);
	if (spec->proto == IPPROTO_UDP && check == 0)
		check = 0xffff;
	put16(l4 + (spec->proto == IPPROTO_TCP ? 16 : 6), check);
}

static size_t ipv4_build(uint8_t *ip, const struct frame_spec *spec)
{
	size_t header = IPV4_BYTES + spec->option_bytes;
	size_t l4_size, size;

	memset(ip, 0, IPV4_BYTES);
	memset(ip + IPV4_BYTES, 1, spec->option_bytes); /* no operation */
	l4_size = l4_build(ip + header, spec);
	size = header + l4_size;
	ip[0] = (uint8_t)(0x40 | header / 4);
	put16(ip + 2, (unsigned)((int)size + spec->length_lie));
	put16(ip + 6, (spec->is_fragment ? 0x2000u : 0x4000u) | spec->fragment_offset);
	if (spec->fragment_offset)
		put16(ip + 6, (spec->is_fragment ? 0x2000u : 0) | spec->fragment_offset);
	ip[8] = spec->ttl ? spec->ttl : 64;
	ip[9] = spec->proto;
	inet_pton(AF_INET, spec->src, ip + 12);
	inet_pton(AF_INET, spec->dst, ip + 16);
	put16(ip + 10, (uint16_t)~sum_fold(sum_add(0, ip, header)));
	l4_checksum(ip + header, l4_size, spec, ip + 12, 8);
	return size;
}

/* One extension header of `spec`: a fragment header or padded options. */
static size_t ipv6_extension_build(uint8_t *at, const struct frame_spec *spec, uint8_t *ret_next)
{
	bool is_fragment = spec->is_fragment || spec->fragment_offset;
	size_t size = is_fragment ? 8 : spec->option_bytes;

	*ret_next = spec->proto;
	if (size == 0)
		return 0;
	memset(at, 0, size);
	at[0] = spec->proto;
	*ret_next = is_fragment ? IPPROTO_FRAGMENT : IPPROTO_DSTOPTS;
	if (is_fragment) {
		put16(at + 2, (unsigned)spec->fragment_offset << 3 | spec->is_fragment);
		return size;
	}
	at[1] = (uint8_t)(size / 8 - 1);
	at[2] = 1; /* PadN */
	at[3] = (uint8_t)(size - 4);
	return size;
}

static size_t ipv6_build(uint8_t *ip, const struct frame_spec *spec)
{
	size_t extension, l4_size;
	uint8_t next;

	memset(ip, 0, IPV6_BYTES);
	extension = ipv6_extension_build(ip + IPV6_BYTES, spec, &next);
	l4_size = l4_build(ip + IPV6_BYTES + extension, spec);
	ip[0] = 0x60;
	put16(ip + 4, (unsigned)((int)(extension + l4_size) + spec->length_lie));
	ip[6] = next;
	ip[7] = spec->ttl ? spec->ttl : 64;
	inet_pton(AF_INET6, spec->src, ip + 8);
	inet_pton(AF_INET6, spec->dst, ip + 24);
	l4_checksum(ip + IPV6_BYTES + extension, l4_size, spec, ip + 8, 32);
	return IPV6_BYTES + extension + l4_size;
}

void frame_build(struct frame *frame, const struct frame_spec *spec)
{
	static const uint8_t macs[MAC_BYTES] = {2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2};
	bool is_ipv6 = strchr(spec->src, ':') != NULL;
	uint8_t *ip = frame->bytes + ETHERNET_BYTES;

	memset(frame, 0, sizeof(*frame));
	memcpy(frame->bytes, macs, sizeof(macs));
	put16(frame->bytes + MAC_BYTES, is_ipv6 ? 0x86dd : 0x0800);
	frame->size = ETHERNET_BYTES + (is_ipv6 ? ipv6_build(ip, spec) : ipv4_build(ip, spec));
}

static bool l4_read(const uint8_t *l4, size_t size, const uint8_t *addresses,
		    size_t addresses_bytes, struct frame_seen *seen)
{
	size_t header = l4_header_bytes(seen->proto);

	if (header == 0 || size < header)
		return false;
	seen->src_port = (uint16_t)get16(l4);
	seen->dst_port = (uint16_t)get16(l4 + 2);
	seen->flags = seen->proto == IPPROTO_TCP ? l4[13] : 0;
	seen->payload_bytes = size - header;
	seen->l4_checksum = (uint16_t)get16(l4 + (seen->proto == IPPROTO_TCP ? 16 : 6));
	seen->l4_checksum_right = l4_sum(addresses, addresses_bytes, seen->proto, l4, size) ==
					  0xffff ||
				  (seen->proto == IPPROTO_UDP && seen->l4_checksum == 0);
	return true;
}

static bool ipv4_read(const uint8_t *ip, size_t size, struct frame_seen *seen)
{
	size_t total = size < IPV4_BYTES ? 0 : get16(ip + 2);

	if (total < IPV4_BYTES || total > size || ip[0] != 0x45)
		return false;
	seen->ttl = ip[8];
	seen->proto = ip[9];
	inet_ntop(AF_INET, ip + 12, seen->src, sizeof(seen->src));
	inet_ntop(AF_INET, ip + 16, seen->dst, sizeof(seen->dst));
	seen->l3_checksum_right = sum_fold(sum_add(0, ip, IPV4_BYTES)) == 0xffff;
	return l4_read(ip + IPV4_BYTES, total - IPV4_BYTES, ip + 12, 8, seen);
}

static bool ipv6_read(const uint8_t *ip, size_t size, struct frame_seen *seen)
{
	size_t total = size < IPV6_BYTES ? 0 : IPV6_BYTES + get16(ip + 4);

	if (total == 0 || total > size || ip[0] >> 4 != 6)
		return false;
	seen->proto = ip[6];
	seen->ttl = ip[7];
	inet_ntop(AF_INET6, ip + 8, seen->src, sizeof(seen->src));
	inet_ntop(AF_INET6, ip + 24, seen->dst, sizeof(seen->dst));
	seen->l3_checksum_right = true;
	return l4_read(ip + IPV6_BYTES, total - IPV6_BYTES, ip + 8, 32, seen);
}

bool frame_read(const uint8_t *bytes, size_t size, struct frame_seen *ret_seen)
{
	struct frame_seen seen = {0};
	bool read = false;

	if (size < ETHERNET_BYTES)
		return false;
	memcpy(seen.dst_mac, bytes, 6);
	memcpy(seen.src_mac, bytes + 6, 6);
	if (get16(bytes + MAC_BYTES) == 0x0800)
		read = ipv4_read(bytes + ETHERNET_BYTES, size - ETHERNET_BYTES, &seen);
	else if (get16(bytes + MAC_BYTES) == 0x86dd)
		read = ipv6_read(bytes + ETHERNET_BYTES, size - ETHERNET_BYTES, &seen);
	if (read)
		*ret_seen = seen;
	return read;
}
