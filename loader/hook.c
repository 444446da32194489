// SPDX-License-Identifier: BSD-2-Clause
/* Hooks: attaching, replacing and detaching, one row a kind.
 *
 * The pin comes right after a link is made; a loader killed between the two
 * leaves nothing, as an unpinned link dies with its descriptor.  For clsact the
 * pin comes first, so that a filter always has its record. */
#include "loader/hook.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/if_link.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <bpf/bpf.h>

#include "loader/clsact.h"
#include "loader/hook_place.h"
#include "loader/pin.h"
#include "userspace/base/cleanup.h"
#include "userspace/base/log.h"
#include "userspace/base/netns.h"

/* Newer than Debian 12's headers; libbpf passes them through. */
#define BPF_TCX_INGRESS_TYPE ((enum bpf_attach_type)46)
#define BPF_TCX_EGRESS_TYPE ((enum bpf_attach_type)47)
#define BPF_F_BEFORE_FLAG (1u << 3)

static const struct {
	const char *name;
	enum program_id program;
	const char *text;
} kinds[HOOK_KIND_COUNT] = {
#define X(id, name_, program_, text_)                                                              \
	[id] = {.name = (name_), .program = (program_), .text = (text_)},
	HOOK_LIST(X)
#undef X
};

static void closedirp(DIR **directory)
{
	if (*directory)
		closedir(*directory);
}

const char *hook_name(enum hook_kind kind)
{
	return kinds[kind].name;
}

const char *hook_text(enum hook_kind kind)
{
	return kinds[kind].text;
}

enum program_id hook_program(enum hook_kind kind)
{
	return kinds[kind].program;
}

static enum clsact_side hook_side(enum hook_kind kind)
{
	return kind == HOOK_CLSACT_EGRESS ? CLSACT_EGRESS : CLSACT_INGRESS;
}

static void characters_replace(char *text, char from, char to)
{
	for (; *text; text++) {
		if (*text == from)
			*text = to;
	}
}

void hook_pin_format(enum hook_kind kind, const char *device, char *buffer, int size)
{
	snprintf(buffer, (size_t)size, "%s-%s", device, kinds[kind].name);
	characters_replace(buffer, '.', ':');
}

bool hook_pin_parse(const char *pin, enum hook_kind *ret_kind, char ret_device[IF_NAMESIZE])
{
	const char *dash = strrchr(pin, '-');
	size_t length = dash ? (size_t)(dash - pin) : 0;

	if (length == 0 || length >= IF_NAMESIZE)
		return false;
	for (int kind = 0; kind < HOOK_KIND_COUNT; kind++) {
		if (strcmp(dash + 1, kinds[kind].name) != 0)
			continue;
		*ret_kind = (enum hook_kind)kind;
		memcpy(ret_device, pin, length);
		ret_device[length] = '\0';
		characters_replace(ret_device, ':', '.');
		return true;
	}
	return false;
}

static void pin_path(const struct pin_dirs *dirs, enum hook_kind kind, const char *device,
		     char path[PIN_PATH_MAX])
{
	char name[64];

	hook_pin_format(kind, device, name, sizeof(name));
	snprintf(path, PIN_PATH_MAX, "%s/%s", dirs->links, name);
}

static int link_make(enum hook_kind kind, uint32_t ifindex, int program_fd)
{
	LIBBPF_OPTS(bpf_link_create_opts, options);
	_cleanup_close_ int netns = -1;

	switch (kind) {
	case HOOK_NATIVE:
		options.flags = XDP_FLAGS_DRV_MODE;
		return bpf_link_create(program_fd, (int)ifindex, BPF_XDP, &options);
	case HOOK_GENERIC:
		options.flags = XDP_FLAGS_SKB_MODE;
		return bpf_link_create(program_fd, (int)ifindex, BPF_XDP, &options);
	case HOOK_TCX:
		options.flags = BPF_F_BEFORE_FLAG; /* first, as XDP is */
		return bpf_link_create(program_fd, (int)ifindex, BPF_TCX_INGRESS_TYPE, &options);
	case HOOK_TCX_EGRESS: /* last: what others make of a probe, it sees */
		return bpf_link_create(program_fd, (int)ifindex, BPF_TCX_EGRESS_TYPE, &options);
	case HOOK_SK_LOOKUP:
		netns = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
		if (netns < 0)
			return -errno;
		return bpf_link_create(program_fd, netns, BPF_SK_LOOKUP, &options);
	default: return -EINVAL;
	}
}

