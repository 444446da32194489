// SPDX-License-Identifier: BSD-2-Clause
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include <math.h>

#include "maps/layout/types.h"
#include "userspace/base/cleanup.h"
#include "userspace/schedule/score.h"

#define CONFIG (&score_config_default)

/* A fresh sample and a known bias, so that only what a case names differs. */
#define CANDIDATE(...)                                                                             \
	{                                                                                          \
		.sampled = true, __VA_ARGS__                                                       \
	}

static const struct score_request request_1k = {.tokens = 1000, .tokens_mean = 1000};

static bool near(double a, double b)
{
	return fabs(a - b) < 1e-6 * fmax(1.0, fabs(b));
}

static void an_idle_endpoint_costs_its_round_trip_and_prefill(void **state)
{
	const struct score_candidate c = CANDIDATE(.rtt_ms = 30);
	struct score_terms t = score_compute(CONFIG, &request_1k, &c);

	(void)state;
	assert_true(near(t.prefill_ms, 11 + 62.8 + 3e-7 * 1000 * 500));
	assert_true(near(t.queue_ms, 0));
	assert_true(near(t.score_ms, 30 + t.prefill_ms));
}

static void terms_add_up_to_the_score(void **state)
{
	const struct score_candidate c = CANDIDATE(.rtt_ms = 12, .requests = 4, .waiting = 2,
						   .uncached_tokens = 5000, .bias = 2.0,
						   .penalty_ms = 7, .sample_age_ms = 1500);
	struct score_terms t = score_compute(CONFIG, &request_1k, &c);

	(void)state;
	assert_true(near(t.queue_ms, 2.0 * 0.0628 * 5000));
	assert_true(near(t.neighbours_ms, 0.5 * 4 * t.prefill_ms));
	assert_true(near(t.stale_ms, 30));
	assert_true(near(t.score_ms, t.rtt_ms + t.queue_ms + t.prefill_ms + t.neighbours_ms +
					     t.stale_ms + t.penalty_ms));
}

static void matched_tokens_are_not_paid_again(void **state)
{
	const struct score_candidate cold = CANDIDATE(.bias = 1);
	const struct score_candidate warm = CANDIDATE(.bias = 1, .matched_tokens = 900);
	const struct score_candidate over = CANDIDATE(.bias = 1, .matched_tokens = 5000);

	(void)state;
	assert_true(score_compute(CONFIG, &request_1k, &warm).prefill_ms <
		    score_compute(CONFIG, &request_1k, &cold).prefill_ms / 3);
	assert_true(near(score_compute(CONFIG, &request_1k, &over).prefill_ms, 11));
}

static void a_sample_adds_what_others_have_running_but_never_replaces_our_counts(void **state)
{
	const struct score_candidate foreign =
		CANDIDATE(.requests = 2, .sample_running = 10, .sample_waiting = 2);
	const struct score_candidate late = CANDIDATE(.requests = 20, .sample_running = 1);
	const struct score_candidate stale =
		CANDIDATE(.requests = 2, .sample_running = 10, .sample_age_ms = 60000);

	(void)state;
	assert_true(near(score_compute(CONFIG, &request_1k, &foreign).in_flight, 2 + 0.5 * 10));
	assert_true(near(score_compute(CONFIG, &request_1k, &late).in_flight, 20));
	assert_true(near(score_compute(CONFIG, &request_1k, &stale).in_flight, 2));
}

static void an_old_sample_costs_up_to_its_limit(void **state)
{
	const struct score_candidate old = CANDIDATE(.sample_age_ms = 3.6e6);
	const struct score_candidate never = {0};

	(void)state;
	assert_true(near(score_compute(CONFIG, &request_1k, &old).stale_ms, 100));
	assert_true(near(score_compute(CONFIG, &request_1k, &never).stale_ms, 100));
}

