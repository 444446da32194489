// SPDX-License-Identifier: BSD-2-Clause
#include "userspace/base/instance.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "userspace/base/log.h"

#define RUN_TRIES 8

int instance_init(struct instance *instance, const char *name)
{
	size_t length = strlen(name);

	if (length == 0 || length >= INSTANCE_NAME_MAX ||
	    strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-") != length)
		return log_error(
			-EINVAL,
			"instance '%.40s': a name is 1 to %d of a-z, 0-9 and -; choose another",
			name, INSTANCE_NAME_MAX - 1);
	memset(instance, 0, sizeof(*instance));
	memcpy(instance->name, name, length);
	snprintf(instance->pin_dir, sizeof(instance->pin_dir), "%s/%s", INSTANCE_BPFFS, name);
	snprintf(instance->run_dir, sizeof(instance->run_dir), "%s/%s", INSTANCE_RUN, name);
	return 0;
}

int instance_make_run_dir(const struct instance *instance)
{
	/* whoever removes the last other instance may remove the folder of all */
	for (int i = 0; i < RUN_TRIES; i++) {
		if (mkdir(INSTANCE_RUN, 0755) < 0 && errno != EEXIST)
			return log_error(-errno, "%s: cannot make it (%s)", INSTANCE_RUN,
					 strerror(errno));
		if (mkdir(instance->run_dir, 0750) == 0 || errno == EEXIST)
			return 0;
		if (errno != ENOENT)
			break;
	}
	return log_error(-errno, "%s: cannot make it (%s)", instance->run_dir, strerror(errno));
}

const char *instance_run_path(const struct instance *instance, const char *file,
			      char buffer[2 * INSTANCE_PATH_MAX])
{
	snprintf(buffer, 2 * INSTANCE_PATH_MAX, "%s/%s", instance->run_dir, file);
	return buffer;
}
