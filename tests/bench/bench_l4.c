// SPDX-License-Identifier: BSD-2-Clause
/* What the balancer costs a packet, net of the loop that asks; beside it, in the
 * same second and the same loop, what one look-up in an LRU hash costs (the
 * yardstick: a busy machine or a slow clock disturbs both alike, so the ratio
 * holds where the nanoseconds do not).
 *
 * A row is measured in a fresh gateway, after every packet of a round was seen to
 * get the verdict that the row is about. */
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <bpf/bpf.h>

#include "tests/bench/l4_rings.h"
#include "tests/bench/l4_world.h"
#include "tests/bench/l4_yardstick.skel.h"
#include "tests/bench/measure.h"
#include "tests/bench/rows.h"
#include "tests/bench/stats_off.h"
#include "tests/harness/packet.h"
#include "userspace/base/address.h"
#include "userspace/base/cleanup.h"
#include "userspace/base/log.h"

#define REPEATS 61
#define BATCHES 500 /* a run: 32,000 packets */
#define WARM_PACKETS (BATCHES * MEASURE_BATCH_PACKETS)
#define CHECK_PACKETS 65536
#define YARDSTICK "lru40_lookup"
#define YARDSTICK_KEYS 65536
#define CLIENT "10.0.0.7" /* the flow's number goes into its two middle bytes and the port */
#define CLIENT_PORT 1024
#define CONFIRM_ROUNDS 8

/* A table with room for twice as many flows as are live. */
#define TABLE_FOR(flows) (2 * (flows) / FLOW_SLOTS)

struct l4_row {
	const char *name;
	const char *vip;
	uint8_t proto;
	uint8_t flags; /* of TCP; 0: ACK */
	uint32_t flows; /* live ones, a power of two; 0: every packet begins a new one */
	uint32_t flow_sets; /* 0: FLOW_SETS_DEFAULT */
	uint32_t vips; /* a power of two; 0: one */
	enum verdict verdict;
	bool opens; /* a SYN (or datagram) first: without it the flow is unknown */
	bool stored; /* in the flow table: known and confirmed before it counts */
	bool is_answer; /* what is measured are the answers */
};

static const struct l4_row rows[] = {
	{"tcp4_hot", "10.99.0.1", IPPROTO_TCP, .flows = 1, .stored = true,
	 .verdict = VERDICT_FORWARDED},
	{"tcp4_64k", "10.99.0.1", IPPROTO_TCP, .flows = 1 << 16, .flow_sets = TABLE_FOR(1 << 16),
	 .stored = true, .verdict = VERDICT_FORWARDED},
	{"tcp4_64k_default", "10.99.0.1", IPPROTO_TCP, .flows = 1 << 16, .stored = true,
	 .verdict = VERDICT_FORWARDED},
	{"tcp4_512k", "10.99.0.1", IPPROTO_TCP, .flows = 1 << 19, .stored = true,
	 .verdict = VERDICT_FORWARDED},
	{"tcp4_1m", "10.99.0.1", IPPROTO_TCP, .flows = 1 << 20, .flow_sets = TABLE_FOR(1 << 20),
	 .stored = true, .verdict = VERDICT_FORWARDED},
	{"tcp4_new_stored", "10.99.0.1", IPPROTO_TCP, .verdict = VERDICT_FORWARDED},
	{"tcp4_syn_maglev", "10.99.0.1", IPPROTO_TCP, FLAG_SYN, .verdict = VERDICT_FORWARDED},
	{"tcp4_syn_least", "10.99.0.6", IPPROTO_TCP, FLAG_SYN, .verdict = VERDICT_FORWARDED},
	{"tcp6_hot", "fd00:99::1", IPPROTO_TCP, .flows = 1, .stored = true,
	 .verdict = VERDICT_FORWARDED},
	{"udp4_hot", "10.99.0.1", IPPROTO_UDP, .flows = 1, .stored = true,
	 .verdict = VERDICT_FORWARDED},
	{"pass", "10.77.0.1", IPPROTO_TCP, .flows = 1, .verdict = VERDICT_NOT_A_VIP},
	{"nat4_hot", "10.99.0.2", IPPROTO_TCP, .flows = 1, .opens = true,
	 .verdict = VERDICT_FORWARDED},
	{"nat4_reply", "10.99.0.2", IPPROTO_TCP, .flows = 1, .opens = true, .is_answer = true,
	 .verdict = VERDICT_RETURNED},
	{"gue4_hot", "10.99.0.3", IPPROTO_TCP, .flows = 1, .stored = true,
	 .verdict = VERDICT_FORWARDED},
	{"l2_hot", "10.99.0.4", IPPROTO_TCP, .flows = 1, .stored = true,
	 .verdict = VERDICT_FORWARDED},
	{"endpoints_1000", "10.99.0.5", IPPROTO_TCP, .flows = 1 << 16, .stored = true,
	 .verdict = VERDICT_FORWARDED},
	{"vips_1000", "10.98.0.0", IPPROTO_TCP, .flows = L4_MANY_VIPS, .vips = L4_MANY_VIPS,
	 .stored = true, .verdict = VERDICT_FORWARDED},
};

