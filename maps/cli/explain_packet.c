// SPDX-License-Identifier: BSD-2-Clause
#include "maps/cli/explain_packet.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <netinet/tcp.h>
#include <netinet/udp.h>
#include <stdio.h>
#include <string.h>

#include "maps/cli/words.h"
#include "userspace/base/address.h"
#include "userspace/base/ascii.h"
#include "userspace/base/log.h"

#define TTL 64
#define QUIC_SHORT_HEADER 0x40 /* RFC 9000, 17.3: the fixed bit */

static int proto_split(const char *text, char head[ADDRESS_TEXT_MAX], uint8_t *ret_proto)
{
	const char *slash = strrchr(text, '/');
	size_t length = slash ? (size_t)(slash - text) : strlen(text);

	if (length >= ADDRESS_TEXT_MAX)
		return -EINVAL;
	memcpy(head, text, length);
	head[length] = '\0';
	*ret_proto = 0;
	if (slash && !strcmp(slash, "/tcp"))
		*ret_proto = IPPROTO_TCP;
	else if (slash && !strcmp(slash, "/udp"))
		*ret_proto = IPPROTO_UDP;
	else if (slash)
		return -EINVAL;
	return 0;
}

static int cid_parse(const char *text, struct explain_packet *packet)
{
	size_t length = strlen(text);
	bool right = length && length % 2 == 0 && length <= 2 * QUIC_CID_MAX;

	for (size_t i = 0; right && i < length; i += 2) {
		int high = ascii_hex_value(text[i]), low = ascii_hex_value(text[i + 1]);

		right = high >= 0 && low >= 0;
		packet->cid[i / 2] = (uint8_t)(high << 4 | low);
	}
	if (!right)
		return log_error(-EINVAL,
				 "--quic-cid %s: wants the connection id in hex, 1 to %d octets, "
				 "such as 00012a",
				 text, QUIC_CID_MAX);
	packet->cid_bytes = (uint8_t)(length / 2);
	return 0;
}

static int addresses_parse(const struct explain_words *words, struct explain_packet *packet)
{
	char head[ADDRESS_TEXT_MAX];

	if (!words->src || !words->dst)
		return log_error(-EINVAL, "explain: --src and --dst are needed; such as --src "
					  "10.1.0.2:40000 --dst 10.99.0.20:8000/tcp");
	if (address_port_parse(words->src, &packet->src, &packet->src_port))
		return log_error(-EINVAL,
				 "--src %s: wants ADDRESS:PORT, such as 10.1.0.2:40000 or "
				 "[2001:db8::2]:40000",
				 words->src);
	if (proto_split(words->dst, head, &packet->proto) ||
	    address_port_parse(head, &packet->dst, &packet->dst_port))
		return log_error(-EINVAL,
				 "--dst %s: wants ADDRESS:PORT, with /tcp or /udp behind it, such "
				 "as 10.99.0.20:8000/tcp or [2001:db8::1]:53/udp",
				 words->dst);
	if (address_is_ipv4(&packet->src) != address_is_ipv4(&packet->dst))
		return log_error(-EINVAL, "--src %s, --dst %s: not of one IP family", words->src,
				 words->dst);
	return 0;
}

int explain_packet_parse(const struct explain_words *words, struct explain_packet *ret_packet)
{
	struct explain_packet packet = {.tcp_flags = TH_SYN};
	int err = addresses_parse(words, &packet);

	if (!err && words->tcp_flags)
		err = tcp_flags_parse(words->tcp_flags, &packet.tcp_flags);
	if (!err && words->quic_cid)
		err = cid_parse(words->quic_cid, &packet);
	if (err)
		return err;
	if (!packet.proto)
		packet.proto = words->quic_cid ? IPPROTO_UDP : IPPROTO_TCP;
	if (words->quic_cid && packet.proto != IPPROTO_UDP)
		return log_error(-EINVAL, "--quic-cid: QUIC is UDP; say --dst ADDRESS:PORT/udp");
	if (words->tcp_flags && packet.proto != IPPROTO_TCP)
		return log_error(-EINVAL, "--tcp-flags: UDP has none; leave them out");
	if (packet.proto != IPPROTO_TCP)
		packet.tcp_flags = 0;
	*ret_packet = packet;
	return 0;
}

/* RFC 1071, of words as they lie in memory. */
static uint32_t sum_add(uint32_t sum, const void *bytes, size_t size)
{
	const uint8_t *at = bytes;

	for (size_t i = 0; i < size; i += 2) {
		uint8_t pair[2] = {at[i], i + 1 < size ? at[i + 1] : 0};
		uint16_t word;

		memcpy(&word, pair, sizeof(word));
		sum += word;
	}
	return sum;
}

