/* SPDX-License-Identifier: BSD-2-Clause */
/* The server's /metrics page, in vLLM V1's names. */
#ifndef SLUICE_TESTS_MODEL_SERVER_METRICS_H
#define SLUICE_TESTS_MODEL_SERVER_METRICS_H

#include <stddef.h>
#include <stdint.h>

#include "userspace/sim/engine.h"
#include "userspace/telemetry/exposition.h"

struct metrics {
	uint64_t success_stop, success_length, aborted;
	struct histogram first_token; /* from submission */
	struct histogram whole_request;
};

/* malloc'd page, NULL when out of memory. */
char *metrics_page(const struct metrics *metrics, const struct engine *engine, const char *model,
		   size_t *ret_length);

#endif
