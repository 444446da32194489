// SPDX-License-Identifier: BSD-2-Clause
#include "tests/harness/model_server/metrics.h"

#include <stdio.h>

#define COUNTED(page, name, help, labels, value)                                                   \
	do {                                                                                       \
		exposition_family(page, name, "counter", help);                                    \
		exposition_uint(page, name, labels, value);                                        \
	} while (0)

static void gauges(struct exposition *page, const struct engine *engine, const char *const *labels)
{
	exposition_family(page, "vllm:num_requests_running", "gauge",
			  "Number of requests in model execution batches.");
	exposition_uint(page, "vllm:num_requests_running", labels, engine->running.count);
	exposition_family(page, "vllm:num_requests_waiting", "gauge",
			  "Number of requests waiting to be processed.");
	exposition_uint(page, "vllm:num_requests_waiting", labels, engine->waiting.count);
	exposition_family(page, "vllm:kv_cache_usage_perc", "gauge",
			  "KV-cache usage. 1 means 100 percent usage.");
	exposition_double(page, "vllm:kv_cache_usage_perc", labels, engine_kv_usage(engine));
}

static void counters(struct exposition *page, const struct engine *engine,
		     const char *const *labels)
{
	COUNTED(page, "vllm:prefix_cache_queries_total",
		"Prefix cache queries, in terms of number of queried tokens.", labels,
		engine->counters.prompt_tokens);
	COUNTED(page, "vllm:prefix_cache_hits_total",
		"Prefix cache hits, in terms of number of cached tokens.", labels,
		engine->counters.cached_tokens);
	COUNTED(page, "vllm:num_preemptions_total",
		"Cumulative number of preemption from the engine.", labels, 0);
	COUNTED(page, "vllm:prompt_tokens_total", "Number of prefill tokens processed.", labels,
		engine->counters.prompt_tokens);
	COUNTED(page, "vllm:generation_tokens_total", "Number of generation tokens processed.",
		labels, engine->counters.generated_tokens);
}

static void outcomes(struct exposition *page, const struct metrics *metrics, const char *model)
{
	const struct {
		const char *reason;
		uint64_t count;
	} rows[] = {
		{"stop", metrics->success_stop},
		{"length", metrics->success_length},
		{"abort", metrics->aborted},
	};

	exposition_family(page, "vllm:request_success_total", "counter",
			  "Count of successfully processed requests.");
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const char *const labels[] = {
			"engine", "0", "finished_reason", rows[i].reason, "model_name",
			model,	  NULL};

		exposition_uint(page, "vllm:request_success_total", labels, rows[i].count);
	}
}

static void cache_config(struct exposition *page, const struct engine *engine)
{
	char block_size[16], block_count[16];
	const char *const labels[] = {
		"block_size", block_size, "cache_dtype", "auto",	   "enable_prefix_caching",
		"True",	      "engine",	  "0",		 "num_gpu_blocks", block_count,
		NULL,
	};

	snprintf(block_size, sizeof(block_size), "%u", engine->config.block_tokens);
	snprintf(block_count, sizeof(block_count), "%u", engine->config.kv_blocks);
	exposition_family(page, "vllm:cache_config_info", "gauge",
			  "Information of the LLMEngine CacheConfig");
	exposition_uint(page, "vllm:cache_config_info", labels, 1);
}

char *metrics_page(const struct metrics *metrics, const struct engine *engine, const char *model,
		   size_t *ret_length)
{
	struct exposition page = {0};
	const char *const labels[] = {"engine", "0", "model_name", model, NULL};

	gauges(&page, engine, labels);
	counters(&page, engine, labels);
	outcomes(&page, metrics, model);
	exposition_family(&page, "vllm:time_to_first_token_seconds", "histogram",
			  "Histogram of time to first token in seconds.");
	exposition_histogram(&page, "vllm:time_to_first_token_seconds", labels,
			     &metrics->first_token);
	exposition_family(&page, "vllm:e2e_request_latency_seconds", "histogram",
			  "Histogram of e2e request latency in seconds.");
	exposition_histogram(&page, "vllm:e2e_request_latency_seconds", labels,
			     &metrics->whole_request);
	cache_config(&page, engine);
	return exposition_take(&page, ret_length);
}
