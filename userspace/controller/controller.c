// SPDX-License-Identifier: BSD-2-Clause
/* The wiring.  Three things make it publish: sources that changed, SIGHUP, and a
 * tick every few seconds that repairs what others undid (an address taken from
 * lo, an operator's VIP that stood in the way) and tries again what failed.
 *
 * A publication that fails leaves the last desired state in charge; the plan is
 * always made against what is in the maps, so half a publication is finished by
 * the next one. */
#include "userspace/controller/controller.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "maps/access/maps.h"
#include "userspace/base/cleanup.h"
#include "userspace/base/clock.h"
#include "userspace/base/loop.h"
#include "userspace/controller/instance_lock.h"
#include "userspace/controller/live_counts.h"
#include "userspace/controller/pages.h"
#include "userspace/controller/pin_watch.h"
#include "userspace/controller/watcher.h"
#include "userspace/http/serve.h"
#include "userspace/paths/keeper.h"
#include "userspace/publish/apply.h"
#include "userspace/publish/plan.h"
#include "userspace/publish/snapshot.h"
#include "userspace/sources/desired.h"
#include "userspace/sources/source_set.h"
#include "userspace/telemetry/exposition.h"

/* probe and scrape of each, exchanges, pages; paths */
#define TIMERS_MAX (4 * ENDPOINTS_MAX + PATH_KEEPER_TIMERS)
#define TICK_NS (5 * NS_PER_S)
#define PINS_LOOK_NS (500 * NS_PER_MS) /* nothing is served from new maps before we are there */

struct controller {
	const struct controller_options *options;
	char lock_path[2 * INSTANCE_PATH_MAX];
	char routes_path[2 * INSTANCE_PATH_MAX];
	int lock_fd;
	struct loop *loop;
	struct maps *maps;
	struct pin_watch pins;
	bool start_over; /* other maps are pinned now */
	struct source_set *sources;
	struct watcher *watcher;
	struct live_counts *live_counts;
	struct path_keeper *paths;
	struct server *server;
	struct watch signals;
	int signal_fd;
	struct timer tick, pins_look;
	struct desired *desired; /* what is published, or was asked for last */
	struct messages said; /* messages of the last plan */
	struct arena said_arena; /* of `said` */
	struct plan_cursor cursor;
	bool unfinished; /* the last publication failed: the tick tries again */
	uint64_t started_at;
	struct controller_reloads reloads;
};

/* ---- publishing ---- */

static void plan_say(struct controller *controller, const struct plan *plan)
{
	struct messages before = controller->said;
	struct arena before_arena = controller->said_arena;

	controller->said = (struct messages){0};
	controller->said_arena = (struct arena){0};
	messages_append(&controller->said, &controller->said_arena, &plan->messages);
	messages_log_new(&controller->said, &before);
	arena_deinit(&before_arena);
}

static int plan_publish(struct controller *controller, const struct plan *plan,
			const struct apply_view *view)
{
	_cleanup_(snapshot_freep) struct snapshot *snapshot = NULL;
	uint64_t generation = controller->reloads.snapshot_generation + 1;
	int err = plan_snapshot(plan, controller->desired, generation, clock_realtime_ns(),
				&snapshot);

	if (!err)
		err = apply_plan(controller->maps, plan, view, snapshot, controller->routes_path);
	if (!err)
		controller->reloads.snapshot_generation = generation;
	/* what did get into the maps is watched, whatever failed after it */
	path_keeper_look(controller->paths);
	return watcher_follow(controller->watcher, plan, controller->desired) ?: err;
}

/* Makes the maps what controller->desired asks for.  Without `always` it writes
 * only when a record differs. */
static int publish(struct controller *controller, bool always)
{
	_cleanup_(plan_freep) struct plan *plan = NULL;
	struct apply_view view;
	int err = apply_view_read(controller->maps, &view);

	if (err)
		return err;
	err = plan_make(controller->desired, &view.observed, &controller->cursor, &plan);
	if (!err) {
		plan_say(controller, plan);
		controller->cursor = plan->cursor;
		if (always || plan_has_changes(plan))
			err = plan_publish(controller, plan, &view);
		else
			err = apply_addresses(controller->maps, plan, &view);
	}
	apply_view_deinit(&view);
	return err;
}

