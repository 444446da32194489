// SPDX-License-Identifier: BSD-2-Clause
/* Probes against real servers on the loopback. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

#include "userspace/base/address.h"
#include "userspace/base/cleanup.h"
#include "userspace/base/clock.h"
#include "userspace/base/loop.h"
#include "userspace/health/probe.h"
#include "userspace/http/fetch.h"
#include "userspace/http/serve.h"

struct bench {
	struct loop *loop;
	struct server *server;
	struct prober *prober;
	int status; /* what the server answers */
	char path[64]; /* what it was asked last */
	int reports;
	struct health_track track; /* of the last report */
	struct probe_report last;
	bool remove; /* take the endpoint out from inside the report */
};

static void serve_status(void *ctx, const char *path, struct server_answer *ret_answer)
{
	struct bench *bench = ctx;

	strncpy(bench->path, path, sizeof(bench->path) - 1);
	ret_answer->status = bench->status;
}

static void report_take(void *ctx, const struct probe_report *report)
{
	struct bench *bench = ctx;

	bench->reports++;
	bench->last = *report;
	bench->track = *report->track;
	if (bench->remove)
		prober_remove(bench->prober, report->id);
}

static int bench_setup(void **state)
{
	struct bench *bench = calloc(1, sizeof(*bench));
	struct ip_addr addr;

	*state = bench;
	bench->status = 200;
	address_parse("127.0.0.1", &addr);
	return loop_new(1000, &bench->loop) ||
	       prober_new(bench->loop, 4, report_take, bench, &bench->prober) ||
	       server_new(bench->loop, &addr, 0, serve_status, bench, &bench->server);
}

static int bench_teardown(void **state)
{
	struct bench *bench = *state;

	prober_free(bench->prober);
	server_free(bench->server);
	loop_free(bench->loop);
	free(bench);
	return 0;
}

static struct probe_target target_of(uint32_t id, uint16_t port)
{
	struct probe_target target = {
		.id = id,
		.generation = 1,
		.port = port,
		.path = "/health",
		.policy = {.interval_ms = 20, .timeout_ms = 200, .rise = 2, .fall = 2},
	};

	address_parse("127.0.0.1", &target.addr);
	return target;
}

static void bench_run(struct bench *bench, int reports)
{
	uint64_t deadline = clock_monotonic_ns() + 5 * NS_PER_S;
	int goal = bench->reports + reports;

	while (bench->reports < goal) {
		assert_true(clock_monotonic_ns() < deadline);
		assert_int_equal(loop_turn(bench->loop, 50), 0);
	}
}

static void an_endpoint_that_answers_is_up_and_its_connect_time_known(void **state)
{
	struct bench *bench = *state;
	struct probe_target target = target_of(3, server_port(bench->server));

	assert_int_equal(prober_put(bench->prober, &target, NULL), 0);
	bench_run(bench, 1);
	assert_int_equal(bench->last.id, 3);
	assert_true(bench->last.changed);
	assert_int_equal(bench->track.state, HEALTH_UP);
	assert_true(bench->last.connect_ns > 0);
	assert_string_equal(bench->path, "/health");
}

static void an_unexpected_status_takes_it_down_and_a_good_one_brings_it_back(void **state)
{
	struct bench *bench = *state;
	struct probe_target target = target_of(0, server_port(bench->server));

	assert_int_equal(prober_put(bench->prober, &target, NULL), 0);
	bench_run(bench, 1);
	bench->status = 503;
	bench_run(bench, 2);
	assert_int_equal(bench->track.state, HEALTH_DOWN);
	assert_int_equal(bench->track.reason, HEALTH_REASON_STATUS);
	assert_int_equal(bench->last.status, 503);
	bench->status = 204;
	bench_run(bench, 2);
	assert_int_equal(bench->track.state, HEALTH_UP);
}

static uint16_t port_of(int fd)
{
	struct sockaddr_in sa;
	socklen_t length = sizeof(sa);

	assert_int_equal(getsockname(fd, (struct sockaddr *)&sa, &length), 0);
	return ntohs(sa.sin_port);
}

