// SPDX-License-Identifier: BSD-2-Clause
/* What is tried again: the rules alone, then through a whole worker. */
#include <setjmp.h>
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

#include "tests/harness/proxy_rig.h"
#include "userspace/base/clock.h"
#include "userspace/proxy/exchange.h"
#include "userspace/proxy/retry.h"

/* ---- the rules ---- */

static void listed_codes_stand_in_place_of_the_usual_ones(void **state)
{
	uint32_t codes[] = {500, 409};
	const struct snapshot_retry listed = {.code_count = 2, .codes = codes};
	const struct snapshot_retry bounded = {.attempts = 2};
	static const struct {
		int status;
		bool usual, listed;
	} cases[] = {
		{200, false, false}, {404, false, false}, {409, false, true}, {429, true, false},
		{500, false, true},  {502, true, false},  {503, true, false}, {504, false, false},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		assert_int_equal(retry_wants_status(NULL, cases[i].status), cases[i].usual);
		assert_int_equal(retry_wants_status(&bounded, cases[i].status), cases[i].usual);
		assert_int_equal(retry_wants_status(&listed, cases[i].status), cases[i].listed);
	}
}

static void attempts_of_the_route_come_after_the_first(void **state)
{
	const struct snapshot_retry two = {.attempts = 2}, waiting = {.backoff_ms = 5};

	(void)state;
	assert_int_equal(retry_attempts_max(NULL, 4), 4);
	assert_int_equal(retry_attempts_max(&waiting, 4), 4);
	assert_int_equal(retry_attempts_max(&two, 4), 3);
	assert_int_equal(retry_attempts_max(&two, 1), 3);
	assert_false(retry_asks_again(NULL));
	assert_false(retry_asks_again(&waiting));
	assert_true(retry_asks_again(&two));
}

static void the_wait_is_never_below_the_backoff_nor_beyond_the_time_out(void **state)
{
	const struct snapshot_retry retry = {.backoff_ms = 100};
	const uint64_t least = 100 * NS_PER_MS, hour = 3600 * NS_PER_S;
	uint64_t longest[5] = {0};

	(void)state;
	assert_int_equal(retry_wait_ns(NULL, 1, hour, 7), 0);
	for (unsigned failed = 1; failed < 5; failed++) {
		for (uint64_t random = 0; random < 1000; random++) {
			uint64_t wait = retry_wait_ns(&retry, failed, hour, random * 0x9e3779b9u);

			assert_true(wait >= least);
			longest[failed] = wait > longest[failed] ? wait : longest[failed];
			assert_true(retry_wait_ns(&retry, failed, least + 5, random) < least + 5);
		}
	}
	assert_true(longest[1] > 190 * NS_PER_MS && longest[1] < 200 * NS_PER_MS);
	assert_true(longest[2] > 380 * NS_PER_MS && longest[2] < 400 * NS_PER_MS);
	assert_true(longest[3] > 750 * NS_PER_MS && longest[3] < 800 * NS_PER_MS);
	assert_true(longest[4] > 750 * NS_PER_MS && longest[4] < 800 * NS_PER_MS);
	assert_true(retry_wait_ns(&retry, 1, least, 7) == UINT64_MAX);
	assert_true(retry_wait_ns(&retry, 1, 0, 7) == UINT64_MAX);
}

/* ---- through a worker ---- */

#define ANY "'matches':[{'path_type':'PathPrefix','path':'/'}]"
#define TO_ALL "'backends':[{'pool':0,'weight':1,'name':'ai/all'}]"
#define TO_ONE "'backends':[{'pool':1,'weight':1,'name':'ai/one'}]"
#define RETRY(members) "'retry':{" members "}"
#define RULE(to, more) "{" ANY "," to "," more "}"

static const char answer_ok[] = "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok\n";
static const char answer_500[] =
	"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 5\r\n\r\noops\n";
static const char answer_503[] =
	"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 5\r\n\r\nbusy\n";

/* Takes the next connection to endpoint `index` and its request, and answers. */
static void serve(struct rig *rig, unsigned index, const char *answer)
{
	int server = rig_accept(rig, index, RIG_WAIT_MS);

	assert_true(server >= 0);
	rig_expect_chat(rig, server);
	rig_puts(rig, server, answer);
	close(server);
}

