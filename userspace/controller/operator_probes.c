// SPDX-License-Identifier: BSD-2-Clause
/* The maps are the only list of what the operator wants.  A look is one pass over
 * `vips`, for the VIP that stands for each pool, and one over `endpoints`.
 *
 * A probe on the way of traffic says something only if it took it.  The programs count
 * what they turned into packets to the VIP and back: an answer that they did not turn
 * back came by a device where nothing of ours is attached, from whoever has the
 * endpoint's own address, and is thrown away. */
#include "userspace/controller/operator_probes.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "maps/access/maps.h"
#include "userspace/base/address.h"
#include "userspace/base/cleanup.h"
#include "userspace/base/clock.h"
#include "userspace/base/log.h"
#include "userspace/base/loop.h"
#include "userspace/controller/health_record.h"
#include "userspace/health/probe.h"

#define LOOK_NS (1 * NS_PER_S)
/* The timeout leaves room for one SYN sent again, after a second. */
static const struct health_policy policy = {
	.interval_ms = 2000,
	.timeout_ms = 1500,
	.rise = 2,
	.fall = 2,
};

/* The TCP VIP of a pool; of several the one with the lowest key, so that it stays. */
struct pool_vip {
	struct vip_key key;
	uint32_t id;
	bool is_set;
};

/* What is known of one endpoint id. */
struct operated {
	uint32_t generation; /* of the target in the prober; 0: none of ours */
	uint32_t said; /* generation of which a trouble was logged; 0: none */
	uint32_t pool;
};

struct operator_probes {
	struct loop *loop;
	struct maps *maps;
	struct prober *prober;
	struct timer look;
	struct pool_vip vips[POOLS_MAX], vips_next[POOLS_MAX]; /* the second while it is filled */
	struct operated endpoints[ENDPOINTS_MAX];
};

/* ---- messages ---- */

/* True once a generation of an endpoint, so that a trouble is told once. */
static bool say_take(struct operator_probes *probes, uint32_t id, uint32_t generation)
{
	struct operated *operated = &probes->endpoints[id];

	if (operated->said == generation)
		return false;
	operated->said = generation;
	return true;
}

static const char *name_of(const struct operator_probes *probes, uint32_t id)
{
	return probes->maps->endpoints[id].name;
}

/* An answer that our programs did not turn back. */
static void stray_say(struct operator_probes *probes, const struct probe_target *target)
{
	if (say_take(probes, target->id, target->generation))
		log_warning("endpoint %s: it is not probed, as its probes go past the programs of "
			    "TC; 'sluice-loader attach' the devices towards it and from it",
			    name_of(probes, target->id));
}

static void unsent_say(struct operator_probes *probes, const struct probe_target *target)
{
	if (say_take(probes, target->id, target->generation))
		log_warning("endpoint %s: no packet of its probe has left by a device of ours: no "
			    "neighbour answers there, or the device towards it is not attached "
			    "('sluice-loader attach')",
			    name_of(probes, target->id));
}

static void unsendable_say(struct operator_probes *probes, const struct probe_target *target,
			   int err)
{
	char source[ADDRESS_TEXT_MAX];

	if (err == -EADDRINUSE || !say_take(probes, target->id, target->generation))
		return;
	log_warning("endpoint %s: it cannot be probed from %s (%s)%s", name_of(probes, target->id),
		    address_format(&target->source, source), strerror(-err),
		    err == -EADDRNOTAVAIL
			    ? "; give this host the address that 'sluice-loader load' was told"
		    : err == -EPERM ? "; the mark needs CAP_NET_ADMIN, or a firewall forbids it"
				    : "");
}

/* ---- probes on the way of traffic ---- */

static struct probe_port *port_record(const struct operator_probes *probes, uint16_t port)
{
	return &probes->maps->probes[port - probes->maps->contract.probe_port_low];
}

/* The gateway's address of the family of `peer`, for probes of that endpoint: packets are from it,
 * or answers come to it.  Zero: there is none. */
static struct ip_addr source_for(const struct maps *maps, const struct probe_target *target,
				 const struct ip_addr *peer)
{
	const struct contract *contract = &maps->contract;
	const struct path *path = &maps->paths[target->id];
	bool is_ipv4 = address_is_ipv4(peer);
	struct ip_addr source = is_ipv4 ? contract->snat4 : contract->snat6;

	if (address_is_zero(&source))
		source = is_ipv4 ? contract->encap4 : contract->encap6;
	if (address_is_zero(&source) && path->generation == target->generation &&
	    address_is_ipv4(&path->src) == is_ipv4)
		source = path->src;
	return source;
}

