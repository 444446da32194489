// SPDX-License-Identifier: BSD-2-Clause
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

#include "userspace/base/cleanup.h"
#include "userspace/base/log.h"
#include "userspace/proxy/body.h"
#include "userspace/proxy/buffers.h"

#define ROOM 1000

static char room[ROOM];

static char pattern(uint64_t at)
{
	return (char)('a' + at * 31 % 26);
}

static int append_pattern(struct body *body, uint64_t length, size_t step)
{
	char *data = malloc(step);
	int err = 0;

	assert_non_null(data);
	for (uint64_t at = 0; at < length && !err; at += step) {
		size_t n = length - at < step ? (size_t)(length - at) : step;

		for (size_t i = 0; i < n; i++)
			data[i] = pattern(at + i);
		err = body_append(body, data, n);
	}
	free(data);
	return err;
}

/* The byte that is sent at that offset. */
static char sent(const struct model_rewrite *rewrite, uint64_t offset)
{
	if (!rewrite || offset < rewrite->begin)
		return pattern(offset);
	if (offset < rewrite->begin + rewrite->length)
		return rewrite->bytes[offset - rewrite->begin];
	return pattern(offset - rewrite->begin - rewrite->length + rewrite->end);
}

/* Reads from `offset` on through both ways out and compares. */
static void assert_sent_from(const struct body *body, const struct model_rewrite *rewrite,
			     uint64_t offset)
{
	static char data[1 << 16];
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	while (offset < body_sent_bytes(body, rewrite)) {
		struct iovec vectors[4];
		size_t count = body_vectors(body, rewrite, offset, vectors, 4);

		if (count) {
			for (size_t v = 0; v < count; v++) {
				for (size_t i = 0; i < vectors[v].iov_len; i++)
					assert_int_equal(((char *)vectors[v].iov_base)[i],
							 sent(rewrite, offset + i));
				offset += vectors[v].iov_len;
			}
			continue;
		}
		ssize_t n = body_send_spilled(body, rewrite, offset, pair[0]);

		assert_true(n > 0);
		for (ssize_t done = 0; done < n;) {
			ssize_t m = recv(pair[1], data, sizeof(data), 0);

			assert_true(m > 0);
			for (ssize_t i = 0; i < m; i++)
				assert_int_equal(data[i],
						 sent(rewrite, offset + (uint64_t)(done + i)));
			done += m;
		}
		offset += (uint64_t)n;
		/* the socket buffer is drained: one call a round is what it takes */
	}
	assert_int_equal(offset, body_sent_bytes(body, rewrite));
	close(pair[0]);
	close(pair[1]);
}

static void assert_pattern_from(const struct body *body, uint64_t offset)
{
	assert_sent_from(body, NULL, offset);
}

static void a_body_is_read_back_from_any_offset(void **state)
{
	static const uint64_t lengths[] = {
		0,
		1,
		ROOM - 1,
		ROOM,
		ROOM + 1,
		ROOM + BUFFER_BYTES,
		ROOM + BODY_BUFFERS_MAX * (uint64_t)BUFFER_BYTES,
		100000,
	};
	struct buffers pool;

	(void)state;
	assert_int_equal(buffers_init(&pool, 64), 0);
	for (size_t i = 0; i < ARRAY_SIZE(lengths); i++) {
		struct body body;

		body_init(&body, &pool, "/tmp", room, ROOM);
		assert_int_equal(append_pattern(&body, lengths[i], 777), 0);
		assert_int_equal(body.length, lengths[i]);
		assert_int_equal(body.spill_fd, -1);
		assert_pattern_from(&body, 0);
		assert_pattern_from(&body, lengths[i] / 2);
		assert_pattern_from(&body, lengths[i] / 3);
		body_release(&body);
		assert_int_equal(pool.free_count, pool.count);
	}
	buffers_deinit(&pool);
}

static void beyond_its_share_a_body_goes_to_a_file(void **state)
{
	const uint64_t length = 700000;
	struct buffers pool;
	struct body body;

	(void)state;
	assert_int_equal(buffers_init(&pool, 64), 0);
	body_init(&body, &pool, "/tmp", room, ROOM);
	assert_int_equal(append_pattern(&body, length, 5000), 0);
	assert_true(body.spill_fd >= 0);
	assert_int_equal(body.memory_bytes, ROOM + BODY_BUFFERS_MAX * BUFFER_BYTES);
	assert_int_equal(body.length, length);
	assert_int_equal(pool.count - pool.free_count, BODY_BUFFERS_MAX);
	body_release(&body);
	assert_int_equal(pool.free_count, pool.count);
	buffers_deinit(&pool);
}

static void a_spilled_body_is_sent_whole_and_again(void **state)
{
	struct buffers pool;
	struct body body;

	(void)state;
	assert_int_equal(buffers_init(&pool, 64), 0);
	body_init(&body, &pool, "/tmp", room, 0);
	assert_int_equal(append_pattern(&body, 340000, 4096), 0);
	assert_true(body.spill_fd >= 0);
	assert_pattern_from(&body, 0);
	assert_pattern_from(&body, 0);
	assert_pattern_from(&body, 339999);
	body_release(&body);
	buffers_deinit(&pool);
}

