// SPDX-License-Identifier: BSD-2-Clause
/* VIPs and endpoints as typed: what is understood, and that the rest is refused
 * with the text that was wrong. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "maps/cli/vip_spec.h"
#include "maps/layout/endpoint.h"
#include "tests/harness/said.h"
#include "userspace/base/cleanup.h"
#include "userspace/base/log.h"

static int prepare(void **state)
{
	(void)state;
	log_sink = said_keep;
	return 0;
}

static void vips_are_read_and_written_the_same(void **state)
{
	static const char *const texts[] = {"10.99.0.20:8000/tcp", "[2001:db8::1]:53/udp",
					    "1.2.3.4:65535/udp"};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		static const uint8_t zero[5];
		struct vip_key key;
		char text[VIP_TEXT_MAX];

		memset(&key, 0xaa, sizeof(key));
		assert_int_equal(vip_key_parse(texts[i], &key), 0);
		assert_string_equal(vip_key_format(&key, text), texts[i]);
		assert_memory_equal(key.pad, zero, sizeof(zero)); /* compared by the kernel */
	}
}

static void a_vip_keeps_network_byte_order(void **state)
{
	struct vip_key key;

	(void)state;
	assert_int_equal(vip_key_parse("10.99.0.20:8000/tcp", &key), 0);
	assert_int_equal(key.port, htons(8000));
	assert_int_equal(key.proto, IPPROTO_TCP);
}

static void what_is_no_vip_is_refused_with_an_example(void **state)
{
	static const char *const texts[] = {
		"",
		"10.99.0.20",
		"10.99.0.20:8000",
		"10.99.0.20/tcp",
		"10.99.0.20:8000/sctp",
		"10.99.0.20:0/tcp",
		"10.99.0.20:65536/tcp",
		"10.99.0.256:1/tcp",
		"10.99.0.20:8000/",
		"2001:db8::1:53/udp",
		"[2001:db8::1]53/udp",
		"[]:53/udp",
		"0.0.0.0/tcp",
		"10.99.0.20:8000/tcp/tcp",
		"10.99.0.20:8000 /tcp",
		"10.99.0.20:-1/tcp",
		"10.99.0.20:+1/tcp",
		"[::]:1/tcp",
		"0.0.0.0:80/tcp",
		"127.0.0.1:80/tcp",
		"224.0.0.1:80/udp",
		"255.255.255.255:80/udp",
		"[::1]:80/tcp",
		"[ff02::1]:80/udp",
		"[fe80::1]:80/tcp",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		struct vip_key key;

		said[0] = '\0';
		if (vip_key_parse(texts[i], &key) != -EINVAL)
			fail_msg("'%s' was taken for a VIP", texts[i]);
		assert_non_null(strstr(said, "such as 10.99.0.20:8000/tcp"));
	}
}

static void a_very_long_text_is_no_vip(void **state)
{
	char text[5000];
	struct vip_key key;

	(void)state;
	memset(text, '1', sizeof(text));
	strcpy(text + sizeof(text) - 7, ":1/tcp");
	assert_int_equal(vip_key_parse(text, &key), -EINVAL);
}

static void endpoints_have_weights(void **state)
{
	struct endpoint_spec spec;
	char text[ADDRESS_TEXT_MAX];

	(void)state;
	assert_int_equal(endpoint_spec_parse("10.10.0.5:8000", &spec), 0);
	assert_int_equal(spec.weight, SPEC_WEIGHT_DEFAULT);
	assert_int_equal(spec.port, 8000);
	assert_int_equal(endpoint_spec_parse("10.10.0.5:8000*1", &spec), 0);
	assert_int_equal(spec.weight, 1);
	assert_int_equal(endpoint_spec_parse("[fd00::1]:80*10000", &spec), 0);
	assert_int_equal(spec.weight, 10000);
	assert_string_equal(address_port_format(&spec.addr, spec.port, text), "[fd00::1]:80");
}

