// SPDX-License-Identifier: BSD-2-Clause
#include "userspace/proxy/keeper.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "maps/access/maps.h"
#include "userspace/base/cleanup.h"
#include "userspace/base/log.h"
#include "userspace/proxy/process.h"
#include "userspace/proxy/proxy.h"

#define KEPT_MAX (PROXY_WORKERS_MAX * WORKER_LISTENERS + MAP_ID_COUNT + 8)

static void keep_shared(const struct proxy *proxy, int also)
{
	int kept[KEPT_MAX];
	size_t count = 0;

	kept[count++] = proxy->lock_fd;
	kept[count++] = also;
	for (unsigned i = 0; i < proxy->worker_count; i++) {
		for (size_t f = 0; f < WORKER_LISTENERS; f++)
			kept[count++] = proxy->listeners[i][f];
	}
	for (size_t i = 0; i < MAP_ID_COUNT; i++)
		kept[count++] = proxy->maps->fds[i];
	process_keep_only(kept, count);
}

/* Returns when the parent has died. */
static void keeper_wait(const struct proxy *proxy, int parent_fd)
{
	struct pollfd poll_fd = {.fd = parent_fd, .events = POLLIN};
	sigset_t set;

	process_set_name("sluice-keeper");
	keep_shared(proxy, parent_fd);
	sigfillset(&set);
	sigprocmask(SIG_BLOCK, &set, NULL); /* SIGKILL ends it, and the parent's death */
	while (poll(&poll_fd, 1, -1) < 0 && errno == EINTR)
		;
	close(parent_fd);
	process_set_name("sluice-proxy");
}

/* The pid of the second fork comes through the pipe.  In the keeper: returns
 * after the parent's death with *ret_took_over set. */
static int fork_twice(const struct proxy *proxy, pid_t *ret_pid, bool *ret_took_over)
{
	_cleanup_close_ int reader = -1, writer = -1, parent_fd = -1;
	int pipe_fds[2], status;
	pid_t middle, keeper;
	int err;

	err = process_watch(getpid(), &parent_fd);
	if (err)
		return err;
	if (pipe2(pipe_fds, O_CLOEXEC) < 0)
		return -errno;
	reader = pipe_fds[0];
	writer = pipe_fds[1];
	middle = fork();
	if (middle < 0)
		return -errno;
	if (!middle) {
		keeper = fork();
		if (keeper) {
			if (write(writer, &keeper, sizeof(keeper)) != sizeof(keeper))
				_exit(EXIT_FAILURE);
			_exit(EXIT_SUCCESS);
		}
		keeper_wait(proxy, TAKE_FD(parent_fd));
		reader = writer = -1; /* keep_shared() closed them */
		*ret_took_over = true;
		return 0;
	}
	closep(&writer);
	if (read(reader, &keeper, sizeof(keeper)) != sizeof(keeper) || keeper < 0)
		err = -EAGAIN;
	while (waitpid(middle, &status, 0) < 0 && errno == EINTR)
		;
	if (!err)
		*ret_pid = keeper;
	return err;
}

int keeper_start(const struct proxy *proxy, pid_t *ret_pid, int *ret_fd, bool *ret_took_over)
{
	pid_t pid = 0;
	int err;

	*ret_took_over = false;
	err = fork_twice(proxy, &pid, ret_took_over);
	if (!err && *ret_took_over)
		return 0;
	if (!err)
		err = process_watch(pid, ret_fd);
	if (err)
		return log_error(err,
				 "keeper: cannot be started (%s); without it the parent must "
				 "not die",
				 strerror(-err));
	*ret_pid = pid;
	return 0;
}
