// SPDX-License-Identifier: BSD-2-Clause
/* The table of clients by itself: a clock that the test sets, and for what must hold
 * under concurrency, processes that share the table as workers do. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "userspace/base/address.h"
#include "userspace/base/cleanup.h"
#include "userspace/base/clock.h"
#include "userspace/proxy/client_table.h"

#define PROCESSES 4
#define AT (1000 * NS_PER_S) /* some time */

static const struct client_limits plain = {
	.connections = 3,
	.requests = {.count = 10, .per_ns = NS_PER_S, .burst = 20},
	.bytes = {.count = 100000, .per_ns = NS_PER_S, .burst = 50000},
	.ipv4_bits = 32,
	.ipv6_bits = 64,
};

static struct client_table *table;

static void table_make(const struct client_limits *limits, size_t connections)
{
	assert_int_equal(client_table_new(limits, connections, &table), 0);
}

static int table_remove(void **state)
{
	(void)state;
	client_table_free(table);
	table = NULL;
	return 0;
}

static struct ip_addr addr_of(const char *text)
{
	struct ip_addr addr;

	assert_int_equal(address_parse(text, &addr), 0);
	return addr;
}

static struct ip_addr addr_nth(uint32_t n)
{
	char text[ADDRESS_TEXT_MAX];

	snprintf(text, sizeof(text), "10.%u.%u.%u", n >> 16, n >> 8 & 0xff, n & 0xff);
	return addr_of(text);
}

static enum client_admission admit_addr(uint32_t row, struct ip_addr addr, uint64_t now,
					struct client_slot **ret_slot)
{
	bool forgot;

	return client_table_admit(table, row, &addr, now, ret_slot, &forgot);
}

static enum client_admission admit(const char *addr, struct client_slot **ret_slot)
{
	return admit_addr(0, addr_of(addr), AT, ret_slot);
}

static struct client_slot *admitted(const char *addr)
{
	struct client_slot *slot = NULL;

	assert_int_equal(admit(addr, &slot), CLIENT_ADMITTED);
	return slot;
}

/* ---- one process ---- */

static void a_client_has_so_many_connections_and_others_have_theirs(void **state)
{
	struct client_slot *slot;

	(void)state;
	table_make(&plain, 100);
	for (int i = 0; i < 3; i++)
		slot = admitted("192.0.2.7");
	assert_int_equal(admit("192.0.2.7", &slot), CLIENT_REFUSED);
	admitted("192.0.2.8");
	client_table_leave(slot, 0);
	admitted("192.0.2.7");
	assert_int_equal(admit("192.0.2.7", &slot), CLIENT_REFUSED);
}

static void a_client_is_its_prefix(void **state)
{
	static const struct {
		const char *a, *b;
		unsigned ipv4_bits, ipv6_bits;
		bool same;
	} cases[] = {
		{"192.0.2.7", "192.0.2.7", 32, 64, true},
		{"192.0.2.7", "192.0.2.6", 32, 64, false},
		{"192.0.2.7", "192.0.2.6", 24, 64, true},
		{"192.0.2.7", "192.0.3.7", 24, 64, false},
		{"2001:db8::1", "2001:db8::ffff:0:0:1", 32, 64, true},
		{"2001:db8::1", "2001:db8:0:1::1", 32, 64, false},
		{"2001:db8::1", "2001:db8:0:1::1", 32, 56, true},
		{"2001:db8::1", "2001:db8::2", 32, 128, false},
		{"192.0.2.7", "::1", 0, 0, false},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct client_limits limits = plain;
		struct client_slot *a, *b;

		limits.ipv4_bits = cases[i].ipv4_bits;
		limits.ipv6_bits = cases[i].ipv6_bits;
		table_make(&limits, 100);
		a = admitted(cases[i].a);
		b = admitted(cases[i].b);
		if ((a == b) != cases[i].same)
			fail_msg("%s and %s", cases[i].a, cases[i].b);
		table_remove(NULL);
	}
}

