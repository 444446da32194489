// SPDX-License-Identifier: BSD-2-Clause
/* The question stands in front of the frame, as metadata (struct explain).
 *
 * A program of an older build takes no notice of it: it would judge the packet for
 * real, count it and perhaps make a flow.  So it is asked first with a frame that is
 * no IP packet, which at most counts one `not_ip`. */
#include "maps/cli/explain_ask.h"

#include <errno.h>
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <arpa/inet.h>
#include <bpf/bpf.h>

#include "userspace/base/cleanup.h"
#include "userspace/base/log.h"

#define METADATA_MAX 256
/* What the program sends may be longer by its outer headers. */
#define ANSWER_MAX (METADATA_MAX + EXPLAIN_FRAME_MAX + 256)

static void mac_read(struct explain_device *device)
{
	_cleanup_close_ int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ifreq request = {0};

	snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", device->name);
	if (fd >= 0 && ioctl(fd, SIOCGIFHWADDR, &request) == 0)
		memcpy(device->mac, request.ifr_hwaddr.sa_data, sizeof(device->mac));
}

static const struct attachment *attachment_find(const struct attachments *attachments,
						const char *name)
{
	for (size_t i = 0; i < attachments->count; i++) {
		if (!name || !strcmp(attachments->all[i].device, name))
			return &attachments->all[i];
	}
	return NULL;
}

int explain_device_find(const struct attachments *attachments, const char *name,
			struct explain_device *ret_device)
{
	const struct attachment *attachment = attachment_find(attachments, name);
	struct explain_device device = {0};

	if (!name && !attachment)
		return log_error(-ENODEV, "no program is attached to a device; 'sluice-loader "
					  "attach DEVICE' does, or name a device with --ifname");
	snprintf(device.name, sizeof(device.name), "%s", name ? name : attachment->device);
	if (attachment)
		snprintf(device.hook, sizeof(device.hook), "%s", attachment->hook);
	device.ifindex = if_nametoindex(device.name);
	if (!device.ifindex && attachment)
		/* renamed since */
		device.ifindex =
			if_indextoname(attachment->ifindex, device.name) ? attachment->ifindex : 0;
	if (!device.ifindex || (name && strlen(name) >= IF_NAMESIZE))
		return log_error(-ENODEV,
				 "%s: no such device in the gateway's network namespace; name one "
				 "with --ifname",
				 name ? name : attachment->device);
	mac_read(&device);
	*ret_device = device;
	return 0;
}

int explain_answer_read(const uint8_t *bytes, size_t size, size_t metadata_bytes,
			struct explain *ret_explain)
{
	struct explain explain;

	if (metadata_bytes < sizeof(explain) || metadata_bytes > size)
		return -EPROTO;
	memcpy(&explain, bytes + metadata_bytes - sizeof(explain), sizeof(explain));
	if (!explain.pad)
		return -EOPNOTSUPP;
	if (explain.magic != EXPLAIN_MAGIC || explain.verdict >= VERDICT_COUNT ||
	    explain.why >= WHY_COUNT)
		return -EPROTO;
	*ret_explain = explain;
	return 0;
}

static int test_run(int program_fd, const struct contract *contract, uint32_t ifindex,
		    const uint8_t *frame, size_t frame_bytes, struct explain_answer *ret_answer)
{
	struct explain question = {
		.magic = EXPLAIN_MAGIC,
		.secret = (uint32_t)contract->hash_secret,
	};
	uint8_t in[sizeof(question) + EXPLAIN_FRAME_MAX], out[ANSWER_MAX];
	struct xdp_md ctx_in = {.data = sizeof(question),
				.data_end = (uint32_t)(sizeof(question) + frame_bytes),
				.ingress_ifindex = ifindex};
	struct xdp_md ctx_out = {0};
	LIBBPF_OPTS(bpf_test_run_opts, options, .data_in = in, .data_size_in = ctx_in.data_end,
		    .data_out = out, .data_size_out = sizeof(out), .ctx_in = &ctx_in,
		    .ctx_size_in = sizeof(ctx_in), .ctx_out = &ctx_out,
		    .ctx_size_out = sizeof(ctx_out), .repeat = 1);
	int err;

	memcpy(in, &question, sizeof(question));
	memcpy(in + sizeof(question), frame, frame_bytes);
	err = bpf_prog_test_run_opts(program_fd, &options);
	if (err)
		return log_error(err, "xdp_ingress: the kernel does not run it on a packet (%s)%s",
				 strerror(-err), err == -EPERM ? "; run as root" : "");
	ret_answer->action = options.retval;
	return explain_answer_read(out, options.data_size_out, ctx_out.data, &ret_answer->explain);
}

int explain_ask(int program_fd, const struct contract *contract,
		const struct explain_device *device, const uint8_t *frame, size_t frame_bytes,
		struct explain_answer *ret_answer)
{
	/* 802.3's ethertype for experiments at home */
	uint8_t no_ip[ETH_ZLEN] = {[12] = 0x88, [13] = 0xb5};
	struct explain_answer answer;
	int err;

	err = test_run(program_fd, contract, device->ifindex, no_ip, sizeof(no_ip), &answer);
	if (!err)
		err = test_run(program_fd, contract, device->ifindex, frame, frame_bytes, &answer);
	if (err == -EOPNOTSUPP)
		return log_error(err,
				 "xdp_ingress: the loaded programs are of an older build, "
				 "which cannot explain; 'sluice-loader upgrade' replaces them");
	if (err == -EPROTO)
		return log_error(err, "xdp_ingress: its answer is not one that this sluicectl "
				      "knows; use the programs of one release");
	if (!err)
		*ret_answer = answer;
	return err;
}
