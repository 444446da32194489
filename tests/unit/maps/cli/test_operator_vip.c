// SPDX-License-Identifier: BSD-2-Clause
/* VIPs of the operator in all their ways: what the maps hold then, what is refused,
 * and that no id means two things at once. */
#include "tests/unit/maps/cli/rig.h"

#define TOP (ENDPOINTS_MAX - 1) /* the first id that is given out, then downwards */
#define POOL (POOLS_MAX - 1)
#define QUIC_VIP "10.99.0.20:443/udp"

/* The endpoint that a server id names, ENDPOINT_NONE: nobody. */
static uint32_t cid_of(uint32_t pool, uint32_t server_id)
{
	const struct cid_key key = {pool, server_id};
	char path[256];
	struct cid cid;
	_cleanup_close_ int fd = -1;

	snprintf(path, sizeof(path), "%s/cids", instance.pin_dir);
	fd = bpf_obj_get(path);
	assert_true(fd >= 0);
	if (bpf_map_lookup_elem(fd, &key, &cid))
		return ENDPOINT_NONE;
	assert_int_equal(cid.generation, maps->endpoints[cid.endpoint].generation);
	return cid.endpoint;
}

static bool slot_is_empty(uint32_t set, int index)
{
	const struct flow_slot *slot = &maps->flows[set].slots[index];

	return !slot->tag && !slot->where && !slot->tick;
}

/* ---- what is written ---- */

static void the_ways_of_a_vip_and_of_its_endpoints_are_written(void **state)
{
	(void)state;
	must("show vips"); /* skips without privilege */
	address_parse("fd00::1", &maps->contract.encap6);
	contract_write();
	must("vip add " VIP " --way ipip --pick least --down drop"
	     " -e 10.10.0.5:8000 -e 10.10.0.6:8000*50,way=gue -e [fd00::5]:8000,way=ipip");
	assert_int_equal(maps->endpoints[TOP].way, WAY_IPIP);
	assert_int_equal(maps->endpoints[TOP - 1].way, WAY_GUE);
	assert_int_equal(maps->endpoints[TOP - 2].way, WAY_IPIP);
	assert_int_equal(vip_get(VIP).pick, VIP_PICK_LEAST);
	assert_int_equal(vip_get(VIP).down, VIP_DOWN_DROP);
	assert_int_equal(vip_get(VIP).flags, 0);
	assert_in_range(rows_of(POOL, TOP - 1), 810, 830); /* 50 of 250 in 4093 */
}

static void a_vip_that_says_nothing_has_the_defaults(void **state)
{
	(void)state;
	must("vip add " VIP " -e 10.10.0.5:9000");
	assert_int_equal(maps->endpoints[TOP].way, WAY_NAT);
	assert_int_equal(vip_get(VIP).pick, VIP_PICK_MAGLEV);
	assert_int_equal(vip_get(VIP).down, VIP_DOWN_RESET);
	assert_int_equal(vip_get(VIP).flags, VIP_F_NAT);
}

static void one_endpoint_by_nat_makes_the_vip_look_into_the_nat_table(void **state)
{
	(void)state;
	must("vip add " VIP " --way l2 -e 10.10.0.5:8000 -e 10.10.0.6:9000,way=nat");
	assert_int_equal(vip_get(VIP).flags, VIP_F_NAT);
	must("show vips --json");
	says("\"way\":\"mixed\",\"pick\":\"maglev\",\"down\":\"reset\",\"quic\":\"no\"");
}

