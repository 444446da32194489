// SPDX-License-Identifier: BSD-2-Clause
/* A gateway's kernel side in a private network and mount namespace: nothing of
 * it can be met by a running gateway, and all of it dies with the process. */
#include "tests/harness/program.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/bpf.h>
#include <linux/pkt_cls.h>
#include <net/if.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <cmocka.h>

#include "loader/netns.h"
#include "userspace/base/address.h"
#include "userspace/base/cleanup.h"
#include "userspace/base/log.h"

#define MARK_MAGIC 0x536c5563u
#define METADATA_BYTES_MAX 32

static const char network_script[] =
	"set -e; ip link set lo up\n"
	"ip link add cl type veth peer name clx; ip link add ep type veth peer name epx\n"
	"for d in cl clx ep epx; do ip link set $d up; done\n"
	"ip addr add 10.1.0.1/24 dev cl; ip addr add fd00:1::1/64 dev cl nodad\n"
	"ip addr add 10.2.0.1/24 dev ep; ip addr add fd00:2::1/64 dev ep nodad\n"
	"echo 1 > /proc/sys/net/ipv4/ip_forward; echo 1 > /proc/sys/net/ipv6/conf/all/forwarding\n"
	"ip neigh add 10.1.0.2 lladdr 02:00:00:00:01:02 dev cl nud permanent\n"
	"ip neigh add fd00:1::2 lladdr 02:00:00:00:01:02 dev cl nud permanent\n"
	"for i in 2 3 4; do\n"
	"  ip neigh add 10.2.0.$i lladdr 02:00:00:00:02:0$i dev ep nud permanent\n"
	"  ip neigh add fd00:2::$i lladdr 02:00:00:00:02:0$i dev ep nud permanent\n"
	"done\n";

static bool namespaces_make(void)
{
	if (geteuid() != 0) {
		printf("skip: loading programs needs root\n");
		return false;
	}
	if (unshare(CLONE_NEWNET | CLONE_NEWNS) < 0 ||
	    mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount("run", "/run", "tmpfs", 0, NULL) < 0 ||
	    mount("bpf", "/sys/fs/bpf", "bpf", 0, NULL) < 0) {
		printf("skip: namespaces of our own: %s\n", strerror(errno));
		return false;
	}
	if (system(network_script) != 0) {
		printf("skip: veth devices in a namespace: 'ip' could not make them\n");
		return false;
	}
	return true;
}

static int maps_open_all(struct bench *bench)
{
	const struct instance *instance = &bench->loader.instance;
	int err = maps_open(instance, MAPS_CONTROLLER, &bench->controller);

	if (!err)
		err = maps_open(instance, MAPS_OPERATOR, &bench->operator);
	if (!err)
		err = maps_open(instance, MAPS_LOADER, &bench->writer);
	return err;
}

void bench_reopen(struct bench *bench)
{
	for (int id = 0; id < PROGRAM_COUNT; id++) {
		closep(&bench->programs[id]);
		assert_int_equal(
			program_open(&bench->dirs, (enum program_id)id, &bench->programs[id]), 0);
	}
}

static void bench_init(struct bench *bench)
{
	struct loader *loader = &bench->loader;
	char name[INSTANCE_NAME_MAX];

	for (int id = 0; id < PROGRAM_COUNT; id++)
		bench->programs[id] = -1;
	snprintf(name, sizeof(name), "t-%d", getpid());
	instance_init(&loader->instance, name);
	pin_dirs_init(&bench->dirs, &loader->instance);
	loader->snat_port_low = BENCH_SNAT_LOW;
	loader->snat_port_high = BENCH_SNAT_HIGH;
	loader->probe_port_low = PROBE_PORT_LOW;
	loader->probe_port_high = PROBE_PORT_HIGH;
	loader->ring_seed = 1;
	loader->settings.flow_sets = 1024;
	address_parse("10.2.0.1", &loader->snat4);
	address_parse("fd00:2::1", &loader->snat6);
	bench->client_ifindex = if_nametoindex("cl");
	bench->endpoint_ifindex = if_nametoindex("ep");
}

static void quiet(enum log_level level, const char *text)
{
	if (level == LOG_LEVEL_ERROR)
		printf("%s\n", text);
}

int bench_setup(void **state)
{
	struct bench *bench;
	int err;

	*state = NULL;
	if (!namespaces_make())
		return 0;
	log_sink = quiet;
	bench = calloc(1, sizeof(*bench));
	if (!bench)
		return -1;
	bench_init(bench);
	err = loader_load(&bench->loader, 0, NULL);
	if (err == -EPERM) {
		printf("skip: this kernel does not let us load programs (EPERM)\n");
		free(bench);
		return 0;
	}
	if (!err)
		err = maps_open_all(bench);
	if (!err)
		bench_reopen(bench);
	*state = bench;
	return err;
}

