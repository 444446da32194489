// SPDX-License-Identifier: BSD-2-Clause
/* A rule that keeps a client with the endpoint that has served it: the endpoint that the
 * request's token names is picked while it is usable, and the answer carries a new token
 * whenever that one would not lead back to the endpoint that answers. */
#include <string.h>

#include "userspace/base/clock.h"
#include "userspace/proxy/exchange_parts.h"
#include "userspace/proxy/session.h"
#include "userspace/proxy/worker.h"

static const struct snapshot_persistence *rule_persistence(const struct exchange *x)
{
	return x->choice.rule ? x->choice.rule->persistence : NULL;
}

static uint32_t now_s(void)
{
	return (uint32_t)(clock_realtime_ns() / NS_PER_S);
}

/* Where it is in that pool; SIZE_MAX: not there. */
static size_t endpoint_index(const struct snapshot_pool *pool, const struct persist_token *token)
{
	for (size_t i = 0; i < pool->endpoint_count; i++) {
		if (pool->endpoints[i].id == token->endpoint &&
		    pool->endpoints[i].generation == token->generation)
			return i;
	}
	return SIZE_MAX;
}

size_t exchange_persist_backend(struct exchange *x, const struct http_head *head)
{
	const struct snapshot_persistence *persistence = rule_persistence(x);
	const struct snapshot_rule *rule = x->choice.rule;
	struct persist_token token;

	if (!persistence ||
	    !persist_token_parse(&exchange_worker(x)->persist_key, persistence->name,
				 persist_find(head, persistence), &token) ||
	    !persist_is_current(persistence, &token, now_s()))
		return SIZE_MAX;
	for (size_t i = 0; i < rule->backend_count; i++) {
		const struct snapshot_backend *b = &rule->backends[i];

		if (!b->weight || b->pool == POOL_NONE ||
		    endpoint_index(&x->snapshot->snapshot->pools[b->pool], &token) == SIZE_MAX)
			continue;
		x->persisted = true;
		x->persist_token = token;
		return i;
	}
	return SIZE_MAX;
}

struct pick exchange_persist_pick(struct exchange *x)
{
	struct pick none = {.index = SIZE_MAX, .runner_up = SIZE_MAX};
	size_t index = x->persisted ? endpoint_index(x->pool, &x->persist_token) : SIZE_MAX;
	struct worker *w = exchange_worker(x);

	if (index == SIZE_MAX)
		return none;
	return placement_pick_one(&w->placement, x->snapshot->snapshot, x->pool, index, &x->place,
				  loop_now_ns(w->loop), clock_realtime_ns());
}

const char *exchange_persist_answer(struct exchange *x, struct text *value)
{
	const struct snapshot_persistence *persistence = rule_persistence(x);
	const struct persist_token *old = &x->persist_token;
	struct persist_token token = {x->endpoint, x->generation};
	char text[PERSIST_TEXT_LENGTH + 1];

	if (!persistence)
		return NULL;
	token.begun_s = token.used_s = now_s();
	if (x->persisted && old->endpoint == token.endpoint &&
	    old->generation == token.generation) {
		if (!persistence->idle_s || old->used_s == token.used_s)
			return NULL; /* it leads here, and its time goes on */
		token.begun_s = old->begun_s;
		token.used_s = token.used_s > old->begun_s ? token.used_s : old->begun_s;
	}
	persist_token_format(&exchange_worker(x)->persist_key, persistence->name, &token, text);
	persist_value_format(persistence, text, &token, value);
	if (value->cut)
		return NULL;
	return persistence->type == PERSIST_COOKIE ? "Set-Cookie" : persistence->name;
}
