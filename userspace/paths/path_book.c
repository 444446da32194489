// SPDX-License-Identifier: BSD-2-Clause
/* A path refers to a next hop only after the hop's record is there, and a hop is
 * freed a minute after the last path let go of it.
 *
 * A way that encapsulates, or L2, bypasses the kernel's neighbour code for hours, so
 * its neighbour is held: the kernel is asked to keep it resolved.  Endpoints reached by
 * NAT have paths too, but XDP asks the kernel for each of their packets, so their
 * neighbours are only watched, not held. */
#include "userspace/paths/path_book.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/neighbour.h>
#include <stdlib.h>
#include <string.h>

#include "maps/access/maps.h"
#include "userspace/base/address.h"
#include "userspace/base/cleanup.h"
#include "userspace/base/log.h"

#define HOLD_PAUSE_NS (300 * NS_PER_MS) /* between two requests to hold one neighbour */
#define PROBLEMS_NAMED_MAX 50 /* between two refreshes; the rest is counted */
/* Next hops that only NAT needs leave these ids to others. */
#define HOPS_KEPT (NEXTHOPS_MAX / 4)

static bool way_holds(uint8_t way)
{
	return way == WAY_IPIP || way == WAY_GUE || way == WAY_L2;
}

int path_book_new(const struct endpoint *endpoints, const struct contract *contract,
		  struct path *paths, struct nexthop *nexthops, const struct path_now *now,
		  struct path_book **ret_book)
{
	struct path_book *book = calloc(1, sizeof(*book));

	if (!book)
		return -ENOMEM;
	book->endpoints = endpoints;
	book->contract = contract;
	book->paths = paths;
	book->nexthops = nexthops;
	nexthop_table_init(&book->hops);
	nexthop_table_adopt(&book->hops, nexthops, now->monotonic_ns);
	*ret_book = book;
	return 0;
}

/* ---- next hops ---- */

static void hop_write(struct path_book *book, uint32_t id, const struct path_now *now)
{
	const struct nexthop record = nexthop_entry_record(&book->hops.entries[id]);

	nexthop_put(&book->nexthops[id], &record, now->realtime_ns);
}

/* The hop of this choice with one user more, its device as the choice says. */
static uint32_t hop_take(struct path_book *book, const struct path_choice *choice, bool holds,
			 const struct path_now *now)
{
	uint32_t id = nexthop_table_find(&book->hops, &choice->hop);
	struct nexthop_entry *entry;

	if (id == NEXTHOP_NONE && (holds || book->hops.count < NEXTHOPS_MAX - HOPS_KEPT))
		id = nexthop_table_take(&book->hops, &choice->hop, now->monotonic_ns);
	if (id == NEXTHOP_NONE)
		return id;
	entry = &book->hops.entries[id];
	if (entry->device != choice->device) {
		entry->device = choice->device;
		book->known[id] = false;
	}
	entry->exit = choice->exit;
	if (!book->known[id] || (holds && !entry->holders))
		id_queue_put(&book->steps, id);
	nexthop_table_use(&book->hops, id, holds);
	hop_write(book, id, now);
	return id;
}

static void hop_drop(struct path_book *book, struct path_member *member, const struct path_now *now)
{
	if (member->nexthop != NEXTHOP_NONE)
		nexthop_table_drop(&book->hops, member->nexthop, way_holds(member->way),
				   now->monotonic_ns);
	member->nexthop = NEXTHOP_NONE;
}

/* Is nobody in the kernel trying to resolve it? */
static bool neighbour_rests(const struct neighbour *neighbour)
{
	return !neighbour_is_resolved(neighbour) && !(neighbour->state & NUD_INCOMPLETE);
}

/* Is the neighbour of this hop to be kept by the kernel, and is not? */
static bool hop_wants_hold(const struct nexthop_entry *entry)
{
	return entry->taken && entry->device && entry->holders && !entry->neighbour.managed &&
	       !(entry->neighbour.state & (NUD_PERMANENT | NUD_NOARP));
}

enum neighbour_step path_book_step(struct path_book *book, uint32_t id, const struct path_now *now)
{
	const struct nexthop_entry *entry = &book->hops.entries[id];

	if (!entry->taken || !entry->device)
		return NEIGHBOUR_NOTHING;
	if (!book->known[id])
		return NEIGHBOUR_ASK;
	if (!hop_wants_hold(entry))
		return NEIGHBOUR_NOTHING;
	/* a table that is flushed all the time must not keep us busy */
	if (book->held_at_ns[id] && now->monotonic_ns < book->held_at_ns[id] + HOLD_PAUSE_NS) {
		book->hold_waits[id] = book->paused = true; /* the next look comes back to it */
		return NEIGHBOUR_NOTHING;
	}
	book->held_at_ns[id] = now->monotonic_ns;
	return NEIGHBOUR_HOLD;
}

