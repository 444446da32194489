// SPDX-License-Identifier: BSD-2-Clause
/* Ids across reloads and restarts, on maps that are plain memory. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
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
#include "userspace/publish/plan.h"
#include "userspace/publish/snapshot.h"
#include "userspace/sources/desired.h"

#define PODS_MAX 8

/* The maps, and what an apply does to them. */
static struct {
	struct endpoint endpoints[ENDPOINTS_MAX];
	struct pool pools[POOLS_MAX];
	struct cluster clusters[CLUSTERS_MAX];
	struct admin admin[ADMIN_SLOTS];
	struct plan_vip vips[16];
	size_t vip_count;
	struct plan_cursor cursor;
} maps;

static int maps_reset(void **state)
{
	(void)state;
	memset(&maps, 0, sizeof(maps));
	return 0;
}

static struct plan *plan_of(const struct desired *desired)
{
	const struct plan_observed observed = {
		.endpoints = maps.endpoints,
		.pools = maps.pools,
		.clusters = maps.clusters,
		.admin = maps.admin,
		.vips = maps.vips,
		.vip_count = maps.vip_count,
	};
	struct plan *plan = NULL;

	assert_int_equal(plan_make(desired, &observed, &maps.cursor, &plan), 0);
	return plan;
}

static void vip_store(const struct plan_vip *vip)
{
	for (size_t i = 0; i < maps.vip_count; i++) {
		if (memcmp(&maps.vips[i].key, &vip->key, sizeof(vip->key)) == 0) {
			maps.vips[i] = *vip;
			return;
		}
	}
	maps.vips[maps.vip_count++] = *vip;
}

static void vip_drop(const struct vip_key *key)
{
	for (size_t i = 0; i < maps.vip_count; i++) {
		if (memcmp(&maps.vips[i].key, key, sizeof(*key)) == 0)
			maps.vips[i] = maps.vips[--maps.vip_count];
	}
}

static void plan_store(const struct plan *plan)
{
	for (size_t i = 0; i < plan->endpoint_count; i++)
		if (plan->endpoints[i].id != ENDPOINT_NONE)
			maps.endpoints[plan->endpoints[i].id] = plan->endpoints[i].record;
	for (size_t i = 0; i < plan->pool_count; i++)
		maps.pools[plan->pools[i].id] = plan->pools[i].record;
	for (size_t i = 0; i < plan->cluster_count; i++)
		maps.clusters[plan->clusters[i].id] = plan->clusters[i].record;
	for (size_t i = 0; i < plan->vip_count; i++)
		if (plan->vips[i].key.port)
			vip_store(&plan->vips[i]);
	for (size_t i = 0; i < plan->gone_endpoint_count; i++)
		maps.endpoints[plan->gone_endpoints[i]].way = WAY_NONE;
	for (size_t i = 0; i < plan->gone_pool_count; i++)
		memset(&maps.pools[plan->gone_pools[i]], 0, sizeof(struct pool));
	for (size_t i = 0; i < plan->gone_cluster_count; i++)
		memset(&maps.clusters[plan->gone_clusters[i]], 0, sizeof(struct cluster));
	for (size_t i = 0; i < plan->gone_vip_count; i++)
		vip_drop(&plan->gone_vips[i].key);
	maps.cursor = plan->cursor;
}

/* A small world: two clusters, one pool over both, pods with the given last
 * octets, of which those above 100 are in the second cluster. */
struct world {
	struct desired desired;
	struct desired_cluster clusters[2];
	struct desired_endpoint endpoints[PODS_MAX];
	char names[PODS_MAX][32];
	uint32_t members[PODS_MAX];
	struct desired_pool pools[2];
	struct desired_vip vips[2];
};

static void world_add_pod(struct world *world, int octet, const char *name)
{
	size_t i = world->desired.endpoint_count++;
	char text[32];

	snprintf(text, sizeof(text), "10.10.0.%d", octet);
	snprintf(world->names[i], sizeof(world->names[i]), "ai/%s", name);
	world->endpoints[i] = (struct desired_endpoint){
		.port = 8000,
		.cluster = octet > 100,
		.name = world->names[i],
		.zone = "a",
		.engine = "vllm",
	};
	assert_int_equal(address_parse(text, &world->endpoints[i].addr), 0);
	world->members[i] = (uint32_t)i;
	world->pools[0].endpoint_count = i + 1;
}

