/* SPDX-License-Identifier: BSD-2-Clause */
/* What the operator asked for: options and words of one command line. */
#ifndef SLUICE_CLI_REQUEST_H
#define SLUICE_CLI_REQUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "userspace/base/instance.h"

#define REQUEST_WORDS_MAX 4
#define REQUEST_ENDPOINTS_MAX 256
#define REQUEST_HEADERS_MAX 64

struct request {
	struct instance instance;
	bool json;
	FILE *out;
	const char *words[REQUEST_WORDS_MAX]; /* after the command's own */
	size_t word_count;
	/* options; NULL and 0: not given */
	const char *cluster; /* name */
	const char *pool; /* name */
	const char *use; /* name of an enum endpoint_use */
	bool all;
	bool wide;
	unsigned long limit;
	unsigned long interval_ms;
	unsigned long count;
	unsigned long wait_s;
	unsigned long deadline_s;
	const char *way, *pick, *down; /* of a VIP, as typed */
	bool quic;
	const char *endpoints[REQUEST_ENDPOINTS_MAX]; /* "ADDR:PORT[*WEIGHT][,NAME=VALUE]..." */
	size_t endpoint_count;
	/* capture */
	const char *vip; /* "ADDR:PORT/tcp" */
	uint64_t verdicts; /* bits (1 << enum verdict) */
	unsigned long sample; /* one of so many packets */
	unsigned long seconds;
	const char *pcap; /* path or "-" */
	/* explain */
	const char *src; /* "ADDR:PORT" */
	const char *dst; /* "ADDR:PORT", "/tcp" or "/udp" behind it */
	const char *tcp_flags; /* "syn,ack" */
	const char *ifname;
	const char *quic_cid; /* hex */
	/* model */
	const char *method;
	const char *path; /* of an HTTP request */
	const char *headers[REQUEST_HEADERS_MAX]; /* "NAME: VALUE" */
	size_t header_count;
};

#endif
