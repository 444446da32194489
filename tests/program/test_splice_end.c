// SPDX-License-Identifier: BSD-2-Clause
/* Spliced connections: what may pass and what may not, what is tracked, counted and
 * told, and how they end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <cmocka.h>

#include "tests/harness/spliced.h"
#include "userspace/base/cleanup.h"

#define FINISH (FLAG_FIN | FLAG_ACK)

/* ---- what may pass ---- */

static void a_clients_new_data_is_dropped_counted_and_told_once(void **state)
{
	const struct spliced_numbers n = spliced_numbers();

	for (EACH_SPLICED(spliced)) {
		struct bench *bench = spliced_bench(state, spliced);
		uint32_t kind;

		spliced_drop(bench, spliced, &n, SIDE_CLIENT, 0, 0, 1, FLAG_ACK,
			     VERDICT_SPLICE_DATA);
		assert_int_equal(spliced_events(bench, &kind), 1);
		assert_int_equal(kind, SPLICE_EVENT_DATA);
		/* a request behind data that is old; with a FIN; far ahead */
		spliced_drop(bench, spliced, &n, SIDE_CLIENT, (uint32_t)-20, 0, 21, FLAG_ACK,
			     VERDICT_SPLICE_DATA);
		spliced_drop(bench, spliced, &n, SIDE_CLIENT, 0, 0, 200, FINISH,
			     VERDICT_SPLICE_DATA);
		spliced_drop(bench, spliced, &n, SIDE_CLIENT, 1u << 30, 0, 200, FLAG_ACK,
			     VERDICT_SPLICE_DATA);
		assert_int_equal(spliced_events(bench, &kind), 0);
		assert_int_equal(spliced_record(bench, spliced, SIDE_CLIENT).next, n.client);
	}
}

/* It asks for an acknowledgement that was lost, or whether anybody is there. */
static void a_clients_old_data_and_probes_pass(void **state)
{
	const struct spliced_numbers n = spliced_numbers();

	for (EACH_SPLICED(spliced)) {
		struct bench *bench = spliced_bench(state, spliced);

		spliced_pass(bench, spliced, &n, SIDE_CLIENT, (uint32_t)-300, 0, 300, FLAG_ACK);
		spliced_pass(bench, spliced, &n, SIDE_CLIENT, (uint32_t)-1, 0, 1, FLAG_ACK);
		spliced_pass(bench, spliced, &n, SIDE_CLIENT, (uint32_t)-1, 0, 0, FLAG_ACK);
		spliced_pass(bench, spliced, &n, SIDE_SERVER, (uint32_t)-1, 0, 0, FLAG_ACK);
		assert_int_equal(spliced_record(bench, spliced, SIDE_CLIENT).bytes, 0);
	}
}

static void a_servers_data_past_the_announced_end_is_not_sent_on(void **state)
{
	const struct spliced_numbers n = spliced_numbers();

	for (EACH_SPLICED(spliced)) {
		struct bench *bench = spliced_bench(state, spliced);
		struct splice splice = spliced_record(bench, spliced, SIDE_SERVER);
		uint32_t kind;

		splice.flags |= SPLICE_F_LIMIT;
		splice.limit = n.server + 1000;
		spliced_put(bench, spliced, SIDE_SERVER, &splice);
		spliced_pass(bench, spliced, &n, SIDE_SERVER, 0, 0, 999, FLAG_ACK);
		spliced_drop(bench, spliced, &n, SIDE_SERVER, 999, 0, 2, FLAG_ACK,
			     VERDICT_SPLICE_PAST_END);
		spliced_drop(bench, spliced, &n, SIDE_SERVER, 1000, 0, 1, FINISH,
			     VERDICT_SPLICE_PAST_END);
		assert_int_equal(spliced_events(bench, &kind), 1);
		assert_int_equal(kind, SPLICE_EVENT_PAST_END);
		spliced_pass(bench, spliced, &n, SIDE_SERVER, 999, 0, 1, FLAG_ACK);
		spliced_pass(bench, spliced, &n, SIDE_SERVER, 1000, 0, 0, FINISH);
	}
}

