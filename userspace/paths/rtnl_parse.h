/* SPDX-License-Identifier: BSD-2-Clause */
/* rtnetlink messages as values.  Every length is checked: a message is bytes of
 * somebody else's, also when that is the kernel. */
#ifndef SLUICE_PATHS_RTNL_PARSE_H
#define SLUICE_PATHS_RTNL_PARSE_H

#include <stddef.h>
#include <stdint.h>

#include "userspace/paths/link_table.h"
#include "userspace/paths/route.h"

struct nlmsghdr;

/* Calls `each` for every whole message of a datagram; stops at and returns its first
 * non-zero value.  -EBADMSG: bytes are left that make no message. */
int rtnl_each(const void *datagram, size_t size,
	      int (*each)(void *ctx, const struct nlmsghdr *message), void *ctx);

/* All: -EBADMSG for what is cut or of impossible length; -ENOMSG for what is none of
 * our business (another family, a bridge port, a proxy entry). */

/* RTM_NEWLINK, RTM_DELLINK. */
int rtnl_parse_link(const struct nlmsghdr *message, struct link *ret_link);
/* RTM_NEWNEIGH, RTM_DELNEIGH (then the state is 0). */
int rtnl_parse_neighbour(const struct nlmsghdr *message, struct neighbour *ret_neighbour);
/* Answer to RTM_GETROUTE: where packets go.  Leaves prefsrc alone. */
int rtnl_parse_route(const struct nlmsghdr *message, struct route_answer *answer);
/* Answer to RTM_GETROUTE with RTM_F_FIB_MATCH: the administrator's source address into
 * answer->prefsrc.  One that the kernel put on a route to its own subnet is none. */
int rtnl_parse_prefsrc(const struct nlmsghdr *message, struct route_answer *answer);
/* NLMSG_ERROR: 0 (an acknowledgement) or -errno. */
int rtnl_parse_error(const struct nlmsghdr *message, int *ret_err);

#endif
