// SPDX-License-Identifier: BSD-2-Clause
/* One connection: reads a request, routes it, writes the answer, and again.
 *
 * Phases: HEAD and BODY read, BUSY waits for the engine, HUNG waits for ever
 * (a fault), ECHO gives back what comes (after an upgrade), CLOSING writes what is left and waits
 * for the peer's end.  Bytes of a next request that come early wait in `in`.
 */
#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <xxhash.h>

#include "tests/harness/model_server/server_private.h"
#include "userspace/base/cleanup.h"
#include "userspace/base/clock.h"
#include "userspace/http/parser.h"

#define HEAD_BYTES_MAX (64 * 1024)
#define BODY_BYTES_MAX (96 * 1024 * 1024)
#define OUT_BYTES_MAX (8 * 1024 * 1024)
#define READ_BYTES (64 * 1024)
#define LINGER_NS (2 * NS_PER_S)

enum phase { PHASE_HEAD, PHASE_BODY, PHASE_BUSY, PHASE_HUNG, PHASE_ECHO, PHASE_CLOSING };

enum endpoint {
	ENDPOINT_CHAT,
	ENDPOINT_MESSAGES,
	ENDPOINT_COMPLETIONS,
	ENDPOINT_MODELS,
	ENDPOINT_HEALTH,
	ENDPOINT_METRICS,
	ENDPOINT_VERSION,
	ENDPOINT_ECHO,
	ENDPOINT_FAULTS_READ,
	ENDPOINT_FAULTS_WRITE,
	ENDPOINT_WRONG_METHOD,
	ENDPOINT_UNKNOWN,
};

struct session {
	struct model_server *server;
	struct session *next, **link; /* of server->sessions */
	int fd;
	bool admin;
	bool shut; /* our sending side */
	struct watch watch;
	struct timer idle;
	enum phase phase;

	struct http_parser parser;
	struct buffer in, body, out;

	/* of the request now */
	enum endpoint endpoint;
	bool keep_alive;
	bool chunked; /* the answer, when streamed */
	bool json; /* Content-Type */
	uint64_t body_hash; /* XXH3 */
	bool extras; /* x-extras: an interim answer before, trailers after */
	struct completion completion;
	struct engine_request request;
	uint32_t token_index;
};

static void session_work(struct session *session);

/* ---- life ---- */

static void request_forget(struct session *session)
{
	if (session->request.state != ENGINE_REQUEST_IDLE) {
		engine_abort(&session->server->engine, &session->request);
		session->server->metrics.aborted++;
	}
	free(session->request.blocks);
	session->request = (struct engine_request){0};
	completion_free(&session->completion);
}

void session_close(struct session *session)
{
	struct model_server *server = session->server;

	request_forget(session);
	loop_unwatch(server->loop, &session->watch);
	loop_timer_cancel(server->loop, &session->idle);
	close(session->fd);
	buffer_free(&session->in);
	buffer_free(&session->body);
	buffer_free(&session->out);
	*session->link = session->next;
	if (session->next)
		session->next->link = session->link;
	server->session_count--;
	free(session);
}

void sessions_close_idle(struct model_server *server)
{
	struct session *session = server->sessions;

	while (session) {
		struct session *next = session->next;

		if (session->phase == PHASE_HEAD && !session->admin)
			session_close(session);
		session = next;
	}
}