static void server_ids_name_their_endpoints(void **state)
{
	(void)state;
	must("vip add " QUIC_VIP " --way gue --quic -e 10.10.0.5:443,id=7 -e 10.10.0.6:443,id=65535"
	     " -e 10.10.0.7:443");
	assert_int_equal(vip_get(QUIC_VIP).flags, VIP_F_QUIC);
	assert_int_equal(cid_of(POOL, 7), TOP);
	assert_int_equal(cid_of(POOL, 65535), TOP - 1);
	must("show vips --json");
	says("\"way\":\"gue\",\"pick\":\"maglev\",\"down\":\"reset\",\"quic\":\"yes\"");
	must("show endpoints --json");
	says("\"server_id\":65535");
	/* ids change hands, and what is not said is gone */
	must("vip set " QUIC_VIP
	     " --way gue --quic -e 10.10.0.5:443,id=65535 -e 10.10.0.7:443,id=8");
	assert_int_equal(cid_of(POOL, 65535), TOP);
	assert_int_equal(cid_of(POOL, 8), TOP - 2);
	assert_int_equal(cid_of(POOL, 7), ENDPOINT_NONE);
	must("vip set " QUIC_VIP " --way gue -e 10.10.0.5:443 -e 10.10.0.7:443");
	says("quic on -> off");
	assert_int_equal(vip_get(QUIC_VIP).flags, 0);
	assert_int_equal(cid_of(POOL, 8), ENDPOINT_NONE);
}

static void a_removed_vip_takes_its_server_ids_along_and_no_others(void **state)
{
	(void)state;
	must("vip add " QUIC_VIP " --way gue --quic -e 10.10.0.5:443,id=7");
	must("vip add 10.99.0.21:443/udp --way gue --quic -e 10.10.0.5:443,id=7");
	must("vip remove " QUIC_VIP);
	assert_int_equal(cid_of(POOL, 7), ENDPOINT_NONE);
	assert_int_equal(cid_of(POOL - 1, 7), TOP - 1);
}

/* ---- set on a live VIP ---- */

static void set_changes_pick_down_and_way_and_keeps_the_id(void **state)
{
	uint32_t generation;

	(void)state;
	must("vip add " VIP " -e 10.10.0.5:8000 -e 10.10.0.6:8000");
	generation = maps->endpoints[TOP].generation;
	must("vip set " VIP " --way ipip --pick least --down drop -e 10.10.0.5:8000 "
	     "-e 10.10.0.6:8000");
	says("0 added, 2 kept, 0 removed; 2 reached another way now");
	says("pick maglev -> least; down reset -> drop");
	assert_int_equal(maps->endpoints[TOP].way, WAY_IPIP);
	assert_int_equal(maps->endpoints[TOP - 1].way, WAY_IPIP);
	assert_int_equal(maps->endpoints[TOP].generation, generation);
	assert_int_equal(vip_get(VIP).pick, VIP_PICK_LEAST);
	assert_int_equal(vip_get(VIP).down, VIP_DOWN_DROP);
	assert_int_equal(vip_get(VIP).flags, 0);
	must("vip set " VIP " --way gue -e 10.10.0.5:8000 -e 10.10.0.6:8000 --json");
	says("\"pick\":\"maglev\",\"down\":\"reset\",\"quic\":\"no\",\"added\":0,\"kept\":2,"
	     "\"ways_changed\":2");
}

static void flows_by_nat_go_on_when_their_endpoint_gets_another_way(void **state)
{
	struct nat_flow flow = {.endpoint = TOP, .state = FLOW_ESTABLISHED};
	struct flow_key key = {.src_port = 1, .proto = 6};

	(void)state;
	must("vip add " VIP " -e 10.10.0.5:8000");
	flow.generation = maps->endpoints[TOP].generation;
	flow.seen_at = clock_monotonic_ns();
	flow_put(MAP_NAT_FWD, &key, &flow);
	must("vip set " VIP " --way ipip -e 10.10.0.5:8000");
	says("1 live NAT flows go on by NAT until they end");
	assert_int_equal(vip_get(VIP).flags, VIP_F_NAT);
	flow.state = FLOW_CLOSING;
	flow_put(MAP_NAT_FWD, &key, &flow);
	must("vip set " VIP " --way ipip -e 10.10.0.5:8000");
	assert_null(strstr(output, "NAT flows"));
	assert_int_equal(vip_get(VIP).flags, 0);
}

static void flows_of_a_tunnel_stay_in_the_table_unless_nat_takes_over(void **state)
{
	(void)state;
	must("vip add " VIP " --way ipip -e 10.10.0.5:8000");
	slot_put(3, 1, TOP, SLOT_CONFIRMED, 2, 0);
	slot_put(4, 2, TOP - 7, SLOT_CONFIRMED, 2, 0);
	must("vip set " VIP " --way gue -e 10.10.0.5:8000");
	assert_false(slot_is_empty(3, 1));
	must("vip set " VIP " -e 10.10.0.5:8000");
	says("1 live L4 flows to endpoints that were removed or went over to NAT were cut");
	assert_true(slot_is_empty(3, 1));
	assert_false(slot_is_empty(4, 2)); /* another endpoint's */
}

