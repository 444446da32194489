// SPDX-License-Identifier: BSD-2-Clause
/* The life of a flow: what moves it, what keeps it, who gets its port, and what
 * happens when half of it is forgotten. */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <bpf/bpf.h>
#include <cmocka.h>

#include "tests/harness/way.h"
#include "userspace/base/clock.h"

struct flow_entry {
	struct flow_key key;
	struct nat_flow flow;
};

static int flow_take(void *ctx, const struct flow_key *key, const struct nat_flow *flow)
{
	struct flow_entry *entry = ctx;

	entry->key = *key;
	entry->flow = *flow;
	return 1;
}

/* The one entry that is there. */
static struct flow_entry flow_only(const struct bench *bench, bool reverse)
{
	struct flow_entry entry;

	assert_int_equal(flows_each(bench->controller, reverse, flow_take, &entry), 1);
	return entry;
}

static bool flow_exists(const struct bench *bench, bool reverse)
{
	struct flow_entry entry;

	return flows_each(bench->controller, reverse, flow_take, &entry) == 1;
}

static int flows_open(const struct bench *bench, bool reverse)
{
	char path[PIN_PATH_MAX];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", bench->dirs.live, reverse ? "nat_rev" : "nat_fwd");
	fd = bpf_obj_get(path);
	assert_true(fd >= 0);
	return fd;
}

static void flow_write(const struct bench *bench, bool reverse, const struct flow_entry *entry)
{
	_cleanup_close_ int fd = flows_open(bench, reverse);

	assert_int_equal(bpf_map_update_elem(fd, &entry->key, &entry->flow, BPF_ANY), 0);
}

static void flow_evict(const struct bench *bench, bool reverse, const struct flow_key *key)
{
	_cleanup_close_ int fd = flows_open(bench, reverse);

	assert_int_equal(bpf_map_delete_elem(fd, key), 0);
}

/* Lets both entries of the only flow look as if last used so long ago. */
static void flow_age(const struct bench *bench, uint64_t age_ns)
{
	for (int reverse = 0; reverse < 2; reverse++) {
		struct flow_entry entry = flow_only(bench, reverse);

		entry.flow.seen_at = clock_monotonic_ns() - age_ns;
		flow_write(bench, reverse, &entry);
	}
}

/* One port for all: the second flow to one endpoint needs the first one's. */
static void ports_make_one(struct bench *bench)
{
	static const uint32_t ids[] = {0};
	struct contract contract = bench->writer->contract;

	bench_ring(bench, ids, 1);
	contract.snat_port_low = BENCH_SNAT_LOW;
	contract.snat_port_high = BENCH_SNAT_LOW;
	contract_put(bench->writer->fds[MAP_CONTRACT], &contract);
}

/* A flow with packets both ways; where the first one went. */
static struct frame_seen flow_establish(struct bench *bench, const struct way *way, uint16_t port)
{
	struct run run = way_ask(bench, way, port, 0);
	struct frame_seen seen = way_sent(&run);

	run = way_answer(bench, way, &seen, FLAG_SYN | FLAG_ACK);
	way_sent(&run);
	run = way_ask(bench, way, port, FLAG_ACK);
	way_sent(&run);
	run = way_answer(bench, way, &seen, FLAG_ACK);
	way_sent(&run);
	return seen;
}

/* Where the next packet of that flow goes. */
static uint32_t endpoint_now(struct bench *bench, const struct way *way, uint16_t port,
			     uint8_t flags)
{
	struct run run = way_ask(bench, way, port, flags);
	struct frame_seen seen = way_sent(&run);

	return way_endpoint(&seen);
}

