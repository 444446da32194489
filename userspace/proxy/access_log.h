/* SPDX-License-Identifier: BSD-2-Clause */
/* One JSON object a request: what was asked, who answered, how long it took,
 * and why that endpoint.  A worker gathers lines and writes them whole, with
 * one write() for many; the file is opened for appending, so the lines of
 * several workers do not mix. */
#ifndef SLUICE_PROXY_ACCESS_LOG_H
#define SLUICE_PROXY_ACCESS_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "maps/layout/types.h"
#include "userspace/base/route.h"
#include "userspace/base/text.h"
#include "userspace/proxy/limits.h"
#include "userspace/schedule/score.h"

#define ACCESS_LINE_MAX 8192
#define ACCESS_BUFFER_BYTES (64u * 1024)

struct usage;

struct access_retry { /* an attempt that failed */
	uint32_t endpoint;
	const char *name;
	const char *reason;
	int status; /* of its answer; 0: there was none */
};

struct access_record {
	uint64_t at_ns; /* CLOCK_REALTIME when the request began */
	struct ip_addr client;
	const char *trace_id; /* of traceparent, NULL: none */
	const char *method;
	const char *path; /* cut at PATH_KEPT_MAX */
	int status; /* told to the client; 499: it left before; 101: upgraded, and has ended */
	const char *model; /* NULL: none */
	size_t model_length;
	const char *served_model; /* its name in the pool; NULL: the same */
	bool stream;
	const char *upgrade; /* the protocol that was agreed on, NULL: none */
	const char *route; /* these four NULL when it did not get that far */
	const char *pool;
	const char *cluster;
	const char *region;
	uint32_t endpoint; /* ENDPOINT_NONE */
	const char *endpoint_name;
	uint32_t mirrored; /* bit by index in `mirrors`: a copy went there */
	const struct snapshot_mirror *mirrors; /* of the rule */
	unsigned attempts;
	uint64_t ttft_ns; /* 0: no byte of an answer */
	uint64_t total_ns;
	uint64_t paced_ns; /* reading waited for its client's limit of bytes */
	uint64_t bytes_in, bytes_out; /* bodies and heads */
	uint64_t tokens; /* estimate of the prompt */
	const struct usage *usage; /* NULL: the answer was not looked into */
	const struct pick *pick; /* NULL: none was made */
	uint32_t runner_up; /* endpoint id of the runner-up, ENDPOINT_NONE */
	const char *error; /* code, NULL: none */
	const char *detail; /* NULL: none */
	size_t retry_count;
	struct access_retry retries[ATTEMPTS_MAX];
};

/* Appends the line and its line end. */
void access_record_format(const struct access_record *record, struct text *text);

struct access_log {
	const char *path; /* borrowed; "-": standard output; "": no log */
	int fd;
	size_t used;
	uint64_t lost; /* lines that could not be written */
	bool complained;
	bool pipe; /* shared with other writers: whole lines only, PIPE_BUF at most */
	bool torn; /* what was written last ends in the middle of a line */
	char *buffer;
};

int access_log_open(struct access_log *log, const char *path);
void access_log_close(struct access_log *log);
/* After the file was moved away: writes what is gathered, opens the path anew. */
void access_log_reopen(struct access_log *log);
void access_log_put(struct access_log *log, const struct access_record *record);
void access_log_flush(struct access_log *log);

#endif
