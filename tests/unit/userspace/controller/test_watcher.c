// SPDX-License-Identifier: BSD-2-Clause
/* From probes and scrapes of a real server to records in real maps. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "maps/access/maps.h"
#include "tests/harness/pinned_maps.h"
#include "userspace/base/address.h"
#include "userspace/base/clock.h"
#include "userspace/base/log.h"
#include "userspace/base/loop.h"
#include "userspace/controller/watcher.h"
#include "userspace/http/serve.h"
#include "userspace/publish/plan.h"
#include "userspace/sources/desired.h"

#define PAGE                                                                                       \
	"vllm:num_requests_running 3\nvllm:num_requests_waiting 1\nvllm:kv_cache_usage_perc 0.5\n"

#define MANY 80 /* more than are named, few enough for one window of a slow machine */

struct bench {
	struct maps *maps;
	struct loop *loop;
	struct server *server;
	struct watcher *watcher;
	int status;
	const char *dead_path; /* answers 500, whatever the status */
	struct desired desired;
	struct desired_endpoint endpoint;
	struct desired_pool pool;
	struct plan plan;
	struct plan_endpoint planned;
	struct desired_endpoint many[MANY];
	struct plan_endpoint many_planned[MANY];
};

static int warnings, ups;
static char last_warning[512];

static void log_count(enum log_level level, const char *text)
{
	warnings += level == LOG_LEVEL_WARNING;
	if (level == LOG_LEVEL_WARNING)
		snprintf(last_warning, sizeof(last_warning), "%s", text);
	ups += strstr(text, ": UP") != NULL;
}

static void serve_both(void *ctx, const char *path, struct server_answer *ret_answer)
{
	struct bench *bench = ctx;

	ret_answer->status = bench->status;
	if (bench->dead_path && strcmp(path, bench->dead_path) == 0)
		ret_answer->status = 500;
	if (strcmp(path, "/metrics") != 0)
		return;
	ret_answer->content_type = "text/plain";
	ret_answer->body = strdup(PAGE);
	ret_answer->body_length = strlen(PAGE);
}

static bool prepared;

static int group_setup(void **state)
{
	(void)state;
	prepared = pinned_maps_prepare();
	return 0;
}

static void bench_fill(struct bench *bench)
{
	bench->status = 200;
	bench->endpoint = (struct desired_endpoint){.name = "ai/one", .engine = "vllm"};
	address_parse("127.0.0.1", &bench->endpoint.addr);
	bench->endpoint.port = server_port(bench->server);
	bench->pool = (struct desired_pool){
		.name = "ai/pool",
		.endpoint_count = 1,
		.health = {.interval_ms = 20,
			   .timeout_ms = 500,
			   .healthy_threshold = 2,
			   .unhealthy_threshold = 2,
			   .path = "/health"},
	};
	bench->desired = (struct desired){
		.endpoints = &bench->endpoint,
		.endpoint_count = 1,
		.pools = &bench->pool,
		.pool_count = 1,
	};
	bench->planned = (struct plan_endpoint){.id = 4, .record = {.generation = 9}};
	bench->plan = (struct plan){.endpoints = &bench->planned, .endpoint_count = 1};
	snprintf(bench->maps->endpoints[4].name, 64, "ai/one");
	bench->maps->health[4].generation = 9;
}

static int bench_setup(void **state)
{
	struct bench *bench = calloc(1, sizeof(*bench));
	struct instance instance;
	struct ip_addr addr;

	*state = bench;
	if (!bench || !prepared)
		return bench ? 0 : -1;
	warnings = ups = 0;
	log_sink = log_count;
	address_parse("127.0.0.1", &addr);
	if (instance_init(&instance, "unit-watcher") || pinned_maps_make(&instance, NULL) ||
	    maps_open(&instance, MAPS_CONTROLLER, &bench->maps) || loop_new(5000, &bench->loop) ||
	    watcher_new(bench->loop, bench->maps, 10, &bench->watcher) ||
	    server_new(bench->loop, &addr, 0, serve_both, bench, &bench->server))
		return -1;
	bench_fill(bench);
	return 0;
}

