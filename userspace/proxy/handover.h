/* SPDX-License-Identifier: BSD-2-Clause */
/* What a proxy hands to its successor, and how they agree on when: over a socket of
 * packets in the run directory, on which the parent waits.
 *
 *	successor                       parent
 *	   | -------- connects --------> |
 *	   | <-- lock, counters, page, - |  the very sockets and memory, so that
 *	   |          listeners          |  no queue and no count is lost
 *	   |  its workers serve          |  goes on serving, too
 *	   | --------- READY ----------> |
 *	   |                             |  its keeper ends
 *	   | <--------- YOURS ---------- |
 *	   |  pid file, socket, keeper   |  its workers finish what they have, then it ends
 *
 * If either goes away before YOURS, nothing has changed: the parent goes on, the
 * successor finishes what its workers took and ends. */
#ifndef SLUICE_PROXY_HANDOVER_H
#define SLUICE_PROXY_HANDOVER_H

struct proxy;

#define RUN_PROXY_SOCKET "proxy.sock"

enum handover_word {
	HANDOVER_READY = 'R',
	HANDOVER_YOURS = 'Y',
};

/* A socket at `path` in place of any that was there; non-blocking.  Only who runs as
 * we do can connect.  Logs. */
int handover_listen(const char *path, int *ret_fd);
/* One who asks: it has been sent everything, *ret_fd is for the words.  -EAGAIN: nobody
 * asks.  page_fd: the listener of the metrics page, -1: there is none.  Logs. */
int handover_accept(int listener, const struct proxy *proxy, int page_fd, int *ret_fd);

/* Asks who waits at `path`, and fills what is handed over into the proxy; its
 * predecessor_fd is for the words.  -ENOENT: nobody waits there.  Logs. */
int handover_ask(const char *path, struct proxy *proxy);

int handover_say(int fd, enum handover_word word);
/* 0: that word was said; -EAGAIN: nothing was; else the other one has gone. */
int handover_hear(int fd, enum handover_word word);

#endif
