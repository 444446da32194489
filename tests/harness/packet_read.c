// SPDX-License-Identifier: BSD-2-Clause
/* Frames read back.  Lengths are those the headers claim, held against the bytes
 * there are; checksums are computed anew. */
#include "tests/harness/packet.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#define IPV4_BYTES 20
#define IPV6_BYTES 40
#define TCP_BYTES 20
#define UDP_BYTES 8
#define ICMP_BYTES 8

/* Offset of the EtherType that is no tag; tags go to `vlans` if not NULL. */
static size_t type_offset(const uint8_t *bytes, size_t size, uint16_t *vlans)
{
	size_t offset = 12;

	for (int i = 0; i < FRAME_VLANS_MAX && offset + 6 <= size; i++) {
		unsigned type = frame_get16(bytes + offset);

		if (type != 0x8100 && type != 0x88a8)
			break;
		if (vlans)
			vlans[i] = (uint16_t)frame_get16(bytes + offset + 2);
		offset += 4;
	}
	return offset;
}

size_t frame_ip_offset(const uint8_t *bytes, size_t size)
{
	return type_offset(bytes, size, NULL) + 2;
}

static size_t l4_header_bytes(const struct frame_seen *seen, const uint8_t *l4, size_t size)
{
	switch (seen->proto) {
	case IPPROTO_TCP: return size < TCP_BYTES ? TCP_BYTES : (size_t)(l4[12] >> 4) * 4;
	case IPPROTO_UDP: return UDP_BYTES;
	case IPPROTO_ICMP:
	case IPPROTO_ICMPV6: return ICMP_BYTES;
	default: return 0;
	}
}

static void ports_read(struct frame_seen *seen, const uint8_t *l4)
{
	if (seen->proto != IPPROTO_TCP && seen->proto != IPPROTO_UDP)
		return;
	seen->src_port = (uint16_t)frame_get16(l4);
	seen->dst_port = (uint16_t)frame_get16(l4 + 2);
}

static bool l4_fields_read(struct frame_seen *seen, const uint8_t *l4, size_t size)
{
	switch (seen->proto) {
	case IPPROTO_TCP:
		seen->flags = l4[13];
		seen->seq = frame_get32(l4 + 4);
		seen->ack = frame_get32(l4 + 8);
		seen->window = (uint16_t)frame_get16(l4 + 14);
		seen->l4_checksum = (uint16_t)frame_get16(l4 + 16);
		return l4[12] >> 4 >= 5;
	case IPPROTO_UDP:
		seen->l4_checksum = (uint16_t)frame_get16(l4 + 6);
		return seen->is_fragment || frame_get16(l4 + 4) == size;
	case IPPROTO_ICMP:
	case IPPROTO_ICMPV6:
		seen->icmp_type = l4[0];
		seen->icmp_code = l4[1];
		seen->l4_checksum = (uint16_t)frame_get16(l4 + 2);
		seen->icmp_word = frame_get32(l4 + 4);
	}
	return true;
}

static bool l4_checksum_is_right(const struct frame_seen *seen, const uint8_t *l4, size_t size)
{
	if (l4_header_bytes(seen, l4, size) == 0 || seen->is_fragment)
		return true; /* has none, or only with the other fragments */
	if (seen->proto == IPPROTO_UDP && seen->l4_checksum == 0)
		return !seen->is_ipv6 || seen->dst_port == FRAME_GUE_PORT; /* RFC 6935 */
	return frame_l4_sum(seen->ip, seen->proto, l4, size) == 0xffff;
}

static bool l4_read(struct frame_seen *seen)
{
	const uint8_t *l4 = seen->ip + seen->l3_bytes;
	size_t size = seen->ip_bytes - seen->l3_bytes;
	size_t header;

	if (seen->fragment_offset) {
		seen->payload = l4;
		seen->payload_bytes = size;
		seen->l4_checksum_right = true;
		return true;
	}
	header = l4_header_bytes(seen, l4, size);
	if (size < header || !l4_fields_read(seen, l4, size))
		return false;
	ports_read(seen, l4);
	seen->payload = l4 + header;
	seen->payload_bytes = size - header;
	seen->l4_checksum_right = l4_checksum_is_right(seen, l4, size);
	return true;
}

