// SPDX-License-Identifier: BSD-2-Clause
/* The flow table as processes see it: what is alive, what is counted, and that an
 * endpoint is forgotten whole and alone. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include "maps/access/maps.h"
#include "userspace/base/cleanup.h"
#include "userspace/base/clock.h"

#define SETS 64u
#define NOW 0x10003u /* the 16 bits of a slot have just wrapped */
#define TCP 2u
#define UDP 3u

static struct flow_set sets[SETS] __attribute__((aligned(64)));
static struct endpoint endpoints[ENDPOINTS_MAX];
static struct maps maps = {.contract = {.flow_sets = SETS}, .flows = sets, .endpoints = endpoints};

static int fresh(void **state)
{
	(void)state;
	memset(sets, 0, sizeof(sets));
	return 0;
}

static struct flow_slot slot_of(uint32_t endpoint, enum slot_state state, uint32_t tag,
				uint32_t ago)
{
	return (struct flow_slot){.tag = tag,
				  .where = (uint16_t)(endpoint | state << FLOW_ENDPOINT_BITS),
				  .tick = (uint16_t)(NOW - ago)};
}

static void a_slot_is_over_when_it_was_silent_for_its_time(void **state)
{
	static const struct {
		enum slot_state state;
		uint32_t tag, ticks;
		bool live;
	} cases[] = {
		{SLOT_PROBATION, TCP, FLOW_PROBATION_TICKS, true},
		{SLOT_PROBATION, UDP, FLOW_PROBATION_TICKS, true},
		{SLOT_CONFIRMED, TCP, FLOW_TCP_TICKS, true},
		{SLOT_CONFIRMED, UDP, FLOW_UDP_TICKS, true},
		{SLOT_CLOSING, TCP, FLOW_CLOSING_TICKS, false},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct flow_slot young =
			slot_of(0, cases[i].state, cases[i].tag, cases[i].ticks - 1);
		struct flow_slot old = slot_of(0, cases[i].state, cases[i].tag, cases[i].ticks);

		assert_int_equal(flow_slot_state(&young, NOW), cases[i].state);
		assert_int_equal(flow_slot_is_live(&young, NOW), cases[i].live);
		assert_int_equal(flow_slot_state(&old, NOW), SLOT_FREE);
		assert_false(flow_slot_is_live(&old, NOW));
	}
	assert_int_equal(flow_slot_state(&(struct flow_slot){0}, NOW), SLOT_FREE);
	assert_int_equal(flow_slot_state(&(struct flow_slot){.tick = (uint16_t)NOW}, NOW),
			 SLOT_FREE);
}

static void live_flows_are_counted_by_endpoint_in_whole_and_in_parts(void **state)
{
	_cleanup_free_ uint32_t *whole = calloc(ENDPOINTS_MAX, sizeof(*whole));
	_cleanup_free_ uint32_t *parts = calloc(ENDPOINTS_MAX, sizeof(*parts));

	(void)state;
	sets[0].slots[0] = slot_of(0, SLOT_CONFIRMED, TCP, 0);
	sets[SETS - 1].slots[7] = slot_of(0, SLOT_PROBATION, UDP, 0);
	sets[5].slots[3] = slot_of(ENDPOINTS_MAX - 1, SLOT_CONFIRMED, UDP, 0);
	sets[5].slots[4] = slot_of(ENDPOINTS_MAX - 1, SLOT_CLOSING, TCP, 0);
	flow_table_count(&maps, NOW, whole);
	assert_int_equal(whole[0], 2);
	assert_int_equal(whole[ENDPOINTS_MAX - 1], 1);
	for (uint32_t set = 0; set < SETS; set += 7) /* the last part is shorter */
		flow_table_count_part(&maps, set, 7, NOW, parts);
	assert_memory_equal(parts, whole, ENDPOINTS_MAX * sizeof(*whole));
}

static void a_survey_tells_states_load_and_full_sets(void **state)
{
	_cleanup_free_ struct flow_table_survey *survey = calloc(1, sizeof(*survey));

	(void)state;
	for (int i = 0; i < FLOW_SLOTS; i++) {
		sets[2].slots[i] = slot_of(4, SLOT_CONFIRMED, i ? TCP : UDP, 0);
		sets[3].slots[i] = slot_of(4, SLOT_CLOSING, TCP, i ? 0 : FLOW_CLOSING_TICKS);
	}
	flow_table_survey(&maps, NOW, survey);
	assert_int_equal(survey->sets_full, 1);
	assert_int_equal(survey->slots_used, 15);
	assert_int_equal(survey->endpoints[4].confirmed, 8);
	assert_int_equal(survey->endpoints[4].closing, 7);
	assert_int_equal(survey->endpoints[4].probation, 0);
	assert_int_equal(survey->endpoints[4].udp, 1);
}

