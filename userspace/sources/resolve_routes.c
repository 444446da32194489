// SPDX-License-Identifier: BSD-2-Clause
/* Where HTTPRoutes attach: parents, listeners, namespaces, host names.  What is
 * inside a rule is resolve_rules.c.
 *
 * A route is resolved whole before it is dropped for having no listener, so
 * that all that is wrong with it is said at once.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "userspace/base/route.h"
#include "userspace/sources/resolve.h"
#include "userspace/sources/resolve_rules.h"

#define LABEL_NAMESPACE "kubernetes.io/metadata.name"

/* ---- may this route use this listener? ---- */

/* Every namespace carries its name as a label, whether written or not. */
static bool namespace_matches(const struct resolve *resolve, const char *namespace_,
			      const struct labels *selector)
{
	const struct object *object =
		objects_find(resolve->input->config.objects, KIND_NAMESPACE, "", namespace_);

	for (size_t i = 0; i < selector->count; i++) {
		const struct label *wanted = &selector->list[i];
		const char *value = object ? labels_get(&object->labels, wanted->key) : NULL;

		if (!value && strcmp(wanted->key, LABEL_NAMESPACE) == 0)
			value = namespace_;
		if (!value || strcmp(value, wanted->value) != 0)
			return false;
	}
	return true;
}

static bool listener_allows(const struct resolve *resolve, const struct listener_note *note,
			    const struct object *route)
{
	const struct gateway_listener *listener = note->listener;
	bool kind_allowed = listener->kind_count == 0;

	for (size_t i = 0; i < listener->kind_count; i++) {
		if (strcmp(listener->kinds[i].kind, "HTTPRoute") == 0 &&
		    strcmp(listener->kinds[i].group, GROUP_GATEWAY) == 0)
			kind_allowed = true;
	}
	if (!kind_allowed)
		return false;
	if (strcmp(listener->from, "All") == 0)
		return true;
	if (strcmp(listener->from, "Same") == 0)
		return strcmp(note->gateway->namespace_, route->namespace_) == 0;
	if (strcmp(listener->from, "Selector") == 0)
		return !listener->has_expressions &&
		       namespace_matches(resolve, route->namespace_, &listener->selector);
	return false;
}

/* Does "*.example.com" cover "a.b.example.com" or "*.b.example.com"? */
static bool wildcard_covers(const char *wildcard, const char *name)
{
	const char *suffix = wildcard + 1; /* ".example.com" */
	size_t suffix_length = strlen(suffix), length = strlen(name);

	return strncmp(wildcard, "*.", 2) == 0 && length > suffix_length &&
	       strcmp(name + length - suffix_length, suffix) == 0;
}

static bool hostnames_meet(const char *a, const char *b)
{
	return strcmp(a, b) == 0 || wildcard_covers(a, b) || wildcard_covers(b, a);
}

static bool hostname_fits(const struct http_route *route, const char *listener_hostname)
{
	if (!listener_hostname || route->hostname_count == 0)
		return true;
	for (size_t i = 0; i < route->hostname_count; i++) {
		if (hostnames_meet(route->hostnames[i], listener_hostname))
			return true;
	}
	return false;
}

/* ---- attaching ---- */

struct attaching {
	struct resolve *resolve;
	const struct object *route;
	uint32_t *listeners; /* room for all */
	size_t count;
};

static void listeners_attach(struct attaching *attaching, const struct listener_note *note)
{
	const struct desired *desired = attaching->resolve->desired;
	char gateway[600];

	snprintf(gateway, sizeof(gateway), "%s/%s", note->gateway->namespace_, note->gateway->name);
	for (uint32_t i = 0; i < desired->listener_count; i++) {
		bool there = false;

		if (strcmp(desired->listeners[i].gateway, gateway) != 0 ||
		    strcmp(desired->listeners[i].name, note->listener->name) != 0)
			continue;
		for (size_t k = 0; k < attaching->count; k++)
			there |= attaching->listeners[k] == i;
		if (!there)
			attaching->listeners[attaching->count++] = i;
	}
}

