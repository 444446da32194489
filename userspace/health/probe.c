// SPDX-License-Identifier: BSD-2-Clause
/* One timer an endpoint: it fires, an exchange starts, its end steps the state
 * machine, reports, and arms the timer again.  Every probe opens a connection
 * of its own, because accepting is part of being well, and its connect time is
 * the round trip we know the cluster by. */
#include "userspace/health/probe.h"

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

#define PROBE_BODY_MAX (1u << 20)
#define PROBE_BUSY_NS (20 * NS_PER_MS) /* all slots taken: look again */
#define PROBE_BUSY_OTHER_NS (200 * NS_PER_MS) /* the same when it is not UP */

struct probe {
	struct prober *prober;
	struct probe_target target;
	struct health_track track;
	struct timer timer;
	struct fetch *fetch; /* NULL: none is running */
	bool patient; /* the one running was of an endpoint that was DOWN */
	uint64_t round; /* counts probes, seeds jitter */
};

struct prober {
	struct loop *loop;
	struct fetcher *fetcher;
	size_t patient_count, patient_max;
	probe_callback callback;
	void *ctx;
	struct probe *probes[ENDPOINTS_MAX];
};

enum health_reason probe_reason(const struct fetch_result *result)
{
	switch (-result->err) {
	case 0:
		return result->status >= 200 && result->status <= 399 ? HEALTH_REASON_OK
								      : HEALTH_REASON_STATUS;
	case ECONNREFUSED: return HEALTH_REASON_REFUSED;
	case ETIMEDOUT: return HEALTH_REASON_TIMEOUT;
	case EHOSTUNREACH:
	case ENETUNREACH:
	case EHOSTDOWN:
	case ENETDOWN:
	case EINVAL: /* an unreachable or prohibit route of some kinds */
	case EACCES:
	case EPERM: return HEALTH_REASON_UNREACHABLE;
	case EMFILE:
	case ENFILE:
	case ENOMEM:
	case ENOBUFS:
	case ENOSPC:
	case EADDRNOTAVAIL: return HEALTH_REASON_NONE;
	default: return HEALTH_REASON_PROTOCOL;
	}
}

static uint64_t probe_seed(const struct probe *probe)
{
	return ((uint64_t)probe->target.id << 32) ^ probe->target.generation ^ (probe->round << 16);
}

static void probe_arm(struct probe *probe, uint64_t pause_ns)
{
	/* capacity for every endpoint is the loop owner's promise */
	loop_timer_after(probe->prober->loop, &probe->timer, pause_ns);
}

static void slot_release(struct probe *probe)
{
	probe->prober->patient_count -= probe->patient;
	probe->patient = false;
	probe->fetch = NULL;
}

static void probe_done(void *ctx, const struct fetch_result *result)
{
	struct probe *probe = ctx;
	struct prober *prober = probe->prober;
	enum health_reason reason = probe_reason(result);
	struct probe_report report = {
		.id = probe->target.id,
		.generation = probe->target.generation,
		.track = &probe->track,
		.status = result->err ? 0 : result->status,
		.connect_ns = result->connect_ns,
		.finished_at = clock_realtime_ns(),
	};

	slot_release(probe);
	probe->round++;
	if (reason != HEALTH_REASON_NONE)
		report.changed = health_track_step(&probe->track, &probe->target.policy, reason,
						   report.finished_at);
	probe_arm(probe,
		  health_track_pause_ns(&probe->track, &probe->target.policy, probe_seed(probe)));
	if (reason != HEALTH_REASON_NONE)
		prober->callback(prober->ctx, &report); /* may remove the probe */
}

/* -EBUSY: no slot.  Dead servers keep a slot until the timeout, and a dark region
 * has thousands of them: a quarter of all slots is not for those. */
static int slot_take(struct probe *probe, const struct fetch_request *request,
		     const struct fetch_callbacks *callbacks)
{
	struct prober *prober = probe->prober;
	bool patient = probe->track.state == HEALTH_DOWN;
	int err;

	if (patient && prober->patient_count >= prober->patient_max)
		return -EBUSY;
	err = fetch_start(prober->fetcher, request, callbacks, probe, &probe->fetch);
	if (err) {
		probe->fetch = NULL;
		return err;
	}
	probe->patient = patient;
	prober->patient_count += patient;
	return 0;
}

