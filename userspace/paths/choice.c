// SPDX-License-Identifier: BSD-2-Clause
/* Outer source: the administrator's word on the route, then the operator's at
 * loading, then what the kernel would take.  A source that the kernel put on a
 * connected route is nobody's word, so it comes last (see rtnl_parse.c). */
#include "userspace/paths/choice.h"

#include <linux/rtnetlink.h>
#include <string.h>

#include "userspace/base/address.h"
#include "userspace/base/cleanup.h"

#define IPV4_DF 0x40 /* first byte of the fragment word */
#define OUTER_TTL 64

static const char *const texts[PATH_PROBLEM_COUNT] = {
#define X(id, text) [id] = text,
	PATH_PROBLEM_LIST(X)
#undef X
};

const char *path_problem_text(enum path_problem problem)
{
	return (size_t)problem < PATH_PROBLEM_COUNT ? texts[problem] : "";
}

bool path_is_askable(const struct ip_addr *addr)
{
	return address_is_unicast(addr) && !address_is_link_local6(addr);
}

static uint32_t sum_words(uint32_t sum, const uint8_t *bytes, size_t size)
{
	for (size_t i = 0; i < size; i += 2) {
		uint16_t word;

		memcpy(&word, bytes + i, sizeof(word));
		sum += word;
	}
	return sum;
}

uint16_t path_header_sum(const struct ip_addr *src, const struct ip_addr *dst)
{
	const uint8_t constant[] = {IPV4_DF, 0, OUTER_TTL, 0};
	uint32_t sum = sum_words(0, constant, sizeof(constant));

	sum = sum_words(sum, src->bytes + 12, 4);
	sum = sum_words(sum, dst->bytes + 12, 4);
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)sum;
}

static enum path_problem route_problem(uint8_t way, const struct ip_addr *addr,
				       const struct route_answer *route)
{
	if (!path_is_askable(addr))
		return PATH_PROBLEM_NOT_A_HOST;
	if (route->err)
		return PATH_PROBLEM_NO_ROUTE;
	if (route->type == RTN_LOCAL)
		return PATH_PROBLEM_LOCAL;
	if (route->type != RTN_UNICAST)
		return PATH_PROBLEM_NO_ROUTE;
	if (way == WAY_L2 && !address_is_zero(&route->gateway))
		return PATH_PROBLEM_OFF_LINK;
	return PATH_PROBLEM_NONE;
}

static bool source_find(const struct ip_addr *addr, const struct route_answer *route,
			const struct contract *contract, struct ip_addr *ret_src)
{
	bool is_ipv4 = address_is_ipv4(addr);
	const struct ip_addr *candidates[] = {
		&route->prefsrc,
		is_ipv4 ? &contract->encap4 : &contract->encap6,
		is_ipv4 ? &contract->snat4 : &contract->snat6,
		&route->chosen_src,
	};

	for (size_t i = 0; i < ARRAY_SIZE(candidates); i++) {
		if (address_is_zero(candidates[i]) || address_is_ipv4(candidates[i]) != is_ipv4)
			continue;
		*ret_src = *candidates[i];
		return true;
	}
	return false;
}

static uint16_t mtu_of(const struct route_answer *route, const struct link *link)
{
	uint32_t mtu = link ? link->mtu : 0;

	if (route->mtu && (!mtu || route->mtu < mtu))
		mtu = route->mtu;
	return (uint16_t)(mtu < UINT16_MAX ? mtu : UINT16_MAX);
}

struct path_choice path_choose(uint8_t way, const struct ip_addr *addr,
			       const struct route_answer *route, const struct link_table *links,
			       const struct contract *contract)
{
	struct path_choice choice = {.problem = route_problem(way, addr, route)};
	bool encapsulates = way == WAY_IPIP || way == WAY_GUE;

	if (choice.problem)
		return choice;
	choice.path.nexthop = NEXTHOP_NONE;
	choice.path.mtu = mtu_of(route, link_table_find(links, route->ifindex));
	if (!source_find(addr, route, contract, &choice.path.src) && encapsulates)
		choice.problem = PATH_PROBLEM_NO_SOURCE;
	if (encapsulates && address_is_ipv4(addr))
		choice.path.check = path_header_sum(&choice.path.src, addr);

	choice.has_hop = !route->encap && link_table_exit(links, route->ifindex, &choice.exit);
	if (!choice.has_hop && way == WAY_L2)
		choice.problem = PATH_PROBLEM_NO_ETHERNET;
	choice.device = route->ifindex;
	choice.hop = (struct nexthop_key){
		.ifindex = choice.exit.ifindex,
		.vlan = choice.exit.vlan,
		.addr = address_is_zero(&route->gateway) ? *addr : route->gateway,
	};
	return choice;
}
