/* SPDX-License-Identifier: BSD-2-Clause */
/* Which bytes may stand where in a message (RFC 9110, 5.6; RFC 9112). */
#ifndef SLUICE_HTTP_SYNTAX_H
#define SLUICE_HTTP_SYNTAX_H

#include <stdbool.h>
#include <stddef.h>

#include "userspace/http/span.h"

/* tchar: header names and methods */
bool http_is_token_char(unsigned char c);
/* VCHAR, obs-text, space and tab: values and reason phrases */
bool http_is_value_char(unsigned char c);

bool http_is_token(struct http_span span); /* not empty */
bool http_is_value(struct http_span span);
/* Host and port as in a Host header: letters, digits, "-._~:[]%"; may be empty */
bool http_is_authority(struct http_span span);
/* One line of a header section, without its line end: "name:value", no space
 * before the colon.  NULL, or what is wrong with it. */
const char *http_field_line_check(struct http_span line);

#endif
