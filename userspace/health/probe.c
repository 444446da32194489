// SPDX-License-Identifier: BSD-2-Clause
/* One timer an endpoint: it fires, an exchange (or a mere connection) starts, its end
 * steps the state machine, reports, and arms the timer again.  Every probe opens a connection
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
#include "userspace/health/connect.h"
#include "userspace/health/ports.h"
#include "userspace/http/fetch.h"

#define PROBE_BODY_MAX (1u << 20)
#define PROBE_BUSY_NS (20 * NS_PER_MS) /* all slots taken: look again */
#define PROBE_BUSY_OTHER_NS (200 * NS_PER_MS) /* the same when it is not UP */
#define PORT_TRIES 4 /* others may have bound ports of ours */

struct probe {
	struct prober *prober;
	struct probe_target target;
	struct health_track track;
	struct timer timer;
	struct fetch *fetch; /* NULL: none is running */
	struct connection *connection; /* likewise */
	uint16_t port; /* of port_queue, 0: none */
	bool patient; /* the one running was of an endpoint that was DOWN */
	uint64_t round; /* counts probes, seeds jitter */
};

struct prober {
	struct loop *loop;
	struct fetcher *fetcher;
	struct connector *connector;
	struct port_queue *ports; /* NULL: no probes with a mark */
	const struct probe_hooks *hooks;
	void *hooks_ctx;
	size_t patient_count, patient_max;
	probe_callback callback;
	void *ctx;
	struct probe *probes[ENDPOINTS_MAX];
};

enum health_reason probe_reason_of(int err)
{
	switch (-err) {
	case 0: return HEALTH_REASON_OK;
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
	case EADDRINUSE:
	case EADDRNOTAVAIL: return HEALTH_REASON_NONE;
	default: return HEALTH_REASON_PROTOCOL;
	}
}