static void a_removed_endpoint_is_swept_out_of_the_flow_table(void **state)
{
	(void)state;
	must("vip add " VIP " --way ipip -e 10.10.0.5:8000 -e 10.10.0.6:8000");
	slot_put(0, 0, TOP, SLOT_CONFIRMED, 2, 0);
	slot_put(FLOW_SETS_MIN - 1, 7, TOP, SLOT_CONFIRMED, 3, FLOW_UDP_TICKS); /* over */
	slot_put(1, 0, TOP - 1, SLOT_PROBATION, 2, 0);
	must("vip set " VIP " --way ipip -e 10.10.0.6:8000");
	says("; 1 live L4 flows");
	assert_true(slot_is_empty(0, 0));
	assert_true(slot_is_empty(FLOW_SETS_MIN - 1, 7));
	assert_false(slot_is_empty(1, 0));
	must("vip remove " VIP);
	assert_true(slot_is_empty(1, 0));
}

static void an_id_is_clean_when_it_is_given_out_whatever_was_left_there(void **state)
{
	(void)state;
	must("show vips"); /* skips without privilege */
	slot_put(5, 5, TOP, SLOT_CONFIRMED, 2, 0); /* by one who died over a removal */
	must("vip add " VIP " --way ipip -e 10.10.0.5:8000");
	assert_true(slot_is_empty(5, 5));
}

/* ---- what is refused ---- */

