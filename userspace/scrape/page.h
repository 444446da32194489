/* SPDX-License-Identifier: BSD-2-Clause */
/* A metrics page of a model server, read as it streams in: Prometheus' text
 * form, vLLM's names.
 *
 * A page of 60 to 400 kB holds five numbers for us, so nothing is kept of it
 * but those: lines of other families are skipped with memchr, memory is this
 * struct, and any way of cutting the page into pieces gives the same answer.
 *
 * Rules: `:` and `_` are one character in names and a leading `ray_` is
 * dropped; a line that does not parse is skipped and counted; the last of two
 * equal series counts; inside one engine the maximum, over engines the sum (of
 * KV use the maximum); a value that is NaN, infinite, negative or a KV use above 1.5
 * makes its signal unknown, never zero.
 */
#ifndef SLUICE_SCRAPE_PAGE_H
#define SLUICE_SCRAPE_PAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PAGE_NAME_MAX 48 /* of a metric; longer ones are none of ours */
#define PAGE_LABEL_MAX 32 /* of a label's name */
#define PAGE_VALUE_MAX 40 /* of a number, and of a label value that is one */
#define PAGE_SERIES_MAX 512 /* over all our families: 85 ranks */

enum page_signal {
	PAGE_WAITING,
	PAGE_RUNNING,
	PAGE_KV, /* vllm:kv_cache_usage_perc */
	PAGE_KV_OLD, /* vllm:gpu_cache_usage_perc, counts only where PAGE_KV is absent */
	PAGE_BLOCKS, /* labels of vllm:cache_config_info */
	PAGE_BLOCK_TOKENS,
	PAGE_SIGNAL_COUNT
};

enum page_outcome {
	PAGE_NONE, /* no signal: not a page of ours */
	PAGE_PARTIAL, /* waiting, running or KV use is unknown */
	PAGE_OK,
	PAGE_DISCARD /* cut or compressed: says nothing */
};

/* What a page says; a signal counts only where its bit is set. */
struct page_sample {
	enum page_outcome outcome;
	bool known[PAGE_SIGNAL_COUNT]; /* KV_OLD is folded into KV */
	double values[PAGE_SIGNAL_COUNT];
	uint32_t bad_lines; /* saturating */
};

/* One page being read.  Start with page_init(); no memory to free. */
struct page {
	uint8_t place; /* in the line's grammar, see page.c */
	uint8_t intro; /* first bytes of the page seen, up to 3 */
	bool gzip; /* so far the first bytes are gzip's magic */
	bool bom; /* ... a byte order mark */
	bool named; /* the line has its metric name */
	uint8_t family; /* index into the table of names */
	bool not_total; /* a priority label that is not empty */
	uint8_t name_length;
	uint8_t label_length;
	uint8_t text_length; /* of `text`; PAGE_VALUE_MAX: too long */
	uint8_t label; /* which label's value is being read */
	char name[PAGE_NAME_MAX];
	char label_name[PAGE_LABEL_MAX];
	char text[PAGE_VALUE_MAX]; /* a label's value or the sample's */
	uint64_t pair_hash; /* of the label being read */
	uint64_t series_hash; /* sum over labels: their order says nothing */
	uint64_t group_hash; /* sum over rank labels */
	double blocks; /* from labels; negative: not said */
	double block_tokens;
	uint32_t bad_lines;
	uint32_t series_count;
	bool overflow[PAGE_SIGNAL_COUNT];
	struct page_series {
		uint64_t series_hash;
		uint64_t group_hash;
		double value;
		uint8_t signal;
		bool unknown;
	} series[PAGE_SERIES_MAX];
};

void page_init(struct page *page);
void page_feed(struct page *page, const char *data, size_t length);
/* `complete`: framing said that the body is whole.  A page cut in a number
 * would show a wrong one, so without it the outcome is PAGE_DISCARD. */
void page_end(struct page *page, bool complete, struct page_sample *ret_sample);

#endif
