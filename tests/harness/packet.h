/* SPDX-License-Identifier: BSD-2-Clause */
/* Frames for tests of the kernel programs: built from a description, and read
 * back with every checksum computed anew, never trusted.
 *
 * Three files: packet.c builds, packet_read.c reads, packet_fragment.c cuts a
 * built frame into IP fragments and puts them together again. */
#ifndef SLUICE_TESTS_HARNESS_PACKET_H
#define SLUICE_TESTS_HARNESS_PACKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FRAME_BYTES_MAX 4096
#define FRAME_ETHERNET_BYTES 14
#define FRAME_VLANS_MAX 2
#define FRAME_EXTENSIONS_MAX 12
#define FRAME_CID_BYTES_MAX 20
#define FRAME_GUE_PORT 6080

#define FLAG_FIN 0x01
#define FLAG_SYN 0x02
#define FLAG_RST 0x04
#define FLAG_ACK 0x10

/* TCP options, or'ed; a MSS is there when `mss` is not 0. */
#define FRAME_TIMESTAMPS 0x1 /* NOP, NOP, timestamps: 12 bytes */
#define FRAME_SACK 0x2 /* NOP, NOP, one SACK block: 12 bytes */

struct frame {
	uint8_t bytes[FRAME_BYTES_MAX];
	size_t size;
};

/* One IPv6 extension header. */
struct frame_extension {
	uint8_t header; /* IPPROTO_HOPOPTS, IPPROTO_ROUTING, IPPROTO_DSTOPTS, IPPROTO_FRAGMENT */
	uint16_t bytes; /* a multiple of 8; 0: 8.  Options are PadN, a routing header has no
			 * segments left */
};

/* The beginning of a UDP payload as QUIC version 1 has it (RFC 9000, section 17). */
struct frame_quic {
	uint8_t first; /* first byte; 0x80: a long header; 0: none of this */
	uint8_t dcid_bytes;
	uint8_t dcid[FRAME_CID_BYTES_MAX]; /* destination connection id */
};

/* What is zero is the ordinary: TTL 64, no options, no fragment, no tags. */
struct frame_spec {
	const char *src, *dst; /* both IPv4 or both IPv6 */
	uint16_t src_port, dst_port;
	uint8_t proto; /* IPPROTO_TCP, UDP, ICMP, ICMPV6; others get no L4 header */
	uint8_t flags; /* of TCP */
	uint8_t ttl;
	uint8_t tos; /* DSCP and ECN, or traffic class */
	uint16_t payload_bytes; /* 0, 1, 2 ... 255, 0 ... */
	uint16_t payload_word; /* over the first two bytes, if not 0 */
	uint16_t vlans[FRAME_VLANS_MAX]; /* tags from the outside in, until one is 0; the outer one
					  * of two is 802.1ad, else 802.1Q */
	uint8_t option_bytes; /* IPv4 options (NOP), times of 4 up to 40; or one more IPv6
			       * destination options header, times of 8 */
	struct frame_extension extensions[FRAME_EXTENSIONS_MAX]; /* IPv6, in order ... */
	uint8_t extension_count; /* ... of which so many */
	bool is_fragment; /* more follow */
	bool may_fragment; /* IPv4: DF is not set; never is where there is a fragment */
	uint16_t fragment_offset; /* in units of 8 bytes; if not 0 there is no L4 header.  IPv6: a
				   * fragment header, the last of the chain unless it names one */
	uint32_t id; /* IPv4: 16 bits; IPv6: of the fragment header */
	bool no_udp_checksum;
	bool with_udp_checksum; /* around an inner packet, where there is none by default */
	int length_lie; /* added to the IP length field */
	uint32_t seq, ack; /* of TCP; seq 0: 0x1234 */
	uint8_t tcp_options;
	uint16_t mss;
	const uint8_t *option_list; /* TCP options behind those, as they are; option_list_bytes of
				     * them, times of 4 */
	uint8_t option_list_bytes;
	uint16_t window; /* of TCP, the field; 0: ffff */
	bool has_closed_window; /* 0 it is */
	uint8_t icmp_type, icmp_code;
	uint32_t icmp_word; /* second word: MTU; or identifier and sequence number */
	struct frame_quic quic; /* UDP payload begins with this; payload_bytes follow */
	const struct frame_spec *inner; /* the payload is this IP packet, without Ethernet header:
					 * the quote of an ICMP error; IP in IP (proto 4, 41); GUE
					 * (UDP to port 6080) */
	uint16_t inner_bytes; /* ... cut to so many bytes; 0: all of it */
};

