// SPDX-License-Identifier: BSD-2-Clause
/* The second pass over a snapshot that was read: the proxy uses what stands in
 * it without looking again, so an index must be in range and a header value
 * must not carry a line break.  Derived members (weight_sum, compiled regular
 * expressions) are filled here, never read from the file.
 */
#include "userspace/publish/snapshot_check.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "maps/layout/contract.h"
#include "userspace/model/name.h"

struct check {
	struct snapshot *snapshot;
	struct snapshot_fault *fault;
	size_t route, rule;
	char filters[48]; /* "filters", "backends[0].filters" */
};

static bool fault_set(struct check *check, const char *why, const char *member, ...)
	__attribute__((format(printf, 3, 4)));

/* Always false, so that a check can return it. */
static bool fault_set(struct check *check, const char *why, const char *member, ...)
{
	va_list args;

	va_start(args, member);
	vsnprintf(check->fault->member, sizeof(check->fault->member), member, args);
	va_end(args);
	snprintf(check->fault->why, sizeof(check->fault->why), "%s", why);
	return false;
}

/* The same below the rule that is being checked. */
#define rule_fault(check, why, member, ...)                                                        \
	fault_set(check, why, "routes[%zu].rules[%zu]." member, (check)->route,                    \
		  (check)->rule __VA_OPT__(, ) __VA_ARGS__)

/* RFC 9110, 5.6.2 */
static bool is_token(const char *text)
{
	for (const char *p = text; *p; p++) {
		if (!isalnum((unsigned char)*p) && !strchr("!#$%&'*+-.^_`|~", *p))
			return false;
	}
	return *text != '\0';
}

static bool is_lower(const char *text)
{
	for (; *text; text++) {
		if (isupper((unsigned char)*text))
			return false;
	}
	return true;
}

/* May stand in a field value: no control character but the tab. */
static bool is_field_value(const char *text)
{
	for (; *text; text++) {
		if (((unsigned char)*text < 0x20 && *text != '\t') || *text == 0x7f)
			return false;
	}
	return true;
}

/* May stand in a request target or a Location: printable, no space. */
static bool is_visible(const char *text)
{
	for (; *text; text++) {
		if ((unsigned char)*text <= 0x20 || (unsigned char)*text >= 0x7f)
			return false;
	}
	return true;
}

/* "host.example.com", or "*." before one. */
static bool is_hostname(const char *text)
{
	if (strncmp(text, "*.", 2) == 0)
		text += 2;
	for (const char *p = text; *p; p++) {
		if (!islower((unsigned char)*p) && !isdigit((unsigned char)*p) && *p != '-' &&
		    *p != '.')
			return false;
	}
	return *text && strlen(text) <= 253;
}

static bool pairs_check(struct check *check, struct snapshot_pair_match *pairs, size_t count,
			bool headers, size_t match)
{
	const char *list = headers ? "headers" : "queries";

	for (size_t i = 0; i < count; i++) {
		struct snapshot_pair_match *pair = &pairs[i];
		char why[PATTERN_WHY_MAX];

		if (headers && (!is_token(pair->name) || !is_lower(pair->name)))
			return rule_fault(check, "not a header name in lower case",
					  "matches[%zu].headers[%zu].name", match, i);
		if (pair->type != MATCH_REGEX)
			continue;
		if (snapshot_pattern(check->snapshot, pair->value, &pair->regex, why))
			return rule_fault(check, why, "matches[%zu].%s[%zu].value", match, list, i);
	}
	return true;
}

static bool match_check(struct check *check, struct snapshot_match *match, size_t i)
{
	char why[PATTERN_WHY_MAX];

	if (match->path_type == MATCH_REGEX) {
		if (snapshot_pattern(check->snapshot, match->path, &match->path_regex, why))
			return rule_fault(check, why, "matches[%zu].path", i);
	} else if (match->path[0] != '/') {
		return rule_fault(check, "it does not begin with /", "matches[%zu].path", i);
	}
	if (match->method && !is_token(match->method))
		return rule_fault(check, "not an HTTP method", "matches[%zu].method", i);
	return pairs_check(check, match->headers, match->header_count, true, i) &&
	       pairs_check(check, match->queries, match->query_count, false, i);
}

/* The same below the filters that are being checked. */
#define filters_fault(check, why, member, ...)                                                     \
	rule_fault(check, why, "%s" member, (check)->filters __VA_OPT__(, ) __VA_ARGS__)

static bool edits_check(struct check *check, const struct snapshot_pair *pairs, size_t count,
			const char *list)
{
	for (size_t i = 0; i < count; i++) {
		if (!is_token(pairs[i].name))
			return filters_fault(check, "not a header name", ".%s[%zu].name", list, i);
		if (!is_field_value(pairs[i].value))
			return filters_fault(check,
					     "a header value must not contain control characters",
					     ".%s[%zu].value", list, i);
	}
	return true;
}

static bool removes_check(struct check *check, const char **names, size_t count, const char *list)
{
	for (size_t i = 0; i < count; i++) {
		if (!is_token(names[i]))
			return filters_fault(check, "not a header name", ".%s[%zu]", list, i);
	}
	return true;
}