static void requests_come_at_once_up_to_the_burst_then_at_the_rate(void **state)
{
	struct client_slot *slot;
	uint64_t wait;

	(void)state;
	table_make(&plain, 100);
	slot = admitted("192.0.2.7");
	for (int i = 0; i < 20; i++)
		assert_int_equal(client_table_request(table, slot, AT), 0);
	wait = client_table_request(table, slot, AT);
	assert_int_equal(wait, NS_PER_S / 10);
	/* what was said is true to the nanosecond, and a refusal costs nothing */
	assert_int_equal(client_table_request(table, slot, AT + wait - 1), 1);
	assert_int_equal(client_table_request(table, slot, AT + wait), 0);
	assert_int_equal(client_table_request(table, slot, AT + wait), NS_PER_S / 10);
	/* ten seconds later all of the burst is there, and no more */
	for (int i = 0; i < 20; i++)
		assert_int_equal(client_table_request(table, slot, AT + 10 * NS_PER_S), 0);
	assert_true(client_table_request(table, slot, AT + 10 * NS_PER_S) > 0);
}

static void what_was_used_outlives_the_connection(void **state)
{
	struct client_slot *slot;

	(void)state;
	table_make(&plain, 100);
	slot = admitted("192.0.2.7");
	for (int i = 0; i < 20; i++)
		client_table_request(table, slot, AT);
	client_table_leave(slot, 0);
	for (uint32_t i = 0; i < 10000; i++) { /* others come and go */
		assert_int_equal(admit_addr(0, addr_nth(i), AT, &slot), CLIENT_ADMITTED);
		client_table_leave(slot, 0);
	}
	assert_true(client_table_request(table, admitted("192.0.2.7"), AT) > 0);
}

static void bytes_are_owed_and_waited_for(void **state)
{
	struct client_slot *slot;

	(void)state;
	table_make(&plain, 100);
	slot = admitted("192.0.2.7");
	assert_int_equal(client_table_bytes_wait(table, slot, AT), 0);
	client_table_bytes(table, slot, 49999, AT);
	assert_int_equal(client_table_bytes_wait(table, slot, AT), 0);
	client_table_bytes(table, slot, 100001, AT);
	/* 150,000 of 50,000 came: a second and one byte's time until the next one */
	assert_int_equal(client_table_bytes_wait(table, slot, AT), NS_PER_S + 10000);
	assert_int_equal(client_table_bytes_wait(table, slot, AT + NS_PER_S + 10000), 0);
	assert_int_equal(client_table_request(table, slot, AT), 0); /* another meter */
}

static void rates_of_an_hour_and_of_gigabytes_do_not_overflow(void **state)
{
	struct client_limits limits = plain;
	struct client_slot *slot;

	(void)state;
	limits.requests = (struct client_rate){1, 3600 * NS_PER_S, 1000000};
	limits.bytes = (struct client_rate){1ull << 40, NS_PER_S, 1ull << 40};
	table_make(&limits, 100);
	slot = admitted("192.0.2.7");
	for (int i = 0; i < 1000000; i++)
		assert_int_equal(client_table_request(table, slot, AT), 0);
	assert_int_equal(client_table_request(table, slot, AT), 3600 * NS_PER_S);
	client_table_bytes(table, slot, 1ull << 40, AT);
	client_table_bytes(table, slot, 1ull << 39, AT);
	assert_in_range(client_table_bytes_wait(table, slot, AT), NS_PER_S / 2, NS_PER_S / 2 + 1);
}

/* ---- full ---- */

/* A client near its limit is remembered through a flood of others; memory is bounded
 * and no newcomer is refused or goes unlimited. */
static void a_flood_of_addresses_makes_nobody_forget_whoever_is_near_its_limit(void **state)
{
	struct client_slot *slot;
	unsigned forgotten = 0;

	(void)state;
	table_make(&plain, 1);
	slot = admitted("192.0.2.7");
	for (int i = 0; i < 20; i++)
		client_table_request(table, slot, AT);
	client_table_leave(slot, 0);
	for (uint32_t i = 0; i < 100000; i++) {
		struct ip_addr addr = addr_nth(i);
		bool forgot;

		assert_int_equal(client_table_admit(table, 0, &addr, AT, &slot, &forgot),
				 CLIENT_ADMITTED);
		assert_int_equal(client_table_request(table, slot, AT), 0);
		client_table_leave(slot, 0);
		forgotten += forgot;
	}
	assert_true(forgotten > 90000);
	assert_true(client_table_request(table, admitted("192.0.2.7"), AT) > 0);
}

