// SPDX-License-Identifier: BSD-2-Clause
/* The whole server in this process: the test turns its loop and talks to it
 * over a socket.  The clock runs 100 times faster. */
#include "tests/harness/model_server/server.h"

#include <arpa/inet.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "userspace/base/address.h"
#include "userspace/base/clock.h"
#include "userspace/base/log.h"
#include "userspace/base/loop.h"

#define WAIT_NS (5 * NS_PER_S)

struct fixture {
	struct loop *loop;
	struct model_server *server;
	char answer[1 << 20];
	size_t length;
	bool ended;
	int error; /* of recv */
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct model_server_config config = {
		.pod = "pod-7",
		.keep_alive_s = 5,
		.has_admin = true,
		.engine = engine_config_default(),
		.completion = {.models = {"m"},
			       .model_count = 1,
			       .block_tokens = 512,
			       .model_len_max = 131072,
			       .output_tokens = 8},
	};

	config.engine.speed = 100;
	address_parse("127.0.0.1", &config.addr);
	config.admin_addr = config.addr;
	assert_int_equal(loop_new(SERVER_TIMERS_MAX, &f->loop), 0);
	assert_int_equal(model_server_new(f->loop, &config, &f->server), 0);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	model_server_free(f->server);
	loop_free(f->loop);
	free(f);
	return 0;
}

static int client_open(uint16_t port)
{
	struct sockaddr_in sa = {.sin_family = AF_INET, .sin_port = htons(port)};
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	sa.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_true(fd >= 0);
	if (connect(fd, (struct sockaddr *)&sa, sizeof(sa)) < 0) {
		int err = -errno;

		close(fd);
		return err;
	}
	return fd;
}

static void client_send(int fd, const char *method, const char *path, const char *body)
{
	char request[4096];
	int length = snprintf(request, sizeof(request),
			      "%s %s HTTP/1.1\r\nHost: t\r\nContent-Type: application/json\r\n"
			      "Content-Length: %zu\r\n\r\n%s",
			      method, path, strlen(body), body);

	assert_int_equal(send(fd, request, (size_t)length, 0), length);
}

static void answer_read(struct fixture *f, int fd)
{
	ssize_t n =
		recv(fd, f->answer + f->length, sizeof(f->answer) - f->length - 1, MSG_DONTWAIT);

	if (n > 0)
		f->length += (size_t)n;
	f->ended = n == 0 || (n < 0 && errno != EAGAIN);
	f->error = n < 0 && errno != EAGAIN ? errno : 0;
	f->answer[f->length] = '\0';
}

/* Turns the loop until the answer contains `text` or the connection ended. */
static bool answer_until(struct fixture *f, int fd, const char *text)
{
	uint64_t end = clock_monotonic_ns() + WAIT_NS;

	while (clock_monotonic_ns() < end && !f->ended) {
		loop_turn(f->loop, 5);
		answer_read(f, fd);
		if (strstr(f->answer, text))
			return true;
	}
	return strstr(f->answer, text) != NULL;
}

static void exchange(struct fixture *f, uint16_t port, const char *method, const char *path,
		     const char *body, const char *text)
{
	int fd = client_open(port);

	assert_true(fd >= 0);
	f->length = 0;
	f->ended = false;
	client_send(fd, method, path, body);
	if (!answer_until(f, fd, text))
		fail_msg("no '%s' in: %s", text, f->answer);
	close(fd);
}

#define PROMPT "{\"prompt\":\"a\"}"

static void two_requests_on_one_connection_are_both_answered(void **state)
{
	struct fixture *f = *state;
	int fd = client_open(model_server_port(f->server));

	client_send(fd, "POST", "/v1/completions", PROMPT);
	client_send(fd, "GET", "/health", "");
	assert_true(answer_until(f, fd, "HTTP/1.1 200 OK"));
	assert_true(answer_until(f, fd, "content-length: 0\r\n\r\n"));
	assert_non_null(strstr(f->answer, "x-served-by: pod-7"));
	assert_non_null(strstr(f->answer, "\"completion_tokens\": 8"));
	close(fd);
}

static void a_stream_is_whole_and_the_connection_stays(void **state)
{
	struct fixture *f = *state;
	int fd = client_open(model_server_port(f->server));

	client_send(fd, "POST", "/v1/completions", "{\"prompt\":\"a\",\"stream\":true}");
	assert_true(answer_until(f, fd, "data: [DONE]\n\n\r\n0\r\n\r\n"));
	client_send(fd, "GET", "/v1/models", "");
	assert_true(answer_until(f, fd, "\"id\": \"m\""));
	close(fd);
}

static void the_head_of_a_stream_comes_before_its_first_token(void **state)
{
	struct fixture *f = *state;
	int fd = client_open(model_server_port(f->server));

	client_send(fd, "POST", "/v1/completions",
		    "{\"prompt\":\"a\",\"stream\":true,\"max_tokens\":1000,\"ignore_eos\":true}");
	assert_true(answer_until(f, fd, "\r\n\r\n"));
	assert_null(strstr(f->answer, "data:"));
	assert_true(answer_until(f, fd, "data:"));
	close(fd);
}

