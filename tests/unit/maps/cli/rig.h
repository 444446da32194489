/* SPDX-License-Identifier: BSD-2-Clause */
/* sluicectl from its command line to real maps in a BPF file system of this
 * process' own: two clusters, two pools, four endpoints of the controller's. */
#ifndef SLUICE_UNIT_CLI_RIG_H
#define SLUICE_UNIT_CLI_RIG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <bpf/bpf.h>

#include "maps/access/maps.h"
#include "maps/cli/command.h"
#include "maps/cli/vip_spec.h"
#include "tests/harness/pinned_maps.h"
#include "userspace/base/address.h"
#include "userspace/base/cleanup.h"
#include "userspace/base/clock.h"
#include "userspace/base/log.h"

#define NAME "unit-sluicectl"
#define VIP "10.99.0.20:8000/tcp"

static struct instance instance;
static bool privileged;
static struct maps *maps; /* as the controller */
static char messages[4096]; /* of the last command */
static char *output;

static inline void message_keep(enum log_level level, const char *text)
{
	(void)level;
	strncat(messages, text, sizeof(messages) - strlen(messages) - 2);
	strcat(messages, "\n");
}

static inline int prepare(void **state)
{
	(void)state;
	log_sink = message_keep;
	privileged = pinned_maps_prepare();
	return instance_init(&instance, NAME);
}

static inline void endpoint_set(uint32_t id, const char *name, const char *address,
				uint32_t cluster, uint32_t pool)
{
	struct endpoint *endpoint = &maps->endpoints[id];
	uint16_t port;

	assert_int_equal(address_port_parse(address, &endpoint->addr, &port), 0);
	endpoint->port = htons(port);
	endpoint->way = WAY_NAT;
	endpoint->owner = VIP_OWNER_CONTROLLER;
	endpoint->cluster = cluster;
	endpoint->pool = pool;
	endpoint->generation = 7;
	snprintf(endpoint->name, sizeof(endpoint->name), "%s", name);
}

/* maps->contract into the map, for whoever opens it next. */
static inline void contract_write(void)
{
	char path[256];
	uint32_t zero = 0;
	_cleanup_close_ int fd = -1;

	snprintf(path, sizeof(path), "%s/contract", instance.pin_dir);
	fd = bpf_obj_get(path);
	assert_int_equal(bpf_map_update_elem(fd, &zero, &maps->contract, BPF_ANY), 0);
}

/* Two clusters, two pools; pod ai/gemma-0 is in both clusters. */
static inline int fresh(void **state)
{
	(void)state;
	if (!privileged)
		return 0;
	if (pinned_maps_make(&instance, NULL) || maps_open(&instance, MAPS_CONTROLLER, &maps))
		return -1;
	address_parse("10.2.1.1", &maps->contract.snat4);
	contract_write();
	strcpy(maps->clusters[0].name, "cluster-a");
	strcpy(maps->clusters[0].region, "europe-west4");
	strcpy(maps->clusters[1].name, "cluster-b");
	maps->clusters[0].rtt_us = 12500;
	strcpy(maps->pools[0].name, "ai/gemma-3-27b");
	strcpy(maps->pools[1].name, "ai/llama-3-8b");
	maps->pools[0].owner = maps->pools[1].owner = VIP_OWNER_CONTROLLER;
	endpoint_set(0, "ai/gemma-0", "10.10.0.1:8000", 0, 0);
	endpoint_set(1, "ai/gemma-0", "10.20.0.1:8000", 1, 0);
	endpoint_set(2, "ai/llama-0", "10.10.0.2:8000", 0, 1);
	endpoint_set(3, "ai/llama-0", "10.10.0.2:8001", 0, 1);
	maps->health[0] = (struct health){.state = HEALTH_UP,
					  .reason = HEALTH_REASON_OK,
					  .generation = 7,
					  .since = clock_realtime_ns() - 90 * NS_PER_S,
					  .probed_at = clock_realtime_ns()};
	maps->health[2] = (struct health){
		.state = HEALTH_DOWN, .reason = HEALTH_REASON_TIMEOUT, .generation = 7};
	maps->load[0] = (struct load){.waiting = 3,
				      .running = 12,
				      .kv_permille = 375,
				      .generation = 7,
				      .sampled_at = clock_realtime_ns() - NS_PER_S};
	return 0;
}

