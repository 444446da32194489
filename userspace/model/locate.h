/* SPDX-License-Identifier: BSD-2-Clause */
/* Where a request names its model, told from method and path alone. */
#ifndef SLUICE_MODEL_LOCATE_H
#define SLUICE_MODEL_LOCATE_H

#include "userspace/model/path_table.h"
#include "userspace/model/verdict.h"

/* `path` may carry a query.  Escapes (%xx) are decoded before comparing, because
 * servers do so too: what a server would take for a path of the table is taken for
 * it here.  An escaped slash is read in both ways that servers know; when they mean
 * different things the path is bad.
 *
 * With MODEL_PLACE_PATH name and version are in the facts, which are reset in any
 * case.  *ret_row is the row of the table, NULL with MODEL_PLACE_NONE and _BAD. */
enum model_place model_locate(const char *method, size_t method_length, const char *path,
			      size_t path_length, struct model_facts *facts,
			      const struct path_row **ret_row);

#endif
