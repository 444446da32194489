// SPDX-License-Identifier: BSD-2-Clause
/* Packets through veth: client - gateway - two endpoints, each a network namespace
 * that lives as long as this process.  The gateway is the product as an operator
 * sets it up, sluice-loader and sluicectl, or, interleaved with it, the same
 * service by nftables' DNAT; a third part only drops, which is what sending costs.
 *
 * The sender is a program run with live frames: sending, the gateway and the sink
 * all run on this CPU and inside one system call, so that nothing queues up and
 * time is work.  256 UDP flows, 64-byte frames. */
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "tests/bench/l4_wire_shared.h" /* types that the skeleton names */
#include "tests/bench/l4_wire.skel.h"
#include "tests/bench/measure.h"
#include "tests/bench/rows.h"
#include "tests/bench/stats_off.h"
#include "tests/harness/packet.h"
#include "userspace/base/cleanup.h"
#include "userspace/base/clock.h"

#define REPEATS 15
#define PACKETS 400000
#define WARM_PACKETS 20000
#define BATCH 64
#define VIP "10.99.0.1"
#define PEER "nft_dnat"
#define XDP_FLAGS_DRV_MODE (1U << 2)

enum place { CLIENT, GATEWAY, ENDPOINT_1, ENDPOINT_2, PLACE_COUNT };

struct wire {
	int places[PLACE_COUNT]; /* descriptors of network namespaces */
	struct l4_wire *programs;
	uint32_t client_ifindex;
	char bin[256]; /* folder of the product's programs */
};

struct passage {
	double packets_per_s; /* arrived */
	double cpu_ns; /* a packet that arrived */
};

static void fail(const char *what, int err)
{
	fprintf(stderr, "bench_l4_wire: %s%s%s\n", what, err ? ": " : "",
		err ? strerror(-err) : "");
	exit(1);
}

static void place_enter(const struct wire *wire, enum place place)
{
	if (setns(wire->places[place], CLONE_NEWNET) < 0)
		fail("setns", -errno);
}

/* Runs a shell line in a namespace; its status. */
static int run(const struct wire *wire, enum place place, const char *format, ...)
{
	char line[4096];
	va_list args;

	va_start(args, format);
	vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	place_enter(wire, place);
	return system(line);
}

static void must_run(const struct wire *wire, enum place place, const char *line)
{
	if (run(wire, place, "set -e; %s", line) != 0)
		fail(line, 0);
}

/* ---- the links ---- */

static void places_make(struct wire *wire)
{
	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount("run", "/run", "tmpfs", 0, NULL) < 0 ||
	    mount("bpf", "/sys/fs/bpf", "bpf", 0, NULL) < 0)
		fail("a mount namespace of our own (needs root)", -errno);
	for (int i = 0; i < PLACE_COUNT; i++) {
		if (unshare(CLONE_NEWNET) < 0)
			fail("a network namespace", -errno);
		wire->places[i] = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
		if (wire->places[i] < 0)
			fail("/proc/self/ns/net", -errno);
	}
}

/* A link from the gateway's device `inside` to `outside` in another namespace. */
static void link_make(const struct wire *wire, enum place place, const char *inside,
		      const char *outside, int subnet)
{
	char line[512];

	snprintf(line, sizeof(line),
		 "ip link add %s address 02:00:00:00:0%d:01 type veth peer name %s "
		 "address 02:00:00:00:0%d:02 netns /proc/%d/fd/%d; ip link set %s up; "
		 "ip addr add 10.%d.0.1/24 dev %s; ethtool -K %s gro on >/dev/null; "
		 "ip neigh add 10.%d.0.2 lladdr 02:00:00:00:0%d:02 dev %s nud permanent",
		 inside, subnet, outside, subnet, getpid(), wire->places[place], inside, subnet,
		 inside, inside, subnet, subnet, inside);
	must_run(wire, GATEWAY, line);
	snprintf(line, sizeof(line),
		 "ip link set lo up; ip addr add 10.%d.0.2/24 dev %s; ip link set %s up; "
		 "ethtool -K %s gro on tx off >/dev/null; ip route add default via 10.%d.0.1",
		 subnet, outside, outside, outside, subnet);
	must_run(wire, place, line);
}

static void sink_attach(const struct wire *wire, enum place place, const char *device)
{
	int err;

	place_enter(wire, place);
	err = bpf_xdp_attach((int)if_nametoindex(device),
			     bpf_program__fd(wire->programs->progs.wire_sink), XDP_FLAGS_DRV_MODE,
			     NULL);
	if (err)
		fail("a sink", err);
}

