// SPDX-License-Identifier: BSD-2-Clause
/* Steps, admission and the prefix cache; see engine.h for the model.
 *
 * Blocks are counted in three heaps: private_count (tails of prompts, answers,
 * prompt blocks not computed yet), records with users, and records without (the
 * LRU list, which is what may be evicted).  Admission takes all blocks of a
 * request at once; a prompt block turns from private into a record when its
 * step ends, unless another request has put the same block there first.
 */
#include "userspace/sim/engine.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "userspace/base/clock.h"

#define NONE UINT32_MAX

struct engine_block {
	uint64_t hash;
	uint32_t users;
	uint32_t chain; /* next of its bucket, or of the unused */
	uint32_t lru_next, lru_prev;
};

struct engine_config engine_config_default(void)
{
	return (struct engine_config){
		.running_max = 256,
		.chunk_tokens = 8192,
		.block_tokens = 512,
		.kv_blocks = 600,
		.speed = 1,
		.base_ms = 11,
		.prefill_token_ms = 0.0628,
		.prefill_attention_ms = 3e-7,
		.decode_ctx_ms = 5.6e-5,
		.decode_request_ms = 0.03,
	};
}

/* ---- lists of requests ---- */

static void list_append(struct engine_list *list, struct engine_request *request)
{
	request->next = NULL;
	request->prev = list->tail;
	if (list->tail)
		list->tail->next = request;
	else
		list->head = request;
	list->tail = request;
	list->count++;
}

static void list_remove(struct engine_list *list, struct engine_request *request)
{
	if (request->prev)
		request->prev->next = request->next;
	else
		list->head = request->next;
	if (request->next)
		request->next->prev = request->prev;
	else
		list->tail = request->prev;
	request->next = request->prev = NULL;
	list->count--;
}

/* ---- the prefix cache ---- */

static uint32_t *bucket_of(const struct engine *engine, uint64_t hash)
{
	return &engine->buckets[(hash ^ hash >> 32) & engine->bucket_mask];
}

static uint32_t block_find(const struct engine *engine, uint64_t hash)
{
	uint32_t index = *bucket_of(engine, hash);

	while (index != NONE && engine->blocks[index].hash != hash)
		index = engine->blocks[index].chain;
	return index;
}

static void lru_append(struct engine *engine, uint32_t index)
{
	struct engine_block *block = &engine->blocks[index];

	block->lru_next = NONE;
	block->lru_prev = engine->lru_tail;
	if (engine->lru_tail != NONE)
		engine->blocks[engine->lru_tail].lru_next = index;
	else
		engine->lru_head = index;
	engine->lru_tail = index;
	engine->lru_count++;
}

static void lru_remove(struct engine *engine, uint32_t index)
{
	struct engine_block *block = &engine->blocks[index];

	if (block->lru_prev != NONE)
		engine->blocks[block->lru_prev].lru_next = block->lru_next;
	else
		engine->lru_head = block->lru_next;
	if (block->lru_next != NONE)
		engine->blocks[block->lru_next].lru_prev = block->lru_prev;
	else
		engine->lru_tail = block->lru_prev;
	engine->lru_count--;
}

static void block_acquire(struct engine *engine, uint32_t index)
{
	if (engine->blocks[index].users++ == 0)
		lru_remove(engine, index);
}

static void block_release(struct engine *engine, uint32_t index)
{
	if (--engine->blocks[index].users == 0)
		lru_append(engine, index);
}

/* The least recently used block without user leaves the cache. */
static void block_evict(struct engine *engine)
{
	uint32_t index = engine->lru_head;
	struct engine_block *block = &engine->blocks[index];
	uint32_t *link = bucket_of(engine, block->hash);

	lru_remove(engine, index);
	while (*link != index)
		link = &engine->blocks[*link].chain;
	*link = block->chain;
	block->chain = engine->unused;
	engine->unused = index;
	engine->cached_count--;
}

/* A computed private block becomes findable, with one user. */
static uint32_t block_publish(struct engine *engine, uint64_t hash)
{
	uint32_t index = engine->unused;
	struct engine_block *block = &engine->blocks[index];
	uint32_t *bucket = bucket_of(engine, hash);

	engine->unused = block->chain;
	*block = (struct engine_block){.hash = hash, .users = 1, .chain = *bucket};
	*bucket = index;
	engine->cached_count++;
	engine->private_count--;
	return index;
}

static uint32_t blocks_free(const struct engine *engine)
{
	return engine->config.kv_blocks - engine->cached_count - engine->private_count;
}

/* ---- admission ---- */

