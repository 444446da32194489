// SPDX-License-Identifier: BSD-2-Clause
/* A link says itself what it holds to; the pin's name adds the device's name, and
 * is all there is for a clsact filter, which has no link. */
#include "maps/access/attachments.h"

#include <dirent.h>
#include <errno.h>
#include <linux/bpf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <bpf/bpf.h>

#include "userspace/base/cleanup.h"
#include "userspace/base/instance.h"
#include "userspace/base/log.h"
#include "userspace/base/netns.h"

#define PIN_PATH_MAX (INSTANCE_PATH_MAX + 300)

static void closedirp(DIR **directory)
{
	if (*directory)
		closedir(*directory);
}

bool attachment_is_native(const struct attachment *attachment)
{
	return !strcmp(attachment->hook, "native");
}

/* false: not a pin of this form. */
static bool pin_parse(const char *pin, struct attachment *attachment)
{
	const char *dash = strrchr(pin, '-');
	size_t length = dash ? (size_t)(dash - pin) : 0;

	if (length == 0 || length >= IF_NAMESIZE || strlen(dash + 1) >= ATTACHMENT_HOOK_MAX)
		return false;
	memset(attachment, 0, sizeof(*attachment));
	memcpy(attachment->device, pin, length);
	strcpy(attachment->hook, dash + 1);
	for (char *p = attachment->device; *p; p++) {
		if (*p == ':')
			*p = '.';
	}
	return true;
}

/* Zero where the pin is of a program: a clsact filter has no link. */
static struct bpf_link_info link_read(const char *path, const struct attachment *attachment)
{
	struct bpf_link_info info = {0};
	uint32_t size = sizeof(info);
	_cleanup_close_ int fd = -1;

	if (!strncmp(attachment->hook, "clsact", strlen("clsact")))
		return info;
	fd = bpf_obj_get(path);
	if (fd < 0 || bpf_obj_get_info_by_fd(fd, &info, &size) < 0)
		memset(&info, 0, sizeof(info));
	return info;
}

static void attachment_add(struct attachments *attachments, const char *directory, const char *pin)
{
	struct bpf_link_info info;
	struct attachment one;
	char path[PIN_PATH_MAX];

	if (!pin_parse(pin, &one))
		return;
	snprintf(path, sizeof(path), "%s/%s", directory, pin);
	info = link_read(path, &one);
	if (info.type == BPF_LINK_TYPE_NETNS) {
		attachments->netns = info.netns.netns_ino;
		return;
	}
	if (info.type == BPF_LINK_TYPE_XDP)
		one.ifindex = info.xdp.ifindex;
	if (attachments->count < ATTACHMENTS_MAX)
		attachments->all[attachments->count++] = one;
}

static int attachment_compare(const void *a, const void *b)
{
	const struct attachment *left = a, *right = b;

	if (attachment_is_native(left) != attachment_is_native(right))
		return attachment_is_native(left) ? -1 : 1;
	return strcmp(left->device, right->device);
}

int attachments_read(const struct instance *instance, struct attachments *ret_attachments)
{
	_cleanup_(closedirp) DIR *stream = NULL;
	char directory[INSTANCE_PATH_MAX + 16];
	struct dirent *entry;

	memset(ret_attachments, 0, sizeof(*ret_attachments));
	snprintf(directory, sizeof(directory), "%s/links", instance->pin_dir);
	stream = opendir(directory);
	if (!stream)
		return errno == ENOENT ? 0 : -errno;
	while ((entry = readdir(stream)))
		attachment_add(ret_attachments, directory, entry->d_name);
	qsort(ret_attachments->all, ret_attachments->count, sizeof(ret_attachments->all[0]),
	      attachment_compare);
	return 0;
}

int attachments_enter(const struct attachments *attachments)
{
	return attachments->netns ? netns_enter(attachments->netns) : -ENOENT;
}

int attachments_program_open(const struct instance *instance, const char *name, int *ret_fd)
{
	char path[PIN_PATH_MAX];
	int fd;

	snprintf(path, sizeof(path), "%s/programs/%s", instance->pin_dir, name);
	fd = bpf_obj_get(path);
	if (fd < 0)
		return log_error(fd, "%s: cannot open the program (%s)%s", path, strerror(-fd),
				 fd == -ENOENT ? "; run 'sluice-loader upgrade'" : "");
	*ret_fd = fd;
	return 0;
}
