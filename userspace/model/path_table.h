/* SPDX-License-Identifier: BSD-2-Clause */
/* The table of paths: one row a pattern, first match counts. */
#ifndef SLUICE_MODEL_PATH_TABLE_H
#define SLUICE_MODEL_PATH_TABLE_H

#include <stdbool.h>
#include <stddef.h>

#include "userspace/model/proto.h"

/* id, the word for it */
#define MODEL_PLACE_LIST(X)                                                                        \
	X(MODEL_PLACE_NONE, "none") /* nowhere we look: route by path alone */                     \
	X(MODEL_PLACE_BODY, "body") /* top-level "model" of a JSON body */                         \
	X(MODEL_PLACE_FORM, "form") /* field "model" of a multipart form */                        \
	X(MODEL_PLACE_PROTO, "proto") /* a field of a gRPC message */                              \
	X(MODEL_PLACE_PATH, "path") /* a segment of the path */                                    \
	X(MODEL_PLACE_MODELS, "list") /* nowhere: it asks for the list of all */                   \
	X(MODEL_PLACE_BLOCKED, "blocked") /* a server's own page or switch: not for clients */     \
	X(MODEL_PLACE_BAD, "bad_path") /* servers read such a path in different ways */

enum model_place {
#define X(id, name) id,
	MODEL_PLACE_LIST(X)
#undef X
		MODEL_PLACE_COUNT
};

enum path_flag {
	/* also behind a prefix, as gateways and vendors put the OpenAI API below paths of
	 * their own (/team/v1/chat/completions); no wildcards in the pattern */
	PATH_ANYWHERE = 1,
	/* also what lies below (vLLM serves its metrics at /metrics/ too) */
	PATH_BELOW = 2,
	/* letters in any case, as TensorFlow Serving has it */
	PATH_ANY_CASE = 4,
	/* changes what a server does for everybody: not for clients */
	PATH_MANAGEMENT = 8,
};

/* A pattern is the path as it is, but
 *
 *	*        one segment, or its part before the last ':' where ':' follows
 *	**       one or more segments, to the end
 *	#        digits
 *	(a|b)    one of these, at the end
 *	<>       around the model      []  around its version      {}  around its label
 */
struct path_row {
	const char *method; /* NULL: any */
	const char *pattern;
	enum model_place place;
	unsigned flags;
	struct proto_place proto; /* MODEL_PLACE_PROTO */
};

extern const struct path_row path_table[];
extern const size_t path_table_count;

#endif
