/* SPDX-License-Identifier: BSD-2-Clause */
/* Keeps maps `paths` and `nexthops` true, for the endpoints of every owner: follows
 * links, routes and neighbours of this network namespace by rtnetlink, and looks at map
 * `endpoints` twice a second. */
#ifndef SLUICE_PATHS_KEEPER_H
#define SLUICE_PATHS_KEEPER_H

struct loop;
struct maps;
struct path_keeper;

#define PATH_KEEPER_TIMERS 4

/* maps: role MAPS_CONTROLLER; loop: with room for PATH_KEEPER_TIMERS timers.  Both are
 * borrowed.  -errno after a message. */
int path_keeper_new(struct loop *loop, struct maps *maps, struct path_keeper **ret_keeper);
/* Records and the neighbours that the kernel keeps for us stay as they are. */
void path_keeper_free(struct path_keeper *keeper);

/* Endpoints have been written: look now, not at the next turn. */
void path_keeper_look(struct path_keeper *keeper);

#endif