static void world_init(struct world *world)
{
	memset(world, 0, sizeof(*world));
	world->clusters[0] = (struct desired_cluster){"cluster-a", "europe-west4"};
	world->clusters[1] = (struct desired_cluster){"cluster-b", "us-east5"};
	world->pools[0] = (struct desired_pool){
		.name = "ai/gemma", .kind = "InferencePool", .endpoints = world->members};
	world->pools[1] = (struct desired_pool){
		.name = "ai/llama", .kind = "InferencePool", .endpoints = world->members};
	assert_int_equal(address_parse("10.99.0.1", &world->vips[0].addr), 0);
	world->vips[0].port = 80;
	assert_int_equal(address_parse("10.99.0.1", &world->vips[1].addr), 0);
	world->vips[1].port = 81;
	world->desired.clusters = world->clusters;
	world->desired.cluster_count = 2;
	world->desired.endpoints = world->endpoints;
	world->desired.pools = world->pools;
	world->desired.pool_count = 1;
	world->desired.vips = world->vips;
	world->desired.vip_count = 1;
}

static void publish(const struct world *world)
{
	_cleanup_(plan_freep) struct plan *plan = plan_of(&world->desired);

	plan_store(plan);
}

static void ids_are_given_from_zero_upwards(void **state)
{
	_cleanup_(plan_freep) struct plan *plan = NULL;
	struct world world;

	(void)state;
	world_init(&world);
	world_add_pod(&world, 1, "one");
	world_add_pod(&world, 101, "two");
	plan = plan_of(&world.desired);
	assert_int_equal(plan->endpoints[0].id, 0);
	assert_int_equal(plan->endpoints[1].id, 1);
	assert_int_equal(plan->endpoints[0].record.generation, 1);
	assert_int_equal(plan->endpoints[1].record.cluster, 1);
	assert_int_equal(plan->endpoints[0].record.port, htons(8000));
	assert_int_equal(plan->endpoints[0].record.way, WAY_NAT);
	assert_true(plan->endpoints[0].fresh);
	assert_int_equal(plan->pools[0].id, 0);
	assert_int_equal(plan->pools[0].record.endpoints, 2);
	assert_int_equal(plan->clusters[1].record.endpoints, 1);
	assert_int_equal(plan->vips[0].vip.pool, POOL_NONE);
	assert_int_equal(plan->vips[0].vip.mode, VIP_MODE_L7);
	assert_int_equal(plan->vips[0].key.port, htons(80));
	assert_true(plan_has_changes(plan));
}

static void nothing_changes_when_nothing_changed(void **state)
{
	_cleanup_(plan_freep) struct plan *plan = NULL;
	struct world world;

	(void)state;
	world_init(&world);
	world_add_pod(&world, 1, "one");
	world_add_pod(&world, 101, "two");
	publish(&world);
	plan = plan_of(&world.desired);
	assert_false(plan_has_changes(plan));
	assert_int_equal(plan->endpoints[1].id, 1);
	assert_false(plan->endpoints[1].fresh);
}

static void a_restarted_controller_adopts_the_ids_it_finds(void **state)
{
	_cleanup_(plan_freep) struct plan *plan = NULL;
	struct world world;

	(void)state;
	world_init(&world);
	world_add_pod(&world, 1, "one");
	world_add_pod(&world, 2, "two");
	publish(&world);
	maps.cursor = (struct plan_cursor){0}; /* what a restart forgets */
	world_init(&world);
	world_add_pod(&world, 2, "two"); /* "one" is gone meanwhile */
	world_add_pod(&world, 3, "three");
	plan = plan_of(&world.desired);
	assert_int_equal(plan->endpoints[0].id, 1);
	assert_int_equal(plan->endpoints[0].record.generation, 1);
	assert_false(plan->endpoints[0].fresh);
	assert_int_equal(plan->endpoints[1].id, 2);
	assert_int_equal(plan->gone_endpoint_count, 1);
	assert_int_equal(plan->gone_endpoints[0], 0);
	assert_false(plan->vips[0].changed);
}

