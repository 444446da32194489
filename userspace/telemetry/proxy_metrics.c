// SPDX-License-Identifier: BSD-2-Clause
#include "userspace/telemetry/proxy_metrics.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include "maps/access/maps.h"
#include "userspace/base/cleanup.h"
#include "userspace/base/clock.h"

enum { LABEL_FREE, LABEL_WRITING, LABEL_WHOLE };

static size_t metrics_bytes(size_t row_count)
{
	return sizeof(struct proxy_metrics) + row_count * sizeof(struct proxy_row);
}

static int region_map(int fd, size_t row_count, struct proxy_metrics **ret_metrics)
{
	struct proxy_metrics *metrics = mmap(NULL, metrics_bytes(row_count), PROT_READ | PROT_WRITE,
					     MAP_SHARED | MAP_NORESERVE, fd, 0);

	if (metrics == MAP_FAILED)
		return -errno;
	*ret_metrics = metrics;
	return 0;
}

int proxy_metrics_create(size_t row_count, int *ret_fd)
{
	_cleanup_close_ int fd = memfd_create("sluice-metrics", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	struct proxy_metrics *metrics = NULL;
	int err;

	if (fd < 0 || ftruncate(fd, (off_t)metrics_bytes(row_count)) < 0 ||
	    fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0)
		return -errno;
	err = region_map(fd, row_count, &metrics);
	if (err)
		return err;
	metrics->layout = PROXY_METRICS_LAYOUT;
	metrics->row_count = row_count;
	metrics->started_at = clock_realtime_ns() / NS_PER_S;
	proxy_metrics_free(metrics);
	*ret_fd = TAKE_FD(fd);
	return 0;
}

int proxy_metrics_map(int fd, size_t row_count, struct proxy_metrics **ret_metrics)
{
	struct proxy_metrics *metrics = NULL;
	struct stat file;
	int err;

	if (fstat(fd, &file) < 0)
		return -errno;
	if (file.st_size != (off_t)metrics_bytes(row_count))
		return -EPROTO;
	err = region_map(fd, row_count, &metrics);
	if (err)
		return err;
	if (metrics->layout != PROXY_METRICS_LAYOUT || metrics->row_count != row_count) {
		munmap(metrics, metrics_bytes(row_count));
		return -EPROTO;
	}
	*ret_metrics = metrics;
	return 0;
}

int proxy_metrics_new(size_t row_count, struct proxy_metrics **ret_metrics)
{
	_cleanup_close_ int fd = -1;
	int err = proxy_metrics_create(row_count, &fd);

	return err ?: proxy_metrics_map(fd, row_count, ret_metrics);
}

void proxy_metrics_free(struct proxy_metrics *metrics)
{
	if (metrics)
		munmap(metrics, metrics_bytes(metrics->row_count));
}

/* ---- labels ---- */

static bool label_is(const struct proxy_label *label, uint64_t hash, const char *text,
		     size_t length)
{
	return label->hash == hash && label->length == length &&
	       memcmp(label->text, text, length) == 0;
}

static bool label_claim(struct proxy_label *label, uint64_t hash, const char *text, size_t length)
{
	uint32_t expected = LABEL_FREE;

	if (!__atomic_compare_exchange_n(&label->state, &expected, LABEL_WRITING, false,
					 __ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
		return false;
	label->hash = hash;
	label->length = (uint32_t)length;
	memcpy(label->text, text, length);
	label->text[length] = '\0';
	__atomic_store_n(&label->state, LABEL_WHOLE, __ATOMIC_RELEASE);
	return true;
}

static uint32_t label_index(struct proxy_label *labels, uint32_t count, const char *text,
			    size_t length)
{
	uint64_t hash;

	if (!length || length >= PROXY_LABEL_MAX)
		return count;
	hash = XXH3_64bits(text, length);
	for (uint32_t i = 0; i < count; i++) {
		uint32_t state = __atomic_load_n(&labels[i].state, __ATOMIC_ACQUIRE);

		if (state == LABEL_WHOLE && label_is(&labels[i], hash, text, length))
			return i;
		if (state == LABEL_FREE && label_claim(&labels[i], hash, text, length))
			return i;
	}
	return count;
}

uint32_t proxy_metrics_model(struct proxy_metrics *metrics, const char *name, size_t length)
{
	return label_index(metrics->models, PROXY_MODELS_MAX, name, length);
}

uint32_t proxy_metrics_region(struct proxy_metrics *metrics, const char *name)
{
	return label_index(metrics->regions, PROXY_REGIONS_MAX, name, strlen(name));
}

/* The first slot of the same text, which is where its numbers are shown. */
static uint32_t label_first(const struct proxy_label *labels, uint32_t index)
{
	for (uint32_t i = 0; i < index; i++) {
		if (labels[i].state == LABEL_WHOLE &&
		    label_is(&labels[i], labels[index].hash, labels[index].text,
			     labels[index].length))
			return i;
	}
	return index;
}

/* ---- codes ---- */

static const char *const codes[PROXY_CODES_MAX] = {
	"1xx", "2xx", "3xx", "4xx", "5xx", "101", "200", "400", "401", "403", "404", "408",
	"413", "422", "429", "431", "499", "500", "501", "502", "503", "504", "505", "none",
};

uint32_t proxy_metrics_code(int status)
{
	char text[12];

	if (status < 100 || status > 599)
		status = 0;
	snprintf(text, sizeof(text), "%d", status);
	for (uint32_t i = 5; codes[i]; i++) {
		if (strcmp(codes[i], status ? text : "none") == 0)
			return i;
	}
	return (uint32_t)(status / 100 - 1);
}

/* ---- the page ---- */

struct page {
	const struct proxy_metrics *metrics;
	struct exposition *out;
	/* all rows added up */
	struct proxy_cell (*cells)[PROXY_REGIONS_MAX + 1];
	uint64_t errors[PROXY_NAMES_MAX], retries[PROXY_NAMES_MAX], picks[PROXY_NAMES_MAX];
	uint64_t mirrors[PROXY_NAMES_MAX];
};

static uint64_t load(const uint64_t *counter)
{
	return __atomic_load_n(counter, __ATOMIC_RELAXED);
}

static void cell_add(struct proxy_cell *into, const struct proxy_cell *from)
{
	for (size_t i = 0; i < PROXY_CODES_MAX; i++)
		into->requests[i] += load(&from->requests[i]);
	histogram_add(&into->first_byte, &from->first_byte);
	histogram_add(&into->duration, &from->duration);
	into->prompt_tokens += load(&from->prompt_tokens);
	into->cached_tokens += load(&from->cached_tokens);
	into->completion_tokens += load(&from->completion_tokens);
}

static bool label_used(const struct proxy_label *labels, uint32_t count, uint32_t index)
{
	return index == count ||
	       __atomic_load_n(&labels[index].state, __ATOMIC_ACQUIRE) == LABEL_WHOLE;
}

static const char *label_text(const struct proxy_label *labels, uint32_t count, uint32_t index)
{
	return index == count ? "other" : labels[index].text;
}

static void row_add_cells(struct page *page, const struct proxy_row *row)
{
	const struct proxy_metrics *m = page->metrics;

	for (uint32_t i = 0; i <= PROXY_MODELS_MAX; i++) {
		if (!label_used(m->models, PROXY_MODELS_MAX, i))
			continue;
		for (uint32_t j = 0; j <= PROXY_REGIONS_MAX; j++) {
			uint32_t model = i, region = j;

			if (!label_used(m->regions, PROXY_REGIONS_MAX, j))
				continue;
			if (i < PROXY_MODELS_MAX)
				model = label_first(m->models, i);
			if (j < PROXY_REGIONS_MAX)
				region = label_first(m->regions, j);
			cell_add(&page->cells[model][region], &row->cells[i][j]);
		}
	}
}

static void row_add_names(struct page *page, const struct proxy_row *row)
{
	for (size_t i = 0; i < PROXY_NAMES_MAX; i++) {
		page->errors[i] += load(&row->errors[i]);
		page->retries[i] += load(&row->retries[i]);
		page->mirrors[i] += load(&row->mirrors[i]);
		page->picks[i] += load(&row->picks[i]);
	}
}

/* A row without a session ever is left untouched, so that it costs no memory. */
static bool row_used(const struct proxy_row *row)
{
	return load(&row->sessions_total) != 0;
}

static bool cell_used(const struct proxy_cell *cell)
{
	for (size_t i = 0; i < PROXY_CODES_MAX; i++) {
		if (cell->requests[i])
			return true;
	}
	return false;
}

typedef void (*cell_writer)(struct page *page, const char *model, const char *region,
			    const struct proxy_cell *cell);

static void cells_each(struct page *page, cell_writer write)
{
	const struct proxy_metrics *m = page->metrics;

	for (uint32_t i = 0; i <= PROXY_MODELS_MAX; i++) {
		for (uint32_t j = 0; j <= PROXY_REGIONS_MAX; j++) {
			if (cell_used(&page->cells[i][j]))
				write(page, label_text(m->models, PROXY_MODELS_MAX, i),
				      label_text(m->regions, PROXY_REGIONS_MAX, j),
				      &page->cells[i][j]);
		}
	}
}

static void write_requests(struct page *page, const char *model, const char *region,
			   const struct proxy_cell *cell)
{
	for (size_t i = 0; i < PROXY_CODES_MAX && codes[i]; i++) {
		const char *const labels[] = {"model", model,	 "region", region,
					      "code",  codes[i], NULL};

		if (cell->requests[i])
			exposition_uint(page->out, "sluice_proxy_requests_total", labels,
					cell->requests[i]);
	}
}

static void write_first_byte(struct page *page, const char *model, const char *region,
			     const struct proxy_cell *cell)
{
	const char *const labels[] = {"model", model, "region", region, NULL};

	exposition_histogram(page->out, "sluice_proxy_time_to_first_token_seconds", labels,
			     &cell->first_byte);
}

static void write_duration(struct page *page, const char *model, const char *region,
			   const struct proxy_cell *cell)
{
	const char *const labels[] = {"model", model, "region", region, NULL};

	exposition_histogram(page->out, "sluice_proxy_request_duration_seconds", labels,
			     &cell->duration);
}

static void write_tokens(struct page *page, const char *model, const char *region,
			 const struct proxy_cell *cell)
{
	const struct {
		const char *kind;
		uint64_t count;
	} kinds[] = {
		{"prompt", cell->prompt_tokens},
		{"cached", cell->cached_tokens},
		{"completion", cell->completion_tokens},
	};

	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		const char *const labels[] = {"model", model,	      "region", region,
					      "kind",  kinds[i].kind, NULL};

		exposition_uint(page->out, "sluice_proxy_tokens_total", labels, kinds[i].count);
	}
}

static void names_write(struct page *page, const char *family, const char *help,
			const char *const *names, const uint64_t *counts)
{
	exposition_family(page->out, family, "counter", help);
	for (size_t i = 0; i < PROXY_NAMES_MAX; i++) {
		const char *const labels[] = {"reason", names[i], NULL};

		if (names[i])
			exposition_uint(page->out, family, labels, counts[i]);
	}
}

static uint64_t rows_sum(const struct proxy_metrics *metrics, size_t offset)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < metrics->row_count; i++)
		sum += load((const uint64_t *)((const char *)&metrics->rows[i] + offset));
	return sum;
}