static void forgotten_endpoints_leave_no_slot_and_others_keep_theirs(void **state)
{
	static const uint32_t gone[] = {0, 9};
	static const struct flow_set empty;
	struct flow_slot stays = slot_of(8, SLOT_CONFIRMED, TCP, 0);

	(void)state;
	sets[0].slots[0] = slot_of(0, SLOT_CONFIRMED, TCP, 0);
	sets[0].slots[1] = slot_of(9, SLOT_PROBATION, UDP, 0);
	sets[1].slots[0] = slot_of(9, SLOT_CLOSING, TCP, 0); /* not live, but a slot */
	sets[1].slots[1] = slot_of(9, SLOT_CONFIRMED, TCP, FLOW_TCP_TICKS); /* over */
	sets[SETS - 1].slots[7] = stays;
	assert_int_equal(flow_table_forget_all(&maps, gone, ARRAY_SIZE(gone), NOW), 2);
	assert_memory_equal(&sets[0], &empty, sizeof(empty));
	assert_memory_equal(&sets[1], &empty, sizeof(empty));
	assert_memory_equal(&sets[SETS - 1].slots[7], &stays, sizeof(stays));
	assert_int_equal(flow_table_forget(&maps, 8, NOW), 1);
	assert_memory_equal(&sets[SETS - 1], &empty, sizeof(empty));
	assert_int_equal(flow_table_forget_all(&maps, NULL, 0, NOW), 0);
}

/* A packet path that goes on touching the slots of a set while they name a flow. */
struct packets {
	pthread_t thread;
	bool begun, stop;
};

static void *packets_run(void *ctx)
{
	struct packets *packets = ctx;

	for (uint32_t i = 0; !__atomic_load_n(&packets->stop, __ATOMIC_RELAXED); i++) {
		uint64_t *at = (uint64_t *)&sets[7].slots[i % FLOW_SLOTS], word;
		uint64_t is = __atomic_load_n(at, __ATOMIC_RELAXED);
		struct flow_slot next = slot_of(9, SLOT_CONFIRMED, TCP, i & 0xff);

		memcpy(&word, &next, sizeof(word));
		if (is) /* once it is empty it stays so */
			__atomic_compare_exchange_n(at, &is, word, false, __ATOMIC_RELAXED,
						    __ATOMIC_RELAXED);
		__atomic_store_n(&packets->begun, true, __ATOMIC_RELAXED);
	}
	return NULL;
}

static void a_slot_that_is_written_meanwhile_is_forgotten_all_the_same(void **state)
{
	static const struct flow_set empty;

	(void)state;
	for (int round = 0; round < 200; round++) {
		struct packets packets = {0};

		for (int i = 0; i < FLOW_SLOTS; i++)
			sets[7].slots[i] = slot_of(9, SLOT_CONFIRMED, TCP, 0);
		assert_int_equal(pthread_create(&packets.thread, NULL, packets_run, &packets), 0);
		while (!__atomic_load_n(&packets.begun, __ATOMIC_RELAXED))
			sched_yield();
		flow_table_forget(&maps, 9, NOW);
		__atomic_store_n(&packets.stop, true, __ATOMIC_RELAXED);
		pthread_join(packets.thread, NULL);
		assert_memory_equal(&sets[7], &empty, sizeof(empty));
	}
}

static void a_nat_flow_is_live_while_it_is_used_and_means_its_endpoint(void **state)
{
	const uint64_t now = 1000 * NS_PER_S;
	const struct nat_flow good = {.endpoint = 3,
				      .generation = 5,
				      .state = FLOW_ESTABLISHED,
				      .seen_at = now - NAT_LIVE_S * NS_PER_S + 1};
	struct nat_flow flow = good;

	(void)state;
	endpoints[3].generation = 5;
	assert_true(nat_flow_is_live(&maps, &flow, now));
	flow.seen_at--;
	assert_false(nat_flow_is_live(&maps, &flow, now));
	flow = good;
	flow.state = FLOW_CLOSING;
	assert_false(nat_flow_is_live(&maps, &flow, now));
	flow = good;
	flow.generation = 4;
	assert_false(nat_flow_is_live(&maps, &flow, now));
	flow = good;
	flow.endpoint = ENDPOINTS_MAX;
	assert_false(nat_flow_is_live(&maps, &flow, now));
}

#define CASE(test) cmocka_unit_test_setup(test, fresh)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(a_slot_is_over_when_it_was_silent_for_its_time),
		CASE(live_flows_are_counted_by_endpoint_in_whole_and_in_parts),
		CASE(a_survey_tells_states_load_and_full_sets),
		CASE(forgotten_endpoints_leave_no_slot_and_others_keep_theirs),
		CASE(a_slot_that_is_written_meanwhile_is_forgotten_all_the_same),
		CASE(a_nat_flow_is_live_while_it_is_used_and_means_its_endpoint),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