struct yardstick {
	struct l4_yardstick *object;
	struct measure lookup, no_lookup;
};

static void fail(const char *what, int err)
{
	fprintf(stderr, "bench_l4: %s: %s\n", what, strerror(-err));
	exit(1);
}

static void yardstick_open(struct yardstick *yardstick)
{
	static struct frame frame;
	static const struct frame_spec spec = {.src = CLIENT,
					       .dst = "10.99.0.1",
					       .src_port = 1,
					       .dst_port = 80,
					       .proto = IPPROTO_TCP};
	struct l4_yardstick *object = l4_yardstick__open_and_load();
	uint64_t value[2] = {1, 1};

	if (!object)
		fail("the yardstick cannot be loaded", -errno);
	yardstick->object = object;
	yardstick->lookup = (struct measure){
		.program = bpf_program__fd(object->progs.measure_lookup),
		.plan = &object->bss->plan,
		.result = &object->bss->result,
	};
	frame_build(&frame, &spec);
	measure_frame(&yardstick->lookup, frame.bytes, frame.size);
	yardstick->no_lookup = yardstick->lookup;
	yardstick->no_lookup.program = bpf_program__fd(object->progs.measure_no_lookup);
	object->bss->plan.flow_mask = YARDSTICK_KEYS - 1;
	for (uint32_t i = 0; i < YARDSTICK_KEYS; i++) {
		uint32_t key[10] = {i, 1, 2, 3, 4, 5, 6, 7, 8, 9};
		int err = bpf_map_update_elem(bpf_map__fd(object->maps.lru), key, value, BPF_ANY);

		if (err)
			fail("the yardstick's keys", err);
	}
}

/* What `with` costs more than `without`, ns a packet, after it has its caches. */
static struct measure_figure net_cost(const struct measure *with, const struct measure *without)
{
	struct measure_figure more = {0}, less = {0};
	int err = measure_packets(with, WARM_PACKETS);

	if (!err)
		err = measure_run(with, BATCHES, &more);
	if (!err)
		err = measure_run(without, BATCHES, &less);
	if (err)
		fail("a test run", err);
	return (struct measure_figure){.p10 = more.p10 - less.p10, .p50 = more.p50 - less.p50};
}

static double values[REPEATS], p10_values[REPEATS], peer_values[REPEATS];

static void row_measure(const char *name, const struct measure *with, const struct measure *without,
			const struct yardstick *yardstick)
{
	struct bench_row row = {.bench = "l4",
				.row = name,
				.unit = "ns",
				.values = values,
				.p10_values = p10_values,
				.count = REPEATS,
				.peer = yardstick ? YARDSTICK : NULL,
				.peer_values = peer_values};

	for (int i = 0; i < REPEATS; i++) {
		struct measure_figure figure = net_cost(with, without);

		values[i] = figure.p50;
		p10_values[i] = figure.p10;
		if (yardstick)
			peer_values[i] = net_cost(&yardstick->lookup, &yardstick->no_lookup).p50;
	}
	if (!stats_are_off())
		bench_skip("l4", name, "somebody turned kernel.bpf_stats_enabled on meanwhile");
	else
		bench_print(&row);
}

/* ---- a row's gateway, and its packets ---- */

struct stage {
	const struct l4_row *row;
	struct l4_world *world;
	struct frame frame;
	char why[160]; /* not empty: the row cannot run */
};

