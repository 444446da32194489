// SPDX-License-Identifier: BSD-2-Clause
/* Frames read back with the harness's reader, which shares nothing with the builder. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "maps/cli/explain_packet.h"
#include "tests/harness/packet.h"
#include "tests/harness/said.h"
#include "userspace/base/cleanup.h"
#include "userspace/base/log.h"

static struct explain_packet parse(struct explain_words words)
{
	struct explain_packet packet;

	said[0] = '\0';
	if (explain_packet_parse(&words, &packet))
		fail_msg("%s", said);
	return packet;
}

static struct frame_seen build(const struct explain_packet *packet, size_t *ret_size)
{
	uint8_t frame[EXPLAIN_FRAME_MAX];
	struct frame_seen seen;

	*ret_size = explain_packet_build(packet, frame);
	assert_true(*ret_size <= sizeof(frame));
	assert_true(frame_read(frame, *ret_size, &seen));
	assert_true(seen.l3_checksum_right);
	assert_true(seen.l4_checksum_right);
	assert_int_equal(seen.ttl, 64);
	return seen;
}

static void a_tcp_packet_is_a_syn_with_right_checksums(void **state)
{
	struct explain_packet packet =
		parse((struct explain_words){.src = "10.1.0.2:40000", .dst = "10.99.0.20:8000"});
	static const uint8_t mac[6] = {1, 2, 3, 4, 5, 6};
	struct frame_seen seen;
	size_t size;

	(void)state;
	memcpy(packet.mac, mac, sizeof(mac));
	seen = build(&packet, &size);
	assert_int_equal(size, 14 + 20 + 20);
	assert_memory_equal(seen.dst_mac, mac, sizeof(mac));
	assert_int_equal(seen.proto, IPPROTO_TCP);
	assert_string_equal(seen.src, "10.1.0.2");
	assert_string_equal(seen.dst, "10.99.0.20");
	assert_int_equal(seen.src_port, 40000);
	assert_int_equal(seen.dst_port, 8000);
	assert_int_equal(seen.flags, 0x02);
}

static void flags_are_as_asked_for_in_ipv6_too(void **state)
{
	const struct explain_packet packet = parse((struct explain_words){
		.src = "[fd00:1::2]:40000", .dst = "[fd00:99::1]:443/tcp", .tcp_flags = "fin,ack"});
	struct frame_seen seen;
	size_t size;

	(void)state;
	seen = build(&packet, &size);
	assert_int_equal(size, 14 + 40 + 20);
	assert_string_equal(seen.src, "fd00:1::2");
	assert_string_equal(seen.dst, "fd00:99::1");
	assert_int_equal(seen.flags, 0x11);
}

static void checksums_are_right_for_any_address_and_port(void **state)
{
	static const char *const ends[][2] = {
		{"255.255.255.254:65535", "0.0.0.1:1/udp"},
		{"10.1.0.2:1", "10.99.0.20:65535/udp"},
		{"[ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe]:65535", "[::2]:1/udp"},
		{"[fd00::1]:5", "[fd00::2]:6/tcp"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(ends); i++) {
		const struct explain_packet packet =
			parse((struct explain_words){.src = ends[i][0], .dst = ends[i][1]});
		size_t size;

		build(&packet, &size);
	}
}

static void a_quic_packet_has_the_connection_id_behind_one_octet(void **state)
{
	const struct explain_packet packet = parse((struct explain_words){
		.src = "10.1.0.2:40000", .dst = "10.99.0.20:443", .quic_cid = "00012aFF"});
	static const uint8_t wanted[] = {0x40, 0x00, 0x01, 0x2a, 0xff};
	uint8_t frame[EXPLAIN_FRAME_MAX];
	struct frame_seen seen;
	size_t size;

	(void)state;
	seen = build(&packet, &size);
	assert_int_equal(seen.proto, IPPROTO_UDP);
	assert_int_equal(seen.payload_bytes, 1 + 4 + QUIC_AFTER_CID_BYTES);
	explain_packet_build(&packet, frame);
	assert_memory_equal(frame + 14 + 20 + 8, wanted, sizeof(wanted));
}

static void the_longest_connection_id_fits(void **state)
{
	const struct explain_packet packet = parse(
		(struct explain_words){.src = "[fd00::1]:1",
				       .dst = "[fd00::2]:443/udp",
				       .quic_cid = "000102030405060708090a0b0c0d0e0f10111213"});
	size_t size;

	(void)state;
	build(&packet, &size);
	assert_int_equal(size, 14 + 40 + 8 + 1 + 20 + QUIC_AFTER_CID_BYTES);
}

static void what_makes_no_packet_is_refused(void **state)
{
	static const struct {
		struct explain_words words;
		const char *says;
	} cases[] = {
		{{.src = "10.1.0.2:1"}, "--src and --dst are needed"},
		{{.dst = "10.1.0.2:1"}, "--src and --dst are needed"},
		{{.src = "10.1.0.2", .dst = "10.99.0.20:1"}, "--src 10.1.0.2: wants"},
		{{.src = "10.1.0.2:1", .dst = "10.99.0.20"}, "--dst 10.99.0.20: wants"},
		{{.src = "10.1.0.2:1", .dst = "10.99.0.20:1/sctp"}, "/sctp: wants"},
		{{.src = "10.1.0.2:1", .dst = "10.99.0.20:1/"}, "wants"},
		{{.src = "10.1.0.2:1", .dst = "[fd00::1]:1"}, "not of one IP family"},
		{{.src = "10.1.0.2:1", .dst = "10.99.0.20:1", .tcp_flags = "x"}, "--tcp-flags x"},
		{{.src = "10.1.0.2:1", .dst = "10.99.0.20:1/udp", .tcp_flags = "syn"},
		 "UDP has none"},
		{{.src = "10.1.0.2:1", .dst = "10.99.0.20:1", .quic_cid = "0"}, "--quic-cid 0"},
		{{.src = "10.1.0.2:1", .dst = "10.99.0.20:1", .quic_cid = ""}, "--quic-cid"},
		{{.src = "10.1.0.2:1", .dst = "10.99.0.20:1", .quic_cid = "0g"}, "--quic-cid 0g"},
		{{.src = "10.1.0.2:1",
		  .dst = "10.99.0.20:1",
		  .quic_cid = "000102030405060708090a0b0c0d0e0f1011121314"},
		 "1 to 20 octets"},
		{{.src = "10.1.0.2:1", .dst = "10.99.0.20:1/tcp", .quic_cid = "00"}, "QUIC is UDP"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct explain_packet packet;

		said[0] = '\0';
		assert_int_equal(explain_packet_parse(&cases[i].words, &packet), -EINVAL);
		if (!strstr(said, cases[i].says))
			fail_msg("'%s' is not in: %s", cases[i].says, said);
	}
}

static int prepare(void **state)
{
	(void)state;
	log_sink = said_keep;
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_tcp_packet_is_a_syn_with_right_checksums),
		cmocka_unit_test(flags_are_as_asked_for_in_ipv6_too),
		cmocka_unit_test(checksums_are_right_for_any_address_and_port),
		cmocka_unit_test(a_quic_packet_has_the_connection_id_behind_one_octet),
		cmocka_unit_test(the_longest_connection_id_fits),
		cmocka_unit_test(what_makes_no_packet_is_refused),
	};

	return cmocka_run_group_tests(tests, prepare, NULL);
}
