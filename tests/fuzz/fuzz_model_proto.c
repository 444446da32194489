/* SPDX-License-Identifier: BSD-2-Clause */
/* The first byte chooses where the name is, the rest is a gRPC body: one verdict
 * and the same name however it is cut; a reader that has the whole message and
 * calls itself for messages in messages finds the same. */
#include <string.h>

#include "tests/fuzz/fuzz.h"
#include "userspace/base/cleanup.h"
#include "userspace/model/proto.h"

static const struct proto_place places[] = {
	{{1}, false}, {{1, 1}, false}, {{2, 15, 3}, false}, {{2, 2}, true}};

static enum model_verdict scan(struct proto_place place, const char *data, size_t size, int whole,
			       struct model_facts *facts)
{
	struct model_proto proto;
	struct model_scan json;
	uint64_t seed = size;
	size_t i, n;

	model_proto_init(&proto, facts, place, &json);
	for (i = 0; i < size; i += n) {
		n = whole ? size : fuzz_piece(&seed, size - i);
		model_proto_feed(&proto, data + i, n);
	}
	return model_proto_finish(&proto);
}

struct peer {
	const uint8_t *name;
	size_t length;
	unsigned count;
};

static int peer_varint(const uint8_t **p, const uint8_t *end, uint64_t *ret_value)
{
	unsigned shift;

	*ret_value = 0;
	for (shift = 0; shift < 70; shift += 7) {
		if (*p == end)
			return 0;
		*ret_value |= (uint64_t)(**p & 0x7f) << shift;
		if (!(*(*p)++ & 0x80))
			return 1;
	}
	return 0;
}

/* Calls itself at most PROTO_DEPTH_MAX deep. */
static int peer_read(const uint8_t *p, const uint8_t *end, const uint8_t *numbers, unsigned depth,
		     struct peer *peer)
{
	uint64_t tag, length;

	while (p < end) {
		if (!peer_varint(&p, end, &tag) || !(tag >> 3))
			return 0;
		switch (tag & 7) {
		case 0:
			if (!peer_varint(&p, end, &length))
				return 0;
			continue;
		case 1: length = 8; break;
		case 5: length = 4; break;
		case 2:
			if (!peer_varint(&p, end, &length))
				return 0;
			break;
		default: return 0;
		}
		if (length > (uint64_t)(end - p))
			return 0;
		if ((tag & 7) == 2 && tag >> 3 == numbers[depth]) {
			if (depth + 1 < PROTO_DEPTH_MAX && numbers[depth + 1]) {
				if (!peer_read(p, p + length, numbers, depth + 1, peer))
					return 0;
			} else {
				*peer = (struct peer){p, (size_t)length, peer->count + 1};
			}
		}
		p += length;
	}
	return 1;
}

static void check_peer_agrees(struct proto_place place, const uint8_t *data, size_t size,
			      enum model_verdict verdict, const struct model_facts *facts)
{
	struct peer peer = {0};
	size_t length;

	must(size >= 5 && data[0] == 0);
	length = (size_t)data[1] << 24 | (size_t)data[2] << 16 | (size_t)data[3] << 8 | data[4];
	must(length <= size - 5);
	must(peer_read(data + 5, data + 5 + length, place.numbers, 0, &peer));
	if (place.json)
		return; /* fuzz_model_scan has json-c for that */
	must(peer.count == (verdict == MODEL_OK));
	must(peer.length == facts->name_length);
	must(!peer.length || !memcmp(peer.name, facts->name, peer.length));
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	struct model_facts facts, cut_facts;
	struct proto_place place;
	enum model_verdict verdict;
	const char *data = (const char *)bytes + 1;

	if (!size)
		return 0;
	place = places[bytes[0] % ARRAY_SIZE(places)];
	verdict = scan(place, data, size - 1, 1, &facts);
	must(scan(place, data, size - 1, 0, &cut_facts) == verdict);
	must(!strcmp(facts.name, cut_facts.name) && facts.name_length == cut_facts.name_length);
	must((verdict == MODEL_OK) == (facts.name_length > 0));
	if (verdict == MODEL_OK || verdict == MODEL_NONE)
		check_peer_agrees(place, bytes + 1, size - 1, verdict, &facts);
	return 0;
}
