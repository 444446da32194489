/* SPDX-License-Identifier: BSD-2-Clause */
/* What the files of a session share among themselves; nobody else's. */
#ifndef SLUICE_PROXY_SESSION_PARTS_H
#define SLUICE_PROXY_SESSION_PARTS_H

#include "userspace/proxy/session.h"

/* session.c */
void session_shut(struct session *s);
void session_timer_set(struct session *s, uint64_t delay_ns);
/* Whether what the client sends is read. */
void session_input(struct session *s, bool wanted);
/* Waits for a request: the first, or the next. */
void session_begin_idle(struct session *s);
/* The first bytes of a request are, or will be, in the buffer. */
void session_begin_head(struct session *s);

/* session_preface.c: whose PROXY headers are believed; more of one from the socket;
 * or it did not come */
bool session_preface_is_believed(const struct session *s);
void session_read_preface(struct session *s);
void session_preface_fail(struct session *s, enum proxy_error error);

/* session_client.c: it is known who the client is; false: it has too many connections
 * and the session is gone */
bool session_client_enter(struct session *s);
void session_client_leave(struct session *s);
/* A request of the client's; false: one too many, and refused. */
bool session_client_request(struct session *s);
/* False: its bytes are beyond the limit; reading goes on when the timer says so. */
bool session_client_may_read(struct session *s);
void session_client_read_on(struct session *s);
/* So many bytes of a body came. */
void session_client_bytes(struct session *s, size_t bytes);

/* session_request.c: more of the request from the socket, ... */
void session_read_head(struct session *s);
void session_read_body(struct session *s);
/* ... and a look at what is in the buffer. */
void session_parse_head(struct session *s);
/* From now on the body must go on coming. */
void session_body_timer_set(struct session *s);
/* The session's buffer, taken if it has none; NULL: there are not enough left. */
char *session_request_buffer(struct session *s);

#endif