static void segments_that_no_connection_has_are_dropped_by_name(void **state)
{
	static const uint8_t flags[] = {0, FLAG_FIN, FLAG_FIN | 0x28};
	const struct spliced_numbers n = spliced_numbers();

	for (EACH_SPLICED(spliced)) {
		struct bench *bench = spliced_bench(state, spliced);

		for (size_t i = 0; i < ARRAY_SIZE(flags); i++)
			spliced_drop(bench, spliced, &n, SIDE_CLIENT, 0, 0, 0, flags[i],
				     VERDICT_SPLICE_ODD);
	}
}

static void a_syn_passes_a_live_splice_by(void **state)
{
	static const uint8_t flags[] = {FLAG_SYN, FLAG_SYN | FLAG_ACK};
	const struct spliced_numbers n = spliced_numbers();

	for (EACH_SPLICED(spliced)) {
		struct bench *bench = spliced_bench(state, spliced);
		uint32_t kind;

		for (size_t i = 0; i < ARRAY_SIZE(flags); i++) {
			struct frame_spec in = spliced_in(spliced, &n, SIDE_CLIENT, 0, 0);

			in.flags = flags[i];
			assert_true(spliced_send(bench, spliced, SIDE_CLIENT, &in).is_passed);
			assert_true(bench_only(bench, VERDICT_NOT_A_VIP));
		}
		assert_int_equal(spliced_events(bench, &kind), 0);
		spliced_pass(bench, spliced, &n, SIDE_CLIENT, 0, 0, 0, FLAG_ACK);
	}
}

static void half_a_splice_moves_nothing(void **state)
{
	const struct spliced_numbers n = spliced_numbers();

	for (EACH_SPLICED(spliced)) {
		struct bench *bench = spliced_bench(state, spliced);
		struct flow_key key = spliced_key(spliced, SIDE_SERVER);
		struct splice splice = spliced_record(bench, spliced, SIDE_SERVER);

		assert_int_equal(splices_remove(bench->splicer, &key), 0);
		spliced_drop(bench, spliced, &n, SIDE_CLIENT, 0, 0, 0, FLAG_ACK,
			     VERDICT_SPLICE_HALF);
		/* nor with the half of another */
		splice.id++;
		spliced_put(bench, spliced, SIDE_SERVER, &splice);
		spliced_drop(bench, spliced, &n, SIDE_CLIENT, 0, 0, 0, FLAG_ACK,
			     VERDICT_SPLICE_HALF);
		spliced_drop(bench, spliced, &n, SIDE_SERVER, 0, 0, 9, FLAG_ACK,
			     VERDICT_SPLICE_HALF);
	}
}

/* One differing byte of the 5-tuple is another connection. */
static void a_strangers_packet_is_not_touched(void **state)
{
	const struct spliced_numbers n = spliced_numbers();

	for (EACH_SPLICED(spliced)) {
		struct bench *bench = spliced_bench(state, spliced);
		struct frame_spec in = spliced_in(spliced, &n, SIDE_SERVER, 0, 0);

		in.src_port++;
		assert_true(spliced_send(bench, spliced, SIDE_SERVER, &in).is_passed);
		in.src_port--;
		in.proto = IPPROTO_UDP;
		assert_true(spliced_send(bench, spliced, SIDE_SERVER, &in).is_passed);
		assert_int_equal(bench_counted(bench, VERDICT_SPLICED), 0);
	}
}

/* ---- what is tracked ---- */

static void forged_numbers_move_nothing_that_is_tracked(void **state)
{
	const struct spliced_numbers n = spliced_numbers();

	for (EACH_SPLICED(spliced)) {
		struct bench *bench = spliced_bench(state, spliced);
		struct splice before, after;

		spliced_pass(bench, spliced, &n, SIDE_SERVER, 0, 0, 500, FLAG_ACK);
		spliced_pass(bench, spliced, &n, SIDE_CLIENT, 0, 200, 0, FLAG_ACK);
		before = spliced_record(bench, spliced, SIDE_SERVER);
		/* beyond the client's window; far behind */
		spliced_pass(bench, spliced, &n, SIDE_SERVER, 200 + (0xffffu << 7) - 8, 0, 9,
			     FLAG_ACK);
		spliced_pass(bench, spliced, &n, SIDE_SERVER, 1u << 31, 0, 9, FLAG_ACK);
		spliced_pass(bench, spliced, &n, SIDE_SERVER, 1u << 30, 0, 0, FINISH);
		after = spliced_record(bench, spliced, SIDE_SERVER);
		assert_int_equal(after.next, before.next);
		assert_int_equal(after.saw, 0);
		assert_int_equal(after.bytes, 500);
		/* the last byte of the window counts */
		spliced_pass(bench, spliced, &n, SIDE_SERVER, 200 + (0xffffu << 7) - 9, 0, 9,
			     FLAG_ACK);
		after = spliced_record(bench, spliced, SIDE_SERVER);
		assert_int_equal(after.next, n.server + 200 + (0xffffu << 7));
	}
}

