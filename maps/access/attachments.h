/* SPDX-License-Identifier: BSD-2-Clause */
/* Where the programs of an instance are attached, read from the pins that
 * sluice-loader makes (loader/pin.h): PIN_DIR/links/DEVICE-HOOK, with a colon where
 * a device's name has a dot.  Reads only. */
#ifndef SLUICE_MAPS_ACCESS_ATTACHMENTS_H
#define SLUICE_MAPS_ACCESS_ATTACHMENTS_H

#include <net/if.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "maps/layout/contract.h"

struct instance;

#define ATTACHMENTS_MAX (4 * DEVICES_MAX) /* a device may have several hooks */
#define ATTACHMENT_HOOK_MAX 16

struct attachment {
	char device[IF_NAMESIZE];
	char hook[ATTACHMENT_HOOK_MAX]; /* "native", "generic", "tcx", "clsact", ... */
	uint32_t ifindex; /* in the gateway's namespace; 0: its pin does not say */
};

struct attachments {
	uint64_t netns; /* inode of the gateway's network namespace; 0: not known */
	size_t count;
	/* native XDP first, then by name */
	struct attachment all[ATTACHMENTS_MAX];
};

/* 0 also where nothing is attached, or nothing is loaded: count is 0 then.
 * -errno does not log. */
int attachments_read(const struct instance *instance, struct attachments *ret_attachments);
bool attachment_is_native(const struct attachment *attachment);

/* Moves this process into the gateway's network namespace, where ifindexes mean
 * what the maps and programs mean.  -ENOENT: it is not known or nobody is in it;
 * -EPERM: not root.  Does not log. */
int attachments_enter(const struct attachments *attachments);

/* The pinned program NAME; the caller closes *ret_fd.  Logs. */
int attachments_program_open(const struct instance *instance, const char *name, int *ret_fd);

#endif
