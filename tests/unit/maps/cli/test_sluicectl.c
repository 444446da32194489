// SPDX-License-Identifier: BSD-2-Clause
/* sluicectl from its command line to real maps in a BPF file system of this
 * process' own, with nothing else running. */
#include "tests/unit/maps/cli/rig.h"
#include "userspace/base/clock.h"

/* ---- show ---- */

static void endpoints_show_asked_for_beside_observed(void **state)
{
	(void)state;
	must("drain endpoint 0");
	must("show endpoints --json --cluster cluster-a --pool ai/gemma-3-27b");
	says("\"id\":0,\"endpoint\":\"ai/gemma-0\",\"address\":\"10.10.0.1:8000\","
	     "\"cluster\":\"cluster-a\",\"pool\":\"ai/gemma-3-27b\",\"way\":\"nat\",\"use\":\"draining\","
	     "\"admin\":\"DRAIN\",\"cluster_admin\":\"READY\",\"drain_left_s\":null,\"health\":\"UP\",\"reason\":\"ok\"");
	says("\"waiting\":3,\"running\":12,\"kv\":0.375");
	assert_null(strstr(output, "\"id\":1,"));
	must("show endpoints --use down");
	says("timeout");
	assert_null(strstr(output, "gemma"));
}

static void every_view_works_with_nothing_running(void **state)
{
	static const char *const views[] = {"vips",	"pools", "endpoints",
					    "clusters", "flows", "flow-table",
					    "verdicts", "rings", "contract"};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(views); i++) {
		char line[64];

		snprintf(line, sizeof(line), "show %s", views[i]);
		must(line);
		assert_true(strlen(output) > 0);
		snprintf(line, sizeof(line), "show %s --json", views[i]);
		must(line);
		assert_true(output[0] == '[' || output[0] == '{');
	}
}

static void pools_and_clusters_add_up(void **state)
{
	(void)state;
	must("show pools --json");
	says("\"pool\":\"ai/llama-3-8b\",\"owner\":\"controller\",\"endpoints\":2,\"usable\":1,"
	     "\"draining\":0,\"down\":1,\"maint\":0");
	must("maint cluster cluster-b");
	must("show clusters --json");
	says("\"cluster\":\"cluster-a\",\"region\":\"europe-west4\",\"admin\":\"READY\","
	     "\"drain_left_s\":null,\"round_trip_us\":12500,\"seen_s\":null,\"endpoints\":3,\"usable\":2");
	says("\"cluster\":\"cluster-b\",\"region\":null,\"admin\":\"MAINT\"");
	says("\"maint\":1");
}

static void unknown_things_are_refused_by_name(void **state)
{
	(void)state;
	refused("show things", 1, "'things': nothing of that name to show; there are: vips, pools");
	refused("show endpoints --cluster mars", 1, "known are: cluster-a, cluster-b");
	refused("show endpoints --pool x", 1, "ai/gemma-3-27b, ai/llama-3-8b");
	refused("show endpoints --use tired", 1, "usable, draining, down or maint");
	refused("show vips --use down", 1, "--use choose among endpoints");
	refused("show", 2, "something is missing");
	refused("show vips pools", 2, "'pools' is one word too many");
	refused("frobnicate", 2, "'frobnicate': no such command");
	refused("vip explode", 2, "'vip explode': no such command");
	refused("vip", 2, "'vip': no such command; there are: vip add, vip set, vip remove");
	refused("watch vips --interval 5", 2, "--interval 5: wants a whole number from 100");
	refused("--instance Bad_Name show vips", 2, "Bad_Name");
}

static void watch_tells_how_much_counters_rose(void **state)
{
	(void)state;
	must("watch verdicts --count 2 --interval 100 --json");
	says("{\"at\":");
	says("\"verdict\":\"forwarded\",\"drops\":\"no\",\"packets\":0,\"packets_per_second\":null");
	says("\"verdict\":\"forwarded\",\"drops\":\"no\",\"packets\":0,\"packets_per_second\":0.000");
}

/* ---- drain, undrain, maint ---- */

