// SPDX-License-Identifier: BSD-2-Clause
/* sluice-loader unload: the host as it was.
 *
 * Works on whatever is there: a whole instance, one of another version, what an
 * interrupted load or unload left, or nothing.  VIP addresses that we put on lo, and
 * next hops whose neighbours the kernel keeps resolved for us, are read from the maps
 * before they go.  It moves into the namespace that the
 * instance was attached in; if that is gone, so are its devices and filters. */
#include "loader/loader.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "loader/hook.h"
#include "loader/pin.h"
#include "maps/access/maps.h"
#include "userspace/base/address.h"
#include "userspace/base/cleanup.h"
#include "userspace/base/log.h"
#include "userspace/base/netns.h"
#include "userspace/paths/held.h"
#include "userspace/publish/vip_address.h"

struct unload {
	const struct loader *loader;
	struct pin_dirs dirs;
	bool namespace_gone;
	int hooks, addresses;
	uint32_t neighbours;
};

static void namespace_enter(struct unload *unload)
{
	struct hook hook;

	if (hook_find(&unload->dirs, HOOK_SK_LOOKUP, HOOK_NETNS, &hook) < 0)
		return; /* never attached: nothing outside bpffs */
	unload->namespace_gone = hook.netns == 0 || netns_enter(hook.netns) < 0;
	if (unload->namespace_gone)
		log_info("its network namespace is gone, and all that was in it");
}

static int address_remove(void *ctx, const struct vip_key *key, const struct vip *vip)
{
	struct unload *unload = ctx;

	if (!(vip->flags & VIP_F_ADDRESS_ADDED))
		return 0;
	if (vip_address_remove(&key->addr) == 0)
		unload->addresses++;
	return 0;
}

static void records_undo(struct unload *unload)
{
	_cleanup_(maps_closep) struct maps *maps = NULL;

	if (unload->namespace_gone)
		return;
	if (maps_open(&unload->loader->instance, MAPS_READ, &maps) < 0) {
		log_warning(
			"the maps cannot be read, so addresses put on lo for VIPs and neighbours kept "
			"resolved stay; see 'ip address show dev lo', 'ip neigh show proto 83'");
		return;
	}
	vips_each(maps, address_remove, unload);
	held_neighbours_remove(maps, &unload->neighbours);
}

static int hook_remove(void *ctx, const struct hook *hook)
{
	struct unload *unload = ctx;
	struct hook gone = *hook;
	int err;

	if (unload->namespace_gone)
		gone.ifindex = 0; /* a device of that name here is another one */
	err = hook_detach(&unload->dirs, &gone);
	if (!err)
		unload->hooks++;
	return err;
}

static int live_remove(struct unload *unload)
{
	int err;

	namespace_enter(unload);
	records_undo(unload);
	err = hooks_each(&unload->dirs, hook_remove, unload);
	if (err)
		return err;
	err = pin_tree_remove(unload->dirs.unloading);
	if (err)
		return err;
	if (rename(unload->dirs.live, unload->dirs.unloading) < 0)
		return log_error(-errno, "%s: cannot rename it (%s)", unload->dirs.live,
				 strerror(errno));
	return 0;
}

int loader_unload(const struct loader *loader, int word_count, char **words)
{
	struct unload unload = {.loader = loader};
	_cleanup_close_ int lock = -1;
	bool loaded;
	int err;

	if (word_count > 0)
		return log_error(-EINVAL, "unload: takes no argument, not '%s'; one device: detach",
				 words[0]);
	pin_dirs_init(&unload.dirs, &loader->instance);
	err = pin_lock(&loader->instance, &lock);
	if (err)
		return err;
	loaded = pin_is_loaded(&unload.dirs);
	if (loaded)
		err = live_remove(&unload);
	if (!err)
		err = pin_tree_remove(unload.dirs.unloading);
	if (!err)
		err = pin_tree_remove(unload.dirs.loading);
	if (err)
		return err;
	pin_run_dir_remove(&loader->instance);
	if (loaded)
		log_info(
			"instance %s: unloaded, %d hooks detached, %d addresses taken from lo, %u neighbours "
			"let go",
			loader->instance.name, unload.hooks, unload.addresses, unload.neighbours);
	else
		log_info("instance %s: nothing is loaded", loader->instance.name);
	return 0;
}
