/* SPDX-License-Identifier: BSD-2-Clause */
/* Fast-path cases as data: a frame in, the verdict, the frame out; and what must
 * hold for every cut of a frame.  For tests/program. */
#ifndef SLUICE_TESTS_HARNESS_FRAME_CASE_H
#define SLUICE_TESTS_HARNESS_FRAME_CASE_H

#include "tests/harness/packet.h"
#include "tests/harness/program.h"

/* Outer headers as a case wants them. */
struct outer_wanted {
	const char *src, *dst;
	uint8_t proto; /* IPPROTO_IPIP, IPPROTO_IPV6, or IPPROTO_UDP: GUE */
	uint8_t tos;
	uint8_t ttl; /* 0: 64 */
};

enum case_end {
	CASE_BY_VERDICT, /* dropped if the verdict drops; sent if the case says what; else passed */
	CASE_SENT, /* as it came, or as `out` says */
	CASE_PASSED,
};

struct frame_case {
	const char *description;
	struct frame_spec in;
	bool from_endpoint; /* comes in at the endpoints' device */
	enum verdict verdict; /* the only one counted */
	enum case_end end;
	const struct outer_wanted *outer; /* around what is sent; NULL: not encapsulated */
	unsigned ttl_less; /* of what is inside, or sent as it came */
	struct frame_spec out; /* src NULL: what came in.  Otherwise all of what is sent (inside of
				* `outer`); src_port 0 of TCP and UDP: any */
};

/* Runs a case, XDP with poisoned headroom; prints what is not as it should be,
 * under the case's description. */
bool case_holds(struct bench *bench, enum program_id program, const struct frame_case *c);
/* All of them, each to its end; fails the test if one does not hold. */
void cases_hold(struct bench *bench, enum program_id program, const struct frame_case *cases,
		size_t count);

/* Sent frame `run`, around the IP packet of `in` unchanged (but for ttl_less): the
 * outer headers have right checksums and lengths, and DF; prints what is not. */
bool outer_is(const struct run *run, const struct outer_wanted *wanted, const struct frame *in,
	      unsigned ttl_less);

/* Sends the frame cut at every byte (from where a test run takes frames: 14 bytes,
 * for TC the IP header too) to its whole size.  Each cut is counted once, whatever
 * the verdict; one that lacks bytes which its IP header promises is not sent, and
 * one that is passed is passed as it came.  Prints and fails the test otherwise. */
void cuts_hold(struct bench *bench, enum program_id program, bool from_endpoint,
	       const struct frame_spec *spec);

#endif
