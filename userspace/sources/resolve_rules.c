// SPDX-License-Identifier: BSD-2-Clause
/* Matches, filters, timeouts and backends of a rule.
 *
 * The Gateway API's line is kept where something cannot be done: a match that
 * cannot be made drops the rule; a filter that must not be skipped, or a backend
 * that cannot be found or may not be used, answers 500 for its share.  A
 * mirror whose backend is like that is left out and said so.
 */
#include "userspace/sources/resolve_rules.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "userspace/base/pattern.h"
#include "userspace/sources/resolve_filters.h"

struct rule {
	struct resolve *resolve;
	const struct object *route;
	const struct http_rule *spec;
	size_t index;
	struct snapshot_rule *out;
	bool refused; /* answers 500 */
	/* the filters at hand: the rule's, or those of one backend */
	const struct http_filter *filters;
	size_t filter_count;
	const char *owner; /* "" or "backendRefs[0]." */
	struct snapshot_filters *taken;
};

static bool is_of_backend(const struct rule *rule)
{
	return *rule->owner;
}

/* A message about a field of the rule: "spec.rules[2].PATH". */
static void rule_say(const struct rule *rule, enum log_level level, uint32_t line, const char *path,
		     const char *format, ...) __attribute__((format(printf, 5, 6)));

static void rule_say(const struct rule *rule, enum log_level level, uint32_t line, const char *path,
		     const char *format, ...)
{
	char full[128], text[448];
	va_list args;

	snprintf(full, sizeof(full), "spec.rules[%zu].%s", rule->index, path);
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	resolve_say(rule->resolve, level, rule->route, line ? line : rule->spec->line, full, "%s",
		    text);
}

static struct arena *rule_arena(const struct rule *rule)
{
	return rule->resolve->arena;
}

/* NULL stays NULL; otherwise -ENOMEM when the copy fails. */
static int string_copy(const struct rule *rule, const char *text, const char **ret_copy)
{
	*ret_copy = text ? arena_string(rule_arena(rule), text) : NULL;
	return text && !*ret_copy ? -ENOMEM : 0;
}

/* ---- matches ---- */

/* -EINVAL: said so, the rule must go. */
static int pattern_check(const struct rule *rule, uint32_t line, const char *path,
			 const char *pattern)
{
	char why[PATTERN_WHY_MAX];
	regex_t regex;
	int err = pattern_compile(pattern, &regex, why);

	if (!err)
		regfree(&regex);
	if (err == -EINVAL)
		rule_say(
			rule, LOG_LEVEL_ERROR, line, path,
			"\"%.80s\" cannot be used as a regular expression: %s; the rule is left out, "
			"write it in POSIX extended syntax",
			pattern, why);
	return err;
}

static int pair_copy(const struct rule *rule, const struct http_pair_match *from, bool header,
		     size_t match, size_t index, struct snapshot_pair_match *to)
{
	char *name = arena_string(rule_arena(rule), from->name);
	char path[80];

	if (!name || string_copy(rule, from->value, &to->value))
		return -ENOMEM;
	for (char *p = name; header && *p; p++)
		*p = (char)tolower((unsigned char)*p);
	to->name = name;
	to->type = strcmp(from->type, "Exact") == 0 ? MATCH_EXACT : MATCH_REGEX;
	if (to->type == MATCH_EXACT)
		return 0;
	snprintf(path, sizeof(path), "matches[%zu].%s[%zu].value", match,
		 header ? "headers" : "queryParams", index);
	return pattern_check(rule, from->line, path, from->value);
}

/* The API lets only the first of several entries with one name count; names of headers
 * are the same in any case. */
static bool pair_is_repeated(const struct http_pair_match *pairs, size_t index, bool header)
{
	for (size_t i = 0; i < index; i++) {
		if (header ? strcasecmp(pairs[i].name, pairs[index].name) == 0
			   : strcmp(pairs[i].name, pairs[index].name) == 0)
			return true;
	}
	return false;
}

