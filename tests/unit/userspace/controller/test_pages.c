// SPDX-License-Identifier: BSD-2-Clause
/* The metrics page over real pinned maps, read as Prometheus would. */
#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "maps/access/maps.h"
#include "tests/harness/pinned_maps.h"
#include "userspace/base/address.h"
#include "userspace/base/cleanup.h"
#include "userspace/base/clock.h"
#include "userspace/base/instance.h"
#include "userspace/controller/pages.h"
#include "userspace/controller/watcher.h"
#include "userspace/sources/desired.h"

static struct maps *maps;

static int group_setup(void **state)
{
	struct instance instance;

	(void)state;
	if (!pinned_maps_prepare())
		return 0;
	if (instance_init(&instance, "unit-pages") < 0 || pinned_maps_make(&instance, NULL) < 0)
		return -1;
	return maps_open(&instance, MAPS_CONTROLLER, &maps);
}

static int group_teardown(void **state)
{
	(void)state;
	maps_close(maps);
	return 0;
}

static void maps_fill(void)
{
	struct vip_key key = {.port = htons(80), .proto = 6};
	const struct vip vip = {.pool = POOL_NONE, .mode = VIP_MODE_L7, .owner = 1};

	snprintf(maps->clusters[0].name, 64, "cluster-a");
	snprintf(maps->clusters[0].region, 32, "europe-west4");
	maps->clusters[0].rtt_us = 1500;
	snprintf(maps->pools[0].name, 96, "ai/gemma \"x\"");
	for (int i = 0; i < 2; i++) {
		struct endpoint *endpoint = &maps->endpoints[i];

		*endpoint = (struct endpoint){
			.port = htons(8000), .way = WAY_NAT, .owner = 1, .generation = 4};
		address_parse(i ? "10.10.0.2" : "10.10.0.1", &endpoint->addr);
		snprintf(endpoint->name, 64, "ai/gemma-%d", i);
	}
	maps->health[0] = (struct health){.state = HEALTH_UP, .reason = 1, .generation = 4};
	maps->load[0] = (struct load){.waiting = 16777217, /* no float has this value */
				      .running = 7,
				      .kv_permille = 125,
				      .generation = 4,
				      .sampled_at = 90 * NS_PER_S};
	maps->load[1] = (struct load){.failures = 3, .generation = 4};
	maps->nexthops[0].state = maps->nexthops[7].state = NEXTHOP_RESOLVED;
	maps->nexthops[NEXTHOPS_MAX - 1].state = NEXTHOP_UNRESOLVED;
	address_parse("10.99.0.1", &key.addr);
	assert_int_equal(vips_put(maps, &key, &vip), 0);
}

static char *page_make(void)
{
	static const struct desired desired = {.pool_count = 2};
	struct watcher_counts counts = {.probes = {[HEALTH_REASON_TIMEOUT] = 5}};
	struct controller_reloads reloads = {.ok = 1, .ok_at = 5 * NS_PER_S};
	const struct pages_input input = {
		.maps = maps,
		.desired = &desired,
		.counts = &counts,
		.reloads = &reloads,
		.started_at = NS_PER_S,
		.now = 100 * NS_PER_S,
	};
	char *text = NULL;
	size_t length;

	if (!maps) {
		printf("skip: no pinned maps of our own\n");
		skip();
	}
	maps_fill();
	assert_int_equal(pages_metrics(&input, &text, &length), 0);
	assert_int_equal(strlen(text), length);
	return text;
}

static void the_page_has(const char *text, const char *line)
{
	if (!strstr(text, line))
		fail_msg("missing: %s", line);
}

static void state_of_endpoints_clusters_and_the_data_path_is_shown(void **state)
{
	_cleanup_free_ char *text = page_make();

	(void)state;
#define ONE                                                                                        \
	"{cluster=\"cluster-a\",region=\"europe-west4\",pool=\"ai/gemma \\\"x\\\"\","              \
	"endpoint=\"ai/gemma-0\",address=\"10.10.0.1:8000\""
	the_page_has(text, "\nsluice_endpoint_up" ONE "} 1\n");
	the_page_has(text, "\nsluice_endpoint_requests_waiting" ONE "} 16777217\n");
	the_page_has(text, "\nsluice_endpoint_requests_running" ONE "} 7\n");
	the_page_has(text, "\nsluice_endpoint_kv_cache_usage_ratio" ONE "} 0.125\n");
	the_page_has(text, "\nsluice_endpoint_scrape_age_seconds" ONE "} 10\n");
	the_page_has(text, "\nsluice_endpoint_state_info" ONE ",health=\"UP\",reason=\"ok\"");
#undef ONE
	the_page_has(text, "endpoint=\"ai/gemma-1\",address=\"10.10.0.2:8000\"} 3\n");
	the_page_has(text, "\nsluice_cluster_round_trip_seconds{cluster=\"cluster-a\","
			   "region=\"europe-west4\"} 0.0015");
	the_page_has(text, "\nsluice_verdict_packets_total{verdict=\"no_ring\",action=\"drop\"} 0");
	the_page_has(text, "\nsluice_vip_packets_total{vip=\"10.99.0.1:80\",proto=\"tcp\","
			   "mode=\"l7\",owner=\"controller\"} 0");
	the_page_has(text, "\nsluice_nexthops{state=\"resolved\"} 2\n");
	the_page_has(text, "\nsluice_nexthops{state=\"unresolved\"} 1\n");
	the_page_has(text, "\nsluice_controller_probes_total{result=\"timeout\"} 5");
	the_page_has(text, "\nsluice_controller_objects{kind=\"pool\"} 2");
}

static void what_is_not_known_has_no_sample(void **state)
{
	_cleanup_free_ char *text = page_make();
	const char *waiting = strstr(text, "# TYPE sluice_endpoint_requests_waiting");
	const char *next;

	(void)state;
	assert_non_null(waiting);
	next = strstr(waiting + 1, "# HELP");
	assert_non_null(next);
	assert_null(memmem(waiting, (size_t)(next - waiting), "gemma-1", 7));
}

/* What `promtool check metrics` asks for. */
static void names_follow_prometheus_conventions(void **state)
{
	_cleanup_free_ char *text = page_make();
	char family[128] = "", *rest, *line;

	(void)state;
	for (line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
		char type[32];
		size_t length;

		if (strncmp(line, "# HELP ", 7) == 0) {
			assert_int_equal(sscanf(line, "# HELP %127s", family), 1);
			continue;
		}
		length = strlen(family);
		if (strncmp(line, "# TYPE ", 7) == 0) {
			bool total = length > 6 && strcmp(family + length - 6, "_total") == 0;

			assert_int_equal(sscanf(line, "# TYPE %*s %31s", type), 1);
			assert_int_equal(strncmp(line + 7, family, length), 0);
			assert_int_equal(total, strcmp(type, "counter") == 0);
			continue;
		}
		assert_int_equal(strncmp(line, family, length), 0);
		assert_true(line[length] == '{' || line[length] == ' ');
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(state_of_endpoints_clusters_and_the_data_path_is_shown),
		cmocka_unit_test(what_is_not_known_has_no_sample),
		cmocka_unit_test(names_follow_prometheus_conventions),
	};

	return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
