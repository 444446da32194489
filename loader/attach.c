// SPDX-License-Identifier: BSD-2-Clause
/* sluice-loader attach and detach: the programs at devices and namespace.
 *
 * Order at attaching: sk_lookup, then TC ingress and egress, then XDP, then the
 * device joins the map that XDP sends by, so that whatever a program leaves to the next one
 * finds it there; detaching goes the other way round.  Every step that is done
 * already is left alone, so an interrupted attach is completed by repeating it. */
#include "loader/loader.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "loader/device.h"
#include "loader/dispatcher.h"
#include "loader/hook.h"
#include "loader/hook_place.h"
#include "loader/objects.h"
#include "loader/pin.h"
#include "maps/access/maps.h"
#include "userspace/base/address.h"
#include "userspace/base/cleanup.h"
#include "userspace/base/log.h"
#include "userspace/base/netns.h"

struct attaching {
	const struct loader *loader;
	struct pin_dirs dirs;
	struct maps *maps;
	const char *device;
	uint32_t ifindex;
};

/* An attached hook; a record of one that died with its device is removed. */
static bool hook_is_live(const struct pin_dirs *dirs, enum hook_kind kind, const char *device)
{
	struct hook hook;

	if (hook_find(dirs, kind, device, &hook) < 0)
		return false;
	if (kind == HOOK_SK_LOOKUP ? hook.netns != 0 : hook.ifindex && hook.program_id)
		return true;
	hook_detach(dirs, &hook);
	return false;
}

static int hook_put(const struct attaching *at, enum hook_kind kind)
{
	_cleanup_close_ int program = -1;
	int err;

	if (hook_is_live(&at->dirs, kind, at->device))
		return 0;
	err = program_open(&at->dirs, hook_program(kind), &program);
	if (err)
		return err;
	return hook_attach(&at->dirs, kind, at->device, at->ifindex, program);
}

static int namespace_attach(const struct attaching *device)
{
	struct attaching at = *device;
	struct hook hook;
	int err;

	at.device = HOOK_NETNS;
	at.ifindex = 0;
	if (hook_find(&at.dirs, HOOK_SK_LOOKUP, HOOK_NETNS, &hook) == 0 && hook.netns &&
	    hook.netns != netns_own())
		return log_error(
			-EXDEV,
			"instance %s: is attached in another network namespace (inode %llu); "
			"one instance serves one namespace, use another --instance here",
			at.loader->instance.name, (unsigned long long)hook.netns);
	err = hook_put(&at, HOOK_SK_LOOKUP);
	if (err)
		return log_error(err, "sk_lookup: cannot attach to this network namespace (%s)",
				 strerror(-err));
	return 0;
}

/* The first of these hooks that is attached; -ENOENT: none. */
static int hook_first(const struct attaching *at, enum hook_kind from, enum hook_kind to,
		      enum hook_kind *ret_kind)
{
	for (enum hook_kind kind = from; kind <= to; kind++) {
		if (hook_is_live(&at->dirs, kind, at->device)) {
			*ret_kind = kind;
			return 0;
		}
	}
	return -ENOENT;
}

/* What is attached already is completed, never changed into something else. */
static int mode_check(const struct attaching *at)
{
	enum attach_mode mode = at->loader->mode;
	bool wants_native = mode == ATTACH_AUTO || mode == ATTACH_NATIVE;
	bool wants_generic = mode == ATTACH_GENERIC;
	enum hook_kind found;

	if (at->loader->share && !wants_native)
		return log_error(-EINVAL,
				 "%s: --share is for native XDP; leave out --mode, or --share",
				 at->device);
	if (hook_first(at, HOOK_NATIVE, HOOK_GENERIC, &found) == 0 &&
	    !(found == HOOK_GENERIC ? wants_generic
				    : wants_native && (found == HOOK_SHARED || !at->loader->share)))
		return log_error(-EEXIST, "%s: has %s of this instance; detach it first",
				 at->device, hook_text(found));
	if (mode == ATTACH_CLSACT && hook_is_live(&at->dirs, HOOK_TCX, at->device))
		return log_error(-EEXIST, "%s: has %s of this instance; detach it first",
				 at->device, hook_text(HOOK_TCX));
	return 0;
}

