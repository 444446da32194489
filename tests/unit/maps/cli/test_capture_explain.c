// SPDX-License-Identifier: BSD-2-Clause
/* capture and explain from the command line, over real maps in a BPF file system of
 * this process' own, with stub programs in the place of the data path's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <bpf/bpf.h>

#include "maps/access/maps.h"
#include "maps/cli/command.h"
#include "maps/cli/vip_spec.h"
#include "tests/harness/pinned_maps.h"
#include "tests/harness/stub_program.h"
#include "userspace/base/address.h"
#include "userspace/base/cleanup.h"
#include "userspace/base/clock.h"
#include "userspace/base/log.h"

#define NAME "unit-capture"
#define STEP_NS (5 * NS_PER_MS)
#define EVENT_STRANGE 216 /* bytes of a record that another build writes */

static struct instance instance;
static bool privileged;
static struct maps *maps; /* as the controller */
static char messages[4096]; /* of the last command */
static char *output;
static size_t output_length;
static char programs[INSTANCE_PATH_MAX + 16];

static void message_keep(enum log_level level, const char *text)
{
	(void)level;
	strncat(messages, text, sizeof(messages) - strlen(messages) - 2);
	strcat(messages, "\n");
}

static int prepare(void **state)
{
	(void)state;
	log_sink = message_keep;
	privileged = pinned_maps_prepare();
	if (instance_init(&instance, NAME))
		return -1;
	snprintf(programs, sizeof(programs), "%s/programs", instance.pin_dir);
	return 0;
}

static int fresh(void **state)
{
	struct vip_key key;
	const struct vip vip = {.id = 7, .mode = VIP_MODE_L4, .owner = VIP_OWNER_CONTROLLER};

	(void)state;
	if (!privileged)
		return 0;
	if (pinned_maps_make(&instance, NULL) || maps_open(&instance, MAPS_CONTROLLER, &maps) ||
	    (mkdir(programs, 0750) < 0 && errno != EEXIST) ||
	    vip_key_parse("10.99.0.20:8000/tcp", &key))
		return -1;
	return vips_put(maps, &key, &vip);
}

static int leave(void **state)
{
	char pin[INSTANCE_PATH_MAX + 32];

	(void)state;
	snprintf(pin, sizeof(pin), "%s/xdp_ingress", programs);
	unlink(pin);
	maps_close(maps);
	maps = NULL;
	free(output);
	output = NULL;
	return 0;
}

static int run_words(const char *line)
{
	char copy[1024], *argv[48];
	int argc = 0, code;
	FILE *out;

	if (!privileged)
		skip();
	snprintf(copy, sizeof(copy), "sluicectl --instance " NAME " %s", line);
	for (char *word = strtok(copy, " "); word; word = strtok(NULL, " "))
		argv[argc++] = word;
	argv[argc] = NULL;
	free(output);
	messages[0] = '\0';
	out = open_memstream(&output, &output_length);
	assert_non_null(out);
	code = command_line_run(argc, argv, out);
	fclose(out);
	return code;
}

static void says(const char *where, const char *words)
{
	if (!strstr(where, words))
		fail_msg("'%s' is not in:\n%s", words, where);
}

static void refused(const char *line, int code, const char *words)
{
	assert_int_equal(run_words(line), code);
	says(messages, words);
}

/* ---- who reports while a capture runs ---- */

struct reporter {
	uint32_t size; /* of a record */
	unsigned lost; /* what the programs say to have lost */
	int signal; /* to this process, behind the records; 0: none */
	bool is_unloading;
	/* what the capture asked for */
	struct capture asked;
	uint64_t asked_at; /* CLOCK_MONOTONIC_COARSE */
	bool has_asked;
	int err;
};

static struct event event_make(uint8_t verdict, uint32_t vip, uint16_t port)
{
	struct event event = {.at = clock_monotonic_ns(),
			      .src_port = htons(port),
			      .dst_port = htons(8000),
			      .proto = IPPROTO_TCP,
			      .verdict = verdict,
			      .tcp_flags = 2,
			      .endpoint = ENDPOINT_NONE,
			      .ifindex = 1,
			      .vip = vip,
			      .frame_bytes = 74,
			      .snap_bytes = 60,
			      .interval = 1};