static int bench_teardown(void **state)
{
	struct bench *bench = *state;

	log_sink = NULL;
	watcher_free(bench->watcher);
	server_free(bench->server);
	loop_free(bench->loop);
	maps_close(bench->maps);
	free(bench);
	return 0;
}

static struct bench *bench_get(void **state)
{
	if (!prepared) {
		printf("skip: no pinned maps of our own\n");
		skip();
	}
	return *state;
}

static void follow(struct bench *bench)
{
	assert_int_equal(watcher_follow(bench->watcher, &bench->plan, &bench->desired), 0);
}

#define UNTIL(bench, condition)                                                                    \
	do {                                                                                       \
		uint64_t deadline = clock_monotonic_ns() + 20 * NS_PER_S;                          \
                                                                                                   \
		while (!(condition)) {                                                             \
			assert_true(clock_monotonic_ns() < deadline);                              \
			assert_int_equal(loop_turn((bench)->loop, 20), 0);                         \
		}                                                                                  \
	} while (0)

static void what_is_observed_gets_into_the_maps(void **state)
{
	struct bench *bench = bench_get(state);
	const struct load *load = &bench->maps->load[4];

	follow(bench);
	UNTIL(bench, bench->maps->health[4].state == HEALTH_UP && load->sampled_at);
	assert_int_equal(bench->maps->health[4].generation, 9);
	assert_int_equal(load->running, 3);
	assert_int_equal(load->kv_permille, 500);
	assert_int_equal(load->generation, 9);
	assert_true(bench->maps->clusters[0].rtt_us > 0);
	assert_true(bench->maps->clusters[0].observed_at > 0);
	assert_int_equal(ups, 1);
	assert_true(watcher_counts(bench->watcher)->probes[HEALTH_REASON_OK] > 0);
}

static void a_change_is_logged_once_however_long_it_lasts(void **state)
{
	struct bench *bench = bench_get(state);

	follow(bench);
	UNTIL(bench, bench->maps->health[4].state == HEALTH_UP && bench->maps->load[4].sampled_at);
	bench->dead_path = "/health";
	UNTIL(bench, bench->maps->health[4].fall >= 6);
	assert_int_equal(bench->maps->health[4].state, HEALTH_DOWN);
	assert_int_equal(warnings, 1);
	assert_int_equal(bench->maps->load[4].running, 3); /* the last good sample stays */
}

static void an_adopted_endpoint_goes_on_from_its_record(void **state)
{
	struct bench *bench = bench_get(state);

	bench->maps->health[4].state = HEALTH_UP;
	bench->maps->health[4].since = 12345;
	follow(bench);
	UNTIL(bench, bench->maps->health[4].probed_at);
	assert_int_equal(bench->maps->health[4].state, HEALTH_UP);
	assert_int_equal(bench->maps->health[4].since, 12345);
	assert_int_equal(ups, 0);
}

static void what_cannot_be_watched_is_said_once_and_serves(void **state)
{
	struct bench *bench = bench_get(state);

	bench->pool.health.type = HEALTH_CHECK_TCP;
	bench->endpoint.engine = "sglang";
	bench->maps->health[4].state = HEALTH_DOWN; /* of an earlier check */
	follow(bench);
	follow(bench);
	assert_int_equal(warnings, 2);
	for (int i = 0; i < 5; i++)
		loop_turn(bench->loop, 10);
	assert_int_equal(bench->maps->health[4].state, HEALTH_UNKNOWN);
	assert_int_equal(bench->maps->load[4].sampled_at, 0);
}

static void an_endpoint_that_is_gone_is_left_alone(void **state)
{
	struct bench *bench = bench_get(state);
	uint64_t probed_at;

	follow(bench);
	UNTIL(bench, bench->maps->health[4].state == HEALTH_UP);
	bench->plan.endpoint_count = 0;
	follow(bench);
	probed_at = bench->maps->health[4].probed_at;
	for (int i = 0; i < 10; i++)
		loop_turn(bench->loop, 10);
	assert_int_equal(bench->maps->health[4].probed_at, probed_at);
}

