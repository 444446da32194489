// SPDX-License-Identifier: BSD-2-Clause
/* Through libxdp, which builds a new dispatcher for every change and exchanges it with the
 * old one by one netlink message, so that no packet meets neither.
 *
 * Where a dispatcher cannot work, libxdp 1.3.1 attaches the program alone and says nothing.
 * Ours has a section of its own, whose handler refuses to load it as anything but an
 * extension, which the kernel attaches to no device.  The handler also puts back the
 * multi-buffer flag that libxdp takes from extensions: map `devices` admits only programs
 * that agree about it. */
#include "loader/dispatcher.h"

#include <dirent.h>
#include <errno.h>
#include <linux/bpf.h>
#include <linux/if_link.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <xdp/libxdp.h>

#include "bpf/probe_ext.skel.h"
#include "loader/device.h"
#include "userspace/base/cleanup.h"
#include "userspace/base/log.h"

#define PROGRAM_NAME "xdp_shared"
#define SECTION "xdp.shared"
#define PROGRAM_MAPS_MAX 64
#define FOLDER_ROOT "/sys/fs/bpf/xdp" /* libxdp's */
#define FOLDER_MAX 320

static void closedirp(DIR **directory)
{
	if (*directory)
		closedir(*directory);
}

static void multiprog_closep(struct xdp_multiprog **multiprog)
{
	xdp_multiprog__close(*multiprog);
}

static bool program_uses(int fd, uint32_t map_id)
{
	uint32_t maps[PROGRAM_MAPS_MAX] = {0};
	struct bpf_prog_info info = {.nr_map_ids = ARRAY_SIZE(maps), .map_ids = (uintptr_t)maps};
	uint32_t size = sizeof(info);

	if (map_id == 0 || bpf_obj_get_info_by_fd(fd, &info, &size) < 0)
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(maps); i++) {
		if (maps[i] == map_id)
			return true;
	}
	return false;
}

/* NULL: the device has no XDP program, or it cannot be asked. */
static struct xdp_multiprog *multiprog_get(uint32_t ifindex)
{
	struct xdp_multiprog *multiprog;

	if (device_xdp_program(ifindex) == 0) /* libxdp makes its folder only to look */
		return NULL;
	multiprog = xdp_multiprog__get_from_ifindex((int)ifindex);
	return libxdp_get_error(multiprog) ? NULL : multiprog;
}

static enum share_seat multiprog_seat(const struct xdp_multiprog *multiprog)
{
	if (xdp_multiprog__is_legacy(multiprog))
		return SHARE_SEAT_ALONE;
	return xdp_multiprog__attach_mode(multiprog) == XDP_MODE_NATIVE
		       ? SHARE_SEAT_DISPATCHER
		       : SHARE_SEAT_DISPATCHER_GENERIC;
}

void dispatcher_look(uint32_t ifindex, uint32_t owner, struct dispatcher *ret_dispatcher)
{
	_cleanup_(multiprog_closep) struct xdp_multiprog *multiprog = multiprog_get(ifindex);
	struct dispatcher found = {.device = {.seat = SHARE_SEAT_FREE, .program_name = "?"}};
	struct xdp_program *program = NULL;

	found.device.program_id = device_xdp_program(ifindex);
	if (found.device.program_id)
		found.device.seat = SHARE_SEAT_ALONE;
	if (multiprog) {
		const char *name = xdp_program__name(xdp_multiprog__main_prog(multiprog));

		found.device.seat = multiprog_seat(multiprog);
		found.device.program_count = xdp_multiprog__program_count(multiprog);
		snprintf(found.device.program_name, sizeof(found.device.program_name), "%s",
			 name ? name : "?");
		while ((program = xdp_multiprog__next_prog(program, multiprog))) {
			if (!program_uses(xdp_program__fd(program), owner) ||
			    xdp_program__id(program) < found.own_id)
				continue;
			found.own_id = xdp_program__id(program);
			found.own_priority = xdp_program__run_prio(program);
		}
	}
	*ret_dispatcher = found;
}

static int extension_try(const struct probe_ext *target)
{
	struct probe_ext *extension = probe_ext__open();
	struct bpf_link *link;
	int err;

	if (!extension)
		return -errno;
	bpf_program__set_autoload(extension->progs.probe_target, false);
	err = bpf_program__set_attach_target(extension->progs.probe_extension,
					     bpf_program__fd(target->progs.probe_target),
					     "probe_slot");
	if (!err)
		err = probe_ext__load(extension);
	if (!err) {
		link = bpf_program__attach_trace(extension->progs.probe_extension);
		err = link ? bpf_link__destroy(link) : -errno;
	}
	probe_ext__destroy(extension);
	return err;
}

