// SPDX-License-Identifier: BSD-2-Clause
/* The decision alone: takes what was found, touches nothing.
 *
 * A free device gets our own link, as that is exchanged without a packet between and dies
 * with its pin; the dispatcher is for those who are there already, or on request.  Nobody's
 * program is ever replaced. */
#include "loader/share.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

bool share_needs_extensions(const struct share_device *device, enum share_wish wish)
{
	if (wish == SHARE_WISH_GENERIC)
		return false;
	return device->seat == SHARE_SEAT_DISPATCHER ||
	       (device->seat == SHARE_SEAT_FREE && wish == SHARE_WISH_SHARE);
}

void share_explain_extensions(int extension_err, char sentence[SHARE_SENTENCE_MAX])
{
	if (extension_err == -EPERM)
		snprintf(sentence, SHARE_SENTENCE_MAX,
			 "this kernel refuses extension programs (EPERM), so libxdp's dispatcher "
			 "cannot hold a second program here");
	else
		snprintf(
			sentence, SHARE_SENTENCE_MAX,
			"this kernel does not take our program as an extension (%s), which libxdp's "
			"dispatcher needs",
			strerror(-extension_err));
}

/* What could be done about a program that is not joined. */
static const char *advice(const struct share_device *device)
{
	if (device->seat == SHARE_SEAT_DISPATCHER)
		return "a dispatcher, which takes native XDP only: leave out --mode generic to join "
		       "it, or use --mode tc";
	if (device->seat == SHARE_SEAT_DISPATCHER_GENERIC)
		return "a dispatcher in generic mode, which is not joined: load it in native mode, "
		       "or use --mode tc";
	return "no dispatcher, so it cannot be joined: detach it, load it by xdp-loader, or use "
	       "--mode tc";
}

static int refuse_occupied(const struct share_device *device, char sentence[SHARE_SENTENCE_MAX])
{
	snprintf(sentence, SHARE_SENTENCE_MAX,
		 "another XDP program is attached (id %u, %s), %s; see 'bpftool prog show id %u'",
		 device->program_id, device->program_name, advice(device), device->program_id);
	return -EBUSY;
}

static int refuse_extensions(const struct share_device *device, int extension_err,
			     char sentence[SHARE_SENTENCE_MAX])
{
	char why[SHARE_SENTENCE_MAX];

	share_explain_extensions(extension_err, why);
	if (device->seat == SHARE_SEAT_FREE)
		snprintf(sentence, SHARE_SENTENCE_MAX,
			 "cannot be shared: %.200s; attach without --share", why);
	else
		snprintf(sentence, SHARE_SENTENCE_MAX,
			 "another XDP program is attached (id %u, %.16s), libxdp's dispatcher, and "
			 "%.200s; detach it, or use --mode tc",
			 device->program_id, device->program_name, why);
	return extension_err;
}

static int refuse_full(const struct share_device *device, char sentence[SHARE_SENTENCE_MAX])
{
	snprintf(
		sentence, SHARE_SENTENCE_MAX,
		"libxdp's dispatcher (id %u) is full, it holds %d programs; detach one of them, or "
		"use --mode tc",
		device->program_id, device->program_count);
	return -E2BIG;
}

int share_decide(const struct share_device *device, enum share_wish wish, int extension_err,
		 enum share_plan *ret_plan, char sentence[SHARE_SENTENCE_MAX])
{
	if (device->seat == SHARE_SEAT_FREE && wish != SHARE_WISH_SHARE) {
		*ret_plan = SHARE_PLAN_LINK;
		return 0;
	}
	if (!share_needs_extensions(device, wish))
		return refuse_occupied(device, sentence);
	if (extension_err)
		return refuse_extensions(device, extension_err, sentence);
	if (device->program_count >= SHARE_PROGRAMS_MAX)
		return refuse_full(device, sentence);
	*ret_plan = SHARE_PLAN_JOIN;
	return 0;
}
