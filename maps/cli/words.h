/* SPDX-License-Identifier: BSD-2-Clause */
/* What packets, devices and records are called, for messages and for people. */
#ifndef SLUICE_CLI_WORDS_H
#define SLUICE_CLI_WORDS_H

#include <stddef.h>
#include <stdint.h>

#include "userspace/base/text.h"

#define TCP_FLAGS_TEXT_MAX 40
#define PROTO_TEXT_MAX 16

/* Names in maps are written by others, cut to their field, and may lack the NUL:
 * copies at most `length` bytes, with '?' for what is not UTF-8 or would move the
 * cursor.  "" for "". */
const char *words_clean(const char *name, size_t length, char *buffer, size_t size);

/* "syn,ack" (or '|' between) to bits of the TCP header; -EINVAL after a message. */
int tcp_flags_parse(const char *text, uint8_t *ret_flags);
/* "syn,ack"; "" for none. */
const char *tcp_flags_format(uint8_t flags, char buffer[TCP_FLAGS_TEXT_MAX]);

/* "tcp", "udp", "icmp", "icmpv6", else "proto 47". */
const char *proto_format(uint8_t proto, char buffer[PROTO_TEXT_MAX]);

/* enum vip_mode, nexthop_state; "invalid" for others. */
const char *words_mode(uint8_t mode);
const char *words_nexthop_state(uint16_t state);

/* A member without a value: `"name":null`. */
void words_json_none(struct text *text, const char *name);
/* A string, or null for "". */
void words_json_string(struct text *text, const char *name, const char *value);

#endif