static void an_acknowledgement_of_what_was_never_sent_is_not_tracked(void **state)
{
	const struct spliced_numbers n = spliced_numbers();

	for (EACH_SPLICED(spliced)) {
		struct bench *bench = spliced_bench(state, spliced);

		spliced_pass(bench, spliced, &n, SIDE_SERVER, 0, 0, 500, FLAG_ACK);
		spliced_pass(bench, spliced, &n, SIDE_CLIENT, 0, 501, 0, FLAG_ACK);
		assert_int_equal(spliced_record(bench, spliced, SIDE_CLIENT).acked, n.to_client);
		spliced_pass(bench, spliced, &n, SIDE_CLIENT, 0, 500, 0, FLAG_ACK);
		spliced_pass(bench, spliced, &n, SIDE_CLIENT, 0, 100, 0, FLAG_ACK);
		assert_int_equal(spliced_record(bench, spliced, SIDE_CLIENT).acked,
				 n.to_client + 500);
	}
}

static void a_repeated_segment_is_new_data_once(void **state)
{
	const struct spliced_numbers n = spliced_numbers();

	for (EACH_SPLICED(spliced)) {
		struct bench *bench = spliced_bench(state, spliced);
		struct splice splice;
		uint32_t gaps = 0;

		spliced_pass(bench, spliced, &n, SIDE_SERVER, 0, 0, 100, FLAG_ACK);
		splice = spliced_record(bench, spliced, SIDE_SERVER);
		assert_true(splice.first_at > 0);
		assert_true(splice.data_at == splice.first_at);
		for (int i = 0; i < 3; i++)
			spliced_pass(bench, spliced, &n, SIDE_SERVER, 0, 0, 100, FLAG_ACK);
		spliced_pass(bench, spliced, &n, SIDE_SERVER, 50, 0, 100, FLAG_ACK);
		splice = spliced_record(bench, spliced, SIDE_SERVER);
		assert_int_equal(splice.bytes, 150);
		assert_int_equal(splice.packets, 5);
		assert_true(splice.data_at > splice.first_at);
		assert_true(splice.seen_at == splice.data_at);
		for (int i = 0; i < SPLICE_GAPS; i++)
			gaps += splice.gaps[i];
		assert_int_equal(gaps, 1);
	}
}

/* The class of a gap is its highest bit. */
static void gaps_are_counted_by_their_length(void **state)
{
	const struct spliced_numbers n = spliced_numbers();
	const struct spliced *spliced = &spliceds[0];
	struct bench *bench = spliced_bench(state, spliced);
	struct splice splice;
	uint32_t at = 0;

	spliced_pass(bench, spliced, &n, SIDE_SERVER, at, 0, 10, FLAG_ACK);
	for (int class = 12; class < SPLICE_GAPS + 4; class ++) {
		int wanted = class < SPLICE_GAPS ? class : SPLICE_GAPS - 1;

		splice = spliced_record(bench, spliced, SIDE_SERVER);
		memset(splice.gaps, 0, sizeof(splice.gaps));
		/* 1.25 of where the class begins: 134 ms more and it would be another one */
		splice.data_at -= (5ull << (SPLICE_GAP_SHIFT + class - 1)) / 4;
		spliced_put(bench, spliced, SIDE_SERVER, &splice);
		spliced_pass(bench, spliced, &n, SIDE_SERVER, at += 10, 0, 10, FLAG_ACK);
		splice = spliced_record(bench, spliced, SIDE_SERVER);
		/* a busy machine may have taken longer */
		assert_int_equal(splice.gaps[wanted] +
					 (wanted + 1 < SPLICE_GAPS ? splice.gaps[wanted + 1] : 0),
				 1);
	}
}

/* ---- ends ---- */

