// SPDX-License-Identifier: BSD-2-Clause
/* Elements of the decapsulation program's maps. */
#include "maps/access/decap_maps.h"

#include <errno.h>
#include <linux/bpf.h>
#include <stdlib.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "userspace/base/cleanup.h"

const char *decap_map_name(enum decap_map map)
{
	static const char *const names[DECAP_MAP_COUNT] = {
#define X(id, name) [id] = (name),
		DECAP_MAP_LIST(X)
#undef X
	};

	return names[map];
}

const char *decap_verdict_name(enum decap_verdict verdict)
{
	static const char *const names[DECAP_COUNT] = {
#define X(id, name, text, drop) [id] = (name),
		DECAP_LIST(X)
#undef X
	};

	return names[verdict];
}

const char *decap_verdict_text(enum decap_verdict verdict)
{
	static const char *const texts[DECAP_COUNT] = {
#define X(id, name, text, drop) [id] = (text),
		DECAP_LIST(X)
#undef X
	};

	return texts[verdict];
}

int decap_config_put(int config_fd, const struct decap_config *config)
{
	uint32_t zero = 0;

	return bpf_map_update_elem(config_fd, &zero, config, BPF_ANY);
}

/* Sizes are the kernel's: a map of another version must not be read into less. */
static bool map_has(int fd, uint32_t type, uint32_t value_bytes, uint32_t entries)
{
	struct bpf_map_info info = {0};
	uint32_t size = sizeof(info);

	return bpf_obj_get_info_by_fd(fd, &info, &size) == 0 && info.type == type &&
	       info.value_size == value_bytes && info.max_entries == entries;
}

int decap_config_read(int config_fd, struct decap_config *ret_config)
{
	struct decap_config config;
	uint32_t zero = 0;
	int err;

	if (!map_has(config_fd, BPF_MAP_TYPE_ARRAY, sizeof(config), 1)) {
		ret_config->version = 0;
		return -EPROTO;
	}
	err = bpf_map_lookup_elem(config_fd, &zero, &config);
	if (err)
		return err;
	if (config.version == 0)
		return -ENODATA;
	ret_config->version = config.version;
	if (config.version != DECAP_VERSION)
		return -EPROTO;
	*ret_config = config;
	return 0;
}

int decap_address_put(int addresses_fd, const struct ip_addr *addr)
{
	uint32_t one = 1;

	return bpf_map_update_elem(addresses_fd, addr, &one, BPF_ANY);
}

int decap_addresses_read(int addresses_fd, struct ip_addr ret_addrs[DECAP_LOCALS_MAX],
			 uint32_t *ret_count)
{
	struct ip_addr *last = NULL;
	uint32_t count = 0;
	int err = 0;

	/* nobody deletes from these maps, so the walk meets each key once */
	while (count < DECAP_LOCALS_MAX) {
		err = bpf_map_get_next_key(addresses_fd, last, &ret_addrs[count]);
		if (err)
			break;
		last = &ret_addrs[count++];
	}
	if (err && err != -ENOENT)
		return err;
	*ret_count = count;
	return 0;
}

bool decap_counts_fit(int counts_fd)
{
	return map_has(counts_fd, BPF_MAP_TYPE_PERCPU_ARRAY, sizeof(struct traffic), DECAP_COUNT);
}

int decap_counts_read(int counts_fd, struct traffic ret_counts[DECAP_COUNT])
{
	_cleanup_free_ struct traffic *values = NULL;
	int cpu_count = libbpf_num_possible_cpus();

	if (!decap_counts_fit(counts_fd))
		return -EPROTO;
	if (cpu_count < 0)
		return cpu_count;
	values = calloc((size_t)cpu_count, sizeof(*values));
	if (!values)
		return -ENOMEM;
	for (uint32_t verdict = 0; verdict < DECAP_COUNT; verdict++) {
		int err = bpf_map_lookup_elem(counts_fd, &verdict, values);

		if (err)
			return err;
		ret_counts[verdict] = (struct traffic){0};
		for (int cpu = 0; cpu < cpu_count; cpu++) {
			ret_counts[verdict].packets += values[cpu].packets;
			ret_counts[verdict].bytes += values[cpu].bytes;
		}
	}
	return 0;
}
