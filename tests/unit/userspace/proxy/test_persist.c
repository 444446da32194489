// SPDX-License-Identifier: BSD-2-Clause
/* Sessions that stay with their endpoint: tokens that nobody can make, where they are
 * found and how long they hold; then clients of a whole worker. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/harness/proxy_rig.h"
#include "userspace/base/cleanup.h"
#include "userspace/base/clock.h"
#include "userspace/base/log.h"
#include "userspace/proxy/persist.h"

static const struct persist_key key = {.tag = "one key", .mask = "another"};
static const struct persist_token token = {7, 3, 1000, 2000};

static struct http_span span(const char *text)
{
	return (struct http_span){text, strlen(text)};
}

/* ---- tokens ---- */

static void a_token_is_read_back_with_the_key_and_name_it_was_made_with(void **state)
{
	struct persist_key other = key;
	char text[PERSIST_TEXT_LENGTH + 1];
	struct persist_token got;

	(void)state;
	persist_token_format(&key, "s", &token, text);
	assert_int_equal(strlen(text), PERSIST_TEXT_LENGTH);
	assert_true(persist_token_parse(&key, "s", span(text), &got));
	assert_memory_equal(&got, &token, sizeof(got));
	assert_false(persist_token_parse(&key, "t", span(text), &got));
	other.tag[15] ^= 1;
	assert_false(persist_token_parse(&other, "s", span(text), &got));
	other = key;
	other.mask[0] ^= 1;
	assert_false(persist_token_parse(&other, "s", span(text), &got));
}

/* Also the two bits of the last character that no byte has. */
static void no_changed_character_passes(void **state)
{
	static const char characters[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_=+/. ";
	char text[PERSIST_TEXT_LENGTH + 2];
	struct persist_token got;
	size_t passed = 0;

	(void)state;
	persist_token_format(&key, "s", &token, text);
	for (size_t i = 0; i < PERSIST_TEXT_LENGTH; i++) {
		char was = text[i];

		for (const char *c = characters; *c; c++) {
			text[i] = *c;
			passed += persist_token_parse(&key, "s", span(text), &got);
		}
		text[i] = was;
	}
	assert_int_equal(passed, PERSIST_TEXT_LENGTH); /* each once: as it was */
	assert_false(persist_token_parse(&key, "s", (struct http_span){text, 42}, &got));
	text[PERSIST_TEXT_LENGTH] = 'A';
	assert_false(persist_token_parse(&key, "s", (struct http_span){text, 44}, &got));
	assert_false(persist_token_parse(&key, "s", (struct http_span){0}, &got));
}

/* Neither an id nor an address can be seen, or what two tokens have in common. */
static void tokens_of_neighbours_have_nothing_in_common(void **state)
{
	char texts[64][PERSIST_TEXT_LENGTH + 1];
	size_t same = 0;

	(void)state;
	for (uint32_t i = 0; i < 64; i++) {
		struct persist_token one = {i, 1, 5, 5};

		persist_token_format(&key, "s", &one, texts[i]);
		for (uint32_t k = 0; k < i; k++)
			for (size_t c = 0; c < PERSIST_TEXT_LENGTH; c++)
				same += texts[i][c] == texts[k][c];
	}
	/* 2016 pairs of 43 characters, one in 64 by chance */
	assert_in_range(same, 1000, 1750);
}

static void the_key_is_made_once_and_kept(void **state)
{
	char dir[] = "/tmp/sluice-persist-XXXXXX", path[64];
	struct persist_key first, again;
	struct stat st;
	FILE *file;

	(void)state;
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/key", dir);
	assert_int_equal(persist_key_load(path, &first), 0);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(persist_key_load(path, &again), 0);
	assert_memory_equal(&first, &again, sizeof(first));
	assert_memory_not_equal(first.tag, first.mask, sizeof(first.tag));
	unlink(path);
	assert_int_equal(persist_key_load(path, &again), 0);
	assert_memory_not_equal(&first, &again, sizeof(first));
	file = fopen(path, "w");
	assert_non_null(file);
	fputs("short", file);
	fclose(file);
	assert_true(persist_key_load(path, &again) < 0);
	unlink(path);
	assert_true(persist_key_load("/nonexistent/key", &again) < 0);
	rmdir(dir);
}

/* ---- where it is, and how long it holds ---- */

static const struct {
	enum persist_type type;
	const char *headers, *value;
} places[] = {
	{PERSIST_COOKIE, "Cookie: s=abc\r\n", "abc"},
	{PERSIST_COOKIE, "Cookie: x=1; s=abc; y=2\r\n", "abc"},
	{PERSIST_COOKIE, "Cookie: xs=1; S=2;  s=abc\r\n", "abc"},
	{PERSIST_COOKIE, "Cookie: x=1\r\ncookie: s=abc\r\n", "abc"},
	{PERSIST_COOKIE, "Cookie: s\r\n", ""},
	{PERSIST_COOKIE, "Cookie: s=\r\n", ""},
	{PERSIST_COOKIE, "s: abc\r\n", ""},
	{PERSIST_HEADER, "S: abc\r\n", "abc"},
	{PERSIST_HEADER, "Cookie: s=abc\r\n", ""},
};

static void tokens_are_found_in_cookies_and_headers(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
		struct snapshot_persistence persistence = {.type = places[i].type, .name = "s"};
		struct http_parser parser;
		struct http_head head;
		struct http_span found;
		char text[256];
		size_t length;

		snprintf(text, sizeof(text), "GET / HTTP/1.1\r\nHost: a\r\n%s\r\n",
			 places[i].headers);
		http_parser_init(&parser, HTTP_REQUEST_MESSAGE);
		assert_int_equal(http_parser_head(&parser, text, strlen(text), &head, &length),
				 HTTP_PARSE_COMPLETE);
		found = persist_find(&head, &persistence);
		if (found.length ? !http_span_equal(found, places[i].value) : *places[i].value)
			fail_msg("%s: %.*s", places[i].headers, (int)found.length, found.data);
	}
}

