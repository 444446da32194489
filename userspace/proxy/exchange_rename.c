// SPDX-License-Identifier: BSD-2-Clause
/* A pool may know the model by another name (InferenceModelRewrite): which, whether the
 * request can say it, where it is said, and which answers get the client's own back.
 * The choice by weight is made once for each pool that a request is tried at. */
#include <string.h>

#include "userspace/model/restore.h"
#include "userspace/proxy/exchange_parts.h"
#include "userspace/proxy/session.h"
#include "userspace/proxy/worker.h"

bool exchange_target_format(struct exchange *x, const char *name, struct text *text)
{
	const struct http_head *head = session_head(x->session);
	char rewritten[BUFFER_BYTES];
	struct text own = TEXT_INIT(rewritten), *out = text;
	struct http_span path, query;

	if (name && x->model_place == MODEL_PLACE_PATH)
		out = &own;
	route_target_split(target_origin_form(head->target), &path, &query);
	route_path_rewrite(&x->choice, path, query, out);
	if (out == text)
		return !out->cut;
	return !out->cut &&
	       model_rewrite_path((struct model_text){head->method.data, head->method.length},
				  (struct model_text){own.data, own.length}, name, strlen(name),
				  text);
}

static bool name_fits_path(struct exchange *x, const char *name)
{
	struct worker *w = exchange_worker(x);
	struct text text;

	text_init(&text, w->head_text, sizeof(w->head_text));
	return exchange_target_format(x, name, &text);
}

const char *exchange_name_refused(struct exchange *x, const char *name)
{
	const struct model_request *request = &x->session->looking.request;
	struct model_rewrite rewrite;

	if (x->model_place == MODEL_PLACE_PROTO)
		return "the pool serves this model under another name, and this gateway renames no "
		       "model in a gRPC message";
	if (x->model_place == MODEL_PLACE_PATH)
		return name_fits_path(x, name)
			       ? NULL
			       : "the pool serves this model under another name, which this path "
				 "cannot say";
	return model_rewrite_make(request, name, strlen(name), &rewrite)
		       ? NULL
		       : "the pool serves this model under another name, which this body cannot "
			 "say";
}

const char *exchange_name_in(struct exchange *x, const struct snapshot_pool *pool)
{
	if (!x->has_model)
		return NULL;
	return route_served_name(pool, x->facts.name, worker_random(exchange_worker(x)));
}

const char *exchange_pool_take(struct exchange *x, const struct snapshot_pool *pool)
{
	const char *name = exchange_name_in(x, pool);
	const char *why = name ? exchange_name_refused(x, name) : NULL;

	if (why)
		return why;
	x->pool = pool;
	x->served_name = name;
	return NULL;
}

const struct model_rewrite *exchange_body_rewrite(struct exchange *x, const char *name,
						  struct model_rewrite *room)
{
	if (!name || x->model_place == MODEL_PLACE_PATH)
		return NULL;
	/* exchange_name_refused() has made the same */
	return model_rewrite_make(&x->session->looking.request, name, strlen(name), room) ? room
											  : NULL;
}

bool exchange_restores(const struct exchange *x, const struct http_head *head)
{
	const struct http_header *type = http_head_find(head, "content-type");
	const struct http_header *coding = http_head_find(head, "content-encoding");

	if (!x->served_name || !type ||
	    usage_format_of(type->value.data, type->value.length) == USAGE_FORMAT_OTHER)
		return false;
	return !coding || http_span_equal_nocase(coding->value, "identity");
}
