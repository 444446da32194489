// SPDX-License-Identifier: BSD-2-Clause
#include "userspace/proxy/access_log.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "userspace/base/address.h"
#include "userspace/base/cleanup.h"
#include "userspace/base/clock.h"
#include "userspace/base/log.h"
#include "userspace/model/usage.h"

/* ---- the line ---- */

static void put_time(struct text *text, uint64_t at_ns)
{
	time_t seconds = (time_t)(at_ns / NS_PER_S);
	char stamp[40];
	struct tm tm;
	size_t length;

	gmtime_r(&seconds, &tm);
	length = strftime(stamp, sizeof(stamp), "%Y-%m-%dT%H:%M:%S", &tm);
	text_puts(text, "\"ts\":\"");
	text_append(text, stamp, length);
	text_printf(text, ".%03uZ\"", (unsigned)(at_ns / NS_PER_MS % 1000));
}

static void put_string(struct text *text, const char *name, const char *value)
{
	if (value)
		text_json_string(text, name, value, strlen(value));
}

static void put_ms(struct text *text, const char *name, uint64_t ns)
{
	text_json_double(text, name, (double)ns / (double)NS_PER_MS, 3);
}

static void put_pick(struct text *text, const struct access_record *r)
{
	const struct score_terms *t = &r->pick->terms;

	text_puts(text, ",\"pick\":{");
	put_string(text, "reason", pick_reason_name(r->pick->reason));
	if (!pick_is_none(r->pick)) {
		text_json_double(text, "score_ms", t->score_ms, 3);
		text_json_double(text, "rtt_ms", t->rtt_ms, 3);
		text_json_double(text, "queue_ms", t->queue_ms, 3);
		text_json_double(text, "prefill_ms", t->prefill_ms, 3);
		text_json_double(text, "neighbours_ms", t->neighbours_ms, 3);
		text_json_double(text, "stale_ms", t->stale_ms, 3);
		text_json_double(text, "penalty_ms", t->penalty_ms, 3);
		text_json_double(text, "in_flight", t->in_flight, 1);
		text_json_double(text, "margin_ms", r->pick->margin_ms, 3);
		text_json_uint(text, "candidates", r->pick->eligible);
	}
	if (r->runner_up != ENDPOINT_NONE) {
		text_json_uint(text, "runner_up", r->runner_up);
		text_json_double(text, "runner_up_ms", r->pick->runner_up_terms.score_ms, 3);
	}
	text_puts(text, "}");
}

static void put_retries(struct text *text, const struct access_record *r)
{
	text_puts(text, ",\"retries\":[");
	for (size_t i = 0; i < r->retry_count; i++) {
		text_puts(text, i ? ",{" : "{");
		text_json_uint(text, "endpoint_id", r->retries[i].endpoint);
		put_string(text, "endpoint", r->retries[i].name);
		put_string(text, "reason", r->retries[i].reason);
		if (r->retries[i].status)
			text_json_uint(text, "status", (uint64_t)r->retries[i].status);
		text_puts(text, "}");
	}
	text_puts(text, "]");
}

static void put_mirrors(struct text *text, const struct access_record *r)
{
	const char *separator = "";

	text_puts(text, ",\"mirrored\":[");
	for (size_t i = 0; i < RULE_MIRRORS_MAX; i++) {
		if (!(r->mirrored & 1u << i))
			continue;
		text_puts(text, separator);
		text_puts(text, "\"");
		text_json_escape(text, r->mirrors[i].name, strlen(r->mirrors[i].name));
		text_puts(text, "\"");
		separator = ",";
	}
	text_puts(text, "]");
}

static void put_place(struct text *text, const struct access_record *r)
{
	put_string(text, "route", r->route);
	put_string(text, "pool", r->pool);
	if (r->endpoint != ENDPOINT_NONE) {
		put_string(text, "endpoint", r->endpoint_name);
		text_json_uint(text, "endpoint_id", r->endpoint);
		put_string(text, "cluster", r->cluster);
		put_string(text, "region", r->region);
	}
	text_json_uint(text, "attempts", r->attempts);
}

static void put_known(struct text *text, const char *name, int64_t tokens)
{
	if (tokens >= 0)
		text_json_uint(text, name, (uint64_t)tokens);
}

static void put_tokens(struct text *text, const struct access_record *r)
{
	if (r->tokens)
		text_json_uint(text, "tokens_estimated", r->tokens);
	if (!r->usage)
		return;
	text_puts(text, ",\"usage\":{");
	put_known(text, "prompt_tokens", r->usage->prompt_tokens);
	put_known(text, "cached_tokens", r->usage->cached_tokens);
	put_known(text, "completion_tokens", r->usage->completion_tokens);
	text_puts(text, "}");
}

