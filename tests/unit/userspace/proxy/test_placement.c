// SPDX-License-Identifier: BSD-2-Clause
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "userspace/base/clock.h"
#include "userspace/proxy/placement.h"

#define NOW (1000 * NS_PER_S)
#define REAL (5000000 * NS_PER_S)

struct place {
	struct maps maps;
	struct placement placement;
	uint32_t rows_high;
};

static struct snapshot_cluster clusters[] = {{.id = 0, .name = "a"}, {.id = 1, .name = "b"}};
static struct snapshot_endpoint endpoints[] = {
	{.id = 0, .generation = 1, .cluster = 0},
	{.id = 1, .generation = 1, .cluster = 0},
	{.id = 2, .generation = 1, .cluster = 1},
};
static struct snapshot snapshot = {.clusters = clusters, .cluster_count = 2};
static struct snapshot_pool pool = {.endpoints = endpoints, .endpoint_count = 3};

static int place_make(void **state)
{
	static struct place place;

	place = (struct place){.rows_high = 2};
	place.maps.endpoints = calloc(ENDPOINTS_MAX, sizeof(struct endpoint));
	place.maps.clusters = calloc(CLUSTERS_MAX, sizeof(struct cluster));
	place.maps.admin = calloc(ADMIN_SLOTS, sizeof(struct admin));
	place.maps.health = calloc(ENDPOINTS_MAX, sizeof(struct health));
	place.maps.load = calloc(ENDPOINTS_MAX, sizeof(struct load));
	place.maps.inflight = calloc((size_t)WORKERS_MAX * ENDPOINTS_MAX, sizeof(struct inflight));
	place.maps.clusters[0].rtt_us = 1000;
	place.maps.clusters[1].rtt_us = 40000;
	for (uint32_t i = 0; i < 3; i++) {
		place.maps.endpoints[i].way = WAY_NAT;
		place.maps.endpoints[i].generation = 1;
		place.maps.endpoints[i].cluster = i == 2;
		place.maps.load[i] = (struct load){.generation = 1, .sampled_at = REAL};
	}
	*state = &place;
	return placement_init(&place.placement, &place.maps, &place.rows_high);
}

static int place_remove(void **state)
{
	struct place *place = *state;

	placement_deinit(&place->placement);
	free(place->maps.endpoints);
	free(place->maps.clusters);
	free(place->maps.admin);
	free(place->maps.health);
	free(place->maps.load);
	free(place->maps.inflight);
	return 0;
}

static struct pick pick_at(struct place *place, struct placement_request request, uint64_t now)
{
	request.tokens = 100;
	return placement_pick(&place->placement, &snapshot, &pool, &request, now, REAL);
}

static struct pick pick(struct place *place, struct placement_request request)
{
	return pick_at(place, request, NOW);
}

static void all_workers_counts_are_seen(void **state)
{
	struct place *place = *state;

	place->maps.inflight[0].requests = 1; /* row 0, endpoint 0 */
	assert_int_equal(pick(place, (struct placement_request){0}).index, 1);
	place->maps.inflight[ENDPOINTS_MAX + 1].requests = 5; /* row 1, endpoint 1 */
	assert_int_equal(pick(place, (struct placement_request){0}).index, 0);
	/* a row that no worker holds does not count */
	place->maps.inflight[2 * ENDPOINTS_MAX].requests = 100;
	assert_int_equal(pick(place, (struct placement_request){0}).index, 0);
}

static void down_draining_and_strange_endpoints_are_left_out(void **state)
{
	struct place *place = *state;

	place->maps.health[0] = (struct health){.state = HEALTH_DOWN, .generation = 1};
	assert_int_equal(pick(place, (struct placement_request){0}).index, 1);
	place->maps.admin[1] = (struct admin){.state = ADMIN_DRAIN, .generation = 1};
	assert_int_equal(pick(place, (struct placement_request){0}).index, 2);
	place->maps.endpoints[2].generation = 2; /* the id is another pod's by now */
	assert_true(pick(place, (struct placement_request){0}).index == SIZE_MAX);
	assert_int_equal(pick(place, (struct placement_request){0}).reason, PICK_NONE_DRAINING);
}

static void a_drained_cluster_gives_to_the_other(void **state)
{
	struct place *place = *state;

	place->maps.admin[ADMIN_CLUSTER_BASE + 0].state = ADMIN_DRAIN;
	assert_int_equal(pick(place, (struct placement_request){0}).index, 2);
	assert_int_equal(pick(place, (struct placement_request){0}).reason, PICK_FAILOVER);
}

static void where_it_failed_a_request_does_not_return(void **state)
{
	struct place *place = *state;
	struct placement_request request = {.tried = {0, 1}, .tried_count = 2};

	assert_int_equal(pick(place, request).index, 2);
	request.tried[request.tried_count++] = 2;
	assert_int_equal(pick(place, request).reason, PICK_NONE_TRIED);
}