static void probe_start(struct timer *timer)
{
	static const struct fetch_callbacks callbacks = {.done = probe_done};
	struct probe *probe = container_of(timer, struct probe, timer);
	const struct probe_target *target = &probe->target;
	const struct fetch_request request = {
		.addr = target->addr,
		.port = target->port,
		.host = target->host[0] ? target->host : NULL,
		.path = target->path,
		.timeout_ms = target->policy.timeout_ms,
		.body_bytes_max = PROBE_BODY_MAX,
	};
	int err = slot_take(probe, &request, &callbacks);

	if (!err)
		return;
	/* nothing was sent: it says nothing of the endpoint */
	probe->round++;
	if (err == -EBUSY)
		probe_arm(probe,
			  jitter_around(probe->track.state == HEALTH_UP ? PROBE_BUSY_NS
									: PROBE_BUSY_OTHER_NS,
					probe_seed(probe)));
	else
		probe_arm(probe,
			  health_track_pause_ns(&probe->track, &target->policy, probe_seed(probe)));
}

static void probe_free(struct probe *probe)
{
	if (!probe)
		return;
	loop_timer_cancel(probe->prober->loop, &probe->timer);
	if (probe->fetch)
		fetch_cancel(probe->fetch);
	slot_release(probe);
	free(probe);
}

int prober_new(struct loop *loop, size_t probes_max, probe_callback callback, void *ctx,
	       struct prober **ret_prober)
{
	struct prober *prober = calloc(1, sizeof(*prober));
	int err;

	if (!prober)
		return -ENOMEM;
	err = fetcher_new(loop, probes_max, &prober->fetcher);
	if (err) {
		free(prober);
		return err;
	}
	prober->loop = loop;
	prober->patient_max = probes_max - probes_max / 4;
	prober->callback = callback;
	prober->ctx = ctx;
	*ret_prober = prober;
	return 0;
}

void prober_free(struct prober *prober)
{
	if (!prober)
		return;
	for (uint32_t id = 0; id < ENDPOINTS_MAX; id++)
		probe_free(prober->probes[id]);
	fetcher_free(prober->fetcher);
	free(prober);
}

static bool target_is_same_server(const struct probe_target *a, const struct probe_target *b)
{
	return a->generation == b->generation && a->port == b->port &&
	       address_equal(&a->addr, &b->addr);
}

static bool target_is_same(const struct probe_target *a, const struct probe_target *b)
{
	return target_is_same_server(a, b) && strcmp(a->path, b->path) == 0 &&
	       strcmp(a->host, b->host) == 0 && a->policy.interval_ms == b->policy.interval_ms &&
	       a->policy.timeout_ms == b->policy.timeout_ms && a->policy.rise == b->policy.rise &&
	       a->policy.fall == b->policy.fall;
}

int prober_put(struct prober *prober, const struct probe_target *target,
	       const struct health_track *start)
{
	struct probe *old = prober->probes[target->id];
	struct probe *probe;

	if (old && target_is_same(&old->target, target))
		return 0;
	probe = calloc(1, sizeof(*probe));
	if (!probe)
		return -ENOMEM;
	probe->prober = prober;
	probe->target = *target;
	probe->timer = TIMER_INIT(probe_start);
	if (old && target_is_same_server(&old->target, target))
		probe->track = old->track;
	else if (start)
		probe->track = *start;
	probe_free(old);
	prober->probes[target->id] = probe;
	probe_arm(probe, health_policy_first_ns(&target->policy, probe_seed(probe)));
	return 0;
}

void prober_remove(struct prober *prober, uint32_t id)
{
	probe_free(prober->probes[id]);
	prober->probes[id] = NULL;
}

const struct health_track *prober_track(const struct prober *prober, uint32_t id)
{
	return prober->probes[id] ? &prober->probes[id]->track : NULL;
}
