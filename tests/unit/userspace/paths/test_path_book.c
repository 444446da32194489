// SPDX-License-Identifier: BSD-2-Clause
/* The book over arrays of the test's own: what the kernel would answer is said by hand. */
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "userspace/base/address.h"
#include "userspace/base/cleanup.h"
#include "userspace/base/log.h"
#include "userspace/paths/path_book.h"

#define ETH0 2
#define ETH1 3
#define VLAN100 4 /* on ETH0 */
#define TUN 5
#define STACKED 6 /* on VLAN100 */
#define ROUTER "10.1.0.1"

static const uint8_t mac_eth0[6] = {2, 0, 0, 0, 0, 0xe0}, mac_eth1[6] = {2, 0, 0, 0, 0, 0xe1};
static const uint8_t mac_a[6] = {2, 0, 0, 0, 0, 0xa}, mac_b[6] = {2, 0, 0, 0, 0, 0xb};

struct fixture {
	struct endpoint *endpoints;
	struct path *paths;
	struct nexthop *nexthops;
	struct contract contract;
	struct path_book *book;
	struct path_now now;
};

static int messages;
static char last_message[512];

static void log_take(enum log_level level, const char *text)
{
	(void)level;
	messages++;
	snprintf(last_message, sizeof(last_message), "%s", text);
}

static struct ip_addr addr_of(const char *text)
{
	struct ip_addr addr = {0};

	if (text)
		assert_int_equal(address_parse(text, &addr), 0);
	return addr;
}

static void link_say(struct fixture *f, uint32_t ifindex, const uint8_t mac[6], uint32_t mtu,
		     bool up)
{
	struct link link = {.ifindex = ifindex, .mtu = mtu, .up = up, .ethernet = ifindex != TUN};

	if (mac)
		memcpy(link.mac, mac, 6);
	if (ifindex == VLAN100 || ifindex == STACKED) {
		link.parent = ifindex == VLAN100 ? ETH0 : VLAN100;
		link.vlan = 100;
	}
	path_book_link(f->book, &link, &f->now);
}

static void book_open(struct fixture *f)
{
	assert_int_equal(path_book_new(f->endpoints, &f->contract, f->paths, f->nexthops, &f->now,
				       &f->book),
			 0);
	path_book_links_begin(f->book);
	link_say(f, ETH0, mac_eth0, 1500, true);
	link_say(f, ETH1, mac_eth1, 9000, true);
	link_say(f, VLAN100, mac_eth0, 1496, true);
	link_say(f, TUN, NULL, 1400, true);
	link_say(f, STACKED, mac_eth0, 1492, true);
	path_book_links_end(f->book, true, &f->now);
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	f->endpoints = calloc(ENDPOINTS_MAX, sizeof(*f->endpoints));
	f->paths = calloc(ENDPOINTS_MAX, sizeof(*f->paths));
	f->nexthops = calloc(NEXTHOPS_MAX, sizeof(*f->nexthops));
	f->now = (struct path_now){100 * NS_PER_S, 1000 * NS_PER_S};
	book_open(f);
	messages = 0;
	log_sink = log_take;
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	log_sink = NULL;
	free(f->book);
	free(f->endpoints);
	free(f->paths);
	free(f->nexthops);
	free(f);
	return 0;
}

static void endpoint_put(struct fixture *f, uint32_t id, const char *addr, uint8_t way)
{
	f->endpoints[id].addr = addr_of(addr);
	f->endpoints[id].generation++;
	snprintf(f->endpoints[id].name, sizeof(f->endpoints[id].name), "ai/pod-%u", id);
	f->endpoints[id].way = way;
	path_book_look(f->book, &f->now);
}

/* The kernel's answer for one endpoint; gateway NULL: on the link. */
static void route_say(struct fixture *f, uint32_t id, uint32_t ifindex, const char *gateway)
{
	const struct route_answer route = {
		.type = RTN_UNICAST,
		.ifindex = ifindex,
		.gateway = addr_of(gateway),
		.chosen_src = address_is_ipv4(&f->endpoints[id].addr) ? addr_of("10.1.0.9")
								      : addr_of("fd00::9"),
	};

	path_book_route(f->book, id, f->endpoints[id].generation, &route, &f->now);
}