	address_parse("10.1.0.2", &event.src);
	address_parse("10.99.0.20", &event.dst);
	memset(event.snap, 0xab, sizeof(event.snap));
	return event;
}

/* Opened by its pin: a capture's own descriptors are not ours. */
static int map_open(const char *name)
{
	char path[INSTANCE_PATH_MAX + 32];

	snprintf(path, sizeof(path), "%s/%s", instance.pin_dir, name);
	return bpf_obj_get(path);
}

static bool asked_read(int fd, struct capture *ret_asked)
{
	const uint32_t zero = 0;

	return bpf_map_lookup_elem(fd, &zero, ret_asked) == 0 && ret_asked->interval;
}

static int records_write(int events_fd, uint32_t size)
{
	static const uint8_t verdicts[] = {VERDICT_FORWARDED, VERDICT_RETURNED, VERDICT_NO_FLOW};
	_cleanup_close_ int program = stub_reporter_load(events_fd, size);
	int err = program < 0 ? program : 0;

	for (uint16_t i = 0; !err && i < 6; i++) {
		uint8_t record[256] = {0};
		const struct event event =
			event_make(verdicts[i % 3], i < 3 ? 7 : 8, (uint16_t)(40000 + i));

		memcpy(record, &event, sizeof(event));
		err = stub_reporter_run(program, record, size);
	}
	return err;
}

/* Waits for a capture, then is the data path: six records. */
static void *reporter_run(void *ctx)
{
	const struct timespec step = {0, STEP_NS};
	struct reporter *reporter = ctx;
	_cleanup_close_ int capture = map_open("capture"), events = map_open("events");
	const uint32_t zero = 0;

	for (int i = 0; i < 1000 && !reporter->has_asked; i++) {
		reporter->has_asked = asked_read(capture, &reporter->asked);
		nanosleep(&step, NULL);
	}
	reporter->asked_at = clock_read_ns(CLOCK_MONOTONIC_COARSE);
	if (reporter->lost) {
		struct capture value = reporter->asked;

		value.lost = reporter->lost;
		bpf_map_update_elem(capture, &zero, &value, BPF_ANY);
	}
	reporter->err = records_write(events, reporter->size);
	if (reporter->is_unloading)
		rmdir(programs);
	if (reporter->signal)
		kill(getpid(), reporter->signal);
	return NULL;
}

static int run_with(struct reporter *reporter, const char *line)
{
	pthread_t thread;
	sigset_t all, before;
	int code;

	if (!privileged)
		skip();
	/* signals are for the thread that captures */
	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, &before);
	assert_int_equal(pthread_create(&thread, NULL, reporter_run, reporter), 0);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	code = run_words(line);
	pthread_join(thread, NULL);
	assert_true(reporter->has_asked);
	assert_int_equal(reporter->err, 0);
	return code;
}

static size_t lines_count(void)
{
	size_t count = 0;

	for (const char *p = output; *p; p++)
		count += *p == '\n';
	return count;
}

static void nothing_is_asked_for_now(void)
{
	struct capture asked;

	assert_int_equal(capture_get(maps, &asked), 0);
	assert_int_equal(asked.interval, 0);
	assert_int_equal(asked.until, 0);
}

/* ---- capture ---- */

static void records_are_printed_and_the_map_is_cleared(void **state)
{
	struct reporter reporter = {.size = sizeof(struct event)};

	(void)state;
	assert_int_equal(run_with(&reporter, "capture --count 6"), 0);
	assert_int_equal(lines_count(), 6);
	says(output, " forwarded tcp syn 10.1.0.2:40000 > 10.99.0.20:8000, vip "
		     "10.99.0.20:8000/tcp, 74 bytes by if1\n");
	says(output, " no_flow tcp syn 10.1.0.2:40005 > 10.99.0.20:8000, vip #8, 74 bytes");
	says(messages, "6 records, which stand for 6 packets");
	assert_null(strstr(messages, "lost"));
	nothing_is_asked_for_now();
}

