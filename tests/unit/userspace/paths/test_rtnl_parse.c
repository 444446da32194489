// SPDX-License-Identifier: BSD-2-Clause
/* Messages as the kernel makes them, then cut and spoilt at every byte.  Inputs end at
 * an unmapped page: reading one byte too far crashes. */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if.h>
#include <linux/if_arp.h>
#include <linux/if_ether.h>
#include <linux/if_link.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <cmocka.h>

#include <libmnl/libmnl.h>

#include "userspace/base/address.h"
#include "userspace/paths/rtnl_parse.h"

#define PAGE 4096

static const uint8_t mac[6] = {2, 0, 0, 0, 0, 1};
static uint8_t *page; /* the next one is not there */

static int group_setup(void **state)
{
	(void)state;
	page = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	return page == MAP_FAILED ? -1 : mprotect(page + PAGE, PAGE, PROT_NONE);
}

static struct ip_addr addr_of(const char *text)
{
	struct ip_addr addr;

	assert_int_equal(address_parse(text, &addr), 0);
	return addr;
}

static struct nlmsghdr *message_begin(void *buffer, uint16_t type)
{
	struct nlmsghdr *message = mnl_nlmsg_put_header(buffer);

	message->nlmsg_type = type;
	return message;
}

/* VLAN `id` on link 2; protocol 0: no VLAN device but a plain one. */
static struct nlmsghdr *link_make(void *buffer, uint16_t protocol, uint16_t id)
{
	struct nlmsghdr *message = message_begin(buffer, RTM_NEWLINK);
	struct ifinfomsg *info = mnl_nlmsg_put_extra_header(message, sizeof(*info));
	struct nlattr *outer, *inner;

	info->ifi_index = 4;
	info->ifi_type = ARPHRD_ETHER;
	info->ifi_flags = IFF_UP | IFF_LOWER_UP;
	mnl_attr_put_strz(message, IFLA_IFNAME, "eth0.100");
	mnl_attr_put_u32(message, IFLA_MTU, 1496);
	mnl_attr_put(message, IFLA_ADDRESS, 6, mac);
	mnl_attr_put_u32(message, IFLA_LINK, 2);
	outer = mnl_attr_nest_start(message, IFLA_LINKINFO);
	mnl_attr_put_strz(message, IFLA_INFO_KIND, protocol ? "vlan" : "veth");
	if (protocol) {
		inner = mnl_attr_nest_start(message, IFLA_INFO_DATA);
		mnl_attr_put_u16(message, IFLA_VLAN_ID, id);
		mnl_attr_put_u16(message, IFLA_VLAN_PROTOCOL, htons(protocol));
		mnl_attr_nest_end(message, inner);
	}
	mnl_attr_nest_end(message, outer);
	return message;
}

static struct nlmsghdr *neighbour_make(void *buffer, uint8_t family)
{
	struct nlmsghdr *message = message_begin(buffer, RTM_NEWNEIGH);
	struct ndmsg *head = mnl_nlmsg_put_extra_header(message, sizeof(*head));
	struct ip_addr addr = addr_of(family == AF_INET ? "10.1.0.1" : "fe80::1");

	head->ndm_family = family;
	head->ndm_ifindex = 2;
	head->ndm_state = NUD_REACHABLE;
	if (family == AF_INET)
		mnl_attr_put(message, NDA_DST, 4, addr.bytes + 12);
	else
		mnl_attr_put(message, NDA_DST, 16, addr.bytes);
	mnl_attr_put(message, NDA_LLADDR, 6, mac);
	mnl_attr_put_u8(message, NDA_PROTOCOL, ROUTE_PROTOCOL_OURS);
	mnl_attr_put_u32(message, NDA_FLAGS_EXT, NTF_EXT_MANAGED);
	return message;
}

static struct nlmsghdr *route_make(void *buffer, uint8_t protocol, bool via_ipv6)
{
	struct nlmsghdr *message = message_begin(buffer, RTM_NEWROUTE);
	struct rtmsg *head = mnl_nlmsg_put_extra_header(message, sizeof(*head));
	struct ip_addr gateway = addr_of(via_ipv6 ? "fe80::1" : "10.1.0.1");
	struct ip_addr src = addr_of("10.1.0.9");
	struct nlattr *metrics;
	uint8_t via[18] = {AF_INET6};

	head->rtm_family = AF_INET;
	head->rtm_type = RTN_UNICAST;
	head->rtm_protocol = protocol;
	mnl_attr_put_u32(message, RTA_OIF, 2);
	memcpy(via + 2, gateway.bytes, 16);
	if (via_ipv6)
		mnl_attr_put(message, RTA_VIA, sizeof(via), via);
	else
		mnl_attr_put(message, RTA_GATEWAY, 4, gateway.bytes + 12);
	mnl_attr_put(message, RTA_PREFSRC, 4, src.bytes + 12);
	metrics = mnl_attr_nest_start(message, RTA_METRICS);
	mnl_attr_put_u32(message, RTAX_HOPLIMIT, 3);
	mnl_attr_put_u32(message, RTAX_MTU, 1400);
	mnl_attr_nest_end(message, metrics);
	return message;
}

