/* SPDX-License-Identifier: BSD-2-Clause */
/* Which model a request asks for, wherever its API has it: in the JSON body, in a
 * multipart form, in the path, in a gRPC message, or nowhere.
 *
 * This header is all that a caller needs.  The head of the request is given first,
 * then the body in pieces of any size, then the verdict is asked for:
 *
 *	struct model_head head = {.method = ..., .path = ...};
 *	for each header: model_head_add(&head, name, ..., value, ...);
 *	model_request_begin(&request, &facts, &head);
 *	while more: model_request_feed(&request, data, length);
 *	verdict = model_request_finish(&request);
 *
 * One pass, no tree, no heap; what servers read in different ways is refused,
 * because whoever routes by one reading and serves by another can be walked around.
 */
#ifndef SLUICE_MODEL_REQUEST_H
#define SLUICE_MODEL_REQUEST_H

#include "userspace/model/form.h"
#include "userspace/model/path_table.h"
#include "userspace/model/proto.h"
#include "userspace/model/scan.h"
#include "userspace/model/verdict.h"

struct model_text {
	const char *data;
	size_t length;
};

/* What counts of a request's head; borrowed until model_request_begin() returns. */
struct model_head {
	struct model_text method;
	struct model_text path; /* origin form, may carry a query */
	/* filled by model_head_add() */
	struct model_text content_type;
	bool two_types; /* Content-Type stands there twice: servers take either */
	bool is_encoded; /* Content-Encoding is not identity */
	bool has_json; /* one of the types is JSON */
};

/* A header, in the order they came; those that do not matter are ignored. */
void model_head_add(struct model_head *head, const char *name, size_t name_length,
		    const char *value, size_t value_length);

/* Embeddable, less than 300 bytes; its fields are request.c's. */
struct model_request {
	struct model_facts *facts;
	enum model_place place;
	uint8_t format; /* how the body is read */
	uint8_t verdict; /* enum model_verdict: what the head alone says, or MODEL_OK */
	union {
		struct model_scan scan;
		struct model_form form;
	};
	struct model_proto proto; /* may use the scan above */
};

/* Begins with a head.  MODEL_BLOCKED and MODEL_BAD_PATH: do not serve it; the body
 * need not be read.  Else MODEL_OK.  The facts are the caller's, are filled as they
 * are seen, and stay where they are until the end. */
enum model_verdict model_request_begin(struct model_request *request, struct model_facts *facts,
				       const struct model_head *head);
/* The next bytes of the (unframed) body; any chunking gives the same verdict.
 * False: decided, the rest is ignored. */
bool model_request_feed(struct model_request *request, const char *data, size_t length);
/* The body is whole.  MODEL_OK: the name is in the facts.  MODEL_NONE: there is no
 * model.  Else why the request is refused. */
enum model_verdict model_request_finish(struct model_request *request);

/* May the request go without a model?  Only where the API has no place for one. */
bool model_request_may_have_none(const struct model_request *request);
/* Was the body read as a form? */
bool model_request_is_form(const struct model_request *request);
/* The sentence for the client. */
const char *model_request_text(const struct model_request *request, enum model_verdict verdict);

const char *model_place_name(enum model_place place);
/* Where a request to this path would name its model, and whether such requests are
 * kept from clients. */
enum model_place model_path_place(struct model_text method, struct model_text path,
				  bool *ret_blocked);

#endif
