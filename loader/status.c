// SPDX-License-Identifier: BSD-2-Clause
/* sluice-loader status: what is loaded and where it is attached, as a table or
 * as JSON.  Reads pins and links only; changes nothing. */
#include "loader/loader.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <bpf/bpf.h>
#include <json-c/json.h>
#include <linux/bpf.h>

#include "loader/hook.h"
#include "loader/objects.h"
#include "loader/pin.h"
#include "maps/access/maps.h"
#include "userspace/base/address.h"
#include "userspace/base/cleanup.h"
#include "userspace/base/log.h"

struct status {
	struct pin_dirs dirs;
	json_object *hooks;
};

static int hook_collect(void *ctx, const struct hook *hook)
{
	struct status *status = ctx;
	json_object *row = json_object_new_object();

	json_object_object_add(row, "device", json_object_new_string(hook->device));
	json_object_object_add(row, "hook", json_object_new_string(hook_name(hook->kind)));
	json_object_object_add(row, "mode", json_object_new_string(hook_text(hook->kind)));
	json_object_object_add(row, "ifindex", json_object_new_int64(hook->ifindex));
	json_object_object_add(row, "program_id", json_object_new_int64(hook->program_id));
	if (hook->kind == HOOK_SK_LOOKUP)
		json_object_object_add(row, "netns", json_object_new_uint64(hook->netns));
	json_object_array_add(status->hooks, row);
	return 0;
}

static json_object *program_describe(const struct pin_dirs *dirs, enum program_id id)
{
	json_object *row = json_object_new_object();
	struct bpf_prog_info info = {0};
	uint32_t size = sizeof(info);
	_cleanup_close_ int fd = -1;

	json_object_object_add(row, "name", json_object_new_string(program_name(id)));
	if (program_open(dirs, id, &fd) < 0 || bpf_obj_get_info_by_fd(fd, &info, &size) < 0)
		return row;
	json_object_object_add(row, "id", json_object_new_int64(info.id));
	json_object_object_add(row, "runs", json_object_new_uint64(info.run_cnt));
	json_object_object_add(row, "instructions", json_object_new_int64(info.verified_insns));
	return row;
}

static void address_add(json_object *object, const char *name, const struct ip_addr *addr)
{
	char text[ADDRESS_TEXT_MAX];

	if (!address_is_zero(addr))
		json_object_object_add(object, name,
				       json_object_new_string(address_format(addr, text)));
}

static json_object *status_collect(const struct loader *loader, const struct maps *maps)
{
	const struct contract *contract = &maps->contract;
	struct status status = {.hooks = json_object_new_array()};
	json_object *root = json_object_new_object(), *programs = json_object_new_array();
	json_object *snat = json_object_new_object(), *probes = json_object_new_object();

	pin_dirs_init(&status.dirs, &loader->instance);
	hooks_netns_enter(&status.dirs);
	json_object_object_add(root, "instance", json_object_new_string(loader->instance.name));
	json_object_object_add(root, "pins", json_object_new_string(status.dirs.live));
	json_object_object_add(root, "contract", json_object_new_int64(contract->version));
	json_object_object_add(root, "generation", json_object_new_uint64(contract->generation));
	json_object_object_add(root, "loaded_at", json_object_new_uint64(contract->loaded_at));
	json_object_object_add(root, "ring_seed", json_object_new_uint64(contract->ring_seed));
	address_add(snat, "ipv4", &contract->snat4);
	address_add(snat, "ipv6", &contract->snat6);
	json_object_object_add(snat, "port_low", json_object_new_int64(contract->snat_port_low));
	json_object_object_add(snat, "port_high", json_object_new_int64(contract->snat_port_high));
	json_object_object_add(root, "snat", snat);
	json_object_object_add(probes, "mark", json_object_new_int64(contract->probe_mark));
	json_object_object_add(probes, "port_low", json_object_new_int64(contract->probe_port_low));
	json_object_object_add(probes, "port_high",
			       json_object_new_int64(contract->probe_port_high));
	json_object_object_add(root, "probes", probes);
	for (int id = 0; id < PROGRAM_COUNT; id++)
		json_object_array_add(programs, program_describe(&status.dirs, id));
	json_object_object_add(root, "programs", programs);
	hooks_each(&status.dirs, hook_collect, &status);
	json_object_object_add(root, "hooks", status.hooks);
	return root;
}

static const char *text_of(const json_object *object, const char *name)
{
	json_object *member = NULL;

	return json_object_object_get_ex(object, name, &member) ? json_object_get_string(member)
								: "-";
}

static void status_print(const json_object *root)
{
	json_object *snat = json_object_object_get(root, "snat");
	json_object *programs = json_object_object_get(root, "programs");
	json_object *hooks = json_object_object_get(root, "hooks");
	time_t loaded_at = json_object_get_int64(json_object_object_get(root, "loaded_at"));
	char when[32];

	strftime(when, sizeof(when), "%FT%TZ", gmtime(&loaded_at));
	printf("instance %s: generation %s, contract version %s, since %s\n",
	       text_of(root, "instance"), text_of(root, "generation"), text_of(root, "contract"),
	       when);
	printf("pins %s, NAT source %s %s ports %s to %s\n\n", text_of(root, "pins"),
	       text_of(snat, "ipv4"), text_of(snat, "ipv6"), text_of(snat, "port_low"),
	       text_of(snat, "port_high"));
	printf("%-14s %8s %12s\n", "PROGRAM", "ID", "RUNS");
	for (size_t i = 0; i < json_object_array_length(programs); i++) {
		json_object *row = json_object_array_get_idx(programs, i);

		printf("%-14s %8s %12s\n", text_of(row, "name"), text_of(row, "id"),
		       text_of(row, "runs"));
	}
	printf("\n%-16s %8s  %-26s %8s\n", "DEVICE", "IFINDEX", "MODE", "PROGRAM");
	for (size_t i = 0; i < json_object_array_length(hooks); i++) {
		json_object *row = json_object_array_get_idx(hooks, i);

		printf("%-16s %8s  %-26s %8s\n", text_of(row, "device"), text_of(row, "ifindex"),
		       text_of(row, "mode"), text_of(row, "program_id"));
	}
}

int loader_status(const struct loader *loader, int word_count, char **words)
{
	_cleanup_(maps_closep) struct maps *maps = NULL;
	json_object *root;
	int err;

	if (word_count > 0)
		return log_error(-EINVAL, "status: takes no argument, not '%s'", words[0]);
	err = maps_open(&loader->instance, MAPS_READ, &maps);
	if (err)
		return err;
	root = status_collect(loader, maps);
	if (loader->json)
		printf("%s\n", json_object_to_json_string_ext(root, JSON_C_TO_STRING_PRETTY));
	else
		status_print(root);
	json_object_put(root);
	return 0;
}
