// SPDX-License-Identifier: BSD-2-Clause
/* Tags, varints and lengths of protobuf, read as a state machine over bytes.  Every
 * position is an offset into the message and is compared with the end of what
 * contains it before it is moved, in 64 bits, so no length can wrap.  Groups, which
 * no message of these APIs has, are refused. */
#include "userspace/model/proto.h"

#define PREFIX_BYTES 5 /* gRPC: a flag, and the message's length, big endian */
#define TAG_BYTES_MAX 5
#define VARINT_BYTES_MAX 10

enum state { PREFIX, TAG, VARINT, LENGTH, SKIP, NAME, DONE, FAILED };

enum wire { WIRE_VARINT = 0, WIRE_FIXED64 = 1, WIRE_BYTES = 2, WIRE_FIXED32 = 5 };

static const char *fail(struct model_proto *proto, enum model_verdict verdict, const char *p)
{
	proto->verdict = verdict;
	proto->state = FAILED;
	return p;
}

static uint64_t end_here(const struct model_proto *proto)
{
	return proto->ends[proto->depth];
}

/* A field has ended: out of the ones that end here too, and on to the next. */
static const char *field_next(struct model_proto *proto, const char *p)
{
	while (proto->depth && proto->position == end_here(proto))
		proto->depth--;
	proto->varint = proto->varint_bytes = 0;
	proto->state = proto->position == end_here(proto) ? DONE : TAG;
	return p;
}

static const char *prefix_step(struct model_proto *proto, const char *p)
{
	if (!proto->prefix_bytes && *p != 0)
		return fail(proto, *p == 1 ? MODEL_ENCODED : MODEL_NOT_PROTO, p);
	proto->varint = proto->varint << 8 | (uint8_t)*p;
	if (++proto->prefix_bytes < PREFIX_BYTES)
		return p + 1;
	proto->ends[0] = proto->varint;
	return field_next(proto, p + 1);
}

/* True once it is whole; may fail. */
static bool varint_step(struct model_proto *proto, uint8_t byte, unsigned bytes_max)
{
	if (proto->position == end_here(proto) || proto->varint_bytes == bytes_max) {
		fail(proto, MODEL_NOT_PROTO, NULL);
		return false;
	}
	proto->varint |= (uint64_t)(byte & 0x7f) << (7 * proto->varint_bytes);
	proto->varint_bytes++;
	proto->position++;
	return !(byte & 0x80);
}

static bool is_on_the_way(const struct model_proto *proto)
{
	return proto->field == proto->place.numbers[proto->depth];
}

static const char *skip_begin(struct model_proto *proto, uint64_t length, const char *p)
{
	if (length > end_here(proto) - proto->position)
		return fail(proto, MODEL_NOT_PROTO, p);
	proto->skip_end = proto->position + length;
	proto->state = SKIP;
	return length ? p : field_next(proto, p);
}

static const char *tag_step(struct model_proto *proto, const char *p)
{
	if (!varint_step(proto, (uint8_t)*p, TAG_BYTES_MAX))
		return p + 1;
	proto->field = (uint32_t)(proto->varint >> 3);
	proto->wire = proto->varint & 7;
	if (proto->varint > UINT32_MAX || !proto->field)
		return fail(proto, MODEL_NOT_PROTO, p);
	proto->varint = proto->varint_bytes = 0;
	if (is_on_the_way(proto) && proto->wire != WIRE_BYTES)
		return fail(proto, MODEL_WRONG_TYPE, p);
	switch (proto->wire) {
	case WIRE_VARINT: proto->state = VARINT; return p + 1;
	case WIRE_BYTES: proto->state = LENGTH; return p + 1;
	case WIRE_FIXED64: return skip_begin(proto, 8, p + 1);
	case WIRE_FIXED32: return skip_begin(proto, 4, p + 1);
	default: return fail(proto, MODEL_NOT_PROTO, p);
	}
}