struct pick_case {
	const char *text;
	struct score_candidate candidates[4];
	size_t count;
	enum pick_reason reason;
	size_t index;
	size_t runner_up;
};

static const struct pick_case pick_cases[] = {
	{.text = "an empty pool has none",
	 .count = 0,
	 .reason = PICK_NONE_EMPTY,
	 .index = SIZE_MAX,
	 .runner_up = SIZE_MAX},
	{.text = "a single endpoint is the only one",
	 .candidates = {CANDIDATE(.endpoint = 1)},
	 .count = 1,
	 .reason = PICK_ONLY,
	 .index = 0,
	 .runner_up = SIZE_MAX},
	{.text = "the one with less prefill outstanding wins",
	 .candidates = {CANDIDATE(.uncached_tokens = 9000), CANDIDATE(.uncached_tokens = 100)},
	 .count = 2,
	 .reason = PICK_LOWEST,
	 .index = 1,
	 .runner_up = 0},
	{.text = "the one with fewer requests decoding wins",
	 .candidates = {CANDIDATE(.requests = 3), CANDIDATE(.requests = 9)},
	 .count = 2,
	 .reason = PICK_LOWEST,
	 .index = 0,
	 .runner_up = 1},
	{.text = "among equals the least recently given wins",
	 .candidates = {CANDIDATE(.given_at_ns = 30), CANDIDATE(.given_at_ns = 10),
			CANDIDATE(.given_at_ns = 20)},
	 .count = 3,
	 .reason = PICK_TIE,
	 .index = 1,
	 .runner_up = 0},
	{.text = "1 % apart is a tie",
	 .candidates = {CANDIDATE(.given_at_ns = 30), CANDIDATE(.rtt_ms = 0.7)},
	 .count = 2,
	 .reason = PICK_TIE,
	 .index = 1,
	 .runner_up = 0},
	{.text = "4 % apart is no tie",
	 .candidates = {CANDIDATE(.given_at_ns = 30), CANDIDATE(.rtt_ms = 3.2)},
	 .count = 2,
	 .reason = PICK_LOWEST,
	 .index = 0,
	 .runner_up = 1},
	{.text = "a down endpoint is left out",
	 .candidates = {CANDIDATE(.out = OUT_DOWN), CANDIDATE(.requests = 50)},
	 .count = 2,
	 .reason = PICK_ONLY,
	 .index = 1,
	 .runner_up = SIZE_MAX},
	{.text = "all down is said",
	 .candidates = {CANDIDATE(.out = OUT_DOWN), CANDIDATE(.out = OUT_DOWN)},
	 .count = 2,
	 .reason = PICK_NONE_DOWN,
	 .index = SIZE_MAX,
	 .runner_up = SIZE_MAX},
	{.text = "up but draining is said",
	 .candidates = {CANDIDATE(.out = OUT_DOWN), CANDIDATE(.out = OUT_DRAINING)},
	 .count = 2,
	 .reason = PICK_NONE_DRAINING,
	 .index = SIZE_MAX,
	 .runner_up = SIZE_MAX},
	{.text = "where the request failed it does not go again",
	 .candidates = {CANDIDATE(.out = OUT_TRIED), CANDIDATE(.out = OUT_DRAINING)},
	 .count = 2,
	 .reason = PICK_NONE_TRIED,
	 .index = SIZE_MAX,
	 .runner_up = SIZE_MAX},
	{.text = "an ejected endpoint waits while another is left",
	 .candidates = {CANDIDATE(.out = OUT_EJECTED), CANDIDATE(.requests = 50)},
	 .count = 2,
	 .reason = PICK_ONLY,
	 .index = 1,
	 .runner_up = SIZE_MAX},
	{.text = "an ejected endpoint is the last resort",
	 .candidates = {CANDIDATE(.out = OUT_EJECTED), CANDIDATE(.out = OUT_DOWN)},
	 .count = 2,
	 .reason = PICK_LAST_RESORT,
	 .index = 0,
	 .runner_up = SIZE_MAX},
	{.text = "a suspect cluster is taken before an ejected endpoint",
	 .candidates = {CANDIDATE(.out = OUT_EJECTED), CANDIDATE(.out = OUT_SUSPECT)},
	 .count = 2,
	 .reason = PICK_ONLY,
	 .index = 1,
	 .runner_up = SIZE_MAX},
	{.text = "the home cluster is kept within the margin",
	 .candidates = {CANDIDATE(.cluster = 0, .uncached_tokens = 1000),
			CANDIDATE(.cluster = 1, .rtt_ms = 20)},
	 .count = 2,
	 .reason = PICK_LOWEST,
	 .index = 0,
	 .runner_up = 1},
	{.text = "beyond the margin it spills",
	 .candidates = {CANDIDATE(.cluster = 0, .uncached_tokens = 9000),
			CANDIDATE(.cluster = 1, .rtt_ms = 20)},
	 .count = 2,
	 .reason = PICK_SPILL,
	 .index = 1,
	 .runner_up = 0},
	{.text = "with home down the best elsewhere wins without a margin",
	 .candidates = {CANDIDATE(.cluster = 0, .out = OUT_DOWN),
			CANDIDATE(.cluster = 1, .rtt_ms = 20),
			CANDIDATE(.cluster = 2, .rtt_ms = 90)},
	 .count = 3,
	 .reason = PICK_FAILOVER,
	 .index = 1,
	 .runner_up = 2},
	{.text = "a farther cluster is not home though its id is lower",
	 .candidates = {CANDIDATE(.cluster = 0, .rtt_ms = 40),
			CANDIDATE(.cluster = 1, .rtt_ms = 2)},
	 .count = 2,
	 .reason = PICK_LOWEST,
	 .index = 1,
	 .runner_up = 0},
	{.text = "of clusters equally near the first is home",
	 .candidates = {CANDIDATE(.cluster = 1, .rtt_ms = 0.2),
			CANDIDATE(.cluster = 0, .rtt_ms = 0.9, .uncached_tokens = 100)},
	 .count = 2,
	 .reason = PICK_LOWEST,
	 .index = 1,
	 .runner_up = 0},
	{.text = "a cluster never measured is not home while one is known",
	 .candidates = {CANDIDATE(.cluster = 0, .rtt_ms = -1),
			CANDIDATE(.cluster = 1, .rtt_ms = 60)},
	 .count = 2,
	 .reason = PICK_LOWEST,
	 .index = 1,
	 .runner_up = 0},
	{.text = "a slower engine, learnt, loses",
	 .candidates = {CANDIDATE(.bias = 3), CANDIDATE(.bias = 1)},
	 .count = 2,
	 .reason = PICK_LOWEST,
	 .index = 1,
	 .runner_up = 0},
};