/* Both sides close, `first` before the other. */
static void close_both(struct bench *bench, const struct spliced *spliced, enum spliced_side first)
{
	const struct spliced_numbers n = spliced_numbers();
	enum spliced_side second = first == SIDE_CLIENT ? SIDE_SERVER : SIDE_CLIENT;
	uint32_t kind;

	spliced_pass(bench, spliced, &n, first, 0, 0, 0, FINISH);
	assert_int_equal(spliced_record(bench, spliced, first).saw, SPLICE_SAW_FIN);
	spliced_pass(bench, spliced, &n, second, 0, 1, 0, FLAG_ACK);
	spliced_pass(bench, spliced, &n, second, 0, 1, 0, FINISH);
	assert_int_equal(spliced_record(bench, spliced, first).end, SPLICE_OPEN);
	assert_int_equal(spliced_events(bench, &kind), 0);
	spliced_pass(bench, spliced, &n, first, 1, 1, 0, FLAG_ACK);
	assert_int_equal(spliced_record(bench, spliced, first).end, SPLICE_END_FIN);
	assert_int_equal(spliced_record(bench, spliced, second).end, SPLICE_END_FIN);
	assert_int_equal(spliced_events(bench, &kind), 1);
	assert_int_equal(kind, SPLICE_EVENT_FIN);
	/* the last acknowledgement was lost: it goes on */
	spliced_pass(bench, spliced, &n, second, 0, 1, 0, FINISH);
	spliced_pass(bench, spliced, &n, first, 1, 1, 0, FLAG_ACK);
	assert_int_equal(spliced_events(bench, &kind), 0);
}

static void it_ends_when_both_have_closed_and_know_it(void **state)
{
	for (EACH_SPLICED(spliced)) {
		close_both(spliced_bench(state, spliced), spliced, SIDE_SERVER);
		close_both(spliced_bench(state, spliced), spliced, SIDE_CLIENT);
	}
}

static void both_may_close_at_once(void **state)
{
	const struct spliced_numbers n = spliced_numbers();

	for (EACH_SPLICED(spliced)) {
		struct bench *bench = spliced_bench(state, spliced);
		uint32_t kind;

		spliced_pass(bench, spliced, &n, SIDE_SERVER, 0, 0, 40, FINISH);
		spliced_pass(bench, spliced, &n, SIDE_CLIENT, 0, 0, 0, FINISH);
		spliced_pass(bench, spliced, &n, SIDE_CLIENT, 1, 41, 0, FLAG_ACK);
		assert_int_equal(spliced_events(bench, &kind), 0);
		spliced_pass(bench, spliced, &n, SIDE_SERVER, 41, 1, 0, FLAG_ACK);
		assert_int_equal(spliced_events(bench, &kind), 1);
		assert_int_equal(kind, SPLICE_EVENT_FIN);
	}
}

static void half_closed_it_goes_on(void **state)
{
	const struct spliced_numbers n = spliced_numbers();

	for (EACH_SPLICED(spliced)) {
		struct bench *bench = spliced_bench(state, spliced);

		spliced_pass(bench, spliced, &n, SIDE_CLIENT, 0, 0, 0, FINISH);
		for (uint32_t at = 0; at < 500; at += 100) {
			spliced_pass(bench, spliced, &n, SIDE_SERVER, at, 1, 100, FLAG_ACK);
			spliced_pass(bench, spliced, &n, SIDE_CLIENT, 1, at + 100, 0, FLAG_ACK);
		}
		assert_int_equal(spliced_record(bench, spliced, SIDE_SERVER).end, SPLICE_OPEN);
	}
}

static void a_reset_at_the_right_number_ends_it(void **state)
{
	const struct spliced_numbers n = spliced_numbers();

	for (EACH_SPLICED(spliced)) {
		for (enum spliced_side side = SIDE_CLIENT; side <= SIDE_SERVER; side++) {
			struct bench *bench = spliced_bench(state, spliced);
			uint32_t kind;

			spliced_pass(bench, spliced, &n, side, 0, 0, 0,
				     side == SIDE_CLIENT ? FLAG_RST : FLAG_RST | FLAG_ACK);
			assert_int_equal(spliced_events(bench, &kind), 1);
			assert_int_equal(kind, SPLICE_EVENT_RESET);
			assert_int_equal(spliced_record(bench, spliced, SIDE_CLIENT).end,
					 SPLICE_END_RESET);
			assert_int_equal(spliced_record(bench, spliced, SIDE_SERVER).end,
					 SPLICE_END_RESET);
		}
	}
}

