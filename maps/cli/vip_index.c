// SPDX-License-Identifier: BSD-2-Clause
#include "maps/cli/vip_index.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "userspace/base/cleanup.h"
#include "userspace/base/log.h"

struct vip_index {
	struct {
		struct vip_key key;
		struct vip vip;
	} entries[VIPS_MAX]; /* mode VIP_MODE_NONE: no such id */
};

struct vip_index *vip_index_new(void)
{
	return calloc(1, sizeof(struct vip_index));
}

void vip_index_free(struct vip_index *index)
{
	free(index);
}

void vip_index_put(struct vip_index *index, const struct vip_key *key, const struct vip *vip)
{
	if (vip->id >= VIPS_MAX)
		return;
	index->entries[vip->id].key = *key;
	index->entries[vip->id].vip = *vip;
}

static int entry_put(void *ctx, const struct vip_key *key, const struct vip *vip)
{
	vip_index_put(ctx, key, vip);
	return 0;
}

int vip_index_read(const struct maps *maps, struct vip_index **ret_index)
{
	_cleanup_(vip_index_freep) struct vip_index *index = vip_index_new();
	int err;

	if (!index)
		return log_error(-ENOMEM, "vips: out of memory");
	err = vips_each(maps, entry_put, index);
	if (err)
		return log_error(err, "vips: cannot walk the map (%s)", strerror(-err));
	*ret_index = TAKE_PTR(index);
	return 0;
}

const struct vip_key *vip_index_find(const struct vip_index *index, uint32_t id,
				     const struct vip **ret_vip)
{
	if (id >= VIPS_MAX || index->entries[id].vip.mode == VIP_MODE_NONE)
		return NULL;
	if (ret_vip)
		*ret_vip = &index->entries[id].vip;
	return &index->entries[id].key;
}

const char *vip_index_format(const struct vip_index *index, uint32_t id, char buffer[VIP_TEXT_MAX])
{
	const struct vip_key *key = vip_index_find(index, id, NULL);

	if (key)
		return vip_key_format(key, buffer);
	buffer[0] = '\0';
	if (id != VIP_ID_ANY)
		snprintf(buffer, VIP_TEXT_MAX, "#%u", id);
	return buffer;
}
