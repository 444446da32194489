// SPDX-License-Identifier: BSD-2-Clause
#include "userspace/proxy/headers.h"

#include <string.h>

#include "userspace/base/address.h"
#include "userspace/base/cleanup.h"
#include "userspace/proxy/cors.h"
#include "userspace/proxy/error.h"
#include "userspace/proxy/route.h"

#define VIA "1.1 sluice"

/* Meant for the next hop only, or remade here. */
static const char *const hop_headers[] = {
	"connection", "keep-alive",	   "proxy-connection",	 "te",
	"upgrade",    "transfer-encoding", "proxy-authenticate", "proxy-authorization",
};

/* What a client says of these is replaced by what we know. */
static const char *const request_own[] = {
	"expect", "content-length", "x-forwarded-for", "x-forwarded-proto", "via",
};

static bool span_in(struct http_span name, const char *const *list, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (http_span_equal_nocase(name, list[i]))
			return true;
	}
	return false;
}

static bool pair_in(struct http_span name, const struct snapshot_pair *pairs, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (http_span_equal_nocase(name, pairs[i].name))
			return true;
	}
	return false;
}

/* Is `name` an element of one of the Connection headers? */
static bool named_by_connection(const struct http_head *head, struct http_span name)
{
	for (size_t i = 0; i < head->header_count; i++) {
		struct http_span list = head->headers[i].value, token;

		if (!http_span_equal_nocase(head->headers[i].name, "connection"))
			continue;
		while (http_span_next_token(&list, &token)) {
			if (http_span_same_nocase(token, name))
				return true;
		}
	}
	return false;
}

/* Connection may not name what the message depends on. */
static bool is_hop(const struct http_head *head, struct http_span name)
{
	static const char *const kept[] = {"host", "content-length", "content-type"};

	if (span_in(name, hop_headers, ARRAY_SIZE(hop_headers)))
		return true;
	return !span_in(name, kept, ARRAY_SIZE(kept)) && named_by_connection(head, name);
}

static void header_put(struct text *text, const char *name, struct http_span value)
{
	text_puts(text, name);
	text_puts(text, ": ");
	text_append(text, value.data, value.length);
	text_puts(text, "\r\n");
}

static void header_copy(struct text *text, const struct http_header *header)
{
	text_append(text, header->name.data, header->name.length);
	text_puts(text, ": ");
	text_append(text, header->value.data, header->value.length);
	text_puts(text, "\r\n");
}

static bool begins_with(struct http_span name, const char *prefix)
{
	size_t length = strlen(prefix);

	return name.length >= length &&
	       http_span_equal_nocase((struct http_span){name.data, length}, prefix);
}

static bool is_gateway_header(struct http_span name)
{
	return begins_with(name, HEADER_GATEWAY_PREFIX);
}

/* What routes may not edit: a message would be framed in two ways, or lie about who
 * set it.  The controller refuses such filters by name; this is the second lock. */
static bool is_protected(struct http_span name)
{
	static const char *const ours[] = {"content-length", "host", "expect"};

	return span_in(name, hop_headers, ARRAY_SIZE(hop_headers)) ||
	       span_in(name, ours, ARRAY_SIZE(ours)) || is_gateway_header(name);
}

static void pairs_put(struct text *text, const struct snapshot_pair *pairs, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (!is_protected((struct http_span){pairs[i].name, strlen(pairs[i].name)}))
			header_put(text, pairs[i].name,
				   (struct http_span){pairs[i].value, strlen(pairs[i].value)});
	}
}

/* A list header with one more element at its end. */
static void list_put(struct text *text, const struct http_head *head, const char *name,
		     const char *element)
{
	text_puts(text, name);
	text_puts(text, ": ");
	for (size_t i = 0; i < head->header_count; i++) {
		const struct http_header *h = &head->headers[i];

		if (!http_span_equal_nocase(h->name, name) || !h->value.length)
			continue;
		text_append(text, h->value.data, h->value.length);
		text_puts(text, ", ");
	}
	text_puts(text, element);
	text_puts(text, "\r\n");
}