static void neighbour_say(struct fixture *f, uint32_t ifindex, const char *addr,
			  const uint8_t mac[6], uint16_t nud)
{
	struct neighbour neighbour = {.ifindex = ifindex, .addr = addr_of(addr), .state = nud};

	if (mac)
		memcpy(neighbour.mac, mac, 6);
	neighbour.has_mac = mac != NULL;
	path_book_neighbour(f->book, &neighbour, &f->now);
}

static const struct nexthop *hop_of(const struct fixture *f, uint32_t id)
{
	assert_int_equal(f->paths[id].generation, f->endpoints[id].generation);
	assert_true(f->paths[id].nexthop < NEXTHOPS_MAX);
	return &f->nexthops[f->paths[id].nexthop];
}

static enum neighbour_step step_of(struct fixture *f, uint32_t id)
{
	return path_book_step(f->book, f->paths[id].nexthop, &f->now);
}

/* ---- */

static void a_new_endpoint_is_asked_for_and_gets_its_path(void **state)
{
	struct fixture *f = *state;
	const struct nexthop *hop;
	uint32_t id;

	endpoint_put(f, 7, "10.10.0.1", WAY_IPIP);
	assert_true(id_queue_take(&f->book->routes, &id));
	assert_int_equal(id, 7);
	assert_false(id_queue_take(&f->book->routes, &id));
	assert_int_equal(f->paths[7].generation, 0);
	route_say(f, 7, ETH0, ROUTER);
	hop = hop_of(f, 7);
	assert_int_equal(hop->state, NEXTHOP_UNRESOLVED);
	assert_int_equal(hop->ifindex, ETH0);
	assert_int_equal(hop->vlan, 0);
	assert_memory_equal(hop->smac, mac_eth0, 6);
	assert_int_equal(f->paths[7].mtu, 1500);
	neighbour_say(f, ETH0, ROUTER, mac_a, NUD_REACHABLE);
	assert_int_equal(hop->state, NEXTHOP_RESOLVED);
	assert_memory_equal(hop->dmac, mac_a, 6);
	path_book_look(f->book, &f->now);
	assert_int_equal(f->book->routes.count, 0);
}

static void endpoints_behind_one_router_share_its_next_hop(void **state)
{
	struct fixture *f = *state;

	endpoint_put(f, 1, "10.10.0.1", WAY_IPIP);
	endpoint_put(f, 2, "10.10.0.2", WAY_GUE);
	endpoint_put(f, 3, "10.10.0.3", WAY_NAT);
	for (uint32_t id = 1; id <= 3; id++)
		route_say(f, id, ETH0, ROUTER);
	assert_ptr_equal(hop_of(f, 1), hop_of(f, 2));
	assert_ptr_equal(hop_of(f, 1), hop_of(f, 3));
	assert_int_equal(f->book->hops.count, 1);
}

static void a_new_mac_is_one_write_for_all_behind_it(void **state)
{
	struct fixture *f = *state;
	struct path before;

	endpoint_put(f, 1, "10.10.0.1", WAY_IPIP);
	route_say(f, 1, ETH0, ROUTER);
	neighbour_say(f, ETH0, ROUTER, mac_a, NUD_REACHABLE);
	before = f->paths[1];
	f->now.realtime_ns++;
	neighbour_say(f, ETH0, ROUTER, mac_b, NUD_STALE);
	assert_memory_equal(hop_of(f, 1)->dmac, mac_b, 6);
	assert_int_equal(hop_of(f, 1)->changed_at, f->now.realtime_ns);
	assert_memory_equal(&f->paths[1], &before, sizeof(before));
}

static void an_address_on_another_link_is_another_next_hop(void **state)
{
	struct fixture *f = *state;

	endpoint_put(f, 1, "10.10.0.1", WAY_IPIP);
	endpoint_put(f, 2, "10.10.0.2", WAY_IPIP);
	route_say(f, 1, ETH0, ROUTER);
	route_say(f, 2, ETH1, ROUTER);
	neighbour_say(f, ETH1, ROUTER, mac_b, NUD_REACHABLE);
	assert_int_equal(hop_of(f, 1)->state, NEXTHOP_UNRESOLVED);
	assert_int_equal(hop_of(f, 2)->state, NEXTHOP_RESOLVED);
}

