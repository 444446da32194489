/* SPDX-License-Identifier: BSD-2-Clause */
/* sluice-loader's commands.  Each is a file; main.c only wires.
 *
 * Every command that changes something holds the instance's lock (pin.h), and
 * every change is either one rename or can be repeated: a loader killed at any
 * point leaves a state that `unload` clears and that the same command, run
 * again, completes. */
#ifndef SLUICE_LOADER_LOADER_H
#define SLUICE_LOADER_LOADER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "loader/objects.h"
#include "maps/layout/decap.h"
#include "maps/layout/types.h"
#include "userspace/base/instance.h"

/* Defaults: above Linux's own ephemeral ports, 32768 to 60999. */
#define SNAT_PORT_LOW 61000
#define SNAT_PORT_HIGH 65000
#define PROBE_PORT_LOW 65001
#define PROBE_PORT_HIGH 65400

enum attach_mode {
	ATTACH_AUTO, /* native XDP, and where the driver has none, TC alone */
	ATTACH_NATIVE, /* native XDP or an error */
	ATTACH_TC, /* TC alone */
	ATTACH_CLSACT, /* TC alone, by a filter that `tc` shows, even where TCX exists */
	ATTACH_GENERIC, /* generic XDP, only ever on request */
};

/* What `decap` was asked for. */
struct decap_options {
	bool off, status;
	uint16_t mss; /* 0: from the device's MTU */
	uint16_t gue_port;
	size_t vip_count;
	struct ip_addr vips[DECAP_VIPS_MAX];
};

struct loader {
	struct instance instance;
	bool json;
	struct ip_addr snat4, snat6; /* all zero: none */
	struct ip_addr encap4, encap6; /* outer source of encapsulated packets; all zero: none */
	uint32_t snat_port_low, snat_port_high;
	uint32_t probe_port_low, probe_port_high; /* source ports of probes on the data path */
	uint32_t nat_client_max; /* NAT flows a client may have, 0: no cap */
	uint64_t ring_seed;
	struct objects_settings settings;
	enum attach_mode mode;
	bool share; /* attach through libxdp's dispatcher even where the device is free */
	uint32_t priority; /* in a dispatcher; lower ones run first */
	struct decap_options decap;
};

/* `words` are the command's arguments, devices mostly.  0 or a negative errno,
 * logged. */
int loader_check(const struct loader *loader, int word_count, char **words);
int loader_load(const struct loader *loader, int word_count, char **words);
int loader_attach(const struct loader *loader, int word_count, char **words);
int loader_detach(const struct loader *loader, int word_count, char **words);
int loader_upgrade(const struct loader *loader, int word_count, char **words);
int loader_status(const struct loader *loader, int word_count, char **words);
int loader_unload(const struct loader *loader, int word_count, char **words);
/* Has no instance and no part of a gateway: see decap.h. */
int loader_decap(const struct loader *loader, int word_count, char **words);

#endif
