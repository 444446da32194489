// SPDX-License-Identifier: BSD-2-Clause
/* Joined filters against the two applied one after the other, over every pair of
 * edits of one header. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "userspace/base/cleanup.h"
#include "userspace/base/text.h"
#include "userspace/sources/resolve_filters.h"

#define EDIT_SET 1
#define EDIT_ADD 2
#define EDIT_REMOVE 4
#define EDITS 8

struct edit {
	struct snapshot_pair set, add;
	const char *remove;
	struct snapshot_filters filters;
};

/* The same edits on requests and responses; names differ in case between the two. */
static void edit_make(struct edit *edit, unsigned edits, const char *name, const char *set,
		      const char *add)
{
	*edit = (struct edit){
		.set = {name, set},
		.add = {name, add},
		.remove = name,
	};
	edit->filters = (struct snapshot_filters){
		.request_set = &edit->set,
		.request_add = &edit->add,
		.request_remove = &edit->remove,
		.request_set_count = !!(edits & EDIT_SET),
		.request_add_count = !!(edits & EDIT_ADD),
		.request_remove_count = !!(edits & EDIT_REMOVE),
		.response_set = &edit->set,
		.response_add = &edit->add,
		.response_remove = &edit->remove,
		.response_set_count = !!(edits & EDIT_SET),
		.response_add_count = !!(edits & EDIT_ADD),
		.response_remove_count = !!(edits & EDIT_REMOVE),
	};
}

/* As the proxy does it: values of the header, in order, separated by blanks. */
static void apply(const struct snapshot_pair *set, size_t set_count,
		  const struct snapshot_pair *add, size_t add_count, size_t remove_count,
		  const char *before, char after[64])
{
	char buffer[64] = "";
	struct text text = TEXT_INIT(buffer);

	if (!set_count && !remove_count)
		text_puts(&text, before);
	for (size_t i = 0; i < set_count; i++)
		text_printf(&text, " %s", set[i].value);
	for (size_t i = 0; i < add_count; i++)
		text_printf(&text, " %s", add[i].value);
	snprintf(after, 64, "%s", buffer);
}

static void apply_requests(const struct snapshot_filters *f, const char *before, char after[64])
{
	apply(f->request_set, f->request_set_count, f->request_add, f->request_add_count,
	      f->request_remove_count, before, after);
}

static void apply_responses(const struct snapshot_filters *f, const char *before, char after[64])
{
	apply(f->response_set, f->response_set_count, f->response_add, f->response_add_count,
	      f->response_remove_count, before, after);
}

static void joined_edits_do_what_the_two_would_do_in_a_row(void **state)
{
	(void)state;
	for (unsigned i = 0; i < EDITS * EDITS; i++) {
		_cleanup_(arena_deinit) struct arena arena = {0};
		char after_first[64], after_both[64], after_joined[64];
		struct snapshot_filters joined;
		struct edit first, second;

		edit_make(&first, i / EDITS, "X-A", "set1", "add1");
		edit_make(&second, i % EDITS, "x-a", "set2", "add2");
		assert_int_equal(filters_join(&arena, &first.filters, &second.filters, &joined), 0);
		apply_requests(&first.filters, " own", after_first);
		apply_requests(&second.filters, after_first, after_both);
		apply_requests(&joined, " own", after_joined);
		assert_string_equal(after_joined, after_both);
		apply_responses(&joined, " own", after_joined);
		assert_string_equal(after_joined, after_both);
	}
}

static void edits_of_other_headers_do_not_touch_each_other(void **state)
{
	_cleanup_(arena_deinit) struct arena arena = {0};
	struct snapshot_filters joined;
	struct edit first, second;

	(void)state;
	edit_make(&first, EDIT_SET | EDIT_ADD, "X-A", "1", "2");
	edit_make(&second, EDIT_SET | EDIT_REMOVE, "X-B", "3", "4");
	assert_int_equal(filters_join(&arena, &first.filters, &second.filters, &joined), 0);
	assert_int_equal(joined.request_set_count, 2);
	assert_string_equal(joined.request_set[0].name, "X-A");
	assert_string_equal(joined.request_set[1].name, "X-B");
	assert_int_equal(joined.request_add_count, 1);
	assert_int_equal(joined.response_remove_count, 1);
	assert_string_equal(joined.response_remove[0], "X-B");
}

static void of_two_rewrites_or_redirects_the_second_counts(void **state)
{
	_cleanup_(arena_deinit) struct arena arena = {0};
	const struct snapshot_filters first = {.rewrite_type = REWRITE_PREFIX,
					       .rewrite_path = "/one",
					       .rewrite_host = "one.test",
					       .redirect_status = 301,
					       .redirect_host = "from.one"};
	const struct snapshot_filters path = {.rewrite_type = REWRITE_FULL_PATH,
					      .rewrite_path = "/two"};
	const struct snapshot_filters host = {.rewrite_host = "two.test"};
	const struct snapshot_filters redirect = {.redirect_status = 302, .redirect_port = 8443};
	struct snapshot_filters joined;

	(void)state;
	assert_int_equal(filters_join(&arena, &first, &path, &joined), 0);
	assert_int_equal(joined.rewrite_type, REWRITE_FULL_PATH);
	assert_string_equal(joined.rewrite_path, "/two");
	assert_string_equal(joined.rewrite_host, "one.test");
	assert_int_equal(joined.redirect_status, 301);
	assert_int_equal(filters_join(&arena, &first, &host, &joined), 0);
	assert_string_equal(joined.rewrite_path, "/one");
	assert_string_equal(joined.rewrite_host, "two.test");
	assert_int_equal(filters_join(&arena, &first, &redirect, &joined), 0);
	assert_int_equal(joined.redirect_status, 302);
	assert_int_equal(joined.redirect_port, 8443);
	assert_null(joined.redirect_host);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(joined_edits_do_what_the_two_would_do_in_a_row),
		cmocka_unit_test(edits_of_other_headers_do_not_touch_each_other),
		cmocka_unit_test(of_two_rewrites_or_redirects_the_second_counts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
