// SPDX-License-Identifier: BSD-2-Clause
/* The scrape loop against a real server on the loopback, and its pace. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "userspace/base/address.h"
#include "userspace/base/clock.h"
#include "userspace/base/loop.h"
#include "userspace/http/serve.h"
#include "userspace/scrape/scraper.h"

#define PAGE                                                                                       \
	"vllm:num_requests_running 3\nvllm:num_requests_waiting 1\nvllm:kv_cache_usage_perc 0.5\n"

struct bench {
	struct loop *loop;
	struct server *server;
	struct scraper *scraper;
	int status;
	const char *body;
	int reports;
	struct scrape_report last;
	struct page_sample sample;
};

static void serve_page(void *ctx, const char *path, struct server_answer *ret_answer)
{
	struct bench *bench = ctx;

	(void)path;
	ret_answer->status = bench->status;
	ret_answer->content_type = "text/plain";
	ret_answer->body = strdup(bench->body);
	ret_answer->body_length = strlen(bench->body);
}

static void report_take(void *ctx, const struct scrape_report *report)
{
	struct bench *bench = ctx;

	bench->reports++;
	bench->last = *report;
	bench->sample = *report->sample;
}

static int bench_setup(void **state)
{
	struct bench *bench = calloc(1, sizeof(*bench));
	struct ip_addr addr;

	*state = bench;
	bench->status = 200;
	bench->body = PAGE;
	address_parse("127.0.0.1", &addr);
	return loop_new(1000, &bench->loop) ||
	       scraper_new(bench->loop, 2, report_take, bench, &bench->scraper) ||
	       server_new(bench->loop, &addr, 0, serve_page, bench, &bench->server);
}

static int bench_teardown(void **state)
{
	struct bench *bench = *state;

	scraper_free(bench->scraper);
	server_free(bench->server);
	loop_free(bench->loop);
	free(bench);
	return 0;
}

static void bench_put(struct bench *bench, uint32_t id, uint32_t interval_ms)
{
	struct scrape_target target = {
		.id = id,
		.generation = 1,
		.port = server_port(bench->server),
		.path = "/metrics",
		.interval_ms = interval_ms,
		.timeout_ms = 500,
	};

	address_parse("127.0.0.1", &target.addr);
	assert_int_equal(scraper_put(bench->scraper, &target), 0);
}

static void bench_run(struct bench *bench, int reports)
{
	uint64_t deadline = clock_monotonic_ns() + 5 * NS_PER_S;
	int goal = bench->reports + reports;

	while (bench->reports < goal) {
		assert_true(clock_monotonic_ns() < deadline);
		assert_int_equal(loop_turn(bench->loop, 50), 0);
	}
}

static void a_page_is_scraped_again_and_again(void **state)
{
	struct bench *bench = *state;

	bench_put(bench, 5, 10);
	bench_run(bench, 5);
	assert_int_equal(bench->last.result, SCRAPE_OK);
	assert_int_equal(bench->last.id, 5);
	assert_true(bench->sample.values[PAGE_RUNNING] == 3);
}

static void failures_are_reported_by_what_went_wrong(void **state)
{
	struct bench *bench = *state;

	bench_put(bench, 0, 10);
	bench->status = 404;
	bench_run(bench, 1);
	assert_int_equal(bench->last.result, SCRAPE_STATUS);
	bench->status = 200;
	bench->body = "<html>log in</html>\n";
	bench_run(bench, 1);
	assert_int_equal(bench->last.result, SCRAPE_NOT_METRICS);
	bench->body = "vllm:num_requests_running 3\n";
	bench_run(bench, 1);
	assert_int_equal(bench->last.result, SCRAPE_PARTIAL);
	server_free(bench->server);
	bench->server = NULL;
	bench_run(bench, 1);
	assert_int_equal(bench->last.result, SCRAPE_CONNECT);
}

static void more_endpoints_than_slots_are_all_scraped(void **state)
{
	struct bench *bench = *state;

	for (uint32_t id = 0; id < 20; id++)
		bench_put(bench, id, 10);
	bench_run(bench, 200);
	assert_int_equal(bench->last.result, SCRAPE_OK);
}

static void a_removed_endpoint_is_not_scraped_again(void **state)
{
	struct bench *bench = *state;

	bench_put(bench, 0, 10);
	bench_run(bench, 1);
	scraper_remove(bench->scraper, 0);
	for (int i = 0; i < 5; i++)
		loop_turn(bench->loop, 20);
	assert_int_equal(bench->reports, 1);
}

static void one_that_rests_is_not_scraped(void **state)
{
	struct bench *bench = *state;

	bench_put(bench, 0, 10);
	bench_run(bench, 1);
	scraper_rest(bench->scraper, 0);
	for (int i = 0; i < 5; i++)
		loop_turn(bench->loop, 20);
	assert_int_equal(bench->reports, 1);
	scraper_wake(bench->scraper, 0);
	bench_run(bench, 3);
}

static void an_endpoint_that_came_up_is_scraped_at_once(void **state)
{
	struct bench *bench = *state;
	uint64_t start;

	bench_put(bench, 0, 60000);
	scraper_rest(bench->scraper, 0);
	start = clock_monotonic_ns();
	scraper_wake(bench->scraper, 0);
	bench_run(bench, 1);
	assert_true(clock_monotonic_ns() - start < NS_PER_S);
}

static void the_pace_slows_down_from_the_third_failure_on(void **state)
{
	(void)state;
	assert_in_range(scrape_pause_ns(200, 0, 1), 180 * NS_PER_MS, 220 * NS_PER_MS);
	assert_in_range(scrape_pause_ns(200, 2, 1), 180 * NS_PER_MS, 220 * NS_PER_MS);
	assert_in_range(scrape_pause_ns(200, 3, 1), 360 * NS_PER_MS, 440 * NS_PER_MS);
	assert_in_range(scrape_pause_ns(200, 1000, 1), 4500 * NS_PER_MS, 5500 * NS_PER_MS);
	assert_in_range(scrape_pause_ns(60000, 1000, 1), 54000 * NS_PER_MS, 66000 * NS_PER_MS);
}

static void small_pools_are_scraped_more_often(void **state)
{
	(void)state;
	assert_int_equal(scrape_interval_for(100), 200);
	assert_int_equal(scrape_interval_for(101), 1000);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, bench_setup, bench_teardown)
	const struct CMUnitTest tests[] = {
		TEST(a_page_is_scraped_again_and_again),
		TEST(failures_are_reported_by_what_went_wrong),
		TEST(more_endpoints_than_slots_are_all_scraped),
		TEST(a_removed_endpoint_is_not_scraped_again),
		TEST(one_that_rests_is_not_scraped),
		TEST(an_endpoint_that_came_up_is_scraped_at_once),
		cmocka_unit_test(the_pace_slows_down_from_the_third_failure_on),
		cmocka_unit_test(small_pools_are_scraped_more_often),
	};
#undef TEST

	return cmocka_run_group_tests(tests, NULL, NULL);
}
