/* SPDX-License-Identifier: BSD-2-Clause */
/* The layout of struct model_scan, so that a session can embed it.  Its fields
 * are scan.c's alone. */
#ifndef SLUICE_MODEL_SCAN_STATE_H
#define SLUICE_MODEL_SCAN_STATE_H

#include "userspace/model/name.h"
#include "userspace/model/skip.h"

#define MODEL_KEY_KEPT 24 /* more than the longest key that means something */

struct model_scan {
	skip_plain skip;
	uint8_t state; /* what may come next */
	uint8_t verdict; /* enum model_verdict; MODEL_OK: no error so far */
	uint8_t key; /* which top-level member we are in */
	uint8_t role; /* what the current string is for */
	uint16_t depth;
	uint64_t objects[MODEL_DEPTH_MAX / 64]; /* bit d: level d is an object, else an array */

	uint8_t utf8_need; /* continuation bytes still to come, */
	uint8_t utf8_low; /* and the range of the next one */
	uint8_t utf8_high;
	uint8_t hex_count;
	uint16_t hex;
	uint16_t high_surrogate; /* escaped, waiting for its low half; 0: none */
	uint8_t literal;
	uint8_t literal_index;

	bool has_model;
	bool name_bad_string;
	bool integer; /* the number so far is a plain integer */
	uint64_t number;
	char key_bytes[MODEL_KEY_KEPT];
	size_t key_length; /* unescaped; may pass MODEL_KEY_KEPT */
	uint64_t string_bytes; /* of a string that counts as text */
	char string_head[5];

	uint64_t fed; /* bytes of the body before this piece, */
	const uint8_t *piece; /* which begins here */
	struct model_name name;
	struct model_facts *facts;
};

#endif
