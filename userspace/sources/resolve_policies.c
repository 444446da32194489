// SPDX-License-Identifier: BSD-2-Clause
/* Policies of the config cluster onto pools: how to probe, how long to wait.
 * Where two policies name one target the older wins, as the Gateway API has it. */
#include <errno.h>
#include <string.h>

#include "userspace/base/route.h"
#include "userspace/sources/resolve.h"

#define HEALTH_PATH_DEFAULT "/health" /* what vLLM, SGLang and most model servers answer */

/* GKE's defaults, but for the path: "/" makes every OpenAI server look dead. */
static void health_default(struct desired_health *health)
{
	*health = (struct desired_health){
		.type = HEALTH_CHECK_HTTP,
		.interval_ms = 5000,
		.timeout_ms = 5000,
		.healthy_threshold = 2,
		.unhealthy_threshold = 2,
		.path = HEALTH_PATH_DEFAULT,
	};
}

/* ---- targets ---- */

/* A Service that no route names is a good target without being a pool. */
static bool target_exists(const struct resolve *resolve, const struct reference *target,
			  const char *namespace_)
{
	enum pool_class class;

	return reference_class(target, &class) && class == POOL_SERVICE &&
	       objects_find(resolve->input->config.objects, KIND_SERVICE, namespace_, target->name);
}

static bool pool_is_target(const struct pool_note *note, enum pool_class class,
			   const char *namespace_, const char *name)
{
	return note->class == class && strcmp(note->namespace_, namespace_) == 0 &&
	       strcmp(note->name, name) == 0;
}

/* True: the policy is in force for the pool; says so when an older one is. */
static bool policy_wins(struct resolve *resolve, const struct object *policy,
			const struct object **slot)
{
	if (*slot) {
		resolve_say(resolve, LOG_LEVEL_ERROR, policy, 0, "spec.targetRef",
			    "%s %s/%s (%s:%u) has this target already and the older one wins; this "
			    "one is not used, remove it or change its target",
			    object_kind_name((*slot)->kind), (*slot)->namespace_, (*slot)->name,
			    (*slot)->file, (*slot)->line);
		return false;
	}
	*slot = policy;
	return true;
}

/* Calls `apply` for every pool (a Service has one a port) that the policy governs. */
static void
policy_place(struct resolve *resolve, const struct object *policy, const struct reference *target,
	     const struct object **(*slot)(struct pool_note *note),
	     void (*apply)(struct resolve *resolve, const struct object *policy, uint32_t pool))
{
	const char *namespace_ = policy->namespace_;
	enum pool_class class;
	size_t found = 0;

	if (target->namespace_ && strcmp(target->namespace_, namespace_) != 0) {
		resolve_say(
			resolve, LOG_LEVEL_ERROR, policy, target->line, "spec.targetRef.namespace",
			"a policy governs its own namespace only; it is not used, move it to %s",
			target->namespace_);
		return;
	}
	if (!reference_class(target, &class)) {
		resolve_say(resolve, LOG_LEVEL_ERROR, policy, target->line, "spec.targetRef.kind",
			    "kind %.60s of group \"%.60s\" is not known; it is not used, name an "
			    "InferencePoolImport, GCPInferencePoolImport, InferencePool or Service",
			    target->kind, target->group);
		return;
	}
	for (uint32_t i = 0; i < resolve->desired->pool_count; i++) {
		struct pool_note *note = &resolve->pool_notes[i];

		if (!pool_is_target(note, class, namespace_, target->name))
			continue;
		found++;
		if (policy_wins(resolve, policy, slot(note)))
			apply(resolve, policy, i);
	}
	if (!found && !target_exists(resolve, target, namespace_))
		resolve_say(resolve, LOG_LEVEL_WARNING, policy, target->line, "spec.targetRef.name",
			    "there is no %s %s/%s; the policy has no effect until there is",
			    target->kind, namespace_, target->name);
}

/* ---- health checks ---- */

static const struct object **health_slot(struct pool_note *note)
{
	return &note->health;
}

