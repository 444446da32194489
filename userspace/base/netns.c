// SPDX-License-Identifier: BSD-2-Clause
/* Network namespaces: links know theirs by inode; clsact filters, the map of
 * devices and addresses on lo can only be changed from inside it, and ifindexes mean
 * something only there. */
#include "userspace/base/netns.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/stat.h>

#include "userspace/base/cleanup.h"

static void closedirp(DIR **directory)
{
	if (*directory)
		closedir(*directory);
}

uint64_t netns_own(void)
{
	struct stat st;

	return stat("/proc/self/ns/net", &st) == 0 ? st.st_ino : 0;
}

static bool netns_is(const char *path, uint64_t inode)
{
	struct stat st;

	return stat(path, &st) == 0 && st.st_ino == inode;
}

static int netns_enter_path(const char *path)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0 || setns(fd, CLONE_NEWNET) < 0)
		return -errno;
	return 0;
}

/* Looks at DIRECTORY/ENTRY/below; with `numbers`, entries that are process ids. */
static int netns_search(const char *directory, const char *below, bool numbers, uint64_t inode)
{
	_cleanup_(closedirp) DIR *stream = opendir(directory);
	struct dirent *entry;

	while (stream && (entry = readdir(stream))) {
		char path[512];

		if (numbers && !isdigit((unsigned char)entry->d_name[0]))
			continue;
		snprintf(path, sizeof(path), "%s/%s%s", directory, entry->d_name, below);
		if (netns_is(path, inode))
			return netns_enter_path(path);
	}
	return -ENOENT;
}

int netns_enter(uint64_t inode)
{
	int err;

	if (netns_own() == inode)
		return 0;
	err = netns_search("/run/netns", "", false, inode);
	if (err == -ENOENT)
		err = netns_search("/proc", "/ns/net", true, inode);
	return err;
}
