// SPDX-License-Identifier: BSD-2-Clause
/* Blocks read back by the rules of draft-ietf-opsawg-pcapng, with nothing of the
 * writer's; real readers are tests/lab/test_capture.sh's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "maps/cli/pcapng.h"

static uint8_t block[PCAPNG_BLOCK_MAX];

static uint32_t word(size_t at)
{
	uint32_t value;

	memcpy(&value, block + at, sizeof(value));
	return value;
}

static uint16_t half(size_t at)
{
	uint16_t value;

	memcpy(&value, block + at, sizeof(value));
	return value;
}

static void is_block(size_t size, uint32_t type)
{
	assert_int_equal(size % 4, 0);
	assert_true(size <= sizeof(block));
	assert_int_equal(word(0), type);
	assert_int_equal(word(4), size);
	assert_int_equal(word(size - 4), size);
}

/* Where the value of option `code` begins in the options from `at` on, or 0; every
 * option must lie within the block, and the last be the end. */
static size_t option_find(size_t at, size_t size, uint16_t code, uint16_t *ret_length)
{
	size_t found = 0;

	while (half(at)) {
		uint16_t length = half(at + 2);

		if (half(at) == code) {
			found = at + 4;
			*ret_length = length;
		}
		for (size_t i = length; i % 4; i++)
			assert_int_equal(block[at + 4 + i], 0);
		at += 4 + (length + 3u) / 4 * 4;
		assert_true(at + 8 <= size);
	}
	assert_int_equal(half(at + 2), 0);
	assert_int_equal(at + 4, size - 4);
	return found;
}

static void a_section_says_its_byte_order_and_version(void **state)
{
	size_t size = pcapng_section_write(block, "sluicectl");
	uint16_t length = 0;
	size_t at;

	(void)state;
	is_block(size, 0x0a0d0d0a);
	assert_int_equal(word(8), 0x1a2b3c4d);
	assert_int_equal(half(12), 1);
	assert_int_equal(half(14), 0);
	assert_int_equal(word(16), 0xffffffff);
	assert_int_equal(word(20), 0xffffffff);
	at = option_find(24, size, 4, &length);
	assert_int_equal(length, 9);
	assert_memory_equal(block + at, "sluicectl", 9);
}

static void an_interface_is_ethernet_with_times_in_nanoseconds(void **state)
{
	size_t size = pcapng_interface_write(block, "to-client", 128);
	uint16_t length = 0;
	size_t at;

	(void)state;
	is_block(size, 1);
	assert_int_equal(half(8), 1);
	assert_int_equal(half(10), 0);
	assert_int_equal(word(12), 128);
	at = option_find(16, size, 2, &length);
	assert_int_equal(length, 9);
	assert_memory_equal(block + at, "to-client", 9);
	at = option_find(16, size, 9, &length);
	assert_int_equal(length, 1);
	assert_int_equal(block[at], 9);
}

static void a_packet_of_any_length_is_padded_to_words(void **state)
{
	static const uint8_t bytes[8] = {1, 2, 3, 4, 5, 6, 7, 8};

	(void)state;
	for (uint32_t snap = 0; snap <= sizeof(bytes); snap++) {
		const struct pcapng_packet packet = {.interface = 3,
						     .at_ns = 0x123456789abcdef0,
						     .snap = bytes,
						     .snap_bytes = snap,
						     .frame_bytes = 1514,
						     .comment = "verdict=ttl"};
		size_t size = pcapng_packet_write(block, &packet), padded = (snap + 3) / 4 * 4, at;
		uint16_t length = 0;

		is_block(size, 6);
		assert_int_equal(word(8), 3);
		assert_int_equal(word(12), 0x12345678);
		assert_int_equal(word(16), 0x9abcdef0);
		assert_int_equal(word(20), snap);
		assert_int_equal(word(24), 1514);
		assert_memory_equal(block + 28, bytes, snap);
		for (size_t i = snap; i < padded; i++)
			assert_int_equal(block[28 + i], 0);
		at = option_find(28 + padded, size, 1, &length);
		assert_int_equal(length, 11);
		assert_memory_equal(block + at, "verdict=ttl", 11);
	}
}

static void a_packet_without_a_comment_has_only_the_end_of_options(void **state)
{
	const struct pcapng_packet packet = {.comment = ""};
	uint16_t length;

	(void)state;
	assert_int_equal(pcapng_packet_write(block, &packet), 28 + 4 + 4);
	assert_int_equal(option_find(28, 36, 1, &length), 0);
}

static void what_is_longest_fits_into_a_block(void **state)
{
	static uint8_t bytes[PCAPNG_SNAP_MAX];
	char comment[4 * PCAPNG_TEXT_MAX];
	const struct pcapng_packet packet = {
		.snap = bytes, .snap_bytes = sizeof(bytes), .comment = comment};
	uint16_t length = 0;
	size_t size;

	(void)state;
	memset(comment, 'x', sizeof(comment) - 1);
	comment[sizeof(comment) - 1] = '\0';
	size = pcapng_packet_write(block, &packet);
	is_block(size, 6);
	option_find(28 + sizeof(bytes), size, 1, &length);
	assert_int_equal(length, PCAPNG_TEXT_MAX);
}

static void a_comment_is_cut_between_characters(void **state)
{
	char comment[PCAPNG_TEXT_MAX + 8];
	const struct pcapng_packet packet = {.comment = comment};
	uint16_t length = 0;

	(void)state;
	memset(comment, 'x', sizeof(comment));
	strcpy(comment + PCAPNG_TEXT_MAX - 1, "\u20ac"); /* three bytes, two too many */
	option_find(28, pcapng_packet_write(block, &packet), 1, &length);
	assert_int_equal(length, PCAPNG_TEXT_MAX - 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_section_says_its_byte_order_and_version),
		cmocka_unit_test(an_interface_is_ethernet_with_times_in_nanoseconds),
		cmocka_unit_test(a_packet_of_any_length_is_padded_to_words),
		cmocka_unit_test(a_packet_without_a_comment_has_only_the_end_of_options),
		cmocka_unit_test(what_is_longest_fits_into_a_block),
		cmocka_unit_test(a_comment_is_cut_between_characters),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