/* Within the window its receiver asks back (RFC 5961); it is not for us to believe. */
static void a_reset_that_may_be_forged_ends_nothing(void **state)
{
	const struct spliced_numbers n = spliced_numbers();

	for (EACH_SPLICED(spliced)) {
		struct bench *bench = spliced_bench(state, spliced);
		uint32_t window = 0xffffu << 7, kind;

		spliced_pass(bench, spliced, &n, SIDE_SERVER, 5, 0, 0, FLAG_RST);
		spliced_pass(bench, spliced, &n, SIDE_SERVER, window, 0, 0, FLAG_RST);
		spliced_drop(bench, spliced, &n, SIDE_SERVER, window + 1, 0, 0, FLAG_RST,
			     VERDICT_SPLICE_STRAY);
		spliced_drop(bench, spliced, &n, SIDE_SERVER, (uint32_t)-1, 0, 0,
			     FLAG_RST | FLAG_ACK, VERDICT_SPLICE_STRAY);
		spliced_drop(bench, spliced, &n, SIDE_CLIENT, 1u << 31, 0, 0, FLAG_RST,
			     VERDICT_SPLICE_STRAY);
		assert_int_equal(spliced_record(bench, spliced, SIDE_SERVER).end, SPLICE_OPEN);
		assert_int_equal(spliced_events(bench, &kind), 0);
	}
}

/* The server aborts, and its last data is still unacknowledged, or lost. */
static void a_reset_behind_the_data_that_was_sent_ends_it(void **state)
{
	const struct spliced_numbers n = spliced_numbers();

	for (EACH_SPLICED(spliced)) {
		struct bench *bench = spliced_bench(state, spliced);
		uint32_t kind;

		spliced_pass(bench, spliced, &n, SIDE_SERVER, 0, 0, 700, FLAG_ACK);
		spliced_pass(bench, spliced, &n, SIDE_SERVER, 700, 0, 0, FLAG_RST);
		assert_int_equal(spliced_events(bench, &kind), 1);
		assert_int_equal(kind, SPLICE_EVENT_RESET);
	}
}

static void a_syn_after_the_end_frees_the_ports(void **state)
{
	const struct spliced_numbers n = spliced_numbers();

	for (EACH_SPLICED(spliced)) {
		struct bench *bench = spliced_bench(state, spliced);
		struct frame_spec in = spliced_in(spliced, &n, SIDE_CLIENT, 0, 0);
		uint32_t kind;

		spliced_pass(bench, spliced, &n, SIDE_CLIENT, 0, 0, 0, FLAG_RST);
		spliced_events(bench, &kind);
		in.flags = FLAG_SYN;
		for (int i = 0; i < 2; i++)
			assert_true(spliced_send(bench, spliced, SIDE_CLIENT, &in).is_passed);
		assert_int_equal(spliced_events(bench, &kind), 1);
		assert_int_equal(kind, SPLICE_EVENT_REUSED);
		/* from now on both directions are somebody else's */
		in.flags = FLAG_ACK;
		in.payload_bytes = 50;
		assert_true(spliced_send(bench, spliced, SIDE_CLIENT, &in).is_passed);
		in = spliced_in(spliced, &n, SIDE_SERVER, 0, 0);
		assert_true(spliced_send(bench, spliced, SIDE_SERVER, &in).is_passed);
		assert_true(bench_only(bench, VERDICT_NOT_A_VIP));
	}
}

/* ---- learning ---- */

static struct flow_key learning_key(const struct spliced *spliced)
{
	struct flow_key key = spliced_key(spliced, SIDE_SERVER);

	key.src_port = htons(8001);
	return key;
}

/* A segment of the learning connection, in front of which NOPs stand. */
static void learning_send(struct bench *bench, const struct spliced *spliced, uint32_t seq,
			  uint16_t payload, uint8_t flags, uint32_t tsval)
{
	const struct spliced_numbers n = spliced_numbers();
	struct frame_spec in = spliced_in(spliced, &n, SIDE_SERVER, 0, 0);
	uint8_t options[12] = {8, 10, 0, 0, 0, 0, 9, 9, 9, 9, 1, 1};

	frame_put32(options + 2, tsval);
	in.src_port = 8001;
	in.seq = seq;
	in.payload_bytes = payload;
	in.flags = flags;
	in.option_list = options;
	in.option_list_bytes = tsval ? sizeof(options) : 0;
	assert_true(spliced_send(bench, spliced, SIDE_SERVER, &in).is_passed);
	assert_true(bench_only(bench, VERDICT_NOT_A_VIP));
}

