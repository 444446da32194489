/* SPDX-License-Identifier: BSD-2-Clause */
/* Reads the metrics page of every endpoint again and again, on one loop.
 *
 * The owner says which endpoints there are and is told every result.  A scrape
 * costs the model server milliseconds in the process that streams tokens, so
 * the pace is a target's own, jittered, and slows down while scrapes fail.
 */
#ifndef SLUICE_SCRAPE_SCRAPER_H
#define SLUICE_SCRAPE_SCRAPER_H

#include <stddef.h>
#include <stdint.h>

#include "maps/layout/types.h"
#include "userspace/scrape/sample.h"

struct loop;
struct scraper;

#define SCRAPE_PATH_MAX 256
#define SCRAPE_BYTES_MAX (4u << 20)
#define SCRAPE_INTERVAL_MS 1000u
#define SCRAPE_INTERVAL_SMALL_MS 200u /* pools of at most this many endpoints: */
#define SCRAPE_POOL_SMALL 100u
#define SCRAPE_SLOW_MS 5000u

struct scrape_target {
	uint32_t id; /* endpoint id, < ENDPOINTS_MAX */
	uint32_t generation;
	struct ip_addr addr;
	uint16_t port; /* host order */
	char path[SCRAPE_PATH_MAX];
	uint32_t interval_ms; /* at least 1 */
	uint32_t timeout_ms;
};

struct scrape_report {
	uint32_t id;
	uint32_t generation;
	enum scrape_result result;
	const struct page_sample *sample;
	uint64_t finished_at; /* CLOCK_REALTIME ns */
};

typedef void (*scrape_callback)(void *ctx, const struct scrape_report *report);

/* scrapes_max: how many may run at once (about 16 kB each); more wait a little. */
int scraper_new(struct loop *loop, size_t scrapes_max, scrape_callback callback, void *ctx,
		struct scraper **ret_scraper);
void scraper_free(struct scraper *scraper);

/* Adds an endpoint or changes its pace.  Copies the target.  -ENOMEM. */
int scraper_put(struct scraper *scraper, const struct scrape_target *target);
void scraper_remove(struct scraper *scraper, uint32_t id);
/* Leaves it alone until scraper_wake(), also what is running: it is down, and servers
 * that do not answer would take the places of those that do. */
void scraper_rest(struct scraper *scraper, uint32_t id);
/* One that rests is scraped now, and at the normal pace from here on. */
void scraper_wake(struct scraper *scraper, uint32_t id);

/* Pure: the pause after `failures` scrapes failed in a row: the interval with
 * up to a tenth more or less; from the third failure on it doubles, up to
 * SCRAPE_SLOW_MS or the interval, whichever is longer. */
uint64_t scrape_pause_ns(uint32_t interval_ms, uint32_t failures, uint64_t seed);
/* Pure: the default interval for a pool of this many endpoints. */
uint32_t scrape_interval_for(uint32_t pool_endpoints);

#endif