static int tc_ingress_attach(const struct attaching *at, enum hook_kind *ret_kind)
{
	bool with_clsact = at->loader->mode == ATTACH_CLSACT;
	int err = 0;

	if (hook_first(at, HOOK_TCX, HOOK_CLSACT_OWN, ret_kind) == 0)
		return 0;
	*ret_kind = HOOK_TCX;
	if (!with_clsact) {
		err = hook_put(at, HOOK_TCX);
		with_clsact = err == -EINVAL; /* no TCX before 6.6 */
	}
	if (with_clsact) {
		*ret_kind = HOOK_CLSACT;
		err = hook_put(at, HOOK_CLSACT);
	}
	if (err)
		return log_error(err, "%s: cannot attach the TC program as %s (%s)", at->device,
				 hook_text(*ret_kind), strerror(-err));
	return 0;
}

static enum hook_kind egress_beside(enum hook_kind ingress)
{
	return ingress == HOOK_TCX ? HOOK_TCX_EGRESS : HOOK_CLSACT_EGRESS;
}

/* *ret_kind: the ingress hook; egress is held the same way. */
static int tc_attach(const struct attaching *at, enum hook_kind *ret_kind)
{
	enum hook_kind egress;
	int err = tc_ingress_attach(at, ret_kind);

	if (err)
		return err;
	egress = egress_beside(*ret_kind);
	err = hook_put(at, egress);
	if (err)
		return log_error(err, "%s: cannot attach the TC program as %s (%s)", at->device,
				 hook_text(egress), strerror(-err));
	return 0;
}

static int xdp_refuse(const struct attaching *at, enum hook_kind kind, int err)
{
	if (err == -EOPNOTSUPP)
		return log_error(
			err, "%s: %s is not supported by this driver (EOPNOTSUPP); use --mode tc",
			at->device, hook_text(kind));
	return log_error(err, "%s: cannot attach %s (%s); use --mode tc to do without", at->device,
			 hook_text(kind), strerror(-err));
}

static int place_put(const struct attaching *at)
{
	struct hook hook;

	if (hook_is_live(&at->dirs, HOOK_SHARED, at->device) &&
	    hook_find(&at->dirs, HOOK_SHARED, at->device, &hook) == 0)
		return place_complete(&hook, at->maps->fds);
	return place_attach(&at->dirs, at->device, at->ifindex, at->maps->fds,
			    &at->loader->settings, at->loader->priority);
}

/* What of XDP the device has already, or is to get. */
static int xdp_choose(const struct attaching *at, enum hook_kind *ret_kind)
{
	bool is_generic = at->loader->mode == ATTACH_GENERIC;
	enum share_wish wish = is_generic	   ? SHARE_WISH_GENERIC
			       : at->loader->share ? SHARE_WISH_SHARE
						   : SHARE_WISH_NATIVE;
	char sentence[SHARE_SENTENCE_MAX];
	struct dispatcher dispatcher;
	enum share_plan plan;
	int extensions = 0, err;

	if (hook_first(at, HOOK_NATIVE, HOOK_GENERIC, ret_kind) == 0)
		return 0;
	dispatcher_look(at->ifindex, 0, &dispatcher);
	if (share_needs_extensions(&dispatcher.device, wish))
		extensions = dispatcher_probe();
	err = share_decide(&dispatcher.device, wish, extensions, &plan, sentence);
	if (err)
		return log_error(err, "%s: %s", at->device, sentence);
	*ret_kind = plan == SHARE_PLAN_JOIN ? HOOK_SHARED : is_generic ? HOOK_GENERIC : HOOK_NATIVE;
	return 0;
}

/* *ret_attached false: not wanted, or the driver has no native XDP and the mode
 * leaves the choice. */
static int xdp_attach(const struct attaching *at, bool *ret_attached, enum hook_kind *ret_kind)
{
	enum attach_mode mode = at->loader->mode;
	enum hook_kind kind;
	int err;

	*ret_attached = false;
	if (mode == ATTACH_TC || mode == ATTACH_CLSACT)
		return 0;
	err = xdp_choose(at, &kind);
	if (err)
		return err;
	err = kind == HOOK_SHARED ? place_put(at) : hook_put(at, kind);
	if (err == -EOPNOTSUPP && mode == ATTACH_AUTO && kind == HOOK_NATIVE) {
		log_info("%s: the driver has no native XDP (EOPNOTSUPP), TC alone serves it",
			 at->device);
		return 0;
	}
	if (err)
		return xdp_refuse(at, kind, err);
	*ret_kind = kind;
	*ret_attached = true;
	return 0;
}