static uint16_t sum_finish(uint32_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

/* The pseudo headers of IPv4 and IPv6 have the same sum as this: an IPv4 address in
 * IPv6 form adds ffff, which is zero in this arithmetic. */
static uint16_t l4_sum(const struct explain_packet *packet, const uint8_t *l4, size_t size)
{
	uint32_t sum = sum_add(0, packet->src.bytes, sizeof(packet->src.bytes));

	sum = sum_add(sum, packet->dst.bytes, sizeof(packet->dst.bytes));
	sum += htons(packet->proto);
	sum += htons((uint16_t)size);
	return sum_finish(sum_add(sum, l4, size));
}

static size_t tcp_build(const struct explain_packet *packet, uint8_t *l4)
{
	struct tcphdr tcp = {
		.th_sport = htons(packet->src_port),
		.th_dport = htons(packet->dst_port),
		.th_seq = htonl(1),
		.th_off = sizeof(tcp) / 4,
		.th_flags = packet->tcp_flags,
		.th_win = htons(UINT16_MAX),
	};

	memcpy(l4, &tcp, sizeof(tcp));
	tcp.th_sum = l4_sum(packet, l4, sizeof(tcp));
	memcpy(l4, &tcp, sizeof(tcp));
	return sizeof(tcp);
}

static size_t udp_build(const struct explain_packet *packet, uint8_t *l4)
{
	struct udphdr udp = {
		.uh_sport = htons(packet->src_port),
		.uh_dport = htons(packet->dst_port),
	};
	size_t size = sizeof(udp);

	if (packet->cid_bytes) {
		l4[size++] = QUIC_SHORT_HEADER;
		memcpy(l4 + size, packet->cid, packet->cid_bytes);
		size += packet->cid_bytes;
		memset(l4 + size, 0, QUIC_AFTER_CID_BYTES);
		size += QUIC_AFTER_CID_BYTES;
	}
	udp.uh_ulen = htons((uint16_t)size);
	memcpy(l4, &udp, sizeof(udp));
	udp.uh_sum = l4_sum(packet, l4, size);
	if (!udp.uh_sum)
		udp.uh_sum = UINT16_MAX;
	memcpy(l4, &udp, sizeof(udp));
	return size;
}

static size_t l4_build(const struct explain_packet *packet, uint8_t *l4)
{
	return packet->proto == IPPROTO_TCP ? tcp_build(packet, l4) : udp_build(packet, l4);
}

static size_t ipv4_build(const struct explain_packet *packet, uint8_t *l3)
{
	size_t size = sizeof(struct iphdr) + l4_build(packet, l3 + sizeof(struct iphdr));
	struct iphdr ip = {
		.version = 4,
		.ihl = sizeof(ip) / 4,
		.tot_len = htons((uint16_t)size),
		.frag_off = htons(IP_DF),
		.ttl = TTL,
		.protocol = packet->proto,
		.saddr = packet->src.words[3],
		.daddr = packet->dst.words[3],
	};

	ip.check = sum_finish(sum_add(0, &ip, sizeof(ip)));
	memcpy(l3, &ip, sizeof(ip));
	return size;
}

static size_t ipv6_build(const struct explain_packet *packet, uint8_t *l3)
{
	size_t size = l4_build(packet, l3 + sizeof(struct ip6_hdr));
	struct ip6_hdr ip = {
		.ip6_plen = htons((uint16_t)size),
		.ip6_nxt = packet->proto,
		.ip6_hlim = TTL,
	};

	ip.ip6_vfc = 6 << 4;
	memcpy(&ip.ip6_src, packet->src.bytes, sizeof(ip.ip6_src));
	memcpy(&ip.ip6_dst, packet->dst.bytes, sizeof(ip.ip6_dst));
	memcpy(l3, &ip, sizeof(ip));
	return sizeof(ip) + size;
}

size_t explain_packet_build(const struct explain_packet *packet, uint8_t frame[EXPLAIN_FRAME_MAX])
{
	bool is_ipv4 = address_is_ipv4(&packet->src);
	struct ethhdr eth = {
		.h_source = {2, 0, 0, 0, 0, 1}, /* locally administered */
		.h_proto = htons(is_ipv4 ? ETH_P_IP : ETH_P_IPV6),
	};
	uint8_t *l3 = frame + sizeof(eth);

	memcpy(eth.h_dest, packet->mac, sizeof(eth.h_dest));
	memcpy(frame, &eth, sizeof(eth));
	return sizeof(eth) + (is_ipv4 ? ipv4_build(packet, l3) : ipv6_build(packet, l3));
}