static int listener_open(void)
{
	struct sockaddr_in sa = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(bind(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	assert_int_equal(listen(fd, 8), 0);
	return fd;
}

static void a_server_that_never_answers_times_out(void **state)
{
	struct bench *bench = *state;
	_cleanup_close_ int fd = listener_open();
	struct probe_target target = target_of(0, port_of(fd));

	target.policy.timeout_ms = 30;
	assert_int_equal(prober_put(bench->prober, &target, NULL), 0);
	bench_run(bench, 2);
	assert_int_equal(bench->track.state, HEALTH_DOWN);
	assert_int_equal(bench->track.reason, HEALTH_REASON_TIMEOUT);
}

static void a_closed_port_is_refused(void **state)
{
	struct bench *bench = *state;
	int fd = listener_open();
	struct probe_target target = target_of(0, port_of(fd));

	close(fd);
	assert_int_equal(prober_put(bench->prober, &target, NULL), 0);
	bench_run(bench, 2);
	assert_int_equal(bench->track.state, HEALTH_DOWN);
	assert_int_equal(bench->track.reason, HEALTH_REASON_REFUSED);
	assert_int_equal(bench->last.status, 0);
}

static void a_new_policy_keeps_the_state_and_a_new_generation_does_not(void **state)
{
	struct bench *bench = *state;
	struct probe_target target = target_of(0, server_port(bench->server));

	assert_int_equal(prober_put(bench->prober, &target, NULL), 0);
	bench_run(bench, 1);
	target.policy.fall = 5;
	assert_int_equal(prober_put(bench->prober, &target, NULL), 0);
	assert_int_equal(prober_track(bench->prober, 0)->state, HEALTH_UP);
	target.generation = 2;
	assert_int_equal(prober_put(bench->prober, &target, NULL), 0);
	assert_int_equal(prober_track(bench->prober, 0)->state, HEALTH_UNKNOWN);
}

static void an_adopted_endpoint_starts_from_the_state_it_had(void **state)
{
	struct bench *bench = *state;
	const struct health_track down = {.state = HEALTH_DOWN, .fall = 9};
	struct probe_target target = target_of(0, server_port(bench->server));

	assert_int_equal(prober_put(bench->prober, &target, &down), 0);
	bench_run(bench, 1);
	assert_int_equal(bench->track.state, HEALTH_DOWN); /* rise is 2 */
	bench_run(bench, 1);
	assert_int_equal(bench->track.state, HEALTH_UP);
}

static void a_report_may_remove_its_own_endpoint(void **state)
{
	struct bench *bench = *state;
	struct probe_target target = target_of(0, server_port(bench->server));

	bench->remove = true;
	assert_int_equal(prober_put(bench->prober, &target, NULL), 0);
	bench_run(bench, 1);
	assert_null(prober_track(bench->prober, 0));
	for (int i = 0; i < 5; i++)
		loop_turn(bench->loop, 20);
	assert_int_equal(bench->reports, 1);
}

static bool all_are_up(const struct bench *bench, uint32_t count)
{
	for (uint32_t id = 0; id < count; id++) {
		if (prober_track(bench->prober, id)->state != HEALTH_UP)
			return false;
	}
	return true;
}

static void more_endpoints_than_slots_are_all_probed(void **state)
{
	struct bench *bench = *state;
	uint16_t port = server_port(bench->server);
	uint64_t deadline = clock_monotonic_ns() + 20 * NS_PER_S; /* a busy machine is slow */

	for (uint32_t id = 0; id < 40; id++) {
		struct probe_target target = target_of(id, port);

		assert_int_equal(prober_put(bench->prober, &target, NULL), 0);
	}
	while (!all_are_up(bench, 40)) {
		assert_true(clock_monotonic_ns() < deadline);
		assert_int_equal(loop_turn(bench->loop, 50), 0);
	}
}

static void dead_endpoints_do_not_keep_live_ones_from_being_probed(void **state)
{
	struct bench *bench = *state;
	const struct health_track down = {.state = HEALTH_DOWN, .fall = 9};
	_cleanup_close_ int fd = listener_open();
	struct probe_target live = target_of(100, server_port(bench->server));
	uint64_t start;

	for (uint32_t id = 0; id < 40; id++) {
		struct probe_target dead = target_of(id, port_of(fd));

		dead.policy.timeout_ms = 60000;
		assert_int_equal(prober_put(bench->prober, &dead, &down), 0);
	}
	for (int i = 0; i < 5; i++)
		loop_turn(bench->loop, 20); /* now they have what they can get */
	start = clock_monotonic_ns();
	assert_int_equal(prober_put(bench->prober, &live, NULL), 0);
	bench_run(bench, 10);
	assert_int_equal(bench->last.id, 100);
	assert_true(clock_monotonic_ns() - start < 2 * NS_PER_S);
}

/* ---- TCP ---- */

static void a_connection_that_comes_about_is_enough(void **state)
{
	struct bench *bench = *state;
	_cleanup_close_ int fd = listener_open(); /* nobody accepts, nobody speaks HTTP */
	struct probe_target target = target_of(0, port_of(fd));

	target.kind = PROBE_TCP;
	assert_int_equal(prober_put(bench->prober, &target, NULL), 0);
	bench_run(bench, 2);
	assert_int_equal(bench->track.state, HEALTH_UP);
	assert_int_equal(bench->track.reason, HEALTH_REASON_OK);
	assert_true(bench->last.connect_ns > 0);
	assert_int_equal(bench->last.status, 0);
}

static void a_closed_port_refuses_a_connection_too(void **state)
{
	struct bench *bench = *state;
	int fd = listener_open();
	struct probe_target target = target_of(0, port_of(fd));

	close(fd);
	target.kind = PROBE_TCP;
	assert_int_equal(prober_put(bench->prober, &target, NULL), 0);
	bench_run(bench, 2);
	assert_int_equal(bench->track.state, HEALTH_DOWN);
	assert_int_equal(bench->track.reason, HEALTH_REASON_REFUSED);
}

/* What the owner is told of probes with a mark. */
struct path {
	struct bench *bench;
	uint16_t ports[64]; /* begun, in order */
	uint16_t ended_port; /* the last one */
	int begun, ended, err;
	enum health_reason verdict; /* what end() returns; HEALTH_REASON_COUNT: as it is */
};

static void path_begin(void *ctx, const struct probe_target *target, uint16_t port)
{
	struct path *path = ctx;

	(void)target;
	path->ports[path->begun++ % ARRAY_SIZE(path->ports)] = port;
}

static enum health_reason path_end(void *ctx, const struct probe_target *target, uint16_t port,
				   int err, enum health_reason reason)
{
	struct path *path = ctx;

	(void)target;
	path->ended++;
	path->ended_port = port;
	path->err = err;
	return path->verdict == HEALTH_REASON_COUNT ? reason : path->verdict;
}

static const struct probe_hooks hooks = {.begin = path_begin, .end = path_end};

#define PATH_LOW 64001
#define PATH_HIGH 64004

static bool may_mark(void)
{
	if (geteuid() == 0)
		return true;
	printf("skip: SO_MARK needs root\n");
	return false;
}

static struct probe_target target_marked(uint32_t id, uint16_t port)
{
	struct probe_target target = target_of(id, port);

	target.kind = PROBE_TCP;
	target.mark = 0x12340000 | id;
	address_parse("127.0.0.1", &target.source);
	return target;
}

static void a_mark_needs_ports(void **state)
{
	struct bench *bench = *state;
	struct probe_target target = target_marked(0, 1);

	assert_int_equal(prober_put(bench->prober, &target, NULL), -EINVAL);
	assert_int_equal(prober_path(bench->prober, 9, 8, &hooks, NULL), -EINVAL);
	assert_int_equal(prober_path(bench->prober, 0, 8, &hooks, NULL), -EINVAL);
}

/* Accepts one connection and says where it came from and what it carries. */
static uint16_t peer_port(int listener)
{
	struct sockaddr_in sa;
	socklen_t length = sizeof(sa);
	_cleanup_close_ int fd = accept(listener, (struct sockaddr *)&sa, &length);

	assert_true(fd >= 0);
	return ntohs(sa.sin_port);
}

static void a_probe_with_a_mark_leaves_from_the_port_that_the_owner_was_told(void **state)
{
	struct bench *bench = *state;
	_cleanup_close_ int fd = listener_open();
	struct probe_target target = target_marked(0, port_of(fd));
	struct path path = {.verdict = HEALTH_REASON_COUNT};

	if (!may_mark())
		skip();
	assert_int_equal(prober_path(bench->prober, PATH_LOW, PATH_HIGH, &hooks, &path), 0);
	assert_int_equal(prober_put(bench->prober, &target, NULL), 0);
	bench_run(bench, 5);
	assert_int_equal(bench->track.state, HEALTH_UP);
	assert_int_equal(path.ended, 5);
	assert_int_equal(path.ended_port, path.ports[4]);
	for (int i = 0; i < 5; i++) { /* in turn, none again before all were out */
		assert_int_equal(path.ports[i], PATH_LOW + i % 4);
		assert_int_equal(peer_port(fd), path.ports[i]);
	}
}

static void a_result_that_the_owner_takes_back_does_not_count(void **state)
{
	struct bench *bench = *state;
	_cleanup_close_ int fd = listener_open();
	struct probe_target target = target_marked(0, port_of(fd));
	struct path path = {.verdict = HEALTH_REASON_NONE};

	if (!may_mark())
		skip();
	assert_int_equal(prober_path(bench->prober, PATH_LOW, PATH_HIGH, &hooks, &path), 0);
	assert_int_equal(prober_put(bench->prober, &target, NULL), 0);
	for (uint64_t end = clock_monotonic_ns() + 5 * NS_PER_S; path.ended < 3;) {
		assert_true(clock_monotonic_ns() < end);
		assert_int_equal(loop_turn(bench->loop, 50), 0);
	}
	assert_int_equal(bench->reports, 0);
	assert_int_equal(prober_track(bench->prober, 0)->state, HEALTH_UNKNOWN);
	path.verdict = HEALTH_REASON_COUNT;
	bench_run(bench, 1);
	assert_int_equal(bench->track.state, HEALTH_UP);
}

static void a_port_that_others_have_is_passed_over(void **state)
{
	struct bench *bench = *state;
	_cleanup_close_ int fd = listener_open();
	_cleanup_close_ int other = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_in sa = {.sin_family = AF_INET,
				 .sin_port = htons(PATH_LOW),
				 .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	struct probe_target target = target_marked(0, port_of(fd));
	struct path path = {.verdict = HEALTH_REASON_COUNT};

	if (!may_mark())
		skip();
	assert_int_equal(bind(other, (struct sockaddr *)&sa, sizeof(sa)), 0);
	assert_int_equal(listen(other, 1), 0);
	assert_int_equal(prober_path(bench->prober, PATH_LOW, PATH_HIGH, &hooks, &path), 0);
	assert_int_equal(prober_put(bench->prober, &target, NULL), 0);
	bench_run(bench, 1);
	assert_int_equal(bench->track.state, HEALTH_UP);
	assert_int_equal(path.ports[0], PATH_LOW);
	assert_int_equal(path.ports[1], PATH_LOW + 1);
	assert_int_equal(path.ended, 2);
}

static void a_source_that_is_no_address_of_this_host_is_told(void **state)
{
	struct bench *bench = *state;
	_cleanup_close_ int fd = listener_open();
	struct probe_target target = target_marked(0, port_of(fd));
	struct path path = {.verdict = HEALTH_REASON_COUNT};

	if (!may_mark())
		skip();
	address_parse("192.0.2.77", &target.source);
	assert_int_equal(prober_path(bench->prober, PATH_LOW, PATH_HIGH, &hooks, &path), 0);
	assert_int_equal(prober_put(bench->prober, &target, NULL), 0);
	for (uint64_t end = clock_monotonic_ns() + 5 * NS_PER_S; path.ended < 2;) {
		assert_true(clock_monotonic_ns() < end);
		assert_int_equal(loop_turn(bench->loop, 50), 0);
	}
	assert_int_equal(path.err, -EADDRNOTAVAIL);
	assert_int_equal(bench->reports, 0);
}

/* Its queue is full, so that it answers no SYN. */
static int listener_open_deaf(int ret_fill[2])
{
	struct sockaddr_in sa = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(bind(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	assert_int_equal(listen(fd, 0), 0);
	sa.sin_port = htons(port_of(fd));
	for (int i = 0; i < 2; i++) {
		ret_fill[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
		connect(ret_fill[i], (struct sockaddr *)&sa, sizeof(sa));
	}
	return fd;
}

static void dead_endpoints_do_not_take_all_ports(void **state)
{
	struct bench *bench = *state;
	const struct health_track down = {.state = HEALTH_DOWN, .fall = 9};
	int fill[2];
	_cleanup_close_ int fd = listener_open(), deaf = listener_open_deaf(fill);
	struct path path = {.verdict = HEALTH_REASON_COUNT};
	struct probe_target live = target_marked(100, port_of(fd));

	if (!may_mark())
		skip();
	prober_free(bench->prober); /* one with more places than ports */
	assert_int_equal(prober_new(bench->loop, 64, report_take, bench, &bench->prober), 0);
	assert_int_equal(prober_path(bench->prober, PATH_LOW, PATH_HIGH, &hooks, &path), 0);
	for (uint32_t id = 0; id < 12; id++) {
		struct probe_target dead = target_marked(id, port_of(deaf));

		dead.policy.timeout_ms = 60000;
		assert_int_equal(prober_put(bench->prober, &dead, &down), 0);
	}
	for (int i = 0; i < 5; i++)
		loop_turn(bench->loop, 20);
	assert_int_equal(path.begun, 3); /* of four ports */
	assert_int_equal(path.ended, 0);
	assert_int_equal(prober_put(bench->prober, &live, NULL), 0);
	bench_run(bench, 3);
	assert_int_equal(bench->last.id, 100);
	assert_int_equal(bench->track.state, HEALTH_UP);
	close(fill[0]);
	close(fill[1]);
}

static void faults_of_our_own_say_nothing_of_the_endpoint(void **state)
{
	static const struct {
		int err, status;
		enum health_reason reason;
	} cases[] = {
		{0, 200, HEALTH_REASON_OK},
		{0, 399, HEALTH_REASON_OK},
		{0, 400, HEALTH_REASON_STATUS},
		{0, 199, HEALTH_REASON_STATUS},
		{-ECONNREFUSED, 0, HEALTH_REASON_REFUSED},
		{-ETIMEDOUT, 0, HEALTH_REASON_TIMEOUT},
		{-ENETUNREACH, 0, HEALTH_REASON_UNREACHABLE},
		{-EHOSTUNREACH, 0, HEALTH_REASON_UNREACHABLE},
		{-EBADMSG, 0, HEALTH_REASON_PROTOCOL},
		{-ECONNRESET, 0, HEALTH_REASON_PROTOCOL},
		{-EMFILE, 0, HEALTH_REASON_NONE},
		{-EADDRNOTAVAIL, 0, HEALTH_REASON_NONE},
		{-EADDRINUSE, 0, HEALTH_REASON_NONE},
		{-ENOMEM, 0, HEALTH_REASON_NONE},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const struct fetch_result result = {.err = cases[i].err, .status = cases[i].status};

		assert_int_equal(probe_reason(&result), cases[i].reason);
	}
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, bench_setup, bench_teardown)
	const struct CMUnitTest tests[] = {
		TEST(an_endpoint_that_answers_is_up_and_its_connect_time_known),
		TEST(an_unexpected_status_takes_it_down_and_a_good_one_brings_it_back),
		TEST(a_server_that_never_answers_times_out),
		TEST(a_closed_port_is_refused),
		TEST(a_new_policy_keeps_the_state_and_a_new_generation_does_not),
		TEST(an_adopted_endpoint_starts_from_the_state_it_had),
		TEST(a_report_may_remove_its_own_endpoint),
		TEST(more_endpoints_than_slots_are_all_probed),
		TEST(dead_endpoints_do_not_keep_live_ones_from_being_probed),
		TEST(a_connection_that_comes_about_is_enough),
		TEST(a_closed_port_refuses_a_connection_too),
		TEST(a_mark_needs_ports),
		TEST(a_probe_with_a_mark_leaves_from_the_port_that_the_owner_was_told),
		TEST(a_result_that_the_owner_takes_back_does_not_count),
		TEST(a_port_that_others_have_is_passed_over),
		TEST(a_source_that_is_no_address_of_this_host_is_told),
		TEST(dead_endpoints_do_not_take_all_ports),
		cmocka_unit_test(faults_of_our_own_say_nothing_of_the_endpoint),
	};
#undef TEST

	return cmocka_run_group_tests(tests, NULL, NULL);
}