static int device_detach(const struct attaching *at, int *count)
{
	static const enum hook_kind order[] = {HOOK_NATIVE,	HOOK_SHARED,	    HOOK_GENERIC,
					       HOOK_TCX_EGRESS, HOOK_CLSACT_EGRESS, HOOK_TCX,
					       HOOK_CLSACT,	HOOK_CLSACT_OWN};

	if (at->ifindex)
		devices_remove(at->maps, at->ifindex);
	for (size_t i = 0; i < ARRAY_SIZE(order); i++) {
		struct hook hook;
		int err;

		if (hook_find(&at->dirs, order[i], at->device, &hook) < 0)
			continue;
		err = hook_detach(&at->dirs, &hook);
		if (err)
			return err;
		(*count)++;
	}
	return 0;
}

static int device_attach(struct attaching *at)
{
	const struct loader *loader = at->loader;
	bool xdp = false;
	bool was_attached;
	enum hook_kind tc, xdp_kind = HOOK_NATIVE;
	int count = 0, err;

	err = device_find(at->device, &at->ifindex);
	if (!err)
		err = mode_check(at);
	if (err)
		return err;
	was_attached = hook_first(at, HOOK_NATIVE, HOOK_CLSACT_OWN, &tc) == 0;
	err = namespace_attach(at);
	if (err)
		return err;
	err = tc_attach(at, &tc);
	if (!err)
		err = xdp_attach(at, &xdp, &xdp_kind);
	if (!err && xdp && loader->mode != ATTACH_GENERIC)
		err = devices_put(at->maps, at->ifindex);
	if (err) {
		if (!was_attached)
			device_detach(at, &count);
		return err;
	}
	if (!address_is_zero(&at->maps->contract.snat4))
		device_warn_forwarding(at->device, "ipv4");
	if (!address_is_zero(&at->maps->contract.snat6))
		device_warn_forwarding(at->device, "ipv6");
	log_info("%s: attached %s%s%s and %s", at->device, xdp ? hook_text(xdp_kind) : "",
		 xdp ? ", " : "", hook_text(egress_beside(tc)), hook_text(tc));
	return 0;
}

static int attaching_begin(const struct loader *loader, const char *verb, int word_count,
			   struct attaching *at)
{
	if (word_count == 0)
		return log_error(-EINVAL, "%s: which devices? sluice-loader %s DEV...", verb, verb);
	at->loader = loader;
	pin_dirs_init(&at->dirs, &loader->instance);
	return maps_open(&loader->instance, MAPS_LOADER, &at->maps);
}

int loader_attach(const struct loader *loader, int word_count, char **words)
{
	struct attaching at = {0};
	_cleanup_close_ int lock = -1;
	int err = pin_lock(&loader->instance, &lock);

	if (!err)
		err = attaching_begin(loader, "attach", word_count, &at);
	for (int i = 0; i < word_count && !err; i++) {
		at.device = words[i];
		err = device_attach(&at);
	}
	maps_close(at.maps);
	return err;
}

int loader_detach(const struct loader *loader, int word_count, char **words)
{
	struct attaching at = {0};
	_cleanup_close_ int lock = -1;
	int err = pin_lock(&loader->instance, &lock);

	if (!err)
		err = attaching_begin(loader, "detach", word_count, &at);
	hooks_netns_enter(&at.dirs);
	for (int i = 0; i < word_count && !err; i++) {
		int count = 0;

		at.device = words[i];
		at.ifindex = strlen(words[i]) < IF_NAMESIZE ? if_nametoindex(words[i]) : 0;
		err = device_detach(&at, &count);
		if (!err && count == 0)
			err = log_error(-ENOENT, "%s: nothing of instance %s is attached there",
					words[i], loader->instance.name);
		else if (!err)
			log_info("%s: detached", words[i]);
	}
	maps_close(at.maps);
	return err;
}