/* What became of one parentRef, over the listeners it may mean. */
struct attempt {
	size_t named, allowed, fitting;
};

static void listener_try(struct attaching *attaching, const struct route_parent *parent,
			 const struct listener_note *note, struct attempt *attempt)
{
	if (parent->section && strcmp(parent->section, note->listener->name) != 0)
		return;
	if (parent->port != UNSET && parent->port != note->listener->port)
		return;
	attempt->named++;
	if (!listener_allows(attaching->resolve, note, attaching->route))
		return;
	attempt->allowed++;
	if (!hostname_fits(attaching->route->spec, note->listener->hostname))
		return;
	attempt->fitting++;
	if (note->served_count)
		listeners_attach(attaching, note);
}

static void attempt_say(struct attaching *attaching, const struct route_parent *parent,
			const struct attempt *attempt, const char *path, const char *gateway)
{
	struct resolve *resolve = attaching->resolve;
	const struct object *route = attaching->route;
	char field[80];

	if (attempt->fitting)
		return;
	if (attempt->named == 0) {
		snprintf(field, sizeof(field), "%s.%s", path,
			 parent->section ? "sectionName" : "port");
		resolve_say(
			resolve, LOG_LEVEL_ERROR, route, parent->ref.line, field,
			"Gateway %s has no such listener (%.60s); the route is not attached, name "
			"one of spec.listeners",
			gateway, parent->section ? parent->section : "by port");
	} else if (attempt->allowed == 0) {
		resolve_say(
			resolve, LOG_LEVEL_ERROR, route, parent->ref.line, path,
			"no listener of Gateway %s that it names allows HTTPRoutes of namespace %s; "
			"the route is not attached, change the listener's allowedRoutes or the "
			"namespace's labels",
			gateway, route->namespace_);
	} else {
		resolve_say(
			resolve, LOG_LEVEL_ERROR, route, parent->ref.line, "spec.hostnames",
			"none of them fits the hostname of a listener that %s names on Gateway %s; "
			"the route is not attached, correct either",
			path, gateway);
	}
}

/* Is the parent a Gateway that exists and is served by somebody? */
static bool gateway_check_parent(struct attaching *attaching, const struct route_parent *parent,
				 const char *path, const char *namespace_)
{
	struct resolve *resolve = attaching->resolve;

	if (strcmp(parent->ref.kind, "Gateway") != 0 ||
	    strcmp(parent->ref.group, GROUP_GATEWAY) != 0) {
		resolve_say(resolve, LOG_LEVEL_INFO, attaching->route, parent->ref.line, path,
			    "parents of kind %.60s are not handled; this one is skipped",
			    parent->ref.kind);
		return false;
	}
	if (objects_find(resolve->input->config.objects, KIND_GATEWAY, namespace_,
			 parent->ref.name))
		return true;
	resolve_say(
		resolve, LOG_LEVEL_ERROR, attaching->route, parent->ref.line, path,
		"there is no Gateway %s/%s; the route is not attached, correct name or namespace",
		namespace_, parent->ref.name);
	return false;
}

static void parent_attach(struct attaching *attaching, const struct route_parent *parent,
			  size_t index)
{
	const struct resolve *resolve = attaching->resolve;
	const char *namespace_ = parent->ref.namespace_ ? parent->ref.namespace_
							: attaching->route->namespace_;
	struct attempt attempt = {0};
	char path[48], gateway[600];
	bool class_known = false;

	snprintf(path, sizeof(path), "spec.parentRefs[%zu]", index);
	snprintf(gateway, sizeof(gateway), "%s/%s", namespace_, parent->ref.name);
	if (!gateway_check_parent(attaching, parent, path, namespace_))
		return;
	for (size_t i = 0; i < resolve->listener_note_count; i++) {
		const struct listener_note *note = &resolve->listener_notes[i];

		if (strcmp(note->gateway->namespace_, namespace_) != 0 ||
		    strcmp(note->gateway->name, parent->ref.name) != 0)
			continue;
		class_known = true;
		listener_try(attaching, parent, note, &attempt);
	}
	/* a Gateway without its class was complained about already */
	if (class_known)
		attempt_say(attaching, parent, &attempt, path, gateway);
}

