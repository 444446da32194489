/* SPDX-License-Identifier: BSD-2-Clause */
/* What a bench prints: one JSON object a row on stdout, the same as a table for
 * people on stderr.  A value is the median of the repeats, low and high their
 * 10th and 90th percentile; a peer, where one runs beside it, is interleaved
 * with ours, so that a busy machine disturbs both alike.
 */
#ifndef SLUICE_BENCH_ROWS_H
#define SLUICE_BENCH_ROWS_H

#include <stdbool.h>
#include <stddef.h>

struct bench_row {
	const char *bench;
	const char *row;
	const char *unit;
	double *values; /* sorted in place */
	size_t count;
	const char *peer; /* NULL: none */
	double *peer_values; /* count of them; sorted in place */
	double *p10_values; /* NULL: none; the 10th percentile inside each repeat, for people */
};

/* Is this row asked for?  ROW=name in the environment asks for one alone. */
bool bench_wants(const char *row);
/* The q-quantile of values that are sorted already, 0 <= q <= 1. */
double bench_quantile(const double *sorted, size_t count, double q);
void bench_sort(double *values, size_t count);
void bench_print(const struct bench_row *row);
/* The row could not run: `why` is a sentence for people. */
void bench_skip(const char *bench, const char *row, const char *why);
/* What machine this is, for people. */
void bench_machine(void);

#endif
