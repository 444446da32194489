/* SPDX-License-Identifier: BSD-2-Clause */
/* The chunked transfer coding (RFC 9112, 7.1), decoded span by span. */
#ifndef SLUICE_HTTP_CHUNKED_H
#define SLUICE_HTTP_CHUNKED_H

#include <stddef.h>
#include <stdint.h>

#include "userspace/http/span.h"

/* Chunk extensions and trailers of one message, together */
#define HTTP_CHUNKED_EXTRA_MAX (16 * 1024)

enum http_chunked_state {
	CHUNKED_SIZE,
	CHUNKED_EXTENSION,
	CHUNKED_SIZE_LF,
	CHUNKED_DATA,
	CHUNKED_DATA_CR,
	CHUNKED_DATA_LF,
	CHUNKED_LINE, /* after the last chunk: a trailer, or the end */
	CHUNKED_TRAILER_NAME,
	CHUNKED_TRAILER_VALUE,
	CHUNKED_TRAILER_LF,
	CHUNKED_END_LF,
	CHUNKED_END,
};

struct http_chunked {
	enum http_chunked_state state;
	unsigned digits; /* of the chunk size so far */
	uint64_t remaining; /* bytes of the chunk still to come; 0 in the last chunk */
	uint32_t extra; /* extension and trailer bytes seen */
};

/* A zeroed struct is ready.  As http_parser_body(); *ret_why is set on BAD. */
enum http_parse http_chunked_decode(struct http_chunked *chunked, const char *data, size_t length,
				    size_t *ret_used, struct http_span *ret_payload,
				    const char **ret_why);

#endif
