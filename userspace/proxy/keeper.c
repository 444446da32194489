// SPDX-License-Identifier: BSD-2-Clause
#include "userspace/proxy/keeper.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
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
	kept[count++] = proxy->metrics_fd;
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

int keeper_start(const struct proxy *proxy, pid_t *ret_pid, int *ret_fd, bool *ret_took_over)
{
	_cleanup_close_ int parent_fd = -1, keeper_fd = -1;
	pid_t pid = -1;
	int err = process_watch(getpid(), &parent_fd);

	*ret_took_over = false;
	if (!err) {
		pid = fork();
		err = pid < 0 ? -errno : 0;
	}
	if (!err && !pid) {
		keeper_wait(proxy, TAKE_FD(parent_fd));
		*ret_took_over = true;
		return 0;
	}
	if (!err)
		err = process_watch(pid, &keeper_fd);
	if (err)
		return log_error(err,
				 "keeper: cannot be started (%s); without it the parent must not "
				 "die",
				 strerror(-err));
	*ret_pid = pid;
	*ret_fd = TAKE_FD(keeper_fd);
	return 0;
}