/* A request with a body that takes several buffers, and "the tail" at its end. */
static void large_request_send(struct rig *rig, int client)
{
	static char body[300000];
	char head[256];
	int length = snprintf(body, sizeof(body), "{\"model\":\"gemma\",\"prompt\":\"");

	memset(body + length, 'x', sizeof(body) - (size_t)length);
	strcpy(body + sizeof(body) - 11, "the tail\"}");
	snprintf(head, sizeof(head),
		 "POST /v1/completions HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
		 "Content-Length: %zu\r\n\r\n",
		 strlen(body));
	rig_puts(rig, client, head);
	rig_puts(rig, client, body);
}

static void a_listed_status_is_sent_whole_to_another_endpoint(void **state)
{
	RIG_READY(rig, RULE(TO_ALL, RETRY("'codes':[500],'attempts':1")));
	int client = rig_client(rig), server;
	unsigned first, second;

	(void)state;
	large_request_send(rig, client);
	server = rig_accept_any(rig, &first);
	rig_expect(rig, server, "the tail\"}");
	rig_puts(rig, server, answer_500);
	close(server);
	server = rig_accept_any(rig, &second);
	assert_int_not_equal(first, second);
	rig_expect(rig, server, "the tail\"}");
	rig_puts(rig, server, answer_ok);
	assert_has(rig_expect(rig, client, "ok\n"), "HTTP/1.1 200 ");
	assert_has(rig_log_last(rig), "\"attempts\":2");
	assert_has(rig_log_last(rig), "\"reason\":\"listed_status\",\"status\":500}");
	assert_int_equal(rig->worker->row->retries[FAILURE_LISTED], 1);
	assert_nothing_in_flight(rig);
	close(server);
	close(client);
}

static void a_lone_endpoint_is_asked_again_until_the_attempts_are_used_up(void **state)
{
	RIG_READY(rig, RULE(TO_ONE, RETRY("'codes':[500,503],'attempts':2")));
	int client = rig_client(rig);

	(void)state;
	rig_puts(rig, client, rig_chat("gemma"));
	serve(rig, 0, answer_500);
	serve(rig, 0, answer_503);
	serve(rig, 0, answer_ok);
	assert_has(rig_expect(rig, client, "ok\n"), "HTTP/1.1 200 ");
	assert_has(rig_log_last(rig), "\"attempts\":3");
	assert_has(rig_log_last(rig), "\"reason\":\"status\",\"status\":503}");
	rig_puts(rig, client, rig_chat("gemma"));
	for (int i = 0; i < 3; i++)
		serve(rig, 0, answer_500);
	/* the last answer is what the client gets */
	assert_has(rig_expect(rig, client, "oops\n"), "HTTP/1.1 500 ");
	assert_has(rig_log_last(rig), "\"attempts\":3");
	assert_nothing_in_flight(rig);
	close(client);
}

static void a_status_that_is_not_listed_is_passed_on(void **state)
{
	RIG_READY(rig, RULE(TO_ALL, RETRY("'codes':[500]")));
	int client = rig_client(rig), server;
	unsigned index;

	(void)state;
	rig_puts(rig, client, rig_chat("gemma"));
	server = rig_take_chat(rig, &index);
	rig_puts(rig, server, answer_503);
	assert_has(rig_expect(rig, client, "busy\n"), "HTTP/1.1 503 ");
	assert_has(rig_log_last(rig), "\"attempts\":1");
	close(server);
	close(client);
}

static void attempts_bound_failures_of_the_connection_too(void **state)
{
	RIG_READY(rig, RULE(TO_ALL, RETRY("'attempts':1")));
	int client = rig_client(rig);

	(void)state;
	for (unsigned i = 0; i < RIG_ENDPOINTS; i++)
		rig_server_stop(rig, i);
	rig_puts(rig, client, rig_chat("gemma"));
	assert_has(rig_expect(rig, client, "}}\n"), "HTTP/1.1 502 ");
	assert_has(rig_log_last(rig), "\"attempts\":2");
	close(client);
}

