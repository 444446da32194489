/* SPDX-License-Identifier: BSD-2-Clause */
/* Copies of requests for the mirrors of a rule (RequestMirror): each goes to one
 * endpoint of the mirror's pool, and what comes back is read and thrown away.
 *
 * A mirror begins when its request has been given to an endpoint, with a copy of head
 * and body, and from then on has nothing to do with it: it may take as long as the
 * request might have, and a bounded answer.  It takes from the worker only what clients
 * have no use for: a slot of its own, buffers above the reserve.  With none left it is
 * dropped and counted.  In the endpoint's counts it is a request like any other, and
 * what its connection teaches of the endpoint counts; it is never tried elsewhere. */
#ifndef SLUICE_PROXY_MIRROR_H
#define SLUICE_PROXY_MIRROR_H

#include <stdint.h>

#include "userspace/base/loop.h"
#include "userspace/http/parser.h"
#include "userspace/proxy/body.h"
#include "userspace/proxy/counted.h"

struct exchange;
struct upstream;
struct worker;

/* id, name in metrics */
#define MIRROR_LIST(X)                                                                             \
	X(MIRROR_ANSWERED, "answered") /* with a status below 400 */                               \
	X(MIRROR_ERROR_STATUS, "error_status")                                                     \
	X(MIRROR_FAILED, "failed") /* no connection, or no answer over it */                       \
	X(MIRROR_TIMEOUT, "timeout")                                                               \
	X(MIRROR_TOO_LONG, "too_long") /* the answer */                                            \
	X(MIRROR_NO_ENDPOINT, "no_endpoint")                                                       \
	X(MIRROR_OVER_LIMIT, "over_limit") /* --mirrors-max are under way */                       \
	X(MIRROR_NO_ROOM, "no_room") /* no buffers or descriptors for a copy */                    \
	X(MIRROR_CANNOT_SAY, "cannot_say") /* the name of its model in that pool */                \
	X(MIRROR_ENDED, "ended") /* the worker ended first */

enum mirror_outcome {
#define X(id, name) id,
	MIRROR_LIST(X)
#undef X
		MIRROR_COUNT
};

const char *mirror_outcome_name(enum mirror_outcome outcome);

struct mirror {
	struct worker *worker;
	struct mirror *next_free;
	bool busy;
	struct upstream *upstream; /* NULL: not yet */
	uint32_t endpoint, generation, cluster;
	struct counted counted;
	struct timer timer;
	uint64_t until_ns;
	char *head; /* buffer: the head of the copy, later that of the answer */
	size_t head_length; /* of either, so far */
	char *room; /* buffer: where the body begins */
	struct body body;
	struct model_rewrite rewrite;
	bool renamed; /* `rewrite` counts */
	bool connected, request_sent, answer_begun;
	uint64_t sent;
	struct http_parser parser;
	bool head_request, head_whole, keep_alive;
	int status;
	uint64_t answer_bytes;
};

int mirrors_init(struct worker *worker, size_t slots);
void mirrors_deinit(struct worker *worker);

/* Begins the mirrors that the rule of a request has, for those that its share falls
 * on.  The request has just been given to its endpoint. */
void mirrors_begin(struct exchange *exchange);
/* Something happened on the upstream connection. */
void mirror_on_upstream(struct mirror *mirror, uint32_t events);

#endif
