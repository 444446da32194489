// SPDX-License-Identifier: BSD-2-Clause
/* The path decides where the model is, the Content-Type only how a form or a JSON
 * body of an API that we do not know is read.  The latter is looked into too, so
 * that a model named twice is refused wherever it is sent.  Where the path names
 * the model, the body is not looked into: those APIs ignore what it says. */
#include "userspace/model/request.h"

#include <string.h>
#include <strings.h>

#include "userspace/base/ascii.h"
#include "userspace/base/cleanup.h"
#include "userspace/model/locate.h"

enum format { FORMAT_NOTHING, FORMAT_JSON, FORMAT_FORM, FORMAT_PROTO };

/* ---- the head ---- */

static bool text_is(const char *data, size_t length, const char *text)
{
	return length == strlen(text) && !strncasecmp(data, text, length);
}

/* "application/json" or "application/problem+json", parameters aside. */
static bool type_is_json(const char *value, size_t length)
{
	const char *end = memchr(value, ';', length);

	length = end ? (size_t)(end - value) : length;
	while (length && ascii_is_blank(value[length - 1]))
		length--;
	return text_is(value, length, "application/json") || text_is(value, length, "text/json") ||
	       (length > 5 && text_is(value + length - 5, 5, "+json"));
}

void model_head_add(struct model_head *head, const char *name, size_t name_length,
		    const char *value, size_t value_length)
{
	if (text_is(name, name_length, "content-type")) {
		head->two_types |= head->content_type.data != NULL;
		head->has_json |= type_is_json(value, value_length);
		head->content_type = (struct model_text){value, value_length};
	} else if (text_is(name, name_length, "content-encoding")) {
		head->is_encoded |= value_length && !text_is(value, value_length, "identity");
	}
}

static bool head_type_is(const struct model_head *head, const char *type)
{
	return head->content_type.data &&
	       content_type_is(head->content_type.data, head->content_type.length, type);
}

/* gRPC, also from a browser; its other forms are framed in other ways. */
static bool head_is_grpc(const struct model_head *head)
{
	return !head->two_types && (head_type_is(head, "application/grpc") ||
				    head_type_is(head, "application/grpc+proto") ||
				    head_type_is(head, "application/grpc-web") ||
				    head_type_is(head, "application/grpc-web+proto"));
}

/* ---- a request ---- */

static void json_begin(struct model_request *request)
{
	request->format = FORMAT_JSON;
	model_scan_init(&request->scan, request->facts);
}

/* A form, or JSON where the API takes both; nothing else, since some servers read
 * urlencoded bodies there, or a form by whatever boundary they find. */
static void form_begin(struct model_request *request, const struct model_head *head)
{
	if (head->two_types || !head_type_is(head, "multipart/form-data")) {
		if (!head->two_types && head->has_json)
			json_begin(request);
		else
			request->verdict = MODEL_NO_BOUNDARY;
		return;
	}
	request->format = FORMAT_FORM;
	model_form_init(&request->form, request->facts, head->content_type.data,
			head->content_type.length);
}

static void proto_begin(struct model_request *request, const struct model_head *head,
			const struct path_row *row)
{
	if (!head_is_grpc(head)) {
		request->verdict = MODEL_NOT_PROTO;
		return;
	}
	request->format = FORMAT_PROTO;
	model_proto_init(&request->proto, request->facts, row->proto, &request->scan);
}

/* How the body is to be read. */
static void format_begin(struct model_request *request, const struct model_head *head,
			 const struct path_row *row)
{
	bool named_in_body = request->place == MODEL_PLACE_BODY ||
			     request->place == MODEL_PLACE_FORM ||
			     request->place == MODEL_PLACE_PROTO;

	if (!named_in_body && !head->has_json)
		return;
	if (head->is_encoded)
		request->verdict = MODEL_ENCODED;
	else if (request->place == MODEL_PLACE_FORM)
		form_begin(request, head);
	else if (request->place == MODEL_PLACE_PROTO)
		proto_begin(request, head, row);
	else
		json_begin(request);
}

static bool is_blocked(const struct path_row *row)
{
	return row && (row->place == MODEL_PLACE_BLOCKED || row->flags & PATH_MANAGEMENT);
}

