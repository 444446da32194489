/* SPDX-License-Identifier: BSD-2-Clause */
/* Neighbours that a controller had the kernel keep resolved, as it left them. */
#ifndef SLUICE_PATHS_HELD_H
#define SLUICE_PATHS_HELD_H

#include <stdint.h>

struct maps;

/* Removes, in the caller's network namespace, the neighbour entries that carry our
 * protocol and belong to a next hop of these maps (any role); permanent ones stay.  An
 * entry that is needed by others comes back with its next packet.  -errno after a
 * message; *ret_count: how many were removed. */
int held_neighbours_remove(const struct maps *maps, uint32_t *ret_count);

#endif
