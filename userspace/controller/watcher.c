// SPDX-License-Identifier: BSD-2-Clause
/* The prober and the scraper know endpoints by id and no maps; the plan knows
 * ids and no sockets.  This file is the seam: it turns the plan into targets,
 * and reports into records. */
#include "userspace/controller/watcher.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "maps/access/maps.h"
#include "userspace/base/address.h"
#include "userspace/base/cleanup.h"
#include "userspace/base/clock.h"
#include "userspace/base/log.h"
#include "userspace/base/loop.h"
#include "userspace/controller/health_record.h"
#include "userspace/controller/operator_probes.h"
#include "userspace/health/probe.h"
#include "userspace/health/round_trip.h"
#include "userspace/publish/plan.h"
#include "userspace/scrape/scraper.h"
#include "userspace/sources/desired.h"

#define PROBES_MAX 1024
#define SCRAPES_MAX 512
#define SCRAPE_TIMEOUT_MS 2000
/* A region that goes dark changes thousands of endpoints: so many are named, the rest
 * is counted. */
#define CHANGES_NAMED_MAX 50
#define CHANGES_WINDOW_NS (5 * NS_PER_S)
#define UNREADABLE_FAILURES 3

struct watcher {
	struct loop *loop;
	struct maps *maps;
	struct prober *prober;
	struct operator_probes *operators; /* endpoints that no plan has, by the same prober */
	struct scraper *scraper;
	uint32_t scrape_interval_ms;
	struct watcher_counts counts;
	struct timer window; /* armed: changes of health were logged lately */
	uint32_t named_count; /* in this window */
	uint64_t unnamed[HEALTH_COUNT]; /* by the new state */
	struct messages said; /* by the last watcher_follow() */
	struct arena arena; /* of `said` */
	uint32_t unreadable[ENDPOINTS_MAX]; /* generation of which it was said; 0: none */
	bool placed[ENDPOINTS_MAX]; /* by the last plan */
	bool probed[ENDPOINTS_MAX];
	bool scraped[ENDPOINTS_MAX];
};

/* ---- reports into records ---- */

static void change_log(const struct watcher *watcher, const struct probe_report *report)
{
	const struct endpoint *endpoint = &watcher->maps->endpoints[report->id];
	const char *cluster = endpoint->cluster < CLUSTERS_MAX
				      ? watcher->maps->clusters[endpoint->cluster].name
				      : "no cluster";
	const struct health_track *track = report->track;
	char text[ADDRESS_TEXT_MAX], status[32] = "";

	address_port_format(&endpoint->addr, ntohs(endpoint->port), text);
	if (track->state == HEALTH_UP) {
		log_info("endpoint %s (%s in %s): UP", endpoint->name, text, cluster);
		return;
	}
	if (report->status)
		snprintf(status, sizeof(status), " %d", report->status);
	log_warning("endpoint %s (%s in %s): DOWN after %u failed probes (%s%s)", endpoint->name,
		    text, cluster, track->fall, health_reason_name(track->reason), status);
}

static void window_end(struct timer *timer)
{
	struct watcher *watcher = container_of(timer, struct watcher, window);

	if (watcher->unnamed[HEALTH_UP] + watcher->unnamed[HEALTH_DOWN])
		log_warning("endpoints: %llu more went UP and %llu more DOWN within %llu s; "
			    "'sluicectl show endpoints' says which",
			    (unsigned long long)watcher->unnamed[HEALTH_UP],
			    (unsigned long long)watcher->unnamed[HEALTH_DOWN],
			    (unsigned long long)(CHANGES_WINDOW_NS / NS_PER_S));
}

/* True when one more message about a single endpoint may be logged now. */
static bool window_take(struct watcher *watcher)
{
	if (!timer_is_armed(&watcher->window)) {
		watcher->named_count = 0;
		memset(watcher->unnamed, 0, sizeof(watcher->unnamed));
		loop_timer_after(watcher->loop, &watcher->window, CHANGES_WINDOW_NS);
	}
	if (watcher->named_count == CHANGES_NAMED_MAX)
		return false;
	watcher->named_count++;
	return true;
}

static void change_say(struct watcher *watcher, const struct probe_report *report)
{
	if (window_take(watcher))
		change_log(watcher, report);
	else
		watcher->unnamed[report->track->state]++;
}

static void round_trip_store(struct watcher *watcher, const struct probe_report *report)
{
	uint32_t id = watcher->maps->endpoints[report->id].cluster;
	struct cluster *cluster;

	if (id >= CLUSTERS_MAX)
		return;
	cluster = &watcher->maps->clusters[id];
	cluster->observed_at = report->finished_at;
	if (report->connect_ns)
		cluster->rtt_us = round_trip_step(cluster->rtt_us, report->connect_ns);
}

