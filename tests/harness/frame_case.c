// SPDX-License-Identifier: BSD-2-Clause
/* Cases as data.  What a case does not say is the ordinary, and the ordinary is
 * checked: one verdict counted, checksums right, not a byte more than wanted. */
#include "tests/harness/frame_case.h"

#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "userspace/base/cleanup.h"

static bool complain(const char *what)
{
	printf("  %s\n", what);
	return false;
}

/* Length and checksum of the outer UDP header; frame_read() held the length
 * against the IP header. */
static bool gue_is_right(const struct frame_seen *outer)
{
	if (outer->dst_port != FRAME_GUE_PORT)
		return complain("outer UDP is not to port 6080");
	if (outer->src_port < 1024)
		return complain("outer UDP source port is below 1024");
	return outer->l4_checksum_right || complain("outer UDP checksum is wrong");
}

static bool outer_header_is(const struct outer_seen *seen, const struct outer_wanted *wanted)
{
	const struct frame_seen *outer = &seen->outer;

	if (strcmp(outer->src, wanted->src) != 0 || strcmp(outer->dst, wanted->dst) != 0) {
		printf("  outer %s > %s, wanted %s > %s\n", outer->src, outer->dst, wanted->src,
		       wanted->dst);
		return false;
	}
	if (outer->proto != wanted->proto)
		return complain("outer protocol");
	if (outer->ttl != (wanted->ttl ? wanted->ttl : 64))
		return complain("outer TTL");
	if (outer->tos != wanted->tos)
		return complain("outer type of service");
	if (!outer->is_ipv6 && !outer->has_df)
		return complain("outer DF is not set");
	if (outer->l3_bytes != (outer->is_ipv6 ? 40 : 20) || outer->is_fragment ||
	    outer->fragment_offset)
		return complain("outer header has options or is a fragment");
	if (!outer->l3_checksum_right)
		return complain("outer IPv4 checksum is wrong");
	return outer->proto != IPPROTO_UDP || gue_is_right(outer);
}

static bool run_is_same_ip(const struct run *run, const struct frame *in, unsigned ttl_less)
{
	size_t in_at = frame_ip_offset(in->bytes, in->size);
	size_t out_at = frame_ip_offset(run->out.bytes, run->out.size);

	return ip_is_same(in->bytes + in_at, in->size - in_at, run->out.bytes + out_at,
			  run->out.size - out_at, ttl_less);
}

bool outer_is(const struct run *run, const struct outer_wanted *wanted, const struct frame *in,
	      unsigned ttl_less)
{
	size_t in_at = frame_ip_offset(in->bytes, in->size);
	struct outer_seen seen;

	if (!run->is_sent)
		return complain("not sent");
	if (!frame_read_outer(run->out.bytes, run->out.size, &seen))
		return complain("no encapsulated packet, or lengths that contradict each other");
	if (seen.inner + seen.inner_bytes != run->out.bytes + run->out.size)
		return complain("bytes behind the packet");
	return outer_header_is(&seen, wanted) && ip_is_same(in->bytes + in_at, in->size - in_at,
							    seen.inner, seen.inner_bytes, ttl_less);
}

/* What is to be sent, before encapsulation. */
static void wanted_build(const struct frame_case *c, const struct run *run, struct frame *ret)
{
	struct frame_spec spec = c->out.src ? c->out : c->in;
	struct frame_seen seen;

	if (c->out.src && !spec.src_port && frame_read(run->out.bytes, run->out.size, &seen))
		spec.src_port = seen.src_port;
	frame_build(ret, &spec);
}

static bool sent_is(const struct frame_case *c, const struct run *run)
{
	struct frame wanted;

	if (!run->is_sent)
		return complain("not sent");
	wanted_build(c, run, &wanted);
	if (c->outer)
		return outer_is(run, c->outer, &wanted, c->ttl_less);
	return run_is_same_ip(run, &wanted, c->ttl_less);
}

static bool passed_is(const struct run *run, const struct frame *in)
{
	if (!run->is_passed)
		return complain("not passed");
	return (run->out.size == in->size && memcmp(run->out.bytes, in->bytes, in->size) == 0) ||
	       complain("passed, but not as it came");
}

static bool end_is(const struct frame_case *c, const struct run *run, const struct frame *in)
{
	if (verdict_drops(c->verdict))
		return run->is_dropped || complain("not dropped");
	if (c->end == CASE_SENT || (c->end == CASE_BY_VERDICT && (c->outer || c->out.src)))
		return sent_is(c, run);
	return passed_is(run, in);
}

bool case_holds(struct bench *bench, enum program_id program, const struct frame_case *c)
{
	struct frame frame;
	struct run run;
	bool holds;

	bench->is_poisoned = program != PROGRAM_TC && c->end != CASE_PASSED;
	frame_build(&frame, &c->in);
	bench_mark(bench);
	run = bench_run(bench, program,
			c->from_endpoint ? bench->endpoint_ifindex : bench->client_ifindex, &frame);
	bench->is_poisoned = false;
	holds = bench_only(bench, c->verdict);
	holds &= end_is(c, &run, &frame);
	if (!holds)
		printf("case \"%s\", program %d, result %d\n", c->description, (int)program,
		       run.result);
	return holds;
}

void cases_hold(struct bench *bench, enum program_id program, const struct frame_case *cases,
		size_t count)
{
	size_t broken = 0;

	for (size_t i = 0; i < count; i++)
		broken += !case_holds(bench, program, &cases[i]);
	assert_int_equal(broken, 0);
}

/* ---- cuts ---- */

static size_t cut_first(enum program_id program, const struct frame *frame)
{
	size_t ip = frame_ip_offset(frame->bytes, frame->size);

	if (program != PROGRAM_TC)
		return FRAME_ETHERNET_BYTES;
	return ip + (frame->bytes[ip] >> 4 == 6 ? 40 : 20);
}

static bool cut_is_whole(const struct frame *whole, size_t size)
{
	size_t at = frame_ip_offset(whole->bytes, whole->size);
	const uint8_t *ip = whole->bytes + at;

	return size >= at + (ip[0] >> 4 == 6 ? 40 + frame_get16(ip + 4) : frame_get16(ip + 2));
}

static bool cut_holds(struct bench *bench, enum program_id program, uint32_t ifindex,
		      const struct frame *whole, size_t size)
{
	struct frame cut = *whole;
	struct run run;

	cut.size = size;
	bench_mark(bench);
	run = bench_run(bench, program, ifindex, &cut);
	if (bench_counted_all(bench) != 1)
		return complain("not counted once");
	if (run.is_sent && !cut_is_whole(whole, size))
		return complain("sent, though not whole");
	if (run.is_passed)
		return passed_is(&run, &cut);
	return run.is_sent || run.is_dropped || complain("neither sent, passed nor dropped");
}

void cuts_hold(struct bench *bench, enum program_id program, bool from_endpoint,
	       const struct frame_spec *spec)
{
	uint32_t ifindex = from_endpoint ? bench->endpoint_ifindex : bench->client_ifindex;
	struct frame whole;

	frame_build(&whole, spec);
	for (size_t size = cut_first(program, &whole); size <= whole.size; size++) {
		if (!cut_holds(bench, program, ifindex, &whole, size))
			fail_msg("cut to %zu of %zu bytes, program %d", size, whole.size,
				 (int)program);
	}
}
