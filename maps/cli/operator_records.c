// SPDX-License-Identifier: BSD-2-Clause
/* `way` is stored last when an id is taken and first when it is given back, so a
 * reader that sees the id in use sees the new record. */
#include "maps/cli/operator_records.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "userspace/base/log.h"

#define NAME_PREFIX "operator/"

void endpoint_record_write(const struct maps *maps, uint32_t id, uint32_t pool,
			   const struct endpoint_spec *spec)
{
	struct endpoint *endpoint = &maps->endpoints[id];
	char address[ADDRESS_TEXT_MAX];

	endpoint->addr = spec->addr;
	endpoint->port = htons(spec->port);
	endpoint->owner = VIP_OWNER_OPERATOR;
	endpoint->cluster = CLUSTER_NONE;
	endpoint->pool = pool;
	endpoint->generation++; /* what was known of an earlier owner of the id is void */
	if (!endpoint->generation)
		endpoint->generation = 1;
	memset(endpoint->name, 0, sizeof(endpoint->name));
	memset(endpoint->zone, 0, sizeof(endpoint->zone));
	snprintf(endpoint->name, sizeof(endpoint->name), NAME_PREFIX "%s",
		 address_port_format(&spec->addr, spec->port, address));
	endpoint_record_set_way(maps, id, spec->way);
}

void endpoint_record_set_way(const struct maps *maps, uint32_t id, uint8_t way)
{
	__atomic_store_n(&maps->endpoints[id].way, way, __ATOMIC_RELEASE);
}

void endpoint_record_free(const struct maps *maps, uint32_t id)
{
	endpoint_record_set_way(maps, id, WAY_NONE);
	maps->endpoints[id].owner = VIP_OWNER_NONE;
	maps->endpoints[id].pool = POOL_NONE;
}

bool endpoint_record_is_ours(const struct maps *maps, uint32_t id, uint32_t pool)
{
	const struct endpoint *endpoint = &maps->endpoints[id];

	return endpoint->way != WAY_NONE && endpoint->owner == VIP_OWNER_OPERATOR &&
	       endpoint->pool == pool;
}

int endpoint_id_find(const struct maps *maps, uint32_t below, uint32_t *ret_id)
{
	for (uint32_t id = below; id-- > 0;) {
		if (maps->endpoints[id].way == WAY_NONE) {
			*ret_id = id;
			return 0;
		}
	}
	return log_error(-ENOSPC, "endpoints: all %d ids are in use", ENDPOINTS_MAX);
}

void pool_record_write(const struct maps *maps, uint32_t id, const char *name, size_t endpoints)
{
	struct pool *pool = &maps->pools[id];

	pool->owner = VIP_OWNER_OPERATOR;
	pool->endpoints = (uint32_t)endpoints;
	snprintf(pool->name, sizeof(pool->name), "%s", name);
}

void pool_record_free(const struct maps *maps, uint32_t id)
{
	memset(&maps->pools[id], 0, sizeof(maps->pools[id]));
}

int pool_id_find(const struct maps *maps, const char *name, uint32_t *ret_id)
{
	uint32_t free_id = POOL_NONE;

	for (uint32_t id = POOLS_MAX; id-- > 0;) {
		const struct pool *pool = &maps->pools[id];

		if (!strncmp(pool->name, name, sizeof(pool->name)))
			return log_error(-EEXIST,
					 "pool '%s': there is one already, id %u; choose "
					 "another name with --pool",
					 name, id);
		if (free_id == POOL_NONE && !pool->name[0])
			free_id = id;
	}
	if (free_id == POOL_NONE)
		return log_error(-ENOSPC, "pools: all %d ids are in use", POOLS_MAX);
	*ret_id = free_id;
	return 0;
}

static int vip_id_mark(void *ctx, const struct vip_key *key, const struct vip *vip)
{
	bool *used = ctx;

	(void)key;
	if (vip->id < VIPS_MAX)
		used[vip->id] = true;
	return 0;
}

int vip_id_find(const struct maps *maps, uint32_t *ret_id)
{
	bool used[VIPS_MAX] = {false};
	int err;

	err = vips_each(maps, vip_id_mark, used);
	if (err)
		return log_error(err, "vips: cannot walk the map (%s)", strerror(-err));
	for (uint32_t id = VIPS_MAX; id-- > 0;) {
		if (!used[id]) {
			*ret_id = id;
			return 0;
		}
	}
	return log_error(-ENOSPC, "vips: all %d ids are in use", VIPS_MAX);
}
