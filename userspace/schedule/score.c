// SPDX-License-Identifier: BSD-2-Clause
/* One pass scores every candidate of the best tier (see enum score_out) and
 * keeps the best of the home cluster and the best elsewhere; the margin then
 * decides between the two, and a second pass looks for equals of the winner.
 *
 * Not here yet: the prefix index (matched_tokens is an input), the service
 * level check, and the guard for an unreliable predictor. */
#include "userspace/schedule/score.h"

#include <math.h>

#include "maps/layout/types.h"

#define BIAS_WEIGHT_MAX 20.0 /* from there on a mean that moves by a twentieth */
#define BIAS_NOISE_MS 50.0 /* what networks and busy hosts add, whatever is asked for */
#define BIAS_PRIOR 1.0 /* weight of "as predicted" against all that a pool has seen, */
#define BIAS_POOL 4.0 /* and of the pool against what the endpoint has shown itself */
#define BIAS_LOW 0.25
#define BIAS_HIGH 4.0

const struct score_config score_config_default = {
	.t0_ms = 11.0,
	.a_ms = 0.0628,
	.q_ms = 3e-7,
	.kappa = 0.5,
	.delta_ms = 100.0,
	.rho = 0.2,
	.tie = 0.02,
	.stale_ms = 20.0,
	.stale_s_max = 5.0,
	.sample_gain = 0.5,
	.rtt_unknown_ms = 50.0,
	.home_band_ms = 5.0,
};

static const char *const reason_names[] = {
#define X(id, name, text) [id] = name,
	PICK_REASON_LIST(X)
#undef X
};

static const char *const reason_texts[] = {
#define X(id, name, text) [id] = text,
	PICK_REASON_LIST(X)
#undef X
};

const char *pick_reason_name(enum pick_reason reason)
{
	return reason < PICK_REASON_COUNT ? reason_names[reason] : "?";
}

const char *pick_reason_text(enum pick_reason reason)
{
	return reason < PICK_REASON_COUNT ? reason_texts[reason] : "?";
}

double score_prefill_ms(const struct score_config *config, uint64_t tokens, uint64_t matched)
{
	double m = (double)(matched < tokens ? matched : tokens);
	double u = (double)tokens - m;

	return config->t0_ms + config->a_ms * u + config->q_ms * u * (m + u / 2);
}

/* Weighs as least squares would where the prefill is short, so that a thousand
 * greetings on a busy host do not teach how long a document takes. */
void score_bias_learn(struct score_bias *bias, double observed_ms, double predicted_ms)
{
	double share, weight, ratio;

	if (!(predicted_ms > 0) || !(observed_ms >= 0))
		return;
	ratio = fmin(fmax(observed_ms / predicted_ms, BIAS_LOW), BIAS_HIGH);
	share = predicted_ms / (predicted_ms + BIAS_NOISE_MS);
	share *= share;
	weight = fmin(bias->weight + share, BIAS_WEIGHT_MAX);
	bias->factor = (float)(bias->factor + share / weight * (ratio - bias->factor));
	bias->weight = (float)weight;
}

static double mean(double a, double a_weight, double b, double b_weight)
{
	return (a * a_weight + b * b_weight) / (a_weight + b_weight);
}

void score_bias_add(struct score_bias *pool, const struct score_bias *one)
{
	if (!(one->weight > 0))
		return;
	pool->factor = (float)mean(pool->factor, pool->weight, one->factor, one->weight);
	pool->weight += one->weight;
}

double score_bias_expect(const struct score_bias *own, const struct score_bias *pool)
{
	double expected = mean(1.0, BIAS_PRIOR, pool->factor, pool->weight);

	return mean(expected, BIAS_POOL, own->factor, own->weight);
}

/* What others than this gateway have running there, as far as a sample tells:
 * it is late and counts ours too, so it only adds, and only a part. */
static double foreign(const struct score_config *config, const struct score_candidate *c,
		      double sampled, double ours)
{
	if (!c->sampled || c->sample_age_ms > config->stale_s_max * 1000 || sampled <= ours)
		return 0;
	return config->sample_gain * (sampled - ours);
}

static double stale_ms(const struct score_config *config, const struct score_candidate *c)
{
	double age_s = c->sampled ? c->sample_age_ms / 1000 : config->stale_s_max;

	return fmin(fmax(age_s, 0), config->stale_s_max) * config->stale_ms;
}

struct score_terms score_compute(const struct score_config *config,
				 const struct score_request *request,
				 const struct score_candidate *c)
{
	double bias = c->bias > 0 ? c->bias : 1.0;
	double waiting = c->sample_waiting;
	double running = c->sample_running;
	double unseen = foreign(config, c, waiting, c->waiting);
	double tokens = (double)c->uncached_tokens + unseen * (double)request->tokens_mean;
	struct score_terms t = {
		.rtt_ms = c->rtt_ms >= 0 ? c->rtt_ms : config->rtt_unknown_ms,
		.queue_ms = bias * config->a_ms * tokens,
		.prefill_ms = bias * score_prefill_ms(config, request->tokens, c->matched_tokens),
		.stale_ms = stale_ms(config, c),
		.penalty_ms = c->penalty_ms,
		.in_flight = c->requests + foreign(config, c, running + waiting, c->requests),
	};

	t.neighbours_ms = config->kappa * t.in_flight * t.prefill_ms;
	t.score_ms =
		t.rtt_ms + t.queue_ms + t.prefill_ms + t.neighbours_ms + t.stale_ms + t.penalty_ms;
	return t;
}

