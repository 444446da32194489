// SPDX-License-Identifier: BSD-2-Clause
/* Rings: built aside as a new inner array, swapped in with one write.  Packets
 * in flight finish on the array they looked up.  Rows are read and written in
 * one batch: a large ring has 65537 of them. */
#include "maps/access/maps.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <bpf/bpf.h>

#include "userspace/base/cleanup.h"

/* The inner array of `pool`, opened for reading. */
static int inner_open(const struct maps *maps, uint32_t pool, int *ret_fd)
{
	LIBBPF_OPTS(bpf_get_fd_by_id_opts, options, .open_flags = BPF_F_RDONLY);
	uint32_t id;
	int err;

	err = bpf_map_lookup_elem(maps->fds[MAP_RINGS], &pool, &id);
	if (err)
		return err;
	err = bpf_map_get_fd_by_id_opts(id, &options);
	if (err < 0)
		return err;
	*ret_fd = err;
	return 0;
}

static int rows_write(int inner, const struct ring_slot *slots, uint32_t count)
{
	_cleanup_free_ uint32_t *rows = calloc(count, sizeof(*rows));

	if (!rows)
		return -ENOMEM;
	for (uint32_t row = 0; row < count; row++)
		rows[row] = row;
	return bpf_map_update_batch(inner, rows, slots, &count, NULL);
}

/* -EPROTO: fewer than there should be. */
static int rows_read(int inner, struct ring_slot *slots, uint32_t count)
{
	_cleanup_free_ uint32_t *rows = calloc(count, sizeof(*rows));
	uint32_t got = count, token = 0;
	int err;

	if (!rows)
		return -ENOMEM;
	err = bpf_map_lookup_batch(inner, NULL, &token, rows, slots, &got, NULL);
	if (err && err != -ENOENT) /* -ENOENT: these were all */
		return err;
	return got == count ? 0 : -EPROTO;
}

int rings_put(const struct maps *maps, uint32_t pool, const struct ring_slot *slots, uint32_t size)
{
	LIBBPF_OPTS(bpf_map_create_opts, options, .map_flags = BPF_F_INNER_MAP);
	_cleanup_close_ int inner = -1;
	int err;

	if (pool >= POOLS_MAX || size == 0 || slots[0].size != size)
		return -EINVAL;
	if (maps->ring_btf.fd < 0)
		return -EPERM;
	options.btf_fd = (uint32_t)maps->ring_btf.fd;
	options.btf_key_type_id = maps->ring_btf.key_type;
	options.btf_value_type_id = maps->ring_btf.value_type;
	inner = bpf_map_create(BPF_MAP_TYPE_ARRAY, "ring", sizeof(uint32_t),
			       sizeof(struct ring_slot), size + 1, &options);
	if (inner < 0)
		return inner;
	err = rows_write(inner, slots, size + 1);
	if (err)
		return err;
	return bpf_map_update_elem(maps->fds[MAP_RINGS], &pool, &inner, BPF_ANY);
}

int rings_remove(const struct maps *maps, uint32_t pool)
{
	return bpf_map_delete_elem(maps->fds[MAP_RINGS], &pool);
}

int rings_get(const struct maps *maps, uint32_t pool, struct ring_slot **ret_slots,
	      uint32_t *ret_size)
{
	_cleanup_free_ struct ring_slot *slots = NULL;
	_cleanup_close_ int inner = -1;
	struct bpf_map_info info = {0};
	uint32_t length = sizeof(info);
	int err;

	err = inner_open(maps, pool, &inner);
	if (err)
		return err;
	if (bpf_obj_get_info_by_fd(inner, &info, &length) < 0)
		return -errno;
	if (info.value_size != sizeof(*slots) || info.max_entries < 2 ||
	    info.max_entries > RING_SIZE_LARGE + 1)
		return -EPROTO;
	slots = calloc(info.max_entries, sizeof(*slots));
	if (!slots)
		return -ENOMEM;
	err = rows_read(inner, slots, info.max_entries);
	if (err)
		return err;
	if (slots[0].size != info.max_entries - 1)
		return -EPROTO;
	*ret_size = slots[0].size;
	*ret_slots = TAKE_PTR(slots);
	return 0;
}
