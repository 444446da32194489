/* SPDX-License-Identifier: BSD-2-Clause */
/* One HTTP/1.1 exchange with a numeric address, on a loop: what probes and
 * scrapes are made of.  Connections are kept alive in a small pool a fetcher
 * and reused; a request that fails on a reused connection before any byte of
 * the answer came is tried once more on a fresh one.
 */
#ifndef SLUICE_HTTP_FETCH_H
#define SLUICE_HTTP_FETCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "maps/layout/types.h"

struct loop;
struct fetcher;
struct fetch;

struct fetch_request {
	struct ip_addr addr;
	uint16_t port; /* host order */
	bool keep_alive;
	const char *method; /* NULL: GET */
	const char *host; /* Host header; NULL: the address */
	const char *path; /* with query; begins with '/' */
	uint32_t timeout_ms; /* for the whole exchange */
	size_t body_bytes_max; /* -EFBIG beyond it */
};

struct fetch_result {
	int err; /* 0; -ECONNREFUSED, -ETIMEDOUT, -EHOSTUNREACH, -ECONNRESET,
		    -EBADMSG (not HTTP), -EFBIG, ... */
	int status; /* of the answer when err is 0 */
	uint64_t connect_ns; /* TCP connect, 0 when reused: a measure of round trip */
	uint64_t total_ns;
};

struct fetch_callbacks {
	/* body bytes as they come; may be NULL */
	void (*body)(void *ctx, const char *data, size_t length);
	/* once; the fetch is gone after it */
	void (*done)(void *ctx, const struct fetch_result *result);
};

/* fetches_max: how many may run at once, and how many idle connections are kept.
 * Each running fetch arms one timer of the loop. */
int fetcher_new(struct loop *loop, size_t fetches_max, struct fetcher **ret_fetcher);
/* Cancels what runs, without callbacks.  Not from a callback of a fetch. */
void fetcher_free(struct fetcher *fetcher);

/* Copies the request.  done() may only be called later, from the loop.
 * -EBUSY: fetches_max are running; -EINVAL: method, host or path cannot stand in
 * a request; -ENAMETOOLONG: together they are longer than 2000 bytes.  What the
 * network says comes in done().  ret_fetch may be NULL. */
int fetch_start(struct fetcher *fetcher, const struct fetch_request *request,
		const struct fetch_callbacks *callbacks, void *ctx, struct fetch **ret_fetch);
/* No callback comes after it.  Fine from its own body(). */
void fetch_cancel(struct fetch *fetch);

#endif