static void a_draining_endpoint_keeps_its_flows_and_gets_no_new_one(void **state)
{
	for (EACH_WAY(way)) {
		struct bench *bench = bench_of(state);
		struct frame_seen seen;
		uint32_t draining;

		bench_serve(bench, way->is_ipv6);
		seen = flow_establish(bench, way, 4000);
		draining = way_endpoint(&seen);
		bench_admin(bench, draining, ADMIN_DRAIN);
		assert_int_equal(endpoint_now(bench, way, 4000, FLAG_ACK), draining);
		for (uint16_t port = 5000; port < 5100; port++)
			assert_int_not_equal(endpoint_now(bench, way, port, 0), draining);
	}
}

static void a_new_connection_on_old_ports_leaves_a_draining_endpoint(void **state)
{
	for (EACH_WAY(way)) {
		struct bench *bench = bench_of(state);
		struct frame_seen seen;

		if (way->proto != IPPROTO_TCP)
			continue;
		bench_serve(bench, way->is_ipv6);
		seen = flow_establish(bench, way, 4000);
		bench_admin(bench, way_endpoint(&seen), ADMIN_DRAIN);
		assert_int_not_equal(endpoint_now(bench, way, 4000, FLAG_SYN), way_endpoint(&seen));
	}
}

static void a_repeated_syn_stays_with_a_draining_endpoint(void **state)
{
	for (EACH_WAY(way)) {
		struct bench *bench = bench_of(state);
		uint32_t draining;

		if (way->proto != IPPROTO_TCP)
			continue;
		bench_serve(bench, way->is_ipv6);
		draining = endpoint_now(bench, way, 4000, FLAG_SYN);
		bench_admin(bench, draining, ADMIN_DRAIN);
		assert_int_equal(endpoint_now(bench, way, 4000, FLAG_SYN), draining);
	}
}

static void a_draining_cluster_gets_no_new_flow(void **state)
{
	for (EACH_WAY(way)) {
		struct bench *bench = bench_of(state);

		bench_serve(bench, way->is_ipv6);
		bench_admin(bench, ADMIN_CLUSTER_BASE, ADMIN_DRAIN);
		assert_true(way_ask(bench, way, 4000, 0).is_dropped);
		assert_true(bench_only(bench, VERDICT_NO_ENDPOINT));
	}
}

static void draining_the_last_cluster_leaves_endpoints_of_no_cluster_alone(void **state)
{
	for (EACH_WAY(way)) {
		struct bench *bench = bench_of(state);

		bench_serve(bench, way->is_ipv6);
		for (uint32_t id = 0; id < 16; id++)
			bench->controller->endpoints[id].cluster = CLUSTER_NONE;
		bench_admin(bench, ADMIN_CLUSTER_BASE + CLUSTERS_MAX - 1, ADMIN_DRAIN);
		assert_false(way_ask(bench, way, 4000, 0).is_dropped);
		assert_true(bench_only(bench, VERDICT_FORWARDED));
	}
}

static void udp_and_new_connections_leave_an_endpoint_that_is_down(void **state)
{
	for (EACH_WAY(way)) {
		struct bench *bench = bench_of(state);
		struct frame_seen seen;
		uint32_t down;

		bench_serve(bench, way->is_ipv6);
		seen = flow_establish(bench, way, 4000);
		down = way_endpoint(&seen);
		bench_health(bench, down, HEALTH_DOWN);
		if (way->proto == IPPROTO_TCP) {
			bench_mark(bench);
			assert_true(way_ask(bench, way, 4000, FLAG_ACK).is_sent); /* back */
			assert_true(bench_only(bench, VERDICT_ENDPOINT_RESET));
		}
		assert_int_not_equal(endpoint_now(bench, way, 4000, FLAG_SYN), down);
		for (uint16_t port = 5000; port < 5100; port++)
			assert_int_not_equal(endpoint_now(bench, way, port, 0), down);
	}
}

static void maintenance_is_as_good_as_down(void **state)
{
	for (EACH_WAY(way)) {
		struct bench *bench = bench_of(state);
		uint32_t out;

		bench_serve(bench, way->is_ipv6);
		out = endpoint_now(bench, way, 4000, 0);
		bench_admin(bench, out, ADMIN_MAINT);
		assert_int_not_equal(endpoint_now(bench, way, 4000, 0), out);
	}
}

