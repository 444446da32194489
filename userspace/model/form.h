/* SPDX-License-Identifier: BSD-2-Clause */
/* Which model a multipart/form-data body asks for, found while it streams in.
 *
 * First level only; the model is the value of a part named `model` without a
 * file name.  Strict where readers of forms differ: line ends are CRLF, a name
 * stands in one parameter in one way, and whatever else some server might take
 * for the begin of a part makes the whole body MODEL_BAD_FORM.  About 150 bytes
 * of state, no heap, however long the parts and their headers are.
 */
#ifndef SLUICE_MODEL_FORM_H
#define SLUICE_MODEL_FORM_H

#include <stdint.h>

#include "userspace/model/form_boundary.h"
#include "userspace/model/name.h"

#define FORM_WORD_KEPT 28 /* more than the longest word that means something */

/* A short word collected byte by byte; only words that fit can mean something. */
struct form_word {
	uint16_t length; /* FORM_WORD_KEPT + 1: longer */
	char bytes[FORM_WORD_KEPT];
};

/* Embeddable; its fields are form.c's. */
struct model_form {
	uint8_t state;
	uint8_t verdict; /* enum model_verdict; MODEL_OK: no error so far */
	uint8_t match; /* bytes of `delimiter` seen, */
	uint8_t match_from; /* of which so many were not there: 0, or 2 for the CRLF */
	uint8_t delimiter_length;
	uint8_t where; /* preamble, part, model's part */
	bool any; /* a byte came */
	bool has_model;
	bool doubtful; /* some server might begin a part where we see none */
	bool after_lf_only; /* the line in the preamble began behind a bare LF */
	/* the part whose headers are being read */
	uint8_t header; /* which one */
	uint8_t param; /* which parameter */
	bool has_disposition, is_form_data;
	bool has_name, has_file, has_file_star, name_is_model, name_escaped, is_coded;
	struct form_word word; /* header name, parameter name or value */
	char delimiter[4 + FORM_BOUNDARY_MAX]; /* CR LF - - boundary */
	uint64_t fed; /* bytes of the body before this piece, */
	const char *piece; /* which begins here */
	struct model_name name;
};

/* `content_type` is the header's value.  The facts are the caller's, and stay where
 * they are until the form is finished. */
void model_form_init(struct model_form *form, struct model_facts *facts, const char *content_type,
		     size_t length);
/* Any chunking gives the same verdict; false: decided, the rest is ignored. */
bool model_form_feed(struct model_form *form, const char *data, size_t length);
enum model_verdict model_form_finish(struct model_form *form);

#endif
