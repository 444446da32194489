// SPDX-License-Identifier: BSD-2-Clause
/* flock(2) on the pid file.  The file may be removed between our open and our
 * lock, so the lock counts only while the path still leads to our file. */
#include "userspace/controller/instance_lock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "userspace/base/cleanup.h"
#include "userspace/base/clock.h"
#include "userspace/base/log.h"

#define LOCK_TRIES 20 /* one second */

static long pid_read(int fd)
{
	char text[32] = "";
	ssize_t length = pread(fd, text, sizeof(text) - 1, 0);

	return length > 0 ? strtol(text, NULL, 10) : 0;
}

static bool path_is_file(const char *path, int fd)
{
	struct stat at_path, at_fd;

	return stat(path, &at_path) == 0 && fstat(fd, &at_fd) == 0 &&
	       at_path.st_dev == at_fd.st_dev && at_path.st_ino == at_fd.st_ino;
}

/* A process that was killed holds its lock until the kernel has taken it apart:
 * whoever starts the next one at once must not be refused for that. */
static int lock_wait(int fd)
{
	const struct timespec pause = {.tv_nsec = 50 * NS_PER_MS};

	for (int i = 0; i < LOCK_TRIES; i++) {
		if (flock(fd, LOCK_EX | LOCK_NB) == 0)
			return 0;
		if (errno != EWOULDBLOCK)
			return -errno;
		nanosleep(&pause, NULL);
	}
	return -EBUSY;
}

static int lock_file(const char *path, const char *instance, int *ret_fd)
{
	_cleanup_close_ int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);

	int err;

	if (fd < 0)
		return log_error(-errno, "%s: cannot open it (%s)", path, strerror(errno));
	err = lock_wait(fd);
	if (err == -EBUSY)
		return log_error(err,
				 "instance %s: a controller is running already (pid %ld); stop it "
				 "first, or choose another --instance",
				 instance, pid_read(fd));
	if (err)
		return log_error(err, "%s: cannot lock it (%s)", path, strerror(-err));
	*ret_fd = TAKE_FD(fd);
	return 0;
}

int instance_lock_take(const char *path, const char *instance, int *ret_fd)
{
	_cleanup_close_ int fd = -1;
	char text[32];
	int length;

	do {
		int err;

		closep(&fd);
		err = lock_file(path, instance, &fd);
		if (err)
			return err;
	} while (!path_is_file(path, fd));
	length = snprintf(text, sizeof(text), "%ld\n", (long)getpid());
	if (ftruncate(fd, 0) < 0 || pwrite(fd, text, (size_t)length, 0) != length)
		return log_error(-EIO, "%s: cannot write the pid (%s)", path, strerror(errno));
	*ret_fd = TAKE_FD(fd);
	return 0;
}

void instance_lock_release(const char *path, int *fd)
{
	if (*fd >= 0)
		unlink(path);
	closep(fd);
}
