// SPDX-License-Identifier: BSD-2-Clause
/* A plan on real pinned maps and a real lo, both of this test's own namespaces. */
#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <cmocka.h>

#include "maps/access/maps.h"
#include "tests/harness/pinned_maps.h"
#include "userspace/base/address.h"
#include "userspace/base/cleanup.h"
#include "userspace/base/instance.h"
#include "userspace/publish/apply.h"
#include "userspace/publish/snapshot.h"
#include "userspace/sources/desired.h"

#define VIP "10.99.0.1"

struct world {
	struct instance instance;
	struct maps *maps;
	struct plan_cursor cursor;
	char path[64];
	struct desired desired;
	struct desired_cluster cluster;
	struct desired_endpoint endpoints[2];
	uint32_t members[2];
	struct desired_pool pool;
	struct desired_vip vips[2];
};

static int lo_set_up(void)
{
	struct ifreq request = {.ifr_name = "lo", .ifr_flags = IFF_UP};
	_cleanup_close_ int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	return fd < 0 || ioctl(fd, SIOCSIFFLAGS, &request) < 0 ? -errno : 0;
}

static void world_fill(struct world *world)
{
	world->cluster = (struct desired_cluster){"cluster-a", "europe-west4"};
	for (int i = 0; i < 2; i++) {
		world->endpoints[i] = (struct desired_endpoint){
			.port = 8000, .name = i ? "ai/two" : "ai/one", .zone = "a"};
		address_parse(i ? "10.10.0.2" : "10.10.0.1", &world->endpoints[i].addr);
		world->members[i] = (uint32_t)i;
		world->vips[i].port = i ? 81 : 80;
		address_parse(VIP, &world->vips[i].addr);
	}
	world->pool = (struct desired_pool){.name = "ai/gemma",
					    .kind = "InferencePool",
					    .endpoints = world->members,
					    .endpoint_count = 2};
	world->desired = (struct desired){
		.clusters = &world->cluster,
		.cluster_count = 1,
		.endpoints = world->endpoints,
		.endpoint_count = 2,
		.pools = &world->pool,
		.pool_count = 1,
		.vips = world->vips,
		.vip_count = 2,
	};
}

static bool prepared;

static int group_setup(void **state)
{
	(void)state;
	prepared = pinned_maps_prepare();
	if (prepared && (unshare(CLONE_NEWNET) < 0 || lo_set_up() < 0)) {
		printf("skip: a network namespace needs root (%s)\n", strerror(errno));
		prepared = false;
	}
	return 0;
}

static int world_setup(void **state)
{
	struct world *world = calloc(1, sizeof(*world));

	*state = world;
	if (!world || !prepared)
		return world ? 0 : -1;
	world_fill(world);
	snprintf(world->path, sizeof(world->path), "/tmp/sluice-test-apply-%d.json", getpid());
	if (instance_init(&world->instance, "unit-apply") < 0 ||
	    pinned_maps_make(&world->instance, NULL) < 0)
		return -1;
	return maps_open(&world->instance, MAPS_CONTROLLER, &world->maps);
}

static int world_teardown(void **state)
{
	struct world *world = *state;

	maps_close(world->maps);
	if (world->path[0])
		unlink(world->path);
	free(world);
	return 0;
}

static struct world *world_get(void **state)
{
	if (!prepared) {
		printf("skip: no pinned maps of our own\n");
		skip();
	}
	return *state;
}

static int publish_to(struct world *world, const char *path)
{
	_cleanup_(snapshot_freep) struct snapshot *snapshot = NULL;
	_cleanup_(plan_freep) struct plan *plan = NULL;
	struct apply_view view;
	int err;

	assert_int_equal(apply_view_read(world->maps, &view), 0);
	assert_int_equal(plan_make(&world->desired, &view.observed, &world->cursor, &plan), 0);
	assert_int_equal(plan_snapshot(plan, &world->desired, 1, 1, &snapshot), 0);
	err = apply_plan(world->maps, plan, &view, snapshot, path);
	world->cursor = plan->cursor;
	apply_view_deinit(&view);
	return err;
}

