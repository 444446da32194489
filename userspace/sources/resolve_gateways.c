// SPDX-License-Identifier: BSD-2-Clause
/* Gateways become VIPs and listeners: every HTTP listener on every address of
 * type IPAddress.  Listeners that are not served (other protocols, other
 * address types) are noted all the same, because routes are checked against
 * them: who may attach does not depend on what this version can serve.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "maps/layout/contract.h"
#include "userspace/base/address.h"
#include "userspace/base/route.h"
#include "userspace/sources/resolve.h"

struct placing {
	struct resolve *resolve;
	struct vector notes; /* struct listener_note */
	struct vector listeners; /* struct placed_listener */
};

struct placed_listener {
	struct ip_addr addr;
	uint16_t port;
	const struct object *gateway;
	const struct gateway_listener *listener;
};

/* ---- what can be served ---- */

static const struct gateway *gateway_spec(const struct object *object)
{
	return object->spec;
}

/* "spec.listeners[2].MEMBER" */
#define LISTENER_FIELD(object, item, member)                                                       \
	FIELD("spec.listeners[%zu]." member, (size_t)((item)-gateway_spec(object)->listeners))
#define ADDRESS_FIELD(object, item, member)                                                        \
	FIELD("spec.addresses[%zu]." member, (size_t)((item)-gateway_spec(object)->addresses))

static bool class_is_known(struct resolve *resolve, const struct object *gateway)
{
	const struct gateway *spec = gateway->spec;

	/* GKE brings its classes along, so its manifests do not have them */
	if (strncmp(spec->class_name, "gke-l7-", 7) == 0 ||
	    objects_find(resolve->input->config.objects, KIND_GATEWAY_CLASS, "", spec->class_name))
		return true;
	resolve_say(resolve, LOG_LEVEL_ERROR, gateway, 0, "spec.gatewayClassName",
		    "there is no GatewayClass %.80s; the Gateway is not served, add the class",
		    spec->class_name);
	return false;
}

static bool protocol_is_served(struct resolve *resolve, const struct object *gateway,
			       const struct gateway_listener *listener)
{
	if (strcmp(listener->protocol, "HTTP") == 0)
		return true;
	resolve_say(resolve, LOG_LEVEL_INFO, gateway, listener->line,
		    LISTENER_FIELD(gateway, listener, "protocol"),
		    "%.40s is not handled in this version; listener %s is not served",
		    listener->protocol, listener->name);
	return false;
}

static void expressions_check(struct resolve *resolve, const struct object *gateway,
			      const struct gateway_listener *listener)
{
	if (listener->has_expressions)
		resolve_say(resolve, LOG_LEVEL_ERROR, gateway, listener->line,
			    LISTENER_FIELD(gateway, listener,
					   "allowedRoutes.namespaces.selector.matchExpressions"),
			    "not supported; listener %s admits no route until it uses matchLabels",
			    listener->name);
}

static bool address_is_servable(const struct ip_addr *addr)
{
	return address_is_unicast(addr) && !address_is_loopback(addr) &&
	       !address_is_link_local6(addr);
}

static bool address_usable(struct resolve *resolve, const struct object *gateway,
			   const struct gateway_address *address, struct ip_addr *ret_addr)
{
	if (strcmp(address->type, "IPAddress") != 0) {
		resolve_say(resolve, LOG_LEVEL_INFO, gateway, address->line,
			    ADDRESS_FIELD(gateway, address, "type"),
			    "%.100s is not served; give an address of type IPAddress to serve here",
			    address->type);
		return false;
	}
	if (address_parse(address->value, ret_addr) == 0 && address_is_servable(ret_addr))
		return true;
	resolve_say(resolve, LOG_LEVEL_ERROR, gateway, address->line,
		    ADDRESS_FIELD(gateway, address, "value"),
		    "\"%.60s\" is not an IP address that can be served on; nothing is, correct it",
		    address->value);
	return false;
}

/* ---- placing listeners on addresses ---- */

