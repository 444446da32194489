/* SPDX-License-Identifier: BSD-2-Clause */
/* VIPs by id: the map has them by address, kernel programs speak of ids. */
#ifndef SLUICE_CLI_VIP_INDEX_H
#define SLUICE_CLI_VIP_INDEX_H

#include "maps/access/maps.h"
#include "maps/cli/vip_spec.h"

struct vip_index; /* as the map was when it was read */

/* -errno after a message.  Free with vip_index_free(). */
int vip_index_read(const struct maps *maps, struct vip_index **ret_index);
void vip_index_free(struct vip_index *index);
static inline void vip_index_freep(struct vip_index **index)
{
	vip_index_free(*index);
}

/* NULL: no VIP had that id; ret_vip may be NULL. */
const struct vip_key *vip_index_find(const struct vip_index *index, uint32_t id,
				     const struct vip **ret_vip);
/* "10.99.0.20:8000/tcp", "#ID" for one that is not there, "" for VIP_ID_ANY. */
const char *vip_index_format(const struct vip_index *index, uint32_t id, char buffer[VIP_TEXT_MAX]);

/* An empty one and an entry of it, for tests and for who reads them elsewhere. */
struct vip_index *vip_index_new(void);
void vip_index_put(struct vip_index *index, const struct vip_key *key, const struct vip *vip);

#endif
