/* SPDX-License-Identifier: BSD-2-Clause */
/* Between the prober's words and the records of map `health`. */
#ifndef SLUICE_CONTROLLER_HEALTH_RECORD_H
#define SLUICE_CONTROLLER_HEALTH_RECORD_H

#include <stdint.h>

#include "maps/layout/endpoint.h"
#include "userspace/health/probe.h"

static inline struct health health_record_of(const struct probe_report *report)
{
	return (struct health){
		.state = (uint8_t)report->track->state,
		.rise = report->track->rise,
		.fall = report->track->fall,
		.reason = (uint8_t)report->track->reason,
		.generation = report->generation,
		.since = report->track->since_ns,
		.probed_at = report->finished_at,
	};
}

/* What the maps say of an endpoint that was there before this process. */
static inline struct health_track health_record_adopt(const struct health *health,
						      uint32_t generation)
{
	if (health->generation != generation || health->state >= HEALTH_COUNT)
		return (struct health_track){0};
	return (struct health_track){
		.state = health->state,
		.reason = health->reason < HEALTH_REASON_COUNT ? health->reason
							       : HEALTH_REASON_NONE,
		.rise = health->rise,
		.fall = health->fall,
		.since_ns = health->since,
	};
}

#endif
