// SPDX-License-Identifier: BSD-2-Clause
/* Every rule of every route of the listener is asked, and the best match so far
 * is kept; a match is first reduced to a rank (a handful of integers), so that
 * precedence is one comparison of ranks, in the order of the specification.
 * Linear in the number of matches: a few hundred nanoseconds for the tens of
 * rules that gateways have. */
#include "userspace/proxy/route.h"

#include <string.h>

#include "userspace/base/ascii.h"

struct rank {
	uint32_t host_exact; /* characters of the matching hostname, by kind */
	uint32_t host_wild;
	uint32_t path_kind; /* 3 exact, 2 prefix, 1 regular expression */
	uint32_t path_length;
	uint32_t method;
	uint32_t headers;
	uint32_t queries;
};

static int rank_compare(const struct rank *a, const struct rank *b)
{
	const uint32_t *x = (const uint32_t *)a, *y = (const uint32_t *)b;

	for (size_t i = 0; i < sizeof(*a) / sizeof(*x); i++) {
		if (x[i] != y[i])
			return x[i] > y[i] ? 1 : -1;
	}
	return 0;
}

/* ---- hostnames ---- */

static bool host_is_wild(const char *pattern)
{
	return pattern[0] == '*' && pattern[1] == '.';
}

/* "*.example.com" matches one or more labels before ".example.com". */
static bool host_matches(const char *pattern, const char *host)
{
	size_t suffix, length;

	if (!host_is_wild(pattern))
		return strcmp(pattern, host) == 0;
	suffix = strlen(pattern + 1);
	length = strlen(host);
	return length > suffix && memcmp(host + length - suffix, pattern + 1, suffix) == 0;
}

static void host_rank(const char *pattern, struct rank *rank)
{
	if (host_is_wild(pattern))
		rank->host_wild = (uint32_t)strlen(pattern);
	else
		rank->host_exact = (uint32_t)strlen(pattern);
}

static const struct snapshot_listener *listener_find(const struct snapshot *snapshot,
						     const struct route_request *request,
						     uint32_t *ret_index)
{
	const struct snapshot_listener *found = NULL;
	struct rank best = {0};

	for (size_t i = 0; i < snapshot->listener_count; i++) {
		const struct snapshot_listener *l = &snapshot->listeners[i];
		struct rank rank = {0};

		if (l->port != request->port || memcmp(&l->addr, &request->addr, sizeof(l->addr)))
			continue;
		if (l->hostname) {
			if (!host_matches(l->hostname, request->host))
				continue;
			host_rank(l->hostname, &rank);
		}
		if (found && rank_compare(&rank, &best) <= 0)
			continue;
		found = l;
		best = rank;
		*ret_index = (uint32_t)i;
	}
	return found;
}

static bool route_has_listener(const struct snapshot_route *route, uint32_t listener)
{
	for (size_t i = 0; i < route->listener_count; i++) {
		if (route->listeners[i] == listener)
			return true;
	}
	return false;
}

static bool route_host_rank(const struct snapshot_route *route, const char *host,
			    struct rank *ret_rank)
{
	bool matches = route->hostname_count == 0;

	*ret_rank = (struct rank){0};
	for (size_t i = 0; i < route->hostname_count; i++) {
		struct rank rank = {0};

		if (!host_matches(route->hostnames[i], host))
			continue;
		host_rank(route->hostnames[i], &rank);
		if (!matches || rank_compare(&rank, ret_rank) > 0)
			*ret_rank = rank;
		matches = true;
	}
	return matches;
}

/* ---- values ---- */

static bool regex_matches(const regex_t *regex, struct http_span value)
{
	regmatch_t range = {.rm_so = 0, .rm_eo = (regoff_t)value.length};

	return regex && regexec(regex, value.data, 1, &range, REG_STARTEND) == 0;
}

static bool value_matches(const struct snapshot_pair_match *match, struct http_span value)
{
	if (match->type == MATCH_REGEX)
		return regex_matches(match->regex, value);
	return http_span_equal(value, match->value);
}

static struct http_span span_of(const char *text)
{
	return (struct http_span){text, strlen(text)};
}

static bool starts_with_nocase(struct http_span span, const char *prefix)
{
	size_t length = strlen(prefix);

	return span.length >= length &&
	       http_span_equal_nocase((struct http_span){span.data, length}, prefix);
}

static bool gateway_header_matches(const struct snapshot_pair_match *match,
				   const struct route_request *request, const char *value)
{
	if (request->any_model)
		return true;
	return value && value_matches(match, span_of(value));
}

