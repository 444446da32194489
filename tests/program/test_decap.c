// SPDX-License-Identifier: BSD-2-Clause
/* The endpoint host's programs: what comes off, what passes, what is dropped,
 * which MSS goes out; and the command that puts them there.
 *
 *   gateway 10.2.0.1, fd00:2::1  --  d0 10.2.0.9, fd00:2::9; VIPs 10.99.0.1, fd00:99::1 on lo */
#include "tests/harness/tunnel.h"

#include <errno.h>
#include <linux/bpf.h>
#include <linux/pkt_cls.h>
#include <netinet/in.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <cmocka.h>

#include "loader/decap.h"
#include "maps/access/decap_maps.h"
#include "userspace/base/address.h"
#include "userspace/base/cleanup.h"
#include "userspace/base/log.h"

#define ETHERNET_BYTES 14
#define MSS4 1408 /* 1500 less 40, 8 and 4 outside, 20 and 20 inside */
#define MSS6 1388

static const char network_script[] =
	"set -e; ip link set lo up; ip link add d0 type veth peer name d1\n"
	"ip link set d0 up\n" /* d1 stays down: the kernel's own packets would be counted too */
	"ip addr add 10.2.0.9/24 dev d0; ip addr add fd00:2::9/64 dev d0 nodad\n"
	"ip addr add 10.99.0.1/32 dev lo; ip addr add fd00:99::1/128 dev lo nodad\n";

struct rig {
	struct loader loader;
	struct decap_place place;
	int programs[DECAP_SIDE_COUNT];
	int counts_fd;
	struct traffic before[DECAP_COUNT];
	char log[4096]; /* messages since log_forget() */
};

static struct rig *log_rig;

static void log_collect(enum log_level level, const char *text)
{
	size_t length = strlen(log_rig->log);

	(void)level;
	snprintf(log_rig->log + length, sizeof(log_rig->log) - length, "%s\n", text);
}

static bool logged(const struct rig *rig, const char *text)
{
	return strstr(rig->log, text);
}

