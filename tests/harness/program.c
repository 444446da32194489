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

#include "userspace/base/netns.h"
#include "maps/access/map_spec.h"
#include "userspace/base/address.h"
#include "userspace/base/cleanup.h"
#include "userspace/base/log.h"

#define MARK_MAGIC 0x536c5563u
#define METADATA_BYTES_MAX 256
#define POISON_BYTES 96 /* more than any program adds */
#define POISON_BYTES_OLD 20 /* 6.1 takes 32 bytes of metadata, 12 are the mark's */

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
	if (!err)
		err = maps_open(instance, MAPS_SPLICER, &bench->splicer);
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

/* Does this kernel take so much metadata? */
static bool poison_fits(const struct bench *bench, uint32_t poison)
{
	uint8_t bytes[POISON_BYTES + 64] = {0};
	struct xdp_md in = {.data = poison, .data_end = poison + 64};
	LIBBPF_OPTS(bpf_test_run_opts, options, .data_in = bytes, .data_size_in = poison + 64,
		    .ctx_in = &in, .ctx_size_in = sizeof(in), .repeat = 1);

	return bpf_prog_test_run_opts(bench->programs[PROGRAM_XDP], &options) == 0;
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
	if (!err)
		bench->poison_bytes = poison_fits(bench, POISON_BYTES) ? POISON_BYTES
								       : POISON_BYTES_OLD;
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
	maps_close(bench->splicer);
	err = loader_unload(&bench->loader, 0, NULL);
	free(bench);
	return err;
}

/* A descriptor that may write, whatever the roles. */
static int map_open_writable(const struct bench *bench, enum map_id id)
{
	char path[PIN_PATH_MAX];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", bench->dirs.live, map_name(id));
	fd = bpf_obj_get(path);
	assert_true(fd >= 0);
	return fd;
}

static void hash_clear(const struct bench *bench, enum map_id id)
{
	_cleanup_close_ int fd = map_open_writable(bench, id);
	char key[64];

	assert_true(map_spec_of(id)->key_size <= sizeof(key));
	while (bpf_map_get_next_key(fd, NULL, key) == 0)
		bpf_map_delete_elem(fd, key);
}

/* The first records of an array that processes only read. */
static void array_clear(const struct bench *bench, enum map_id id)
{
	_cleanup_close_ int fd = map_open_writable(bench, id);
	static const char zeroes[64];

	assert_true(map_spec_of(id)->value_size <= sizeof(zeroes));
	for (uint32_t index = 0; index < BENCH_IDS; index++)
		assert_int_equal(bpf_map_update_elem(fd, &index, zeroes, BPF_ANY), 0);
}

static void maps_clear(const struct bench *bench)
{
	struct maps *maps = bench->controller;

	hash_clear(bench, MAP_VIPS);
	hash_clear(bench, MAP_CIDS);
	hash_clear(bench, MAP_FRAGMENTS);
	hash_clear(bench, MAP_NAT_CLIENTS);
	hash_clear(bench, MAP_NAT_FWD);
	hash_clear(bench, MAP_NAT_REV);
	hash_clear(bench, MAP_SPLICES);
	hash_clear(bench, MAP_SPLICE_LEARNS);
	assert_int_equal(splice_setup_put(bench->splicer, &(struct splice_setup){0}), 0);
	memset(maps->endpoints, 0, BENCH_IDS * sizeof(*maps->endpoints));
	memset(maps->health, 0, BENCH_IDS * sizeof(*maps->health));
	memset(maps->load, 0, BENCH_IDS * sizeof(*maps->load));
	memset(maps->paths, 0, BENCH_IDS * sizeof(*maps->paths));
	memset(maps->nexthops, 0, BENCH_IDS * sizeof(*maps->nexthops));
	memset(maps->live, 0, BENCH_IDS * sizeof(*maps->live));
	memset(maps->flows, 0, maps->contract.flow_sets * sizeof(*maps->flows));
	array_clear(bench, MAP_OPENS);
	memset(bench->operator->admin, 0, BENCH_IDS * sizeof(struct admin));
	memset(&bench->operator->admin[ADMIN_CLUSTER_BASE], 0, CLUSTERS_MAX * sizeof(struct admin));
	assert_int_equal(capture_put(bench->operator, &(struct capture){0}), 0);
	rings_remove(maps, 0);
}

struct bench *bench_of(void **state)
{
	struct bench *bench = *state;

	if (!bench)
		skip();
	maps_clear(bench);
	bench->is_poisoned = false;
	assert_int_equal(contract_put(bench->writer->fds[MAP_CONTRACT], &bench->writer->contract),
			 0);
	assert_int_equal(devices_put(bench->writer, bench->client_ifindex), 0);
	assert_int_equal(devices_put(bench->writer, bench->endpoint_ifindex), 0);
	bench_mark(bench);
	return bench;
}

void bench_upgrade(struct bench *bench)
{
	assert_int_equal(loader_upgrade(&bench->loader, 0, NULL), 0);
	bench_reopen(bench);
}

