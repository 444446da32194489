// SPDX-License-Identifier: BSD-2-Clause
/* The two TC hooks of the decapsulation program: TCX where the kernel has it,
 * else filters on clsact.
 *
 * The same order as in hook.c, which knows a gateway's hooks: a link is pinned
 * right after it is made, a filter's record before it, so that whatever a killed
 * loader leaves is found again. */
#include <errno.h>
#include <linux/bpf.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <bpf/bpf.h>

#include "loader/clsact.h"
#include "loader/decap.h"
#include "loader/pin.h"
#include "userspace/base/cleanup.h"
#include "userspace/base/log.h"

/* Newer than Debian 12's headers; libbpf passes them through. */
#define BPF_TCX_INGRESS_TYPE ((enum bpf_attach_type)46)
#define BPF_TCX_EGRESS_TYPE ((enum bpf_attach_type)47)
#define BPF_F_BEFORE_FLAG (1u << 3)

#define FILTER_OWNER "decap_" /* what its handle is made of; no instance's name */
#define QDISC_OWN "qdisc_own"

static const struct {
	const char *name;
	enum clsact_side clsact;
	enum bpf_attach_type tcx;
	uint32_t tcx_flags;
} sides[DECAP_SIDE_COUNT] = {
	/* first: who else is there sees what came out of the tunnel */
	[DECAP_INGRESS] = {"ingress", CLSACT_INGRESS, BPF_TCX_INGRESS_TYPE, BPF_F_BEFORE_FLAG},
	[DECAP_EGRESS] = {"egress", CLSACT_EGRESS, BPF_TCX_EGRESS_TYPE, 0},
};

const char *decap_side_name(enum decap_side side)
{
	return sides[side].name;
}

static const char *pin_name(enum decap_side side, bool is_tcx, char buffer[32])
{
	snprintf(buffer, 32, "%s_%s", sides[side].name, is_tcx ? "tcx" : "clsact");
	return buffer;
}

static const char *pin_path(const struct decap_place *place, const char *name,
			    char buffer[PIN_PATH_MAX])
{
	snprintf(buffer, PIN_PATH_MAX, "%s/%s", place->pins, name);
	return buffer;
}

/* The pinned link, which is dead if its device has gone. */
static int link_open(const struct decap_place *place, enum decap_side side, int *ret_fd,
		     uint32_t *ret_program_id)
{
	struct bpf_link_info info = {0};
	uint32_t size = sizeof(info);
	char path[PIN_PATH_MAX], name[32];
	_cleanup_close_ int fd = bpf_obj_get(pin_path(place, pin_name(side, true, name), path));

	if (fd < 0)
		return fd;
	if (bpf_obj_get_info_by_fd(fd, &info, &size) < 0)
		return -errno;
	/* tcx.ifindex, unknown to these headers, is where xdp.ifindex is */
	*ret_program_id = info.xdp.ifindex && info.xdp.ifindex == place->ifindex ? info.prog_id : 0;
	*ret_fd = TAKE_FD(fd);
	return 0;
}

int decap_hook_read(const struct decap_place *place, enum decap_side side,
		    struct decap_hook *ret_hook)
{
	struct decap_hook hook = {.is_tcx = true};
	char path[PIN_PATH_MAX], name[32];
	_cleanup_close_ int fd = -1;
	int err = link_open(place, side, &fd, &hook.program_id);

	if (err == -ENOENT) {
		hook.is_tcx = false;
		err = access(pin_path(place, pin_name(side, false, name), path), F_OK) ? -errno : 0;
		if (!err && place->ifindex)
			clsact_filter_find(place->ifindex, sides[side].clsact,
					   clsact_handle(FILTER_OWNER), &hook.program_id);
	}
	if (err)
		return err;
	*ret_hook = hook;
	return 0;
}

static int tcx_put(const struct decap_place *place, enum decap_side side, int program_fd)
{
	LIBBPF_OPTS(bpf_link_create_opts, options, .flags = sides[side].tcx_flags);
	_cleanup_close_ int fd = -1;
	uint32_t program_id;
	char name[32];

	if (link_open(place, side, &fd, &program_id) == 0 && program_id)
		return bpf_link_update(fd, program_fd, NULL);
	closep(&fd);
	fd = bpf_link_create(program_fd, (int)place->ifindex, sides[side].tcx, &options);
	if (fd < 0)
		return fd;
	return pin_put(fd, place->pins, pin_name(side, true, name));
}