static void flows_leave_a_drain_at_its_deadline(void **state)
{
	for (EACH_WAY(way)) {
		for (int of_cluster = 0; of_cluster < 2; of_cluster++) {
			struct bench *bench = bench_of(state);
			struct frame_seen seen;
			uint32_t draining, slot, back = 0;

			bench_serve(bench, way->is_ipv6);
			seen = flow_establish(bench, way, 4000);
			draining = way_endpoint(&seen);
			for (uint32_t id = 0; of_cluster && id < 3; id++) {
				if (id != draining)
					bench->controller->endpoints[id].cluster = CLUSTER_NONE;
			}
			slot = of_cluster ? ADMIN_CLUSTER_BASE : draining;
			bench_drain_until(bench, slot, clock_monotonic_ns() + 60 * NS_PER_S);
			assert_int_equal(endpoint_now(bench, way, 4000, FLAG_ACK), draining);
			bench_drain_until(bench, slot, clock_monotonic_ns() - NS_PER_S);
			if (way->proto == IPPROTO_TCP) {
				bench_mark(bench);
				assert_true(way_ask(bench, way, 4000, FLAG_ACK).is_sent); /* back */
				assert_true(bench_only(bench, VERDICT_ENDPOINT_RESET));
			}
			assert_int_not_equal(endpoint_now(bench, way, 4000, FLAG_SYN), draining);
			for (uint16_t port = 5000; port < 5050; port++)
				assert_int_not_equal(endpoint_now(bench, way, port, 0), draining);
			bench_admin(bench, slot, ADMIN_READY); /* with the deadline's rest in it */
			for (uint16_t port = 5100; port < 5200; port++)
				back += endpoint_now(bench, way, port, 0) == draining;
			assert_int_not_equal(back, 0);
		}
	}
}

static void what_was_said_of_an_older_generation_does_not_count(void **state)
{
	for (EACH_WAY(way)) {
		struct bench *bench = bench_of(state);
		uint32_t endpoint;

		bench_serve(bench, way->is_ipv6);
		endpoint = endpoint_now(bench, way, 4000, 0);
		bench_admin(bench, endpoint, ADMIN_MAINT);
		bench_health(bench, endpoint, HEALTH_DOWN);
		bench->controller->endpoints[endpoint].generation = 2;
		for (uint32_t id = 0; id < 3; id++) {
			if (id != endpoint)
				bench_admin(bench, id, ADMIN_MAINT);
		}
		assert_int_equal(endpoint_now(bench, way, 6000, 0), endpoint);
	}
}

static void a_moved_flow_leaves_no_entry_behind(void **state)
{
	for (EACH_WAY(way)) {
		struct bench *bench = bench_of(state);
		struct flow_entry first, second;
		uint32_t down;

		bench_serve(bench, way->is_ipv6);
		down = endpoint_now(bench, way, 4000, 0);
		first = flow_only(bench, true);
		bench_health(bench, down, HEALTH_DOWN);
		endpoint_now(bench, way, 4000, 0);
		second = flow_only(bench, true);
		assert_memory_not_equal(&second.key, &first.key, sizeof(first.key));
		flow_evict(bench, true, &second.key);
		assert_false(flow_exists(bench, true));
	}
}

static void without_a_free_port_a_new_flow_is_refused_by_name(void **state)
{
	for (EACH_WAY(way)) {
		struct bench *bench = bench_of(state);

		bench_serve(bench, way->is_ipv6);
		ports_make_one(bench);
		flow_establish(bench, way, 4000);
		bench_mark(bench);
		assert_true(way_ask(bench, way, 4001, 0).is_dropped);
		assert_true(bench_only(bench, VERDICT_SNAT_EXHAUSTED));
		assert_int_equal(endpoint_now(bench, way, 4000, FLAG_ACK), 0);
	}
}

