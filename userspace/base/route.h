/* SPDX-License-Identifier: BSD-2-Clause */
/* Routes as three rooms share them: sources resolves HTTPRoutes into these
 * structs, the snapshot carries them, the proxy follows them.
 *
 * Plain data; whoever makes a route owns its memory, and all strings are
 * NUL-terminated.  Indexes point into the pools and listeners beside it.
 */
#ifndef SLUICE_BASE_ROUTE_H
#define SLUICE_BASE_ROUTE_H

#include <regex.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "maps/layout/types.h"

#define ROUTE_TIMEOUT_OFF UINT32_MAX
#define ROUTES_MAX 16384
#define ROUTE_LISTENERS_MAX 1024
#define POOL_REWRITES_MAX 1024 /* rules that rename models, of one pool */
#define REWRITE_MODELS_MAX 256 /* names that one of them matches */
#define REWRITE_TARGETS_MAX 64
#define RULE_MIRRORS_MAX 16
#define ROUTE_RETRIES_MAX 7 /* after the first attempt */
#define ROUTE_RETRY_CODES_MAX 200 /* 400 to 599 */

/* ---- matches and filters of an HTTPRoute rule (Gateway API v1) ---- */

enum match_type { MATCH_NONE, MATCH_EXACT, MATCH_PREFIX, MATCH_REGEX };

struct snapshot_match {
	enum match_type path_type; /* never NONE: the default is PathPrefix / */
	const char *path;
	const char *method; /* NULL: any */
	size_t header_count;
	struct snapshot_pair_match {
		enum match_type type;
		const char *name; /* headers: lower case */
		const char *value;
		regex_t *regex; /* MATCH_REGEX in a snapshot that was read: see base/pattern.h */
	} * headers;
	size_t query_count;
	struct snapshot_pair_match *queries;
	regex_t *path_regex; /* MATCH_REGEX in a snapshot that was read */
};

struct snapshot_pair {
	const char *name;
	const char *value;
};

enum rewrite_type { REWRITE_NONE, REWRITE_FULL_PATH, REWRITE_PREFIX };

struct snapshot_mirror { /* a copy of the request goes there too */
	uint32_t pool; /* index into pools */
	const char *name; /* "namespace/name" as the route says it */
	uint32_t numerator, denominator; /* of the requests; denominator not 0 */
};

struct snapshot_filters {
	size_t request_set_count, request_add_count, request_remove_count;
	struct snapshot_pair *request_set, *request_add;
	const char **request_remove;
	size_t response_set_count, response_add_count, response_remove_count;
	struct snapshot_pair *response_set, *response_add;
	const char **response_remove;
	enum rewrite_type rewrite_type; /* of the path */
	const char *rewrite_path;
	const char *rewrite_host; /* NULL: kept */
	int redirect_status; /* 0: no redirect */
	const char *redirect_scheme, *redirect_host, *redirect_path; /* NULL: kept */
	enum rewrite_type redirect_path_type;
	uint16_t redirect_port; /* 0: by scheme */
	size_t mirror_count;
	struct snapshot_mirror *mirrors;
};

/* ---- models under other names, of a pool (InferenceModelRewrite) ---- */

struct snapshot_rewrite {
	const char *name; /* "namespace/name" of the object */
	size_t model_count;
	const char **models; /* as clients say them; none: every model */
	size_t target_count; /* at least one */
	struct snapshot_rewrite_target {
		const char *model; /* as the model servers know it */
		uint32_t weight; /* 1 to 1000000 */
	} * targets;
	uint32_t weight_sum; /* reading fills it in; not in the file */
};

struct snapshot_backend {
	uint32_t pool; /* index into pools; POOL_NONE: cannot be resolved, answers 500 */
	uint32_t weight; /* 0: gets nothing */
	const char *name; /* "namespace/name" as the route says it */
	struct snapshot_filters *filters; /* the rule's with its own after them; NULL: the rule's */
};

/* ---- session persistence (GEP-1619) ---- */

enum persist_type { PERSIST_NONE, PERSIST_COOKIE, PERSIST_HEADER };
enum persist_lifetime { PERSIST_UNSAID, PERSIST_SESSION, PERSIST_PERMANENT };

#define PERSIST_NAME_MAX 128

struct snapshot_persistence {
	enum persist_type type; /* never NONE */
	const char *name; /* of the cookie or header; a token */
	uint32_t absolute_s, idle_s; /* 0: no limit */
	enum persist_lifetime lifetime; /* cookies; PERMANENT: absolute_s is not 0 */
};

/* The CORS filter: which pages from elsewhere may use the answers.  A list that is
 * "*" alone means all. */
struct snapshot_cors {
	size_t origin_count, method_count, header_count, expose_count;
	const char **origins; /* lower case, without a scheme's usual port; a star leads the host */
	const char **methods, **headers, **expose;
	bool credentials; /* cookies and the like may go with the requests */
	uint32_t max_age_s; /* how long a browser may keep the answer to a preflight */
};

/* What the rule says of attempts after the first; what it leaves out is the proxy's. */
struct snapshot_retry {
	size_t code_count;
	uint32_t *codes; /* statuses that are tried again; none: the proxy's own list */
	uint32_t attempts; /* after the first; 0: as many as the proxy makes */
	uint32_t backoff_ms; /* at least so long between two attempts */
};

struct snapshot_rule {
	const char *name; /* or NULL */
	size_t match_count;
	struct snapshot_match *matches; /* any of them; at least one */
	struct snapshot_filters filters;
	size_t backend_count;
	struct snapshot_backend *backends;
	uint32_t weight_sum; /* reading fills it in; not in the file */
	uint32_t request_timeout_ms; /* 0: the proxy's default; ROUTE_TIMEOUT_OFF: none */
	uint32_t backend_timeout_ms; /* the same, for one attempt */
	struct snapshot_retry *retry; /* NULL: the proxy's own rules */
	struct snapshot_cors *cors; /* NULL: none */
	struct snapshot_persistence *persistence; /* NULL: none */
};

struct snapshot_route {
	const char *name; /* "namespace/name" */
	uint64_t created_at; /* seconds, for precedence; 0: unknown */
	size_t hostname_count;
	const char **hostnames; /* lower case; "*.example.com" allowed; none: any */
	size_t listener_count;
	uint32_t *listeners; /* indexes */
	size_t rule_count;
	struct snapshot_rule *rules;
};

#endif