static uint64_t snapshot_lowest(const struct proxy_metrics *metrics)
{
	uint64_t lowest = UINT64_MAX;

	for (size_t i = 0; i < metrics->row_count; i++) {
		uint64_t generation = load(&metrics->rows[i].snapshot_generation);

		if (generation && generation < lowest)
			lowest = generation;
	}
	return lowest == UINT64_MAX ? 0 : lowest;
}

struct plain {
	const char *name, *type, *help;
	size_t offset;
};

#define ROW(member) offsetof(struct proxy_row, member)

static const struct plain plains[] = {
	{"sluice_proxy_sessions", "gauge", "Open client connections.", ROW(sessions)},
	{"sluice_proxy_upgraded", "gauge", "Client connections upgraded to another protocol.",
	 ROW(upgraded)},
	{"sluice_proxy_sessions_total", "counter", "Client connections accepted.",
	 ROW(sessions_total)},
	{"sluice_proxy_received_bytes_total", "counter", "Request bytes received from clients.",
	 ROW(bytes_in)},
	{"sluice_proxy_sent_bytes_total", "counter", "Answer bytes sent to clients.",
	 ROW(bytes_out)},
	{"sluice_proxy_upstream_connects_total", "counter", "Connections made to endpoints.",
	 ROW(upstream_connects)},
	{"sluice_proxy_upstream_reuses_total", "counter",
	 "Requests that went over a connection kept alive.", ROW(upstream_reuses)},
	{"sluice_proxy_access_log_lines_lost_total", "counter",
	 "Access log lines that could not be written.", ROW(log_lines_lost)},
	{"sluice_proxy_client_pauses_total", "counter",
	 "Times that reading waited for a client's limit of bytes.", ROW(client_pauses)},
	{"sluice_proxy_clients_untracked_total", "counter",
	 "Connections not limited, for lack of a place in the table of clients.",
	 ROW(clients_untracked)},
	{"sluice_proxy_clients_forgotten_total", "counter",
	 "Clients whose place was taken before what they had used was paid for.",
	 ROW(clients_forgotten)},
	{"sluice_proxy_buffers_free", "gauge", "Buffers left in the workers' pools.",
	 ROW(buffers_free)},
};

