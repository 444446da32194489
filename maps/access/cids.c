// SPDX-License-Identifier: BSD-2-Clause
/* QUIC server ids: which endpoint of a pool each names. */
#include "maps/access/maps.h"

#include <bpf/bpf.h>

#include "maps/access/walk.h"

struct cids_walk {
	int (*each)(void *ctx, const struct cid_key *key, const struct cid *cid);
	void *ctx;
};

int cids_put(const struct maps *maps, const struct cid_key *key, const struct cid *cid)
{
	return bpf_map_update_elem(maps->fds[MAP_CIDS], key, cid, BPF_ANY);
}

int cids_remove(const struct maps *maps, const struct cid_key *key)
{
	return bpf_map_delete_elem(maps->fds[MAP_CIDS], key);
}

static int cid_visit(void *ctx, const void *key, const void *value)
{
	const struct cids_walk *walk = ctx;

	return walk->each(walk->ctx, key, value);
}

int cids_each(const struct maps *maps,
	      int (*each)(void *ctx, const struct cid_key *key, const struct cid *cid), void *ctx)
{
	struct cids_walk walk = {each, ctx};

	return walk_hash(maps->fds[MAP_CIDS], sizeof(struct cid_key), sizeof(struct cid), CIDS_MAX,
			 cid_visit, &walk);
}
