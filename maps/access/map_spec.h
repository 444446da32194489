/* SPDX-License-Identifier: BSD-2-Clause */
/* The shape of every pinned map, as user space expects it: kind, sizes, whether
 * it is mappable and described by BTF, and which roles may write it.
 *
 * maps_open() refuses a pinned map of another shape by name; tests make maps
 * from the same rows. */
#ifndef SLUICE_MAPS_ACCESS_MAP_SPEC_H
#define SLUICE_MAPS_ACCESS_MAP_SPEC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "maps/access/maps.h"

#define MAP_NOT_MAPPED SIZE_MAX

struct map_spec {
	uint32_t type; /* BPF_MAP_TYPE_... */
	uint32_t key_size;
	uint32_t value_size;
	uint32_t entries; /* 0: as contract.flow_sets says */
	bool btf; /* its kind can carry BTF, so it must */
	unsigned writers; /* bit (1 << enum maps_role) */
	size_t field; /* offset in struct maps of the pointer to its mapping */
};

/* `id` is below MAP_ID_COUNT. */
const struct map_spec *map_spec_of(enum map_id id);
/* The name of its pin, as in MAP_LIST. */
const char *map_name(enum map_id id);

/* Entries of the map under this contract. */
uint32_t map_spec_entries(const struct map_spec *spec, const struct contract *contract);
/* Bytes of a mappable array: what mmap() is given. */
size_t map_spec_mapped_bytes(const struct map_spec *spec, const struct contract *contract);

static inline bool map_spec_writable(const struct map_spec *spec, enum maps_role role)
{
	return spec->writers & (1u << role);
}

#endif