/* Connection and the list of Upgrade, as the sender had it. */
static void upgrade_put(struct text *text, const struct http_head *head)
{
	const char *separator = "";

	text_puts(text, "Connection: Upgrade\r\nUpgrade: ");
	for (size_t i = 0; i < head->header_count; i++) {
		struct http_span value = head->headers[i].value;

		if (!http_span_equal_nocase(head->headers[i].name, "upgrade") || !value.length)
			continue;
		text_puts(text, separator);
		text_append(text, value.data, value.length);
		separator = ", ";
	}
	text_puts(text, "\r\n");
}

static bool request_header_passes(const struct http_head *head, struct http_span name,
				  const struct request_rewrite *rewrite)
{
	const struct snapshot_filters *f = rewrite->filters;

	if (rewrite->plain_answer && http_span_equal_nocase(name, "accept-encoding"))
		return false;
	if (span_in(name, request_own, ARRAY_SIZE(request_own)) || is_gateway_header(name) ||
	    is_hop(head, name))
		return false;
	if (f && f->rewrite_host && http_span_equal_nocase(name, "host"))
		return false;
	if (!f || is_protected(name))
		return true;
	return !span_in(name, f->request_remove, f->request_remove_count) &&
	       !pair_in(name, f->request_set, f->request_set_count);
}

void headers_format_request(const struct http_head *head, const struct request_rewrite *rewrite,
			    struct text *text)
{
	const struct snapshot_filters *f = rewrite->filters;
	char client[ADDRESS_TEXT_MAX];

	text_append(text, head->method.data, head->method.length);
	text_puts(text, " ");
	text_append(text, rewrite->target.data, rewrite->target.length);
	text_puts(text, " HTTP/1.1\r\n");
	if (f && f->rewrite_host)
		header_put(text, "Host",
			   (struct http_span){f->rewrite_host, strlen(f->rewrite_host)});
	else if (!http_head_find(head, "host"))
		text_puts(text, "Host: \r\n");
	for (size_t i = 0; i < head->header_count; i++) {
		if (request_header_passes(head, head->headers[i].name, rewrite))
			header_copy(text, &head->headers[i]);
	}
	if (rewrite->upgrade)
		upgrade_put(text, head);
	if (rewrite->has_body) {
		text_puts(text, "Content-Length: ");
		text_uint(text, rewrite->body_bytes);
		text_puts(text, "\r\n");
	}
	list_put(text, head, "Via", VIA);
	list_put(text, head, "X-Forwarded-For", address_format(&rewrite->client, client));
	text_puts(text, "X-Forwarded-Proto: http\r\n");
	if (rewrite->model)
		header_put(text, "X-Gateway-Model-Name",
			   (struct http_span){rewrite->model, strlen(rewrite->model)});
	if (rewrite->base_model)
		header_put(text, "X-Gateway-Base-Model-Name",
			   (struct http_span){rewrite->base_model, strlen(rewrite->base_model)});
	if (f) {
		pairs_put(text, f->request_set, f->request_set_count);
		pairs_put(text, f->request_add, f->request_add_count);
	}
	text_puts(text, "\r\n");
}

static bool answer_header_passes(const struct http_head *head, struct http_span name,
				 const struct answer_rewrite *rewrite)
{
	const struct snapshot_filters *f = rewrite->filters;

	if (is_hop(head, name) || http_span_equal_nocase(name, "via"))
		return false;
	if (rewrite->own.name && http_span_equal_nocase(name, rewrite->own.name) &&
	    !http_span_equal_nocase(name, "set-cookie"))
		return false;
	if (rewrite->cors && begins_with(name, CORS_HEADER_PREFIX))
		return false;
	if (head->status < 200 && http_span_equal_nocase(name, "content-length"))
		return false;
	if ((rewrite->changed || rewrite->framing == ANSWER_CHUNKED ||
	     rewrite->framing == ANSWER_UNTIL_CLOSE) &&
	    http_span_equal_nocase(name, "content-length"))
		return false;
	if (!f || is_protected(name))
		return true;
	return !span_in(name, f->response_remove, f->response_remove_count) &&
	       !pair_in(name, f->response_set, f->response_set_count);
}

void headers_format_answer(const struct http_head *head, const struct answer_rewrite *rewrite,
			   struct text *text)
{
	const struct snapshot_filters *f = rewrite->filters;