static void stage_frame(struct stage *stage, uint8_t flags)
{
	const struct l4_row *row = stage->row;
	bool is_ipv6 = strchr(row->vip, ':');
	struct frame_spec spec = {.src = is_ipv6 ? "fd00:5::" : CLIENT,
				  .dst = row->vip,
				  .src_port = CLIENT_PORT,
				  .dst_port = 80,
				  .proto = row->proto,
				  .flags = flags};

	spec.payload_bytes = is_ipv6 ? 0 : row->proto == IPPROTO_TCP ? 10 : 22;
	frame_build(&stage->frame, &spec);
	measure_frame(&stage->world->balancer, stage->frame.bytes, stage->frame.size);
	measure_frame(&stage->world->nothing, stage->frame.bytes, stage->frame.size);
	stage->world->balancer.ifindex = stage->world->client_ifindex;
	stage->world->nothing.ifindex = stage->world->client_ifindex;
}

static int flow_take(void *ctx, const struct flow_key *key, const struct nat_flow *flow)
{
	(void)key;
	*(struct nat_flow *)ctx = *flow;
	return 1;
}

/* The frame that the endpoint of the flow would answer with. */
static void stage_answer(struct stage *stage)
{
	char src[ADDRESS_TEXT_MAX], dst[ADDRESS_TEXT_MAX];
	struct l4_world *world = stage->world;
	struct nat_flow flow;
	struct frame_spec spec = {
		.proto = stage->row->proto, .flags = FLAG_ACK, .payload_bytes = 10};

	if (flows_each(world->controller, false, flow_take, &flow) != 1) {
		snprintf(stage->why, sizeof(stage->why), "the NAT table has no flow");
		return;
	}
	spec.src = address_format(&flow.dst, src);
	spec.dst = address_format(&flow.src, dst);
	spec.src_port = ntohs(flow.dst_port);
	spec.dst_port = ntohs(flow.src_port);
	frame_build(&stage->frame, &spec);
	measure_frame(&world->balancer, stage->frame.bytes, stage->frame.size);
	measure_frame(&world->nothing, stage->frame.bytes, stage->frame.size);
	world->balancer.ifindex = world->endpoint_ifindex;
	world->nothing.ifindex = world->endpoint_ifindex;
}

static void stage_send(struct stage *stage, uint64_t packets)
{
	int err = measure_packets(&stage->world->balancer, packets);

	if (err)
		fail("a test run", err);
}

/* Every packet must get the verdict that the row is about. */
static void stage_check(struct stage *stage)
{
	struct traffic before[VERDICT_COUNT], after[VERDICT_COUNT];
	const struct maps *maps = stage->world->controller;
	enum verdict wanted = stage->row->verdict;

	verdicts_read(maps, before);
	stage_send(stage, CHECK_PACKETS);
	verdicts_read(maps, after);
	for (int i = 0; i < VERDICT_COUNT; i++) {
		uint64_t count = after[i].packets - before[i].packets;

		if (i != (int)wanted && count)
			snprintf(stage->why, sizeof(stage->why),
				 "%llu of %u packets got verdict '%s' instead of '%s'",
				 (unsigned long long)count, CHECK_PACKETS, verdict_name(i),
				 verdict_name(wanted));
	}
	if (!stage->why[0] && after[wanted].packets - before[wanted].packets != CHECK_PACKETS)
		snprintf(stage->why, sizeof(stage->why), "not every packet was counted");
}

/* Sends all flows in tick after tick until the table has them confirmed: of a set,
 * only so many may be on probation at once. */
static void stage_confirm(struct stage *stage)
{
	uint32_t flows = stage->row->flows;
	uint64_t confirmed = 0;

	for (int round = 0; round < CONFIRM_ROUNDS && confirmed < flows; round++) {
		stage_send(stage, flows);
		usleep(1100000);
		confirmed = l4_flows_count(stage->world, SLOT_CONFIRMED);
	}
	fprintf(stderr, "%-10s %-22s %llu of %u flows are confirmed\n", "l4", stage->row->name,
		(unsigned long long)confirmed, flows);
	if (confirmed < flows * 0.9)
		snprintf(stage->why, sizeof(stage->why), "the flow table holds %llu of %u flows",
			 (unsigned long long)confirmed, flows);
}

