// SPDX-License-Identifier: BSD-2-Clause
/* Ports in turn. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "userspace/health/ports.h"

static void a_port_comes_again_after_all_others(void **state)
{
	struct port_queue *queue;

	(void)state;
	assert_int_equal(port_queue_new(1000, 1002, &queue), 0);
	for (int i = 0; i < 10; i++) {
		uint16_t port = port_queue_take(queue);

		assert_int_equal(port, 1000 + i % 3);
		port_queue_give(queue, port);
	}
	port_queue_free(queue);
}

static void the_one_given_back_first_comes_first(void **state)
{
	struct port_queue *queue;
	uint16_t a, b, c;

	(void)state;
	assert_int_equal(port_queue_new(1000, 1002, &queue), 0);
	a = port_queue_take(queue);
	b = port_queue_take(queue);
	c = port_queue_take(queue);
	assert_int_equal(port_queue_take(queue), 0);
	assert_int_equal(port_queue_free_count(queue), 0);
	port_queue_give(queue, b);
	port_queue_give(queue, a);
	port_queue_give(queue, c);
	assert_int_equal(port_queue_free_count(queue), 3);
	assert_int_equal(port_queue_take(queue), b);
	assert_int_equal(port_queue_take(queue), a);
	assert_int_equal(port_queue_take(queue), c);
	port_queue_free(queue);
}

static void a_range_has_both_its_ends(void **state)
{
	struct port_queue *queue;

	(void)state;
	assert_int_equal(port_queue_new(65535, 65535, &queue), 0);
	assert_int_equal(port_queue_size(queue), 1);
	assert_int_equal(port_queue_take(queue), 65535);
	assert_int_equal(port_queue_take(queue), 0);
	port_queue_free(queue);
	assert_int_equal(port_queue_new(1, 65535, &queue), 0);
	assert_int_equal(port_queue_size(queue), 65535);
	port_queue_free(queue);
}

static void no_range_is_refused(void **state)
{
	struct port_queue *queue = NULL;

	(void)state;
	assert_int_equal(port_queue_new(0, 5, &queue), -EINVAL);
	assert_int_equal(port_queue_new(6, 5, &queue), -EINVAL);
	assert_null(queue);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_port_comes_again_after_all_others),
		cmocka_unit_test(the_one_given_back_first_comes_first),
		cmocka_unit_test(a_range_has_both_its_ends),
		cmocka_unit_test(no_range_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
