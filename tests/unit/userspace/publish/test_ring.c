// SPDX-License-Identifier: BSD-2-Clause
/* Maglev rings: balance, disruption, weights, and that nothing but the set of
 * members and the seed decides. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

#include "maps/layout/contract.h"
#include "userspace/base/cleanup.h"
#include "userspace/publish/ring.h"

#define SEED 42
#define MEMBERS_MAX 400

static struct ring_member members[MEMBERS_MAX];
static uint32_t taken[MEMBERS_MAX];

static void members_set(size_t count)
{
	for (size_t i = 0; i < count; i++) {
		members[i] = (struct ring_member){.weight = 100, .endpoint = (uint32_t)i};
		members[i].addr = (struct ip_addr){
			.bytes = {[10] = 0xff, 0xff, 10, 10, (uint8_t)(i >> 8), (uint8_t)i}};
		members[i].port = htons(8000);
	}
}

static uint32_t tick = 1000; /* of the next ring */

static struct ring_slot *build(const struct ring_member *from, size_t count,
			       const struct ring_slot *before)
{
	struct ring_slot *slots;
	uint32_t size;

	assert_int_equal(ring_build(from, count, SEED, before, tick, &slots, &size), 0);
	assert_int_equal(slots[0].size, size);
	return slots;
}

static void rows_count(const struct ring_slot *slots)
{
	memset(taken, 0, sizeof(taken));
	for (uint32_t row = 1; row <= slots[0].size; row++) {
		assert_true(slots[row].endpoint < MEMBERS_MAX);
		taken[slots[row].endpoint]++;
	}
}

static uint32_t rows_different(const struct ring_slot *a, const struct ring_slot *b)
{
	uint32_t different = 0;

	assert_int_equal(a[0].size, b[0].size);
	for (uint32_t row = 1; row <= a[0].size; row++)
		different += a[row].endpoint != b[row].endpoint;
	return different;
}

static void the_ring_has_at_least_a_hundred_rows_a_member(void **state)
{
	(void)state;
	assert_int_equal(ring_size_for(0), RING_SIZE_SMALL);
	assert_int_equal(ring_size_for(40), RING_SIZE_SMALL);
	assert_int_equal(ring_size_for(41), RING_SIZE_MEDIUM);
	assert_int_equal(ring_size_for(163), RING_SIZE_MEDIUM);
	assert_int_equal(ring_size_for(164), RING_SIZE_LARGE);
	assert_int_equal(ring_size_for(ENDPOINTS_MAX), RING_SIZE_LARGE);
}

static void equal_members_get_equal_shares_to_within_one_row(void **state)
{
	static const size_t counts[] = {1, 2, 3, 7, 40, 41, 163, 164, 400};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(counts); i++) {
		_cleanup_free_ struct ring_slot *slots = NULL;

		members_set(counts[i]);
		slots = build(members, counts[i], NULL);
		rows_count(slots);
		for (size_t m = 0; m < counts[i]; m++)
			assert_in_range(taken[m], slots[0].size / counts[i],
					slots[0].size / counts[i] + 1);
	}
}

static void weights_are_shares(void **state)
{
	_cleanup_free_ struct ring_slot *slots = NULL;
	static const uint32_t weights[] = {1, 2, 3, 10, 0, 84};

	(void)state;
	members_set(ARRAY_SIZE(weights));
	for (size_t i = 0; i < ARRAY_SIZE(weights); i++)
		members[i].weight = weights[i];
	slots = build(members, ARRAY_SIZE(weights), NULL);
	rows_count(slots);
	for (size_t i = 0; i < ARRAY_SIZE(weights); i++) {
		uint32_t fair = RING_SIZE_SMALL * weights[i] / 100;

		/* the last round ends somewhere: a few rows */
		assert_in_range(taken[i], fair, fair + (weights[i] ? 4 : 0));
	}
}

static void the_order_of_members_decides_nothing(void **state)
{
	_cleanup_free_ struct ring_slot *one = NULL, *other = NULL;

	(void)state;
	members_set(13);
	members[5].weight = 30;
	one = build(members, 13, NULL);
	for (size_t i = 0; i < 6; i++) {
		struct ring_member swap = members[i];

		members[i] = members[12 - i];
		members[12 - i] = swap;
	}
	other = build(members, 13, NULL);
	assert_true(ring_rows_equal(one, other));
}

static void another_seed_gives_other_rows(void **state)
{
	_cleanup_free_ struct ring_slot *one = NULL, *other = NULL;
	uint32_t size;

	(void)state;
	members_set(10);
	one = build(members, 10, NULL);
	assert_int_equal(ring_build(members, 10, SEED + 1, NULL, 0, &other, &size), 0);
	assert_false(ring_rows_equal(one, other));
	assert_in_range(rows_different(one, other), size * 8 / 10, size);
}

/* Fixed rows: gateways of different releases must agree, so this may change
 * only with the contract's version. */
static void rows_are_the_same_in_every_build(void **state)
{
	_cleanup_free_ struct ring_slot *slots = NULL;
	uint64_t sum = 0;

	(void)state;
	members_set(10);
	slots = build(members, 10, NULL);
	for (uint32_t row = 1; row <= slots[0].size; row++)
		sum = sum * 31 + slots[row].endpoint;
	assert_true(sum == 0xf7175505fddeb273ull);
}