static void publish(struct world *world)
{
	assert_int_equal(publish_to(world, world->path), 0);
}

static int vip_get(struct world *world, uint16_t port, struct vip *ret_vip)
{
	struct vip_key key = {.port = htons(port), .proto = IPPROTO_TCP};

	assert_int_equal(address_parse(VIP, &key.addr), 0);
	return vips_lookup(world->maps, &key, ret_vip);
}

static bool vip_is_local(void)
{
	struct sockaddr_in sa = {.sin_family = AF_INET};
	_cleanup_close_ int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	inet_pton(AF_INET, VIP, &sa.sin_addr);
	return bind(fd, (struct sockaddr *)&sa, sizeof(sa)) == 0;
}

static void an_applied_plan_is_in_the_maps_and_on_lo(void **state)
{
	struct world *world = world_get(state);
	struct vip vip;

	publish(world);
	assert_string_equal(world->maps->endpoints[1].name, "ai/two");
	assert_int_equal(world->maps->endpoints[1].way, WAY_NAT);
	assert_int_equal(world->maps->health[1].generation, 1);
	assert_int_equal(world->maps->load[1].generation, 1);
	assert_string_equal(world->maps->pools[0].name, "ai/gemma");
	assert_string_equal(world->maps->clusters[0].region, "europe-west4");
	assert_int_equal(vip_get(world, 81, &vip), 0);
	assert_int_equal(vip.owner, VIP_OWNER_CONTROLLER);
	assert_int_equal(vip.flags, VIP_F_ADDRESS_ADDED);
	assert_true(vip_is_local());
	assert_int_equal(access(world->path, R_OK), 0);
	assert_int_equal(endpoint_use(world->maps, 1, 1), ENDPOINT_USABLE);
	world->desired.vip_count = 0;
	publish(world);
}

static void an_address_goes_with_the_last_of_its_vips(void **state)
{
	struct world *world = world_get(state);
	struct vip vip;

	publish(world);
	world->desired.vip_count = 1; /* port 81 goes */
	publish(world);
	assert_int_equal(vip_get(world, 81, &vip), -ENOENT);
	assert_true(vip_is_local());
	world->desired.vip_count = 0;
	publish(world);
	assert_int_equal(vip_get(world, 80, &vip), -ENOENT);
	assert_false(vip_is_local());
}

static void a_restart_keeps_health_and_round_trip(void **state)
{
	struct world *world = world_get(state);
	struct vip vip;

	publish(world);
	world->maps->health[0].state = HEALTH_UP;
	world->maps->clusters[0].rtt_us = 1234;
	world->cursor = (struct plan_cursor){0};
	world->endpoints[0].zone = "moved";
	world->cluster.region = "us-east5";
	publish(world);
	assert_string_equal(world->maps->endpoints[0].zone, "moved");
	assert_int_equal(world->maps->health[0].state, HEALTH_UP);
	assert_int_equal(world->maps->clusters[0].rtt_us, 1234);
	assert_string_equal(world->maps->clusters[0].region, "us-east5");
	assert_int_equal(vip_get(world, 80, &vip), 0);
	assert_int_equal(vip.flags, VIP_F_ADDRESS_ADDED);
	world->desired.vip_count = 0;
	publish(world);
}

static void a_removed_endpoint_frees_its_slot_and_keeps_its_generation(void **state)
{
	struct world *world = world_get(state);

	world->desired.vip_count = 0;
	publish(world);
	world->desired.endpoint_count = 1;
	world->pool.endpoint_count = 1;
	publish(world);
	assert_int_equal(world->maps->endpoints[1].way, WAY_NONE);
	assert_int_equal(world->maps->endpoints[1].generation, 1);
	assert_int_equal(endpoint_use(world->maps, 1, 1), ENDPOINT_FREE);
	assert_int_equal(world->maps->pools[0].endpoints, 1);
}

