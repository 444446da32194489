/* SPDX-License-Identifier: BSD-2-Clause */
/* Every bound of the proxy that is not an option, in one place. */
#ifndef SLUICE_PROXY_LIMITS_H
#define SLUICE_PROXY_LIMITS_H

#include "userspace/base/clock.h"

#define BUFFER_BYTES (32u * 1024) /* one buffer of the pool; also the largest head */
#define OWN_HEADER_BYTES 512 /* a value that we add to an answer */
#define HEAD_FORMAT_BYTES (BUFFER_BYTES + 8u * 1024) /* a head with what we add to it */
#define BODY_BUFFERS_MAX 8 /* of one request; the rest of its body goes to a file */
#define RESTORED_BYTES (2 * BUFFER_BYTES) /* what one read becomes with the client's name in it */
#define OUTBOX_BUFFERS_MAX 4 /* what one read and one head can leave unsent */
#define BUFFERS_RESERVE_SHARE 8 /* 1/8 of the pool is kept for answers under way */
#define BUFFERS_PERIOD_NS (3 * NS_PER_S) /* what one of these never needed goes back */
#define BUFFERS_TRIM_A_TICK 256 /* given back to the kernel; about 0.3 ms of its time */

#define ATTEMPTS_MAX 8
#define BACKENDS_TRIED_MAX 8
#define INTERIM_MAX 8 /* 1xx passed on before one answer */
#define MIRROR_ANSWER_BYTES_MAX (64u << 20) /* read and thrown away */
#define ACCEPTS_A_TURN 64
#define READS_A_TURN 4
#define SESSIONS_SPARE 16 /* beyond --sessions-max, only to say 429 */
#define CLIENT_REFUSALS_MAX 16 /* beyond --client-connections, at a time, only to say 429 */

#define IDLE_UPSTREAMS_A_HOST 64
#define UPSTREAM_IDLE_NS (4 * NS_PER_S) /* uvicorn closes idle connections after 5 s */

#define SESSION_IDLE_NS (75 * NS_PER_S)
#define SESSION_STALL_NS (60 * NS_PER_S) /* no progress with a body or an answer */
#define LAST_ACCEPTS_NS (300 * NS_PER_MS) /* for connections whose handshake is under way */
#define SESSION_DRAIN_NS (1 * NS_PER_S) /* for the request that is on its way */
#define SESSION_DRAIN_FIRST_NS (3 * NS_PER_S) /* for a connection's first one: it surely is */
#define SESSION_REFUSED_NS (1 * NS_PER_S) /* for the request that will be refused */
#define SESSION_LINGER_NS (5 * NS_PER_S)
#define SESSION_LINGER_BYTES (64u << 20)

#define HEALTH_POLL_NS (100 * NS_PER_MS) /* also how long a log line waits */
#define SWEEP_NS (1 * NS_PER_S)
#define SHED_QUEUE_MS 2000.0 /* the best endpoint's queue from which sheddable requests go */

/* A server that answers no packet is noticed after about 2 s while it owes the
 * first byte, later once an answer is under way (that one cannot be retried). */
#define DARK_WAITING_MS 1900
#define DARK_ANSWERING_MS 10000

#define PATH_KEPT_MAX 256 /* of a request's path, for the log */
#define METHOD_KEPT_MAX 24

#endif
