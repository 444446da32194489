// SPDX-License-Identifier: BSD-2-Clause
/* The proxy beside HAProxy, nginx and a relay that only moves bytes: same upstream,
 * same load, one run, in turns.  The proxy is alone on CPU 1; upstream and load are on
 * CPU 0.  A request is worth what it costs that core: requests are divided by the run
 * time of the proxy's processes and the core's ksoftirqd, which other work on the
 * machine disturbs less than the clock. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/bench/l7.h"
#include "tests/bench/rows.h"
#include "userspace/base/cleanup.h"

#define BENCH "l7"
#define REPEATS_MAX 15
#define HEAD_BYTES 512
#define STREAMS 400
#define HELD_STREAMS 8000

struct request {
	char *text;
	size_t bytes;
};

struct measured {
	struct l7_result result;
	uint64_t cpu_ns;
};

/* One row's figures, by proxy. */
static double values[L7_PROXY_COUNT][REPEATS_MAX];
static double second[L7_PROXY_COUNT][REPEATS_MAX];

static unsigned repeats(unsigned wanted)
{
	const char *text = getenv("REPEATS");
	unsigned asked = text ? (unsigned)strtoul(text, NULL, 10) : wanted;

	return asked < 1 ? 1 : asked > REPEATS_MAX ? REPEATS_MAX : asked;
}

/* A chat request whose body is `body_bytes` long; pace_ms 0: no stream. */
static struct request request_make(size_t body_bytes, const char *model, bool is_last,
				   unsigned pace_ms)
{
	static const char prompt[] = "\"messages\":[{\"role\":\"user\",\"content\":\"";
	struct request request = {.text = malloc(body_bytes + HEAD_BYTES)};
	char pace[32] = "", before[256], after[256];
	size_t head, fill;

	if (!request.text)
		exit(1);
	if (pace_ms)
		snprintf(pace, sizeof(pace), "x-pace: %u\r\n", pace_ms);
	if (is_last) {
		snprintf(before, sizeof(before), "{%s", prompt);
		snprintf(after, sizeof(after), "\"}],\"model\":\"%s\"}", model);
	} else {
		snprintf(before, sizeof(before), "{\"model\":\"%s\",%s", model, prompt);
		snprintf(after, sizeof(after), "\"}]%s}", pace_ms ? ",\"stream\":true" : "");
	}
	head = (size_t)snprintf(request.text, HEAD_BYTES,
				"POST /v1/chat/completions HTTP/1.1\r\nHost: bench\r\n"
				"Content-Type: application/json\r\n%sContent-Length: %zu\r\n\r\n%s",
				pace, body_bytes, before);
	fill = body_bytes - strlen(before) - strlen(after);
	for (size_t i = 0; i < fill; i++)
		request.text[head + i] = i % 6 == 5 ? ' ' : (char)('a' + i % 23);
	memcpy(request.text + head + fill, after, strlen(after));
	request.bytes = head + fill + strlen(after);
	return request;
}

struct edge {
	enum l7_proxy proxy;
	uint64_t began_ns, ended_ns, memory_kib;
};

static void edge_take(void *ctx, bool is_end)
{
	struct edge *edge = ctx;

	if (edge->proxy == L7_DIRECT)
		return;
	*(is_end ? &edge->ended_ns : &edge->began_ns) = l7_proxy_cpu_ns(edge->proxy);
	if (is_end)
		edge->memory_kib = l7_proxy_memory_kib(edge->proxy);
}

static const char *const names[L7_PROXY_COUNT] = {
	[L7_OURS] = "ours",
	[L7_OURS_TWO] = "ours, two workers",
	[L7_HAPROXY_ROUTE] = "haproxy json_query",
	[L7_HAPROXY_STREAM] = "haproxy no-delay",
	[L7_HAPROXY_TWO] = "haproxy no-delay, two threads",
	[L7_NGINX] = "nginx",
	[L7_RELAY] = "relay",
	[L7_DIRECT] = "direct",
};

