// SPDX-License-Identifier: BSD-2-Clause
/* Opening pinned maps: real maps in a BPF file system of this process' own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include <bpf/bpf.h>

#include "maps/access/maps.h"
#include "tests/harness/pinned_maps.h"
#include "tests/harness/said.h"
#include "userspace/base/address.h"
#include "userspace/base/cleanup.h"
#include "userspace/base/log.h"

static struct instance instance;
static bool privileged;

static int prepare(void **state)
{
	(void)state;
	log_sink = said_keep;
	privileged = pinned_maps_prepare();
	return instance_init(&instance, "unit-maps-open");
}

static void maps_make(const struct pinned_maps_wrong *wrong)
{
	if (!privileged)
		skip();
	said[0] = '\0';
	assert_int_equal(pinned_maps_make(&instance, wrong), 0);
}

static void refused(const struct pinned_maps_wrong *wrong, int want_err, const char *const *words)
{
	struct maps *maps = NULL;

	maps_make(wrong);
	assert_int_equal(maps_open(&instance, MAPS_READ, &maps), want_err);
	assert_null(maps);
	for (; *words; words++) {
		if (!strstr(said, *words))
			fail_msg("'%s' is not in: %s", *words, said);
	}
}

#define WORDS(...) ((const char *const[]){__VA_ARGS__, NULL})

static void missing_maps_send_to_the_loader(void **state)
{
	(void)state;
	refused(&(struct pinned_maps_wrong){.id = MAP_CONTRACT, .missing = true}, -ENOENT,
		WORDS("unit-maps-open/contract", "'sluice-loader --instance unit-maps-open load'"));
	refused(&(struct pinned_maps_wrong){.id = MAP_EVENTS, .missing = true}, -ENOENT,
		WORDS("unit-maps-open/events", "sluice-loader"));
}

static void another_version_is_refused_with_both_versions(void **state)
{
	(void)state;
	refused(&(struct pinned_maps_wrong){.version = 4711}, -EPROTO,
		WORDS("unit-maps-open/contract", "version 4711", "version 4"));
}

static void another_version_is_named_even_if_the_contract_has_grown(void **state)
{
	(void)state;
	refused(&(struct pinned_maps_wrong){.id = MAP_CONTRACT,
					    .value_size_more = 16,
					    .version = 4712},
		-EPROTO, WORDS("version 4712", "version 4"));
}

static void a_contract_that_was_not_filled_is_refused(void **state)
{
	(void)state;
	refused(&(struct pinned_maps_wrong){.magic = 0xdeadbeef}, -EPROTO,
		WORDS("deadbeef", "contract", "load"));
}

static void another_value_size_is_refused_by_the_maps_name(void **state)
{
	(void)state;
	refused(&(struct pinned_maps_wrong){.id = MAP_HEALTH, .value_size_more = 8}, -EPROTO,
		WORDS("unit-maps-open/health", "value size is 32", "wants 24"));
}

static void another_number_of_entries_is_refused_by_the_maps_name(void **state)
{
	(void)state;
	refused(&(struct pinned_maps_wrong){.id = MAP_VIPS, .entries_more = 1}, -EPROTO,
		WORDS("unit-maps-open/vips", "entries is 8193", "wants 8192"));
}

static void a_map_without_btf_is_refused_by_name(void **state)
{
	(void)state;
	refused(&(struct pinned_maps_wrong){.id = MAP_NAT_FWD, .without_btf = true}, -EPROTO,
		WORDS("unit-maps-open/nat_fwd", "no BTF"));
}

static void opened_maps_show_what_another_role_wrote(void **state)
{
	_cleanup_(maps_closep) struct maps *controller = NULL, *reader = NULL;

	(void)state;
	maps_make(NULL);
	assert_int_equal(maps_open(&instance, MAPS_CONTROLLER, &controller), 0);
	assert_int_equal(maps_open(&instance, MAPS_READ, &reader), 0);
	assert_int_equal(reader->contract.endpoints_max, ENDPOINTS_MAX);
	assert_true(reader->cpu_count >= 1);
	controller->endpoints[ENDPOINTS_MAX - 1].generation = 7;
	controller->load[3].running = 11;
	assert_int_equal(reader->endpoints[ENDPOINTS_MAX - 1].generation, 7);
	assert_int_equal(reader->load[3].running, 11);
}

static void vips_are_put_walked_and_removed(void **state)
{
	_cleanup_(maps_closep) struct maps *maps = NULL, *reader = NULL;
	struct vip_key key = {.port = 0x5000, .proto = 6};
	struct vip vip = {.id = 9, .mode = VIP_MODE_L7}, got;

	(void)state;
	maps_make(NULL);
	assert_int_equal(maps_open(&instance, MAPS_CONTROLLER, &maps), 0);
	assert_int_equal(maps_open(&instance, MAPS_READ, &reader), 0);
	assert_int_equal(address_parse("10.99.0.1", &key.addr), 0);
	assert_int_equal(vips_lookup(maps, &key, &got), -ENOENT);
	assert_int_equal(vips_put(maps, &key, &vip), 0);
	assert_int_equal(vips_lookup(reader, &key, &got), 0);
	assert_memory_equal(&vip, &got, sizeof(vip));
	assert_int_equal(vips_remove(reader, &key), -EPERM); /* not this role's to write */
	assert_int_equal(vips_remove(maps, &key), 0);
	assert_int_equal(vips_remove(maps, &key), -ENOENT);
}