static void a_client_that_leaves_aborts_its_request(void **state)
{
	struct fixture *f = *state;
	int fd = client_open(model_server_port(f->server));

	client_send(fd, "POST", "/v1/completions",
		    "{\"prompt\":\"a\",\"stream\":true,\"max_tokens\":100000,\"ignore_eos\":true}");
	assert_true(answer_until(f, fd, "data:"));
	exchange(f, model_server_port(f->server), "GET", "/metrics", "",
		 "vllm:num_requests_running{engine=\"0\",model_name=\"m\"} 1");
	close(fd);
	loop_turn(f->loop, 100);
	exchange(f, model_server_port(f->server), "GET", "/metrics", "",
		 "vllm:num_requests_running{engine=\"0\",model_name=\"m\"} 0");
	assert_non_null(strstr(f->answer, "finished_reason=\"abort\",model_name=\"m\"} 1"));
}

static void refuse_closes_the_port_but_not_the_admin_port(void **state)
{
	struct fixture *f = *state;
	uint16_t port = model_server_port(f->server);
	uint16_t admin = model_server_admin_port(f->server);

	exchange(f, admin, "POST", "/faults", "{\"refuse\":true}", "\"refuse\": true");
	assert_int_equal(client_open(port), -ECONNREFUSED);
	exchange(f, admin, "POST", "/faults", "{\"reset\":true}", "\"refuse\": false");
	exchange(f, port, "GET", "/health", "", "200 OK");
}

static void cut_ends_a_stream_with_a_reset(void **state)
{
	struct fixture *f = *state;
	int fd;

	exchange(f, model_server_port(f->server), "POST", "/faults", "{\"cut_after\":2}",
		 "\"cut_after\": 2");
	fd = client_open(model_server_port(f->server));
	f->length = 0;
	f->ended = false;
	client_send(fd, "POST", "/v1/completions", "{\"prompt\":\"a\",\"stream\":true}");
	assert_false(answer_until(f, fd, "[DONE]"));
	assert_true(f->ended);
	assert_int_equal(f->error, ECONNRESET);
	close(fd);
}

static void hang_answers_health_but_not_inference(void **state)
{
	struct fixture *f = *state;
	uint64_t until;
	int fd;

	exchange(f, model_server_admin_port(f->server), "POST", "/faults",
		 "{\"hang\":\"inference\"}", "\"hang\": \"inference\"");
	fd = client_open(model_server_port(f->server));
	f->length = 0;
	f->ended = false;
	client_send(fd, "POST", "/v1/completions", PROMPT);
	until = clock_monotonic_ns() + 200 * NS_PER_MS;
	while (clock_monotonic_ns() < until) {
		loop_turn(f->loop, 10);
		answer_read(f, fd);
	}
	assert_int_equal(f->length, 0);
	close(fd);
	exchange(f, model_server_port(f->server), "GET", "/health", "", "200 OK");
}

static void errors_loading_and_broken_metrics_are_answered_as_asked(void **state)
{
	struct fixture *f = *state;
	uint16_t port = model_server_port(f->server);

	exchange(f, port, "POST", "/faults", "{\"error\":500}", "\"error\": 500");
	exchange(f, port, "POST", "/v1/completions", PROMPT, "HTTP/1.1 500");
	exchange(f, port, "POST", "/faults", "{\"reset\":true,\"slow_start_s\":60}", "60.0");
	exchange(f, port, "POST", "/v1/completions", PROMPT, "HTTP/1.1 503");
	exchange(f, port, "GET", "/health", "", "HTTP/1.1 503");
	exchange(f, port, "POST", "/faults", "{\"reset\":true,\"metrics\":\"broken\"}", "broken");
	exchange(f, port, "GET", "/metrics", "", "<html>");
}

static void stale_metrics_stay_what_they_were(void **state)
{
	struct fixture *f = *state;
	uint16_t port = model_server_port(f->server);

	exchange(f, port, "POST", "/faults", "{\"metrics\":\"stale\"}", "stale");
	exchange(f, port, "POST", "/v1/completions", PROMPT, "usage");
	exchange(f, port, "GET", "/metrics", "",
		 "generation_tokens_total{engine=\"0\","
		 "model_name=\"m\"} 0");
	exchange(f, port, "POST", "/faults", "{\"metrics\":\"good\"}", "good");
	exchange(f, port, "GET", "/metrics", "",
		 "generation_tokens_total{engine=\"0\","
		 "model_name=\"m\"} 8");
}

static void what_is_not_http_is_refused_and_closed(void **state)
{
	struct fixture *f = *state;
	int fd = client_open(model_server_port(f->server));

	assert_int_equal(send(fd, "nonsense\r\n\r\n", 12, 0), 12);
	assert_true(answer_until(f, fd, "HTTP/1.1 400"));
	answer_until(f, fd, "never there");
	assert_true(f->ended);
	assert_int_equal(f->error, 0);
	close(fd);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(two_requests_on_one_connection_are_both_answered),
		TEST(a_stream_is_whole_and_the_connection_stays),
		TEST(the_head_of_a_stream_comes_before_its_first_token),
		TEST(a_client_that_leaves_aborts_its_request),
		TEST(refuse_closes_the_port_but_not_the_admin_port),
		TEST(cut_ends_a_stream_with_a_reset),
		TEST(hang_answers_health_but_not_inference),
		TEST(errors_loading_and_broken_metrics_are_answered_as_asked),
		TEST(stale_metrics_stay_what_they_were),
		TEST(what_is_not_http_is_refused_and_closed),
	};

	log_init("test", LOG_LEVEL_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
