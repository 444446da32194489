// SPDX-License-Identifier: BSD-2-Clause
/* What is not ours, or not whole: passed or dropped by name, never rewritten. */
#include <linux/bpf.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/socket.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <cmocka.h>

#include "tests/harness/way.h"
#include "userspace/base/address.h"

#define ETHERNET_BYTES 14

/* Passed, with the frame as it came, and counted once under `verdict`. */
static void assert_untouched(struct bench *bench, const struct way *way, const struct frame *frame,
			     enum verdict verdict)
{
	struct run run;

	bench_mark(bench);
	run = bench_run(bench, way->program, bench->client_ifindex, frame);
	assert_true(run.is_passed);
	assert_int_equal(run.out.size, frame->size);
	assert_memory_equal(run.out.bytes, frame->bytes, frame->size);
	if (way->program == PROGRAM_XDP)
		assert_int_equal(run.mark_verdict, verdict);
	assert_true(bench_only(bench, verdict));
}

static void an_l7_vip_passes_untouched(void **state)
{
	for (EACH_WAY(way)) {
		struct bench *bench = bench_of(state);
		struct frame_spec spec = way_request(way, 4000, 0);
		struct frame frame;

		bench_vip(bench, way_vip(way), 80, way->proto, VIP_MODE_L7);
		frame_build(&frame, &spec);
		assert_untouched(bench, way, &frame, VERDICT_L7_LOCAL);
	}
}

static void an_l7_vip_passes_what_an_l4_vip_would_refuse(void **state)
{
	for (EACH_WAY(way)) {
		struct bench *bench = bench_of(state);
		struct frame_spec spec = way_request(way, 4000, 0);
		struct frame frame;

		bench_vip(bench, way_vip(way), 80, way->proto, VIP_MODE_L7);
		spec.option_bytes = 8;
		spec.ttl = 1;
		frame_build(&frame, &spec);
		assert_untouched(bench, way, &frame, VERDICT_L7_LOCAL);
		spec.option_bytes = 0;
		spec.is_fragment = true;
		frame_build(&frame, &spec);
		assert_untouched(bench, way, &frame, VERDICT_L7_LOCAL);
	}
}

static void another_port_or_protocol_of_a_vip_is_a_stranger(void **state)
{
	for (EACH_WAY(way)) {
		struct bench *bench = bench_of(state);
		struct frame_spec spec = way_request(way, 4000, 0);
		struct frame frame;

		bench_serve(bench, way->is_ipv6);
		spec.dst_port = 81;
		frame_build(&frame, &spec);
		assert_untouched(bench, way, &frame, VERDICT_NOT_A_VIP);
		spec.dst_port = 80;
		spec.proto = way->is_ipv6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP;
		frame_build(&frame, &spec);
		assert_untouched(bench, way, &frame, VERDICT_NOT_A_VIP);
	}
}

static void what_is_not_ip_passes_untouched(void **state)
{
	for (EACH_WAY(way)) {
		struct bench *bench = bench_of(state);
		struct frame_spec spec = way_request(way, 4000, 0);
		struct frame frame;

		frame_build(&frame, &spec);
		frame.bytes[12] = 0x08; /* ARP */
		frame.bytes[13] = 0x06;
		assert_untouched(bench, way, &frame, VERDICT_NOT_IP);
		frame.bytes[12] = 0x81; /* VLAN tag in the frame */
		frame.bytes[13] = 0x00;
		assert_untouched(bench, way, &frame, VERDICT_NOT_IP);
	}
}

/* The test run of TC refuses to make a packet with less than an IP header. */
static size_t cut_first(const struct way *way)
{
	if (way->program != PROGRAM_TC)
		return ETHERNET_BYTES;
	return ETHERNET_BYTES + (way->is_ipv6 ? 40 : 20);
}

static void a_frame_cut_at_any_byte_is_never_rewritten(void **state)
{
	for (EACH_WAY(way)) {
		struct bench *bench = bench_of(state);
		struct frame_spec spec = way_request(way, 4000, 0);
		struct frame frame;

		bench_serve(bench, way->is_ipv6);
		frame_build(&frame, &spec);
		for (size_t size = frame.size - 1; size >= cut_first(way); size--) {
			frame.size = size;
			bench_mark(bench);
			assert_true(bench_run(bench, way->program, bench->client_ifindex, &frame)
					    .is_dropped);
			assert_true(bench_only(bench, VERDICT_MALFORMED));
		}
	}
}

static void lengths_that_lie_are_dropped(void **state)
{
	static const int lies[] = {1, 100, -34, -40, -53};

	for (EACH_WAY(way)) {
		struct bench *bench = bench_of(state);

		bench_serve(bench, way->is_ipv6);
		for (size_t i = 0; i < ARRAY_SIZE(lies); i++) {
			struct frame_spec spec = way_request(way, 4000, 0);

			spec.length_lie = lies[i];
			bench_mark(bench);
			assert_true(way_send(bench, way, &spec, false).is_dropped);
			assert_true(bench_only(bench, VERDICT_MALFORMED));
		}
	}
}

