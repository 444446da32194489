/* SPDX-License-Identifier: BSD-2-Clause */
/* The client's own name put back into an answer: in place of every name of a model
 * that a usage observer finds there, whatever the server calls it, while the bytes
 * pass.  Nothing is held back: what is undecided is not a name yet, and of a name
 * the client's is given at its opening quote.  Names are found by their place, never
 * by their text; a key that is spelled with escapes is no name's. */
#ifndef SLUICE_MODEL_RESTORE_H
#define SLUICE_MODEL_RESTORE_H

#include "userspace/base/text.h"
#include "userspace/model/usage.h"

struct restore {
	struct usage_observer *observer; /* borrowed; fed by restore_feed() alone */
	const char *name; /* borrowed: what the client said, judged by model/name */
	size_t length;
};

/* Appends the next bytes of the (decoded) body to `out`, which must have room for
 * restore_bytes_max() of them. */
void restore_feed(const struct restore *restore, const char *data, size_t length, struct text *out);
/* The most that `length` bytes of an answer can become, and the most bytes that can
 * become no more than `room`; `name_length` of the client's name. */
size_t restore_bytes_max(size_t name_length, size_t length);
size_t restore_input_max(size_t name_length, size_t room);

#endif
