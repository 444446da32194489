// SPDX-License-Identifier: BSD-2-Clause
#include "userspace/sources/last_good.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include "userspace/base/cleanup.h"
#include "userspace/base/clock.h"
#include "userspace/base/file.h"
#include "userspace/base/log.h"
#include "userspace/sources/yaml.h"

static const char *copy_path(const char *dir, const char *path, char buffer[PATH_MAX])
{
	const XXH128_hash_t hash = XXH3_128bits(path, strlen(path));

	snprintf(buffer, PATH_MAX, "%s/%016llx%016llx", dir, (unsigned long long)hash.high64,
		 (unsigned long long)hash.low64);
	return buffer;
}

int last_good_open(const char *dir)
{
	if (mkdir(dir, 0700) < 0 && errno != EEXIST)
		return log_error(-errno, "%s: cannot be made: %s; check its parent folder", dir,
				 strerror(errno));
	return 0;
}

int last_good_load(const char *dir, const char *path, char **ret_data, size_t *ret_size)
{
	char copy[PATH_MAX];
	int err = file_read(copy_path(dir, path, copy), YAML_BYTES_MAX, ret_data, ret_size);

	if (!err && utimensat(AT_FDCWD, copy, NULL, 0) < 0)
		log_warning("%s: cannot be marked as in use: %s", copy, strerror(errno));
	return err;
}

void last_good_store(const char *dir, const char *path, const char *data, size_t size)
{
	char copy[PATH_MAX];
	int err = file_replace(copy_path(dir, path, copy), data, size, 0600);

	if (err)
		log_warning("%s: no copy of %s can be kept: %s; if it is broken at the next start, "
			    "what it holds is forgotten",
			    copy, path, strerror(-err));
}

void last_good_remove(const char *dir, const char *path)
{
	char copy[PATH_MAX];

	unlink(copy_path(dir, path, copy));
}

static void closedirp(DIR **directory)
{
	if (*directory)
		closedir(*directory);
}

void last_good_prune(const char *dir, uint64_t before_ns)
{
	_cleanup_(closedirp) DIR *directory = opendir(dir);
	struct dirent *entry;

	while (directory && (entry = readdir(directory))) {
		struct stat st;

		if (entry->d_name[0] == '.' ||
		    fstatat(dirfd(directory), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
		    !S_ISREG(st.st_mode))
			continue;
		if ((uint64_t)st.st_mtim.tv_sec * NS_PER_S + (uint64_t)st.st_mtim.tv_nsec <
		    before_ns)
			unlinkat(dirfd(directory), entry->d_name, 0);
	}
}
