/* SPDX-License-Identifier: BSD-2-Clause */
/* The marginal-delay score: what it costs, in milliseconds, to give a request
 * to an endpoint.
 *
 *	P = b * (t0 + a*u + q*u*(m + u/2))	its own prefill of u = L - m tokens
 *	Q = b * a * W				prefill already outstanding there
 *	S = RTT + Q + P*(1 + kappa*n) + stale + penalty
 *
 * P delays the n requests that decode there, so kappa*n*P is the harm done to
 * neighbours.  Everything is a time, so terms add up without weights.  Pure:
 * counts, samples and `now` come in, a pick with all its terms goes out; the
 * proxy and the simulator call the same function.
 *
 * Clusters: the home cluster is the nearest one.  Leaving it costs the spill
 * margin: another cluster wins only if S_there + delta + rho*S_home < S_home.
 * With nothing to give at home the best elsewhere wins without a margin.
 */
#ifndef SLUICE_SCHEDULE_SCORE_H
#define SLUICE_SCHEDULE_SCORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct score_config {
	double t0_ms; /* prefill: fixed, */
	double a_ms; /* a token, */
	double q_ms; /* and a token times its context */
	double kappa;
	double delta_ms; /* spill margin: fixed, */
	double rho; /* and a share of the score at home */
	double tie; /* scores closer than this share of the best are equal */
	double stale_ms; /* for each second a load sample is old, */
	double stale_s_max; /* up to so many seconds */
	double sample_gain; /* how far a sample may correct our own counts, 0..1 */
	double rtt_unknown_ms;
	double home_band_ms; /* round trips this close are equally near: the first one is home */
};

/* For an engine of 11 ms a step and 0.0628 ms a token (32B on two H100). */
extern const struct score_config score_config_default;

/* What keeps a candidate from being picked, worst last.  Up to OUT_EJECTED it
 * is a last resort: taken when no better one is left. */
enum score_out {
	OUT_NOT, /* a candidate like any other */
	OUT_SUSPECT, /* its last probe failed, or its cluster did not answer a moment ago */
	OUT_EJECTED, /* it failed, its next trial is not due */
	OUT_TRIED, /* this request failed there already */
	OUT_DRAINING,
	OUT_DOWN,
	OUT_COUNT
};

struct score_candidate {
	uint32_t endpoint;
	uint32_t cluster;
	enum score_out out;
	uint32_t requests; /* in flight from this gateway, all workers */
	uint32_t waiting; /* of these, without a byte of the answer */
	uint64_t uncached_tokens; /* of these, prompt tokens still to be computed */
	uint64_t matched_tokens; /* of this prompt, believed to be in its cache */
	double rtt_ms; /* negative: unknown */
	double bias; /* of score_bias_expect(), 0: none known */
	double penalty_ms; /* locality, price, slow start */
	bool sampled; /* the three below are of a scrape */
	uint32_t sample_running;
	uint32_t sample_waiting;
	double sample_age_ms;
	uint64_t given_at_ns; /* when it was last picked, 0: never */
};

struct score_request {
	uint64_t tokens; /* of the prompt, estimated */
	uint64_t tokens_mean; /* of a request that we know nothing of, but that one */
};

struct score_terms {
	double rtt_ms;
	double queue_ms; /* Q */
	double prefill_ms; /* P */
	double neighbours_ms; /* kappa*n*P */
	double stale_ms;
	double penalty_ms;
	double score_ms; /* sum of the above */
	double in_flight; /* n as used: ours, corrected by the sample */
};

/* id, name in logs and metrics, why */
#define PICK_REASON_LIST(X)                                                                        \
	X(PICK_LOWEST, "lowest", "the lowest score")                                               \
	X(PICK_ONLY, "only", "the only candidate")                                                 \
	X(PICK_TIE, "tie", "among equals the least recently given")                                \
	X(PICK_SPILL, "spill", "another cluster, by more than the margin")                         \
	X(PICK_FAILOVER, "failover", "another cluster, the home cluster has no candidate")         \
	X(PICK_PERSISTED, "persisted", "the client's session is there")                            \
	X(PICK_LAST_RESORT, "last_resort", "it failed a moment ago, but no other is left")         \
	X(PICK_NONE_EMPTY, "none_empty", "the pool has no endpoint")                               \
	X(PICK_NONE_DOWN, "none_down", "every endpoint of the pool is down")                       \
	X(PICK_NONE_DRAINING, "none_draining", "every endpoint that is up is being drained")       \
	X(PICK_NONE_TRIED, "none_tried", "every endpoint that is up failed this request")

enum pick_reason {
#define X(id, name, text) id,
	PICK_REASON_LIST(X)
#undef X
		PICK_REASON_COUNT
};

struct pick {
	enum pick_reason reason;
	size_t index; /* of the candidate; SIZE_MAX: none */
	size_t runner_up; /* the next best by score, SIZE_MAX: none */
	size_t eligible; /* how many were compared */
	uint32_t home_cluster; /* CLUSTER_NONE without candidates */
	double margin_ms; /* what leaving home would have cost, 0: no home candidate */
	struct score_terms terms;
	struct score_terms runner_up_terms;
};

static inline bool pick_is_none(const struct pick *pick)
{
	return pick->index == SIZE_MAX;
}

const char *pick_reason_name(enum pick_reason reason);
const char *pick_reason_text(enum pick_reason reason);

struct score_terms score_compute(const struct score_config *config,
				 const struct score_request *request,
				 const struct score_candidate *candidate);

struct pick score_pick(const struct score_config *config, const struct score_request *request,
		       const struct score_candidate *candidates, size_t count);

/* Prefill alone without bias: what a first byte that did not queue should take. */
double score_prefill_ms(const struct score_config *config, uint64_t tokens, uint64_t matched);

/* How much longer than predicted a prefill takes, as a factor: the mean of what
 * was seen, of which later ones push out earlier ones.  Zeroed: nothing yet. */
struct score_bias {
	float factor; /* within [1/4, 4] where there is weight */
	float weight; /* in observations of a long prefill, up to 20 */
};

/* One more observation of a request that did not queue. */
void score_bias_learn(struct score_bias *bias, double observed_ms, double predicted_ms);
/* Adds what one endpoint has taught to what all of its pool have. */
void score_bias_add(struct score_bias *pool, const struct score_bias *one);
/* What to expect of an endpoint: what it taught itself, and for as long as that
 * is little, what its pool did; 1 where nobody has.  Never leaves [1/4, 4]. */
double score_bias_expect(const struct score_bias *own, const struct score_bias *pool);

#endif