static void a_servers_timestamps_are_learnt_from_what_it_sends(void **state)
{
	for (EACH_SPLICED(spliced)) {
		struct bench *bench = spliced_bench(state, spliced);
		struct flow_key key = learning_key(spliced);
		uint32_t tsval;

		learning_send(bench, spliced, 1000, 0, FLAG_ACK, 55); /* nobody asked yet */
		assert_int_equal(splice_learn_begin(bench->splicer, &key), 0);
		assert_int_equal(splice_learn_get(bench->splicer, &key, 1000, &tsval), -ENOENT);
		learning_send(bench, spliced, 999, 0, FLAG_SYN | FLAG_ACK, 100);
		assert_int_equal(splice_learn_get(bench->splicer, &key, 1000, &tsval), 0);
		assert_int_equal(tsval, 100);
		learning_send(bench, spliced, 1000, 700, FLAG_ACK, 0); /* has none */
		assert_int_equal(splice_learn_get(bench->splicer, &key, 1700, &tsval), -ENOENT);
		learning_send(bench, spliced, 1000, 700, FLAG_ACK, 0x80000003);
		assert_int_equal(splice_learn_get(bench->splicer, &key, 1700, &tsval), 0);
		assert_int_equal(tsval, 0x80000003);
		learning_send(bench, spliced, 1700, 0, FINISH, 0x80000004);
		assert_int_equal(splice_learn_get(bench->splicer, &key, 1701, &tsval), 0);
		/* five segments on, the first is forgotten */
		for (uint32_t i = 0; i < 4; i++)
			learning_send(bench, spliced, 5000 + i, 0, FLAG_ACK, 200 + i);
		assert_int_equal(splice_learn_get(bench->splicer, &key, 1701, &tsval), -ENOENT);
		assert_int_equal(splice_learn_get(bench->splicer, &key, 5000, &tsval), 0);
		assert_int_equal(tsval, 200);
	}
}

static void outside_of_our_ports_nothing_is_learnt(void **state)
{
	const struct splice_setup setup = {.is_on = 1, .port_low = 40001, .port_high = 40999};

	for (EACH_SPLICED(spliced)) {
		struct bench *bench = spliced_bench(state, spliced);
		struct flow_key key = learning_key(spliced);
		uint32_t tsval;

		assert_int_equal(splice_setup_put(bench->splicer, &setup), 0);
		assert_int_equal(splice_learn_begin(bench->splicer, &key), 0);
		learning_send(bench, spliced, 1000, 0, FLAG_ACK, 55);
		assert_int_equal(splice_learn_get(bench->splicer, &key, 1000, &tsval), -ENOENT);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_clients_new_data_is_dropped_counted_and_told_once),
		cmocka_unit_test(a_clients_old_data_and_probes_pass),
		cmocka_unit_test(a_servers_data_past_the_announced_end_is_not_sent_on),
		cmocka_unit_test(segments_that_no_connection_has_are_dropped_by_name),
		cmocka_unit_test(a_syn_passes_a_live_splice_by),
		cmocka_unit_test(half_a_splice_moves_nothing),
		cmocka_unit_test(a_strangers_packet_is_not_touched),
		cmocka_unit_test(forged_numbers_move_nothing_that_is_tracked),
		cmocka_unit_test(an_acknowledgement_of_what_was_never_sent_is_not_tracked),
		cmocka_unit_test(a_repeated_segment_is_new_data_once),
		cmocka_unit_test(gaps_are_counted_by_their_length),
		cmocka_unit_test(it_ends_when_both_have_closed_and_know_it),
		cmocka_unit_test(both_may_close_at_once),
		cmocka_unit_test(half_closed_it_goes_on),
		cmocka_unit_test(a_reset_at_the_right_number_ends_it),
		cmocka_unit_test(a_reset_that_may_be_forged_ends_nothing),
		cmocka_unit_test(a_reset_behind_the_data_that_was_sent_ends_it),
		cmocka_unit_test(a_syn_after_the_end_frees_the_ports),
		cmocka_unit_test(a_servers_timestamps_are_learnt_from_what_it_sends),
		cmocka_unit_test(outside_of_our_ports_nothing_is_learnt),
	};

	return cmocka_run_group_tests(tests, bench_setup, bench_teardown);
}