static uint32_t blocks_needed(const struct engine *engine, const struct engine_request *request)
{
	uint64_t tokens = (uint64_t)request->prompt_tokens + request->output_tokens;

	return (uint32_t)((tokens + engine->config.block_tokens - 1) / engine->config.block_tokens);
}

static void shared_release(struct engine *engine, struct engine_request *request)
{
	/* the end of the chain first: it is useless without its beginning */
	while (request->shared_count) {
		uint32_t index = request->blocks[--request->shared_count];

		if (index != NONE)
			block_release(engine, index);
	}
}

static void blocks_return(struct engine *engine, struct engine_request *request)
{
	shared_release(engine, request);
	engine->private_count -= request->private_blocks;
	request->private_blocks = 0;
}

/* Takes the leading blocks that are in the cache, then room for the rest. */
static bool blocks_take(struct engine *engine, struct engine_request *request)
{
	uint32_t need;

	for (uint32_t i = 0; i < request->block_count; i++) {
		uint32_t index = block_find(engine, request->block_hashes[i]);

		if (index == NONE)
			break;
		block_acquire(engine, index);
		request->blocks[i] = index;
		request->shared_count = i + 1;
	}
	need = blocks_needed(engine, request) - request->shared_count;
	if (need > blocks_free(engine) + engine->lru_count) {
		shared_release(engine, request);
		return false;
	}
	while (blocks_free(engine) < need)
		block_evict(engine);
	engine->private_count += need;
	request->private_blocks = need;
	return true;
}

static void requests_admit(struct engine *engine)
{
	struct engine_request *request;

	while ((request = engine->waiting.head) &&
	       engine->running.count < engine->config.running_max) {
		if (!blocks_take(engine, request))
			return;
		list_remove(&engine->waiting, request);
		list_append(&engine->running, request);
		request->state = ENGINE_REQUEST_RUNNING;
		request->cached_tokens = request->shared_count * engine->config.block_tokens;
		/* the last token's output is what the prompt is computed for */
		if (request->cached_tokens >= request->prompt_tokens)
			request->cached_tokens = request->prompt_tokens - 1;
		request->prefilled_tokens = request->cached_tokens;
		engine->counters.prompt_tokens += request->prompt_tokens;
		engine->counters.cached_tokens += request->cached_tokens;
	}
}

/* ---- steps ---- */

static bool request_decodes(const struct engine_request *request)
{
	return request->prefilled_tokens == request->prompt_tokens;
}

static double step_decode_ms(const struct engine *engine, uint32_t *ret_count)
{
	uint64_t context = 0;
	uint32_t count = 0;

	for (struct engine_request *r = engine->running.head; r; r = r->next) {
		r->step_tokens = 0;
		if (!request_decodes(r))
			continue;
		context += (uint64_t)r->prompt_tokens + r->emitted_tokens;
		count++;
	}
	*ret_count = count;
	return engine->config.decode_ctx_ms * (double)context +
	       engine->config.decode_request_ms * count;
}

static double step_prefill_ms(const struct engine *engine, uint32_t budget)
{
	double ms = 0;

	for (struct engine_request *r = engine->running.head; r && budget; r = r->next) {
		uint32_t left = r->prompt_tokens - r->prefilled_tokens;
		uint32_t chunk = left < budget ? left : budget;

		r->step_tokens = chunk;
		budget -= chunk;
		ms += engine->config.prefill_token_ms * chunk +
		      engine->config.prefill_attention_ms * chunk *
			      (r->prefilled_tokens + chunk / 2.0);
	}
	return ms;
}

static void step_start(struct engine *engine, uint64_t now)
{
	uint32_t decoding;
	double ms;

	requests_admit(engine);
	if (!engine->running.count) {
		engine->step_ends_at = ENGINE_NEVER;
		return;
	}
	ms = engine->config.base_ms + step_decode_ms(engine, &decoding);
	if (decoding < engine->config.chunk_tokens)
		ms += step_prefill_ms(engine, engine->config.chunk_tokens - decoding);
	engine->step_ends_at = now + (uint64_t)(ms * (double)NS_PER_MS / engine->config.speed);
}

/* Whole blocks that this step completed can be found from now on. */
static void blocks_publish(struct engine *engine, struct engine_request *request)
{
	uint32_t done = request->prefilled_tokens / engine->config.block_tokens;

	while (request->shared_count < done && request->shared_count < request->block_count) {
		uint64_t hash = request->block_hashes[request->shared_count];

		if (block_find(engine, hash) != NONE) {
			request->blocks[request->shared_count++] = NONE;
			continue;
		}
		request->blocks[request->shared_count++] = block_publish(engine, hash);
		request->private_blocks--;
	}
}

