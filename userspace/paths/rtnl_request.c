// SPDX-License-Identifier: BSD-2-Clause
/* Requests hold only what the kernel's strict checks allow: RTM_GETNEIGH of one entry
 * wants a head that is zero but for family and device. */
#include "userspace/paths/rtnl_request.h"

#include <assert.h>
#include <linux/if_link.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <string.h>
#include <sys/socket.h>

#include <libmnl/libmnl.h>

#include "userspace/base/address.h"
#include "userspace/paths/route.h"

static struct nlmsghdr *begin(struct rtnl_batch *batch, uint32_t seq, uint16_t type, uint16_t flags)
{
	struct nlmsghdr *message;

	assert(batch->count < RTNL_BATCH_MAX);
	message = mnl_nlmsg_put_header(batch->bytes + batch->size);
	message->nlmsg_type = type;
	message->nlmsg_flags = NLM_F_REQUEST | flags;
	message->nlmsg_seq = seq;
	return message;
}

static void end(struct rtnl_batch *batch, const struct nlmsghdr *message)
{
	assert(message->nlmsg_len <= RTNL_REQUEST_MAX);
	batch->size += MNL_ALIGN(message->nlmsg_len);
	batch->count++;
}

static uint8_t family_of(const struct ip_addr *addr)
{
	return address_is_ipv4(addr) ? AF_INET : AF_INET6;
}

static void put_address(struct nlmsghdr *message, uint16_t type, const struct ip_addr *addr)
{
	if (address_is_ipv4(addr))
		mnl_attr_put(message, type, 4, addr->bytes + 12);
	else
		mnl_attr_put(message, type, 16, addr->bytes);
}

void rtnl_ask_links(struct rtnl_batch *batch, uint32_t seq)
{
	struct nlmsghdr *message = begin(batch, seq, RTM_GETLINK, NLM_F_DUMP);

	mnl_nlmsg_put_extra_header(message, sizeof(struct ifinfomsg));
	mnl_attr_put_u32(message, IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS);
	end(batch, message);
}

void rtnl_ask_neighbours(struct rtnl_batch *batch, uint32_t seq)
{
	struct nlmsghdr *message = begin(batch, seq, RTM_GETNEIGH, NLM_F_DUMP);

	mnl_nlmsg_put_extra_header(message, sizeof(struct ndmsg));
	end(batch, message);
}

void rtnl_ask_route(struct rtnl_batch *batch, uint32_t seq, const struct ip_addr *to,
		    bool fib_match)
{
	struct nlmsghdr *message = begin(batch, seq, RTM_GETROUTE, 0);
	struct rtmsg *route = mnl_nlmsg_put_extra_header(message, sizeof(*route));

	route->rtm_family = family_of(to);
	route->rtm_dst_len = address_is_ipv4(to) ? 32 : 128;
	route->rtm_flags = fib_match ? RTM_F_FIB_MATCH : 0;
	put_address(message, RTA_DST, to);
	end(batch, message);
}

static struct nlmsghdr *begin_neighbour(struct rtnl_batch *batch, uint32_t seq, uint16_t type,
					uint16_t flags, uint32_t ifindex,
					const struct ip_addr *addr, uint8_t entry_flags)
{
	struct nlmsghdr *message = begin(batch, seq, type, flags);
	struct ndmsg *head = mnl_nlmsg_put_extra_header(message, sizeof(*head));

	head->ndm_family = family_of(addr);
	head->ndm_ifindex = (int)ifindex;
	head->ndm_flags = entry_flags;
	put_address(message, NDA_DST, addr);
	return message;
}

void rtnl_ask_neighbour(struct rtnl_batch *batch, uint32_t seq, uint32_t ifindex,
			const struct ip_addr *addr)
{
	end(batch, begin_neighbour(batch, seq, RTM_GETNEIGH, 0, ifindex, addr, 0));
}

void rtnl_hold_neighbour(struct rtnl_batch *batch, uint32_t seq, uint32_t ifindex,
			 const struct ip_addr *addr, bool keep)
{
	uint16_t flags = NLM_F_ACK | (keep ? NLM_F_CREATE : 0);
	struct nlmsghdr *message =
		begin_neighbour(batch, seq, RTM_NEWNEIGH, flags, ifindex, addr, NTF_USE);

	mnl_attr_put_u8(message, NDA_PROTOCOL, ROUTE_PROTOCOL_OURS);
	if (keep)
		mnl_attr_put_u32(message, NDA_FLAGS_EXT, NTF_EXT_MANAGED);
	end(batch, message);
}

void rtnl_remove_neighbour(struct rtnl_batch *batch, uint32_t seq, uint32_t ifindex,
			   const struct ip_addr *addr)
{
	end(batch, begin_neighbour(batch, seq, RTM_DELNEIGH, 0, ifindex, addr, 0));
}