static void a_vlan_device_is_its_parent_and_a_tag(void **state)
{
	struct fixture *f = *state;

	endpoint_put(f, 1, "10.10.0.1", WAY_IPIP);
	route_say(f, 1, VLAN100, ROUTER);
	neighbour_say(f, ETH0, ROUTER, mac_b, NUD_REACHABLE); /* not on this VLAN */
	assert_int_equal(hop_of(f, 1)->state, NEXTHOP_UNRESOLVED);
	neighbour_say(f, VLAN100, ROUTER, mac_a, NUD_REACHABLE);
	assert_int_equal(hop_of(f, 1)->state, NEXTHOP_RESOLVED);
	assert_int_equal(hop_of(f, 1)->ifindex, ETH0);
	assert_int_equal(hop_of(f, 1)->vlan, 100);
	assert_int_equal(f->paths[1].mtu, 1496);
	link_say(f, ETH0, mac_eth0, 1500, false); /* the parent's carrier */
	assert_int_equal(hop_of(f, 1)->state, NEXTHOP_UNRESOLVED);
}

static void what_xdp_cannot_send_by_is_left_to_the_kernel(void **state)
{
	struct fixture *f = *state;
	const uint32_t devices[] = {TUN, STACKED, 99 /* unknown */};

	for (uint32_t i = 0; i < ARRAY_SIZE(devices); i++) {
		endpoint_put(f, i, "10.10.0.1", WAY_IPIP);
		route_say(f, i, devices[i], NULL);
		assert_int_equal(f->paths[i].generation, 1);
		assert_int_equal(f->paths[i].nexthop, NEXTHOP_NONE);
	}
	assert_int_equal(f->paths[0].mtu, 1400);
	assert_int_equal(messages, 0);
}

static void the_devices_mac_and_mtu_are_followed(void **state)
{
	struct fixture *f = *state;

	endpoint_put(f, 1, "10.10.0.1", WAY_IPIP);
	route_say(f, 1, ETH0, ROUTER);
	neighbour_say(f, ETH0, ROUTER, mac_a, NUD_REACHABLE);
	link_say(f, ETH0, mac_eth1, 1300, true);
	assert_memory_equal(hop_of(f, 1)->smac, mac_eth1, 6);
	assert_int_equal(hop_of(f, 1)->mtu, 1300);
	assert_int_equal(hop_of(f, 1)->state, NEXTHOP_RESOLVED);
	path_book_link_gone(f->book, ETH0, &f->now);
	assert_int_equal(hop_of(f, 1)->state, NEXTHOP_UNRESOLVED);
}

static void a_link_missing_from_a_whole_list_is_gone(void **state)
{
	struct fixture *f = *state;

	endpoint_put(f, 1, "10.10.0.1", WAY_IPIP);
	route_say(f, 1, ETH0, ROUTER);
	neighbour_say(f, ETH0, ROUTER, mac_a, NUD_REACHABLE);
	path_book_links_begin(f->book);
	path_book_links_end(f->book, false, &f->now); /* cut short: says nothing */
	assert_int_equal(hop_of(f, 1)->state, NEXTHOP_RESOLVED);
	path_book_links_begin(f->book);
	assert_true(path_book_links_end(f->book, true, &f->now));
	assert_int_equal(hop_of(f, 1)->state, NEXTHOP_UNRESOLVED);
}

static void a_neighbour_missing_from_a_whole_list_is_gone(void **state)
{
	struct fixture *f = *state;

	endpoint_put(f, 1, "10.10.0.1", WAY_IPIP);
	endpoint_put(f, 2, "10.1.0.2", WAY_L2);
	route_say(f, 1, ETH0, ROUTER);
	route_say(f, 2, ETH0, NULL);
	neighbour_say(f, ETH0, ROUTER, mac_a, NUD_REACHABLE);
	neighbour_say(f, ETH0, "10.1.0.2", mac_b, NUD_REACHABLE);
	path_book_neighbours_begin(f->book);
	neighbour_say(f, ETH0, "10.1.0.2", mac_b, NUD_STALE);
	path_book_neighbours_end(f->book, true, &f->now);
	assert_int_equal(hop_of(f, 1)->state, NEXTHOP_UNRESOLVED);
	assert_int_equal(hop_of(f, 2)->state, NEXTHOP_RESOLVED);
}

