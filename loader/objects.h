/* SPDX-License-Identifier: BSD-2-Clause */
/* The kernel programs that are built into this loader. */
#ifndef SLUICE_LOADER_OBJECTS_H
#define SLUICE_LOADER_OBJECTS_H

#include <stdint.h>

#include "maps/layout/maps.h"

struct bpf_object;
struct pin_dirs;
struct xdp_ingress;

/* In the order of PROGRAM_LIST; the names of their pins below programs/. */
#define PROGRAM_LIST(X)                                                                            \
	X(PROGRAM_XDP, "xdp_ingress")                                                              \
	X(PROGRAM_XDP_GENERIC, "xdp_generic")                                                      \
	X(PROGRAM_TC, "tc_ingress")                                                                \
	X(PROGRAM_TC_EGRESS, "tc_egress")                                                          \
	X(PROGRAM_SK_LOOKUP, "sk_assign")

enum program_id {
#define X(id, name) id,
	PROGRAM_LIST(X)
#undef X
		PROGRAM_COUNT
};

/* Open fd numbers are owned by the opened objects behind `handle`. */
struct objects {
	int map_fds[MAP_ID_COUNT];
	int program_fds[PROGRAM_COUNT];
	struct objects_handle *handle;
};

const char *program_name(enum program_id id);

/* Fixed at load, so that the verifier removes what is off. */
struct objects_settings {
	uint32_t flow_sets; /* entries of map flows; 0 where maps are given */
	uint32_t neighbour_interval; /* one of so many new flows begins in TC, 0: none */
};

/* Loads every program.  `map_fds` NULL: with fresh, empty maps; else with those,
 * whose shapes the caller has checked.  Logs. */
int objects_load(const int *map_fds, const struct objects_settings *settings,
		 struct objects *ret_objects);
void objects_unload(struct objects *objects);

/* xdp_shared over existing maps, opened and not loaded: libxdp does that (dispatcher.h). */
struct objects_shared {
	struct bpf_object *object;
	struct xdp_ingress *skeleton;
};

/* Logs.  Close it whatever became of it. */
int objects_open_shared(const int *map_fds, const struct objects_settings *settings,
			struct objects_shared *ret_shared);
void objects_close_shared(struct objects_shared *shared);

/* Pins all maps below `directory`, made by the caller.  Logs. */
int objects_pin_maps(const struct objects *objects, const char *directory);
/* Pins all programs below `directory`.  Logs. */
int objects_pin_programs(const struct objects *objects, const char *directory);

/* A pinned program; the caller closes it.  Logs. */
int program_open(const struct pin_dirs *dirs, enum program_id id, int *ret_fd);

#endif