static int pairs_copy(const struct rule *rule, const struct http_pair_match *from, size_t count,
		      bool header, size_t match, struct snapshot_pair_match **ret_pairs,
		      size_t *ret_count)
{
	struct snapshot_pair_match *pairs = arena_alloc(rule_arena(rule), count, sizeof(*pairs));
	const char *list = header ? "headers" : "queryParams";
	size_t kept = 0;
	int err = pairs ? 0 : -ENOMEM;

	for (size_t i = 0; i < count && !err; i++) {
		if (!pair_is_repeated(from, i, header))
			err = pair_copy(rule, &from[i], header, match, i, &pairs[kept++]);
		else
			rule_say(rule, LOG_LEVEL_WARNING, from[i].line,
				 FIELD("matches[%zu].%s[%zu].name", match, list, i),
				 "%.60s is there before; only its first entry counts, take this "
				 "one out",
				 from[i].name);
	}
	*ret_pairs = pairs;
	*ret_count = kept;
	return err;
}

static int path_copy(const struct rule *rule, const struct http_match *from, size_t index,
		     struct snapshot_match *to)
{
	char *path = arena_string(rule_arena(rule), from->path);
	char where[64];
	size_t length;

	if (!path)
		return -ENOMEM;
	to->path = path;
	to->path_type = MATCH_EXACT;
	if (strcmp(from->path_type, "RegularExpression") == 0) {
		to->path_type = MATCH_REGEX;
		snprintf(where, sizeof(where), "matches[%zu].path.value", index);
		return pattern_check(rule, from->line, where, path);
	}
	if (strcmp(from->path_type, "PathPrefix") == 0) {
		to->path_type = MATCH_PREFIX;
		/* "/v1/" and "/v1" are the same prefix: elements count */
		for (length = strlen(path); length > 1 && path[length - 1] == '/'; length--)
			path[length - 1] = '\0';
	}
	return 0;
}

static int match_copy(const struct rule *rule, const struct http_match *from, size_t index,
		      struct snapshot_match *to)
{
	int err = path_copy(rule, from, index, to);

	if (!err)
		err = string_copy(rule, from->method, &to->method);
	if (!err)
		err = pairs_copy(rule, from->headers, from->header_count, true, index, &to->headers,
				 &to->header_count);
	if (!err)
		err = pairs_copy(rule, from->queries, from->query_count, false, index, &to->queries,
				 &to->query_count);
	return err;
}

static int matches_copy(const struct rule *rule)
{
	const struct http_rule *spec = rule->spec;
	const size_t count = spec->match_count ? spec->match_count : 1;
	struct snapshot_match *matches = arena_alloc(rule_arena(rule), count, sizeof(*matches));
	int err = matches ? 0 : -ENOMEM;

	if (matches && spec->match_count == 0) {
		/* the API's default: everything */
		matches[0].path_type = MATCH_PREFIX;
		err = string_copy(rule, "/", &matches[0].path);
	}
	for (size_t i = 0; i < spec->match_count && !err; i++)
		err = match_copy(rule, &spec->matches[i], i, &matches[i]);
	rule->out->matches = matches;
	rule->out->match_count = count;
	return err;
}

/* ---- pools ---- */

/* ReferenceGrants live in the namespace that is pointed into. */
static bool reference_granted(const struct rule *rule, const struct reference *ref,
			      const char *namespace_)
{
	size_t count;
	struct object **grants =
		objects_range(rule->resolve->input->config.objects, KIND_REFERENCE_GRANT, &count);

	for (size_t i = 0; i < count; i++) {
		const struct reference_grant *grant = grants[i]->spec;
		bool from = false, to = false;

		if (strcmp(grants[i]->namespace_, namespace_) != 0)
			continue;
		for (size_t k = 0; k < grant->from_count; k++)
			from |= strcmp(grant->from[k].group, GROUP_GATEWAY) == 0 &&
				strcmp(grant->from[k].kind, "HTTPRoute") == 0 &&
				grant->from[k].namespace_ &&
				strcmp(grant->from[k].namespace_, rule->route->namespace_) == 0;
		for (size_t k = 0; k < grant->to_count; k++)
			to |= strcmp(grant->to[k].group, ref->group) == 0 &&
			      strcmp(grant->to[k].kind, ref->kind) == 0 &&
			      (!grant->to[k].name || strcmp(grant->to[k].name, ref->name) == 0);
		if (from && to)
			return true;
	}
	return false;
}