static void another_pod_at_the_same_address_is_another_endpoint(void **state)
{
	_cleanup_(plan_freep) struct plan *plan = NULL;
	struct world world;

	(void)state;
	world_init(&world);
	world_add_pod(&world, 1, "old");
	publish(&world);
	world_init(&world);
	world_add_pod(&world, 1, "new");
	plan = plan_of(&world.desired);
	assert_true(plan->endpoints[0].fresh);
	assert_int_equal(plan->endpoints[0].id, 1);
	assert_int_equal(plan->gone_endpoints[0], 0);
}

static void a_change_of_zone_or_pool_keeps_id_and_generation(void **state)
{
	_cleanup_(plan_freep) struct plan *plan = NULL;
	struct world world;

	(void)state;
	world_init(&world);
	world_add_pod(&world, 1, "one");
	publish(&world);
	world.endpoints[0].zone = "b";
	plan = plan_of(&world.desired);
	assert_int_equal(plan->endpoints[0].id, 0);
	assert_int_equal(plan->endpoints[0].record.generation, 1);
	assert_true(plan->endpoints[0].changed);
	assert_false(plan->endpoints[0].fresh);
}

static void a_freed_id_is_taken_last_and_with_a_higher_generation(void **state)
{
	_cleanup_(plan_freep) struct plan *plan = NULL;
	struct world world;

	(void)state;
	world_init(&world);
	world_add_pod(&world, 1, "one");
	publish(&world);
	world_init(&world);
	world_add_pod(&world, 2, "two");
	publish(&world);
	assert_int_equal(maps.endpoints[0].way, WAY_NONE);
	assert_int_equal(maps.endpoints[1].way, WAY_NAT);
	/* every other slot is the operator's: now the freed one must serve */
	for (uint32_t id = 2; id < ENDPOINTS_MAX; id++) {
		maps.endpoints[id].way = WAY_NAT;
		maps.endpoints[id].owner = VIP_OWNER_OPERATOR;
	}
	world_add_pod(&world, 3, "three");
	plan = plan_of(&world.desired);
	assert_int_equal(plan->endpoints[1].id, 0);
	assert_int_equal(plan->endpoints[1].record.generation, 2);
}

static void a_full_table_leaves_endpoints_out_and_says_so_once(void **state)
{
	_cleanup_(plan_freep) struct plan *plan = NULL;
	struct world world;

	(void)state;
	for (uint32_t id = 1; id < ENDPOINTS_MAX; id++) {
		maps.endpoints[id].way = WAY_NAT;
		maps.endpoints[id].owner = VIP_OWNER_OPERATOR;
	}
	world_init(&world);
	world_add_pod(&world, 1, "one");
	world_add_pod(&world, 2, "two");
	plan = plan_of(&world.desired);
	assert_int_equal(plan->endpoints[0].id, 0);
	assert_int_equal(plan->endpoints[1].id, ENDPOINT_NONE);
	assert_int_equal(plan->messages.count, 1);
	assert_int_equal(plan->clusters[0].record.endpoints, 1);
}

static void a_full_table_still_lets_a_pod_be_replaced(void **state)
{
	_cleanup_(plan_freep) struct plan *plan = NULL;
	struct world world;

	(void)state;
	for (uint32_t id = 1; id < ENDPOINTS_MAX; id++) {
		maps.endpoints[id].way = WAY_NAT;
		maps.endpoints[id].owner = VIP_OWNER_OPERATOR;
	}
	world_init(&world);
	world_add_pod(&world, 1, "one");
	publish(&world);
	world_init(&world);
	world_add_pod(&world, 2, "two");
	plan = plan_of(&world.desired);
	assert_int_equal(plan->endpoints[0].id, 0);
	assert_int_equal(plan->endpoints[0].record.generation, 2);
	assert_int_equal(plan->gone_endpoint_count, 0);
}

