/* SPDX-License-Identifier: BSD-2-Clause */
/* What map `live` says of an endpoint, and how often it is worth saying.  Pure. */
#ifndef SLUICE_PUBLISH_LIVE_PLAN_H
#define SLUICE_PUBLISH_LIVE_PLAN_H

#include <stdint.h>

#include "maps/layout/endpoint.h"

/* A load sample that is older says nothing of now: more than two of the longest
 * scrape intervals. */
#define LIVE_LOAD_FRESH_NS 10000000000ull
/* From one sweep to the next. */
#define LIVE_INTERVAL_MIN_NS 200000000ull
/* Counting takes at most 1 / LIVE_SHARE of one core. */
#define LIVE_SHARE 100
/* Between two looks whether there is an L4 VIP at all. */
#define LIVE_IDLE_NS 2000000000ull

/* Facts of one endpoint at one time. */
struct live_facts {
	uint32_t generation; /* of the endpoint */
	uint32_t flows; /* live ones in both tables */
	uint32_t opened; /* opens[id].count, read before they were counted */
	struct load load; /* map `load`, as it is */
	struct admin admin; /* map `admin`, as it is */
	uint64_t now_ns; /* CLOCK_REALTIME */
};
/* Load and admin of another generation do not count. */
struct live live_record(const struct live_facts *facts);

enum live_step {
	LIVE_IDLE, /* there is no L4 VIP: nothing was counted */
	LIVE_PART, /* some of the tables is counted */
	LIVE_DONE, /* all of them, and published */
};
/* How long to rest after a step that took `took_ns` of CPU time; the sweep began
 * `since_ns` ago. */
uint64_t live_pause_ns(enum live_step step, uint64_t took_ns, uint64_t since_ns);

#endif