/* What to do about a pool that is not there. */
static const char *missing_hint(const struct rule *rule, enum pool_class class,
				const char *namespace_, const char *name)
{
	if (class == POOL_LOCAL &&
	    resolve_pool_find(rule->resolve, POOL_IMPORT, namespace_, name, UNSET) != POOL_NONE)
		return "target clusters export one: name kind InferencePoolImport";
	if (class == POOL_IMPORT)
		return "correct the name, or export the InferencePool in a target cluster";
	return "correct the name, or add it to the config cluster";
}

/* The pool that a rule names, or POOL_NONE; `lost` is what becomes of it then. */
static uint32_t reference_pool(const struct rule *rule, const struct reference *ref, int64_t port,
			       const char *path, const char *lost)
{
	const char *namespace_ = ref->namespace_ ? ref->namespace_ : rule->route->namespace_;
	enum pool_class class;
	uint32_t pool;

	if (!reference_class(ref, &class)) {
		rule_say(rule, LOG_LEVEL_ERROR, ref->line, path,
			 "kind %.60s of group \"%.60s\" is not known as a backend; %s, use "
			 "InferencePoolImport, GCPInferencePoolImport, InferencePool or Service",
			 ref->kind, ref->group, lost);
		return POOL_NONE;
	}
	if (strcmp(namespace_, rule->route->namespace_) != 0 &&
	    !reference_granted(rule, ref, namespace_)) {
		rule_say(rule, LOG_LEVEL_ERROR, ref->line, path,
			 "no ReferenceGrant in namespace %s lets HTTPRoutes of %s use %s %s; %s, "
			 "add the grant",
			 namespace_, rule->route->namespace_, ref->kind, ref->name, lost);
		return POOL_NONE;
	}
	if (class == POOL_SERVICE && port == UNSET) {
		rule_say(rule, LOG_LEVEL_ERROR, ref->line, path,
			 "a Service needs a port; %s, add port", lost);
		return POOL_NONE;
	}
	pool = resolve_pool_find(rule->resolve, class, namespace_, ref->name, port);
	if (pool == POOL_NONE)
		rule_say(rule, LOG_LEVEL_ERROR, ref->line, path, "there is no %s %s/%s; %s, %s",
			 ref->kind, namespace_, ref->name, lost,
			 missing_hint(rule, class, namespace_, ref->name));
	return pool;
}

/* ---- filters ---- */

static int edits_copy(const struct rule *rule, const struct header_edit *from, size_t count,
		      struct snapshot_pair **ret_pairs, size_t *ret_count)
{
	struct snapshot_pair *pairs = arena_alloc(rule_arena(rule), count, sizeof(*pairs));
	int err = pairs ? 0 : -ENOMEM;

	for (size_t i = 0; i < count && !err; i++) {
		err = string_copy(rule, from[i].name, &pairs[i].name);
		if (!err)
			err = string_copy(rule, from[i].value, &pairs[i].value);
	}
	*ret_pairs = pairs;
	*ret_count = count;
	return err;
}

static int strings_copy(const struct rule *rule, const char **from, size_t count,
			const char ***ret_names, size_t *ret_count)
{
	const char **names = arena_alloc(rule_arena(rule), count, sizeof(*names));
	int err = names ? 0 : -ENOMEM;

	for (size_t i = 0; i < count && !err; i++)
		err = string_copy(rule, from[i], &names[i]);
	*ret_names = names;
	*ret_count = count;
	return err;
}

