// SPDX-License-Identifier: BSD-2-Clause
/* sluice-loader decap --status: the devices of this network namespace, what is
 * taken off there and how every packet left the programs, as a table or as JSON.
 * Reads pins and maps only; changes nothing. */
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <json-c/json.h>

#include "loader/decap.h"
#include "loader/pin.h"
#include "maps/access/decap_maps.h"
#include "userspace/base/address.h"
#include "userspace/base/cleanup.h"
#include "userspace/base/log.h"

static void closedirp(DIR **directory)
{
	if (*directory)
		closedir(*directory);
}

static void json_putp(json_object **object)
{
	json_object_put(*object);
}

static void number_add(json_object *object, const char *name, uint64_t number)
{
	json_object_object_add(object, name, json_object_new_uint64(number));
}

static int map_open(const struct decap_place *place, enum decap_map map)
{
	char path[PIN_PATH_MAX];

	snprintf(path, sizeof(path), "%s/%s", place->pins, decap_map_name(map));
	return bpf_obj_get(path);
}

static json_object *hook_describe(const struct decap_place *place, enum decap_side side)
{
	json_object *row = json_object_new_object();
	struct decap_hook hook = {0};
	bool is_there = decap_hook_read(place, side, &hook) == 0;

	json_object_object_add(row, "hook",
			       json_object_new_string(!is_there	    ? "none"
						      : hook.is_tcx ? "tcx"
								    : "clsact"));
	number_add(row, "program_id", hook.program_id);
	return row;
}

static int vips_add(json_object *row, int vips_fd)
{
	_cleanup_free_ struct ip_addr *vips = calloc(DECAP_LOCALS_MAX, sizeof(*vips));
	json_object *list;
	uint32_t count;
	int err;

	if (!vips)
		return -ENOMEM;
	err = decap_addresses_read(vips_fd, vips, &count);
	if (err)
		return err;
	list = json_object_new_array();
	for (uint32_t i = 0; i < count; i++) {
		char text[ADDRESS_TEXT_MAX];

		json_object_array_add(list, json_object_new_string(address_format(&vips[i], text)));
	}
	json_object_object_add(row, "vips", list);
	return 0;
}

static int counts_add(json_object *row, int counts_fd)
{
	json_object *counts;
	struct traffic traffic[DECAP_COUNT];
	int err = decap_counts_read(counts_fd, traffic);

	if (err)
		return err;
	counts = json_object_new_object();
	for (int verdict = 0; verdict < DECAP_COUNT; verdict++) {
		json_object *count = json_object_new_object();

		number_add(count, "packets", traffic[verdict].packets);
		number_add(count, "bytes", traffic[verdict].bytes);
		json_object_object_add(counts, decap_verdict_name((enum decap_verdict)verdict),
				       count);
	}
	json_object_object_add(row, "verdicts", counts);
	return 0;
}

static int place_describe(const struct decap_place *place, json_object *row)
{
	_cleanup_close_ int config_fd = map_open(place, DECAP_MAP_CONFIG);
	_cleanup_close_ int vips_fd = map_open(place, DECAP_MAP_VIPS);
	_cleanup_close_ int locals_fd = map_open(place, DECAP_MAP_LOCALS);
	_cleanup_close_ int counts_fd = map_open(place, DECAP_MAP_COUNTS);
	struct decap_config config;
	int err;

	json_object_object_add(row, "device", json_object_new_string(place->device));
	json_object_object_add(row, "pins", json_object_new_string(place->pins));
	number_add(row, "ifindex", place->ifindex);
	for (int side = 0; side < DECAP_SIDE_COUNT; side++)
		json_object_object_add(row, decap_side_name((enum decap_side)side),
				       hook_describe(place, (enum decap_side)side));
	if (config_fd < 0 || vips_fd < 0 || locals_fd < 0 || counts_fd < 0)
		return -ENODATA;
	err = decap_config_read(config_fd, &config);
	if (err)
		return err;
	number_add(row, "gue_port", ntohs(config.gue_port));
	number_add(row, "mss_ipv4", config.mss4);
	number_add(row, "mss_ipv6", config.mss6);
	number_add(row, "mtu", config.mtu);
	number_add(row, "loaded_at", config.loaded_at);
	json_object_object_add(row, "addresses_changed",
			       json_object_new_boolean(decap_locals_are_old(locals_fd, vips_fd)));
	err = vips_add(row, vips_fd);
	return err ? err : counts_add(row, counts_fd);
}

