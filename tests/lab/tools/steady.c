// SPDX-License-Identifier: BSD-2-Clause
/* Clients that never stop and forgive nothing: lab tests change the gateway under
 * them and read what was lost.
 *
 *   steady ADDR PORT MODEL KEPT FRESH STREAMS TOKENS
 *
 * KEPT clients ask again and again over one connection, as long as it lasts; FRESH
 * ones make a connection for each request; STREAMS ask once for TOKENS tokens as a
 * stream.  "streaming" is printed when every stream has begun.  At the end of
 * standard input the requests under way finish, the streams are read to their end,
 * and one line says
 *
 *   asked N failed N refused N closed N streams N whole N
 *
 * refused: connections that nobody listened for.  closed: those that ended because an
 * answer had said so; one that ends while an answer is owed is a failure.  stderr has
 * a line for each failure. */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "userspace/base/address.h"

#define CLIENTS_MAX 256
#define ANSWER_BYTES (1u << 20)
#define PATIENCE_S 60

struct client {
	pthread_t thread;
	bool keeps, streams;
	char *answer; /* ANSWER_BYTES + 1 */
	size_t have;
};

static struct client clients[CLIENTS_MAX];
static struct sockaddr_storage target;
static socklen_t target_length;
static const char *model;
static unsigned tokens;
static bool stopping;
static unsigned asked, failed, refused, closed, begun, whole;

#define COUNT(what) __atomic_fetch_add(&(what), 1, __ATOMIC_RELAXED)

__attribute__((format(printf, 1, 2))) static bool fail(const char *format, ...)
{
	va_list args;

	COUNT(failed);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	return false;
}

static int connection_open(void)
{
	struct timeval patience = {.tv_sec = PATIENCE_S};
	int fd = socket(target.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
	if (connect(fd, (struct sockaddr *)&target, target_length) == 0)
		return fd;
	if (errno == ECONNREFUSED)
		COUNT(refused);
	else
		fail("connect: %s", strerror(errno));
	close(fd);
	return -1;
}

static bool request_send(const struct client *client, int fd)
{
	char body[512], request[1024];
	size_t length;

	snprintf(body, sizeof(body),
		 "{\"model\":\"%s\",\"prompt\":\"a\",\"max_tokens\":%u,\"ignore_eos\":true,"
		 "\"stream\":%s}",
		 model, client->streams ? tokens : 2, client->streams ? "true" : "false");
	snprintf(request, sizeof(request),
		 "POST /v1/completions HTTP/1.1\r\nHost: steady\r\n"
		 "Content-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s",
		 strlen(body), body);
	length = strlen(request);
	COUNT(asked);
	if (send(fd, request, length, MSG_NOSIGNAL) == (ssize_t)length)
		return true;
	return fail("send: %s", strerror(errno));
}

/* Is the answer there?  By its length, or by its last chunk. */
static bool answer_is_whole(const struct client *client)
{
	const char *body = strstr(client->answer, "\r\n\r\n");
	const char *length = strcasestr(client->answer, "\r\ncontent-length:");

	if (!body)
		return false;
	body += 4;
	if (length && length < body)
		return client->have - (size_t)(body - client->answer) >=
		       strtoul(length + 17, NULL, 10);
	return strcmp(client->answer + client->have - 7, "\r\n0\r\n\r\n") == 0;
}

static bool answer_read(struct client *client, int fd)
{
	client->have = 0;
	client->answer[0] = '\0';
	while (!answer_is_whole(client)) {
		ssize_t n = recv(fd, client->answer + client->have, ANSWER_BYTES - client->have, 0);

		if (n <= 0)
			return fail("answer ends after %zu bytes: %s", client->have,
				    n ? strerror(errno) : "closed");
		if (client->streams && !client->have)
			COUNT(begun);
		client->have += (size_t)n;
		client->answer[client->have] = '\0';
	}
	if (strncmp(client->answer, "HTTP/1.1 200 ", 13) == 0)
		return true;
	return fail("answered %.12s", client->answer);
}

static bool answer_ends_connection(const struct client *client)
{
	const char *end = strstr(client->answer, "\r\n\r\n");
	const char *close = strcasestr(client->answer, "\r\nconnection: close");

	return close && close <= end;
}

static unsigned occurrences(const char *text, const char *part)
{
	unsigned count = 0;

	while ((text = strstr(text, part))) {
		count++;
		text += strlen(part);
	}
	return count;
}

static void stream_judge(const struct client *client)
{
	unsigned got = occurrences(client->answer, "\"text\":");

	if (got < tokens || !strstr(client->answer, "data: [DONE]"))
		fail("stream: %u tokens instead of %u, %s", got, tokens,
		     strstr(client->answer, "[DONE]") ? "done" : "not done");
	else
		COUNT(whole);
}

static void *client_run(void *arg)
{
	struct client *client = arg;
	int fd = -1;

	while (client->streams || !__atomic_load_n(&stopping, __ATOMIC_RELAXED)) {
		bool good = (fd >= 0 || (fd = connection_open()) >= 0) &&
			    request_send(client, fd) && answer_read(client, fd);

		if (good && client->streams)
			stream_judge(client);
		if (good && answer_ends_connection(client))
			COUNT(closed);
		if (fd >= 0 && (!good || !client->keeps || answer_ends_connection(client))) {
			close(fd);
			fd = -1;
		}
		if (client->streams)
			break;
		if (!good)
			usleep(100000);
	}
	if (fd >= 0)
		close(fd);
	return NULL;
}

static unsigned clients_start(unsigned first, unsigned count, bool keeps, bool streams)
{
	for (unsigned i = first; i < first + count; i++) {
		clients[i] = (struct client){.keeps = keeps, .streams = streams};
		clients[i].answer = malloc(ANSWER_BYTES + 1);
		if (!clients[i].answer ||
		    pthread_create(&clients[i].thread, NULL, client_run, &clients[i]))
			exit(1);
	}
	return first + count;
}

int main(int argc, char **argv)
{
	unsigned kept, fresh, streams, count = 0;
	struct ip_addr addr;
	char byte;

	signal(SIGPIPE, SIG_IGN);
	if (argc != 8 || address_parse(argv[1], &addr) < 0) {
		fprintf(stderr, "usage: see the title of steady.c\n");
		return 2;
	}
	target_length = address_to_sockaddr(&addr, (uint16_t)atoi(argv[2]), &target);
	model = argv[3];
	kept = (unsigned)atoi(argv[4]);
	fresh = (unsigned)atoi(argv[5]);
	streams = (unsigned)atoi(argv[6]);
	tokens = (unsigned)atoi(argv[7]);
	if (kept + fresh + streams > CLIENTS_MAX)
		return 2;
	count = clients_start(count, streams, false, true);
	while (__atomic_load_n(&begun, __ATOMIC_RELAXED) +
		       __atomic_load_n(&failed, __ATOMIC_RELAXED) <
	       streams)
		usleep(10000);
	puts("streaming");
	fflush(stdout);
	count = clients_start(count, kept, true, false);
	count = clients_start(count, fresh, false, false);
	while (read(STDIN_FILENO, &byte, 1) > 0)
		;
	__atomic_store_n(&stopping, true, __ATOMIC_RELAXED);
	for (unsigned i = 0; i < count; i++)
		pthread_join(clients[i].thread, NULL);
	printf("asked %u failed %u refused %u closed %u streams %u whole %u\n", asked, failed,
	       refused, closed, streams, whole);
	return 0;
}