/* `available` may be less than the packet has (a quote); headers must be whole. */
static bool ipv4_read(const uint8_t *ip, size_t available, struct frame_seen *seen)
{
	unsigned fragment;

	if (available < IPV4_BYTES)
		return false;
	seen->l3_bytes = (size_t)(ip[0] & 0xf) * 4;
	seen->ip_bytes = frame_get16(ip + 2);
	if (seen->l3_bytes < IPV4_BYTES || seen->l3_bytes > available ||
	    seen->l3_bytes > seen->ip_bytes)
		return false;
	fragment = frame_get16(ip + 6);
	seen->tos = ip[1];
	seen->id = frame_get16(ip + 4);
	seen->has_df = fragment & 0x4000;
	seen->is_fragment = fragment & 0x2000;
	seen->fragment_offset = fragment & 0x1fff;
	seen->ttl = ip[8];
	seen->proto = ip[9];
	inet_ntop(AF_INET, ip + 12, seen->src, sizeof(seen->src));
	inet_ntop(AF_INET, ip + 16, seen->dst, sizeof(seen->dst));
	seen->l3_checksum_right = frame_sum_fold(frame_sum_add(0, ip, seen->l3_bytes)) == 0xffff;
	return true;
}

static bool is_extension(uint8_t proto)
{
	return proto == IPPROTO_HOPOPTS || proto == IPPROTO_ROUTING || proto == IPPROTO_DSTOPTS ||
	       proto == IPPROTO_FRAGMENT;
}

static bool ipv6_read(const uint8_t *ip, size_t available, struct frame_seen *seen)
{
	if (available < IPV6_BYTES)
		return false;
	seen->is_ipv6 = true;
	seen->ip_bytes = IPV6_BYTES + frame_get16(ip + 4);
	seen->tos = (uint8_t)(ip[0] << 4 | ip[1] >> 4);
	seen->proto = ip[6];
	seen->ttl = ip[7];
	inet_ntop(AF_INET6, ip + 8, seen->src, sizeof(seen->src));
	inet_ntop(AF_INET6, ip + 24, seen->dst, sizeof(seen->dst));
	seen->l3_checksum_right = true;
	seen->l3_bytes = IPV6_BYTES;
	while (is_extension(seen->proto) && !seen->fragment_offset) {
		const uint8_t *at = ip + seen->l3_bytes;

		if (seen->l3_bytes + 8 > available)
			return false;
		if (seen->proto == IPPROTO_FRAGMENT) {
			seen->fragment_offset = (uint16_t)(frame_get16(at + 2) >> 3);
			seen->is_fragment = at[3] & 1;
			seen->id = frame_get32(at + 4);
		}
		seen->l3_bytes += seen->proto == IPPROTO_FRAGMENT ? 8 : 8 + 8 * (size_t)at[1];
		seen->proto = at[0];
	}
	return seen->l3_bytes <= available && seen->l3_bytes <= seen->ip_bytes;
}

static bool l3_read(const uint8_t *ip, size_t available, struct frame_seen *seen)
{
	if (available == 0)
		return false;
	seen->ip = ip;
	if (ip[0] >> 4 == 4)
		return ipv4_read(ip, available, seen);
	return ip[0] >> 4 == 6 && ipv6_read(ip, available, seen);
}

bool frame_read_ip(const uint8_t *ip, size_t size, struct frame_seen *ret_seen)
{
	struct frame_seen seen = {0};

	if (!l3_read(ip, size, &seen) || seen.ip_bytes > size || !l4_read(&seen))
		return false;
	*ret_seen = seen;
	return true;
}

