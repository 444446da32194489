// SPDX-License-Identifier: BSD-2-Clause
/* One timer an endpoint, like the prober's; the pages being read come from a
 * fixed store, as many as scrapes may run.  The pause counts from the end of a
 * scrape: a slow server is never asked twice at once. */
#include "userspace/scrape/scraper.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "maps/layout/contract.h"
#include "userspace/base/address.h"
#include "userspace/base/cleanup.h"
#include "userspace/base/clock.h"
#include "userspace/base/jitter.h"
#include "userspace/base/loop.h"
#include "userspace/http/fetch.h"

#define SCRAPE_BUSY_NS (20 * NS_PER_MS)

struct scrape {
	struct scraper *scraper;
	struct scrape_target target;
	struct timer timer;
	struct fetch *fetch; /* NULL: none is running */
	struct page *page; /* while a fetch is running */
	bool resting; /* the timer is not armed until scraper_wake() */
	uint32_t failures; /* in a row */
	uint64_t round; /* counts scrapes, seeds jitter */
};

struct scraper {
	struct loop *loop;
	struct fetcher *fetcher;
	scrape_callback callback;
	void *ctx;
	struct page *pages; /* scrapes_max */
	struct page **idle; /* stack of those not in use */
	size_t idle_count;
	struct scrape *scrapes[ENDPOINTS_MAX];
};

uint32_t scrape_interval_for(uint32_t pool_endpoints)
{
	return pool_endpoints <= SCRAPE_POOL_SMALL ? SCRAPE_INTERVAL_SMALL_MS : SCRAPE_INTERVAL_MS;
}

uint64_t scrape_pause_ns(uint32_t interval_ms, uint32_t failures, uint64_t seed)
{
	uint64_t pause_ms = interval_ms;

	for (uint32_t i = 2; i < failures && pause_ms < SCRAPE_SLOW_MS; i++)
		pause_ms *= 2;
	if (pause_ms > SCRAPE_SLOW_MS)
		pause_ms = interval_ms > SCRAPE_SLOW_MS ? interval_ms : SCRAPE_SLOW_MS;
	return jitter_around(pause_ms * NS_PER_MS, seed);
}

static uint64_t scrape_seed(const struct scrape *scrape)
{
	/* not the prober's seeds: the two must not meet at one endpoint */
	return ~(((uint64_t)scrape->target.id << 32) ^ scrape->target.generation ^
		 (scrape->round << 16));
}

static void scrape_arm(struct scrape *scrape, uint64_t pause_ns)
{
	loop_timer_after(scrape->scraper->loop, &scrape->timer, pause_ns);
}

static void page_release(struct scrape *scrape)
{
	if (scrape->page)
		scrape->scraper->idle[scrape->scraper->idle_count++] = scrape->page;
	scrape->page = NULL;
	scrape->fetch = NULL;
}

static void scrape_body(void *ctx, const char *data, size_t length)
{
	struct scrape *scrape = ctx;

	page_feed(scrape->page, data, length);
}

static void scrape_done(void *ctx, const struct fetch_result *result)
{
	struct scrape *scrape = ctx;
	struct scraper *scraper = scrape->scraper;
	struct page_sample sample;
	struct scrape_report report = {
		.id = scrape->target.id,
		.generation = scrape->target.generation,
		.sample = &sample,
		.finished_at = clock_realtime_ns(),
	};

	page_end(scrape->page, result->err == 0, &sample);
	page_release(scrape);
	report.result = scrape_result_of(result->err, result->status, &sample);
	scrape->round++;
	if (report.result == SCRAPE_OK)
		scrape->failures = 0;
	else if (scrape->failures < UINT32_MAX)
		scrape->failures++;
	scrape_arm(scrape, scrape_pause_ns(scrape->target.interval_ms, scrape->failures,
					   scrape_seed(scrape)));
	scraper->callback(scraper->ctx, &report); /* may remove the scrape */
}