static bool namespaces_make(void)
{
	if (geteuid() != 0) {
		printf("skip: loading programs needs root\n");
		return false;
	}
	if (unshare(CLONE_NEWNET | CLONE_NEWNS) < 0 ||
	    mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
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

static int run_command(struct rig *rig, char *device)
{
	char *words[] = {device};

	rig->log[0] = '\0';
	return loader_decap(&rig->loader, 1, words);
}

static void vips_set(struct rig *rig, const char *first, const char *second)
{
	rig->loader.decap.vip_count = second ? 2 : 1;
	assert_int_equal(address_parse(first, &rig->loader.decap.vips[0]), 0);
	if (second)
		assert_int_equal(address_parse(second, &rig->loader.decap.vips[1]), 0);
}

static void rig_open(struct rig *rig)
{
	char path[DECAP_PATH_MAX + 32];

	decap_place_init(&rig->place, "d0");
	for (int side = 0; side < DECAP_SIDE_COUNT; side++) {
		struct decap_hook hook = {0};

		closep(&rig->programs[side]);
		assert_int_equal(decap_hook_read(&rig->place, (enum decap_side)side, &hook), 0);
		rig->programs[side] = bpf_prog_get_fd_by_id(hook.program_id);
		assert_true(rig->programs[side] >= 0);
	}
	closep(&rig->counts_fd);
	snprintf(path, sizeof(path), "%s/%s", rig->place.pins, decap_map_name(DECAP_MAP_COUNTS));
	rig->counts_fd = bpf_obj_get(path);
	assert_true(rig->counts_fd >= 0);
}

static int setup(void **state)
{
	static struct rig rig = {.programs = {-1, -1}, .counts_fd = -1};
	int err;

	*state = NULL;
	if (!namespaces_make())
		return 0;
	log_rig = &rig;
	log_sink = log_collect;
	libbpf_set_print(NULL); /* its netlink says what was not there */
	rig.loader.decap.gue_port = 6080;
	vips_set(&rig, "10.99.0.1", "fd00:99::1");
	err = run_command(&rig, "d0");
	if (err == -EPERM) {
		printf("skip: this kernel does not let us load programs (EPERM)\n");
		return 0;
	}
	if (err) {
		printf("%s", rig.log);
		return err;
	}
	rig_open(&rig);
	*state = &rig;
	return 0;
}

static struct rig *rig_of(void **state)
{
	struct rig *rig = *state;

	if (!rig)
		skip();
	return rig;
}

/* ---- one packet ---- */

struct result {
	int action;
	struct frame out;
	int verdict; /* DECAP_COUNT: not exactly one packet was counted */
};

static int verdict_of(struct rig *rig)
{
	struct traffic now[DECAP_COUNT];
	int found = DECAP_COUNT;
	uint64_t sum = 0;

	assert_int_equal(decap_counts_read(rig->counts_fd, now), 0);
	for (int verdict = 0; verdict < DECAP_COUNT; verdict++) {
		uint64_t more = now[verdict].packets - rig->before[verdict].packets;

		sum += more;
		if (more)
			found = verdict;
	}
	memcpy(rig->before, now, sizeof(now));
	return sum == 1 ? found : DECAP_COUNT;
}

static struct result run_sized(struct rig *rig, enum decap_side side, const struct frame *frame,
			       uint32_t gso_size)
{
	struct __sk_buff in = {.ifindex = rig->place.ifindex, .gso_size = gso_size};
	struct result result = {0};
	LIBBPF_OPTS(bpf_test_run_opts, options, .data_in = frame->bytes,
		    .data_size_in = (uint32_t)frame->size, .data_out = result.out.bytes,
		    .data_size_out = sizeof(result.out.bytes), .ctx_in = &in,
		    .ctx_size_in = sizeof(in), .repeat = 1);
	int err;

	assert_int_equal(decap_counts_read(rig->counts_fd, rig->before), 0);
	err = bpf_prog_test_run_opts(rig->programs[side], &options);
	if (err)
		fail_msg("test run of %zu bytes: %s", frame->size, strerror(-err));
	result.out.size = options.data_size_out;
	result.action = (int)options.retval;
	result.verdict = verdict_of(rig);
	return result;
}

static struct result run(struct rig *rig, enum decap_side side, const struct frame *frame)
{
	return run_sized(rig, side, frame, 0);
}

static bool frames_equal(const struct frame *a, const struct frame *b)
{
	return a->size == b->size && memcmp(a->bytes, b->bytes, a->size) == 0;
}

static const char *name_of(int verdict)
{
	return verdict < DECAP_COUNT ? decap_verdict_name((enum decap_verdict)verdict)
				     : "not exactly one";
}

/* Passed with not a byte changed, dropped, or neither as the verdict says. */
static void assert_exit(const struct result *result, const struct frame *in, int verdict,
			const char *what)
{
	if (result->verdict != verdict)
		fail_msg("%s: counted %s, wanted %s", what, name_of(result->verdict),
			 name_of(verdict));
	switch (verdict) {
	case DECAP_MALFORMED:
	case DECAP_ECN_DROP:
	case DECAP_MERGED:
	case DECAP_REFUSED: assert_int_equal(result->action, TC_ACT_SHOT); break;
	default:
		assert_int_equal(result->action, TC_ACT_UNSPEC);
		assert_true(frames_equal(&result->out, in));
	}
}

/* ---- packets ---- */

/* Every way that a packet may come: encapsulation, outer and inner family. */
struct way {
	enum tunnel_kind kind;
	bool outer6, inner6;
	char text[64];
};

#define WAYS (TUNNEL_KIND_COUNT * 4)

static struct way way_of(int index)
{
	static const char *const kinds[] = {"IPIP", "GUE variant 1", "GUE variant 0"};
	struct way way = {
		.kind = (enum tunnel_kind)(index / 4), .outer6 = index & 1, .inner6 = index & 2};

	snprintf(way.text, sizeof(way.text), "%s, IPv%d in IPv%d", kinds[way.kind],
		 way.inner6 ? 6 : 4, way.outer6 ? 6 : 4);
	return way;
}

static struct tunnel_spec spec_of(const struct way *way)
{
	return (struct tunnel_spec){
		.kind = way->kind,
		.src = way->outer6 ? "fd00:2::1" : "10.2.0.1",
		.dst = way->outer6 ? "fd00:2::9" : "10.2.0.9",
	};
}

static void inner_build(struct frame *inner, const struct way *way, uint8_t proto)
{
	struct frame_spec spec = {
		.src = way->inner6 ? "fd00:1::2" : "10.1.0.2",
		.dst = way->inner6 ? "fd00:99::1" : "10.99.0.1",
		.src_port = 40001,
		.dst_port = 8000,
		.proto = proto,
		.flags = FLAG_ACK,
		.payload_bytes = 100,
	};

	frame_build(inner, &spec);
}

static void way_build(struct frame *frame, const struct way *way, struct tunnel_spec *ret_spec)
{
	struct frame inner;

	inner_build(&inner, way, IPPROTO_TCP);
	*ret_spec = spec_of(way);
	tunnel_build(frame, ret_spec, &inner);
}

/* ---- what comes off ---- */

static void every_encapsulation_comes_off_and_leaves_the_inner_packet_whole(void **state)
{
	static const uint8_t protos[] = {IPPROTO_TCP, IPPROTO_UDP};
	struct rig *rig = rig_of(state);

	for (int i = 0; i < WAYS * 2; i++) {
		struct way way = way_of(i / 2);
		struct tunnel_spec spec = spec_of(&way);
		struct frame inner, frame;
		struct result result;

		inner_build(&inner, &way, protos[i % 2]);
		tunnel_build(&frame, &spec, &inner);
		result = run(rig, DECAP_INGRESS, &frame);
		assert_exit(&result, &inner, way.kind == TUNNEL_IPIP ? DECAP_IPIP : DECAP_GUE,
			    way.text);
	}
}

static void a_udp_checksum_is_not_looked_at(void **state)
{
	struct rig *rig = rig_of(state);

	for (int i = 0; i < WAYS; i++) {
		struct way way = way_of(i);
		struct tunnel_spec spec = spec_of(&way);
		struct frame inner, frame;
		struct result result;

		if (way.kind == TUNNEL_IPIP)
			continue;
		spec.udp_checksum = 0x1234;
		inner_build(&inner, &way, IPPROTO_TCP);
		tunnel_build(&frame, &spec, &inner);
		result = run(rig, DECAP_INGRESS, &frame);
		assert_exit(&result, &inner, DECAP_GUE, way.text);
	}
}

/* An Ethernet driver may leave padding behind a short packet. */
static void bytes_behind_the_outer_packet_do_no_harm(void **state)
{
	struct rig *rig = rig_of(state);

	for (int i = 0; i < WAYS; i++) {
		struct way way = way_of(i);
		struct tunnel_spec spec;
		struct frame inner, frame;
		struct result result;

		inner_build(&inner, &way, IPPROTO_TCP);
		way_build(&frame, &way, &spec);
		memset(frame.bytes + frame.size, 0xee, 9);
		memset(inner.bytes + inner.size, 0xee, 9);
		frame.size += 9;
		inner.size += 9;
		result = run(rig, DECAP_INGRESS, &frame);
		assert_exit(&result, &inner, way.kind == TUNNEL_IPIP ? DECAP_IPIP : DECAP_GUE,
			    way.text);
	}
}

static void ecn_is_decapsulated_as_rfc_6040_has_it(void **state)
{
	/* [inner][outer], both Not-ECT, ECT(1), ECT(0), CE; -1: dropped */
	static const int wanted[4][4] = {{0, 0, 0, -1}, {1, 1, 1, 3}, {2, 1, 2, 3}, {3, 3, 3, 3}};
	struct rig *rig = rig_of(state);

	for (int i = 0; i < WAYS * 16; i++) {
		struct way way = way_of(i / 16);
		struct tunnel_spec spec = spec_of(&way);
		int inner_ecn = i / 4 % 4, ecn = wanted[inner_ecn][i % 4];
		struct frame inner, frame;
		struct result result;

		spec.tos = (uint8_t)(0x48 | i % 4); /* the outer DSCP is not the inner's business */
		inner_build(&inner, &way, IPPROTO_TCP);
		frame_tos_set(&inner, (uint8_t)(0xb8 | inner_ecn));
		tunnel_build(&frame, &spec, &inner);
		if (ecn >= 0)
			frame_tos_set(&inner, (uint8_t)(0xb8 | ecn)); /* what is to come out */
		result = run(rig, DECAP_INGRESS, &frame);
		assert_exit(&result, &inner,
			    ecn < 0		      ? DECAP_ECN_DROP
			    : way.kind == TUNNEL_IPIP ? DECAP_IPIP
						      : DECAP_GUE,
			    way.text);
	}
}

/* ---- what passes ---- */

struct change {
	const char *what;
	enum tunnel_kind kind;
	bool outer6, inner6;
	int from; /* 0: the outer IP header, 1: what is behind it, 2: the inner one */
	int offset; /* from there; -1: nothing is changed */
	uint8_t value;
	int verdict;
};

static void change_run(struct rig *rig, const struct change *change)
{
	struct way way = {.kind = change->kind, .outer6 = change->outer6, .inner6 = change->inner6};
	struct tunnel_spec spec;
	struct result result;
	struct frame frame;
	size_t from[3];

	way_build(&frame, &way, &spec);
	from[0] = ETHERNET_BYTES;
	from[1] = ETHERNET_BYTES + (way.outer6 ? 40 : 20);
	from[2] = tunnel_inner_offset(&spec);
	frame.bytes[from[change->from] + (size_t)change->offset] = change->value;
	/* the outer checksum is only wrong where that is the change */
	if (change->from != 0 || change->offset != 10)
		tunnel_checksum_mend(&frame, ETHERNET_BYTES);
	result = run(rig, DECAP_INGRESS, &frame);
	assert_exit(&result, &frame, change->verdict, change->what);
}

static void what_is_not_ours_passes_untouched(void **state)
{
	static const struct change changes[] = {
		{"another protocol", TUNNEL_IPIP, 0, 0, 0, 9, 47, DECAP_NOT_A_TUNNEL},
		{"another next header", TUNNEL_IPIP, 1, 0, 0, 6, 47, DECAP_NOT_A_TUNNEL},
		{"an IPv6 extension header", TUNNEL_IPIP, 1, 1, 0, 6, 60, DECAP_NOT_A_TUNNEL},
		{"IPv4 options", TUNNEL_IPIP, 0, 0, 0, 0, 0x46, DECAP_NOT_A_TUNNEL},
		{"another UDP port", TUNNEL_GUE1, 0, 0, 1, 3, 0xc1, DECAP_NOT_A_TUNNEL},
		{"another UDP port, IPv6", TUNNEL_GUE1, 1, 1, 1, 3, 0xc1, DECAP_NOT_A_TUNNEL},
		{"a first fragment", TUNNEL_IPIP, 0, 0, 0, 6, 0x20, DECAP_OUTER_FRAGMENT},
		{"a later fragment", TUNNEL_IPIP, 0, 1, 0, 7, 0x01, DECAP_OUTER_FRAGMENT},
		{"a first fragment of GUE", TUNNEL_GUE1, 0, 0, 0, 6, 0x20, DECAP_OUTER_FRAGMENT},
		{"a later fragment of GUE", TUNNEL_GUE1, 0, 0, 0, 7, 0x01, DECAP_NOT_A_TUNNEL},
		{"another host", TUNNEL_IPIP, 0, 0, 0, 19, 8, DECAP_NOT_LOCAL},
		{"another host, IPv6", TUNNEL_GUE1, 1, 0, 0, 39, 8, DECAP_NOT_LOCAL},
		{"a GUE control message", TUNNEL_GUE0, 0, 0, 1, 8, 0x20, DECAP_GUE_OTHER},
		{"GUE extension fields", TUNNEL_GUE0, 0, 0, 1, 8, 0x01, DECAP_GUE_OTHER},
		{"GUE variant 2", TUNNEL_GUE0, 0, 0, 1, 8, 0x80, DECAP_GUE_OTHER},
		{"GUE flags", TUNNEL_GUE0, 1, 0, 1, 11, 0x01, DECAP_GUE_OTHER},
		{"GUE with TCP", TUNNEL_GUE0, 0, 0, 1, 9, 6, DECAP_GUE_OTHER},
		{"GUE variant 1, IP version 5", TUNNEL_GUE1, 0, 0, 1, 8, 0x55, DECAP_GUE_OTHER},
		{"GUE variant 1, IP version 7", TUNNEL_GUE1, 1, 1, 1, 8, 0x70, DECAP_GUE_OTHER},
		{"IPv6 inside where IPv4 is said", TUNNEL_IPIP, 0, 0, 2, 0, 0x65, DECAP_BAD_INNER},
		{"IPv4 inside where IPv6 is said", TUNNEL_IPIP, 0, 1, 2, 0, 0x45, DECAP_BAD_INNER},
		{"the same in GUE", TUNNEL_GUE0, 0, 1, 2, 0, 0x45, DECAP_BAD_INNER},
		{"an inner header of 16 bytes", TUNNEL_IPIP, 0, 0, 2, 0, 0x44, DECAP_BAD_INNER},
		{"the same in GUE", TUNNEL_GUE1, 1, 0, 2, 0, 0x44, DECAP_BAD_INNER},
		{"another VIP", TUNNEL_IPIP, 0, 0, 2, 19, 2, DECAP_NOT_A_VIP},
		{"another VIP, IPv6", TUNNEL_IPIP, 1, 1, 2, 39, 2, DECAP_NOT_A_VIP},
		{"another VIP in GUE", TUNNEL_GUE1, 0, 0, 2, 16, 11, DECAP_NOT_A_VIP},
		{"another VIP in GUE, IPv6", TUNNEL_GUE0, 0, 1, 2, 24, 0xfc, DECAP_NOT_A_VIP},
	};
	struct rig *rig = rig_of(state);

	for (size_t i = 0; i < ARRAY_SIZE(changes); i++)
		change_run(rig, &changes[i]);
}

static void packets_without_a_tunnel_pass_untouched(void **state)
{
	static const uint16_t types[] = {0x0806, 0x8100, 0x0000};
	struct rig *rig = rig_of(state);

	for (int i = 0; i < 4; i++) {
		struct way way = {.inner6 = i & 1};
		struct result result;
		struct frame frame;

		inner_build(&frame, &way, i & 2 ? IPPROTO_UDP : IPPROTO_TCP);
		result = run(rig, DECAP_INGRESS, &frame);
		assert_exit(&result, &frame, DECAP_NOT_A_TUNNEL, "a plain packet to a VIP");
	}
	for (size_t i = 0; i < ARRAY_SIZE(types); i++) {
		struct way way = way_of(0);
		struct tunnel_spec spec;
		struct result result;
		struct frame frame;

		way_build(&frame, &way, &spec);
		frame.bytes[12] = (uint8_t)(types[i] >> 8);
		frame.bytes[13] = (uint8_t)types[i];
		result = run(rig, DECAP_INGRESS, &frame);
		assert_exit(&result, &frame, DECAP_NOT_A_TUNNEL, "another EtherType");
	}
}

/* ---- what is dropped ---- */

static void what_lies_about_a_packet_to_a_vip_is_dropped(void **state)
{
	/* the inner packets have 140 (IPv4) and 160 bytes */
	static const struct change changes[] = {
		{"outer length too large", TUNNEL_IPIP, 0, 0, 0, 2, 1, DECAP_MALFORMED},
		{"outer length too large, IPv6", TUNNEL_IPIP, 1, 0, 0, 4, 1, DECAP_MALFORMED},
		{"outer length too small", TUNNEL_IPIP, 0, 0, 0, 3, 159, DECAP_MALFORMED},
		{"outer length too small, IPv6", TUNNEL_IPIP, 1, 1, 0, 5, 159, DECAP_MALFORMED},
		{"outer length 0", TUNNEL_IPIP, 0, 1, 0, 3, 0, DECAP_MALFORMED},
		{"outer length smaller than UDP's", TUNNEL_GUE1, 0, 0, 0, 3, 167, DECAP_MALFORMED},
		{"outer checksum", TUNNEL_IPIP, 0, 0, 0, 10, 0xab, DECAP_MALFORMED},
		{"outer checksum, GUE", TUNNEL_GUE1, 0, 1, 0, 10, 0xab, DECAP_MALFORMED},
		{"UDP length too large", TUNNEL_GUE1, 0, 0, 1, 4, 1, DECAP_MALFORMED},
		{"UDP length too small", TUNNEL_GUE1, 0, 0, 1, 5, 147, DECAP_MALFORMED},
		{"UDP length too small, variant 0", TUNNEL_GUE0, 1, 0, 1, 5, 151, DECAP_MALFORMED},
		{"UDP length 0", TUNNEL_GUE0, 1, 1, 1, 5, 0, DECAP_MALFORMED},
		{"UDP length 7", TUNNEL_GUE1, 1, 1, 1, 5, 7, DECAP_MALFORMED},
		{"inner length too large", TUNNEL_IPIP, 0, 0, 2, 3, 141, DECAP_MALFORMED},
		{"inner length too large, GUE", TUNNEL_GUE1, 1, 0, 2, 2, 0xff, DECAP_MALFORMED},
		{"inner length too large, IPv6", TUNNEL_IPIP, 1, 1, 2, 5, 121, DECAP_MALFORMED},
		{"inner length 19", TUNNEL_IPIP, 0, 0, 2, 3, 19, DECAP_MALFORMED},
		{"inner length 0", TUNNEL_GUE0, 0, 0, 2, 3, 0, DECAP_MALFORMED},
	};
	struct rig *rig = rig_of(state);

	for (size_t i = 0; i < ARRAY_SIZE(changes); i++)
		change_run(rig, &changes[i]);
}

static void udp_gro_that_knew_no_tunnel_is_dropped_by_name(void **state)
{
	struct rig *rig = rig_of(state);
	struct way way = {.kind = TUNNEL_GUE1};
	struct tunnel_spec spec;
	struct result result;
	struct frame frame;

	way_build(&frame, &way, &spec);
	memcpy(frame.bytes + frame.size, frame.bytes + 42, 140); /* the next packet's payload */
	frame.size += 140;
	tunnel_lengths_mend(&frame, &spec);
	result = run_sized(rig, DECAP_INGRESS, &frame, 140);
	assert_exit(&result, &frame, DECAP_MERGED, "two GUE packets in one");
}

/* ---- cuts and noise ---- */

/* Newer kernels refuse a test run of less than the IP header that the EtherType
 * names. */
static size_t size_least(bool is_ipv6)
{
	return ETHERNET_BYTES + (is_ipv6 ? 40 : 20);
}

/* The only verdicts that a packet to a VIP may get when some of it is missing. */
static void assert_not_taken(const struct result *result, const struct frame *in,
			     const struct way *way)
{
	switch (result->verdict) {
	case DECAP_NOT_A_TUNNEL:
	case DECAP_GUE_OTHER:
	case DECAP_BAD_INNER:
	case DECAP_MALFORMED: assert_exit(result, in, result->verdict, way->text); break;
	default:
		fail_msg("%s, cut to %zu bytes: counted %s", way->text, in->size,
			 name_of(result->verdict));
	}
}

static void a_packet_cut_at_any_byte_is_counted_and_never_taken(void **state)
{
	struct rig *rig = rig_of(state);

	for (int i = 0; i < WAYS; i++) {
		struct way way = way_of(i);
		struct tunnel_spec spec;
		struct frame whole;

		way_build(&whole, &way, &spec);
		for (size_t size = size_least(way.outer6); size < whole.size; size++) {
			size_t inner = tunnel_inner_offset(&spec) + (way.inner6 ? 40 : 20);
			struct frame cut = whole;
			struct result result;

			cut.size = size;
			result = run(rig, DECAP_INGRESS, &cut);
			assert_not_taken(&result, &cut, &way);
			/* as soon as the VIP can be read, it is ours to drop */
			assert_int_equal(result.verdict == DECAP_MALFORMED, size >= inner);
			tunnel_lengths_mend(&cut, &spec); /* now only the inner one is cut */
			result = run(rig, DECAP_INGRESS, &cut);
			assert_not_taken(&result, &cut, &way);
			assert_int_equal(result.verdict == DECAP_MALFORMED, size >= inner);
		}
	}
}

/* Whatever comes out is what was inside, from some header on: nothing is made up. */
static void assert_comes_from(const struct result *result, const struct frame *in)
{
	size_t bytes = result->out.size - ETHERNET_BYTES;

	assert_int_equal(result->action, TC_ACT_UNSPEC);
	assert_true(result->out.size < in->size);
	/* two bytes of header and the checksum may differ, by ECN */
	assert_memory_equal(result->out.bytes + ETHERNET_BYTES + 12,
			    in->bytes + in->size - bytes + 12, bytes - 12);
}

static void a_change_of_any_header_byte_never_makes_a_wrong_packet(void **state)
{
	static const uint8_t masks[] = {0x01, 0x02, 0x80, 0xff};
	struct rig *rig = rig_of(state);

	for (int i = 0; i < WAYS; i++) {
		struct way way = way_of(i);
		struct tunnel_spec spec;
		struct frame whole;
		size_t headers;

		way_build(&whole, &way, &spec);
		headers = tunnel_inner_offset(&spec) + 40;
		for (size_t at = 0; at < headers * ARRAY_SIZE(masks); at++) {
			struct frame frame = whole;
			struct result result;

			frame.bytes[at / ARRAY_SIZE(masks)] ^= masks[at % ARRAY_SIZE(masks)];
			tunnel_checksum_mend(&frame, ETHERNET_BYTES);
			result = run(rig, DECAP_INGRESS, &frame);
			if (result.verdict == DECAP_IPIP || result.verdict == DECAP_GUE)
				assert_comes_from(&result, &frame);
			else
				assert_exit(&result, &frame, result.verdict, way.text);
			assert_int_not_equal(result.verdict, DECAP_COUNT);
			assert_int_not_equal(result.verdict, DECAP_REFUSED);
		}
	}
}

/* ---- MSS ---- */

static void syn_build(struct frame *frame, bool is_ipv6, const char *src, uint8_t flags,
		      const uint8_t *options, size_t option_bytes)
{
	struct frame_spec spec = {
		.src = src	 ? src
		       : is_ipv6 ? "fd00:99::1"
				 : "10.99.0.1",
		.dst = is_ipv6 ? "fd00:1::2" : "10.1.0.2",
		.src_port = 8000,
		.dst_port = 40001,
		.proto = IPPROTO_TCP,
		.flags = flags,
	};

	frame_build_options(frame, &spec, options, option_bytes);
}

static uint32_t mss_at(const struct frame *frame, bool is_ipv6, size_t option)
{
	const uint8_t *mss = frame->bytes + ETHERNET_BYTES + (is_ipv6 ? 40 : 20) + 20 + option + 2;

	return (uint32_t)mss[0] << 8 | mss[1];
}

static void the_mss_of_a_vip_is_clamped_wherever_the_option_is(void **state)
{
	static const uint8_t flags[] = {FLAG_SYN | FLAG_ACK, FLAG_SYN};
	struct rig *rig = rig_of(state);

	for (size_t i = 0; i < 2 * 2 * 37; i++) {
		uint8_t options[40];
		bool is_ipv6 = i & 1;
		size_t at = i / 4;
		struct result result;
		struct frame frame, wanted;

		memset(options, 1, sizeof(options)); /* NOP */
		memcpy(options + at, (uint8_t[]){2, 4, 1460 >> 8, 1460 & 255}, 4);
		syn_build(&frame, is_ipv6, NULL, flags[i / 2 % 2], options, sizeof(options));
		result = run(rig, DECAP_EGRESS, &frame);
		if (result.verdict != DECAP_MSS_CLAMPED)
			fail_msg("MSS at %zu: counted %s", at, name_of(result.verdict));
		assert_int_equal(result.action, TC_ACT_UNSPEC);
		assert_int_equal(mss_at(&result.out, is_ipv6, at), is_ipv6 ? MSS6 : MSS4);
		assert_true(frame_tcp_checksum_is_right(&result.out));
		/* and nothing else has changed */
		options[at + 2] = (uint8_t)((is_ipv6 ? MSS6 : MSS4) >> 8);
		options[at + 3] = (uint8_t)((is_ipv6 ? MSS6 : MSS4) & 255);
		syn_build(&wanted, is_ipv6, NULL, flags[i / 2 % 2], options, sizeof(options));
		assert_true(frames_equal(&result.out, &wanted));
	}
}

struct mss_case {
	const char *what;
	const char *src; /* NULL: a VIP */
	uint8_t flags;
	uint8_t options[40];
	uint8_t option_bytes;
	int verdict;
};

static void an_mss_that_fits_and_other_packets_go_out_untouched(void **state)
{
	static const struct mss_case cases[] = {
		{"the largest", NULL, FLAG_SYN, {2, 4, MSS6 >> 8, MSS6 & 255}, 4, DECAP_MSS_FITS},
		{"a small one", NULL, FLAG_SYN, {2, 4, 0, 88}, 4, DECAP_MSS_FITS},
		{"none", NULL, FLAG_SYN, {0}, 0, DECAP_MSS_ABSENT},
		{"others only", NULL, FLAG_SYN, {1, 3, 3, 7, 4, 2, 1, 1}, 8, DECAP_MSS_ABSENT},
		{"behind the end", NULL, FLAG_SYN, {0, 0, 0, 0, 2, 4, 5, 180}, 8, DECAP_MSS_ABSENT},
		{"length 0", NULL, FLAG_SYN, {3, 0, 2, 4, 5, 180, 0, 0}, 8, DECAP_MSS_UNREADABLE},
		{"length 1", NULL, FLAG_SYN, {3, 1, 2, 4, 5, 180, 0, 0}, 8, DECAP_MSS_UNREADABLE},
		{"too long", NULL, FLAG_SYN, {8, 9, 0, 0, 0, 0, 0, 0}, 8, DECAP_MSS_UNREADABLE},
		{"no length", NULL, FLAG_SYN, {1, 1, 1, 8}, 4, DECAP_MSS_UNREADABLE},
		{"MSS cut", NULL, FLAG_SYN, {1, 2, 4, 5}, 4, DECAP_MSS_UNREADABLE},
		{"MSS of 3", NULL, FLAG_SYN, {2, 3, 5, 0}, 4, DECAP_MSS_UNREADABLE},
		{"MSS of 6", NULL, FLAG_SYN, {2, 6, 5, 180, 0, 0, 0, 0}, 8, DECAP_MSS_UNREADABLE},
		{"no SYN", NULL, FLAG_ACK, {2, 4, 5, 180}, 4, DECAP_NOT_A_SYN},
		{"a reset", NULL, FLAG_RST, {2, 4, 5, 180}, 4, DECAP_NOT_A_SYN},
		{"no VIP", "10.2.0.9", FLAG_SYN, {2, 4, 5, 180}, 4, DECAP_NOT_A_SYN},
	};
	struct rig *rig = rig_of(state);

	for (size_t i = 0; i < 2 * ARRAY_SIZE(cases); i++) {
		const struct mss_case *c = &cases[i / 2];
		struct result result;
		struct frame frame;

		if (c->src && i & 1)
			continue;
		syn_build(&frame, i & 1, c->src, c->flags, c->options, c->option_bytes);
		result = run(rig, DECAP_EGRESS, &frame);
		assert_exit(&result, &frame, c->verdict, c->what);
	}
}

static void a_syn_cut_at_any_byte_or_of_any_length_goes_out_untouched(void **state)
{
	static const uint8_t options[] = {1, 1, 4, 2, 8, 10, 0, 0,   0, 0,
					  0, 0, 0, 0, 2, 4,  5, 180, 1, 0};
	struct rig *rig = rig_of(state);

	for (int is_ipv6 = 0; is_ipv6 < 2; is_ipv6++) {
		size_t tcp = ETHERNET_BYTES + (is_ipv6 ? 40 : 20);
		struct frame whole;

		syn_build(&whole, is_ipv6, NULL, FLAG_SYN | FLAG_ACK, options, sizeof(options));
		for (size_t size = size_least(is_ipv6); size < whole.size; size++) {
			struct frame cut = whole;
			struct result result;

			cut.size = size;
			result = run(rig, DECAP_EGRESS, &cut);
			assert_exit(&result, &cut,
				    size < tcp + 20 ? DECAP_NOT_A_SYN : DECAP_MSS_UNREADABLE,
				    "a cut SYN-ACK");
		}
		for (int doff = 0; doff < 16; doff++) {
			struct frame frame = whole;
			struct result result;

			frame.bytes[tcp + 12] = (uint8_t)(doff << 4);
			result = run(rig, DECAP_EGRESS, &frame);
			if (doff < 5 || doff > 10)
				assert_exit(&result, &frame, DECAP_MSS_UNREADABLE, "doff");
			else
				assert_int_not_equal(result.verdict, DECAP_COUNT);
		}
	}
}

/* ---- the command ---- */

static void a_second_run_changes_the_vips_and_keeps_the_counters(void **state)
{
	struct rig *rig = rig_of(state);
	struct traffic before[DECAP_COUNT], after[DECAP_COUNT];
	struct way way = way_of(0);
	struct tunnel_spec spec;
	struct result result;
	struct frame frame;

	assert_int_equal(decap_counts_read(rig->counts_fd, before), 0);
	assert_true(before[DECAP_IPIP].packets > 0);
	vips_set(rig, "10.99.0.2", NULL);
	assert_int_equal(run_command(rig, "d0"), 0);
	rig_open(rig);
	assert_int_equal(decap_counts_read(rig->counts_fd, after), 0);
	assert_memory_equal(before, after, sizeof(before));
	way_build(&frame, &way, &spec);
	result = run(rig, DECAP_INGRESS, &frame);
	assert_exit(&result, &frame, DECAP_NOT_A_VIP, "a VIP that is no longer listed");

	vips_set(rig, "10.99.0.1", "fd00:99::1");
	rig->loader.decap.gue_port = 7000;
	rig->loader.decap.mss = 600;
	assert_int_equal(run_command(rig, "d0"), 0);
	rig_open(rig);
	way = way_of(4);
	way_build(&frame, &way, &spec);
	result = run(rig, DECAP_INGRESS, &frame);
	assert_exit(&result, &frame, DECAP_NOT_A_TUNNEL, "GUE to the old port");
	syn_build(&frame, false, NULL, FLAG_SYN, (uint8_t[]){2, 4, 5, 180}, 4);
	result = run(rig, DECAP_EGRESS, &frame);
	assert_int_equal(result.verdict, DECAP_MSS_CLAMPED);
	assert_int_equal(mss_at(&result.out, false, 0), 600);
	rig->loader.decap.gue_port = 6080;
	rig->loader.decap.mss = 0;
	assert_int_equal(run_command(rig, "d0"), 0);
	rig_open(rig);
}

static void an_address_that_came_later_is_taken_after_another_run(void **state)
{
	struct rig *rig = rig_of(state);
	struct way way = way_of(0);
	struct tunnel_spec spec = spec_of(&way);
	struct frame inner, frame;
	struct result result;

	spec.dst = "10.2.0.10";
	inner_build(&inner, &way, IPPROTO_TCP);
	tunnel_build(&frame, &spec, &inner);
	assert_int_equal(system("ip addr add 10.2.0.10/24 dev d0"), 0);
	result = run(rig, DECAP_INGRESS, &frame);
	assert_exit(&result, &frame, DECAP_NOT_LOCAL, "a new address");
	assert_int_equal(run_command(rig, "d0"), 0);
	rig_open(rig);
	result = run(rig, DECAP_INGRESS, &frame);
	assert_exit(&result, &inner, DECAP_IPIP, "the same after another run");
	assert_int_equal(system("ip addr del 10.2.0.10/24 dev d0"), 0);
}

static void what_would_lose_packets_is_said(void **state)
{
	struct rig *rig = rig_of(state);

	assert_int_equal(system("cd /proc/sys/net/ipv4/conf; echo 1 >d0/rp_filter;"
				"echo 0 >all/arp_ignore; echo 0 >d0/arp_ignore"),
			 0);
	vips_set(rig, "10.99.0.7", "fd00:99::7");
	assert_int_equal(run_command(rig, "d0"), 0);
	assert_true(logged(rig, "ip addr add 10.99.0.7/32 dev lo"));
	assert_true(logged(rig, "ip addr add fd00:99::7/128 dev lo"));
	assert_true(logged(rig, "rp_filter is 1"));
	assert_true(logged(rig, "answers ARP for the VIP"));

	assert_int_equal(system("cd /proc/sys/net/ipv4/conf; echo 2 >all/rp_filter;"
				"echo 1 >d0/arp_ignore; echo 2 >d0/arp_announce"),
			 0);
	vips_set(rig, "10.99.0.1", "fd00:99::1");
	assert_int_equal(run_command(rig, "d0"), 0);
	assert_false(logged(rig, "ip addr add"));
	assert_false(logged(rig, "rp_filter"));
	assert_false(logged(rig, "ARP"));
	assert_true(logged(rig, "an MSS of at most 1408 (IPv4) and 1388 (IPv6)"));
	rig_open(rig);
}

static void what_cannot_be_done_is_refused_in_a_sentence(void **state)
{
	struct rig *rig = rig_of(state);

	assert_int_equal(run_command(rig, "nodev"), -ENODEV);
	assert_true(logged(rig, "no such device"));
	rig->loader.decap.vip_count = 0;
	assert_int_equal(run_command(rig, "d0"), -EINVAL);
	assert_true(logged(rig, "--vip"));
	vips_set(rig, "10.99.0.1", "fd00:99::1");
	rig->loader.mode = ATTACH_GENERIC;
	assert_int_equal(run_command(rig, "d0"), -EINVAL);
	rig->loader.mode = ATTACH_AUTO;
	assert_int_equal(loader_decap(&rig->loader, 0, NULL), -EINVAL);
}

static void pins_of_other_namespaces_and_other_things_are_not_taken_for_ours(void **state)
{
	struct rig *rig = rig_of(state);
	struct decap_place place, other;
	char name[DECAP_PATH_MAX];

	decap_place_init(&place, "a_b.100");
	assert_null(strchr(strrchr(place.pins, '/'), '.'));
	assert_true(decap_place_parse(&other, strrchr(place.pins, '/') + 1));
	assert_string_equal(other.device, "a_b.100");
	assert_string_equal(other.pins, place.pins);
	snprintf(name, sizeof(name), "%s1", strrchr(rig->place.pins, '/') + 1);
	assert_false(decap_place_parse(&other, name));
	assert_false(decap_place_parse(&other, "decap_loading"));
	assert_false(decap_place_parse(&other, "decap_"));
	assert_false(decap_place_parse(&other, "decap"));
	assert_false(decap_place_parse(&other, "main"));
}

static void off_leaves_nothing(void **state)
{
	struct rig *rig = rig_of(state);

	for (int clsact = 0; clsact < 2; clsact++) {
		rig->loader.mode = clsact ? ATTACH_CLSACT : ATTACH_AUTO;
		assert_int_equal(run_command(rig, "d0"), 0);
		rig_open(rig);
		rig->loader.decap.off = true;
		assert_int_equal(run_command(rig, "d0"), 0);
		assert_int_equal(access(INSTANCE_BPFFS, F_OK), -1);
		assert_int_equal(system("tc qdisc show dev d0 | grep -q clsact"), 256);
		assert_int_equal(run_command(rig, "d0"), 0); /* twice does no harm */
		assert_true(logged(rig, "no decapsulation is loaded"));
		rig->loader.decap.off = false;
	}
}

/* Somebody else's clsact stays, and so do his filters. */
static void a_qdisc_that_was_there_stays(void **state)
{
	struct rig *rig = rig_of(state);

	assert_int_equal(system("tc qdisc add dev d0 clsact"), 0);
	rig->loader.mode = ATTACH_CLSACT;
	assert_int_equal(run_command(rig, "d0"), 0);
	rig->loader.decap.off = true;
	assert_int_equal(run_command(rig, "d0"), 0);
	rig->loader.decap.off = false;
	rig->loader.mode = ATTACH_AUTO;
	assert_int_equal(system("tc qdisc show dev d0 | grep -q clsact"), 0);
	assert_int_equal(system("tc filter show dev d0 ingress | grep -q decap"), 256);
	assert_int_equal(system("tc filter show dev d0 egress | grep -q decap"), 256);
	assert_int_equal(system("tc qdisc del dev d0 clsact"), 0);
}

static void a_device_that_was_made_anew_is_taken_again(void **state)
{
	struct rig *rig = rig_of(state);
	struct way way = way_of(0);
	struct tunnel_spec spec;
	struct frame inner, frame;
	struct result result;

	assert_int_equal(run_command(rig, "d0"), 0);
	assert_int_equal(system("ip link del d0; ip link add d0 type veth peer name d1;"
				"ip link set d0 up;"
				"ip addr add 10.2.0.9/24 dev d0"),
			 0);
	assert_int_equal(run_command(rig, "d0"), 0);
	rig_open(rig);
	inner_build(&inner, &way, IPPROTO_TCP);
	way_build(&frame, &way, &spec);
	result = run(rig, DECAP_INGRESS, &frame);
	assert_exit(&result, &inner, DECAP_IPIP, "at the new device");
	/* also when it is gone for good */
	assert_int_equal(system("ip link del d0"), 0);
	rig->loader.decap.off = true;
	assert_int_equal(run_command(rig, "d0"), 0);
	assert_int_equal(access(INSTANCE_BPFFS, F_OK), -1);
	rig->loader.decap.off = false;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_encapsulation_comes_off_and_leaves_the_inner_packet_whole),
		cmocka_unit_test(a_udp_checksum_is_not_looked_at),
		cmocka_unit_test(bytes_behind_the_outer_packet_do_no_harm),
		cmocka_unit_test(ecn_is_decapsulated_as_rfc_6040_has_it),
		cmocka_unit_test(what_is_not_ours_passes_untouched),
		cmocka_unit_test(packets_without_a_tunnel_pass_untouched),
		cmocka_unit_test(what_lies_about_a_packet_to_a_vip_is_dropped),
		cmocka_unit_test(udp_gro_that_knew_no_tunnel_is_dropped_by_name),
		cmocka_unit_test(a_packet_cut_at_any_byte_is_counted_and_never_taken),
		cmocka_unit_test(a_change_of_any_header_byte_never_makes_a_wrong_packet),
		cmocka_unit_test(the_mss_of_a_vip_is_clamped_wherever_the_option_is),
		cmocka_unit_test(an_mss_that_fits_and_other_packets_go_out_untouched),
		cmocka_unit_test(a_syn_cut_at_any_byte_or_of_any_length_goes_out_untouched),
		cmocka_unit_test(a_second_run_changes_the_vips_and_keeps_the_counters),
		cmocka_unit_test(an_address_that_came_later_is_taken_after_another_run),
		cmocka_unit_test(what_would_lose_packets_is_said),
		cmocka_unit_test(what_cannot_be_done_is_refused_in_a_sentence),
		cmocka_unit_test(pins_of_other_namespaces_and_other_things_are_not_taken_for_ours),
		cmocka_unit_test(off_leaves_nothing),
		cmocka_unit_test(a_qdisc_that_was_there_stays),
		cmocka_unit_test(a_device_that_was_made_anew_is_taken_again),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
