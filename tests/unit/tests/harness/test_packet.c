// SPDX-License-Identifier: BSD-2-Clause
/* Frames are what their description says, and a wrong bit does not go unseen. */
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "tests/harness/packet.h"
#include "userspace/base/cleanup.h"

static const struct frame_spec tcp4 = {.src = "10.1.0.2",
				       .dst = "10.99.0.1",
				       .src_port = 4000,
				       .dst_port = 80,
				       .proto = IPPROTO_TCP,
				       .flags = FLAG_SYN,
				       .payload_bytes = 33};
static const struct frame_spec udp6 = {.src = "fd00:1::2",
				       .dst = "fd00:99::1",
				       .src_port = 4000,
				       .dst_port = 80,
				       .proto = IPPROTO_UDP,
				       .payload_bytes = 900};

static struct frame_seen seen_of(const struct frame *frame)
{
	struct frame_seen seen;

	assert_true(frame_read(frame->bytes, frame->size, &seen));
	return seen;
}

/* The bytes of a SYN worked out by hand, checksums with another program. */
static void a_tcp_frame_is_the_bytes_of_the_rfcs(void **state)
{
	static const uint8_t wanted[] = {0x45, 0x00, 0x00, 0x28, 0x00, 0x00, 0x40, 0x00,
					 0x40, 0x06, 0x26, 0x6a, 10,   1,    0,	   2,
					 10,   99,   0,	   1,	 0x0f, 0xa0, 0x00, 0x50,
					 0x00, 0x00, 0x12, 0x34, 0x00, 0x00, 0x00, 0x00,
					 0x50, 0x02, 0xff, 0xff, 0x79, 0x58, 0x00, 0x00};
	struct frame_spec spec = tcp4;
	struct frame frame;

	(void)state;
	spec.payload_bytes = 0;
	frame_build(&frame, &spec);
	assert_int_equal(frame.size, 14 + sizeof(wanted));
	assert_memory_equal(frame.bytes + 14, wanted, sizeof(wanted));
}

static void what_was_built_is_read_back(void **state)
{
	struct frame_spec spec = tcp4;
	struct frame_seen seen;
	struct frame frame;

	(void)state;
	spec.vlans[0] = 100;
	spec.vlans[1] = 7;
	spec.option_bytes = 40;
	spec.tos = 0xb9;
	spec.mss = 1460;
	spec.tcp_options = FRAME_TIMESTAMPS | FRAME_SACK;
	frame_build(&frame, &spec);
	seen = seen_of(&frame);
	assert_int_equal(frame.bytes[12] << 8 | frame.bytes[13], 0x88a8);
	assert_int_equal(seen.vlans[0], 100);
	assert_int_equal(seen.vlans[1], 7);
	assert_int_equal(seen.l3_bytes, 60);
	assert_int_equal(seen.tos, 0xb9);
	assert_int_equal(seen.payload_bytes, 33);
	assert_true(seen.l3_checksum_right && seen.l4_checksum_right && seen.has_df);
}

static void every_flipped_bit_of_a_packet_is_seen(void **state)
{
	struct frame_seen seen;
	struct frame frame;

	(void)state;
	frame_build(&frame, &tcp4);
	for (size_t bit = 14 * 8; bit < frame.size * 8; bit++) {
		struct frame flipped = frame;

		flipped.bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
		assert_true(!frame_read(flipped.bytes, flipped.size, &seen) ||
			    !seen.l3_checksum_right || !seen.l4_checksum_right);
	}
}

static void extension_headers_form_a_chain(void **state)
{
	struct frame_spec spec = udp6;
	struct frame_seen seen;
	struct frame frame;

	(void)state;
	spec.extensions[0] = (struct frame_extension){IPPROTO_HOPOPTS, 16};
	spec.extensions[1] = (struct frame_extension){IPPROTO_ROUTING, 24};
	spec.extensions[2] = (struct frame_extension){IPPROTO_FRAGMENT, 8};
	spec.extensions[3] = (struct frame_extension){IPPROTO_DSTOPTS, 520};
	spec.extension_count = 4;
	spec.is_fragment = true;
	spec.id = 0xabcdef01;
	frame_build(&frame, &spec);
	seen = seen_of(&frame);
	assert_int_equal(seen.l3_bytes, 40 + 16 + 24 + 8 + 520);
	assert_int_equal(seen.proto, IPPROTO_UDP);
	assert_int_equal(seen.dst_port, 80);
	assert_true(seen.is_fragment);
	assert_int_equal(seen.id, 0xabcdef01);
}