static bool header_matches(const struct snapshot_pair_match *match,
			   const struct route_request *request)
{
	struct http_span name = span_of(match->name);

	if (http_span_equal_nocase(name, HEADER_MODEL))
		return gateway_header_matches(match, request, request->model);
	if (http_span_equal_nocase(name, HEADER_BASE_MODEL))
		return gateway_header_matches(match, request, request->base_model);
	if (starts_with_nocase(name, HEADER_GATEWAY_PREFIX))
		return false;
	for (size_t i = 0; i < request->head->header_count; i++) {
		const struct http_header *h = &request->head->headers[i];

		if (http_span_equal_nocase(h->name, match->name) && value_matches(match, h->value))
			return true;
	}
	return false;
}

/* One decoded character of a query; false at the end. */
static bool query_next(struct http_span *rest, char *ret_c)
{
	if (!rest->length)
		return false;
	*ret_c = rest->data[0] == '+' ? ' ' : rest->data[0];
	if (rest->data[0] == '%' && rest->length >= 3 && ascii_hex_value(rest->data[1]) >= 0 &&
	    ascii_hex_value(rest->data[2]) >= 0) {
		*ret_c = (char)(ascii_hex_value(rest->data[1]) * 16 +
				ascii_hex_value(rest->data[2]));
		rest->data += 2;
		rest->length -= 2;
	}
	rest->data++;
	rest->length--;
	return true;
}

static bool query_equal(struct http_span encoded, const char *text)
{
	char c;

	while (query_next(&encoded, &c)) {
		if (!*text || *text++ != c)
			return false;
	}
	return !*text;
}

static bool query_value_matches(const struct snapshot_pair_match *match, struct http_span encoded)
{
	char decoded[1024];
	size_t length = 0;

	if (match->type != MATCH_REGEX)
		return query_equal(encoded, match->value);
	while (length < sizeof(decoded) && query_next(&encoded, &decoded[length]))
		length++;
	return !encoded.length && regex_matches(match->regex, (struct http_span){decoded, length});
}

/* The first parameter of that name counts, as the specification says. */
static bool query_matches(const struct snapshot_pair_match *match, struct http_span query)
{
	while (query.length) {
		const char *end = memchr(query.data, '&', query.length);
		size_t length = end ? (size_t)(end - query.data) : query.length;
		const char *equals = memchr(query.data, '=', length);
		struct http_span name = {query.data,
					 equals ? (size_t)(equals - query.data) : length};
		struct http_span value = {query.data + name.length, length - name.length};

		if (equals) {
			value.data++;
			value.length--;
		}
		if (query_equal(name, match->name))
			return query_value_matches(match, value);
		query.data += length + (end != NULL);
		query.length -= length + (end != NULL);
	}
	return false;
}

/* ---- paths ---- */

static size_t prefix_length(const char *prefix)
{
	size_t length = strlen(prefix);

	return length && prefix[length - 1] == '/' ? length - 1 : length;
}

/* By whole elements: /foo matches /foo, /foo/ and /foo/bar, not /foobar. */
static bool path_has_prefix(struct http_span path, const char *prefix)
{
	size_t length = prefix_length(prefix);

	return path.length >= length && memcmp(path.data, prefix, length) == 0 &&
	       (path.length == length || path.data[length] == '/');
}

static bool path_rank(const struct snapshot_match *match, struct http_span path, struct rank *rank)
{
	switch (match->path_type) {
	case MATCH_EXACT:
		rank->path_kind = 3;
		rank->path_length = (uint32_t)strlen(match->path);
		return http_span_equal(path, match->path);
	case MATCH_REGEX:
		rank->path_kind = 1;
		rank->path_length = (uint32_t)strlen(match->path);
		return regex_matches(match->path_regex, path);
	default:
		rank->path_kind = 2;
		rank->path_length = (uint32_t)prefix_length(match->path);
		return path_has_prefix(path, match->path);
	}
}

static bool match_rank(const struct snapshot_match *match, const struct route_request *request,
		       struct rank *rank)
{
	if (match->method && !http_span_equal(request->method, match->method))
		return false;
	if (!path_rank(match, request->path, rank))
		return false;
	for (size_t i = 0; i < match->header_count; i++) {
		if (!header_matches(&match->headers[i], request))
			return false;
	}
	for (size_t i = 0; i < match->query_count; i++) {
		if (!query_matches(&match->queries[i], request->query))
			return false;
	}
	rank->method = match->method != NULL;
	rank->headers = (uint32_t)match->header_count;
	rank->queries = (uint32_t)match->query_count;
	return true;
}

