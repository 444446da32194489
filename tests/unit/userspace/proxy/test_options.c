// SPDX-License-Identifier: BSD-2-Clause
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "tests/harness/command_line.h"
#include "tests/harness/said.h"
#include "userspace/base/address.h"
#include "userspace/base/cleanup.h"
#include "userspace/base/clock.h"
#include "userspace/proxy/limits.h"
#include "userspace/proxy/options.h"

static int parse(struct proxy_options *options, const char *const words[COMMAND_WORDS_MAX])
{
	struct command_line line = command_line("sluice-proxy", words);
	enum options_verdict verdict;
	int err;

	log_sink = said_keep;
	said[0] = '\0';
	err = proxy_options_parse(line.argc, line.argv, options, &verdict);
	log_sink = NULL;
	return err;
}

static void nobody_is_limited_unless_that_is_said(void **state)
{
	static const char *const words[COMMAND_WORDS_MAX] = {"--client-ipv6-bits", "56"};
	struct proxy_options options;

	(void)state;
	assert_int_equal(parse(&options, words), 0);
	assert_false(client_limits_any(&options.clients));
	assert_int_equal(options.clients.ipv4_bits, 32);
	assert_int_equal(options.clients.ipv6_bits, 56);
}

static void rates_are_so_many_in_some_time(void **state)
{
	static const struct {
		const char *words[COMMAND_WORDS_MAX];
		struct client_rate rate;
	} cases[] = {
		{{"--client-requests", "10"}, {10, NS_PER_S, 10}},
		{{"--client-requests", "10/s"}, {10, NS_PER_S, 10}},
		{{"--client-requests", "120/min"}, {120, 60 * NS_PER_S, 2}},
		{{"--client-requests", "30/min"}, {30, 60 * NS_PER_S, 1}},
		{{"--client-requests", "1/h", "--client-burst", "7"}, {1, 3600 * NS_PER_S, 7}},
		{{"--client-burst", "7", "--client-requests", "1/s"}, {1, NS_PER_S, 7}},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct proxy_options options;

		assert_int_equal(parse(&options, cases[i].words), 0);
		assert_true(client_limits_any(&options.clients));
		assert_memory_equal(&options.clients.requests, &cases[i].rate,
				    sizeof(cases[i].rate));
	}
}

static void bytes_burst_is_at_least_one_read(void **state)
{
	static const char *const few[COMMAND_WORDS_MAX] = {"--client-bytes", "4096"};
	static const char *const many[COMMAND_WORDS_MAX] = {"--client-bytes", "1000000"};
	struct proxy_options options;

	(void)state;
	assert_int_equal(parse(&options, few), 0);
	assert_int_equal(options.clients.bytes.burst, BUFFER_BYTES);
	assert_int_equal(parse(&options, many), 0);
	assert_int_equal(options.clients.bytes.burst, 1000000);
	assert_int_equal(options.clients.bytes.per_ns, NS_PER_S);
}

static void balancers_add_up_and_mean_the_proxy_protocol(void **state)
{
	static const char *const words[COMMAND_WORDS_MAX] = {
		"--proxy-protocol-from", "10.1.0.0/16,::1", "--proxy-protocol-from=192.0.2.7"};
	struct proxy_options options;
	char text[ADDRESS_TEXT_MAX];

	(void)state;
	assert_int_equal(parse(&options, words), 0);
	assert_true(options.proxy_protocol);
	assert_int_equal(options.balancer_count, 3);
	assert_string_equal(address_format(&options.balancers[0].addr, text), "10.1.0.0");
	assert_string_equal(address_format(&options.balancers[1].addr, text), "::1");
	assert_string_equal(address_format(&options.balancers[2].addr, text), "192.0.2.7");
}

static void what_makes_no_sense_is_refused_in_words(void **state)
{
	static const struct {
		const char *words[COMMAND_WORDS_MAX];
		const char *said;
	} cases[] = {
		{{"--client-requests", "0/s"}, "client-requests"},
		{{"--client-requests", "10/day"}, "/s, /min or /h"},
		{{"--client-requests", "/s"}, "client-requests"},
		{{"--client-requests", "9999999999999999999999/s"}, "client-requests"},
		{{"--client-burst", "5"}, "means nothing without --client-requests"},
		{{"--client-connections", "65001"}, "client-connections"},
		{{"--client-bytes", "100"}, "client-bytes"},
		{{"--client-ipv4-bits", "33"}, "client-ipv4-bits"},
		{{"--proxy-protocol-from", ""}, "wants prefixes"},
		{{"--proxy-protocol-from", "10.0.0.0/8,"}, "wants prefixes"},
		{{"--proxy-protocol-from", "10.0.0.1/8"},
		 "--proxy-protocol-from 10.0.0.1/8: wants"},
		{{"--proxy-protocol-from", "1,2,3"}, "wants prefixes"},
		{{"--proxy-protocol-from",
		  "::1,::1,::1,::1,::1,::1,::1,::1,::1,::1,::1,::1,::1,::1,::1,::1,::1"},
		 "takes 16 prefixes at most"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct proxy_options options;

		if (parse(&options, cases[i].words) != -EINVAL || !strstr(said, cases[i].said))
			fail_msg("%s %s: '%s'", cases[i].words[0], cases[i].words[1], said);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nobody_is_limited_unless_that_is_said),
		cmocka_unit_test(rates_are_so_many_in_some_time),
		cmocka_unit_test(bytes_burst_is_at_least_one_read),
		cmocka_unit_test(balancers_add_up_and_mean_the_proxy_protocol),
		cmocka_unit_test(what_makes_no_sense_is_refused_in_words),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
