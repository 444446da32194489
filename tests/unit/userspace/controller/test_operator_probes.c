// SPDX-License-Identifier: BSD-2-Clause
/* The operator's endpoints, from records in real maps to health in them: through the
 * watcher, whose prober they share. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <cmocka.h>

#include "maps/access/maps.h"
#include "tests/harness/pinned_maps.h"
#include "userspace/base/address.h"
#include "userspace/base/cleanup.h"
#include "userspace/base/clock.h"
#include "userspace/base/log.h"
#include "userspace/base/loop.h"
#include "userspace/controller/watcher.h"
#include "userspace/publish/plan.h"
#include "userspace/sources/desired.h"

#define ID (ENDPOINTS_MAX - 1) /* the CLI gives them out from the top */
#define POOL (POOLS_MAX - 1)
#define PORT_LOW 64101
#define PORT_HIGH 64110
#define PORTS (PORT_HIGH - PORT_LOW + 1)

struct bench {
	struct maps *maps;
	struct loop *loop;
	struct watcher *watcher;
	int listener;
	uint16_t port; /* of the listener */
};

static bool prepared;
static int warnings;
static char last_warning[512];

static void log_count(enum log_level level, const char *text)
{
	if (level != LOG_LEVEL_WARNING)
		return;
	warnings++;
	snprintf(last_warning, sizeof(last_warning), "%s", text);
}

static int group_setup(void **state)
{
	(void)state;
	prepared = pinned_maps_prepare();
	return 0;
}

static int listen_somewhere(struct bench *bench)
{
	struct sockaddr_in sa = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t length = sizeof(sa);

	bench->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (bind(bench->listener, (struct sockaddr *)&sa, length) || listen(bench->listener, 64) ||
	    getsockname(bench->listener, (struct sockaddr *)&sa, &length))
		return -1;
	bench->port = ntohs(sa.sin_port);
	return 0;
}

static int bench_setup(void **state)
{
	struct bench *bench = calloc(1, sizeof(*bench));
	struct instance instance;

	*state = bench;
	if (!bench || !prepared)
		return bench ? 0 : -1;
	warnings = 0;
	last_warning[0] = '\0';
	log_sink = log_count;
	if (listen_somewhere(bench) || instance_init(&instance, "unit-operator") ||
	    pinned_maps_make(&instance, NULL) ||
	    maps_open(&instance, MAPS_CONTROLLER, &bench->maps) || loop_new(5000, &bench->loop))
		return -1;
	bench->maps->contract.probe_mark = 0x51c00000u;
	bench->maps->contract.probe_port_low = PORT_LOW;
	bench->maps->contract.probe_port_high = PORT_HIGH;
	address_parse("127.0.0.1", &bench->maps->contract.snat4);
	return watcher_new(bench->loop, bench->maps, 0, &bench->watcher);
}

static int bench_teardown(void **state)
{
	struct bench *bench = *state;

	if (prepared) {
		watcher_free(bench->watcher);
		loop_free(bench->loop);
		maps_close(bench->maps);
		closep(&bench->listener);
	}
	free(bench);
	return 0;
}

static struct bench *bench_of(void **state)
{
	if (!prepared)
		skip();
	return *state;
}

static void endpoint_put(struct bench *bench, uint8_t way, const char *addr)
{
	struct endpoint *endpoint = &bench->maps->endpoints[ID];

	address_parse(addr, &endpoint->addr);
	endpoint->port = htons(bench->port);
	endpoint->owner = VIP_OWNER_OPERATOR;
	endpoint->cluster = CLUSTER_NONE;
	endpoint->pool = POOL;
	endpoint->generation++;
	snprintf(endpoint->name, sizeof(endpoint->name), "operator/one");
	endpoint->way = way;
}

static void vip_put(struct bench *bench, const char *addr, uint16_t port, uint8_t proto,
		    uint32_t id)
{
	struct vip_key key = {.port = htons(port), .proto = proto};
	struct vip vip = {.id = id, .pool = POOL, .mode = VIP_MODE_L4, .owner = VIP_OWNER_OPERATOR};

	address_parse(addr, &key.addr);
	assert_int_equal(vips_put(bench->maps, &key, &vip), 0);
}

static const struct health *health(const struct bench *bench)
{
	return &bench->maps->health[ID];
}

/* What TC and XDP would count. */
static void packets_return(struct bench *bench)
{
	for (int i = 0; i < PORTS; i++) {
		if (bench->maps->probes[i].generation)
			bench->maps->probes[i].sent = bench->maps->probes[i].returned = 1;
	}
}

/* Turns until the endpoint, of its generation now, is in `state`. */
static void bench_until(struct bench *bench, uint8_t state, bool returning)
{
	uint64_t deadline = clock_monotonic_ns() + 20 * NS_PER_S;

	while (health(bench)->state != state ||
	       health(bench)->generation != bench->maps->endpoints[ID].generation) {
		assert_true(clock_monotonic_ns() < deadline);
		assert_int_equal(loop_turn(bench->loop, 20), 0);
		if (returning)
			packets_return(bench);
	}
}

