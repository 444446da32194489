/* SPDX-License-Identifier: BSD-2-Clause */
/* Prometheus' text form 0.0.4, written into one growing buffer.  Families must
 * be written whole, one after the other: HELP and TYPE once, then samples. */
#ifndef SLUICE_TELEMETRY_EXPOSITION_H
#define SLUICE_TELEMETRY_EXPOSITION_H

#include <stddef.h>
#include <stdint.h>

#define EXPOSITION_CONTENT_TYPE "text/plain; version=0.0.4; charset=utf-8"

struct exposition {
	char *data; /* malloc'd, NUL-terminated */
	size_t length;
	size_t room;
	int err; /* first -ENOMEM; later calls do nothing */
};

/* type: "counter", "gauge" or "histogram". */
void exposition_family(struct exposition *page, const char *name, const char *type,
		       const char *help);
/* labels: NULL, or name, value, name, value, ..., NULL; values are escaped. */
void exposition_uint(struct exposition *page, const char *name, const char *const *labels,
		     uint64_t value);
void exposition_double(struct exposition *page, const char *name, const char *const *labels,
		       double value);

/* A histogram with fixed upper bounds in seconds; buckets[bound_count] is +Inf.
 * Not cumulative in memory, cumulative when written. */
#define HISTOGRAM_BOUNDS_MAX 24
struct histogram {
	uint64_t buckets[HISTOGRAM_BOUNDS_MAX + 1];
	uint64_t sum_ns;
};
extern const double histogram_seconds_bounds[]; /* 5 ms .. 120 s */
extern const size_t histogram_seconds_bound_count;
void histogram_observe(struct histogram *histogram, uint64_t value_ns);
void histogram_add(struct histogram *into, const struct histogram *from);
void exposition_histogram(struct exposition *page, const char *name, const char *const *labels,
			  const struct histogram *histogram);

/* Hands over the text (the caller frees) and empties the page. */
char *exposition_take(struct exposition *page, size_t *ret_length);
void exposition_free(struct exposition *page);

#endif
