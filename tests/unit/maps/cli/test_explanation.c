// SPDX-License-Identifier: BSD-2-Clause
/* What is said about an answer, with maps that are plain memory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <json-c/json.h>
#include <linux/bpf.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>

#include "maps/cli/explain_ask.h"
#include "maps/cli/explanation.h"
#include "userspace/base/address.h"
#include "userspace/base/cleanup.h"

static struct maps maps;
static struct vip_index *vips;
static struct vip vip = {.id = 7, .pool = 1, .mode = VIP_MODE_L4};
static char buffer[EXPLANATION_TEXT_MAX];

static int prepare(void **state)
{
	(void)state;
	maps.endpoints = calloc(ENDPOINTS_MAX, sizeof(*maps.endpoints));
	maps.admin = calloc(ADMIN_SLOTS, sizeof(*maps.admin));
	maps.health = calloc(ENDPOINTS_MAX, sizeof(*maps.health));
	maps.pools = calloc(POOLS_MAX, sizeof(*maps.pools));
	maps.clusters = calloc(CLUSTERS_MAX, sizeof(*maps.clusters));
	maps.nexthops = calloc(NEXTHOPS_MAX, sizeof(*maps.nexthops));
	vips = vip_index_new();
	if (!maps.endpoints || !maps.admin || !maps.health || !maps.pools || !maps.clusters ||
	    !maps.nexthops || !vips)
		return -1;
	strcpy(maps.pools[1].name, "ai/gemma-3-27b");
	strcpy(maps.clusters[0].name, "cluster-a");
	strcpy(maps.endpoints[5].name, "ai/gemma-0");
	address_parse("10.10.0.1", &maps.endpoints[5].addr);
	maps.endpoints[5].port = htons(8000);
	maps.endpoints[5].way = WAY_IPIP;
	maps.endpoints[5].pool = 1;
	maps.endpoints[5].generation = 3;
	maps.health[5] = (struct health){.state = HEALTH_UP, .generation = 3};
	maps.nexthops[2] = (struct nexthop){
		.dmac = {2, 0, 0, 0, 0, 9}, .state = NEXTHOP_RESOLVED, .ifindex = 4};
	address_parse("10.2.1.2", &maps.nexthops[2].addr);
	return 0;
}

static int leave(void **state)
{
	(void)state;
	free(maps.endpoints);
	free(maps.admin);
	free(maps.health);
	free(maps.pools);
	free(maps.clusters);
	free(maps.nexthops);
	vip_index_free(vips);
	return 0;
}

/* A SYN by IPIP, under pick maglev. */
static struct explanation make(void)
{
	struct explanation made = {
		.packet = {.src_port = 40000,
			   .dst_port = 8000,
			   .proto = IPPROTO_TCP,
			   .tcp_flags = TH_SYN},
		.device = {.name = "to-client", .ifindex = 2, .hook = "native"},
		.answer = {.action = XDP_TX,
			   .explain = {.magic = EXPLAIN_MAGIC,
				       .secret = 424,
				       .vip = 7,
				       .endpoint = 5,
				       .nexthop = 2,
				       .verdict = VERDICT_FORWARDED,
				       .why = WHY_RING,
				       .way = WAY_IPIP,
				       .pad = 1}},
		.maps = &maps,
		.vips = vips,
		.nexthop_device = "to-europe",
	};
	struct vip_key key = {.port = htons(8000), .proto = IPPROTO_TCP};

	address_parse("10.1.0.2", &made.packet.src);
	address_parse("10.99.0.20", &made.packet.dst);
	key.addr = made.packet.dst;
	vip.pick = VIP_PICK_MAGLEV;
	vip.mode = VIP_MODE_L4;
	vip_index_put(vips, &key, &vip);
	return made;
}

static void pick_set(uint8_t pick)
{
	struct vip_key key = *vip_index_find(vips, 7, NULL);

	vip.pick = pick;
	vip_index_put(vips, &key, &vip);
}

static const char *text_of(const struct explanation *explanation)
{
	struct text text = TEXT_INIT(buffer);

	explanation_write(&text, explanation);
	assert_false(text.cut);
	return buffer;
}

static const char *changes_of(const struct explanation *explanation)
{
	struct text text = TEXT_INIT(buffer);

	explanation_changes_write(&text, explanation);
	return buffer;
}

static void says(const struct explanation *explanation, const char *words)
{
	if (!strstr(text_of(explanation), words))
		fail_msg("'%s' is not in:\n%s", words, buffer);
}