/* What is probed is scraped while it is UP. */
static void scrape_pace(struct watcher *watcher, uint32_t id, const struct health_track *track)
{
	if (track && track->state != HEALTH_UP)
		scraper_rest(watcher->scraper, id);
	else
		scraper_wake(watcher->scraper, id);
}

static void probe_take(void *ctx, const struct probe_report *report)
{
	struct watcher *watcher = ctx;
	const struct health_track *track = report->track;

	watcher->counts.probes[track->reason]++;
	watcher->maps->health[report->id] = health_record_of(report);
	if (track->reason == HEALTH_REASON_OK)
		round_trip_store(watcher, report);
	if (!report->changed)
		return;
	watcher->counts.changes[track->state]++;
	change_say(watcher, report);
	scrape_pace(watcher, report->id, track);
}

/* It answers, but not with what we look for. */
static bool result_is_unreadable(enum scrape_result result)
{
	return result == SCRAPE_STATUS || result == SCRAPE_TOO_BIG ||
	       result == SCRAPE_NOT_METRICS || result == SCRAPE_PARTIAL;
}

/* Said once when it begins and once when it ends. */
static void unreadable_say(struct watcher *watcher, const struct scrape_report *report,
			   uint32_t failures)
{
	const struct endpoint *endpoint = &watcher->maps->endpoints[report->id];
	bool said = watcher->unreadable[report->id] == report->generation;
	char text[ADDRESS_TEXT_MAX];

	if (said ? report->result != SCRAPE_OK
		 : failures < UNREADABLE_FAILURES || !result_is_unreadable(report->result))
		return;
	if (!window_take(watcher))
		return;
	watcher->unreadable[report->id] = said ? 0 : report->generation;
	address_port_format(&endpoint->addr, ntohs(endpoint->port), text);
	if (said)
		log_info("endpoint %s (%s): its metrics can be read again", endpoint->name, text);
	else
		log_warning("endpoint %s (%s): %u scrapes of /metrics in a row failed (%s); it is "
			    "balanced without its load, is it a vLLM server?",
			    endpoint->name, text, failures, scrape_result_name(report->result));
}

static void scrape_take(void *ctx, const struct scrape_report *report)
{
	struct watcher *watcher = ctx;
	struct load *load = &watcher->maps->load[report->id];

	watcher->counts.scrapes[report->result]++;
	*load = load_after(load, report->generation, report->result, report->sample,
			   report->finished_at);
	unreadable_say(watcher, report, load->failures);
}

/* ---- the plan into targets ---- */

static uint8_t threshold(uint32_t count)
{
	return count < 1 ? 1 : count > UINT8_MAX ? UINT8_MAX : (uint8_t)count;
}

static struct probe_target probe_target_of(const struct plan_endpoint *planned,
					   const struct desired_endpoint *endpoint,
					   const struct desired_health *health)
{
	struct probe_target target = {
		.id = planned->id,
		.generation = planned->record.generation,
		.addr = endpoint->addr,
		.port = health->port ? health->port : endpoint->port,
		.policy = {.interval_ms = health->interval_ms ? health->interval_ms : 1,
			   .timeout_ms = health->timeout_ms,
			   .rise = threshold(health->healthy_threshold),
			   .fall = threshold(health->unhealthy_threshold)},
	};

	snprintf(target.path, sizeof(target.path), "%s", health->path);
	snprintf(target.host, sizeof(target.host), "%s", health->host ? health->host : "");
	return target;
}

static int probe_follow(struct watcher *watcher, const struct plan_endpoint *planned,
			const struct desired_endpoint *endpoint, const struct desired_pool *pool)
{
	struct probe_target target;
	struct health_track start;

	if (pool->health.type != HEALTH_CHECK_HTTP) {
		message_add(&watcher->said, &watcher->arena, LOG_LEVEL_WARNING,
			    "pool %s: its health check is of type TCP, which is not handled yet; "
			    "its endpoints serve unprobed; use an HTTP check",
			    pool->name);
		return 0;
	}
	if (strlen(pool->health.path) >= PROBE_PATH_MAX ||
	    (pool->health.host && strlen(pool->health.host) >= PROBE_PATH_MAX)) {
		message_add(&watcher->said, &watcher->arena, LOG_LEVEL_WARNING,
			    "pool %s: path or host of its health check is longer than %d bytes; "
			    "its endpoints serve unprobed; shorten it",
			    pool->name, PROBE_PATH_MAX - 1);
		return 0;
	}
	target = probe_target_of(planned, endpoint, &pool->health);
	start = health_record_adopt(&watcher->maps->health[planned->id],
				    planned->record.generation);
	watcher->probed[planned->id] = true;
	return prober_put(watcher->prober, &target, &start);
}

