/* SPDX-License-Identifier: BSD-2-Clause */
/* The trace that a request belongs to, as W3C's Trace Context names it in the header
 * `traceparent`: VERSION-TRACE-PARENT-FLAGS in lower case hexadecimal.  Only read:
 * the header itself, and tracestate beside it, pass as they are.  Pure. */
#ifndef SLUICE_HTTP_TRACEPARENT_H
#define SLUICE_HTTP_TRACEPARENT_H

#include <stdbool.h>

#include "userspace/http/parser.h"

#define TRACE_ID_LENGTH 32

/* The trace id and its NUL.  False, and "", when there is none: no such header, more
 * than one, or one that the specification calls invalid. */
bool traceparent_id(const struct http_head *head, char ret_id[TRACE_ID_LENGTH + 1]);

#endif