static void reload_count(struct controller *controller, int err)
{
	struct controller_reloads *reloads = &controller->reloads;

	controller->unfinished = err != 0;
	if (err) {
		reloads->failed++;
		reloads->failed_at = clock_realtime_ns();
		log_warning("configuration: not published whole (%s); the last good state goes on "
			    "serving, next try in %llu s",
			    strerror(-err), TICK_NS / NS_PER_S);
	} else {
		reloads->ok++;
		reloads->ok_at = clock_realtime_ns();
	}
}

/* Resolves the objects of now and publishes them. */
static int reload(struct controller *controller)
{
	_cleanup_(desired_freep) struct desired *before = NULL;
	struct desired *desired = NULL;
	int err = source_set_resolve(controller->sources, &desired);

	if (err) {
		reload_count(controller, err);
		return err;
	}
	before = controller->desired;
	controller->desired = desired;
	err = publish(controller, true);
	reload_count(controller, err);
	if (!err)
		log_info("configuration: published %zu routes, %zu pools, %zu endpoints in %zu "
			 "clusters, %zu VIPs (generation %llu)",
			 desired->route_count, desired->pool_count, desired->endpoint_count,
			 desired->cluster_count, desired->vip_count,
			 (unsigned long long)controller->reloads.snapshot_generation);
	return err;
}

static void sources_changed(void *ctx)
{
	reload(ctx);
}

static void tick(struct timer *timer)
{
	struct controller *controller = container_of(timer, struct controller, tick);

	if (controller->unfinished)
		reload(controller);
	else if (publish(controller, false) < 0)
		controller->unfinished = true;
	loop_timer_after(controller->loop, &controller->tick, TICK_NS);
}

static void pins_look(struct timer *timer)
{
	struct controller *controller = container_of(timer, struct controller, pins_look);

	if (pin_watch_check(&controller->pins)) {
		controller->start_over = true;
		loop_stop(controller->loop);
		return;
	}
	loop_timer_after(controller->loop, &controller->pins_look, PINS_LOOK_NS);
}

/* ---- signals ---- */

/* SIGHUP.  The set stays, because it knows the last good form of broken files. */
static void reread(struct controller *controller)
{
	const struct controller_reloads before = controller->reloads;

	log_info("SIGHUP: reading all configuration again");
	source_set_scan(controller->sources);
	if (before.ok == controller->reloads.ok && before.failed == controller->reloads.failed)
		reload(controller); /* nothing differed: publish it anyway */
}

static void signal_take(struct watch *watch, uint32_t events)
{
	struct controller *controller = container_of(watch, struct controller, signals);
	struct signalfd_siginfo info;

	(void)events;
	if (read(controller->signal_fd, &info, sizeof(info)) != sizeof(info))
		return;
	if (info.ssi_signo == SIGHUP) {
		reread(controller);
		return;
	}
	log_info("%s: stopping; the maps go on serving",
		 info.ssi_signo == SIGINT ? "SIGINT" : "SIGTERM");
	loop_stop(controller->loop);
}

static int signals_open(struct controller *controller)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
		return log_error(-errno, "signals: cannot be blocked (%s)", strerror(errno));
	controller->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (controller->signal_fd < 0)
		return log_error(-errno, "signals: cannot be read (%s)", strerror(errno));
	controller->signals = WATCH_INIT(signal_take);
	return loop_watch(controller->loop, &controller->signals, controller->signal_fd, EPOLLIN);
}

/* ---- pages ---- */

static void healthz_answer(const struct controller *controller, struct server_answer *answer)
{
	bool published = controller->reloads.ok > 0;

	answer->status = published ? 200 : 503;
	answer->content_type = "text/plain; charset=utf-8";
	answer->body = strdup(published ? "ok\n" : "nothing has been published yet\n");
	answer->body_length = answer->body ? strlen(answer->body) : 0;
}

static void metrics_answer(const struct controller *controller, struct server_answer *answer)
{
	const struct pages_input input = {
		.maps = controller->maps,
		.desired = controller->desired,
		.sources_broken = source_set_has_errors(controller->sources),
		.counts = watcher_counts(controller->watcher),
		.reloads = &controller->reloads,
		.started_at = controller->started_at,
		.now = clock_realtime_ns(),
	};

	answer->content_type = EXPOSITION_CONTENT_TYPE;
	answer->status = pages_metrics(&input, &answer->body, &answer->body_length) ? 500 : 200;
}