static void scrape_start(struct timer *timer)
{
	static const struct fetch_callbacks callbacks = {.body = scrape_body, .done = scrape_done};
	struct scrape *scrape = container_of(timer, struct scrape, timer);
	struct scraper *scraper = scrape->scraper;
	const struct fetch_request request = {
		.addr = scrape->target.addr,
		.port = scrape->target.port,
		.keep_alive = true,
		.path = scrape->target.path,
		.timeout_ms = scrape->target.timeout_ms,
		.body_bytes_max = SCRAPE_BYTES_MAX,
	};
	int err = -EBUSY;

	if (scraper->idle_count) {
		scrape->page = scraper->idle[--scraper->idle_count];
		page_init(scrape->page);
		err = fetch_start(scraper->fetcher, &request, &callbacks, scrape, &scrape->fetch);
	}
	if (!err)
		return;
	page_release(scrape);
	scrape->round++;
	if (err == -EBUSY)
		scrape_arm(scrape, jitter_around(SCRAPE_BUSY_NS, scrape_seed(scrape)));
	else
		scrape_arm(scrape, scrape_pause_ns(scrape->target.interval_ms, scrape->failures,
						   scrape_seed(scrape)));
}

static void scrape_stop(struct scrape *scrape)
{
	loop_timer_cancel(scrape->scraper->loop, &scrape->timer);
	if (scrape->fetch)
		fetch_cancel(scrape->fetch);
	page_release(scrape);
}

static void scrape_free(struct scrape *scrape)
{
	if (!scrape)
		return;
	scrape_stop(scrape);
	free(scrape);
}

int scraper_new(struct loop *loop, size_t scrapes_max, scrape_callback callback, void *ctx,
		struct scraper **ret_scraper)
{
	struct scraper *scraper = calloc(1, sizeof(*scraper));
	int err;

	if (!scraper)
		return -ENOMEM;
	scraper->loop = loop;
	scraper->callback = callback;
	scraper->ctx = ctx;
	scraper->pages = calloc(scrapes_max, sizeof(*scraper->pages));
	scraper->idle = calloc(scrapes_max, sizeof(struct page *));
	err = scraper->pages && scraper->idle ? fetcher_new(loop, scrapes_max, &scraper->fetcher)
					      : -ENOMEM;
	if (err) {
		scraper_free(scraper);
		return err;
	}
	for (size_t i = 0; i < scrapes_max; i++)
		scraper->idle[scraper->idle_count++] = &scraper->pages[i];
	*ret_scraper = scraper;
	return 0;
}

void scraper_free(struct scraper *scraper)
{
	if (!scraper)
		return;
	for (uint32_t id = 0; id < ENDPOINTS_MAX; id++)
		scrape_free(scraper->scrapes[id]);
	fetcher_free(scraper->fetcher);
	free(scraper->idle);
	free(scraper->pages);
	free(scraper);
}

static bool target_is_same(const struct scrape_target *a, const struct scrape_target *b)
{
	return a->generation == b->generation && a->port == b->port &&
	       address_equal(&a->addr, &b->addr) && strcmp(a->path, b->path) == 0 &&
	       a->interval_ms == b->interval_ms && a->timeout_ms == b->timeout_ms;
}

int scraper_put(struct scraper *scraper, const struct scrape_target *target)
{
	struct scrape *old = scraper->scrapes[target->id];
	struct scrape *scrape;

	if (old && target_is_same(&old->target, target))
		return 0;
	scrape = calloc(1, sizeof(*scrape));
	if (!scrape)
		return -ENOMEM;
	scrape->scraper = scraper;
	scrape->target = *target;
	scrape->timer = TIMER_INIT(scrape_start);
	scrape_free(old);
	scraper->scrapes[target->id] = scrape;
	scrape_arm(scrape, jitter_below(target->interval_ms * NS_PER_MS, scrape_seed(scrape)));
	return 0;
}

void scraper_remove(struct scraper *scraper, uint32_t id)
{
	scrape_free(scraper->scrapes[id]);
	scraper->scrapes[id] = NULL;
}

void scraper_rest(struct scraper *scraper, uint32_t id)
{
	struct scrape *scrape = scraper->scrapes[id];

	if (!scrape || scrape->resting)
		return;
	scrape_stop(scrape);
	scrape->resting = true;
}

void scraper_wake(struct scraper *scraper, uint32_t id)
{
	struct scrape *scrape = scraper->scrapes[id];

	if (!scrape || !scrape->resting)
		return;
	scrape->resting = false;
	scrape->failures = 0;
	scrape_arm(scrape, 0);
}