static bool redirect_check(struct check *check, const struct snapshot_filters *filters)
{
	switch (filters->redirect_status) {
	case 0:
	case 301:
	case 302:
	case 303:
	case 307:
	case 308: break;
	default:
		return filters_fault(check, "not one of 301, 302, 303, 307, 308",
				     ".redirect_status");
	}
	if (filters->redirect_scheme && strcmp(filters->redirect_scheme, "http") != 0 &&
	    strcmp(filters->redirect_scheme, "https") != 0)
		return filters_fault(check, "neither http nor https", ".redirect_scheme");
	if (filters->redirect_host && !is_visible(filters->redirect_host))
		return filters_fault(check, "not a host name", ".redirect_host");
	if (filters->redirect_path_type != REWRITE_NONE && !filters->redirect_path)
		return filters_fault(check, "missing", ".redirect_path");
	if (filters->redirect_path && !is_visible(filters->redirect_path))
		return filters_fault(check, "not a path", ".redirect_path");
	return true;
}

static bool mirrors_check(struct check *check, const struct snapshot_filters *filters)
{
	for (size_t i = 0; i < filters->mirror_count; i++) {
		const struct snapshot_mirror *mirror = &filters->mirrors[i];

		if (mirror->pool >= check->snapshot->pool_count)
			return rule_fault(check, "there is no such pool",
					  "filters.mirrors[%zu].pool", i);
		if (!mirror->denominator || mirror->numerator > mirror->denominator)
			return rule_fault(check, "not a fraction from 0 to 1",
					  "filters.mirrors[%zu].numerator", i);
	}
	return true;
}

static bool filters_check(struct check *check, const struct snapshot_filters *filters)
{
	if (filters->rewrite_type != REWRITE_NONE && !filters->rewrite_path)
		return filters_fault(check, "missing", ".rewrite_path");
	if (filters->rewrite_path && !is_visible(filters->rewrite_path))
		return filters_fault(check, "not a path", ".rewrite_path");
	if (filters->rewrite_host && !is_visible(filters->rewrite_host))
		return filters_fault(check, "not a host name", ".rewrite_host");
	return edits_check(check, filters->request_set, filters->request_set_count,
			   "request_set") &&
	       edits_check(check, filters->request_add, filters->request_add_count,
			   "request_add") &&
	       edits_check(check, filters->response_set, filters->response_set_count,
			   "response_set") &&
	       edits_check(check, filters->response_add, filters->response_add_count,
			   "response_add") &&
	       removes_check(check, filters->request_remove, filters->request_remove_count,
			     "request_remove") &&
	       removes_check(check, filters->response_remove, filters->response_remove_count,
			     "response_remove") &&
	       redirect_check(check, filters) && mirrors_check(check, filters);
}

static bool persistence_check(struct check *check, const struct snapshot_persistence *persistence)
{
	if (!persistence)
		return true;
	if (!is_token(persistence->name) || strlen(persistence->name) > PERSIST_NAME_MAX)
		return rule_fault(check, "not a name of a cookie or header", "persistence.name");
	if (persistence->lifetime == PERSIST_PERMANENT && !persistence->absolute_s)
		return rule_fault(check, "a permanent cookie needs it", "persistence.absolute_s");
	return true;
}

static bool retry_check(struct check *check, const struct snapshot_retry *retry)
{
	for (size_t i = 0; retry && i < retry->code_count; i++) {
		if (retry->codes[i] < 400 || retry->codes[i] > 599)
			return rule_fault(check, "not between 400 and 599", "retry.codes[%zu]", i);
	}
	return true;
}

static bool tokens_check(struct check *check, const char **names, size_t count, const char *list)
{
	for (size_t i = 0; i < count; i++) {
		if (!is_token(names[i]))
			return rule_fault(check, "not a name of a header or method", "cors.%s[%zu]",
					  list, i);
	}
	return true;
}

static bool cors_check(struct check *check, const struct snapshot_cors *cors)
{
	if (!cors)
		return true;
	for (size_t i = 0; i < cors->origin_count; i++) {
		const char *origin = cors->origins[i];

		if (!is_visible(origin) || !is_lower(origin) ||
		    (strcmp(origin, "*") != 0 && !strstr(origin, "://")))
			return rule_fault(check, "not an origin in lower case", "cors.origins[%zu]",
					  i);
	}
	return tokens_check(check, cors->methods, cors->method_count, "methods") &&
	       tokens_check(check, cors->headers, cors->header_count, "headers") &&
	       tokens_check(check, cors->expose, cors->expose_count, "expose");
}