/* ---- the choice ---- */

/* Of two routes that rank the same: the older one (0: unknown, last), then by name. */
static bool route_precedes(const struct snapshot_route *a, const struct snapshot_route *b)
{
	uint64_t born_a = a->created_at ? a->created_at : UINT64_MAX;
	uint64_t born_b = b->created_at ? b->created_at : UINT64_MAX;

	if (born_a != born_b)
		return born_a < born_b;
	return strcmp(a->name, b->name) < 0;
}

static void route_consider(const struct snapshot_route *route, const struct route_request *request,
			   struct rank host, struct rank *best, struct route_choice *choice)
{
	for (size_t r = 0; r < route->rule_count; r++) {
		const struct snapshot_rule *rule = &route->rules[r];

		for (size_t m = 0; m < rule->match_count; m++) {
			struct rank rank = host;
			int order;

			if (!match_rank(&rule->matches[m], request, &rank))
				continue;
			order = choice->route ? rank_compare(&rank, best) : 1;
			if (order < 0 || (order == 0 && (choice->route == route ||
							 !route_precedes(route, choice->route))))
				continue;
			*best = rank;
			choice->route = route;
			choice->rule = rule;
			choice->match = &rule->matches[m];
		}
	}
}

enum route_verdict route_match(const struct snapshot *snapshot, const struct route_request *request,
			       struct route_choice *ret_choice)
{
	struct route_choice choice = {0};
	struct rank best = {0};
	uint32_t listener = 0;

	choice.listener = listener_find(snapshot, request, &listener);
	if (!choice.listener)
		return ROUTE_NO_LISTENER;
	for (size_t i = 0; i < snapshot->route_count; i++) {
		const struct snapshot_route *route = &snapshot->routes[i];
		struct rank host;

		if (route_has_listener(route, listener) &&
		    route_host_rank(route, request->host, &host))
			route_consider(route, request, host, &best, &choice);
	}
	if (!choice.route)
		return ROUTE_NO_ROUTE;
	choice.filters = &choice.rule->filters;
	*ret_choice = choice;
	return ROUTE_OK;
}

size_t route_backend(const struct snapshot_rule *rule, uint64_t random)
{
	uint64_t at;

	if (!rule->weight_sum)
		return SIZE_MAX;
	at = random % rule->weight_sum;
	for (size_t i = 0; i < rule->backend_count; i++) {
		if (at < rule->backends[i].weight)
			return i;
		at -= rule->backends[i].weight;
	}
	return SIZE_MAX;
}

void route_choose_backend(struct route_choice *choice, size_t index)
{
	const struct snapshot_filters *own = choice->rule->backends[index].filters;

	choice->filters = own ? own : &choice->rule->filters;
}

static bool rewrite_matches(const struct snapshot_rewrite *rewrite, const char *model)
{
	for (size_t i = 0; i < rewrite->model_count; i++) {
		if (strcmp(rewrite->models[i], model) == 0)
			return true;
	}
	return !rewrite->model_count;
}

const char *route_served_name(const struct snapshot_pool *pool, const char *model, uint64_t random)
{
	for (size_t i = 0; i < pool->rewrite_count; i++) {
		const struct snapshot_rewrite *rewrite = &pool->rewrites[i];
		const struct snapshot_rewrite_target *target = rewrite->targets;
		uint64_t at = random % rewrite->weight_sum;

		if (!rewrite_matches(rewrite, model))
			continue;
		for (; at >= target->weight; target++)
			at -= target->weight;
		return strcmp(target->model, model) == 0 ? NULL : target->model;
	}
	return NULL;
}

const char *route_base_model(const struct snapshot *snapshot, const char *model)
{
	for (size_t i = 0; i < snapshot->base_model_count; i++) {
		if (strcmp(snapshot->base_models[i].model, model) == 0)
			return snapshot->base_models[i].base;
	}
	return NULL;
}

int32_t route_priority(const struct snapshot *snapshot, const char *pool,
		       struct http_span objective)
{
	for (size_t i = 0; i < snapshot->objective_count; i++) {
		const struct snapshot_objective *o = &snapshot->objectives[i];

		if (strcmp(o->pool, pool) == 0 && http_span_equal(objective, o->name))
			return o->priority;
	}
	return 0;
}