/* A frame as it was seen. */
struct frame_seen {
	uint8_t dst_mac[6], src_mac[6];
	uint16_t vlans[FRAME_VLANS_MAX]; /* as in frame_spec */
	bool is_ipv6;
	bool has_df;
	bool is_fragment; /* more follow */
	char src[64], dst[64];
	uint16_t src_port, dst_port;
	uint8_t proto, flags, ttl, tos;
	uint16_t fragment_offset; /* in units of 8 bytes */
	uint32_t id;
	uint32_t seq, ack;
	uint16_t window;
	uint8_t icmp_type, icmp_code;
	uint32_t icmp_word;
	size_t l3_bytes; /* of headers: IP with its options or extension headers */
	size_t payload_bytes;
	const uint8_t *ip; /* the IP packet, in the caller's bytes; ip_bytes of it */
	size_t ip_bytes;
	const uint8_t *payload; /* likewise: behind the L4 header; the quote of an ICMP error */
	uint16_t l4_checksum; /* the field, host order */
	bool l3_checksum_right; /* true for IPv6, which has none */
	bool l4_checksum_right; /* also for UDP without one, and what has none */
};

/* A frame that carries an IP packet as it was seen: IPIP (4 in 4, 6 in 4, 4 in 6,
 * 6 in 6) or GUE variant 1. */
struct outer_seen {
	struct frame_seen outer; /* proto IPPROTO_IPIP, IPPROTO_IPV6 or IPPROTO_UDP */
	const uint8_t *inner; /* the IP packet, in the caller's bytes */
	size_t inner_bytes;
	bool inner_is_ipv6;
};

void frame_build(struct frame *frame, const struct frame_spec *spec);
/* Only the IP packet of it; returns its size. */
size_t frame_build_ip(uint8_t *ip, const struct frame_spec *spec);
/* Where the IP header of a built or received frame begins: behind the tags. */
size_t frame_ip_offset(const uint8_t *bytes, size_t size);

/* False: no IP packet that is whole, or headers that contradict each other or the
 * protocol number.  Bytes behind the IP packet (padding) are not looked at. */
bool frame_read(const uint8_t *bytes, size_t size, struct frame_seen *ret_seen);
/* The same from the IP header on; MACs and tags stay zero. */
bool frame_read_ip(const uint8_t *ip, size_t size, struct frame_seen *ret_seen);
/* What an ICMP error quotes, up to `size` bytes: addresses, ports if there, L3
 * checksum; the L4 checksum is judged when all of the packet is there, and true
 * otherwise. */
bool frame_read_quote(const uint8_t *quote, size_t size, struct frame_seen *ret_seen);
/* False: not encapsulated in one of the ways above, inner lengths that
 * contradict outer ones, or a GUE header that is none.  Checksums are in
 * ret_seen->outer. */
bool frame_read_outer(const uint8_t *bytes, size_t size, struct outer_seen *ret_seen);

/* Are both IP packets the same bytes, but for a TTL that is lower by `ttl_less`
 * in the second (and its checksum)?  Prints the first difference. */
bool ip_is_same(const uint8_t *sent, size_t sent_bytes, const uint8_t *got, size_t got_bytes,
		unsigned ttl_less);

/* ---- fragments (packet_fragment.c) ---- */
/* The fragment of `whole` that begins at `offset` bytes of its payload (a multiple
 * of 8) and has `bytes` of it at most.  The payload is what follows the IPv4
 * header, or IPv6 header and extensions before which a fragment header goes (all
 * of them). */
void frame_fragment(const struct frame *whole, uint32_t id, uint16_t offset, uint16_t bytes,
		    struct frame *ret_fragment);
/* The whole frame again; fragments in order.  False: they do not fit together. */
bool frame_reassemble(const struct frame *fragments, size_t count, struct frame *ret_whole);

/* ---- bytes (for all three files) ---- */
void frame_put16(uint8_t *at, unsigned value);
void frame_put32(uint8_t *at, uint32_t value);
unsigned frame_get16(const uint8_t *at);
uint32_t frame_get32(const uint8_t *at);
/* RFC 1071 over big-endian words, not folded; an odd last byte is padded. */
uint32_t frame_sum_add(uint32_t sum, const uint8_t *bytes, size_t size);
uint16_t frame_sum_fold(uint32_t sum);
/* Of L4 bytes and the pseudo header of the IP packet; ICMP over IPv4 has none. */
uint16_t frame_l4_sum(const uint8_t *ip, uint8_t proto, const uint8_t *l4, size_t size);

#endif
