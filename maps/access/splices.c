// SPDX-License-Identifier: BSD-2-Clause
/* Spliced connections, their set-up and what is learnt for them.
 *
 * A record is put once, by the proxy's parent, and belongs to the programs from then
 * on: there is no way here to put over one.  The record of a direction says the key
 * of the other one, so a sweep finds halves. */
#include "maps/access/maps.h"

#include <errno.h>

#include <bpf/bpf.h>

#include "maps/access/walk.h"

struct splices_walk {
	int (*each)(void *ctx, const struct flow_key *key, const struct splice *splice);
	void *ctx;
};

static const struct {
	const char *name, *text;
} events[SPLICE_EVENT_COUNT] = {
#define X(id, name, text) [id] = {name, text},
	SPLICE_EVENT_LIST(X)
#undef X
};

const char *splice_event_name(uint32_t kind)
{
	return kind < SPLICE_EVENT_COUNT ? events[kind].name : "invalid";
}

const char *splice_event_text(uint32_t kind)
{
	return kind < SPLICE_EVENT_COUNT ? events[kind].text : "no event of ours";
}

int splice_setup_put(const struct maps *maps, const struct splice_setup *setup)
{
	const uint32_t zero = 0;

	return bpf_map_update_elem(maps->fds[MAP_SPLICE_SETUP], &zero, setup, BPF_ANY);
}

int splice_setup_get(const struct maps *maps, struct splice_setup *ret_setup)
{
	const uint32_t zero = 0;

	return bpf_map_lookup_elem(maps->fds[MAP_SPLICE_SETUP], &zero, ret_setup);
}

int splices_put(const struct maps *maps, const struct flow_key *key, const struct splice *splice)
{
	if (splice->scale > SPLICE_SCALE_MAX || splice->window_shift > SPLICE_SCALE_MAX ||
	    splice->window_shift < -SPLICE_SCALE_MAX)
		return -EINVAL;
	return bpf_map_update_elem(maps->fds[MAP_SPLICES], key, splice, BPF_NOEXIST);
}

int splices_lookup(const struct maps *maps, const struct flow_key *key, struct splice *ret_splice)
{
	struct splice splice;
	int err = bpf_map_lookup_elem(maps->fds[MAP_SPLICES], key, &splice);

	if (!err)
		*ret_splice = splice;
	return err;
}

int splices_remove(const struct maps *maps, const struct flow_key *key)
{
	return bpf_map_delete_elem(maps->fds[MAP_SPLICES], key);
}

static int splice_visit(void *ctx, const void *key, const void *value)
{
	const struct splices_walk *walk = ctx;

	return walk->each(walk->ctx, key, value);
}

int splices_each(const struct maps *maps,
		 int (*each)(void *ctx, const struct flow_key *key, const struct splice *splice),
		 void *ctx)
{
	struct splices_walk walk = {each, ctx};

	return walk_hash(maps->fds[MAP_SPLICES], sizeof(struct flow_key), sizeof(struct splice),
			 SPLICES_MAX, splice_visit, &walk);
}

struct flow_key splice_peer_key(const struct splice *splice)
{
	/* who gets this direction's packets sends the other's, to where these come from */
	return (struct flow_key){
		.src = splice->dst,
		.dst = splice->src,
		.src_port = splice->dst_port,
		.dst_port = splice->src_port,
		.proto = 6, /* TCP */
	};
}

int splice_learn_begin(const struct maps *maps, const struct flow_key *key)
{
	static const struct splice_learn nothing;

	return bpf_map_update_elem(maps->fds[MAP_SPLICE_LEARNS], key, &nothing, BPF_ANY);
}

int splice_learn_end(const struct maps *maps, const struct flow_key *key)
{
	return bpf_map_delete_elem(maps->fds[MAP_SPLICE_LEARNS], key);
}

int splice_learn_get(const struct maps *maps, const struct flow_key *key, uint32_t received,
		     uint32_t *ret_tsval)
{
	struct splice_learn learn;
	int err = bpf_map_lookup_elem(maps->fds[MAP_SPLICE_LEARNS], key, &learn);

	if (err)
		return err;
	/* the latest first: segments without data end where the one before did */
	for (uint64_t back = 1; back <= SPLICE_LEARNT && back <= learn.segments; back++) {
		const struct splice_seen *seen =
			&learn.seen[(learn.segments - back) % SPLICE_LEARNT];

		if (seen->end != received)
			continue;
		*ret_tsval = seen->tsval;
		return 0;
	}
	return -ENOENT;
}