static void frame_fill(struct wire *wire)
{
	static const uint8_t macs[12] = {2, 0, 0, 0, 1, 1, 2, 0, 0, 0, 1, 2};
	static const struct frame_spec spec = {.src = "10.1.0.2",
					       .dst = VIP,
					       .src_port = 1024,
					       .dst_port = 80,
					       .proto = IPPROTO_UDP,
					       .payload_bytes = 22,
					       .no_udp_checksum = true};
	struct frame frame;

	frame_build(&frame, &spec);
	memcpy(frame.bytes, macs, sizeof(macs));
	if (frame.size != WIRE_FRAME_BYTES)
		fail("the frame has another size than thought", 0);
	memcpy(wire->programs->bss->plan.words, frame.bytes, WIRE_FRAME_BYTES);
}

static void wire_make(struct wire *wire)
{
	places_make(wire);
	link_make(wire, CLIENT, "gc0", "c0", 1);
	link_make(wire, ENDPOINT_1, "ga0", "a0", 2);
	link_make(wire, ENDPOINT_2, "gb0", "b0", 3);
	must_run(wire, GATEWAY, "ip link set lo up; echo 1 > /proc/sys/net/ipv4/ip_forward");
	wire->programs = l4_wire__open_and_load();
	if (!wire->programs)
		fail("the sender cannot be loaded", -errno);
	frame_fill(wire);
	sink_attach(wire, ENDPOINT_1, "a0");
	sink_attach(wire, ENDPOINT_2, "b0");
	place_enter(wire, CLIENT);
	wire->client_ifindex = if_nametoindex("c0");
}

/* ---- sending ---- */

/* CPU time of kernel threads that may take packets over from us, ns. */
static uint64_t softirq_threads_ns(void)
{
	FILE *file = popen("cat $(grep -lx 'Name:.ksoftirqd/[0-9]*' /proc/[0-9]*/status "
			   "2>/dev/null | sed 's/status$/schedstat/') 2>/dev/null",
			   "re");
	unsigned long long sum = 0, ran, waited, slices;

	while (file && fscanf(file, "%llu %llu %llu", &ran, &waited, &slices) == 3)
		sum += ran;
	if (file)
		pclose(file);
	return sum;
}

static int send_packets(const struct wire *wire, uint32_t count)
{
	uint8_t frame[WIRE_FRAME_BYTES] = {0};
	struct xdp_md in = {.data_end = sizeof(frame), .ingress_ifindex = wire->client_ifindex};
	LIBBPF_OPTS(bpf_test_run_opts, options, .data_in = frame, .data_size_in = sizeof(frame),
		    .ctx_in = &in, .ctx_size_in = sizeof(in), .repeat = (int)count,
		    .flags = BPF_F_TEST_XDP_LIVE_FRAMES, .batch_size = BATCH);

	place_enter(wire, CLIENT);
	return bpf_prog_test_run_opts(bpf_program__fd(wire->programs->progs.wire_send), &options);
}

static struct passage passage_measure(const struct wire *wire, bool is_floor)
{
	volatile __u64 *arrived = &wire->programs->bss->arrived;
	uint64_t before, others, cpu, began, took, count;
	int err = send_packets(wire, WARM_PACKETS);

	others = softirq_threads_ns();
	before = *arrived;
	cpu = clock_read_ns(CLOCK_THREAD_CPUTIME_ID);
	began = clock_monotonic_ns();
	if (!err)
		err = send_packets(wire, PACKETS);
	took = clock_monotonic_ns() - began;
	cpu = clock_read_ns(CLOCK_THREAD_CPUTIME_ID) - cpu;
	if (err)
		fail("sending live frames", err);
	cpu += softirq_threads_ns() - others;
	count = *arrived - before;
	if (!is_floor && count < PACKETS * 0.99)
		fprintf(stderr, "only %llu of %u packets arrived\n", (unsigned long long)count,
			PACKETS);
	if (!count)
		count = 1;
	return (struct passage){.packets_per_s = (double)count * NS_PER_S / (double)took,
				.cpu_ns = (double)cpu / (double)count};
}

/* ---- the three gateways ---- */

static struct passage passage_floor(const struct wire *wire)
{
	struct passage passage;

	sink_attach(wire, GATEWAY, "gc0");
	passage = passage_measure(wire, true);
	must_run(wire, GATEWAY, "ip link set gc0 xdp off; ethtool -K gc0 gro on >/dev/null");
	return passage;
}

static struct passage passage_ours(const struct wire *wire)
{
	struct passage passage;

	if (run(wire, GATEWAY, "%s/sluice-loader -i wire attach --mode native gc0 ga0 gb0 >&2",
		wire->bin) != 0)
		fail("sluice-loader attach", 0);
	passage = passage_measure(wire, false);
	if (run(wire, GATEWAY,
		"%s/sluice-loader -i wire detach gc0 ga0 gb0 >&2; "
		"for d in gc0 ga0 gb0; do ethtool -K $d gro on >/dev/null; done",
		wire->bin) != 0)
		fail("sluice-loader detach", 0);
	return passage;
}