static void a_drained_endpoint_says_what_is_left_there(void **state)
{
	_cleanup_(maps_closep) struct maps *worker = NULL;

	(void)state;
	must("show pools"); /* skips without privilege */
	assert_int_equal(maps_open(&instance, MAPS_WORKER, &worker), 0);
	worker->inflight[0] = (struct inflight){.requests = 2, .waiting = 1};
	worker->inflight[ENDPOINTS_MAX] = (struct inflight){.requests = 1};
	must("drain endpoint 10.10.0.1:8000");
	says("endpoint 0 ai/gemma-0 (10.10.0.1:8000, cluster cluster-a): READY -> DRAIN; "
	     "3 requests in flight there (1 without a byte of the answer yet), 0 live L4 flows");
	assert_int_equal(maps->admin[0].state, ADMIN_DRAIN);
	assert_int_equal(maps->admin[0].generation, 7);
	assert_true(maps->admin[0].since > 0);
	must("drain endpoint 0");
	says("was DRAIN already, for 0.");
	refused("drain endpoint 0 --wait 1", 1, "not empty after 1s; it stays DRAIN");
	worker->inflight[0] = worker->inflight[ENDPOINTS_MAX] = (struct inflight){0};
	must("drain endpoint 0 --wait 5");
	must("undrain endpoint 0");
	says("DRAIN -> READY");
	assert_int_equal(endpoint_use(maps, 0, 0), ENDPOINT_USABLE);
}

static void a_drain_has_a_deadline_until_it_is_said_anew(void **state)
{
	uint64_t until, hour_ns = 3600 * NS_PER_S;

	(void)state;
	must("drain endpoint 0 --deadline 3600");
	says("READY -> DRAIN, what is left is out in ");
	until = maps->admin[0].drain_until;
	assert_in_range(until, clock_monotonic_ns() + hour_ns - 60 * NS_PER_S,
			clock_monotonic_ns() + hour_ns);
	must("show endpoints --json");
	says("\"drain_left_s\":3");
	must("drain endpoint 0 --deadline 7200 --json");
	says("\"drain_left_s\":7");
	assert_true(maps->admin[0].drain_until > until);
	must("drain endpoint 0");
	assert_true(maps->admin[0].drain_until == 0);
	must("drain endpoint 0 --deadline 60");
	must("undrain endpoint 0");
	assert_true(maps->admin[0].drain_until == 0);
	must("drain cluster cluster-a --deadline 3600");
	must("show clusters --json");
	says("\"admin\":\"DRAIN\",\"drain_left_s\":3");
	must("undrain cluster cluster-a");
	refused("maint endpoint 0 --deadline 60", 2, "");
	refused("drain endpoint 0 --deadline 0", 2, "--deadline 0: wants a whole number from 1");
}

static void a_pod_with_several_records_means_all_of_them(void **state)
{
	(void)state;
	must("maint endpoint ai/llama-0");
	assert_int_equal(maps->admin[2].state, ADMIN_MAINT);
	assert_int_equal(maps->admin[3].state, ADMIN_MAINT);
	must("undrain endpoint ai/llama-0 --json");
	says("\"kind\":\"endpoint\",\"id\":3,\"name\":\"ai/llama-0\"");
	says("\"was\":\"MAINT\",\"now\":\"READY\"");
}

static void a_name_in_two_clusters_needs_the_cluster(void **state)
{
	(void)state;
	refused("drain endpoint ai/gemma-0", 1,
		"0 (10.10.0.1:8000, cluster cluster-a), 1 (10.20.0.1:8000, cluster cluster-b)");
	assert_int_equal(maps->admin[0].state, ADMIN_READY);
	must("drain endpoint ai/gemma-0 --cluster cluster-b");
	assert_int_equal(maps->admin[0].state, ADMIN_READY);
	assert_int_equal(maps->admin[1].state, ADMIN_DRAIN);
}

static void a_drained_cluster_drains_what_it_has(void **state)
{
	(void)state;
	must("drain cluster cluster-a");
	says("cluster cluster-a: READY -> DRAIN; 0 requests in flight there");
	assert_int_equal(endpoint_use(maps, 0, 0), ENDPOINT_DRAINING);
	assert_int_equal(endpoint_use(maps, 1, 0), ENDPOINT_USABLE);
	assert_int_equal(run_words("undrain endpoint 0"), 0);
	assert_non_null(strstr(messages, "its cluster cluster-a is DRAIN"));
	must("undrain cluster cluster-a");
	assert_int_equal(endpoint_use(maps, 0, 0), ENDPOINT_USABLE);
}

static void a_new_pod_on_the_id_starts_ready(void **state)
{
	(void)state;
	must("drain endpoint 0");
	maps->endpoints[0].generation++;
	assert_int_equal(endpoint_use(maps, 0, 0), ENDPOINT_USABLE);
	must("undrain endpoint 0");
	says("was READY already");
}

static void what_is_not_there_cannot_be_drained(void **state)
{
	(void)state;
	refused("drain endpoint ai/nobody", 1, "'sluicectl show endpoints' lists");
	refused("drain endpoint 99", 1, "endpoint '99'");
	refused("drain endpoint 10.10.0.1:1", 1, "no such endpoint");
	refused("drain cluster mars", 1, "cluster 'mars': no such cluster");
	refused("drain pod x", 1, "say 'endpoint' or 'cluster'");
}

