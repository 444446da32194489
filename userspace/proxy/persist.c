// SPDX-License-Identifier: BSD-2-Clause
#include "userspace/proxy/persist.h"

#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "userspace/base/cleanup.h"
#include "userspace/base/file.h"
#include "userspace/base/log.h"

#define CLOCK_SKEW_S 60 /* of gateways that share a key */

/* ---- the key ---- */

static int key_make(const char *path, struct persist_key *key)
{
	int err;

	if (getrandom(key, sizeof(*key), 0) != sizeof(*key))
		return log_error(-EIO, "%s: no random bytes for a key", path);
	err = file_replace(path, key, sizeof(*key), 0600);
	if (err)
		return log_error(err, "%s: the key of sessions cannot be written (%s)", path,
				 strerror(-err));
	return 0;
}

int persist_key_load(const char *path, struct persist_key *ret_key)
{
	_cleanup_free_ char *data = NULL;
	size_t size;
	int err = file_read(path, sizeof(*ret_key), &data, &size);

	if (err == -ENOENT)
		return key_make(path, ret_key);
	if (!err && size != sizeof(*ret_key))
		err = -EBADMSG;
	if (err == -EBADMSG || err == -EFBIG)
		return log_error(err,
				 "%s: not a key of sessions, which has %zu bytes; remove the file "
				 "for a new one",
				 path, sizeof(*ret_key));
	if (err)
		return log_error(err, "%s: the key of sessions cannot be read (%s)", path,
				 strerror(-err));
	memcpy(ret_key, data, sizeof(*ret_key));
	return 0;
}

/* ---- tokens ---- */

struct sealed {
	uint8_t tag[SIPHASH_BYTES];
	uint8_t body[SIPHASH_BYTES]; /* four words, little endian, masked */
};

_Static_assert((sizeof(struct sealed) * 8 + 5) / 6 == PERSIST_TEXT_LENGTH, "base64 of it");

static void tag_make(const struct persist_key *key, const char *name, const uint8_t *body,
		     uint8_t tag[SIPHASH_BYTES])
{
	uint8_t message[SIPHASH_BYTES + PERSIST_NAME_MAX];
	size_t length = strlen(name);

	length = length < PERSIST_NAME_MAX ? length : PERSIST_NAME_MAX;
	memcpy(message, body, SIPHASH_BYTES);
	memcpy(message + SIPHASH_BYTES, name, length);
	siphash(key->tag, message, SIPHASH_BYTES + length, tag);
}

static void mask(const struct persist_key *key, struct sealed *sealed)
{
	uint8_t bytes[SIPHASH_BYTES];

	siphash(key->mask, sealed->tag, sizeof(sealed->tag), bytes);
	for (size_t i = 0; i < sizeof(bytes); i++)
		sealed->body[i] ^= bytes[i];
}

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

static void base64_format(const uint8_t *data, size_t size, char *to)
{
	uint32_t bits = 0;
	unsigned count = 0;

	for (size_t i = 0; i < size; i++) {
		bits = bits << 8 | data[i];
		for (count += 8; count >= 6; count -= 6)
			*to++ = alphabet[bits >> (count - 6) & 63];
	}
	if (count)
		*to++ = alphabet[bits << (6 - count) & 63];
	*to = '\0';
}

/* False: not the text of `size` bytes, or another spelling of it. */
static bool base64_parse(struct http_span text, uint8_t *data, size_t size)
{
	uint32_t bits = 0;
	unsigned count = 0;

	for (size_t i = 0; i < text.length; i++) {
		const char *at = text.data[i] ? strchr(alphabet, text.data[i]) : NULL;

		if (!at)
			return false;
		bits = bits << 6 | (uint32_t)(at - alphabet);
		count += 6;
		if (count < 8)
			continue;
		if (!size--)
			return false;
		count -= 8;
		*data++ = (uint8_t)(bits >> count);
	}
	return !size && !(bits & ((1u << count) - 1));
}

