// SPDX-License-Identifier: BSD-2-Clause
/* The health state machine.  It owns nothing and knows no clock; the prober
 * calls it with each result, tests call it with tables. */
#include "userspace/health/hysteresis.h"

#include <assert.h>

#include "userspace/base/clock.h"
#include "userspace/base/jitter.h"

static void count_saturating(uint8_t *count)
{
	if (*count < UINT8_MAX)
		(*count)++;
}

static enum health_state state_after(const struct health_track *track,
				     const struct health_policy *policy)
{
	if (track->rise && (track->state == HEALTH_UNKNOWN || track->rise >= policy->rise))
		return HEALTH_UP;
	if (track->fall >= policy->fall)
		return HEALTH_DOWN;
	return track->state;
}

bool health_track_step(struct health_track *track, const struct health_policy *policy,
		       enum health_reason result, uint64_t now_ns)
{
	enum health_state next;

	assert(result != HEALTH_REASON_NONE);
	track->reason = result;
	if (result == HEALTH_REASON_OK) {
		count_saturating(&track->rise);
		track->fall = 0;
	} else {
		count_saturating(&track->fall);
		track->rise = 0;
	}
	next = state_after(track, policy);
	if (next == track->state)
		return false;
	track->state = next;
	track->since_ns = now_ns;
	return true;
}

/* Doubles with every failure beyond the threshold. */
static uint32_t interval_slowed(const struct health_track *track,
				const struct health_policy *policy)
{
	uint32_t interval_ms = policy->interval_ms;

	for (int fall = policy->fall; fall < track->fall && interval_ms < HEALTH_SLOW_MS; fall++)
		interval_ms *= 2;
	if (interval_ms > HEALTH_SLOW_MS && policy->interval_ms <= HEALTH_SLOW_MS)
		return HEALTH_SLOW_MS;
	return interval_ms;
}

uint64_t health_track_pause_ns(const struct health_track *track, const struct health_policy *policy,
			       uint64_t seed)
{
	uint32_t interval_ms = policy->interval_ms;

	if (track->state == HEALTH_DOWN && track->reason == HEALTH_REASON_REFUSED)
		interval_ms = interval_slowed(track, policy);
	else if (track->state == HEALTH_UP && track->fall == 1 && interval_ms > HEALTH_DOUBT_MS)
		interval_ms = HEALTH_DOUBT_MS;
	return jitter_around(interval_ms * NS_PER_MS, seed);
}

uint64_t health_policy_first_ns(const struct health_policy *policy, uint64_t seed)
{
	uint32_t window_ms = policy->interval_ms < 1000 ? policy->interval_ms : 1000;

	return jitter_below(window_ms * NS_PER_MS, seed);
}
