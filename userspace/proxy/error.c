// SPDX-License-Identifier: BSD-2-Clause
#include "userspace/proxy/error.h"

#include <string.h>

#define BODY_BYTES_MAX 2048

struct error_row {
	int status;
	const char *type;
	const char *code;
	const char *text;
};

static const struct error_row rows[] = {
#define X(id, status, type, code, text) [id] = {status, type, code, text},
	PROXY_ERROR_LIST(X)
#undef X
};

int proxy_error_status(enum proxy_error error)
{
	return rows[error].status;
}

const char *proxy_error_code(enum proxy_error error)
{
	return rows[error].code;
}

const char *proxy_error_text(enum proxy_error error)
{
	return rows[error].text;
}

static void string_or_null(struct text *text, const char *name, const char *value)
{
	if (value)
		text_json_string(text, name, value, strlen(value));
	else
		text_printf(text, ",\"%s\":null", name);
}

/* Their names (docs.anthropic.com, API errors); what they have no status for goes
 * by its class. */
static const char *anthropic_type(int status)
{
	switch (status) {
	case 401: return "authentication_error";
	case 403: return "permission_error";
	case 404: return "not_found_error";
	case 413: return "request_too_large";
	case 429: return "rate_limit_error";
	case 501:
	case 505: return "invalid_request_error"; /* ours to refuse, the client's to change */
	case 503:
	case 529: return "overloaded_error";
	case 504: return "timeout_error";
	default: return status < 500 ? "invalid_request_error" : "api_error";
	}
}

enum error_shape error_shape_of(struct http_span path)
{
	static const char api[] = "/v1/messages";
	const char *query = path.length ? memchr(path.data, '?', path.length) : NULL;
	const char *end = query ? query : path.data + path.length, *at = path.data;

	while (at < end && (at = memmem(at, (size_t)(end - at), api, sizeof(api) - 1))) {
		at += sizeof(api) - 1;
		if (at == end || *at == '/')
			return ERROR_SHAPE_ANTHROPIC;
	}
	return ERROR_SHAPE_OPENAI;
}

void proxy_error_body(enum proxy_error error, const struct proxy_error_detail *detail,
		      struct text *text)
{
	const char *message = detail->message ? detail->message : rows[error].text;
	size_t length = detail->message_length ? detail->message_length : strlen(message);

	if (detail->shape == ERROR_SHAPE_ANTHROPIC) {
		text_printf(text, "{\"type\":\"error\",\"error\":{\"type\":\"%s\"",
			    anthropic_type(rows[error].status));
		text_json_string(text, "message", message, length);
		text_puts(text, "}}\n");
		return;
	}
	text_puts(text, "{\"error\":{");
	text_json_string(text, "message", message, length);
	string_or_null(text, "type", rows[error].type);
	string_or_null(text, "param", detail->param);
	string_or_null(text, "code", detail->code ? detail->code : rows[error].code);
	text_puts(text, "}}\n");
}

void proxy_error_format(enum proxy_error error, const struct proxy_error_detail *detail,
			struct text *text)
{
	char buffer[BODY_BYTES_MAX];
	struct text body = TEXT_INIT(buffer);
	int status = rows[error].status;
	unsigned retry_after_s = detail->retry_after_s;

	/* whoever is sent away for now is told when to come back */
	if (!retry_after_s && (status == 429 || status == 503))
		retry_after_s = 1;
	proxy_error_body(error, detail, &body);
	text_printf(text,
		    "HTTP/1.1 %d %s\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n",
		    status, status_phrase(status), body.length);
	if (retry_after_s)
		text_printf(text, "Retry-After: %u\r\n", retry_after_s);
	if (detail->headers)
		text_puts(text, detail->headers);
	text_puts(text, detail->close ? "Connection: close\r\n\r\n" : "\r\n");
	if (!detail->head_only)
		text_append(text, body.data, body.length);
}

enum proxy_error proxy_error_of_status(int status)
{
	switch (status) {
	case 431: return ERROR_HEAD_TOO_LARGE;
	case 501: return ERROR_NOT_IMPLEMENTED;
	case 505: return ERROR_VERSION;
	default: return ERROR_BAD_REQUEST;
	}
}

static const struct {
	int status;
	const char *phrase;
} phrases[] = {
	{100, "Continue"},
	{101, "Switching Protocols"},
	{102, "Processing"},
	{103, "Early Hints"},
	{200, "OK"},
	{201, "Created"},
	{202, "Accepted"},
	{203, "Non-Authoritative Information"},
	{204, "No Content"},
	{205, "Reset Content"},
	{206, "Partial Content"},
	{207, "Multi-Status"},
	{300, "Multiple Choices"},
	{301, "Moved Permanently"},
	{302, "Found"},
	{303, "See Other"},
	{304, "Not Modified"},
	{307, "Temporary Redirect"},
	{308, "Permanent Redirect"},
	{400, "Bad Request"},
	{401, "Unauthorized"},
	{402, "Payment Required"},
	{403, "Forbidden"},
	{404, "Not Found"},
	{405, "Method Not Allowed"},
	{406, "Not Acceptable"},
	{407, "Proxy Authentication Required"},
	{408, "Request Timeout"},
	{409, "Conflict"},
	{410, "Gone"},
	{411, "Length Required"},
	{412, "Precondition Failed"},
	{413, "Content Too Large"},
	{414, "URI Too Long"},
	{415, "Unsupported Media Type"},
	{416, "Range Not Satisfiable"},
	{417, "Expectation Failed"},
	{421, "Misdirected Request"},
	{422, "Unprocessable Content"},
	{424, "Failed Dependency"},
	{425, "Too Early"},
	{426, "Upgrade Required"},
	{428, "Precondition Required"},
	{429, "Too Many Requests"},
	{431, "Request Header Fields Too Large"},
	{451, "Unavailable For Legal Reasons"},
	{500, "Internal Server Error"},
	{501, "Not Implemented"},
	{502, "Bad Gateway"},
	{503, "Service Unavailable"},
	{504, "Gateway Timeout"},
	{505, "HTTP Version Not Supported"},
	{507, "Insufficient Storage"},
	{529, "Overloaded"},
};

const char *status_phrase(int status)
{
	for (size_t i = 0; i < sizeof(phrases) / sizeof(phrases[0]); i++) {
		if (phrases[i].status == status)
			return phrases[i].phrase;
	}
	return "Status";
}