static bool hostname_equal(const char *a, const char *b)
{
	return strcmp(a ? a : "", b ? b : "") == 0;
}

/* An older Gateway, or an earlier listener, that has this place already. */
static const struct placed_listener *place_owner(const struct placing *placing,
						 const struct placed_listener *wanted)
{
	const struct placed_listener *list = placing->listeners.items;

	for (size_t i = 0; i < placing->listeners.count; i++) {
		if (address_equal(&list[i].addr, &wanted->addr) && list[i].port == wanted->port &&
		    hostname_equal(list[i].listener->hostname, wanted->listener->hostname))
			return &list[i];
	}
	return NULL;
}

/* `owner` NULL: there is no room. */
static void place_refuse(struct resolve *resolve, const struct placed_listener *wanted,
			 const struct placed_listener *owner)
{
	const char *field = LISTENER_FIELD(wanted->gateway, wanted->listener, "port");
	char address[ADDRESS_TEXT_MAX];

	address_port_format(&wanted->addr, wanted->port, address);
	if (owner)
		resolve_say(resolve, LOG_LEVEL_ERROR, wanted->gateway, wanted->listener->line,
			    field,
			    "listener %s cannot have %s: listener %s of Gateway %s/%s has it, with "
			    "the same hostname; it is not served there, change one of the two",
			    wanted->listener->name, address, owner->listener->name,
			    owner->gateway->namespace_, owner->gateway->name);
	else
		resolve_say(resolve, LOG_LEVEL_ERROR, wanted->gateway, wanted->listener->line,
			    field,
			    "listener %s cannot have %s: more than %d listeners; it is not served "
			    "there, use fewer",
			    wanted->listener->name, address, ROUTE_LISTENERS_MAX);
}

static int listener_place(struct placing *placing, struct listener_note *note,
			  const struct ip_addr *addr)
{
	const struct placed_listener wanted = {
		.addr = *addr,
		.port = (uint16_t)note->listener->port,
		.gateway = note->gateway,
		.listener = note->listener,
	};
	const struct placed_listener *owner = place_owner(placing, &wanted);
	struct placed_listener *placed;

	if (owner || placing->listeners.count == ROUTE_LISTENERS_MAX) {
		place_refuse(placing->resolve, &wanted, owner);
		return 0;
	}
	placed = vector_add(&placing->listeners);
	if (!placed)
		return -ENOMEM;
	*placed = wanted;
	note->served_count++;
	return 0;
}

static int listener_add(struct placing *placing, const struct object *gateway,
			const struct gateway_listener *listener, const struct ip_addr *addrs,
			size_t addr_count)
{
	struct listener_note *note = vector_add(&placing->notes);
	int err = 0;

	if (!note)
		return -ENOMEM;
	note->gateway = gateway;
	note->listener = listener;
	expressions_check(placing->resolve, gateway, listener);
	if (!protocol_is_served(placing->resolve, gateway, listener))
		return 0;
	for (size_t i = 0; i < addr_count && !err; i++)
		err = listener_place(placing, note, &addrs[i]);
	return err;
}

static int gateway_add(struct placing *placing, const struct object *gateway)
{
	const struct gateway *spec = gateway->spec;
	struct ip_addr addrs[16];
	size_t addr_count = 0;
	int err = 0;

	if (!class_is_known(placing->resolve, gateway))
		return 0;
	for (size_t i = 0; i < spec->address_count && addr_count < 16; i++) {
		if (address_usable(placing->resolve, gateway, &spec->addresses[i],
				   &addrs[addr_count]))
			addr_count++;
	}
	if (addr_count == 0)
		resolve_say(placing->resolve, LOG_LEVEL_WARNING, gateway, 0, "spec.addresses",
			    "no usable address, so none of its listeners is served; add "
			    "{type: IPAddress, value: ADDRESS}");
	for (size_t i = 0; i < spec->listener_count && !err; i++)
		err = listener_add(placing, gateway, &spec->listeners[i], addrs, addr_count);
	return err;
}