/* A device whose pins cannot be read whole is shown with what can be. */
static void place_add(json_object *list, const struct decap_place *place)
{
	json_object *row = json_object_new_object();
	int err = place_describe(place, row);

	if (err == -EPROTO)
		log_warning("%s: its maps are of another version of sluice-loader; run 'decap' "
			    "for it again",
			    place->device);
	else if (err)
		log_warning("%s: its maps cannot be read (%s); run 'decap' for it again",
			    place->device, strerror(-err));
	json_object_array_add(list, row);
}

static void places_collect(json_object *list, const char *device)
{
	_cleanup_(closedirp) DIR *stream = opendir(INSTANCE_BPFFS);
	struct decap_place place;
	struct dirent *entry;

	while (stream && (entry = readdir(stream))) {
		if (decap_place_parse(&place, entry->d_name) &&
		    (!device || strcmp(device, place.device) == 0))
			place_add(list, &place);
	}
}

static uint64_t number_of(json_object *object, const char *name)
{
	return json_object_get_uint64(json_object_object_get(object, name));
}

static void counts_print(json_object *counts)
{
	printf("\n%-16s %14s %16s  %s\n", "VERDICT", "PACKETS", "BYTES", "MEANING");
	for (int verdict = 0; verdict < DECAP_COUNT; verdict++) {
		const char *name = decap_verdict_name((enum decap_verdict)verdict);
		json_object *count = json_object_object_get(counts, name);

		printf("%-16s %14" PRIu64 " %16" PRIu64 "  %s\n", name, number_of(count, "packets"),
		       number_of(count, "bytes"), decap_verdict_text((enum decap_verdict)verdict));
	}
}

static void side_print(json_object *row, const char *name)
{
	json_object *hook = json_object_object_get(row, name);

	printf("%s %s program %" PRIu64 "\n", name,
	       json_object_get_string(json_object_object_get(hook, "hook")),
	       number_of(hook, "program_id"));
}

static void place_print(json_object *row)
{
	json_object *vips = json_object_object_get(row, "vips");
	json_object *counts = json_object_object_get(row, "verdicts");

	printf("%s: ifindex %" PRIu64 ", GUE port %" PRIu64 ", MSS at most %" PRIu64
	       " (IPv4) %" PRIu64 " (IPv6)\n",
	       json_object_get_string(json_object_object_get(row, "device")),
	       number_of(row, "ifindex"), number_of(row, "gue_port"), number_of(row, "mss_ipv4"),
	       number_of(row, "mss_ipv6"));
	for (int side = 0; side < DECAP_SIDE_COUNT; side++)
		side_print(row, decap_side_name((enum decap_side)side));
	for (size_t i = 0; vips && i < json_object_array_length(vips); i++)
		printf("VIP %s\n", json_object_get_string(json_object_array_get_idx(vips, i)));
	if (json_object_get_boolean(json_object_object_get(row, "addresses_changed")))
		printf("this host has an address that it had not when 'decap' ran: tunnel packets "
		       "to it are not taken; run 'decap' again\n");
	if (counts)
		counts_print(counts);
}

int decap_status(const struct loader *loader, const char *device)
{
	_cleanup_(json_putp) json_object *list = json_object_new_array();

	places_collect(list, device);
	if (loader->json) {
		printf("%s\n", json_object_to_json_string_ext(list, JSON_C_TO_STRING_PRETTY));
		return 0;
	}
	for (size_t i = 0; i < json_object_array_length(list); i++) {
		if (i)
			printf("\n");
		place_print(json_object_array_get_idx(list, i));
	}
	if (json_object_array_length(list) == 0)
		log_info("no decapsulation is loaded in this network namespace%s%s",
			 device ? " for " : "", device ? device : "");
	return 0;
}
