// SPDX-License-Identifier: BSD-2-Clause
/* The I/O around the book.
 *
 * First all links are read, then all neighbours, then routes are asked for; lost
 * events (ENOBUFS) start this over, and so does a minute, for what the kernel changes
 * without an event (a path's MTU, routes that go with an address).  Questions go in
 * batches, one batch at a time; a batch is answered before sendto() returns, so a
 * turn of the loop asks for 32 routes at most and nothing else waits long.
 *
 * Any change of a route, rule or address asks for all routes again: which prefixes
 * an endpoint's route depends on is the kernel's business.  The next such round waits
 * until the last one is a fifth of the time, so routes that flap cost a bounded share. */
#include "userspace/paths/keeper.h"

#include <errno.h>
#include <linux/rtnetlink.h>
#include <stdlib.h>
#include <string.h>

#include "maps/access/maps.h"
#include "userspace/base/cleanup.h"
#include "userspace/base/clock.h"
#include "userspace/base/log.h"
#include "userspace/base/loop.h"
#include "userspace/paths/path_book.h"
#include "userspace/paths/rtnl_parse.h"
#include "userspace/paths/rtnl_request.h"
#include "userspace/paths/rtnl_socket.h"

#define LOOK_NS (500 * NS_PER_MS)
#define REFRESH_NS (5 * NS_PER_S)
#define SYNC_REFRESHES 12 /* a full reading every so many refreshes */
#define SYNC_PAUSE_NS (100 * NS_PER_MS) /* before a full reading that repairs something */
#define ANSWER_NS (2 * NS_PER_S) /* no answer in this time: start over */
#define ROUND_DELAY_NS (5 * NS_PER_MS) /* events come in bursts */
#define ROUND_SHARE 5
#define ROUND_PAUSE_MAX_NS (700 * NS_PER_MS) /* with 16384 endpoints */
#define DATAGRAMS_A_TURN 256
#define DATAGRAM_BYTES 65536
#define ASKS_MAX (RTNL_BATCH_MAX / 2) /* a question is one or two requests */

enum ask_kind { ASK_NOTHING, ASK_ROUTE, ASK_NEIGHBOUR, ASK_HOLD };

/* A question under way.  It has two sequence numbers, of which its last request has the
 * odd one. */
struct ask {
	enum ask_kind kind;
	uint32_t number; /* sequence / 2 */
	uint32_t id; /* endpoint or next hop */
	uint32_t generation; /* of the endpoint */
	struct route_answer route; /* the first half of the answer */
};

enum sync { SYNC_LINKS, SYNC_NEIGHBOURS, SYNC_DONE };

struct path_keeper {
	struct loop *loop;
	struct path_book *book;
	struct rtnl_socket socket;
	struct watch watch;
	struct timer look, refresh, round, resync;
	enum sync sync; /* what is being read */
	bool list_broken; /* it changed while it was read */
	uint32_t list_sequence;
	uint32_t number; /* of the last question */
	uint32_t asked; /* questions under way */
	uint64_t asked_at_ns; /* the last batch or list */
	uint64_t round_at_ns, round_cost_ns; /* the last round of all routes */
	uint32_t refreshes;
	bool refused; /* it was said that neighbours cannot be held */
	struct ask asks[ASKS_MAX];
	struct rtnl_batch batch;
	_Alignas(8) uint8_t buffer[DATAGRAM_BYTES];
};

static struct path_now now_read(const struct path_keeper *keeper)
{
	return (struct path_now){loop_now_ns(keeper->loop), clock_realtime_ns()};
}

/* ---- full readings ---- */

static uint32_t number_next(struct path_keeper *keeper)
{
	keeper->number = (keeper->number + 1) & (UINT32_MAX / 2);
	if (!keeper->number)
		keeper->number = 1; /* events carry sequence 0 */
	return keeper->number;
}

static void sync_later(struct path_keeper *keeper)
{
	if (!timer_is_armed(&keeper->resync))
		loop_timer_after(keeper->loop, &keeper->resync, SYNC_PAUSE_NS);
}

