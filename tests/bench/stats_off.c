// SPDX-License-Identifier: BSD-2-Clause
#include "tests/bench/stats_off.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include "userspace/base/cleanup.h"

#define STATS_PATH "/proc/sys/kernel/bpf_stats_enabled"

static int stats_read(char *ret_value)
{
	_cleanup_close_ int fd = open(STATS_PATH, O_RDONLY | O_CLOEXEC);

	if (fd < 0 || read(fd, ret_value, 1) != 1)
		return -errno;
	return 0;
}

static int stats_write(char value)
{
	_cleanup_close_ int fd = open(STATS_PATH, O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, &value, 1) != 1)
		return -errno;
	return 0;
}

/* Waits until the last writer of the pipe is gone, which is the bench. */
static void keeper_run(int pipe_read, char value)
{
	char byte;

	setsid();
	signal(SIGINT, SIG_IGN);
	signal(SIGTERM, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	signal(SIGPIPE, SIG_IGN);
	while (read(pipe_read, &byte, 1) < 0 && errno == EINTR)
		;
	stats_write(value);
	_exit(0);
}

int stats_off(void)
{
	int ends[2];
	char value;
	pid_t child;
	int err = stats_read(&value);

	if (err || value == '0')
		return err;
	if (pipe2(ends, O_CLOEXEC) < 0)
		return -errno;
	child = fork();
	if (child < 0) {
		err = -errno;
		close(ends[0]);
		close(ends[1]);
		return err;
	}
	if (child == 0) {
		close(ends[1]);
		keeper_run(ends[0], value);
	}
	close(ends[0]); /* ends[1] stays open for as long as we live */
	return stats_write('0');
}

bool stats_are_off(void)
{
	char value;

	return stats_read(&value) == 0 && value == '0';
}