static void a_client_has_no_more_flows_than_its_cap(void **state)
{
	for (EACH_WAY(way)) {
		struct bench *bench = bench_of(state);
		struct contract contract = bench->writer->contract;
		struct frame_seen seen;

		if (way->proto != IPPROTO_TCP)
			continue;
		contract.nat_client_max = 3;
		assert_int_equal(contract_put(bench->writer->fds[MAP_CONTRACT], &contract), 0);
		bench_serve(bench, way->is_ipv6);
		for (uint16_t port = 4000; port < 4003; port++)
			assert_true(way_ask(bench, way, port, 0).is_sent);
		bench_mark(bench);
		assert_true(way_ask(bench, way, 4003, 0).is_dropped);
		assert_true(bench_only(bench, VERDICT_CLIENT_CAP));
		assert_true(way_ask(bench, way, 4002, FLAG_ACK).is_sent);
		assert_true(way_ask(bench, way, 4002, FLAG_RST).is_sent);
		seen = flow_establish(bench, way, 4003);
		assert_true(way_ask(bench, way, 4004, 0).is_dropped);
		/* the server's reset counts as well */
		assert_true(way_answer(bench, way, &seen, FLAG_RST).is_sent);
		assert_true(way_ask(bench, way, 4004, 0).is_sent);
		assert_true(way_ask(bench, way, 4005, 0).is_dropped);
	}
}

/* A sweep of the controller's over the flows of clients. */
static void clients_sweep(const struct bench *bench, struct nat_client_counts *clients)
{
	static uint32_t flows[ENDPOINTS_MAX];
	struct walk_position counted = {0}, corrected = {0};

	nat_client_counts_begin(clients);
	while (!counted.done)
		assert_int_equal(nat_flows_count_part(bench->controller, &counted, UINT32_MAX,
						      clock_monotonic_ns(), flows, clients),
				 0);
	while (!corrected.done)
		assert_int_equal(nat_clients_correct_part(bench->controller, clients, &corrected,
							  UINT32_MAX),
				 0);
}

static void flows_pushed_out_count_until_two_sweeps_have_missed_them(void **state)
{
	for (EACH_WAY(way)) {
		struct bench *bench = bench_of(state);
		struct contract contract = bench->writer->contract;
		struct nat_client_counts *clients;
		struct flow_entry entry;

		contract.nat_client_max = 2;
		assert_int_equal(contract_put(bench->writer->fds[MAP_CONTRACT], &contract), 0);
		bench_serve(bench, way->is_ipv6);
		assert_int_equal(nat_client_counts_new(bench->controller, &clients), 0);
		assert_true(way_ask(bench, way, 4000, 0).is_sent);
		entry = flow_only(bench, false);
		assert_true(way_ask(bench, way, 4001, 0).is_sent);
		flow_evict(bench, false, &entry.key); /* as its LRU does where it is full */
		assert_true(way_ask(bench, way, 4002, 0).is_dropped);
		clients_sweep(bench, clients);
		bench_mark(bench);
		assert_true(way_ask(bench, way, 4002, 0).is_dropped);
		assert_true(bench_only(bench, VERDICT_CLIENT_CAP));
		clients_sweep(bench, clients);
		assert_true(way_ask(bench, way, 4002, 0).is_sent);
		assert_true(way_ask(bench, way, 4003, 0).is_dropped);
		for (int i = 0; i < 3; i++) /* and no more is given away */
			clients_sweep(bench, clients);
		assert_true(way_ask(bench, way, 4003, 0).is_dropped);
		nat_client_counts_free(clients);
	}
}

