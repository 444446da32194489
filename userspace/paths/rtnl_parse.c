// SPDX-License-Identifier: BSD-2-Clause
/* libmnl walks the attributes of a message; what it does not check is that a payload
 * is as long as its type says.  Attributes of the wrong length make the whole
 * message bad, except a link-layer address, of which other lengths are legal. */
#include "userspace/paths/rtnl_parse.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if.h>
#include <linux/if_arp.h>
#include <linux/if_ether.h>
#include <linux/if_link.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <string.h>
#include <sys/socket.h>

#include <libmnl/libmnl.h>

#include "userspace/base/address.h"

#define VLAN_ID_MAX 4094

/* Not mnl_nlmsg_ok(): libmnl 1.0.4 takes a length of 2 GiB and more for a negative
 * number, which is less than any size. */
static bool message_fits(const struct nlmsghdr *message, size_t left)
{
	return left >= sizeof(*message) && message->nlmsg_len >= sizeof(*message) &&
	       message->nlmsg_len <= left;
}

int rtnl_each(const void *datagram, size_t size,
	      int (*each)(void *ctx, const struct nlmsghdr *message), void *ctx)
{
	const char *at = datagram, *end = at + size;

	while (at < end) {
		const struct nlmsghdr *message = (const void *)at;
		size_t step;
		int err;

		if (!message_fits(message, (size_t)(end - at)))
			return -EBADMSG;
		err = each(ctx, message);
		if (err)
			return err;
		step = MNL_ALIGN(message->nlmsg_len);
		at = step < (size_t)(end - at) ? at + step : end;
	}
	return 0;
}

/* NULL: too short for it. */
static const void *payload_of(const struct nlmsghdr *message, size_t size)
{
	if (mnl_nlmsg_get_payload_len(message) < size)
		return NULL;
	return mnl_nlmsg_get_payload(message);
}

static int take_bytes(const struct nlattr *attribute, void *value, size_t size)
{
	if (mnl_attr_get_payload_len(attribute) != size)
		return -EBADMSG;
	memcpy(value, mnl_attr_get_payload(attribute), size);
	return 0;
}

/* 0.0.0.0 becomes all zero: none. */
static int take_address(const struct nlattr *attribute, int family, struct ip_addr *ret_addr)
{
	struct ip_addr addr = {0};
	int err;

	if (family == AF_INET6)
		return take_bytes(attribute, ret_addr, sizeof(*ret_addr));
	err = take_bytes(attribute, addr.bytes + 12, 4);
	if (!err && addr.words[3])
		addr.bytes[10] = addr.bytes[11] = 0xff;
	if (!err)
		*ret_addr = addr;
	return err;
}

/* ---- links ---- */

static int vlan_data_take(const struct nlattr *data, struct link *link)
{
	const struct nlattr *attribute;
	uint16_t protocol = htons(ETH_P_8021Q);
	int err = 0;

	link->vlan = UINT16_MAX;
	mnl_attr_for_each_nested(attribute, data)
	{
		switch (mnl_attr_get_type(attribute)) {
		case IFLA_VLAN_ID:
			err = take_bytes(attribute, &link->vlan, sizeof(link->vlan));
			break;
		case IFLA_VLAN_PROTOCOL:
			err = take_bytes(attribute, &protocol, sizeof(protocol));
			break;
		}
		if (err)
			return err;
	}
	link->opaque |= protocol != htons(ETH_P_8021Q) || !link->vlan || link->vlan > VLAN_ID_MAX;
	return 0;
}

static bool is_text(const struct nlattr *attribute, const char *text)
{
	size_t length = strlen(text), is = mnl_attr_get_payload_len(attribute);
	const char *value = mnl_attr_get_payload(attribute);

	return (is == length || (is == length + 1 && !value[length])) &&
	       !memcmp(value, text, length);
}

static int link_info_take(const struct nlattr *info, struct link *link, bool *ret_is_vlan)
{
	const struct nlattr *attribute, *data = NULL;

	mnl_attr_for_each_nested(attribute, info)
	{
		if (mnl_attr_get_type(attribute) == IFLA_INFO_KIND)
			*ret_is_vlan = is_text(attribute, "vlan");
		else if (mnl_attr_get_type(attribute) == IFLA_INFO_DATA)
			data = attribute;
	}
	if (!*ret_is_vlan)
		return 0;
	return data ? vlan_data_take(data, link) : -EBADMSG;
}

