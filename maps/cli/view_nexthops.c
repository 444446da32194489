// SPDX-License-Identifier: BSD-2-Clause
/* Next hops: where encapsulated packets and those of way L2 leave, and whether the
 * neighbour there is known. */
#include "maps/cli/view.h"

#include <net/if.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "userspace/base/address.h"
#include "userspace/base/cleanup.h"
#include "userspace/base/log.h"

static const struct column columns[] = {
	{"id", COLUMN_NUMBER, .identity = true, .about = "which paths refer to"},
	{"address", COLUMN_TEXT, .about = "of the neighbour: a router, or the endpoint's host"},
	{"device", COLUMN_TEXT, .about = "to leave by; #NUMBER: in another network namespace"},
	{"ifindex", COLUMN_NUMBER, .wide = true, .about = "of the device"},
	{"vlan", COLUMN_NUMBER, .about = "id of the tag to leave with; none: untagged"},
	{"state", COLUMN_TEXT,
	 .about = "resolved; unresolved: TC sends, by the kernel's own neighbours"},
	{"mac", COLUMN_TEXT, .about = "of the neighbour"},
	{"own_mac", COLUMN_TEXT, .wide = true, .about = "of the device"},
	{"mtu", COLUMN_NUMBER, .about = "of the device, bytes"},
	{"paths", COLUMN_NUMBER, .about = "endpoints that use it; 0: freed within a minute"},
	{"changed", COLUMN_AGE, .about = "since then"},
};

static void mac_push(struct table *table, const uint8_t mac[6])
{
	table_push_format(table, "%02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1], mac[2], mac[3],
			  mac[4], mac[5]);
}

/* The gateway may be in another network namespace than we are, where its index means
 * another device: a name counts only if that device has the address of the record. */
static bool device_name(const struct nexthop *hop, char name[IF_NAMESIZE])
{
	_cleanup_close_ int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ifreq request = {0};

	if (fd < 0 || !if_indextoname(hop->ifindex, name))
		return false;
	memcpy(request.ifr_name, name, IF_NAMESIZE);
	return ioctl(fd, SIOCGIFHWADDR, &request) == 0 &&
	       !memcmp(request.ifr_hwaddr.sa_data, hop->smac, sizeof(hop->smac));
}

static void device_push(struct table *table, const struct nexthop *hop)
{
	char name[IF_NAMESIZE];

	if (device_name(hop, name))
		table_push_text(table, name);
	else
		table_push_format(table, "#%u", hop->ifindex);
}

static void row_push(struct table *table, uint32_t id, const struct nexthop *hop, uint32_t paths,
		     const struct view_now *now)
{
	char text[ADDRESS_TEXT_MAX];

	table_row(table);
	table_push_number(table, id);
	table_push_text(table, address_format(&hop->addr, text));
	device_push(table, hop);
	table_push_number(table, hop->ifindex);
	if (hop->vlan)
		table_push_number(table, hop->vlan);
	else
		table_push_none(table);
	table_push_text(table, nexthop_state_name(hop->state));
	if (hop->state == NEXTHOP_RESOLVED)
		mac_push(table, hop->dmac);
	else
		table_push_none(table);
	mac_push(table, hop->smac);
	table_push_number(table, hop->mtu);
	table_push_number(table, paths);
	view_push_age(table, hop->changed_at, now->realtime_ns);
}

static int fill(const struct request *request, const struct maps *maps, const struct view_now *now,
		struct table *table)
{
	_cleanup_free_ uint32_t *users = calloc(NEXTHOPS_MAX, sizeof(*users));

	(void)request;
	if (!users)
		return log_error(-ENOMEM, "nexthops: out of memory");
	for (uint32_t id = 0; id < ENDPOINTS_MAX; id++) {
		if (maps->paths[id].generation && maps->paths[id].nexthop < NEXTHOPS_MAX)
			users[maps->paths[id].nexthop]++;
	}
	for (uint32_t id = 0; id < NEXTHOPS_MAX; id++) {
		const struct nexthop hop = maps->nexthops[id];

		if (hop.state != NEXTHOP_FREE)
			row_push(table, id, &hop, users[id], now);
	}
	return 0;
}

const struct view view_nexthops = {
	.name = "nexthops",
	.about = "neighbours by which endpoints are reached, as the controller follows them",
	.empty = "no next hops; the controller makes them once there are endpoints",
	VIEW_COLUMNS(columns),
	.fill = fill,
};
