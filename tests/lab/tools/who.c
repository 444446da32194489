// SPDX-License-Identifier: BSD-2-Clause
/* Servers that say who they are, and clients that write down who answered: lab
 * tests ask with it where flows go.
 *
 *   who serve ADDR PORT NAME [DELAY_MS]   TCP and UDP: NAME and a newline for every message
 *   who ask tcp|udp ADDR PORT COUNT       so many flows, one after the other; one name a line
 *   who hold tcp|udp ADDR PORT COUNT GAP_MS   one flow, so many messages; one name a line
 *   who load ADDR PORT CLIENTS SECONDS    TCP: each client asks, closes, asks again; then
 *                                         "NAME COUNT" a server
 *
 * ask and hold end with 1 at the first message without an answer within 3 s, and
 * say on stderr what was wrong; load counts them as "failed".  By UDP both ask
 * again, up to five times: queues of a crowded host may lose a datagram. */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "userspace/base/address.h"
#include "userspace/base/clock.h"

#define ANSWER_MS 3000
#define DATAGRAM_TRIES 5
#define NAME_BYTES 64
#define SERVERS_MAX 16
#define CLIENTS_MAX 64

static const char *name;
static unsigned delay_ms;
static struct sockaddr_storage target;
static socklen_t target_length;

static void sleep_ms(unsigned ms)
{
	struct timespec t = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000};

	nanosleep(&t, NULL);
}

static void target_parse(const char *addr_text, const char *port_text)
{
	struct ip_addr addr;

	if (address_parse(addr_text, &addr) < 0)
		exit(2);
	target_length = address_to_sockaddr(&addr, (uint16_t)atoi(port_text), &target);
}

/* ---- server ---- */

static void *connection_serve(void *arg)
{
	int fd = (int)(long)arg;
	char buffer[2048];

	while (read(fd, buffer, sizeof(buffer)) > 0) {
		sleep_ms(delay_ms);
		if (dprintf(fd, "%s\n", name) < 0)
			break;
	}
	close(fd);
	return NULL;
}

static void *datagrams_serve(void *arg)
{
	int fd = (int)(long)arg;

	for (;;) {
		struct sockaddr_storage from;
		socklen_t length = sizeof(from);
		char buffer[2048];

		if (recvfrom(fd, buffer, sizeof(buffer), 0, (struct sockaddr *)&from, &length) < 0)
			continue;
		snprintf(buffer, sizeof(buffer), "%s\n", name);
		sendto(fd, buffer, strlen(buffer), 0, (struct sockaddr *)&from, length);
	}
	return NULL;
}

static int bound(int type)
{
	int one = 1, fd = socket(target.ss_family, type, 0);

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(fd, (struct sockaddr *)&target, target_length) < 0) {
		perror("bind");
		exit(1);
	}
	return fd;
}

static _Noreturn void serve(void)
{
	int listener = bound(SOCK_STREAM);
	pthread_t thread;

	listen(listener, 512);
	pthread_create(&thread, NULL, datagrams_serve, (void *)(long)bound(SOCK_DGRAM));
	for (;;) {
		int fd = accept(listener, NULL, NULL);

		if (fd >= 0 && pthread_create(&thread, NULL, connection_serve, (void *)(long)fd))
			close(fd);
		else
			pthread_detach(thread);
	}
}

/* ---- clients ---- */

/* A flow to the target, or -1 with errno. */
static int flow_open(int type)
{
	int fd = socket(target.ss_family, type | SOCK_NONBLOCK, 0);
	struct pollfd poller = {.fd = fd, .events = POLLOUT};
	int error = 0;
	socklen_t length = sizeof(error);

	if (connect(fd, (struct sockaddr *)&target, target_length) == 0)
		return fd;
	if (errno == EINPROGRESS && poll(&poller, 1, ANSWER_MS) == 1 &&
	    getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length) == 0 && error == 0)
		return fd;
	errno = error ? error : ETIMEDOUT;
	close(fd);
	return -1;
}

/* Sends a message and reads a name; false with errno: no answer. */
static bool flow_ask(int fd, char answer[NAME_BYTES])
{
	struct pollfd poller = {.fd = fd, .events = POLLIN};
	ssize_t got;

	if (send(fd, "who?", 4, MSG_NOSIGNAL) < 0)
		return false;
	if (poll(&poller, 1, ANSWER_MS) != 1) {
		errno = ETIMEDOUT;
		return false;
	}
	got = recv(fd, answer, NAME_BYTES - 1, 0);
	if (got <= 0) {
		errno = got ? errno : ECONNRESET;
		return false;
	}
	answer[got] = 0;
	answer[strcspn(answer, "\n")] = 0;
	return true;
}

