// SPDX-License-Identifier: BSD-2-Clause
/* The page that Prometheus scrapes, built in memory and handed over whole.
 *
 * Escaping follows the text format 0.0.4: backslash and newline in help texts,
 * and the double quote too in label values.  A page that ran out of memory
 * remembers it in `err` and grows no further, so callers check once. */
#include "userspace/telemetry/exposition.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "userspace/base/cleanup.h"
#include "userspace/base/clock.h"
#include "userspace/base/text.h"

#define ROOM_FIRST 4096
#define SAMPLE_NAME_MAX 160

/* Time to first token lies between 20 ms (small model, cached) and a minute
 * (long prompt, full queue): finest in the middle. */
const double histogram_seconds_bounds[] = {0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.15,
					   0.2,	  0.3,	0.5,  0.75, 1,	  1.5,	2,   3,
					   5,	  7.5,	10,   20,   30,	  60,	120};
const size_t histogram_seconds_bound_count = ARRAY_SIZE(histogram_seconds_bounds);
_Static_assert(ARRAY_SIZE(histogram_seconds_bounds) <= HISTOGRAM_BOUNDS_MAX, "bounds fit");

static bool page_reserve(struct exposition *page, size_t more)
{
	size_t room = page->room ? page->room : ROOM_FIRST;
	char *data;

	if (page->err)
		return false;
	while (room - page->length <= more)
		room *= 2;
	if (room == page->room)
		return true;
	data = realloc(page->data, room);
	if (!data) {
		page->err = -ENOMEM;
		return false;
	}
	page->data = data;
	page->room = room;
	return true;
}

static void page_append(struct exposition *page, const char *data, size_t length)
{
	if (!page_reserve(page, length))
		return;
	memcpy(page->data + page->length, data, length);
	page->length += length;
	page->data[page->length] = '\0';
}

static void page_puts(struct exposition *page, const char *string)
{
	page_append(page, string, strlen(string));
}

/* What is not UTF-8 becomes U+FFFD: one such label, as of a name that was cut, would
 * make Prometheus refuse the whole page. */
static void page_escape(struct exposition *page, const char *string, bool quotes)
{
	size_t left = strlen(string), length;

	for (; left; string += length, left -= length) {
		length = utf8_length((const unsigned char *)string, left);
		if (!length) {
			page_puts(page, "\xef\xbf\xbd");
			length = 1;
		} else if (*string == '\n')
			page_puts(page, "\\n");
		else if (*string == '\\' || (quotes && *string == '"'))
			page_append(page, (const char[]){'\\', *string}, 2);
		else
			page_append(page, string, length);
	}
}

void exposition_family(struct exposition *page, const char *name, const char *type,
		       const char *help)
{
	page_puts(page, "# HELP ");
	page_puts(page, name);
	page_puts(page, " ");
	page_escape(page, help, false);
	page_puts(page, "\n# TYPE ");
	page_puts(page, name);
	page_puts(page, " ");
	page_puts(page, type);
	page_puts(page, "\n");
}

static void label_write(struct exposition *page, bool first, const char *name, const char *value)
{
	page_puts(page, first ? "{" : ",");
	page_puts(page, name);
	page_puts(page, "=\"");
	page_escape(page, value, true);
	page_puts(page, "\"");
}

/* name{labels,le="..."}; `le` NULL: without it */
static void sample_begin(struct exposition *page, const char *name, const char *const *labels,
			 const char *le)
{
	bool first = true;

	page_puts(page, name);
	for (; labels && labels[0]; labels += 2) {
		label_write(page, first, labels[0], labels[1]);
		first = false;
	}
	if (le) {
		label_write(page, first, "le", le);
		first = false;
	}
	page_puts(page, first ? " " : "} ");
}

static const char *double_format(double value, char buffer[32])
{
	if (isnan(value))
		return "NaN";
	if (isinf(value))
		return value > 0 ? "+Inf" : "-Inf";
	/* the shortest of these that reads back as the same number */
	for (int digits = 6; digits <= 17; digits++) {
		snprintf(buffer, 32, "%.*g", digits, value);
		if (strtod(buffer, NULL) == value)
			break;
	}
	return buffer;
}

static void uint_write(struct exposition *page, uint64_t value)
{
	char number[24];

	snprintf(number, sizeof(number), "%" PRIu64 "\n", value);
	page_puts(page, number);
}

void exposition_uint(struct exposition *page, const char *name, const char *const *labels,
		     uint64_t value)
{
	sample_begin(page, name, labels, NULL);
	uint_write(page, value);
}

void exposition_double(struct exposition *page, const char *name, const char *const *labels,
		       double value)
{
	char number[32];

	sample_begin(page, name, labels, NULL);
	page_puts(page, double_format(value, number));
	page_puts(page, "\n");
}

void histogram_observe(struct histogram *histogram, uint64_t value_ns)
{
	double seconds = (double)value_ns / (double)NS_PER_S;
	size_t i = 0;

	while (i < histogram_seconds_bound_count && seconds > histogram_seconds_bounds[i])
		i++;
	histogram->buckets[i]++;
	histogram->sum_ns += value_ns;
}

void histogram_add(struct histogram *into, const struct histogram *from)
{
	for (size_t i = 0; i <= HISTOGRAM_BOUNDS_MAX; i++)
		into->buckets[i] += from->buckets[i];
	into->sum_ns += from->sum_ns;
}

void exposition_histogram(struct exposition *page, const char *name, const char *const *labels,
			  const struct histogram *histogram)
{
	char sample[SAMPLE_NAME_MAX], number[32];
	uint64_t count = 0;

	snprintf(sample, sizeof(sample), "%s_bucket", name);
	for (size_t i = 0; i <= histogram_seconds_bound_count; i++) {
		double bound = i < histogram_seconds_bound_count ? histogram_seconds_bounds[i]
								 : INFINITY;

		count += histogram->buckets[i];
		sample_begin(page, sample, labels, double_format(bound, number));
		uint_write(page, count);
	}
	snprintf(sample, sizeof(sample), "%s_sum", name);
	exposition_double(page, sample, labels, (double)histogram->sum_ns / (double)NS_PER_S);
	snprintf(sample, sizeof(sample), "%s_count", name);
	exposition_uint(page, sample, labels, count);
}

char *exposition_take(struct exposition *page, size_t *ret_length)
{
	char *data;

	page_append(page, "", 0); /* an empty page is an empty string */
	data = page->err ? NULL : page->data;
	if (data)
		*ret_length = page->length;
	else
		free(page->data);
	*page = (struct exposition){.err = page->err};
	return data;
}

void exposition_free(struct exposition *page)
{
	free(page->data);
	*page = (struct exposition){0};
}