static void the_filter_is_what_was_asked_for(void **state)
{
	struct reporter reporter = {.size = sizeof(struct event)};

	(void)state;
	assert_int_equal(run_with(&reporter, "capture --vip 10.99.0.20:8000/tcp --verdict "
					     "returned --verdict no_flow --interval 5 --count 2 "
					     "--json"),
			 0);
	assert_int_equal(reporter.asked.interval, 5);
	assert_int_equal(reporter.asked.vip, 7);
	assert_true(reporter.asked.verdicts ==
		    (1ull << VERDICT_RETURNED | 1ull << VERDICT_NO_FLOW));
	/* an earlier capture's records, still on their way, are not shown */
	assert_int_equal(lines_count(), 2);
	says(output, "\"verdict\":\"returned\"");
	says(output, "\"verdict\":\"no_flow\"");
}

static void a_capture_ends_soon_after_its_reader_died(void **state)
{
	struct reporter reporter = {.size = sizeof(struct event)};

	(void)state;
	assert_int_equal(run_with(&reporter, "capture --count 1"), 0);
	assert_true(reporter.asked.until <= reporter.asked_at + 3 * NS_PER_S);
	assert_true(reporter.asked.until > reporter.asked_at + NS_PER_S);
}

static void what_an_earlier_capture_left_is_thrown_away(void **state)
{
	struct reporter reporter = {.size = sizeof(struct event)};
	_cleanup_close_ int events = -1;

	(void)state;
	if (!privileged)
		skip();
	events = map_open("events");
	assert_int_equal(records_write(events, sizeof(struct event)), 0);
	assert_int_equal(run_with(&reporter, "capture --seconds 1"), 0);
	assert_int_equal(lines_count(), 6);
}

static void a_signal_ends_it_and_what_was_reported_is_shown(void **state)
{
	struct reporter reporter = {.size = sizeof(struct event), .signal = SIGTERM};

	(void)state;
	assert_int_equal(run_with(&reporter, "capture"), 0);
	assert_int_equal(lines_count(), 6);
	nothing_is_asked_for_now();
}

static void an_unloaded_gateway_ends_it(void **state)
{
	struct reporter reporter = {.size = sizeof(struct event), .is_unloading = true};

	(void)state;
	assert_int_equal(run_with(&reporter, "capture"), 1);
	says(messages, "was unloaded; the capture ends");
}

static void lost_records_are_counted_and_said(void **state)
{
	struct reporter reporter = {.size = sizeof(struct event), .lost = 12, .signal = SIGINT};

	(void)state;
	assert_int_equal(run_with(&reporter, "capture"), 0);
	says(messages, "12 more records were lost, as the ring buffer was full");
}

static void records_of_another_size_are_refused(void **state)
{
	struct reporter reporter = {.size = EVENT_STRANGE};

	(void)state;
	assert_int_equal(run_with(&reporter, "capture"), 1);
	says(messages, "a record of 216 bytes, this sluicectl knows 200");
	nothing_is_asked_for_now();
}

static void a_file_holds_one_interface_and_every_packet(void **state)
{
	struct reporter reporter = {.size = sizeof(struct event)};
	static const uint32_t types[] = {0x0a0d0d0a, 1, 6, 6, 6};
	size_t at = 0;

	(void)state;
	assert_int_equal(
		run_with(&reporter, "capture --pcap - --vip 10.99.0.20:8000/tcp --count 3"), 0);
	for (size_t i = 0; i < ARRAY_SIZE(types); i++) {
		uint32_t head[2];

		assert_true(at + sizeof(head) <= output_length);
		memcpy(head, output + at, sizeof(head));
		assert_int_equal(head[0], types[i]);
		at += head[1];
	}
	assert_int_equal(at, output_length);
}

static void one_capture_at_a_time(void **state)
{
	_cleanup_close_ int lock = -1;

	(void)state;
	if (!privileged)
		skip();
	lock = open(programs, O_RDONLY | O_DIRECTORY);
	assert_true(lock >= 0);
	assert_int_equal(flock(lock, LOCK_EX), 0);
	refused("capture --count 1", 1, "another sluicectl captures");
}