static const char nft_rules[] =
	"table ip wire {\n chain pre {\n  type nat hook prerouting priority dstnat\n"
	"  ip daddr " VIP " udp dport 80 dnat ip to jhash ip saddr . udp sport mod 2 "
	"map { 0 : 10.2.0.2 . 8080, 1 : 10.3.0.2 . 8080 }\n }\n}\n";

static struct passage passage_nft(const struct wire *wire)
{
	struct passage passage;

	if (run(wire, GATEWAY, "echo '%s' | nft -f -", nft_rules) != 0)
		fail("nft: the rules of the peer", 0);
	passage = passage_measure(wire, false);
	must_run(wire, GATEWAY, "nft delete table ip wire");
	return passage;
}

static void ours_load(const struct wire *wire)
{
	if (run(wire, GATEWAY,
		"set -e; %s/sluice-loader -i wire load --snat 10.2.0.1 >&2; "
		"%s/sluicectl -i wire vip add " VIP ":80/udp --endpoint 10.2.0.2:8080 "
		"--endpoint 10.3.0.2:8080 >&2",
		wire->bin, wire->bin) != 0)
		fail("the product cannot be set up", 0);
}

/* ---- rows ---- */

static double floor_rate[REPEATS], ours_rate[REPEATS], nft_rate[REPEATS];
static double floor_cpu[REPEATS], ours_cpu[REPEATS], nft_cpu[REPEATS];
static double ours_net[REPEATS], nft_net[REPEATS];

static void rows_measure(const struct wire *wire)
{
	for (int i = 0; i < REPEATS; i++) {
		struct passage floor = passage_floor(wire), ours = passage_ours(wire);
		struct passage nft = passage_nft(wire);

		floor_rate[i] = floor.packets_per_s;
		ours_rate[i] = ours.packets_per_s;
		nft_rate[i] = nft.packets_per_s;
		floor_cpu[i] = floor.cpu_ns;
		ours_cpu[i] = ours.cpu_ns;
		nft_cpu[i] = nft.cpu_ns;
		ours_net[i] = ours.cpu_ns - floor.cpu_ns;
		nft_net[i] = nft.cpu_ns - floor.cpu_ns;
	}
}

static void row_print(const char *name, const char *unit, double *values, double *peer_values)
{
	struct bench_row row = {.bench = "l4_wire",
				.row = name,
				.unit = unit,
				.values = values,
				.count = REPEATS,
				.peer = peer_values ? PEER : NULL,
				.peer_values = peer_values};

	if (bench_wants(name))
		bench_print(&row);
}

static const char *const row_names[] = {"forward", "forward_cpu", "forward_cpu_net", "floor",
					"floor_cpu"};

/* Why the peer cannot run; NULL: it can. */
static const char *peer_missing(const struct wire *wire)
{
	if (run(wire, GATEWAY, "command -v nft >/dev/null") != 0)
		return "nft is not installed: scripts/deps bench";
	if (run(wire, GATEWAY, "echo '%s' | nft -c -f - 2>/dev/null", nft_rules) != 0)
		return "this kernel's nftables cannot do DNAT";
	return NULL;
}

static void bin_find(struct wire *wire)
{
	const char *named = getenv("SLUICE_BIN");
	ssize_t size = readlink("/proc/self/exe", wire->bin, sizeof(wire->bin) - 16);
	char *cut;

	if (named) {
		snprintf(wire->bin, sizeof(wire->bin), "%s", named);
		return;
	}
	if (size < 0)
		fail("/proc/self/exe", -errno);
	wire->bin[size] = '\0';
	for (int i = 0; i < 3; i++) { /* build/tests/bench/bench_l4_wire */
		cut = strrchr(wire->bin, '/');
		if (cut)
			*cut = '\0';
	}
	strcat(wire->bin, "/bin");
}

int main(void)
{
	struct wire wire = {0};
	const char *missing;
	int err = stats_off();

	if (err)
		fail("kernel.bpf_stats_enabled cannot be turned off", err);
	bench_machine();
	bin_find(&wire);
	wire_make(&wire);
	missing = peer_missing(&wire);
	for (size_t i = 0; missing && i < ARRAY_SIZE(row_names); i++) {
		if (bench_wants(row_names[i]))
			bench_skip("l4_wire", row_names[i], missing);
	}
	if (missing)
		return 0;
	err = measure_pin_cpu();
	if (err < 0)
		fail("pinning to a CPU", err);
	ours_load(&wire);
	rows_measure(&wire);
	if (!stats_are_off())
		fail("somebody turned kernel.bpf_stats_enabled on meanwhile", 0);
	row_print("forward", "pps", ours_rate, nft_rate);
	row_print("forward_cpu", "ns", ours_cpu, nft_cpu);
	row_print("forward_cpu_net", "ns", ours_net, nft_net);
	row_print("floor", "pps", floor_rate, NULL);
	row_print("floor_cpu", "ns", floor_cpu, NULL);
	l4_wire__destroy(wire.programs);
	return 0;
}
