/* SPDX-License-Identifier: BSD-2-Clause */
/* Probes thousands of endpoints on one loop and runs each one's state machine.
 *
 * The owner says which endpoints there are (prober_put, prober_remove) and is
 * told every result.  The prober knows nothing of maps.  Only HTTP GET; a
 * status of 200 to 399 is a success.
 */
#ifndef SLUICE_HEALTH_PROBE_H
#define SLUICE_HEALTH_PROBE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "maps/layout/types.h"
#include "userspace/health/hysteresis.h"

struct loop;
struct prober;
struct fetch_result;

#define PROBE_PATH_MAX 256

struct probe_target {
	uint32_t id; /* endpoint id, < ENDPOINTS_MAX */
	uint32_t generation;
	struct ip_addr addr;
	uint16_t port; /* host order */
	char path[PROBE_PATH_MAX];
	char host[PROBE_PATH_MAX]; /* Host header; empty: the address */
	struct health_policy policy;
};

struct probe_report {
	uint32_t id;
	uint32_t generation;
	const struct health_track *track; /* since_ns: CLOCK_REALTIME */
	bool changed;
	int status; /* HTTP status, 0: none came */
	uint64_t connect_ns; /* of the TCP connection, 0: it failed */
	uint64_t finished_at; /* CLOCK_REALTIME ns */
};

typedef void (*probe_callback)(void *ctx, const struct probe_report *report);

/* probes_max: how many may run at once; more wait a little.  Endpoints that are DOWN
 * get at most three quarters of these places. */
int prober_new(struct loop *loop, size_t probes_max, probe_callback callback, void *ctx,
	       struct prober **ret_prober);
void prober_free(struct prober *prober);

/* Adds an endpoint, or changes how it is probed.  The state is kept while
 * id, generation, address and port stay; otherwise it starts from *start (NULL:
 * UNKNOWN).  Copies the target.  -ENOMEM. */
int prober_put(struct prober *prober, const struct probe_target *target,
	       const struct health_track *start);
/* Fine when there is none. */
void prober_remove(struct prober *prober, uint32_t id);
/* NULL: not probed.  Borrowed until the next prober_put or prober_remove. */
const struct health_track *prober_track(const struct prober *prober, uint32_t id);

/* Pure: the class of a finished exchange.  HEALTH_REASON_NONE: the fault is
 * ours (out of descriptors, ports or memory) and says nothing of the endpoint. */
enum health_reason probe_reason(const struct fetch_result *result);

#endif