/* The name's place: at either end, over the seams of memory and file, within the file. */
static void a_body_is_sent_with_another_name_wherever_it_stands(void **state)
{
	const uint64_t memory = ROOM + BODY_BUFFERS_MAX * (uint64_t)BUFFER_BYTES;
	const uint64_t length = memory + 50000;
	const struct {
		uint64_t begin, end;
	} places[] = {
		{0, 7},
		{ROOM - 3, ROOM + 3},
		{ROOM + BUFFER_BYTES - 1, ROOM + BUFFER_BYTES},
		{memory - 4, memory},
		{memory - 4, memory + 4},
		{memory, memory + 4},
		{memory + 1000, memory + 1010},
		{length - 9, length},
	};
	struct model_rewrite rewrite = {.length = 12};
	struct buffers pool;
	struct body body;

	(void)state;
	memcpy(rewrite.bytes, "\"other-name\"", 12);
	assert_int_equal(buffers_init(&pool, 64), 0);
	body_init(&body, &pool, "/tmp", room, ROOM);
	assert_int_equal(append_pattern(&body, length, 5000), 0);
	for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
		rewrite.begin = places[i].begin;
		rewrite.end = places[i].end;
		assert_sent_from(&body, &rewrite, 0);
		for (uint64_t k = 0; k < 16; k++)
			assert_sent_from(&body, &rewrite,
					 rewrite.begin + k < length ? rewrite.begin + k : length);
	}
	body_release(&body);
	buffers_deinit(&pool);
}

static void a_pool_that_runs_low_spills_earlier(void **state)
{
	struct buffers pool;
	struct body body;

	(void)state;
	assert_int_equal(buffers_init(&pool, 8), 0);
	body_init(&body, &pool, "/tmp", room, ROOM);
	assert_int_equal(append_pattern(&body, 300000, 4096), 0);
	assert_true(body.spill_fd >= 0);
	assert_true(pool.free_count > 0);
	assert_pattern_from(&body, 0);
	body_release(&body);
	buffers_deinit(&pool);
}

static unsigned told;

static void count_lines(enum log_level level, const char *text)
{
	(void)level;
	(void)text;
	told++;
}

static void a_directory_that_cannot_keep_it_is_an_error(void **state)
{
	struct buffers pool;
	struct body body;

	(void)state;
	log_sink = count_lines;
	assert_int_equal(buffers_init(&pool, 16), 0);
	for (int i = 0; i < 100; i++) {
		body_init(&body, &pool, "/nonexistent", room, ROOM);
		assert_int_equal(append_pattern(&body, 600000, 4096), -ENOENT);
		body_release(&body);
	}
	assert_in_range(told, 1, 8); /* whoever sends them does not fill our log */
	assert_int_equal(pool.free_count, pool.count);
	buffers_deinit(&pool);
	log_sink = NULL;
}

static void bytes_already_in_their_place_stay(void **state)
{
	static char buffer[ROOM];
	struct buffers pool;
	struct body body;

	(void)state;
	assert_int_equal(buffers_init(&pool, 8), 0);
	memcpy(buffer, "5\r\nhello\r\n3\r\nyou\r\n", 19);
	body_init(&body, &pool, "/tmp", buffer, ROOM);
	assert_int_equal(body_append(&body, buffer + 3, 5), 0);
	assert_int_equal(body_append(&body, buffer + 13, 3), 0);
	assert_memory_equal(buffer, "helloyou", 8);
	body_release(&body);
	buffers_deinit(&pool);
}

static void an_empty_pool_gives_nothing_and_takes_back(void **state)
{
	char *taken[4], *none = NULL;
	struct buffers pool;

	(void)state;
	assert_int_equal(buffers_init(&pool, 4), 0);
	for (int i = 0; i < 4; i++) {
		taken[i] = buffers_take(&pool);
		assert_non_null(taken[i]);
		memset(taken[i], i, BUFFER_BYTES);
	}
	assert_null(buffers_take(&pool));
	assert_true(buffers_low(&pool));
	buffers_give(&pool, &none);
	for (int i = 0; i < 4; i++)
		buffers_give(&pool, &taken[i]);
	assert_null(taken[0]);
	assert_int_equal(pool.free_count, 4);
	assert_false(buffers_low(&pool));
	buffers_deinit(&pool);
}

/* The flags of the mapping that begins at `memory`, as the kernel says them. */
static bool mapping_has_flag(const void *memory, const char *flag)
{
	_cleanup_(fclosep) FILE *file = fopen("/proc/self/smaps", "re");
	char line[512], begin[32];
	bool inside = false;

	assert_non_null(file);
	snprintf(begin, sizeof(begin), "%lx-", (unsigned long)memory);
	while (fgets(line, sizeof(line), file)) {
		if (!inside)
			inside = strncmp(line, begin, strlen(begin)) == 0;
		else if (strncmp(line, "VmFlags:", 8) == 0)
			return strstr(line, flag) != NULL;
	}
	return false;
}

/* What a burst of large bodies costs that touches the pool for the first time. */
static void a_pool_is_touched_in_huge_pages(void **state)
{
	struct buffers pool;

	(void)state;
	if (access("/sys/kernel/mm/transparent_hugepage/enabled", F_OK)) {
		print_message("skip: this kernel has no transparent huge pages\n");
		skip();
	}
	assert_int_equal(buffers_init(&pool, 256), 0);
	assert_true(mapping_has_flag(pool.memory, " hg"));
	buffers_deinit(&pool);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_body_is_read_back_from_any_offset),
		cmocka_unit_test(beyond_its_share_a_body_goes_to_a_file),
		cmocka_unit_test(a_spilled_body_is_sent_whole_and_again),
		cmocka_unit_test(a_body_is_sent_with_another_name_wherever_it_stands),
		cmocka_unit_test(a_pool_that_runs_low_spills_earlier),
		cmocka_unit_test(a_directory_that_cannot_keep_it_is_an_error),
		cmocka_unit_test(bytes_already_in_their_place_stay),
		cmocka_unit_test(an_empty_pool_gives_nothing_and_takes_back),
		cmocka_unit_test(a_pool_is_touched_in_huge_pages),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
