// SPDX-License-Identifier: BSD-2-Clause
#include "userspace/base/siphash.h"

#include <endian.h>
#include <string.h>

struct state {
	uint64_t a, b, c, d;
};

static uint64_t rotate(uint64_t word, unsigned bits)
{
	return word << bits | word >> (64 - bits);
}

static void rounds(struct state *s, unsigned count)
{
	while (count--) {
		s->a += s->b;
		s->c += s->d;
		s->b = rotate(s->b, 13) ^ s->a;
		s->d = rotate(s->d, 16) ^ s->c;
		s->a = rotate(s->a, 32);
		s->c += s->b;
		s->a += s->d;
		s->b = rotate(s->b, 17) ^ s->c;
		s->d = rotate(s->d, 21) ^ s->a;
		s->c = rotate(s->c, 32);
	}
}

static uint64_t word_load(const uint8_t *data)
{
	uint64_t word;

	memcpy(&word, data, sizeof(word));
	return le64toh(word);
}

static void word_store(uint8_t *data, uint64_t word)
{
	word = htole64(word);
	memcpy(data, &word, sizeof(word));
}

static void word_take(struct state *s, uint64_t word)
{
	s->d ^= word;
	rounds(s, 2);
	s->a ^= word;
}

void siphash(const uint8_t key[SIPHASH_KEY_BYTES], const void *data, size_t length,
	     uint8_t ret_hash[SIPHASH_BYTES])
{
	const uint64_t k0 = word_load(key), k1 = word_load(key + 8);
	struct state s = {
		k0 ^ 0x736f6d6570736575ull,
		k1 ^ 0x646f72616e646f6dull ^ 0xee,
		k0 ^ 0x6c7967656e657261ull,
		k1 ^ 0x7465646279746573ull,
	};
	const uint8_t *p = data;
	uint8_t last[8] = {0};

	for (size_t left = length; left >= 8; left -= 8, p += 8)
		word_take(&s, word_load(p));
	if (length % 8)
		memcpy(last, p, length % 8);
	last[7] = (uint8_t)length;
	word_take(&s, word_load(last));
	s.c ^= 0xee;
	rounds(&s, 4);
	word_store(ret_hash, s.a ^ s.b ^ s.c ^ s.d);
	s.b ^= 0xdd;
	rounds(&s, 4);
	word_store(ret_hash + 8, s.a ^ s.b ^ s.c ^ s.d);
}
