/* SPDX-License-Identifier: BSD-2-Clause */
/* The parts of the L7 bench: one upstream, one load, one floor relay, and the rig
 * that starts them and the proxies.  Everything is HTTP/1.1 over loopback. */
#ifndef SLUICE_BENCH_L7_H
#define SLUICE_BENCH_L7_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define L7_UPSTREAM_ADDR "10.10.0.11"
#define L7_UPSTREAM_PORT 8000
#define L7_MODEL "bench-model"
#define L7_VIP "10.99.0.1"
#define L7_CPU_LOAD 0
#define L7_CPU_PROXY 1
/* The whole body of an answer; the load compares every one with it. */
#define L7_ANSWER                                                                                  \
	"{\"id\":\"chatcmpl-bench\",\"object\":\"chat.completion\",\"model\":\"" L7_MODEL "\"}"
/* An event carries '@' and its send time, CLOCK_MONOTONIC ns in 20 digits. */
#define L7_STAMP_DIGITS 20

enum l7_proxy {
	L7_OURS, /* one worker */
	L7_OURS_TWO, /* the same binary with two workers, only for memory */
	L7_HAPROXY_ROUTE, /* json_query, 64 KiB buffers */
	L7_HAPROXY_STREAM, /* relays all, http-no-delay, 16 KiB buffers */
	L7_HAPROXY_TWO, /* the same with two threads, only for memory */
	L7_NGINX,
	L7_RELAY,
	L7_DIRECT,
	L7_PROXY_COUNT
};

/* ---- l7_upstream.c, l7_relay.c: run until they are killed ---- */

_Noreturn void l7_upstream_run(void);
_Noreturn void l7_relay_run(uint16_t port);

/* ---- l7_load.c ---- */

struct l7_load {
	const char *addr;
	uint16_t port;
	const char *request; /* whole; sent again and again, or once for a stream */
	size_t request_bytes;
	unsigned connections;
	bool is_stream; /* answers never end; tokens are counted and their delay taken */
	unsigned warm_ms, run_ms;
	/* Called at the two ends of the measured time; may be NULL */
	void (*edge)(void *ctx, bool is_end);
	void *ctx;
};

struct l7_result {
	uint64_t done; /* answers or tokens in the measured time */
	uint64_t wrong; /* answers that are not the upstream's, connections that ended */
	uint64_t took_ns;
	double p50_us, p99_us; /* of answers: from the first byte sent; of tokens: delay */
};

/* 0, or a negative errno when the connections cannot be made. */
int l7_load_run(const struct l7_load *load, struct l7_result *ret_result);
/* One request on a connection of its own; its status, *ret_is_right: the body is L7_ANSWER. */
int l7_ask(const char *addr, uint16_t port, const char *request, size_t bytes, bool *ret_is_right);

/* ---- l7_rig.c ---- */

/* Goes into namespaces of its own that end with the bench, however it ends, and
 * starts the upstream, our gateway and the relay.  Ends the bench with a sentence
 * when our own part cannot start. */
void l7_rig_make(void);
/* Starts a proxy; NULL, or why it cannot run. */
const char *l7_proxy_start(enum l7_proxy proxy);
/* Ends it by pid and waits. */
void l7_proxy_stop(enum l7_proxy proxy);
const char *l7_proxy_addr(enum l7_proxy proxy);
uint16_t l7_proxy_port(enum l7_proxy proxy);
/* Run time of all its processes and of its core's ksoftirqd so far, ns. */
uint64_t l7_proxy_cpu_ns(enum l7_proxy proxy);
/* Proportional set size of all its processes, KiB. */
uint64_t l7_proxy_memory_kib(enum l7_proxy proxy);
void l7_pin(int cpu);

#endif