static void fragments_make_the_whole_again(void **state)
{
	const struct frame_spec *specs[] = {&tcp4, &udp6};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(specs); i++) {
		struct frame_spec spec = *specs[i];
		struct frame whole, again, parts[3];

		spec.payload_bytes = 900;
		spec.may_fragment = true;
		frame_build(&whole, &spec);
		frame_fragment(&whole, 77, 0, 400, &parts[0]);
		frame_fragment(&whole, 77, 400, 400, &parts[1]);
		frame_fragment(&whole, 77, 800, 400, &parts[2]);
		assert_int_equal(seen_of(&parts[1]).fragment_offset, 50);
		assert_true(seen_of(&parts[1]).is_fragment);
		assert_false(seen_of(&parts[2]).is_fragment);
		assert_true(frame_reassemble(parts, 3, &again));
		assert_true(seen_of(&again).l4_checksum_right);
		assert_int_equal(again.size, whole.size);
		assert_false(frame_reassemble(parts, 2, &again));
		parts[2].bytes[parts[2].size - 1] ^= 1;
		assert_true(frame_reassemble(parts, 3, &again));
		assert_false(seen_of(&again).l4_checksum_right);
	}
}

static void an_icmp_error_quotes_as_much_as_was_asked(void **state)
{
	struct frame_spec spec = {.src = "10.2.0.2",
				  .dst = "10.99.0.1",
				  .proto = IPPROTO_ICMP,
				  .icmp_type = 3,
				  .icmp_code = 4,
				  .icmp_word = 1400,
				  .inner = &tcp4,
				  .inner_bytes = 28};
	struct frame_seen seen, quote;
	struct frame frame;

	(void)state;
	frame_build(&frame, &spec);
	seen = seen_of(&frame);
	assert_int_equal(seen.icmp_word, 1400);
	assert_int_equal(seen.payload_bytes, 28);
	assert_true(seen.l4_checksum_right);
	assert_true(frame_read_quote(seen.payload, seen.payload_bytes, &quote));
	assert_string_equal(quote.dst, "10.99.0.1");
	assert_int_equal(quote.src_port, 4000);
	assert_true(quote.l3_checksum_right);
}

static void encapsulated_packets_are_found_inside(void **state)
{
	static const struct {
		uint8_t proto;
		bool outer_ipv6, inner_ipv6;
	} ways[] = {{IPPROTO_IPIP, false, false}, {IPPROTO_IPIP, true, false},
		    {IPPROTO_IPV6, false, true},  {IPPROTO_IPV6, true, true},
		    {IPPROTO_UDP, false, false},  {IPPROTO_UDP, true, true}};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(ways); i++) {
		const struct frame_spec *inner = ways[i].inner_ipv6 ? &udp6 : &tcp4;
		struct frame_spec spec = {.src = ways[i].outer_ipv6 ? "fd00:2::1" : "10.2.0.1",
					  .dst = ways[i].outer_ipv6 ? "fd00:2::2" : "10.2.0.2",
					  .proto = ways[i].proto,
					  .inner = inner};
		struct frame frame, alone;
		struct outer_seen seen;

		spec.src_port = 50000;
		spec.dst_port = FRAME_GUE_PORT;
		frame_build(&frame, &spec);
		frame_build(&alone, inner);
		assert_true(frame_read_outer(frame.bytes, frame.size, &seen));
		assert_true(seen.outer.l3_checksum_right && seen.outer.l4_checksum_right);
		assert_true(ip_is_same(alone.bytes + 14, alone.size - 14, seen.inner,
				       seen.inner_bytes, 0));
		frame.size -= 1;
		assert_false(frame_read_outer(frame.bytes, frame.size, &seen));
	}
}

static void a_quic_payload_has_its_connection_id_where_the_rfc_puts_it(void **state)
{
	struct frame_spec spec = {.src = "10.1.0.2",
				  .dst = "10.99.0.1",
				  .src_port = 1,
				  .dst_port = 443,
				  .proto = IPPROTO_UDP,
				  .payload_bytes = 20,
				  .quic = {.first = 0x40, .dcid_bytes = 8, .dcid = {8, 0, 5}}};
	struct frame_seen seen;
	struct frame frame;

	(void)state;
	frame_build(&frame, &spec);
	seen = seen_of(&frame);
	assert_int_equal(seen.payload_bytes, 29);
	assert_int_equal(seen.payload[1], 8);
	assert_int_equal(seen.payload[3], 5);
	spec.quic.first = 0xe0;
	frame_build(&frame, &spec);
	seen = seen_of(&frame);
	assert_int_equal(seen.payload[5], 8); /* its length */
	assert_int_equal(seen.payload[8], 5);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_tcp_frame_is_the_bytes_of_the_rfcs),
		cmocka_unit_test(what_was_built_is_read_back),
		cmocka_unit_test(every_flipped_bit_of_a_packet_is_seen),
		cmocka_unit_test(extension_headers_form_a_chain),
		cmocka_unit_test(fragments_make_the_whole_again),
		cmocka_unit_test(an_icmp_error_quotes_as_much_as_was_asked),
		cmocka_unit_test(encapsulated_packets_are_found_inside),
		cmocka_unit_test(a_quic_payload_has_its_connection_id_where_the_rfc_puts_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
