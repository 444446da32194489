/* SPDX-License-Identifier: BSD-2-Clause */
/* The maps of the decapsulation program (maps/layout/decap.h), each by its
 * descriptor: they are no part of a gateway's maps, so struct maps has none. */
#ifndef SLUICE_MAPS_ACCESS_DECAP_MAPS_H
#define SLUICE_MAPS_ACCESS_DECAP_MAPS_H

#include <stdbool.h>
#include <stdint.h>

#include "maps/layout/decap.h"

const char *decap_map_name(enum decap_map map);
const char *decap_verdict_name(enum decap_verdict verdict);
const char *decap_verdict_text(enum decap_verdict verdict);

/* None of these logs. */
int decap_config_put(int config_fd, const struct decap_config *config);
/* -ENODATA: nothing was written yet.  -EPROTO: another version's; then only
 * `version` of *ret_config is set. */
int decap_config_read(int config_fd, struct decap_config *ret_config);

/* Into decap_vips or decap_locals; fine if it is there.  -E2BIG: full. */
int decap_address_put(int addresses_fd, const struct ip_addr *addr);
/* Both maps have at most DECAP_LOCALS_MAX; *ret_count of ret_addrs are set.  The
 * order is the map's. */
int decap_addresses_read(int addresses_fd, struct ip_addr ret_addrs[DECAP_LOCALS_MAX],
			 uint32_t *ret_count);

/* Summed over CPUs. */
int decap_counts_read(int counts_fd, struct traffic ret_counts[DECAP_COUNT]);
/* Is it a map of counters of this version?  An older one may have fewer. */
bool decap_counts_fit(int counts_fd);

#endif
