// SPDX-License-Identifier: BSD-2-Clause
/* Records of map `events` in words, with maps that are plain memory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <json-c/json.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "maps/cli/event_words.h"
#include "tests/harness/said.h"
#include "userspace/base/address.h"
#include "userspace/base/log.h"

#define AT_NS 1795640000123456789ull /* 2026-11-25T20:53:20 UTC */

static struct maps maps;
static struct vip_index *vips;
static char line[EVENT_LINE_MAX];

static int prepare(void **state)
{
	struct vip_key key = {.port = htons(8000), .proto = IPPROTO_TCP};
	const struct vip vip = {.id = 7, .mode = VIP_MODE_L4};

	(void)state;
	log_sink = said_keep;
	setenv("TZ", "UTC", 1);
	tzset();
	maps.endpoints = calloc(ENDPOINTS_MAX, sizeof(*maps.endpoints));
	vips = vip_index_new();
	if (!maps.endpoints || !vips || address_parse("10.99.0.20", &key.addr))
		return -1;
	vip_index_put(vips, &key, &vip);
	address_parse("10.10.0.1", &maps.endpoints[5].addr);
	maps.endpoints[5].port = htons(8000);
	maps.endpoints[5].way = WAY_NAT;
	strcpy(maps.endpoints[5].name, "ai/gemma-0");
	return 0;
}

static int leave(void **state)
{
	(void)state;
	free(maps.endpoints);
	vip_index_free(vips);
	return 0;
}

/* A SYN from a client, forwarded. */
static struct event event_make(void)
{
	struct event event = {.at = 1000,
			      .src_port = htons(40000),
			      .dst_port = htons(8000),
			      .proto = IPPROTO_TCP,
			      .verdict = VERDICT_FORWARDED,
			      .why = WHY_RING,
			      .tcp_flags = 2,
			      .endpoint = 5,
			      .ifindex = 3,
			      .vip = 7,
			      .frame_bytes = 74,
			      .interval = 1};

	address_parse("10.1.0.2", &event.src);
	address_parse("10.99.0.20", &event.dst);
	return event;
}

static struct event_words words_of(const struct event *event)
{
	struct event_words words;

	event_words_init(&words, event, &maps, vips, "to-client", AT_NS - event->at);
	return words;
}

static const char *line_of(const struct event *event)
{
	const struct event_words words = words_of(event);
	struct text text = TEXT_INIT(line);

	event_line_write(&text, event, &words);
	assert_false(text.cut);
	return line;
}

static json_object *json_of(const struct event *event)
{
	const struct event_words words = words_of(event);
	struct text text = TEXT_INIT(line);
	json_object *object;

	event_json_write(&text, event, &words);
	assert_false(text.cut);
	object = json_tokener_parse(line);
	if (!object)
		fail_msg("not JSON: %s", line);
	return object;
}

static void a_line_tells_verdict_flow_vip_and_endpoint(void **state)
{
	struct event event = event_make();

	(void)state;
	assert_string_equal(line_of(&event),
			    "20:53:20.123456 forwarded (ring) tcp syn 10.1.0.2:40000 > "
			    "10.99.0.20:8000, vip 10.99.0.20:8000/tcp, endpoint ai/gemma-0 "
			    "10.10.0.1:8000, 74 bytes by to-client");
	event.interval = 100;
	assert_non_null(strstr(line_of(&event), "by to-client, stands for 100 packets"));
}

static void what_a_record_has_not_is_left_out(void **state)
{
	struct event event = {.at = 1000,
			      .verdict = VERDICT_NOT_IP,
			      .endpoint = ENDPOINT_NONE,
			      .vip = VIP_ID_ANY,
			      .frame_bytes = 60,
			      .ifindex = 3,
			      .interval = 1};

	(void)state;
	assert_string_equal(line_of(&event), "20:53:20.123456 not_ip, 60 bytes by to-client");
	event.proto = IPPROTO_ICMP;
	address_parse("10.1.0.2", &event.src);
	address_parse("10.99.0.20", &event.dst);
	assert_non_null(strstr(line_of(&event), " icmp 10.1.0.2 > 10.99.0.20,"));
}

static void what_has_gone_is_told_by_its_id(void **state)
{
	struct event event = event_make();

	(void)state;
	event.vip = 8;
	event.endpoint = 6;
	assert_non_null(strstr(line_of(&event), ", vip #8, endpoint #6, 74 bytes"));
	event.vip = event.endpoint = 0x7fffffff; /* no id of ours */
	assert_non_null(strstr(line_of(&event), ", vip #2147483647, endpoint #2147483647,"));
}