static void a_forwarded_packet_is_explained_whole(void **state)
{
	const struct explanation made = make();

	(void)state;
	assert_string_equal(
		text_of(&made),
		"packet    tcp syn 10.1.0.2:40000 > 10.99.0.20:8000, arriving by to-client "
		"(ifindex 2, attached: native)\n"
		"verdict   forwarded: sent on to an endpoint\n"
		"why       ring: the row of the pool's Maglev ring (row 424)\n"
		"vip       10.99.0.20:8000/tcp, L4, pool ai/gemma-3-27b, pick maglev\n"
		"endpoint  ai/gemma-0 10.10.0.1:8000 by ipip, id 5 generation 3, cluster "
		"cluster-a; usable: admin READY, of its cluster READY, health UP\n"
		"next hop  10.2.1.2 at 02:00:00:00:00:09 by to-europe, resolved\n"
		"changes   by a real packet: nothing: a SYN under pick maglev is not stored, as "
		"the ring gives the same endpoint again\n");
}

static void a_dropped_packet_says_so(void **state)
{
	struct explanation made = make();

	(void)state;
	made.answer = (struct explain_answer){.action = XDP_DROP,
					      .explain = {.vip = 7,
							  .endpoint = ENDPOINT_NONE,
							  .nexthop = NEXTHOP_NONE,
							  .verdict = VERDICT_NO_ENDPOINT}};
	says(&made, "verdict   no_endpoint: the pool has no endpoint to take it; dropped\n");
	says(&made, "endpoint  none\nnext hop  none\nchanges   by a real packet: nothing but "
		    "counters\n");
	assert_string_equal(explanation_fate(&made), "dropped");
}

static void a_strangers_packet_has_no_vip(void **state)
{
	struct explanation made = make();

	(void)state;
	made.device.hook[0] = '\0';
	made.answer = (struct explain_answer){.action = XDP_PASS,
					      .explain = {.vip = VIP_ID_ANY,
							  .endpoint = ENDPOINT_NONE,
							  .nexthop = NEXTHOP_NONE,
							  .verdict = VERDICT_NOT_A_VIP}};
	says(&made, "vip       none\n");
	says(&made, "(ifindex 2, nothing of ours attached)\n");
	assert_string_equal(explanation_fate(&made), "passed");
}

static void states_are_of_now(void **state)
{
	const struct explanation made = make();

	(void)state;
	maps.admin[5] = (struct admin){.state = ADMIN_DRAIN, .generation = 3};
	maps.health[5].state = HEALTH_DOWN;
	says(&made, "; down: admin DRAIN, of its cluster READY, health DOWN\n");
	maps.admin[5] = (struct admin){0};
	maps.health[5].state = HEALTH_UP;
}

static void a_way_the_controller_did_not_work_out_is_the_kernels(void **state)
{
	struct explanation made = make();

	(void)state;
	made.answer.explain.nexthop = NEXTHOP_NONE;
	says(&made, "next hop  the kernel's routes and neighbours were asked\n");
}

static void the_flows_state_is_told_where_a_table_knew_it(void **state)
{
	struct explanation made = make();

	(void)state;
	made.answer.explain.why = WHY_HIT;
	made.answer.explain.state = SLOT_CONFIRMED;
	says(&made, "why       hit: the flow table knows the flow; the flow was confirmed\n");
	made.answer.explain.why = WHY_NAT;
	made.answer.explain.way = WAY_NAT;
	made.answer.explain.state = FLOW_ESTABLISHED;
	says(&made, "; the flow was established\n");
	made.answer.explain.state = 99;
	says(&made, "; the flow was invalid\n");
}