static void those_with_connections_are_never_forgotten(void **state)
{
	unsigned untracked = 0, known = 0;
	struct client_slot *slot;

	(void)state;
	table_make(&plain, 1); /* 512 slots */
	for (uint32_t i = 0; i < 2000; i++)
		untracked += admit_addr(0, addr_nth(i), AT, &slot) == CLIENT_UNTRACKED;
	assert_in_range(untracked, 2000 - 512, 2000 - 1);
	for (uint32_t i = 0; i < 2000; i++) { /* the same again: their second connections */
		if (admit_addr(0, addr_nth(i), AT, &slot) != CLIENT_ADMITTED)
			continue;
		known++;
	}
	assert_int_equal(known, 2000 - untracked);
}

static void as_many_clients_as_the_workers_have_connections_find_their_places(void **state)
{
	struct client_slot *slot;

	(void)state;
	table_make(&plain, 20000);
	for (uint32_t i = 0; i < 20000; i++)
		assert_int_equal(admit_addr(0, addr_nth(i), AT, &slot), CLIENT_ADMITTED);
}

/* ---- several processes ---- */

struct shared {
	unsigned go;
	unsigned granted;
	unsigned inside, most_inside;
};

static struct shared *shared;

static pid_t process_start(void (*work)(uint32_t row), uint32_t row)
{
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	while (!__atomic_load_n(&shared->go, __ATOMIC_ACQUIRE))
		usleep(100);
	work(row);
	_exit(0);
}

/* All of them at once, to their ends. */
static void processes_run(void (*work)(uint32_t row))
{
	pid_t pids[PROCESSES];

	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		      0);
	assert_true(shared != MAP_FAILED);
	for (uint32_t i = 0; i < PROCESSES; i++)
		pids[i] = process_start(work, i);
	__atomic_store_n(&shared->go, 1, __ATOMIC_RELEASE);
	for (uint32_t i = 0; i < PROCESSES; i++) {
		int status = -1;

		assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
		assert_int_equal(status, 0);
	}
}

static void request_much(uint32_t row)
{
	struct client_slot *slot;

	if (admit_addr(row, addr_nth(1), AT, &slot) != CLIENT_ADMITTED)
		_exit(1);
	for (int i = 0; i < 20000; i++) {
		if (!client_table_request(table, slot, AT))
			__atomic_fetch_add(&shared->granted, 1, __ATOMIC_RELAXED);
	}
}

static void several_workers_grant_exactly_one_burst(void **state)
{
	struct client_limits limits = plain;

	(void)state;
	limits.connections = 0;
	limits.requests.burst = 10007;
	table_make(&limits, 100);
	processes_run(request_much);
	assert_int_equal(shared->granted, 10007);
}

static void owe_much(uint32_t row)
{
	struct client_slot *slot;

	if (admit_addr(row, addr_nth(1), AT, &slot) != CLIENT_ADMITTED)
		_exit(1);
	for (int i = 0; i < 20000; i++)
		client_table_bytes(table, slot, 100, AT);
}

static void several_workers_lose_no_byte(void **state)
{
	struct client_limits limits = plain;
	struct client_slot *slot;

	(void)state;
	limits.connections = 0;
	limits.bytes = (struct client_rate){1000, NS_PER_S, 1000};
	table_make(&limits, 100);
	processes_run(owe_much);
	assert_int_equal(admit_addr(0, addr_nth(1), AT, &slot), CLIENT_ADMITTED);
	assert_int_equal(client_table_bytes_wait(table, slot, AT),
			 (PROCESSES * 20000 * 100 + 1 - 1000) * (NS_PER_S / 1000));
}

