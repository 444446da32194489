// SPDX-License-Identifier: BSD-2-Clause
/* sluice-loader check: what this kernel and these devices offer.
 *
 * Learnt by doing, never from a version: our programs are loaded and dropped, a
 * pass-all program is attached for a moment where attaching is the question.
 * Devices are touched only when named. */
#include "loader/loader.h"

#include <errno.h>
#include <linux/bpf.h>
#include <linux/if_link.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "loader/device.h"
#include "loader/dispatcher.h"
#include "loader/objects.h"
#include "maps/layout/contract.h"
#include "userspace/base/cleanup.h"
#include "userspace/base/log.h"

#define BPF_TCX_INGRESS_TYPE ((enum bpf_attach_type)46) /* newer than these headers */
#define LOOPBACK_IFINDEX 1

static void check_say(const char *what, int err, const char *good, const char *bad)
{
	if (err)
		printf("%-14s no   %s (%s)\n", what, bad, strerror(-err));
	else
		printf("%-14s yes  %s\n", what, good);
}

/* Two instructions: r0 = verdict; exit. */
static int program_make(enum bpf_prog_type type, int verdict, int *ret_fd)
{
	const struct bpf_insn code[] = {
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = verdict},
		{.code = BPF_JMP | BPF_EXIT},
	};
	int fd = bpf_prog_load(type, "sluice_probe", "Dual BSD/GPL", code, ARRAY_SIZE(code), NULL);

	if (fd < 0)
		return fd;
	*ret_fd = fd;
	return 0;
}

/* Attached until the link is closed here. */
static int link_try(int program, uint32_t ifindex, enum bpf_attach_type type, uint32_t flags)
{
	LIBBPF_OPTS(bpf_link_create_opts, options, .flags = flags);
	_cleanup_close_ int link = bpf_link_create(program, (int)ifindex, type, &options);

	return link < 0 ? link : 0;
}

static int tcx_probe(void)
{
	_cleanup_close_ int program = -1;
	int err = program_make(BPF_PROG_TYPE_SCHED_CLS, -1, &program);

	return err ? err : link_try(program, LOOPBACK_IFINDEX, BPF_TCX_INGRESS_TYPE, 0);
}

static int programs_probe(void)
{
	const struct objects_settings settings = {.flow_sets = FLOW_SETS_MIN,
						  .neighbour_interval = 1};
	struct objects objects;
	int err = objects_load(NULL, &settings, &objects);

	if (!err)
		objects_unload(&objects);
	return err;
}

/* Who else is there, and what attach would do about it.  True: somebody. */
static bool device_say_busy(const char *name, uint32_t ifindex, int extensions)
{
	char sentence[SHARE_SENTENCE_MAX];
	struct dispatcher dispatcher;
	enum share_plan plan;

	dispatcher_look(ifindex, 0, &dispatcher);
	if (dispatcher.device.seat == SHARE_SEAT_FREE)
		return false;
	if (share_decide(&dispatcher.device, SHARE_WISH_NATIVE, extensions, &plan, sentence) < 0)
		printf("%-14s busy %s\n", name, sentence);
	else
		printf("%-14s join native XDP by libxdp's dispatcher (id %u, programs in it: %d)\n",
		       name, dispatcher.device.program_id, dispatcher.device.program_count);
	return true;
}

/* By trying; says so.  0 or why not. */
static int extensions_check(void)
{
	int err = dispatcher_probe();
	char why[SHARE_SENTENCE_MAX];

	if (err)
		share_explain_extensions(err, why);
	printf("%-14s %s  %s\n", "extensions", err ? "no " : "yes",
	       err ? why
		   : "libxdp's dispatcher can hold Sluice beside other XDP programs (--share)");
	return err;
}

static int device_check(const char *name, bool has_tcx, int extensions)
{
	const char *tc = has_tcx ? "TCX" : "clsact";
	_cleanup_close_ int program = -1;
	uint32_t ifindex;
	char driver[64];
	int err = device_find(name, &ifindex);

	if (err)
		return err;
	device_driver(name, driver, sizeof(driver));
	if (device_say_busy(name, ifindex, extensions))
		return 0;
	err = program_make(BPF_PROG_TYPE_XDP, XDP_PASS, &program);
	if (!err)
		err = link_try(program, ifindex, BPF_XDP, XDP_FLAGS_DRV_MODE);
	if (err)
		printf("%-14s use  %s alone: driver %s has no native XDP (%s)\n", name, tc, driver,
		       strerror(-err));
	else
		printf("%-14s use  native XDP and %s (driver %s)\n", name, tc, driver);
	return 0;
}

int loader_check(const struct loader *loader, int word_count, char **words)
{
	struct utsname kernel;
	int tcx, extensions, err;

	(void)loader;
	uname(&kernel);
	printf("%-14s      %s, libbpf %s\n", "kernel", kernel.release, libbpf_version_string());
	err = programs_probe();
	check_say("programs", err, "all load: XDP (multi-buffer), TC, sk_lookup",
		  "not all load, nothing will work here");
	if (err)
		return err;
	tcx = tcx_probe();
	check_say("tcx", tcx, "TC attaches by TCX link", "TC attaches by clsact filter");
	extensions = extensions_check();
	for (int i = 0; i < word_count; i++) {
		err = device_check(words[i], tcx == 0, extensions);
		if (err)
			return err;
	}
	return 0;
}