/* NULL, or why the row cannot count. */
static const char *measure(enum l7_proxy proxy, struct l7_load load, struct measured *ret_measured,
			   uint64_t *ret_memory_kib)
{
	static char why[160];
	struct edge edge = {.proxy = proxy};
	int err;

	load.addr = l7_proxy_addr(proxy);
	load.port = l7_proxy_port(proxy);
	load.edge = edge_take;
	load.ctx = &edge;
	err = l7_load_run(&load, &ret_measured->result);
	ret_measured->cpu_ns = edge.ended_ns - edge.began_ns;
	if (ret_memory_kib)
		*ret_memory_kib = edge.memory_kib;
	snprintf(why, sizeof(why), "%s: error %d, %llu answers, %llu of them wrong", names[proxy],
		 -err, (unsigned long long)ret_measured->result.done,
		 (unsigned long long)ret_measured->result.wrong);
	fprintf(stderr, "  %s: %.0f/s, %.2f us of CPU each, p50 %.0f us, p99 %.0f us\n",
		names[proxy],
		(double)ret_measured->result.done * 1e9 / (double)ret_measured->result.took_ns,
		(double)ret_measured->cpu_ns / 1e3 / (double)(ret_measured->result.done + 1),
		ret_measured->result.p50_us, ret_measured->result.p99_us);
	if (!err && proxy < L7_DIRECT && edge.ended_ns - edge.began_ns < 1000000)
		return "the run time of a proxy's processes cannot be read";
	return err || ret_measured->result.wrong || !ret_measured->result.done ? why : NULL;
}

/* Right answers for our model, and 404 for another where the proxy routes. */
static const char *verify(enum l7_proxy proxy, size_t body_bytes, bool is_last, bool routes)
{
	_cleanup_free_ char *right = NULL, *wrong = NULL;
	struct request good = request_make(body_bytes, L7_MODEL, is_last, 0);
	struct request bad = request_make(body_bytes, "other-model", is_last, 0);
	const char *addr = l7_proxy_addr(proxy);
	uint16_t port = l7_proxy_port(proxy);
	bool is_right;

	right = good.text;
	wrong = bad.text;
	if (l7_ask(addr, port, good.text, good.bytes, &is_right) != 200 || !is_right)
		return "the answer through a proxy is not the upstream's";
	if (routes && l7_ask(addr, port, bad.text, bad.bytes, &is_right) != 404)
		return "a proxy that should route by model answers another model with other than 404";
	return NULL;
}

static void row_print(const char *name, const char *unit, unsigned count, double *ours,
		      const char *peer, double *peer_values)
{
	struct bench_row row = {.bench = BENCH,
				.row = name,
				.unit = unit,
				.values = ours,
				.count = count,
				.peer = peer,
				.peer_values = peer_values};

	bench_print(&row);
}

/* What runs beside whom in a row. */
struct contest {
	const char *name;
	enum l7_proxy proxies[6]; /* ours first, then the peer */
	unsigned proxy_count;
	const char *peer;
	size_t body_bytes;
	bool is_last; /* the model is the body's last member */
	bool peer_routes;
	struct l7_load load;
	unsigned repeats;
};

static void contest_stop(const struct contest *contest)
{
	for (unsigned i = 0; i < contest->proxy_count; i++)
		l7_proxy_stop(contest->proxies[i]);
}

/* Starts all and checks their answers. */
static const char *contest_start(const struct contest *contest)
{
	const char *why = NULL;

	for (unsigned i = 0; i < contest->proxy_count && !why; i++) {
		why = l7_proxy_start(contest->proxies[i]);
		if (!why)
			why = verify(contest->proxies[i], contest->body_bytes, contest->is_last,
				     i == 0 || (i == 1 && contest->peer_routes));
	}
	if (why)
		contest_stop(contest);
	return why;
}

/* Measures in turns; `take` puts figures into values and second.  NULL, or why not. */
static const char *contest_run(const struct contest *contest,
			       void (*take)(enum l7_proxy proxy, unsigned repeat,
					    const struct measured *measured))
{
	const char *why = contest_start(contest);
	unsigned count = repeats(contest->repeats);

	if (why)
		return why;
	fprintf(stderr, "%s:\n", contest->name);
	for (unsigned repeat = 0; repeat < count && !why; repeat++) {
		for (unsigned i = 0; i < contest->proxy_count && !why; i++) {
			struct measured measured;

			why = measure(contest->proxies[i], contest->load, &measured, NULL);
			if (!why)
				take(contest->proxies[i], repeat, &measured);
		}
	}
	contest_stop(contest);
	return why;
}

