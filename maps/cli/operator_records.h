/* SPDX-License-Identifier: BSD-2-Clause */
/* Records of the operator in maps endpoints and pools, and which ids are free for
 * them: from the top of each range downwards.  Callers hold the lock of
 * operator_lock.h. */
#ifndef SLUICE_CLI_OPERATOR_RECORDS_H
#define SLUICE_CLI_OPERATOR_RECORDS_H

#include <stdbool.h>
#include <stdint.h>

#include "maps/access/maps.h"
#include "maps/cli/vip_spec.h"

/* Makes the free id the endpoint of `spec`, of the next generation. */
void endpoint_record_write(const struct maps *maps, uint32_t id, uint32_t pool,
			   const struct endpoint_spec *spec);
/* From now on packets go there another way; the id keeps its meaning. */
void endpoint_record_set_way(const struct maps *maps, uint32_t id, uint8_t way);
/* The generation stays, and rises when the id is given out again. */
void endpoint_record_free(const struct maps *maps, uint32_t id);
bool endpoint_record_is_ours(const struct maps *maps, uint32_t id, uint32_t pool);

/* The highest free id below `below`; -ENOSPC after a message. */
int endpoint_id_find(const struct maps *maps, uint32_t below, uint32_t *ret_id);

void pool_record_write(const struct maps *maps, uint32_t id, const char *name, size_t endpoints);
void pool_record_free(const struct maps *maps, uint32_t id);
/* -EEXIST: a pool has that name already; -ENOSPC; after a message. */
int pool_id_find(const struct maps *maps, const char *name, uint32_t *ret_id);

/* -ENOSPC, or what walking the map said, after a message. */
int vip_id_find(const struct maps *maps, uint32_t *ret_id);

#endif