static int vip_count(void *ctx, const struct vip_key *key, const struct vip *vip)
{
	char *seen = ctx;

	(void)key;
	seen[vip->id]++;
	return 0;
}

static void a_walk_sees_every_vip_of_a_full_map_once(void **state)
{
	_cleanup_(maps_closep) struct maps *maps = NULL;
	static char seen[VIPS_MAX];
	struct vip_key key = {.proto = 17};
	struct vip vip = {0};

	(void)state;
	maps_make(NULL);
	assert_int_equal(maps_open(&instance, MAPS_CONTROLLER, &maps), 0);
	assert_int_equal(vips_each(maps, vip_count, seen), 0); /* empty */
	for (vip.id = 0; vip.id < VIPS_MAX; vip.id++) {
		key.addr.words[3] = vip.id;
		assert_int_equal(vips_put(maps, &key, &vip), 0);
	}
	vip.mode = VIP_MODE_L4; /* these have addresses too, which are not told */
	vip.id = 0;
	key.addr.words[3] = 0;
	assert_int_equal(vips_put(maps, &key, &vip), 0);
	assert_int_equal(vips_each(maps, vip_count, seen), 0);
	for (int id = 0; id < VIPS_MAX; id++)
		assert_int_equal(seen[id], 1);
}

static void rings_of_other_sizes_replace_each_other(void **state)
{
	_cleanup_(maps_closep) struct maps *maps = NULL;
	static const uint32_t sizes[] = {5, RING_SIZE_SMALL, 3};
	static struct ring_slot slots[RING_SIZE_SMALL + 1];

	(void)state;
	maps_make(NULL);
	assert_int_equal(maps_open(&instance, MAPS_OPERATOR, &maps), 0);
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		_cleanup_free_ struct ring_slot *got = NULL;
		uint32_t size;

		slots[0] = (struct ring_slot){.size = sizes[i], .swapped_at = (uint32_t)i};
		for (uint32_t row = 1; row <= sizes[i]; row++)
			slots[row] = (struct ring_slot){.endpoint = row + (uint32_t)i,
							.previous = ENDPOINT_NONE};
		assert_int_equal(rings_put(maps, 12, slots, sizes[i]), 0);
		assert_int_equal(rings_get(maps, 12, &got, &size), 0);
		assert_int_equal(size, sizes[i]);
		assert_memory_equal(got, slots, (size + 1) * sizeof(*got));
	}
	assert_int_equal(rings_remove(maps, 12), 0);
	assert_int_equal(rings_get(maps, 12, &(struct ring_slot *){NULL}, &(uint32_t){0}), -ENOENT);
	assert_int_equal(rings_put(maps, POOLS_MAX, slots, 3), -EINVAL);
	assert_int_equal(rings_put(maps, 0, slots, 4), -EINVAL); /* header says 3 */
}