void persist_token_format(const struct persist_key *key, const char *name,
			  const struct persist_token *token, char ret_text[PERSIST_TEXT_LENGTH + 1])
{
	const uint32_t words[] = {htole32(token->endpoint), htole32(token->generation),
				  htole32(token->begun_s), htole32(token->used_s)};
	struct sealed sealed;

	memcpy(sealed.body, words, sizeof(sealed.body));
	tag_make(key, name, sealed.body, sealed.tag);
	mask(key, &sealed);
	base64_format((const uint8_t *)&sealed, sizeof(sealed), ret_text);
}

bool persist_token_parse(const struct persist_key *key, const char *name, struct http_span text,
			 struct persist_token *ret_token)
{
	struct sealed sealed;
	uint8_t tag[SIPHASH_BYTES], differs = 0;
	uint32_t words[4];

	if (text.length != PERSIST_TEXT_LENGTH ||
	    !base64_parse(text, (uint8_t *)&sealed, sizeof(sealed)))
		return false;
	mask(key, &sealed);
	tag_make(key, name, sealed.body, tag);
	for (size_t i = 0; i < sizeof(tag); i++) /* in the same time wherever they differ */
		differs |= tag[i] ^ sealed.tag[i];
	if (differs)
		return false;
	memcpy(words, sealed.body, sizeof(words));
	*ret_token = (struct persist_token){le32toh(words[0]), le32toh(words[1]), le32toh(words[2]),
					    le32toh(words[3])};
	return true;
}

/* ---- requests and answers ---- */

/* The value of the first cookie of that name in "a=b; c=d". */
static struct http_span cookie_find(struct http_span list, const char *name)
{
	const size_t name_length = strlen(name);

	while (list.length) {
		const char *end = memchr(list.data, ';', list.length);
		struct http_span pair = {list.data, end ? (size_t)(end - list.data) : list.length};

		list.data += pair.length + (end != NULL);
		list.length -= pair.length + (end != NULL);
		while (pair.length && *pair.data == ' ')
			pair = (struct http_span){pair.data + 1, pair.length - 1};
		if (pair.length > name_length && pair.data[name_length] == '=' &&
		    !memcmp(pair.data, name, name_length))
			return (struct http_span){pair.data + name_length + 1,
						  pair.length - name_length - 1};
	}
	return (struct http_span){0};
}

struct http_span persist_find(const struct http_head *head,
			      const struct snapshot_persistence *persistence)
{
	const char *header = persistence->type == PERSIST_COOKIE ? "cookie" : persistence->name;

	for (size_t i = 0; i < head->header_count; i++) {
		struct http_span found = head->headers[i].value;

		if (!http_span_equal_nocase(head->headers[i].name, header))
			continue;
		if (persistence->type == PERSIST_COOKIE)
			found = cookie_find(found, persistence->name);
		if (found.length)
			return found;
	}
	return (struct http_span){0};
}

static bool is_over(uint32_t since_s, uint32_t limit_s, uint32_t now_s)
{
	return limit_s && now_s > since_s && now_s - since_s >= limit_s;
}

bool persist_is_current(const struct snapshot_persistence *persistence,
			const struct persist_token *token, uint32_t now_s)
{
	if (token->begun_s > now_s + CLOCK_SKEW_S || token->used_s > now_s + CLOCK_SKEW_S)
		return false;
	return !is_over(token->begun_s, persistence->absolute_s, now_s) &&
	       !is_over(token->used_s, persistence->idle_s, now_s);
}

void persist_value_format(const struct snapshot_persistence *persistence, const char *text,
			  const struct persist_token *token, struct text *out)
{
	uint32_t age_s = token->used_s - token->begun_s;

	if (persistence->type == PERSIST_HEADER) {
		text_puts(out, text);
		return;
	}
	text_printf(out, "%s=%s; Path=/; HttpOnly; SameSite=Strict", persistence->name, text);
	if (persistence->lifetime == PERSIST_PERMANENT)
		text_printf(out, "; Max-Age=%u",
			    age_s < persistence->absolute_s ? persistence->absolute_s - age_s : 0);
}
