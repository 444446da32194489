// SPDX-License-Identifier: BSD-2-Clause
/* Spliced connections: records, rights and what is learnt, on real maps in a BPF file
 * system of this process' own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include <bpf/bpf.h>

#include "maps/access/maps.h"
#include "tests/harness/pinned_maps.h"
#include "userspace/base/address.h"
#include "userspace/base/cleanup.h"

static struct instance instance;
static bool privileged;

static int prepare(void **state)
{
	(void)state;
	privileged = pinned_maps_prepare();
	return instance_init(&instance, "unit-splices");
}

static struct maps *maps_of(enum maps_role role)
{
	struct maps *maps = NULL;

	assert_int_equal(maps_open(&instance, role, &maps), 0);
	return maps;
}

static struct maps *fresh_maps(void)
{
	if (!privileged)
		skip();
	assert_int_equal(pinned_maps_make(&instance, NULL), 0);
	return maps_of(MAPS_SPLICER);
}

static struct flow_key server_key(uint16_t gateway_port)
{
	struct flow_key key = {
		.src_port = htons(8000), .dst_port = htons(gateway_port), .proto = IPPROTO_TCP};

	assert_int_equal(address_parse("10.2.0.2", &key.src), 0);
	assert_int_equal(address_parse("10.2.0.1", &key.dst), 0);
	return key;
}

static struct splice server_splice(void)
{
	struct splice splice = {.id = 7,
				.src_port = htons(80),
				.dst_port = htons(4000),
				.scale = 7,
				.window_shift = -3};

	assert_int_equal(address_parse("10.99.0.1", &splice.src), 0);
	assert_int_equal(address_parse("10.1.0.2", &splice.dst), 0);
	return splice;
}

static void a_record_is_put_once_and_removed(void **state)
{
	_cleanup_(maps_closep) struct maps *maps = fresh_maps();
	struct flow_key key = server_key(40000);
	struct splice splice = server_splice(), got;

	(void)state;
	assert_int_equal(splices_lookup(maps, &key, &got), -ENOENT);
	assert_int_equal(splices_put(maps, &key, &splice), 0);
	assert_int_equal(splices_lookup(maps, &key, &got), 0);
	assert_memory_equal(&got, &splice, sizeof(got));
	splice.id = 8;
	assert_int_equal(splices_put(maps, &key, &splice), -EEXIST);
	assert_int_equal(splices_lookup(maps, &key, &got), 0);
	assert_int_equal(got.id, 7);
	assert_int_equal(splices_remove(maps, &key), 0);
	assert_int_equal(splices_remove(maps, &key), -ENOENT);
}

static void a_scale_that_tcp_does_not_know_is_refused(void **state)
{
	_cleanup_(maps_closep) struct maps *maps = fresh_maps();
	struct flow_key key = server_key(40000);
	struct splice splice = server_splice();

	(void)state;
	splice.scale = 15;
	assert_int_equal(splices_put(maps, &key, &splice), -EINVAL);
	splice.scale = 14;
	splice.window_shift = -15;
	assert_int_equal(splices_put(maps, &key, &splice), -EINVAL);
	splice.window_shift = 15;
	assert_int_equal(splices_put(maps, &key, &splice), -EINVAL);
	splice.window_shift = 14;
	assert_int_equal(splices_put(maps, &key, &splice), 0);
}

static void a_record_names_the_key_of_the_other_direction(void **state)
{
	const struct splice splice = server_splice();
	struct flow_key key = splice_peer_key(&splice);

	(void)state;
	assert_memory_equal(&key.src, &splice.dst, sizeof(key.src));
	assert_memory_equal(&key.dst, &splice.src, sizeof(key.dst));
	assert_int_equal(ntohs(key.src_port), 4000);
	assert_int_equal(ntohs(key.dst_port), 80);
	assert_int_equal(key.proto, IPPROTO_TCP);
}

static int count(void *ctx, const struct flow_key *key, const struct splice *splice)
{
	uint32_t *seen = ctx;

	assert_int_equal(splice->limit, ntohs(key->dst_port));
	(*seen)++;
	return 0;
}

static void a_walk_sees_every_record(void **state)
{
	_cleanup_(maps_closep) struct maps *maps = fresh_maps();
	uint32_t seen = 0;

	(void)state;
	for (uint16_t port = 40000; port < 40300; port++) {
		struct flow_key key = server_key(port);
		struct splice splice = server_splice();

		splice.limit = port;
		assert_int_equal(splices_put(maps, &key, &splice), 0);
	}
	assert_int_equal(splices_each(maps, count, &seen), 0);
	assert_int_equal(seen, 300);
}

/* Not a process that reads what clients send, above all. */
static void only_the_splicer_may_write(void **state)
{
	static const enum maps_role others[] = {MAPS_READ, MAPS_CONTROLLER, MAPS_WORKER,
						MAPS_OPERATOR, MAPS_LOADER};
	const struct splice_setup setup = {.is_on = 1, .port_low = 40000, .port_high = 44999};
	_cleanup_(maps_closep) struct maps *splicer = fresh_maps();
	struct flow_key key = server_key(40000);
	struct splice splice = server_splice();
	struct splice_setup got;

	(void)state;
	for (size_t i = 0; i < sizeof(others) / sizeof(*others); i++) {
		_cleanup_(maps_closep) struct maps *maps = maps_of(others[i]);

		assert_int_equal(splices_put(maps, &key, &splice), -EPERM);
		assert_int_equal(splices_remove(maps, &key), -EPERM);
		assert_int_equal(splice_learn_begin(maps, &key), -EPERM);
		assert_int_equal(splice_learn_end(maps, &key), -EPERM);
		assert_int_equal(splice_setup_put(maps, &setup), -EPERM);
		assert_int_equal(splice_setup_get(maps, &got), 0);
		assert_int_equal(got.is_on, 0);
	}
	assert_int_equal(splice_setup_put(splicer, &setup), 0);
	assert_int_equal(splice_setup_get(splicer, &got), 0);
	assert_memory_equal(&got, &setup, sizeof(got));
	/* and nothing but that */
	assert_int_equal(capture_put(splicer, &(struct capture){0}), -EPERM);
}