static inline int leave(void **state)
{
	(void)state;
	maps_close(maps);
	maps = NULL;
	free(output);
	output = NULL;
	return 0;
}

static inline int run_words(const char *line)
{
	char buffer[1024], *argv[48];
	int argc = 0, code;
	size_t length;
	FILE *out;

	if (!privileged)
		skip();
	snprintf(buffer, sizeof(buffer), "sluicectl --instance " NAME " %s", line);
	for (char *word = strtok(buffer, " "); word; word = strtok(NULL, " "))
		argv[argc++] = word;
	argv[argc] = NULL;
	free(output);
	messages[0] = '\0';
	out = open_memstream(&output, &length);
	assert_non_null(out);
	code = command_line_run(argc, argv, out);
	fclose(out);
	return code;
}

static inline void must(const char *line)
{
	if (run_words(line) || messages[0])
		fail_msg("%s: %s", line, messages);
}

static inline void says(const char *words)
{
	if (!strstr(output, words))
		fail_msg("'%s' is not in:\n%s", words, output);
}

static inline void refused(const char *line, int code, const char *words)
{
	assert_int_equal(run_words(line), code);
	if (!strstr(messages, words))
		fail_msg("%s: '%s' is not in:\n%s", line, words, messages);
}

static inline struct vip vip_get(const char *text)
{
	struct vip_key key;
	struct vip vip = {0};

	assert_int_equal(vip_key_parse(text, &key), 0);
	assert_int_equal(vips_lookup(maps, &key, &vip), 0);
	return vip;
}

static inline uint32_t rows_of(uint32_t pool, uint32_t endpoint)
{
	_cleanup_free_ struct ring_slot *slots = NULL;
	uint32_t size, rows = 0;

	assert_int_equal(rings_get(maps, pool, &slots, &size), 0);
	for (uint32_t row = 1; row <= size; row++)
		rows += slots[row].endpoint == endpoint;
	return rows;
}

static inline void flow_put(enum map_id id, const struct flow_key *key, const struct nat_flow *flow)
{
	char path[256];
	_cleanup_close_ int fd = -1;

	snprintf(path, sizeof(path), "%s/%s", instance.pin_dir,
		 id == MAP_NAT_FWD ? "nat_fwd" : "nat_rev");
	fd = bpf_obj_get(path);
	assert_int_equal(bpf_map_update_elem(fd, key, flow, BPF_ANY), 0);
}

/* Client 10.1.0.2:`port` to VIP, steered to endpoint 0. */
static inline void flow_make(uint16_t port, uint64_t seen_at, uint64_t packets)
{
	struct flow_key fwd = {.src_port = htons(port), .dst_port = htons(8000), .proto = 6};
	struct flow_key rev = {.src_port = htons(8000), .dst_port = htons(port), .proto = 6};
	struct nat_flow flow = {.src_port = htons(port),
				.dst_port = htons(8000),
				.generation = 7,
				.state = FLOW_ESTABLISHED,
				.seen_at = seen_at,
				.packets = packets,
				.bytes = 100 * packets};

	address_parse("10.1.0.2", &fwd.src);
	address_parse("10.99.0.20", &fwd.dst);
	address_parse("10.2.1.1", &flow.src);
	address_parse("10.10.0.1", &flow.dst);
	rev.src = flow.dst;
	rev.dst = flow.src;
	flow_put(MAP_NAT_FWD, &fwd, &flow);
	flow.packets = 1;
	flow_put(MAP_NAT_REV, &rev, &flow);
}

/* What XDP writes when a packet of a flow comes in `ago` ticks before now. */
static inline void slot_put(uint32_t set, int index, uint32_t endpoint, enum slot_state state,
			    uint32_t tag, uint32_t ago)
{
	maps->flows[set].slots[index] =
		(struct flow_slot){.tag = tag,
				   .where = (uint16_t)(endpoint | state << FLOW_ENDPOINT_BITS),
				   .tick = (uint16_t)(clock_tick() - ago)};
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, fresh, leave)

#endif
