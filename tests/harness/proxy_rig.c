// SPDX-License-Identifier: BSD-2-Clause
#include "tests/harness/proxy_rig.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

#include "userspace/base/address.h"
#include "userspace/base/clock.h"
#include "userspace/base/file.h"

static char received[8u << 20];

static int listen_on_loopback(uint16_t *ret_port)
{
	struct sockaddr_in sa = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t length = sizeof(sa);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	assert_int_equal(listen(fd, 4096), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&sa, &length), 0);
	*ret_port = ntohs(sa.sin_port);
	return fd;
}

static void maps_make(struct rig *rig)
{
	struct maps *m = &rig->maps;

	m->role = MAPS_WORKER;
	m->endpoints = calloc(ENDPOINTS_MAX, sizeof(*m->endpoints));
	m->clusters = calloc(CLUSTERS_MAX, sizeof(*m->clusters));
	m->pools = calloc(POOLS_MAX, sizeof(*m->pools));
	m->admin = calloc(ADMIN_SLOTS, sizeof(*m->admin));
	m->health = calloc(ENDPOINTS_MAX, sizeof(*m->health));
	m->load = calloc(ENDPOINTS_MAX, sizeof(*m->load));
	m->inflight = calloc((size_t)WORKERS_MAX * ENDPOINTS_MAX, sizeof(*m->inflight));
	for (unsigned i = 0; i < 2; i++) {
		snprintf(m->clusters[i].name, sizeof(m->clusters[i].name), "cluster-%u", i);
		m->clusters[i].rtt_us = i ? 30000 : 1000;
	}
	for (unsigned i = 0; i < RIG_ENDPOINTS; i++) {
		struct endpoint *e = &m->endpoints[i];

		rig->servers[i] = listen_on_loopback(&rig->server_ports[i]);
		assert_int_equal(address_parse("127.0.0.1", &e->addr), 0);
		e->port = htons(rig->server_ports[i]);
		e->way = WAY_NAT;
		e->cluster = i < RIG_ENDPOINTS / 2 ? 0 : 1;
		e->generation = 1;
		snprintf(e->name, sizeof(e->name), "ai/pod-%u", i);
		rig_health(rig, i, HEALTH_UP);
	}
}

struct rig *rig_new(void)
{
	struct rig *rig = calloc(1, sizeof(*rig));

	assert_non_null(rig);
	signal(SIGPIPE, SIG_IGN);
	rig->options = proxy_options_default;
	rig->options.sessions_max = 64;
	rig->options.buffers_max = 512;
	rig->options.spill_dir = "/tmp";
	snprintf(rig->dir, sizeof(rig->dir), "/tmp/sluice-rig-XXXXXX");
	assert_non_null(mkdtemp(rig->dir));
	snprintf(rig->log_path, sizeof(rig->log_path), "%s/access.log", rig->dir);
	rig->listener = listen_on_loopback(&rig->port);
	maps_make(rig);
	assert_int_equal(proxy_metrics_new(2, &rig->metrics), 0);
	return rig;
}

void rig_routes(struct rig *rig, const char *rules)
{
	static char text[16384];
	char path[128];
	int length;

	if (!rules)
		rules = "{'matches':[{'path_type':'PathPrefix','path':'/'}],"
			"'backends':[{'pool':0,'weight':1,'name':'ai/all'}]}";
	length = snprintf(
		text, sizeof(text),
		"{'version':1,'generation':%llu,"
		"'clusters':[{'id':0,'name':'cluster-0','region':'eu'},"
		"{'id':1,'name':'cluster-1','region':'us'}],"
		"'pools':[{'id':0,'name':'ai/all','kind':'InferencePool','endpoints':["
		"{'id':0,'generation':1,'cluster':0},{'id':1,'generation':1,'cluster':0},"
		"{'id':2,'generation':1,'cluster':1},{'id':3,'generation':1,'cluster':1}]},"
		"{'id':1,'name':'ai/one','kind':'InferencePool','endpoints':["
		"{'id':0,'generation':1,'cluster':0}]},"
		"{'id':2,'name':'ai/two','kind':'InferencePool','endpoints':["
		"{'id':1,'generation':1,'cluster':0}],'rewrites':["
		"{'name':'ai/w','models':['food'],'targets':[{'model':'food-1','weight':1}]},"
		"{'name':'ai/w','models':['dashed'],'targets':[{'model':'--x','weight':1}]}]},"
		"{'id':3,'name':'ai/empty','kind':'InferencePool','endpoints':[]},"
		"{'id':4,'name':'ai/three','kind':'InferencePool','endpoints':["
		"{'id':2,'generation':1,'cluster':1}],'rewrites':["
		"{'name':'ai/w','targets':[{'model':'lora','weight':1}]}]}],"
		"'listeners':[{'gateway':'i/g','name':'http','addr':'127.0.0.1','port':%u}],"
		"'objectives':[{'name':'batch','namespace_':'ai','pool':'ai/all','priority':-1}],"
		"'base_models':[{'model':'lora','base':'gemma'}],"
		"'routes':[{'name':'ai/route','listeners':[0],'rules':[%s]}]}",
		(unsigned long long)++rig->generation, rig->port, rules);
	assert_true(length > 0 && (size_t)length < sizeof(text));
	for (char *c = text; *c; c++) {
		if (*c == '\'')
			*c = '"';
	}
	snprintf(path, sizeof(path), "%s/%s", rig->dir, RUN_ROUTES);
	assert_int_equal(file_replace(path, text, (size_t)length, 0600), 0);
}

