/* SPDX-License-Identifier: BSD-2-Clause */
/* main() of a fuzz target without a fuzzer: runs every file named, and every
 * file of every folder named, through the target.  Each input ends where an
 * unmapped page begins, so reading one byte too far crashes.
 */
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/fuzz/fuzz.h"
#include "userspace/base/cleanup.h"
#include "userspace/base/file.h"

#define INPUT_BYTES_MAX (16u << 20)

static unsigned long input_count;

static int fail(const char *path, int err)
{
	fprintf(stderr, "%s: %s\n", path, strerror(-err));
	return err;
}

static int input_run(const char *path)
{
	_cleanup_free_ char *data = NULL;
	size_t size, page = (size_t)sysconf(_SC_PAGESIZE), room;
	uint8_t *pages;
	int r = file_read(path, INPUT_BYTES_MAX, &data, &size);

	if (r < 0)
		return fail(path, r);
	room = (size + page) & ~(page - 1);
	pages = mmap(NULL, room + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (pages == MAP_FAILED || mprotect(pages + room, page, PROT_NONE) < 0)
		return fail(path, -errno);
	memcpy(pages + room - size, data, size);
	mprotect(pages, room, PROT_READ);
	LLVMFuzzerTestOneInput(pages + room - size, size);
	munmap(pages, room + page);
	input_count++;
	return 0;
}

static int folder_run(const char *folder)
{
	DIR *dir = opendir(folder);
	struct dirent *entry;
	int r = 0;

	if (!dir)
		return fail(folder, -errno);
	while (!r && (entry = readdir(dir))) {
		char path[PATH_MAX];

		if (entry->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "%s/%s", folder, entry->d_name);
		r = input_run(path);
	}
	closedir(dir);
	return r;
}

int main(int argc, char **argv)
{
	int i, r = 0;

	for (i = 1; i < argc && !r; i++) {
		struct stat st;

		if (stat(argv[i], &st) < 0)
			r = fail(argv[i], -errno);
		else
			r = S_ISDIR(st.st_mode) ? folder_run(argv[i]) : input_run(argv[i]);
	}
	printf("%lu inputs\n", input_count);
	return r || !input_count;
}
