/* SPDX-License-Identifier: BSD-2-Clause */
/* What the files of a session share among themselves; nobody else's. */
#ifndef SLUICE_PROXY_SESSION_PARTS_H
#define SLUICE_PROXY_SESSION_PARTS_H

#include "userspace/proxy/session.h"

/* session.c */
void session_shut(struct session *s);
void session_timer_set(struct session *s, uint64_t delay_ns);
/* Waits for a request: the first, or the next. */
void session_begin_idle(struct session *s);
/* The first bytes of a request are, or will be, in the buffer. */
void session_begin_head(struct session *s);

/* session_preface.c: whose PROXY headers are believed; more of one from the socket;
 * or it did not come */
bool session_preface_is_believed(const struct session *s);
void session_read_preface(struct session *s);
void session_preface_fail(struct session *s, enum proxy_error error);

/* session_request.c: more of the request from the socket, ... */
void session_read_head(struct session *s);
void session_read_body(struct session *s);
/* ... and a look at what is in the buffer. */
void session_parse_head(struct session *s);
/* The session's buffer, taken if it has none; NULL: there are not enough left. */
char *session_request_buffer(struct session *s);

#endif
