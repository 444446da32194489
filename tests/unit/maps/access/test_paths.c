// SPDX-License-Identifier: BSD-2-Clause
/* Writes of paths and next hops, watched by a reader in another thread. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "maps/access/maps.h"

#define WRITES 300000
#define READS 1000000

static struct path *slot;
static struct nexthop *hop;
static bool stop;
static uint32_t reads;

static int group_setup(void **state)
{
	(void)state;
	slot = calloc(1, sizeof(*slot));
	hop = calloc(1, sizeof(*hop));
	return slot && hop ? 0 : -1;
}

static int group_teardown(void **state)
{
	(void)state;
	free(slot);
	free(hop);
	return 0;
}

/* Until so much was written, and read meanwhile; at most 200 times as much. */
static bool writes_go_on(uint32_t number)
{
	if (number == 1)
		__atomic_store_n(&reads, 0, __ATOMIC_RELAXED);
	return number < WRITES ||
	       (number < 200 * WRITES && __atomic_load_n(&reads, __ATOMIC_RELAXED) < READS);
}

/* All fields of one write are the same number. */
static struct path path_of(uint32_t number)
{
	struct path path = {.generation = number, .nexthop = number, .mtu = (uint16_t)number};

	path.check = path.mtu;
	for (int i = 0; i < 4; i++)
		path.src.words[i] = number;
	return path;
}

static void *path_read(void *ctx)
{
	uint32_t *torn = ctx;

	while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
		uint32_t before = __atomic_load_n(&slot->generation, __ATOMIC_ACQUIRE), number,
			 after;
		struct path path;

		number = __atomic_load_n(&slot->nexthop, __ATOMIC_RELAXED);
		for (int i = 0; i < 4; i++)
			path.src.words[i] = __atomic_load_n(&slot->src.words[i], __ATOMIC_RELAXED);
		path.mtu = __atomic_load_n(&slot->mtu, __ATOMIC_RELAXED);
		__atomic_thread_fence(__ATOMIC_ACQUIRE);
		after = __atomic_load_n(&slot->generation, __ATOMIC_RELAXED);
		if (!before || before != after)
			continue;
		__atomic_fetch_add(&reads, 1, __ATOMIC_RELAXED);
		*torn += before != number || path.src.words[0] != number ||
			 path.src.words[3] != number || path.mtu != (uint16_t)number;
	}
	return NULL;
}

/* Every write has a generation of its own here, so a whole write between two reads is
 * seen; with the same one, as when only a route changes, a reader could not know. */
static void a_reader_never_takes_half_a_path(void **state)
{
	uint32_t torn = 0;
	pthread_t reader;

	(void)state;
	stop = false;
	assert_int_equal(pthread_create(&reader, NULL, path_read, &torn), 0);
	for (uint32_t number = 1; writes_go_on(number); number++) {
		struct path path = path_of(number);

		path_put(slot, &path);
	}
	__atomic_store_n(&stop, true, __ATOMIC_RELAXED);
	pthread_join(reader, NULL);
	assert_true(reads >= READS);
	assert_int_equal(torn, 0);
}

static void *hop_read(void *ctx)
{
	uint32_t *torn = ctx;

	while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
		uint64_t word = __atomic_load_n((uint64_t *)(void *)hop, __ATOMIC_ACQUIRE);
		struct nexthop copy;

		memcpy(&copy, &word, sizeof(word));
		__atomic_fetch_add(&reads, 1, __ATOMIC_RELAXED);
		for (int i = 1; i < 6; i++)
			*torn += copy.dmac[i] != copy.dmac[0];
		*torn += (copy.state == NEXTHOP_RESOLVED) != (copy.dmac[0] != 0);
	}
	return NULL;
}

static void a_reader_never_mixes_two_macs(void **state)
{
	uint32_t torn = 0;
	pthread_t reader;

	(void)state;
	stop = false;
	assert_int_equal(pthread_create(&reader, NULL, hop_read, &torn), 0);
	for (uint32_t number = 1; writes_go_on(number); number++) {
		struct nexthop next = {.state = NEXTHOP_UNRESOLVED, .ifindex = number / 16};

		memset(next.dmac, (int)(number % 5), sizeof(next.dmac));
		if (number % 5)
			next.state = NEXTHOP_RESOLVED;
		nexthop_put(hop, &next, number);
	}
	__atomic_store_n(&stop, true, __ATOMIC_RELAXED);
	pthread_join(reader, NULL);
	assert_true(reads >= READS);
	assert_int_equal(torn, 0);
}

static void what_is_the_same_is_not_written(void **state)
{
	struct path path = path_of(5);
	struct nexthop next = {.state = NEXTHOP_RESOLVED, .dmac = {2}, .ifindex = 3};

	(void)state;
	assert_true(path_put(slot, &path));
	assert_memory_equal(slot, &path, sizeof(path));
	assert_false(path_put(slot, &path));
	assert_true(nexthop_put(hop, &next, 77));
	assert_int_equal(hop->changed_at, 77);
	assert_false(nexthop_put(hop, &next, 78));
	assert_int_equal(hop->changed_at, 77);
	next.dmac[5] = 9;
	assert_true(nexthop_put(hop, &next, 79));
	assert_int_equal(hop->changed_at, 79);
	assert_int_equal(hop->dmac[5], 9);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_reader_never_takes_half_a_path),
		cmocka_unit_test(a_reader_never_mixes_two_macs),
		cmocka_unit_test(what_is_the_same_is_not_written),
	};

	return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