static void list_ask(struct path_keeper *keeper, enum sync sync)
{
	struct rtnl_batch *batch = &keeper->batch;
	int err;

	keeper->sync = sync;
	keeper->list_broken = false;
	keeper->list_sequence = 2 * number_next(keeper) + 1;
	keeper->asked_at_ns = loop_now_ns(keeper->loop);
	batch->size = batch->count = 0;
	if (sync == SYNC_LINKS) {
		path_book_links_begin(keeper->book);
		rtnl_ask_links(batch, keeper->list_sequence);
	} else {
		path_book_neighbours_begin(keeper->book);
		rtnl_ask_neighbours(batch, keeper->list_sequence);
	}
	err = rtnl_socket_send(&keeper->socket, batch->bytes, batch->size);
	if (err) {
		log_warning("rtnetlink: cannot ask for all %s (%s); trying again",
			    sync == SYNC_LINKS ? "links" : "neighbours", strerror(-err));
		sync_later(keeper);
	}
}

/* Forgets questions under way: who was asked about is asked about again. */
static void sync_begin(struct path_keeper *keeper)
{
	memset(keeper->asks, 0, sizeof(keeper->asks));
	keeper->asked = 0;
	loop_timer_cancel(keeper->loop, &keeper->resync);
	list_ask(keeper, SYNC_LINKS);
}

static void round_begin(struct path_keeper *keeper)
{
	loop_timer_cancel(keeper->loop, &keeper->round);
	path_book_ask_all(keeper->book);
	keeper->round_at_ns = loop_now_ns(keeper->loop);
	keeper->round_cost_ns = 0; /* until it ends */
}

static void list_end(struct path_keeper *keeper)
{
	struct path_now now = now_read(keeper);
	bool whole = !keeper->list_broken;

	if (!whole)
		sync_later(keeper);
	if (keeper->sync == SYNC_LINKS) {
		path_book_links_end(keeper->book, whole, &now);
		list_ask(keeper, SYNC_NEIGHBOURS);
		return;
	}
	path_book_neighbours_end(keeper->book, whole, &now);
	keeper->sync = SYNC_DONE;
	path_book_look(keeper->book, &now);
	round_begin(keeper);
}

/* ---- questions ---- */

static struct ask *ask_new(struct path_keeper *keeper, enum ask_kind kind, uint32_t id)
{
	uint32_t number = number_next(keeper);
	struct ask *ask = &keeper->asks[number % ASKS_MAX];

	*ask = (struct ask){.kind = kind, .number = number, .id = id};
	keeper->asked++;
	return ask;
}

static void neighbour_step(struct path_keeper *keeper, uint32_t id)
{
	const struct nexthop_entry *entry = &keeper->book->hops.entries[id];
	struct path_now now = now_read(keeper);
	struct ask *ask;

	switch (path_book_step(keeper->book, id, &now)) {
	case NEIGHBOUR_NOTHING: return;
	case NEIGHBOUR_ASK:
		ask = ask_new(keeper, ASK_NEIGHBOUR, id);
		rtnl_ask_neighbour(&keeper->batch, 2 * ask->number + 1, entry->device,
				   &entry->key.addr);
		return;
	case NEIGHBOUR_HOLD:
		ask = ask_new(keeper, ASK_HOLD, id);
		rtnl_hold_neighbour(&keeper->batch, 2 * ask->number + 1, entry->device,
				    &entry->key.addr, true);
		return;
	}
}

static void route_ask(struct path_keeper *keeper, uint32_t id)
{
	const struct path_member *member = &keeper->book->members[id];
	struct path_now now = now_read(keeper);
	struct ask *ask;

	if (member->way == WAY_NONE)
		return;
	if (!path_is_askable(&member->addr)) {
		path_book_route(keeper->book, id, member->generation, &(struct route_answer){0},
				&now);
		return;
	}
	ask = ask_new(keeper, ASK_ROUTE, id);
	ask->generation = member->generation;
	rtnl_ask_route(&keeper->batch, 2 * ask->number, &member->addr, true);
	rtnl_ask_route(&keeper->batch, 2 * ask->number + 1, &member->addr, false);
}

