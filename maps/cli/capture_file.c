// SPDX-License-Identifier: BSD-2-Clause
#include "maps/cli/capture_file.h"

#include <errno.h>

#include "maps/cli/pcapng.h"
#include "userspace/base/log.h"

_Static_assert(EVENT_SNAP_BYTES <= PCAPNG_SNAP_MAX, "a record's packet fits into a block");

void capture_file_begin(struct capture_file *file, FILE *out)
{
	uint8_t block[PCAPNG_BLOCK_MAX];

	file->out = out;
	file->interface_count = 0;
	fwrite(block, 1, pcapng_section_write(block, "sluicectl"), out);
}

/* An ifindex gets its interface block with its first packet. */
static int interface_of(struct capture_file *file, uint32_t ifindex, const char *name,
			uint32_t *ret_interface)
{
	uint8_t block[PCAPNG_BLOCK_MAX];
	size_t i;

	for (i = 0; i < file->interface_count; i++) {
		if (file->ifindexes[i] == ifindex)
			break;
	}
	if (i == CAPTURE_INTERFACES_MAX)
		return log_error(-E2BIG,
				 "%s: packets came in by more than %d devices since the capture "
				 "began; begin another one",
				 name, CAPTURE_INTERFACES_MAX);
	if (i == file->interface_count) {
		file->ifindexes[file->interface_count++] = ifindex;
		fwrite(block, 1, pcapng_interface_write(block, name, EVENT_SNAP_BYTES), file->out);
	}
	*ret_interface = (uint32_t)i;
	return 0;
}

int capture_file_write(struct capture_file *file, const struct event *event,
		       const struct event_words *words)
{
	char comment[EVENT_LINE_MAX];
	struct text text = TEXT_INIT(comment);
	uint8_t block[PCAPNG_BLOCK_MAX];
	struct pcapng_packet packet = {
		.at_ns = words->at_ns,
		.snap = event->snap,
		.snap_bytes = event->snap_bytes,
		.frame_bytes = event->frame_bytes,
		.comment = comment,
	};
	int err;

	err = interface_of(file, event->ifindex, words->device, &packet.interface);
	if (err)
		return err;
	event_comment_write(&text, event, words);
	fwrite(block, 1, pcapng_packet_write(block, &packet), file->out);
	return 0;
}
