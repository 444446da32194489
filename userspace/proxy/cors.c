// SPDX-License-Identifier: BSD-2-Clause
#include "userspace/proxy/cors.h"

#include <string.h>

#include "userspace/http/syntax.h"

/* ---- origins ---- */

/* The only header of that name; NULL when there is none, or several. */
static const struct http_header *header_single(const struct http_head *request, const char *name)
{
	const struct http_header *found = NULL;

	for (size_t i = 0; i < request->header_count; i++) {
		if (!http_span_equal_nocase(request->headers[i].name, name))
			continue;
		if (found)
			return NULL;
		found = &request->headers[i];
	}
	return found;
}

static struct http_span span_of(const char *text)
{
	return (struct http_span){text, strlen(text)};
}

static bool span_begins(struct http_span span, struct http_span prefix)
{
	return span.length >= prefix.length &&
	       http_span_same_nocase((struct http_span){span.data, prefix.length}, prefix);
}

static bool span_ends(struct http_span span, struct http_span suffix)
{
	return span.length >= suffix.length &&
	       http_span_same_nocase((struct http_span){span.data + span.length - suffix.length,
							suffix.length},
				     suffix);
}

/* Without the port that its scheme has anyway: the policy's origins have none such. */
static struct http_span origin_canonical(struct http_span origin)
{
	if (span_begins(origin, span_of("http://")) && span_ends(origin, span_of(":80")))
		origin.length -= 3;
	else if (span_begins(origin, span_of("https://")) && span_ends(origin, span_of(":443")))
		origin.length -= 4;
	return origin;
}

/* Bytes of ":8443" at the end of a host; 0: there is no port. */
static size_t port_length(struct http_span host)
{
	for (size_t i = host.length; i-- && host.data[i] != ']';) {
		if (host.data[i] == ':')
			return host.length - i;
	}
	return 0;
}

/* A star that leads the host is for one character or more, dots too. */
static bool origin_matches(const char *allowed, struct http_span origin)
{
	const char *star = strchr(allowed, '*');
	struct http_span scheme, host, suffix;

	if (!star)
		return http_span_equal_nocase(origin, allowed);
	scheme = (struct http_span){allowed, (size_t)(star - allowed)};
	suffix = span_of(star + 1);
	if (!span_begins(origin, scheme))
		return false;
	host = (struct http_span){origin.data + scheme.length, origin.length - scheme.length};
	return host.length > suffix.length && http_is_authority(host) && span_ends(host, suffix) &&
	       port_length(host) == port_length(suffix);
}

static bool is_wild(const char *const *list, size_t count)
{
	return count && strcmp(list[0], "*") == 0;
}

/* The origin that may have the answer, as it is to be told; empty: it may not. */
static struct http_span origin_allowed(const struct snapshot_cors *cors,
				       const struct http_head *request)
{
	const struct http_header *origin = header_single(request, "origin");

	if (!origin || !origin->value.length)
		return (struct http_span){0};
	if (is_wild(cors->origins, cors->origin_count))
		return cors->credentials ? origin->value : span_of("*");
	for (size_t i = 0; i < cors->origin_count; i++) {
		if (origin_matches(cors->origins[i], origin_canonical(origin->value)))
			return origin->value;
	}
	return (struct http_span){0};
}

/* ---- header lines ---- */

static void line_put(struct text *text, const char *name, struct http_span value)
{
	text_printf(text, "%s: ", name);
	text_append(text, value.data, value.length);
	text_puts(text, "\r\n");
}

static void list_put(struct text *text, const char *name, const char *const *list, size_t count)
{
	if (!count)
		return;
	text_printf(text, "%s: ", name);
	for (size_t i = 0; i < count; i++)
		text_printf(text, "%s%s", i ? ", " : "", list[i]);
	text_puts(text, "\r\n");
}