/* Sends the next questions, if none is under way. */
static void asks_send(struct path_keeper *keeper)
{
	struct path_book *book = keeper->book;
	struct rtnl_batch *batch = &keeper->batch;
	uint32_t id;
	int err;

	if (keeper->sync != SYNC_DONE || keeper->asked)
		return;
	batch->size = batch->count = 0;
	while (keeper->asked < ASKS_MAX && id_queue_take(&book->steps, &id))
		neighbour_step(keeper, id);
	while (keeper->asked < ASKS_MAX && id_queue_take(&book->routes, &id))
		route_ask(keeper, id);
	if (!book->routes.count && !keeper->round_cost_ns) {
		loop_now_update(keeper->loop);
		keeper->round_cost_ns = loop_now_ns(keeper->loop) - keeper->round_at_ns + 1;
	}
	if (!batch->count)
		return;
	keeper->asked_at_ns = loop_now_ns(keeper->loop);
	err = rtnl_socket_send(&keeper->socket, batch->bytes, batch->size);
	if (err) {
		log_warning("rtnetlink: cannot ask for routes (%s); trying again", strerror(-err));
		sync_later(keeper);
	}
}

static void neighbour_release(struct path_keeper *keeper, const struct neighbour *neighbour)
{
	struct rtnl_batch *batch = &keeper->batch;

	batch->size = batch->count = 0;
	rtnl_hold_neighbour(batch, 2 * number_next(keeper) + 1, neighbour->ifindex,
			    &neighbour->addr, false);
	rtnl_socket_send(&keeper->socket, batch->bytes, batch->size); /* or the next full reading */
}

static void routes_changed(struct path_keeper *keeper)
{
	uint64_t pause_ns = ROUND_SHARE * keeper->round_cost_ns;
	uint64_t at_ns = loop_now_ns(keeper->loop) + ROUND_DELAY_NS;

	if (timer_is_armed(&keeper->round))
		return;
	if (pause_ns > ROUND_PAUSE_MAX_NS)
		pause_ns = ROUND_PAUSE_MAX_NS;
	if (at_ns < keeper->round_at_ns + pause_ns)
		at_ns = keeper->round_at_ns + pause_ns;
	loop_timer_at(keeper->loop, &keeper->round, at_ns);
}

/* ---- answers ---- */

static void ask_end(struct path_keeper *keeper, struct ask *ask)
{
	ask->kind = ASK_NOTHING;
	keeper->asked--;
}

static void hold_refused(struct path_keeper *keeper, int err)
{
	if (keeper->refused || !err)
		return;
	/* a device that goes away meanwhile is nothing to tell of */
	if (err != -EPERM && err != -EACCES && err != -EOPNOTSUPP)
		return;
	keeper->refused = true;
	log_warning("rtnetlink: the kernel refuses to keep neighbours resolved for us (%s); "
		    "packets to neighbours that it forgets go by TC; run as root",
		    strerror(-err));
}

static void ask_failed(struct path_keeper *keeper, struct ask *ask, bool is_last, int err)
{
	struct path_now now = now_read(keeper);

	if (!is_last)
		return; /* the second request will fail too, and counts */
	switch (ask->kind) {
	case ASK_ROUTE:
		ask->route = (struct route_answer){.err = err};
		path_book_route(keeper->book, ask->id, ask->generation, &ask->route, &now);
		break;
	case ASK_NEIGHBOUR: path_book_neighbour_none(keeper->book, ask->id, &now); break;
	case ASK_HOLD: hold_refused(keeper, err); break;
	case ASK_NOTHING: break;
	}
	ask_end(keeper, ask);
}

static void route_take(struct path_keeper *keeper, struct ask *ask, bool is_last,
		       const struct nlmsghdr *message)
{
	struct path_now now = now_read(keeper);
	int err;

	if (!is_last) {
		rtnl_parse_prefsrc(message, &ask->route);
		return;
	}
	err = rtnl_parse_route(message, &ask->route);
	if (err)
		ask->route = (struct route_answer){.err = err};
	path_book_route(keeper->book, ask->id, ask->generation, &ask->route, &now);
	ask_end(keeper, ask);
}

static void neighbour_event(struct path_keeper *keeper, const struct nlmsghdr *message);

