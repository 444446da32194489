// SPDX-License-Identifier: BSD-2-Clause
#include "userspace/sim/engine.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "userspace/base/cleanup.h"
#include "userspace/base/clock.h"

#define BLOCKS_MAX 512

struct subject {
	struct engine_request request;
	uint64_t hashes[BLOCKS_MAX];
	uint32_t blocks[BLOCKS_MAX];
	uint64_t tokens;
	uint64_t last_at;
	bool finished;
};

struct fixture {
	struct engine engine;
	struct subject *abort_on_token; /* aborted when any token comes */
	struct subject *submit_on_last;
};

/* The first `shared` tokens of all subjects with the same `family` are equal. */
static void subject_init(struct subject *subject, uint32_t prompt, uint32_t output, uint64_t family,
			 uint64_t own, uint32_t shared)
{
	*subject = (struct subject){0};
	subject->request.prompt_tokens = prompt;
	subject->request.output_tokens = output;
	subject->request.block_count = prompt / 512;
	subject->request.block_hashes = subject->hashes;
	subject->request.blocks = subject->blocks;
	for (uint32_t i = 0; i < prompt / 512; i++)
		subject->hashes[i] = ((i + 1) * 512 <= shared ? family : own) * 1000003 + i;
}

static void token_count(void *ctx, struct engine_request *request, bool last, uint64_t at)
{
	struct fixture *f = ctx;
	struct subject *subject = container_of(request, struct subject, request);

	subject->tokens++;
	subject->last_at = at;
	assert_false(subject->finished);
	subject->finished = last;
	if (f->abort_on_token)
		engine_abort(&f->engine, &f->abort_on_token->request);
	if (last && f->submit_on_last) {
		struct subject *next = f->submit_on_last;

		f->submit_on_last = NULL;
		assert_int_equal(engine_submit(&f->engine, &next->request, at), 0);
	}
}

static void run_until_idle(struct fixture *f)
{
	for (int i = 0; i < 100000 && engine_next_at(&f->engine) != ENGINE_NEVER; i++)
		engine_advance(&f->engine, engine_next_at(&f->engine), token_count, f);
	assert_int_equal(engine_next_at(&f->engine), ENGINE_NEVER);
}

static int setup_with(void **state, uint32_t kv_blocks, double speed)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct engine_config config = engine_config_default();

	config.kv_blocks = kv_blocks;
	config.speed = speed;
	assert_int_equal(engine_init(&f->engine, &config), 0);
	*state = f;
	return 0;
}

static int setup(void **state)
{
	return setup_with(state, 600, 1);
}

static int setup_small(void **state)
{
	return setup_with(state, 20, 1);
}

static int setup_large(void **state)
{
	return setup_with(state, 2000, 1);
}

static int setup_fast(void **state)
{
	return setup_with(state, 600, 10);
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	engine_deinit(&f->engine);
	free(f);
	return 0;
}

static double ms(uint64_t ns)
{
	return (double)ns / (double)NS_PER_MS;
}

static void thirty_eight_requests_of_8k_decode_at_thirty_ms_a_token(void **state)
{
	struct fixture *f = *state;
	struct subject *subjects = calloc(38, sizeof(*subjects));
	double gap;

	for (int i = 0; i < 38; i++) {
		subject_init(&subjects[i], 8192, 200, 0, (uint64_t)i + 1, 0);
		assert_int_equal(engine_submit(&f->engine, &subjects[i].request, 0), 0);
	}
	while (subjects[37].tokens < 2)
		engine_advance(&f->engine, engine_next_at(&f->engine), token_count, f);
	assert_int_equal(f->engine.running.count, 38);
	gap = ms(engine_next_at(&f->engine) - subjects[37].last_at);
	/* 11 + 5.6e-5 * 38 * (8192 + a little) + .03 * 38 */
	assert_true(gap > 29 && gap < 31);
	run_until_idle(f);
	assert_int_equal(subjects[0].tokens, 200);
	free(subjects);
}

