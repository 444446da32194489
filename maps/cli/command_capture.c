// SPDX-License-Identifier: BSD-2-Clause
/* capture: what the programs do with packets, one record each, as lines, JSON lines
 * or a pcapng file. */
#include "maps/cli/command.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "maps/access/maps.h"
#include "maps/cli/capture_file.h"
#include "maps/cli/capture_session.h"
#include "maps/cli/event_words.h"
#include "maps/cli/gateway.h"
#include "maps/cli/vip_index.h"
#include "maps/cli/vip_spec.h"
#include "userspace/base/cleanup.h"
#include "userspace/base/clock.h"
#include "userspace/base/log.h"

enum capture_form { FORM_LINES, FORM_JSON, FORM_PCAPNG };

/* Where records go, and what names them. */
struct printer {
	const struct maps *maps;
	enum capture_form form;
	FILE *out;
	struct capture_file file;
	struct vip_index *vips;
	struct device_names devices;
	uint64_t to_realtime_ns; /* to be added to CLOCK_MONOTONIC */
};

static int printer_renew(void *ctx)
{
	struct printer *printer = ctx;
	struct vip_index *vips;
	uint64_t monotonic;
	int err = vip_index_read(printer->maps, &vips);

	if (err)
		return err;
	vip_index_free(printer->vips);
	printer->vips = vips;
	printer->devices.count = 0;
	monotonic = clock_monotonic_ns();
	printer->to_realtime_ns = clock_realtime_ns() - monotonic;
	return 0;
}

static int printer_event(void *ctx, const struct event *event)
{
	struct printer *printer = ctx;
	char line[EVENT_LINE_MAX];
	struct text text = TEXT_INIT(line);
	const char *device = event->ifindex ? device_names_find(&printer->devices, event->ifindex)
					    : EVENT_NO_DEVICE;
	struct event_words words;

	event_words_init(&words, event, printer->maps, printer->vips, device,
			 printer->to_realtime_ns);
	switch (printer->form) {
	case FORM_PCAPNG: return capture_file_write(&printer->file, event, &words);
	case FORM_JSON: event_json_write(&text, event, &words); break;
	case FORM_LINES: event_line_write(&text, event, &words); break;
	}
	fprintf(printer->out, "%s\n", line);
	return 0;
}

static int printer_flush(void *ctx)
{
	struct printer *printer = ctx;

	if (!fflush(printer->out) && !ferror(printer->out))
		return 0;
	return log_error(-EIO, "cannot write the records (%s); the capture ends", strerror(errno));
}

static int file_open(const char *path, FILE **ret_file)
{
	/* packets are nobody else's business */
	_cleanup_close_ int fd =
		open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOCTTY, 0600);
	FILE *file;

	if (fd < 0)
		return log_error(-errno, "--pcap %s: cannot write there (%s)", path,
				 strerror(errno));
	file = fdopen(fd, "wb");
	if (!file)
		return log_error(-errno, "--pcap %s: out of memory", path);
	TAKE_FD(fd);
	*ret_file = file;
	return 0;
}

static int asked_init(const struct request *request, const struct maps *maps,
		      struct capture *ret_asked)
{
	struct capture asked = {
		.interval = request->sample ? (uint32_t)request->sample : 1,
		.vip = VIP_ID_ANY,
		.verdicts = request->verdicts,
	};
	struct vip_key key;
	struct vip vip;
	int err = 0;

	if (request->vip) {
		err = vip_key_parse(request->vip, &key);
		if (!err)
			err = vips_lookup(maps, &key, &vip);
		if (err == -ENOENT)
			log_error(err, "--vip %s: no such VIP; 'sluicectl show vips' lists them",
				  request->vip);
		else if (err && err != -EINVAL)
			log_error(err, "--vip %s: cannot look it up (%s)", request->vip,
				  strerror(-err));
		asked.vip = vip.id;
	}
	if (!err)
		*ret_asked = asked;
	return err;
}

static void sums_say(const struct capture_sums *sums)
{
	log_info("%llu record%s, which stand for %llu packet%s", (unsigned long long)sums->records,
		 sums->records == 1 ? "" : "s", (unsigned long long)sums->packets,
		 sums->packets == 1 ? "" : "s");
	if (sums->lost)
		log_warning("%llu more record%s lost, as the ring buffer was full; ask for fewer "
			    "with --interval, --vip or --verdict",
			    (unsigned long long)sums->lost, sums->lost == 1 ? " was" : "s were");
}

static int capture_with(const struct request *request, struct printer *printer,
			struct capture_session *session)
{
	const struct capture_limits limits = {.records = request->count,
					      .duration_ns = request->seconds * NS_PER_S};
	const struct capture_output output = {
		.ctx = printer,
		.event = printer_event,
		.renew = printer_renew,
		.flush = printer_flush,
	};
	struct capture_sums sums;
	struct capture asked;
	int err = asked_init(request, printer->maps, &asked);

	if (err)
		return err;
	if (printer->form == FORM_PCAPNG)
		capture_file_begin(&printer->file, printer->out);
	if (asked.interval > 1)
		log_info("capturing one of %u packets; Ctrl-C ends it", asked.interval);
	else
		log_info("capturing; Ctrl-C ends it");
	err = capture_session_run(session, &asked, &limits, &output, &sums);
	sums_say(&sums);
	return err;
}

static int capture_run(struct request *request)
{
	_cleanup_(maps_closep) struct maps *maps = NULL;
	_cleanup_(fclosep) FILE *file = NULL;
	_cleanup_(capture_session_closep) struct capture_session *session = NULL;
	struct printer printer = {.out = request->out,
				  .form = request->json ? FORM_JSON : FORM_LINES};
	struct attachments attachments;
	int err;

	if (request->json && request->pcap)
		return log_error(-EINVAL, "--json and --pcap: choose one");
	err = maps_open(&request->instance, MAPS_OPERATOR, &maps);
	if (!err)
		err = capture_session_open(&request->instance, maps, &session);
	if (!err && request->pcap) {
		printer.form = FORM_PCAPNG;
		if (strcmp(request->pcap, "-"))
			err = file_open(request->pcap, &file);
		if (file)
			printer.out = file;
	}
	if (err)
		return err;
	printer.maps = maps;
	printer.devices.is_foreign = !gateway_enter(&request->instance, &attachments);
	err = capture_with(request, &printer, session);
	vip_index_free(printer.vips);
	return err;
}

const struct command command_capture = {
	.name = "capture",
	.arguments = "",
	.summary = "what becomes of packets, one record each, as text, JSON or a pcapng file",
	.help = "Asks the XDP and TC programs to report packets with their verdict, why, VIP, endpoint\n"
		"and first bytes, until --count or --seconds are reached or Ctrl-C.  --vip and\n"
		"--verdict choose which ones, --interval N takes one of N by chance, and each record\n"
		"then stands for N packets.  Records are lines, JSON lines with --json, or with\n"
		"--pcap a file for Wireshark and tcpdump that has the verdict in each packet's\n"
		"comment.  The bytes are as the packet arrived.  When sluicectl is killed, the\n"
		"programs stop reporting within 3 s.  One capture at a time.",
	.options = WITH(OPTION_VIP) | WITH(OPTION_VERDICT) | WITH(OPTION_SAMPLE) |
		   WITH(OPTION_COUNT) | WITH(OPTION_SECONDS) | WITH(OPTION_PCAP),
	.run = capture_run,
};