/* True: it was an answer. */
static bool answer_take(struct path_keeper *keeper, const struct nlmsghdr *message)
{
	struct ask *ask = &keeper->asks[message->nlmsg_seq / 2 % ASKS_MAX];
	bool is_last = message->nlmsg_seq % 2;
	int err;

	if (ask->kind == ASK_NOTHING || ask->number != message->nlmsg_seq / 2)
		return false;
	if (message->nlmsg_type == NLMSG_ERROR) {
		if (rtnl_parse_error(message, &err) == 0)
			ask_failed(keeper, ask, is_last, err);
	} else if (ask->kind == ASK_ROUTE && message->nlmsg_type == RTM_NEWROUTE) {
		route_take(keeper, ask, is_last, message);
	} else if (ask->kind == ASK_NEIGHBOUR && message->nlmsg_type == RTM_NEWNEIGH) {
		neighbour_event(keeper, message);
		ask_end(keeper, ask);
	}
	return true;
}

/* ---- events and lists ---- */

static void link_event(struct path_keeper *keeper, const struct nlmsghdr *message)
{
	struct path_now now = now_read(keeper);
	bool changed;
	struct link link;

	if (rtnl_parse_link(message, &link))
		return;
	if (message->nlmsg_type == RTM_DELLINK)
		changed = path_book_link_gone(keeper->book, link.ifindex, &now);
	else
		changed = path_book_link(keeper->book, &link, &now);
	if (changed)
		routes_changed(keeper);
}

static void neighbour_event(struct path_keeper *keeper, const struct nlmsghdr *message)
{
	struct path_now now = now_read(keeper);
	struct neighbour neighbour;

	if (rtnl_parse_neighbour(message, &neighbour) ||
	    path_book_neighbour(keeper->book, &neighbour, &now))
		return;
	/* kept by the kernel for a controller before us, and in none of our records */
	if (keeper->sync == SYNC_NEIGHBOURS && neighbour.managed && neighbour.ours)
		neighbour_release(keeper, &neighbour);
}

static void list_answer(struct path_keeper *keeper, const struct nlmsghdr *message)
{
	int err = -EBADMSG;

	if (message->nlmsg_type == NLMSG_DONE) {
		list_end(keeper);
		return;
	}
	rtnl_parse_error(message, &err);
	log_debug("rtnetlink: a list was refused (%s)", strerror(-err));
	sync_later(keeper); /* EBUSY: the kernel still writes a list that we gave up */
}

static int message_take(void *ctx, const struct nlmsghdr *message)
{
	struct path_keeper *keeper = ctx;
	bool is_control = message->nlmsg_type < NLMSG_MIN_TYPE;

	if (message->nlmsg_pid == keeper->socket.portid && message->nlmsg_seq) {
		if (answer_take(keeper, message))
			return 0;
		if (keeper->sync != SYNC_DONE && message->nlmsg_seq == keeper->list_sequence) {
			keeper->list_broken |= message->nlmsg_flags & NLM_F_DUMP_INTR;
			if (is_control)
				list_answer(keeper, message);
		}
	}
	switch (message->nlmsg_type) {
	case RTM_NEWLINK:
	case RTM_DELLINK: link_event(keeper, message); break;
	case RTM_NEWNEIGH:
	case RTM_DELNEIGH: neighbour_event(keeper, message); break;
	default:
		if (!is_control) /* routes, rules, next hop objects, addresses */
			routes_changed(keeper);
	}
	return 0;
}

static void events_lost(struct path_keeper *keeper)
{
	log_info("rtnetlink: more changes than we could follow; reading all links, neighbours "
		 "and routes again");
	sync_later(keeper);
}

static void socket_read(struct watch *watch, uint32_t events)
{
	struct path_keeper *keeper = container_of(watch, struct path_keeper, watch);
	int err = 0;

	(void)events;
	for (int i = 0; i < DATAGRAMS_A_TURN && !err; i++) {
		size_t size;

		err = rtnl_socket_receive(&keeper->socket, keeper->buffer, sizeof(keeper->buffer),
					  &size);
		if (!err && rtnl_each(keeper->buffer, size, message_take, keeper))
			log_debug("rtnetlink: bytes that make no message");
	}
	if (err && err != -EAGAIN)
		events_lost(keeper);
	asks_send(keeper);
}

