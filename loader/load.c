// SPDX-License-Identifier: BSD-2-Clause
/* sluice-loader load: makes the maps, loads the programs, pins both.
 *
 * All is pinned in a directory beside the instance's and then renamed there: a
 * reader finds nothing or everything, contract included. */
#include "loader/loader.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>

#include "loader/objects.h"
#include "loader/pin.h"
#include "maps/access/maps.h"
#include "userspace/base/address.h"
#include "userspace/base/cleanup.h"
#include "userspace/base/clock.h"
#include "userspace/base/file.h"
#include "userspace/base/log.h"

/* Of health probes that take the data path; marks of others mostly are lower bits. */
#define PROBE_MARK 0x51c00000u

static int contract_fill(const struct loader *loader, struct contract *ret_contract)
{
	struct contract contract = {
		.magic = CONTRACT_MAGIC,
		.version = CONTRACT_VERSION,
		.generation = 1,
		.loaded_at = clock_realtime_ns() / NS_PER_S,
		.vips_max = VIPS_MAX,
		.pools_max = POOLS_MAX,
		.clusters_max = CLUSTERS_MAX,
		.endpoints_max = ENDPOINTS_MAX,
		.workers_max = WORKERS_MAX,
		.devices_max = DEVICES_MAX,
		.nat_flows_max = NAT_FLOWS_MAX,
		.flow_sets = loader->settings.flow_sets,
		.nat_client_max = loader->nat_client_max,
		.encap4 = loader->encap4,
		.encap6 = loader->encap6,
		.probe_mark = PROBE_MARK,
		.probe_port_low = loader->probe_port_low,
		.probe_port_high = loader->probe_port_high,
		.snat_port_low = loader->snat_port_low,
		.snat_port_high = loader->snat_port_high,
		.snat4 = loader->snat4,
		.snat6 = loader->snat6,
		.ring_seed = loader->ring_seed,
	};

	if (getrandom(&contract.hash_secret, sizeof(contract.hash_secret), 0) !=
	    sizeof(contract.hash_secret))
		return log_error(-errno, "getrandom: no random bytes for the hash secret (%s)",
				 strerror(errno));
	*ret_contract = contract;
	return 0;
}

static int loading_fill(const struct pin_dirs *dirs, const struct objects *objects)
{
	char path[PIN_PATH_MAX];
	int err = pin_directory_make(dirs->loading);

	if (!err)
		err = objects_pin_maps(objects, dirs->loading);
	if (err)
		return err;
	snprintf(path, sizeof(path), "%s/links", dirs->loading);
	err = pin_directory_make(path);
	if (err)
		return err;
	snprintf(path, sizeof(path), "%s/programs", dirs->loading);
	err = pin_directory_make(path);
	return err ? err : objects_pin_programs(objects, path);
}

static int loading_publish(const struct pin_dirs *dirs)
{
	if (renameat2(AT_FDCWD, dirs->loading, AT_FDCWD, dirs->live, RENAME_NOREPLACE) == 0)
		return 0;
	return log_error(-errno, "%s: cannot rename %s there (%s)", dirs->live, dirs->loading,
			 strerror(errno));
}

static int instance_load(const struct loader *loader, const struct pin_dirs *dirs)
{
	_cleanup_(objects_unload) struct objects objects = {0};
	struct contract contract;
	int err = contract_fill(loader, &contract);

	if (!err)
		err = objects_load(NULL, &loader->settings, &objects);
	if (err)
		return err;
	err = contract_put(objects.map_fds[MAP_CONTRACT], &contract);
	if (err)
		return log_error(err, "contract: cannot write it (%s)", strerror(-err));
	err = loading_fill(dirs, &objects);
	if (!err)
		err = loading_publish(dirs);
	if (err)
		pin_tree_remove(dirs->loading);
	return err;
}

static int loaded_refuse(const struct loader *loader, const struct pin_dirs *dirs)
{
	_cleanup_(maps_closep) struct maps *maps = NULL;

	/* another version, or something that is none of ours, is refused by name */
	if (maps_open(&loader->instance, MAPS_READ, &maps) < 0)
		return log_error(-EEXIST,
				 "%s: in the way; run 'sluice-loader --instance %s unload'",
				 dirs->live, loader->instance.name);
	return log_error(-EEXIST,
			 "instance %s: is loaded already (generation %llu, %s); 'upgrade' replaces "
			 "its programs, 'unload' removes it",
			 loader->instance.name, (unsigned long long)maps->contract.generation,
			 dirs->live);
}

static int ports_check(const struct loader *loader)
{
	if (loader->snat_port_low > loader->probe_port_high ||
	    loader->probe_port_low > loader->snat_port_high)
		return 0;
	return log_error(-EINVAL,
			 "--snat-ports %u-%u: overlaps the ports of health probes, %u-%u; move "
			 "one of them (--probe-ports)",
			 loader->snat_port_low, loader->snat_port_high, loader->probe_port_low,
			 loader->probe_port_high);
}

/* NAT's answers are told from the host's own by the port alone. */
static void ports_warn(const struct loader *loader)
{
	_cleanup_free_ char *text = NULL;
	unsigned low, high;
	size_t size;

	if (file_read("/proc/sys/net/ipv4/ip_local_port_range", 64, &text, &size) < 0 ||
	    sscanf(text, "%u %u", &low, &high) != 2)
		return;
	if (loader->snat_port_low <= high && low <= loader->snat_port_high)
		log_warning(
			"net.ipv4.ip_local_port_range %u-%u overlaps NAT's ports %u-%u: "
			"connections of this host may break; move one of them, or name NAT's in "
			"net.ipv4.ip_local_reserved_ports",
			low, high, loader->snat_port_low, loader->snat_port_high);
}

static void snat_say(const struct loader *loader)
{
	const struct ip_addr *addresses[] = {&loader->snat4, &loader->snat6};
	char text[ADDRESS_TEXT_MAX];
	bool any = false;

	for (size_t i = 0; i < ARRAY_SIZE(addresses); i++) {
		if (address_is_zero(addresses[i]))
			continue;
		any = true;
		log_info("NAT source %s, ports %u to %u", address_format(addresses[i], text),
			 loader->snat_port_low, loader->snat_port_high);
	}
	if (any)
		ports_warn(loader);
	else
		log_info("no --snat address: L7 VIPs are served, L4 VIPs are not");
}

int loader_load(const struct loader *loader, int word_count, char **words)
{
	_cleanup_close_ int lock = -1;
	struct pin_dirs dirs;
	int err;

	if (word_count > 0)
		return log_error(-EINVAL,
				 "load: takes no argument, not '%s'; devices are for attach",
				 words[0]);
	pin_dirs_init(&dirs, &loader->instance);
	err = ports_check(loader);
	if (!err)
		err = pin_root_make();
	if (!err)
		err = pin_lock(&loader->instance, &lock);
	if (err)
		return err;
	if (pin_is_loaded(&dirs))
		return loaded_refuse(loader, &dirs);
	err = instance_load(loader, &dirs);
	if (err)
		return err;
	log_info("instance %s: loaded, pinned at %s", loader->instance.name, dirs.live);
	snat_say(loader);
	return 0;
}