static void records_of_the_operator_are_never_adopted_or_freed(void **state)
{
	_cleanup_(plan_freep) struct plan *plan = NULL;
	struct world world;

	(void)state;
	world_init(&world);
	world_add_pod(&world, 1, "one");
	publish(&world);
	/* the same things, but the operator's */
	maps.endpoints[0].owner = VIP_OWNER_OPERATOR;
	maps.pools[0].owner = VIP_OWNER_OPERATOR;
	maps.vips[0].vip.owner = VIP_OWNER_OPERATOR;
	plan = plan_of(&world.desired);
	assert_int_equal(plan->endpoints[0].id, 1);
	assert_int_equal(plan->pools[0].id, 1);
	assert_int_equal(plan->vips[0].key.port, 0);
	assert_int_equal(plan->messages.count, 1);
	assert_int_equal(plan->gone_endpoint_count, 0);
	assert_int_equal(plan->gone_pool_count, 0);
	assert_int_equal(plan->gone_vip_count, 0);
}

static void what_is_no_longer_wanted_is_given_back(void **state)
{
	_cleanup_(plan_freep) struct plan *plan = NULL;
	struct world world;

	(void)state;
	world_init(&world);
	world_add_pod(&world, 101, "one");
	world.desired.vip_count = 2;
	world.desired.pool_count = 2;
	publish(&world);
	world.desired.endpoint_count = 0;
	world.pools[0].endpoint_count = 0;
	world.desired.vip_count = 1;
	world.desired.pool_count = 1;
	world.desired.cluster_count = 1;
	plan = plan_of(&world.desired);
	assert_int_equal(plan->gone_endpoint_count, 1);
	assert_int_equal(plan->gone_pool_count, 1);
	assert_int_equal(plan->gone_pools[0], 1);
	assert_int_equal(plan->gone_cluster_count, 1);
	assert_int_equal(plan->gone_clusters[0], 1);
	assert_int_equal(plan->gone_vip_count, 1);
	assert_int_equal(plan->gone_vips[0].key.port, htons(81));
}

static void a_new_cluster_does_not_inherit_the_drain_of_an_old_one(void **state)
{
	_cleanup_(plan_freep) struct plan *plan = NULL;
	struct world world;

	(void)state;
	maps.admin[ADMIN_CLUSTER_BASE + 0].state = ADMIN_DRAIN;
	world_init(&world);
	plan = plan_of(&world.desired);
	assert_int_equal(plan->clusters[0].id, 1);
	assert_int_equal(plan->clusters[1].id, 2);
}

static void a_full_table_of_clusters_can_still_be_renamed(void **state)
{
	_cleanup_(plan_freep) struct plan *plan = NULL;
	struct world world;

	(void)state;
	for (int id = 0; id < CLUSTERS_MAX; id++)
		snprintf(maps.clusters[id].name, sizeof(maps.clusters[id].name), "old-%d", id);
	world_init(&world);
	plan = plan_of(&world.desired);
	assert_int_equal(plan->clusters[0].id, 0);
	assert_true(plan->clusters[0].fresh);
	assert_int_equal(plan->gone_cluster_count, CLUSTERS_MAX - 2);
}

static void pools_of_one_name_and_two_kinds_keep_their_ids(void **state)
{
	_cleanup_(plan_freep) struct plan *plan = NULL;
	struct world world;

	(void)state;
	world_init(&world);
	world.pools[1].name = world.pools[0].name;
	world.pools[1].kind = "InferencePoolImport";
	world.desired.pool_count = 2;
	publish(&world);
	plan = plan_of(&world.desired);
	assert_int_equal(plan->pools[0].id, 0);
	assert_int_equal(plan->pools[1].id, 1);
	assert_false(plan_has_changes(plan));
}

