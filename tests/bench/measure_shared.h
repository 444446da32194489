/* SPDX-License-Identifier: BSD-2-Clause */
/* What the timing loop in the kernel (measure.bpf.h) and its driver (measure.h)
 * say to each other. */
#ifndef SLUICE_TESTS_BENCH_MEASURE_SHARED_H
#define SLUICE_TESTS_BENCH_MEASURE_SHARED_H

#include <linux/types.h>

#define MEASURE_BATCH_PACKETS 64
#define MEASURE_BATCHES_MAX 1024 /* of one run; a power of two */
#define MEASURE_FLOWS_NEW 0xffffffffu /* as flow_mask: no flow comes twice */

struct measure_plan {
	__u32 batches;
	__u32 flow_mask; /* flows - 1 (a power of two), or MEASURE_FLOWS_NEW */
	__u32 vip_mask; /* VIPs - 1: the flow's lower bits go into the destination too */
	__u32 is_ipv6;
	__u32 frame_bytes; /* as given to the test run */
	__u32 counter; /* packets so far */
	__u32 eth[4]; /* the Ethernet header, 14 bytes */
	__u32 l3[16]; /* what follows it: IP and TCP or UDP, without options */
};

struct measure_result {
	__u64 actions[8]; /* how often each XDP action was given */
	__u32 batch_ns[MEASURE_BATCHES_MAX];
};

#endif
