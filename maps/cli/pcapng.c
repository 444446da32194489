// SPDX-License-Identifier: BSD-2-Clause
/* Section numbers are of draft-ietf-opsawg-pcapng-05.
 *
 * Every block is: type, total length, body, total length again; body and options
 * are padded to 32 bits with zeros, and a length in front of padding does not count
 * it (3.1, 3.5). */
#include "maps/cli/pcapng.h"

#include <assert.h>
#include <string.h>

#define BLOCK_SECTION 0x0a0d0d0au /* 4.1 */
#define BLOCK_INTERFACE 1u /* 4.2 */
#define BLOCK_PACKET 6u /* 4.3: enhanced packet block */
#define BYTE_ORDER_MAGIC 0x1a2b3c4du
#define LENGTH_UNKNOWN 0xffffffffffffffffull
#define LINK_ETHERNET 1u

#define OPTION_END 0u
#define OPTION_COMMENT 1u
#define OPTION_SECTION_APPLICATION 4u
#define OPTION_INTERFACE_NAME 2u
#define OPTION_INTERFACE_TIME 9u
#define TIME_NANOSECONDS 9u /* ten to the minus so many seconds */

struct block {
	uint8_t *at;
	size_t length;
};

static void put(struct block *block, const void *bytes, size_t size)
{
	assert(block->length + size <= PCAPNG_BLOCK_MAX);
	if (size)
		memcpy(block->at + block->length, bytes, size);
	block->length += size;
}

static void put16(struct block *block, uint16_t value)
{
	put(block, &value, sizeof(value));
}

static void put32(struct block *block, uint32_t value)
{
	put(block, &value, sizeof(value));
}

static void put_padded(struct block *block, const void *bytes, size_t size)
{
	static const uint8_t zeros[4];

	put(block, bytes, size);
	put(block, zeros, (4 - size % 4) % 4);
}

static void put_option(struct block *block, uint16_t code, const void *bytes, size_t size)
{
	put16(block, code);
	put16(block, (uint16_t)size);
	put_padded(block, bytes, size);
}

/* Cut before a character that does not fit whole. */
static size_t text_length(const char *text)
{
	size_t length = strnlen(text, PCAPNG_TEXT_MAX + 1);

	if (length <= PCAPNG_TEXT_MAX)
		return length;
	length = PCAPNG_TEXT_MAX;
	while (length && ((unsigned char)text[length] & 0xc0) == 0x80)
		length--;
	return length;
}

static void put_text(struct block *block, uint16_t code, const char *text)
{
	if (text && text[0])
		put_option(block, code, text, text_length(text));
}

static struct block block_begin(uint8_t *buffer, uint32_t type)
{
	struct block block = {.at = buffer};

	put32(&block, type);
	put32(&block, 0); /* by block_end() */
	return block;
}

static size_t block_end(struct block *block)
{
	uint32_t length;

	put_option(block, OPTION_END, NULL, 0);
	length = (uint32_t)block->length + 4;
	put32(block, length);
	memcpy(block->at + 4, &length, sizeof(length));
	return length;
}

size_t pcapng_section_write(uint8_t buffer[PCAPNG_BLOCK_MAX], const char *application)
{
	const uint64_t length = LENGTH_UNKNOWN;
	struct block block = block_begin(buffer, BLOCK_SECTION);

	put32(&block, BYTE_ORDER_MAGIC);
	put16(&block, 1); /* version 1.0 */
	put16(&block, 0);
	put(&block, &length, sizeof(length));
	put_text(&block, OPTION_SECTION_APPLICATION, application);
	return block_end(&block);
}

size_t pcapng_interface_write(uint8_t buffer[PCAPNG_BLOCK_MAX], const char *name,
			      uint32_t snap_bytes_max)
{
	const uint8_t resolution = TIME_NANOSECONDS;
	struct block block = block_begin(buffer, BLOCK_INTERFACE);

	put16(&block, LINK_ETHERNET);
	put16(&block, 0);
	put32(&block, snap_bytes_max);
	put_text(&block, OPTION_INTERFACE_NAME, name);
	put_option(&block, OPTION_INTERFACE_TIME, &resolution, sizeof(resolution));
	return block_end(&block);
}

size_t pcapng_packet_write(uint8_t buffer[PCAPNG_BLOCK_MAX], const struct pcapng_packet *packet)
{
	struct block block = block_begin(buffer, BLOCK_PACKET);

	assert(packet->snap_bytes <= PCAPNG_SNAP_MAX);
	put32(&block, packet->interface);
	put32(&block, (uint32_t)(packet->at_ns >> 32));
	put32(&block, (uint32_t)packet->at_ns);
	put32(&block, packet->snap_bytes);
	put32(&block, packet->frame_bytes);
	put_padded(&block, packet->snap, packet->snap_bytes);
	put_text(&block, OPTION_COMMENT, packet->comment);
	return block_end(&block);
}
