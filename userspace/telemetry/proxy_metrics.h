/* SPDX-License-Identifier: BSD-2-Clause */
/* The proxy's counters: one row a worker in memory that all its processes share.
 *
 * The region is shared memory without a name, made before the first fork: it
 * outlives any one of parent, keeper and workers, and its descriptor can be given
 * to a successor, which goes on counting.  A row has one writer, the worker that
 * holds it; rows are never cleared (a worker that takes a dead
 * one's row goes on counting where it stopped), only its gauges are.
 *
 * Labels from outside are bounded: the first 128 model names that were routed
 * get a slot each, the rest count as "other"; regions likewise.  Slots are
 * claimed without a lock, so two workers may claim one name twice: such slots
 * are added up when the page is written.
 */
#ifndef SLUICE_TELEMETRY_PROXY_METRICS_H
#define SLUICE_TELEMETRY_PROXY_METRICS_H

#include <stddef.h>
#include <stdint.h>

#include "maps/layout/contract.h"
#include "userspace/telemetry/exposition.h"

struct maps;

/* Another one is another proxy's: to be changed with anything below, and with the
 * order of the names that rows are indexed by. */
#define PROXY_METRICS_LAYOUT 1

#define PROXY_MODELS_MAX 128 /* and one more for "other" */
#define PROXY_REGIONS_MAX 32
#define PROXY_LABEL_MAX 128
#define PROXY_NAMES_MAX 32 /* of errors, retry reasons, pick reasons, mirrors' outcomes */

/* Statuses that are counted by their code; others by class ("2xx", ...). */
#define PROXY_CODES_MAX 32

struct proxy_cell { /* of a model and a region */
	uint64_t requests[PROXY_CODES_MAX];
	struct histogram first_byte;
	struct histogram duration;
	uint64_t prompt_tokens, cached_tokens, completion_tokens; /* as servers reported */
};

struct proxy_endpoint {
	uint32_t generation; /* of the endpoint counted; another one starts from zero */
	uint32_t pad;
	uint64_t requests;
	uint64_t failures;
	uint64_t first_bytes;
	uint64_t first_byte_ns;
};

struct proxy_row {
	struct proxy_cell cells[PROXY_MODELS_MAX + 1][PROXY_REGIONS_MAX + 1];
	struct proxy_endpoint endpoints[ENDPOINTS_MAX];
	uint64_t errors[PROXY_NAMES_MAX]; /* indexed as the caller's names */
	uint64_t retries[PROXY_NAMES_MAX];
	uint64_t picks[PROXY_NAMES_MAX];
	uint64_t mirrors[PROXY_NAMES_MAX];
	uint64_t sessions_total;
	uint64_t bytes_in, bytes_out;
	uint64_t upstream_connects, upstream_reuses;
	uint64_t log_lines_lost;
	uint64_t client_pauses, clients_untracked, clients_forgotten;
	uint64_t held; /* a worker holds the row, or died holding it */
	/* gauges */
	uint64_t sessions;
	uint64_t upgraded;
	uint64_t buffers_free;
	uint64_t snapshot_generation;
};

struct proxy_label {
	uint32_t state; /* 0 free, 1 being written, 2 whole */
	uint32_t length;
	uint64_t hash;
	char text[PROXY_LABEL_MAX];
};

struct proxy_metrics {
	uint64_t layout; /* PROXY_METRICS_LAYOUT */
	size_t row_count;
	uint32_t rows_high; /* rows below it have been held by a worker */
	uint32_t pad;
	uint64_t started_at; /* CLOCK_REALTIME, s */
	uint64_t worker_starts;
	uint64_t takeovers; /* a keeper became the parent */
	uint64_t handovers; /* a successor became the parent */
	struct proxy_label models[PROXY_MODELS_MAX];
	struct proxy_label regions[PROXY_REGIONS_MAX];
	struct proxy_row rows[];
};

/* A region, zeroed; rows that nobody writes cost no memory.  *ret_fd is its memory,
 * the caller's to close. */
int proxy_metrics_create(size_t row_count, int *ret_fd);
/* Maps it.  -EPROTO: it is of another layout or size. */
int proxy_metrics_map(int fd, size_t row_count, struct proxy_metrics **ret_metrics);
/* Both, for those who hand it to nobody. */
int proxy_metrics_new(size_t row_count, struct proxy_metrics **ret_metrics);
void proxy_metrics_free(struct proxy_metrics *metrics);

/* Index of a label, claiming a slot for a new one; *_MAX: "other". */
uint32_t proxy_metrics_model(struct proxy_metrics *metrics, const char *name, size_t length);
uint32_t proxy_metrics_region(struct proxy_metrics *metrics, const char *name);

/* Index into requests[] for a status. */
uint32_t proxy_metrics_code(int status);

struct proxy_metrics_names { /* NULL where the caller has no name */
	const char *errors[PROXY_NAMES_MAX];
	const char *retries[PROXY_NAMES_MAX];
	const char *picks[PROXY_NAMES_MAX];
	const char *mirrors[PROXY_NAMES_MAX];
};

/* Appends all families.  `maps` gives endpoints' names and what is in flight;
 * NULL: those families are left out. */
void proxy_metrics_expose(const struct proxy_metrics *metrics,
			  const struct proxy_metrics_names *names, const struct maps *maps,
			  struct exposition *page);

#endif