int dispatcher_probe(void)
{
	struct probe_ext *target = probe_ext__open();
	int err;

	if (!target)
		return -errno;
	bpf_program__set_autoload(target->progs.probe_extension, false);
	err = probe_ext__load(target);
	if (!err)
		err = extension_try(target);
	probe_ext__destroy(target);
	return err;
}

static int shared_prepare_load(struct bpf_program *program, struct bpf_prog_load_opts *options,
			       long cookie)
{
	(void)cookie;
	if (bpf_program__type(program) != BPF_PROG_TYPE_EXT)
		return -EOPNOTSUPP;
	options->prog_flags |= BPF_F_XDP_HAS_FRAGS;
	return 0;
}

int dispatcher_prepare(void)
{
	LIBBPF_OPTS(libbpf_prog_handler_opts, options, .prog_prepare_load_fn = shared_prepare_load);
	static int handler = -1; /* libbpf's table of handlers is the process's */

	if (handler < 0)
		handler =
			libbpf_register_prog_handler(SECTION, BPF_PROG_TYPE_XDP, BPF_XDP, &options);
	return handler < 0 ? handler : 0;
}

static int program_settle(struct xdp_program *program, uint32_t priority)
{
	int err = xdp_program__set_run_prio(program, priority);

	for (unsigned action = XDP_ABORTED; action <= XDP_REDIRECT && !err; action++)
		err = xdp_program__set_chain_call_enabled(program, action, action == XDP_PASS);
	if (!err)
		err = xdp_program__set_xdp_frags_support(program, true);
	return err;
}

int dispatcher_join(uint32_t ifindex, struct bpf_object *object, uint32_t priority,
		    uint32_t *ret_id)
{
	DECLARE_LIBXDP_OPTS(xdp_program_opts, options, .obj = object, .prog_name = PROGRAM_NAME);
	struct xdp_program *program = xdp_program__create(&options);
	int err = (int)libxdp_get_error(program);

	if (err)
		return err;
	err = program_settle(program, priority);
	if (!err)
		err = xdp_program__attach(program, (int)ifindex, XDP_MODE_NATIVE, 0);
	if (!err)
		*ret_id = xdp_program__id(program);
	xdp_program__close(program);
	return err;
}

int dispatcher_leave(uint32_t ifindex, uint32_t owner, uint32_t keep_id)
{
	_cleanup_(multiprog_closep) struct xdp_multiprog *multiprog = multiprog_get(ifindex);
	struct xdp_program *leaving[SHARE_PROGRAMS_MAX], *program = NULL;
	size_t count = 0;

	while (multiprog && count < SHARE_PROGRAMS_MAX &&
	       (program = xdp_multiprog__next_prog(program, multiprog))) {
		if (xdp_program__id(program) != keep_id &&
		    program_uses(xdp_program__fd(program), owner))
			leaving[count++] = program;
	}
	if (count == 0)
		return 0;
	return xdp_program__detach_multi(leaving, count, (int)ifindex,
					 xdp_multiprog__attach_mode(multiprog), 0);
}

/* Does one of the folder's pins hold a program of `owner`? */
static bool folder_is_of(const char *folder, uint32_t owner)
{
	for (int i = 0; i < SHARE_PROGRAMS_MAX; i++) {
		char path[FOLDER_MAX + 32];
		_cleanup_close_ int fd = -1;

		snprintf(path, sizeof(path), "%s/prog%d-prog", folder, i);
		fd = bpf_obj_get(path);
		if (fd >= 0 && program_uses(fd, owner))
			return true;
	}
	return false;
}

static void folder_remove(const char *folder)
{
	for (int i = 0; i < SHARE_PROGRAMS_MAX; i++) {
		char path[FOLDER_MAX + 32];

		snprintf(path, sizeof(path), "%s/prog%d-link", folder, i);
		unlink(path);
		snprintf(path, sizeof(path), "%s/prog%d-prog", folder, i);
		unlink(path);
	}
	if (rmdir(folder) < 0)
		log_warning("%s: cannot remove it (%s)", folder, strerror(errno));
}

void dispatcher_clean(uint32_t owner)
{
	_cleanup_(closedirp) DIR *stream = opendir(FOLDER_ROOT);
	struct dirent *entry;

	while (stream && (entry = readdir(stream))) {
		char folder[FOLDER_MAX];
		unsigned ifindex, id;

		if (sscanf(entry->d_name, "dispatch-%u-%u", &ifindex, &id) != 2)
			continue;
		snprintf(folder, sizeof(folder), FOLDER_ROOT "/%s", entry->d_name);
		if (device_xdp_program(ifindex) != id && folder_is_of(folder, owner))
			folder_remove(folder);
	}
}