	text_puts(text, "HTTP/1.1 ");
	text_uint(text, (uint64_t)head->status);
	text_puts(text, " ");
	text_puts(text, status_phrase(head->status));
	text_puts(text, "\r\n");
	for (size_t i = 0; i < head->header_count; i++) {
		if (answer_header_passes(head, head->headers[i].name, rewrite))
			header_copy(text, &head->headers[i]);
	}
	if (rewrite->framing == ANSWER_CHUNKED ||
	    (rewrite->framing == ANSWER_AS_IS && head->chunked))
		text_puts(text, "Transfer-Encoding: chunked\r\n");
	if (rewrite->framing == ANSWER_COUNTED)
		text_printf(text, "Content-Length: %llu\r\n",
			    (unsigned long long)rewrite->body_bytes);
	list_put(text, head, "Via", VIA);
	if (rewrite->own.name)
		pairs_put(text, &rewrite->own, 1);
	if (f) {
		pairs_put(text, f->response_set, f->response_set_count);
		pairs_put(text, f->response_add, f->response_add_count);
	}
	if (rewrite->cors)
		cors_format_answer(rewrite->cors, rewrite->request, head, text);
	if (rewrite->upgrade)
		upgrade_put(text, head);
	else if (rewrite->close)
		text_puts(text, "Connection: close\r\n");
	else if (rewrite->say_keep_alive)
		text_puts(text, "Connection: keep-alive\r\n");
	text_puts(text, "\r\n");
}

/* HTTP by other names: to speak it to a server unseen is to go past the gateway. */
static bool is_http_again(struct http_span protocol)
{
	static const char *const prefixes[] = {"h2", "h3", "http", "tls", "ssl"};

	for (size_t i = 0; i < ARRAY_SIZE(prefixes); i++) {
		if (begins_with(protocol, prefixes[i]))
			return true;
	}
	return false;
}

/* The next element of all Upgrade headers; *index and *list remember where. */
static bool upgrade_next(const struct http_head *head, size_t *index, struct http_span *list,
			 struct http_span *ret_protocol)
{
	for (;;) {
		while (http_span_next_token(list, ret_protocol)) {
			if (ret_protocol->length)
				return true;
		}
		while (*index < head->header_count &&
		       !http_span_equal_nocase(head->headers[*index].name, "upgrade"))
			(*index)++;
		if (*index == head->header_count)
			return false;
		*list = head->headers[(*index)++].value;
	}
}

bool headers_ask_upgrade(const struct http_head *request)
{
	struct http_span list = {0}, protocol;
	size_t index = 0, count = 0;

	if (!request->upgrade || request->minor < 1 || request->chunked ||
	    request->content_length > 0 || http_span_equal(request->method, "CONNECT") ||
	    http_head_find(request, "http2-settings"))
		return false;
	while (upgrade_next(request, &index, &list, &protocol)) {
		if (is_http_again(protocol))
			return false;
		count++;
	}
	return count > 0;
}

static bool upgrade_lists(const struct http_head *head, struct http_span wanted)
{
	struct http_span list = {0}, protocol;
	size_t index = 0;

	while (upgrade_next(head, &index, &list, &protocol)) {
		if (http_span_same_nocase(protocol, wanted))
			return true;
	}
	return false;
}

bool headers_upgrade_agrees(const struct http_head *request, const struct http_head *answer)
{
	struct http_span list = {0}, protocol;
	size_t index = 0, count = 0;

	if (!named_by_connection(answer, (struct http_span){"upgrade", 7}))
		return false;
	while (upgrade_next(answer, &index, &list, &protocol)) {
		if (!upgrade_lists(request, protocol))
			return false;
		count++;
	}
	return count > 0;
}

struct http_span target_origin_form(struct http_span target)
{
	static const char *const schemes[] = {"http://", "https://"};

	for (size_t i = 0; i < ARRAY_SIZE(schemes); i++) {
		size_t length = strlen(schemes[i]);
		const char *path;

		if (target.length < length ||
		    !http_span_equal_nocase((struct http_span){target.data, length}, schemes[i]))
			continue;
		path = memchr(target.data + length, '/', target.length - length);
		if (!path)
			return (struct http_span){"/", 1};
		return (struct http_span){path, target.length - (size_t)(path - target.data)};
	}
	return target;
}
