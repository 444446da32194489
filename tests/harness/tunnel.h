/* SPDX-License-Identifier: BSD-2-Clause */
/* Frames within IPIP and GUE, as a gateway sends them, and frames with TCP
 * options; built by hand, sharing nothing with the programs under test. */
#ifndef SLUICE_TESTS_HARNESS_TUNNEL_H
#define SLUICE_TESTS_HARNESS_TUNNEL_H

#include "tests/harness/packet.h"

enum tunnel_kind {
	TUNNEL_IPIP,
	TUNNEL_GUE1, /* variant 1: the inner header right behind UDP */
	TUNNEL_GUE0, /* variant 0: four bytes between them */
	TUNNEL_KIND_COUNT
};

/* What is zero is the ordinary. */
struct tunnel_spec {
	enum tunnel_kind kind;
	const char *src, *dst; /* both IPv4 or both IPv6 */
	uint8_t tos; /* traffic class, in IPv6 */
	uint16_t port; /* GUE's; 0: 6080 */
	uint16_t udp_checksum; /* as it is */
};

/* Puts `inner`, without its Ethernet header, behind outer headers. */
void tunnel_build(struct frame *frame, const struct tunnel_spec *spec, const struct frame *inner);
/* Offset of the inner header in such a frame. */
size_t tunnel_inner_offset(const struct tunnel_spec *spec);
/* The outer lengths and checksum become what the frame's size says. */
void tunnel_lengths_mend(struct frame *frame, const struct tunnel_spec *spec);
/* Computes the header's checksum anew, if the packet at `offset` is IPv4. */
void tunnel_checksum_mend(struct frame *frame, size_t offset);

/* DSCP and ECN of a frame of either family, checksum included. */
void frame_tos_set(struct frame *frame, uint8_t tos);
uint8_t frame_tos(const struct frame *frame);

/* A TCP packet without payload whose header has these option bytes, a multiple
 * of 4; the checksum is right. */
void frame_build_options(struct frame *frame, const struct frame_spec *spec, const uint8_t *options,
			 size_t option_bytes);
/* Is the TCP checksum of a frame without IP options right? */
bool frame_tcp_checksum_is_right(const struct frame *frame);

#endif