static void what_is_no_endpoint_is_refused(void **state)
{
	static const char *const texts[] = {
		"10.10.0.5",	      "10.10.0.5:0",
		"10.10.0.5:80*",      "10.10.0.5:80*0",
		"10.10.0.5:80*x",     "10.10.0.5:80*1x",
		"10.10.0.5:80*-1",    "*5",
		"10.10.0.5:80*10001", "10.10.0.5:80*99999999999999999999",
		"127.0.0.1:80",	      "0.0.0.0:80",
		"224.0.0.1:80",	      "[::1]:80"};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		struct endpoint_spec spec;

		said[0] = '\0';
		if (endpoint_spec_parse(texts[i], &spec) != -EINVAL)
			fail_msg("'%s' was taken for an endpoint", texts[i]);
		assert_non_null(strstr(said, texts[i]));
	}
}

static void endpoints_have_options_behind_the_weight(void **state)
{
	struct endpoint_spec spec;

	(void)state;
	assert_int_equal(endpoint_spec_parse("10.10.0.5:443", &spec), 0);
	assert_int_equal(spec.way, WAY_NONE);
	assert_int_equal(spec.server_id, 0);
	assert_int_equal(endpoint_spec_parse("10.10.0.5:443,way=gue", &spec), 0);
	assert_int_equal(spec.way, WAY_GUE);
	assert_int_equal(spec.weight, SPEC_WEIGHT_DEFAULT);
	assert_int_equal(endpoint_spec_parse("[fd00::1]:443*50,id=65535,way=l2", &spec), 0);
	assert_int_equal(spec.way, WAY_L2);
	assert_int_equal(spec.weight, 50);
	assert_int_equal(spec.server_id, 65535);
}

static void what_is_no_option_of_an_endpoint_is_refused(void **state)
{
	static const struct {
		const char *text, *why;
	} cases[] = {
		{"10.10.0.5:443,", "is no option of an endpoint; there are way="},
		{"10.10.0.5:443,way", "'way' is no option"},
		{"10.10.0.5:443,via=gue", "'via' is no option"},
		{"10.10.0.5:443,way=", "'' for way; it wants one of nat"},
		{"10.10.0.5:443,way=none", "'none' for way"},
		{"10.10.0.5:443,way=GUE", "'GUE' for way"},
		{"10.10.0.5:443,way=gue*50", "'gue*50' for way"},
		{"10.10.0.5:443,way=gue,way=gue", "way is said twice"},
		{"10.10.0.5:443,id=0", "'0' for id; it wants a whole number from 1 to 65535"},
		{"10.10.0.5:443,id=65536", "'65536' for id"},
		{"10.10.0.5:443,id=-1", "'-1' for id"},
		{"10.10.0.5:443,id=7x", "'7x' for id"},
		{"10.10.0.5:443,id=1,id=2", "id is said twice"},
		{"10.10.0.5,id=7", "not an endpoint"},
		{",id=7", "not an endpoint"},
	};
	char text[5000];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct endpoint_spec spec;

		if (endpoint_spec_parse(cases[i].text, &spec) != -EINVAL)
			fail_msg("'%s' was taken for an endpoint", cases[i].text);
		if (!strstr(said, cases[i].why))
			fail_msg("'%s' is not in: %s", cases[i].why, said);
	}
	memset(text, ',', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	assert_int_equal(endpoint_spec_parse(text, &(struct endpoint_spec){0}), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(vips_are_read_and_written_the_same),
		cmocka_unit_test(a_vip_keeps_network_byte_order),
		cmocka_unit_test(what_is_no_vip_is_refused_with_an_example),
		cmocka_unit_test(a_very_long_text_is_no_vip),
		cmocka_unit_test(endpoints_have_weights),
		cmocka_unit_test(what_is_no_endpoint_is_refused),
		cmocka_unit_test(endpoints_have_options_behind_the_weight),
		cmocka_unit_test(what_is_no_option_of_an_endpoint_is_refused),
	};

	return cmocka_run_group_tests(tests, prepare, NULL);
}