static void a_suspect_cluster_is_avoided_while_another_is_left(void **state)
{
	struct place *place = *state;
	struct placement_request request = {.tried = {0}, .tried_count = 1, .suspect_clusters = 1};

	assert_int_equal(pick(place, request).index, 2);
	request.tried[request.tried_count++] = 2;
	assert_int_equal(pick(place, request).index, 1);
}

static void one_failed_probe_is_enough_to_prefer_another(void **state)
{
	struct place *place = *state;

	place->maps.health[0] = (struct health){.state = HEALTH_UP, .fall = 1, .generation = 1};
	assert_int_equal(pick(place, (struct placement_request){0}).index, 1);
	place->maps.health[1] = place->maps.health[2] = place->maps.health[0];
	assert_true(pick(place, (struct placement_request){0}).index != SIZE_MAX);
	place->maps.health[0].generation = 7; /* said of another pod */
	assert_int_equal(pick(place, (struct placement_request){0}).index, 0);
}

static void an_endpoint_that_failed_rests_and_is_tried_again(void **state)
{
	struct place *place = *state;
	uint64_t later = NOW + 60 * NS_PER_S;

	placement_given(&place->placement, 0, 1, 0, 100, NOW);
	placement_failed(&place->placement, 0, 0, false, 0, NOW);
	assert_int_equal(pick(place, (struct placement_request){0}).index, 1);
	placement_given(&place->placement, 1, 1, 0, 100, NOW + 1);
	assert_int_equal(pick_at(place, (struct placement_request){0}, later).index, 0);
	placement_given(&place->placement, 0, 1, 0, 100, later);
	/* the trial is under way: nobody else goes there */
	assert_int_equal(pick_at(place, (struct placement_request){0}, later).index, 1);
	placement_succeeded(&place->placement, 0, 0);
	place->placement.targets[1].given_at_ns = later + 1;
	assert_int_equal(pick_at(place, (struct placement_request){0}, later).index, 0);
}

static void two_lost_ways_in_a_row_make_a_cluster_suspect(void **state)
{
	struct place *place = *state;

	placement_given(&place->placement, 0, 1, 0, 100, NOW);
	placement_failed(&place->placement, 0, 0, true, 0, NOW);
	assert_int_equal(pick(place, (struct placement_request){0}).index, 1);
	placement_failed(&place->placement, 0, 0, true, 0, NOW);
	assert_int_equal(pick(place, (struct placement_request){0}).index, 2);
	placement_succeeded(&place->placement, 1, 0);
	assert_int_equal(pick(place, (struct placement_request){0}).index, 1);
}

static void a_new_generation_is_a_stranger(void **state)
{
	struct place *place = *state;

	placement_given(&place->placement, 0, 1, 0, 100, NOW);
	placement_learn(&place->placement, 0, 0, 100, 10 * NS_PER_S);
	assert_true(place->placement.targets[0].bias.factor > 1);
	placement_given(&place->placement, 0, 2, 0, 100, NOW);
	assert_true(place->placement.targets[0].bias.weight == 0);
}

/* Home was dark; the other region served long prompts, faster than predicted. */
static void what_an_outage_taught_of_one_region_does_not_keep_requests_there(void **state)
{
	struct place *place = *state;
	struct placement_request request = {.tokens = 20000};
	struct pick pick;

	placement_given(&place->placement, 2, 1, 1, 20000, NOW);
	for (int i = 0; i < 30; i++)
		placement_learn(&place->placement, 2, 1, 20000, 400 * NS_PER_MS);
	pick = placement_pick(&place->placement, &snapshot, &pool, &request, NOW, REAL);
	assert_int_equal(pick.reason, PICK_LOWEST);
	assert_int_equal(endpoints[pick.index].cluster, 0);
	/* but what is slower than its like, seen itself, is left for another */
	placement_given(&place->placement, 0, 1, 0, 20000, NOW);
	placement_given(&place->placement, 1, 1, 0, 20000, NOW);
	for (int i = 0; i < 30; i++) {
		placement_learn(&place->placement, 0, 0, 20000, 4000 * NS_PER_MS);
		placement_learn(&place->placement, 1, 0, 20000, 4000 * NS_PER_MS);
	}
	pick = placement_pick(&place->placement, &snapshot, &pool, &request, NOW, REAL);
	assert_int_equal(pick.reason, PICK_SPILL);
}

int main(void)
{
#define PLACED(test) cmocka_unit_test_setup_teardown(test, place_make, place_remove)
	const struct CMUnitTest tests[] = {
		PLACED(all_workers_counts_are_seen),
		PLACED(down_draining_and_strange_endpoints_are_left_out),
		PLACED(a_drained_cluster_gives_to_the_other),
		PLACED(where_it_failed_a_request_does_not_return),
		PLACED(a_suspect_cluster_is_avoided_while_another_is_left),
		PLACED(one_failed_probe_is_enough_to_prefer_another),
		PLACED(an_endpoint_that_failed_rests_and_is_tried_again),
		PLACED(two_lost_ways_in_a_row_make_a_cluster_suspect),
		PLACED(a_new_generation_is_a_stranger),
		PLACED(what_an_outage_taught_of_one_region_does_not_keep_requests_there),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
