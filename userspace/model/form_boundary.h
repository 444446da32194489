/* SPDX-License-Identifier: BSD-2-Clause */
/* The words of a Content-Type that say how a body is to be read. */
#ifndef SLUICE_MODEL_FORM_BOUNDARY_H
#define SLUICE_MODEL_FORM_BOUNDARY_H

#include <stdbool.h>
#include <stddef.h>

#include "userspace/model/verdict.h"

#define FORM_BOUNDARY_MAX 70 /* RFC 2046 */

/* The type itself, parameters aside, in any case? */
bool content_type_is(const char *value, size_t length, const char *type);

/* The boundary of a form, pointing into the value.  MODEL_OK; MODEL_NO_BOUNDARY,
 * also when there are two or one that readers take apart in different ways; or
 * MODEL_ENCODED: a charset other than UTF-8.  Results are set on MODEL_OK only. */
enum model_verdict form_boundary_find(const char *content_type, size_t length,
				      const char **ret_boundary, size_t *ret_length);

#endif