static void plains_write(struct page *page)
{
	for (size_t i = 0; i < ARRAY_SIZE(plains); i++) {
		exposition_family(page->out, plains[i].name, plains[i].type, plains[i].help);
		exposition_uint(page->out, plains[i].name, NULL,
				rows_sum(page->metrics, plains[i].offset));
	}
	exposition_family(page->out, "sluice_proxy_snapshot_generation", "gauge",
			  "Lowest generation of the routes snapshot in use, 0: none yet.");
	exposition_uint(page->out, "sluice_proxy_snapshot_generation", NULL,
			snapshot_lowest(page->metrics));
	exposition_family(page->out, "sluice_proxy_worker_starts_total", "counter",
			  "Workers started.");
	exposition_uint(page->out, "sluice_proxy_worker_starts_total", NULL,
			load(&page->metrics->worker_starts));
	exposition_family(page->out, "sluice_proxy_takeovers_total", "counter",
			  "Times that the keeper replaced a dead parent.");
	exposition_uint(page->out, "sluice_proxy_takeovers_total", NULL,
			load(&page->metrics->takeovers));
	exposition_family(page->out, "sluice_proxy_handovers_total", "counter",
			  "Times that a successor took the place of a parent.");
	exposition_uint(page->out, "sluice_proxy_handovers_total", NULL,
			load(&page->metrics->handovers));
	exposition_family(page->out, "sluice_proxy_start_time_seconds", "gauge",
			  "When the proxy started, in Unix time.");
	exposition_uint(page->out, "sluice_proxy_start_time_seconds", NULL,
			page->metrics->started_at);
}