static void picks_are_as_the_table_says(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(pick_cases); i++) {
		const struct pick_case *c = &pick_cases[i];
		struct pick pick = score_pick(CONFIG, &request_1k, c->candidates, c->count);

		if (pick.reason != c->reason || pick.index != c->index ||
		    pick.runner_up != c->runner_up)
			fail_msg("%s: got %s, index %zd, runner-up %zd", c->text,
				 pick_reason_name(pick.reason), (ssize_t)pick.index,
				 (ssize_t)pick.runner_up);
	}
}

static void a_cold_start_is_spread_evenly(void **state)
{
	struct score_candidate candidates[5] = {0};
	unsigned int given[5] = {0};

	(void)state;
	for (uint64_t now = 1; now <= 500; now++) {
		struct pick pick = score_pick(CONFIG, &request_1k, candidates, 5);

		assert_false(pick_is_none(&pick));
		candidates[pick.index].given_at_ns = now;
		given[pick.index]++;
	}
	for (size_t i = 0; i < 5; i++)
		assert_int_equal(given[i], 100);
}

static void a_bias_follows_what_is_seen_and_is_clipped(void **state)
{
	const struct score_bias nobody = {0};
	struct score_bias bias = {0};

	(void)state;
	assert_true(near(score_bias_expect(&bias, &nobody), 1));
	score_bias_learn(&bias, 2000, 1000);
	assert_true(bias.factor == 2.0f);
	for (int i = 0; i < 1000; i++)
		score_bias_learn(&bias, 1e9, 1000);
	assert_true(bias.factor <= 4.0f && bias.factor > 3.99f && bias.weight <= 20.0f);
	assert_true(score_bias_expect(&bias, &nobody) > 3);
	for (int i = 0; i < 1000; i++)
		score_bias_learn(&bias, 0, 1000);
	assert_true(bias.factor >= 0.25f && bias.factor < 0.26f);
	for (int i = 0; i < 3; i++) {
		const double not_seen[][2] = {{5, 0}, {NAN, 10}, {-1, 10}};
		const struct score_bias before = bias;

		score_bias_learn(&bias, not_seen[i][0], not_seen[i][1]);
		assert_memory_equal(&bias, &before, sizeof(bias));
	}
}

