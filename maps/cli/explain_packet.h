/* SPDX-License-Identifier: BSD-2-Clause */
/* A packet as the operator describes it, and its bytes: Ethernet, IPv4 or IPv6, TCP
 * or UDP, with right lengths and checksums.  Pure. */
#ifndef SLUICE_CLI_EXPLAIN_PACKET_H
#define SLUICE_CLI_EXPLAIN_PACKET_H

#include <stddef.h>
#include <stdint.h>

#include "maps/layout/types.h"

#define QUIC_CID_MAX 20 /* RFC 9000, 17.2 */
#define QUIC_AFTER_CID_BYTES 20 /* packet number and what is encrypted */
#define EXPLAIN_FRAME_MAX (14 + 40 + 20 + 1 + QUIC_CID_MAX + QUIC_AFTER_CID_BYTES)

struct explain_packet {
	struct ip_addr src, dst; /* of one family */
	uint16_t src_port, dst_port; /* host order */
	uint8_t proto; /* IPPROTO_TCP or IPPROTO_UDP */
	uint8_t tcp_flags;
	uint8_t cid[QUIC_CID_MAX]; /* UDP: of a QUIC packet with a short header */
	uint8_t cid_bytes; /* 0: no payload */
	uint8_t mac[6]; /* it is sent to: the device's own */
};

/* What the operator typed; the rest is defaults.  NULL: not given. */
struct explain_words {
	const char *src; /* "10.1.0.2:40000" */
	const char *dst; /* "10.99.0.20:8000", "/tcp" or "/udp" behind it */
	const char *tcp_flags; /* "syn,ack" */
	const char *quic_cid; /* hex */
};

/* -EINVAL after a message.  A TCP packet without flags is a SYN. */
int explain_packet_parse(const struct explain_words *words, struct explain_packet *ret_packet);
/* Returns how many bytes the frame has. */
size_t explain_packet_build(const struct explain_packet *packet, uint8_t frame[EXPLAIN_FRAME_MAX]);

#endif