static void what_a_real_packet_changes_follows_the_rules_of_the_tables(void **state)
{
	static const struct {
		uint8_t flags, why, way, state, pick;
		bool fresh;
		const char *begins;
	} cases[] = {
		{TH_SYN, WHY_RING, WAY_IPIP, 0, VIP_PICK_MAGLEV, false, "nothing: a SYN under"},
		{TH_SYN, WHY_RING, WAY_IPIP, 0, VIP_PICK_MAGLEV, true, "a new flow, on probation"},
		{TH_SYN, WHY_RING_NEXT, WAY_IPIP, 0, VIP_PICK_MAGLEV, false, "a new flow, on"},
		{TH_SYN, WHY_LEAST, WAY_L2, 0, VIP_PICK_LEAST, false,
		 "a new flow, on probation in the flow table; one flow more"},
		{TH_ACK, WHY_RING, WAY_GUE, 0, VIP_PICK_LEAST, false, "a new flow, on probation"},
		{TH_RST, WHY_RING, WAY_GUE, 0, VIP_PICK_MAGLEV, false, "nothing: a FIN or RST"},
		{TH_FIN | TH_ACK, WHY_HIT, WAY_GUE, SLOT_CONFIRMED, 0, false,
		 "the flow is marked as closing"},
		{TH_SYN, WHY_HIT, WAY_GUE, SLOT_PROBATION, 0, false, "the flow is on probation"},
		{TH_ACK, WHY_HIT, WAY_GUE, SLOT_PROBATION, 0, false,
		 "when the flow was last used; it is confirmed"},
		{TH_ACK, WHY_HIT, WAY_GUE, SLOT_CONFIRMED, 0, false, "when the flow was last"},
		{TH_SYN, WHY_RING, WAY_NAT, 0, VIP_PICK_MAGLEV, false, "a new NAT flow"},
		{TH_SYN, WHY_LEAST, WAY_NAT, 0, VIP_PICK_LEAST, false, "a new NAT flow"},
		{TH_ACK, WHY_NAT, WAY_NAT, FLOW_ESTABLISHED, 0, false, "the NAT flow's counters"},
		{TH_RST, WHY_NAT, WAY_NAT, FLOW_ESTABLISHED, 0, false, "the NAT flow is marked"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct explanation made = make();

		pick_set(cases[i].pick);
		made.packet.tcp_flags = cases[i].flags;
		made.row_is_fresh = cases[i].fresh;
		made.answer.explain.why = cases[i].why;
		made.answer.explain.way = cases[i].way;
		made.answer.explain.state = cases[i].state;
		if (strncmp(changes_of(&made), cases[i].begins, strlen(cases[i].begins)))
			fail_msg("case %zu: wants '%s', got '%s'", i, cases[i].begins, buffer);
	}
}

static void ids_out_of_range_are_borne(void **state)
{
	struct explanation made = make();

	(void)state;
	made.answer.explain.vip = made.answer.explain.endpoint = 0x7fffffff;
	made.answer.explain.nexthop = NEXTHOPS_MAX;
	made.answer.explain.way = 77;
	says(&made, "vip       #2147483647\nendpoint  none\n");
}

static void json_is_one_object_with_the_same_facts(void **state)
{
	struct explanation made = make();
	struct text text = TEXT_INIT(buffer);
	json_object *object, *value;

	(void)state;
	explanation_json_write(&text, &made);
	assert_false(text.cut);
	object = json_tokener_parse(buffer);
	assert_non_null(object);
	assert_true(json_object_object_get_ex(object, "fate", &value));
	assert_string_equal(json_object_get_string(value), "sent");
	assert_true(json_object_object_get_ex(object, "row", &value));
	assert_int_equal(json_object_get_int(value), 424);
	assert_true(json_object_object_get_ex(object, "endpoint_id", &value));
	assert_int_equal(json_object_get_int(value), 5);
	assert_true(json_object_object_get_ex(object, "nexthop_mac", &value));
	assert_string_equal(json_object_get_string(value), "02:00:00:00:00:09");
	assert_true(json_object_object_get_ex(object, "flow_state", &value));
	assert_null(value);
	json_object_put(object);
}

/* ---- the answer's bytes ---- */

static void the_answer_is_the_last_of_the_metadata(void **state)
{
	const struct explain answer = make().answer.explain;
	struct explain read = {0};
	uint8_t bytes[256] = {0};

	(void)state;
	memcpy(bytes + 12, &answer, sizeof(answer));
	assert_int_equal(explain_answer_read(bytes, sizeof(bytes), 12 + sizeof(answer), &read), 0);
	assert_memory_equal(&read, &answer, sizeof(answer));
}

static void no_answer_and_no_sense_are_told_apart(void **state)
{
	struct explain answer = make().answer.explain, read;
	uint8_t bytes[64] = {0};

	(void)state;
	answer.pad = 0;
	memcpy(bytes, &answer, sizeof(answer));
	assert_int_equal(explain_answer_read(bytes, sizeof(bytes), sizeof(answer), &read),
			 -EOPNOTSUPP);
	answer.pad = 1;
	answer.verdict = VERDICT_COUNT;
	memcpy(bytes, &answer, sizeof(answer));
	assert_int_equal(explain_answer_read(bytes, sizeof(bytes), sizeof(answer), &read), -EPROTO);
	assert_int_equal(explain_answer_read(bytes, sizeof(bytes), 0, &read), -EPROTO);
	assert_int_equal(explain_answer_read(bytes, sizeof(bytes), sizeof(bytes) + 4, &read),
			 -EPROTO);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_forwarded_packet_is_explained_whole),
		cmocka_unit_test(a_dropped_packet_says_so),
		cmocka_unit_test(a_strangers_packet_has_no_vip),
		cmocka_unit_test(states_are_of_now),
		cmocka_unit_test(a_way_the_controller_did_not_work_out_is_the_kernels),
		cmocka_unit_test(the_flows_state_is_told_where_a_table_knew_it),
		cmocka_unit_test(what_a_real_packet_changes_follows_the_rules_of_the_tables),
		cmocka_unit_test(ids_out_of_range_are_borne),
		cmocka_unit_test(json_is_one_object_with_the_same_facts),
		cmocka_unit_test(the_answer_is_the_last_of_the_metadata),
		cmocka_unit_test(no_answer_and_no_sense_are_told_apart),
	};

	return cmocka_run_group_tests(tests, prepare, leave);
}
