// SPDX-License-Identifier: BSD-2-Clause
/* Whole walks over hash maps by BPF_MAP_LOOKUP_BATCH.  bpf_map_get_next_key()
 * starts over when the key it was given has gone, so it may never end on a busy
 * table; a batch goes by buckets and always ends. */
#include "maps/access/walk.h"

#include <errno.h>
#include <stdlib.h>

#include <bpf/bpf.h>

#include "userspace/base/cleanup.h"

#define BATCH_FIRST 1024u

struct batch {
	char *keys;
	char *values;
	uint32_t room;
};

static void batch_free(struct batch *batch)
{
	free(batch->keys);
	free(batch->values);
}

static int batch_grow(struct batch *batch, uint32_t room, size_t key_size, size_t value_size)
{
	struct batch bigger = {
		.keys = calloc(room, key_size), .values = calloc(room, value_size), .room = room};

	if (!bigger.keys || !bigger.values) {
		batch_free(&bigger);
		return -ENOMEM;
	}
	batch_free(batch);
	*batch = bigger;
	return 0;
}

int walk_hash_part(int fd, size_t key_size, size_t value_size, uint32_t entries_max,
		   struct walk_position *position, uint32_t entries,
		   int (*each)(void *ctx, const void *key, const void *value), void *ctx)
{
	_cleanup_(batch_free) struct batch batch = {0};
	uint32_t next = 0, seen = 0;
	int err, said;

	err = batch_grow(&batch, BATCH_FIRST, key_size, value_size);
	while (!err && !position->done && seen < entries) {
		uint32_t count = batch.room;

		err = bpf_map_lookup_batch(fd, position->begun ? &position->token : NULL, &next,
					   batch.keys, batch.values, &count, NULL);
		if (err == -ENOSPC && batch.room < entries_max) { /* one bucket is larger */
			err = batch_grow(&batch, 2 * batch.room, key_size, value_size);
			continue;
		}
		if (err && err != -ENOENT)
			return err;
		for (uint32_t i = 0; i < count; i++) {
			said = each(ctx, batch.keys + i * key_size, batch.values + i * value_size);
			if (said)
				return said;
		}
		seen += count;
		position->token = next;
		position->begun = true;
		position->done = err == -ENOENT; /* these were the last */
		err = 0;
	}
	return err;
}

int walk_hash(int fd, size_t key_size, size_t value_size, uint32_t entries_max,
	      int (*each)(void *ctx, const void *key, const void *value), void *ctx)
{
	struct walk_position position = {0};
	int err = 0;

	while (!err && !position.done)
		err = walk_hash_part(fd, key_size, value_size, entries_max, &position, UINT32_MAX,
				     each, ctx);
	return err;
}
