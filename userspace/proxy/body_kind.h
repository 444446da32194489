/* SPDX-License-Identifier: BSD-2-Clause */
/* Whether a request's body is scanned for its model, told from its head. */
#ifndef SLUICE_PROXY_BODY_KIND_H
#define SLUICE_PROXY_BODY_KIND_H

#include "userspace/http/parser.h"

enum body_kind {
	BODY_PLAIN, /* not looked into */
	BODY_JSON, /* JSON of an API we do not know: a model is read if there is one */
	BODY_JSON_MODEL, /* an inference API: a body without a model is refused */
	BODY_BLOCKED, /* a model server's own page, not for clients */
	BODY_BAD_PATH, /* servers read such a path in different ways */
};

/* `path`: origin form, may carry a query. */
enum body_kind body_kind_of(const struct http_head *head, struct http_span path);

#endif
