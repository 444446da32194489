/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Spliced connections: both TCP connections of an answer as one, in the kernel.
 *
 * Once the proxy has nothing left to decide it mutes its two sockets and hands the
 * connections over as two records of map `splices`, one a direction.  A record says
 * what the packets of its direction are to become; XDP and TC translate and send
 * them on, so client and server acknowledge each other's bytes, and the answer
 * outlives the proxy.  A record without its other direction (the same id) moves
 * nothing.  SYNs pass it by.
 *
 * Everything that the packets carry is written in the space of the sender: "as it
 * arrives".  Sequence numbers, acknowledgements and timestamps are in host order and
 * wrap; of two of them the later one is that which the signed difference says.
 *
 * Writer of `splices`, `splice_learns` and `splice_setup`: the proxy's parent, and
 * nobody else in user space.  It puts a record once and removes it; XDP and TC write
 * what is below "programs" in place.  Readers: XDP, TC, CLI.
 */
#ifndef SLUICE_MAPS_LAYOUT_SPLICE_H
#define SLUICE_MAPS_LAYOUT_SPLICE_H

#include "maps/layout/flow.h"
#include "maps/layout/types.h"

#define SPLICES_MAX 65536 /* records: two a connection */
#define SPLICE_LEARNS_MAX 32768
#define SPLICE_LEARNT 4 /* segments that a learning record remembers */
#define SPLICE_GAPS 16
#define SPLICE_GAP_SHIFT 16 /* the first class of gaps is below 2^16 ns */
#define SPLICE_EVENTS_BYTES (1 << 18) /* ring buffer */
#define SPLICE_SCALE_MAX 14 /* RFC 7323 */

/* Map `splice_setup`: array, 1 record.  All zero: nothing is spliced, and packets
 * are not looked up. */
struct splice_setup {
	__u32 is_on; /* 1: TCP packets are looked up in `splices` */
	__u16 port_low; /* of the proxy's own connections to servers: low ... */
	__u16 port_high; /* ... to high, inclusive, host order; 0: nothing is learnt */
};
_Static_assert(sizeof(struct splice_setup) == 8, "splice_setup is a wire format");

#define SPLICE_F_CLIENT 0x1 /* the sender is the client; else the server */
#define SPLICE_F_LIMIT 0x2 /* `limit` holds */

enum splice_end {
	SPLICE_OPEN,
	SPLICE_END_FIN, /* both sides have closed, and both know */
	SPLICE_END_RESET, /* one side has reset it, at a number that only it can know */
	SPLICE_END_REUSED, /* a SYN came for what had ended: packets pass the record by */
	SPLICE_END_COUNT,
};

#define SPLICE_SAW_FIN 0x1 /* `fin` holds */
#define SPLICE_TOLD_PAST 0x2 /* the event is out that data came past `limit` */

/* Map `splices`: hash, SPLICES_MAX, not preallocated; struct flow_key as the packet
 * arrives. */
struct splice {
	/* what is written over addresses and ports; the head of struct translation */
	struct ip_addr src;
	struct ip_addr dst;
	__be16 src_port;
	__be16 dst_port;
	__u32 nexthop; /* id, or NEXTHOP_NONE: ask the kernel */
	__u64 id; /* of the connection: the same in both directions, never given out again */
	__u64 spliced_at; /* CLOCK_REALTIME, ns */
	__u32 endpoint; /* id, for statistics, like vip */
	__u32 vip;
	/* what is added to the numbers of a packet */
	__u32 seq_delta;
	__u32 ack_delta; /* also to SACK blocks; minus the seq_delta of the other direction */
	__u32 tsval_delta;
	__u32 tsecr_delta;
	__u32 limit; /* SPLICE_F_LIMIT: data past this sequence number is not sent on.  Client:
		      * where it stood when it was spliced; server: the announced end */
	__s8 window_shift; /* the window field times 2^this, rounded down, never to 0 */
	__u8 scale; /* of the sender's windows, <= SPLICE_SCALE_MAX */
	__u8 flags; /* SPLICE_F_ */
	/* programs; the parent puts what holds when it splices */
	__u8 end; /* enum splice_end */
	__u32 next; /* sequence number behind all that the sender has sent */
	__u32 acked; /* what the sender has acknowledged of the other side, as it says it */
	__u32 fin; /* SPLICE_SAW_FIN: sequence number behind the sender's FIN */
	__u16 window; /* field of the sender's last packet */
	__u8 saw; /* SPLICE_SAW_ and SPLICE_TOLD_ */
	__u8 pad;
	/* bpf_ktime_get_ns, 0: never */
	__u64 first_at; /* first segment with new data */
	__u64 data_at; /* last one */
	__u64 seen_at; /* last segment of any kind that was sent on */
	__u64 packets; /* sent on */
	__u64 bytes; /* of new data in them */
	__u64 refused; /* packets dropped by verdicts splice_... */
	__u32 gaps[SPLICE_GAPS]; /* between segments with new data, by length: class i ends at
				  * 2^(SPLICE_GAP_SHIFT + i) ns, the last one does not end */
};
_Static_assert(sizeof(struct splice) == 216, "splice is a wire format");

/* Map `splice_learns`: hash, SPLICE_LEARNS_MAX, not preallocated; struct flow_key of
 * the server's packets as they arrive.  A socket does not say which timestamp its peer
 * sent last; so the program notes, while the proxy relays, the last segments that
 * came.  A stranger can forge one, hence: only one whose `end` is what the socket has
 * received counts. */
struct splice_seen {
	__u32 end; /* sequence number behind the segment; written with tsval by one store */
	__u32 tsval;
};

struct splice_learn {
	struct splice_seen seen[SPLICE_LEARNT]; /* segments % SPLICE_LEARNT is the next place */
	__u64 segments; /* with a timestamp, so far */
};
_Static_assert(sizeof(struct splice_learn) == 40, "splice_learn is a wire format");

/* What the parent is told.  An event may be lost where the ring is full: a sweep
 * over `splices` finds the same in `end`, `saw` and `refused`. */
#define SPLICE_EVENT_LIST(X)                                                                       \
	X(SPLICE_EVENT_FIN, "fin", "both sides have closed")                                       \
	X(SPLICE_EVENT_RESET, "reset", "one side has reset the connection")                        \
	X(SPLICE_EVENT_DATA, "data", "the client sent data before the answer's end")               \
	X(SPLICE_EVENT_PAST_END, "past_end", "the server sent more than it announced")             \
	X(SPLICE_EVENT_REUSED, "reused", "a SYN came for a connection that has ended")

enum splice_event_kind {
#define X(id, name, text) id,
	SPLICE_EVENT_LIST(X)
#undef X
		SPLICE_EVENT_COUNT
};

/* Map `splice_events`: ring buffer, SPLICE_EVENTS_BYTES.  Writer: XDP, TC.  Reader:
 * the proxy's parent. */
struct splice_event {
	__u64 at; /* bpf_ktime_get_ns */
	__u64 id; /* of the splice */
	struct flow_key key; /* of the record whose packet it was */
	__u32 kind; /* enum splice_event_kind */
	__u32 pad;
};
_Static_assert(sizeof(struct splice_event) == 64, "splice_event is a wire format");

#endif
