/* SPDX-License-Identifier: BSD-2-Clause */
/* The gateway's devices, as its programs see them. */
#ifndef SLUICE_CLI_GATEWAY_H
#define SLUICE_CLI_GATEWAY_H

#include <net/if.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "maps/access/attachments.h"
#include "userspace/base/instance.h"

/* Reads where the programs are attached and goes into their network namespace, as
 * an ifindex means something only there; false after a warning: not there, so no
 * ifindex can be trusted. */
bool gateway_enter(const struct instance *instance, struct attachments *ret_attachments);

#define DEVICE_NAMES_MAX 64
struct device_names {
	struct {
		uint32_t ifindex;
		char name[IF_NAMESIZE];
	} all[DEVICE_NAMES_MAX];
	size_t count;
	bool is_foreign; /* not in the gateway's namespace: names are "if7" */
};

/* Its name, or "if7"; borrowed until the next call.  Forgetting (count = 0) makes it
 * ask the kernel again. */
const char *device_names_find(struct device_names *names, uint32_t ifindex);

#endif
