// SPDX-License-Identifier: BSD-2-Clause
/* `show paths` and `show nexthops` over records in plain memory. */
#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "maps/cli/view.h"
#include "userspace/base/address.h"
#include "userspace/base/clock.h"

#define FAR_IFINDEX 0x7ffffff0u /* no device here */

static struct maps maps;

static void endpoint_set(uint32_t id, const char *addr, uint8_t way, const struct path *path)
{
	struct endpoint *endpoint = &maps.endpoints[id];

	address_parse(addr, &endpoint->addr);
	endpoint->port = htons(80);
	endpoint->way = way;
	endpoint->generation = 3;
	snprintf(endpoint->name, sizeof(endpoint->name), "ai/pod-%u", id);
	maps.paths[id] = *path;
}

static void hop_set(uint32_t id, uint16_t state, const char *addr, uint16_t vlan)
{
	struct nexthop *hop = &maps.nexthops[id];

	*hop = (struct nexthop){.dmac = {2, 0, 0, 0, 0, 0xab},
				.state = state,
				.vlan = vlan,
				.ifindex = FAR_IFINDEX,
				.mtu = 1500,
				.changed_at = 90 * NS_PER_S};
	address_parse(addr, &hop->addr);
}

static int group_setup(void **state)
{
	struct path path = {.generation = 3, .mtu = 1400};

	(void)state;
	maps.endpoints = calloc(ENDPOINTS_MAX, sizeof(*maps.endpoints));
	maps.paths = calloc(ENDPOINTS_MAX, sizeof(*maps.paths));
	maps.nexthops = calloc(NEXTHOPS_MAX, sizeof(*maps.nexthops));
	hop_set(0, NEXTHOP_RESOLVED, "10.1.0.1", 100);
	hop_set(1, NEXTHOP_UNRESOLVED, "10.1.0.2", 0);
	address_parse("10.1.0.9", &path.src);
	endpoint_set(0, "10.10.0.1", WAY_IPIP, &path);
	path.nexthop = 1;
	endpoint_set(1, "10.10.0.2", WAY_GUE, &path);
	path.nexthop = NEXTHOP_NONE;
	endpoint_set(2, "10.10.0.3", WAY_IPIP, &path);
	endpoint_set(3, "10.10.0.4", WAY_L2, &(struct path){0});
	path.generation = 2; /* of the one before */
	endpoint_set(4, "10.10.0.5", WAY_NAT, &path);
	path.generation = 3;
	path.nexthop = NEXTHOPS_MAX + 5; /* no id */
	endpoint_set(5, "10.10.0.6", WAY_IPIP, &path);
	return 0;
}

static int group_teardown(void **state)
{
	(void)state;
	free(maps.endpoints);
	free(maps.paths);
	free(maps.nexthops);
	return 0;
}

static void the_view_is(const char *name, const char *expected)
{
	const struct view_now now = {.realtime_ns = 100 * NS_PER_S};
	const struct request request = {0};
	struct table table;
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	assert_int_equal(view_take(view_find(name), &request, &maps, &now, &table), 0);
	table_print_json(&table, out);
	fclose(out);
	assert_string_equal(text, expected);
	free(text);
	table_deinit(&table);
}

static void paths_say_how_each_endpoint_is_reached(void **state)
{
	(void)state;
#define ROW(id, address, way, path, rest)                                                          \
	"  {\"endpoint\":\"ai/pod-" #id "\",\"id\":" #id ",\"address\":\"10.10.0." address         \
	":80\",\"way\":\"" way "\",\"path\":\"" path "\"," rest "}"
#define NONE "\"source\":null,\"nexthop\":null,\"via\":null,\"mtu\":null"
#define KERNEL "\"source\":\"10.1.0.9\",\"nexthop\":null,\"via\":null,\"mtu\":1400"
#define HOP(id, via) "\"source\":\"10.1.0.9\",\"nexthop\":" #id ",\"via\":\"" via "\",\"mtu\":1400"
	the_view_is(
		"paths",
		"[\n" ROW(0, "1", "ipip", "ready", HOP(0, "10.1.0.1")) ",\n" ROW(
			1, "2", "gue", "unresolved",
			HOP(1,
			    "10.1.0.2")) ",\n" ROW(2, "3", "ipip", "kernel",
						   KERNEL) ",\n" ROW(3, "4", "l2", "none",
								     NONE) ",\n" ROW(4, "5", "nat",
										     "none",
										     NONE) ",\n" ROW(5,
												     "6",
												     "ipip",
												     "kernel",
												     KERNEL) "\n]\n");
}

static void next_hops_say_who_is_behind_them(void **state)
{
	(void)state;
#define HEAD(id, address)                                                                          \
	"  {\"id\":" #id ",\"address\":\"" address                                                 \
	"\",\"device\":\"#2147483632\",\"ifindex\":2147483632,"
#define TAIL "\"own_mac\":\"00:00:00:00:00:00\",\"mtu\":1500,\"paths\":1,\"changed_s\":10.000}"
	the_view_is(
		"nexthops",
		"[\n" HEAD(0,
			   "10.1.0.1") "\"vlan\":100,\"state\":\"resolved\","
				       "\"mac\":\"02:00:00:00:00:ab\"," TAIL ",\n" HEAD(
					       1,
					       "10.1.0.2") "\"vlan\":null,\"state\":\"unresolved\","
							   "\"mac\":null," TAIL "\n]\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(paths_say_how_each_endpoint_is_reached),
		cmocka_unit_test(next_hops_say_who_is_behind_them),
	};

	return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