void rig_start(struct rig *rig)
{
	struct worker_config config = {
		.options = &rig->options,
		.maps = &rig->maps,
		.metrics = rig->metrics,
		.row = 0,
		.run_dir = rig->dir,
		.access_log = rig->log_path,
		.persist_key = {.tag = "of the rig", .mask = "and its mask"},
		.listener_fds = {rig->listener, -1},
	};

	if (client_limits_any(&rig->options.clients))
		assert_int_equal(client_table_new(&rig->options.clients, 100, &rig->clients), 0);
	config.clients = rig->clients;
	assert_int_equal(worker_new(&config, &rig->worker), 0);
}

struct rig *rig_ready(const char *rules)
{
	struct rig *rig = rig_new();

	rig_routes(rig, rules);
	rig_start(rig);
	return rig;
}

void assert_has(const char *text, const char *part)
{
	if (!strstr(text, part))
		fail_msg("'%s' is not in: %s", part, text);
}

void assert_has_not(const char *text, const char *part)
{
	if (strstr(text, part))
		fail_msg("'%s' is in: %s", part, text);
}

void rig_free(struct rig *rig)
{
	char path[128];

	if (!rig)
		return;
	worker_free(rig->worker);
	for (unsigned i = 0; i < RIG_ENDPOINTS; i++)
		rig_server_stop(rig, i);
	close(rig->listener);
	proxy_metrics_free(rig->metrics);
	client_table_free(rig->clients);
	free(rig->maps.endpoints);
	free(rig->maps.clusters);
	free(rig->maps.pools);
	free(rig->maps.admin);
	free(rig->maps.health);
	free(rig->maps.load);
	free(rig->maps.inflight);
	snprintf(path, sizeof(path), "%s/%s", rig->dir, RUN_ROUTES);
	unlink(path);
	unlink(rig->log_path);
	rmdir(rig->dir);
	free(rig);
}

void rig_turn(struct rig *rig, int ms)
{
	uint64_t until = clock_monotonic_ns() + (uint64_t)ms * NS_PER_MS;

	do
		assert_int_equal(loop_turn(rig->worker->loop, 1), 0);
	while (clock_monotonic_ns() < until);
}

