// SPDX-License-Identifier: BSD-2-Clause
/* Loading: four objects, one set of maps.
 *
 * Every object defines every map.  The first to be loaded makes them, the others
 * are given the same descriptors before they load; for an upgrade all of them
 * are given the pinned ones. */
#include "loader/objects.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "maps/layout/ring.h" /* a type that the skeletons name */
#include "bpf/sk_lookup.skel.h"
#include "bpf/tc_egress.skel.h"
#include "bpf/tc_ingress.skel.h"
#include "bpf/xdp_ingress.skel.h"
#include "loader/pin.h"
#include "userspace/base/cleanup.h"
#include "userspace/base/log.h"

struct objects_handle {
	struct xdp_ingress *xdp;
	struct tc_ingress *tc;
	struct tc_egress *egress;
	struct sk_lookup *sk;
};

static const char *const program_names[PROGRAM_COUNT] = {
#define X(id, name) [id] = name,
	PROGRAM_LIST(X)
#undef X
};

static const char *const map_names[MAP_ID_COUNT] = {
#define X(id, name) [id] = name,
	MAP_LIST(X)
#undef X
};

const char *program_name(enum program_id id)
{
	return program_names[id];
}

/* Gives the object descriptors for the catalogue's maps instead of new ones. */
static int maps_reuse(struct bpf_object *object, const int *map_fds)
{
	for (int id = 0; id < MAP_ID_COUNT; id++) {
		struct bpf_map *map = bpf_object__find_map_by_name(object, map_names[id]);
		int err = map ? bpf_map__reuse_fd(map, map_fds[id]) : -ENOENT;

		if (err)
			return log_error(err, "map %s: cannot be given to the new programs (%s)",
					 map_names[id], strerror(-err));
	}
	return 0;
}

static int object_load(struct bpf_object *object, const char *what)
{
	int err = bpf_object__load(object);

	if (!err)
		return 0;
	if (err == -EPERM)
		return log_error(err, "%s: not allowed to load programs (EPERM); run as root",
				 what);
	return log_error(err,
			 "%s: this kernel refuses the program (%s); --verbose shows the "
			 "verifier's reasons",
			 what, strerror(-err));
}

/* Over the maps of an object that is loaded. */
static int object_load_beside(struct bpf_object *object, const int *map_fds, const char *what)
{
	int err = maps_reuse(object, map_fds);

	return err ? err : object_load(object, what);
}

static void maps_take(struct bpf_object *object, int *ret_fds)
{
	for (int id = 0; id < MAP_ID_COUNT; id++)
		ret_fds[id] = bpf_object__find_map_fd_by_name(object, map_names[id]);
}

static void xdp_settle(struct xdp_ingress *xdp, const struct objects_settings *settings)
{
	xdp->rodata->neighbour_interval = settings->neighbour_interval;
	xdp->rodata->cpu_count = (uint32_t)libbpf_num_possible_cpus();
}

static int objects_open(struct objects_handle *handle, const struct objects_settings *settings)
{
	handle->xdp = xdp_ingress__open();
	handle->tc = tc_ingress__open();
	handle->egress = tc_egress__open();
	handle->sk = sk_lookup__open();
	if (!handle->xdp || !handle->tc || !handle->egress || !handle->sk)
		return log_error(-errno, "built-in programs: cannot be read (%s)", strerror(errno));
	xdp_settle(handle->xdp, settings);
	handle->tc->rodata->cpu_count = (uint32_t)libbpf_num_possible_cpus();
	return 0;
}

static void programs_take(const struct objects_handle *handle, int *ret_fds)
{
	ret_fds[PROGRAM_XDP] = bpf_program__fd(handle->xdp->progs.xdp_ingress);
	ret_fds[PROGRAM_XDP_GENERIC] = bpf_program__fd(handle->xdp->progs.xdp_generic);
	ret_fds[PROGRAM_TC] = bpf_program__fd(handle->tc->progs.tc_ingress);
	ret_fds[PROGRAM_TC_EGRESS] = bpf_program__fd(handle->egress->progs.tc_egress);
	ret_fds[PROGRAM_SK_LOOKUP] = bpf_program__fd(handle->sk->progs.sk_assign);
}

int objects_load(const int *map_fds, const struct objects_settings *settings,
		 struct objects *ret_objects)
{
	struct objects objects = {.handle = calloc(1, sizeof(*objects.handle))};
	int err;

	if (!objects.handle)
		return log_error(-ENOMEM, "out of memory");
	err = objects_open(objects.handle, settings);
	if (!err && map_fds)
		err = maps_reuse(objects.handle->xdp->obj, map_fds);
	else if (!err)
		err = bpf_map__set_max_entries(objects.handle->xdp->maps.flows,
					       settings->flow_sets);
	if (!err)
		err = object_load(objects.handle->xdp->obj, "xdp_ingress");
	if (err)
		goto fail;
	maps_take(objects.handle->xdp->obj, objects.map_fds);
	err = object_load_beside(objects.handle->tc->obj, objects.map_fds, "tc_ingress");
	if (!err)
		err = object_load_beside(objects.handle->egress->obj, objects.map_fds, "tc_egress");
	if (!err)
		err = object_load_beside(objects.handle->sk->obj, objects.map_fds, "sk_lookup");
	if (err)
		goto fail;
	programs_take(objects.handle, objects.program_fds);
	*ret_objects = objects;
	return 0;
fail:
	objects_unload(&objects);
	return err;
}

void objects_unload(struct objects *objects)
{
	if (!objects->handle)
		return;
	xdp_ingress__destroy(objects->handle->xdp);
	tc_ingress__destroy(objects->handle->tc);
	tc_egress__destroy(objects->handle->egress);
	sk_lookup__destroy(objects->handle->sk);
	free(objects->handle);
	objects->handle = NULL;
}

int objects_open_shared(const int *map_fds, const struct objects_settings *settings,
			struct objects_shared *ret_shared)
{
	struct xdp_ingress *xdp = xdp_ingress__open();
	int err;

	if (!xdp)
		return log_error(-errno, "built-in programs: cannot be read (%s)", strerror(errno));
	xdp_settle(xdp, settings);
	bpf_program__set_autoload(xdp->progs.xdp_ingress, false);
	bpf_program__set_autoload(xdp->progs.xdp_generic, false);
	err = maps_reuse(xdp->obj, map_fds);
	if (err) {
		xdp_ingress__destroy(xdp);
		return err;
	}
	*ret_shared = (struct objects_shared){.object = xdp->obj, .skeleton = xdp};
	return 0;
}

void objects_close_shared(struct objects_shared *shared)
{
	xdp_ingress__destroy(shared->skeleton);
	*shared = (struct objects_shared){0};
}

int objects_pin_maps(const struct objects *objects, const char *directory)
{
	for (int id = 0; id < MAP_ID_COUNT; id++) {
		int err = pin_put(objects->map_fds[id], directory, map_names[id]);

		if (err)
			return err;
	}
	return 0;
}

int objects_pin_programs(const struct objects *objects, const char *directory)
{
	for (int id = 0; id < PROGRAM_COUNT; id++) {
		int err = pin_put(objects->program_fds[id], directory, program_names[id]);

		if (err)
			return err;
	}
	return 0;
}

int program_open(const struct pin_dirs *dirs, enum program_id id, int *ret_fd)
{
	char path[PIN_PATH_MAX];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", dirs->programs, program_names[id]);
	fd = bpf_obj_get(path);
	if (fd < 0)
		return log_error(fd, "%s: cannot open the program (%s); unload and load again",
				 path, strerror(-fd));
	*ret_fd = fd;
	return 0;
}