static void long_names_are_cut_and_still_recognised(void **state)
{
	_cleanup_(plan_freep) struct plan *plan = NULL;
	struct world world;
	char name[300];

	(void)state;
	memset(name, 'x', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	world_init(&world);
	world_add_pod(&world, 1, "one");
	world.endpoints[0].name = name;
	world.pools[0].name = name;
	world.clusters[0].name = name;
	publish(&world);
	plan = plan_of(&world.desired);
	assert_false(plan_has_changes(plan));
}

static void flags_of_an_adopted_vip_stay(void **state)
{
	_cleanup_(plan_freep) struct plan *plan = NULL;
	struct world world;

	(void)state;
	world_init(&world);
	publish(&world);
	maps.vips[0].vip.flags = VIP_F_ADDRESS_ADDED;
	plan = plan_of(&world.desired);
	assert_int_equal(plan->vips[0].vip.flags, VIP_F_ADDRESS_ADDED);
	assert_false(plan->vips[0].changed);
}

static void the_snapshot_names_endpoints_by_id_and_generation(void **state)
{
	_cleanup_(snapshot_freep) struct snapshot *snapshot = NULL;
	_cleanup_(plan_freep) struct plan *plan = NULL;
	struct desired_listener listener = {"infra/gateway", "http", 0, NULL};
	struct snapshot_rewrite rewrite = {.name = "ai/w"};
	struct world world;

	(void)state;
	maps.endpoints[0].generation = 7; /* was in use once */
	world_init(&world);
	world_add_pod(&world, 1, "one");
	world_add_pod(&world, 101, "two");
	world.desired.listeners = &listener;
	world.desired.listener_count = 1;
	plan = plan_of(&world.desired);
	world.pools[0].rewrite_count = 1;
	world.pools[0].rewrites = &rewrite;
	assert_int_equal(plan_snapshot(plan, &world.desired, 42, 1000, &snapshot), 0);
	assert_int_equal(snapshot->generation, 42);
	assert_int_equal(snapshot->pools[0].endpoint_count, 2);
	assert_int_equal(snapshot->pools[0].endpoints[0].id, 1);
	assert_int_equal(snapshot->pools[0].endpoints[0].generation, 1);
	assert_int_equal(snapshot->pools[0].endpoints[1].cluster, 1);
	assert_string_equal(snapshot->clusters[1].region, "us-east5");
	assert_int_equal(snapshot->pools[0].rewrite_count, 1);
	assert_string_equal(snapshot->pools[0].rewrites[0].name, "ai/w");
	assert_int_equal(snapshot->listeners[0].port, 80);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(ids_are_given_from_zero_upwards, maps_reset),
		cmocka_unit_test_setup(nothing_changes_when_nothing_changed, maps_reset),
		cmocka_unit_test_setup(a_restarted_controller_adopts_the_ids_it_finds, maps_reset),
		cmocka_unit_test_setup(another_pod_at_the_same_address_is_another_endpoint,
				       maps_reset),
		cmocka_unit_test_setup(a_change_of_zone_or_pool_keeps_id_and_generation,
				       maps_reset),
		cmocka_unit_test_setup(a_freed_id_is_taken_last_and_with_a_higher_generation,
				       maps_reset),
		cmocka_unit_test_setup(a_full_table_leaves_endpoints_out_and_says_so_once,
				       maps_reset),
		cmocka_unit_test_setup(a_full_table_still_lets_a_pod_be_replaced, maps_reset),
		cmocka_unit_test_setup(records_of_the_operator_are_never_adopted_or_freed,
				       maps_reset),
		cmocka_unit_test_setup(what_is_no_longer_wanted_is_given_back, maps_reset),
		cmocka_unit_test_setup(a_new_cluster_does_not_inherit_the_drain_of_an_old_one,
				       maps_reset),
		cmocka_unit_test_setup(a_full_table_of_clusters_can_still_be_renamed, maps_reset),
		cmocka_unit_test_setup(pools_of_one_name_and_two_kinds_keep_their_ids, maps_reset),
		cmocka_unit_test_setup(long_names_are_cut_and_still_recognised, maps_reset),
		cmocka_unit_test_setup(flags_of_an_adopted_vip_stay, maps_reset),
		cmocka_unit_test_setup(the_snapshot_names_endpoints_by_id_and_generation,
				       maps_reset),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
