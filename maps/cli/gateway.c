// SPDX-License-Identifier: BSD-2-Clause
#include "maps/cli/gateway.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "userspace/base/log.h"

bool gateway_enter(const struct instance *instance, struct attachments *ret_attachments)
{
	int err = attachments_read(instance, ret_attachments);

	if (err) {
		log_warning("%s/links: cannot read where programs are attached (%s)",
			    instance->pin_dir, strerror(-err));
		return false;
	}
	if (!ret_attachments->count && !ret_attachments->netns) {
		log_warning("instance %s: no program is attached anywhere; 'sluice-loader attach' "
			    "does",
			    instance->name);
		return false;
	}
	err = attachments_enter(ret_attachments);
	if (err)
		log_warning("instance %s: cannot enter the network namespace of its devices (%s), "
			    "so they are called by number",
			    instance->name, strerror(-err));
	return !err;
}

const char *device_names_find(struct device_names *names, uint32_t ifindex)
{
	size_t i;

	for (i = 0; i < names->count; i++) {
		if (names->all[i].ifindex == ifindex)
			return names->all[i].name;
	}
	if (names->count == DEVICE_NAMES_MAX)
		names->count = i = 0;
	names->all[i].ifindex = ifindex;
	if (names->is_foreign || !if_indextoname(ifindex, names->all[i].name))
		snprintf(names->all[i].name, IF_NAMESIZE, "if%u", ifindex);
	names->count++;
	return names->all[i].name;
}
