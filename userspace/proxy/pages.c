// SPDX-License-Identifier: BSD-2-Clause
#include "userspace/proxy/pages.h"

#include <string.h>

#include "maps/access/maps.h"
#include "userspace/http/serve.h"
#include "userspace/proxy/error.h"
#include "userspace/proxy/exchange.h"
#include "userspace/proxy/mirror.h"
#include "userspace/proxy/proxy.h"
#include "userspace/schedule/score.h"
#include "userspace/telemetry/exposition.h"
#include "userspace/telemetry/proxy_metrics.h"

_Static_assert(PROXY_ERROR_COUNT <= PROXY_NAMES_MAX, "every error has a counter");
_Static_assert(FAILURE_COUNT <= PROXY_NAMES_MAX, "every failure has a counter");
_Static_assert(MIRROR_COUNT <= PROXY_NAMES_MAX, "every outcome has a counter");
_Static_assert(PICK_REASON_COUNT <= PROXY_NAMES_MAX, "every reason has a counter");

static void names_fill(struct proxy_metrics_names *names)
{
	for (unsigned i = ERROR_NONE + 1; i < PROXY_ERROR_COUNT; i++)
		names->errors[i] = proxy_error_code((enum proxy_error)i);
	for (unsigned i = FAILURE_NONE + 1; i < FAILURE_COUNT; i++)
		names->retries[i] = exchange_failure_name((enum exchange_failure)i);
	for (unsigned i = 0; i < PICK_NONE_EMPTY; i++)
		names->picks[i] = pick_reason_name((enum pick_reason)i);
	for (unsigned i = 0; i < MIRROR_COUNT; i++)
		names->mirrors[i] = mirror_outcome_name((enum mirror_outcome)i);
}

static void answer_metrics(const struct proxy *proxy, struct server_answer *answer)
{
	struct proxy_metrics_names names = {0};
	struct exposition page = {0};

	names_fill(&names);
	proxy_metrics_expose(proxy->metrics, &names, proxy->maps, &page);
	if (page.err) {
		exposition_free(&page);
		answer->status = 500;
		return;
	}
	answer->status = 200;
	answer->content_type = EXPOSITION_CONTENT_TYPE;
	answer->body = exposition_take(&page, &answer->body_length);
}

/* Ready to serve: some worker has routes. */
static void answer_health(const struct proxy *proxy, struct server_answer *answer)
{
	bool routes = false;

	for (size_t i = 0; i < proxy->metrics->row_count; i++)
		routes |= __atomic_load_n(&proxy->metrics->rows[i].snapshot_generation,
					  __ATOMIC_RELAXED) != 0;
	answer->status = routes ? 200 : 503;
	answer->content_type = "text/plain";
	answer->body = strdup(routes ? "ok\n" : "no routes yet\n");
	answer->body_length = answer->body ? strlen(answer->body) : 0;
}

void pages_answer(void *ctx, const char *path, struct server_answer *ret_answer)
{
	const struct proxy *proxy = ctx;

	if (strcmp(path, "/metrics") == 0)
		answer_metrics(proxy, ret_answer);
	else if (strcmp(path, "/healthz") == 0)
		answer_health(proxy, ret_answer);
	else
		ret_answer->status = 404;
}