static void what_serves_still_after_a_failed_publication_goes_on_being_probed(void **state)
{
	struct bench *bench = bench_get(state);

	follow(bench);
	UNTIL(bench, bench->maps->health[4].state == HEALTH_UP);
	bench->maps->endpoints[4].way = WAY_NAT;
	bench->maps->endpoints[4].owner = VIP_OWNER_CONTROLLER;
	bench->plan.endpoint_count = 0;
	follow(bench);
	bench->status = 500;
	UNTIL(bench, bench->maps->health[4].state == HEALTH_DOWN);
}

static void an_endpoint_that_is_down_is_not_scraped(void **state)
{
	struct bench *bench = bench_get(state);
	uint64_t sampled_at;

	bench->pool.health.path = "/never";
	follow(bench);
	UNTIL(bench, bench->maps->load[4].sampled_at);
	bench->dead_path = "/never";
	UNTIL(bench, bench->maps->health[4].state == HEALTH_DOWN);
	sampled_at = bench->maps->load[4].sampled_at;
	UNTIL(bench, bench->maps->health[4].fall >= 6);
	assert_int_equal(bench->maps->load[4].sampled_at, sampled_at);
	bench->dead_path = NULL;
	UNTIL(bench, bench->maps->load[4].sampled_at > sampled_at);
}

static void metrics_that_cannot_be_read_are_said_once(void **state)
{
	struct bench *bench = bench_get(state);

	bench->dead_path = "/metrics";
	follow(bench);
	UNTIL(bench, bench->maps->load[4].failures >= 6);
	assert_int_equal(warnings, 1);
	assert_non_null(strstr(last_warning, "endpoint ai/one ("));
	assert_non_null(strstr(last_warning, "3 scrapes of /metrics in a row failed (status)"));
	bench->dead_path = NULL;
	UNTIL(bench, bench->maps->load[4].sampled_at);
	bench->dead_path = "/metrics";
	UNTIL(bench, warnings == 2);
}

static void many_changes_at_once_are_counted_not_named(void **state)
{
	struct bench *bench = bench_get(state);

	for (uint32_t i = 0; i < MANY; i++) {
		bench->many[i] = bench->endpoint;
		bench->many_planned[i] = bench->planned;
		bench->many_planned[i].id = 10 + i;
	}
	bench->pool.health.interval_ms = 500;
	bench->pool.health.unhealthy_threshold = 100;
	bench->desired.endpoints = bench->many;
	bench->plan.endpoints = bench->many_planned;
	bench->desired.endpoint_count = bench->plan.endpoint_count = MANY;
	follow(bench);
	UNTIL(bench, watcher_counts(bench->watcher)->changes[HEALTH_UP] == MANY);
	assert_int_equal(ups, 50);
	bench->plan.endpoint_count = 0;
	follow(bench);
	UNTIL(bench, strstr(last_warning, "30 more went UP and 0 more DOWN"));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, bench_setup, bench_teardown)
	const struct CMUnitTest tests[] = {
		TEST(what_is_observed_gets_into_the_maps),
		TEST(a_change_is_logged_once_however_long_it_lasts),
		TEST(an_adopted_endpoint_goes_on_from_its_record),
		TEST(what_cannot_be_watched_is_said_once_and_serves),
		TEST(an_endpoint_that_is_gone_is_left_alone),
		TEST(what_serves_still_after_a_failed_publication_goes_on_being_probed),
		TEST(an_endpoint_that_is_down_is_not_scraped),
		TEST(metrics_that_cannot_be_read_are_said_once),
		TEST(many_changes_at_once_are_counted_not_named),
	};
#undef TEST

	return cmocka_run_group_tests(tests, group_setup, NULL);
}