static void problems_count(struct path_book *book)
{
	if (book->problems_unnamed)
		log_warning("paths: %u more endpoints have no path; 'sluicectl show paths' says "
			    "which",
			    book->problems_unnamed);
	book->problems_named = book->problems_unnamed = 0;
}

void path_book_refresh(struct path_book *book)
{
	problems_count(book);
	for (uint32_t id = 0; id < NEXTHOPS_MAX; id++) {
		if (hop_wants_hold(&book->hops.entries[id]))
			id_queue_put(&book->steps, id);
	}
}

bool path_book_reap(struct path_book *book, const struct path_now *now,
		    struct neighbour *ret_neighbour, bool *ret_release)
{
	for (uint32_t id = 0; id < NEXTHOPS_MAX; id++) {
		struct nexthop_entry *entry = &book->hops.entries[id];

		if (!nexthop_entry_is_over(entry, now->monotonic_ns))
			continue;
		*ret_neighbour = entry->neighbour;
		*ret_release = entry->neighbour.managed && entry->neighbour.ours;
		nexthop_table_free(&book->hops, id);
		book->known[id] = false;
		book->held_at_ns[id] = 0;
		book->hold_waits[id] = false;
		hop_write(book, id, now);
		return true;
	}
	return false;
}

/* ---- endpoints ---- */

static void problem_say(struct path_book *book, uint32_t id, enum path_problem problem,
			const struct route_answer *route)
{
	const struct endpoint *endpoint = &book->endpoints[id];
	struct path_member *member = &book->members[id];
	bool is_new = problem != member->said;
	char text[ADDRESS_TEXT_MAX];

	member->said = (uint8_t)problem;
	/* by NAT the kernel decides, and probes say what becomes of it */
	if (!problem || !is_new || !way_holds(member->way))
		return;
	if (book->problems_named == PROBLEMS_NAMED_MAX) {
		book->problems_unnamed++;
		return;
	}
	book->problems_named++;
	log_warning("endpoint %.*s (%s): no path: %s%s%s%s",
		    (int)strnlen(endpoint->name, sizeof(endpoint->name)), endpoint->name,
		    address_format(&member->addr, text), path_problem_text(problem),
		    route->err ? " (" : "", route->err ? strerror(-route->err) : "",
		    route->err ? ")" : "");
}

void path_book_route(struct path_book *book, uint32_t id, uint32_t generation,
		     const struct route_answer *route, const struct path_now *now)
{
	struct path_member *member = &book->members[id];
	struct path_member before = *member;
	struct path_choice choice;
	struct path path = {0};

	if (member->way == WAY_NONE || member->generation != generation)
		return;
	choice = path_choose(member->way, &member->addr, route, &book->links, book->contract);
	member->nexthop = NEXTHOP_NONE;
	if (!choice.problem) {
		if (choice.has_hop)
			member->nexthop = hop_take(book, &choice, way_holds(member->way), now);
		if (choice.has_hop && member->nexthop == NEXTHOP_NONE)
			choice.problem = PATH_PROBLEM_TABLE_FULL;
		path = choice.path;
		path.nexthop = member->nexthop;
		path.generation = generation;
	}
	path_put(&book->paths[id], &path);
	hop_drop(book, &before, now); /* after the new one is taken: it may be the same */
	problem_say(book, id, choice.problem, route);
}

static void member_leave(struct path_book *book, uint32_t id, const struct path_now *now)
{
	struct path_member *member = &book->members[id];

	path_put(&book->paths[id], &(struct path){0});
	hop_drop(book, member, now);
	member->way = WAY_NONE;
}

/* Reads what the slot is now; false: it is being written, the next look sees it. */
static bool member_read(const struct endpoint *endpoint, struct path_member *ret_member)
{
	struct path_member member = {.nexthop = NEXTHOP_NONE};

	member.way = __atomic_load_n(&endpoint->way, __ATOMIC_ACQUIRE);
	if (member.way >= WAY_COUNT)
		member.way = WAY_NONE;
	if (member.way != WAY_NONE) {
		member.generation = __atomic_load_n(&endpoint->generation, __ATOMIC_RELAXED);
		member.addr = endpoint->addr;
		__atomic_thread_fence(__ATOMIC_ACQUIRE);
		if (__atomic_load_n(&endpoint->way, __ATOMIC_RELAXED) != member.way ||
		    __atomic_load_n(&endpoint->generation, __ATOMIC_RELAXED) != member.generation)
			return false;
	}
	*ret_member = member;
	return true;
}

static bool member_equal(const struct path_member *a, const struct path_member *b)
{
	if (a->way == WAY_NONE && b->way == WAY_NONE)
		return true;
	return a->way == b->way && a->generation == b->generation &&
	       address_equal(&a->addr, &b->addr);
}

/* Next hops whose turn to be held came too early, resolved meanwhile or not: what resolved them
 * may have been a packet of anyone's, and the kernel does not keep that. */
