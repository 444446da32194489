// SPDX-License-Identifier: BSD-2-Clause
#include "tests/bench/rows.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool bench_wants(const char *row)
{
	const char *only = getenv("ROW");

	return !only || !*only || strcmp(only, row) == 0;
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

void bench_sort(double *values, size_t count)
{
	qsort(values, count, sizeof(*values), by_value);
}

double bench_quantile(const double *sorted, size_t count, double q)
{
	size_t index = (size_t)(q * (double)(count - 1) + 0.5);

	return sorted[index];
}

void bench_print(const struct bench_row *row)
{
	double value, low, high;

	bench_sort(row->values, row->count);
	value = bench_quantile(row->values, row->count, 0.5);
	low = bench_quantile(row->values, row->count, 0.1);
	high = bench_quantile(row->values, row->count, 0.9);
	printf("{\"bench\":\"%s\",\"row\":\"%s\",\"value\":%.3f,\"unit\":\"%s\",\"low\":%.3f,\"high\":%.3f",
	       row->bench, row->row, value, row->unit, low, high);
	fprintf(stderr, "%-10s %-22s %10.3f %-4s (%.3f .. %.3f)", row->bench, row->row, value,
		row->unit, low, high);
	if (row->peer) {
		double peer;

		bench_sort(row->peer_values, row->count);
		peer = bench_quantile(row->peer_values, row->count, 0.5);
		printf(",\"peer\":\"%s\",\"peer_value\":%.3f,\"ratio\":%.4f", row->peer, peer,
		       value / peer);
		fprintf(stderr, "  %s %.3f, ratio %.4f", row->peer, peer, value / peer);
	}
	printf("}\n");
	fprintf(stderr, "\n");
	fflush(stdout);
}