static void a_session_ends_by_its_age_or_when_it_is_idle(void **state)
{
	struct snapshot_persistence persistence = {.name = "s", .type = PERSIST_COOKIE};

	(void)state;
	assert_true(persist_is_current(&persistence, &token, 4000000000u));
	persistence.absolute_s = 1500;
	assert_true(persist_is_current(&persistence, &token, 2499));
	assert_false(persist_is_current(&persistence, &token, 2500));
	persistence.absolute_s = 0;
	persistence.idle_s = 300;
	assert_true(persist_is_current(&persistence, &token, 2299));
	assert_false(persist_is_current(&persistence, &token, 2300));
	assert_true(persist_is_current(&persistence, &token, 1990)); /* clocks differ a little */
	assert_false(persist_is_current(&persistence, &token, 1900));
}

static void cookies_say_how_long_they_are_to_be_kept(void **state)
{
	struct snapshot_persistence persistence = {
		.name = "s", .type = PERSIST_COOKIE, .absolute_s = 3600};
	char buffer[128];
	struct text text = TEXT_INIT(buffer);

	(void)state;
	persist_value_format(&persistence, "T", &token, &text);
	assert_string_equal(buffer, "s=T; Path=/; HttpOnly; SameSite=Strict");
	persistence.lifetime = PERSIST_PERMANENT;
	text.length = 0;
	persist_value_format(&persistence, "T", &token, &text);
	assert_string_equal(buffer, "s=T; Path=/; HttpOnly; SameSite=Strict; Max-Age=2600");
	persistence.absolute_s = 10;
	text.length = 0;
	persist_value_format(&persistence, "T", &token, &text);
	assert_string_equal(buffer, "s=T; Path=/; HttpOnly; SameSite=Strict; Max-Age=0");
	persistence.type = PERSIST_HEADER;
	text.length = 0;
	persist_value_format(&persistence, "T", &token, &text);
	assert_string_equal(buffer, "T");
}

/* ---- clients ---- */

#define KEPT(persistence)                                                                          \
	"{'matches':[{'path_type':'PathPrefix','path':'/'}],'persistence':{" persistence "},"      \
	"'backends':[{'pool':0,'weight':1,'name':'ai/all'}]}"
#define COOKIE KEPT("'type':'Cookie','name':'s'")

/* One request with these headers, over connections of its own; the answer, and which
 * endpoint gave it. */
static const char *ask(struct rig *rig, const char *headers, unsigned *ret_index)
{
	static char answer[1024];
	int client = rig_client(rig), server;
	char text[512];

	snprintf(text, sizeof(text), "GET /v1/models HTTP/1.1\r\nHost: a\r\n%s\r\n", headers);
	rig_puts(rig, client, text);
	server = rig_accept_any(rig, ret_index);
	rig_expect(rig, server, "\r\n\r\n");
	rig_puts(rig, server,
		 "HTTP/1.1 200 OK\r\nConnection: close\r\nSet-Cookie: theirs=1\r\nX-S: theirs\r\n"
		 "Content-Length: 2\r\n\r\nok");
	snprintf(answer, sizeof(answer), "%s", rig_expect(rig, client, "\r\n\r\nok"));
	close(server);
	close(client);
	return answer;
}

