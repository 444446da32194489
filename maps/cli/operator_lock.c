// SPDX-License-Identifier: BSD-2-Clause
#include "maps/cli/operator_lock.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>

#include "userspace/base/cleanup.h"
#include "userspace/base/log.h"

int operator_maps_open(const struct instance *instance, struct maps **ret_maps, int *ret_lock_fd)
{
	_cleanup_close_ int lock = -1;
	int err;

	lock = open(instance->pin_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (lock >= 0 && flock(lock, LOCK_EX) < 0)
		return log_error(-errno, "%s: cannot lock it (%s)", instance->pin_dir,
				 strerror(errno));
	/* a directory that is not there is said well by maps_open() */
	err = maps_open(instance, MAPS_OPERATOR, ret_maps);
	if (!err)
		*ret_lock_fd = TAKE_FD(lock);
	return err;
}
