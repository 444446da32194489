// SPDX-License-Identifier: BSD-2-Clause
#include <arpa/inet.h>
#include <linux/rtnetlink.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "userspace/base/address.h"
#include "userspace/paths/choice.h"

static struct link_table *links;

static struct ip_addr addr_of(const char *text)
{
	struct ip_addr addr;

	assert_int_equal(address_parse(text, &addr), 0);
	return addr;
}

static int group_setup(void **state)
{
	const struct link eth0 = {.ifindex = 2, .mtu = 1500, .ethernet = true, .up = true};

	(void)state;
	links = calloc(1, sizeof(*links));
	link_table_put(links, &eth0);
	return 0;
}

static int group_teardown(void **state)
{
	(void)state;
	free(links);
	return 0;
}

static struct path_choice choose(const char *to, const struct route_answer *route,
				 const struct contract *contract)
{
	struct ip_addr addr = addr_of(to);

	return path_choose(WAY_IPIP, &addr, route, links, contract);
}

static void source_is_the_routes_then_the_operators_then_the_kernels(void **state)
{
	struct route_answer route = {.type = RTN_UNICAST, .ifindex = 2};
	struct contract contract = {.encap6 = addr_of("fd00::e")}; /* of the other family */
	struct path_choice choice = choose("10.0.0.5", &route, &contract);
	struct ip_addr *sources[] = {&route.chosen_src, &contract.snat4, &contract.encap4,
				     &route.prefsrc};

	(void)state;
	assert_int_equal(choice.problem, PATH_PROBLEM_NO_SOURCE);
	for (size_t i = 0; i < 4; i++) {
		*sources[i] = addr_of("10.0.0.1");
		sources[i]->bytes[15] = (uint8_t)(10 + i);
		choice = choose("10.0.0.5", &route, &contract);
		assert_int_equal(choice.problem, PATH_PROBLEM_NONE);
		assert_true(address_equal(&choice.path.src, sources[i]));
	}
}

/* An outer header as a packet path makes it from the sum, against all its words. */
static void the_header_sum_and_the_other_words_make_the_checksum(void **state)
{
	static const struct {
		const char *src, *dst;
		uint8_t protocol, tos;
		uint16_t length;
	} cases[] = {
		{"10.0.0.1", "10.0.0.5", 4, 0, 60},
		{"255.255.255.254", "254.255.255.253", 41, 0xb8, 65535},
		{"192.0.2.1", "198.51.100.7", 17, 1, 20},
	};

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		struct ip_addr src = addr_of(cases[i].src), dst = addr_of(cases[i].dst);
		uint8_t header[20] = {0x45, cases[i].tos, [6] = 0x40, [8] = 64, cases[i].protocol};
		uint8_t others[20] = {0x45, cases[i].tos, [9] = cases[i].protocol};
		uint16_t length = htons(cases[i].length), word;
		uint32_t whole = 0, parts = path_header_sum(&src, &dst);

		memcpy(header + 2, &length, 2);
		memcpy(others + 2, &length, 2);
		memcpy(header + 12, src.bytes + 12, 4);
		memcpy(header + 16, dst.bytes + 12, 4);
		for (int at = 0; at < 20; at += 2) {
			memcpy(&word, header + at, 2);
			whole += word;
			memcpy(&word, others + at, 2);
			parts += word;
		}
		while (whole >> 16)
			whole = (whole & 0xffff) + (whole >> 16);
		while (parts >> 16)
			parts = (parts & 0xffff) + (parts >> 16);
		assert_int_equal(parts, whole);
	}
}

static void the_smaller_mtu_of_route_and_device_counts(void **state)
{
	const struct contract contract = {.snat4 = addr_of("10.0.0.1")};
	struct route_answer route = {.type = RTN_UNICAST, .ifindex = 2, .mtu = 1400};

	(void)state;
	assert_int_equal(choose("10.0.0.5", &route, &contract).path.mtu, 1400);
	route.mtu = 9000;
	assert_int_equal(choose("10.0.0.5", &route, &contract).path.mtu, 1500);
	route = (struct route_answer){.type = RTN_UNICAST, .ifindex = 9, .mtu = 1u << 20};
	assert_int_equal(choose("10.0.0.5", &route, &contract).path.mtu, UINT16_MAX);
}

static void addresses_that_are_no_host_elsewhere_have_no_path(void **state)
{
	const struct contract contract = {.snat4 = addr_of("10.0.0.1"),
					  .snat6 = addr_of("fd00::1")};
	struct route_answer route = {.type = RTN_UNICAST, .ifindex = 2};

	(void)state;
	assert_int_equal(choose("224.0.0.1", &route, &contract).problem, PATH_PROBLEM_NOT_A_HOST);
	assert_int_equal(choose("fe80::5", &route, &contract).problem, PATH_PROBLEM_NOT_A_HOST);
	assert_int_equal(choose("::", &route, &contract).problem, PATH_PROBLEM_NOT_A_HOST);
	route.type = RTN_LOCAL;
	assert_int_equal(choose("10.0.0.1", &route, &contract).problem, PATH_PROBLEM_LOCAL);
	route.type = RTN_BLACKHOLE;
	assert_int_equal(choose("10.0.0.5", &route, &contract).problem, PATH_PROBLEM_NO_ROUTE);
}

static void a_route_that_encapsulates_by_itself_is_left_to_the_kernel(void **state)
{
	const struct contract contract = {.snat4 = addr_of("10.0.0.1")};
	const struct route_answer route = {.type = RTN_UNICAST, .ifindex = 2, .encap = true};
	struct path_choice choice = choose("10.0.0.5", &route, &contract);

	(void)state;
	assert_int_equal(choice.problem, PATH_PROBLEM_NONE);
	assert_false(choice.has_hop);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(source_is_the_routes_then_the_operators_then_the_kernels),
		cmocka_unit_test(the_header_sum_and_the_other_words_make_the_checksum),
		cmocka_unit_test(the_smaller_mtu_of_route_and_device_counts),
		cmocka_unit_test(addresses_that_are_no_host_elsewhere_have_no_path),
		cmocka_unit_test(a_route_that_encapsulates_by_itself_is_left_to_the_kernel),
	};

	return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