/* The peer sees a reset instead of an end. */
static void session_reset(struct session *session)
{
	struct linger linger = {.l_onoff = 1};

	setsockopt(session->fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
	session_close(session);
}

static void idle_fire(struct timer *timer)
{
	session_close(container_of(timer, struct session, idle));
}

static void session_expect_head(struct session *session)
{
	struct model_server *server = session->server;

	session->phase = PHASE_HEAD;
	buffer_clear(&session->body);
	session->body_hash = 0;
	if (!session->admin)
		loop_timer_after(server->loop, &session->idle,
				 server->config.keep_alive_s * NS_PER_S);
}

/* ---- writing; false: the session is gone ---- */

static bool session_flush(struct session *session)
{
	struct buffer *out = &session->out;
	bool blocked = false;

	while (buffer_length(out) && !blocked) {
		ssize_t n = send(session->fd, out->data + out->start, buffer_length(out),
				 MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno != EAGAIN) {
			session_close(session);
			return false;
		}
		blocked = n < 0;
		if (!blocked)
			buffer_consume(out, (size_t)n);
	}
	if (buffer_length(out) > OUT_BYTES_MAX) {
		session_close(session);
		return false;
	}
	if (session->phase == PHASE_CLOSING && !blocked && !session->shut) {
		/* closing with unread bytes would be a reset, and the peer might lose the answer */
		session->shut = true;
		shutdown(session->fd, SHUT_WR);
		loop_timer_after(session->server->loop, &session->idle, LINGER_NS);
	}
	loop_watch_change(session->server->loop, &session->watch,
			  EPOLLIN | EPOLLRDHUP | (blocked ? EPOLLOUT : 0));
	return true;
}

static const char *status_text(int status)
{
	switch (status) {
	case 200: return "OK";
	case 400: return "Bad Request";
	case 404: return "Not Found";
	case 405: return "Method Not Allowed";
	case 413: return "Payload Too Large";
	case 500: return "Internal Server Error";
	case 503: return "Service Unavailable";
	default: return "Answer";
	}
}

static void head_begin(struct session *session, int status, const char *content_type)
{
	buffer_printf(&session->out,
		      "HTTP/1.1 %d %s\r\nserver: sluice-model-server\r\nx-served-by: %s\r\n"
		      "x-inference-pod: %s\r\n"
		      "content-type: %s\r\n%s",
		      status, status_text(status), session->server->config.pod,
		      session->server->config.pod, content_type,
		      session->keep_alive ? "" : "connection: close\r\n");
	if (session->body_hash)
		buffer_printf(&session->out, "x-body-hash: %016" PRIx64 "\r\n", session->body_hash);
}

/* The answer is in `out`; on to the next request.  False: gone. */
static bool answer_end(struct session *session)
{
	request_forget(session);
	if (session->keep_alive)
		session_expect_head(session);
	else
		session->phase = PHASE_CLOSING;
	return session_flush(session);
}

static bool answer(struct session *session, int status, const char *content_type, const char *body,
		   size_t length)
{
	head_begin(session, status, content_type);
	buffer_printf(&session->out, "content-length: %zu\r\n\r\n", length);
	buffer_append(&session->out, body, length);
	return answer_end(session);
}

static bool answer_json(struct session *session, int status, struct buffer *body)
{
	bool alive = answer(session, status, "application/json", body->data + body->start,
			    buffer_length(body));

	buffer_free(body);
	return alive;
}

static bool answer_error(struct session *session, int status, const char *type, const char *message)
{
	struct buffer body = {0};

	completion_error(&body, status, type, NULL, message);
	return answer_json(session, status, &body);
}

/* ---- tokens ---- */

static void stream_begin(struct session *session)
{
	head_begin(session, 200, "text/event-stream; charset=utf-8");
	buffer_puts(&session->out,
		    session->chunked ? "transfer-encoding: chunked\r\n\r\n" : "\r\n");
}

static void stream_put(struct session *session, const struct buffer *event)
{
	size_t length = buffer_length(event);

	if (session->chunked)
		buffer_printf(&session->out, "%zx\r\n", length);
	buffer_append(&session->out, event->data + event->start, length);
	if (session->chunked)
		buffer_puts(&session->out, "\r\n");
}

static void stream_token(struct session *session, bool last)
{
	struct buffer event = {0};

	completion_event(&session->completion, session->token_index++, &event);
	stream_put(session, &event);
	if (last) {
		buffer_clear(&event);
		completion_event_end(&session->completion, session->request.cached_tokens, &event);
		stream_put(session, &event);
		if (session->chunked)
			buffer_puts(&session->out,
				    session->extras ? "0\r\nx-trailer: 1\r\n\r\n" : "0\r\n\r\n");
	}
	buffer_free(&event);
}

static void metrics_count(struct session *session, uint64_t at)
{
	struct metrics *metrics = &session->server->metrics;

	if (session->completion.cut_by_limit)
		metrics->success_length++;
	else
		metrics->success_stop++;
	histogram_observe(&metrics->first_token,
			  session->request.first_token_at - session->request.submitted_at);
	histogram_observe(&metrics->whole_request, at - session->request.submitted_at);
}

void session_token(void *ctx, struct engine_request *request, bool last, uint64_t at)
{
	struct session *session = container_of(request, struct session, request);
	struct model_server *server = ctx;

	if (server->faults.cut && request->emitted_tokens > server->faults.cut_after) {
		if (session_flush(session))
			session_reset(session);
		return;
	}
	if (session->completion.stream)
		stream_token(session, last);
	if (last)
		metrics_count(session, at);
	if (last && session->completion.stream) {
		if (answer_end(session))
			session_work(session);
	} else if (last) {
		struct buffer body = {0};

		completion_answer(&session->completion, request->cached_tokens, &body);
		if (answer_json(session, 200, &body))
			session_work(session);
	} else if (session->completion.stream) {
		session_flush(session);
	}
}

/* ---- requests; each returns false when the session is gone ---- */

static bool inference_submit(struct session *session)
{
	struct model_server *server = session->server;
	struct completion *completion = &session->completion;
	int err;

	completion->id = ++server->next_id;
	session->token_index = 0;
	session->request = (struct engine_request){
		.prompt_tokens = completion->prompt_tokens,
		.output_tokens = completion->output_tokens,
		.block_hashes = completion->block_hashes,
		.block_count = completion->block_count,
		.blocks = calloc(completion->block_count + 1, sizeof(uint32_t)),
	};
	if (!session->request.blocks)
		abort();
	err = engine_submit(&server->engine, &session->request, loop_now_ns(server->loop));
	if (err)
		return answer_error(session, 400, "BadRequestError",
				    "the request does not fit into the KV cache");
	server_engine_arm(server);
	session->phase = PHASE_BUSY;
	/* as uvicorn does: the head of a stream goes out before its first token */
	if (completion->stream)
		stream_begin(session);
	return session_flush(session);
}

static enum completion_api api_of(enum endpoint endpoint)
{
	if (endpoint == ENDPOINT_MESSAGES)
		return COMPLETION_MESSAGES;
	return endpoint == ENDPOINT_CHAT ? COMPLETION_CHAT : COMPLETION_TEXT;
}

static bool inference(struct session *session)
{
	struct model_server *server = session->server;
	struct buffer error = {0};
	int status;

	if (!session->admin && server->faults.hang != HANG_NONE) {
		session->phase = PHASE_HUNG;
		return true;
	}
	if (!session->admin && server->faults.error_status)
		return answer_error(session, server->faults.error_status, "InternalServerError",
				    "a fault that was asked for");
	if (faults_loading(&server->faults, loop_now_ns(server->loop)))
		return answer_error(session, 503, "ServiceUnavailableError",
				    "the model is still loading");
	if (!session->json)
		return answer_error(session, 400, "BadRequestError",
				    "the content type must be application/json");
	buffer_append(&session->body, "", 1);
	status = completion_parse(&server->config.completion, api_of(session->endpoint),
				  session->body.data + session->body.start,
				  buffer_length(&session->body) - 1, &session->completion, &error);
	if (status)
		return answer_json(session, status, &error);
	return inference_submit(session);
}

static bool health(struct session *session)
{
	struct model_server *server = session->server;
	bool well = !server->faults.unhealthy &&
		    !faults_loading(&server->faults, loop_now_ns(server->loop));

	return answer(session, well ? 200 : 503, "text/plain; charset=utf-8", "", 0);
}

static bool metrics_answer(struct session *session)
{
	static const char broken[] =
		"<html><body>vllm:num_requests_running is fine</body></html>\n";
	struct model_server *server = session->server;
	_cleanup_free_ char *page = NULL;
	size_t length;

	if (server->faults.metrics == METRICS_BROKEN)
		return answer(session, 200, "text/html", broken, sizeof(broken) - 1);
	if (server->faults.metrics == METRICS_STALE && server->frozen_page)
		return answer(session, 200, EXPOSITION_CONTENT_TYPE, server->frozen_page,
			      server->frozen_length);
	page = metrics_page(&server->metrics, &server->engine, server->config.completion.models[0],
			    &length);
	if (!page)
		abort();
	return answer(session, 200, EXPOSITION_CONTENT_TYPE, page, length);
}

static bool faults_answer(struct session *session)
{
	struct model_server *server = session->server;
	struct buffer body = {0};

	faults_format(&server->faults, loop_now_ns(server->loop), &body);
	return answer_json(session, 200, &body);
}

static bool faults_write(struct session *session)
{
	struct model_server *server = session->server;
	const char *why;

	buffer_append(&session->body, "", 1);
	if (faults_apply(&server->faults, session->body.data + session->body.start,
			 buffer_length(&session->body) - 1, loop_now_ns(server->loop), &why) < 0)
		return answer_error(session, 400, "BadRequestError", why);
	server_faults_changed(server);
	return faults_answer(session);
}

/* Upgraded: the other end of a WebSocket without its frames. */
static bool echo_begin(struct session *session)
{
	session->phase = PHASE_ECHO;
	buffer_puts(&session->out, "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\n"
				   "upgrade: websocket\r\n\r\n");
	return session_flush(session);
}

static bool echo(struct session *session)
{
	buffer_append(&session->out, session->in.data + session->in.start,
		      buffer_length(&session->in));
	buffer_clear(&session->in);
	return session_flush(session);
}

static bool request_answer(struct session *session)
{
	static const char not_found[] = "{\"detail\":\"Not Found\"}";
	static const char wrong_method[] = "{\"detail\":\"Method Not Allowed\"}";
	static const char version[] = "{\"version\":\"sluice-model-server\"}";
	struct model_server *server = session->server;
	struct buffer body = {0};

	loop_timer_cancel(server->loop, &session->idle); /* also of one that had come already */
	if (!session->admin && server->faults.hang == HANG_ALL) {
		session->phase = PHASE_HUNG;
		return true;
	}
	switch (session->endpoint) {
	case ENDPOINT_CHAT:
	case ENDPOINT_MESSAGES:
	case ENDPOINT_COMPLETIONS: return inference(session);
	case ENDPOINT_MODELS:
		completion_models(&server->config.completion, server->started_at, &body);
		return answer_json(session, 200, &body);
	case ENDPOINT_HEALTH: return health(session);
	case ENDPOINT_METRICS: return metrics_answer(session);
	case ENDPOINT_VERSION:
		return answer(session, 200, "application/json", version, sizeof(version) - 1);
	case ENDPOINT_ECHO: return echo_begin(session);
	case ENDPOINT_FAULTS_READ: return faults_answer(session);
	case ENDPOINT_FAULTS_WRITE: return faults_write(session);
	case ENDPOINT_WRONG_METHOD:
		return answer(session, 405, "application/json", wrong_method,
			      sizeof(wrong_method) - 1);
	case ENDPOINT_UNKNOWN: break;
	}
	return answer(session, 404, "application/json", not_found, sizeof(not_found) - 1);
}

/* ---- reading ---- */

static enum endpoint endpoint_find(const struct http_head *head)
{
	static const struct {
		const char *method, *path;
		enum endpoint endpoint;
	} rows[] = {
		{"POST", "/v1/chat/completions", ENDPOINT_CHAT},
		{"POST", "/v1/completions", ENDPOINT_COMPLETIONS},
		{"POST", "/v1/messages", ENDPOINT_MESSAGES},
		{"GET", "/v1/models", ENDPOINT_MODELS},
		{"GET", "/health", ENDPOINT_HEALTH},
		{"GET", "/metrics", ENDPOINT_METRICS},
		{"GET", "/version", ENDPOINT_VERSION},
		{"GET", "/faults", ENDPOINT_FAULTS_READ},
		{"POST", "/faults", ENDPOINT_FAULTS_WRITE},
	};
	enum endpoint found = ENDPOINT_UNKNOWN;
	struct http_span path = head->target;
	const char *query = memchr(path.data, '?', path.length);

	if (query)
		path.length = (size_t)(query - path.data);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		if (!http_span_equal(path, rows[i].path))
			continue;
		if (http_span_equal(head->method, rows[i].method))
			return rows[i].endpoint;
		found = ENDPOINT_WRONG_METHOD;
	}
	return found;
}

