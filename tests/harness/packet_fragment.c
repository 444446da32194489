// SPDX-License-Identifier: BSD-2-Clause
/* A built frame cut into IP fragments as a router or a sender would (RFC 791,
 * RFC 8200 section 4.5), and put together again, so that a test can check the
 * checksum that only the whole datagram has. */
#include "tests/harness/packet.h"

#include <assert.h>
#include <netinet/in.h>
#include <string.h>

#define IPV4_BYTES 20
#define IPV6_BYTES 40
#define FRAGMENT_HEADER_BYTES 8

static void ipv4_checksum(uint8_t *ip)
{
	size_t header = (size_t)(ip[0] & 0xf) * 4;

	frame_put16(ip + 10, 0);
	frame_put16(ip + 10, (uint16_t)~frame_sum_fold(frame_sum_add(0, ip, header)));
}

void frame_fragment(const struct frame *whole, uint32_t id, uint16_t offset, uint16_t bytes,
		    struct frame *ret_fragment)
{
	size_t l3 = frame_ip_offset(whole->bytes, whole->size);
	const uint8_t *ip = whole->bytes + l3;
	bool is_ipv6 = ip[0] >> 4 == 6;
	size_t header = is_ipv6 ? IPV6_BYTES : (size_t)(ip[0] & 0xf) * 4;
	size_t payload = whole->size - l3 - header;
	size_t added = is_ipv6 ? FRAGMENT_HEADER_BYTES : 0;
	uint8_t *out = ret_fragment->bytes + l3;
	bool more;

	assert(offset % 8 == 0 && offset <= payload);
	if (bytes > payload - offset)
		bytes = (uint16_t)(payload - offset);
	more = offset + (size_t)bytes < payload;
	memset(ret_fragment, 0, sizeof(*ret_fragment));
	memcpy(ret_fragment->bytes, whole->bytes, l3 + header);
	memcpy(out + header + added, ip + header + offset, bytes);
	ret_fragment->size = l3 + header + added + bytes;
	if (is_ipv6) {
		frame_put16(out + 4, (unsigned)(added + bytes));
		out[header] = out[6];
		out[6] = IPPROTO_FRAGMENT;
		frame_put16(out + header + 2, (unsigned)offset | more);
		frame_put32(out + header + 4, id);
		return;
	}
	frame_put16(out + 2, (unsigned)(header + bytes));
	frame_put16(out + 4, id);
	frame_put16(out + 6, (more ? 0x2000u : 0) | offset / 8u);
	ipv4_checksum(out);
}

/* What is repeated in every fragment, and the fragment header before the payload. */
struct fragment_layout {
	size_t header, added;
};

static struct fragment_layout layout_of(const uint8_t *ip)
{
	if (ip[0] >> 4 == 4)
		return (struct fragment_layout){.header = (size_t)(ip[0] & 0xf) * 4};
	return (struct fragment_layout){IPV6_BYTES, FRAGMENT_HEADER_BYTES};
}

/* May `seen` be the one after `filled` bytes of the datagram that `first` began? */
static bool fragment_follows(const struct frame_seen *first, const struct frame_seen *seen,
			     size_t filled)
{
	return seen->fragment_offset * 8u == filled && seen->id == first->id &&
	       strcmp(seen->src, first->src) == 0 && strcmp(seen->dst, first->dst) == 0;
}

bool frame_reassemble(const struct frame *fragments, size_t count, struct frame *ret_whole)
{
	size_t l3 = frame_ip_offset(fragments[0].bytes, fragments[0].size);
	const uint8_t *from = fragments[0].bytes + l3;
	struct fragment_layout layout = layout_of(from);
	uint8_t *ip = ret_whole->bytes + l3;
	struct frame_seen first, seen;
	size_t filled = 0;

	memset(ret_whole, 0, sizeof(*ret_whole));
	if (!frame_read(fragments[0].bytes, fragments[0].size, &first) ||
	    (first.is_ipv6 && from[6] != IPPROTO_FRAGMENT))
		return false;
	memcpy(ret_whole->bytes, fragments[0].bytes, l3 + layout.header);
	if (first.is_ipv6)
		ip[6] = from[layout.header];
	for (size_t i = 0; i < count; i++) {
		size_t before = layout.header + layout.added, bytes;

		if (!frame_read(fragments[i].bytes, fragments[i].size, &seen) ||
		    !seen.l3_checksum_right || !fragment_follows(&first, &seen, filled) ||
		    seen.is_fragment != (i + 1 < count))
			return false;
		bytes = seen.ip_bytes - before;
		if (filled + bytes > FRAME_BYTES_MAX / 2)
			return false;
		memcpy(ip + layout.header + filled, seen.ip + before, bytes);
		filled += bytes;
	}
	ret_whole->size = l3 + layout.header + filled;
	if (first.is_ipv6) {
		frame_put16(ip + 4, (unsigned)filled);
		return true;
	}
	frame_put16(ip + 2, (unsigned)(layout.header + filled));
	frame_put16(ip + 6, 0);
	ipv4_checksum(ip);
	return true;
}