/* ---- picking ---- */

static double rtt_of(const struct score_candidate *c)
{
	return c->rtt_ms >= 0 ? c->rtt_ms : INFINITY;
}

/* The nearest cluster of all candidates, also of those that are out: home does
 * not move because it is down.  Within the band the lowest id, so that two
 * clusters equally near do not swap with the noise of their round trips. */
static uint32_t home_find(const struct score_config *config,
			  const struct score_candidate *candidates, size_t count)
{
	double nearest = INFINITY;
	uint32_t home = CLUSTER_NONE;

	for (size_t i = 0; i < count; i++)
		nearest = fmin(nearest, rtt_of(&candidates[i]));
	for (size_t i = 0; i < count; i++) {
		const struct score_candidate *c = &candidates[i];

		if (isfinite(nearest) && rtt_of(c) > nearest + config->home_band_ms)
			continue;
		if (home == CLUSTER_NONE || c->cluster < home)
			home = c->cluster;
	}
	return home;
}

static enum score_out tier_find(const struct score_candidate *candidates, size_t count)
{
	enum score_out tier = OUT_COUNT;

	for (size_t i = 0; i < count; i++) {
		if (candidates[i].out < tier)
			tier = candidates[i].out;
	}
	return tier;
}

static enum pick_reason none_reason(enum score_out tier)
{
	switch (tier) {
	case OUT_TRIED: return PICK_NONE_TRIED;
	case OUT_DRAINING: return PICK_NONE_DRAINING;
	case OUT_DOWN: return PICK_NONE_DOWN;
	default: return PICK_NONE_EMPTY;
	}
}

struct best {
	size_t index;
	struct score_terms terms;
};

static void best_consider(struct best *best, size_t index, const struct score_terms *terms)
{
	if (best->index != SIZE_MAX && best->terms.score_ms <= terms->score_ms)
		return;
	best->index = index;
	best->terms = *terms;
}

/* Equals of the winner in its cluster: the least recently given one, so that a
 * cold start does not pile up on the first of the list.  Also finds the next
 * best of all for the log. */
static void pick_settle(const struct score_config *config, const struct score_request *request,
			const struct score_candidate *candidates, size_t count, enum score_out tier,
			struct pick *pick)
{
	double limit = pick->terms.score_ms * (1 + config->tie);
	size_t lowest = pick->index;
	struct best next = {.index = SIZE_MAX};

	for (size_t i = 0; i < count; i++) {
		const struct score_candidate *c = &candidates[i];
		struct score_terms terms;

		if (c->out != tier || i == lowest)
			continue;
		terms = score_compute(config, request, c);
		if (c->cluster == candidates[lowest].cluster && terms.score_ms <= limit &&
		    c->given_at_ns < candidates[pick->index].given_at_ns) {
			best_consider(&next, pick->index, &pick->terms);
			pick->index = i;
			pick->terms = terms;
			if (pick->reason == PICK_LOWEST)
				pick->reason = PICK_TIE;
			continue;
		}
		best_consider(&next, i, &terms);
	}
	pick->runner_up = next.index;
	pick->runner_up_terms = next.terms;
}

/* Between the best at home and the best elsewhere; at least one exists. */
static void pick_cluster(const struct score_config *config, const struct best *home,
			 const struct best *away, struct pick *pick)
{
	const struct best *winner = home;

	pick->reason = PICK_LOWEST;
	if (home->index == SIZE_MAX) {
		winner = away;
		pick->reason = PICK_FAILOVER;
	} else {
		pick->margin_ms = config->delta_ms + config->rho * home->terms.score_ms;
		if (away->index != SIZE_MAX &&
		    away->terms.score_ms + pick->margin_ms < home->terms.score_ms) {
			winner = away;
			pick->reason = PICK_SPILL;
		}
	}
	pick->index = winner->index;
	pick->terms = winner->terms;
}

struct pick score_pick(const struct score_config *config, const struct score_request *request,
		       const struct score_candidate *candidates, size_t count)
{
	enum score_out tier = tier_find(candidates, count);
	struct best home = {.index = SIZE_MAX}, away = {.index = SIZE_MAX};
	struct pick pick = {
		.index = SIZE_MAX,
		.runner_up = SIZE_MAX,
		.home_cluster = home_find(config, candidates, count),
	};

	if (tier > OUT_EJECTED) {
		pick.reason = none_reason(tier);
		return pick;
	}
	for (size_t i = 0; i < count; i++) {
		struct score_terms terms;

		if (candidates[i].out != tier)
			continue;
		terms = score_compute(config, request, &candidates[i]);
		best_consider(candidates[i].cluster == pick.home_cluster ? &home : &away, i,
			      &terms);
		pick.eligible++;
	}
	pick_cluster(config, &home, &away, &pick);
	pick_settle(config, request, candidates, count, tier, &pick);
	if (tier == OUT_EJECTED)
		pick.reason = PICK_LAST_RESORT;
	else if (pick.eligible == 1 && pick.reason == PICK_LOWEST)
		pick.reason = PICK_ONLY;
	return pick;
}