bool frame_read(const uint8_t *bytes, size_t size, struct frame_seen *ret_seen)
{
	size_t offset = frame_ip_offset(bytes, size);
	struct frame_seen seen;
	unsigned type;

	if (size < offset)
		return false;
	type = frame_get16(bytes + offset - 2);
	if (!frame_read_ip(bytes + offset, size - offset, &seen) ||
	    type != (seen.is_ipv6 ? 0x86dd : 0x0800))
		return false;
	memcpy(seen.dst_mac, bytes, 6);
	memcpy(seen.src_mac, bytes + 6, 6);
	type_offset(bytes, size, seen.vlans);
	*ret_seen = seen;
	return true;
}

bool frame_read_quote(const uint8_t *quote, size_t size, struct frame_seen *ret_seen)
{
	struct frame_seen seen = {0};

	if (!l3_read(quote, size, &seen))
		return false;
	if (seen.ip_bytes <= size)
		return frame_read_ip(quote, size, ret_seen);
	seen.l4_checksum_right = true;
	if (!seen.fragment_offset && size >= seen.l3_bytes + 4)
		ports_read(&seen, quote + seen.l3_bytes);
	*ret_seen = seen;
	return true;
}

/* The packet inside is all of the payload: no trailer, nothing missing. */
static bool inner_fits(const uint8_t *inner, size_t size, bool *ret_is_ipv6)
{
	bool is_ipv6 = size > 0 && inner[0] >> 4 == 6;

	if (size < (is_ipv6 ? IPV6_BYTES : IPV4_BYTES) || (!is_ipv6 && inner[0] >> 4 != 4))
		return false;
	*ret_is_ipv6 = is_ipv6;
	return (is_ipv6 ? IPV6_BYTES + frame_get16(inner + 4) : frame_get16(inner + 2)) == size;
}

bool frame_read_outer(const uint8_t *bytes, size_t size, struct outer_seen *ret_seen)
{
	struct outer_seen seen = {0};

	if (!frame_read(bytes, size, &seen.outer) ||
	    !inner_fits(seen.outer.payload, seen.outer.payload_bytes, &seen.inner_is_ipv6))
		return false;
	seen.inner = seen.outer.payload;
	seen.inner_bytes = seen.outer.payload_bytes;
	switch (seen.outer.proto) {
	case IPPROTO_IPIP:
		if (seen.inner_is_ipv6)
			return false;
		break;
	case IPPROTO_IPV6:
		if (!seen.inner_is_ipv6)
			return false;
		break;
	case IPPROTO_UDP:
		if (seen.outer.dst_port != FRAME_GUE_PORT)
			return false;
		break;
	default: return false;
	}
	*ret_seen = seen;
	return true;
}

static void bytes_print(const char *title, const uint8_t *bytes, size_t size, size_t mark)
{
	printf("%s (%zu bytes):", title, size);
	for (size_t i = 0; i < size && i < 96; i++)
		printf("%s%02x", i == mark ? " >>" : i % 4 ? "" : " ", bytes[i]);
	printf("\n");
}

bool ip_is_same(const uint8_t *sent, size_t sent_bytes, const uint8_t *got, size_t got_bytes,
		unsigned ttl_less)
{
	uint8_t wanted[FRAME_BYTES_MAX];
	size_t at = 0;

	if (sent_bytes > sizeof(wanted) || sent_bytes < IPV4_BYTES)
		return false;
	memcpy(wanted, sent, sent_bytes);
	if (wanted[0] >> 4 == 6) {
		wanted[7] = (uint8_t)(wanted[7] - ttl_less);
	} else if (ttl_less) {
		wanted[8] = (uint8_t)(wanted[8] - ttl_less);
		frame_put16(wanted + 10, 0);
		frame_put16(wanted + 10, (uint16_t)~frame_sum_fold(frame_sum_add(
						 0, wanted, (size_t)(wanted[0] & 0xf) * 4)));
	}
	while (at < sent_bytes && at < got_bytes && wanted[at] == got[at])
		at++;
	if (at == sent_bytes && at == got_bytes)
		return true;
	bytes_print("wanted", wanted, sent_bytes, at);
	bytes_print("got   ", got, got_bytes, at);
	return false;
}
