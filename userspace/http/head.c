/* SPDX-License-Identifier: BSD-2-Clause */
/* From the bytes of a whole head to its meaning, refusing what two
 * implementations could read in two ways.
 *
 * Three steps: the start line, the header lines, and then what the headers say
 * together about framing and about the connection.  Pure; spans point into the
 * caller's bytes.
 */
#include "userspace/http/head.h"

#include <string.h>

#include "userspace/http/syntax.h"

#define CONTENT_LENGTH_DIGITS_MAX 18 /* below 2^63 */

#define REFUSE(status, text) ((struct http_refusal){.why = (text), .answer = (status)})
#define ACCEPT ((struct http_refusal){0})

static bool starts_with(struct http_span span, const char *text)
{
	size_t length = strlen(text);

	return span.length >= length && memcmp(span.data, text, length) == 0;
}

static struct http_span skip(struct http_span span, size_t length)
{
	return (struct http_span){span.data + length, span.length - length};
}

/* "HTTP/1.x" */
static struct http_refusal version_parse(struct http_span version, int *ret_minor)
{
	if (version.length != 8 || !starts_with(version, "HTTP/"))
		return REFUSE(400, "the start line does not say HTTP/1.1 (HTTP/0.9 is not served)");
	if (!starts_with(version, "HTTP/1.") || (version.data[7] != '0' && version.data[7] != '1'))
		return REFUSE(505, "only HTTP/1.0 and HTTP/1.1 are understood here");
	*ret_minor = version.data[7] - '0';
	return ACCEPT;
}

/* "http://host:port/..." -> host:port; empty when the target has none. */
static struct http_span target_authority(struct http_span target)
{
	const char *end;

	if (starts_with(target, "http://"))
		target = skip(target, 7);
	else if (starts_with(target, "https://"))
		target = skip(target, 8);
	else
		return (struct http_span){target.data, 0};
	for (end = target.data; end < target.data + target.length; end++)
		if (*end == '/' || *end == '?')
			break;
	return (struct http_span){target.data, (size_t)(end - target.data)};
}

/* The four forms of RFC 9112, 3.2 */
static struct http_refusal target_check(struct http_span method, struct http_span target)
{
	struct http_span authority, after;
	size_t i;

	for (i = 0; i < target.length; i++)
		if (target.data[i] <= ' ' || target.data[i] >= 0x7f || target.data[i] == '#')
			return REFUSE(400, "the request target has a forbidden character");
	if (http_span_equal(method, "CONNECT"))
		return target.length && http_is_authority(target)
			       ? ACCEPT
			       : REFUSE(400, "the target of CONNECT is not host:port");
	if (starts_with(target, "/"))
		return ACCEPT;
	if (http_span_equal(target, "*") && http_span_equal(method, "OPTIONS"))
		return ACCEPT;
	authority = target_authority(target);
	if (!authority.length)
		return REFUSE(400, "the request target is neither a path nor an http URL");
	after = skip(target, (size_t)(authority.data + authority.length - target.data));
	if (after.length && after.data[0] == '?') /* whose path begins where? */
		return REFUSE(400, "the request target is a URL with a query and no path");
	return ACCEPT;
}

static struct http_refusal request_line_parse(struct http_span line, struct http_head *head)
{
	const char *space = memchr(line.data, ' ', line.length);
	const char *last = memrchr(line.data, ' ', line.length);
	struct http_refusal refusal;

	if (!space)
		return REFUSE(400, "the request line is not METHOD TARGET HTTP/1.1");
	head->method = (struct http_span){line.data, (size_t)(space - line.data)};
	if (!http_is_token(head->method))
		return REFUSE(400, "the method is empty or has a forbidden character");
	if (space == last)
		return REFUSE(400, "the request line has no version (HTTP/0.9 is not served)");
	head->target = (struct http_span){space + 1, (size_t)(last - space - 1)};
	refusal = version_parse(skip(line, (size_t)(last + 1 - line.data)), &head->minor);
	return refusal.why ? refusal : target_check(head->method, head->target);
}

