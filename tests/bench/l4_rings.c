// SPDX-License-Identifier: BSD-2-Clause
/* Each repeat is another seed: quality is a matter of luck with hashes. */
#include "tests/bench/l4_rings.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/bench/rows.h"
#include "userspace/base/cleanup.h"
#include "userspace/base/clock.h"
#include "userspace/publish/ring.h"

#define SEEDS 21
#define MEMBERS_MAX 100
#define WEIGHT 100

struct ring_figures {
	double build_ms[SEEDS];
	/* percent */
	double imbalance[SEEDS]; /* rows of the endpoint with most, over the mean, less 1 */
	double removed[SEEDS]; /* one endpoint gone: rows of the others that moved, of all */
	double halved[SEEDS]; /* one weight halved: rows moved beyond those it gave up, of all */
};

static void members_fill(struct ring_member *members, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++) {
		members[i] =
			(struct ring_member){.port = htons(8000), .weight = WEIGHT, .endpoint = i};
		members[i].addr.words[2] = htonl(0xffff);
		members[i].addr.words[3] = htonl(0x0a000001 + i);
	}
}

static struct ring_slot *ring_make(const struct ring_member *members, uint32_t count, uint32_t size,
				   uint64_t seed)
{
	struct ring_slot *slots;
	int err = ring_build_sized(members, count, size, seed, NULL, 0, &slots);

	if (err) {
		fprintf(stderr, "bench_l4: ring_build_sized: %s\n", strerror(-err));
		exit(1);
	}
	return slots;
}

static uint32_t rows_of(const struct ring_slot *ring, uint32_t endpoint)
{
	uint32_t count = 0;

	for (uint32_t row = 1; row <= ring[0].size; row++)
		count += ring[row].endpoint == endpoint;
	return count;
}

static uint32_t rows_moved(const struct ring_slot *from, const struct ring_slot *to)
{
	uint32_t count = 0;

	for (uint32_t row = 1; row <= from[0].size; row++)
		count += from[row].endpoint != to[row].endpoint;
	return count;
}

static double ring_imbalance(const struct ring_slot *ring, uint32_t count)
{
	uint32_t most = 0;

	for (uint32_t i = 0; i < count; i++) {
		uint32_t rows = rows_of(ring, i);

		most = rows > most ? rows : most;
	}
	return 100 * ((double)most * count / ring[0].size - 1);
}

static void seed_measure(struct ring_figures *figures, int at, uint32_t size, uint32_t count)
{
	_cleanup_free_ struct ring_slot *whole = NULL, *fewer = NULL, *lighter = NULL;
	struct ring_member members[MEMBERS_MAX];
	uint64_t seed = 1 + (uint64_t)at, began = clock_monotonic_ns();
	uint32_t victim = (uint32_t)at % count, own;

	members_fill(members, count);
	whole = ring_make(members, count, size, seed);
	figures->build_ms[at] = (double)(clock_monotonic_ns() - began) / NS_PER_MS;
	figures->imbalance[at] = ring_imbalance(whole, count);
	own = rows_of(whole, victim);

	members[victim].weight = WEIGHT / 2;
	lighter = ring_make(members, count, size, seed);
	figures->halved[at] =
		100.0 * (rows_moved(whole, lighter) - (own - rows_of(lighter, victim))) / size;
	members[victim].weight = 0;
	fewer = ring_make(members, count, size, seed);
	figures->removed[at] = 100.0 * (rows_moved(whole, fewer) - own) / size;
}

static void figure_print(uint32_t size, uint32_t count, const char *what, const char *unit,
			 double *values)
{
	char name[64];
	struct bench_row row = {
		.bench = "l4", .row = name, .unit = unit, .values = values, .count = SEEDS};

	snprintf(name, sizeof(name), "ring_%u_%u_%s", size, count, what);
	if (bench_wants(name) || bench_wants("ring"))
		bench_print(&row);
}

static void ring_measure(uint32_t size, uint32_t count)
{
	struct ring_figures figures;

	for (int i = 0; i < SEEDS; i++)
		seed_measure(&figures, i, size, count);
	figure_print(size, count, "build", "ms", figures.build_ms);
	figure_print(size, count, "imbalance", "%", figures.imbalance);
	figure_print(size, count, "removed", "%", figures.removed);
	figure_print(size, count, "halved", "%", figures.halved);
}

void l4_rings_run(void)
{
	static const uint32_t sizes[] = {RING_SIZE_SMALL, RING_SIZE_MEDIUM, RING_SIZE_LARGE};
	static const uint32_t counts[] = {10, 100};
	const char *only = getenv("ROW");

	if (only && *only && strncmp(only, "ring", 4))
		return;
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		for (size_t k = 0; k < ARRAY_SIZE(counts); k++)
			ring_measure(sizes[i], counts[k]);
	}
}