static struct proxy_endpoint endpoint_sum(const struct proxy_metrics *metrics, uint32_t id,
					  uint32_t generation)
{
	struct proxy_endpoint sum = {.generation = generation};

	for (size_t i = 0; i < metrics->row_count; i++) {
		const struct proxy_endpoint *e = &metrics->rows[i].endpoints[id];

		if (!row_used(&metrics->rows[i]) || e->generation != generation)
			continue;
		sum.requests += load(&e->requests);
		sum.failures += load(&e->failures);
		sum.first_bytes += load(&e->first_bytes);
		sum.first_byte_ns += load(&e->first_byte_ns);
	}
	return sum;
}

enum endpoint_family { FAMILY_REQUESTS, FAMILY_FAILURES, FAMILY_TTFT, FAMILY_COUNT, FAMILY_FLYING };

static void endpoint_write(struct page *page, const struct maps *maps, uint32_t id,
			   enum endpoint_family family)
{
	const struct endpoint *e = &maps->endpoints[id];
	const struct cluster *cluster = e->cluster < CLUSTERS_MAX ? &maps->clusters[e->cluster]
								  : NULL;
	struct proxy_endpoint sum = endpoint_sum(page->metrics, id, e->generation);
	char number[12], name[sizeof(e->name) + 1], cluster_name[sizeof(cluster->name) + 1] = "";
	const char *const labels[] = {"endpoint", name,		"id", number,
				      "cluster",  cluster_name, NULL};

