// SPDX-License-Identifier: BSD-2-Clause
/* PROXY headers against a table: who is named, where the header ends, and what is
 * none.  Every case is cut at every byte, each piece ending at an unmapped page. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <cmocka.h>

#include "userspace/base/address.h"
#include "userspace/base/cleanup.h"
#include "userspace/http/proxy_protocol.h"

#define V2 "\r\n\r\n\0\r\nQUIT\n"
#define INET_ADDRESSES "\xc0\x00\x02\x07\x0a\x00\x00\x01\xdb\xba\x00\x50"
#define HAPROXY_HEADER                                                                             \
	"\x21\x11\0\x13\x7f\0\0\x01\x7f\0\0\x01\xc6\x04\x9a\x39" /* up to its checksum */
#define SIXTEEN "0123456789abcdef"

struct good_case {
	const char *name;
	const char *bytes;
	size_t length; /* of the header */
	const char *client; /* with its port; NULL: the socket's stays */
};

#define GOOD(n, b, c)                                                                              \
	{                                                                                          \
		n, b, sizeof(b) - 1, c                                                             \
	}

static const struct good_case good_cases[] = {
	GOOD("a line about IPv4", "PROXY TCP4 192.0.2.7 10.0.0.1 56250 80\r\n", "192.0.2.7:56250"),
	GOOD("a line about IPv6", "PROXY TCP6 2001:db8::7 2001:db8::1 1 65535\r\n",
	     "[2001:db8::7]:1"),
	GOOD("a mapped address is IPv4's", "PROXY TCP6 ::ffff:192.0.2.7 ::1 0 0\r\n",
	     "192.0.2.7:0"),
	GOOD("the longest line",
	     "PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff "
	     "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n",
	     "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535"),
	GOOD("an unknown client", "PROXY UNKNOWN\r\n", NULL),
	GOOD("an unknown client with addresses", "PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n", NULL),
	GOOD("IPv4", V2 "\x21\x11\0\x0c" INET_ADDRESSES, "192.0.2.7:56250"),
	GOOD("IPv4 with TLVs",
	     V2 "\x21\x11\0\x17" INET_ADDRESSES "\x05\0\x04\x01\x02\x03\x04\x04\0\x01\0",
	     "192.0.2.7:56250"),
	/* as HAProxy 2.6 sends it (send-proxy-v2, proxy-v2-options crc32c) */
	GOOD("IPv4 with its checksum", V2 HAPROXY_HEADER "\x03\0\x04\x7e\x46\x1c\x13",
	     "127.0.0.1:50692"),
	GOOD("LOCAL with a checksum, which means nothing",
	     V2 "\x20\0\0\x07\x03\0\x04"
		"abcd",
	     NULL),
	GOOD("IPv6", V2 "\x21\x21\0\x24" SIXTEEN SIXTEEN "\x00\x07\x00\x50",
	     "[3031:3233:3435:3637:3839:6162:6364:6566]:7"),
	GOOD("LOCAL", V2 "\x20\0\0\0", NULL),
	GOOD("LOCAL with an address, which means nothing", V2 "\x20\x11\0\x0c" INET_ADDRESSES,
	     NULL),
	GOOD("LOCAL of an unknown family", V2 "\x20\xff\0\x01x", NULL),
	GOOD("UNSPEC", V2 "\x21\0\0\0", NULL),
	GOOD("UNSPEC over IPv4", V2 "\x21\x10\0\x0c" INET_ADDRESSES, NULL),
	GOOD("AF_UNIX",
	     V2 "\x21\x31\0\xd8" SIXTEEN SIXTEEN SIXTEEN SIXTEEN SIXTEEN SIXTEEN SIXTEEN SIXTEEN
		     SIXTEEN SIXTEEN SIXTEEN SIXTEEN SIXTEEN "01234567",
	     NULL),
};

struct bad_case {
	const char *name;
	const char *bytes;
	size_t length;
	const char *why; /* a part of it */
};

#define BAD(n, b, w)                                                                               \
	{                                                                                          \
		n, b, sizeof(b) - 1, w                                                             \
	}

