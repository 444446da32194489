/* SPDX-License-Identifier: BSD-2-Clause */
/* A request's model under another name.  In a body: which bytes give way to which;
 * the body itself is not touched, so it can be sent from where it is kept: what is
 * before `begin`, `bytes`, what is from `end` on.  In a path: the new path.  Pure.
 * Not in gRPC messages, where a name of another length changes every length around it. */
#ifndef SLUICE_MODEL_REWRITE_H
#define SLUICE_MODEL_REWRITE_H

#include "userspace/base/text.h"
#include "userspace/model/request.h"

#define MODEL_REWRITE_BYTES_MAX (2 * MODEL_NAME_MAX + 2) /* quotes, and escapes for all */

struct model_rewrite {
	uint64_t begin, end; /* offsets into the (unframed) body */
	size_t length; /* of bytes */
	char bytes[MODEL_REWRITE_BYTES_MAX];
};

/* After model_request_finish() said MODEL_OK.  False: the model is not in a JSON
 * body or a form, or the new name is none that would be taken there. */
bool model_rewrite_make(const struct model_request *request, const char *name, size_t length,
			struct model_rewrite *ret_rewrite);
/* Of the whole body, rewritten: the new Content-Length. */
uint64_t model_rewrite_body_length(const struct model_rewrite *rewrite, uint64_t body_length);

/* Appends the path, query included, with another name where it names its model; the name
 * is escaped.  False: it names none, or with this name in it servers would read it as
 * something else. */
bool model_rewrite_path(struct model_text method, struct model_text path, const char *name,
			size_t length, struct text *out);

#endif