static void a_closed_flow_gives_up_its_port_and_both_entries(void **state)
{
	for (EACH_WAY(way)) {
		struct bench *bench = bench_of(state);
		struct frame_seen seen;
		struct run run;

		if (way->proto != IPPROTO_TCP)
			continue;
		bench_serve(bench, way->is_ipv6);
		ports_make_one(bench);
		seen = flow_establish(bench, way, 4000);
		run = way_ask(bench, way, 4000, FLAG_FIN | FLAG_ACK);
		way_sent(&run);
		run = way_answer(bench, way, &seen, FLAG_FIN | FLAG_ACK);
		way_sent(&run);
		/* at rest for less than a second: kept even when ports are short */
		assert_true(way_ask(bench, way, 4001, 0).is_dropped);
		flow_age(bench, 2 * NS_PER_S);
		assert_int_equal(endpoint_now(bench, way, 4001, 0), 0);
		assert_int_equal(ntohs(flow_only(bench, false).key.src_port), 4001);
		bench_mark(bench);
		assert_true(way_ask(bench, way, 4000, FLAG_ACK).is_dropped);
		assert_true(bench_only(bench, VERDICT_NO_FLOW));
	}
}

static void a_half_closed_flow_keeps_its_port(void **state)
{
	for (EACH_WAY(way)) {
		struct bench *bench = bench_of(state);
		struct run run;

		if (way->proto != IPPROTO_TCP)
			continue;
		bench_serve(bench, way->is_ipv6);
		ports_make_one(bench);
		flow_establish(bench, way, 4000);
		run = way_ask(bench, way, 4000, FLAG_FIN | FLAG_ACK);
		way_sent(&run);
		flow_age(bench, 600 * NS_PER_S);
		assert_true(way_ask(bench, way, 4001, 0).is_dropped);
	}
}

static void a_reset_closes_both_directions(void **state)
{
	for (EACH_WAY(way)) {
		struct bench *bench = bench_of(state);
		struct frame_seen seen;
		struct run run;

		if (way->proto != IPPROTO_TCP)
			continue;
		bench_serve(bench, way->is_ipv6);
		ports_make_one(bench);
		seen = flow_establish(bench, way, 4000);
		run = way_answer(bench, way, &seen, FLAG_RST);
		way_sent(&run);
		flow_age(bench, 2 * NS_PER_S);
		assert_int_equal(endpoint_now(bench, way, 4001, 0), 0);
	}
}

static void a_silent_flow_keeps_its_port_for_as_long_as_the_rfcs_ask(void **state)
{
	for (EACH_WAY(way)) {
		struct bench *bench = bench_of(state);
		uint64_t limit = (way->proto == IPPROTO_TCP ? 7500 : 180) * NS_PER_S;

		if (clock_monotonic_ns() < limit + 10 * NS_PER_S)
			continue; /* the host has not been up for so long */
		bench_serve(bench, way->is_ipv6);
		ports_make_one(bench);
		flow_establish(bench, way, 4000);
		flow_age(bench, limit - 5 * NS_PER_S);
		assert_true(way_ask(bench, way, 4001, 0).is_dropped);
		flow_age(bench, limit + 5 * NS_PER_S);
		assert_int_equal(endpoint_now(bench, way, 4001, 0), 0);
	}
}

static void a_forgotten_half_is_put_back(void **state)
{
	for (EACH_WAY(way)) {
		struct bench *bench = bench_of(state);
		struct flow_entry forward, reverse, again;
		struct frame_seen seen;
		struct run run;

		bench_serve(bench, way->is_ipv6);
		seen = flow_establish(bench, way, 4000);
		forward = flow_only(bench, false);
		reverse = flow_only(bench, true);
		flow_age(bench, 2 * NS_PER_S);
		flow_evict(bench, true, &reverse.key);
		run = way_ask(bench, way, 4000, FLAG_ACK);
		assert_int_equal(way_sent(&run).src_port, seen.src_port);
		again = flow_only(bench, true);
		assert_memory_equal(&again.key, &reverse.key, sizeof(reverse.key));
		flow_age(bench, 2 * NS_PER_S);
		flow_evict(bench, false, &forward.key);
		run = way_answer(bench, way, &seen, FLAG_ACK);
		assert_int_equal(way_sent(&run).dst_port, 4000);
		run = way_ask(bench, way, 4000, FLAG_ACK);
		assert_int_equal(way_sent(&run).src_port, seen.src_port);
	}
}