enum health_reason probe_reason(const struct fetch_result *result)
{
	if (!result->err && (result->status < 200 || result->status > 399))
		return HEALTH_REASON_STATUS;
	return probe_reason_of(result->err);
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

static void port_release(struct probe *probe)
{
	if (probe->port)
		port_queue_give(probe->prober->ports, probe->port);
	probe->port = 0;
}

static void slot_release(struct probe *probe)
{
	probe->prober->patient_count -= probe->patient;
	probe->patient = false;
	probe->fetch = NULL;
	probe->connection = NULL;
	port_release(probe);
}

static void probe_finish(struct probe *probe, enum health_reason reason, int status,
			 uint64_t connect_ns)
{
	struct prober *prober = probe->prober;
	struct probe_report report = {
		.id = probe->target.id,
		.generation = probe->target.generation,
		.track = &probe->track,
		.status = status,
		.connect_ns = connect_ns,
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

static void fetch_done(void *ctx, const struct fetch_result *result)
{
	probe_finish(ctx, probe_reason(result), result->err ? 0 : result->status,
		     result->connect_ns);
}

static enum health_reason path_end(struct probe *probe, int err)
{
	struct prober *prober = probe->prober;

	return prober->hooks->end(prober->hooks_ctx, &probe->target, probe->port, err,
				  probe_reason_of(err));
}

static void connect_done(void *ctx, int err, uint64_t connect_ns)
{
	struct probe *probe = ctx;

	probe_finish(probe, probe->port ? path_end(probe, err) : probe_reason_of(err), 0,
		     connect_ns);
}

static int fetch_begin(struct probe *probe)
{
	static const struct fetch_callbacks callbacks = {.done = fetch_done};
	const struct probe_target *target = &probe->target;
	const struct fetch_request request = {
		.addr = target->addr,
		.port = target->port,
		.host = target->host[0] ? target->host : NULL,
		.path = target->path,
		.timeout_ms = target->policy.timeout_ms,
		.body_bytes_max = PROBE_BODY_MAX,
	};

	return fetch_start(probe->prober->fetcher, &request, &callbacks, probe, &probe->fetch);
}

static int connect_begin(struct probe *probe)
{
	const struct probe_target *target = &probe->target;
	const struct connect_request request = {
		.addr = target->addr,
		.port = target->port,
		.timeout_ms = target->policy.timeout_ms,
		.source = target->source,
		.source_port = probe->port,
		.mark = target->mark,
	};

	return connect_start(probe->prober->connector, &request, connect_done, probe,
			     &probe->connection);
}

/* The endpoint's next port; -EBUSY: none for it. */
static int port_take(struct probe *probe, bool patient)
{
	struct port_queue *ports = probe->prober->ports;

	if (patient && port_queue_free_count(ports) <= port_queue_size(ports) / 4)
		return -EBUSY;
	probe->port = port_queue_take(ports);
	return probe->port ? 0 : -EBUSY;
}

/* With a mark: from a port of ours, of which the owner knows before a packet leaves. */
static int path_begin(struct probe *probe, bool patient)
{
	struct prober *prober = probe->prober;
	int err = -EADDRINUSE;

	for (int i = 0; i < PORT_TRIES && err == -EADDRINUSE; i++) {
		err = port_take(probe, patient);
		if (err)
			return err;
		prober->hooks->begin(prober->hooks_ctx, &probe->target, probe->port);
		err = connect_begin(probe);
		if (!err)
			return 0;
		if (err != -EBUSY)
			path_end(probe, err);
		port_release(probe);
	}
	return err;
}

static int probe_begin(struct probe *probe, bool patient)
{
	if (probe->target.kind == PROBE_HTTP)
		return fetch_begin(probe);
	return probe->target.mark ? path_begin(probe, patient) : connect_begin(probe);
}

/* -EBUSY: no slot.  Dead servers keep a slot until the timeout, and a dark region
 * has thousands of them: a quarter of all slots is not for those. */
static int slot_take(struct probe *probe)
{
	struct prober *prober = probe->prober;
	bool patient = probe->track.state == HEALTH_DOWN;
	int err;

	if (patient && prober->patient_count >= prober->patient_max)
		return -EBUSY;
	err = probe_begin(probe, patient);
	if (err)
		return err;
	probe->patient = patient;
	prober->patient_count += patient;
	return 0;
}

static void probe_start(struct timer *timer)
{
	struct probe *probe = container_of(timer, struct probe, timer);
	int err = slot_take(probe);

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
		probe_arm(probe, health_track_pause_ns(&probe->track, &probe->target.policy,
						       probe_seed(probe)));
}

static void probe_free(struct probe *probe)
{
	if (!probe)
		return;
	loop_timer_cancel(probe->prober->loop, &probe->timer);
	if (probe->fetch)
		fetch_cancel(probe->fetch);
	if (probe->connection)
		connect_cancel(probe->connection);
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
	if (!err)
		err = connector_new(loop, probes_max, &prober->connector);
	if (err) {
		prober_free(prober);
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
	connector_free(prober->connector);
	port_queue_free(prober->ports);
	free(prober);
}

int prober_path(struct prober *prober, uint16_t low, uint16_t high, const struct probe_hooks *hooks,
		void *ctx)
{
	prober->hooks = hooks;
	prober->hooks_ctx = ctx;
	return port_queue_new(low, high, &prober->ports);
}

static bool target_is_same_server(const struct probe_target *a, const struct probe_target *b)
{
	return a->generation == b->generation && a->port == b->port &&
	       address_equal(&a->addr, &b->addr);
}

static bool target_is_same(const struct probe_target *a, const struct probe_target *b)
{
	return target_is_same_server(a, b) && a->kind == b->kind && a->mark == b->mark &&
	       address_equal(&a->source, &b->source) && strcmp(a->path, b->path) == 0 &&
	       strcmp(a->host, b->host) == 0 && a->policy.interval_ms == b->policy.interval_ms &&
	       a->policy.timeout_ms == b->policy.timeout_ms && a->policy.rise == b->policy.rise &&
	       a->policy.fall == b->policy.fall;
}

int prober_put(struct prober *prober, const struct probe_target *target,
	       const struct health_track *start)
{
	struct probe *old = prober->probes[target->id];
	struct probe *probe;

	if (target->mark && !prober->ports)
		return -EINVAL;
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
