// SPDX-License-Identifier: BSD-2-Clause
/* Network devices by ioctl and /proc/sys, both of which follow the process's
 * namespace (sysfs would not). */
#include "loader/device.h"

#include <errno.h>
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <bpf/libbpf.h>

#include "userspace/base/cleanup.h"
#include "userspace/base/file.h"
#include "userspace/base/log.h"

static int device_ask(const char *name, unsigned long request, struct ifreq *ifr)
{
	_cleanup_close_ int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	snprintf(ifr->ifr_name, sizeof(ifr->ifr_name), "%s", name);
	if (fd < 0 || ioctl(fd, request, ifr) < 0)
		return -errno;
	return 0;
}

int device_find(const char *name, uint32_t *ret_ifindex)
{
	struct ifreq ifr = {0};
	uint32_t ifindex = strlen(name) < IF_NAMESIZE ? if_nametoindex(name) : 0;
	int err;

	if (!ifindex)
		return log_error(-ENODEV, "%s: no such device in this network namespace", name);
	err = device_ask(name, SIOCGIFHWADDR, &ifr);
	if (err)
		return log_error(err, "%s: cannot ask what kind of device it is (%s)", name,
				 strerror(-err));
	if (ifr.ifr_hwaddr.sa_family != ARPHRD_ETHER)
		return log_error(-EINVAL,
				 "%s: not an Ethernet device (ARPHRD %d); packets without an "
				 "Ethernet header are not handled, attach the devices they go by",
				 name, ifr.ifr_hwaddr.sa_family);
	*ret_ifindex = ifindex;
	return 0;
}

void device_driver(const char *name, char *buffer, size_t size)
{
	struct ethtool_drvinfo info = {.cmd = ETHTOOL_GDRVINFO};
	struct ifreq ifr = {.ifr_data = (void *)&info};

	snprintf(buffer, size, "%s", device_ask(name, SIOCETHTOOL, &ifr) ? "?" : info.driver);
}

int device_mtu(const char *name, uint32_t *ret_mtu)
{
	struct ifreq ifr = {0};
	int err = device_ask(name, SIOCGIFMTU, &ifr);

	if (err)
		return log_error(err, "%s: cannot ask for its MTU (%s)", name, strerror(-err));
	*ret_mtu = (uint32_t)ifr.ifr_mtu;
	return 0;
}

void device_warn_forwarding(const char *device, const char *family)
{
	_cleanup_free_ char *text = NULL;
	char path[128];
	size_t size;

	snprintf(path, sizeof(path), "/proc/sys/net/%s/conf/%s/forwarding", family, device);
	if (file_read(path, 64, &text, &size) == 0 && text[0] == '0')
		log_warning("%s: net.%s.conf.%s.forwarding is 0, so what comes in there for an L4 "
			    "VIP is dropped (verdict forwarding_off); set it to 1",
			    device, family, device);
}

uint32_t device_xdp_program(uint32_t ifindex)
{
	uint32_t id = 0;

	return bpf_xdp_query_id((int)ifindex, 0, &id) ? 0 : id;
}
