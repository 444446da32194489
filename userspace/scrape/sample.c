// SPDX-License-Identifier: BSD-2-Clause
/* The rules that keep a failed scrape from looking like an idle server. */
#include "userspace/scrape/sample.h"

#include <errno.h>

const char *scrape_result_name(enum scrape_result result)
{
	static const char *const names[] = {
#define X(id, name, text) name,
		SCRAPE_RESULT_LIST(X)
#undef X
	};

	return names[result];
}

static enum scrape_result result_of_error(int err)
{
	switch (-err) {
	case ETIMEDOUT: return SCRAPE_TIMEOUT;
	case EFBIG: return SCRAPE_TOO_BIG;
	case EBADMSG: return SCRAPE_NOT_METRICS;
	case EMFILE:
	case ENFILE:
	case ENOMEM:
	case ENOBUFS:
	case ENOSPC:
	case EADDRNOTAVAIL: return SCRAPE_LOCAL;
	default: return SCRAPE_CONNECT;
	}
}

enum scrape_result scrape_result_of(int err, int status, const struct page_sample *sample)
{
	if (err)
		return result_of_error(err);
	if (status != 200)
		return SCRAPE_STATUS;
	switch (sample->outcome) {
	case PAGE_OK: return SCRAPE_OK;
	case PAGE_PARTIAL: return SCRAPE_PARTIAL;
	default: return SCRAPE_NOT_METRICS;
	}
}

/* Rounded, at most UINT32_MAX; 0 when unknown. */
static uint32_t signal_count(const struct page_sample *sample, enum page_signal signal)
{
	double value = sample->values[signal];

	if (!sample->known[signal])
		return 0;
	return value >= UINT32_MAX ? UINT32_MAX : (uint32_t)(value + 0.5);
}

struct load load_after(const struct load *before, uint32_t generation, enum scrape_result result,
		       const struct page_sample *sample, uint64_t now_ns)
{
	struct load load = *before;

	if (load.generation != generation)
		load = (struct load){.generation = generation};
	if (result != SCRAPE_OK) {
		if (load.failures < UINT32_MAX)
			load.failures++;
		return load;
	}
	load.waiting = signal_count(sample, PAGE_WAITING);
	load.running = signal_count(sample, PAGE_RUNNING);
	load.kv_permille = (uint32_t)(sample->values[PAGE_KV] * 1000 + 0.5);
	load.kv_blocks = signal_count(sample, PAGE_BLOCKS);
	load.block_tokens = signal_count(sample, PAGE_BLOCK_TOKENS);
	load.sampled_at = now_ns;
	load.failures = 0;
	return load;
}