void bench_across_upgrade(void **state, void (*table)(struct bench *bench))
{
	table(bench_of(state));
	bench_upgrade(*state);
	table(bench_of(state));
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

/* A test run gives the program zeroed headroom, so that a header byte never
 * written looks like a zero that was.  Metadata is the one part of the headroom
 * that can be filled: when a program makes room in front of the packet the
 * kernel moves metadata further to the front and leaves its old bytes where the
 * new header will be. */
static size_t poison_put(uint8_t *bytes, const struct bench *bench)
{
	if (!bench->is_poisoned)
		return 0;
	memset(bytes, 0xff, bench->poison_bytes);
	return bench->poison_bytes;
}

static struct run run_xdp(const struct bench *bench, int program, uint32_t ifindex,
			  const struct frame *frame)
{
	uint8_t in_bytes[POISON_BYTES + FRAME_BYTES_MAX];
	uint8_t out_bytes[FRAME_BYTES_MAX + METADATA_BYTES_MAX];
	size_t poison = poison_put(in_bytes, bench);
	uint32_t size = (uint32_t)(poison + frame->size);
	struct xdp_md in = {.data = (uint32_t)poison, .data_end = size, .ingress_ifindex = ifindex};
	struct xdp_md out = {0};
	LIBBPF_OPTS(bpf_test_run_opts, options, .data_in = in_bytes, .data_size_in = size,
		    .data_out = out_bytes, .data_size_out = sizeof(out_bytes), .ctx_in = &in,
		    .ctx_size_in = sizeof(in), .ctx_out = &out, .ctx_size_out = sizeof(out),
		    .repeat = 1);
	struct run run = {0};
	int err;

	memcpy(in_bytes + poison, frame->bytes, frame->size);
	err = bpf_prog_test_run_opts(program, &options);
	if (err)
		fail_msg("test run of %zu bytes: %s", frame->size, strerror(-err));
	mark_split(&run, out_bytes, options.data_size_out, out.data);
	run.result = (int)options.retval;
	run.is_sent = run.result == XDP_TX || run.result == XDP_REDIRECT;
	run.is_passed = run.result == XDP_PASS;
	run.is_dropped = run.result == XDP_DROP;
	return run;
}

/* bpf_redirect_neigh writes the link header when the packet leaves, which it does not
 * do here; what it would write as type is the IP version's. */
static void type_put(struct frame *frame)
{
	size_t ip = frame_ip_offset(frame->bytes, frame->size);

	if (ip < frame->size)
		frame_put16(frame->bytes + ip - 2, frame->bytes[ip] >> 4 == 6 ? 0x86dd : 0x0800);
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
	if (run.is_sent)
		type_put(&run.out);
	run.is_passed = run.result == TC_ACT_UNSPEC;
	run.is_dropped = run.result == TC_ACT_SHOT;
	return run;
}

struct run bench_run(const struct bench *bench, enum program_id program, uint32_t ifindex,
		     const struct frame *frame)
{
	if (program == PROGRAM_TC)
		return run_tc(bench->programs[program], ifindex, frame);
	return run_xdp(bench, bench->programs[program], ifindex, frame);
}

void bench_mark(struct bench *bench)
{
	assert_int_equal(verdicts_read(bench->controller, bench->before), 0);
	for (uint32_t id = 0; id < BENCH_GOT_IDS; id++)
		assert_int_equal(ep_stats_read(bench->controller, id, &bench->endpoints_before[id]),
				 0);
}

uint32_t bench_got(const struct bench *bench)
{
	struct traffic now;

	for (uint32_t id = 0; id < BENCH_GOT_IDS; id++) {
		assert_int_equal(ep_stats_read(bench->controller, id, &now), 0);
		if (now.packets != bench->endpoints_before[id].packets)
			return id;
	}
	return ENDPOINT_NONE;
}

uint64_t bench_counted(const struct bench *bench, enum verdict verdict)
{
	struct traffic now[VERDICT_COUNT];

	assert_int_equal(verdicts_read(bench->controller, now), 0);
	return now[verdict].packets - bench->before[verdict].packets;
}

uint64_t bench_counted_all(const struct bench *bench)
{
	struct traffic now[VERDICT_COUNT];
	uint64_t count = 0;

	assert_int_equal(verdicts_read(bench->controller, now), 0);
	for (int i = 0; i < VERDICT_COUNT; i++)
		count += now[i].packets - bench->before[i].packets;
	return count;
}

bool bench_only(const struct bench *bench, enum verdict verdict)
{
	struct traffic now[VERDICT_COUNT];
	bool right = true;

	assert_int_equal(verdicts_read(bench->controller, now), 0);
	for (int i = 0; i < VERDICT_COUNT; i++) {
		uint64_t wanted = i == (int)verdict ? 1 : 0;
		uint64_t counted = now[i].packets - bench->before[i].packets;

		if (counted == wanted)
			continue;
		printf("verdict %s: %llu packets, wanted %llu\n", verdict_name((enum verdict)i),
		       (unsigned long long)counted, (unsigned long long)wanted);
		right = false;
	}
	return right;
}