/* "s=TOKEN" or "X-S: TOKEN" of an answer as a header of the next request. */
static void given_back(const char *answer, const char *before, const char *header, char to[128])
{
	const char *at = strstr(answer, before);

	assert_non_null(at);
	snprintf(to, 128, "%s%.*s\r\n", header, PERSIST_TEXT_LENGTH, at + strlen(before));
}

static void a_client_comes_back_to_its_endpoint(void **state)
{
	RIG_READY(rig, COOKIE);
	unsigned first, index, others = 0;
	char cookie[128];
	const char *got;

	(void)state;
	got = ask(rig, "", &first);
	assert_has(got, "Set-Cookie: theirs=1\r\n");
	assert_has(got, "; Path=/; HttpOnly; SameSite=Strict\r\n");
	given_back(got, "Set-Cookie: s=", "Cookie: a=b; s=", cookie);
	for (int i = 0; i < 8; i++) {
		got = ask(rig, cookie, &index);
		assert_int_equal(index, first);
		assert_has_not(got, "Set-Cookie: s="); /* it has one that leads here */
		ask(rig, "", &index); /* those without one are spread */
		others += index != first;
	}
	assert_true(others > 0);
	ask(rig, cookie, &index);
	assert_has(rig_log_last(rig), "\"reason\":\"persisted\"");
}

static void without_its_endpoint_a_client_gets_another_and_a_new_token(void **state)
{
	RIG_READY(rig, COOKIE);
	unsigned first, second, index;
	char cookie[128], new_cookie[128];

	(void)state;
	given_back(ask(rig, "", &first), "Set-Cookie: s=", "Cookie: s=", cookie);
	rig_health(rig, first, HEALTH_DOWN);
	given_back(ask(rig, cookie, &second), "Set-Cookie: s=", "Cookie: s=", new_cookie);
	assert_int_not_equal(second, first);
	rig_health(rig, first, HEALTH_UP);
	assert_has_not(ask(rig, new_cookie, &index), "Set-Cookie: s=");
	assert_int_equal(index, second);
	/* one that refuses connections is left as well, within the request */
	rig_server_stop(rig, second);
	given_back(ask(rig, new_cookie, &index), "Set-Cookie: s=", "Cookie: s=", cookie);
	assert_int_not_equal(index, second);
}

static void a_forged_token_steers_nothing(void **state)
{
	RIG_READY(rig, COOKIE);
	struct persist_token wanted = {1, 1, 0, 0};
	char text[PERSIST_TEXT_LENGTH + 1], header[128];
	unsigned index;

	(void)state;
	wanted.begun_s = wanted.used_s = (uint32_t)(clock_realtime_ns() / NS_PER_S);
	persist_token_format(&key, "s", &wanted, text); /* not the worker's key */
	snprintf(header, sizeof(header), "Cookie: s=%s\r\n", text);
	assert_has(ask(rig, header, &index), "Set-Cookie: s=");
	assert_has_not(rig_log_last(rig), "persisted");
	persist_token_format(&rig->worker->persist_key, "s", &wanted, text);
	snprintf(header, sizeof(header), "Cookie: s=%s\r\n", text);
	assert_has_not(ask(rig, header, &index), "Set-Cookie: s=");
	assert_int_equal(index, 1);
	wanted.generation = 2; /* another pod has its place now */
	persist_token_format(&rig->worker->persist_key, "s", &wanted, text);
	snprintf(header, sizeof(header), "Cookie: s=%s\r\n", text);
	assert_has(ask(rig, header, &index), "Set-Cookie: s=");
}