/* ---- what the kernel says ---- */

static void a_vlan_device_has_parent_and_id(void **state)
{
	_Alignas(8) uint8_t buffer[512];
	struct link link;

	(void)state;
	assert_int_equal(rtnl_parse_link(link_make(buffer, ETH_P_8021Q, 100), &link), 0);
	assert_int_equal(link.ifindex, 4);
	assert_int_equal(link.parent, 2);
	assert_int_equal(link.vlan, 100);
	assert_int_equal(link.mtu, 1496);
	assert_memory_equal(link.mac, mac, 6);
	assert_string_equal(link.name, "eth0.100");
	assert_true(link.up && link.ethernet && !link.opaque);
}

static void other_devices_with_a_link_below_have_no_parent(void **state)
{
	_Alignas(8) uint8_t buffer[512];
	struct link link;

	(void)state;
	assert_int_equal(rtnl_parse_link(link_make(buffer, 0, 0), &link), 0); /* IFLA_LINK: veth */
	assert_int_equal(link.parent, 0);
	assert_true(link.ethernet && !link.opaque);
}

static void vlans_that_we_do_not_take_apart_are_opaque(void **state)
{
	_Alignas(8) uint8_t buffer[512];
	struct nlmsghdr *message;
	struct link link;

	(void)state;
	assert_int_equal(rtnl_parse_link(link_make(buffer, ETH_P_8021AD, 100), &link), 0);
	assert_true(link.opaque);
	assert_int_equal(rtnl_parse_link(link_make(buffer, ETH_P_8021Q, 4095), &link), 0);
	assert_true(link.opaque);
	message = link_make(buffer, ETH_P_8021Q, 100);
	mnl_attr_put_u32(message, IFLA_LINK_NETNSID, 0); /* the parent is in another namespace */
	assert_int_equal(rtnl_parse_link(message, &link), 0);
	assert_true(link.opaque);
}

static void devices_without_ethernet_or_neighbours_are_not_ethernet(void **state)
{
	static const struct {
		uint16_t type;
		unsigned int flags;
	} cases[] = {{ARPHRD_NONE, 0}, {ARPHRD_LOOPBACK, IFF_LOOPBACK}, {ARPHRD_ETHER, IFF_NOARP}};
	_Alignas(8) uint8_t buffer[512];

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		struct nlmsghdr *message = link_make(buffer, 0, 0);
		struct ifinfomsg *info = mnl_nlmsg_get_payload(message);
		struct link link;

		info->ifi_type = cases[i].type;
		info->ifi_flags = cases[i].flags;
		assert_int_equal(rtnl_parse_link(message, &link), 0);
		assert_false(link.ethernet || link.up);
	}
}

/* A port that leaves its bridge: RTM_DELLINK with the port's own index. */
static void a_bridges_news_of_its_ports_is_no_news_of_links(void **state)
{
	_Alignas(8) uint8_t buffer[512];
	struct nlmsghdr *message = link_make(buffer, 0, 0);
	struct ifinfomsg *info = mnl_nlmsg_get_payload(message);
	struct link link;

	(void)state;
	message->nlmsg_type = RTM_DELLINK;
	info->ifi_family = AF_BRIDGE;
	assert_int_equal(rtnl_parse_link(message, &link), -ENOMSG);
}

static void a_neighbour_has_state_mac_and_keeper(void **state)
{
	_Alignas(8) uint8_t buffer[512];
	struct nlmsghdr *message;
	struct neighbour neighbour;
	struct ip_addr addr = addr_of("fe80::1");

	(void)state;
	assert_int_equal(rtnl_parse_neighbour(neighbour_make(buffer, AF_INET6), &neighbour), 0);
	assert_true(address_equal(&neighbour.addr, &addr));
	assert_int_equal(neighbour.state, NUD_REACHABLE);
	assert_true(neighbour.has_mac && neighbour.managed && neighbour.ours);
	message = neighbour_make(buffer, AF_INET);
	message->nlmsg_type = RTM_DELNEIGH; /* still carries what it was */
	assert_int_equal(rtnl_parse_neighbour(message, &neighbour), 0);
	assert_int_equal(neighbour.state, 0);
	assert_false(neighbour.has_mac || neighbour.managed);
}