/* ---- vip ---- */

static void a_vip_is_made_from_the_top_of_the_ids(void **state)
{
	struct vip vip;

	(void)state;
	must("vip add " VIP " --endpoint 10.10.0.5:8000*300 --endpoint 10.20.0.5:8000");
	says(VIP ": added; endpoints: 2 added, 0 kept, 0 removed; pool operator/" VIP);
	vip = vip_get(VIP);
	assert_int_equal(vip.id, VIPS_MAX - 1);
	assert_int_equal(vip.pool, POOLS_MAX - 1);
	assert_int_equal(vip.owner, VIP_OWNER_OPERATOR);
	assert_int_equal(vip.mode, VIP_MODE_L4);
	assert_int_equal(maps->pools[POOLS_MAX - 1].owner, VIP_OWNER_OPERATOR);
	assert_int_equal(maps->endpoints[ENDPOINTS_MAX - 1].pool, POOLS_MAX - 1);
	assert_int_equal(maps->endpoints[ENDPOINTS_MAX - 1].way, WAY_NAT);
	assert_true(maps->endpoints[ENDPOINTS_MAX - 1].generation > 0);
	assert_in_range(rows_of(vip.pool, ENDPOINTS_MAX - 1), 3060, 3080);
	assert_in_range(rows_of(vip.pool, ENDPOINTS_MAX - 2), 1010, 1030);
	must("vip add 10.99.0.21:53/udp --pool mine/dns --endpoint 10.10.0.6:53");
	assert_int_equal(vip_get("10.99.0.21:53/udp").id, VIPS_MAX - 2);
	must("show vips");
	says("mine/dns");
	must("show rings --json");
	says("\"pool\":\"operator/" VIP "\"");
}

static void set_keeps_the_ids_of_endpoints_that_stay(void **state)
{
	_cleanup_free_ struct ring_slot *slots = NULL;
	uint32_t generation, size;

	(void)state;
	must("vip add " VIP " --endpoint 10.10.0.5:8000 --endpoint 10.10.0.6:8000");
	generation = maps->endpoints[ENDPOINTS_MAX - 2].generation;
	must("vip set " VIP " --endpoint 10.10.0.7:8000 --endpoint 10.10.0.6:8000");
	says("endpoints: 1 added, 1 kept, 1 removed");
	assert_int_equal(maps->endpoints[ENDPOINTS_MAX - 2].generation, generation);
	assert_int_equal(maps->endpoints[ENDPOINTS_MAX - 1].way, WAY_NONE);
	assert_int_equal(maps->pools[POOLS_MAX - 1].endpoints, 2);
	assert_int_equal(rows_of(POOLS_MAX - 1, ENDPOINTS_MAX - 1), 0);
	assert_int_equal(rings_get(maps, POOLS_MAX - 1, &slots, &size), 0);
	assert_int_not_equal(slots[0].swapped_at, 0);
	/* the freed id comes back as another generation */
	generation = maps->endpoints[ENDPOINTS_MAX - 1].generation;
	must("vip set " VIP " --endpoint 10.10.0.8:8000 --endpoint 10.10.0.6:8000 --json");
	says("\"change\":\"set\"");
	assert_int_equal(maps->endpoints[ENDPOINTS_MAX - 1].generation, generation + 1);
}

static void a_removed_vip_leaves_nothing(void **state)
{
	(void)state;
	must("vip add " VIP " --endpoint 10.10.0.5:8000");
	must("vip remove " VIP);
	says(VIP ": removed; endpoints: 0 added, 0 kept, 1 removed");
	assert_int_equal(maps->endpoints[ENDPOINTS_MAX - 1].way, WAY_NONE);
	assert_int_equal(maps->pools[POOLS_MAX - 1].name[0], '\0');
	assert_int_equal(rings_get(maps, POOLS_MAX - 1, &(struct ring_slot *){NULL},
				   &(uint32_t){0}),
			 -ENOENT);
	must("show vips");
	says("no VIPs");
	refused("vip remove " VIP, 1, VIP ": no such VIP");
}

