// SPDX-License-Identifier: BSD-2-Clause
#include "maps/cli/operator_cids.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "userspace/base/cleanup.h"
#include "userspace/base/log.h"

struct collector {
	uint32_t pool;
	struct server_ids ids;
	size_t room;
};

static int cid_collect(void *ctx, const struct cid_key *key, const struct cid *cid)
{
	struct collector *collector = ctx;
	struct server_ids *ids = &collector->ids;

	if (key->pool != collector->pool)
		return 0;
	if (ids->count == collector->room) {
		size_t room = collector->room ? 2 * collector->room : 16;
		struct server_id *all = reallocarray(ids->all, room, sizeof(*all));

		if (!all)
			return -ENOMEM;
		ids->all = all;
		collector->room = room;
	}
	ids->all[ids->count++] = (struct server_id){key->server_id, *cid};
	return 0;
}

void server_ids_deinit(struct server_ids *ids)
{
	free(ids->all);
	*ids = (struct server_ids){0};
}

int server_ids_read(const struct maps *maps, uint32_t pool, struct server_ids *ret_ids)
{
	struct collector collector = {.pool = pool};
	int err = cids_each(maps, cid_collect, &collector);

	if (err) {
		server_ids_deinit(&collector.ids);
		return log_error(err, "cids: cannot read the server ids of pool %u (%s)", pool,
				 strerror(-err));
	}
	*ret_ids = collector.ids;
	return 0;
}

static bool server_ids_have(const struct server_ids *ids, uint32_t id)
{
	for (size_t i = 0; i < ids->count; i++) {
		if (ids->all[i].id == id)
			return true;
	}
	return false;
}

static int server_id_remove(const struct maps *maps, uint32_t pool, uint32_t id)
{
	const struct cid_key key = {pool, id};
	int err = cids_remove(maps, &key);

	if (!err || err == -ENOENT)
		return 0;
	return log_error(err, "cids: cannot remove server id %u of pool %u (%s)", id, pool,
			 strerror(-err));
}

int server_ids_write(const struct maps *maps, uint32_t pool, const struct server_ids *wanted)
{
	_cleanup_(server_ids_deinit) struct server_ids there = {0};
	int err = server_ids_read(maps, pool, &there);

	for (size_t i = 0; !err && i < wanted->count; i++) {
		const struct cid_key key = {pool, wanted->all[i].id};

		err = cids_put(maps, &key, &wanted->all[i].cid);
		if (err)
			return log_error(err, "cids: cannot write server id %u of pool %u (%s)",
					 key.server_id, pool, strerror(-err));
	}
	for (size_t i = 0; !err && i < there.count; i++) {
		if (!server_ids_have(wanted, there.all[i].id))
			err = server_id_remove(maps, pool, there.all[i].id);
	}
	return err;
}