enum model_verdict model_request_begin(struct model_request *request, struct model_facts *facts,
				       const struct model_head *head)
{
	const struct path_row *row;

	request->facts = facts;
	request->format = FORMAT_NOTHING;
	request->verdict = MODEL_OK;
	request->place = model_locate(head->method.data, head->method.length, head->path.data,
				      head->path.length, facts, &row);
	if (request->place == MODEL_PLACE_BAD)
		request->verdict = MODEL_BAD_PATH;
	else if (is_blocked(row))
		request->verdict = MODEL_BLOCKED;
	else if (request->place != MODEL_PLACE_PATH)
		format_begin(request, head, row);
	if (request->verdict == MODEL_BAD_PATH || request->verdict == MODEL_BLOCKED)
		return request->verdict;
	return MODEL_OK;
}

bool model_request_feed(struct model_request *request, const char *data, size_t length)
{
	if (request->verdict != MODEL_OK)
		return false;
	switch ((enum format)request->format) {
	case FORMAT_JSON: return model_scan_feed(&request->scan, data, length);
	case FORMAT_FORM: return model_form_feed(&request->form, data, length);
	case FORMAT_PROTO: return model_proto_feed(&request->proto, data, length);
	case FORMAT_NOTHING: break;
	}
	return false;
}

/* JSON of an API we do not know need not name a model, nor be an object; but what
 * it names must be unambiguous. */
static enum model_verdict json_finish(struct model_request *request)
{
	enum model_verdict verdict = model_scan_finish(&request->scan);

	if (!model_request_may_have_none(request) ||
	    (verdict != MODEL_EMPTY_BODY && verdict != MODEL_NOT_OBJECT))
		return verdict;
	return MODEL_NONE;
}

enum model_verdict model_request_finish(struct model_request *request)
{
	if (request->verdict != MODEL_OK)
		return request->verdict;
	switch ((enum format)request->format) {
	case FORMAT_JSON: return json_finish(request);
	case FORMAT_FORM: return model_form_finish(&request->form);
	case FORMAT_PROTO: return model_proto_finish(&request->proto);
	case FORMAT_NOTHING: break;
	}
	return request->place == MODEL_PLACE_PATH ? MODEL_OK : MODEL_NONE;
}

bool model_request_may_have_none(const struct model_request *request)
{
	return request->place == MODEL_PLACE_NONE || request->place == MODEL_PLACE_MODELS;
}

bool model_request_is_form(const struct model_request *request)
{
	return request->format == FORMAT_FORM;
}

/* ---- words ---- */

/* Where the sentence of the verdict speaks of JSON and the body is something else. */
static const struct {
	enum format format;
	enum model_verdict verdict;
	const char *text;
} texts[] = {
	{FORMAT_FORM, MODEL_NONE, "the form has no field \"model\""},
	{FORMAT_FORM, MODEL_DUPLICATE, "the form has more than one part \"model\""},
	{FORMAT_FORM, MODEL_TRUNCATED, "the form ends before its last boundary"},
	{FORMAT_FORM, MODEL_BAD_UTF8, "\"model\" is not valid UTF-8"},
	{FORMAT_PROTO, MODEL_NONE, "the message names no model"},
	{FORMAT_PROTO, MODEL_DUPLICATE, "the message names its model more than once"},
	{FORMAT_PROTO, MODEL_TRUNCATED, "the message is not whole"},
	{FORMAT_PROTO, MODEL_WRONG_TYPE, "the message's model is not a string"},
	{FORMAT_PROTO, MODEL_BAD_UTF8, "the message's model is not valid UTF-8"},
};

const char *model_request_text(const struct model_request *request, enum model_verdict verdict)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(texts); i++)
		if (texts[i].format == request->format && texts[i].verdict == verdict)
			return texts[i].text;
	return model_verdict_text(verdict);
}

const char *model_place_name(enum model_place place)
{
	static const char *const names[] = {
#define X(id, name) [id] = name,
		MODEL_PLACE_LIST(X)
#undef X
	};

	return names[place];
}

enum model_place model_path_place(struct model_text method, struct model_text path,
				  bool *ret_blocked)
{
	struct model_facts facts;
	const struct path_row *row;
	enum model_place place =
		model_locate(method.data, method.length, path.data, path.length, &facts, &row);

	*ret_blocked = is_blocked(row);
	return place;
}