static void options_and_extension_headers_to_an_l4_vip_are_dropped(void **state)
{
	for (EACH_WAY(way)) {
		struct bench *bench = bench_of(state);
		struct frame_spec spec = way_request(way, 4000, 0);

		bench_serve(bench, way->is_ipv6);
		spec.option_bytes = 8;
		assert_true(way_send(bench, way, &spec, false).is_dropped);
		assert_true(bench_only(bench, VERDICT_UNSUPPORTED));
	}
}

static void a_first_fragment_is_dropped_and_a_later_one_passed(void **state)
{
	for (EACH_WAY(way)) {
		struct bench *bench = bench_of(state);
		struct frame_spec spec = way_request(way, 4000, 0);
		struct frame frame;

		bench_serve(bench, way->is_ipv6);
		spec.is_fragment = true;
		assert_true(way_send(bench, way, &spec, false).is_dropped);
		assert_true(bench_only(bench, VERDICT_FRAGMENT));
		spec.is_fragment = false;
		spec.fragment_offset = 10;
		frame_build(&frame, &spec);
		assert_untouched(bench, way, &frame, VERDICT_LATER_FRAGMENT);
	}
}

static void ethernet_padding_is_no_lie(void **state)
{
	for (EACH_WAY(way)) {
		struct bench *bench = bench_of(state);
		struct frame_spec spec = way_request(way, 4000, 0);
		struct frame frame;
		struct run run;

		bench_serve(bench, way->is_ipv6);
		spec.payload_bytes = 0;
		frame_build(&frame, &spec);
		frame.size += 6;
		run = bench_run(bench, way->program, bench->client_ifindex, &frame);
		assert_int_equal(way_sent(&run).payload_bytes, 0);
	}
}

static int event_take(void *ctx, void *data, size_t size)
{
	struct event *last = ctx;

	assert_int_equal(size, sizeof(*last));
	memcpy(last, data, sizeof(*last));
	return 0;
}

static void an_event_says_who_and_why(void **state)
{
	struct bench *bench = bench_of(state);
	struct event last = {0};
	struct ring_buffer *ring;
	char path[PIN_PATH_MAX], text[ADDRESS_TEXT_MAX];
	int fd;

	snprintf(path, sizeof(path), "%s/events", bench->dirs.live);
	fd = bpf_obj_get(path);
	assert_true(fd >= 0);
	ring = ring_buffer__new(fd, event_take, &last, NULL);
	assert_non_null(ring);
	bench_serve(bench, false);
	way_ask(bench, &ways[0], 4321, FLAG_ACK);
	assert_int_equal(ring_buffer__consume(ring), 0); /* nobody has asked */
	assert_int_equal(capture_put(bench->operator,
				     &(struct capture){.interval = 1,
						       .vip = VIP_ID_ANY,
						       .until = ~0ull}),
			 0);
	way_ask(bench, &ways[0], 4321, FLAG_ACK);
	assert_int_equal(capture_put(bench->operator, &(struct capture){0}), 0);
	assert_true(ring_buffer__consume(ring) > 0);
	assert_int_equal(last.verdict, VERDICT_NO_FLOW);
	assert_string_equal(address_format(&last.src, text), "10.1.0.2");
	assert_string_equal(address_format(&last.dst, text), "10.99.0.1");
	assert_int_equal(ntohs(last.src_port), 4321);
	assert_int_equal(last.endpoint, ENDPOINT_NONE);
	assert_int_equal(last.ifindex, bench->client_ifindex);
	assert_int_equal(last.frame_bytes, 14 + 20 + 20 + 33);
	assert_int_equal(last.snap_bytes, last.frame_bytes);
	assert_int_equal(last.snap[14], 0x45);
	assert_int_equal(last.snap[last.snap_bytes - 1], 32);
	ring_buffer__free(ring);
	close(fd);
}

/* A listening socket of the family, in slot `slot` of `listeners`. */
static int listener_make(const struct bench *bench, uint32_t slot)
{
	struct ip_addr addr;
	struct sockaddr_storage sa;
	char path[PIN_PATH_MAX];
	uint64_t socket_fd;
	socklen_t length;
	int fd, map;

	address_parse(slot == LISTENER_IPV4 ? "127.0.0.1" : "::1", &addr);
	length = address_to_sockaddr(&addr, 0, &sa);
	fd = socket(sa.ss_family, SOCK_STREAM, 0);
	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&sa, length), 0);
	assert_int_equal(listen(fd, 1), 0);
	snprintf(path, sizeof(path), "%s/listeners", bench->dirs.live);
	map = bpf_obj_get(path);
	socket_fd = (uint64_t)fd;
	assert_int_equal(bpf_map_update_elem(map, &slot, &socket_fd, BPF_ANY), 0);
	close(map);
	return fd;
}

