// SPDX-License-Identifier: BSD-2-Clause
/* An encapsulator in a few lines, for the lab: what a gateway does to packets of
 * its VIPs, by two sockets instead of XDP.
 *
 *   encap KIND OUTER_SRC OUTER_DST DEV VIP...
 *
 * Every IP packet that comes in by DEV for a VIP goes on to OUTER_DST within
 * KIND: ipip, gue1 or gue0 (GUE variant 1 or 0, UDP checksum zero).  The kernel
 * takes nothing off and forwards nothing of it if the VIPs are blackhole routes.
 * Packets that do not fit the way to OUTER_DST are lost, each with a line. */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "userspace/base/address.h"

#define PACKET_BYTES_MAX 65536
#define OUTER_BYTES_MAX 64
#define GUE_PORT 6080
#define GUE_SOURCE_PORT 50001 /* any: gateways put a flow's hash there */
#define VIPS_MAX 8

struct encap {
	bool is_gue, has_gue_base, is_ipv6;
	struct ip_addr src, dst;
	struct ip_addr vips[VIPS_MAX];
	int vip_count;
	int in, out;
};

static int fail(const char *what)
{
	printf("%s: %s\n", what, strerror(errno));
	return 1;
}

static void put16(uint8_t *at, size_t value)
{
	at[0] = (uint8_t)(value >> 8);
	at[1] = (uint8_t)value;
}

static bool is_for_vip(const struct encap *encap, const uint8_t *packet, size_t size)
{
	struct ip_addr dst = {.bytes = {[10] = 0xff, [11] = 0xff}};

	if (size >= 20 && packet[0] >> 4 == 4)
		memcpy(dst.bytes + 12, packet + 16, 4);
	else if (size >= 40 && packet[0] >> 4 == 6)
		memcpy(dst.bytes, packet + 24, 16);
	else
		return false;
	for (int i = 0; i < encap->vip_count; i++) {
		if (address_equal(&dst, &encap->vips[i]))
			return true;
	}
	return false;
}

/* Writes the outer headers for `size` bytes behind them; the kernel fills in
 * IPv4's checksum. */
static size_t outer_put(const struct encap *encap, uint8_t *outer, uint8_t inner_proto, size_t size)
{
	size_t ip_bytes = encap->is_ipv6 ? 40 : 20, udp_bytes = 0;
	uint8_t *udp = outer + ip_bytes;

	memset(outer, 0, OUTER_BYTES_MAX);
	if (encap->is_gue) {
		udp_bytes = encap->has_gue_base ? 12 : 8;
		put16(udp, GUE_SOURCE_PORT);
		put16(udp + 2, GUE_PORT);
		put16(udp + 4, udp_bytes + size);
		if (encap->has_gue_base)
			udp[9] = inner_proto;
		inner_proto = IPPROTO_UDP;
	}
	if (encap->is_ipv6) {
		outer[0] = 0x60;
		put16(outer + 4, udp_bytes + size);
		outer[6] = inner_proto;
		outer[7] = 64;
		memcpy(outer + 8, encap->src.bytes, 16);
		memcpy(outer + 24, encap->dst.bytes, 16);
	} else {
		outer[0] = 0x45;
		put16(outer + 2, ip_bytes + udp_bytes + size);
		outer[6] = 0x40; /* do not fragment */
		outer[8] = 64;
		outer[9] = inner_proto;
		memcpy(outer + 12, encap->src.bytes + 12, 4);
		memcpy(outer + 16, encap->dst.bytes + 12, 4);
	}
	return ip_bytes + udp_bytes;
}

static void packet_send(const struct encap *encap, uint8_t *packet, size_t size)
{
	uint8_t inner_proto = packet[0] >> 4 == 6 ? IPPROTO_IPV6 : IPPROTO_IPIP;
	uint8_t outer[OUTER_BYTES_MAX];
	size_t outer_bytes = outer_put(encap, outer, inner_proto, size);
	struct sockaddr_storage to;
	socklen_t length = address_to_sockaddr(&encap->dst, 0, &to);

	memcpy(packet - outer_bytes, outer, outer_bytes);
	if (sendto(encap->out, packet - outer_bytes, outer_bytes + size, 0, (struct sockaddr *)&to,
		   length) < 0)
		printf("%zu bytes: %s\n", outer_bytes + size, strerror(errno));
}

static int packets_forward(const struct encap *encap)
{
	static uint8_t buffer[OUTER_BYTES_MAX + PACKET_BYTES_MAX];

	for (;;) {
		struct sockaddr_ll from;
		socklen_t length = sizeof(from);
		uint8_t *packet = buffer + OUTER_BYTES_MAX;
		ssize_t got = recvfrom(encap->in, packet, PACKET_BYTES_MAX, 0,
				       (struct sockaddr *)&from, &length);

		if (got < 0)
			return fail("recvfrom");
		if (from.sll_pkttype == PACKET_HOST && is_for_vip(encap, packet, (size_t)got))
			packet_send(encap, packet, (size_t)got);
	}
}

static int sockets_open(struct encap *encap, const char *device)
{
	struct sockaddr_ll at = {
		.sll_family = AF_PACKET,
		.sll_protocol = htons(ETH_P_ALL),
		.sll_ifindex = (int)if_nametoindex(device),
	};
	int room = 8 << 20;

	encap->in = socket(AF_PACKET, SOCK_DGRAM, 0);
	if (encap->in < 0 || bind(encap->in, (struct sockaddr *)&at, sizeof(at)) < 0)
		return fail(device);
	setsockopt(encap->in, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof(room));
	/* IPPROTO_RAW: the header is ours, in both families */
	encap->out = socket(encap->is_ipv6 ? AF_INET6 : AF_INET, SOCK_RAW, IPPROTO_RAW);
	return encap->out < 0 ? fail("raw socket") : 0;
}

int main(int argc, char **argv)
{
	struct encap encap = {0};

	if (argc < 6 || argc - 5 > VIPS_MAX || address_parse(argv[2], &encap.src) < 0 ||
	    address_parse(argv[3], &encap.dst) < 0) {
		printf("usage: encap ipip|gue1|gue0 OUTER_SRC OUTER_DST DEV VIP...\n");
		return 2;
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	encap.is_gue = strncmp(argv[1], "gue", 3) == 0;
	encap.has_gue_base = strcmp(argv[1], "gue0") == 0;
	encap.is_ipv6 = !address_is_ipv4(&encap.dst);
	for (int i = 5; i < argc; i++) {
		if (address_parse(argv[i], &encap.vips[encap.vip_count++]) < 0)
			return 2;
	}
	if (sockets_open(&encap, argv[4]))
		return 1;
	return packets_forward(&encap);
}
