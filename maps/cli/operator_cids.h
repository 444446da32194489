/* SPDX-License-Identifier: BSD-2-Clause */
/* The QUIC server ids of one pool, as a whole: read, and made what is wanted. */
#ifndef SLUICE_CLI_OPERATOR_CIDS_H
#define SLUICE_CLI_OPERATOR_CIDS_H

#include <stddef.h>
#include <stdint.h>

#include "maps/access/maps.h"

struct server_id {
	uint32_t id; /* 1 .. 65535 */
	struct cid cid;
};

struct server_ids {
	struct server_id *all; /* malloc'd */
	size_t count;
};

void server_ids_deinit(struct server_ids *ids);

/* All that map `cids` has for `pool`; -errno after a message. */
int server_ids_read(const struct maps *maps, uint32_t pool, struct server_ids *ret_ids);
/* Makes `wanted` the pool's only ones: new ones first, then what is gone goes, so
 * that a connection finds its endpoint at every moment.  -errno after a message: some
 * of `wanted` may be there then. */
int server_ids_write(const struct maps *maps, uint32_t pool, const struct server_ids *wanted);

#endif
