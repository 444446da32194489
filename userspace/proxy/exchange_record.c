// SPDX-License-Identifier: BSD-2-Clause
/* What is told of an exchange when it ends: one line of the access log, and the
 * counters of its model, region and status. */
#include "userspace/proxy/access_log.h"
#include "userspace/proxy/exchange_parts.h"
#include "userspace/proxy/session.h"
#include "userspace/proxy/worker.h"

static const char *endpoint_name(const struct exchange *x, uint32_t endpoint)
{
	return exchange_worker(x)->maps->endpoints[endpoint].name;
}

static void record_retries(const struct exchange *x, struct access_record *record)
{
	for (size_t i = 0; i < x->failure_count; i++)
		record->retries[record->retry_count++] = (struct access_retry){
			.endpoint = x->failed_endpoints[i],
			.name = endpoint_name(x, x->failed_endpoints[i]),
			.reason = exchange_failure_name(x->failures[i]),
			.status = x->failed_statuses[i],
		};
}

static void record_put(struct exchange *x, uint64_t now_ns)
{
	struct access_record record = {
		.at_ns = x->began_real_ns,
		.client = x->session->client,
		.trace_id = x->trace_id[0] ? x->trace_id : NULL,
		.method = x->method,
		.path = x->path,
		.status = x->status,
		.model = x->has_model ? x->facts.name : NULL,
		.model_length = x->facts.name_length,
		.served_model = x->served_name,
		.stream = x->facts.stream,
		.route = x->choice.route ? x->choice.route->name : NULL,
		.pool = x->pool ? x->pool->name : NULL,
		.cluster = x->pick_cluster,
		.region = x->pick_region,
		.endpoint = x->endpoint,
		.mirrored = x->mirrored,
		.mirrors = x->mirrored ? x->choice.rule->filters.mirrors : NULL,
		.attempts = x->attempts,
		.ttft_ns = x->first_byte_ns ? x->first_byte_ns - x->whole_ns : 0,
		.total_ns = now_ns - x->began_ns,
		.paced_ns = x->session->paced_ns,
		.bytes_in = x->bytes_in,
		.bytes_out = x->bytes_out,
		.tokens = x->place.tokens,
		.pick = x->pool ? &x->pick : NULL,
		.runner_up = x->runner_up,
		.upgrade = x->upgrade.protocol[0] ? x->upgrade.protocol : NULL,
		.error = x->error ? proxy_error_code(x->error) : NULL,
		.detail = x->detail[0] ? x->detail : NULL,
	};

	if (x->endpoint != ENDPOINT_NONE)
		record.endpoint_name = endpoint_name(x, x->endpoint);
	if (x->observed)
		record.usage = &x->session->looking.usage.usage;
	record_retries(x, &record);
	access_log_put(&exchange_worker(x)->log, &record);
}

static uint64_t tokens_known(int64_t tokens)
{
	return tokens > 0 ? (uint64_t)tokens : 0;
}

static void tokens_put(struct proxy_cell *cell, const struct usage *usage)
{
	cell->prompt_tokens += tokens_known(usage->prompt_tokens);
	cell->cached_tokens += tokens_known(usage->cached_tokens);
	cell->completion_tokens += tokens_known(usage->completion_tokens);
}

static void metrics_put(struct exchange *x, uint64_t now_ns)
{
	struct worker *w = exchange_worker(x);
	uint32_t model = PROXY_MODELS_MAX, region = PROXY_REGIONS_MAX;
	struct proxy_cell *cell;

	if (x->has_model && x->choice.route)
		model = proxy_metrics_model(w->metrics, x->facts.name, x->facts.name_length);
	if (x->pick_region)
		region = proxy_metrics_region(w->metrics, x->pick_region);
	cell = &w->row->cells[model][region];
	cell->requests[proxy_metrics_code(x->status)]++;
	if (x->whole_ns && x->status != 101) /* those live as long as their clients like */
		histogram_observe(&cell->duration, now_ns - x->whole_ns);
	if (x->first_byte_ns)
		histogram_observe(&cell->first_byte, x->first_byte_ns - x->whole_ns);
	if (x->error)
		w->row->errors[x->error]++;
	if (x->observed)
		tokens_put(cell, &x->session->looking.usage.usage);
	w->row->bytes_in += x->bytes_in;
	w->row->bytes_out += x->bytes_out;
}

void exchange_record(struct exchange *x, uint64_t now_ns)
{
	record_put(x, now_ns);
	metrics_put(x, now_ns);
}
