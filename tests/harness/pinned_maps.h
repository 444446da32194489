/* SPDX-License-Identifier: BSD-2-Clause */
/* Pinned maps without the loader or any program, for tests of who opens them.
 *
 * The test's process gets its own mount namespace with its own BPF file system,
 * so nothing is left behind and no running gateway is met. */
#ifndef SLUICE_HARNESS_PINNED_MAPS_H
#define SLUICE_HARNESS_PINNED_MAPS_H

#include <stdbool.h>
#include <stdint.h>

#include "maps/layout/maps.h"
#include "userspace/base/instance.h"

/* One way in which the maps are not what they should be; all zero: none. */
struct pinned_maps_wrong {
	enum map_id id; /* of this map: */
	uint32_t value_size_more;
	uint32_t entries_more;
	bool without_btf;
	bool missing;
	uint32_t version; /* of the contract; 0: the right one */
	uint32_t magic; /* likewise */
};

/* Once a process, before the first pinned_maps_make().  False after printing
 * "skip: reason": no privilege. */
bool pinned_maps_prepare(void);
/* Makes every map of MAP_LIST from its spec and pins it, and fills the contract;
 * 0 or -errno.  Maps of an earlier call are unpinned first. */
int pinned_maps_make(const struct instance *instance, const struct pinned_maps_wrong *wrong);

#endif