static int request_headers_take(struct rule *rule, const struct http_filter *filter)
{
	const struct http_modifier *from = &filter->request;
	struct snapshot_filters *to = rule->taken;
	int err = edits_copy(rule, from->set, from->set_count, &to->request_set,
			     &to->request_set_count);

	if (!err)
		err = edits_copy(rule, from->add, from->add_count, &to->request_add,
				 &to->request_add_count);
	if (!err)
		err = strings_copy(rule, from->remove, from->remove_count, &to->request_remove,
				   &to->request_remove_count);
	return err;
}

static int response_headers_take(struct rule *rule, const struct http_filter *filter)
{
	const struct http_modifier *from = &filter->response;
	struct snapshot_filters *to = rule->taken;
	int err = edits_copy(rule, from->set, from->set_count, &to->response_set,
			     &to->response_set_count);

	if (!err)
		err = edits_copy(rule, from->add, from->add_count, &to->response_add,
				 &to->response_add_count);
	if (!err)
		err = strings_copy(rule, from->remove, from->remove_count, &to->response_remove,
				   &to->response_remove_count);
	return err;
}

/* An empty replacement of a prefix is the root: the rest keeps its slash. */
static int path_edit_take(const struct rule *rule, const struct http_path_edit *from,
			  enum rewrite_type *ret_type, const char **ret_path)
{
	const char *path = from->full;

	if (!from->type)
		return 0;
	*ret_type = REWRITE_FULL_PATH;
	if (strcmp(from->type, "ReplacePrefixMatch") == 0) {
		*ret_type = REWRITE_PREFIX;
		path = *from->prefix ? from->prefix : "/";
	}
	return string_copy(rule, path, ret_path);
}

static int rewrite_take(struct rule *rule, const struct http_filter *filter)
{
	struct snapshot_filters *to = rule->taken;
	int err = path_edit_take(rule, &filter->rewrite_path, &to->rewrite_type, &to->rewrite_path);

	return err ? err : string_copy(rule, filter->rewrite_host, &to->rewrite_host);
}

static int redirect_take(struct rule *rule, const struct http_filter *filter)
{
	struct snapshot_filters *to = rule->taken;
	int err = path_edit_take(rule, &filter->redirect_path, &to->redirect_path_type,
				 &to->redirect_path);

	to->redirect_status = (int)filter->redirect_status;
	if (filter->redirect_port != UNSET)
		to->redirect_port = (uint16_t)filter->redirect_port;
	if (!err)
		err = string_copy(rule, filter->redirect_scheme, &to->redirect_scheme);
	return err ? err : string_copy(rule, filter->redirect_host, &to->redirect_host);
}

/* One whose backend cannot be used is left out: nobody waits for its answer. */
static int mirror_take(struct rule *rule, const struct http_filter *filter)
{
	struct snapshot_filters *to = rule->taken;
	const struct reference *ref = &filter->mirror;
	const size_t index = (size_t)(filter - rule->filters);
	struct snapshot_mirror mirror = {.numerator = 1, .denominator = 1};

	mirror.pool = reference_pool(rule, ref, filter->mirror_port,
				     FIELD("filters[%zu].requestMirror.backendRef", index),
				     "no request is mirrored to it");
	if (mirror.pool == POOL_NONE)
		return 0;
	if (filter->mirror_percent != UNSET) {
		mirror.numerator = (uint32_t)filter->mirror_percent;
		mirror.denominator = 100;
	} else if (filter->has_mirror_fraction) {
		mirror.numerator = (uint32_t)filter->mirror_numerator;
		mirror.denominator = (uint32_t)filter->mirror_denominator;
	}
	mirror.name = arena_format(rule_arena(rule), "%s/%s",
				   ref->namespace_ ? ref->namespace_ : rule->route->namespace_,
				   ref->name);
	if (!to->mirrors)
		to->mirrors =
			arena_alloc(rule_arena(rule), rule->filter_count, sizeof(*to->mirrors));
	if (!mirror.name || !to->mirrors)
		return -ENOMEM;
	to->mirrors[to->mirror_count++] = mirror;
	return 0;
}

