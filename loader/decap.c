// SPDX-License-Identifier: BSD-2-Clause
/* sluice-loader decap: on an endpoint host, takes off what the gateway puts
 * around its packets (bpf/decap.bpf.c).
 *
 * Needs nothing else of Sluice on that host.  Every run makes new programs and
 * new maps, keeps the counters, and puts the programs in the place of those that
 * are there, each by one write; so the same command is how VIPs, addresses and
 * the version are changed under traffic, and how an interrupted run is completed.
 * The lock is the network namespace itself, which leaves nothing behind. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "bpf/decap.skel.h"
#include "loader/decap.h"
#include "loader/device.h"
#include "userspace/base/netns.h"
#include "loader/pin.h"
#include "maps/access/decap_maps.h"
#include "userspace/base/address.h"
#include "userspace/base/cleanup.h"
#include "userspace/base/clock.h"
#include "userspace/base/log.h"

#define PLACE_PREFIX "decap_"

static void characters_replace(char *text, char from, char to)
{
	for (; *text; text++) {
		if (*text == from)
			*text = to;
	}
}

void decap_place_init(struct decap_place *place, const char *device)
{
	char name[IF_NAMESIZE];

	memset(place, 0, sizeof(*place));
	snprintf(place->device, sizeof(place->device), "%s", device);
	snprintf(name, sizeof(name), "%s", device);
	characters_replace(name, '.', ':'); /* bpffs allows no dot */
	place->ifindex = if_nametoindex(place->device);
	snprintf(place->pins, sizeof(place->pins), "%s/" PLACE_PREFIX "%s_%llu", INSTANCE_BPFFS,
		 name, (unsigned long long)netns_own());
}

bool decap_place_parse(struct decap_place *place, const char *directory)
{
	const char *name = directory + strlen(PLACE_PREFIX), *end = strrchr(directory, '_');
	char device[IF_NAMESIZE];

	if (strncmp(directory, PLACE_PREFIX, strlen(PLACE_PREFIX)) != 0 || end <= name ||
	    (size_t)(end - name) >= sizeof(device) ||
	    strtoull(end + 1, NULL, 10) != (unsigned long long)netns_own())
		return false;
	snprintf(device, sizeof(device), "%.*s", (int)(end - name), name);
	characters_replace(device, ':', '.');
	decap_place_init(place, device);
	return true;
}

static void objectp(struct decap **object)
{
	decap__destroy(*object); /* NULL is fine */
}

static int namespace_lock(int *ret_fd)
{
	int fd = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);

	if (fd < 0 || flock(fd, LOCK_EX) < 0) {
		int err = -errno;

		closep(&fd);
		return log_error(err, "/proc/self/ns/net: cannot lock it (%s)", strerror(-err));
	}
	*ret_fd = fd;
	return 0;
}

static int map_fd_of(const struct decap *object, enum decap_map map)
{
	return bpf_object__find_map_fd_by_name(object->obj, decap_map_name(map));
}

/* The counters of an earlier run go on, if they mean the same. */
static int counts_adopt(struct decap *object, const struct decap_place *place)
{
	_cleanup_close_ int config_fd = -1, counts_fd = -1;
	struct decap_config config;
	char path[PIN_PATH_MAX];

	snprintf(path, sizeof(path), "%s/%s", place->pins, decap_map_name(DECAP_MAP_CONFIG));
	config_fd = bpf_obj_get(path);
	snprintf(path, sizeof(path), "%s/%s", place->pins, decap_map_name(DECAP_MAP_COUNTS));
	counts_fd = bpf_obj_get(path);
	if (config_fd < 0 || counts_fd < 0 || decap_config_read(config_fd, &config) < 0 ||
	    !decap_counts_fit(counts_fd))
		return 0;
	return bpf_map__reuse_fd(object->maps.decap_counts, counts_fd);
}

static int config_fill(const struct loader *loader, const struct decap_place *place,
		       struct decap_config *ret_config)
{
	struct decap_config config = {
		.version = DECAP_VERSION,
		.ifindex = place->ifindex,
		.gue_port = htons(loader->decap.gue_port),
		.mss4 = loader->decap.mss,
		.mss6 = loader->decap.mss,
		.loaded_at = clock_realtime_ns() / NS_PER_S,
	};
	int err = device_mtu(place->device, &config.mtu);

	if (err)
		return err;
	if (!loader->decap.mss)
		decap_mss_of(config.mtu, &config.mss4, &config.mss6);
	*ret_config = config;
	return 0;
}

static int maps_fill(const struct decap *object, const struct loader *loader,
		     const struct decap_config *config)
{
	int err = decap_config_put(map_fd_of(object, DECAP_MAP_CONFIG), config);

	for (size_t i = 0; !err && i < loader->decap.vip_count; i++)
		err = decap_address_put(map_fd_of(object, DECAP_MAP_VIPS), &loader->decap.vips[i]);
	if (err)
		return log_error(err, "cannot write the new maps (%s)", strerror(-err));
	return decap_locals_put(map_fd_of(object, DECAP_MAP_LOCALS), loader->decap.vips,
				loader->decap.vip_count);
}

