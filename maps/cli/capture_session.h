/* SPDX-License-Identifier: BSD-2-Clause */
/* Asking the kernel programs for records, and reading them until it is enough.
 *
 * Map `capture` says what is reported and until when; while a session runs it moves
 * that moment ahead every second, so that whatever kills it ends the capture too.
 * The ring buffer has one consumer: a lock keeps a second session away. */
#ifndef SLUICE_CLI_CAPTURE_SESSION_H
#define SLUICE_CLI_CAPTURE_SESSION_H

#include <stdbool.h>
#include <stdint.h>

#include "maps/access/maps.h"
#include "userspace/base/instance.h"

struct capture_limits {
	uint64_t records; /* stop after so many; 0: no limit */
	uint64_t duration_ns; /* stop after that; 0: no limit */
};

struct capture_sums {
	uint64_t records;
	uint64_t packets; /* that the records stand for */
	uint64_t lost; /* records that found no room; at least */
};

struct capture_output {
	void *ctx;
	/* A record that the filter wants, in the order of the ring buffer.  0, or -errno
	 * after a message, which ends the session. */
	int (*event)(void *ctx, const struct event *event);
	/* Once before the first record, then every second: names may have changed,
	 * clocks too.  Likewise. */
	int (*renew)(void *ctx);
	/* After a batch of records: what is written goes out.  Likewise. */
	int (*flush)(void *ctx);
};

struct capture_session;

/* Takes the lock and throws away what an earlier session has left.  -EBUSY: another
 * one runs; -errno; after a message.  `maps` is as MAPS_OPERATOR and borrowed. */
int capture_session_open(const struct instance *instance, const struct maps *maps,
			 struct capture_session **ret_session);
/* The programs report nothing from here on. */
void capture_session_close(struct capture_session *session);
static inline void capture_session_closep(struct capture_session **session)
{
	capture_session_close(*session);
}

/* Runs until a limit, SIGINT, SIGTERM or SIGHUP.  `asked` has interval, vip and
 * verdicts.  0, or -errno after a message; *ret_sums is filled either way. */
int capture_session_run(struct capture_session *session, const struct capture *asked,
			const struct capture_limits *limits, const struct capture_output *output,
			struct capture_sums *ret_sums);

#endif
