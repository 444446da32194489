/* SPDX-License-Identifier: BSD-2-Clause */
/* The head of a message once all its bytes are there: cut into spans, checked,
 * and its meaning for framing worked out.  Used by the parser only. */
#ifndef SLUICE_HTTP_HEAD_H
#define SLUICE_HTTP_HEAD_H

#include <stddef.h>

#include "userspace/http/parser.h"

/* Why a head is refused; zeroed: it is not. */
struct http_refusal {
	const char *why;
	int answer; /* 400, 417, 431, 501 or 505 */
};

/* `line`: the first line, without its line end. */
struct http_refusal http_start_line_parse(enum http_kind kind, struct http_span line,
					  struct http_head *ret_head);
/* The header lines and the empty line after them, ends included. */
struct http_refusal http_fields_parse(struct http_span lines, struct http_head *head);
/* What the headers mean together: fills the rest of `head`. */
struct http_refusal http_head_settle(enum http_kind kind, struct http_head *head);

#endif