static struct http_refusal status_line_parse(struct http_span line, struct http_head *head)
{
	struct http_span rest;
	int i, status = 0;
	struct http_refusal refusal;

	refusal = version_parse((struct http_span){line.data, line.length < 8 ? line.length : 8},
				&head->minor);
	if (refusal.why)
		return refusal;
	rest = skip(line, 8);
	if (rest.length < 4 || rest.data[0] != ' ')
		return REFUSE(400, "the status line has no status");
	for (i = 1; i < 4; i++) {
		if (rest.data[i] < '0' || rest.data[i] > '9')
			return REFUSE(400, "the status is not a number of three digits");
		status = status * 10 + rest.data[i] - '0';
	}
	rest = skip(rest, 4);
	if ((rest.length && rest.data[0] != ' ') || !http_is_value(rest))
		return REFUSE(400, "the reason phrase has a forbidden character");
	if (status < 100 || status > 599)
		return REFUSE(400, "the status is not between 100 and 599");
	head->status = status;
	return ACCEPT;
}

struct http_refusal http_start_line_parse(enum http_kind kind, struct http_span line,
					  struct http_head *ret_head)
{
	return kind == HTTP_REQUEST_MESSAGE ? request_line_parse(line, ret_head)
					    : status_line_parse(line, ret_head);
}

static struct http_refusal field_add(struct http_head *head, struct http_span line)
{
	const char *why = http_field_line_check(line);
	struct http_header *header;
	const char *colon;

	if (why)
		return REFUSE(400, why);
	if (head->header_count == HTTP_HEADERS_MAX)
		return REFUSE(431, "there are too many headers");
	colon = memchr(line.data, ':', line.length);
	header = &head->headers[head->header_count++];
	header->name = (struct http_span){line.data, (size_t)(colon - line.data)};
	header->value = http_span_trim(skip(line, header->name.length + 1));
	return ACCEPT;
}

struct http_refusal http_fields_parse(struct http_span lines, struct http_head *head)
{
	head->header_count = 0;
	while (lines.length) {
		const char *end = memchr(lines.data, '\n', lines.length);
		size_t length = (size_t)(end - lines.data);
		struct http_refusal refusal;

		if (!length || end[-1] != '\r')
			return REFUSE(400, "a line of the head ends in a bare line feed");
		if (length == 1) /* the empty line: the last */
			return ACCEPT;
		refusal = field_add(head, (struct http_span){lines.data, length - 1});
		if (refusal.why)
			return refusal;
		lines = skip(lines, length + 1);
	}
	return ACCEPT;
}

/* What the headers said, before it is judged */
struct meaning {
	struct http_span host;
	unsigned hosts;
	unsigned lengths;
	unsigned codings;
	bool close;
	bool keep_alive;
	bool upgrade;
};

static struct http_refusal length_parse(struct http_span value, int64_t *ret_length)
{
	int64_t length = 0;
	size_t i;

	if (!value.length || value.length > CONTENT_LENGTH_DIGITS_MAX)
		return REFUSE(400, "Content-Length is empty or too long");
	for (i = 0; i < value.length; i++) {
		if (value.data[i] < '0' || value.data[i] > '9')
			return REFUSE(400, "Content-Length is not a decimal number");
		length = length * 10 + value.data[i] - '0';
	}
	*ret_length = length;
	return ACCEPT;
}

static void connection_read(struct http_span value, struct meaning *meaning)
{
	struct http_span token;

	while (http_span_next_token(&value, &token)) {
		meaning->close |= http_span_equal_nocase(token, "close");
		meaning->keep_alive |= http_span_equal_nocase(token, "keep-alive");
		meaning->upgrade |= http_span_equal_nocase(token, "upgrade");
	}
}

static struct http_refusal coding_read(struct http_span value, struct http_head *head,
				       struct meaning *meaning)
{
	meaning->codings++;
	if (!http_span_equal_nocase(value, "chunked"))
		return REFUSE(501, "a transfer coding other than chunked is not understood");
	head->chunked = true;
	return ACCEPT;
}

