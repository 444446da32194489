/* SPDX-License-Identifier: BSD-2-Clause */
/* What a page from elsewhere may do with our answers: the CORS filter of a rule
 * (Gateway API, GEP-1767; the Fetch standard on the browser's side).  Pure: a
 * policy and a request's head in, header lines out.
 *
 * Where a rule has a policy, it alone speaks: Access-Control headers of model
 * servers do not pass (headers.c), whatever the origin.  Nothing is refused here: a
 * request from an origin that is not allowed gets its answer without these headers,
 * and the browser keeps it from the page. */
#ifndef SLUICE_PROXY_CORS_H
#define SLUICE_PROXY_CORS_H

#include <stdbool.h>

#include "userspace/base/route.h"
#include "userspace/base/text.h"
#include "userspace/http/parser.h"

#define CORS_HEADER_PREFIX "access-control-"

/* The method that a preflight asks for (OPTIONS with an Origin and
 * Access-Control-Request-Method); an empty span: it is none. */
struct http_span cors_preflight_method(const struct http_head *request);

/* Appends the header lines of the answer to a preflight. */
void cors_format_preflight(const struct snapshot_cors *cors, const struct http_head *request,
			   struct text *text);

/* Appends those of the answer to any other request; `answer`: the model server's
 * head, NULL for an answer of ours. */
void cors_format_answer(const struct snapshot_cors *cors, const struct http_head *request,
			const struct http_head *answer, struct text *text);

#endif