/* Caches must know that another origin gets another answer, also that none was allowed. */
static void vary_put(const struct snapshot_cors *cors, const struct http_head *answer,
		     struct text *text)
{
	if (is_wild(cors->origins, cors->origin_count) && !cors->credentials)
		return;
	for (size_t i = 0; answer && i < answer->header_count; i++) {
		const struct http_header *h = &answer->headers[i];

		if (http_span_equal_nocase(h->name, "vary") &&
		    (http_span_has_token(h->value, "origin") || http_span_has_token(h->value, "*")))
			return;
	}
	text_puts(text, "Vary: Origin\r\n");
}

/* False: the origin is not allowed. */
static bool origin_put(const struct snapshot_cors *cors, const struct http_head *request,
		       struct text *text)
{
	const struct http_span origin = origin_allowed(cors, request);

	if (!origin.length)
		return false;
	line_put(text, "Access-Control-Allow-Origin", origin);
	if (cors->credentials)
		text_puts(text, "Access-Control-Allow-Credentials: true\r\n");
	return true;
}

/* ---- preflights ---- */

struct http_span cors_preflight_method(const struct http_head *request)
{
	const struct http_header *method;

	if (!http_span_equal(request->method, "OPTIONS") || !http_head_find(request, "origin"))
		return (struct http_span){0};
	method = header_single(request, "access-control-request-method");
	return method && http_is_token(method->value) ? method->value : (struct http_span){0};
}

/* Names of headers, separated by commas. */
static bool is_name_list(struct http_span list)
{
	for (size_t i = 0; i < list.length; i++) {
		const char c = list.data[i];

		if (!http_is_token_char((unsigned char)c) && c != ',' && c != ' ')
			return false;
	}
	return list.length > 0;
}

/* A wild list says what was asked for: browsers take "*" for nothing special when
 * credentials go with it, and never for Authorization. */
static void allow_put(const struct snapshot_cors *cors, const char *name, const char *const *list,
		      size_t count, struct http_span asked, struct text *text)
{
	if (!is_wild(list, count))
		list_put(text, name, list, count);
	else if (asked.length)
		line_put(text, name, asked);
	else if (!cors->credentials)
		line_put(text, name, span_of("*"));
}

void cors_format_preflight(const struct snapshot_cors *cors, const struct http_head *request,
			   struct text *text)
{
	const struct http_header *names = header_single(request, "access-control-request-headers");
	struct http_span asked = {0};

	vary_put(cors, NULL, text);
	if (!origin_put(cors, request, text))
		return;
	if (names && is_name_list(names->value))
		asked = names->value;
	allow_put(cors, "Access-Control-Allow-Methods", cors->methods, cors->method_count,
		  cors_preflight_method(request), text);
	allow_put(cors, "Access-Control-Allow-Headers", cors->headers, cors->header_count, asked,
		  text);
	text_printf(text, "Access-Control-Max-Age: %u\r\n", cors->max_age_s);
}

/* ---- other answers ---- */

/* With credentials a star names no header, so the server's own are named. */
static void expose_put(const struct snapshot_cors *cors, const struct http_head *answer,
		       struct text *text)
{
	const char *separator = "Access-Control-Expose-Headers: ";

	if (!is_wild(cors->expose, cors->expose_count) || !cors->credentials) {
		list_put(text, "Access-Control-Expose-Headers", cors->expose, cors->expose_count);
		return;
	}
	for (size_t i = 0; answer && i < answer->header_count; i++) {
		const struct http_span name = answer->headers[i].name;

		if (span_begins(name, span_of(CORS_HEADER_PREFIX)))
			continue;
		text_puts(text, separator);
		text_append(text, name.data, name.length);
		separator = ", ";
	}
	if (*separator == ',')
		text_puts(text, "\r\n");
}

void cors_format_answer(const struct snapshot_cors *cors, const struct http_head *request,
			const struct http_head *answer, struct text *text)
{
	vary_put(cors, answer, text);
	if (origin_put(cors, request, text))
		expose_put(cors, answer, text);
}
