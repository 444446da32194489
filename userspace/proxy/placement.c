// SPDX-License-Identifier: BSD-2-Clause
#include "userspace/proxy/placement.h"

#include <errno.h>
#include <stdlib.h>

#include "userspace/base/clock.h"

#define MEAN_ALPHA 0.02
#define MEAN_AT_START 512.0
#define CLUSTER_FREE_FAILURES 1

int placement_init(struct placement *placement, const struct maps *maps, const uint32_t *rows_high)
{
	*placement = (struct placement){
		.maps = maps,
		.config = score_config_default,
		.rows_high = rows_high,
		.tokens_mean = MEAN_AT_START,
	};
	placement->targets = calloc(ENDPOINTS_MAX, sizeof(*placement->targets));
	placement->candidates = calloc(ENDPOINTS_MAX, sizeof(*placement->candidates));
	if (!placement->targets || !placement->candidates) {
		placement_deinit(placement);
		return -ENOMEM;
	}
	return 0;
}

void placement_deinit(struct placement *placement)
{
	free(placement->targets);
	free(placement->candidates);
	placement->targets = NULL;
	placement->candidates = NULL;
}

static struct target *target_get(struct placement *placement, uint32_t endpoint,
				 uint32_t generation)
{
	struct target *target = &placement->targets[endpoint];

	if (target->generation != generation)
		*target = (struct target){.generation = generation};
	return target;
}

/* ---- one candidate ---- */

static double rtt_ms(const struct maps *maps, uint32_t cluster)
{
	uint32_t us = __atomic_load_n(&maps->clusters[cluster].rtt_us, __ATOMIC_RELAXED);

	return us ? us / 1000.0 : -1;
}

/* As inflight_sum(), but only over rows that a worker has ever held: the rest
 * would cost a cache miss each. */
static void counts_read(const struct placement *placement, struct score_candidate *c)
{
	uint32_t rows = __atomic_load_n(placement->rows_high, __ATOMIC_RELAXED);
	const struct inflight *slot = &placement->maps->inflight[c->endpoint];

	for (uint32_t row = 0; row < rows; row++, slot += ENDPOINTS_MAX) {
		c->requests += __atomic_load_n(&slot->requests, __ATOMIC_RELAXED);
		c->waiting += __atomic_load_n(&slot->waiting, __ATOMIC_RELAXED);
		c->uncached_tokens += __atomic_load_n(&slot->uncached_tokens, __ATOMIC_RELAXED);
	}
}

static void sample_read(const struct maps *maps, uint32_t generation, uint64_t real_ns,
			struct score_candidate *c)
{
	const struct load *load = &maps->load[c->endpoint];
	uint64_t sampled_at = __atomic_load_n(&load->sampled_at, __ATOMIC_RELAXED);

	if (!sampled_at || load->generation != generation)
		return;
	c->sampled = true;
	c->sample_running = __atomic_load_n(&load->running, __ATOMIC_RELAXED);
	c->sample_waiting = __atomic_load_n(&load->waiting, __ATOMIC_RELAXED);
	c->sample_age_ms = real_ns > sampled_at ? (double)(real_ns - sampled_at) / (double)NS_PER_MS
						: 0;
}

static bool was_tried(const struct placement_request *request, uint32_t endpoint)
{
	for (size_t i = 0; i < request->tried_count; i++) {
		if (request->tried[i] == endpoint)
			return true;
	}
	return false;
}

/* Its last probe failed, though not yet as many as make it DOWN. */
static bool probe_failed(const struct maps *maps, uint32_t endpoint, uint32_t generation)
{
	const struct health *health = &maps->health[endpoint];

	return health->fall && health->generation == generation;
}

static enum score_out out_of(struct placement *placement, const struct placement_request *request,
			     uint32_t endpoint, uint32_t generation, uint32_t cluster,
			     uint64_t now_ns)
{
	switch (endpoint_use(placement->maps, endpoint, generation)) {
	case ENDPOINT_USABLE: break;
	case ENDPOINT_DRAINING: return OUT_DRAINING;
	default: return OUT_DOWN;
	}
	if (was_tried(request, endpoint))
		return OUT_TRIED;
	if (ejection_active(&target_get(placement, endpoint, generation)->ejection, now_ns))
		return OUT_EJECTED;
	if (request->suspect_clusters & 1ull << cluster ||
	    ejection_active(&placement->clusters[cluster], now_ns) ||
	    probe_failed(placement->maps, endpoint, generation))
		return OUT_SUSPECT;
	return OUT_NOT;
}

