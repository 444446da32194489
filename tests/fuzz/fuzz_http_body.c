/* SPDX-License-Identifier: BSD-2-Clause */
/* A chunked body: the same payload however it is cut, and whatever we take
 * llhttp takes too, byte for byte and with the same end.  (Chunk extensions are
 * looser here: nobody reads them, and their bytes are as clean as a header's.)
 */
#include <llhttp.h>
#include <string.h>

#include "tests/fuzz/fuzz.h"
#include "userspace/http/chunked.h"

#define HEAD "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"

struct decoded {
	enum http_parse parse;
	size_t used;
	size_t length;
	uint64_t hash;
	uint32_t extra;
};

static void payload_add(struct decoded *decoded, const char *data, size_t length)
{
	size_t i;

	decoded->length += length;
	for (i = 0; i < length; i++)
		decoded->hash = (decoded->hash ^ (uint8_t)data[i]) * 1099511628211ull;
}

/* `whole`: as one piece, else in small ones. */
static struct decoded decode(const char *data, size_t size, int whole)
{
	struct decoded decoded = {.parse = HTTP_PARSE_INCOMPLETE};
	struct http_chunked chunked = {0};
	const char *why = NULL;
	uint64_t seed = size;
	size_t end = 0;

	while (decoded.parse == HTTP_PARSE_INCOMPLETE && end < size) {
		end += whole ? size : fuzz_piece(&seed, size - end);
		while (decoded.parse == HTTP_PARSE_INCOMPLETE && decoded.used < end) {
			struct http_span payload = {data, 0};
			size_t used = 0;

			decoded.parse = http_chunked_decode(&chunked, data + decoded.used,
							    end - decoded.used, &used, &payload,
							    &why);
			if (decoded.parse == HTTP_PARSE_BAD) {
				must(!payload.length && used < end - decoded.used);
				decoded.used += used;
				break;
			}
			must(used > 0 && used <= end - decoded.used && payload.length <= used);
			payload_add(&decoded, payload.data, payload.length);
			decoded.used += used;
		}
	}
	must((decoded.parse == HTTP_PARSE_BAD) == (why != NULL));
	decoded.extra = chunked.extra;
	return decoded;
}

static int on_body(llhttp_t *llhttp, const char *at, size_t length)
{
	payload_add(llhttp->data, at, length);
	return 0;
}

static int on_complete(llhttp_t *llhttp)
{
	((struct decoded *)llhttp->data)->parse = HTTP_PARSE_COMPLETE;
	return HPE_PAUSED;
}

static void check_llhttp_agrees(const char *data, size_t size, const struct decoded *ours)
{
	static const llhttp_settings_t settings = {.on_body = on_body,
						   .on_message_complete = on_complete};
	struct decoded theirs = {.parse = HTTP_PARSE_INCOMPLETE};
	llhttp_t llhttp;

	llhttp_init(&llhttp, HTTP_REQUEST, &settings);
	llhttp.data = &theirs;
	must(llhttp_execute(&llhttp, HEAD, sizeof(HEAD) - 1) == HPE_OK);
	llhttp_execute(&llhttp, data, size);
	if (theirs.parse != HTTP_PARSE_COMPLETE && ours->extra)
		return;
	must(theirs.parse == HTTP_PARSE_COMPLETE);
	must(theirs.length == ours->length && theirs.hash == ours->hash);
	must((size_t)(llhttp_get_error_pos(&llhttp) - data) == ours->used);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct decoded whole = decode((const char *)data, size, 1);
	struct decoded cut = decode((const char *)data, size, 0);

	must(whole.parse == cut.parse);
	must(whole.used == cut.used && whole.length == cut.length && whole.hash == cut.hash);
	if (whole.parse == HTTP_PARSE_COMPLETE)
		check_llhttp_agrees((const char *)data, size, &whole);
	return 0;
}
