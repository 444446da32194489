// SPDX-License-Identifier: BSD-2-Clause
/* What decapsulation needs of the host, asked and never changed: its addresses,
 * and settings of the operator's that would lose what comes out of the tunnel. */
#include <errno.h>
#include <ifaddrs.h>
#include <stdlib.h>
#include <string.h>

#include "loader/decap.h"
#include "maps/access/decap_maps.h"
#include "userspace/base/address.h"
#include "userspace/base/cleanup.h"
#include "userspace/base/file.h"
#include "userspace/base/log.h"
#include "userspace/publish/vip_address.h"

#define IPV4_BYTES 20
#define IPV6_BYTES 40
#define TCP_BYTES 20
#define UDP_BYTES 8
#define GUE_BASE_BYTES 4 /* variant 0; our gateways send variant 1, which has none */
#define MSS_MIN 88 /* Linux takes no smaller one from a peer (TCP_MIN_MSS) */

static void freeifaddrsp(struct ifaddrs **list)
{
	if (*list)
		freeifaddrs(*list);
}

static bool is_among(const struct ip_addr *addr, const struct ip_addr *addrs, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (address_equal(addr, &addrs[i]))
			return true;
	}
	return false;
}

/* Can `entry` be an outer destination? */
static bool is_tunnel_end(const struct ifaddrs *entry, const struct ip_addr *vips, size_t vip_count,
			  struct ip_addr *ret_addr)
{
	if (!entry->ifa_addr ||
	    address_from_sockaddr((const struct sockaddr_storage *)entry->ifa_addr, ret_addr,
				  NULL) < 0)
		return false;
	return !address_is_loopback(ret_addr) && !is_among(ret_addr, vips, vip_count);
}

int decap_locals_put(int locals_fd, const struct ip_addr *vips, size_t vip_count)
{
	_cleanup_(freeifaddrsp) struct ifaddrs *list = NULL;
	struct ip_addr addr;

	if (getifaddrs(&list) < 0)
		return log_error(-errno, "cannot list this host's addresses (%s)", strerror(errno));
	for (const struct ifaddrs *entry = list; entry; entry = entry->ifa_next) {
		int err;

		if (!is_tunnel_end(entry, vips, vip_count, &addr))
			continue;
		err = decap_address_put(locals_fd, &addr);
		if (err == -E2BIG)
			return log_error(err, "this host has more than %d addresses",
					 DECAP_LOCALS_MAX);
		if (err)
			return log_error(err, "cannot write this host's addresses (%s)",
					 strerror(-err));
	}
	return 0;
}

bool decap_locals_are_old(int locals_fd, int vips_fd)
{
	_cleanup_(freeifaddrsp) struct ifaddrs *list = NULL;
	_cleanup_free_ struct ip_addr *locals = NULL, *vips = NULL;
	uint32_t local_count, vip_count;
	struct ip_addr addr;

	locals = calloc(DECAP_LOCALS_MAX, sizeof(*locals));
	vips = calloc(DECAP_LOCALS_MAX, sizeof(*vips));
	if (!locals || !vips || getifaddrs(&list) < 0 ||
	    decap_addresses_read(locals_fd, locals, &local_count) < 0 ||
	    decap_addresses_read(vips_fd, vips, &vip_count) < 0)
		return false;
	for (const struct ifaddrs *entry = list; entry; entry = entry->ifa_next) {
		if (is_tunnel_end(entry, vips, vip_count, &addr) &&
		    !is_among(&addr, locals, local_count))
			return true;
	}
	return false;
}

/* The gateway may use any outer family to reach a host of both, so the larger
 * one's headers are counted, and the larger encapsulation's. */
void decap_mss_of(uint32_t mtu, uint16_t *ret_mss4, uint16_t *ret_mss6)
{
	uint32_t headers = IPV6_BYTES + UDP_BYTES + GUE_BASE_BYTES + TCP_BYTES;
	uint32_t room = mtu > headers ? mtu - headers : 0;
	uint32_t mss4 = room > MSS_MIN + IPV4_BYTES ? room - IPV4_BYTES : MSS_MIN;
	uint32_t mss6 = room > MSS_MIN + IPV6_BYTES ? room - IPV6_BYTES : MSS_MIN;

	*ret_mss4 = (uint16_t)(mss4 < UINT16_MAX ? mss4 : UINT16_MAX);
	*ret_mss6 = (uint16_t)(mss6 < UINT16_MAX ? mss6 : UINT16_MAX);
}

/* -1: it cannot be read. */
static int sysctl_read(const char *device, const char *name)
{
	_cleanup_free_ char *text = NULL;
	char path[128];
	size_t size;

	snprintf(path, sizeof(path), "/proc/sys/net/ipv4/conf/%s/%s", device, name);
	return file_read(path, 64, &text, &size) == 0 ? atoi(text) : -1;
}

/* The kernel goes by the larger one of the device's value and that of all. */
static int sysctl_effective(const char *device, const char *name)
{
	int own = sysctl_read(device, name), all = sysctl_read("all", name);

	return own > all ? own : all;
}

static void vip_check(const struct ip_addr *vip)
{
	char text[ADDRESS_TEXT_MAX];
	bool is_local = true;

	address_format(vip, text);
	if (vip_address_is_local(vip, &is_local) == 0 && !is_local)
		log_warning("%s: this VIP is no address of this host, which will not take packets "
			    "to it; run 'ip addr add %s/%d dev lo'",
			    text, text, address_is_ipv4(vip) ? 32 : 128);
}

/* IPv6 has no rp_filter, and answers for the addresses of the asked device
 * only. */
static void sysctls_check(const char *device)
{
	int rp_filter = sysctl_effective(device, "rp_filter");
	int arp_ignore = sysctl_effective(device, "arp_ignore");
	int arp_announce = sysctl_effective(device, "arp_announce");

	if (rp_filter == 1)
		log_warning("%s: rp_filter is 1, so the kernel drops a decapsulated packet whose "
			    "answer would leave by another device; set "
			    "net.ipv4.conf.{all,%s}.rp_filter to 2 or 0",
			    device, device);
	if ((arp_ignore >= 0 && arp_ignore < 1) || (arp_announce >= 0 && arp_announce < 2))
		log_warning("%s: arp_ignore is %d and arp_announce %d, so this host answers ARP "
			    "for the VIP and may draw its clients here, past the gateway; where "
			    "they share a link (always with L2 DSR) set "
			    "net.ipv4.conf.{all,%s}.arp_ignore to 1 and arp_announce to 2",
			    device, arp_ignore, arp_announce, device);
}

void decap_host_check(const char *device, const struct ip_addr *vips, size_t vip_count)
{
	bool has_ipv4 = false;

	for (size_t i = 0; i < vip_count; i++) {
		vip_check(&vips[i]);
		has_ipv4 |= address_is_ipv4(&vips[i]);
	}
	if (has_ipv4)
		sysctls_check(device);
}