static struct http_refusal expect_read(struct http_span value, struct http_head *head)
{
	if (!http_span_equal_nocase(value, "100-continue"))
		return REFUSE(417, "an expectation other than 100-continue is not understood");
	head->expect_continue = head->minor >= 1;
	return ACCEPT;
}

static struct http_refusal header_read(const struct http_header *header, struct http_head *head,
				       struct meaning *meaning)
{
	struct http_span name = header->name;

	switch (name.length) { /* most headers are none of these: one comparison at most */
	case 4:
		if (http_span_equal_nocase(name, "host")) {
			meaning->hosts++;
			meaning->host = header->value;
		}
		break;
	case 6:
		if (http_span_equal_nocase(name, "expect"))
			return expect_read(header->value, head);
		break;
	case 10:
		if (http_span_equal_nocase(name, "connection"))
			connection_read(header->value, meaning);
		break;
	case 14:
		if (http_span_equal_nocase(name, "content-length")) {
			meaning->lengths++;
			return length_parse(header->value, &head->content_length);
		}
		break;
	case 17:
		if (http_span_equal_nocase(name, "transfer-encoding"))
			return coding_read(header->value, head, meaning);
		break;
	}
	return ACCEPT;
}

static struct http_refusal framing_check(const struct http_head *head,
					 const struct meaning *meaning)
{
	if (meaning->lengths > 1)
		return REFUSE(400, "there is more than one Content-Length");
	if (meaning->codings > 1)
		return REFUSE(400, "there is more than one Transfer-Encoding");
	if (meaning->codings && meaning->lengths)
		return REFUSE(400, "both Content-Length and Transfer-Encoding are given");
	if (meaning->codings && head->minor == 0)
		return REFUSE(400, "Transfer-Encoding in HTTP/1.0");
	return ACCEPT;
}

static struct http_refusal host_check(const struct http_head *head, const struct meaning *meaning)
{
	struct http_span authority = target_authority(head->target);

	if (meaning->hosts > 1)
		return REFUSE(400, "there is more than one Host");
	if (!meaning->hosts)
		return head->minor == 0 ? ACCEPT : REFUSE(400, "an HTTP/1.1 request has no Host");
	if (!http_is_authority(meaning->host))
		return REFUSE(400, "Host has a forbidden character");
	if (authority.length && !http_span_same_nocase(authority, meaning->host))
		return REFUSE(400, "Host is not the host of the request target");
	return ACCEPT;
}

/* 1xx and 204 carry no body; a sender that announces one is confused. */
static struct http_refusal bodiless_check(const struct http_head *head)
{
	if (head->status >= 200 && head->status != 204)
		return ACCEPT;
	if (head->chunked || head->content_length > 0)
		return REFUSE(400, "a body is announced with a status that has none");
	return ACCEPT;
}

struct http_refusal http_head_settle(enum http_kind kind, struct http_head *head)
{
	struct meaning meaning = {0};
	struct http_refusal refusal;
	size_t i;

	head->chunked = head->expect_continue = false;
	head->content_length = -1;
	for (i = 0; i < head->header_count; i++) {
		refusal = header_read(&head->headers[i], head, &meaning);
		if (refusal.why)
			return refusal;
	}
	refusal = framing_check(head, &meaning);
	if (refusal.why)
		return refusal;
	head->keep_alive = !meaning.close && (head->minor >= 1 || meaning.keep_alive);
	head->upgrade = kind == HTTP_REQUEST_MESSAGE
				? meaning.upgrade || http_span_equal(head->method, "CONNECT")
				: head->status == 101;
	return kind == HTTP_REQUEST_MESSAGE ? host_check(head, &meaning) : bodiless_check(head);
}

const struct http_header *http_head_find(const struct http_head *head, const char *name)
{
	size_t i;

	for (i = 0; i < head->header_count; i++)
		if (http_span_equal_nocase(head->headers[i].name, name))
			return &head->headers[i];
	return NULL;
}