static bool flow_ask_well(int fd, int type, char answer[NAME_BYTES])
{
	for (int tries = type == SOCK_DGRAM ? DATAGRAM_TRIES : 1; tries > 0; tries--) {
		if (flow_ask(fd, answer))
			return true;
	}
	return false;
}

static int failed(const char *what, int number)
{
	fprintf(stderr, "%s %d: %s\n", what, number, strerror(errno));
	return 1;
}

static int ask(int type, int count)
{
	for (int i = 0; i < count; i++) {
		char answer[NAME_BYTES];
		int fd = flow_open(type);

		if (fd < 0)
			return failed("connect", i);
		if (!flow_ask_well(fd, type, answer))
			return failed("answer", i);
		puts(answer);
		close(fd);
	}
	return 0;
}

static int hold(int type, int count, unsigned gap_ms)
{
	int fd = flow_open(type);

	if (fd < 0)
		return failed("connect", 0);
	for (int i = 0; i < count; i++) {
		char answer[NAME_BYTES];

		if (!flow_ask_well(fd, type, answer))
			return failed("answer", i);
		puts(answer);
		fflush(stdout);
		sleep_ms(gap_ms);
	}
	close(fd);
	return 0;
}

static struct {
	pthread_mutex_t lock;
	char names[SERVERS_MAX][NAME_BYTES];
	unsigned counts[SERVERS_MAX];
	uint64_t until;
} load_ = {.lock = PTHREAD_MUTEX_INITIALIZER};

static void load_count(const char *answer)
{
	pthread_mutex_lock(&load_.lock);
	for (int i = 0; i < SERVERS_MAX; i++) {
		if (!load_.names[i][0])
			snprintf(load_.names[i], NAME_BYTES, "%s", answer);
		if (strcmp(load_.names[i], answer) == 0) {
			load_.counts[i]++;
			break;
		}
	}
	pthread_mutex_unlock(&load_.lock);
}

static void *load_client(void *unused)
{
	while (clock_monotonic_ns() < load_.until) {
		char answer[NAME_BYTES] = "failed";
		int fd = flow_open(SOCK_STREAM);

		if (fd < 0 || !flow_ask(fd, answer))
			strcpy(answer, "failed");
		load_count(answer);
		close(fd);
	}
	return unused;
}

static int load(int clients, int seconds)
{
	pthread_t threads[CLIENTS_MAX];

	if (clients > CLIENTS_MAX)
		return 2;
	load_.until = clock_monotonic_ns() + (uint64_t)seconds * NS_PER_S;
	for (int i = 0; i < clients; i++)
		pthread_create(&threads[i], NULL, load_client, NULL);
	for (int i = 0; i < clients; i++)
		pthread_join(threads[i], NULL);
	for (int i = 0; i < SERVERS_MAX && load_.names[i][0]; i++)
		printf("%s %u\n", load_.names[i], load_.counts[i]);
	return 0;
}

int main(int argc, char **argv)
{
	int type = argc > 2 && strcmp(argv[2], "udp") == 0 ? SOCK_DGRAM : SOCK_STREAM;

	signal(SIGPIPE, SIG_IGN);
	if (argc >= 5 && strcmp(argv[1], "serve") == 0) {
		target_parse(argv[2], argv[3]);
		name = argv[4];
		delay_ms = argc > 5 ? (unsigned)atoi(argv[5]) : 0;
		serve();
	}
	if (argc == 6 && strcmp(argv[1], "load") == 0) {
		target_parse(argv[2], argv[3]);
		return load(atoi(argv[4]), atoi(argv[5]));
	}
	if (argc == 6 && strcmp(argv[1], "ask") == 0) {
		target_parse(argv[3], argv[4]);
		return ask(type, atoi(argv[5]));
	}
	if (argc == 7 && strcmp(argv[1], "hold") == 0) {
		target_parse(argv[3], argv[4]);
		return hold(type, atoi(argv[5]), (unsigned)atoi(argv[6]));
	}
	fprintf(stderr, "usage: see the title of who.c\n");
	return 2;
}
