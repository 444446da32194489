/* SPDX-License-Identifier: BSD-2-Clause */
/* Frames for tests of the kernel programs: built from a description, and read
 * back with every checksum computed anew, never trusted. */
#ifndef SLUICE_TESTS_HARNESS_PACKET_H
#define SLUICE_TESTS_HARNESS_PACKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FRAME_BYTES_MAX 4096

#define FLAG_FIN 0x01
#define FLAG_SYN 0x02
#define FLAG_RST 0x04
#define FLAG_ACK 0x10

struct frame {
	uint8_t bytes[FRAME_BYTES_MAX];
	size_t size;
};

/* What is zero is the ordinary: TTL 64, no options, no fragment. */
struct frame_spec {
	const char *src, *dst; /* both IPv4 or both IPv6 */
	uint16_t src_port, dst_port;
	uint8_t proto; /* IPPROTO_TCP, IPPROTO_UDP; others get no L4 header */
	uint8_t flags; /* of TCP */
	uint8_t ttl;
	uint16_t payload_bytes; /* 0, 1, 2 ... 255, 0 ... */
	uint16_t payload_word; /* over the first two bytes, if not 0 */
	uint8_t option_bytes; /* IPv4 options, or one IPv6 destination options header; times of 8 */
	bool is_fragment; /* more follow */
	uint16_t fragment_offset; /* in units of 8 bytes */
	bool no_udp_checksum;
	int length_lie; /* added to the IP length field */
};

/* A frame as it was seen. */
struct frame_seen {
	uint8_t dst_mac[6], src_mac[6];
	char src[64], dst[64];
	uint16_t src_port, dst_port;
	uint8_t proto, flags, ttl;
	size_t payload_bytes;
	uint16_t l4_checksum; /* the field, host order */
	bool l3_checksum_right; /* true for IPv6, which has none */
	bool l4_checksum_right; /* also for UDP without one */
};

void frame_build(struct frame *frame, const struct frame_spec *spec);
/* False: no whole TCP or UDP packet without options. */
bool frame_read(const uint8_t *bytes, size_t size, struct frame_seen *ret_seen);

#endif