static struct flow_slot slot_to(uint32_t endpoint)
{
	return (struct flow_slot){
		.where = (uint16_t)(endpoint | SLOT_CONFIRMED << FLOW_ENDPOINT_BITS)};
}

static void an_id_leaves_the_flow_table_when_it_goes_and_before_it_comes_back(void **state)
{
	struct world *world = world_get(state);
	struct flow_slot *slots = world->maps->flows[3].slots;

	world->desired.vip_count = 0;
	publish(world);
	slots[0] = slot_to(0);
	slots[1] = slot_to(1);
	world->desired.endpoint_count = world->pool.endpoint_count = 1;
	publish(world);
	assert_int_equal(slots[1].where, 0);
	slots[1] = slot_to(1); /* by a packet that was on its way, or a controller that died */
	slots[2] = slot_to(2);
	address_parse("10.10.0.3", &world->endpoints[1].addr);
	world->desired.endpoint_count = world->pool.endpoint_count = 2;
	publish(world); /* ids of generation 0 come first: id 2 is taken */
	assert_int_equal(world->maps->endpoints[2].way, WAY_NAT);
	assert_int_equal(slots[2].where, 0);
	assert_int_equal(slots[0].where, slot_to(0).where); /* that one stayed */
}

static void a_snapshot_that_cannot_be_written_leaves_what_serves(void **state)
{
	struct world *world = world_get(state);
	struct vip vip;

	publish(world);
	world->desired.vip_count = 1;
	world->desired.endpoint_count = 1;
	world->pool.endpoint_count = 1;
	assert_true(publish_to(world, "/nonexistent/dir/routes.json") < 0);
	assert_int_equal(vip_get(world, 81, &vip), 0);
	assert_int_equal(world->maps->endpoints[1].way, WAY_NAT);
	world->desired.vip_count = 0;
	publish(world);
}

static void records_of_the_operator_stay_as_they_are(void **state)
{
	struct world *world = world_get(state);
	const struct vip theirs = {.id = VIPS_MAX - 1,
				   .pool = POOLS_MAX - 1,
				   .mode = VIP_MODE_L4,
				   .owner = VIP_OWNER_OPERATOR};
	struct vip_key key = {.port = htons(80), .proto = IPPROTO_TCP};
	struct vip vip;

	assert_int_equal(address_parse(VIP, &key.addr), 0);
	assert_int_equal(vips_put(world->maps, &key, &theirs), 0);
	world->maps->endpoints[ENDPOINTS_MAX - 1] =
		(struct endpoint){.way = WAY_NAT, .owner = VIP_OWNER_OPERATOR};
	publish(world);
	world->desired = (struct desired){0};
	publish(world);
	assert_int_equal(vip_get(world, 80, &vip), 0);
	assert_memory_equal(&vip, &theirs, sizeof(vip));
	assert_int_equal(world->maps->endpoints[ENDPOINTS_MAX - 1].way, WAY_NAT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(an_applied_plan_is_in_the_maps_and_on_lo,
						world_setup, world_teardown),
		cmocka_unit_test_setup_teardown(an_address_goes_with_the_last_of_its_vips,
						world_setup, world_teardown),
		cmocka_unit_test_setup_teardown(a_restart_keeps_health_and_round_trip, world_setup,
						world_teardown),
		cmocka_unit_test_setup_teardown(
			a_removed_endpoint_frees_its_slot_and_keeps_its_generation, world_setup,
			world_teardown),
		cmocka_unit_test_setup_teardown(
			an_id_leaves_the_flow_table_when_it_goes_and_before_it_comes_back,
			world_setup, world_teardown),
		cmocka_unit_test_setup_teardown(
			a_snapshot_that_cannot_be_written_leaves_what_serves, world_setup,
			world_teardown),
		cmocka_unit_test_setup_teardown(records_of_the_operator_stay_as_they_are,
						world_setup, world_teardown),
	};

	return cmocka_run_group_tests(tests, group_setup, NULL);
}
