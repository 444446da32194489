/* SPDX-License-Identifier: BSD-2-Clause */
/* What one request adds to the counts of its endpoint in map `inflight`, from being
 * given there until it ends, so that it is taken back once and in whole. */
#ifndef SLUICE_PROXY_COUNTED_H
#define SLUICE_PROXY_COUNTED_H

#include <stdbool.h>
#include <stdint.h>

#include "maps/layout/endpoint.h"

struct counted {
	struct inflight *slot; /* the worker's own; NULL: nothing is counted */
	uint64_t tokens;
	bool waiting; /* for the first byte of the answer */
};

void counted_begin(struct counted *counted, struct inflight *slot, uint64_t tokens);
/* These two: fine when it is over already. */
void counted_first_byte(struct counted *counted);
void counted_end(struct counted *counted);

#endif
