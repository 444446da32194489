// SPDX-License-Identifier: BSD-2-Clause
/* Sweeps over real pinned maps, with slots and flows as XDP writes them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <bpf/bpf.h>

#include "maps/access/map_spec.h"
#include "maps/access/maps.h"
#include "tests/harness/pinned_maps.h"
#include "userspace/base/address.h"
#include "userspace/base/cleanup.h"
#include "userspace/base/clock.h"
#include "userspace/base/instance.h"
#include "userspace/publish/live_sweep.h"

#define POOL 5
#define GENERATION 7

static struct instance instance;
static bool prepared;
static struct maps *maps;
static struct live_sweep *sweep;
static struct opens *opens; /* as XDP has it: writable */

static int group_setup(void **state)
{
	(void)state;
	prepared = pinned_maps_prepare();
	return instance_init(&instance, "unit-live");
}

static int pin_open(enum map_id id)
{
	char path[256];

	snprintf(path, sizeof(path), "%s/%s", instance.pin_dir, map_name(id));
	return bpf_obj_get(path);
}

static int opens_map(void)
{
	_cleanup_close_ int fd = pin_open(MAP_OPENS);

	opens = mmap(NULL, ENDPOINTS_MAX * sizeof(*opens), PROT_READ | PROT_WRITE, MAP_SHARED, fd,
		     0);
	return opens == MAP_FAILED ? -1 : 0;
}

static int fresh(void **state)
{
	(void)state;
	if (!prepared)
		return 0;
	if (pinned_maps_make(&instance, NULL) || maps_open(&instance, MAPS_CONTROLLER, &maps) ||
	    opens_map())
		return -1;
	for (uint32_t id = 1; id <= 3; id++)
		maps->endpoints[id] =
			(struct endpoint){.way = WAY_IPIP, .pool = POOL, .generation = GENERATION};
	maps->endpoints[3].pool = POOL + 1; /* behind no L4 VIP */
	return live_sweep_new(maps, LIVE_PORTION, &sweep);
}

static int leave(void **state)
{
	(void)state;
	if (!prepared)
		return 0;
	live_sweep_free(sweep);
	munmap(opens, ENDPOINTS_MAX * sizeof(*opens));
	maps_close(maps);
	return 0;
}

static void need(void)
{
	if (!prepared) {
		printf("skip: no pinned maps of our own\n");
		skip();
	}
}

static struct vip_key key_of(uint16_t port)
{
	struct vip_key key = {.port = htons(port), .proto = IPPROTO_TCP};

	address_parse("10.99.0.1", &key.addr);
	return key;
}

static void vip_make(uint16_t port, uint8_t mode)
{
	const struct vip vip = {
		.id = port, .pool = POOL, .mode = mode, .owner = VIP_OWNER_OPERATOR};
	struct vip_key key = key_of(port);

	assert_int_equal(vips_put(maps, &key, &vip), 0);
}

static void slot_put(uint32_t set, int index, uint32_t endpoint, enum slot_state state)
{
	maps->flows[set].slots[index] =
		(struct flow_slot){.tag = 2,
				   .where = (uint16_t)(endpoint | state << FLOW_ENDPOINT_BITS),
				   .tick = (uint16_t)clock_tick()};
}

static void nat_put(uint16_t port, uint32_t endpoint, uint32_t state)
{
	const struct flow_key key = {.src_port = htons(port), .proto = IPPROTO_TCP};
	const struct nat_flow flow = {.endpoint = endpoint,
				      .generation = GENERATION,
				      .state = state,
				      .seen_at = clock_monotonic_ns()};
	_cleanup_close_ int fd = pin_open(MAP_NAT_FWD);

	assert_int_equal(bpf_map_update_elem(fd, &key, &flow, BPF_ANY), 0);
}

static enum live_step step(void)
{
	enum live_step is;

	assert_int_equal(live_sweep_step(sweep, &is), 0);
	return is;
}

static struct live_portion part(uint32_t sets, uint32_t nat_flows)
{
	return (struct live_portion){sets, nat_flows};
}