static void a_restart_keeps_ids_and_macs(void **state)
{
	struct fixture *f = *state;
	uint32_t before;

	endpoint_put(f, 1, "10.1.0.2", WAY_L2);
	endpoint_put(f, 2, "10.10.0.1", WAY_IPIP);
	route_say(f, 1, ETH0, NULL);
	route_say(f, 2, VLAN100, ROUTER);
	neighbour_say(f, VLAN100, ROUTER, mac_a, NUD_REACHABLE);
	before = f->paths[2].nexthop;
	assert_int_equal(before, 1);
	free(f->book);
	f->endpoints[1].way = WAY_NONE; /* while nobody looked */
	book_open(f);
	path_book_look(f->book, &f->now);
	assert_int_equal(f->paths[1].generation, 0);
	assert_int_equal(hop_of(f, 2)->state, NEXTHOP_RESOLVED);
	route_say(f, 2, VLAN100, ROUTER);
	assert_int_equal(f->paths[2].nexthop, before);
	assert_int_equal(hop_of(f, 2)->state, NEXTHOP_RESOLVED);
	assert_memory_equal(hop_of(f, 2)->dmac, mac_a, 6);
}

static void a_next_hop_is_freed_long_after_its_last_user(void **state)
{
	struct fixture *f = *state;
	struct neighbour neighbour;
	bool release;

	endpoint_put(f, 1, "10.10.0.1", WAY_IPIP);
	route_say(f, 1, ETH0, ROUTER);
	neighbour_say(f, ETH0, ROUTER, mac_a, NUD_REACHABLE);
	f->endpoints[1].way = WAY_NONE;
	path_book_look(f->book, &f->now);
	assert_int_equal(f->paths[1].generation, 0);
	assert_int_equal(f->nexthops[0].state, NEXTHOP_RESOLVED);
	f->now.monotonic_ns += NEXTHOP_LINGER_NS - 1;
	assert_false(path_book_reap(f->book, &f->now, &neighbour, &release));
	neighbour_say(f, ETH0, ROUTER, mac_b, NUD_REACHABLE); /* still true meanwhile */
	assert_memory_equal(f->nexthops[0].dmac, mac_b, 6);
	f->now.monotonic_ns++;
	assert_true(path_book_reap(f->book, &f->now, &neighbour, &release));
	assert_false(release); /* the kernel was not keeping it */
	assert_int_equal(f->nexthops[0].state, NEXTHOP_FREE);
	assert_false(path_book_reap(f->book, &f->now, &neighbour, &release));
	assert_int_equal(f->book->hops.count, 0);
}

static void a_route_that_flaps_gets_its_id_back(void **state)
{
	struct fixture *f = *state;
	uint32_t before;

	endpoint_put(f, 1, "10.10.0.1", WAY_IPIP);
	route_say(f, 1, ETH0, ROUTER);
	before = f->paths[1].nexthop;
	route_say(f, 1, ETH1, ROUTER);
	assert_int_not_equal(f->paths[1].nexthop, before);
	f->now.monotonic_ns += NS_PER_S;
	route_say(f, 1, ETH0, ROUTER);
	assert_int_equal(f->paths[1].nexthop, before);
}

static void l2_off_link_is_refused_by_name_and_once(void **state)
{
	struct fixture *f = *state;

	endpoint_put(f, 1, "10.10.0.1", WAY_L2);
	route_say(f, 1, ETH0, ROUTER);
	assert_int_equal(f->paths[1].generation, 0);
	assert_int_equal(messages, 1);
	assert_string_equal(last_message,
			    "endpoint ai/pod-1 (10.10.0.1): no path: way l2 needs it on a link of "
			    "this host, but the route leads through a router");
	route_say(f, 1, ETH0, ROUTER);
	assert_int_equal(messages, 1);
	route_say(f, 1, ETH0, NULL);
	assert_int_equal(hop_of(f, 1)->ifindex, ETH0);
	endpoint_put(f, 2, "10.7.0.1", WAY_L2);
	route_say(f, 2, TUN, NULL);
	assert_int_equal(f->paths[2].generation, 0);
	assert_int_equal(messages, 2);
}