/* Packets of this port are nobody's while the record is between two probes. */
static void path_begin(void *ctx, const struct probe_target *target, uint16_t port)
{
	struct operator_probes *probes = ctx;
	struct probe_port *record = port_record(probes, port);
	const struct pool_vip *vip = &probes->vips[probes->endpoints[target->id].pool];

	__atomic_store_n(&record->generation, 0, __ATOMIC_SEQ_CST);
	record->src = target->source;
	record->addr = target->addr;
	record->vip = vip->key.addr;
	record->vip_src = source_for(probes->maps, target, &vip->key.addr);
	record->port = htons(target->port);
	record->vip_port = vip->key.port;
	record->endpoint = target->id;
	record->vip_id = vip->id;
	record->sent = record->returned = 0;
	__atomic_store_n(&record->generation, target->generation, __ATOMIC_SEQ_CST);
}

static enum health_reason path_end(void *ctx, const struct probe_target *target, uint16_t port,
				   int err, enum health_reason reason)
{
	struct operator_probes *probes = ctx;
	const struct probe_port *record = port_record(probes, port);
	bool is_answer = reason == HEALTH_REASON_OK || reason == HEALTH_REASON_REFUSED;

	if (reason == HEALTH_REASON_NONE || err == -EPERM) {
		unsendable_say(probes, target, err);
		return HEALTH_REASON_NONE;
	}
	if (is_answer && !__atomic_load_n(&record->returned, __ATOMIC_RELAXED)) {
		stray_say(probes, target);
		return HEALTH_REASON_NONE;
	}
	if (reason == HEALTH_REASON_TIMEOUT && !__atomic_load_n(&record->sent, __ATOMIC_RELAXED))
		unsent_say(probes, target);
	return reason;
}

static const struct probe_hooks hooks = {.begin = path_begin, .end = path_end};

/* ---- what is probed, and how ---- */

/* False: the endpoint cannot be probed the way of traffic; said once. */
static bool path_fill(struct operator_probes *probes, const struct endpoint *endpoint,
		      const struct pool_vip *vip, struct probe_target *target)
{
	const struct contract *contract = &probes->maps->contract;
	struct ip_addr answers_to = source_for(probes->maps, target, &vip->key.addr);
	const char *trouble = NULL;

	target->source = source_for(probes->maps, target, &target->addr);
	target->mark = contract->probe_mark | target->id;
	if (!contract->probe_mark)
		trouble = "the maps were loaded without a mark for probes";
	else if (address_is_zero(&target->source))
		trouble = "no address of this family to probe from is set; load with --encap";
	else if (address_is_zero(&answers_to))
		trouble = "no address of its VIP's family to probe from is set; load with --encap";
	if (!trouble)
		return true;
	if (say_take(probes, target->id, endpoint->generation))
		log_warning("endpoint %s: it is not probed and serves as it is: %s", endpoint->name,
			    trouble);
	return false;
}

static bool target_of(struct operator_probes *probes, uint32_t id, const struct endpoint *endpoint,
		      struct probe_target *ret_target)
{
	const struct pool_vip *vip;

	if (endpoint->pool >= POOLS_MAX || !endpoint->generation)
		return false;
	vip = &probes->vips[endpoint->pool];
	if (!vip->is_set)
		return false;
	*ret_target = (struct probe_target){
		.id = id,
		.generation = endpoint->generation,
		.addr = endpoint->addr,
		.port = ntohs(endpoint->port),
		.kind = PROBE_TCP,
		.policy = policy,
	};
	return endpoint->way == WAY_NAT || path_fill(probes, endpoint, vip, ret_target);
}

/* A whole record of an endpoint of the operator's; false: none is there (now). */
static bool endpoint_read(const struct maps *maps, uint32_t id, struct endpoint *ret_endpoint)
{
	const struct endpoint *endpoint = &maps->endpoints[id];

	if (__atomic_load_n(&endpoint->way, __ATOMIC_ACQUIRE) == WAY_NONE ||
	    endpoint->owner != VIP_OWNER_OPERATOR)
		return false;
	*ret_endpoint = *endpoint;
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	ret_endpoint->name[sizeof(ret_endpoint->name) - 1] = '\0';
	return __atomic_load_n(&endpoint->way, __ATOMIC_RELAXED) == ret_endpoint->way &&
	       ret_endpoint->way < WAY_COUNT && ret_endpoint->owner == VIP_OWNER_OPERATOR &&
	       __atomic_load_n(&endpoint->generation, __ATOMIC_RELAXED) == ret_endpoint->generation;
}