/* ---- timers ---- */

static void look(struct timer *timer)
{
	struct path_keeper *keeper = container_of(timer, struct path_keeper, look);
	bool waits = keeper->asked || keeper->sync != SYNC_DONE;

	if (waits && loop_now_ns(keeper->loop) > keeper->asked_at_ns + ANSWER_NS) {
		log_warning("rtnetlink: no answer in %llu s; asking again", ANSWER_NS / NS_PER_S);
		sync_later(keeper);
	}
	path_keeper_look(keeper);
	loop_timer_after(keeper->loop, &keeper->look, LOOK_NS);
}

void path_keeper_look(struct path_keeper *keeper)
{
	struct path_now now = now_read(keeper);

	path_book_look(keeper->book, &now);
	asks_send(keeper);
}

static void refresh(struct timer *timer)
{
	struct path_keeper *keeper = container_of(timer, struct path_keeper, refresh);
	struct path_now now = now_read(keeper);
	struct neighbour neighbour;
	bool release;

	while (path_book_reap(keeper->book, &now, &neighbour, &release)) {
		if (release)
			neighbour_release(keeper, &neighbour);
	}
	path_book_refresh(keeper->book);
	if (++keeper->refreshes % SYNC_REFRESHES == 0)
		sync_later(keeper);
	asks_send(keeper);
	loop_timer_after(keeper->loop, &keeper->refresh, REFRESH_NS);
}

static void next_round(struct timer *timer)
{
	struct path_keeper *keeper = container_of(timer, struct path_keeper, round);

	round_begin(keeper);
	asks_send(keeper);
}

static void resync(struct timer *timer)
{
	sync_begin(container_of(timer, struct path_keeper, resync));
}

/* ---- life ---- */

static int timers_start(struct path_keeper *keeper)
{
	int err = loop_timer_after(keeper->loop, &keeper->look, LOOK_NS);

	return err ?: loop_timer_after(keeper->loop, &keeper->refresh, REFRESH_NS);
}

static void path_keeper_freep(struct path_keeper **keeper)
{
	path_keeper_free(*keeper);
}

int path_keeper_new(struct loop *loop, struct maps *maps, struct path_keeper **ret_keeper)
{
	_cleanup_(path_keeper_freep) struct path_keeper *keeper = calloc(1, sizeof(*keeper));
	struct path_now now;
	int err;

	if (!keeper)
		return log_error(-ENOMEM, "paths: out of memory");
	keeper->loop = loop;
	keeper->watch = WATCH_INIT(socket_read);
	keeper->look = TIMER_INIT(look);
	keeper->refresh = TIMER_INIT(refresh);
	keeper->round = TIMER_INIT(next_round);
	keeper->resync = TIMER_INIT(resync);
	now = now_read(keeper);
	err = path_book_new(maps->endpoints, &maps->contract, maps->paths, maps->nexthops, &now,
			    &keeper->book);
	if (err)
		return log_error(err, "paths: out of memory");
	err = rtnl_socket_open(&keeper->socket);
	if (err)
		return err;
	err = loop_watch(loop, &keeper->watch, keeper->socket.fd, EPOLLIN) ?: timers_start(keeper);
	if (err)
		return log_error(err, "paths: cannot follow rtnetlink (%s)", strerror(-err));
	sync_begin(keeper);
	*ret_keeper = TAKE_PTR(keeper);
	return 0;
}

void path_keeper_free(struct path_keeper *keeper)
{
	if (!keeper)
		return;
	loop_timer_cancel(keeper->loop, &keeper->look);
	loop_timer_cancel(keeper->loop, &keeper->refresh);
	loop_timer_cancel(keeper->loop, &keeper->round);
	loop_timer_cancel(keeper->loop, &keeper->resync);
	loop_unwatch(keeper->loop, &keeper->watch);
	rtnl_socket_close(&keeper->socket);
	free(keeper->book);
	free(keeper);
}
