// SPDX-License-Identifier: BSD-2-Clause
/* A whole request meets the routes: which rule, redirect or backend, or why not. */
#include <stdio.h>

#include "userspace/base/clock.h"
#include "userspace/proxy/cors.h"
#include "userspace/proxy/exchange_parts.h"
#include "userspace/proxy/mirror.h"
#include "userspace/proxy/session.h"
#include "userspace/proxy/worker.h"

#define BYTES_A_TOKEN 4

static void refuse_route(struct exchange *x, struct route_request *request)
{
	struct proxy_error_detail detail = {0};
	struct route_choice choice;
	char message[MODEL_NAME_MAX + 64];

	request->any_model = true;
	if (route_match(x->snapshot->snapshot, request, &choice) != ROUTE_OK) {
		session_refuse(x->session, ERROR_ROUTE_NOT_FOUND, &detail);
		return;
	}
	x->cors = choice.rule->cors;
	detail.param = "model";
	if (x->has_model)
		snprintf(message, sizeof(message), "the model '%s' is not served here",
			 x->facts.name);
	else
		snprintf(message, sizeof(message),
			 "this request names no model, and only "
			 "requests for a model are served here");
	detail.message = message;
	session_refuse(x->session, ERROR_MODEL_NOT_FOUND, &detail);
}

/* An answer without a body that no endpoint is asked for. */
static void own_begin(struct exchange *x, int status, struct text *text)
{
	struct worker *w = exchange_worker(x);

	if (w->draining)
		x->session->keep_alive = false;
	text_init(text, w->head_text, sizeof(w->head_text));
	text_printf(text, "HTTP/1.1 %d %s\r\n", status, status_phrase(status));
}

static void own_send(struct exchange *x, int status, struct text *text)
{
	struct session *s = x->session;
	struct iovec vector;

	text_puts(text, s->keep_alive ? "\r\n" : "Connection: close\r\n\r\n");
	if (text->cut) {
		session_refuse(s, ERROR_INTERNAL, &(struct proxy_error_detail){0});
		return;
	}
	vector = (struct iovec){text->data, text->length};
	if (!session_send(s, &vector, 1))
		return;
	exchange_finish(x, status, ERROR_NONE);
	session_answered(s);
}

static void answer_redirect(struct exchange *x, const struct route_request *request)
{
	int status = x->choice.filters->redirect_status;
	struct text text;

	own_begin(x, status, &text);
	text_puts(&text, "Location: ");
	route_redirect_location(&x->choice, request, &text);
	text_puts(&text, "\r\nContent-Length: 0\r\n");
	if (x->cors)
		cors_format_answer(x->cors, request->head, NULL, &text);
	own_send(x, status, &text);
}

/* The rule whose policy answers a preflight: the one that the request to come would
 * meet, whatever its model, which only its body will name; else the one that the
 * OPTIONS meets itself.  False: no policy, so it is a request like any other. */
static bool preflight_match(struct exchange *x, const struct route_request *request)
{
	const struct snapshot *snapshot = x->snapshot->snapshot;
	struct route_request coming = *request;
	struct route_choice choice;

	coming.method = cors_preflight_method(request->head);
	coming.any_model = true;
	if (!coming.method.length)
		return false;
	if ((route_match(snapshot, &coming, &choice) != ROUTE_OK || !choice.rule->cors) &&
	    (route_match(snapshot, request, &choice) != ROUTE_OK || !choice.rule->cors))
		return false;
	x->choice = choice;
	return true;
}

static void answer_preflight(struct exchange *x, const struct route_request *request)
{
	struct text text;

	own_begin(x, 204, &text);
	cors_format_preflight(x->choice.rule->cors, request->head, &text);
	own_send(x, 204, &text);
}

static uint64_t tokens_estimate(const struct exchange *x)
{
	uint64_t bytes = x->facts.text_bytes ? x->facts.text_bytes : x->session->body.length;

	return bytes / BYTES_A_TOKEN + 1;
}

/* The backend of the client's session, else a weighted choice; false: refused. */
static bool backend_choose(struct exchange *x, const struct http_head *head)
{
	const struct snapshot_rule *rule = x->choice.rule;
	size_t index = exchange_persist_backend(x, head);

	if (index == SIZE_MAX)
		index = route_backend(rule, worker_random(exchange_worker(x)));

	if (index == SIZE_MAX || rule->backends[index].pool == POOL_NONE) {
		struct proxy_error_detail detail = {0};
		char message[256];

		if (index != SIZE_MAX) {
			snprintf(message, sizeof(message),
				 "the route names the backend %.150s, which does not exist",
				 rule->backends[index].name);
			detail.message = message;
		}
		session_refuse(x->session, ERROR_BACKEND_UNKNOWN, &detail);
		return false;
	}
	if (index < 64)
		x->backends_tried |= 1ull << index;
	x->pool = &x->snapshot->snapshot->pools[rule->backends[index].pool];
	route_choose_backend(&x->choice, index);
	return true;
}