static void the_backoff_passes_before_the_next_attempt(void **state)
{
	RIG_READY(rig, RULE(TO_ONE, RETRY("'codes':[500],'backoff_ms':200")));
	int client = rig_client(rig), server;
	uint64_t began;

	(void)state;
	rig_puts(rig, client, rig_chat("gemma"));
	server = rig_accept(rig, 0, RIG_WAIT_MS);
	rig_expect_chat(rig, server);
	began = clock_monotonic_ns();
	rig_puts(rig, server, answer_500);
	close(server);
	server = rig_accept(rig, 0, RIG_WAIT_MS);
	assert_true(server >= 0);
	assert_true(clock_monotonic_ns() - began >= 200 * NS_PER_MS);
	rig_expect_chat(rig, server);
	rig_puts(rig, server, answer_ok);
	rig_expect(rig, client, "ok\n");
	assert_nothing_in_flight(rig);
	close(server);
	close(client);
}

static void what_cannot_be_tried_again_in_time_is_passed_on_at_once(void **state)
{
	RIG_READY(rig, RULE(TO_ALL, "'request_timeout_ms':60000," RETRY(
					    "'codes':[500],'backoff_ms':60000")));
	int client = rig_client(rig), server;
	unsigned index;

	(void)state;
	rig_puts(rig, client, rig_chat("gemma"));
	server = rig_take_chat(rig, &index);
	rig_puts(rig, server, answer_500);
	assert_has(rig_expect(rig, client, "oops\n"), "HTTP/1.1 500 ");
	close(server);
	/* without an answer there is only the failure to tell */
	for (unsigned i = 0; i < RIG_ENDPOINTS; i++)
		rig_server_stop(rig, i);
	rig_puts(rig, client, rig_chat("gemma"));
	assert_has(rig_expect(rig, client, "}}\n"), "HTTP/1.1 502 ");
	assert_has(rig_log_last(rig), "\"attempts\":1");
	close(client);
}

static void a_client_that_leaves_in_the_pause_ends_it(void **state)
{
	RIG_READY(rig, RULE(TO_ONE, RETRY("'codes':[500],'backoff_ms':50000")));
	int client = rig_client(rig);
	uint64_t until = clock_monotonic_ns() + RIG_WAIT_MS * NS_PER_MS;

	(void)state;
	rig_puts(rig, client, rig_chat("gemma"));
	serve(rig, 0, answer_500);
	while (!rig->worker->row->retries[FAILURE_LISTED] && clock_monotonic_ns() < until)
		rig_turn(rig, 1);
	assert_int_equal(rig->worker->row->retries[FAILURE_LISTED], 1);
	assert_nothing_in_flight(rig);
	close(client);
	while (!*rig_log_last(rig) && clock_monotonic_ns() < until)
		rig_turn(rig, 1);
	assert_has(rig_log_last(rig), "\"status\":499");
	assert_has(rig_log_last(rig), "\"attempts\":1");
	assert_true(rig_accept(rig, 0, 20) < 0);
}

static void an_endpoint_that_outlasts_the_backend_time_out_is_replaced(void **state)
{
	RIG_READY(rig, RULE(TO_ALL, "'backend_timeout_ms':1000"));
	int client = rig_client(rig), silent, server;
	unsigned first, second;

	(void)state;
	rig_puts(rig, client, rig_chat("gemma"));
	silent = rig_accept_any(rig, &first);
	server = rig_accept_any(rig, &second);
	assert_int_not_equal(first, second);
	rig_expect_chat(rig, server);
	rig_puts(rig, server, answer_ok);
	rig_expect(rig, client, "ok\n");
	assert_has(rig_log_last(rig), "\"reason\":\"timeout\"");
	assert_true(rig_is_closed(rig, silent));
	close(silent);
	close(server);
	close(client);
}

static void a_lone_endpoint_that_outlasts_it_is_asked_again_where_the_route_says_so(void **state)
{
	RIG_READY(rig, RULE(TO_ONE, "'backend_timeout_ms':300," RETRY("'attempts':1")));
	int client = rig_client(rig), first, second;

	(void)state;
	rig_puts(rig, client, rig_chat("gemma"));
	first = rig_accept(rig, 0, RIG_WAIT_MS);
	second = rig_accept(rig, 0, RIG_WAIT_MS);
	assert_true(first >= 0 && second >= 0);
	assert_has(rig_expect(rig, client, "}}\n"), "HTTP/1.1 504 ");
	assert_has(rig_log_last(rig), "\"attempts\":2");
	close(first);
	close(second);
	close(client);
}

