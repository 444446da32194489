// SPDX-License-Identifier: BSD-2-Clause
#include "userspace/proxy/process.h"

#include <errno.h>
#include <linux/capability.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "userspace/base/log.h"

#define KEPT_MAX 128

static int compare(const void *a, const void *b)
{
	return *(const int *)a - *(const int *)b;
}

void process_keep_only(const int *fds, size_t count)
{
	int sorted[KEPT_MAX];
	size_t used = 0;
	int from = STDERR_FILENO + 1;

	for (size_t i = 0; i < count && used < KEPT_MAX; i++) {
		if (fds[i] > STDERR_FILENO)
			sorted[used++] = fds[i];
	}
	qsort(sorted, used, sizeof(sorted[0]), compare);
	for (size_t i = 0; i < used; i++) {
		if (sorted[i] > from)
			close_range((unsigned)from, (unsigned)sorted[i] - 1, 0);
		from = sorted[i] + 1;
	}
	close_range((unsigned)from, ~0u, 0);
}

void process_set_name(const char *name)
{
	prctl(PR_SET_NAME, name);
}

int process_drop_capabilities(void)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = {0};

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || syscall(SYS_capset, &header, none) < 0)
		return log_error(-errno, "worker: cannot give up its capabilities (%s)",
				 strerror(errno));
	return 0;
}

int process_watch(pid_t pid, int *ret_fd)
{
	int fd = (int)syscall(SYS_pidfd_open, pid, 0);

	if (fd < 0)
		return -errno;
	*ret_fd = fd;
	return 0;
}

void process_raise_files(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur == limit.rlim_max)
		return;
	limit.rlim_cur = limit.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
		log_warning("the limit of open files stays at its default (%s)", strerror(errno));
}
