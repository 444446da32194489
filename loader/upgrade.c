// SPDX-License-Identifier: BSD-2-Clause
/* sluice-loader upgrade: new programs over the maps that are there.
 *
 * The new programs are loaded against the pinned maps first; a refusal leaves
 * everything as it was.  Then each hook changes from one program to the next in
 * one step, so no packet meets neither; in libxdp's dispatcher in two, the new one joins
 * before the old one leaves (hook_place.h).  Old and new programs work side by side
 * on the same maps, so one killed half-way is completed by running it again. */
#include "loader/loader.h"

#include <errno.h>
#include <string.h>

#include "loader/hook.h"
#include "loader/hook_place.h"
#include "loader/objects.h"
#include "loader/pin.h"
#include "maps/access/maps.h"
#include "userspace/base/cleanup.h"
#include "userspace/base/clock.h"
#include "userspace/base/log.h"

struct upgrade {
	const struct loader *loader;
	struct pin_dirs dirs;
	struct objects objects;
	int replaced;
};

static int hook_upgrade(void *ctx, const struct hook *hook)
{
	struct upgrade *upgrade = ctx;
	int err;

	if (hook->program_id == 0 ||
	    (hook->kind == HOOK_SK_LOOKUP ? hook->netns == 0 : hook->ifindex == 0)) {
		log_warning("%s: is gone, its %s is not replaced; 'detach' forgets it",
			    hook->device, hook_text(hook->kind));
		return 0;
	}
	if (hook->kind == HOOK_SHARED)
		err = place_exchange(hook, upgrade->objects.map_fds, &upgrade->loader->settings);
	else
		err = hook_replace(&upgrade->dirs, hook,
				   upgrade->objects.program_fds[hook_program(hook->kind)]);
	if (err)
		return log_error(
			err,
			"%s: cannot replace the program of %s (%s); it goes on with the old "
			"one, run upgrade again",
			hook->device, hook_text(hook->kind), strerror(-err));
	upgrade->replaced++;
	return 0;
}

static int generation_raise(const struct maps *maps)
{
	struct contract contract = maps->contract;
	int err;

	contract.generation++;
	contract.loaded_at = clock_realtime_ns() / NS_PER_S;
	err = contract_put(maps->fds[MAP_CONTRACT], &contract);
	if (err)
		return log_error(err, "contract: cannot write it (%s)", strerror(-err));
	return 0;
}

int loader_upgrade(const struct loader *loader, int word_count, char **words)
{
	_cleanup_(maps_closep) struct maps *maps = NULL;
	_cleanup_close_ int lock = -1;
	struct upgrade upgrade = {.loader = loader};
	int err;

	if (word_count > 0)
		return log_error(-EINVAL, "upgrade: takes no argument, not '%s'", words[0]);
	pin_dirs_init(&upgrade.dirs, &loader->instance);
	err = pin_lock(&loader->instance, &lock);
	if (!err)
		err = maps_open(&loader->instance, MAPS_LOADER, &maps);
	if (!err)
		err = objects_load(maps->fds, &loader->settings, &upgrade.objects);
	if (err)
		return err;
	hooks_netns_enter(&upgrade.dirs);
	err = hooks_each(&upgrade.dirs, hook_upgrade, &upgrade);
	if (!err)
		err = objects_pin_programs(&upgrade.objects, upgrade.dirs.programs);
	if (!err)
		err = generation_raise(maps);
	objects_unload(&upgrade.objects);
	if (err)
		return err;
	log_info("instance %s: generation %llu, %d hooks replaced", loader->instance.name,
		 (unsigned long long)maps->contract.generation + 1, upgrade.replaced);
	return 0;
}
