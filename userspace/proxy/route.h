/* SPDX-License-Identifier: BSD-2-Clause */
/* Which rule of which HTTPRoute a request falls under (Gateway API v1), and
 * which backend of it.  Pure: a snapshot and a request come in.
 *
 * Precedence as the specification says: listener by address, port and most
 * specific hostname; among its routes the longest exact hostname, then the
 * longest wildcard; then over all rules exact path, longest prefix (whole
 * elements), regular expression; method; number of headers; number of query
 * parameters; then the oldest route, the first by name, the first rule.
 */
#ifndef SLUICE_PROXY_ROUTE_H
#define SLUICE_PROXY_ROUTE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "maps/layout/types.h"
#include "userspace/base/text.h"
#include "userspace/http/parser.h"
#include "userspace/publish/snapshot.h"

/* Headers that the gateway itself sets; a client's own copies do not count. */
#define HEADER_MODEL "x-gateway-model-name"
#define HEADER_BASE_MODEL "x-gateway-base-model-name"
#define HEADER_OBJECTIVE "x-gateway-inference-objective"
#define HEADER_GATEWAY_PREFIX "x-gateway-"

#define HOST_MAX 256

struct route_request {
	struct ip_addr addr; /* the VIP: the connection's local address */
	uint16_t port; /* host order */
	const char *host; /* lower case, without port; "" when not given */
	struct http_span method;
	struct http_span path; /* without the query */
	struct http_span query; /* without the '?', may be empty */
	const struct http_head *head; /* for headers */
	const char *model; /* NULL: none */
	const char *base_model; /* NULL: none */
	bool any_model; /* matches on the two model headers hold whatever the model: "is there a
			   route at all?" */
};

enum route_verdict {
	ROUTE_OK,
	ROUTE_NO_LISTENER, /* no listener has this address, port and hostname */
	ROUTE_NO_ROUTE, /* the listener has no rule that matches */
};

struct route_choice {
	const struct snapshot_listener *listener;
	const struct snapshot_route *route;
	const struct snapshot_rule *rule;
	const struct snapshot_match *match; /* the one of the rule that won */
	const struct snapshot_filters
		*filters; /* in force: the rule's until a backend has its own */
};

enum route_verdict route_match(const struct snapshot *snapshot, const struct route_request *request,
			       struct route_choice *ret_choice);

/* Index of the backend that `random` falls on, by weight; SIZE_MAX: the rule has
 * no weight at all. */
size_t route_backend(const struct snapshot_rule *rule, uint64_t random);

/* The filters in force are those for this backend of the rule. */
void route_choose_backend(struct route_choice *choice, size_t index);
/* The model's name in that pool, `random` choosing by weight; NULL: as the client says it. */
const char *route_served_name(const struct snapshot_pool *pool, const char *model, uint64_t random);

/* The base model of an adapter or served name, or NULL. */
const char *route_base_model(const struct snapshot *snapshot, const char *model);

/* Priority of a named objective of a pool ("namespace/name"); 0 when unknown. */
int32_t route_priority(const struct snapshot *snapshot, const char *pool,
		       struct http_span objective);

/* Splits an origin-form target at '?'.  A path that is not absolute, has a dot
 * segment (also encoded) or a control character is refused: NULL, else why. */
const char *route_target_split(struct http_span target, struct http_span *ret_path,
			       struct http_span *ret_query);

/* Host header to lower case without port; false: too long. */
bool route_host_normalize(struct http_span host, char ret_host[HOST_MAX]);

/* Appends the path as the filters in force rewrite it, then the query as it was. */
void route_path_rewrite(const struct route_choice *choice, struct http_span path,
			struct http_span query, struct text *text);

/* Appends the Location of the redirect in force. */
void route_redirect_location(const struct route_choice *choice, const struct route_request *request,
			     struct text *text);

#endif