static bool is_name(const struct model_proto *proto)
{
	return proto->depth + 1 == PROTO_DEPTH_MAX || !proto->place.numbers[proto->depth + 1];
}

/* The name, or the JSON that has it. */
static const char *name_end(struct model_proto *proto, const char *p)
{
	enum model_verdict verdict = proto->place.json ? model_scan_finish(proto->scan)
						       : model_name_judge(&proto->name);

	if (verdict != MODEL_OK && verdict != MODEL_NONE)
		return fail(proto, verdict, p);
	return field_next(proto, p);
}

static const char *name_begin(struct model_proto *proto, const char *p)
{
	if (proto->has_name)
		return fail(proto, MODEL_DUPLICATE, p);
	proto->has_name = true;
	proto->skip_end = proto->position + proto->varint;
	proto->state = NAME;
	return proto->varint ? p : name_end(proto, p);
}

static const char *length_step(struct model_proto *proto, const char *p)
{
	if (!varint_step(proto, (uint8_t)*p, VARINT_BYTES_MAX))
		return p + 1;
	if (!is_on_the_way(proto))
		return skip_begin(proto, proto->varint, p + 1);
	if (proto->varint > end_here(proto) - proto->position)
		return fail(proto, MODEL_NOT_PROTO, p);
	if (is_name(proto))
		return name_begin(proto, p + 1);
	proto->ends[proto->depth + 1] = proto->position + proto->varint;
	proto->depth++;
	return field_next(proto, p + 1);
}

static const char *bytes_step(struct model_proto *proto, const char *p, const char *end)
{
	uint64_t n = proto->skip_end - proto->position;

	if (n > (uint64_t)(end - p))
		n = (uint64_t)(end - p);
	if (proto->state == NAME && proto->place.json)
		model_scan_feed(proto->scan, p, (size_t)n);
	else if (proto->state == NAME)
		model_name_append(&proto->name, p, (size_t)n);
	proto->position += n;
	p += n;
	if (proto->position < proto->skip_end)
		return p;
	return proto->state == NAME ? name_end(proto, p) : field_next(proto, p);
}

static const char *step(struct model_proto *proto, const char *p, const char *end)
{
	switch ((enum state)proto->state) {
	case PREFIX: return prefix_step(proto, p);
	case TAG: return tag_step(proto, p);
	case LENGTH: return length_step(proto, p);
	case SKIP:
	case NAME: return bytes_step(proto, p, end);
	case VARINT:
		if (varint_step(proto, (uint8_t)*p, VARINT_BYTES_MAX))
			return field_next(proto, p + 1);
		return p + 1;
	case DONE:
	case FAILED: break;
	}
	return end;
}

void model_proto_init(struct model_proto *proto, struct model_facts *facts,
		      struct proto_place place, struct model_scan *scan)
{
	*proto = (struct model_proto){.state = PREFIX, .place = place, .scan = scan};
	model_facts_reset(facts);
	model_name_begin(&proto->name, facts);
	if (place.json)
		model_scan_init(scan, facts);
}

bool model_proto_feed(struct model_proto *proto, const char *data, size_t length)
{
	const char *p = data, *end = data + length;

	while (p < end && proto->state != DONE && proto->state != FAILED)
		p = step(proto, p, end);
	return proto->state != DONE && proto->state != FAILED;
}

enum model_verdict model_proto_finish(struct model_proto *proto)
{
	enum model_verdict verdict = proto->verdict;

	if (proto->state == DONE)
		verdict = proto->name.facts->name_length ? MODEL_OK : MODEL_NONE;
	else if (proto->state != FAILED)
		verdict = proto->prefix_bytes ? MODEL_TRUNCATED : MODEL_EMPTY_BODY;
	if (verdict != MODEL_OK)
		model_name_forget(proto->name.facts);
	/* of the JSON in a field, not of the body */
	proto->name.facts->name_begin = proto->name.facts->name_end = 0;
	return verdict;
}
