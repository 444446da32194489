// SPDX-License-Identifier: BSD-2-Clause
/* The first byte tells the version: a line of text begins with `P`, the binary
 * header with a carriage return.  Each check is made as soon as its bytes are there
 * and depends on nothing behind them, so no cut changes a verdict. */
#include "userspace/http/proxy_protocol.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

#include "userspace/base/address.h"

#define V2_HEAD_BYTES 16
#define V2_TLV_HEAD_BYTES 3
#define V2_TLV_CRC32C 0x03
#define V2_CRC32C_BYTES 4 /* in network order */
#define PORT_DIGITS_MAX 5

/* Of a binary header: byte 12 is version and command, byte 13 family and protocol */
enum { V2_LOCAL = 0x20, V2_PROXY = 0x21 };
enum { FAMILY_UNSPEC, FAMILY_INET, FAMILY_INET6, FAMILY_UNIX };
enum { PROTOCOL_UNSPEC, PROTOCOL_STREAM };

static const char v1_signature[] = "PROXY ";
static const char v2_signature[] = "\r\n\r\n\0\r\nQUIT\n";

static enum http_parse bad(const char **ret_why, const char *why)
{
	*ret_why = why;
	return HTTP_PARSE_BAD;
}

/* ---- version 1 ---- */

/* One field and the space behind it; the last one ends with the line. */
static struct http_span field_next(struct http_span *line)
{
	const char *space = line->length ? memchr(line->data, ' ', line->length) : NULL;
	struct http_span field = *line;

	if (space)
		field.length = (size_t)(space - line->data);
	line->data += field.length + !!space;
	line->length -= field.length + !!space;
	return field;
}

static bool address_read(struct http_span field, int family, struct ip_addr *ret_addr)
{
	char text[INET6_ADDRSTRLEN];
	struct in6_addr ipv6;

	if (!field.length || field.length >= sizeof(text) || memchr(field.data, '\0', field.length))
		return false;
	memcpy(text, field.data, field.length);
	text[field.length] = '\0';
	if (inet_pton(family, text, &ipv6) != 1)
		return false;
	return address_parse(text, ret_addr) == 0;
}

static bool port_read(struct http_span field, uint16_t *ret_port)
{
	uint32_t port = 0;

	if (!field.length || field.length > PORT_DIGITS_MAX ||
	    (field.length > 1 && field.data[0] == '0'))
		return false;
	for (size_t i = 0; i < field.length; i++) {
		if (field.data[i] < '0' || field.data[i] > '9')
			return false;
		port = port * 10 + (uint32_t)(field.data[i] - '0');
	}
	*ret_port = (uint16_t)port;
	return port <= UINT16_MAX;
}

/* The line behind "PROXY ", without its end. */
static enum http_parse v1_line_read(struct http_span line, struct proxy_protocol *ret,
				    const char **ret_why)
{
	struct http_span family = field_next(&line), client, server, client_port, server_port;
	struct ip_addr server_addr;
	uint16_t port;
	int af;

	if (http_span_equal(family, "UNKNOWN"))
		return HTTP_PARSE_COMPLETE;
	if (http_span_equal(family, "TCP4"))
		af = AF_INET;
	else if (http_span_equal(family, "TCP6"))
		af = AF_INET6;
	else
		return bad(ret_why, "the PROXY line is about neither TCP4, TCP6 nor UNKNOWN");
	client = field_next(&line);
	server = field_next(&line);
	client_port = field_next(&line);
	server_port = line;
	if (!address_read(client, af, &ret->client) || !address_read(server, af, &server_addr))
		return bad(ret_why, "the PROXY line has an address that is none");
	if (!port_read(client_port, &ret->client_port) || !port_read(server_port, &port))
		return bad(ret_why, "the PROXY line has a port that is none");
	ret->has_client = true;
	return HTTP_PARSE_COMPLETE;
}

static enum http_parse v1_parse(const char *data, size_t length, struct proxy_protocol *ret,
				size_t *ret_length, const char **ret_why)
{
	size_t seen = length < PROXY_PROTOCOL_V1_MAX ? length : PROXY_PROTOCOL_V1_MAX;
	size_t signature = sizeof(v1_signature) - 1;
	const char *end = memmem(data, seen, "\r\n", 2);

	if (memcmp(data, v1_signature, seen < signature ? seen : signature) != 0)
		return bad(ret_why, "the connection does not begin with a PROXY header");
	if (!end && seen == PROXY_PROTOCOL_V1_MAX)
		return bad(ret_why, "the PROXY line is longer than 107 bytes");
	if (!end)
		return HTTP_PARSE_INCOMPLETE;
	*ret_length = (size_t)(end - data) + 2;
	return v1_line_read((struct http_span){data + signature, (size_t)(end - data) - signature},
			    ret, ret_why);
}

/* ---- version 2 ---- */

static uint16_t be16_read(const char *data)
{
	const unsigned char *bytes = (const unsigned char *)data;

	return (uint16_t)(bytes[0] << 8 | bytes[1]);
}

/* How long addresses and ports are, by family. */
static size_t v2_address_bytes(unsigned family)
{
	static const size_t bytes[] = {
		[FAMILY_INET] = 12, [FAMILY_INET6] = 36, [FAMILY_UNIX] = 216};

	return bytes[family];
}

static enum http_parse v2_head_check(const char *data, size_t length, const char **ret_why)
{
	unsigned family, protocol;