void access_record_format(const struct access_record *r, struct text *text)
{
	char client[ADDRESS_TEXT_MAX];

	text_puts(text, "{");
	put_time(text, r->at_ns);
	put_string(text, "client", address_format(&r->client, client));
	put_string(text, "trace_id", r->trace_id);
	put_string(text, "method", r->method);
	put_string(text, "path", r->path);
	text_json_uint(text, "status", (uint64_t)r->status);
	if (r->model)
		text_json_string(text, "model", r->model, r->model_length);
	put_string(text, "served_model", r->served_model);
	if (r->stream)
		text_json_bool(text, "stream", true);
	put_string(text, "upgrade", r->upgrade);
	put_place(text, r);
	if (r->mirrored)
		put_mirrors(text, r);
	if (r->ttft_ns)
		put_ms(text, "ttft_ms", r->ttft_ns);
	put_ms(text, "total_ms", r->total_ns);
	if (r->paced_ns)
		put_ms(text, "paced_ms", r->paced_ns);
	text_json_uint(text, "bytes_in", r->bytes_in);
	text_json_uint(text, "bytes_out", r->bytes_out);
	put_tokens(text, r);
	if (r->pick)
		put_pick(text, r);
	if (r->retry_count)
		put_retries(text, r);
	put_string(text, "error", r->error);
	put_string(text, "detail", r->detail);
	text_puts(text, "}\n");
}

/* ---- the file ---- */

/* A pipe or terminal is opened anew, because O_NONBLOCK set on the descriptor
 * that we were given would be seen by everybody who shares it. */
static int stdout_open(void)
{
	struct stat stat;
	int fd = -1;

	if (fstat(STDOUT_FILENO, &stat) == 0 && (S_ISFIFO(stat.st_mode) || S_ISCHR(stat.st_mode)))
		fd = open("/proc/self/fd/1", O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	return fd < 0 ? STDOUT_FILENO : fd;
}

static int file_open(struct access_log *log)
{
	struct stat stat;

	if (strcmp(log->path, "-") == 0)
		log->fd = stdout_open();
	else
		log->fd = open(log->path,
			       O_WRONLY | O_CREAT | O_APPEND | O_NONBLOCK | O_NOCTTY | O_CLOEXEC,
			       0640);
	if (log->fd < 0)
		return log_error(-errno, "%s: cannot write the access log there (%s)", log->path,
				 strerror(errno));
	log->pipe = fstat(log->fd, &stat) == 0 && S_ISFIFO(stat.st_mode);
	return 0;
}

int access_log_open(struct access_log *log, const char *path)
{
	int err;

	*log = (struct access_log){.path = path, .fd = -1};
	if (!*path)
		return 0;
	err = file_open(log);
	if (err)
		return err;
	log->buffer = malloc(ACCESS_BUFFER_BYTES);
	if (!log->buffer) {
		access_log_close(log);
		return -ENOMEM;
	}
	return 0;
}

static void file_close(struct access_log *log)
{
	if (log->fd > STDERR_FILENO)
		close(log->fd);
	log->fd = -1;
}

void access_log_close(struct access_log *log)
{
	access_log_flush(log);
	file_close(log);
	free(log->buffer);
	log->buffer = NULL;
}

void access_log_reopen(struct access_log *log)
{
	if (!log->buffer)
		return;
	access_log_flush(log);
	file_close(log);
	log->complained = log->torn = false;
	file_open(log);
}

static uint64_t lines_in(const char *data, size_t length)
{
	uint64_t lines = 0;

	for (size_t i = 0; i < length; i++)
		lines += data[i] == '\n';
	return lines;
}

/* How much goes out in one write: to a pipe only what no other writer can cut
 * into, unless one line alone is longer. */
static size_t piece_length(const struct access_log *log, const char *data, size_t length)
{
	const char *end;

	if (!log->pipe || length <= PIPE_BUF)
		return length;
	end = memrchr(data, '\n', PIPE_BUF) ?: memchr(data, '\n', length);
	return end ? (size_t)(end - data) + 1 : length;
}

/* Never waits.  Standard output may be a socket, of a service manager say. */
static ssize_t piece_write(int fd, const char *data, size_t length)
{
	ssize_t n;

	do {
		n = send(fd, data, length, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (n < 0 && errno == ENOTSOCK)
			n = write(fd, data, length);
	} while (n < 0 && errno == EINTR);
	return n;
}

static void rest_lose(struct access_log *log, const char *data, size_t length, int err)
{
	log->lost += lines_in(data, length);
	if (!log->complained)
		log_warning("%s: access log lines are lost (%s)", log->path, strerror(err));
	log->complained = true;
}

/* A log that cannot be written never holds up requests: its lines are counted
 * as lost and the trouble is told once.  A line that was cut off gets its end
 * before the next one begins. */
void access_log_flush(struct access_log *log)
{
	size_t done = 0;

	while (done < log->used) {
		const char *data = log->buffer + done;
		bool mend = log->torn && !done;
		ssize_t n = mend ? piece_write(log->fd, "\n", 1)
				 : piece_write(log->fd, data,
					       piece_length(log, data, log->used - done));

		if (n <= 0) {
			rest_lose(log, data, log->used - done, n < 0 ? errno : ENOSPC);
			break;
		}
		log->torn = !mend && data[n - 1] != '\n';
		done += mend ? 0 : (size_t)n;
	}
	log->used = 0;
}

void access_log_put(struct access_log *log, const struct access_record *record)
{
	struct text text;

	if (!log->buffer)
		return;
	if (ACCESS_BUFFER_BYTES - log->used < ACCESS_LINE_MAX)
		access_log_flush(log);
	text_init(&text, log->buffer + log->used, ACCESS_LINE_MAX);
	access_record_format(record, &text);
	if (text.cut)
		log->lost++;
	else
		log->used += text.length;
}