static int object_load(struct decap *object, const struct decap_place *place)
{
	int err = counts_adopt(object, place);

	if (!err)
		err = decap__load(object);
	if (err == -EPERM)
		return log_error(err, "decap: not allowed to load programs (EPERM); run as root");
	if (err)
		return log_error(err,
				 "decap: this kernel refuses the program (%s); --verbose shows the "
				 "verifier's reasons",
				 strerror(-err));
	return 0;
}

static int maps_pin(const struct decap *object, const struct decap_place *place)
{
	for (int map = 0; map < DECAP_MAP_COUNT; map++) {
		int err = pin_put(map_fd_of(object, (enum decap_map)map), place->pins,
				  decap_map_name((enum decap_map)map));

		if (err)
			return err;
	}
	return 0;
}

static int place_remove(const struct decap_place *place)
{
	int err = decap_hook_remove(place, DECAP_INGRESS);

	if (!err)
		err = decap_hook_remove(place, DECAP_EGRESS);
	if (err)
		return err;
	decap_qdisc_remove(place);
	err = pin_tree_remove(place->pins);
	if (!err)
		rmdir(INSTANCE_BPFFS); /* stays if anything else is there */
	return err;
}

/* Egress first: no client is told an MSS that does not fit once packets are
 * taken.  The maps of the new programs are pinned last, over the old ones. */
static int place_put(const struct decap_place *place, const struct decap *object, bool clsact)
{
	bool is_new = access(place->pins, F_OK) < 0;
	int err = is_new ? pin_directory_make(place->pins) : 0;

	if (!err)
		err = decap_hook_put(place, DECAP_EGRESS,
				     bpf_program__fd(object->progs.decap_egress), clsact);
	if (!err)
		err = decap_hook_put(place, DECAP_INGRESS,
				     bpf_program__fd(object->progs.decap_ingress), clsact);
	if (!err)
		err = maps_pin(object, place);
	if (err && is_new)
		place_remove(place);
	return err;
}

static void decap_say(const struct loader *loader, const struct decap_place *place,
		      const struct decap_config *config)
{
	struct decap_hook hook = {0};
	char text[ADDRESS_TEXT_MAX], more[32] = "";

	decap_hook_read(place, DECAP_INGRESS, &hook);
	if (loader->decap.vip_count > 1)
		snprintf(more, sizeof(more), " and %zu more", loader->decap.vip_count - 1);
	log_info("%s: IPIP and GUE (UDP port %u) to VIP %s%s is taken off by %s; clients are "
		 "offered an MSS of at most %u (IPv4) and %u (IPv6), for an MTU of %u",
		 place->device, loader->decap.gue_port,
		 address_format(&loader->decap.vips[0], text), more, hook.is_tcx ? "TCX" : "clsact",
		 config->mss4, config->mss6, config->mtu);
}

static int decap_on(const struct loader *loader, const char *device)
{
	_cleanup_(objectp) struct decap *object = NULL;
	_cleanup_close_ int lock = -1;
	struct decap_config config;
	struct decap_place place;
	int err;

	if (loader->decap.vip_count == 0)
		return log_error(-EINVAL,
				 "decap %s: which VIPs?  Name each one with --vip ADDR, all that "
				 "this device is to take",
				 device);
	if (loader->mode == ATTACH_NATIVE || loader->mode == ATTACH_GENERIC)
		return log_error(-EINVAL, "decap: runs in TC; --mode wants tc or clsact");
	err = device_find(device, &place.ifindex);
	if (!err)
		err = namespace_lock(&lock);
	if (err)
		return err;
	decap_place_init(&place, device);
	object = decap__open();
	if (!object)
		return log_error(-errno, "built-in programs: cannot be read (%s)", strerror(errno));
	err = pin_root_make();
	if (!err)
		err = config_fill(loader, &place, &config);
	if (!err)
		err = object_load(object, &place);
	if (!err)
		err = maps_fill(object, loader, &config);
	if (!err)
		err = place_put(&place, object, loader->mode == ATTACH_CLSACT);
	if (err)
		return err;
	decap_say(loader, &place, &config);
	decap_host_check(device, loader->decap.vips, loader->decap.vip_count);
	return 0;
}

static int decap_off(const char *device)
{
	_cleanup_close_ int lock = -1;
	struct decap_place place;
	int err;

	if (strlen(device) >= IF_NAMESIZE)
		return log_error(-EINVAL, "decap --off %s: too long for a device's name", device);
	err = namespace_lock(&lock);
	if (err)
		return err;
	decap_place_init(&place, device);
	if (access(place.pins, F_OK) < 0) {
		log_info("%s: no decapsulation is loaded in this network namespace", device);
		return 0;
	}
	err = place_remove(&place);
	if (!err)
		log_info("%s: tunnel packets are no longer taken", device);
	return err;
}

int loader_decap(const struct loader *loader, int word_count, char **words)
{
	if (loader->decap.off && loader->decap.status)
		return log_error(-EINVAL, "decap: --off or --status, not both");
	if (loader->decap.status && word_count <= 1)
		return decap_status(loader, word_count ? words[0] : NULL);
	if (word_count != 1)
		return log_error(-EINVAL,
				 "decap: wants one device: decap DEV --vip ADDR..., decap --off "
				 "DEV, or decap --status [DEV]");
	return loader->decap.off ? decap_off(words[0]) : decap_on(loader, words[0]);
}