static void head_take(struct session *session, const struct http_head *head)
{
	const struct http_header *type = http_head_find(head, "content-type");

	/* whatever the path: which model it is for says nothing of the protocol */
	session->endpoint = head->upgrade && http_head_find(head, "upgrade") ? ENDPOINT_ECHO
									     : endpoint_find(head);
	session->keep_alive = head->keep_alive;
	session->chunked = head->minor >= 1;
	if (!session->chunked)
		session->keep_alive = false; /* the end of a stream is the end of the connection */
	session->json = type && type->value.length >= 16 &&
			strncasecmp(type->value.data, "application/json", 16) == 0;
	session->extras = http_head_find(head, "x-extras");
	if (session->extras)
		buffer_puts(&session->out, "HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n");
	if (head->expect_continue)
		buffer_puts(&session->out, "HTTP/1.1 100 Continue\r\n\r\n");
	session->phase = PHASE_BODY;
}

static bool session_bad(struct session *session, int status, const char *why)
{
	session->keep_alive = false;
	return answer_error(session, status, "BadRequestError", why);
}

/* Both: *ret_more is whether the phase moved on.  False: the session is gone. */
static bool head_read(struct session *session, bool *ret_more)
{
	struct http_head head;
	size_t length;

	*ret_more = false;
	if (!buffer_length(&session->in))
		return true;
	http_parser_init(&session->parser, HTTP_REQUEST_MESSAGE);
	switch (http_parser_head(&session->parser, session->in.data + session->in.start,
				 buffer_length(&session->in), &head, &length)) {
	case HTTP_PARSE_INCOMPLETE:
		if (buffer_length(&session->in) > HEAD_BYTES_MAX)
			return session_bad(session, 400, "the head is too large");
		return true;
	case HTTP_PARSE_BAD: return session_bad(session, 400, session->parser.why);
	case HTTP_PARSE_COMPLETE: break;
	}
	head_take(session, &head);
	buffer_consume(&session->in, length);
	*ret_more = true;
	return session_flush(session);
}

