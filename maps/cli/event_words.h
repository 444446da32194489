/* SPDX-License-Identifier: BSD-2-Clause */
/* A record of map `events` in words: a line, a JSON line, a comment for pcapng.
 *
 * Names are looked up where the record is read; an endpoint or VIP that has gone
 * since is told by its id. */
#ifndef SLUICE_CLI_EVENT_WORDS_H
#define SLUICE_CLI_EVENT_WORDS_H

#include <net/if.h>
#include <stddef.h>
#include <stdint.h>

#include "maps/access/maps.h"
#include "maps/cli/vip_index.h"
#include "maps/cli/words.h"

#define EVENT_NAME_MAX 80
#define EVENT_LINE_MAX 2048 /* the longest: JSON with all bytes in hex and names escaped */

/* Bytes from the ring buffer to a record.  -EPROTO after a message: programs of
 * another build wrote it. */
int event_check(const void *bytes, size_t size, const struct event **ret_event);

/* Is it what `asked` asks for?  What an earlier capture has left is not. */
bool event_matches(const struct event *event, const struct capture *asked);

struct event_words {
	uint64_t at_ns; /* CLOCK_REALTIME */
	const char *verdict, *why;
	/* "" where the record has none */
	char proto[PROTO_TEXT_MAX];
	char src[ADDRESS_TEXT_MAX], dst[ADDRESS_TEXT_MAX];
	char tcp_flags[TCP_FLAGS_TEXT_MAX];
	char vip[VIP_TEXT_MAX];
	char endpoint[EVENT_NAME_MAX]; /* its name, or "#ID" */
	char endpoint_address[ADDRESS_TEXT_MAX];
	const char *device;
};

/* Where a record without a device comes from: there is no packet at that hook. */
#define EVENT_NO_DEVICE "sk_lookup"

/* `device` is the name of event->ifindex, borrowed; `to_realtime_ns` what to add to
 * CLOCK_MONOTONIC.  Reads `endpoints` of `maps` only. */
void event_words_init(struct event_words *words, const struct event *event, const struct maps *maps,
		      const struct vip_index *vips, const char *device, uint64_t to_realtime_ns);

/* "21:03:04.123456 forwarded (ring) tcp syn A:P > A:P, vip ..., endpoint ..., 74 bytes
 * by eth0, stands for 10 packets", local time, no newline. */
void event_line_write(struct text *text, const struct event *event,
		      const struct event_words *words);
/* One object. */
void event_json_write(struct text *text, const struct event *event,
		      const struct event_words *words);
/* "verdict=forwarded why=ring vip=... endpoint=... packets=10", '-' for none. */
void event_comment_write(struct text *text, const struct event *event,
			 const struct event_words *words);

#endif
