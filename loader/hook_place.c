// SPDX-License-Identifier: BSD-2-Clause
/* Joining, exchanging and leaving, with the record around it.
 *
 * A loader killed between two steps leaves a record without a program, which the next attach
 * forgets; two programs of ours in a row, the newer of which every command takes for the
 * attached one; or folders of libxdp's with a dispatcher that nobody uses, which are looked
 * for at every step here. */
#include "loader/hook_place.h"

#include <stdio.h>
#include <unistd.h>

#include <bpf/bpf.h>

#include "loader/dispatcher.h"
#include "loader/hook.h"
#include "loader/objects.h"
#include "loader/pin.h"

/* Id of the map; 0 if it cannot be read. */
static uint32_t owner_of(int map_fd)
{
	struct bpf_map_info info = {0};
	uint32_t size = sizeof(info);

	return bpf_obj_get_info_by_fd(map_fd, &info, &size) < 0 ? 0 : info.id;
}

static int program_join(uint32_t ifindex, const int *map_fds,
			const struct objects_settings *settings, uint32_t priority,
			uint32_t *ret_id)
{
	struct objects_shared shared = {0};
	int err = dispatcher_prepare();

	if (!err)
		err = objects_open_shared(map_fds, settings, &shared);
	if (!err)
		err = dispatcher_join(ifindex, shared.object, priority, ret_id);
	objects_close_shared(&shared);
	dispatcher_clean(owner_of(map_fds[MAP_CONTRACT]));
	return err;
}

int place_attach(const struct pin_dirs *dirs, const char *device, uint32_t ifindex,
		 const int *map_fds, const struct objects_settings *settings, uint32_t priority)
{
	char name[64], path[PIN_PATH_MAX];
	uint32_t id;
	int err;

	hook_pin_format(HOOK_SHARED, device, name, sizeof(name));
	err = pin_put(map_fds[MAP_CONTRACT], dirs->links, name);
	if (err)
		return err;
	err = program_join(ifindex, map_fds, settings, priority, &id);
	if (err) {
		snprintf(path, sizeof(path), "%s/%s", dirs->links, name);
		unlink(path);
	}
	return err;
}

int place_exchange(const struct hook *hook, const int *map_fds,
		   const struct objects_settings *settings)
{
	uint32_t owner = owner_of(map_fds[MAP_CONTRACT]), id;
	struct dispatcher dispatcher;
	int err;

	dispatcher_look(hook->ifindex, owner, &dispatcher);
	err = program_join(hook->ifindex, map_fds, settings, dispatcher.own_priority, &id);
	if (!err)
		err = dispatcher_leave(hook->ifindex, owner, id);
	dispatcher_clean(owner);
	return err;
}

int place_complete(const struct hook *hook, const int *map_fds)
{
	uint32_t owner = owner_of(map_fds[MAP_CONTRACT]);
	int err = dispatcher_leave(hook->ifindex, owner, hook->program_id);

	dispatcher_clean(owner);
	return err;
}

void place_read(int record, struct hook *hook)
{
	struct dispatcher dispatcher = {0};

	hook->ifindex = if_nametoindex(hook->device);
	if (hook->ifindex)
		dispatcher_look(hook->ifindex, owner_of(record), &dispatcher);
	hook->program_id = dispatcher.own_id;
}

int place_detach(int record, const struct hook *hook)
{
	uint32_t owner = owner_of(record);
	int err = hook->ifindex ? dispatcher_leave(hook->ifindex, owner, 0) : 0;

	dispatcher_clean(owner);
	return err;
}