static void endpoint_put(struct operator_probes *probes, const struct endpoint *endpoint,
			 const struct probe_target *target)
{
	struct operated *operated = &probes->endpoints[target->id];
	struct health_track start =
		health_record_adopt(&probes->maps->health[target->id], target->generation);

	operated->pool = endpoint->pool;
	if (prober_put(probes->prober, target, &start) == 0)
		operated->generation = target->generation;
	/* else out of memory: the next look tries again */
}

/* Nobody probes it any more: no verdict of an earlier probe may stay. */
static void endpoint_drop(struct operator_probes *probes, uint32_t id)
{
	struct operated *operated = &probes->endpoints[id];

	if (!operated->generation)
		return;
	prober_remove(probes->prober, id);
	if (probes->maps->health[id].generation == operated->generation)
		probes->maps->health[id] = (struct health){.generation = operated->generation};
	operated->generation = 0;
}

/* One that nobody probes yet, but an earlier controller did. */
static void endpoint_clear(struct operator_probes *probes, uint32_t id, uint32_t generation)
{
	struct health *health = &probes->maps->health[id];

	if (health->generation == generation && health->state != HEALTH_UNKNOWN)
		*health = (struct health){.generation = generation};
}

static void endpoint_look(struct operator_probes *probes, uint32_t id)
{
	struct probe_target target;
	struct endpoint endpoint;

	if (!endpoint_read(probes->maps, id, &endpoint)) {
		endpoint_drop(probes, id);
		return;
	}
	if (target_of(probes, id, &endpoint, &target)) {
		endpoint_put(probes, &endpoint, &target);
		return;
	}
	endpoint_drop(probes, id);
	endpoint_clear(probes, id, endpoint.generation);
}

static int vip_collect(void *ctx, const struct vip_key *key, const struct vip *vip)
{
	struct operator_probes *probes = ctx;
	struct pool_vip *chosen;

	if (vip->mode != VIP_MODE_L4 || key->proto != IPPROTO_TCP || vip->pool >= POOLS_MAX)
		return 0;
	chosen = &probes->vips_next[vip->pool];
	if (chosen->is_set && memcmp(&chosen->key, key, sizeof(*key)) <= 0)
		return 0;
	*chosen = (struct pool_vip){.key = *key, .id = vip->id, .is_set = true};
	return 0;
}

void operator_probes_follow(struct operator_probes *probes)
{
	int err;

	memset(probes->vips_next, 0, sizeof(probes->vips_next));
	err = vips_each(probes->maps, vip_collect, probes);
	if (err) { /* half a list would take probes away: leave them as they are */
		log_message(LOG_LEVEL_DEBUG, "vips: cannot be walked (%s)", strerror(-err));
		return;
	}
	memcpy(probes->vips, probes->vips_next, sizeof(probes->vips));
	for (uint32_t id = 0; id < ENDPOINTS_MAX; id++)
		endpoint_look(probes, id);
}

static void look(struct timer *timer)
{
	struct operator_probes *probes = container_of(timer, struct operator_probes, look);

	operator_probes_follow(probes);
	loop_timer_after(probes->loop, &probes->look, LOOK_NS);
}

/* ---- life ---- */

bool operator_probes_has(const struct operator_probes *probes, uint32_t id)
{
	return probes->endpoints[id].generation != 0;
}

void operator_probes_forget(struct operator_probes *probes, uint32_t id)
{
	probes->endpoints[id].generation = 0;
}

/* Ports as the contract says, within what the map holds; none without a mark. */
static int path_open(struct operator_probes *probes)
{
	const struct contract *contract = &probes->maps->contract;
	uint32_t low = contract->probe_port_low, high = contract->probe_port_high;

	if (!contract->probe_mark)
		return 0;
	if (!low || low > high || high > UINT16_MAX || high - low >= PROBE_PORTS_MAX)
		return log_error(-EPROTO,
				 "contract: ports %u to %u for health probes make no range of at "
				 "most %d; load again",
				 low, high, PROBE_PORTS_MAX);
	return prober_path(probes->prober, (uint16_t)low, (uint16_t)high, &hooks, probes);
}

int operator_probes_new(struct loop *loop, struct maps *maps, struct prober *prober,
			struct operator_probes **ret_probes)
{
	struct operator_probes *probes = calloc(1, sizeof(*probes));
	int err;

	if (!probes)
		return -ENOMEM;
	probes->loop = loop;
	probes->maps = maps;
	probes->prober = prober;
	probes->look = TIMER_INIT(look);
	err = path_open(probes);
	if (!err)
		err = loop_timer_after(loop, &probes->look, 0);
	if (err) {
		free(probes);
		return err;
	}
	*ret_probes = probes;
	return 0;
}

void operator_probes_free(struct operator_probes *probes)
{
	if (!probes)
		return;
	loop_timer_cancel(probes->loop, &probes->look);
	free(probes);
}
