/* SPDX-License-Identifier: BSD-2-Clause */
/* What the controller observes of the endpoints of a plan: probes and scrapes
 * follow the plan, their results go into the maps `health`, `load` and
 * `clusters`, changes are logged once, everything is counted.
 */
#ifndef SLUICE_CONTROLLER_WATCHER_H
#define SLUICE_CONTROLLER_WATCHER_H

#include <stdint.h>

#include "maps/layout/endpoint.h"
#include "userspace/scrape/sample.h"

struct desired;
struct loop;
struct maps;
struct plan;
struct watcher;

/* Totals since the process started; never reset. */
struct watcher_counts {
	uint64_t probes[HEALTH_REASON_COUNT]; /* by result */
	uint64_t scrapes[SCRAPE_RESULT_COUNT];
	uint64_t changes[HEALTH_COUNT]; /* of state, by the new one */
};

/* maps: role MAPS_CONTROLLER, borrowed.  scrape_interval_ms 0: by pool size. */
int watcher_new(struct loop *loop, struct maps *maps, uint32_t scrape_interval_ms,
		struct watcher **ret_watcher);
void watcher_free(struct watcher *watcher);

/* Probes and scrapes what the plan has placed, and what is in the maps still because
 * publishing failed.  What is probed is scraped while it is UP.  An endpoint that stays
 * keeps its state; one adopted from the maps starts with what they say of it.
 * Logs endpoints that cannot be watched, once. */
int watcher_follow(struct watcher *watcher, const struct plan *plan, const struct desired *desired);

const struct watcher_counts *watcher_counts(const struct watcher *watcher);

#endif