/* Lower case, without the port that the scheme has anyway: so browsers say it. */
static int origin_copy(const struct rule *rule, const char *from, const char **ret_origin)
{
	char *origin = arena_string(rule_arena(rule), from);
	char *port = origin ? strrchr(origin, ':') : NULL;

	if (!origin)
		return -ENOMEM;
	for (char *p = origin; *p; p++)
		*p = (char)tolower((unsigned char)*p);
	if (port && (strcmp(port, strncmp(origin, "https", 5) == 0 ? ":443" : ":80") == 0))
		*port = '\0';
	*ret_origin = origin;
	return 0;
}

static int cors_take(struct rule *rule, const struct http_filter *filter)
{
	const struct http_cors *from = &filter->cors;
	struct snapshot_cors *to = arena_alloc(rule_arena(rule), 1, sizeof(*to));
	int err;

	if (!to)
		return -ENOMEM;
	to->credentials = from->credentials;
	to->max_age_s = (uint32_t)from->max_age_s;
	err = strings_copy(rule, from->methods, from->method_count, &to->methods,
			   &to->method_count);
	if (!err)
		err = strings_copy(rule, from->headers, from->header_count, &to->headers,
				   &to->header_count);
	if (!err)
		err = strings_copy(rule, from->expose, from->expose_count, &to->expose,
				   &to->expose_count);
	if (!err)
		err = strings_copy(rule, from->origins, from->origin_count, &to->origins,
				   &to->origin_count);
	for (size_t i = 0; i < from->origin_count && !err; i++)
		err = origin_copy(rule, from->origins[i], &to->origins[i]);
	if (!from->origin_count)
		rule_say(rule, LOG_LEVEL_WARNING, filter->line,
			 FIELD("filters[%zu].cors.allowOrigins", (size_t)(filter - rule->filters)),
			 "none given; no page of another origin may use these answers, name some");
	rule->out->cors = to;
	return err;
}

static int filter_refuse(struct rule *rule, const struct http_filter *filter)
{
	rule->refused = true;
	rule_say(rule, LOG_LEVEL_ERROR, filter->line,
		 FIELD("%sfilters[%zu].type", rule->owner, (size_t)(filter - rule->filters)),
		 "%.60s is not supported %s; %s answered 500, %s", filter->type,
		 is_of_backend(rule) ? "on a single backend" : "and must not be skipped",
		 is_of_backend(rule) ? "its share of the requests is" : "requests of this rule are",
		 is_of_backend(rule) ? "move the filter to the rule" : "take the filter out");
	return 0;
}

static int filter_take(struct rule *rule, const struct http_filter *filter)
{
	static const struct {
		const char *type;
		int (*take)(struct rule *rule, const struct http_filter *filter);
		bool of_backend; /* may stand in a backend's filters too */
	} rows[] = {
		{"RequestHeaderModifier", request_headers_take, true},
		{"ResponseHeaderModifier", response_headers_take, true},
		{"URLRewrite", rewrite_take, true},
		{"RequestRedirect", redirect_take, true},
		{"RequestMirror", mirror_take},
		{"CORS", cors_take},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (strcmp(rows[i].type, filter->type) == 0 &&
		    (rows[i].of_backend || !is_of_backend(rule)))
			return rows[i].take(rule, filter);
	}
	return filter_refuse(rule, filter);
}

static int filters_take(struct rule *rule)
{
	int err = 0;

	for (size_t i = 0; i < rule->filter_count && !err; i++)
		err = filter_take(rule, &rule->filters[i]);
	return err;
}

