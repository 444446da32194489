/* SPDX-License-Identifier: BSD-2-Clause */
/* What holds a program to a device or to the network namespace.
 *
 * The pin PIN_DIR/links/DEV-HOOK is the record: of a bpf_link, whose removal
 * detaches, or, for clsact, of the program, as a filter has no link, or, for a
 * place in libxdp's dispatcher, of a map (hook_place.h).  Where
 * bpffs allows no dot in a name (eth0.100) the pin has a colon, which no device
 * name can have. */
#ifndef SLUICE_LOADER_HOOK_H
#define SLUICE_LOADER_HOOK_H

#include <stdbool.h>
#include <stdint.h>

#include <net/if.h>

#include "loader/objects.h"

struct pin_dirs;

/* id, name in the pin, program, text for people */
#define HOOK_LIST(X)                                                                               \
	X(HOOK_NATIVE, "native", PROGRAM_XDP, "native XDP")                                        \
	X(HOOK_SHARED, "shared", PROGRAM_XDP, "native XDP, shared")                                \
	X(HOOK_GENERIC, "generic", PROGRAM_XDP_GENERIC, "generic XDP")                             \
	X(HOOK_TCX, "tcx", PROGRAM_TC, "TCX ingress")                                              \
	X(HOOK_CLSACT, "clsact", PROGRAM_TC, "clsact ingress")                                     \
	X(HOOK_CLSACT_OWN, "clsact_own", PROGRAM_TC, "clsact ingress, qdisc ours")                 \
	X(HOOK_TCX_EGRESS, "tcx_egress", PROGRAM_TC_EGRESS, "TCX egress")                          \
	X(HOOK_CLSACT_EGRESS, "clsact_egress", PROGRAM_TC_EGRESS, "clsact egress")                 \
	X(HOOK_SK_LOOKUP, "sk_lookup", PROGRAM_SK_LOOKUP, "sk_lookup")

enum hook_kind {
#define X(id, name, program, text) id,
	HOOK_LIST(X)
#undef X
		HOOK_KIND_COUNT
};

/* The "device" of HOOK_SK_LOOKUP. */
#define HOOK_NETNS "netns"

struct hook {
	enum hook_kind kind;
	char device[IF_NAMESIZE]; /* its name when it was attached; HOOK_NETNS */
	uint32_t ifindex; /* in the gateway's namespace; 0: gone, or HOOK_SK_LOOKUP */
	uint32_t program_id; /* 0: no longer attached */
	uint64_t netns; /* HOOK_SK_LOOKUP: inode; 0: gone */
};

const char *hook_name(enum hook_kind kind);
const char *hook_text(enum hook_kind kind);
enum program_id hook_program(enum hook_kind kind);
static inline bool hook_is_clsact(enum hook_kind kind)
{
	return kind == HOOK_CLSACT || kind == HOOK_CLSACT_OWN || kind == HOOK_CLSACT_EGRESS;
}

/* DEV-HOOK for the pin. */
void hook_pin_format(enum hook_kind kind, const char *device, char *buffer, int size);
/* Back from a pin's name; false: it is no hook's. */
bool hook_pin_parse(const char *pin, enum hook_kind *ret_kind, char ret_device[IF_NAMESIZE]);

/* Attaches and pins; HOOK_SHARED: place_attach instead.  `ifindex` 0 for HOOK_SK_LOOKUP, which
 * takes this process's namespace.  HOOK_CLSACT finds out itself whether the qdisc is ours;
 * HOOK_CLSACT_EGRESS comes after it and goes with it.  Does not log: -EOPNOTSUPP the driver has no
 * native XDP, -EBUSY or -EEXIST another XDP program is there, -EINVAL for HOOK_TCX: the kernel has
 * none. */
int hook_attach(const struct pin_dirs *dirs, enum hook_kind kind, const char *device,
		uint32_t ifindex, int program_fd);
/* Puts another program in its place, without a packet between; HOOK_SHARED: place_exchange
 * instead.  Does not log. */
int hook_replace(const struct pin_dirs *dirs, const struct hook *hook, int program_fd);
/* Detaches and removes the pin; fine if the device is gone.  Logs. */
int hook_detach(const struct pin_dirs *dirs, const struct hook *hook);

/* Every hook that is pinned; stops at and returns the first non-zero value. */
int hooks_each(const struct pin_dirs *dirs, int (*each)(void *ctx, const struct hook *hook),
	       void *ctx);
/* Moves this process to where the devices are: what is asked by a device's name is asked
 * there.  Stays where it is if nothing is attached or the namespace is gone. */
void hooks_netns_enter(const struct pin_dirs *dirs);
/* The pinned hook of that kind and device.  -ENOENT: none. */
int hook_find(const struct pin_dirs *dirs, enum hook_kind kind, const char *device,
	      struct hook *ret_hook);

#endif
