/* SPDX-License-Identifier: BSD-2-Clause */
/* Which model a JSON body asks for, found while the body streams in.
 *
 * One pass over the whole body, no tree, no heap.  Strict: the body is one JSON
 * object in UTF-8 without BOM, depth at most 256, nothing after it; exactly one
 * top-level key `model` (after unescaping) whose value is a string of 1 to 512
 * bytes without control characters or lone surrogates.  A second `model` key is
 * refused, because engines disagree on which one counts.
 */
#ifndef SLUICE_MODEL_SCAN_H
#define SLUICE_MODEL_SCAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "userspace/model/name.h"

#define MODEL_DEPTH_MAX 256

struct model_scan; /* embeddable: see scan_state.h for the layout */
#include "userspace/model/scan_state.h"

/* The facts are filled as they are seen; the caller's, and stay where they are
 * until the scan is finished. */
void model_scan_init(struct model_scan *scan, struct model_facts *facts);
/* Any chunking gives the same verdict.  After an error the rest is ignored;
 * returns false then, so that the caller may stop early. */
bool model_scan_feed(struct model_scan *scan, const char *data, size_t length);
/* The body is whole: the verdict on it.  The facts of a body that is not valid
 * are those seen before the error, without the name. */
enum model_verdict model_scan_finish(struct model_scan *scan);

#endif