static void learn_put(const struct maps *maps, const struct flow_key *key,
		      const struct splice_learn *learn)
{
	assert_int_equal(bpf_map_update_elem(maps->fds[MAP_SPLICE_LEARNS], key, learn, BPF_ANY), 0);
}

static void only_a_segment_that_the_socket_received_counts(void **state)
{
	_cleanup_(maps_closep) struct maps *maps = fresh_maps();
	struct flow_key key = server_key(40000);
	struct splice_learn learn = {.segments = 1, .seen[0] = {.end = 1000, .tsval = 55}};
	uint32_t tsval = 0;

	(void)state;
	assert_int_equal(splice_learn_get(maps, &key, 0, &tsval), -ENOENT);
	assert_int_equal(splice_learn_begin(maps, &key), 0);
	assert_int_equal(splice_learn_get(maps, &key, 0, &tsval), -ENOENT); /* nothing came yet */
	learn_put(maps, &key, &learn);
	assert_int_equal(splice_learn_get(maps, &key, 999, &tsval), -ENOENT);
	assert_int_equal(splice_learn_get(maps, &key, 1000, &tsval), 0);
	assert_int_equal(tsval, 55);
	/* places never written, though their end would do */
	assert_int_equal(splice_learn_get(maps, &key, 0, &tsval), -ENOENT);
	assert_int_equal(splice_learn_begin(maps, &key), 0);
	assert_int_equal(splice_learn_get(maps, &key, 1000, &tsval), -ENOENT);
	assert_int_equal(splice_learn_end(maps, &key), 0);
	assert_int_equal(splice_learn_end(maps, &key), -ENOENT);
}

static void of_segments_that_end_alike_the_latest_counts(void **state)
{
	_cleanup_(maps_closep) struct maps *maps = fresh_maps();
	struct flow_key key = server_key(40000);
	struct splice_learn learn = {.segments = 6};
	uint32_t tsval = 0;

	(void)state;
	/* segments 2 to 5 are remembered, 4 and 5 in places 0 and 1 */
	for (uint32_t segment = 2; segment < 6; segment++)
		learn.seen[segment % SPLICE_LEARNT] = (struct splice_seen){1000, 100 + segment};
	learn_put(maps, &key, &learn);
	assert_int_equal(splice_learn_get(maps, &key, 1000, &tsval), 0);
	assert_int_equal(tsval, 105);
	/* a stranger's segments do not hide it */
	learn.seen[1].end = learn.seen[0].end = learn.seen[3].end = 77;
	learn_put(maps, &key, &learn);
	assert_int_equal(splice_learn_get(maps, &key, 1000, &tsval), 0);
	assert_int_equal(tsval, 102);
}

static void events_have_names_and_texts(void **state)
{
	(void)state;
	assert_string_equal(splice_event_name(SPLICE_EVENT_FIN), "fin");
	assert_string_equal(splice_event_text(SPLICE_EVENT_REUSED),
			    "a SYN came for a connection that has ended");
	assert_string_equal(splice_event_name(SPLICE_EVENT_COUNT), "invalid");
	assert_string_equal(splice_event_text(SPLICE_EVENT_COUNT), "no event of ours");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_record_is_put_once_and_removed),
		cmocka_unit_test(a_scale_that_tcp_does_not_know_is_refused),
		cmocka_unit_test(a_record_names_the_key_of_the_other_direction),
		cmocka_unit_test(a_walk_sees_every_record),
		cmocka_unit_test(only_the_splicer_may_write),
		cmocka_unit_test(only_a_segment_that_the_socket_received_counts),
		cmocka_unit_test(of_segments_that_end_alike_the_latest_counts),
		cmocka_unit_test(events_have_names_and_texts),
	};

	return cmocka_run_group_tests(tests, prepare, NULL);
}