static void what_a_way_cannot_do_is_refused_by_name(void **state)
{
	static const struct {
		const char *line, *why;
	} cases[] = {
		{"vip add " VIP " --way nat -e [fd00::1]:8000",
		 "[fd00::1]:8000 is of the other IP family; NAT needs VIP and endpoint of one"},
		{"vip add " VIP " --way l2 -e [fd00::1]:8000", "L2 needs VIP and endpoint of one"},
		{"vip add " VIP " --way ipip -e 10.10.0.5:8001",
		 "10.10.0.5:8001 has another port; ipip keeps the packet's port, so the server must "
		 "listen on the VIP's address and port: write port 8000, or way=nat"},
		{"vip add " VIP " --way gue -e 10.10.0.5:8001", "gue keeps the packet's port"},
		{"vip add " VIP " -e 10.10.0.5:8001,way=l2", "l2 keeps the packet's port"},
		{"vip add [fd00:9::1]:8000/tcp -e [fd00::1]:8000", "no NAT source address of this"},
		{"vip add " VIP " --quic -e 10.10.0.5:8000", "--quic is for UDP"},
		{"vip add " QUIC_VIP " -e 10.10.0.5:443,id=7", "only a VIP with --quic follows"},
		{"vip add " QUIC_VIP " --quic -e 10.10.0.5:443,id=7 -e 10.10.0.6:443,id=7",
		 "10.10.0.6:443 has id=7, which another endpoint has"},
		{"vip add " VIP " --way ipip -e 10.10.0.5:8000 -e 10.10.0.5:8000,way=gue",
		 "is named twice"},
		{"vip add " VIP " --way ipip -e 10.99.0.20:8000", "its own address"},
		{"vip add " VIP " --way teleport -e 10.10.0.5:8000",
		 "--way teleport: there are nat"},
		{"vip add " VIP " --pick best -e 10.10.0.5:8000", "--pick best: there are maglev"},
		{"vip add " VIP " --down up -e 10.10.0.5:8000", "--down up: there are reset"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		refused(cases[i].line, 1, cases[i].why);
		assert_int_equal(maps->endpoints[TOP].way, WAY_NONE);
	}
	refused("vip remove " VIP " --way ipip", 2, "");
	must("show vips");
	says("no VIPs");
}

static void a_refused_set_leaves_the_vip_as_it_was(void **state)
{
	(void)state;
	must("vip add " VIP " --way ipip --pick least -e 10.10.0.5:8000");
	refused("vip set " VIP " --way ipip -e 10.10.0.5:8000 -e 10.10.0.6:8001", 1,
		"another port");
	assert_int_equal(maps->endpoints[TOP].way, WAY_IPIP);
	assert_int_equal(vip_get(VIP).pick, VIP_PICK_LEAST);
	assert_int_equal(maps->endpoints[TOP - 1].way, WAY_NONE);
}

/* The 256 endpoints before fill the table: nothing of what was begun stays. */
static void a_set_without_room_undoes_all_of_it(void **state)
{
	(void)state;
	must("vip add " QUIC_VIP " --way gue --quic -e 10.10.0.5:443,id=7");
	slot_put(0, 0, TOP, SLOT_CONFIRMED, 2, 0);
	for (uint32_t id = 0; id < TOP; id++)
		maps->endpoints[id].way = WAY_NAT;
	refused("vip set " QUIC_VIP " -e 10.10.0.5:443 -e 10.10.0.6:443", 1, "ids are in use");
	assert_int_equal(maps->endpoints[TOP].way, WAY_GUE);
	assert_int_equal(vip_get(QUIC_VIP).flags, VIP_F_QUIC);
	assert_int_equal(cid_of(POOL, 7), TOP);
	assert_false(slot_is_empty(0, 0));
}

static void a_set_whose_server_ids_have_no_room_undoes_all_of_it(void **state)
{
	struct cid_key key = {0, 1};
	const struct cid cid = {0};
	char path[256];
	_cleanup_close_ int fd = -1;

	(void)state;
	must("vip add " QUIC_VIP " --way gue --quic -e 10.10.0.5:443,id=7");
	snprintf(path, sizeof(path), "%s/cids", instance.pin_dir);
	fd = bpf_obj_get(path);
	while (bpf_map_update_elem(fd, &key, &cid, BPF_ANY) == 0)
		key.server_id++;
	refused("vip set " QUIC_VIP
		" --way ipip --quic -e 10.10.0.5:443,id=7 -e 10.10.0.6:443,id=8",
		1, "cids: cannot write server id 8");
	assert_int_equal(maps->endpoints[TOP].way, WAY_GUE);
	assert_int_equal(maps->endpoints[TOP - 1].way, WAY_NONE);
	assert_int_equal(rows_of(POOL, TOP - 1), 0);
	assert_int_equal(cid_of(POOL, 7), TOP);
	assert_int_equal(vip_get(QUIC_VIP).flags, VIP_F_QUIC);
	refused("vip add 10.99.0.21:443/udp --way gue --quic -e 10.10.0.5:443,id=9", 1,
		"cids: cannot write server id 9");
	assert_int_equal(maps->endpoints[TOP - 1].way, WAY_NONE);
	assert_int_equal(maps->pools[POOL - 1].name[0], '\0');
}

/* ---- what works under a condition ---- */

static void a_tunnel_without_an_outer_source_says_who_must_supply_it(void **state)
{
	(void)state;
	must("vip add " VIP " --way gue -e 10.10.0.5:8000"); /* NAT's address does */
	assert_int_equal(run_words("vip set " VIP " --way gue -e [fd00::5]:8000"), 0);
	assert_non_null(strstr(messages,
			       "[fd00::5]:8000: no outer source address of its family is "
			       "set, so gue works only while sluice-controller supplies"));
	assert_int_equal(run_words("vip add " QUIC_VIP " --way gue --quic -e 10.10.0.5:443"), 0);
	assert_non_null(strstr(messages, "no endpoint has a server id"));
}

/* ---- drain and the flow table ---- */

static void a_drain_counts_both_tables(void **state)
{
	(void)state;
	must("vip add " VIP " --way ipip -e 10.10.0.5:8000");
	slot_put(0, 0, TOP, SLOT_CONFIRMED, 2, 60); /* TCP, silent for a minute */
	slot_put(0, 1, TOP, SLOT_CONFIRMED, 3, 60); /* UDP, the same */
	slot_put(0, 2, TOP, SLOT_CLOSING, 2, 0);
	slot_put(0, 3, TOP, SLOT_CONFIRMED, 3, FLOW_UDP_TICKS);
	slot_put(0, 4, 0, SLOT_PROBATION, 3, 0);
	flow_make(40000, clock_monotonic_ns(), 5); /* to endpoint 0 */
	must("drain endpoint operator/10.10.0.5:8000");
	says("2 live L4 flows (0 by NAT, 2 in the flow table)");
	must("drain endpoint 0 --json");
	says("\"flows\":2,\"nat_flows\":1,\"table_flows\":1");
	must("show endpoints --json");
	says("\"flows\":2,\"opened\":0,\"server_id\":null");
}

static void a_waiting_drain_says_what_is_left_and_ends_with_the_last_flow(void **state)
{
	(void)state;
	must("vip add " VIP " --way ipip -e 10.10.0.5:8000");
	slot_put(0, 0, TOP, SLOT_CONFIRMED, 2, 0);
	refused("drain endpoint operator/10.10.0.5:8000 --wait 1", 1,
		"waiting: 0 requests and 1 live L4 flow left, for ");
	assert_non_null(strstr(messages, "not empty after 1s; it stays DRAIN"));
	/* idle long enough a moment from now */
	slot_put(0, 0, TOP, SLOT_PROBATION, 3, FLOW_PROBATION_TICKS - 1);
	assert_int_equal(run_words("drain endpoint operator/10.10.0.5:8000 --wait 10"), 0);
	says("0 live L4 flows");
}

static void the_flow_table_shows_states_load_and_full_sets(void **state)
{
	(void)state;
	must("vip add " VIP " --way ipip -e 10.10.0.5:8000");
	for (int i = 0; i < FLOW_SLOTS; i++)
		slot_put(9, i, TOP, i ? SLOT_CONFIRMED : SLOT_CLOSING, 2, 0);
	slot_put(10, 0, TOP, SLOT_PROBATION, 3, 0);
	slot_put(10, 1, 99, SLOT_PROBATION, 3, 0); /* no such endpoint */
	slot_put(10, 2, TOP, SLOT_PROBATION, 3, FLOW_PROBATION_TICKS); /* over */
	must("show flow-table --json");
	says("{\"id\":null,\"endpoint\":\"(all)\",\"address\":null,\"way\":null,\"live\":9,"
	     "\"probation\":2,\"confirmed\":7,\"closing\":1,\"udp\":2,\"load\":0.009,"
	     "\"slots\":1024,\"sets_full\":1}");
	says("\"endpoint\":\"operator/10.10.0.5:8000\",\"address\":\"10.10.0.5:8000\","
	     "\"way\":\"ipip\",\"live\":8,\"probation\":1,\"confirmed\":7,\"closing\":1,\"udp\":1");
	says("\"endpoint\":\"#99 (gone)\"");
	must("show flow-table");
	says("(all)");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(the_ways_of_a_vip_and_of_its_endpoints_are_written),
		CASE(a_vip_that_says_nothing_has_the_defaults),
		CASE(one_endpoint_by_nat_makes_the_vip_look_into_the_nat_table),
		CASE(server_ids_name_their_endpoints),
		CASE(a_removed_vip_takes_its_server_ids_along_and_no_others),
		CASE(set_changes_pick_down_and_way_and_keeps_the_id),
		CASE(flows_by_nat_go_on_when_their_endpoint_gets_another_way),
		CASE(flows_of_a_tunnel_stay_in_the_table_unless_nat_takes_over),
		CASE(a_removed_endpoint_is_swept_out_of_the_flow_table),
		CASE(an_id_is_clean_when_it_is_given_out_whatever_was_left_there),
		CASE(what_a_way_cannot_do_is_refused_by_name),
		CASE(a_refused_set_leaves_the_vip_as_it_was),
		CASE(a_set_without_room_undoes_all_of_it),
		CASE(a_set_whose_server_ids_have_no_room_undoes_all_of_it),
		CASE(a_tunnel_without_an_outer_source_says_who_must_supply_it),
		CASE(a_drain_counts_both_tables),
		CASE(a_waiting_drain_says_what_is_left_and_ends_with_the_last_flow),
		CASE(the_flow_table_shows_states_load_and_full_sets),
	};

	return cmocka_run_group_tests(tests, prepare, NULL);
}
