/* SPDX-License-Identifier: BSD-2-Clause */
/* Faults on demand: what is wrong with the server right now.
 *
 * Set by --fault JSON at start or POST /faults JSON at run time:
 *
 *   {"refuse": true}          the port is closed, and idle connections
 *   {"hang": "inference"}     inference requests are read and never answered
 *   {"hang": "all"}           nothing is answered, health and metrics neither
 *   {"error": 500}            inference is answered with this status
 *   {"cut_after": 5}          answers end with a reset after 5 tokens
 *   {"metrics": "stale"}      /metrics stays what it was
 *   {"metrics": "broken"}     /metrics is no metrics page
 *   {"healthy": false}        /health says 503
 *   {"slow_start_s": 10}      /health and inference say 503 for 10 s
 *   {"for_s": 5, ...}         all faults end after 5 s
 *   {"reset": true}           all faults end now
 *
 * Keys add to what is already wrong.
 */
#ifndef SLUICE_TESTS_MODEL_SERVER_FAULTS_H
#define SLUICE_TESTS_MODEL_SERVER_FAULTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tests/harness/model_server/buffer.h"

enum fault_hang { HANG_NONE, HANG_INFERENCE, HANG_ALL };
enum fault_metrics { METRICS_GOOD, METRICS_STALE, METRICS_BROKEN };

struct faults {
	bool refuse;
	enum fault_hang hang;
	int error_status; /* 0: none */
	bool cut;
	uint32_t cut_after; /* tokens */
	enum fault_metrics metrics;
	bool unhealthy;
	uint64_t loading_until_ns; /* 0: not loading */
	uint64_t until_ns; /* 0: for ever */
};

/* Applies JSON text to *faults at `now`; -EINVAL and nothing changed when a key
 * or a value is unknown, *ret_why says which. */
int faults_apply(struct faults *faults, const char *json, size_t length, uint64_t now,
		 const char **ret_why);
/* Ends what has run out.  Call before looking. */
void faults_expire(struct faults *faults, uint64_t now);
/* When faults_expire() has something to do; UINT64_MAX: never. */
uint64_t faults_next_at(const struct faults *faults);
bool faults_loading(const struct faults *faults, uint64_t now);
void faults_format(const struct faults *faults, uint64_t now, struct buffer *out);

#endif
