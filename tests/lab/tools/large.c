// SPDX-License-Identifier: BSD-2-Clause
/* Large request bodies, and whether they arrived as they were sent.
 *
 *   large ADDR PORT MODEL KIB COUNT
 *
 * COUNT clients at once ask for one token, with a body of KIB KiB each; every body
 * is another one.  A line each: the answer's status, and "same" or "other" by the
 * hash that the model server says (x-body-hash), "unsaid" without one. */
#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>
#include <xxhash.h>

#include "userspace/base/address.h"

#define CLIENTS_MAX 64
#define PATIENCE_S 120
#define STEP (64u * 1024)

struct client {
	pthread_t thread;
	int fd;
	uint64_t random; /* state */
	XXH3_state_t *hash;
	char line[128];
};

static struct client clients[CLIENTS_MAX];
static struct sockaddr_storage target;
static socklen_t target_length;
static const char *model;
static size_t body_bytes;

static bool give(struct client *client, const char *data, size_t length)
{
	while (length) {
		ssize_t n = send(client->fd, data, length, MSG_NOSIGNAL);

		if (n <= 0)
			return false; /* refused in the middle: what was said is read all the same
				       */
		data += n;
		length -= (size_t)n;
	}
	return true;
}

static bool give_body(struct client *client, const char *data, size_t length)
{
	XXH3_64bits_update(client->hash, data, length);
	return give(client, data, length);
}

static void letters_fill(struct client *client, char *data, size_t length)
{
	for (size_t i = 0; i < length; i++) {
		client->random = client->random * 6364136223846793005u + 1442695040888963407u;
		data[i] = (char)('a' + (client->random >> 33) % 26);
	}
}

static void request_give(struct client *client)
{
	char before[256], step[STEP];
	static const char after[] = "\"}";
	size_t left;
	bool goes_on;

	snprintf(before, sizeof(before),
		 "POST /v1/completions HTTP/1.1\r\nHost: large\r\nConnection: close\r\n"
		 "Content-Type: application/json\r\nContent-Length: %zu\r\n\r\n",
		 body_bytes);
	goes_on = give(client, before, strlen(before));
	snprintf(before, sizeof(before),
		 "{\"model\":\"%s\",\"max_tokens\":1,\"prompt\":\"hi\",\"pad\":\"", model);
	goes_on = goes_on && give_body(client, before, strlen(before));
	left = body_bytes - strlen(before) - strlen(after);
	while (goes_on && left) {
		size_t length = left < STEP ? left : STEP;

		letters_fill(client, step, length);
		goes_on = give_body(client, step, length);
		left -= length;
	}
	if (goes_on)
		give_body(client, after, strlen(after));
}

static void answer_judge(struct client *client)
{
	char answer[8192], *said;
	const char *verdict = "unsaid";
	size_t have = 0;
	int status = 0;
	ssize_t n;

	while (have < sizeof(answer) - 1 &&
	       (n = recv(client->fd, answer + have, sizeof(answer) - 1 - have, 0)) > 0)
		have += (size_t)n;
	answer[have] = '\0';
	sscanf(answer, "HTTP/1.1 %d", &status);
	said = strcasestr(answer, "\r\nx-body-hash: ");
	if (said)
		verdict = strtoull(said + 15, NULL, 16) == XXH3_64bits_digest(client->hash)
				  ? "same"
				  : "other";
	snprintf(client->line, sizeof(client->line), "%d %s", status, verdict);
}

static void *client_run(void *arg)
{
	struct timeval patience = {.tv_sec = PATIENCE_S};
	struct client *client = arg;

	client->fd = socket(target.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	setsockopt(client->fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	setsockopt(client->fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
	if (connect(client->fd, (struct sockaddr *)&target, target_length) < 0) {
		snprintf(client->line, sizeof(client->line), "0 %s", strerror(errno));
		return NULL;
	}
	request_give(client);
	answer_judge(client);
	close(client->fd);
	return NULL;
}

int main(int argc, char **argv)
{
	struct ip_addr addr;
	int count;

	signal(SIGPIPE, SIG_IGN);
	if (argc != 6 || address_parse(argv[1], &addr) < 0 || atoi(argv[4]) < 1 ||
	    (count = atoi(argv[5])) < 1 || count > CLIENTS_MAX) {
		fprintf(stderr, "usage: see the title of large.c\n");
		return 2;
	}
	target_length = address_to_sockaddr(&addr, (uint16_t)atoi(argv[2]), &target);
	model = argv[3];
	body_bytes = (size_t)atoi(argv[4]) * 1024;
	for (int i = 0; i < count; i++) {
		clients[i].random = (uint64_t)i + 1;
		clients[i].hash = XXH3_createState();
		if (!clients[i].hash || XXH3_64bits_reset(clients[i].hash) == XXH_ERROR ||
		    pthread_create(&clients[i].thread, NULL, client_run, &clients[i]))
			return 1;
	}
	for (int i = 0; i < count; i++) {
		pthread_join(clients[i].thread, NULL);
		puts(clients[i].line);
	}
	return 0;
}
