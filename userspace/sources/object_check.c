// SPDX-License-Identifier: BSD-2-Clause
/* Rules over more than one field: what the API states as CEL, or in words. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "userspace/base/route.h"
#include "userspace/sources/object_table.h"

static bool fault_set(struct object_fault *fault, uint32_t line, const char *why, const char *path,
		      ...) __attribute__((format(printf, 4, 5)));

/* Always false, so that a check can return it. */
static bool fault_set(struct object_fault *fault, uint32_t line, const char *why, const char *path,
		      ...)
{
	va_list args;

	va_start(args, path);
	vsnprintf(fault->path, sizeof(fault->path), path, args);
	va_end(args);
	fault->line = line;
	snprintf(fault->why, sizeof(fault->why), "%s", why);
	return false;
}

bool gateway_check(const struct object *object, struct object_fault *ret_fault)
{
	const struct gateway *gateway = object->spec;

	for (size_t i = 1; i < gateway->listener_count; i++) {
		for (size_t k = 0; k < i; k++) {
			if (strcmp(gateway->listeners[i].name, gateway->listeners[k].name) == 0)
				return fault_set(ret_fault, gateway->listeners[i].line,
						 "another listener of this Gateway has this name",
						 "spec.listeners[%zu].name", i);
		}
	}
	return true;
}

/* ---- HTTPRoute ---- */

struct route_check {
	struct object_fault *fault;
	size_t rule;
	char owner[32]; /* of the filters: "" for the rule, or "backendRefs[0]." */
};

#define rule_fault(check, line, why, path, ...)                                                    \
	fault_set((check)->fault, line, why, "spec.rules[%zu]." path,                              \
		  (check)->rule __VA_OPT__(, ) __VA_ARGS__)

/* The same about filter `i` of the rule or of one of its backends. */
#define filter_fault(check, line, why, i, path, ...)                                               \
	rule_fault(check, line, why, "%sfilters[%zu]" path, (check)->owner,                        \
		   i __VA_OPT__(, ) __VA_ARGS__)

static bool match_check(struct route_check *check, const struct http_match *match, size_t i)
{
	const char *why = NULL;

	if (strcmp(match->path_type, "RegularExpression") != 0)
		why = text_check_path(match->path);
	if (why)
		return rule_fault(check, match->line, why, "matches[%zu].path.value", i);
	return true;
}

static bool path_edit_check(struct route_check *check, const struct http_path_edit *edit,
			    uint32_t line, const char *member, size_t i)
{
	if (!edit->type)
		return true;
	if (strcmp(edit->type, "ReplaceFullPath") == 0) {
		if (!edit->full)
			return filter_fault(check, line, "missing", i, ".%s.replaceFullPath",
					    member);
		return true;
	}
	if (!edit->prefix)
		return filter_fault(check, line, "missing", i, ".%s.replacePrefixMatch", member);
	if (*edit->prefix && text_check_path(edit->prefix))
		return filter_fault(check, line, text_check_path(edit->prefix), i,
				    ".%s.replacePrefixMatch", member);
	return true;
}

