/* SPDX-License-Identifier: BSD-2-Clause */
/* Where a request names its model, told from method and path alone. */
#ifndef SLUICE_MODEL_LOCATE_H
#define SLUICE_MODEL_LOCATE_H

#include <stddef.h>

enum model_place {
	MODEL_PLACE_NONE, /* nowhere we look: route by path alone */
	MODEL_PLACE_BODY, /* top-level "model" of a JSON body: see scan.h */
	MODEL_PLACE_BLOCKED, /* a model server's own page or switch: not for clients */
	MODEL_PLACE_BAD, /* "." or ".." segments, broken escapes, escaped control characters:
			    servers read such a path in different ways */
};

/* `path` may carry a query.  Escapes (%xx) are decoded before comparing, because
 * servers do so too: what a server would take for a path of the table is taken
 * for it here. */
enum model_place model_place_find(const char *method, size_t method_length, const char *path,
				  size_t path_length);

#endif
