// SPDX-License-Identifier: BSD-2-Clause
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "userspace/base/address.h"
#include "userspace/base/cleanup.h"
#include "userspace/base/prefix.h"

static void a_prefix_contains_its_addresses_and_no_others(void **state)
{
	static const struct {
		const char *prefix, *addr;
		bool contains;
	} cases[] = {
		{"10.0.0.0/8", "10.255.0.1", true},
		{"10.0.0.0/8", "11.0.0.1", false},
		{"10.1.2.0/23", "10.1.3.255", true},
		{"10.1.2.0/23", "10.1.4.0", false},
		{"192.0.2.7", "192.0.2.7", true},
		{"192.0.2.7", "192.0.2.6", false},
		{"0.0.0.0/0", "192.0.2.7", true},
		{"0.0.0.0/0", "2001:db8::1", false},
		{"::/0", "2001:db8::1", true},
		{"::/0", "192.0.2.7", false},
		{"2001:db8::/33", "2001:db8:7fff::1", true},
		{"2001:db8::/33", "2001:db8:8000::1", false},
		{"2001:db8::1", "2001:db8::1", true},
		{"2001:db8::1/128", "2001:db8::2", false},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct prefix prefix;
		struct ip_addr addr;

		assert_int_equal(prefix_parse(cases[i].prefix, &prefix), 0);
		assert_int_equal(address_parse(cases[i].addr, &addr), 0);
		if (prefix_contains(&prefix, &addr) != cases[i].contains)
			fail_msg("%s and %s", cases[i].prefix, cases[i].addr);
	}
}

static void what_is_no_prefix_is_refused(void **state)
{
	static const char *const bad[] = {
		"",
		"/",
		"10.0.0.0/",
		"10.0.0.0/33",
		"10.0.0.0/-1",
		"10.0.0.0/8x",
		"10.0.0.0/ 8",
		"10.0.0.1/8",
		"10.0.0.0/0008",
		"::/129",
		"2001:db8::1/64",
		"10.0.0.0/8/8",
		"localhost/8",
		"::1%lo/128",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct prefix prefix;

		if (prefix_parse(bad[i], &prefix) != -EINVAL)
			fail_msg("'%s' was taken", bad[i]);
	}
}

static void an_address_is_masked_to_its_first_bits(void **state)
{
	static const struct {
		const char *addr;
		unsigned length;
		const char *masked;
	} cases[] = {
		{"10.1.2.3", 128, "10.1.2.3"},
		{"10.1.2.3", PREFIX_IPV4_BITS + 24, "10.1.2.0"},
		{"10.1.2.255", PREFIX_IPV4_BITS + 25, "10.1.2.128"},
		{"2001:db8:1:2:3:4:5:6", 64, "2001:db8:1:2::"},
		{"2001:db8:1:2:3:4:5:6", 0, "::"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char text[ADDRESS_TEXT_MAX];
		struct ip_addr addr;

		assert_int_equal(address_parse(cases[i].addr, &addr), 0);
		addr = address_masked(&addr, cases[i].length);
		assert_string_equal(address_format(&addr, text), cases[i].masked);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_prefix_contains_its_addresses_and_no_others),
		cmocka_unit_test(what_is_no_prefix_is_refused),
		cmocka_unit_test(an_address_is_masked_to_its_first_bits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