int bench_teardown(void **state)
{
	struct bench *bench = *state;
	int err;

	if (!bench)
		return 0;
	for (int id = 0; id < PROGRAM_COUNT; id++)
		closep(&bench->programs[id]);
	maps_close(bench->controller);
	maps_close(bench->operator);
	maps_close(bench->writer);
	err = loader_unload(&bench->loader, 0, NULL);
	free(bench);
	return err;
}

static void hash_clear(const struct maps *maps, enum map_id id, size_t key_bytes)
{
	char key[64];

	assert_true(key_bytes <= sizeof(key));
	while (bpf_map_get_next_key(maps->fds[id], NULL, key) == 0)
		bpf_map_delete_elem(maps->fds[id], key);
}

/* A descriptor that may write, whatever the roles. */
static int map_open_writable(const struct bench *bench, const char *name)
{
	char path[PIN_PATH_MAX];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", bench->dirs.live, name);
	fd = bpf_obj_get(path);
	assert_true(fd >= 0);
	return fd;
}

static void flows_clear(const struct bench *bench, const char *name)
{
	_cleanup_close_ int fd = map_open_writable(bench, name);
	struct flow_key key;

	while (bpf_map_get_next_key(fd, NULL, &key) == 0)
		bpf_map_delete_elem(fd, &key);
}

struct bench *bench_of(void **state)
{
	struct bench *bench = *state;

	if (!bench)
		skip();
	hash_clear(bench->controller, MAP_VIPS, sizeof(struct vip_key));
	flows_clear(bench, "nat_fwd");
	flows_clear(bench, "nat_rev");
	memset(bench->controller->endpoints, 0, 16 * sizeof(struct endpoint));
	memset(bench->controller->health, 0, 16 * sizeof(struct health));
	memset(bench->operator->admin, 0, 16 * sizeof(struct admin));
	memset(&bench->operator->admin[ADMIN_CLUSTER_BASE], 0, CLUSTERS_MAX * sizeof(struct admin));
	rings_remove(bench->controller, 0);
	assert_int_equal(contract_put(bench->writer->fds[MAP_CONTRACT], &bench->writer->contract),
			 0);
	assert_int_equal(devices_put(bench->writer, bench->client_ifindex), 0);
	assert_int_equal(devices_put(bench->writer, bench->endpoint_ifindex), 0);
	bench_mark(bench);
	return bench;
}

void bench_endpoint(struct bench *bench, uint32_t id, const char *addr)
{
	struct endpoint *endpoint = &bench->controller->endpoints[id];

	memset(endpoint, 0, sizeof(*endpoint));
	assert_int_equal(address_parse(addr, &endpoint->addr), 0);
	endpoint->port = htons(8000);
	endpoint->way = WAY_NAT;
	endpoint->owner = VIP_OWNER_CONTROLLER;
	endpoint->generation = 1;
}

void bench_endpoint_remove(struct bench *bench, uint32_t id)
{
	memset(&bench->controller->endpoints[id], 0, sizeof(struct endpoint));
}

void bench_ring(struct bench *bench, const uint32_t *ids, uint32_t count)
{
	_cleanup_free_ struct ring_slot *slots = NULL;

	slots = calloc(RING_SIZE_SMALL + 1, sizeof(*slots));
	assert_non_null(slots);
	slots[0].size = RING_SIZE_SMALL;
	for (uint32_t row = 0; row < RING_SIZE_SMALL; row++)
		slots[row + 1].endpoint = count ? ids[row % count] : ENDPOINT_NONE;
	assert_int_equal(rings_put(bench->controller, 0, slots, RING_SIZE_SMALL), 0);
}

void bench_vip(struct bench *bench, const char *addr, uint16_t port, uint8_t proto, uint8_t mode)
{
	struct vip_key key = {.port = htons(port), .proto = proto};
	struct vip vip = {.id = 7, .mode = mode, .owner = VIP_OWNER_CONTROLLER, .flags = VIP_F_NAT};

	if (mode == VIP_MODE_L7)
		vip.pool = POOL_NONE;
	assert_int_equal(address_parse(addr, &key.addr), 0);
	assert_int_equal(vips_put(bench->controller, &key, &vip), 0);
}

void bench_admin(struct bench *bench, uint32_t slot, uint8_t state)
{
	bench->operator->admin[slot].generation = slot >= ADMIN_CLUSTER_BASE ? 0 : 1;
	bench->operator->admin[slot].state = state;
}

void bench_health(struct bench *bench, uint32_t id, uint8_t state)
{
	bench->controller->health[id].generation = 1;
	bench->controller->health[id].state = state;
}

