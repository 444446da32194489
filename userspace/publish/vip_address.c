// SPDX-License-Identifier: BSD-2-Clause
/* Three requests: is there a local route to the address (RTM_GETROUTE, which
 * sees addresses on any device and AnyIP routes alike), RTM_NEWADDR and
 * RTM_DELADDR.  One socket a request: VIPs change rarely. */
#include "userspace/publish/vip_address.h"

#include <errno.h>
#include <linux/if_addr.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "userspace/base/address.h"
#include "userspace/base/cleanup.h"
#include "userspace/base/log.h"

/* Two families' headers, at most three attributes of 16 bytes. */
struct request {
	struct nlmsghdr header;
	union {
		struct rtmsg route;
		struct ifaddrmsg address;
		char room[128];
	};
};

static void request_append(struct request *request, uint16_t type, const void *data, size_t length)
{
	size_t at = NLMSG_ALIGN(request->header.nlmsg_len);
	struct rtattr *attribute = (struct rtattr *)((char *)request + at);

	attribute->rta_type = type;
	attribute->rta_len = (uint16_t)RTA_LENGTH(length);
	memcpy(RTA_DATA(attribute), data, length);
	request->header.nlmsg_len = (uint32_t)(at + RTA_ALIGN(attribute->rta_len));
}

static void request_append_address(struct request *request, uint16_t type,
				   const struct ip_addr *addr)
{
	if (address_is_ipv4(addr))
		request_append(request, type, addr->bytes + 12, 4);
	else
		request_append(request, type, addr->bytes, 16);
}

/* Sends the request and reads one answer: an error (0: done) or a message,
 * whose header is copied to *answer. */
static int request_send(struct request *request, struct request *answer)
{
	const struct timeval patience = {.tv_sec = 2};
	_cleanup_close_ int fd = -1;
	union {
		struct nlmsghdr header;
		char bytes[4096];
	} reply;
	ssize_t length;

	fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	if (fd < 0)
		return -errno;
	if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)) < 0)
		return -errno;
	if (send(fd, request, request->header.nlmsg_len, 0) < 0)
		return -errno;
	length = recv(fd, &reply, sizeof(reply), 0);
	if (length < 0)
		return -errno;
	if (!NLMSG_OK(&reply.header, (size_t)length))
		return -EBADMSG;
	if (reply.header.nlmsg_type == NLMSG_ERROR) {
		const struct nlmsgerr *error = NLMSG_DATA(&reply.header);

		return reply.header.nlmsg_len < NLMSG_LENGTH(sizeof(*error)) ? -EBADMSG
									     : error->error;
	}
	if (!answer || reply.header.nlmsg_len < NLMSG_LENGTH(sizeof(struct rtmsg)))
		return -EBADMSG;
	memset(answer, 0, sizeof(*answer));
	memcpy(answer, &reply, NLMSG_LENGTH(sizeof(struct rtmsg)));
	return 0;
}

int vip_address_is_local(const struct ip_addr *addr, bool *ret_local)
{
	bool ipv4 = address_is_ipv4(addr);
	struct request answer, request = {
				       .header = {.nlmsg_len = NLMSG_LENGTH(sizeof(struct rtmsg)),
						  .nlmsg_type = RTM_GETROUTE,
						  .nlmsg_flags = NLM_F_REQUEST},
				       .route = {.rtm_family = ipv4 ? AF_INET : AF_INET6,
						 .rtm_dst_len = ipv4 ? 32 : 128},
			       };
	int err;

	request_append_address(&request, RTA_DST, addr);
	err = request_send(&request, &answer);
	*ret_local = !err && answer.route.rtm_type == RTN_LOCAL;
	return err == -ENETUNREACH || err == -EHOSTUNREACH ? 0 : err;
}

static int address_request(uint16_t type, uint16_t flags, const struct ip_addr *addr)
{
	bool ipv4 = address_is_ipv4(addr);
	struct request request = {
		.header = {.nlmsg_len = NLMSG_LENGTH(sizeof(struct ifaddrmsg)),
			   .nlmsg_type = type,
			   .nlmsg_flags = (uint16_t)(NLM_F_REQUEST | NLM_F_ACK | flags)},
		.address = {.ifa_family = ipv4 ? AF_INET : AF_INET6,
			    .ifa_prefixlen = ipv4 ? 32 : 128,
			    .ifa_flags = ipv4 ? 0 : IFA_F_NODAD,
			    .ifa_scope = RT_SCOPE_UNIVERSE,
			    .ifa_index = if_nametoindex("lo")},
	};

	if (!request.address.ifa_index)
		return -ENODEV;
	request_append_address(&request, IFA_LOCAL, addr);
	request_append_address(&request, IFA_ADDRESS, addr);
	return request_send(&request, NULL);
}

/* IPv6's local route comes a moment after its address (from a work queue), so
 * asking for the route again would tell nothing. */
static bool lo_is_up(void)
{
	struct ifreq request = {.ifr_name = "lo"};
	_cleanup_close_ int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	return fd >= 0 && ioctl(fd, SIOCGIFFLAGS, &request) == 0 && request.ifr_flags & IFF_UP;
}

int vip_address_add(const struct ip_addr *addr, bool *ret_added)
{
	char text[ADDRESS_TEXT_MAX];
	bool local;
	int err;

	err = vip_address_is_local(addr, &local);
	if (err)
		return log_error(err, "%s: cannot ask the kernel for a route to this VIP (%s)",
				 address_format(addr, text), strerror(-err));
	if (local) {
		*ret_added = false;
		return 0;
	}
	err = address_request(RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, addr);
	if (err && err != -EEXIST)
		return log_error(err, "%s: cannot put this VIP on lo (%s); run as root",
				 address_format(addr, text), strerror(-err));
	*ret_added = !err;
	if (!lo_is_up())
		log_warning("%s: on lo, but lo is down; run 'ip link set lo up'",
			    address_format(addr, text));
	return 0;
}

int vip_address_remove(const struct ip_addr *addr)
{
	char text[ADDRESS_TEXT_MAX];
	int err = address_request(RTM_DELADDR, 0, addr);

	if (err && err != -EADDRNOTAVAIL)
		return log_error(err, "%s: cannot take this VIP from lo (%s)",
				 address_format(addr, text), strerror(-err));
	return 0;
}