static void a_header_keeps_a_session_too_and_is_refreshed_when_it_may_idle(void **state)
{
	RIG_READY(rig, KEPT("'type':'Header','name':'X-S','idle_s':600,'absolute_s':7200"));
	uint32_t now = (uint32_t)(clock_realtime_ns() / NS_PER_S);
	struct persist_token old = {2, 1, now - 1000, now - 500}, got;
	char text[PERSIST_TEXT_LENGTH + 1], header[128], back[128];
	const char *answer;
	unsigned index;

	(void)state;
	persist_token_format(&rig->worker->persist_key, "X-S", &old, text);
	snprintf(header, sizeof(header), "x-s: %s\r\n", text);
	answer = ask(rig, header, &index);
	assert_int_equal(index, 2);
	assert_has_not(answer, "X-S: theirs");
	given_back(answer, "X-S: ", "", back);
	assert_true(persist_token_parse(&rig->worker->persist_key, "X-S",
					(struct http_span){back, PERSIST_TEXT_LENGTH}, &got));
	assert_int_equal(got.begun_s, old.begun_s);
	assert_in_range(got.used_s, now, now + 60);
	old.used_s = now - 600; /* it idled too long */
	persist_token_format(&rig->worker->persist_key, "X-S", &old, text);
	snprintf(header, sizeof(header), "x-s: %s\r\n", text);
	given_back(ask(rig, header, &index), "X-S: ", "", back);
	assert_true(persist_token_parse(&rig->worker->persist_key, "X-S",
					(struct http_span){back, PERSIST_TEXT_LENGTH}, &got));
	assert_in_range(got.begun_s, now, now + 60);
}

static void an_upgraded_connection_has_a_session_as_well(void **state)
{
	RIG_READY(rig, COOKIE);
	int client = rig_client(rig), server;
	unsigned index;

	(void)state;
	rig_puts(rig, client,
		 "GET /v1/realtime HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\n"
		 "Upgrade: websocket\r\n\r\n");
	server = rig_accept_any(rig, &index);
	rig_expect(rig, server, "\r\n\r\n");
	rig_puts(rig, server,
		 "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n"
		 "Upgrade: websocket\r\n\r\n");
	assert_has(rig_expect(rig, client, "\r\n\r\n"), "Set-Cookie: s=");
	close(server);
	close(client);
}

/* The split is of new sessions; those there are stay on their side, unless it gets nothing
 * any more. */
static void a_session_stays_with_its_backend_of_a_split(void **state)
{
#define SPLIT(weight)                                                                              \
	"{'matches':[{'path_type':'PathPrefix','path':'/'}],"                                      \
	"'persistence':{'type':'Cookie','name':'s'},'backends':["                                  \
	"{'pool':1,'weight':1000000,'name':'ai/one'},{'pool':2,'weight':" #weight                  \
	",'name':'ai/two'}]}"
	RIG_READY(rig, SPLIT(1));
	struct persist_token wanted = {1, 1, 0, 0};
	char text[PERSIST_TEXT_LENGTH + 1], header[128];
	uint64_t until = clock_monotonic_ns() + 10 * NS_PER_S;
	unsigned index;

	(void)state;
	wanted.begun_s = wanted.used_s = (uint32_t)(clock_realtime_ns() / NS_PER_S);
	persist_token_format(&rig->worker->persist_key, "s", &wanted, text);
	snprintf(header, sizeof(header), "Cookie: s=%s\r\n", text);
	for (int i = 0; i < 5; i++) {
		ask(rig, header, &index);
		assert_int_equal(index, 1);
	}
	rig_routes(rig, SPLIT(0));
	while (rig->worker->row->snapshot_generation != rig->generation) {
		assert_true(clock_monotonic_ns() < until);
		rig_turn(rig, 1);
	}
	assert_has(ask(rig, header, &index), "Set-Cookie: s=");
	assert_int_equal(index, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_token_is_read_back_with_the_key_and_name_it_was_made_with),
		cmocka_unit_test(no_changed_character_passes),
		cmocka_unit_test(tokens_of_neighbours_have_nothing_in_common),
		cmocka_unit_test(the_key_is_made_once_and_kept),
		cmocka_unit_test(tokens_are_found_in_cookies_and_headers),
		cmocka_unit_test(a_session_ends_by_its_age_or_when_it_is_idle),
		cmocka_unit_test(cookies_say_how_long_they_are_to_be_kept),
		cmocka_unit_test(a_client_comes_back_to_its_endpoint),
		cmocka_unit_test(without_its_endpoint_a_client_gets_another_and_a_new_token),
		cmocka_unit_test(a_forged_token_steers_nothing),
		cmocka_unit_test(a_header_keeps_a_session_too_and_is_refreshed_when_it_may_idle),
		cmocka_unit_test(an_upgraded_connection_has_a_session_as_well),
		cmocka_unit_test(a_session_stays_with_its_backend_of_a_split),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