	snprintf(number, sizeof(number), "%u", id);
	snprintf(name, sizeof(name), "%.*s", (int)sizeof(e->name), e->name);
	if (cluster)
		snprintf(cluster_name, sizeof(cluster_name), "%.*s", (int)sizeof(cluster->name),
			 cluster->name);
	switch (family) {
	case FAMILY_REQUESTS:
		exposition_uint(page->out, "sluice_proxy_endpoint_requests_total", labels,
				sum.requests);
		break;
	case FAMILY_FAILURES:
		exposition_uint(page->out, "sluice_proxy_endpoint_failures_total", labels,
				sum.failures);
		break;
	case FAMILY_TTFT:
		exposition_double(page->out, "sluice_proxy_endpoint_first_byte_seconds_total",
				  labels, (double)sum.first_byte_ns / 1e9);
		break;
	case FAMILY_COUNT:
		exposition_uint(page->out, "sluice_proxy_endpoint_first_bytes_total", labels,
				sum.first_bytes);
		break;
	case FAMILY_FLYING:
		exposition_uint(page->out, "sluice_proxy_endpoint_inflight", labels,
				inflight_sum(maps, id).requests);
		break;
	}
}

static void endpoints_write(struct page *page, const struct maps *maps)
{
	static const struct {
		const char *name, *type, *help;
	} families[] = {
		[FAMILY_REQUESTS] = {"sluice_proxy_endpoint_requests_total", "counter",
				     "Requests given to the endpoint."},
		[FAMILY_FAILURES] = {"sluice_proxy_endpoint_failures_total", "counter",
				     "Requests that failed there."},
		[FAMILY_TTFT] = {"sluice_proxy_endpoint_first_byte_seconds_total", "counter",
				 "Time from giving a request to the first byte of its answer, "
				 "added up."},
		[FAMILY_COUNT] = {"sluice_proxy_endpoint_first_bytes_total", "counter",
				  "Answers that began."},
		[FAMILY_FLYING] = {"sluice_proxy_endpoint_inflight", "gauge",
				   "Requests in flight from this gateway."},
	};

	for (size_t f = 0; f < ARRAY_SIZE(families); f++) {
		exposition_family(page->out, families[f].name, families[f].type, families[f].help);
		for (uint32_t id = 0; id < ENDPOINTS_MAX; id++) {
			if (maps->endpoints[id].way != WAY_NONE)
				endpoint_write(page, maps, id, (enum endpoint_family)f);
		}
	}
}

void proxy_metrics_expose(const struct proxy_metrics *metrics,
			  const struct proxy_metrics_names *names, const struct maps *maps,
			  struct exposition *out)
{
	struct page page = {.metrics = metrics, .out = out};

	page.cells = calloc(PROXY_MODELS_MAX + 1, sizeof(*page.cells));
	if (!page.cells) {
		out->err = -ENOMEM;
		return;
	}
	for (size_t i = 0; i < metrics->row_count; i++) {
		if (!row_used(&metrics->rows[i]))
			continue;
		row_add_cells(&page, &metrics->rows[i]);
		row_add_names(&page, &metrics->rows[i]);
	}
	exposition_family(out, "sluice_proxy_requests_total", "counter",
			  "Requests answered, by model, region of the endpoint and status.");
	cells_each(&page, write_requests);
	exposition_family(out, "sluice_proxy_time_to_first_token_seconds", "histogram",
			  "Time from the whole request to the first byte of its answer.");
	cells_each(&page, write_first_byte);
	exposition_family(out, "sluice_proxy_request_duration_seconds", "histogram",
			  "Time from the whole request to the end of its answer.");
	cells_each(&page, write_duration);
	exposition_family(out, "sluice_proxy_tokens_total", "counter",
			  "Tokens that servers reported in usage.");
	cells_each(&page, write_tokens);
	names_write(&page, "sluice_proxy_errors_total", "Errors that the proxy answered or met.",
		    names->errors, page.errors);
	names_write(&page, "sluice_proxy_retries_total", "Requests sent again elsewhere.",
		    names->retries, page.retries);
	names_write(&page, "sluice_proxy_picks_total", "Endpoints picked.", names->picks,
		    page.picks);
	names_write(&page, "sluice_proxy_mirrors_total", "Copies of requests for mirrors.",
		    names->mirrors, page.mirrors);
	plains_write(&page);
	if (maps)
		endpoints_write(&page, maps);
	free(page.cells);
}