static uint64_t cookie_of(int fd)
{
	uint64_t cookie = 0;
	socklen_t size = sizeof(cookie);

	getsockopt(fd, SOL_SOCKET, SO_COOKIE, &cookie, &size);
	return cookie;
}

/* The cookie of the socket that a connection to ADDR:port gets; 0: none chosen. */
static uint64_t lookup(const struct bench *bench, const char *addr, uint16_t port)
{
	struct bpf_sk_lookup in = {.protocol = IPPROTO_TCP, .local_port = port}, out = {0};
	LIBBPF_OPTS(bpf_test_run_opts, options, .ctx_in = &in, .ctx_size_in = sizeof(in),
		    .ctx_out = &out, .ctx_size_out = sizeof(out));
	struct ip_addr parsed;

	address_parse(addr, &parsed);
	in.family = address_is_ipv4(&parsed) ? AF_INET : AF_INET6;
	in.local_ip4 = parsed.words[3];
	if (in.family == AF_INET6)
		memcpy(in.local_ip6, &parsed, sizeof(parsed));
	assert_int_equal(bpf_prog_test_run_opts(bench->programs[PROGRAM_SK_LOOKUP], &options), 0);
	assert_int_equal(options.retval, SK_PASS);
	return out.cookie;
}

static void sk_lookup_gives_an_l7_vip_to_the_listener_of_its_family(void **state)
{
	struct bench *bench = bench_of(state);
	int ipv4, ipv6;

	ipv4 = listener_make(bench, LISTENER_IPV4);
	ipv6 = listener_make(bench, LISTENER_IPV6);
	bench_vip(bench, "10.99.0.1", 443, IPPROTO_TCP, VIP_MODE_L7);
	bench_vip(bench, "fd00:99::1", 443, IPPROTO_TCP, VIP_MODE_L7);
	assert_int_equal(lookup(bench, "10.99.0.1", 443), cookie_of(ipv4));
	assert_int_equal(lookup(bench, "fd00:99::1", 443), cookie_of(ipv6));
	assert_int_equal(bench_counted(bench, VERDICT_L7_ASSIGNED), 2);
	close(ipv4);
	close(ipv6);
}

static void sk_lookup_leaves_all_others_alone(void **state)
{
	struct bench *bench = bench_of(state);
	int ipv4 = listener_make(bench, LISTENER_IPV4);

	bench_vip(bench, "10.99.0.1", 443, IPPROTO_TCP, VIP_MODE_L7);
	bench_vip(bench, "10.99.0.1", 80, IPPROTO_TCP, VIP_MODE_L4);
	assert_int_equal(lookup(bench, "10.99.0.1", 444), 0);
	assert_int_equal(lookup(bench, "10.99.0.1", 80), 0);
	assert_int_equal(lookup(bench, "10.99.0.2", 443), 0);
	assert_int_equal(bench_counted(bench, VERDICT_L7_ASSIGNED), 0);
	close(ipv4);
}

static void without_a_listener_sk_lookup_says_so_and_passes(void **state)
{
	struct bench *bench = bench_of(state);

	bench_vip(bench, "10.99.0.1", 443, IPPROTO_TCP, VIP_MODE_L7);
	assert_int_equal(lookup(bench, "10.99.0.1", 443), 0);
	assert_true(bench_only(bench, VERDICT_L7_NO_LISTENER));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_l7_vip_passes_untouched),
		cmocka_unit_test(an_l7_vip_passes_what_an_l4_vip_would_refuse),
		cmocka_unit_test(another_port_or_protocol_of_a_vip_is_a_stranger),
		cmocka_unit_test(what_is_not_ip_passes_untouched),
		cmocka_unit_test(a_frame_cut_at_any_byte_is_never_rewritten),
		cmocka_unit_test(lengths_that_lie_are_dropped),
		cmocka_unit_test(options_and_extension_headers_to_an_l4_vip_are_dropped),
		cmocka_unit_test(a_first_fragment_is_dropped_and_a_later_one_passed),
		cmocka_unit_test(ethernet_padding_is_no_lie),
		cmocka_unit_test(an_event_says_who_and_why),
		cmocka_unit_test(sk_lookup_gives_an_l7_vip_to_the_listener_of_its_family),
		cmocka_unit_test(sk_lookup_leaves_all_others_alone),
		cmocka_unit_test(without_a_listener_sk_lookup_says_so_and_passes),
	};

	return cmocka_run_group_tests(tests, bench_setup, bench_teardown);
}