static void stage_prepare(struct stage *stage)
{
	const struct l4_row *row = stage->row;
	struct measure_plan *plan = stage->world->balancer.plan;

	plan->flow_mask = row->flows ? row->flows - 1 : MEASURE_FLOWS_NEW;
	plan->vip_mask = row->vips ? row->vips - 1 : 0;
	stage_frame(stage, FLAG_SYN);
	if (row->opens)
		stage_send(stage, row->flows);
	if (row->is_answer)
		stage_answer(stage);
	else
		stage_frame(stage, row->flags ? row->flags : FLAG_ACK);
	if (!stage->why[0])
		stage_check(stage);
	if (!stage->why[0] && row->stored)
		stage_confirm(stage);
	if (!stage->why[0] && strcmp(row->name, "tcp4_new_stored") == 0 &&
	    l4_flows_count(stage->world, SLOT_PROBATION) < CHECK_PACKETS / 2)
		snprintf(stage->why, sizeof(stage->why), "new flows are not stored");
}

static void row_run(const struct l4_row *row, const struct yardstick *yardstick)
{
	struct stage stage = {.row = row};
	int err;

	if (!bench_wants(row->name))
		return;
	err = l4_world_open(row->flow_sets ? row->flow_sets : FLOW_SETS_DEFAULT, &stage.world);
	if (err) {
		bench_skip("l4", row->name, strerror(-err));
		return;
	}
	stage_prepare(&stage);
	if (stage.why[0])
		bench_skip("l4", row->name, stage.why);
	else
		row_measure(row->name, &stage.world->balancer, &stage.world->nothing, yardstick);
	l4_world_close(stage.world);
}

/* ---- memory of the flow table ---- */

/* Flows that a default table holds when so many are live. */
static uint64_t flows_held(const char *name, uint32_t flows, double *ret_mib)
{
	struct l4_row row = {name, "10.99.0.1", IPPROTO_TCP, .flows = flows};
	struct stage stage = {.row = &row};
	uint64_t held;

	if (l4_world_open(FLOW_SETS_DEFAULT, &stage.world))
		exit(1);
	stage.world->balancer.plan->flow_mask = flows - 1;
	stage_frame(&stage, FLAG_ACK);
	stage_confirm(&stage);
	held = l4_flows_count(stage.world, SLOT_CONFIRMED);
	*ret_mib = (double)l4_flows_bytes(stage.world) / (1 << 20);
	l4_world_close(stage.world);
	return held;
}

static void one_print(const char *name, const char *unit, double value)
{
	struct bench_row row = {
		.bench = "l4", .row = name, .unit = unit, .values = &value, .count = 1};

	bench_print(&row);
}

/* Honest about early eviction: memory by flows that were held, not by slots. */
static void memory_run(void)
{
	const uint32_t slots = FLOW_SETS_DEFAULT * FLOW_SLOTS;
	double mib;

	if (bench_wants("memory_per_mflow")) {
		uint64_t held = flows_held("memory_per_mflow", slots / 2, &mib);

		one_print("memory_per_mflow", "MiB", mib * 1e6 / (double)held);
	}
	if (bench_wants("held_at_half")) {
		uint64_t held = flows_held("held_at_half", slots / 2, &mib);

		one_print("held_at_half", "%", 200.0 * (double)held / slots);
	}
	if (bench_wants("held_at_full")) {
		uint64_t held = flows_held("held_at_full", slots, &mib);

		one_print("held_at_full", "%", 100.0 * (double)held / slots);
	}
}

static void quiet(enum log_level level, const char *text)
{
	if (level == LOG_LEVEL_ERROR)
		fprintf(stderr, "%s\n", text);
}

int main(void)
{
	struct yardstick yardstick = {0};
	int err = stats_off();

	if (err)
		fail("kernel.bpf_stats_enabled cannot be turned off", err);
	log_sink = quiet;
	bench_machine();
	l4_rings_run();
	if (!l4_namespaces_make())
		return 1;
	err = measure_pin_cpu();
	if (err < 0)
		fail("pinning to a CPU", err);
	yardstick_open(&yardstick);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		row_run(&rows[i], &yardstick);
	memory_run();
	if (bench_wants(YARDSTICK))
		row_measure(YARDSTICK, &yardstick.lookup, &yardstick.no_lookup, NULL);
	l4_yardstick__destroy(yardstick.object);
	return 0;
}
