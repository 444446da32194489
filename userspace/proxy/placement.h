/* SPDX-License-Identifier: BSD-2-Clause */
/* From a pool to an endpoint: reads the maps, adds what this worker has learnt
 * itself, and lets the score decide. */
#ifndef SLUICE_PROXY_PLACEMENT_H
#define SLUICE_PROXY_PLACEMENT_H

#include <stdint.h>

#include "maps/access/maps.h"
#include "userspace/proxy/limits.h"
#include "userspace/publish/snapshot.h"
#include "userspace/schedule/ejection.h"
#include "userspace/schedule/score.h"

/* What one worker knows of an endpoint that is in no map. */
struct target {
	struct ejection ejection;
	uint64_t given_at_ns;
	struct score_bias bias;
	uint32_t generation; /* of the endpoint; another one is a stranger */
};

struct placement {
	const struct maps *maps;
	struct score_config config;
	struct target *targets; /* ENDPOINTS_MAX */
	struct ejection clusters[CLUSTERS_MAX];
	struct score_candidate *candidates; /* ENDPOINTS_MAX, scratch of one pick */
	const uint32_t *rows_high; /* rows of `inflight` from here on are unused */
	double tokens_mean;
};

struct placement_request {
	uint64_t tokens;
	uint32_t tried[ATTEMPTS_MAX]; /* endpoint ids */
	size_t tried_count;
	uint64_t suspect_clusters; /* bit by cluster id */
};

int placement_init(struct placement *placement, const struct maps *maps, const uint32_t *rows_high);
void placement_deinit(struct placement *placement);

/* now_ns: CLOCK_MONOTONIC; real_ns: CLOCK_REALTIME, of the samples.  The pick's
 * indexes are those of pool->endpoints. */
struct pick placement_pick(struct placement *placement, const struct snapshot *snapshot,
			   const struct snapshot_pool *pool,
			   const struct placement_request *request, uint64_t now_ns,
			   uint64_t real_ns);

/* The same with one candidate, pool->endpoints[index]: it is picked (PICK_PERSISTED) unless
 * it is down, drained, ejected or was tried. */
struct pick placement_pick_one(struct placement *placement, const struct snapshot *snapshot,
			       const struct snapshot_pool *pool, size_t index,
			       const struct placement_request *request, uint64_t now_ns,
			       uint64_t real_ns);

/* The request goes there: for turns among equals, trials and the mean. */
void placement_given(struct placement *placement, uint32_t endpoint, uint32_t generation,
		     uint32_t cluster, uint64_t tokens, uint64_t now_ns);
/* How the endpoint took it; `path`: not the endpoint but the way to it is to blame. */
void placement_failed(struct placement *placement, uint32_t endpoint, uint32_t cluster, bool path,
		      uint32_t free_failures, uint64_t now_ns);
void placement_succeeded(struct placement *placement, uint32_t endpoint, uint32_t cluster);
/* The first byte of a stream that did not queue came so long after it was given. */
void placement_learn(struct placement *placement, uint32_t endpoint, uint32_t cluster,
		     uint64_t tokens, uint64_t first_byte_ns);

#endif