static bool status_is_redirect(int64_t status)
{
	return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

static bool mirror_check(struct route_check *check, const struct http_filter *filter, size_t i)
{
	if (strcmp(filter->type, "RequestMirror") != 0)
		return true;
	if (!filter->mirror.name)
		return filter_fault(check, filter->line, "missing", i, ".requestMirror.backendRef");
	if (filter->has_mirror_fraction && filter->mirror_percent != UNSET)
		return filter_fault(check, filter->line,
				    "only one of percent and fraction may be given", i,
				    ".requestMirror.percent");
	if (!filter->has_mirror_fraction)
		return true;
	if (filter->mirror_numerator == UNSET)
		return filter_fault(check, filter->line, "missing", i,
				    ".requestMirror.fraction.numerator");
	if (filter->mirror_numerator > filter->mirror_denominator)
		return filter_fault(check, filter->line, "larger than the denominator", i,
				    ".requestMirror.fraction.numerator");
	return true;
}

static bool stands_alone(const char *const *list, size_t count)
{
	for (size_t i = 0; count > 1 && i < count; i++) {
		if (strcmp(list[i], "*") == 0)
			return false;
	}
	return true;
}

static bool cors_check(struct route_check *check, const struct http_filter *filter, size_t i)
{
	const struct http_cors *cors = &filter->cors;
	const struct {
		const char *const *list;
		size_t count;
		const char *member;
	} lists[] = {
		{cors->origins, cors->origin_count, "allowOrigins"},
		{cors->methods, cors->method_count, "allowMethods"},
		{cors->headers, cors->header_count, "allowHeaders"},
		{cors->expose, cors->expose_count, "exposeHeaders"},
	};

	if (strcmp(filter->type, "CORS") == 0 && !filter->has_cors)
		return filter_fault(check, filter->line, "missing", i, ".cors");
	for (size_t k = 0; k < sizeof(lists) / sizeof(lists[0]); k++) {
		if (!stands_alone(lists[k].list, lists[k].count))
			return filter_fault(check, filter->line,
					    "\"*\" means all, so it stands alone", i, ".cors.%s",
					    lists[k].member);
	}
	return true;
}

static bool filter_check(struct route_check *check, const struct http_filter *filter, size_t i)
{
	if (!status_is_redirect(filter->redirect_status))
		return filter_fault(check, filter->line, "not one of 301, 302, 303, 307, 308", i,
				    ".requestRedirect.statusCode");
	return mirror_check(check, filter, i) && cors_check(check, filter, i) &&
	       path_edit_check(check, &filter->redirect_path, filter->line, "requestRedirect.path",
			       i) &&
	       path_edit_check(check, &filter->rewrite_path, filter->line, "urlRewrite.path", i);
}

static bool uses_prefix(const struct http_filter *filter)
{
	const char *rewrite = filter->rewrite_path.type, *redirect = filter->redirect_path.type;

	return (rewrite && strcmp(rewrite, "ReplacePrefixMatch") == 0) ||
	       (redirect && strcmp(redirect, "ReplacePrefixMatch") == 0);
}

/* A prefix can only be replaced where one was matched. */
static bool prefix_check(struct route_check *check, const struct http_rule *rule,
			 const struct http_filter *filter)
{
	if (!uses_prefix(filter))
		return true;
	for (size_t k = 0; k < rule->match_count; k++) {
		if (strcmp(rule->matches[k].path_type, "PathPrefix") != 0)
			return rule_fault(
				check, rule->matches[k].line,
				"filters of this rule use ReplacePrefixMatch, so it must be PathPrefix",
				"matches[%zu].path.type", k);
	}
	return true;
}

static bool has_type(const struct http_rule *rule, const char *type)
{
	for (size_t i = 0; i < rule->filter_count; i++) {
		if (strcmp(rule->filters[i].type, type) == 0)
			return true;
	}
	return false;
}

/* Beside a CORS filter nothing else may say what it says. */
static bool cors_only_check(struct route_check *check, const struct http_filter *filter, size_t i)
{
	const struct http_modifier *edits = &filter->response;
	static const char prefix[] = "access-control-";
	bool other = false;

	for (size_t k = 0; k < edits->set_count; k++)
		other |= strncasecmp(edits->set[k].name, prefix, sizeof(prefix) - 1) == 0;
	for (size_t k = 0; k < edits->add_count; k++)
		other |= strncasecmp(edits->add[k].name, prefix, sizeof(prefix) - 1) == 0;
	if (other)
		return filter_fault(check, filter->line,
				    "Access-Control headers are those of the rule's CORS filter", i,
				    ".responseHeaderModifier");
	return true;
}

/* Those of the rule or of one of its backends. */
static bool filters_check(struct route_check *check, const struct http_rule *rule,
			  const struct http_filter *filters, size_t count)
{
	static const char *const once[] = {"RequestHeaderModifier", "ResponseHeaderModifier",
					   "RequestRedirect", "URLRewrite", "CORS"};
	size_t seen[5] = {0};

	for (size_t i = 0; i < count; i++) {
		const struct http_filter *filter = &filters[i];

		if (!filter_check(check, filter, i) || !prefix_check(check, rule, filter) ||
		    (has_type(rule, "CORS") && !cors_only_check(check, filter, i)))
			return false;
		for (size_t k = 0; k < 5; k++) {
			if (strcmp(filter->type, once[k]) == 0 && seen[k]++)
				return filter_fault(check, filter->line,
						    "this type is allowed once", i, ".type");
		}
		if (seen[2] && seen[3])
			return filter_fault(check, filter->line,
					    "RequestRedirect and URLRewrite exclude each other", i,
					    ".type");
	}
	return true;
}

static bool persistence_check(struct route_check *check, const struct http_rule *rule)
{
	const struct http_persistence *persistence = &rule->persistence;
	bool header = strcmp(persistence->type, "Header") == 0;
	const char *why = NULL;

	if (!rule->has_persistence)
		return true;
	if (persistence->name && strlen(persistence->name) > PERSIST_NAME_MAX)
		why = "longer than 128 characters";
	else if (persistence->name && header)
		why = text_check_header_edit(persistence->name);
	if (why)
		return rule_fault(check, rule->line, why, "sessionPersistence.sessionName");
	if (header && persistence->has_cookie_config)
		return rule_fault(check, rule->line, "it goes with type Cookie only",
				  "sessionPersistence.cookieConfig");
	if (strcmp(persistence->lifetime, "Permanent") == 0 &&
	    (persistence->absolute_ms == UNSET || persistence->absolute_ms == 0))
		return rule_fault(check, rule->line, "a Permanent cookie needs it",
				  "sessionPersistence.absoluteTimeout");
	return true;
}

static bool retry_check(struct route_check *check, const struct http_rule *rule)
{
	const struct http_retry *retry = &rule->retry;

	for (size_t i = 0; i < retry->code_count; i++) {
		if (retry->codes[i] < 400 || retry->codes[i] > 599)
			return rule_fault(check, rule->line, "not between 400 and 599",
					  "retry.codes[%zu]", i);
		for (size_t k = 0; k < i; k++) {
			if (retry->codes[k] == retry->codes[i])
				return rule_fault(check, rule->line, "the same code is there twice",
						  "retry.codes[%zu]", i);
		}
	}
	return true;
}

static bool backends_check(struct route_check *check, const struct http_rule *rule)
{
	for (size_t i = 0; i < rule->backend_count; i++) {
		const struct http_backend *backend = &rule->backends[i];

		snprintf(check->owner, sizeof(check->owner), "backendRefs[%hu].",
			 (unsigned short)i);
		if (!filters_check(check, rule, backend->filters, backend->filter_count))
			return false;
	}
	return true;
}

static bool rule_check(struct route_check *check, const struct http_rule *rule)
{
	const int64_t request = rule->request_timeout_ms, backend = rule->backend_timeout_ms;

	for (size_t i = 0; i < rule->match_count; i++) {
		if (!match_check(check, &rule->matches[i], i))
			return false;
	}
	if (request != UNSET && backend != UNSET && request != 0 && backend > request)
		return rule_fault(check, rule->line, "it is longer than timeouts.request",
				  "timeouts.backendRequest");
	check->owner[0] = '\0';
	return persistence_check(check, rule) && retry_check(check, rule) &&
	       filters_check(check, rule, rule->filters, rule->filter_count) &&
	       backends_check(check, rule);
}

bool http_route_check(const struct object *object, struct object_fault *ret_fault)
{
	const struct http_route *route = object->spec;
	struct route_check check = {.fault = ret_fault};

	for (check.rule = 0; check.rule < route->rule_count; check.rule++) {
		if (!rule_check(&check, &route->rules[check.rule]))
			return false;
	}
	return true;
}

/* ---- inference ---- */

bool inference_pool_check(const struct object *object, struct object_fault *ret_fault)
{
	const struct inference_pool *pool = object->spec;

	if (pool->selector.count == 0 || pool->selector.count > 64)
		return fault_set(ret_fault, 0, "1 to 64 labels are needed",
				 "spec.selector.matchLabels");
	for (size_t i = 1; i < pool->port_count; i++) {
		for (size_t k = 0; k < i; k++) {
			if (pool->ports[i].number == pool->ports[k].number)
				return fault_set(ret_fault, pool->ports[i].line,
						 "the same port is there twice",
						 "spec.targetPorts[%zu].number", i);
		}
	}
	return true;
}

/* Weights are given to all targets of a rule or to none. */
bool pool_rewrite_check(const struct object *object, struct object_fault *ret_fault)
{
	const struct pool_rewrite *spec = object->spec;

	for (size_t i = 0; i < spec->rule_count; i++) {
		const struct pool_rewrite_rule *rule = &spec->rules[i];

		for (size_t k = 1; k < rule->target_count; k++) {
			if ((rule->targets[k].weight == UNSET) !=
			    (rule->targets[0].weight == UNSET))
				return fault_set(ret_fault, rule->line,
						 "either all targets of a rule have a weight or "
						 "none has",
						 "spec.rules[%zu].targets[%zu].weight", i, k);
		}
	}
	return true;
}

/* ---- GKE's policies ---- */

bool health_check_policy_check(const struct object *object, struct object_fault *ret_fault)
{
	const struct health_check_policy *policy = object->spec;

	if (policy->timeout_s > policy->interval_s)
		return fault_set(
			ret_fault, 0,
			"it is longer than checkIntervalSec (default 5); make it at most that",
			"spec.default.timeoutSec");
	return true;
}

/* A mode and limits of another one exclude each other. */
static const char *modes_conflict(const char *mode, bool metrics, int64_t rate, int64_t in_flight)
{
	if (!mode)
		return NULL;
	if (metrics && strcmp(mode, "CUSTOM_METRICS") != 0)
		return "customMetrics needs balancingMode CUSTOM_METRICS; take one of the two out";
	if (rate != UNSET && strcmp(mode, "RATE") != 0)
		return "maxRatePerEndpoint needs balancingMode RATE; take one of the two out";
	if (in_flight != UNSET && strcmp(mode, "IN_FLIGHT") != 0)
		return "maxInFlightRequestsPerEndpoint needs balancingMode IN_FLIGHT; take one out";
	return NULL;
}

static const char *field_twice(const struct backend_policy *policy,
			       const struct backend_scope *scope)
{
	if (policy->rate_max != UNSET && scope->rate_max != UNSET)
		return "maxRatePerEndpoint";
	if (policy->in_flight_max != UNSET && scope->in_flight_max != UNSET)
		return "maxInFlightRequestsPerEndpoint";
	if (policy->balancing_mode && scope->balancing_mode)
		return "balancingMode";
	if (policy->preference && scope->preference)
		return "backendPreference";
	return NULL;
}

bool backend_policy_check(const struct object *object, struct object_fault *ret_fault)
{
	const struct backend_policy *policy = object->spec;
	const char *why = modes_conflict(policy->balancing_mode, policy->metric_count > 0,
					 policy->rate_max, policy->in_flight_max);

	if (why)
		return fault_set(ret_fault, 0, why, "spec.default.balancingMode");
	for (size_t i = 0; i < policy->scope_count; i++) {
		const struct backend_scope *scope = &policy->scopes[i];
		const char *twice = field_twice(policy, scope);

		if (twice)
			return fault_set(
				ret_fault, scope->line,
				"it stands in spec.default too; only one of the two is allowed",
				"spec.default.scopes[%zu].%s", i, twice);
		why = modes_conflict(scope->balancing_mode, false, scope->rate_max,
				     scope->in_flight_max);
		if (why)
			return fault_set(ret_fault, scope->line, why,
					 "spec.default.scopes[%zu].balancingMode", i);
	}
	return true;
}
