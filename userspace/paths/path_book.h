/* SPDX-License-Identifier: BSD-2-Clause */
/* The book of all paths: takes what changed (endpoints, links, routes, neighbours),
 * keeps the records of maps `paths` and `nexthops` true, and says what must be asked.
 *
 * No socket, no clock, no map: records are arrays that the caller lends, times are
 * arguments.  Who asks the kernel is keeper.c. */
#ifndef SLUICE_PATHS_PATH_BOOK_H
#define SLUICE_PATHS_PATH_BOOK_H

#include <stdbool.h>
#include <stdint.h>

#include "maps/layout/contract.h"
#include "maps/layout/endpoint.h"
#include "maps/layout/path.h"
#include "userspace/paths/choice.h"
#include "userspace/paths/id_queue.h"
#include "userspace/paths/link_table.h"
#include "userspace/paths/nexthop_table.h"
#include "userspace/paths/route.h"

/* What must be asked of a neighbour next. */
enum neighbour_step {
	NEIGHBOUR_NOTHING,
	NEIGHBOUR_ASK, /* what the kernel has of it */
	NEIGHBOUR_HOLD, /* resolve it and keep it resolved */
};

/* An endpoint as it was when its path was asked for. */
struct path_member {
	struct ip_addr addr;
	uint32_t generation;
	uint8_t way; /* enum endpoint_way; WAY_NONE: nobody */
	uint8_t said; /* enum path_problem that was logged last of this generation */
	uint32_t nexthop; /* id it uses, or NEXTHOP_NONE */
};

struct path_now {
	uint64_t monotonic_ns;
	uint64_t realtime_ns;
};

struct path_book {
	/* lent by the caller */
	const struct endpoint *endpoints; /* ENDPOINTS_MAX; others write it at any time */
	const struct contract *contract;
	struct path *paths; /* ENDPOINTS_MAX */
	struct nexthop *nexthops; /* NEXTHOPS_MAX */
	/* the book's */
	bool looked; /* path_book_look() has been called */
	uint32_t problems_named; /* since the last refresh */
	uint32_t problems_unnamed;
	bool paused; /* some of hold_waits[] is true */
	bool links_listed; /* a list of all links is being read */
	bool links_changed; /* since it began */
	struct link_table links;
	struct nexthop_table hops;
	struct path_member members[ENDPOINTS_MAX];
	uint64_t
		held_at_ns[NEXTHOPS_MAX]; /* CLOCK_MONOTONIC of the last request to hold; 0: none */
	bool hold_waits[NEXTHOPS_MAX]; /* it was to be held again too soon */
	bool known[NEXTHOPS_MAX]; /* the kernel has said what it has of the neighbour */
	struct id_queue routes; /* endpoints whose route is to be asked for */
	struct id_queue steps; /* next hops for which path_book_step() is not NOTHING */
};

/* Adopts the next hops that the records hold.  -ENOMEM; free with free(). */
int path_book_new(const struct endpoint *endpoints, const struct contract *contract,
		  struct path *paths, struct nexthop *nexthops, const struct path_now *now,
		  struct path_book **ret_book);

/* Looks through all endpoints for new, changed and gone ones (below 1 ms). */
void path_book_look(struct path_book *book, const struct path_now *now);
/* All routes are to be asked for again. */
void path_book_ask_all(struct path_book *book);
/* The answer for endpoint `id`, if it still is the one of that generation. */
void path_book_route(struct path_book *book, uint32_t id, uint32_t generation,
		     const struct route_answer *route, const struct path_now *now);

/* True: routes may have changed with it. */
bool path_book_link(struct path_book *book, const struct link *link, const struct path_now *now);
bool path_book_link_gone(struct path_book *book, uint32_t ifindex, const struct path_now *now);
/* A list of all links begins and ends; those that were not in it are gone, if it was
 * `whole`.  Next hops follow at its end. */
void path_book_links_begin(struct path_book *book);
bool path_book_links_end(struct path_book *book, bool whole, const struct path_now *now);

/* True: it is the neighbour of a next hop. */
bool path_book_neighbour(struct path_book *book, const struct neighbour *neighbour,
			 const struct path_now *now);
/* The same of neighbours. */
void path_book_neighbours_begin(struct path_book *book);
void path_book_neighbours_end(struct path_book *book, bool whole, const struct path_now *now);
/* The kernel has no entry for the neighbour of next hop `id`. */
void path_book_neighbour_none(struct path_book *book, uint32_t id, const struct path_now *now);

/* What to do for next hop `id`, taken from `steps`; HOLD counts as done. */
enum neighbour_step path_book_step(struct path_book *book, uint32_t id, const struct path_now *now);
/* Every few seconds: neighbours that the kernel does not keep by itself. */
void path_book_refresh(struct path_book *book);
/* Frees one next hop whose time is over; false: there is none.  *ret_release: the kernel
 * was asked to keep *ret_neighbour, which nobody needs any more. */
bool path_book_reap(struct path_book *book, const struct path_now *now,
		    struct neighbour *ret_neighbour, bool *ret_release);

#endif