static void route_request_fill(struct exchange *x, const struct http_head *head,
			       struct route_request *request, char host_buffer[HOST_MAX])
{
	struct session *s = x->session;
	const struct http_header *host = http_head_find(head, "host");

	*request = (struct route_request){
		.addr = s->vip,
		.port = s->vip_port,
		.host = host_buffer,
		.method = head->method,
		.head = head,
		.model = x->has_model ? x->facts.name : NULL,
	};
	if (request->model)
		x->base_model = route_base_model(x->snapshot->snapshot, request->model);
	request->base_model = x->base_model;
	host_buffer[0] = '\0';
	if (host)
		route_host_normalize(host->value, host_buffer);
	route_target_split(target_origin_form(head->target), &request->path, &request->query);
}

/* The client's path was judged when it came; is what a rewrite makes of it still
 * something that clients may ask for, and is the model that was judged still the one
 * that counts there? */
const char *exchange_rewrite_refused(struct exchange *x)
{
	const struct http_head *head = session_head(x->session);
	struct http_span path, query;
	enum model_place place;
	struct text text;
	bool blocked;

	if (x->choice.filters->rewrite_type == REWRITE_NONE)
		return NULL;
	text_init(&text, exchange_worker(x)->head_text, sizeof(exchange_worker(x)->head_text));
	route_target_split(target_origin_form(head->target), &path, &query);
	route_path_rewrite(&x->choice, path, query, &text);
	place = model_path_place((struct model_text){head->method.data, head->method.length},
				 (struct model_text){text.data, text.length}, &blocked);
	if (blocked)
		return model_verdict_text(MODEL_BLOCKED);
	if (x->model_place == MODEL_PLACE_PATH &&
	    (place == MODEL_PLACE_BODY || place == MODEL_PLACE_FORM || place == MODEL_PLACE_PROTO))
		return "the route rewrites a path that names the model to one where the body does, "
		       "which was not looked into";
	return NULL;
}

static bool rewrite_is_allowed(struct exchange *x)
{
	const char *why = exchange_rewrite_refused(x);

	if (why)
		session_refuse(x->session, ERROR_ROUTE_NOT_FOUND,
			       &(struct proxy_error_detail){.message = why});
	return !why;
}

/* Can the request say the name that its model has in the pool? */
static bool name_is_sayable(struct exchange *x)
{
	const char *why = exchange_pool_take(x, x->pool);

	if (why)
		session_refuse(x->session, ERROR_NOT_IMPLEMENTED,
			       &(struct proxy_error_detail){.message = why, .param = "model"});
	return !why;
}

void exchange_start(struct exchange *x)
{
	struct session *s = x->session;
	struct worker *w = s->worker;
	const struct http_head *head = session_head(s);
	struct route_request request;
	char host[HOST_MAX];
	uint32_t timeout_ms;

	x->whole_ns = loop_now_ns(w->loop);
	x->timer.callback = attempt_on_timer;
	x->snapshot = snapshot_acquire(&w->routes);
	if (!x->snapshot) {
		session_refuse(s, ERROR_NO_ROUTES,
			       &(struct proxy_error_detail){.retry_after_s = 1});
		return;
	}
	route_request_fill(x, head, &request, host);
	if (preflight_match(x, &request)) {
		answer_preflight(x, &request);
		return;
	}
	if (route_match(x->snapshot->snapshot, &request, &x->choice) != ROUTE_OK) {
		refuse_route(x, &request);
		return;
	}
	x->cors = x->choice.rule->cors;
	/* a redirect of the rule needs no backend; one of a backend needs it to be chosen */
	if (!x->choice.filters->redirect_status && !backend_choose(x, head))
		return;
	if (x->choice.filters->redirect_status) {
		answer_redirect(x, &request);
		return;
	}
	if (!rewrite_is_allowed(x) || !name_is_sayable(x))
		return;
	timeout_ms = x->choice.rule->request_timeout_ms;
	x->until_ns = x->whole_ns + (timeout_ms ? timeout_ms * NS_PER_MS
						: w->options.request_timeout_s * NS_PER_S);
	x->place.tokens = tokens_estimate(x);
	attempt_start(x);
	if (x->upstream) /* else it is answered already, and maybe the next one's */
		mirrors_begin(x);
}