/* A hundred greetings that each took 39 ms longer than they had to, ten documents. */
static void short_prompts_on_a_busy_host_do_not_teach_how_long_documents_take(void **state)
{
	struct score_bias bias = {0};

	(void)state;
	for (int i = 0; i < 100; i++) {
		score_bias_learn(&bias, 50, 11);
		if (i % 10 == 0)
			score_bias_learn(&bias, 1000, 1000);
	}
	assert_true(bias.factor < 2.0f && bias.factor >= 1.0f);
}

static void an_endpoint_that_nobody_knows_is_taken_for_one_of_its_pool(void **state)
{
	const struct score_bias unknown = {0};
	struct score_bias fast = {0}, slow = {0}, pool = {0};

	(void)state;
	for (int i = 0; i < 40; i++) {
		score_bias_learn(&fast, 500, 1000);
		score_bias_learn(&slow, 2000, 1000);
	}
	score_bias_add(&pool, &fast);
	score_bias_add(&pool, &unknown);
	assert_true(fabs(score_bias_expect(&unknown, &pool) - 0.5) < 0.05);
	assert_true(fabs(score_bias_expect(&fast, &pool) - 0.5) < 0.05);
	/* what it has shown itself counts for more */
	assert_true(score_bias_expect(&slow, &pool) > 1.5);
}

static void the_margin_that_was_compared_is_told(void **state)
{
	const struct score_candidate c[] = {CANDIDATE(.cluster = 0), CANDIDATE(.cluster = 1)};
	struct pick pick = score_pick(CONFIG, &request_1k, c, 2);

	(void)state;
	assert_int_equal(pick.home_cluster, 0);
	assert_int_equal(pick.eligible, 2);
	assert_true(near(pick.margin_ms, 100 + 0.2 * pick.terms.score_ms));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_idle_endpoint_costs_its_round_trip_and_prefill),
		cmocka_unit_test(terms_add_up_to_the_score),
		cmocka_unit_test(matched_tokens_are_not_paid_again),
		cmocka_unit_test(
			a_sample_adds_what_others_have_running_but_never_replaces_our_counts),
		cmocka_unit_test(an_old_sample_costs_up_to_its_limit),
		cmocka_unit_test(picks_are_as_the_table_says),
		cmocka_unit_test(a_cold_start_is_spread_evenly),
		cmocka_unit_test(a_bias_follows_what_is_seen_and_is_clipped),
		cmocka_unit_test(short_prompts_on_a_busy_host_do_not_teach_how_long_documents_take),
		cmocka_unit_test(an_endpoint_that_nobody_knows_is_taken_for_one_of_its_pool),
		cmocka_unit_test(the_margin_that_was_compared_is_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