/* A backend's own filters, after the rule's. */
static int backend_filters(const struct rule *rule, const struct http_backend *from,
			   const char *path, struct snapshot_backend *to)
{
	struct snapshot_filters own = {0}, *both;
	struct rule of_backend = *rule;
	char owner[64];
	int err;

	if (!from->filter_count || rule->refused)
		return 0;
	snprintf(owner, sizeof(owner), "%s.", path);
	of_backend.filters = from->filters;
	of_backend.filter_count = from->filter_count;
	of_backend.owner = owner;
	of_backend.taken = &own;
	err = filters_take(&of_backend);
	if (err)
		return err;
	if (of_backend.refused) {
		to->pool = POOL_NONE;
		return 0;
	}
	both = arena_alloc(rule_arena(rule), 1, sizeof(*both));
	to->filters = both;
	return both ? filters_join(rule_arena(rule), &rule->out->filters, &own, both) : -ENOMEM;
}

/* ---- backends ---- */

static int backend_copy(const struct rule *rule, size_t index, struct snapshot_backend *to)
{
	const struct http_backend *from = &rule->spec->backends[index];
	const char *namespace_ = from->ref.namespace_ ? from->ref.namespace_
						      : rule->route->namespace_;
	char path[48];

	snprintf(path, sizeof(path), "backendRefs[%zu]", index);
	to->weight = (uint32_t)from->weight;
	to->pool = POOL_NONE;
	if (!rule->refused)
		to->pool = reference_pool(rule, &from->ref, from->port, path,
					  "its share of the requests is answered 500");
	to->name = arena_format(rule_arena(rule), "%s/%s", namespace_, from->ref.name);
	return to->name ? backend_filters(rule, from, path, to) : -ENOMEM;
}

static int backends_copy(const struct rule *rule)
{
	const size_t count = rule->spec->backend_count;
	struct snapshot_rule *out = rule->out;
	int err;

	out->backends = arena_alloc(rule_arena(rule), count, sizeof(*out->backends));
	err = out->backends ? 0 : -ENOMEM;
	for (size_t i = 0; i < count && !err; i++) {
		err = backend_copy(rule, i, &out->backends[i]);
		out->weight_sum += out->backends[i].weight;
	}
	out->backend_count = count;
	if (rule->refused)
		out->filters.redirect_status = 0;
	if (count == 0 && !rule->refused && !out->filters.redirect_status)
		rule_say(
			rule, LOG_LEVEL_WARNING, 0, "backendRefs",
			"none given and no redirect; requests of this rule are answered 500, add one");
	return err;
}

/* ---- timeouts ---- */

static uint32_t timeout_convert(int64_t ms)
{
	if (ms == UNSET)
		return 0;
	return ms == 0 || ms >= ROUTE_TIMEOUT_OFF ? ROUTE_TIMEOUT_OFF : (uint32_t)ms;
}

/* A rule that says nothing takes the longest of its pools' policies. */
static uint32_t timeout_from_policies(const struct rule *rule)
{
	uint32_t longest = 0;

	for (size_t i = 0; i < rule->out->backend_count; i++) {
		const uint32_t pool = rule->out->backends[i].pool;
		uint32_t timeout = pool == POOL_NONE ? 0
						     : rule->resolve->pool_notes[pool].timeout_ms;

		longest = timeout > longest ? timeout : longest;
	}
	return longest;
}

static void timeouts_take(const struct rule *rule)
{
	const struct http_rule *spec = rule->spec;

	rule->out->request_timeout_ms = timeout_convert(spec->request_timeout_ms);
	rule->out->backend_timeout_ms = timeout_convert(spec->backend_timeout_ms);
	if (spec->request_timeout_ms == UNSET)
		rule->out->request_timeout_ms = timeout_from_policies(rule);
}

/* ---- session persistence ---- */

/* Whole seconds, a part of one counts; 0: no limit. */
static uint32_t seconds_convert(int64_t ms)
{
	if (ms == UNSET)
		return 0;
	return ms > (int64_t)UINT32_MAX * 1000 ? UINT32_MAX : (uint32_t)((ms + 999) / 1000);
}