static void a_half_whose_port_was_given_away_is_not_believed(void **state)
{
	for (EACH_WAY(way)) {
		struct bench *bench = bench_of(state);
		struct flow_entry reverse;
		struct run run;

		bench_serve(bench, way->is_ipv6);
		ports_make_one(bench);
		flow_establish(bench, way, 4000);
		reverse = flow_only(bench, true);
		reverse.flow.dst_port = htons(4999); /* now another client's */
		flow_age(bench, 2 * NS_PER_S);
		flow_write(bench, true, &reverse);
		bench_mark(bench);
		run = way_ask(bench, way, 4000, FLAG_ACK);
		assert_true(run.is_dropped);
		assert_int_equal(bench_counted(bench, way->proto == IPPROTO_TCP
							      ? VERDICT_NO_FLOW
							      : VERDICT_SNAT_EXHAUSTED),
				 1);
	}
}

static void flows_outlive_an_upgrade(void **state)
{
	for (EACH_WAY(way)) {
		struct bench *bench = bench_of(state);
		struct frame_seen seen, after;
		struct maps *maps;
		struct run run;

		bench_serve(bench, way->is_ipv6);
		seen = flow_establish(bench, way, 4000);
		if (way->is_ipv6 || way->proto == IPPROTO_UDP)
			continue; /* one upgrade a program is enough */
		assert_int_equal(loader_upgrade(&bench->loader, 0, NULL), 0);
		bench_reopen(bench);
		run = way_ask(bench, way, 4000, FLAG_ACK);
		after = way_sent(&run);
		assert_int_equal(after.src_port, seen.src_port);
		assert_string_equal(after.dst, seen.dst);
		run = way_answer(bench, way, &seen, FLAG_ACK);
		way_sent(&run);
		assert_int_equal(maps_open(&bench->loader.instance, MAPS_READ, &maps), 0);
		assert_true(maps->contract.generation > bench->writer->contract.generation);
		maps_close(maps);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_draining_endpoint_keeps_its_flows_and_gets_no_new_one),
		cmocka_unit_test(a_new_connection_on_old_ports_leaves_a_draining_endpoint),
		cmocka_unit_test(a_repeated_syn_stays_with_a_draining_endpoint),
		cmocka_unit_test(a_draining_cluster_gets_no_new_flow),
		cmocka_unit_test(draining_the_last_cluster_leaves_endpoints_of_no_cluster_alone),
		cmocka_unit_test(udp_and_new_connections_leave_an_endpoint_that_is_down),
		cmocka_unit_test(maintenance_is_as_good_as_down),
		cmocka_unit_test(flows_leave_a_drain_at_its_deadline),
		cmocka_unit_test(what_was_said_of_an_older_generation_does_not_count),
		cmocka_unit_test(a_moved_flow_leaves_no_entry_behind),
		cmocka_unit_test(without_a_free_port_a_new_flow_is_refused_by_name),
		cmocka_unit_test(a_client_has_no_more_flows_than_its_cap),
		cmocka_unit_test(flows_pushed_out_count_until_two_sweeps_have_missed_them),
		cmocka_unit_test(a_closed_flow_gives_up_its_port_and_both_entries),
		cmocka_unit_test(a_half_closed_flow_keeps_its_port),
		cmocka_unit_test(a_reset_closes_both_directions),
		cmocka_unit_test(a_silent_flow_keeps_its_port_for_as_long_as_the_rfcs_ask),
		cmocka_unit_test(a_forgotten_half_is_put_back),
		cmocka_unit_test(a_half_whose_port_was_given_away_is_not_believed),
		cmocka_unit_test(flows_outlive_an_upgrade),
	};

	return cmocka_run_group_tests(tests, bench_setup, bench_teardown);
}
