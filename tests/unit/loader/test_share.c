// SPDX-License-Identifier: BSD-2-Clause
/* Who gets a device's XDP: every combination, and what is said. */
#include "loader/share.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static const struct {
	enum share_seat seat;
	enum share_wish wish;
	int program_count, extension_err;
	int result;
	enum share_plan plan;
	const char *sentence; /* part of it */
} cases[] = {
	{SHARE_SEAT_FREE, SHARE_WISH_NATIVE, 0, 0, 0, SHARE_PLAN_LINK, ""},
	{SHARE_SEAT_FREE, SHARE_WISH_NATIVE, 0, -EPERM, 0, SHARE_PLAN_LINK, ""},
	{SHARE_SEAT_FREE, SHARE_WISH_GENERIC, 0, -EPERM, 0, SHARE_PLAN_LINK, ""},
	{SHARE_SEAT_FREE, SHARE_WISH_SHARE, 0, 0, 0, SHARE_PLAN_JOIN, ""},
	{SHARE_SEAT_FREE, SHARE_WISH_SHARE, 0, -EPERM, -EPERM, 0,
	 "refuses extension programs (EPERM)"},
	{SHARE_SEAT_FREE, SHARE_WISH_SHARE, 0, -EPERM, -EPERM, 0, "attach without --share"},
	{SHARE_SEAT_FREE, SHARE_WISH_SHARE, 0, -EINVAL, -EINVAL, 0, "(Invalid argument)"},
	{SHARE_SEAT_DISPATCHER, SHARE_WISH_NATIVE, 1, 0, 0, SHARE_PLAN_JOIN, ""},
	{SHARE_SEAT_DISPATCHER, SHARE_WISH_SHARE, 9, 0, 0, SHARE_PLAN_JOIN, ""},
	{SHARE_SEAT_DISPATCHER, SHARE_WISH_NATIVE, 10, 0, -E2BIG, 0, "it holds 10 programs"},
	{SHARE_SEAT_DISPATCHER, SHARE_WISH_NATIVE, 1, -EPERM, -EPERM, 0, "(id 29, other)"},
	{SHARE_SEAT_DISPATCHER, SHARE_WISH_NATIVE, 1, -EPERM, -EPERM, 0, "(EPERM)"},
	{SHARE_SEAT_DISPATCHER, SHARE_WISH_NATIVE, 1, -EPERM, -EPERM, 0, "or use --mode tc"},
	{SHARE_SEAT_DISPATCHER, SHARE_WISH_GENERIC, 1, 0, -EBUSY, 0, "leave out --mode generic"},
	{SHARE_SEAT_DISPATCHER_GENERIC, SHARE_WISH_NATIVE, 1, 0, -EBUSY, 0, "in generic mode"},
	{SHARE_SEAT_DISPATCHER_GENERIC, SHARE_WISH_SHARE, 1, 0, -EBUSY, 0, "(id 29, other)"},
	{SHARE_SEAT_ALONE, SHARE_WISH_NATIVE, 0, 0, -EBUSY, 0, "(id 29, other), no dispatcher"},
	{SHARE_SEAT_ALONE, SHARE_WISH_SHARE, 0, 0, -EBUSY, 0, "load it by xdp-loader"},
	{SHARE_SEAT_ALONE, SHARE_WISH_GENERIC, 0, 0, -EBUSY, 0, "bpftool prog show id 29"},
};

static void every_seat_gets_a_plan_or_a_sentence(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct share_device device = {.seat = cases[i].seat,
					      .program_id = 29,
					      .program_name = "other",
					      .program_count = cases[i].program_count};
		char sentence[SHARE_SENTENCE_MAX] = "";
		enum share_plan plan = SHARE_PLAN_LINK;
		int result = share_decide(&device, cases[i].wish, cases[i].extension_err, &plan,
					  sentence);

		if (result != cases[i].result || !strstr(sentence, cases[i].sentence))
			fail_msg("case %zu: %d, '%s'", i, result, sentence);
		if (result == 0)
			assert_int_equal(plan, cases[i].plan);
		assert_true(strlen(sentence) < SHARE_SENTENCE_MAX - 1); /* not cut */
	}
}

/* Asking costs two programs loaded, and is of no use where nothing can be joined. */
static void extensions_are_asked_for_only_where_a_dispatcher_would_be_used(void **state)
{
	struct share_device free_device = {.seat = SHARE_SEAT_FREE};
	struct share_device dispatcher = {.seat = SHARE_SEAT_DISPATCHER};
	struct share_device alone = {.seat = SHARE_SEAT_ALONE};

	(void)state;
	assert_false(share_needs_extensions(&free_device, SHARE_WISH_NATIVE));
	assert_true(share_needs_extensions(&free_device, SHARE_WISH_SHARE));
	assert_true(share_needs_extensions(&dispatcher, SHARE_WISH_NATIVE));
	assert_false(share_needs_extensions(&dispatcher, SHARE_WISH_GENERIC));
	assert_false(share_needs_extensions(&alone, SHARE_WISH_SHARE));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_seat_gets_a_plan_or_a_sentence),
		cmocka_unit_test(extensions_are_asked_for_only_where_a_dispatcher_would_be_used),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