static bool body_read(struct session *session, bool *ret_more)
{
	struct buffer *in = &session->in;

	*ret_more = false;
	for (;;) {
		const char *data = in->data ? in->data + in->start : "";
		struct http_span payload;
		size_t used;
		enum http_parse got = http_parser_body(&session->parser, data, buffer_length(in),
						       &used, &payload);

		if (got == HTTP_PARSE_BAD)
			return session_bad(session, 400, session->parser.why);
		buffer_append(&session->body, payload.data, payload.length);
		buffer_consume(in, used);
		if (buffer_length(&session->body) > BODY_BYTES_MAX)
			return session_bad(session, 413, "the body is too large");
		if (got == HTTP_PARSE_COMPLETE)
			break;
		if (!buffer_length(in) || !used)
			return true;
	}
	*ret_more = true;
	if (buffer_length(&session->body))
		session->body_hash = XXH3_64bits(session->body.data + session->body.start,
						 buffer_length(&session->body));
	return request_answer(session);
}

/* As far as the bytes received go. */
static void session_work(struct session *session)
{
	bool more = true;

	while (more) {
		if (session->phase == PHASE_HEAD) {
			if (!head_read(session, &more))
				return;
		} else if (session->phase == PHASE_BODY) {
			if (!body_read(session, &more))
				return;
		} else {
			if (session->phase == PHASE_ECHO)
				echo(session);
			return;
		}
	}
}

