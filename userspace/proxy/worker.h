/* SPDX-License-Identifier: BSD-2-Clause */
/* One worker: a loop, a listener a family, and everything a request needs,
 * taken at start.  Driven by a process of its own (worker_process.c), or turn
 * by turn by a test. */
#ifndef SLUICE_PROXY_WORKER_H
#define SLUICE_PROXY_WORKER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "maps/access/maps.h"
#include "userspace/base/loop.h"
#include "userspace/http/parser.h"
#include "userspace/proxy/access_log.h"
#include "userspace/proxy/buffers.h"
#include "userspace/proxy/limits.h"
#include "userspace/proxy/options.h"
#include "userspace/proxy/persist.h"
#include "userspace/proxy/placement.h"
#include "userspace/proxy/snapshot_watch.h"
#include "userspace/telemetry/proxy_metrics.h"

struct client_table;
struct exchange;
struct mirror;
struct session;
struct upstream;

#define WORKER_LISTENERS 2 /* by family: LISTENER_IPV4, LISTENER_IPV6 */

struct worker_config {
	const struct proxy_options *options;
	struct maps *maps; /* borrowed; inflight is written */
	struct proxy_metrics *metrics; /* borrowed */
	struct client_table *clients; /* borrowed; NULL: clients are not limited */
	uint32_t row; /* of inflight and metrics; this worker's alone */
	const char *run_dir; /* where the routes snapshot is */
	const char *access_log; /* path, "-" or "" */
	struct persist_key persist_key; /* of all workers of the gateway */
	int listener_fds[WORKER_LISTENERS]; /* non-blocking, -1: none; stay the caller's */
};

struct worker {
	struct loop *loop;
	struct proxy_options options;
	struct maps *maps;
	struct inflight *inflight; /* own row */
	struct proxy_metrics *metrics;
	struct proxy_row *row; /* own row */
	struct persist_key persist_key;
	uint32_t row_index;
	struct client_table *clients; /* NULL: clients are not limited */
	size_t refusing_count; /* sessions that are beyond their client's connections */
	struct placement placement;
	struct snapshot_watch routes;
	struct access_log log;
	struct buffers buffers;
	struct worker_listener {
		struct watch watch;
		struct worker *worker;
	} listeners[WORKER_LISTENERS];
	struct timer tick; /* health, idle connections, log */
	uint64_t sweep_at_ns, buffers_period_at_ns;
	uint64_t random; /* state */

	struct session *sessions; /* slab; a slot is touched when it is used for the first time */
	size_t session_slots;
	size_t sessions_begun; /* slots used so far, from the first */
	struct session *session_free; /* of those */
	size_t session_count;

	struct upstream *upstreams; /* slab, likewise */
	size_t upstream_slots;
	size_t upstreams_begun;
	struct upstream *upstream_free;
	uint32_t *idle_heads; /* by endpoint id: index + 1 of the latest idle one, 0: none */
	struct upstream *idle_oldest, *idle_latest;

	struct mirror *mirrors; /* slab, likewise */
	size_t mirror_slots;
	size_t mirrors_begun;
	struct mirror *mirror_free;

	struct exchange *waiting; /* exchanges that may still be sent elsewhere */

	bool accepting;
	bool draining;
	bool done; /* drained */
	uint64_t drain_until_ns;

	/* scratch, valid within one callback */
	struct http_head head; /* of a request... */
	const struct session *head_of; /* ...of this session; NULL: of nobody */
	struct http_head answer_head;
	char read_buffer[BUFFER_BYTES];
	char restored[RESTORED_BYTES]; /* of an answer, with the client's name for the model */
	char head_text[HEAD_FORMAT_BYTES];
};

/* Logs what fails. */
int worker_new(const struct worker_config *config, struct worker **ret_worker);
/* Closes what is open; nothing is waited for. */
void worker_free(struct worker *worker);
static inline void worker_freep(struct worker **worker)
{
	worker_free(*worker);
}

/* Takes what is queued at the listeners (unless `leave_queue`: somebody else
 * holds the sockets and will), accepts no more, lets requests finish until the
 * drain time-out, then stops the loop. */
void worker_drain(struct worker *worker, bool leave_queue);

uint64_t worker_random(struct worker *worker);

/* A session slot was freed: accept again if the limit had stopped it. */
void worker_session_gone(struct worker *worker);

#endif