static const struct bad_case bad_cases[] = {
	BAD("a request", "GET / HTTP/1.1\r\nHost: a\r\n\r\n", "does not begin"),
	BAD("one that begins alike", "PRI * HTTP/2.0\r\n\r\n", "does not begin"),
	BAD("a TLS hello", "\x16\x03\x01\x02\0\x01", "does not begin"),
	BAD("two empty lines", "\r\n\r\nGET / HTTP/1.1\r\n", "does not begin"),
	BAD("lower case", "proxy TCP4 1.2.3.4 1.2.3.4 1 1\r\n", "does not begin"),
	BAD("no family", "PROXY \r\n", "neither"),
	BAD("another family", "PROXY UDP4 1.2.3.4 1.2.3.4 1 1\r\n", "neither"),
	BAD("IPv6 as TCP4", "PROXY TCP4 ::1 ::1 1 1\r\n", "address"),
	BAD("IPv4 as TCP6", "PROXY TCP6 1.2.3.4 1.2.3.4 1 1\r\n", "address"),
	BAD("two spaces", "PROXY TCP4  1.2.3.4 1.2.3.4 1 1\r\n", "address"),
	BAD("a tab", "PROXY TCP4 1.2.3.4\t1.2.3.4 1 1\r\n", "address"),
	BAD("no second address", "PROXY TCP4 1.2.3.4\r\n", "address"),
	BAD("NUL inside an address", "PROXY TCP4 1.2.3.4\0x 1.2.3.4 1 1\r\n", "address"),
	BAD("a zone", "PROXY TCP6 fe80::1%eth0 ::1 1 1\r\n", "address"),
	BAD("no ports", "PROXY TCP4 1.2.3.4 1.2.3.4\r\n", "port"),
	BAD("one port", "PROXY TCP4 1.2.3.4 1.2.3.4 1\r\n", "port"),
	BAD("three ports", "PROXY TCP4 1.2.3.4 1.2.3.4 1 1 1\r\n", "port"),
	BAD("a port past 16 bits", "PROXY TCP4 1.2.3.4 1.2.3.4 65536 1\r\n", "port"),
	BAD("a port of 6 digits", "PROXY TCP4 1.2.3.4 1.2.3.4 1 999999\r\n", "port"),
	BAD("a leading zero", "PROXY TCP4 1.2.3.4 1.2.3.4 01 1\r\n", "port"),
	BAD("a signed port", "PROXY TCP4 1.2.3.4 1.2.3.4 +1 1\r\n", "port"),
	BAD("a bare line feed", "PROXY TCP4 1.2.3.4 1.2.3.4 1 1\n\r\n", "port"),
	BAD("a line without end",
	    "PROXY UNKNOWN " SIXTEEN SIXTEEN SIXTEEN SIXTEEN SIXTEEN SIXTEEN "\r\n",
	    "longer than 107"),
	BAD("version 1 in binary", V2 "\x11\x11\0\x0c" INET_ADDRESSES, "version or command"),
	BAD("an unknown command", V2 "\x22\x11\0\x0c" INET_ADDRESSES, "version or command"),
	BAD("an unknown family", V2 "\x21\x41\0\x0c" INET_ADDRESSES, "unknown address family"),
	BAD("a datagram", V2 "\x21\x12\0\x0c" INET_ADDRESSES, "stream"),
	BAD("addresses that are short", V2 "\x21\x11\0\x0b" INET_ADDRESSES, "shorter"),
	BAD("no room for IPv6", V2 "\x21\x21\0\x0c" INET_ADDRESSES, "shorter"),
	BAD("one byte too long", V2 "\x21\x11\x02\x09" INET_ADDRESSES, "longer than 536"),
	BAD("the longest length", V2 "\x20\x11\xff\xff", "longer than 536"),
	BAD("a wrong checksum", V2 HAPROXY_HEADER "\x03\0\x04\x7e\x46\x1c\x12",
	    "checksum is wrong"),
	BAD("a wrong bit under a right checksum",
	    V2 "\x21\x11\0\x13\x7f\0\0\x01\x7f\0\0\x01\xc6\x05\x9a\x39"
	       "\x03\0\x04\x7e\x46\x1c\x13",
	    "checksum is wrong"),
	BAD("a checksum of three bytes", V2 "\x21\x11\0\x12" INET_ADDRESSES "\x03\0\x03xyz",
	    "checksum that is none"),
	BAD("two checksums",
	    V2 "\x21\x11\0\x1a" INET_ADDRESSES "\x03\0\x04"
	       "abcd\x03\0\x04"
	       "abcd",
	    "checksum that is none"),
	BAD("half a TLV's head", V2 "\x21\x11\0\x0e" INET_ADDRESSES "\x03\0", "inside a TLV"),
	BAD("a TLV past the end", V2 "\x21\x11\0\x10" INET_ADDRESSES "\x03\0\x02x", "inside a TLV"),
};

