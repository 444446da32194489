/* SPDX-License-Identifier: BSD-2-Clause */
/* The links of the gateway's namespace, and where a packet leaves that a route
 * sends to one of them: a VLAN device is its parent and a tag.  Pure. */
#ifndef SLUICE_PATHS_LINK_TABLE_H
#define SLUICE_PATHS_LINK_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LINKS_MAX 8192
#define LINK_NAME_MAX 16

struct link {
	uint32_t ifindex;
	uint32_t parent; /* of a VLAN device: the link below; 0: no VLAN device */
	uint32_t mtu;
	uint16_t vlan; /* id, of a VLAN device */
	uint8_t mac[6];
	bool ethernet; /* has Ethernet headers, and neighbours that are asked for */
	bool opaque; /* a VLAN device that we do not take apart: 802.1ad, or its parent is in
		      * another namespace */
	bool up; /* by the administrator and by carrier */
	char name[LINK_NAME_MAX];
	uint32_t round; /* of link_table_sweep() */
};

/* Where and how a packet leaves. */
struct link_exit {
	uint32_t ifindex; /* physical */
	uint16_t vlan; /* 0: untagged */
	uint8_t smac[6];
	uint32_t mtu;
	bool up; /* the device, and the one below it */
};

struct link_table {
	size_t count;
	size_t refused; /* links that found no room, ever */
	uint32_t round;
	struct link links[LINKS_MAX]; /* by ifindex */
};

/* NULL: not known. */
const struct link *link_table_find(const struct link_table *table, uint32_t ifindex);
/* True when something differs from what was known.  A link too many is counted, and
 * stays unknown. */
bool link_table_put(struct link_table *table, const struct link *link);
bool link_table_remove(struct link_table *table, uint32_t ifindex);

/* A list of all links begins; what is not put until the sweep is gone.  True when
 * something was. */
void link_table_begin(struct link_table *table);
bool link_table_sweep(struct link_table *table);

/* False: nothing that XDP could send by (no Ethernet header, stacked VLANs, not
 * known); the kernel decides. */
bool link_table_exit(const struct link_table *table, uint32_t ifindex, struct link_exit *ret_exit);

#endif