static void senseless_captures_are_refused(void **state)
{
	(void)state;
	refused("capture --verdict happy", 2, "--verdict happy: no such verdict");
	refused("capture --vip 10.99.0.21:1/tcp", 1, "--vip 10.99.0.21:1/tcp: no such VIP");
	refused("capture --vip nonsense", 1, "'nonsense': not a VIP");
	refused("capture --json --pcap -", 1, "--json and --pcap: choose one");
	refused("capture --interval 0", 2, "--interval 0: wants a whole number from 1");
	refused("capture --pcap /nowhere/file --count 1", 1, "/nowhere/file: cannot write there");
	nothing_is_asked_for_now();
}

/* ---- explain ---- */

static void program_pin(const struct explain *answer, uint32_t action)
{
	_cleanup_close_ int fd = -1;
	char pin[INSTANCE_PATH_MAX + 32];

	if (!privileged)
		skip();
	fd = stub_explainer_load(answer, action);
	assert_true(fd >= 0);
	snprintf(pin, sizeof(pin), "%s/xdp_ingress", programs);
	assert_int_equal(bpf_obj_pin(fd, pin), 0);
}

#define ASK "explain --src 10.1.0.2:40000 --dst 10.99.0.20:8000"

static void the_programs_answer_is_told(void **state)
{
	const struct explain answer = {.magic = EXPLAIN_MAGIC,
				       .vip = 7,
				       .endpoint = ENDPOINT_NONE,
				       .nexthop = NEXTHOP_NONE,
				       .verdict = VERDICT_NO_RING,
				       .pad = 1};

	(void)state;
	program_pin(&answer, XDP_DROP);
	assert_int_equal(run_words(ASK " --ifname lo"), 0);
	says(output, "verdict   no_ring: the VIP's pool has no ring; dropped\n");
	says(output, "vip       10.99.0.20:8000/tcp, L4,");
	says(output, "arriving by lo (ifindex 1, nothing of ours attached)");
	assert_int_equal(run_words(ASK " --ifname lo --json"), 0);
	says(output, "\"verdict\":\"no_ring\"");
}

static void an_older_program_is_not_taken_for_an_answer(void **state)
{
	(void)state;
	program_pin(NULL, XDP_PASS);
	refused(ASK " --ifname lo", 1, "older build");
	says(messages, "'sluice-loader upgrade'");
}

static void a_newer_programs_answer_is_refused(void **state)
{
	const struct explain answer = {.magic = EXPLAIN_MAGIC, .verdict = VERDICT_COUNT, .pad = 1};

	(void)state;
	program_pin(&answer, XDP_PASS);
	refused(ASK " --ifname lo", 1, "not one that this sluicectl knows");
}

static void a_device_must_be_there(void **state)
{
	(void)state;
	program_pin(NULL, XDP_PASS);
	refused(ASK, 1, "no program is attached anywhere");
	refused(ASK " --ifname nosuch0", 1, "nosuch0: no such device");
	refused(ASK " --ifname a-name-that-no-device-can-have", 1, "no such device");
}

static void without_a_program_nothing_is_explained(void **state)
{
	(void)state;
	refused(ASK " --ifname lo", 1, "xdp_ingress: cannot open the program");
	refused("explain --dst 10.99.0.20:8000", 1, "--src and --dst are needed");
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, fresh, leave)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(records_are_printed_and_the_map_is_cleared),
		CASE(the_filter_is_what_was_asked_for),
		CASE(a_capture_ends_soon_after_its_reader_died),
		CASE(what_an_earlier_capture_left_is_thrown_away),
		CASE(a_signal_ends_it_and_what_was_reported_is_shown),
		CASE(an_unloaded_gateway_ends_it),
		CASE(lost_records_are_counted_and_said),
		CASE(records_of_another_size_are_refused),
		CASE(a_file_holds_one_interface_and_every_packet),
		CASE(one_capture_at_a_time),
		CASE(senseless_captures_are_refused),
		CASE(the_programs_answer_is_told),
		CASE(an_older_program_is_not_taken_for_an_answer),
		CASE(a_newer_programs_answer_is_refused),
		CASE(a_device_must_be_there),
		CASE(without_a_program_nothing_is_explained),
	};

	return cmocka_run_group_tests(tests, prepare, NULL);
}
