/* SPDX-License-Identifier: BSD-2-Clause */
/* When an endpoint is up: results of probes in, a state with thresholds out.
 *
 * Pure: values and `now` in, values out.  An endpoint that has just appeared is
 * UNKNOWN, which serves; one success makes it UP, `fall` failures in a row make
 * it DOWN, `rise` successes in a row bring it back.
 */
#ifndef SLUICE_HEALTH_HYSTERESIS_H
#define SLUICE_HEALTH_HYSTERESIS_H

#include <stdbool.h>
#include <stdint.h>

#include "maps/layout/endpoint.h"

/* A refused connection is how a loading server looks, for minutes: probes of
 * an endpoint that is DOWN slow down to this, unless the interval is longer. */
#define HEALTH_SLOW_MS 5000u

/* The first failure of an endpoint that is UP is asked about again this soon:
 * requests wait for the answer, and a pause would only prolong that. */
#define HEALTH_DOUBT_MS 150u

struct health_policy {
	uint32_t interval_ms; /* from the end of a probe to the next, at least 1 */
	uint32_t timeout_ms;
	uint8_t rise; /* successes in a row from DOWN to UP, at least 1 */
	uint8_t fall; /* failures in a row to DOWN, at least 1 */
};

struct health_track {
	enum health_state state;
	enum health_reason reason; /* of the last result */
	uint8_t rise; /* successes in a row, saturating */
	uint8_t fall; /* failures in a row, saturating */
	uint64_t since_ns; /* last change of state, on the caller's clock */
};

/* Takes one result: HEALTH_REASON_OK is a success, any other a failure (NONE is
 * no result and must not be given).  True when the state changed. */
bool health_track_step(struct health_track *track, const struct health_policy *policy,
		       enum health_reason result, uint64_t now_ns);

/* Pause before the next probe: the interval with up to a tenth more or less,
 * so that thousands of endpoints do not beat together; longer for one that is
 * DOWN because it refuses, short after the first failure of one that is UP.
 * Same seed, same answer. */
uint64_t health_track_pause_ns(const struct health_track *track, const struct health_policy *policy,
			       uint64_t seed);

/* Pause before the very first probe: anywhere in the interval, one second at
 * most. */
uint64_t health_policy_first_ns(const struct health_policy *policy, uint64_t seed);

#endif