static void request_finish(struct engine *engine, struct engine_request *request)
{
	blocks_return(engine, request);
	list_remove(&engine->running, request);
	request->state = ENGINE_REQUEST_IDLE;
	engine->counters.finished++;
}

/* What the step did for one request; whether that was a token. */
static bool request_step(struct engine *engine, struct engine_request *request, uint64_t at)
{
	bool decoded = request_decodes(request);

	if (!decoded && request->step_tokens) {
		request->prefilled_tokens += request->step_tokens;
		request->step_tokens = 0;
		blocks_publish(engine, request);
		decoded = request_decodes(request);
	}
	if (!decoded)
		return false;
	if (!request->emitted_tokens++)
		request->first_token_at = at;
	engine->counters.generated_tokens++;
	return true;
}

/* Callbacks may abort any request: engine->cursor is the next one to look at,
 * and engine_abort() moves it on. */
static void step_end(struct engine *engine, engine_token_callback callback, void *ctx)
{
	uint64_t at = engine->step_ends_at;

	engine->counters.steps++;
	for (struct engine_request *r = engine->running.head; r; r = r->next)
		r->has_token = request_step(engine, r, at);
	engine->cursor = engine->running.head;
	while (engine->cursor) {
		struct engine_request *request = engine->cursor;
		bool last = request->emitted_tokens == request->output_tokens;

		engine->cursor = request->next;
		if (!request->has_token)
			continue;
		request->has_token = false;
		if (last)
			request_finish(engine, request);
		callback(ctx, request, last, at);
	}
}

/* ---- public ---- */

int engine_init(struct engine *engine, const struct engine_config *config)
{
	uint32_t buckets = 16;

	if (!config->running_max || !config->chunk_tokens || !config->block_tokens ||
	    !config->kv_blocks || config->kv_blocks > 1u << 24 || !(config->speed > 0))
		return -EINVAL;
	while (buckets < config->kv_blocks)
		buckets *= 2;
	*engine = (struct engine){.config = *config, .step_ends_at = ENGINE_NEVER};
	engine->blocks = calloc(config->kv_blocks, sizeof(*engine->blocks));
	engine->buckets = malloc(buckets * sizeof(*engine->buckets));
	if (!engine->blocks || !engine->buckets) {
		engine_deinit(engine);
		return -ENOMEM;
	}
	memset(engine->buckets, 0xff, buckets * sizeof(*engine->buckets));
	engine->bucket_mask = buckets - 1;
	engine->lru_head = engine->lru_tail = NONE;
	for (uint32_t i = 0; i < config->kv_blocks; i++)
		engine->blocks[i].chain = i + 1 < config->kv_blocks ? i + 1 : NONE;
	return 0;
}

void engine_deinit(struct engine *engine)
{
	free(engine->blocks);
	free(engine->buckets);
	*engine = (struct engine){.step_ends_at = ENGINE_NEVER};
}

int engine_submit(struct engine *engine, struct engine_request *request, uint64_t now)
{
	assert(request->prompt_tokens && request->output_tokens);
	assert(request->state == ENGINE_REQUEST_IDLE);
	if (blocks_needed(engine, request) > engine->config.kv_blocks)
		return -E2BIG;
	request->cached_tokens = request->prefilled_tokens = request->emitted_tokens = 0;
	request->step_tokens = request->private_blocks = request->shared_count = 0;
	request->first_token_at = 0;
	request->has_token = false;
	request->submitted_at = now;
	request->state = ENGINE_REQUEST_WAITING;
	list_append(&engine->waiting, request);
	if (!engine->advancing && engine->step_ends_at == ENGINE_NEVER)
		step_start(engine, now);
	return 0;
}

void engine_abort(struct engine *engine, struct engine_request *request)
{
	if (request->state == ENGINE_REQUEST_IDLE)
		return;
	if (engine->cursor == request)
		engine->cursor = request->next;
	blocks_return(engine, request);
	list_remove(request->state == ENGINE_REQUEST_RUNNING ? &engine->running : &engine->waiting,
		    request);
	request->state = ENGINE_REQUEST_IDLE;
	engine->counters.aborted++;
}

uint64_t engine_next_at(const struct engine *engine)
{
	return engine->step_ends_at;
}

void engine_advance(struct engine *engine, uint64_t now, engine_token_callback callback, void *ctx)
{
	engine->advancing = true;
	while (engine->step_ends_at <= now) {
		step_end(engine, callback, ctx);
		step_start(engine, engine->step_ends_at);
	}
	engine->advancing = false;
}

double engine_kv_usage(const struct engine *engine)
{
	uint32_t held = engine->cached_count - engine->lru_count + engine->private_count;

	return (double)held / engine->config.kv_blocks;
}
