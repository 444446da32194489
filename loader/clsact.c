// SPDX-License-Identifier: BSD-2-Clause
/* clsact through libbpf's netlink; only the question whether others have
 * filters there is asked directly, as libbpf knows single filters only. */
#include "loader/clsact.h"

#include <errno.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <string.h>
#include <sys/socket.h>

#include <bpf/libbpf.h>

#include "userspace/base/cleanup.h"

#define FILTER_PRIORITY 1 /* before filters of other priorities; any number shares it */

#define ANSWER_BYTES 16384

static struct bpf_tc_hook hook_of(uint32_t ifindex, enum clsact_side side)
{
	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = (int)ifindex,
		    .attach_point = side == CLSACT_EGRESS ? BPF_TC_EGRESS : BPF_TC_INGRESS);

	return hook;
}

/* FNV-1a, within what tc shows as a positive number. */
uint32_t clsact_handle(const char *instance)
{
	uint32_t hash = 2166136261u;

	for (; *instance; instance++)
		hash = (hash ^ (unsigned char)*instance) * 16777619u;
	return (hash & 0x3fffffff) | 0x40000000; /* not 0 */
}

int clsact_qdisc_make(uint32_t ifindex)
{
	struct bpf_tc_hook hook = hook_of(ifindex, CLSACT_INGRESS);

	return bpf_tc_hook_create(&hook);
}

static int filter_attach(uint32_t ifindex, enum clsact_side side, uint32_t handle, int program_fd,
			 uint32_t flags)
{
	LIBBPF_OPTS(bpf_tc_opts, options, .prog_fd = program_fd, .handle = handle,
		    .priority = FILTER_PRIORITY, .flags = flags);
	struct bpf_tc_hook hook = hook_of(ifindex, side);

	return bpf_tc_attach(&hook, &options);
}

int clsact_filter_put(uint32_t ifindex, enum clsact_side side, uint32_t handle, int program_fd)
{
	return filter_attach(ifindex, side, handle, program_fd, 0);
}

int clsact_filter_replace(uint32_t ifindex, enum clsact_side side, uint32_t handle, int program_fd)
{
	return filter_attach(ifindex, side, handle, program_fd, BPF_TC_F_REPLACE);
}

int clsact_filter_find(uint32_t ifindex, enum clsact_side side, uint32_t handle,
		       uint32_t *ret_program_id)
{
	LIBBPF_OPTS(bpf_tc_opts, options, .handle = handle, .priority = FILTER_PRIORITY);
	struct bpf_tc_hook hook = hook_of(ifindex, side);
	int err = bpf_tc_query(&hook, &options);

	if (!err)
		*ret_program_id = options.prog_id;
	return err;
}

int clsact_filter_remove(uint32_t ifindex, enum clsact_side side, uint32_t handle)
{
	LIBBPF_OPTS(bpf_tc_opts, options, .handle = handle, .priority = FILTER_PRIORITY);
	struct bpf_tc_hook hook = hook_of(ifindex, side);

	return bpf_tc_detach(&hook, &options);
}

/* Counts filters in one answer of a dump; true: the dump has ended. */
static bool filters_count(const char *answer, size_t size, int *count)
{
	const struct nlmsghdr *header = (const void *)answer;

	for (; NLMSG_OK(header, size); header = NLMSG_NEXT(header, size)) {
		if (header->nlmsg_type == NLMSG_DONE || header->nlmsg_type == NLMSG_ERROR)
			return true;
		*count += header->nlmsg_type == RTM_NEWTFILTER;
	}
	return false;
}

/* How many filters hang on `parent`; those of one priority count one more for
 * their head.  Negative errno if the kernel cannot be asked. */
static int filters_dump(uint32_t ifindex, uint32_t parent)
{
	struct {
		struct nlmsghdr header;
		struct tcmsg message;
	} request = {
		.header = {.nlmsg_len = sizeof(request),
			   .nlmsg_type = RTM_GETTFILTER,
			   .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP},
		.message = {.tcm_ifindex = (int)ifindex, .tcm_parent = parent},
	};
	_Alignas(struct nlmsghdr) char answer[ANSWER_BYTES];
	_cleanup_close_ int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	int count = 0;

	if (fd < 0 || send(fd, &request, sizeof(request), 0) < 0)
		return -errno;
	for (;;) {
		ssize_t got = recv(fd, answer, sizeof(answer), 0);

		if (got < 0)
			return -errno;
		if (filters_count(answer, (size_t)got, &count))
			return count;
	}
}

int clsact_qdisc_remove(uint32_t ifindex)
{
	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = (int)ifindex,
		    .attach_point = BPF_TC_INGRESS | BPF_TC_EGRESS);
	int ingress = filters_dump(ifindex, TC_H_MAKE(TC_H_CLSACT, TC_H_MIN_INGRESS));
	int egress = filters_dump(ifindex, TC_H_MAKE(TC_H_CLSACT, TC_H_MIN_EGRESS));

	if (ingress > 0 || egress > 0)
		return -EBUSY;
	return bpf_tc_hook_destroy(&hook);
}