static void macs_of_no_single_host_do_not_count(void **state)
{
	static const uint8_t none[6], group[6] = {1, 0, 0x5e, 0, 0, 1}, infiniband[20] = {1};
	static const struct {
		const uint8_t *bytes;
		size_t size;
	} cases[] = {{none, 6}, {group, 6}, {infiniband, 20}, {mac, 5}};
	_Alignas(8) uint8_t buffer[512];

	(void)state;
	for (size_t i = 0; i < 4; i++) {
		struct nlmsghdr *message = message_begin(buffer, RTM_NEWNEIGH);
		struct ndmsg *head = mnl_nlmsg_put_extra_header(message, sizeof(*head));
		struct neighbour neighbour;

		head->ndm_family = AF_INET;
		head->ndm_ifindex = 2;
		mnl_attr_put_u32(message, NDA_DST, htonl(0x0a010001));
		mnl_attr_put(message, NDA_LLADDR, cases[i].size, cases[i].bytes);
		assert_int_equal(rtnl_parse_neighbour(message, &neighbour), 0);
		assert_false(neighbour.has_mac);
	}
}

static void a_route_has_device_gateway_mtu_and_source(void **state)
{
	_Alignas(8) uint8_t buffer[512];
	struct ip_addr router = addr_of("10.1.0.1"), router6 = addr_of("fe80::1");
	struct ip_addr src = addr_of("10.1.0.9");
	struct route_answer route = {.prefsrc = src};

	(void)state;
	assert_int_equal(rtnl_parse_route(route_make(buffer, RTPROT_UNSPEC, false), &route), 0);
	assert_int_equal(route.type, RTN_UNICAST);
	assert_int_equal(route.ifindex, 2);
	assert_int_equal(route.mtu, 1400);
	assert_true(address_equal(&route.gateway, &router));
	assert_true(address_equal(&route.chosen_src, &src));
	assert_true(address_equal(&route.prefsrc, &src)); /* left alone */
	assert_int_equal(rtnl_parse_route(route_make(buffer, RTPROT_UNSPEC, true), &route), 0);
	assert_true(address_equal(&route.gateway, &router6));
}

static void a_source_that_the_kernel_gave_to_a_route_is_nobodys_word(void **state)
{
	_Alignas(8) uint8_t buffer[512];
	struct route_answer route = {0};

	(void)state;
	assert_int_equal(rtnl_parse_prefsrc(route_make(buffer, RTPROT_KERNEL, false), &route), 0);
	assert_true(address_is_zero(&route.prefsrc));
	assert_int_equal(rtnl_parse_prefsrc(route_make(buffer, RTPROT_STATIC, false), &route), 0);
	assert_false(address_is_zero(&route.prefsrc));
}

/* ---- hostile bytes ---- */

static int count_each(void *ctx, const struct nlmsghdr *message)
{
	(void)message;
	++*(int *)ctx;
	return 0;
}

static void parse_all(const struct nlmsghdr *message)
{
	struct route_answer route = {0};
	struct neighbour neighbour;
	struct link link;
	int err;

	if (rtnl_parse_link(message, &link) == 0)
		assert_true(memchr(link.name, 0, sizeof(link.name)) != NULL);
	rtnl_parse_neighbour(message, &neighbour);
	rtnl_parse_route(message, &route);
	rtnl_parse_prefsrc(message, &route);
	rtnl_parse_error(message, &err);
}

static int parse_each(void *ctx, const struct nlmsghdr *message)
{
	(void)ctx;
	parse_all(message);
	return 0;
}

/* At the end of the page, with a length that says so. */
static struct nlmsghdr *at_the_end(const void *bytes, size_t size)
{
	/* netlink messages are aligned to 4; what is missing to it is not ours to read */
	uint8_t *at = page + PAGE - (size + 3) / 4 * 4;

	memset(at, 0xff, (size_t)(page + PAGE - at));
	memcpy(at, bytes, size);
	return (struct nlmsghdr *)(void *)at;
}

typedef struct nlmsghdr *(*maker)(void *buffer);

static struct nlmsghdr *make_link(void *buffer)
{
	return link_make(buffer, ETH_P_8021Q, 100);
}
static struct nlmsghdr *make_neighbour(void *buffer)
{
	return neighbour_make(buffer, AF_INET6);
}
static struct nlmsghdr *make_route(void *buffer)
{
	return route_make(buffer, RTPROT_STATIC, false);
}
static struct nlmsghdr *make_via(void *buffer)
{
	return route_make(buffer, RTPROT_STATIC, true);
}

static const maker makers[] = {make_link, make_neighbour, make_route, make_via};
#define MAKERS (sizeof(makers) / sizeof(makers[0]))

static void a_message_cut_anywhere_is_read_to_its_end_only(void **state)
{
	_Alignas(8) uint8_t buffer[512];

	(void)state;
	for (size_t i = 0; i < MAKERS; i++) {
		uint32_t size = makers[i](buffer)->nlmsg_len;

		for (uint32_t cut = NLMSG_HDRLEN; cut <= size; cut++) {
			struct nlmsghdr *message = at_the_end(buffer, cut);

			message->nlmsg_len = cut;
			parse_all(message);
		}
	}
}