static void no_route_is_said_with_the_kernels_reason(void **state)
{
	struct fixture *f = *state;
	const struct route_answer refused = {.err = -EHOSTUNREACH};

	endpoint_put(f, 1, "10.10.0.1", WAY_IPIP);
	route_say(f, 1, ETH0, ROUTER);
	path_book_route(f->book, 1, 1, &refused, &f->now);
	assert_int_equal(f->paths[1].generation, 0);
	assert_string_equal(last_message,
			    "endpoint ai/pod-1 (10.10.0.1): no path: this host has no route to it "
			    "(No route to host)");
	endpoint_put(f, 2, "10.10.0.2", WAY_NAT); /* probes say so */
	path_book_route(f->book, 2, 1, &refused, &f->now);
	assert_int_equal(messages, 1);
}

static void both_families_go_by_the_endpoints_family(void **state)
{
	struct fixture *f = *state;

	f->contract.snat4 = addr_of("192.0.2.1");
	f->contract.snat6 = addr_of("2001:db8::1");
	endpoint_put(f, 1, "10.10.0.1", WAY_GUE);
	endpoint_put(f, 2, "fd00:10::1", WAY_GUE);
	endpoint_put(f, 3, "10.10.0.3", WAY_IPIP);
	route_say(f, 1, ETH0, ROUTER);
	route_say(f, 2, ETH0, "fe80::1");
	route_say(f, 3, ETH0, "fe80::1"); /* RFC 8950: an IPv4 route through an IPv6 router */
	assert_true(address_equal(&f->paths[1].src, &f->contract.snat4));
	assert_true(address_equal(&f->paths[2].src, &f->contract.snat6));
	assert_true(address_equal(&f->paths[3].src, &f->contract.snat4));
	assert_int_not_equal(f->paths[1].check, 0);
	assert_int_equal(f->paths[2].check, 0); /* IPv6 headers have no checksum */
	assert_ptr_equal(hop_of(f, 3), hop_of(f, 2));
	neighbour_say(f, ETH0, "fe80::1", mac_a, NUD_REACHABLE);
	assert_int_equal(hop_of(f, 3)->state, NEXTHOP_RESOLVED);
}

static void an_answer_about_another_generation_is_dropped(void **state)
{
	struct fixture *f = *state;
	const struct route_answer route = {.type = RTN_UNICAST, .ifindex = ETH0};

	endpoint_put(f, 1, "10.10.0.1", WAY_IPIP);
	endpoint_put(f, 1, "10.10.0.2", WAY_IPIP);
	path_book_route(f->book, 1, 1, &route, &f->now);
	assert_int_equal(f->paths[1].generation, 0);
	route_say(f, 1, ETH0, NULL);
	assert_int_equal(f->paths[1].generation, 2);
	endpoint_put(f, 1, "10.10.0.3", WAY_IPIP); /* void until it is answered */
	assert_int_equal(f->paths[1].generation, 0);
}

/* ---- neighbours that are held ---- */

static void a_neighbour_is_looked_at_before_it_is_held(void **state)
{
	struct fixture *f = *state;

	endpoint_put(f, 1, "10.10.0.1", WAY_IPIP);
	route_say(f, 1, ETH0, ROUTER);
	assert_int_equal(f->book->steps.count, 1);
	assert_int_equal(step_of(f, 1), NEIGHBOUR_ASK);
	path_book_neighbour_none(f->book, f->paths[1].nexthop, &f->now);
	assert_int_equal(step_of(f, 1), NEIGHBOUR_HOLD);
	assert_int_equal(step_of(f, 1), NEIGHBOUR_NOTHING); /* so soon */
	f->now.monotonic_ns += NS_PER_S;
	assert_int_equal(step_of(f, 1), NEIGHBOUR_HOLD);
}

static void a_permanent_neighbour_is_never_held(void **state)
{
	struct fixture *f = *state;

	endpoint_put(f, 1, "10.10.0.1", WAY_IPIP);
	route_say(f, 1, ETH0, ROUTER);
	neighbour_say(f, ETH0, ROUTER, mac_a, NUD_PERMANENT);
	assert_int_equal(step_of(f, 1), NEIGHBOUR_NOTHING);
	path_book_refresh(f->book);
	assert_int_equal(step_of(f, 1), NEIGHBOUR_NOTHING);
	assert_int_equal(hop_of(f, 1)->state, NEXTHOP_RESOLVED);
}

