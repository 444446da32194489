/* SPDX-License-Identifier: BSD-2-Clause */
/* The proxy's own answers when it cannot give a server's: a status and a body
 * shaped like OpenAI's, `{"error":{"message","type","param","code"}}`, or on
 * Anthropic's paths like theirs, `{"type":"error","error":{"type","message"}}`, with
 * their names of types by the status. */
#ifndef SLUICE_PROXY_ERROR_H
#define SLUICE_PROXY_ERROR_H

#include <stdbool.h>
#include <stddef.h>

#include "userspace/base/text.h"
#include "userspace/http/span.h"

/* id, status, type, code (also the reason in logs and metrics), sentence */
#define PROXY_ERROR_LIST(X)                                                                        \
	X(ERROR_NONE, 0, "", "none", "")                                                           \
	X(ERROR_BAD_REQUEST, 400, "invalid_request_error", "bad_request",                          \
	  "the request cannot be understood")                                                      \
	X(ERROR_PROXY_PROTOCOL, 400, "", "proxy_protocol",                                         \
	  "the connection does not begin with a PROXY header")                                     \
	X(ERROR_PROXY_UNTRUSTED, 403, "", "proxy_untrusted",                                       \
	  "the connection comes from none of the balancers that are believed")                     \
	X(ERROR_BAD_BODY, 400, "invalid_request_error", "bad_body", "the body is not acceptable")  \
	X(ERROR_MODEL_NOT_FOUND, 404, "invalid_request_error", "model_not_found",                  \
	  "this model is not served here")                                                         \
	X(ERROR_ROUTE_NOT_FOUND, 404, "invalid_request_error", "route_not_found",                  \
	  "nothing is served at this host and path")                                               \
	X(ERROR_CLIENT_SLOW, 408, "invalid_request_error", "request_timeout",                      \
	  "the request did not arrive in time")                                                    \
	X(ERROR_BODY_TOO_LARGE, 413, "invalid_request_error", "body_too_large",                    \
	  "the request body is larger than this gateway takes")                                    \
	X(ERROR_OVERLOADED, 429, "rate_limit_error", "overloaded",                                 \
	  "the gateway is at its limit; try again later")                                          \
	X(ERROR_SHED, 429, "rate_limit_error", "shed",                                             \
	  "all endpoints are busy and this request may wait; try again later")                     \
	X(ERROR_CLIENT_CONNECTIONS, 429, "rate_limit_error", "client_connections",                 \
	  "this client has all the connections it may have at a time")                             \
	X(ERROR_CLIENT_REQUESTS, 429, "rate_limit_error", "client_requests",                       \
	  "this client sends more requests than it may")                                           \
	X(ERROR_HEAD_TOO_LARGE, 431, "invalid_request_error", "head_too_large",                    \
	  "the request's headers are too large")                                                   \
	X(ERROR_CLIENT_GONE, 499, "", "client_gone", "the client closed the connection")           \
	X(ERROR_INTERNAL, 500, "server_error", "internal_error", "the gateway failed")             \
	X(ERROR_BACKEND_UNKNOWN, 500, "server_error", "backend_unknown",                           \
	  "the route names a backend that does not exist")                                         \
	X(ERROR_NOT_IMPLEMENTED, 501, "invalid_request_error", "not_implemented",                  \
	  "this gateway does not support the request's method or coding")                          \
	X(ERROR_UPSTREAM, 502, "server_error", "upstream_failed",                                  \
	  "the model servers that were asked did not answer")                                      \
	X(ERROR_NO_ENDPOINT, 503, "server_error", "no_endpoint",                                   \
	  "no model server is up for this model")                                                  \
	X(ERROR_NO_ROUTES, 503, "server_error", "no_routes",                                       \
	  "the gateway has not received its routes yet; try again soon")                           \
	X(ERROR_UPSTREAM_TIMEOUT, 504, "server_error", "upstream_timeout",                         \
	  "no model server answered in time")                                                      \
	X(ERROR_VERSION, 505, "invalid_request_error", "http_version",                             \
	  "this HTTP version is not supported; use HTTP/1.1")                                      \
	X(ERROR_UPGRADE_ENDED, 408, "", "upgrade_ended",                                           \
	  "the gateway ended the upgraded connection")                                             \
	X(ERROR_CUT, 502, "server_error", "answer_cut",                                            \
	  "the model server's answer ended before it was whole")

enum proxy_error {
#define X(id, status, type, code, text) id,
	PROXY_ERROR_LIST(X)
#undef X
		PROXY_ERROR_COUNT
};

int proxy_error_status(enum proxy_error error);
const char *proxy_error_code(enum proxy_error error);
const char *proxy_error_text(enum proxy_error error);

enum error_shape { ERROR_SHAPE_OPENAI, ERROR_SHAPE_ANTHROPIC };

/* What clients of that path understand: /v1/messages and what is below it is
 * Anthropic's, behind any prefix.  `path` may carry a query. */
enum error_shape error_shape_of(struct http_span path);

struct proxy_error_detail {
	enum error_shape shape;
	const char *message; /* NULL: the error's own sentence */
	size_t message_length; /* 0: up to its NUL */
	const char *param; /* NULL: null; Anthropic's have neither this... */
	const char *code; /* NULL: the error's own; ...nor this */
	const char *headers; /* more header lines, each with its line end; NULL: none */
	unsigned retry_after_s; /* 0: 1 with 429 and 503, else no such header */
	bool close; /* Connection: close */
	bool head_only; /* the answer to HEAD: Content-Length without a body */
};

/* The JSON body alone. */
void proxy_error_body(enum proxy_error error, const struct proxy_error_detail *detail,
		      struct text *text);
/* A whole HTTP/1.1 answer. */
void proxy_error_format(enum proxy_error error, const struct proxy_error_detail *detail,
			struct text *text);
/* The error for a status that the parser answers a bad head with. */
enum proxy_error proxy_error_of_status(int status);

/* Reason phrase of a status (RFC 9110 and IANA's list). */
const char *status_phrase(int status);

#endif
