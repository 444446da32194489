// SPDX-License-Identifier: BSD-2-Clause
#include "maps/cli/words.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "userspace/base/cleanup.h"
#include "userspace/base/log.h"

static const char *const flag_names[] = {"fin", "syn", "rst", "psh", "ack", "urg", "ece", "cwr"};

const char *words_clean(const char *name, size_t length, char *buffer, size_t size)
{
	struct text text;

	text_init(&text, buffer, size);
	length = strnlen(name, length);
	for (size_t i = 0; i < length;) {
		const unsigned char *p = (const unsigned char *)name + i;
		size_t bytes = utf8_length(p, length - i);

		if (!bytes || *p < 0x20 || *p == 0x7f)
			text_puts(&text, "?");
		else if (text.length + bytes < size)
			text_append(&text, name + i, bytes);
		else
			break;
		i += bytes ? bytes : 1;
	}
	return buffer;
}

static int flag_find(const char *name, size_t length)
{
	for (size_t i = 0; i < ARRAY_SIZE(flag_names); i++) {
		if (strlen(flag_names[i]) == length && !strncmp(flag_names[i], name, length))
			return (int)i;
	}
	return -1;
}

int tcp_flags_parse(const char *text, uint8_t *ret_flags)
{
	uint8_t flags = 0;

	for (const char *at = text;; at++) {
		size_t length = strcspn(at, ",|");
		int flag = flag_find(at, length);

		if (flag < 0)
			return log_error(-EINVAL,
					 "--tcp-flags %s: wants fin, syn, rst, psh, ack, urg, ece, "
					 "cwr, with commas between",
					 text);
		flags |= (uint8_t)(1u << flag);
		at += length;
		if (!*at)
			break;
	}
	*ret_flags = flags;
	return 0;
}

const char *tcp_flags_format(uint8_t flags, char buffer[TCP_FLAGS_TEXT_MAX])
{
	struct text text;

	text_init(&text, buffer, TCP_FLAGS_TEXT_MAX);
	for (size_t i = 0; i < ARRAY_SIZE(flag_names); i++) {
		if (flags >> i & 1)
			text_printf(&text, "%s%s", text.length ? "," : "", flag_names[i]);
	}
	return buffer;
}

const char *proto_format(uint8_t proto, char buffer[PROTO_TEXT_MAX])
{
	switch (proto) {
	case IPPROTO_TCP: return "tcp";
	case IPPROTO_UDP: return "udp";
	case IPPROTO_ICMP: return "icmp";
	case IPPROTO_ICMPV6: return "icmpv6";
	}
	snprintf(buffer, PROTO_TEXT_MAX, "proto %u", proto);
	return buffer;
}

static const char *name_at(const char *const *names, size_t count, size_t index)
{
	return index < count ? names[index] : "invalid";
}

const char *words_mode(uint8_t mode)
{
	static const char *const names[] = {"none", "L4", "L7", "address"};

	return name_at(names, ARRAY_SIZE(names), mode);
}

const char *words_nexthop_state(uint16_t state)
{
	static const char *const names[] = {"free", "unresolved", "resolved"};

	return name_at(names, ARRAY_SIZE(names), state);
}

void words_json_none(struct text *text, const char *name)
{
	char last = text->length ? text->data[text->length - 1] : '{';

	text_printf(text, "%s\"%s\":null", last == '{' || last == '[' ? "" : ",", name);
}

void words_json_string(struct text *text, const char *name, const char *value)
{
	if (value[0])
		text_json_string(text, name, value, strlen(value));
	else
		words_json_none(text, name);
}