static void first_token_of_a_cold_prompt_takes_its_prefill(void **state)
{
	struct fixture *f = *state;
	struct subject one;

	subject_init(&one, 1000, 1, 0, 1, 0);
	assert_int_equal(engine_submit(&f->engine, &one.request, 0), 0);
	run_until_idle(f);
	/* 11 + 62.8 + 3e-7 * 1000 * 500 */
	assert_true(ms(one.last_at) > 73.9 && ms(one.last_at) < 74.0);
	assert_true(one.finished);
}

static void a_prompt_longer_than_the_chunk_takes_several_steps(void **state)
{
	struct fixture *f = *state;
	struct subject one;

	subject_init(&one, 20000, 1, 0, 1, 0);
	assert_int_equal(engine_submit(&f->engine, &one.request, 0), 0);
	run_until_idle(f);
	assert_int_equal(f->engine.counters.steps, 3);
	/* 3 * 11 + 1256 + 3e-7 * 20000^2 / 2 */
	assert_true(ms(one.last_at) > 1348 && ms(one.last_at) < 1350);
}

static void a_cached_prefix_shortens_the_prefill(void **state)
{
	struct fixture *f = *state;
	struct subject first, second;
	uint64_t start;

	subject_init(&first, 4096, 1, 7, 1, 4096);
	subject_init(&second, 4608, 1, 7, 2, 4096);
	assert_int_equal(engine_submit(&f->engine, &first.request, 0), 0);
	run_until_idle(f);
	start = first.last_at;
	assert_int_equal(engine_submit(&f->engine, &second.request, start), 0);
	run_until_idle(f);
	assert_int_equal(second.request.cached_tokens, 4096);
	/* 11 + .0628 * 512 + 3e-7 * 512 * 4352 */
	assert_true(ms(second.last_at - start) > 43 && ms(second.last_at - start) < 45);
	assert_int_equal(f->engine.counters.cached_tokens, 4096);
}

static void a_wholly_cached_prompt_still_computes_its_last_token(void **state)
{
	struct fixture *f = *state;
	struct subject first, second;

	subject_init(&first, 1024, 1, 7, 1, 1024);
	subject_init(&second, 1024, 1, 7, 1, 1024);
	engine_submit(&f->engine, &first.request, 0);
	run_until_idle(f);
	engine_submit(&f->engine, &second.request, first.last_at);
	run_until_idle(f);
	assert_int_equal(second.request.cached_tokens, 1023);
	assert_int_equal(second.tokens, 1);
}

static void two_requests_computing_the_same_prefix_keep_one_copy(void **state)
{
	struct fixture *f = *state;
	struct subject a, b;

	subject_init(&a, 2048, 1, 7, 1, 2048);
	subject_init(&b, 2048, 1, 7, 2, 2048);
	engine_submit(&f->engine, &a.request, 0);
	engine_advance(&f->engine, 0, token_count, f);
	engine_submit(&f->engine, &b.request, 0);
	run_until_idle(f);
	assert_int_equal(f->engine.cached_count, 4);
	assert_int_equal(f->engine.private_count, 0);
	assert_true(engine_kv_usage(&f->engine) == 0);
}

static void least_recently_used_blocks_leave_first(void **state)
{
	struct fixture *f = *state; /* 20 blocks */
	struct subject a, b, c, again;

	subject_init(&a, 4096, 1, 0, 1, 0); /* 8 blocks and one for the answer */
	subject_init(&b, 4096, 1, 0, 2, 0);
	subject_init(&c, 4096, 1, 0, 3, 0);
	engine_submit(&f->engine, &a.request, 0);
	run_until_idle(f);
	engine_submit(&f->engine, &b.request, a.last_at);
	run_until_idle(f);
	engine_submit(&f->engine, &c.request, b.last_at);
	run_until_idle(f);
	/* c needed 9 and 4 were free: five of a's, from the end of its chain */
	subject_init(&again, 4096, 1, 0, 1, 0);
	engine_submit(&f->engine, &again.request, c.last_at);
	engine_advance(&f->engine, c.last_at, token_count, f);
	assert_int_equal(again.request.cached_tokens, 3 * 512);
	run_until_idle(f);
	assert_int_equal(f->engine.private_count, 0);
}