static bool rule_check(struct check *check, struct snapshot_rule *rule)
{
	if (rule->match_count == 0)
		return rule_fault(check, "a rule needs at least one", "matches");
	for (size_t i = 0; i < rule->match_count; i++) {
		if (!match_check(check, &rule->matches[i], i))
			return false;
	}
	rule->weight_sum = 0;
	for (size_t i = 0; i < rule->backend_count; i++) {
		const uint32_t pool = rule->backends[i].pool;

		if (pool != POOL_NONE && pool >= check->snapshot->pool_count)
			return rule_fault(check, "there is no such pool", "backends[%zu].pool", i);
		rule->weight_sum += rule->backends[i].weight;
		snprintf(check->filters, sizeof(check->filters), "backends[%zu].filters", i);
		if (rule->backends[i].filters && !filters_check(check, rule->backends[i].filters))
			return false;
	}
	snprintf(check->filters, sizeof(check->filters), "filters");
	return persistence_check(check, rule->persistence) && retry_check(check, rule->retry) &&
	       cors_check(check, rule->cors) && filters_check(check, &rule->filters);
}

static bool route_check(struct check *check, struct snapshot_route *route)
{
	for (size_t i = 0; i < route->hostname_count; i++) {
		if (!is_hostname(route->hostnames[i]))
			return fault_set(check, "not a host name in lower case",
					 "routes[%zu].hostnames[%zu]", check->route, i);
	}
	for (size_t i = 0; i < route->listener_count; i++) {
		if (route->listeners[i] >= check->snapshot->listener_count)
			return fault_set(check, "there is no such listener",
					 "routes[%zu].listeners[%zu]", check->route, i);
	}
	for (check->rule = 0; check->rule < route->rule_count; check->rule++) {
		if (!rule_check(check, &route->rules[check->rule]))
			return false;
	}
	return true;
}

static bool is_model(const char *name)
{
	return model_name_check(name, strlen(name)) == MODEL_OK;
}

static bool rewrite_check(struct check *check, struct snapshot_rewrite *rewrite, size_t pool,
			  size_t i)
{
	if (!rewrite->target_count)
		return fault_set(check, "a rewrite needs at least one",
				 "pools[%zu].rewrites[%zu].targets", pool, i);
	for (size_t k = 0; k < rewrite->model_count; k++) {
		if (!is_model(rewrite->models[k]))
			return fault_set(check, "not a model's name",
					 "pools[%zu].rewrites[%zu].models[%zu]", pool, i, k);
	}
	rewrite->weight_sum = 0;
	for (size_t k = 0; k < rewrite->target_count; k++) {
		if (!is_model(rewrite->targets[k].model))
			return fault_set(check, "not a model's name",
					 "pools[%zu].rewrites[%zu].targets[%zu].model", pool, i, k);
		if (!rewrite->targets[k].weight)
			return fault_set(check, "0 is not a weight here",
					 "pools[%zu].rewrites[%zu].targets[%zu].weight", pool, i,
					 k);
		rewrite->weight_sum += rewrite->targets[k].weight;
	}
	return true;
}

static bool pools_check(struct check *check)
{
	const struct snapshot *snapshot = check->snapshot;
	bool seen[POOLS_MAX] = {false};

	for (size_t i = 0; i < snapshot->pool_count; i++) {
		const struct snapshot_pool *pool = &snapshot->pools[i];

		if (pool->id >= POOLS_MAX || seen[pool->id])
			return fault_set(check, "two pools have this id", "pools[%zu].id", i);
		seen[pool->id] = true;
		for (size_t k = 0; k < pool->endpoint_count; k++) {
			if (pool->endpoints[k].cluster >= snapshot->cluster_count)
				return fault_set(check, "there is no such cluster",
						 "pools[%zu].endpoints[%zu].cluster", i, k);
		}
		for (size_t k = 0; k < pool->rewrite_count; k++) {
			if (!rewrite_check(check, &pool->rewrites[k], i, k))
				return false;
		}
	}
	return true;
}

static bool clusters_check(struct check *check)
{
	const struct snapshot *snapshot = check->snapshot;
	bool seen[CLUSTERS_MAX] = {false};

	for (size_t i = 0; i < snapshot->cluster_count; i++) {
		const uint32_t id = snapshot->clusters[i].id;

		if (id >= CLUSTERS_MAX || seen[id])
			return fault_set(check, "two clusters have this id", "clusters[%zu].id", i);
		seen[id] = true;
	}
	return true;
}

static bool listeners_check(struct check *check)
{
	const struct snapshot *snapshot = check->snapshot;

	for (size_t i = 0; i < snapshot->listener_count; i++) {
		const struct snapshot_listener *listener = &snapshot->listeners[i];

		if (listener->port == 0)
			return fault_set(check, "0 is not a port", "listeners[%zu].port", i);
		if (listener->hostname && !is_hostname(listener->hostname))
			return fault_set(check, "not a host name in lower case",
					 "listeners[%zu].hostname", i);
	}
	return true;
}

bool snapshot_check(struct snapshot *snapshot, struct snapshot_fault *ret_fault)
{
	struct check check = {.snapshot = snapshot, .fault = ret_fault};

	if (!clusters_check(&check) || !pools_check(&check) || !listeners_check(&check))
		return false;
	for (check.route = 0; check.route < snapshot->route_count; check.route++) {
		if (!route_check(&check, &snapshot->routes[check.route]))
			return false;
	}
	return true;
}
