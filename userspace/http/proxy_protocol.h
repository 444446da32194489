/* SPDX-License-Identifier: BSD-2-Clause */
/* The PROXY protocol, versions 1 and 2: what a balancer in front of us says of the
 * connection before the client's first byte.
 *
 * Pure: the bytes received so far in, a verdict out, the same however they trickle.
 * Taken is who the client is; where it meant to go is checked and left, because
 * routes follow the socket that it came to.  Headers without an address of a TCP
 * client (LOCAL, UNKNOWN, UNSPEC, AF_UNIX) are honest too: the socket's address
 * stays.  TLVs are skipped once they are whole; a CRC32c among them must be right.
 */
#ifndef SLUICE_HTTP_PROXY_PROTOCOL_H
#define SLUICE_HTTP_PROXY_PROTOCOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "maps/layout/types.h"
#include "userspace/http/span.h"

#define PROXY_PROTOCOL_V1_MAX 107 /* bytes, line end included; the specification's bound */
#define PROXY_PROTOCOL_MAX 536 /* bytes of version 2: one segment, however small the path's MTU */

struct proxy_protocol {
	bool has_client; /* false: the socket's own address stays */
	struct ip_addr client;
	uint16_t client_port; /* host order */
};

/* `data`: all bytes received so far.  COMPLETE: *ret is filled and *ret_length bytes
 * were the header, what follows is the client's.  BAD: *ret_why says why in words.
 * INCOMPLETE: call again with more; PROXY_PROTOCOL_MAX bytes always decide. */
enum http_parse proxy_protocol_parse(const char *data, size_t length, struct proxy_protocol *ret,
				     size_t *ret_length, const char **ret_why);

#endif
