/* SPDX-License-Identifier: BSD-2-Clause */
/* A request's model under another name: which bytes of the body give way to which.
 * Pure; the body itself is not touched, so it can be sent from where it is kept:
 * what is before `begin`, `bytes`, what is from `end` on. */
#ifndef SLUICE_MODEL_REWRITE_H
#define SLUICE_MODEL_REWRITE_H

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

#endif