void bench_serve(struct bench *bench, bool is_ipv6)
{
	static const uint32_t ids[] = {0, 1, 2};

	for (uint32_t id = 0; id < 3; id++) {
		char addr[32];

		snprintf(addr, sizeof(addr), is_ipv6 ? "fd00:2::%u" : "10.2.0.%u", id + 2);
		bench_endpoint(bench, id, addr);
	}
	bench_ring(bench, ids, 3);
	bench_vip(bench, is_ipv6 ? "fd00:99::1" : "10.99.0.1", 80, IPPROTO_TCP, VIP_MODE_L4);
	bench_vip(bench, is_ipv6 ? "fd00:99::1" : "10.99.0.1", 80, IPPROTO_UDP, VIP_MODE_L4);
}

/* Takes the metadata off the front of what XDP gave back. */
static void mark_split(struct run *run, const uint8_t *bytes, size_t size, size_t metadata)
{
	uint32_t words[3];

	run->mark_verdict = VERDICT_COUNT;
	if (metadata >= sizeof(words)) {
		memcpy(words, bytes, sizeof(words));
		if (words[0] == MARK_MAGIC)
			run->mark_verdict = words[2];
	}
	run->out.size = size - metadata;
	memcpy(run->out.bytes, bytes + metadata, run->out.size);
}

static struct run run_xdp(int program, uint32_t ifindex, const struct frame *frame)
{
	struct xdp_md in = {.data_end = (uint32_t)frame->size, .ingress_ifindex = ifindex};
	uint8_t bytes[FRAME_BYTES_MAX + METADATA_BYTES_MAX];
	struct xdp_md out = {0};
	LIBBPF_OPTS(bpf_test_run_opts, options, .data_in = frame->bytes,
		    .data_size_in = (uint32_t)frame->size, .data_out = bytes,
		    .data_size_out = sizeof(bytes), .ctx_in = &in, .ctx_size_in = sizeof(in),
		    .ctx_out = &out, .ctx_size_out = sizeof(out), .repeat = 1);
	struct run run = {0};
	int err = bpf_prog_test_run_opts(program, &options);

	if (err)
		fail_msg("test run of %zu bytes: %s", frame->size, strerror(-err));
	mark_split(&run, bytes, options.data_size_out, out.data);
	run.result = (int)options.retval;
	run.is_sent = run.result == XDP_TX || run.result == XDP_REDIRECT;
	run.is_passed = run.result == XDP_PASS;
	run.is_dropped = run.result == XDP_DROP;
	return run;
}

static struct run run_tc(int program, uint32_t ifindex, const struct frame *frame)
{
	struct __sk_buff in = {.ifindex = ifindex};
	struct run run = {.mark_verdict = VERDICT_COUNT};
	LIBBPF_OPTS(bpf_test_run_opts, options, .data_in = frame->bytes,
		    .data_size_in = (uint32_t)frame->size, .data_out = run.out.bytes,
		    .data_size_out = sizeof(run.out.bytes), .ctx_in = &in,
		    .ctx_size_in = sizeof(in), .repeat = 1);
	int err = bpf_prog_test_run_opts(program, &options);

	if (err)
		fail_msg("test run of %zu bytes: %s", frame->size, strerror(-err));
	run.out.size = options.data_size_out;
	run.result = (int)options.retval;
	run.is_sent = run.result == TC_ACT_REDIRECT;
	run.is_passed = run.result == TC_ACT_UNSPEC;
	run.is_dropped = run.result == TC_ACT_SHOT;
	return run;
}

struct run bench_run(const struct bench *bench, enum program_id program, uint32_t ifindex,
		     const struct frame *frame)
{
	if (program == PROGRAM_TC)
		return run_tc(bench->programs[program], ifindex, frame);
	return run_xdp(bench->programs[program], ifindex, frame);
}

void bench_mark(struct bench *bench)
{
	assert_int_equal(verdicts_read(bench->controller, bench->before), 0);
}

uint64_t bench_counted(const struct bench *bench, enum verdict verdict)
{
	struct traffic now[VERDICT_COUNT];

	assert_int_equal(verdicts_read(bench->controller, now), 0);
	return now[verdict].packets - bench->before[verdict].packets;
}

bool bench_only(const struct bench *bench, enum verdict verdict)
{
	bool right = true;

	for (int i = 0; i < VERDICT_COUNT; i++) {
		uint64_t wanted = i == (int)verdict ? 1 : 0;
		uint64_t counted = bench_counted(bench, (enum verdict)i);

		if (counted == wanted)
			continue;
		printf("verdict %s: %llu packets, wanted %llu\n", verdict_name((enum verdict)i),
		       (unsigned long long)counted, (unsigned long long)wanted);
		right = false;
	}
	return right;
}