int rig_client(struct rig *rig)
{
	struct sockaddr_in sa = {.sin_family = AF_INET,
				 .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
				 .sin_port = htons(rig->port)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int one = 1;

	assert_true(fd >= 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	return fd;
}

void rig_send(struct rig *rig, int fd, const char *data, size_t length)
{
	uint64_t until = clock_monotonic_ns() + RIG_WAIT_MS * NS_PER_MS;

	while (length) {
		ssize_t n = send(fd, data, length, MSG_NOSIGNAL);

		if (n < 0 && errno != EAGAIN)
			return; /* the other side closed: what it said is asked later */
		if (n > 0) {
			data += n;
			length -= (size_t)n;
		}
		assert_int_equal(loop_turn(rig->worker->loop, 0), 0);
		if (clock_monotonic_ns() > until)
			fail_msg("%zu bytes could not be sent", length);
	}
	rig_turn(rig, 0);
}

void rig_puts(struct rig *rig, int fd, const char *text)
{
	rig_send(rig, fd, text, strlen(text));
}

const char *rig_expect(struct rig *rig, int fd, const char *text)
{
	uint64_t until = clock_monotonic_ns() + RIG_WAIT_MS * NS_PER_MS;
	size_t have = 0;

	for (;;) {
		ssize_t n = recv(fd, received + have, sizeof(received) - 1 - have, 0);

		if (n > 0)
			have += (size_t)n;
		received[have] = '\0';
		if (memmem(received, have, text, strlen(text)))
			return received;
		if (n == 0 || (n < 0 && errno != EAGAIN))
			fail_msg("closed before '%s' came; received: %s", text, received);
		if (clock_monotonic_ns() > until)
			fail_msg("'%s' did not come; received: %s", text, received);
		rig_turn(rig, 0);
	}
}

const char *rig_expect_end(struct rig *rig, int fd, bool *ret_reset)
{
	uint64_t until = clock_monotonic_ns() + RIG_WAIT_MS * NS_PER_MS;
	size_t have = 0;

	for (;;) {
		ssize_t n = recv(fd, received + have, sizeof(received) - 1 - have, 0);

		if (n > 0)
			have += (size_t)n;
		received[have] = '\0';
		if (n == 0 || (n < 0 && errno != EAGAIN)) {
			if (ret_reset)
				*ret_reset = n < 0;
			return received;
		}
		if (clock_monotonic_ns() > until)
			fail_msg("not closed; received: %s", received);
		rig_turn(rig, 0);
	}
}

bool rig_is_silent(struct rig *rig, int fd, int ms)
{
	char byte;

	rig_turn(rig, ms);
	return recv(fd, &byte, 1, MSG_PEEK) < 0 && errno == EAGAIN;
}

bool rig_is_closed(struct rig *rig, int fd)
{
	uint64_t until = clock_monotonic_ns() + RIG_WAIT_MS * NS_PER_MS;

	while (clock_monotonic_ns() < until) {
		char data[4096];
		ssize_t n = recv(fd, data, sizeof(data), 0);

		if (n == 0 || (n < 0 && errno != EAGAIN))
			return true;
		rig_turn(rig, 0);
	}
	return false;
}

int rig_accept(struct rig *rig, unsigned index, int ms)
{
	uint64_t until = clock_monotonic_ns() + (uint64_t)ms * NS_PER_MS;

	do {
		int fd = accept4(rig->servers[index], NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (fd >= 0)
			return fd;
		rig_turn(rig, 0);
	} while (clock_monotonic_ns() < until);
	return -1;
}

int rig_accept_any(struct rig *rig, unsigned *ret_index)
{
	uint64_t until = clock_monotonic_ns() + RIG_WAIT_MS * NS_PER_MS;

	do {
		for (unsigned i = 0; i < RIG_ENDPOINTS; i++) {
			int fd = rig->servers[i] < 0 ? -1 : rig_accept(rig, i, 0);

			if (fd >= 0) {
				*ret_index = i;
				return fd;
			}
		}
	} while (clock_monotonic_ns() < until);
	fail_msg("no endpoint was asked");
	return -1;
}

void rig_health(struct rig *rig, unsigned index, enum health_state state)
{
	rig->maps.health[index] = (struct health){.state = (uint8_t)state, .generation = 1};
}

void rig_server_stop(struct rig *rig, unsigned index)
{
	if (rig->servers[index] >= 0)
		close(rig->servers[index]);
	rig->servers[index] = -1;
}

const char *rig_log_last(struct rig *rig)
{
	static char line[ACCESS_LINE_MAX];
	char *data = NULL, *end, *begin;
	size_t size;

	access_log_flush(&rig->worker->log);
	line[0] = '\0';
	if (file_read(rig->log_path, 64u << 20, &data, &size) || !size) {
		free(data);
		return line;
	}
	end = data + size - 1;
	begin = memrchr(data, '\n', (size_t)(end - data));
	snprintf(line, sizeof(line), "%s", begin ? begin + 1 : data);
	free(data);
	return line;
}

struct inflight rig_inflight(struct rig *rig)
{
	struct inflight sum = {0};

	for (unsigned i = 0; i < RIG_ENDPOINTS; i++) {
		struct inflight one = inflight_sum(&rig->maps, i);

		sum.requests += one.requests;
		sum.waiting += one.waiting;
		sum.uncached_tokens += one.uncached_tokens;
	}
	return sum;
}

#define CHAT_END "hello there\"}]}"

const char *rig_chat(const char *model)
{
	static char text[1024];
	char body[512];

	snprintf(body, sizeof(body),
		 "{\"model\":\"%s\",\"messages\":[{\"role\":\"user\",\"content\":\"" CHAT_END,
		 model);
	snprintf(text, sizeof(text),
		 "POST /v1/chat/completions HTTP/1.1\r\nHost: api.test\r\n"
		 "Content-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s",
		 strlen(body), body);
	return text;
}

const char *rig_expect_chat(struct rig *rig, int fd)
{
	return rig_expect(rig, fd, CHAT_END);
}

int rig_take_chat(struct rig *rig, unsigned *ret_index)
{
	int fd = rig_accept_any(rig, ret_index);

	rig_expect_chat(rig, fd);
	return fd;
}

void assert_nothing_in_flight(struct rig *rig)
{
	struct inflight sum = rig_inflight(rig);

	assert_int_equal(sum.requests, 0);
	assert_int_equal(sum.waiting, 0);
	assert_int_equal(sum.uncached_tokens, 0);
}
