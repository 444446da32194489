/* SPDX-License-Identifier: BSD-2-Clause */
/* sluice-loader decap, in parts: the command (decap.c), what holds its two
 * programs (decap_hook.c), what it asks of the host (decap_host.c), and what it
 * shows (decap_status.c).
 *
 * It has no instance.  All of one device is pinned in one directory,
 *
 *   /sys/fs/bpf/sluice/decap_DEV_NETNS
 *
 * where NETNS is the inode of the network namespace, as every namespace may have
 * an eth0 and they share bpffs, and a dot in DEV is a colon.  No instance's name
 * has an underscore.  It holds the maps by their names, `ingress_tcx` and
 * `egress_tcx` (links) or `ingress_clsact` and `egress_clsact` (programs, as a
 * filter has no link), and `qdisc_own` if the clsact qdisc is ours to remove. */
#ifndef SLUICE_LOADER_DECAP_H
#define SLUICE_LOADER_DECAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <net/if.h>

#include "loader/loader.h"
#include "maps/layout/decap.h"

/* As in pin.h, whose users need not know of this. */
#define DECAP_PATH_MAX 128

enum decap_side { DECAP_INGRESS, DECAP_EGRESS, DECAP_SIDE_COUNT };

/* A device and where its pins are. */
struct decap_place {
	char device[IF_NAMESIZE];
	uint32_t ifindex; /* 0: the device is gone */
	char pins[DECAP_PATH_MAX];
};

/* In this process's network namespace.  Touches nothing. */
void decap_place_init(struct decap_place *place, const char *device);
/* Back from the name of a directory of pins; false: it is none of this
 * namespace's. */
bool decap_place_parse(struct decap_place *place, const char *directory);

/* ---- decap_hook.c ---- */

struct decap_hook {
	bool is_tcx;
	uint32_t program_id; /* 0: the pin is there, but nothing is attached */
};

const char *decap_side_name(enum decap_side side);
/* -ENOENT: no pin. */
int decap_hook_read(const struct decap_place *place, enum decap_side side,
		    struct decap_hook *ret_hook);
/* Attaches the program, or puts it in the place of the one that is there, without
 * a packet between.  `clsact`: not TCX, even where the kernel has it.  Logs. */
int decap_hook_put(const struct decap_place *place, enum decap_side side, int program_fd,
		   bool clsact);
/* Fine if it, or the device, is gone.  Logs. */
int decap_hook_remove(const struct decap_place *place, enum decap_side side);
/* After both hooks: the qdisc, if we made it and nobody else uses it. */
void decap_qdisc_remove(const struct decap_place *place);

/* ---- decap_host.c ---- */

/* Addresses that a gateway may send a tunnel's packets to: all that this host
 * has now, but for loopback ones and the VIPs themselves, into a map of addresses.
 * Logs. */
int decap_locals_put(int locals_fd, const struct ip_addr *vips, size_t vip_count);
/* Is an address of now missing in that map? */
bool decap_locals_are_old(int locals_fd, int vips_fd);
/* Largest MSS of an IPv4 and an IPv6 client whose segments, encapsulated, fit
 * into `mtu`. */
void decap_mss_of(uint32_t mtu, uint16_t *ret_mss4, uint16_t *ret_mss6);
/* Warns of what would keep decapsulated packets from a server.  Changes
 * nothing. */
void decap_host_check(const char *device, const struct ip_addr *vips, size_t vip_count);

/* ---- decap_status.c ---- */

/* `device` NULL: all of this namespace.  Logs. */
int decap_status(const struct loader *loader, const char *device);

#endif