static void page_answer(void *ctx, const char *path, struct server_answer *ret_answer)
{
	if (strcmp(path, "/metrics") == 0)
		metrics_answer(ctx, ret_answer);
	else if (strcmp(path, "/healthz") == 0)
		healthz_answer(ctx, ret_answer);
	else
		ret_answer->status = 404;
}

/* ---- life ---- */

/* Every exchange is a descriptor; the soft limit is often 1024. */
static void descriptors_raise(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur == limit.rlim_max)
		return;
	limit.rlim_cur = limit.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
		log_warning("descriptors: the limit cannot be raised (%s); probes may be late",
			    strerror(errno));
}

/* Generations go on where the last controller stopped. */
static int generation_adopt(struct controller *controller)
{
	_cleanup_(snapshot_freep) struct snapshot *snapshot = NULL;

	if (snapshot_read(controller->routes_path, &snapshot) == 0)
		controller->reloads.snapshot_generation = snapshot->generation;
	return 0;
}

static int sources_open(struct controller *controller, struct source_set **ret_sources)
{
	const struct controller_options *options = controller->options;
	char keep[2 * INSTANCE_PATH_MAX];

	return source_set_open(controller->loop, &options->config, options->clusters,
			       options->cluster_count,
			       instance_run_path(&options->instance, RUN_SOURCES, keep),
			       sources_changed, controller, ret_sources);
}

static int controller_open(struct controller *controller)
{
	const struct controller_options *options = controller->options;
	const struct instance *instance = &options->instance;
	int err = instance_make_run_dir(instance);

	instance_run_path(instance, RUN_CONTROLLER_PID, controller->lock_path);
	instance_run_path(instance, RUN_ROUTES, controller->routes_path);
	if (!err)
		err = instance_lock_take(controller->lock_path, instance->name,
					 &controller->lock_fd);
	if (!err)
		err = maps_open(instance, MAPS_CONTROLLER, &controller->maps);
	if (!err)
		err = pin_watch_init(&controller->pins, instance);
	if (!err)
		err = generation_adopt(controller);
	if (!err)
		err = loop_new(TIMERS_MAX, &controller->loop);
	if (!err)
		err = signals_open(controller);
	if (!err)
		err = watcher_new(controller->loop, controller->maps, options->scrape_interval_ms,
				  &controller->watcher);
	if (!err)
		err = live_counts_new(controller->loop, controller->maps, &controller->live_counts);
	if (!err)
		err = path_keeper_new(controller->loop, controller->maps, &controller->paths);
	if (!err && options->metrics)
		err = server_new(controller->loop, &options->metrics_addr, options->metrics_port,
				 page_answer, controller, &controller->server);
	if (!err)
		err = sources_open(controller, &controller->sources);
	return err;
}

static void controller_close(struct controller *controller)
{
	source_set_close(controller->sources);
	server_free(controller->server);
	live_counts_free(controller->live_counts);
	path_keeper_free(controller->paths);
	watcher_free(controller->watcher);
	if (controller->loop) {
		loop_timer_cancel(controller->loop, &controller->tick);
		loop_timer_cancel(controller->loop, &controller->pins_look);
		loop_unwatch(controller->loop, &controller->signals);
	}
	closep(&controller->signal_fd);
	loop_free(controller->loop);
	maps_close(controller->maps);
	desired_free(controller->desired);
	arena_deinit(&controller->said_arena);
	instance_lock_release(controller->lock_path, &controller->lock_fd);
}

/* One life with one set of maps; *ret_again: other maps are pinned now. */
static int controller_live(const struct controller_options *options, bool *ret_again)
{
	struct controller controller = {
		.options = options,
		.lock_fd = -1,
		.signal_fd = -1,
		.signals = WATCH_INIT(signal_take),
		.tick = TIMER_INIT(tick),
		.pins_look = TIMER_INIT(pins_look),
		.started_at = clock_realtime_ns(),
	};
	int err = controller_open(&controller);

	if (!err) {
		reload(&controller); /* a failure is counted and tried again */
		err = loop_timer_after(controller.loop, &controller.tick, TICK_NS);
	}
	if (!err)
		err = loop_timer_after(controller.loop, &controller.pins_look, PINS_LOOK_NS);
	if (!err)
		err = loop_run(controller.loop);
	*ret_again = !err && controller.start_over;
	controller_close(&controller);
	return err;
}

int controller_run(const struct controller_options *options)
{
	bool again;
	int err;

	descriptors_raise();
	do {
		err = controller_live(options, &again);
	} while (again);
	return err;
}
