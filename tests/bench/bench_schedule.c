// SPDX-License-Identifier: BSD-2-Clause
/* What a pick costs after the last body byte: candidates read from the records
 * of the maps (ordinary memory here, laid out the same), scored, one taken.  The
 * clusters are two, the load differs from endpoint to endpoint and from pick to
 * pick, and two workers' rows are in use. */
#include <stdio.h>
#include <stdlib.h>

#include "tests/bench/rows.h"
#include "userspace/base/clock.h"
#include "userspace/proxy/placement.h"

#define PICKS 5000
#define PROMPT_TOKENS 12000
#define REAL_NS (1800000000ull * NS_PER_S)

static void *take(size_t count, size_t size)
{
	void *memory = calloc(count, size);

	if (!memory) {
		fprintf(stderr, "bench_schedule: out of memory\n");
		exit(1);
	}
	return memory;
}

struct field {
	struct maps maps;
	struct placement placement;
	uint32_t rows_high;
	struct snapshot_cluster clusters[2];
	struct snapshot snapshot;
	struct snapshot_pool pool;
};

static void field_make(struct field *field, size_t endpoints)
{
	*field = (struct field){.rows_high = 2};
	field->maps.endpoints = take(ENDPOINTS_MAX, sizeof(struct endpoint));
	field->maps.clusters = take(CLUSTERS_MAX, sizeof(struct cluster));
	field->maps.admin = take(ADMIN_SLOTS, sizeof(struct admin));
	field->maps.health = take(ENDPOINTS_MAX, sizeof(struct health));
	field->maps.load = take(ENDPOINTS_MAX, sizeof(struct load));
	field->maps.inflight = take((size_t)WORKERS_MAX * ENDPOINTS_MAX, sizeof(struct inflight));
	field->maps.clusters[0].rtt_us = 1000;
	field->maps.clusters[1].rtt_us = 40000;
	field->clusters[0] = (struct snapshot_cluster){.id = 0, .name = "a"};
	field->clusters[1] = (struct snapshot_cluster){.id = 1, .name = "b"};
	field->snapshot = (struct snapshot){.clusters = field->clusters, .cluster_count = 2};
	field->pool = (struct snapshot_pool){
		.endpoints = take(endpoints, sizeof(*field->pool.endpoints)),
		.endpoint_count = endpoints,
	};
	for (uint32_t i = 0; i < endpoints; i++) {
		field->pool.endpoints[i] =
			(struct snapshot_endpoint){.id = i, .generation = 1, .cluster = i & 1};
		field->maps.endpoints[i].way = WAY_NAT;
		field->maps.endpoints[i].generation = 1;
		field->maps.endpoints[i].cluster = i & 1;
		field->maps.health[i] = (struct health){.state = HEALTH_UP, .generation = 1};
		field->maps.load[i] = (struct load){
			.generation = 1, .running = (uint32_t)rand() % 32, .sampled_at = REAL_NS};
	}
	if (placement_init(&field->placement, &field->maps, &field->rows_high)) {
		fprintf(stderr, "bench_schedule: out of memory\n");
		exit(1);
	}
}

static void field_free(struct field *field)
{
	placement_deinit(&field->placement);
	free(field->pool.endpoints);
	free(field->maps.endpoints);
	free(field->maps.clusters);
	free(field->maps.admin);
	free(field->maps.health);
	free(field->maps.load);
	free(field->maps.inflight);
}

static double pick_us(struct field *field)
{
	struct placement_request request = {.tokens = PROMPT_TOKENS};
	uint64_t began = clock_monotonic_ns();
	struct pick pick = placement_pick(&field->placement, &field->snapshot, &field->pool,
					  &request, began, REAL_NS + 100 * NS_PER_MS);
	uint32_t id;
	struct inflight *slot;

	if (pick_is_none(&pick)) {
		fprintf(stderr, "bench_schedule: nothing was picked\n");
		exit(1);
	}
	id = field->pool.endpoints[pick.index].id;
	placement_given(&field->placement, id, 1, id & 1, PROMPT_TOKENS, began);
	double took = (double)(clock_monotonic_ns() - began) / NS_PER_US;

	/* the request stays for a while: others find its tokens there */
	slot = &field->maps.inflight[id];
	slot->requests = (slot->requests + 1) % 16;
	slot->uncached_tokens = (uint64_t)slot->requests * PROMPT_TOKENS;
	return took;
}

/* The quantile q of single picks, in batches: each batch gives one value. */
static void row_run(const char *name, size_t endpoints, double q)
{
	enum { BATCHES = 21 };
	double values[BATCHES];
	static double batch[PICKS / BATCHES];
	size_t count = sizeof(batch) / sizeof(batch[0]);
	struct bench_row row = {
		.bench = "schedule", .row = name, .unit = "us", .values = values, .count = BATCHES};
	struct field field;

	if (!bench_wants(name))
		return;
	field_make(&field, endpoints);
	for (size_t i = 0; i < BATCHES; i++) {
		for (size_t k = 0; k < count; k++)
			batch[k] = pick_us(&field);
		bench_sort(batch, count);
		values[i] = bench_quantile(batch, count, q);
	}
	bench_print(&row);
	field_free(&field);
}

int main(void)
{
	srand(1);
	row_run("pick_10_p50", 10, 0.5);
	row_run("pick_1000_p50", 1000, 0.5);
	row_run("pick_1000_p99", 1000, 0.99);
	row_run("pick_10000_p50", 10000, 0.5);
	return 0;
}