static void a_full_kv_cache_blocks_admission_until_a_request_ends(void **state)
{
	struct fixture *f = *state; /* 20 blocks */
	struct subject a, b;

	subject_init(&a, 6000, 20, 0, 1, 0); /* 12 blocks */
	subject_init(&b, 6000, 20, 0, 2, 0);
	engine_submit(&f->engine, &a.request, 0);
	engine_submit(&f->engine, &b.request, 0);
	while (a.tokens < 5)
		engine_advance(&f->engine, engine_next_at(&f->engine), token_count, f);
	assert_int_equal(f->engine.running.count, 1);
	assert_int_equal(f->engine.waiting.count, 1);
	assert_true(engine_kv_usage(&f->engine) == 12 / 20.0);
	run_until_idle(f);
	assert_true(b.request.first_token_at > a.last_at);
	assert_true(b.finished);
}

static void a_request_that_never_fits_is_refused(void **state)
{
	struct fixture *f = *state; /* 20 blocks */
	struct subject a;

	subject_init(&a, 20 * 512, 1, 0, 1, 0);
	assert_int_equal(engine_submit(&f->engine, &a.request, 0), -E2BIG);
	assert_int_equal(engine_next_at(&f->engine), ENGINE_NEVER);
}

static void no_more_than_running_max_run(void **state)
{
	struct fixture *f = *state;
	struct subject *subjects = calloc(300, sizeof(*subjects));

	for (int i = 0; i < 300; i++) {
		subject_init(&subjects[i], 10, 4, 0, (uint64_t)i + 1, 0);
		engine_submit(&f->engine, &subjects[i].request, 0);
	}
	engine_advance(&f->engine, engine_next_at(&f->engine), token_count, f);
	assert_int_equal(f->engine.running.count, 256);
	assert_int_equal(f->engine.waiting.count, 44);
	run_until_idle(f);
	assert_int_equal(f->engine.counters.finished, 300);
	free(subjects);
}

static void abort_frees_blocks_and_keeps_what_was_computed(void **state)
{
	struct fixture *f = *state;
	struct subject a, waiting;

	subject_init(&a, 2048, 50, 0, 1, 0);
	subject_init(&waiting, 2048, 50, 0, 2, 0);
	engine_submit(&f->engine, &a.request, 0);
	engine_submit(&f->engine, &waiting.request, 0);
	engine_abort(&f->engine, &waiting.request);
	engine_advance(&f->engine, engine_next_at(&f->engine), token_count, f);
	assert_int_equal(a.tokens, 1);
	engine_abort(&f->engine, &a.request);
	engine_abort(&f->engine, &a.request); /* fine again */
	run_until_idle(f);
	assert_int_equal(a.tokens, 1);
	assert_int_equal(f->engine.counters.aborted, 2);
	assert_int_equal(f->engine.private_count, 0);
	assert_int_equal(f->engine.lru_count, 4);
}

static void a_callback_may_abort_the_next_request_in_line(void **state)
{
	struct fixture *f = *state;
	struct subject a, b, c;

	subject_init(&a, 10, 3, 0, 1, 0);
	subject_init(&b, 10, 3, 0, 2, 0);
	subject_init(&c, 10, 3, 0, 3, 0);
	engine_submit(&f->engine, &a.request, 0);
	engine_submit(&f->engine, &b.request, 0);
	engine_submit(&f->engine, &c.request, 0);
	run_until_idle(f);
	assert_int_equal(b.tokens, 3);
	subject_init(&a, 10, 3, 0, 1, 0);
	subject_init(&b, 10, 3, 0, 2, 0);
	subject_init(&c, 10, 3, 0, 3, 0);
	engine_submit(&f->engine, &a.request, 0);
	engine_submit(&f->engine, &b.request, 0);
	engine_submit(&f->engine, &c.request, 0);
	f->abort_on_token = &b;
	run_until_idle(f);
	assert_int_equal(a.tokens, 3);
	assert_int_equal(b.tokens, 0);
	assert_int_equal(c.tokens, 3);
}

