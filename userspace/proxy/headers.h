/* SPDX-License-Identifier: BSD-2-Clause */
/* Heads rewritten on their way through: hop-by-hop headers end here (RFC 9110,
 * 7.6.1), the gateway's own are set, the route's filters applied.  Pure: a
 * parsed head in, the text of a new one out; the same input gives the same
 * bytes, so a partly sent head can be made again instead of being kept. */
#ifndef SLUICE_PROXY_HEADERS_H
#define SLUICE_PROXY_HEADERS_H

#include <stdbool.h>
#include <stdint.h>

#include "maps/layout/types.h"
#include "userspace/base/text.h"
#include "userspace/http/parser.h"
#include "userspace/publish/snapshot.h"

struct request_rewrite {
	const struct snapshot_filters *filters; /* NULL: none */
	struct http_span target; /* as it goes upstream, origin form */
	const char *model; /* NULL: none; sets the two X-Gateway headers */
	const char *base_model; /* NULL: none */
	struct ip_addr client;
	uint64_t body_bytes;
	bool upgrade; /* the client's Upgrade goes with it; see headers_ask_upgrade */
	bool has_body; /* Content-Length is sent, also when it is 0 */
	bool plain_answer; /* its body will be looked into and changed: no coding is asked for */
};

/* Appends the head of the request for the model server.  text->cut: too large. */
void headers_format_request(const struct http_head *head, const struct request_rewrite *rewrite,
			    struct text *text);

/* How the end of the answer's body is told to the client */
enum answer_framing {
	ANSWER_AS_IS, /* Content-Length or chunks as they came */
	ANSWER_CHUNKED, /* we make the chunks: the server closes at the end, or gave none */
	ANSWER_UNTIL_CLOSE, /* HTTP/1.0 client: payload, then the end of the connection */
	ANSWER_NO_BODY, /* HEAD, 204, 304: lengths are told as they came */
	ANSWER_COUNTED, /* payload of another length than it came in, all of it here */
};

struct answer_rewrite {
	const struct snapshot_filters *filters; /* NULL: none */
	const struct snapshot_cors *cors; /* NULL: none... */
	const struct http_head *request; /* ...else whose Origin counts */
	enum answer_framing framing;
	uint64_t body_bytes; /* ANSWER_COUNTED */
	bool changed; /* the server's Content-Length is not that of what is passed on */
	bool upgrade; /* 101: the server's Upgrade goes with it */
	struct snapshot_pair own; /* one more header, in place of the server's unless that is
				     Set-Cookie; name NULL: none */
	bool close; /* we close the client's connection after it */
	bool say_keep_alive; /* HTTP/1.0 client that asked for it */
};

void headers_format_answer(const struct http_head *head, const struct answer_rewrite *rewrite,
			   struct text *text);

/* Does the request ask for another protocol in a way that may be passed on?  Not with
 * a body, not in HTTP/1.0, and never for HTTP itself in another dress (h2c, TLS): such
 * a server would be spoken to past all that is judged here.  Then the header is
 * dropped, and the request is like any other. */
bool headers_ask_upgrade(const struct http_head *request);
/* Does the 101 name only what the request asked for? */
bool headers_upgrade_agrees(const struct http_head *request, const struct http_head *answer);

/* "http://host/path" to "/path" (RFC 9112, 3.2.2); other forms as they are. */
struct http_span target_origin_form(struct http_span target);

#endif
