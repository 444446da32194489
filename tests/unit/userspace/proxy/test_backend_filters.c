// SPDX-License-Identifier: BSD-2-Clause
/* Filters of single backends, through a whole worker.  The first backend of a rule
 * here has nearly all of its weight, so that it is chosen first. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "tests/harness/proxy_rig.h"

#define SET(list, value) "'" list "':[{'name':'X-Who','value':'" value "'}]"
#define BACKEND(pool, weight, filters)                                                             \
	"{'pool':" pool ",'weight':" weight ",'name':'ai/p','filters':{" filters "}}"
#define RULE(filters, backends)                                                                    \
	"{'matches':[{'path_type':'PathPrefix','path':'/v1'}],'filters':{" filters                 \
	"},'backends':[" backends "],'retry':{'codes':[500]}}"

static int take_request(struct rig *rig, unsigned index, const char **ret_request)
{
	int server = rig_accept(rig, index, RIG_WAIT_MS);

	assert_true(server >= 0);
	*ret_request = rig_expect_chat(rig, server);
	return server;
}

static void a_request_meets_the_filters_of_its_backend_only(void **state)
{
	RIG_READY(
		rig,
		RULE(SET("request_set", "rule"),
		     BACKEND("1", "1000000",
			     SET("request_set", "one") "," SET(
				     "response_set",
				     "one-says") ","
						 "'rewrite_type':'ReplaceFullPath','rewrite_path':'/v1/one',"
						 "'rewrite_host':'one.test'") ",{'pool':2,'weight':1,'name':'ai/two'}"));
	int client = rig_client(rig), server;
	const char *got;

	(void)state;
	rig_puts(rig, client, rig_chat("gemma"));
	server = take_request(rig, 0, &got);
	assert_has(got, "POST /v1/one HTTP/1.1\r\n");
	assert_has(got, "X-Who: one\r\n");
	assert_has(got, "Host: one.test\r\n");
	assert_has_not(got, "X-Who: rule");
	rig_puts(rig, server, "HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n");
	close(server);
	/* the other backend has none of its own: nothing of the first one's is left */
	server = take_request(rig, 1, &got);
	assert_has(got, "POST /v1/chat/completions HTTP/1.1\r\n");
	assert_has(got, "X-Who: rule\r\n");
	assert_has(got, "Host: api.test\r\n");
	assert_has_not(got, "one");
	rig_puts(rig, server, "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok\n");
	got = rig_expect(rig, client, "ok\n");
	assert_has_not(got, "X-Who");
	close(server);
	rig_puts(rig, client, rig_chat("gemma"));
	server = take_request(rig, 0, &got);
	rig_puts(rig, server, "HTTP/1.1 200 OK\r\nX-Who: me\r\nContent-Length: 3\r\n\r\nok\n");
	got = rig_expect(rig, client, "ok\n");
	assert_has(got, "X-Who: one-says\r\n");
	assert_has_not(got, "X-Who: me");
	close(server);
	close(client);
}

static void a_backend_that_redirects_has_its_share_and_no_other(void **state)
{
	static const char redirect[] =
		"'redirect_status':307,'redirect_host':'else.test','redirect_scheme':'https'";
	char rules[1024];
	_cleanup_(rig_freep) struct rig *rig = NULL;
	int client;
	const char *got;

	(void)state;
	snprintf(rules, sizeof(rules),
		 RULE("", "{'pool':1,'weight':1,'name':'ai/one'}," BACKEND("2", "1000000", "%s")),
		 redirect);
	rig = rig_ready(rules);
	client = rig_client(rig);
	rig_puts(rig, client, rig_chat("gemma"));
	got = rig_expect(rig, client, "\r\n\r\n");
	assert_has(got, "HTTP/1.1 307 ");
	assert_has(got, "Location: https://else.test/v1/chat/completions\r\n");
	close(client);
	/* what fails elsewhere is not sent there, and it has no endpoint to be sent to */
	snprintf(rules, sizeof(rules),
		 RULE("", "{'pool':1,'weight':1000000,'name':'ai/one'}," BACKEND("2", "1", "%s")),
		 redirect);
	rig_routes(rig, rules);
	while (rig->worker->row->snapshot_generation < rig->generation)
		rig_turn(rig, 1);
	client = rig_client(rig);
	rig_server_stop(rig, 0);
	rig_puts(rig, client, rig_chat("gemma"));
	assert_has(rig_expect(rig, client, "}}\n"), "HTTP/1.1 502 ");
	assert_true(rig_accept(rig, 1, 20) < 0);
	close(client);
}

/* Looking for another backend, in vain, leaves no trace in the answer that is passed on. */
static void an_answer_meets_the_filters_of_the_backend_that_gave_it(void **state)
{
	RIG_READY(rig, RULE("", BACKEND("1", "1000000", SET("response_set", "one")) "," BACKEND(
					"3", "1", SET("response_set", "empty"))));
	int client = rig_client(rig), server;
	const char *got;

	(void)state;
	rig_puts(rig, client, rig_chat("gemma"));
	server = take_request(rig, 0, &got);
	rig_health(rig, 0, HEALTH_DOWN);
	rig_puts(rig, server, "HTTP/1.1 500 No\r\nContent-Length: 5\r\n\r\noops\n");
	got = rig_expect(rig, client, "oops\n");
	assert_has(got, "HTTP/1.1 500 ");
	assert_has(got, "X-Who: one\r\n");
	close(server);
	close(client);
}

/* Model servers' own pages stay out of reach whichever backend rewrites to them. */
static void a_rewrite_to_a_forbidden_page_is_refused_on_any_backend(void **state)
{
	RIG_READY(rig, RULE("", BACKEND("1", "1000000", "") "," BACKEND(
					"2", "1",
					"'rewrite_type':'ReplaceFullPath','rewrite_path':"
					"'/v1/load_lora_adapter'")));
	int client = rig_client(rig), server;
	const char *got;

	(void)state;
	rig_puts(rig, client, rig_chat("gemma"));
	server = take_request(rig, 0, &got);
	rig_server_stop(rig, 0);
	rig_puts(rig, server, "HTTP/1.1 500 No\r\nContent-Length: 5\r\n\r\noops\n");
	close(server);
	assert_has(rig_expect(rig, client, "\n"), "HTTP/1.1 50");
	assert_true(rig_accept(rig, 1, 20) < 0);
	close(client);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_request_meets_the_filters_of_its_backend_only),
		cmocka_unit_test(a_backend_that_redirects_has_its_share_and_no_other),
		cmocka_unit_test(an_answer_meets_the_filters_of_the_backend_that_gave_it),
		cmocka_unit_test(a_rewrite_to_a_forbidden_page_is_refused_on_any_backend),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
