/* SPDX-License-Identifier: BSD-2-Clause */
/* The clock of a model server with continuous batching: when would each token
 * of each request come out?
 *
 * Pure: requests and `now` go in, token events come out; no socket, no clock, no
 * randomness.  The emulated model server of tests/harness and the simulator
 * drive the same code.
 *
 * The model is vLLM's scheduler in small.  The engine works in steps.  In a step
 * every running request whose prompt is done produces one token, and what is
 * left of the step's token budget (chunk_tokens) prefills prompts, in order of
 * arrival.  A step takes
 *
 *   base + prefill_token * P + prefill_attention * SUM(chunk * (ctx + chunk / 2))
 *        + decode_ctx * SUM(ctx of those that decode) + decode_request * N     ms
 *
 * A waiting request is admitted, first come first served, while fewer than
 * running_max run and the KV cache has blocks for its whole prompt and answer
 * (so nothing is ever preempted; vLLM allocates as it goes and preempts).
 * Whole prompt blocks stay in the KV cache when their request ends, least
 * recently used go first, and a request whose leading blocks are there skips
 * that part of its prefill.  Blocks of answers are not found again: their text
 * is invented.
 */
#ifndef SLUICE_SIM_ENGINE_H
#define SLUICE_SIM_ENGINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ENGINE_NEVER UINT64_MAX

struct engine_config {
	uint32_t running_max;
	uint32_t chunk_tokens; /* token budget of a step */
	uint32_t block_tokens;
	uint32_t kv_blocks; /* size of the KV cache */
	double speed; /* 1: real time, 10: ten times faster */
	double base_ms;
	double prefill_token_ms;
	double prefill_attention_ms; /* a token pair */
	double decode_ctx_ms; /* a token of context */
	double decode_request_ms;
};

/* A 32B model on two H100 (TP2): 11 + .0628 P + 3e-7 P ctx + 5.6e-5 ctx + .03 N
 * ms, chunks of 8192, 256 running, 600 blocks of 512 tokens. */
struct engine_config engine_config_default(void);

enum engine_request_state {
	ENGINE_REQUEST_IDLE, /* not in an engine */
	ENGINE_REQUEST_WAITING,
	ENGINE_REQUEST_RUNNING,
};

/* One request; embed it.  The caller fills the first part and keeps everything
 * alive until the last token's event or engine_abort(). */
struct engine_request {
	uint32_t prompt_tokens; /* at least 1 */
	uint32_t output_tokens; /* at least 1: the answer's length, decided beforehand */
	/* chain hash of each whole prompt block: equal means the same block after
	 * the same blocks; block_count = prompt_tokens / block_tokens */
	const uint64_t *block_hashes;
	uint32_t *blocks; /* room for block_count; the engine's */
	uint32_t block_count;

	/* the engine's; may be read */
	enum engine_request_state state;
	uint32_t cached_tokens; /* found in the cache when admitted */
	uint32_t prefilled_tokens; /* cached ones included */
	uint32_t emitted_tokens;
	uint64_t submitted_at;
	uint64_t first_token_at; /* 0: none yet */

	uint32_t step_tokens; /* prefilled by the step that runs now */
	bool has_token; /* produced by the step that just ended, not yet reported */
	uint32_t private_blocks;
	uint32_t shared_count; /* of blocks[] that were looked at, from the front */
	struct engine_request *next, *prev;
};

struct engine_list {
	struct engine_request *head, *tail;
	uint32_t count;
};

/* Counted since the start; what vLLM calls prefix_cache_queries and so on. */
struct engine_counters {
	uint64_t steps;
	uint64_t prompt_tokens; /* of admitted requests */
	uint64_t cached_tokens;
	uint64_t generated_tokens;
	uint64_t finished;
	uint64_t aborted;
};

struct engine_block;

struct engine {
	struct engine_config config;
	struct engine_list waiting;
	struct engine_list running;
	struct engine_counters counters;
	uint64_t step_ends_at; /* ENGINE_NEVER: idle */
	bool advancing;
	struct engine_request *cursor; /* next to report while a step ends */

	/* the prefix cache: blocks found by hash, those without user in LRU order */
	struct engine_block *blocks; /* kv_blocks */
	uint32_t *buckets;
	uint32_t bucket_mask;
	uint32_t unused; /* list of records */
	uint32_t lru_head, lru_tail; /* head goes first */
	uint32_t lru_count;
	uint32_t cached_count; /* records in use: with users and in LRU */
	uint32_t private_count; /* blocks of prompts' tails, of answers, not yet computed */
};

/* -ENOMEM, or -EINVAL for a configuration of zeroes. */
int engine_init(struct engine *engine, const struct engine_config *config);
void engine_deinit(struct engine *engine);

/* Gives a request to the engine at `now` (ns, any origin, never going back).
 * -E2BIG: it would not fit into an empty KV cache. */
int engine_submit(struct engine *engine, struct engine_request *request, uint64_t now);
/* Takes it out, waiting or running; fine when it is in none. */
void engine_abort(struct engine *engine, struct engine_request *request);

/* When engine_advance() has something to do: the end of the step that runs now,
 * ENGINE_NEVER when idle. */
uint64_t engine_next_at(const struct engine *engine);

/* One token of one request, at `at`.  With `last` the engine has forgotten the
 * request.  The callback may submit and abort other requests. */
typedef void (*engine_token_callback)(void *ctx, struct engine_request *request, bool last,
				      uint64_t at);

/* Runs all steps that end up to `now`. */
void engine_advance(struct engine *engine, uint64_t now, engine_token_callback callback, void *ctx);

/* Share of the KV cache that requests hold, 0 to 1. */
double engine_kv_usage(const struct engine *engine);

#endif