static void a_request_submitted_by_a_callback_runs_in_the_next_step(void **state)
{
	struct fixture *f = *state;
	struct subject a, b;

	subject_init(&a, 10, 1, 0, 1, 0);
	subject_init(&b, 10, 1, 0, 2, 0);
	f->submit_on_last = &b;
	engine_submit(&f->engine, &a.request, 0);
	run_until_idle(f);
	assert_true(b.finished);
	assert_true(ms(b.last_at - a.last_at) > 11 && ms(b.last_at - a.last_at) < 12);
}

static void one_late_call_reports_every_step_with_its_own_time(void **state)
{
	struct fixture *f = *state;
	struct subject a;

	subject_init(&a, 10, 100, 0, 1, 0);
	engine_submit(&f->engine, &a.request, 0);
	engine_advance(&f->engine, 60 * NS_PER_S, token_count, f);
	assert_true(a.finished);
	assert_int_equal(f->engine.counters.steps, 100);
	assert_true(ms(a.last_at) > 1100 && ms(a.last_at) < 1110);
}

static void speed_ten_is_ten_times_faster(void **state)
{
	struct fixture *f = *state;
	struct subject one;

	subject_init(&one, 1000, 1, 0, 1, 0);
	engine_submit(&f->engine, &one.request, 0);
	run_until_idle(f);
	assert_true(ms(one.last_at) > 7.39 && ms(one.last_at) < 7.40);
}

/* Books must balance after any mix of arrivals and aborts. */
static void blocks_add_up_after_random_arrivals_and_aborts(void **state)
{
	struct fixture *f = *state; /* 20 blocks */
	struct subject *subjects = calloc(400, sizeof(*subjects));
	uint64_t seed = 1, now = 0;

	for (int i = 0; i < 400; i++) {
		seed = seed * 6364136223846793005u + 1442695040888963407u;
		subject_init(&subjects[i], 1 + (uint32_t)(seed >> 33) % 7000,
			     1 + (uint32_t)(seed >> 40) % 30, seed >> 60, (uint64_t)i + 100,
			     (uint32_t)(seed >> 20) % 7000);
		engine_submit(&f->engine, &subjects[i].request, now);
		now += (seed >> 50) * 10000;
		engine_advance(&f->engine, now, token_count, f);
		if (seed >> 62 == 3)
			engine_abort(&f->engine,
				     &subjects[(seed >> 44) % ((uint64_t)i + 1)].request);
		assert_true(f->engine.cached_count + f->engine.private_count <= 20);
	}
	run_until_idle(f);
	assert_int_equal(f->engine.private_count, 0);
	assert_int_equal(f->engine.cached_count, f->engine.lru_count);
	assert_int_equal(f->engine.counters.finished + f->engine.counters.aborted, 400);
	free(subjects);
}

static void a_configuration_of_zeroes_is_refused(void **state)
{
	struct engine engine;
	struct engine_config config = {0};

	(void)state;
	assert_int_equal(engine_init(&engine, &config), -EINVAL);
}

#define TEST(name, with) cmocka_unit_test_setup_teardown(name, with, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(thirty_eight_requests_of_8k_decode_at_thirty_ms_a_token, setup_large),
		TEST(first_token_of_a_cold_prompt_takes_its_prefill, setup),
		TEST(a_prompt_longer_than_the_chunk_takes_several_steps, setup),
		TEST(a_cached_prefix_shortens_the_prefill, setup),
		TEST(a_wholly_cached_prompt_still_computes_its_last_token, setup),
		TEST(two_requests_computing_the_same_prefix_keep_one_copy, setup),
		TEST(least_recently_used_blocks_leave_first, setup_small),
		TEST(a_full_kv_cache_blocks_admission_until_a_request_ends, setup_small),
		TEST(a_request_that_never_fits_is_refused, setup_small),
		TEST(no_more_than_running_max_run, setup),
		TEST(abort_frees_blocks_and_keeps_what_was_computed, setup),
		TEST(a_callback_may_abort_the_next_request_in_line, setup),
		TEST(a_request_submitted_by_a_callback_runs_in_the_next_step, setup),
		TEST(one_late_call_reports_every_step_with_its_own_time, setup),
		TEST(speed_ten_is_ten_times_faster, setup_fast),
		TEST(blocks_add_up_after_random_arrivals_and_aborts, setup_small),
		cmocka_unit_test(a_configuration_of_zeroes_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