static void json_has_the_same_and_the_bytes(void **state)
{
	struct event event = event_make();
	json_object *object, *value;

	(void)state;
	event.snap_bytes = 3;
	memcpy(event.snap, "\x02\xff\x00", 3);
	object = json_of(&event);
	assert_true(json_object_object_get_ex(object, "frame", &value));
	assert_string_equal(json_object_get_string(value), "02ff00");
	assert_true(json_object_object_get_ex(object, "vip", &value));
	assert_string_equal(json_object_get_string(value), "10.99.0.20:8000/tcp");
	assert_non_null(strstr(line, "{\"at\":1795640000.123456789,"));
	json_object_put(object);
	event.snap_bytes = 0;
	event.vip = VIP_ID_ANY;
	object = json_of(&event);
	assert_true(json_object_object_get_ex(object, "frame", &value));
	assert_null(value);
	assert_true(json_object_object_get_ex(object, "vip", &value));
	assert_null(value);
	json_object_put(object);
}

static void the_largest_record_is_whole_in_every_form(void **state)
{
	struct event event = event_make();
	struct event_words words;
	struct text text = TEXT_INIT(line);

	(void)state;
	memset(maps.endpoints[9].name, '"', sizeof(maps.endpoints[9].name));
	maps.endpoints[9].way = WAY_NAT;
	memset(&maps.endpoints[9].addr, 0xff, sizeof(struct ip_addr));
	memset(&event.src, 0xff, sizeof(event.src));
	memset(&event.dst, 0xff, sizeof(event.dst));
	event.endpoint = 9;
	event.tcp_flags = 0xff;
	event.snap_bytes = EVENT_SNAP_BYTES;
	event.interval = event.frame_bytes = UINT32_MAX;
	json_object_put(json_of(&event));
	line_of(&event);
	words = words_of(&event);
	event_comment_write(&text, &event, &words);
	assert_false(text.cut);
}

static void a_comment_has_every_member(void **state)
{
	struct event event = event_make();
	struct event_words words = words_of(&event);
	struct text text = TEXT_INIT(line);

	(void)state;
	event_comment_write(&text, &event, &words);
	assert_string_equal(line, "verdict=forwarded why=ring vip=10.99.0.20:8000/tcp "
				  "endpoint=ai/gemma-0 packets=1");
	event.vip = VIP_ID_ANY;
	event.endpoint = ENDPOINT_NONE;
	words = words_of(&event);
	text_init(&text, line, sizeof(line));
	event_comment_write(&text, &event, &words);
	assert_string_equal(line, "verdict=forwarded why=ring vip=- endpoint=- packets=1");
}

static void records_of_another_build_are_refused(void **state)
{
	struct event event = event_make();
	const struct event *checked = NULL;

	(void)state;
	assert_int_equal(event_check(&event, sizeof(event), &checked), 0);
	assert_ptr_equal(checked, &event);
	assert_int_equal(event_check(&event, sizeof(event) - 8, &checked), -EPROTO);
	assert_non_null(strstr(said, "a record of 192 bytes, this sluicectl knows 200"));
	assert_int_equal(event_check(&event, sizeof(event) + 8, &checked), -EPROTO);
	event.verdict = VERDICT_COUNT;
	assert_int_equal(event_check(&event, sizeof(event), &checked), -EPROTO);
	assert_non_null(strstr(said, "a newer build"));
	event = event_make();
	event.why = WHY_COUNT;
	assert_int_equal(event_check(&event, sizeof(event), &checked), -EPROTO);
	event = event_make();
	event.snap_bytes = EVENT_SNAP_BYTES + 1;
	assert_int_equal(event_check(&event, sizeof(event), &checked), -EPROTO);
}

static void only_what_was_asked_for_matches(void **state)
{
	const struct event event = event_make();
	struct capture asked = {.vip = VIP_ID_ANY};

	(void)state;
	assert_true(event_matches(&event, &asked));
	asked.vip = 7;
	assert_true(event_matches(&event, &asked));
	asked.verdicts = 1ull << VERDICT_FORWARDED;
	assert_true(event_matches(&event, &asked));
	asked.verdicts = 1ull << VERDICT_RETURNED;
	assert_false(event_matches(&event, &asked));
	asked.verdicts = 0;
	asked.vip = 8;
	assert_false(event_matches(&event, &asked));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_line_tells_verdict_flow_vip_and_endpoint),
		cmocka_unit_test(what_a_record_has_not_is_left_out),
		cmocka_unit_test(what_has_gone_is_told_by_its_id),
		cmocka_unit_test(json_has_the_same_and_the_bytes),
		cmocka_unit_test(the_largest_record_is_whole_in_every_form),
		cmocka_unit_test(a_comment_has_every_member),
		cmocka_unit_test(records_of_another_build_are_refused),
		cmocka_unit_test(only_what_was_asked_for_matches),
	};

	return cmocka_run_group_tests(tests, prepare, leave);
}