/* Says what of a check is not done; false: the whole policy is refused. */
static bool health_check_supported(struct resolve *resolve, const struct object *object,
				   const struct health_check_block *block, const char *type)
{
	if (strcmp(type, "HTTP") != 0 && strcmp(type, "TCP") != 0) {
		resolve_say(resolve, LOG_LEVEL_ERROR, object, 0, "spec.default.config.type",
			    "%s checks are not supported in this version; " HEALTH_PATH_DEFAULT
			    " is probed over HTTP instead, use HTTP or TCP",
			    type);
		return false;
	}
	if (block->port_specification && strcmp(block->port_specification, "USE_NAMED_PORT") == 0)
		resolve_say(resolve, LOG_LEVEL_WARNING, object, 0,
			    "spec.default.config.*.portSpecification",
			    "USE_NAMED_PORT is not supported; the serving port is probed");
	if (block->proxy_header && strcmp(block->proxy_header, "NONE") != 0)
		resolve_say(resolve, LOG_LEVEL_WARNING, object, 0,
			    "spec.default.config.*.proxyHeader",
			    "%.40s is not supported; probes carry no proxy header",
			    block->proxy_header);
	if (block->response && *block->response)
		resolve_say(resolve, LOG_LEVEL_WARNING, object, 0, "spec.default.config.*.response",
			    "bodies are not compared in this version; the status alone counts");
	return true;
}

static uint16_t health_port(const struct health_check_block *block)
{
	const char *how = block->port_specification;

	if (block->port == UNSET || (how && strcmp(how, "USE_FIXED_PORT") != 0))
		return 0;
	return (uint16_t)block->port;
}

static void health_apply(struct resolve *resolve, const struct object *object, uint32_t pool)
{
	const struct health_check_policy *policy = object->spec;
	const char *type = policy->type ? policy->type : "HTTP";
	const bool tcp = strcmp(type, "TCP") == 0;
	const struct health_check_block *block = tcp ? &policy->tcp : &policy->http;
	struct desired_health *health = &resolve->desired->pools[pool].health;

	if (!health_check_supported(resolve, object, block, type))
		return;
	health->type = tcp ? HEALTH_CHECK_TCP : HEALTH_CHECK_HTTP;
	health->interval_ms = (uint32_t)policy->interval_s * 1000;
	health->timeout_ms = (uint32_t)policy->timeout_s * 1000;
	health->healthy_threshold = (uint32_t)policy->healthy;
	health->unhealthy_threshold = (uint32_t)policy->unhealthy;
	health->port = health_port(block);
	if (block->path)
		health->path = block->path;
	health->host = block->host;
}

/* Out of the objects' memory into the result's. */
static int health_copy(struct resolve *resolve, struct desired_health *health)
{
	health->path = arena_string(resolve->arena, health->path);
	if (!health->path)
		return -ENOMEM;
	if (!health->host)
		return 0;
	health->host = arena_string(resolve->arena, health->host);
	return health->host ? 0 : -ENOMEM;
}

/* ---- backend policies ---- */

static const struct object **policy_slot(struct pool_note *note)
{
	return &note->policy;
}

static void backend_apply(struct resolve *resolve, const struct object *object, uint32_t pool)
{
	const struct backend_policy *policy = object->spec;

	if (policy->timeout_s != UNSET) {
		uint64_t timeout_ms = (uint64_t)policy->timeout_s * 1000;

		resolve->pool_notes[pool].timeout_ms =
			timeout_ms < ROUTE_TIMEOUT_OFF ? (uint32_t)timeout_ms : ROUTE_TIMEOUT_OFF;
	}
	if (policy->drain_s != UNSET)
		resolve->desired->pools[pool].drain_timeout_ms = (uint32_t)policy->drain_s * 1000;
	if (policy->balancing_mode || policy->scope_count || policy->metric_count ||
	    policy->rate_max != UNSET || policy->in_flight_max != UNSET || policy->has_affinity)
		resolve_say(
			resolve, LOG_LEVEL_INFO, object, 0, "spec.default",
			"balancing modes, limits, scopes and affinity are not acted upon in this "
			"version; timeoutSec and connectionDraining are");
}

int resolve_policies(struct resolve *resolve)
{
	struct desired *desired = resolve->desired;
	struct object **list = NULL;
	size_t count = 0;
	int err;

	for (size_t i = 0; i < desired->pool_count; i++)
		health_default(&desired->pools[i].health);
	err = resolve_by_age(resolve, KIND_HEALTH_CHECK_POLICY, &list, &count);
	for (size_t i = 0; i < count && !err; i++)
		policy_place(resolve, list[i],
			     &((const struct health_check_policy *)list[i]->spec)->target,
			     health_slot, health_apply);
	if (!err)
		err = resolve_by_age(resolve, KIND_BACKEND_POLICY, &list, &count);
	for (size_t i = 0; i < count && !err; i++)
		policy_place(resolve, list[i],
			     &((const struct backend_policy *)list[i]->spec)->target, policy_slot,
			     backend_apply);
	for (size_t i = 0; i < desired->pool_count && !err; i++)
		err = health_copy(resolve, &desired->pools[i].health);
	return err;
}