/* ---- requests ---- */

static void take_rate(enum l7_proxy proxy, unsigned repeat, const struct measured *measured)
{
	values[proxy][repeat] =
		(double)measured->result.done * 1e9 / (double)(measured->cpu_ns + 1);
}

static void rate_row(const char *name, size_t body_bytes, bool is_last, unsigned connections,
		     enum l7_proxy peer)
{
	_cleanup_free_ char *text = NULL;
	struct request request = request_make(body_bytes, L7_MODEL, is_last, 0);
	struct contest contest = {.name = name,
				  .proxies = {L7_OURS, peer, L7_RELAY},
				  .proxy_count = 3,
				  .body_bytes = body_bytes,
				  .is_last = is_last,
				  .peer_routes = peer == L7_HAPROXY_ROUTE,
				  .load = {.request = request.text,
					   .request_bytes = request.bytes,
					   .connections = connections,
					   .warm_ms = 200,
					   .run_ms = 1000},
				  .repeats = 9};
	const char *why;
	char floor_name[64];

	text = request.text;
	if (!bench_wants(name))
		return;
	why = contest_run(&contest, take_rate);
	if (why) {
		bench_skip(BENCH, name, why);
		return;
	}
	snprintf(floor_name, sizeof(floor_name), "%s_floor", name);
	row_print(name, "1/s", repeats(9), values[L7_OURS],
		  contest.peer_routes ? "haproxy_json_query" : "haproxy_plain", values[peer]);
	row_print(floor_name, "1/s", repeats(9), values[L7_RELAY], NULL, NULL);
}

static void take_latency(enum l7_proxy proxy, unsigned repeat, const struct measured *measured)
{
	values[proxy][repeat] = measured->result.p50_us;
}

static void latency_row(void)
{
	_cleanup_free_ char *text = NULL;
	struct request request = request_make(1024, L7_MODEL, false, 0);
	struct contest contest = {.name = "added_latency_p50",
				  /* direct last: its figure is taken off below */
				  .proxies = {L7_OURS, L7_HAPROXY_ROUTE, L7_RELAY, L7_DIRECT},
				  .proxy_count = 4,
				  .body_bytes = 1024,
				  .peer_routes = true,
				  .load = {.request = request.text,
					   .request_bytes = request.bytes,
					   .connections = 1,
					   .warm_ms = 100,
					   .run_ms = 500},
				  .repeats = 9};
	const char *why;

	text = request.text;
	if (!bench_wants(contest.name))
		return;
	why = contest_run(&contest, take_latency);
	if (why) {
		bench_skip(BENCH, contest.name, why);
		return;
	}
	for (unsigned i = 0; i < repeats(9); i++) {
		for (unsigned p = 0; p < 3; p++)
			values[contest.proxies[p]][i] -= values[L7_DIRECT][i];
	}
	row_print(contest.name, "us", repeats(9), values[L7_OURS], "haproxy_json_query",
		  values[L7_HAPROXY_ROUTE]);
	row_print("added_latency_p50_floor", "us", repeats(9), values[L7_RELAY], NULL, NULL);
}

/* ---- streams ---- */

static void take_stream(enum l7_proxy proxy, unsigned repeat, const struct measured *measured)
{
	values[proxy][repeat] = (double)measured->cpu_ns / 1e3 / (double)measured->result.done;
	second[proxy][repeat] = measured->result.p99_us / 1e3;
}

static void sse_print(bool is_cpu, double (*figures)[REPEATS_MAX], unsigned count)
{
	const char *name = is_cpu ? "sse_cpu_per_token" : "sse_delay_p99";
	const char *unit = is_cpu ? "us" : "ms";
	char other[64];

	if (!bench_wants(name))
		return;
	row_print(name, unit, count, figures[L7_OURS], "haproxy_no_delay",
		  figures[L7_HAPROXY_STREAM]);
	snprintf(other, sizeof(other), "%s_nginx", name);
	row_print(other, unit, count, figures[L7_NGINX], NULL, NULL);
	snprintf(other, sizeof(other), "%s_floor", name);
	row_print(other, unit, count, figures[L7_RELAY], NULL, NULL);
}

