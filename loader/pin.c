// SPDX-License-Identifier: BSD-2-Clause
/* Pins and their directories.
 *
 * Every change that others could see half done is a rename within bpffs, which
 * is atomic.  The lock is a flock on the run directory itself, so that nothing
 * has to be left behind for it; as an unload may remove that directory, a
 * waiter looks again whether what it locked is still what the path names. */
#include "loader/pin.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <bpf/bpf.h>

#include "userspace/base/cleanup.h"
#include "userspace/base/log.h"

#define BPFFS "/sys/fs/bpf"
#define PIN_ROOT_TRIES 8

static void closedirp(DIR **directory)
{
	if (*directory)
		closedir(*directory);
}

void pin_dirs_init(struct pin_dirs *dirs, const struct instance *instance)
{
	snprintf(dirs->instance, sizeof(dirs->instance), "%s", instance->name);
	snprintf(dirs->live, sizeof(dirs->live), "%s", instance->pin_dir);
	snprintf(dirs->loading, sizeof(dirs->loading), "%s_loading", instance->pin_dir);
	snprintf(dirs->unloading, sizeof(dirs->unloading), "%s_unloading", instance->pin_dir);
	snprintf(dirs->programs, sizeof(dirs->programs), "%s/programs", instance->pin_dir);
	snprintf(dirs->links, sizeof(dirs->links), "%s/links", instance->pin_dir);
}

bool pin_is_loaded(const struct pin_dirs *dirs)
{
	return access(dirs->live, F_OK) == 0;
}

int pin_root_make(void)
{
	struct statfs fs;

	if (statfs(BPFFS, &fs) < 0)
		return log_error(-errno, "%s: not there (%s); the kernel needs CONFIG_BPF_SYSCALL",
				 BPFFS, strerror(errno));
	if (fs.f_type != BPF_FS_MAGIC) {
		if (mount("bpf", BPFFS, "bpf", 0, "mode=0700") < 0)
			return log_error(-errno, "%s: cannot mount bpffs (%s); run as root", BPFFS,
					 strerror(errno));
		log_info("%s: mounted bpffs, as nothing had", BPFFS);
	}
	if (mkdir(INSTANCE_BPFFS, 0750) < 0 && errno != EEXIST)
		return log_error(-errno, "%s: cannot make it (%s); run as root", INSTANCE_BPFFS,
				 strerror(errno));
	return 0;
}

int pin_directory_make(const char *directory)
{
	int err = pin_tree_remove(directory);

	/* whoever removes the last other instance may remove the folder of all */
	for (int i = 0; !err && i < PIN_ROOT_TRIES; i++) {
		if (mkdir(directory, 0750) == 0)
			return 0;
		if (errno != ENOENT)
			break;
		err = pin_root_make();
	}
	return err ? err : log_error(-errno, "%s: cannot make it (%s)", directory, strerror(errno));
}

/* Everything directly in `directory` that is no directory. */
static int pins_remove(const char *directory)
{
	_cleanup_(closedirp) DIR *stream = opendir(directory);
	struct dirent *entry;

	if (!stream)
		return errno == ENOENT ? 0 : -errno;
	while ((entry = readdir(stream))) {
		if (entry->d_type == DT_DIR)
			continue;
		if (unlinkat(dirfd(stream), entry->d_name, 0) < 0 && errno != ENOENT)
			return -errno;
	}
	return 0;
}

int pin_tree_remove(const char *directory)
{
	static const char *const parts[] = {"/links", "/programs", ""};

	for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
		char path[PIN_PATH_MAX];
		int err;

		snprintf(path, sizeof(path), "%s%s", directory, parts[i]);
		err = pins_remove(path);
		if (!err && rmdir(path) < 0 && errno != ENOENT)
			err = -errno;
		if (err)
			return log_error(err, "%s: cannot remove it (%s)", path, strerror(-err));
	}
	return 0;
}

int pin_put(int fd, const char *directory, const char *name)
{
	char path[PIN_PATH_MAX], fresh[PIN_PATH_MAX + 4];
	int err;

	snprintf(path, sizeof(path), "%s/%s", directory, name);
	snprintf(fresh, sizeof(fresh), "%s_new", path);
	if (unlink(fresh) < 0 && errno != ENOENT)
		return log_error(-errno, "%s: cannot remove it (%s)", fresh, strerror(errno));
	err = bpf_obj_pin(fd, fresh);
	if (err)
		return log_error(err, "%s: cannot pin there (%s)", fresh, strerror(-err));
	if (chmod(fresh, 0640) < 0 || rename(fresh, path) < 0) {
		err = -errno;
		unlink(fresh);
		return log_error(err, "%s: cannot pin there (%s)", path, strerror(-err));
	}
	return 0;
}

/* Does `fd` still have the name `path`? */
static bool is_same_file(int fd, const char *path)
{
	struct stat held, named;

	return fstat(fd, &held) == 0 && stat(path, &named) == 0 && held.st_ino == named.st_ino &&
	       held.st_dev == named.st_dev;
}

int pin_lock(const struct instance *instance, int *ret_fd)
{
	for (;;) {
		_cleanup_close_ int fd = -1;
		int err = instance_make_run_dir(instance);

		if (err)
			return err;
		fd = open(instance->run_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (fd < 0 && errno == ENOENT)
			continue;
		if (fd < 0 || flock(fd, LOCK_EX) < 0)
			return log_error(-errno, "%s: cannot lock it (%s)", instance->run_dir,
					 strerror(errno));
		if (!is_same_file(fd, instance->run_dir))
			continue;
		*ret_fd = TAKE_FD(fd);
		return 0;
	}
}

void pin_run_dir_remove(const struct instance *instance)
{
	if (rmdir(instance->run_dir) < 0 && errno != ENOTEMPTY && errno != EEXIST &&
	    errno != ENOENT)
		log_warning("%s: cannot remove it (%s)", instance->run_dir, strerror(errno));
}
