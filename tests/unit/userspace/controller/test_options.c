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
#include "userspace/controller/options.h"

static int parse(struct controller_options *options, const char *const words[COMMAND_WORDS_MAX])
{
	struct command_line line = command_line("sluice-controller", words);
	enum options_verdict verdict;
	int err;

	log_sink = said_keep;
	said[0] = '\0';
	err = controller_options_parse(line.argc, line.argv, options, &verdict);
	log_sink = NULL;
	return err;
}

static void a_whole_command_line_is_understood(void **state)
{
	static const char *const words[COMMAND_WORDS_MAX] = {
		"--instance",	  "lab",       "--config-cluster", "/c",
		"--cluster=a=/x", "--cluster", "b=/y=z",
	};
	struct controller_options options;

	(void)state;
	assert_int_equal(parse(&options, words), 0);
	assert_string_equal(options.instance.name, "lab");
	assert_string_equal(options.config.path, "/c");
	assert_int_equal(options.cluster_count, 2);
	assert_string_equal(options.clusters[0].cluster, "a");
	assert_string_equal(options.clusters[1].path, "/y=z");
	assert_true(options.metrics);
	assert_int_equal(options.metrics_port, 9465);
	assert_int_equal(options.scrape_interval_ms, 0);
}

static void metrics_may_be_moved_or_turned_off(void **state)
{
	static const char *const off[COMMAND_WORDS_MAX] = {"--config-cluster", "/c", "--metrics",
							   "off"};
	static const char *const moved[COMMAND_WORDS_MAX] = {"--config-cluster", "/c", "--metrics",
							     "[::1]:99"};
	struct controller_options options;

	(void)state;
	assert_int_equal(parse(&options, off), 0);
	assert_false(options.metrics);
	assert_int_equal(parse(&options, moved), 0);
	assert_int_equal(options.metrics_port, 99);
	assert_false(address_is_ipv4(&options.metrics_addr));
}

static void what_is_wrong_is_refused_by_name(void **state)
{
	static const struct {
		const char *words[COMMAND_WORDS_MAX];
		const char *said;
	} cases[] = {
		{{"--cluster", "a=/x"}, "--config-cluster"},
		{{"--config-cluster", "/c", "--cluster", "a"}, "--cluster a:"},
		{{"--config-cluster", "/c", "--cluster", "=/x"}, "--cluster =/x:"},
		{{"--config-cluster", "/c", "--cluster", "a b=/x"}, "--cluster a b=/x:"},
		{{"--config-cluster", "/c", "--cluster", "caf\xc3\xa9=/x"}, "letters, digits"},
		{{"--config-cluster", "/c", "--cluster", "a="}, "--cluster a=:"},
		{{"--config-cluster", "/c", "--config-cluster", "/d"}, "given twice"},
		{{"--config-cluster", "/c", "--metrics", "9465"}, "--metrics 9465:"},
		{{"--config-cluster", "/c", "--log-level", "loud"}, "--log-level loud:"},
		{{"--config-cluster", "/c", "--scrape-interval-ms", "0"}, "scrape-interval-ms"},
		{{"--config-cluster", "/c", "more"}, "'more'"},
		{{"--config-cluster", "/c", "--instance", "Main"}, "instance 'Main'"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct controller_options options;

		assert_int_equal(parse(&options, cases[i].words), -EINVAL);
		if (!strstr(said, cases[i].said))
			fail_msg("case %zu said: %s", i, said);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_whole_command_line_is_understood),
		cmocka_unit_test(metrics_may_be_moved_or_turned_off),
		cmocka_unit_test(what_is_wrong_is_refused_by_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