static void come_and_go(uint32_t row)
{
	for (int i = 0; i < 20000; i++) {
		struct client_slot *slot;
		unsigned inside, most;

		if (admit_addr(row, addr_nth((uint32_t)i % 3), AT, &slot) != CLIENT_ADMITTED)
			continue;
		if (i % 3 == 0) {
			inside = __atomic_add_fetch(&shared->inside, 1, __ATOMIC_SEQ_CST);
			most = __atomic_load_n(&shared->most_inside, __ATOMIC_SEQ_CST);
			while (inside > most && !__atomic_compare_exchange_n(
							&shared->most_inside, &most, inside, false,
							__ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
				;
			__atomic_fetch_sub(&shared->inside, 1, __ATOMIC_SEQ_CST);
		}
		client_table_leave(slot, row);
	}
}

static void hold_all_they_get(uint32_t row)
{
	struct client_slot *slot;

	for (int i = 0; i < 1000; i++) {
		if (admit_addr(row, addr_nth(1), AT, &slot) == CLIENT_ADMITTED)
			__atomic_fetch_add(&shared->granted, 1, __ATOMIC_RELAXED);
	}
}

static void several_workers_admit_exactly_the_limit(void **state)
{
	struct client_limits limits = plain;
	struct client_slot *slot;

	(void)state;
	limits.connections = 1777;
	table_make(&limits, 100);
	processes_run(hold_all_they_get);
	assert_int_equal(shared->granted, 1777);
	/* all four were gone without leaving; once their rows are swept there is room */
	assert_int_equal(admit_addr(0, addr_nth(1), AT, &slot), CLIENT_REFUSED);
	for (uint32_t row = 0; row < PROCESSES; row++)
		client_table_forget(table, row);
	for (int i = 0; i < 1777; i++)
		assert_int_equal(admit_addr(0, addr_nth(1), AT, &slot), CLIENT_ADMITTED);
	assert_int_equal(admit_addr(0, addr_nth(1), AT, &slot), CLIENT_REFUSED);
}

static void several_workers_never_admit_more_than_the_limit(void **state)
{
	struct client_slot *slot;

	(void)state;
	table_make(&plain, 1);
	processes_run(come_and_go);
	assert_in_range(shared->most_inside, 1, 3);
	for (int i = 0; i < 3; i++) /* and nothing was left behind */
		assert_int_equal(admit_addr(0, addr_nth(0), AT, &slot), CLIENT_ADMITTED);
	assert_int_equal(admit_addr(0, addr_nth(0), AT, &slot), CLIENT_REFUSED);
}

static void come_and_go_for_ever(uint32_t row)
{
	for (;;)
		come_and_go(row);
}

/* Killed wherever they are, also with a lock: the table works on. */
static void killed_workers_leave_a_table_that_works(void **state)
{
	struct client_slot *slot;

	(void)state;
	table_make(&plain, 1);
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		      0);
	assert_true(shared != MAP_FAILED);
	shared->go = 1;
	for (int round = 0; round < 50; round++) {
		pid_t a = process_start(come_and_go_for_ever, 0);
		pid_t b = process_start(come_and_go_for_ever, 1);

		usleep(2000);
		kill(a, SIGKILL);
		kill(b, SIGKILL);
		assert_int_equal(waitpid(a, NULL, 0), a);
		assert_int_equal(waitpid(b, NULL, 0), b);
		client_table_forget(table, 0);
		client_table_forget(table, 1);
	}
	for (uint32_t n = 0; n < 3; n++) {
		for (int i = 0; i < 3; i++)
			assert_int_equal(admit_addr(0, addr_nth(n), AT, &slot), CLIENT_ADMITTED);
		assert_int_equal(admit_addr(0, addr_nth(n), AT, &slot), CLIENT_REFUSED);
	}
}

int main(void)
{
#define TABLED(test) cmocka_unit_test_teardown(test, table_remove)
	const struct CMUnitTest tests[] = {
		TABLED(a_client_has_so_many_connections_and_others_have_theirs),
		TABLED(a_client_is_its_prefix),
		TABLED(requests_come_at_once_up_to_the_burst_then_at_the_rate),
		TABLED(what_was_used_outlives_the_connection),
		TABLED(bytes_are_owed_and_waited_for),
		TABLED(rates_of_an_hour_and_of_gigabytes_do_not_overflow),
		TABLED(a_flood_of_addresses_makes_nobody_forget_whoever_is_near_its_limit),
		TABLED(those_with_connections_are_never_forgotten),
		TABLED(as_many_clients_as_the_workers_have_connections_find_their_places),
		TABLED(several_workers_grant_exactly_one_burst),
		TABLED(several_workers_lose_no_byte),
		TABLED(several_workers_admit_exactly_the_limit),
		TABLED(several_workers_never_admit_more_than_the_limit),
		TABLED(killed_workers_leave_a_table_that_works),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