static void a_message_spoilt_anywhere_is_read_to_its_end_only(void **state)
{
	static const uint8_t values[] = {0, 1, 3, 4, 5, 0x7f, 0x80, 0xff};
	_Alignas(8) uint8_t buffer[512];

	(void)state;
	for (size_t i = 0; i < MAKERS; i++) {
		uint32_t size = makers[i](buffer)->nlmsg_len;

		for (uint32_t at = 0; at < size; at++) {
			for (size_t value = 0; value < sizeof(values); value++) {
				struct nlmsghdr *message = at_the_end(buffer, size);

				((uint8_t *)message)[at] = values[value];
				rtnl_each(message, size, parse_each, NULL);
			}
		}
	}
}

static void attributes_of_the_wrong_length_make_a_message_bad(void **state)
{
	static const struct {
		uint16_t message, attribute;
		size_t head;
	} cases[] = {
		{RTM_NEWLINK, IFLA_MTU, sizeof(struct ifinfomsg)},
		{RTM_NEWLINK, IFLA_LINK, sizeof(struct ifinfomsg)},
		{RTM_NEWNEIGH, NDA_DST, sizeof(struct ndmsg)},
		{RTM_NEWNEIGH, NDA_FLAGS_EXT, sizeof(struct ndmsg)},
		{RTM_NEWROUTE, RTA_OIF, sizeof(struct rtmsg)},
		{RTM_NEWROUTE, RTA_GATEWAY, sizeof(struct rtmsg)},
		{RTM_NEWROUTE, RTA_VIA, sizeof(struct rtmsg)},
	};
	_Alignas(8) uint8_t buffer[512];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct nlmsghdr *message = message_begin(buffer, cases[i].message);
		uint8_t *head = mnl_nlmsg_put_extra_header(message, cases[i].head);
		struct route_answer route = {0};
		struct neighbour neighbour;
		struct link link;
		int err;

		if (cases[i].message == RTM_NEWLINK)
			((struct ifinfomsg *)(void *)head)->ifi_index = 1;
		else
			head[0] = AF_INET;
		mnl_attr_put(message, cases[i].attribute, 3, "abc");
		if (cases[i].message == RTM_NEWLINK)
			err = rtnl_parse_link(message, &link);
		else if (cases[i].message == RTM_NEWNEIGH)
			err = rtnl_parse_neighbour(message, &neighbour);
		else
			err = rtnl_parse_route(message, &route);
		assert_int_equal(err, -EBADMSG);
	}
}

static void messages_of_a_datagram_are_walked_to_the_first_bad_one(void **state)
{
	_Alignas(8) uint8_t buffer[1024];
	struct nlmsghdr *first = neighbour_make(buffer, AF_INET), *second;
	size_t size = MNL_ALIGN(first->nlmsg_len);
	int count = 0;

	(void)state;
	second = neighbour_make(buffer + size, AF_INET);
	assert_int_equal(rtnl_each(buffer, size + second->nlmsg_len, count_each, &count), 0);
	assert_int_equal(count, 2);
	count = 0;
	assert_int_equal(rtnl_each(buffer, size + second->nlmsg_len - 1, count_each, &count),
			 -EBADMSG);
	assert_int_equal(count, 1);
	second->nlmsg_len = 3; /* would never end */
	assert_int_equal(rtnl_each(buffer, size + 64, count_each, &count), -EBADMSG);
	assert_int_equal(rtnl_each(buffer, 0, count_each, &count), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_vlan_device_has_parent_and_id),
		cmocka_unit_test(other_devices_with_a_link_below_have_no_parent),
		cmocka_unit_test(vlans_that_we_do_not_take_apart_are_opaque),
		cmocka_unit_test(devices_without_ethernet_or_neighbours_are_not_ethernet),
		cmocka_unit_test(a_bridges_news_of_its_ports_is_no_news_of_links),
		cmocka_unit_test(a_neighbour_has_state_mac_and_keeper),
		cmocka_unit_test(macs_of_no_single_host_do_not_count),
		cmocka_unit_test(a_route_has_device_gateway_mtu_and_source),
		cmocka_unit_test(a_source_that_the_kernel_gave_to_a_route_is_nobodys_word),
		cmocka_unit_test(a_message_cut_anywhere_is_read_to_its_end_only),
		cmocka_unit_test(a_message_spoilt_anywhere_is_read_to_its_end_only),
		cmocka_unit_test(attributes_of_the_wrong_length_make_a_message_bad),
		cmocka_unit_test(messages_of_a_datagram_are_walked_to_the_first_bad_one),
	};

	return cmocka_run_group_tests(tests, group_setup, NULL);
}