static void name_take(const struct nlattr *attribute, struct link *link)
{
	size_t length = mnl_attr_get_payload_len(attribute);

	if (length >= sizeof(link->name))
		length = sizeof(link->name) - 1;
	memset(link->name, 0, sizeof(link->name));
	memcpy(link->name, mnl_attr_get_payload(attribute), length);
}

static int link_attribute_take(const struct nlattr *attribute, struct link *link, uint32_t *parent,
			       bool *is_vlan)
{
	switch (mnl_attr_get_type(attribute)) {
	case IFLA_IFNAME: name_take(attribute, link); return 0;
	case IFLA_MTU: return take_bytes(attribute, &link->mtu, sizeof(link->mtu));
	case IFLA_LINK: return take_bytes(attribute, parent, sizeof(*parent));
	case IFLA_LINKINFO: return link_info_take(attribute, link, is_vlan);
	case IFLA_ADDRESS:
		if (take_bytes(attribute, link->mac, sizeof(link->mac)))
			link->ethernet = false;
		return 0;
	default: return 0;
	}
}

int rtnl_parse_link(const struct nlmsghdr *message, struct link *ret_link)
{
	const struct ifinfomsg *info = payload_of(message, sizeof(*info));
	const struct nlattr *attribute;
	bool is_vlan = false, elsewhere = false;
	struct link link = {0};
	uint32_t parent = 0;
	int err;

	if (!info || info->ifi_index <= 0)
		return -EBADMSG;
	/* a bridge tells of its ports with the port's index: a port that leaves is no link
	 * that goes */
	if (info->ifi_family != AF_UNSPEC)
		return -ENOMSG;
	link.ifindex = (uint32_t)info->ifi_index;
	link.ethernet = info->ifi_type == ARPHRD_ETHER && !(info->ifi_flags & IFF_NOARP) &&
			!(info->ifi_flags & IFF_LOOPBACK);
	link.up = (info->ifi_flags & IFF_UP) && (info->ifi_flags & IFF_LOWER_UP);
	mnl_attr_for_each(attribute, message, sizeof(*info))
	{
		err = link_attribute_take(attribute, &link, &parent, &is_vlan);
		if (err)
			return err;
		elsewhere |= mnl_attr_get_type(attribute) == IFLA_LINK_NETNSID;
	}
	if (!link.name[0])
		return -ENOMSG; /* a note of a driver's, not the whole link */
	if (is_vlan) {
		link.parent = parent;
		link.opaque |= elsewhere || !parent;
	} else {
		link.vlan = 0;
	}
	*ret_link = link;
	return 0;
}

/* ---- neighbours ---- */

static void mac_take(const struct nlattr *attribute, struct neighbour *neighbour)
{
	static const uint8_t none[6];
	uint8_t *mac = neighbour->mac;

	if (take_bytes(attribute, mac, sizeof(neighbour->mac)))
		return;
	neighbour->has_mac = memcmp(mac, none, sizeof(none)) && !(mac[0] & 1);
}

static int neighbour_attribute_take(const struct nlattr *attribute, int family,
				    struct neighbour *neighbour)
{
	uint32_t flags = 0;
	uint8_t protocol = 0;
	int err = 0;

	switch (mnl_attr_get_type(attribute)) {
	case NDA_DST: return take_address(attribute, family, &neighbour->addr);
	case NDA_LLADDR: mac_take(attribute, neighbour); return 0;
	case NDA_FLAGS_EXT:
		err = take_bytes(attribute, &flags, sizeof(flags));
		neighbour->managed = flags & NTF_EXT_MANAGED;
		return err;
	case NDA_PROTOCOL:
		err = take_bytes(attribute, &protocol, sizeof(protocol));
		neighbour->ours = protocol == ROUTE_PROTOCOL_OURS;
		return err;
	default: return 0;
	}
}