static void removing_one_of_forty_moves_hardly_anyone_else(void **state)
{
	_cleanup_free_ struct ring_slot *before = NULL, *after = NULL;
	uint32_t moved = 0;

	(void)state;
	members_set(40);
	before = build(members, 40, NULL);
	members[17].weight = 0; /* the same as leaving it out */
	after = build(members, 40, NULL);
	for (uint32_t row = 1; row <= before[0].size; row++) {
		assert_int_not_equal(after[row].endpoint, 17);
		moved += before[row].endpoint != 17 && before[row].endpoint != after[row].endpoint;
	}
	print_message("moved beyond its own: %u of %u rows\n", moved, before[0].size);
	assert_in_range(moved, 0, before[0].size * 3 / 100);
}

static void the_ring_before_is_kept_in_the_rows(void **state)
{
	_cleanup_free_ struct ring_slot *before = NULL, *after = NULL, *larger = NULL;

	(void)state;
	members_set(41);
	before = build(members, 9, NULL);
	assert_int_equal(before[0].swapped_at, 0);
	assert_int_equal(before[1].previous, ENDPOINT_NONE);
	after = build(members + 1, 8, before);
	assert_int_equal(after[0].swapped_at, tick);
	for (uint32_t row = 1; row <= after[0].size; row++)
		assert_int_equal(after[row].previous, before[row].endpoint);
	larger = build(members, 41, after);
	assert_int_equal(larger[0].swapped_at, tick);
	for (uint32_t row = 1; row <= larger[0].size; row++)
		assert_int_equal(larger[row].previous, ENDPOINT_NONE);
	assert_false(ring_rows_equal(after, larger));
}

static void a_second_swap_within_the_grace_keeps_the_older_endpoints(void **state)
{
	_cleanup_free_ struct ring_slot *first = NULL, *second = NULL, *soon = NULL, *late = NULL;
	uint32_t began = tick;

	(void)state;
	members_set(9);
	first = build(members, 9, NULL);
	second = build(members + 1, 8, first);
	tick = began + RING_GRACE_TICKS - 1;
	soon = build(members + 2, 7, second);
	tick = began + RING_GRACE_TICKS;
	late = build(members + 2, 7, second);
	tick = began;
	for (uint32_t row = 1; row <= soon[0].size; row++) {
		assert_int_equal(soon[row].previous, first[row].endpoint);
		assert_int_equal(late[row].previous, second[row].endpoint);
	}
}

static void a_ring_of_nobody_is_full_of_none(void **state)
{
	_cleanup_free_ struct ring_slot *empty = NULL, *weightless = NULL;

	(void)state;
	empty = build(NULL, 0, NULL);
	members_set(2);
	members[0].weight = members[1].weight = 0;
	weightless = build(members, 2, NULL);
	for (uint32_t row = 1; row <= RING_SIZE_SMALL; row++)
		assert_int_equal(empty[row].endpoint, ENDPOINT_NONE);
	assert_true(ring_rows_equal(empty, weightless));
}

static void the_same_address_twice_still_ends(void **state)
{
	_cleanup_free_ struct ring_slot *slots = NULL;

	(void)state;
	members_set(2);
	members[1].addr = members[0].addr;
	slots = build(members, 2, NULL);
	rows_count(slots);
	assert_in_range(taken[1], RING_SIZE_SMALL / 2, RING_SIZE_SMALL / 2 + 1);
}

static void senseless_members_are_refused(void **state)
{
	struct ring_slot *slots = NULL;
	uint32_t size;

	(void)state;
	members_set(2);
	members[1].weight = RING_WEIGHT_MAX + 1;
	assert_int_equal(ring_build(members, 2, SEED, NULL, 0, &slots, &size), -EINVAL);
	members[1].weight = RING_WEIGHT_MAX;
	members[1].endpoint = ENDPOINT_NONE;
	assert_int_equal(ring_build(members, 2, SEED, NULL, 0, &slots, &size), -EINVAL);
	assert_int_equal(ring_build(members, ENDPOINTS_MAX + 1, SEED, NULL, 0, &slots, &size),
			 -E2BIG);
	assert_null(slots);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_ring_has_at_least_a_hundred_rows_a_member),
		cmocka_unit_test(equal_members_get_equal_shares_to_within_one_row),
		cmocka_unit_test(weights_are_shares),
		cmocka_unit_test(the_order_of_members_decides_nothing),
		cmocka_unit_test(another_seed_gives_other_rows),
		cmocka_unit_test(rows_are_the_same_in_every_build),
		cmocka_unit_test(removing_one_of_forty_moves_hardly_anyone_else),
		cmocka_unit_test(the_ring_before_is_kept_in_the_rows),
		cmocka_unit_test(a_second_swap_within_the_grace_keeps_the_older_endpoints),
		cmocka_unit_test(a_ring_of_nobody_is_full_of_none),
		cmocka_unit_test(the_same_address_twice_still_ends),
		cmocka_unit_test(senseless_members_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
