/* SPDX-License-Identifier: BSD-2-Clause */
/* From what a metrics page says to the record in map `load`.  Pure. */
#ifndef SLUICE_SCRAPE_SAMPLE_H
#define SLUICE_SCRAPE_SAMPLE_H

#include <stdint.h>

#include "maps/layout/endpoint.h"
#include "userspace/scrape/page.h"

/* Why a scrape brought nothing; the label of the failure counter. */
#define SCRAPE_RESULT_LIST(X)                                                                      \
	X(SCRAPE_OK, "ok", "waiting, running and KV use were read")                                \
	X(SCRAPE_CONNECT, "connect", "no connection, or it broke")                                 \
	X(SCRAPE_TIMEOUT, "timeout", "no whole page in time")                                      \
	X(SCRAPE_STATUS, "status", "the status was not 200")                                       \
	X(SCRAPE_TOO_BIG, "too_big", "the page is larger than the limit")                          \
	X(SCRAPE_NOT_METRICS, "not_metrics", "the answer is not a metrics page of this engine")    \
	X(SCRAPE_PARTIAL, "partial", "a needed metric is missing or makes no sense")               \
	X(SCRAPE_LOCAL, "local", "out of descriptors, ports or memory here")

enum scrape_result {
#define X(id, name, text) id,
	SCRAPE_RESULT_LIST(X)
#undef X
		SCRAPE_RESULT_COUNT
};

const char *scrape_result_name(enum scrape_result result);

/* The class of a finished exchange: err and status of the HTTP exchange, and
 * the page's sample, which counts only where err is 0 and status 200. */
enum scrape_result scrape_result_of(int err, int status, const struct page_sample *sample);

/* The record after a scrape.  A good one replaces everything; any other only
 * counts, so the last good values stay, with their age.  A partial page is a
 * failure: fresh time on a stale number would be a lie.  A record of another
 * generation is begun anew. */
struct load load_after(const struct load *before, uint32_t generation, enum scrape_result result,
		       const struct page_sample *sample, uint64_t now_ns);

#endif