static int index_compare(const void *a, const void *b)
{
	const uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

static int route_attach(struct resolve *resolve, const struct object *object,
			struct snapshot_route *route)
{
	const struct http_route *spec = object->spec;
	struct attaching attaching = {.resolve = resolve, .route = object};

	attaching.listeners = arena_alloc(resolve->arena, resolve->desired->listener_count,
					  sizeof(*attaching.listeners));
	if (!attaching.listeners)
		return -ENOMEM;
	if (spec->parent_count == 0)
		resolve_say(resolve, LOG_LEVEL_WARNING, object, 0, "spec.parentRefs",
			    "none given, so the route is not attached; name a Gateway");
	for (size_t i = 0; i < spec->parent_count; i++)
		parent_attach(&attaching, &spec->parents[i], i);
	if (attaching.count)
		qsort(attaching.listeners, attaching.count, sizeof(*attaching.listeners),
		      index_compare);
	route->listeners = attaching.listeners;
	route->listener_count = attaching.count;
	return 0;
}

/* ---- routes ---- */

static int hostnames_copy(struct resolve *resolve, const struct http_route *spec,
			  struct snapshot_route *route)
{
	route->hostnames =
		arena_alloc(resolve->arena, spec->hostname_count, sizeof(*route->hostnames));
	if (!route->hostnames)
		return -ENOMEM;
	for (size_t i = 0; i < spec->hostname_count; i++) {
		route->hostnames[i] = arena_string(resolve->arena, spec->hostnames[i]);
		if (!route->hostnames[i])
			return -ENOMEM;
	}
	route->hostname_count = spec->hostname_count;
	return 0;
}

static int rules_resolve(struct resolve *resolve, const struct object *object,
			 struct snapshot_route *route)
{
	const struct http_route *spec = object->spec;
	int err = 0;

	route->rules = arena_alloc(resolve->arena, spec->rule_count, sizeof(*route->rules));
	if (!route->rules)
		return -ENOMEM;
	for (size_t i = 0; i < spec->rule_count && !err; i++) {
		bool dropped = false;

		err = rule_resolve(resolve, object, i, &route->rules[route->rule_count], &dropped);
		if (!err && !dropped)
			route->rule_count++;
	}
	return err;
}

static int route_resolve(struct resolve *resolve, const struct object *object)
{
	struct desired *desired = resolve->desired;
	struct snapshot_route *route = &desired->routes[desired->route_count];
	int err;

	*route = (struct snapshot_route){.created_at = object->created_at};
	route->name = arena_format(resolve->arena, "%s/%s", object->namespace_, object->name);
	if (!route->name)
		return -ENOMEM;
	err = rules_resolve(resolve, object, route);
	if (!err)
		err = route_attach(resolve, object, route);
	if (!err)
		err = hostnames_copy(resolve, object->spec, route);
	if (!err && route->listener_count && route->rule_count)
		desired->route_count++;
	return err;
}

int resolve_routes(struct resolve *resolve)
{
	struct desired *desired = resolve->desired;
	size_t count;
	struct object **list =
		objects_range(resolve->input->config.objects, KIND_HTTP_ROUTE, &count);
	int err = 0;

	if (count > ROUTES_MAX) {
		message_add(
			&desired->messages, resolve->arena, LOG_LEVEL_ERROR,
			"routes: there are %zu HTTPRoutes and %d fit; the last ones by name are "
			"left out, split the gateway",
			count, ROUTES_MAX);
		count = ROUTES_MAX;
	}
	/* one more: a dropped route is built in the place of the next */
	desired->routes = arena_alloc(resolve->arena, count + 1, sizeof(*desired->routes));
	if (!desired->routes)
		return -ENOMEM;
	for (size_t i = 0; i < count && !err; i++)
		err = route_resolve(resolve, list[i]);
	return err;
}