/* Recorded first as ours; an older qdisc then says that it is not. */
static int clsact_attach(const struct pin_dirs *dirs, const char *device, uint32_t ifindex,
			 int program_fd)
{
	char own[PIN_PATH_MAX], shared[PIN_PATH_MAX];
	char name[64];
	int err;

	pin_path(dirs, HOOK_CLSACT_OWN, device, own);
	pin_path(dirs, HOOK_CLSACT, device, shared);
	hook_pin_format(HOOK_CLSACT_OWN, device, name, sizeof(name));
	err = pin_put(program_fd, dirs->links, name);
	if (err)
		return err;
	err = clsact_qdisc_make(ifindex);
	if (err == -EEXIST)
		err = rename(own, shared) < 0 ? -errno : 0;
	if (!err)
		err = clsact_filter_put(ifindex, CLSACT_INGRESS, clsact_handle(dirs->instance),
					program_fd);
	if (!err)
		return 0;
	if (unlink(own) == 0)
		clsact_qdisc_remove(ifindex);
	unlink(shared);
	return err;
}

/* On the qdisc that the ingress filter has made or found. */
static int clsact_egress_attach(const struct pin_dirs *dirs, const char *device, uint32_t ifindex,
				int program_fd)
{
	char path[PIN_PATH_MAX], name[64];
	int err;

	pin_path(dirs, HOOK_CLSACT_EGRESS, device, path);
	hook_pin_format(HOOK_CLSACT_EGRESS, device, name, sizeof(name));
	err = pin_put(program_fd, dirs->links, name);
	if (err)
		return err;
	err = clsact_filter_put(ifindex, CLSACT_EGRESS, clsact_handle(dirs->instance), program_fd);
	if (err)
		unlink(path);
	return err;
}

int hook_attach(const struct pin_dirs *dirs, enum hook_kind kind, const char *device,
		uint32_t ifindex, int program_fd)
{
	_cleanup_close_ int link = -1;
	char path[PIN_PATH_MAX];

	if (kind == HOOK_CLSACT_EGRESS)
		return clsact_egress_attach(dirs, device, ifindex, program_fd);
	if (hook_is_clsact(kind))
		return clsact_attach(dirs, device, ifindex, program_fd);
	link = link_make(kind, ifindex, program_fd);
	if (link < 0)
		return link;
	pin_path(dirs, kind, device, path);
	return bpf_obj_pin(link, path);
}

static int clsact_replace(const struct pin_dirs *dirs, const struct hook *hook, int program_fd)
{
	char name[64];
	int err = clsact_filter_replace(hook->ifindex, hook_side(hook->kind),
					clsact_handle(dirs->instance), program_fd);

	if (err)
		return err;
	hook_pin_format(hook->kind, hook->device, name, sizeof(name));
	return pin_put(program_fd, dirs->links, name);
}

int hook_replace(const struct pin_dirs *dirs, const struct hook *hook, int program_fd)
{
	_cleanup_close_ int link = -1;
	char path[PIN_PATH_MAX];

	if (hook_is_clsact(hook->kind))
		return clsact_replace(dirs, hook, program_fd);
	pin_path(dirs, hook->kind, hook->device, path);
	link = bpf_obj_get(path);
	if (link < 0)
		return link;
	return bpf_link_update(link, program_fd, NULL);
}

static void qdisc_remove(const struct hook *hook)
{
	int err = clsact_qdisc_remove(hook->ifindex);

	if (err == -EBUSY)
		log_info("%s: the clsact qdisc stays, others have filters on it", hook->device);
	else if (err && err != -ENOENT && err != -EINVAL) /* these: it is gone */
		log_warning("%s: cannot remove the clsact qdisc (%s); 'tc qdisc del dev %s clsact' "
			    "does",
			    hook->device, strerror(-err), hook->device);
}

static int filter_remove(const struct hook *hook, enum clsact_side side, uint32_t handle)
{
	uint32_t program;
	int err;

	if (clsact_filter_find(hook->ifindex, side, handle, &program) != 0)
		return 0;
	err = clsact_filter_remove(hook->ifindex, side, handle);
	if (err)
		return log_error(err, "%s: cannot remove the clsact filter (%s)", hook->device,
				 strerror(-err));
	return 0;
}