#define FILLERS 3

/* A listener that answers no SYN any more, because its queue is full. */
static int full_listener(uint16_t *ret_port, int fillers[FILLERS])
{
	struct sockaddr_in sa = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t length = sizeof(sa);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	assert_int_equal(listen(fd, 0), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&sa, &length), 0);
	for (int i = 0; i < FILLERS; i++) {
		fillers[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
		connect(fillers[i], (struct sockaddr *)&sa, sizeof(sa));
	}
	*ret_port = ntohs(sa.sin_port);
	return fd;
}

static void connecting_takes_no_longer_than_the_backend_time_out(void **state)
{
	_cleanup_(rig_freep) struct rig *rig = rig_new();
	int client, fillers[FILLERS], full;
	uint16_t port;

	(void)state;
	full = full_listener(&port, fillers);
	rig->options.connect_timeout_ms = 60000;
	rig->maps.endpoints[0].port = htons(port);
	rig_routes(rig, RULE(TO_ONE, "'backend_timeout_ms':300"));
	rig_start(rig);
	client = rig_client(rig);
	rig_puts(rig, client, rig_chat("gemma"));
	assert_has(rig_expect(rig, client, "}}\n"), "HTTP/1.1 504 ");
	assert_has(rig_log_last(rig), "last one: timeout");
	close(client);
	for (int i = 0; i < FILLERS; i++)
		close(fillers[i]);
	close(full);
}

static void a_request_time_out_of_zero_is_none(void **state)
{
	_cleanup_(rig_freep) struct rig *rig = rig_new();
	int client, server;

	(void)state;
	rig->options.request_timeout_s = 1; /* what a rule that says nothing gets */
	rig_routes(rig, RULE(TO_ONE, "'request_timeout_ms':4294967295,"
				     "'backend_timeout_ms':4294967295"));
	rig_start(rig);
	client = rig_client(rig);
	rig_puts(rig, client, rig_chat("gemma"));
	server = rig_accept(rig, 0, RIG_WAIT_MS);
	rig_expect_chat(rig, server);
	rig_turn(rig, 1300);
	rig_puts(rig, server, answer_ok);
	assert_has(rig_expect(rig, client, "ok\n"), "HTTP/1.1 200 ");
	close(server);
	close(client);
}

static void the_request_time_out_ends_a_pause(void **state)
{
	RIG_READY(rig, RULE(TO_ONE,
			    "'request_timeout_ms':1500," RETRY("'attempts':7,'backoff_ms':1000")));
	int client = rig_client(rig);

	(void)state;
	rig_server_stop(rig, 0);
	rig_puts(rig, client, rig_chat("gemma"));
	/* the first refusal leaves room for one pause, the second for none */
	assert_has(rig_expect(rig, client, "}}\n"), "HTTP/1.1 50");
	assert_nothing_in_flight(rig);
	close(client);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(listed_codes_stand_in_place_of_the_usual_ones),
		cmocka_unit_test(attempts_of_the_route_come_after_the_first),
		cmocka_unit_test(the_wait_is_never_below_the_backoff_nor_beyond_the_time_out),
		cmocka_unit_test(a_listed_status_is_sent_whole_to_another_endpoint),
		cmocka_unit_test(a_lone_endpoint_is_asked_again_until_the_attempts_are_used_up),
		cmocka_unit_test(a_status_that_is_not_listed_is_passed_on),
		cmocka_unit_test(attempts_bound_failures_of_the_connection_too),
		cmocka_unit_test(the_backoff_passes_before_the_next_attempt),
		cmocka_unit_test(what_cannot_be_tried_again_in_time_is_passed_on_at_once),
		cmocka_unit_test(a_client_that_leaves_in_the_pause_ends_it),
		cmocka_unit_test(the_request_time_out_ends_a_pause),
		cmocka_unit_test(an_endpoint_that_outlasts_the_backend_time_out_is_replaced),
		cmocka_unit_test(
			a_lone_endpoint_that_outlasts_it_is_asked_again_where_the_route_says_so),
		cmocka_unit_test(connecting_takes_no_longer_than_the_backend_time_out),
		cmocka_unit_test(a_request_time_out_of_zero_is_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