/* A name that no other rule has, and that says nothing to clients (FNV-1a). */
static const char *persistence_name(const struct rule *rule)
{
	const char *parts[] = {rule->route->namespace_, "/", rule->route->name, "/",
			       rule->spec->name ? rule->spec->name : FIELD("%zu", rule->index)};
	uint64_t hash = 0xcbf29ce484222325ull;

	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
		for (const char *p = parts[i]; *p; p++)
			hash = (hash ^ (unsigned char)*p) * 0x100000001b3ull;
	}
	return arena_format(rule_arena(rule), "sluice-%016llx", (unsigned long long)hash);
}

static int persistence_take(const struct rule *rule)
{
	const struct http_persistence *from = &rule->spec->persistence;
	struct snapshot_persistence *to;
	int err = 0;

	if (!rule->spec->has_persistence)
		return 0;
	to = arena_alloc(rule_arena(rule), 1, sizeof(*to));
	if (!to)
		return -ENOMEM;
	if (from->name)
		err = string_copy(rule, from->name, &to->name);
	else
		to->name = persistence_name(rule);
	to->type = strcmp(from->type, "Header") == 0 ? PERSIST_HEADER : PERSIST_COOKIE;
	to->absolute_s = seconds_convert(from->absolute_ms);
	to->idle_s = seconds_convert(from->idle_ms);
	if (to->type == PERSIST_COOKIE)
		to->lifetime = strcmp(from->lifetime, "Permanent") == 0 ? PERSIST_PERMANENT
									: PERSIST_SESSION;
	rule->out->persistence = to;
	return err || !to->name ? -ENOMEM : 0;
}

/* ---- retries ---- */

static uint32_t attempts_limit(const struct rule *rule)
{
	const int64_t wanted = rule->spec->retry.attempts;

	if (wanted <= ROUTE_RETRIES_MAX)
		return (uint32_t)wanted;
	rule_say(rule, LOG_LEVEL_WARNING, 0, "retry.attempts",
		 "%lld is more than this version makes; %d are made after the first attempt",
		 (long long)wanted, ROUTE_RETRIES_MAX);
	return ROUTE_RETRIES_MAX;
}

static int retry_take(const struct rule *rule)
{
	const struct http_retry *from = &rule->spec->retry;
	struct snapshot_retry *to;

	if (!from->code_count && !from->attempts && from->backoff_ms <= 0)
		return 0;
	to = arena_alloc(rule_arena(rule), 1, sizeof(*to));
	if (!to)
		return -ENOMEM;
	to->codes = arena_alloc(rule_arena(rule), from->code_count, sizeof(*to->codes));
	if (!to->codes)
		return -ENOMEM;
	for (size_t i = 0; i < from->code_count; i++)
		to->codes[i] = (uint32_t)from->codes[i];
	to->code_count = from->code_count;
	to->attempts = attempts_limit(rule);
	if (from->backoff_ms > 0)
		to->backoff_ms =
			(uint32_t)(from->backoff_ms < UINT32_MAX ? from->backoff_ms : UINT32_MAX);
	rule->out->retry = to;
	return 0;
}

int rule_resolve(struct resolve *resolve, const struct object *route, size_t index,
		 struct snapshot_rule *ret_rule, bool *ret_dropped)
{
	const struct http_route *spec = route->spec;
	struct rule rule = {.resolve = resolve,
			    .route = route,
			    .spec = &spec->rules[index],
			    .index = index,
			    .out = ret_rule,
			    .filters = spec->rules[index].filters,
			    .filter_count = spec->rules[index].filter_count,
			    .owner = "",
			    .taken = &ret_rule->filters};
	int err;

	*ret_rule = (struct snapshot_rule){0};
	*ret_dropped = false;
	err = string_copy(&rule, rule.spec->name, &ret_rule->name);
	if (!err)
		err = matches_copy(&rule);
	if (err == -EINVAL) {
		*ret_dropped = true;
		return 0;
	}
	err = err ? err : filters_take(&rule);
	if (!err)
		err = backends_copy(&rule);
	if (!err)
		timeouts_take(&rule);
	if (!err)
		err = persistence_take(&rule);
	return err ? err : retry_take(&rule);
}
