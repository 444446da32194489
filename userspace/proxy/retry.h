/* SPDX-License-Identifier: BSD-2-Clause */
/* What is tried again, how often, and after how long: the proxy's own rules, and
 * where the route has a `retry` (Gateway API, GEP-1731), that.  Pure.
 *
 * A failure of the connection leads to another endpoint always; an answer does when
 * its status is 429, 502 or 503, or, where the route lists codes, when it is one of
 * those.  `attempts` of the route stands in place of --attempts.  A route that gives
 * codes or attempts asks for retries: its requests go to an endpoint that has failed
 * once more when there is no other. */
#ifndef SLUICE_PROXY_RETRY_H
#define SLUICE_PROXY_RETRY_H

#include <stdbool.h>
#include <stdint.h>

#include "userspace/base/route.h"

/* How many attempts a request may have, the first included; `usual`: --attempts. */
unsigned retry_attempts_max(const struct snapshot_retry *retry, unsigned usual);

/* Is an answer with this status worth another attempt? */
bool retry_wants_status(const struct snapshot_retry *retry, int status);

/* May endpoints that have failed be asked again when there is no other? */
bool retry_asks_again(const struct snapshot_retry *retry);

/* The wait before the next attempt after `failed` ones (1 or more), in ns: between
 * the route's backoff and twice, four times, eight times that by `random`, but not
 * beyond `left_ns`.  UINT64_MAX: not even the backoff fits into what is left. */
uint64_t retry_wait_ns(const struct snapshot_retry *retry, unsigned failed, uint64_t left_ns,
		       uint64_t random);

#endif