static void flows_of_both_tables_are_published(void **state)
{
	(void)state;
	need();
	vip_make(80, VIP_MODE_L4);
	slot_put(0, 0, 1, SLOT_CONFIRMED);
	slot_put(1, 0, 1, SLOT_PROBATION);
	slot_put(2, 0, 1, SLOT_CLOSING);
	nat_put(1, 1, FLOW_ESTABLISHED);
	nat_put(2, 1, FLOW_CLOSING);
	nat_put(3, 2, FLOW_NEW);
	opens[1].count = 44;
	maps->load[1] = (struct load){.running = 4,
				      .waiting = 1,
				      .generation = GENERATION,
				      .sampled_at = clock_realtime_ns()};
	assert_int_equal(step(), LIVE_DONE);
	assert_int_equal(maps->live[1].generation, GENERATION);
	assert_int_equal(maps->live[1].flows, 3);
	assert_int_equal(maps->live[1].opened, 44);
	assert_int_equal(maps->live[1].cost, 5);
	assert_int_equal(maps->live[1].weight, 100);
	assert_true(maps->live[1].counted_at > 0);
	assert_int_equal(maps->live[2].flows, 1);
	assert_int_equal(maps->live[3].generation, 0);
}

static void a_second_sweep_starts_from_nothing(void **state)
{
	(void)state;
	need();
	vip_make(80, VIP_MODE_L4);
	slot_put(0, 0, 1, SLOT_CONFIRMED);
	step();
	slot_put(0, 0, 1, SLOT_CLOSING);
	slot_put(0, 1, 2, SLOT_CONFIRMED);
	opens[2].count = 1;
	assert_int_equal(step(), LIVE_DONE);
	assert_int_equal(maps->live[1].flows, 0);
	assert_int_equal(maps->live[2].flows, 1);
	assert_int_equal(maps->live[2].opened, 1);
}

static void without_an_l4_vip_nothing_is_counted_and_nothing_stays(void **state)
{
	struct vip_key key = key_of(80);

	(void)state;
	need();
	maps->live[9].generation = 3; /* of a controller before us */
	vip_make(81, VIP_MODE_L7);
	assert_int_equal(step(), LIVE_IDLE);
	assert_int_equal(maps->live[9].generation, 0);
	vip_make(80, VIP_MODE_L4);
	slot_put(0, 0, 1, SLOT_CONFIRMED);
	assert_int_equal(step(), LIVE_DONE);
	assert_int_equal(vips_remove(maps, &key), 0);
	assert_int_equal(step(), LIVE_IDLE);
	assert_int_equal(maps->live[1].generation, 0);
}

static void opens_are_read_before_the_flows_are_counted(void **state)
{
	(void)state;
	need();
	live_sweep_free(sweep);
	assert_int_equal(live_sweep_new(maps, part(FLOW_SETS_MIN / 4, 1000), &sweep), 0);
	vip_make(80, VIP_MODE_L4);
	opens[1].count = 10;
	slot_put(0, 0, 1, SLOT_CONFIRMED);
	slot_put(FLOW_SETS_MIN - 1, 0, 1, SLOT_CONFIRMED);
	assert_int_equal(step(), LIVE_PART);
	opens[1].count = 11; /* opened while the table is counted: */
	slot_put(FLOW_SETS_MIN - 1, 1, 1, SLOT_PROBATION);
	assert_int_equal(step(), LIVE_PART);
	assert_int_equal(step(), LIVE_PART);
	assert_int_equal(maps->live[1].generation, 0);
	assert_int_equal(step(), LIVE_DONE);
	assert_int_equal(maps->live[1].opened, 10); /* twice rather than never */
	assert_int_equal(maps->live[1].flows, 3);
}

static void many_nat_flows_are_counted_in_parts_and_each_once(void **state)
{
	int steps = 0;

	(void)state;
	need();
	live_sweep_free(sweep);
	assert_int_equal(live_sweep_new(maps, part(FLOW_SETS_MIN, 1), &sweep), 0);
	vip_make(80, VIP_MODE_L4);
	for (uint16_t port = 1; port <= 5000; port++)
		nat_put(port, 1, FLOW_ESTABLISHED);
	while (step() == LIVE_PART)
		steps++;
	assert_true(steps >= 2); /* the kernel hands out batches of about a thousand */
	assert_int_equal(maps->live[1].flows, 5000);
}

/* ---- clients with a cap ---- */

static struct ip_addr client_of(int number)
{
	struct ip_addr client = {.bytes = {[10] = 0xff, 0xff, 10, 1}};

	client.bytes[14] = (uint8_t)(number >> 8);
	client.bytes[15] = (uint8_t)number;
	return client;
}

static void client_flow_put(int number, uint16_t port, uint32_t state)
{
	const struct flow_key key = {
		.src = client_of(number), .src_port = htons(port), .proto = IPPROTO_TCP};
	const struct nat_flow flow = {.endpoint = 1, .generation = GENERATION, .state = state};
	_cleanup_close_ int fd = pin_open(MAP_NAT_FWD);

	assert_int_equal(bpf_map_update_elem(fd, &key, &flow, BPF_ANY), 0);
}