static void bench_for(struct bench *bench, uint64_t ns)
{
	uint64_t end = clock_monotonic_ns() + ns;

	while (clock_monotonic_ns() < end)
		assert_int_equal(loop_turn(bench->loop, 20), 0);
}

static void an_endpoint_reached_by_nat_is_connected_to(void **state)
{
	struct bench *bench = bench_of(state);

	endpoint_put(bench, WAY_NAT, "127.0.0.1");
	vip_put(bench, "10.99.0.1", 80, IPPROTO_TCP, 5);
	bench_until(bench, HEALTH_UP, false);
	assert_int_equal(health(bench)->reason, HEALTH_REASON_OK);
	closep(&bench->listener);
	bench_until(bench, HEALTH_DOWN, false);
	assert_int_equal(health(bench)->reason, HEALTH_REASON_REFUSED);
	assert_non_null(strstr(last_warning, "operator/one"));
}

static void one_that_is_removed_is_probed_no_longer_and_its_successor_anew(void **state)
{
	struct bench *bench = bench_of(state);
	uint64_t probed_at;

	endpoint_put(bench, WAY_NAT, "127.0.0.1");
	vip_put(bench, "10.99.0.1", 80, IPPROTO_TCP, 5);
	bench_until(bench, HEALTH_UP, false);
	bench->maps->endpoints[ID].way = WAY_NONE;
	bench->maps->endpoints[ID].owner = VIP_OWNER_NONE;
	bench_for(bench, 1200 * NS_PER_MS);
	probed_at = health(bench)->probed_at;
	assert_int_equal(health(bench)->state, HEALTH_UNKNOWN);
	bench_for(bench, 2200 * NS_PER_MS);
	assert_int_equal(health(bench)->probed_at, probed_at);
	endpoint_put(bench, WAY_NAT, "127.0.0.1");
	bench_until(bench, HEALTH_UP, false);
}

static void a_publication_does_not_take_its_probes_away(void **state)
{
	struct bench *bench = bench_of(state);
	const struct desired desired = {0};
	const struct plan plan = {0};
	uint64_t probed_at;

	endpoint_put(bench, WAY_NAT, "127.0.0.1");
	vip_put(bench, "10.99.0.1", 80, IPPROTO_TCP, 5);
	bench_until(bench, HEALTH_UP, false);
	probed_at = health(bench)->probed_at;
	assert_int_equal(watcher_follow(bench->watcher, &plan, &desired), 0);
	bench_for(bench, 2400 * NS_PER_MS);
	assert_true(health(bench)->probed_at > probed_at);
}

static void udp_alone_is_not_probed_and_an_old_verdict_does_not_stay(void **state)
{
	struct bench *bench = bench_of(state);

	endpoint_put(bench, WAY_NAT, "127.0.0.1");
	vip_put(bench, "10.99.0.1", 80, IPPROTO_UDP, 5);
	bench->maps->health[ID] = (struct health){
		.state = HEALTH_DOWN, .generation = bench->maps->endpoints[ID].generation};
	bench_for(bench, 1200 * NS_PER_MS);
	assert_int_equal(health(bench)->state, HEALTH_UNKNOWN);
	assert_int_equal(health(bench)->probed_at, 0);
	vip_put(bench, "10.99.0.1", 81, IPPROTO_TCP, 6);
	bench_until(bench, HEALTH_UP, false);
}

static void an_earlier_verdict_is_where_it_starts_from(void **state)
{
	struct bench *bench = bench_of(state);

	endpoint_put(bench, WAY_NAT, "127.0.0.1");
	vip_put(bench, "10.99.0.1", 80, IPPROTO_TCP, 5);
	bench->maps->health[ID] = (struct health){
		.state = HEALTH_DOWN,
		.fall = 2,
		.generation = bench->maps->endpoints[ID].generation,
	};
	while (!health(bench)->probed_at)
		assert_int_equal(loop_turn(bench->loop, 20), 0);
	assert_int_equal(health(bench)->state, HEALTH_DOWN); /* rise is 2 */
	assert_int_equal(health(bench)->rise, 1);
}