	if (length > 12 && (unsigned char)data[12] != V2_LOCAL &&
	    (unsigned char)data[12] != V2_PROXY)
		return bad(ret_why, "the PROXY header has an unknown version or command");
	if (length > 13 && (unsigned char)data[12] == V2_PROXY) {
		family = (unsigned char)data[13] >> 4;
		protocol = data[13] & 0x0f;
		if (family > FAMILY_UNIX)
			return bad(ret_why, "the PROXY header is about an unknown address family");
		if (protocol > PROTOCOL_STREAM)
			return bad(ret_why, "the PROXY header is about something else than a "
					    "stream");
	}
	if (length < V2_HEAD_BYTES)
		return HTTP_PARSE_INCOMPLETE;
	if (be16_read(data + 14) > PROXY_PROTOCOL_MAX - V2_HEAD_BYTES)
		return bad(ret_why, "the PROXY header is longer than 536 bytes");
	return HTTP_PARSE_COMPLETE;
}

/* CRC-32C (Castagnoli), reflected, bit by bit: RFC 4960, appendix B, has the polynomial.
 * A table would be faster; there are 536 bytes at most, once a connection. */
static uint32_t crc32c_add(uint32_t crc, const char *data, size_t length)
{
	for (size_t i = 0; i < length; i++) {
		crc ^= (unsigned char)data[i];
		for (int bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78 : 0);
	}
	return crc;
}

/* Of the whole header, with zeros where the sum itself stands. */
static bool crc32c_is_right(const char *header, size_t length, const char *sum)
{
	static const char zeros[V2_CRC32C_BYTES];
	size_t before = (size_t)(sum - header), behind = before + sizeof(zeros);
	uint32_t said = (uint32_t)be16_read(sum) << 16 | be16_read(sum + 2), crc = UINT32_MAX;

	crc = crc32c_add(crc, header, before);
	crc = crc32c_add(crc, zeros, sizeof(zeros));
	crc = crc32c_add(crc, header + behind, length - behind);
	return ~crc == said;
}

/* The TLVs begin at `at` of the header; NULL, or what is wrong with them. */
static const char *tlvs_refused(const char *header, size_t length, size_t at)
{
	const char *sum = NULL;

	while (at < length) {
		size_t value;
		const char *tlv = header + at;

		at += V2_TLV_HEAD_BYTES;
		if (at > length)
			return "the PROXY header ends inside a TLV";
		value = be16_read(tlv + 1);
		if (value > length - at)
			return "the PROXY header ends inside a TLV";
		at += value;
		if (tlv[0] != V2_TLV_CRC32C)
			continue;
		if (sum || value != V2_CRC32C_BYTES)
			return "the PROXY header has a checksum that is none";
		sum = tlv + V2_TLV_HEAD_BYTES;
	}
	if (sum && !crc32c_is_right(header, length, sum))
		return "the PROXY header's checksum is wrong";
	return NULL;
}

static void v2_client_read(const char *data, unsigned family, struct proxy_protocol *ret)
{
	static const unsigned char mapped[12] = {[10] = 0xff, [11] = 0xff};

	if (family == FAMILY_INET) {
		memcpy(ret->client.bytes, mapped, sizeof(mapped));
		memcpy(ret->client.bytes + 12, data, 4);
		ret->client_port = be16_read(data + 8);
	} else {
		memcpy(ret->client.bytes, data, 16);
		ret->client_port = be16_read(data + 32);
	}
	ret->has_client = true;
}

static enum http_parse v2_parse(const char *data, size_t length, struct proxy_protocol *ret,
				size_t *ret_length, const char **ret_why)
{
	size_t signature = sizeof(v2_signature) - 1, rest, addresses;
	enum http_parse parse;
	const char *why;
	unsigned family;
	bool stream;

	if (memcmp(data, v2_signature, length < signature ? length : signature) != 0)
		return bad(ret_why, "the connection does not begin with a PROXY header");
	parse = v2_head_check(data, length, ret_why);
	if (parse != HTTP_PARSE_COMPLETE)
		return parse;
	rest = be16_read(data + 14);
	if (length < V2_HEAD_BYTES + rest)
		return HTTP_PARSE_INCOMPLETE;
	*ret_length = V2_HEAD_BYTES + rest;
	if ((unsigned char)data[12] == V2_LOCAL)
		return HTTP_PARSE_COMPLETE; /* of the balancer itself; the rest means nothing */
	family = (unsigned char)data[13] >> 4;
	stream = (data[13] & 0x0f) == PROTOCOL_STREAM;
	addresses = v2_address_bytes(family);
	if (rest < addresses)
		return bad(ret_why, "the PROXY header is shorter than its addresses");
	why = tlvs_refused(data, *ret_length, V2_HEAD_BYTES + addresses);
	if (why)
		return bad(ret_why, why);
	if (stream && (family == FAMILY_INET || family == FAMILY_INET6))
		v2_client_read(data + V2_HEAD_BYTES, family, ret);
	return HTTP_PARSE_COMPLETE;
}

enum http_parse proxy_protocol_parse(const char *data, size_t length, struct proxy_protocol *ret,
				     size_t *ret_length, const char **ret_why)
{
	*ret = (struct proxy_protocol){0};
	if (!length)
		return HTTP_PARSE_INCOMPLETE;
	if (data[0] == v2_signature[0])
		return v2_parse(data, length, ret, ret_length, ret_why);
	return v1_parse(data, length, ret, ret_length, ret_why);
}
