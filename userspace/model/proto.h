/* SPDX-License-Identifier: BSD-2-Clause */
/* Which model a gRPC request asks for, found while it streams in.
 *
 * Only the first message counts, and it must not be compressed; a stream is
 * routed by it.  Fields are found by number, at most three messages deep; what
 * is not on the way to the name is skipped.  No message is decoded, no heap.
 */
#ifndef SLUICE_MODEL_PROTO_H
#define SLUICE_MODEL_PROTO_H

#include <stdint.h>

#include "userspace/model/scan.h"

#define PROTO_DEPTH_MAX 3

/* Where the name is: field `numbers[0]` of the message, in it `numbers[1]`, ...;
 * zero: no more.  Whether the last is a string, or bytes of JSON that name it. */
struct proto_place {
	uint8_t numbers[PROTO_DEPTH_MAX];
	bool json;
};

/* Embeddable; its fields are proto.c's. */
struct model_proto {
	uint8_t state;
	uint8_t verdict; /* enum model_verdict; MODEL_OK: no error so far */
	uint8_t depth; /* in how many of the fields on the way we are */
	uint8_t wire; /* of the field being read */
	uint8_t varint_bytes;
	bool has_name;
	uint32_t field;
	uint32_t prefix_bytes; /* of the message's prefix, seen */
	uint64_t varint;
	uint64_t position; /* in the message */
	uint64_t skip_end;
	uint64_t ends[PROTO_DEPTH_MAX]; /* of the message, and of the fields we are in */
	struct proto_place place;
	struct model_name name;
	struct model_scan *scan; /* for place.json, else unused */
};

/* `scan`: the caller's, used only where the place is JSON.  It and the facts stay
 * where they are until the end. */
void model_proto_init(struct model_proto *proto, struct model_facts *facts,
		      struct proto_place place, struct model_scan *scan);
/* Any chunking gives the same verdict; false: decided, the rest is ignored. */
bool model_proto_feed(struct model_proto *proto, const char *data, size_t length);
enum model_verdict model_proto_finish(struct model_proto *proto);

#endif
