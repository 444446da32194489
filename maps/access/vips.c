// SPDX-License-Identifier: BSD-2-Clause
/* VIPs and the listeners of L7 ones. */
#include "maps/access/maps.h"

#include <bpf/bpf.h>

#include "maps/access/walk.h"

struct vips_walk {
	int (*each)(void *ctx, const struct vip_key *key, const struct vip *vip);
	void *ctx;
};

int vips_lookup(const struct maps *maps, const struct vip_key *key, struct vip *ret_vip)
{
	struct vip vip;
	int err = bpf_map_lookup_elem(maps->fds[MAP_VIPS], key, &vip);

	if (!err)
		*ret_vip = vip;
	return err;
}

int vips_put(const struct maps *maps, const struct vip_key *key, const struct vip *vip)
{
	return bpf_map_update_elem(maps->fds[MAP_VIPS], key, vip, BPF_ANY);
}

int vips_remove(const struct maps *maps, const struct vip_key *key)
{
	return bpf_map_delete_elem(maps->fds[MAP_VIPS], key);
}

static int vip_visit(void *ctx, const void *key, const void *value)
{
	const struct vips_walk *walk = ctx;

	return walk->each(walk->ctx, key, value);
}

int vips_each(const struct maps *maps,
	      int (*each)(void *ctx, const struct vip_key *key, const struct vip *vip), void *ctx)
{
	struct vips_walk walk = {each, ctx};

	return walk_hash(maps->fds[MAP_VIPS], sizeof(struct vip_key), sizeof(struct vip), VIPS_MAX,
			 vip_visit, &walk);
}

int listeners_put(const struct maps *maps, uint32_t slot, int socket_fd)
{
	uint64_t value = (uint64_t)socket_fd;

	return bpf_map_update_elem(maps->fds[MAP_LISTENERS], &slot, &value, BPF_ANY);
}