static void per_cpu_counters_are_summed(void **state)
{
	_cleanup_(maps_closep) struct maps *maps = NULL;
	_cleanup_free_ struct traffic *values = NULL;
	struct traffic got[VERDICT_COUNT];
	uint32_t verdict = VERDICT_FORWARDED;
	char path[256];
	_cleanup_close_ int fd = -1;

	(void)state;
	maps_make(NULL);
	assert_int_equal(maps_open(&instance, MAPS_READ, &maps), 0);
	values = calloc((size_t)maps->cpu_count, sizeof(*values));
	assert_non_null(values);
	for (int cpu = 0; cpu < maps->cpu_count; cpu++)
		values[cpu] = (struct traffic){.packets = 10, .bytes = 100};
	snprintf(path, sizeof(path), "%s/verdicts", instance.pin_dir);
	fd = bpf_obj_get(path);
	assert_int_equal(bpf_map_update_elem(fd, &verdict, values, BPF_ANY), 0);
	assert_int_equal(verdicts_read(maps, got), 0);
	assert_int_equal(got[VERDICT_FORWARDED].packets, 10 * maps->cpu_count);
	assert_int_equal(got[VERDICT_FORWARDED].bytes, 100 * maps->cpu_count);
	assert_int_equal(got[VERDICT_RETURNED].packets, 0);
	assert_int_equal(vip_stats_read(maps, VIPS_MAX, &got[0]), -ENOENT);
	assert_int_equal(ep_stats_read(maps, 0, &got[0]), 0);
	assert_int_equal(passive_read(maps, 0, &(struct passive){0}), 0);
}

static void a_listening_socket_goes_into_its_slot(void **state)
{
	_cleanup_(maps_closep) struct maps *maps = NULL;
	_cleanup_close_ int fd = -1;

	(void)state;
	maps_make(NULL);
	assert_int_equal(maps_open(&instance, MAPS_WORKER, &maps), 0);
	fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(listen(fd, 1), 0);
	assert_int_equal(listeners_put(maps, LISTENER_IPV4, fd), 0);
	assert_int_equal(listeners_put(maps, LISTENERS_MAX, fd), -E2BIG);
	assert_int_equal(listeners_remove(maps, LISTENER_IPV4), 0);
	assert_int_equal(listeners_remove(maps, LISTENER_IPV4), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(missing_maps_send_to_the_loader),
		cmocka_unit_test(another_version_is_refused_with_both_versions),
		cmocka_unit_test(another_version_is_named_even_if_the_contract_has_grown),
		cmocka_unit_test(a_contract_that_was_not_filled_is_refused),
		cmocka_unit_test(another_value_size_is_refused_by_the_maps_name),
		cmocka_unit_test(another_number_of_entries_is_refused_by_the_maps_name),
		cmocka_unit_test(a_map_without_btf_is_refused_by_name),
		cmocka_unit_test(opened_maps_show_what_another_role_wrote),
		cmocka_unit_test(vips_are_put_walked_and_removed),
		cmocka_unit_test(a_walk_sees_every_vip_of_a_full_map_once),
		cmocka_unit_test(rings_of_other_sizes_replace_each_other),
		cmocka_unit_test(per_cpu_counters_are_summed),
		cmocka_unit_test(a_listening_socket_goes_into_its_slot),
	};

	return cmocka_run_group_tests(tests, prepare, NULL);
}
