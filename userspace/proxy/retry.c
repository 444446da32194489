// SPDX-License-Identifier: BSD-2-Clause
#include "userspace/proxy/retry.h"

#include "userspace/base/clock.h"
#include "userspace/proxy/limits.h"

#define BACKOFF_DOUBLINGS_MAX 3

_Static_assert(ATTEMPTS_MAX == ROUTE_RETRIES_MAX + 1, "a route may ask for all attempts there are");

unsigned retry_attempts_max(const struct snapshot_retry *retry, unsigned usual)
{
	return retry && retry->attempts ? retry->attempts + 1 : usual;
}

bool retry_wants_status(const struct snapshot_retry *retry, int status)
{
	if (!retry || !retry->code_count)
		return status == 429 || status == 502 || status == 503;
	for (size_t i = 0; i < retry->code_count; i++) {
		if (retry->codes[i] == (uint32_t)status)
			return true;
	}
	return false;
}

bool retry_asks_again(const struct snapshot_retry *retry)
{
	return retry && (retry->code_count || retry->attempts);
}

uint64_t retry_wait_ns(const struct snapshot_retry *retry, unsigned failed, uint64_t left_ns,
		       uint64_t random)
{
	const unsigned doublings = failed < BACKOFF_DOUBLINGS_MAX ? failed : BACKOFF_DOUBLINGS_MAX;
	const uint64_t least = retry ? retry->backoff_ms * NS_PER_MS : 0;
	uint64_t most = least << doublings;

	if (!least)
		return 0;
	if (least >= left_ns)
		return UINT64_MAX;
	if (most > left_ns)
		most = left_ns;
	return least + random % (most - least);
}