static void session_event(struct watch *watch, uint32_t events)
{
	struct session *session = container_of(watch, struct session, watch);
	ssize_t n;

	if ((events & EPOLLOUT) && !session_flush(session))
		return;
	if (!(events & ~(uint32_t)EPOLLOUT))
		return;
	/* one that will not be answered, or sends far ahead, is only watched for its end */
	buffer_reserve(&session->in, READ_BYTES);
	n = recv(session->fd, session->in.data + session->in.end, READ_BYTES, MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0 || buffer_length(&session->in) > BODY_BYTES_MAX) {
		session_close(session);
		return;
	}
	if (session->phase == PHASE_CLOSING)
		return;
	/* as uvicorn: only between requests */
	loop_timer_cancel(session->server->loop, &session->idle);
	session->in.end += (size_t)n;
	session_work(session);
}

void session_start(struct model_server *server, int fd, bool admin)
{
	struct session *session;
	int one = 1;

	session = server->session_count < SERVER_SESSIONS_MAX ? calloc(1, sizeof(*session)) : NULL;
	if (!session) {
		close(fd);
		return;
	}
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	session->server = server;
	session->fd = fd;
	session->admin = admin;
	session->watch = WATCH_INIT(session_event);
	session->idle = TIMER_INIT(idle_fire);
	session->next = server->sessions;
	session->link = &server->sessions;
	if (session->next)
		session->next->link = &session->next;
	server->sessions = session;
	server->session_count++;
	session_expect_head(session);
	if (loop_watch(server->loop, &session->watch, fd, EPOLLIN | EPOLLRDHUP) < 0)
		session_close(session);
}