static int scrape_follow(struct watcher *watcher, const struct plan_endpoint *planned,
			 const struct desired_endpoint *endpoint, const struct desired_pool *pool)
{
	struct scrape_target target = {
		.id = planned->id,
		.generation = planned->record.generation,
		.addr = endpoint->addr,
		.port = endpoint->port,
		.path = "/metrics",
		.interval_ms = watcher->scrape_interval_ms,
		.timeout_ms = SCRAPE_TIMEOUT_MS,
	};

	if (endpoint->engine && strcmp(endpoint->engine, "vllm") != 0) {
		message_add(&watcher->said, &watcher->arena, LOG_LEVEL_WARNING,
			    "pool %s: engine '%s' is not handled yet; its endpoints are not "
			    "scraped and are balanced by requests in flight alone",
			    pool->name, endpoint->engine);
		return 0;
	}
	if (!target.interval_ms)
		target.interval_ms = scrape_interval_for((uint32_t)pool->endpoint_count);
	watcher->scraped[planned->id] = true;
	return scraper_put(watcher->scraper, &target);
}

/* Nobody probes it: no verdict of an earlier probe may stay. */
static void health_forget(struct watcher *watcher, const struct plan_endpoint *planned)
{
	watcher->maps->health[planned->id] =
		(struct health){.generation = planned->record.generation};
}

static int endpoint_follow(struct watcher *watcher, const struct plan_endpoint *planned,
			   const struct desired *desired, size_t index)
{
	const struct desired_endpoint *endpoint = &desired->endpoints[index];
	const struct desired_pool *pool = &desired->pools[endpoint->pool];
	int err;

	watcher->placed[planned->id] = true;
	operator_probes_forget(watcher->operators, planned->id);
	err = probe_follow(watcher, planned, endpoint, pool);

	if (!watcher->probed[planned->id])
		health_forget(watcher, planned);
	if (!err)
		err = scrape_follow(watcher, planned, endpoint, pool);
	if (!err)
		scrape_pace(watcher, planned->id,
			    watcher->probed[planned->id]
				    ? prober_track(watcher->prober, planned->id)
				    : NULL);
	return err;
}

/* The plan has no place for it, but a publication that failed left it in the maps:
 * it serves, so it must not go on as what it was when it was last looked at. */
static bool endpoint_stays(const struct watcher *watcher, uint32_t id)
{
	const struct endpoint *endpoint = &watcher->maps->endpoints[id];

	return !watcher->placed[id] && endpoint->way != WAY_NONE &&
	       endpoint->owner == VIP_OWNER_CONTROLLER;
}

int watcher_follow(struct watcher *watcher, const struct plan *plan, const struct desired *desired)
{
	struct messages before = watcher->said;
	struct arena before_arena = watcher->arena;
	int err = 0;

	watcher->said = (struct messages){0};
	watcher->arena = (struct arena){0};
	memset(watcher->placed, 0, sizeof(watcher->placed));
	memset(watcher->probed, 0, sizeof(watcher->probed));
	memset(watcher->scraped, 0, sizeof(watcher->scraped));
	for (size_t i = 0; i < plan->endpoint_count && !err; i++) {
		if (plan->endpoints[i].id != ENDPOINT_NONE)
			err = endpoint_follow(watcher, &plan->endpoints[i], desired, i);
	}
	for (uint32_t id = 0; id < ENDPOINTS_MAX && !err; id++) {
		if (endpoint_stays(watcher, id))
			continue;
		if (!watcher->probed[id] && !operator_probes_has(watcher->operators, id))
			prober_remove(watcher->prober, id);
		if (!watcher->scraped[id])
			scraper_remove(watcher->scraper, id);
	}
	messages_log_new(&watcher->said, &before);
	arena_deinit(&before_arena);
	return err;
}

/* ---- life ---- */

int watcher_new(struct loop *loop, struct maps *maps, uint32_t scrape_interval_ms,
		struct watcher **ret_watcher)
{
	struct watcher *watcher = calloc(1, sizeof(*watcher));
	int err;

	if (!watcher)
		return -ENOMEM;
	watcher->loop = loop;
	watcher->window = TIMER_INIT(window_end);
	watcher->maps = maps;
	watcher->scrape_interval_ms = scrape_interval_ms;
	err = prober_new(loop, PROBES_MAX, probe_take, watcher, &watcher->prober);
	if (!err)
		err = operator_probes_new(loop, maps, watcher->prober, &watcher->operators);
	if (!err)
		err = scraper_new(loop, SCRAPES_MAX, scrape_take, watcher, &watcher->scraper);
	if (err) {
		watcher_free(watcher);
		return err;
	}
	*ret_watcher = watcher;
	return 0;
}

void watcher_free(struct watcher *watcher)
{
	if (!watcher)
		return;
	loop_timer_cancel(watcher->loop, &watcher->window);
	operator_probes_free(watcher->operators);
	prober_free(watcher->prober);
	scraper_free(watcher->scraper);
	arena_deinit(&watcher->arena);
	free(watcher);
}

const struct watcher_counts *watcher_counts(const struct watcher *watcher)
{
	return &watcher->counts;
}