/* ---- targets and hosts ---- */

/* Length of an encoded or plain dot at `data`, 0: none. */
static size_t dot_length(const char *data, size_t length)
{
	if (length >= 1 && data[0] == '.')
		return 1;
	if (length >= 3 && data[0] == '%' && data[1] == '2' && (data[2] == 'e' || data[2] == 'E'))
		return 3;
	return 0;
}

static bool segment_is_dots(const char *data, size_t length)
{
	size_t first = dot_length(data, length), second;

	if (!first)
		return false;
	second = dot_length(data + first, length - first);
	return first + second == length;
}

static bool path_has_dot_segment(struct http_span path)
{
	size_t begin = 1;

	while (begin <= path.length) {
		const char *slash = memchr(path.data + begin, '/', path.length - begin);
		size_t end = slash ? (size_t)(slash - path.data) : path.length;

		if (segment_is_dots(path.data + begin, end - begin))
			return true;
		begin = end + 1;
	}
	return false;
}

const char *route_target_split(struct http_span target, struct http_span *ret_path,
			       struct http_span *ret_query)
{
	const char *mark = memchr(target.data, '?', target.length);
	struct http_span path = {target.data, mark ? (size_t)(mark - target.data) : target.length};

	if (!path.length || path.data[0] != '/')
		return "the request target is not a path";
	for (size_t i = 0; i < target.length; i++) {
		unsigned char c = (unsigned char)target.data[i];

		if (c <= ' ' || c == 0x7f || c == '#')
			return "the request target has a forbidden character";
	}
	if (path_has_dot_segment(path))
		return "the path has a dot segment";
	*ret_path = path;
	*ret_query = (struct http_span){mark ? mark + 1 : target.data + target.length,
					mark ? target.length - path.length - 1 : 0};
	return NULL;
}

bool route_host_normalize(struct http_span host, char ret_host[HOST_MAX])
{
	size_t length = host.length;
	const char *colon = memrchr(host.data, ':', host.length);

	if (colon && !memchr(colon, ']', (size_t)(host.data + host.length - colon)))
		length = (size_t)(colon - host.data);
	if (length && host.data[length - 1] == '.')
		length--;
	if (length >= HOST_MAX)
		return false;
	for (size_t i = 0; i < length; i++)
		ret_host[i] = ascii_lower(host.data[i]);
	ret_host[length] = '\0';
	return true;
}

/* ---- filters that make a path ---- */

/* Replaces the matched prefix: no double slash, never empty. */
static void prefix_replace(const struct snapshot_match *match, const char *replacement,
			   struct http_span path, struct text *text)
{
	size_t matched = prefix_length(match->path);
	size_t kept = prefix_length(replacement);
	size_t before = text->length;

	text_append(text, replacement, kept);
	text_append(text, path.data + matched, path.length - matched);
	if (text->length == before)
		text_puts(text, "/");
}

static void path_change(const struct route_choice *choice, enum rewrite_type type,
			const char *replacement, struct http_span path, struct text *text)
{
	if (type == REWRITE_FULL_PATH)
		text_puts(text, replacement);
	else if (type == REWRITE_PREFIX && choice->match->path_type == MATCH_PREFIX)
		prefix_replace(choice->match, replacement, path, text);
	else
		text_append(text, path.data, path.length);
}

static void query_append(struct http_span query, struct text *text)
{
	if (!query.length)
		return;
	text_puts(text, "?");
	text_append(text, query.data, query.length);
}

void route_path_rewrite(const struct route_choice *choice, struct http_span path,
			struct http_span query, struct text *text)
{
	const struct snapshot_filters *f = choice->filters;

	path_change(choice, f->rewrite_type, f->rewrite_path, path, text);
	query_append(query, text);
}

void route_redirect_location(const struct route_choice *choice, const struct route_request *request,
			     struct text *text)
{
	const struct snapshot_filters *f = choice->filters;
	const char *scheme = f->redirect_scheme ? f->redirect_scheme : "http";
	uint16_t usual = strcmp(scheme, "https") == 0 ? 443 : 80;
	uint16_t port = f->redirect_port;

	if (!port)
		port = f->redirect_scheme ? usual : request->port;
	text_printf(text, "%s://%s", scheme, f->redirect_host ? f->redirect_host : request->host);
	if (port != usual)
		text_printf(text, ":%u", port);
	path_change(choice, f->redirect_path_type, f->redirect_path, request->path, text);
	query_append(request->query, text);
}
