/* SPDX-License-Identifier: BSD-2-Clause */
/* An instance: one gateway on this host, and where its files are.
 * Pins: /sys/fs/bpf/sluice/NAME.  Run files: /run/sluice/NAME. */
#ifndef SLUICE_BASE_INSTANCE_H
#define SLUICE_BASE_INSTANCE_H

#define INSTANCE_NAME_MAX 32
#define INSTANCE_PATH_MAX 128

#define INSTANCE_DEFAULT "main"
#define INSTANCE_BPFFS "/sys/fs/bpf/sluice"
#define INSTANCE_RUN "/run/sluice"

/* Files in the run directory */
#define RUN_ROUTES "routes.json" /* routes snapshot; writer: controller */
#define RUN_ACCESS_LOG "access.log" /* default of sluice-proxy --access-log */
#define RUN_PROXY_PID "proxy.pid"
#define RUN_SOURCES "sources" /* copies of good source files; writer: controller */
#define RUN_CONTROLLER_PID "controller.pid"

struct instance {
	char name[INSTANCE_NAME_MAX];
	char pin_dir[INSTANCE_PATH_MAX];
	char run_dir[INSTANCE_PATH_MAX];
};

/* Names are [a-z0-9-], 1 to 31 characters; logs and returns -EINVAL otherwise.
 * Makes no file. */
int instance_init(struct instance *instance, const char *name);
/* Makes the run directory, 0750 root:root (the group is the packager's). */
int instance_make_run_dir(const struct instance *instance);
/* RUN_DIR/FILE into `buffer`. */
const char *instance_run_path(const struct instance *instance, const char *file,
			      char buffer[2 * INSTANCE_PATH_MAX]);

#endif
