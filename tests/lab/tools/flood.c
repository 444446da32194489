// SPDX-License-Identifier: BSD-2-Clause
/* A flood from random sources, for tests of what it does to others.
 *
 *   flood DEV GATEWAY_MAC VIP PORT syn|ack|udp COUNT RATE
 *
 * COUNT frames, RATE a second, straight out of DEV (AF_PACKET), IPv4, 64 bytes, each from a random
 * address of 198.18.0.0/15 (the benchmark network of RFC 2544) and a random port.
 * Checksums are right.  Prints how many went out. */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netinet/ip.h>
#include <netinet/tcp.h>
#include <netinet/udp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "userspace/base/clock.h"

#define BATCH 64
#define FRAME_BYTES 64

struct frame {
	uint8_t bytes[FRAME_BYTES];
};

static uint64_t seed = 88172645463325252ull;

/* xorshift64 (Marsaglia, "Xorshift RNGs", 2003) */
static uint64_t random64(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	return seed ^= seed << 17;
}

static uint32_t sum16(const void *data, size_t bytes)
{
	const uint8_t *at = data;
	uint32_t sum = 0;

	for (size_t i = 0; i < bytes; i += 2)
		sum += (uint32_t)at[i] << 8 | at[i + 1];
	return sum;
}

static uint16_t fold(uint32_t sum)
{
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return htons((uint16_t)~sum);
}

static void frame_fill(struct frame *frame, const uint8_t mac[6], uint32_t vip, uint16_t port,
		       const char *kind)
{
	struct ether_header *eth = (void *)frame->bytes;
	struct iphdr *ip = (void *)(eth + 1);
	size_t l4_bytes = FRAME_BYTES - sizeof(*eth) - sizeof(*ip);
	uint64_t random = random64();

	memset(frame, 0, sizeof(*frame));
	memcpy(eth->ether_dhost, mac, 6);
	memcpy(eth->ether_shost, "\x02\x00\x00\x00\x00\x99", 6);
	eth->ether_type = htons(ETHERTYPE_IP);
	*ip = (struct iphdr){.version = 4,
			     .ihl = 5,
			     .tot_len = htons(FRAME_BYTES - sizeof(*eth)),
			     .ttl = 64,
			     .protocol = kind[0] == 'u' ? IPPROTO_UDP : IPPROTO_TCP,
			     .saddr = htonl(0xc6120000u | (random & 0x1ffff)),
			     .daddr = vip};
	ip->check = fold(sum16(ip, sizeof(*ip)));
	if (kind[0] == 'u') {
		struct udphdr *udp = (void *)(ip + 1);

		udp->source = (uint16_t)(random >> 32) | htons(1024);
		udp->dest = htons(port);
		udp->len = htons((uint16_t)l4_bytes);
		udp->check = fold(sum16(udp, l4_bytes) + sum16(&ip->saddr, 8) + IPPROTO_UDP +
				  (uint32_t)l4_bytes);
	} else {
		struct tcphdr *tcp = (void *)(ip + 1);

		tcp->source = (uint16_t)(random >> 32) | htons(1024);
		tcp->dest = htons(port);
		tcp->seq = (uint32_t)(random >> 16);
		tcp->doff = 5;
		tcp->syn = kind[0] == 's';
		tcp->ack = kind[0] == 'a';
		tcp->window = htons(8192);
		tcp->check = fold(sum16(tcp, l4_bytes) + sum16(&ip->saddr, 8) + IPPROTO_TCP +
				  (uint32_t)l4_bytes);
	}
}

int main(int argc, char **argv)
{
	static struct frame frames[BATCH];
	static struct iovec vectors[BATCH];
	static struct mmsghdr messages[BATCH];
	struct sockaddr_ll to = {.sll_family = AF_PACKET, .sll_halen = 6};
	uint8_t mac[6];
	uint64_t next, gap_ns;
	long sent = 0, count;
	int fd;

	if (argc != 8 || sscanf(argv[2], "%hhx:%hhx:%hhx:%hhx:%hhx:%hhx", &mac[0], &mac[1], &mac[2],
				&mac[3], &mac[4], &mac[5]) != 6)
		return 2;
	to.sll_ifindex = (int)if_nametoindex(argv[1]);
	fd = socket(AF_PACKET, SOCK_RAW, 0);
	count = atol(argv[6]);
	gap_ns = BATCH * NS_PER_S / (uint64_t)atol(argv[7]);
	next = clock_monotonic_ns();
	for (int i = 0; i < BATCH; i++) {
		vectors[i] = (struct iovec){frames[i].bytes, FRAME_BYTES};
		messages[i].msg_hdr = (struct msghdr){.msg_name = &to,
						      .msg_namelen = sizeof(to),
						      .msg_iov = &vectors[i],
						      .msg_iovlen = 1};
	}
	while (sent < count) {
		struct timespec until;
		int got;

		next += gap_ns;
		until = (struct timespec){.tv_sec = (time_t)(next / NS_PER_S),
					  .tv_nsec = (long)(next % NS_PER_S)};
		clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL);
		for (int i = 0; i < BATCH; i++)
			frame_fill(&frames[i], mac, inet_addr(argv[3]), (uint16_t)atoi(argv[4]),
				   argv[5]);
		got = sendmmsg(fd, messages, BATCH, 0);
		if (got < 0 && errno != ENOBUFS) {
			perror(argv[1]);
			return 1;
		}
		sent += got > 0 ? got : 0;
	}
	printf("%ld\n", sent);
	return 0;
}