/* What all endpoints of the pool have taught, those that are down as well. */
static struct score_bias pool_bias(const struct placement *placement,
				   const struct snapshot_pool *pool, size_t count)
{
	struct score_bias bias = {0};

	for (size_t i = 0; i < count; i++) {
		const struct target *target = &placement->targets[pool->endpoints[i].id];

		if (target->generation == pool->endpoints[i].generation)
			score_bias_add(&bias, &target->bias);
	}
	return bias;
}

static struct score_candidate
candidate_read(struct placement *placement, const struct snapshot *snapshot,
	       const struct snapshot_endpoint *e, const struct score_bias *of_pool,
	       const struct placement_request *request, uint64_t now_ns, uint64_t real_ns)
{
	uint32_t cluster = snapshot->clusters[e->cluster].id;
	struct score_candidate c = {
		.endpoint = e->id,
		.cluster = cluster,
		.rtt_ms = rtt_ms(placement->maps, cluster),
		.out = out_of(placement, request, e->id, e->generation, cluster, now_ns),
	};
	const struct target *target = &placement->targets[e->id];

	if (c.out > OUT_EJECTED)
		return c;
	c.bias = score_bias_expect(&target->bias, of_pool);
	c.given_at_ns = target->given_at_ns;
	counts_read(placement, &c);
	sample_read(placement->maps, e->generation, real_ns, &c);
	return c;
}

static struct score_request score_request_of(const struct placement *placement,
					     const struct placement_request *request)
{
	return (struct score_request){
		.tokens = request->tokens,
		.tokens_mean = (uint64_t)placement->tokens_mean,
	};
}

static size_t candidate_count(const struct snapshot_pool *pool)
{
	return pool->endpoint_count < ENDPOINTS_MAX ? pool->endpoint_count : ENDPOINTS_MAX;
}

struct pick placement_pick(struct placement *placement, const struct snapshot *snapshot,
			   const struct snapshot_pool *pool,
			   const struct placement_request *request, uint64_t now_ns,
			   uint64_t real_ns)
{
	struct score_request score = score_request_of(placement, request);
	size_t count = candidate_count(pool);
	struct score_bias of_pool = pool_bias(placement, pool, count);

	for (size_t i = 0; i < count; i++)
		placement->candidates[i] = candidate_read(placement, snapshot, &pool->endpoints[i],
							  &of_pool, request, now_ns, real_ns);
	return score_pick(&placement->config, &score, placement->candidates, count);
}

struct pick placement_pick_one(struct placement *placement, const struct snapshot *snapshot,
			       const struct snapshot_pool *pool, size_t index,
			       const struct placement_request *request, uint64_t now_ns,
			       uint64_t real_ns)
{
	struct score_request score = score_request_of(placement, request);
	struct score_bias of_pool = pool_bias(placement, pool, candidate_count(pool));
	struct score_candidate candidate = candidate_read(
		placement, snapshot, &pool->endpoints[index], &of_pool, request, now_ns, real_ns);
	struct pick pick = {.index = SIZE_MAX, .runner_up = SIZE_MAX};

	if (candidate.out > OUT_SUSPECT)
		return pick;
	pick = score_pick(&placement->config, &score, &candidate, 1);
	pick.index = index;
	pick.reason = PICK_PERSISTED;
	return pick;
}

/* ---- what is learnt ---- */

void placement_given(struct placement *placement, uint32_t endpoint, uint32_t generation,
		     uint32_t cluster, uint64_t tokens, uint64_t now_ns)
{
	struct target *target = target_get(placement, endpoint, generation);

	target->given_at_ns = now_ns;
	ejection_given(&target->ejection, now_ns);
	ejection_given(&placement->clusters[cluster], now_ns);
	placement->tokens_mean += MEAN_ALPHA * ((double)tokens - placement->tokens_mean);
}

void placement_failed(struct placement *placement, uint32_t endpoint, uint32_t cluster, bool path,
		      uint32_t free_failures, uint64_t now_ns)
{
	ejection_fail(&placement->targets[endpoint].ejection, free_failures, now_ns);
	if (path)
		ejection_fail(&placement->clusters[cluster], CLUSTER_FREE_FAILURES, now_ns);
}

void placement_succeeded(struct placement *placement, uint32_t endpoint, uint32_t cluster)
{
	ejection_succeed(&placement->targets[endpoint].ejection);
	ejection_succeed(&placement->clusters[cluster]);
}

void placement_learn(struct placement *placement, uint32_t endpoint, uint32_t cluster,
		     uint64_t tokens, uint64_t first_byte_ns)
{
	struct target *target = &placement->targets[endpoint];
	double rtt = rtt_ms(placement->maps, cluster);
	double observed = (double)first_byte_ns / (double)NS_PER_MS - (rtt > 0 ? rtt : 0);

	score_bias_learn(&target->bias, observed > 0 ? observed : 0,
			 score_prefill_ms(&placement->config, tokens, 0));
}