static void holds_resume(struct path_book *book)
{
	book->paused = false;
	for (uint32_t id = 0; id < NEXTHOPS_MAX; id++) {
		if (book->hold_waits[id])
			id_queue_put(&book->steps, id);
		book->hold_waits[id] = false;
	}
}

void path_book_look(struct path_book *book, const struct path_now *now)
{
	if (book->paused)
		holds_resume(book);
	for (uint32_t id = 0; id < ENDPOINTS_MAX; id++) {
		struct path_member *member = &book->members[id], seen;

		if (!member_read(&book->endpoints[id], &seen) ||
		    (member_equal(member, &seen) && (book->looked || seen.way != WAY_NONE)))
			continue;
		/* what an earlier controller wrote stays until the first answer is here */
		if (member->way != WAY_NONE || seen.way == WAY_NONE)
			member_leave(book, id, now);
		*member = seen;
		if (seen.way != WAY_NONE)
			id_queue_put(&book->routes, id);
	}
	book->looked = true;
}

void path_book_ask_all(struct path_book *book)
{
	for (uint32_t id = 0; id < ENDPOINTS_MAX; id++) {
		if (book->members[id].way != WAY_NONE)
			id_queue_put(&book->routes, id);
	}
}

/* ---- links and neighbours ---- */

/* Next hops show what their device is now, before any route is asked for again. */
static void hops_follow_links(struct path_book *book, const struct path_now *now)
{
	for (uint32_t id = 0; id < NEXTHOPS_MAX; id++) {
		struct nexthop_entry *entry = &book->hops.entries[id];
		struct link_exit exit;

		if (!entry->taken || !entry->device)
			continue;
		if (link_table_exit(&book->links, entry->device, &exit) &&
		    exit.ifindex == entry->key.ifindex && exit.vlan == entry->key.vlan)
			entry->exit = exit;
		else
			entry->exit.up = false;
		hop_write(book, id, now);
	}
}

bool path_book_link(struct path_book *book, const struct link *link, const struct path_now *now)
{
	if (!link_table_put(&book->links, link))
		return false;
	book->links_changed = true;
	if (!book->links_listed)
		hops_follow_links(book, now);
	return true;
}

bool path_book_link_gone(struct path_book *book, uint32_t ifindex, const struct path_now *now)
{
	if (!link_table_remove(&book->links, ifindex))
		return false;
	hops_follow_links(book, now);
	return true;
}

void path_book_links_begin(struct path_book *book)
{
	link_table_begin(&book->links);
	book->links_listed = true;
	book->links_changed = false;
}

bool path_book_links_end(struct path_book *book, bool whole, const struct path_now *now)
{
	book->links_listed = false;
	if (whole && link_table_sweep(&book->links))
		book->links_changed = true;
	if (book->links_changed)
		hops_follow_links(book, now);
	return book->links_changed;
}

/* The next hop that this is the neighbour of, or NEXTHOP_NONE. */
static uint32_t hop_of(const struct path_book *book, const struct neighbour *neighbour)
{
	struct link_exit exit;
	struct nexthop_key key;

	if (!link_table_exit(&book->links, neighbour->ifindex, &exit))
		return NEXTHOP_NONE;
	key = (struct nexthop_key){exit.ifindex, exit.vlan, neighbour->addr};
	return nexthop_table_find(&book->hops, &key);
}

static void neighbour_take(struct path_book *book, uint32_t id, const struct neighbour *neighbour,
			   const struct path_now *now)
{
	struct nexthop_entry *entry = &book->hops.entries[id];
	bool is_news = !book->known[id] || entry->neighbour.managed;

	entry->neighbour = *neighbour;
	entry->round = book->hops.round;
	book->known[id] = true;
	/* kernels that keep nothing: what is resolved waits for the next refresh */
	if (hop_wants_hold(entry) && (is_news || neighbour_rests(neighbour)))
		id_queue_put(&book->steps, id);
	hop_write(book, id, now);
}

bool path_book_neighbour(struct path_book *book, const struct neighbour *neighbour,
			 const struct path_now *now)
{
	uint32_t id = hop_of(book, neighbour);

	if (id == NEXTHOP_NONE)
		return false;
	neighbour_take(book, id, neighbour, now);
	return true;
}

void path_book_neighbours_begin(struct path_book *book)
{
	book->hops.round++;
}

void path_book_neighbour_none(struct path_book *book, uint32_t id, const struct path_now *now)
{
	const struct nexthop_entry *entry = &book->hops.entries[id];
	const struct neighbour none = {.ifindex = entry->device, .addr = entry->key.addr};

	if (entry->taken)
		neighbour_take(book, id, &none, now);
}

void path_book_neighbours_end(struct path_book *book, bool whole, const struct path_now *now)
{
	for (uint32_t id = 0; whole && id < NEXTHOPS_MAX; id++) {
		const struct nexthop_entry *entry = &book->hops.entries[id];

		if (entry->taken && entry->round != book->hops.round)
			path_book_neighbour_none(book, id, now);
	}
}