/* Fine if the device, the filter or the qdisc is gone.  Hooks come in any order at an
 * unload, and a qdisc of ours must not stay for the sake of our own egress filter. */
static int clsact_detach(const struct pin_dirs *dirs, const struct hook *hook)
{
	uint32_t handle = clsact_handle(dirs->instance);
	int err;

	if (hook->ifindex == 0)
		return 0;
	err = filter_remove(hook, hook_side(hook->kind), handle);
	if (err || hook->kind != HOOK_CLSACT_OWN)
		return err;
	err = filter_remove(hook, CLSACT_EGRESS, handle);
	if (!err)
		qdisc_remove(hook);
	return err;
}

static int place_leave(const char *record_path, const struct hook *hook)
{
	_cleanup_close_ int record = bpf_obj_get(record_path);
	int err = record < 0 ? record : place_detach(record, hook);

	if (err && err != -ENOENT)
		return log_error(
			err,
			"%s: cannot leave libxdp's dispatcher (%s); 'xdp-loader status %s' "
			"shows it",
			hook->device, strerror(-err), hook->device);
	return 0;
}

int hook_detach(const struct pin_dirs *dirs, const struct hook *hook)
{
	char path[PIN_PATH_MAX];
	int err = 0;

	pin_path(dirs, hook->kind, hook->device, path);
	if (hook_is_clsact(hook->kind))
		err = clsact_detach(dirs, hook);
	else if (hook->kind == HOOK_SHARED)
		err = place_leave(path, hook);
	if (err)
		return err;
	if (unlink(path) < 0 && errno != ENOENT)
		return log_error(-errno, "%s: cannot remove it (%s)", path, strerror(errno));
	return 0;
}

static void link_read(int fd, struct hook *hook)
{
	struct bpf_link_info info = {0};
	uint32_t size = sizeof(info);

	if (bpf_obj_get_info_by_fd(fd, &info, &size) < 0)
		return;
	hook->program_id = info.prog_id;
	if (hook->kind == HOOK_SK_LOOKUP)
		hook->netns = info.netns.netns_ino;
	else /* tcx.ifindex, unknown to these headers, is at the same place */
		hook->ifindex = info.xdp.ifindex;
}

/* -ENOENT: the pin is gone. */
static int hook_read(const struct pin_dirs *dirs, enum hook_kind kind, const char *device,
		     struct hook *ret_hook)
{
	struct hook hook = {.kind = kind};
	_cleanup_close_ int fd = -1;
	char path[PIN_PATH_MAX];

	snprintf(hook.device, sizeof(hook.device), "%s", device);
	pin_path(dirs, kind, device, path);
	fd = bpf_obj_get(path);
	if (fd < 0)
		return fd;
	if (hook_is_clsact(kind)) {
		hook.ifindex = if_nametoindex(device);
		if (hook.ifindex)
			clsact_filter_find(hook.ifindex, hook_side(kind),
					   clsact_handle(dirs->instance), &hook.program_id);
	} else if (kind == HOOK_SHARED) {
		place_read(fd, &hook);
	} else {
		link_read(fd, &hook);
	}
	*ret_hook = hook;
	return 0;
}

int hook_find(const struct pin_dirs *dirs, enum hook_kind kind, const char *device,
	      struct hook *ret_hook)
{
	return hook_read(dirs, kind, device, ret_hook);
}

void hooks_netns_enter(const struct pin_dirs *dirs)
{
	struct hook hook;

	if (hook_find(dirs, HOOK_SK_LOOKUP, HOOK_NETNS, &hook) == 0 && hook.netns)
		netns_enter(hook.netns);
}

int hooks_each(const struct pin_dirs *dirs, int (*each)(void *ctx, const struct hook *hook),
	       void *ctx)
{
	_cleanup_(closedirp) DIR *stream = opendir(dirs->links);
	struct dirent *entry;
	int result = 0;

	while (stream && !result && (entry = readdir(stream))) {
		char device[IF_NAMESIZE];
		enum hook_kind kind;
		struct hook hook;

		if (!hook_pin_parse(entry->d_name, &kind, device))
			continue;
		if (hook_read(dirs, kind, device, &hook) == 0)
			result = each(ctx, &hook);
	}
	return result;
}