static void sse_rows(void)
{
	_cleanup_free_ char *text = NULL;
	struct request request = request_make(1024, L7_MODEL, false, 10);
	struct contest contest = {.name = "sse",
				  .proxies = {L7_OURS, L7_HAPROXY_STREAM, L7_NGINX, L7_RELAY,
					      L7_DIRECT},
				  .proxy_count = 5,
				  .body_bytes = 1024,
				  .load = {.request = request.text,
					   .request_bytes = request.bytes,
					   .connections = STREAMS,
					   .is_stream = true,
					   .warm_ms = 500,
					   .run_ms = 2000},
				  .repeats = 7};
	unsigned count = repeats(7);
	const char *why;

	text = request.text;
	if (!bench_wants("sse_cpu_per_token") && !bench_wants("sse_delay_p99"))
		return;
	why = contest_run(&contest, take_stream);
	if (why) {
		bench_skip(BENCH, "sse_cpu_per_token", why);
		bench_skip(BENCH, "sse_delay_p99", why);
		return;
	}
	/* a token's delay is what a proxy adds to the direct way's of the same repeat */
	for (unsigned i = 0; i < count; i++) {
		for (unsigned p = 0; p < 4; p++)
			second[contest.proxies[p]][i] -= second[L7_DIRECT][i];
	}
	sse_print(true, values, count);
	sse_print(false, second, count);
}

static const char *memory_once(enum l7_proxy proxy, const struct l7_load *load, double *ret_kib)
{
	struct measured measured;
	uint64_t before, full = 0;
	const char *why = l7_proxy_start(proxy);

	if (why)
		return why;
	before = l7_proxy_memory_kib(proxy);
	why = measure(proxy, *load, &measured, &full);
	*ret_kib = ((double)full - (double)before) / HELD_STREAMS;
	l7_proxy_stop(proxy);
	return why;
}

static void memory_row(void)
{
	_cleanup_free_ char *text = NULL;
	struct request request = request_make(1024, L7_MODEL, false, 1000);
	struct l7_load load = {.request = request.text,
			       .request_bytes = request.bytes,
			       .connections = HELD_STREAMS,
			       .is_stream = true,
			       .warm_ms = 10000,
			       .run_ms = 2000};
	unsigned count = repeats(3);
	const char *why = NULL;

	text = request.text;
	if (!bench_wants("stream_memory"))
		return;
	fprintf(stderr, "stream_memory:\n");
	for (unsigned i = 0; i < count && !why; i++) {
		why = memory_once(L7_OURS_TWO, &load, &values[L7_OURS][i]);
		if (!why)
			why = memory_once(L7_HAPROXY_TWO, &load, &values[L7_HAPROXY_TWO][i]);
	}
	if (why)
		bench_skip(BENCH, "stream_memory", why);
	else
		row_print("stream_memory", "KiB", count, values[L7_OURS], "haproxy_no_delay",
			  values[L7_HAPROXY_TWO]);
}

int main(void)
{
	bench_machine();
	l7_rig_make();
	rate_row("json_route_1k", 1024, false, 32, L7_HAPROXY_ROUTE);
	rate_row("json_route_32k", 32768, false, 32, L7_HAPROXY_ROUTE);
	rate_row("json_route_32k_last", 32768, true, 32, L7_HAPROXY_ROUTE);
	sse_rows();
	latency_row();
	memory_row();
	rate_row("body_220k", 220 << 10, false, 150, L7_HAPROXY_STREAM);
	if (bench_wants("tls_rps"))
		bench_skip(BENCH, "tls_rps", "the proxy does not speak TLS yet");
	if (bench_wants("h2_rps"))
		bench_skip(BENCH, "h2_rps", "the proxy does not speak HTTP/2 yet");
	return 0;
}