static void others_take_the_way_of_traffic_and_count_when_they_came_back(void **state)
{
	static const struct probe_port none;
	struct bench *bench = bench_of(state);
	const struct probe_port *record = NULL;
	struct ip_addr vip;

	endpoint_put(bench, WAY_IPIP, "127.0.0.1");
	vip_put(bench, "10.99.0.2", 80, IPPROTO_TCP, 6);
	vip_put(bench, "10.99.0.1", 81, IPPROTO_TCP, 5); /* the lowest stands for the pool */
	bench_until(bench, HEALTH_UP, true);
	assert_int_equal(warnings, 0);
	for (int i = 0; i < PORTS; i++) {
		if (memcmp(&bench->maps->probes[i], &none, sizeof(none)) != 0)
			record = &bench->maps->probes[i];
	}
	assert_non_null(record);
	address_parse("10.99.0.1", &vip);
	assert_true(address_equal(&record->vip, &vip));
	assert_int_equal(record->vip_port, htons(81));
	assert_int_equal(record->vip_id, 5);
	assert_int_equal(record->endpoint, ID);
	assert_int_equal(record->generation, bench->maps->endpoints[ID].generation);
	assert_int_equal(record->port, htons(bench->port));
	assert_true(address_equal(&record->addr, &bench->maps->endpoints[ID].addr));
	assert_true(address_equal(&record->src, &bench->maps->contract.snat4));
	assert_true(address_equal(&record->vip_src, &bench->maps->contract.snat4));
	closep(&bench->listener);
	bench_until(bench, HEALTH_DOWN, true);
	assert_int_equal(health(bench)->reason, HEALTH_REASON_REFUSED);
}

static void a_vip_of_the_other_family_is_answered_to_an_address_of_its_own(void **state)
{
	static const struct probe_port none;
	struct bench *bench = bench_of(state);
	const struct probe_port *record = NULL;

	address_parse("fd00:2::1", &bench->maps->contract.encap6);
	endpoint_put(bench, WAY_IPIP, "127.0.0.1");
	vip_put(bench, "fd00:99::1", 80, IPPROTO_TCP, 5);
	bench_until(bench, HEALTH_UP, true);
	for (int i = 0; i < PORTS; i++) {
		if (memcmp(&bench->maps->probes[i], &none, sizeof(none)) != 0)
			record = &bench->maps->probes[i];
	}
	assert_non_null(record);
	assert_true(address_equal(&record->src, &bench->maps->contract.snat4));
	assert_true(address_equal(&record->vip_src, &bench->maps->contract.encap6));
	assert_int_equal(warnings, 0);
}

static void an_answer_that_came_past_the_programs_does_not_count(void **state)
{
	struct bench *bench = bench_of(state);

	endpoint_put(bench, WAY_IPIP, "127.0.0.1");
	vip_put(bench, "10.99.0.1", 80, IPPROTO_TCP, 5);
	bench_for(bench, 3800 * NS_PER_MS);
	assert_int_equal(health(bench)->state, HEALTH_UNKNOWN);
	assert_int_equal(health(bench)->probed_at, 0);
	assert_int_equal(warnings, 1); /* once, after several probes */
	assert_non_null(strstr(last_warning, "past the programs"));
}

static void what_cannot_be_probed_that_way_is_said_once(void **state)
{
	struct bench *bench = bench_of(state);

	endpoint_put(bench, WAY_GUE, "127.0.0.1");
	vip_put(bench, "fd00:99::1", 80, IPPROTO_TCP, 5);
	bench_for(bench, 1200 * NS_PER_MS);
	assert_int_equal(warnings, 1);
	assert_non_null(strstr(last_warning, "its VIP's family"));
	endpoint_put(bench, WAY_GUE, "fd00::1"); /* no source of this family is known */
	bench_for(bench, 1200 * NS_PER_MS);
	assert_int_equal(warnings, 2);
	assert_non_null(strstr(last_warning, "--encap"));
	assert_int_equal(health(bench)->state, HEALTH_UNKNOWN);
}

static void records_that_lie_are_left_alone(void **state)
{
	struct bench *bench = bench_of(state);

	endpoint_put(bench, WAY_NAT, "127.0.0.1");
	vip_put(bench, "10.99.0.1", 80, IPPROTO_TCP, 5);
	bench->maps->endpoints[ID].pool = POOLS_MAX;
	bench_for(bench, 1100 * NS_PER_MS);
	bench->maps->endpoints[ID].pool = POOL;
	bench->maps->endpoints[ID].way = WAY_COUNT;
	bench_for(bench, 1100 * NS_PER_MS);
	bench->maps->endpoints[ID].way = WAY_NAT;
	bench->maps->endpoints[ID].generation = 0;
	bench_for(bench, 1100 * NS_PER_MS);
	assert_int_equal(health(bench)->probed_at, 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, bench_setup, bench_teardown)
	const struct CMUnitTest tests[] = {
		TEST(an_endpoint_reached_by_nat_is_connected_to),
		TEST(one_that_is_removed_is_probed_no_longer_and_its_successor_anew),
		TEST(a_publication_does_not_take_its_probes_away),
		TEST(udp_alone_is_not_probed_and_an_old_verdict_does_not_stay),
		TEST(an_earlier_verdict_is_where_it_starts_from),
		TEST(others_take_the_way_of_traffic_and_count_when_they_came_back),
		TEST(a_vip_of_the_other_family_is_answered_to_an_address_of_its_own),
		TEST(an_answer_that_came_past_the_programs_does_not_count),
		TEST(what_cannot_be_probed_that_way_is_said_once),
		TEST(records_that_lie_are_left_alone),
	};
#undef TEST

	return cmocka_run_group_tests(tests, group_setup, NULL);
}