int rtnl_parse_neighbour(const struct nlmsghdr *message, struct neighbour *ret_neighbour)
{
	const struct ndmsg *head = payload_of(message, sizeof(*head));
	const struct nlattr *attribute;
	struct neighbour neighbour = {0};
	int err;

	if (!head)
		return -EBADMSG;
	if ((head->ndm_family != AF_INET && head->ndm_family != AF_INET6) ||
	    (head->ndm_flags & NTF_PROXY))
		return -ENOMSG;
	neighbour.ifindex = (uint32_t)head->ndm_ifindex;
	neighbour.state = head->ndm_state;
	mnl_attr_for_each(attribute, message, sizeof(*head))
	{
		err = neighbour_attribute_take(attribute, head->ndm_family, &neighbour);
		if (err)
			return err;
	}
	if (address_is_zero(&neighbour.addr) || head->ndm_ifindex <= 0)
		return -EBADMSG;
	if (message->nlmsg_type == RTM_DELNEIGH)
		neighbour =
			(struct neighbour){.ifindex = neighbour.ifindex, .addr = neighbour.addr};
	*ret_neighbour = neighbour;
	return 0;
}

/* ---- routes ---- */

static int via_take(const struct nlattr *attribute, struct ip_addr *ret_addr)
{
	const struct rtvia *via = mnl_attr_get_payload(attribute);
	size_t size = mnl_attr_get_payload_len(attribute);
	struct ip_addr addr = {0};

	if (size < sizeof(*via))
		return -EBADMSG;
	size -= sizeof(*via);
	if (via->rtvia_family == AF_INET6 && size == 16) {
		memcpy(addr.bytes, via->rtvia_addr, 16);
	} else if (via->rtvia_family == AF_INET && size == 4) {
		addr.bytes[10] = addr.bytes[11] = 0xff;
		memcpy(addr.bytes + 12, via->rtvia_addr, 4);
	} else {
		return -EBADMSG;
	}
	*ret_addr = addr;
	return 0;
}

static int metrics_take(const struct nlattr *metrics, uint32_t *ret_mtu)
{
	const struct nlattr *attribute;
	int err;

	mnl_attr_for_each_nested(attribute, metrics)
	{
		if (mnl_attr_get_type(attribute) != RTAX_MTU)
			continue;
		err = take_bytes(attribute, ret_mtu, sizeof(*ret_mtu));
		if (err)
			return err;
	}
	return 0;
}

static int route_attribute_take(const struct nlattr *attribute, int family,
				struct route_answer *answer)
{
	switch (mnl_attr_get_type(attribute)) {
	case RTA_OIF: return take_bytes(attribute, &answer->ifindex, sizeof(answer->ifindex));
	case RTA_GATEWAY: return take_address(attribute, family, &answer->gateway);
	case RTA_VIA: return via_take(attribute, &answer->gateway);
	case RTA_PREFSRC: return take_address(attribute, family, &answer->chosen_src);
	case RTA_METRICS: return metrics_take(attribute, &answer->mtu);
	case RTA_ENCAP_TYPE:
	case RTA_ENCAP: answer->encap = true; return 0;
	default: return 0;
	}
}

static const struct rtmsg *route_head(const struct nlmsghdr *message)
{
	const struct rtmsg *head = payload_of(message, sizeof(*head));

	if (!head || (head->rtm_family != AF_INET && head->rtm_family != AF_INET6))
		return NULL;
	return head;
}

int rtnl_parse_route(const struct nlmsghdr *message, struct route_answer *answer)
{
	const struct rtmsg *head = route_head(message);
	struct route_answer taken = {.prefsrc = answer->prefsrc};
	const struct nlattr *attribute;
	int err;

	if (!head)
		return -EBADMSG;
	taken.type = head->rtm_type;
	mnl_attr_for_each(attribute, message, sizeof(*head))
	{
		err = route_attribute_take(attribute, head->rtm_family, &taken);
		if (err)
			return err;
	}
	*answer = taken;
	return 0;
}

int rtnl_parse_prefsrc(const struct nlmsghdr *message, struct route_answer *answer)
{
	const struct rtmsg *head = route_head(message);
	const struct nlattr *attribute;

	if (!head)
		return -EBADMSG;
	if (head->rtm_protocol == RTPROT_KERNEL)
		return 0;
	mnl_attr_for_each(attribute, message, sizeof(*head))
	{
		if (mnl_attr_get_type(attribute) == RTA_PREFSRC)
			return take_address(attribute, head->rtm_family, &answer->prefsrc);
	}
	return 0;
}

int rtnl_parse_error(const struct nlmsghdr *message, int *ret_err)
{
	const struct nlmsgerr *error = payload_of(message, sizeof(error->error));

	if (!error || error->error > 0)
		return -EBADMSG;
	*ret_err = error->error;
	return 0;
}