/* Recorded first as ours; an older qdisc then says that it is not. */
static int qdisc_make(const struct decap_place *place, int program_fd)
{
	char path[PIN_PATH_MAX];
	bool was_ours = access(pin_path(place, QDISC_OWN, path), F_OK) == 0;
	int err = was_ours ? 0 : pin_put(program_fd, place->pins, QDISC_OWN);

	if (err)
		return err;
	err = clsact_qdisc_make(place->ifindex);
	if (err && !(err == -EEXIST && was_ours))
		unlink(path);
	return err == -EEXIST ? 0 : err;
}

static int clsact_put(const struct decap_place *place, enum decap_side side, int program_fd)
{
	uint32_t handle = clsact_handle(FILTER_OWNER), program_id;
	char name[32];
	int err = qdisc_make(place, program_fd);

	if (!err)
		err = pin_put(program_fd, place->pins, pin_name(side, false, name));
	if (err)
		return err;
	if (clsact_filter_find(place->ifindex, sides[side].clsact, handle, &program_id) == 0)
		return clsact_filter_replace(place->ifindex, sides[side].clsact, handle,
					     program_fd);
	return clsact_filter_put(place->ifindex, sides[side].clsact, handle, program_fd);
}

int decap_hook_put(const struct decap_place *place, enum decap_side side, int program_fd,
		   bool clsact)
{
	struct decap_hook there;
	bool is_tcx = !clsact;
	int err;

	/* what is attached stays of its kind, so that it can be replaced without a gap */
	if (decap_hook_read(place, side, &there) == 0 && there.program_id)
		is_tcx = there.is_tcx;
	err = is_tcx ? tcx_put(place, side, program_fd) : -EINVAL;
	if (err == -EINVAL) { /* no TCX before 6.6 */
		is_tcx = false;
		err = clsact_put(place, side, program_fd);
	}
	if (err)
		return log_error(err, "%s: cannot attach to TC %s by %s (%s)", place->device,
				 sides[side].name, is_tcx ? "TCX" : "clsact", strerror(-err));
	return 0;
}

static int filter_remove(const struct decap_place *place, enum decap_side side)
{
	uint32_t handle = clsact_handle(FILTER_OWNER), program_id;
	int err;

	if (!place->ifindex ||
	    clsact_filter_find(place->ifindex, sides[side].clsact, handle, &program_id) < 0)
		return 0;
	err = clsact_filter_remove(place->ifindex, sides[side].clsact, handle);
	if (err)
		return log_error(err, "%s: cannot remove the clsact filter from %s (%s)",
				 place->device, sides[side].name, strerror(-err));
	return 0;
}

int decap_hook_remove(const struct decap_place *place, enum decap_side side)
{
	char path[PIN_PATH_MAX], name[32];
	struct decap_hook hook;
	int err = decap_hook_read(place, side, &hook);

	if (err == -ENOENT)
		return 0;
	if (!err && !hook.is_tcx)
		err = filter_remove(place, side);
	if (err)
		return err;
	pin_path(place, pin_name(side, hook.is_tcx, name), path);
	if (unlink(path) < 0 && errno != ENOENT)
		return log_error(-errno, "%s: cannot remove it (%s)", path, strerror(errno));
	return 0;
}

void decap_qdisc_remove(const struct decap_place *place)
{
	char path[PIN_PATH_MAX];
	int err;

	if (!place->ifindex || access(pin_path(place, QDISC_OWN, path), F_OK) < 0)
		return;
	err = clsact_qdisc_remove(place->ifindex);
	if (err == -EBUSY)
		log_info("%s: the clsact qdisc stays, others have filters on it", place->device);
	else if (err && err != -ENOENT && err != -EINVAL) /* these: it is gone */
		log_warning("%s: cannot remove the clsact qdisc (%s); 'tc qdisc del dev %s clsact' "
			    "does",
			    place->device, strerror(-err), place->device);
}