static void client_put(int number, uint32_t flows)
{
	const struct ip_addr client = client_of(number);
	const struct nat_client count = {.flows = flows};
	_cleanup_close_ int fd = pin_open(MAP_NAT_CLIENTS);

	assert_int_equal(bpf_map_update_elem(fd, &client, &count, BPF_ANY), 0);
}

static uint32_t client_flows(int number)
{
	const struct ip_addr client = client_of(number);
	struct nat_client count = {0};
	_cleanup_close_ int fd = pin_open(MAP_NAT_CLIENTS);

	assert_int_equal(bpf_map_lookup_elem(fd, &client, &count), 0);
	return count.flows;
}

/* Flows of clients 0 to 1999: two, and one that is closing. */
static void clients_make(struct live_portion portion)
{
	live_sweep_free(sweep);
	maps->contract.nat_client_max = 100;
	assert_int_equal(live_sweep_new(maps, portion, &sweep), 0);
	vip_make(80, VIP_MODE_L4);
	for (int number = 0; number < 2000; number++) {
		client_flow_put(number, 1, FLOW_NEW);
		client_flow_put(number, 2, FLOW_ESTABLISHED);
		client_flow_put(number, 3, FLOW_CLOSING);
		client_put(number, number % 2 ? 2 : 9);
	}
}

static void a_client_that_counts_too_high_twice_is_corrected(void **state)
{
	(void)state;
	need();
	clients_make(part(FLOW_SETS_MIN / 2, 1000));
	while (step() != LIVE_DONE)
		;
	for (int number = 0; number < 2000; number++)
		assert_int_equal(client_flows(number), number % 2 ? 2 : 9);
	while (step() != LIVE_DONE)
		;
	for (int number = 0; number < 2000; number++)
		assert_int_equal(client_flows(number), 2);
}

static void what_is_too_high_for_one_sweep_only_stays(void **state)
{
	(void)state;
	need();
	clients_make(part(FLOW_SETS_MIN, NAT_FLOWS_MAX));
	client_put(1, 5); /* three were opened behind the sweep's back */
	assert_int_equal(step(), LIVE_DONE);
	client_flow_put(1, 4, FLOW_NEW);
	client_flow_put(1, 5, FLOW_NEW);
	client_flow_put(1, 6, FLOW_NEW);
	client_put(3, 1); /* too low is not raised */
	assert_int_equal(step(), LIVE_DONE);
	client_put(1, 9);
	assert_int_equal(step(), LIVE_DONE);
	assert_int_equal(client_flows(1), 9);
	assert_int_equal(client_flows(3), 1);
	client_put(1, 6); /* of the four too many only one has been there for two sweeps */
	assert_int_equal(step(), LIVE_DONE);
	assert_int_equal(client_flows(1), 5);
}

static void an_endpoint_that_changes_under_the_sweep_is_not_published(void **state)
{
	(void)state;
	need();
	live_sweep_free(sweep);
	assert_int_equal(live_sweep_new(maps, part(FLOW_SETS_MIN / 2, 1000), &sweep), 0);
	vip_make(80, VIP_MODE_L4);
	slot_put(0, 0, 1, SLOT_CONFIRMED);
	slot_put(0, 1, 2, SLOT_CONFIRMED);
	step();
	maps->endpoints[1].generation++;
	maps->endpoints[2].way = WAY_NONE;
	assert_int_equal(step(), LIVE_DONE);
	assert_int_equal(maps->live[1].generation, 0);
	assert_int_equal(maps->live[2].generation, 0);
	slot_put(0, 0, 1, SLOT_FREE);
	step();
	assert_int_equal(step(), LIVE_DONE);
	assert_int_equal(maps->live[1].generation, GENERATION + 1);
	assert_int_equal(maps->live[1].flows, 0);
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, fresh, leave)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(flows_of_both_tables_are_published),
		CASE(a_second_sweep_starts_from_nothing),
		CASE(without_an_l4_vip_nothing_is_counted_and_nothing_stays),
		CASE(opens_are_read_before_the_flows_are_counted),
		CASE(many_nat_flows_are_counted_in_parts_and_each_once),
		CASE(a_client_that_counts_too_high_twice_is_corrected),
		CASE(what_is_too_high_for_one_sweep_only_stays),
		CASE(an_endpoint_that_changes_under_the_sweep_is_not_published),
	};

	return cmocka_run_group_tests(tests, group_setup, NULL);
}
