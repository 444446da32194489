/* SPDX-License-Identifier: BSD-2-Clause */
/* What a balancer says before a client's first byte: one verdict however it
 * trickles in, decided within the bound, and bytes behind it change nothing. */
#include <string.h>

#include "tests/fuzz/fuzz.h"
#include "userspace/base/address.h"
#include "userspace/http/proxy_protocol.h"

struct verdict {
	enum http_parse parse;
	struct proxy_protocol header;
	size_t length, seen;
};

static struct verdict verdict_of(const char *data, size_t size)
{
	struct verdict v = {.seen = size};
	const char *why = NULL;

	v.parse = proxy_protocol_parse(data, size, &v.header, &v.length, &why);
	must((v.parse == HTTP_PARSE_BAD) == (why != NULL));
	if (v.parse == HTTP_PARSE_COMPLETE)
		must(v.length && v.length <= size && v.length <= PROXY_PROTOCOL_MAX);
	return v;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct verdict whole = verdict_of((const char *)data, size), part = {0};

	must(size < PROXY_PROTOCOL_MAX || whole.parse != HTTP_PARSE_INCOMPLETE);
	for (size_t n = 0; n <= size && part.parse == HTTP_PARSE_INCOMPLETE; n++)
		part = verdict_of((const char *)data, n);
	must(part.parse == whole.parse);
	if (part.parse != HTTP_PARSE_COMPLETE)
		return 0;
	must(part.length == whole.length && part.length == part.seen);
	must(part.header.has_client == whole.header.has_client);
	must(part.header.client_port == whole.header.client_port);
	must(address_equal(&part.header.client, &whole.header.client));
	return 0;
}
