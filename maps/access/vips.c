// SPDX-License-Identifier: BSD-2-Clause
/* VIPs and the listeners of L7 ones. */
#include "maps/access/maps.h"

#include <errno.h>
#include <string.h>

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

static int vip_visit(void *ctx, const void *key, const void *value)
{
	const struct vips_walk *walk = ctx;

	if (((const struct vip *)value)->mode == VIP_MODE_ADDRESS)
		return 0;
	return walk->each(walk->ctx, key, value);
}

int vips_each(const struct maps *maps,
	      int (*each)(void *ctx, const struct vip_key *key, const struct vip *vip), void *ctx)
{
	struct vips_walk walk = {each, ctx};

	return walk_hash(maps->fds[MAP_VIPS], sizeof(struct vip_key), sizeof(struct vip),
			 2 * VIPS_MAX, vip_visit, &walk);
}

static bool vip_is_l4(const struct maps *maps, const struct vip_key *key)
{
	struct vip vip;

	return vips_lookup(maps, key, &vip) == 0 && vip.mode == VIP_MODE_L4;
}

static int vip_has_address(void *ctx, const struct vip_key *key, const struct vip *vip)
{
	const struct ip_addr *addr = ctx;

	return vip->mode == VIP_MODE_L4 && memcmp(&key->addr, addr, sizeof(*addr)) == 0;
}

/* The address of an L4 VIP has an entry of its own while any L4 VIP has it. */
static int address_entry_put(const struct maps *maps, const struct ip_addr *addr)
{
	const struct vip_key key = {.addr = *addr};
	const struct vip vip = {.id = VIP_ID_ANY, .pool = POOL_NONE, .mode = VIP_MODE_ADDRESS};

	return bpf_map_update_elem(maps->fds[MAP_VIPS], &key, &vip, BPF_ANY);
}

static int address_entry_mend(const struct maps *maps, const struct ip_addr *addr)
{
	const struct vip_key key = {.addr = *addr};
	struct ip_addr wanted = *addr;
	int err = vips_each(maps, vip_has_address, &wanted);

	if (err)
		return err < 0 ? err : 0; /* another VIP has it */
	err = bpf_map_delete_elem(maps->fds[MAP_VIPS], &key);
	return err == -ENOENT ? 0 : err;
}

int vips_put(const struct maps *maps, const struct vip_key *key, const struct vip *vip)
{
	bool was_l4 = vip_is_l4(maps, key);
	int err = bpf_map_update_elem(maps->fds[MAP_VIPS], key, vip, BPF_ANY);

	if (err)
		return err;
	if (vip->mode == VIP_MODE_L4)
		return address_entry_put(maps, &key->addr);
	return was_l4 ? address_entry_mend(maps, &key->addr) : 0;
}

int vips_remove(const struct maps *maps, const struct vip_key *key)
{
	bool was_l4 = vip_is_l4(maps, key);
	int err = bpf_map_delete_elem(maps->fds[MAP_VIPS], key);

	return err || !was_l4 ? err : address_entry_mend(maps, &key->addr);
}

int listeners_put(const struct maps *maps, uint32_t slot, int socket_fd)
{
	uint64_t value = (uint64_t)socket_fd;

	return bpf_map_update_elem(maps->fds[MAP_LISTENERS], &slot, &value, BPF_ANY);
}

int listeners_remove(const struct maps *maps, uint32_t slot)
{
	return bpf_map_delete_elem(maps->fds[MAP_LISTENERS], &slot);
}
