/* SPDX-License-Identifier: BSD-2-Clause */
/* One spliced connection for tests/program: its two records as the proxy's parent
 * would put them, packets of both directions, and what each must become.
 *
 *   client 10.1.0.2:4000 -> VIP 10.99.0.1:80   =   gateway 10.2.0.1:40000 -> server 10.2.0.2:8000
 *
 * or the IPv6 twins of bench_setup()'s, each side of its own family.  Numbers count
 * from where each side stood when it was spliced: the client's, the proxy's to it,
 * the proxy's to the server and the server's. */
#ifndef SLUICE_TESTS_HARNESS_SPLICED_H
#define SLUICE_TESTS_HARNESS_SPLICED_H

#include "tests/harness/packet.h"
#include "tests/harness/program.h"

#define SPLICED_LIST_COUNT 8
#define SPLICED_CLIENT_HOP 5 /* ids of next hops, below BENCH_IDS */
#define SPLICED_SERVER_HOP 6

struct spliced {
	enum program_id program;
	bool client_ipv6, server_ipv6;
};

extern const struct spliced spliceds[SPLICED_LIST_COUNT];
/* for (EACH_SPLICED(spliced)) */
#define EACH_SPLICED(spliced)                                                                      \
	const struct spliced *spliced = spliceds;                                                  \
	spliced < spliceds + SPLICED_LIST_COUNT;                                                   \
	spliced++

enum spliced_side { SIDE_CLIENT, SIDE_SERVER };

/* Where everything stood.  spliced_numbers() are such that all of them wrap soon. */
struct spliced_numbers {
	uint32_t client, to_client, to_server, server;
	uint32_t client_tsval_delta, server_tsval_delta; /* added to the sender's */
	uint8_t client_scale, to_client_scale; /* of windows: the sender's */
	uint8_t server_scale, to_server_scale;
};
struct spliced_numbers spliced_numbers(void);

/* bench_of(), with splicing on, next hops, and both records. */
struct bench *spliced_bench(void **state, const struct spliced *spliced);
struct bench *spliced_bench_numbered(void **state, const struct spliced *spliced,
				     const struct spliced_numbers *numbers);

/* The key of a side's packets, its record, and the record put anew. */
struct flow_key spliced_key(const struct spliced *spliced, enum spliced_side side);
struct splice spliced_record(const struct bench *bench, const struct spliced *spliced,
			     enum spliced_side side);
void spliced_put(const struct bench *bench, const struct spliced *spliced, enum spliced_side side,
		 const struct splice *splice);

/* A side's packet whose sequence number lies `seq` behind where it stood, acknowledging
 * `ack` behind where the other stood; and what it is to become.  Both with the flag ACK
 * and without options. */
struct frame_spec spliced_in(const struct spliced *spliced, const struct spliced_numbers *numbers,
			     enum spliced_side side, uint32_t seq, uint32_t ack);
struct frame_spec spliced_out(const struct spliced *spliced, const struct spliced_numbers *numbers,
			      enum spliced_side side, uint32_t seq, uint32_t ack);

/* Sends it in at its side's device, XDP with poisoned headroom. */
struct run spliced_send(struct bench *bench, const struct spliced *spliced, enum spliced_side side,
			const struct frame_spec *in);
/* It was sent as `out`, to the last byte, as only packet and of verdict spliced.  Fails
 * the test otherwise. */
void spliced_assert_is(struct bench *bench, const struct spliced *spliced, const struct run *run,
		       enum spliced_side side, const struct frame_spec *out);
/* Both in one, */
void spliced_becomes(struct bench *bench, const struct spliced *spliced, enum spliced_side side,
		     const struct frame_spec *in, const struct frame_spec *out);
/* and of a segment with `payload` bytes. */
void spliced_pass(struct bench *bench, const struct spliced *spliced,
		  const struct spliced_numbers *numbers, enum spliced_side side, uint32_t seq,
		  uint32_t ack, uint16_t payload, uint8_t flags);
/* The same, but it is dropped with this verdict. */
void spliced_drop(struct bench *bench, const struct spliced *spliced,
		  const struct spliced_numbers *numbers, enum spliced_side side, uint32_t seq,
		  uint32_t ack, uint16_t payload, uint8_t flags, enum verdict verdict);

/* Takes what splice_events holds: how many events there are, and the last one's kind. */
unsigned spliced_events(const struct bench *bench, uint32_t *ret_kind);

#endif