static void neighbours_of_nat_are_watched_not_held(void **state)
{
	struct fixture *f = *state;

	endpoint_put(f, 1, "10.10.0.1", WAY_NAT);
	route_say(f, 1, ETH0, ROUTER);
	path_book_neighbour_none(f->book, f->paths[1].nexthop, &f->now);
	assert_int_equal(step_of(f, 1), NEIGHBOUR_NOTHING);
	endpoint_put(f, 2, "10.10.0.2", WAY_IPIP);
	route_say(f, 2, ETH0, ROUTER);
	assert_int_equal(step_of(f, 2), NEIGHBOUR_HOLD);
}

static void only_what_was_held_for_us_is_released(void **state)
{
	struct fixture *f = *state;
	struct neighbour seen = {.ifindex = ETH0, .state = NUD_REACHABLE, .managed = true};
	struct neighbour given;
	bool release;

	for (int ours = 0; ours < 2; ours++) {
		endpoint_put(f, 1, "10.10.0.1", WAY_IPIP);
		route_say(f, 1, ETH0, ROUTER);
		seen.addr = addr_of(ROUTER);
		seen.ours = ours;
		path_book_neighbour(f->book, &seen, &f->now);
		assert_int_equal(step_of(f, 1), NEIGHBOUR_NOTHING); /* the kernel keeps it */
		f->endpoints[1].way = WAY_NONE;
		path_book_look(f->book, &f->now);
		f->now.monotonic_ns += NEXTHOP_LINGER_NS;
		assert_true(path_book_reap(f->book, &f->now, &given, &release));
		assert_int_equal(release, ours);
		assert_int_equal(given.ifindex, ETH0);
	}
}

/* `ip neigh flush` goes round until nothing is left, and then a packet of anyone's resolves it. */
static void one_that_is_lost_twice_in_a_row_is_held_again_soon(void **state)
{
	struct fixture *f = *state;
	struct neighbour held = {.ifindex = ETH0, .state = NUD_REACHABLE, .managed = true};
	uint32_t id;

	endpoint_put(f, 1, "10.10.0.1", WAY_IPIP);
	route_say(f, 1, ETH0, ROUTER);
	held.addr = addr_of(ROUTER);
	for (int i = 0; i < 2; i++) {
		path_book_neighbour(f->book, &held, &f->now);
		path_book_neighbour_none(f->book, f->paths[1].nexthop, &f->now);
		assert_int_equal(step_of(f, 1), i ? NEIGHBOUR_NOTHING : NEIGHBOUR_HOLD);
	}
	while (id_queue_take(&f->book->steps, &id))
		;
	neighbour_say(f, ETH0, ROUTER, mac_a, NUD_REACHABLE);
	assert_int_equal(f->book->steps.count, 0);
	f->now.monotonic_ns += 300 * NS_PER_MS;
	path_book_look(f->book, &f->now);
	assert_int_equal(f->book->steps.count, 1);
	assert_int_equal(step_of(f, 1), NEIGHBOUR_HOLD);
	while (id_queue_take(&f->book->steps, &id))
		;
	path_book_look(f->book, &f->now);
	assert_int_equal(f->book->steps.count, 0); /* once */
}

/* A kernel before 5.16 takes the request and forgets the flag. */
static void a_kernel_that_keeps_nothing_is_asked_at_every_refresh_only(void **state)
{
	struct fixture *f = *state;
	uint32_t id;

	endpoint_put(f, 1, "10.10.0.1", WAY_IPIP);
	route_say(f, 1, ETH0, ROUTER);
	neighbour_say(f, ETH0, ROUTER, NULL, 0);
	assert_int_equal(step_of(f, 1), NEIGHBOUR_HOLD);
	while (id_queue_take(&f->book->steps, &id))
		;
	f->now.monotonic_ns += NS_PER_S;
	neighbour_say(f, ETH0, ROUTER, mac_a, NUD_REACHABLE);
	neighbour_say(f, ETH0, ROUTER, mac_a, NUD_STALE);
	assert_int_equal(f->book->steps.count, 0);
	path_book_refresh(f->book);
	assert_int_equal(f->book->steps.count, 1);
	assert_int_equal(step_of(f, 1), NEIGHBOUR_HOLD);
}

/* ---- limits ---- */

