/* SPDX-License-Identifier: BSD-2-Clause */
/* From what the operator typed to ids: pools and clusters by name, endpoints by
 * name, id or address. */
#ifndef SLUICE_CLI_TARGET_H
#define SLUICE_CLI_TARGET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "maps/access/maps.h"
#include "maps/cli/request.h"

/* -ENOENT after a message that names what there is. */
int target_cluster(const struct maps *maps, const char *name, uint32_t *ret_cluster);
int target_pool(const struct maps *maps, const char *name, uint32_t *ret_pool);

/* All endpoints that `text` stands for: an id ("12"), an address ("10.10.0.1:8000")
 * or a name ("ai/gemma-0").  A pod that serves several pools or ports has several
 * records: all of them, *ret_count ids of at most `room`.  `cluster` is a cluster's
 * name or NULL: names that mean endpoints of several clusters are refused without
 * it (-EINVAL); -ENOENT: none.  After a message. */
int target_endpoints(const struct maps *maps, const char *text, const char *cluster, uint32_t *ids,
		     size_t room, size_t *ret_count);

/* --cluster, --pool and --use of a request. */
struct target_filter {
	uint32_t cluster; /* CLUSTER_NONE: any */
	uint32_t pool; /* POOL_NONE: any */
	int use; /* enum endpoint_use; -1: any in use */
};
/* -ENOENT or -EINVAL after a message. */
int target_filter_init(const struct request *request, const struct maps *maps,
		       struct target_filter *ret_filter);
bool target_filter_matches(const struct target_filter *filter, const struct maps *maps,
			   uint32_t id);

#endif