static void the_controllers_vips_are_refused(void **state)
{
	const struct vip vip = {.id = 0, .mode = VIP_MODE_L7, .owner = VIP_OWNER_CONTROLLER};
	struct vip_key key;

	(void)state;
	must("show vips");
	assert_int_equal(vip_key_parse("10.99.0.1:80/tcp", &key), 0);
	assert_int_equal(vips_put(maps, &key, &vip), 0);
	refused("vip remove 10.99.0.1:80/tcp", 1, "10.99.0.1:80/tcp: belongs to the controller");
	refused("vip set 10.99.0.1:80/tcp -e 10.10.0.5:80", 1, "belongs to the controller");
	refused("vip add 10.99.0.1:80/tcp -e 10.10.0.5:80", 1, "belongs to the controller");
	assert_int_equal(vip_get("10.99.0.1:80/tcp").owner, VIP_OWNER_CONTROLLER);
}

static void senseless_vips_change_nothing(void **state)
{
	(void)state;
	refused("vip add " VIP, 1, "wants 1 to 256 endpoints");
	refused("vip add nonsense -e 10.10.0.5:80", 1, "'nonsense': not a VIP");
	refused("vip add " VIP " -e 10.10.0.5", 1, "not an endpoint");
	refused("vip add " VIP " -e 10.10.0.5:80 -e 10.10.0.5:80*2", 1, "is named twice");
	refused("vip add " VIP " -e [fd00::1]:80", 1, "other IP family");
	refused("vip add 10.10.0.5:80/tcp -e 10.10.0.5:81", 1, "its own address");
	refused("vip add [fd00::9]:80/tcp -e [fd00::1]:80", 1, "no NAT source address");
	refused("vip add " VIP " -e 10.10.0.5:80 --pool ai/gemma-3-27b", 1,
		"pool 'ai/gemma-3-27b': there is one already");
	assert_int_equal(maps->endpoints[ENDPOINTS_MAX - 1].way, WAY_NONE);
	assert_int_equal(maps->pools[POOLS_MAX - 1].name[0], '\0');
	must("vip add " VIP " -e 10.10.0.5:80");
	refused("vip add " VIP " -e 10.10.0.5:80", 1, "'sluicectl vip set'");
}

/* ---- flows ---- */

static void flows_show_both_directions_the_last_used_first(void **state)
{
	uint64_t now = clock_monotonic_ns();

	(void)state;
	must("show flows");
	says("no L4 flows");
	for (uint16_t i = 0; i < 20; i++)
		flow_make((uint16_t)(40000 + (i * 7) % 20), now - (i * 7) % 20 * NS_PER_MS, 5);
	must("show flows --json");
	says("\"client\":\"10.1.0.2:40000\",\"vip\":\"" VIP "\",\"endpoint\":\"ai/gemma-0\","
	     "\"endpoint_address\":\"10.10.0.1:8000\",\"nat\":\"10.2.1.1:40000\","
	     "\"state\":\"established\"");
	says("\"packets\":5,\"bytes\":500,\"packets_back\":1,\"bytes_back\":500");
	assert_int_equal(run_words("show flows --limit 2 --json"), 0);
	says("10.1.0.2:40000");
	says("10.1.0.2:40001");
	assert_null(strstr(output, "10.1.0.2:40002"));
	assert_non_null(strstr(messages, "the 2 flows used last of 20"));
	must("drain endpoint 0");
	says("20 live L4 flows");
}

static void a_flow_to_another_generation_says_gone(void **state)
{
	(void)state;
	must("show flows");
	flow_make(40000, clock_monotonic_ns(), 1);
	maps->endpoints[0].generation++;
	must("show flows");
	says("#0 (gone)");
	must("drain endpoint 0");
	says("0 live L4 flows");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(endpoints_show_asked_for_beside_observed),
		CASE(every_view_works_with_nothing_running),
		CASE(pools_and_clusters_add_up),
		CASE(unknown_things_are_refused_by_name),
		CASE(watch_tells_how_much_counters_rose),
		CASE(a_drained_endpoint_says_what_is_left_there),
		CASE(a_pod_with_several_records_means_all_of_them),
		CASE(a_name_in_two_clusters_needs_the_cluster),
		CASE(a_drain_has_a_deadline_until_it_is_said_anew),
		CASE(a_drained_cluster_drains_what_it_has),
		CASE(a_new_pod_on_the_id_starts_ready),
		CASE(what_is_not_there_cannot_be_drained),
		CASE(a_vip_is_made_from_the_top_of_the_ids),
		CASE(set_keeps_the_ids_of_endpoints_that_stay),
		CASE(a_removed_vip_leaves_nothing),
		CASE(the_controllers_vips_are_refused),
		CASE(senseless_vips_change_nothing),
		CASE(flows_show_both_directions_the_last_used_first),
		CASE(a_flow_to_another_generation_says_gone),
	};

	return cmocka_run_group_tests(tests, prepare, NULL);
}