static void neighbours_fill(struct fixture *f, uint8_t way, uint32_t count)
{
	char text[32];

	for (uint32_t id = 0; id < count; id++) {
		snprintf(text, sizeof(text), "10.1.%u.%u", 1 + id / 250, 1 + id % 250);
		f->endpoints[id].addr = addr_of(text);
		f->endpoints[id].generation = 1;
		f->endpoints[id].way = way;
	}
	path_book_look(f->book, &f->now);
	for (uint32_t id = 0; id < count; id++)
		route_say(f, id, ETH0, NULL);
}

static void when_all_ids_are_in_use_the_kernel_is_asked(void **state)
{
	struct fixture *f = *state;

	neighbours_fill(f, WAY_L2, NEXTHOPS_MAX + 60);
	assert_int_equal(f->paths[NEXTHOPS_MAX - 1].nexthop, NEXTHOPS_MAX - 1);
	assert_int_equal(f->paths[NEXTHOPS_MAX].nexthop, NEXTHOP_NONE);
	assert_int_equal(f->paths[NEXTHOPS_MAX].generation, 1);
	assert_int_equal(messages, 50);
	path_book_refresh(f->book);
	assert_string_equal(last_message, "paths: 10 more endpoints have no path; 'sluicectl show "
					  "paths' says which");
}

static void nat_leaves_a_quarter_of_the_ids(void **state)
{
	struct fixture *f = *state;
	uint32_t last = NEXTHOPS_MAX;

	neighbours_fill(f, WAY_NAT, NEXTHOPS_MAX);
	assert_int_equal(f->book->hops.count, NEXTHOPS_MAX / 4 * 3);
	assert_int_equal(messages, 0);
	endpoint_put(f, last, "10.2.0.1", WAY_L2);
	route_say(f, last, ETH0, NULL);
	assert_true(f->paths[last].nexthop < NEXTHOPS_MAX);
}

static void records_that_make_no_sense_are_borne(void **state)
{
	struct fixture *f = *state;

	free(f->book);
	memset(f->nexthops, 0xff, NEXTHOPS_MAX * sizeof(*f->nexthops));
	memset(f->paths, 0xff, ENDPOINTS_MAX * sizeof(*f->paths));
	memset(f->endpoints, 0xff, ENDPOINTS_MAX * sizeof(*f->endpoints));
	book_open(f);
	path_book_look(f->book, &f->now);
	assert_int_equal(f->book->routes.count, 0); /* way 255 is nobody */
	assert_int_equal(f->paths[0].generation, 0);
	assert_int_equal(f->book->hops.count, 1); /* one key, however often */
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(a_new_endpoint_is_asked_for_and_gets_its_path),
		TEST(endpoints_behind_one_router_share_its_next_hop),
		TEST(a_new_mac_is_one_write_for_all_behind_it),
		TEST(an_address_on_another_link_is_another_next_hop),
		TEST(a_vlan_device_is_its_parent_and_a_tag),
		TEST(what_xdp_cannot_send_by_is_left_to_the_kernel),
		TEST(the_devices_mac_and_mtu_are_followed),
		TEST(a_link_missing_from_a_whole_list_is_gone),
		TEST(a_neighbour_missing_from_a_whole_list_is_gone),
		TEST(a_restart_keeps_ids_and_macs),
		TEST(a_next_hop_is_freed_long_after_its_last_user),
		TEST(a_route_that_flaps_gets_its_id_back),
		TEST(l2_off_link_is_refused_by_name_and_once),
		TEST(no_route_is_said_with_the_kernels_reason),
		TEST(both_families_go_by_the_endpoints_family),
		TEST(an_answer_about_another_generation_is_dropped),
		TEST(a_neighbour_is_looked_at_before_it_is_held),
		TEST(a_permanent_neighbour_is_never_held),
		TEST(neighbours_of_nat_are_watched_not_held),
		TEST(only_what_was_held_for_us_is_released),
		TEST(one_that_is_lost_twice_in_a_row_is_held_again_soon),
		TEST(a_kernel_that_keeps_nothing_is_asked_at_every_refresh_only),
		TEST(when_all_ids_are_in_use_the_kernel_is_asked),
		TEST(nat_leaves_a_quarter_of_the_ids),
		TEST(records_that_make_no_sense_are_borne),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
