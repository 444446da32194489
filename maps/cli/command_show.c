// SPDX-License-Identifier: BSD-2-Clause
/* show and watch: a view once, or again and again with what changed. */
#include "maps/cli/command.h"

#include <errno.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "maps/cli/view.h"
#include "userspace/base/cleanup.h"
#include "userspace/base/clock.h"
#include "userspace/base/log.h"

#define SCREEN_CLEAR "\033[H\033[J"
#define VIEWS "vips|pools|endpoints|clusters|flows|flow-table|verdicts|rings|contract|paths|nexthops"
#define VIEW_OPTIONS                                                                               \
	(WITH(OPTION_CLUSTER) | WITH(OPTION_POOL) | WITH(OPTION_USE) | WITH(OPTION_ALL) |          \
	 WITH(OPTION_WIDE) | WITH(OPTION_LIMIT))

static int view_of(const struct request *request, const struct view **ret_view)
{
	const struct view *view = view_find(request->words[0]);

	if (!view)
		return log_error(-EINVAL, "'%s': nothing of that name to show; there are: %s",
				 request->words[0], view_names());
	if ((request->cluster || request->pool || request->use) && view != &view_endpoints)
		return log_error(-EINVAL,
				 "%s: --cluster, --pool and --use choose among endpoints; "
				 "leave them out",
				 view->name);
	*ret_view = view;
	return 0;
}

static int show_run(struct request *request)
{
	_cleanup_(table_deinit) struct table table = {0};
	_cleanup_(maps_closep) struct maps *maps = NULL;
	const struct view *view;
	struct view_now now;
	int err;

	err = view_of(request, &view);
	if (!err)
		err = maps_open(&request->instance, MAPS_READ, &maps);
	if (err)
		return err;
	now = view_now_read();
	err = view_take(view, request, maps, &now, &table);
	if (err)
		return err;
	if (request->json)
		table_print_json(&table, request->out);
	else
		table_print(&table, request->out);
	return 0;
}

/* What the last look saw, to tell how much counters rose. */
struct watch_state {
	struct table before;
	uint64_t before_ns; /* CLOCK_MONOTONIC; 0: no look yet */
};

static void title_print(const struct request *request, const struct view *view, FILE *out)
{
	char clock[16];
	time_t now = time(NULL);
	struct tm local;

	strftime(clock, sizeof(clock), "%H:%M:%S", localtime_r(&now, &local));
	fprintf(out, "%s of instance %s, every %.1fs, at %s\n\n", view->name,
		request->instance.name, (double)request->interval_ms / 1000, clock);
}

static void look_print(const struct request *request, const struct view *view,
		       const struct table *rates, bool first, uint64_t at_ns)
{
	bool screen = isatty(fileno(request->out));

	if (request->json) {
		table_print_json_line(rates, at_ns, request->out);
		return;
	}
	if (screen) {
		fputs(SCREEN_CLEAR, request->out);
		title_print(request, view, request->out);
	} else if (!first) {
		fputc('\n', request->out);
	}
	table_print(rates, request->out);
}

static int look(const struct request *request, const struct view *view, const struct maps *maps,
		struct watch_state *state)
{
	_cleanup_(table_deinit) struct table table = {0}, rates = {0};
	struct view_now now = view_now_read();
	int err;

	err = view_take(view, request, maps, &now, &table);
	if (err)
		return err;
	err = table_with_rates(&table, state->before_ns ? &state->before : NULL,
			       now.monotonic_ns - state->before_ns, &rates);
	if (err)
		return log_error(err, "%s: out of memory", view->name);
	look_print(request, view, &rates, !state->before_ns, now.realtime_ns);
	table_deinit(&state->before);
	state->before = table;
	state->before_ns = now.monotonic_ns;
	table = (struct table){0};
	return fflush(request->out)
		       ? log_error(-errno, "cannot write the output (%s)", strerror(errno))
		       : 0;
}

static void sleep_until(uint64_t at_ns)
{
	const struct timespec at = {(time_t)(at_ns / NS_PER_S), (long)(at_ns % NS_PER_S)};

	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL) == EINTR)
		;
}

static int watch_run(struct request *request)
{
	_cleanup_(maps_closep) struct maps *maps = NULL;
	struct watch_state state = {0};
	const struct view *view;
	uint64_t next;
	int err;

	err = view_of(request, &view);
	if (!err)
		err = maps_open(&request->instance, MAPS_READ, &maps);
	next = clock_monotonic_ns();
	for (unsigned long i = 0; !err && (!request->count || i < request->count); i++) {
		if (i)
			sleep_until(next += request->interval_ms * NS_PER_MS);
		err = look(request, view, maps, &state);
	}
	table_deinit(&state.before);
	return err;
}

const struct command command_show = {
	.name = "show",
	.arguments = VIEWS,
	.summary =
		"show vips, pools, endpoints, clusters, flows, flow-table, verdicts, rings, contract",
	.help = "Shows one table, read from the pinned maps: it works with no controller and no\n"
		"proxy running.  A dash is a value that is not known.  With --json the rows are an\n"
		"array of objects with the names below; ages are in seconds.",
	.options = VIEW_OPTIONS,
	.words_min = 1,
	.words_max = 1,
	.run = show_run,
	.help_more = view_help_print,
};

const struct command command_watch = {
	.name = "watch",
	.arguments = VIEWS,
	.summary = "the same again and again, with the rates of counters",
	.help = "Shows a table every --interval milliseconds, with a rate beside every counter, until\n"
		"--count looks are done or Ctrl-C.  On a terminal it repaints; elsewhere looks are\n"
		"separated by an empty line.  With --json each look is one line:\n"
		"{\"at\": seconds since 1970, \"rows\": [...]}.",
	.options = VIEW_OPTIONS | WITH(OPTION_INTERVAL) | WITH(OPTION_COUNT),
	.words_min = 1,
	.words_max = 1,
	.run = watch_run,
	.help_more = view_help_print,
};