/* ---- the result's lists ---- */

static int place_compare(const struct placed_listener *a, const struct placed_listener *b)
{
	int order = memcmp(&a->addr, &b->addr, sizeof(a->addr));

	return order ? order : (int)a->port - (int)b->port;
}

static int vip_compare(const void *a, const void *b)
{
	return place_compare(a, b);
}

static int listener_compare(const void *a, const void *b)
{
	const struct placed_listener *x = a, *y = b;
	int order = object_compare(x->gateway, y->gateway);

	if (!order)
		order = strcmp(x->listener->name, y->listener->name);
	return order ? order : place_compare(x, y);
}

static int note_compare(const void *a, const void *b)
{
	const struct listener_note *x = a, *y = b;
	int order = object_compare(x->gateway, y->gateway);

	return order ? order : (x->listener > y->listener) - (x->listener < y->listener);
}

static int vips_put(struct resolve *resolve, struct placed_listener *list, size_t count)
{
	struct desired *desired = resolve->desired;

	desired->vips = arena_alloc(resolve->arena, count, sizeof(*desired->vips));
	if (!desired->vips)
		return -ENOMEM;
	if (count)
		qsort(list, count, sizeof(*list), vip_compare);
	for (size_t i = 0; i < count; i++) {
		if (i > 0 && place_compare(&list[i - 1], &list[i]) == 0)
			continue;
		desired->vips[desired->vip_count++] =
			(struct desired_vip){.addr = list[i].addr, .port = list[i].port};
	}
	return 0;
}

static uint32_t vip_find(const struct desired *desired, const struct placed_listener *placed)
{
	for (size_t i = 0; i < desired->vip_count; i++) {
		if (address_equal(&desired->vips[i].addr, &placed->addr) &&
		    desired->vips[i].port == placed->port)
			return (uint32_t)i;
	}
	return 0;
}

static int listeners_put(struct resolve *resolve, struct placed_listener *list, size_t count)
{
	struct desired *desired = resolve->desired;

	desired->listeners = arena_alloc(resolve->arena, count, sizeof(*desired->listeners));
	if (!desired->listeners)
		return -ENOMEM;
	if (count)
		qsort(list, count, sizeof(*list), listener_compare);
	for (size_t i = 0; i < count; i++) {
		struct desired_listener *listener = &desired->listeners[i];

		listener->vip = vip_find(desired, &list[i]);
		listener->gateway = arena_format(resolve->arena, "%s/%s",
						 list[i].gateway->namespace_,
						 list[i].gateway->name);
		listener->name = arena_string(resolve->arena, list[i].listener->name);
		if (list[i].listener->hostname)
			listener->hostname =
				arena_string(resolve->arena, list[i].listener->hostname);
		if (!listener->gateway || !listener->name ||
		    (list[i].listener->hostname && !listener->hostname))
			return -ENOMEM;
	}
	desired->listener_count = count;
	return 0;
}

int resolve_gateways(struct resolve *resolve)
{
	struct placing placing = {
		.resolve = resolve,
		.notes = {.item_bytes = sizeof(struct listener_note), .arena = &resolve->scratch},
		.listeners = {.item_bytes = sizeof(struct placed_listener),
			      .arena = &resolve->scratch},
	};
	struct object **gateways = NULL;
	size_t count = 0;
	int err = resolve_by_age(resolve, KIND_GATEWAY, &gateways, &count);

	for (size_t i = 0; i < count && !err; i++)
		err = gateway_add(&placing, gateways[i]);
	if (!err)
		err = vips_put(resolve, placing.listeners.items, placing.listeners.count);
	if (!err)
		err = listeners_put(resolve, placing.listeners.items, placing.listeners.count);
	if (err)
		return err;
	resolve->listener_notes = placing.notes.items;
	resolve->listener_note_count = placing.notes.count;
	if (placing.notes.count)
		qsort(placing.notes.items, placing.notes.count, sizeof(struct listener_note),
		      note_compare);
	return 0;
}