static char *page_end; /* where an unmapped page begins */

static int page_make(void **state)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	char *pages =
		mmap(NULL, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	(void)state;
	if (pages == MAP_FAILED || mprotect(pages + page, page, PROT_NONE))
		return -1;
	page_end = pages + page;
	return 0;
}

static enum http_parse parse(const char *bytes, size_t length, struct proxy_protocol *ret,
			     size_t *ret_length, const char **ret_why)
{
	memcpy(page_end - length, bytes, length);
	return proxy_protocol_parse(page_end - length, length, ret, ret_length, ret_why);
}

static void headers_name_the_client_however_they_are_cut(void **state)
{
	struct proxy_protocol got;
	const char *why = NULL;
	char text[ADDRESS_TEXT_MAX];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(good_cases); i++) {
		const struct good_case *c = &good_cases[i];
		char more[1024];
		size_t length = 0;

		for (size_t cut = 0; cut < c->length; cut++) {
			if (parse(c->bytes, cut, &got, &length, &why) != HTTP_PARSE_INCOMPLETE)
				fail_msg("%s: decided at %zu of %zu bytes", c->name, cut,
					 c->length);
		}
		memcpy(more, c->bytes, c->length);
		memcpy(more + c->length, "GET / HTTP/1.1\r\n", 16);
		for (size_t behind = 0; behind <= 16; behind++) {
			if (parse(more, c->length + behind, &got, &length, &why) !=
			    HTTP_PARSE_COMPLETE)
				fail_msg("%s: %s", c->name, why ? why : "not whole");
			assert_int_equal(length, c->length);
		}
		assert_int_equal(got.has_client, c->client != NULL);
		if (c->client)
			assert_string_equal(address_port_format(&got.client, got.client_port, text),
					    c->client);
	}
}

static void what_is_no_header_is_refused_for_its_own_reason(void **state)
{
	struct proxy_protocol got;
	size_t length;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad_cases); i++) {
		const struct bad_case *c = &bad_cases[i];
		enum http_parse verdict = HTTP_PARSE_INCOMPLETE;
		const char *why = NULL;

		for (size_t cut = 0; cut <= c->length && verdict == HTTP_PARSE_INCOMPLETE; cut++)
			verdict = parse(c->bytes, cut, &got, &length, &why);
		if (verdict != HTTP_PARSE_BAD || !strstr(why, c->why))
			fail_msg("%s: cut: %d, %s", c->name, verdict, why ? why : "no reason");
		why = NULL;
		if (parse(c->bytes, c->length, &got, &length, &why) != HTTP_PARSE_BAD ||
		    !strstr(why, c->why))
			fail_msg("%s: whole: %s", c->name, why ? why : "no reason");
		assert_false(got.has_client && strstr(c->why, "does not begin"));
	}
}

static void the_bound_always_decides(void **state)
{
	char bytes[PROXY_PROTOCOL_MAX] = V2 "\x21\x11\x02\x08" INET_ADDRESSES;
	struct proxy_protocol got;
	const char *why = NULL;
	size_t length = 0;

	(void)state;
	/* one TLV of all that is left: 520 - 12 - 3 bytes */
	bytes[29] = 0x01;
	bytes[30] = (char)0xf9;
	assert_int_equal(parse(bytes, sizeof(bytes) - 1, &got, &length, &why),
			 HTTP_PARSE_INCOMPLETE);
	assert_int_equal(parse(bytes, sizeof(bytes), &got, &length, &why), HTTP_PARSE_COMPLETE);
	assert_int_equal(length, PROXY_PROTOCOL_MAX);
	assert_true(got.has_client);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(headers_name_the_client_however_they_are_cut),
		cmocka_unit_test(what_is_no_header_is_refused_for_its_own_reason),
		cmocka_unit_test(the_bound_always_decides),
	};

	return cmocka_run_group_tests(tests, page_make, NULL);
}
