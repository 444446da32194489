// SPDX-License-Identifier: BSD-2-Clause
#include "tests/bench/rows.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

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
	if (row->p10_values) {
		bench_sort(row->p10_values, row->count);
		fprintf(stderr, "  p10 %.3f", bench_quantile(row->p10_values, row->count, 0.5));
	}
	printf("}\n");
	fprintf(stderr, "\n");
	fflush(stdout);
}

/* Quotes and control characters of a sentence of ours or the system's. */
static void text_print(const char *text)
{
	for (; *text; text++) {
		if (*text == '"' || *text == '\\')
			putchar('\\');
		if ((unsigned char)*text >= ' ')
			putchar(*text);
	}
}

void bench_skip(const char *bench, const char *row, const char *why)
{
	printf("{\"bench\":\"%s\",\"row\":\"%s\",\"skipped\":\"", bench, row);
	text_print(why);
	printf("\"}\n");
	fprintf(stderr, "%-10s %-22s skipped: %s\n", bench, row, why);
	fflush(stdout);
}

static void cpu_model(char *ret_model, size_t size)
{
	FILE *file = fopen("/proc/cpuinfo", "re");
	char line[256];

	snprintf(ret_model, size, "unknown CPU");
	while (file && fgets(line, sizeof(line), file)) {
		const char *value = strchr(line, ':');

		if (strncmp(line, "model name", 10) || !value)
			continue;
		snprintf(ret_model, size, "%.*s", (int)strcspn(value + 2, "\n"), value + 2);
		break;
	}
	if (file)
		fclose(file);
}

void bench_machine(void)
{
	struct utsname name = {0};
	double load = 0;
	char model[128];

	cpu_model(model, sizeof(model));
	uname(&name);
	if (getloadavg(&load, 1) != 1)
		load = -1;
	fprintf(stderr, "machine: %s, %ld CPUs, %s %s, load %.2f\n", model,
		sysconf(_SC_NPROCESSORS_ONLN), name.sysname, name.release, load);
}
