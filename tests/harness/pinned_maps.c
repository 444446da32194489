// SPDX-License-Identifier: BSD-2-Clause
/* Maps made from maps/access/map_spec.c: the same rows that maps_open() compares
 * with, so this proves the opener, not the loader (tests/program does that). */
#include "tests/harness/pinned_maps.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/btf.h>

#include "maps/access/map_spec.h"
#include "userspace/base/cleanup.h"

bool pinned_maps_prepare(void)
{
	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount("bpf", "/sys/fs/bpf", "bpf", 0, NULL) < 0 ||
	    mount("tmpfs", "/run", "tmpfs", 0, NULL) < 0) {
		printf("skip: cannot mount a BPF file system of its own (%s); run as root\n",
		       strerror(errno));
		return false;
	}
	return true;
}

static void wrong_apply(const struct pinned_maps_wrong *wrong, struct map_spec *spec)
{
	spec->value_size += wrong->value_size_more;
	spec->entries += wrong->entries_more;
	if (wrong->without_btf)
		spec->btf = false;
}

static struct btf *btf_of(const struct map_spec *spec, struct bpf_map_create_opts *options)
{
	struct btf *btf = btf__new_empty();
	int byte, word;

	if (!btf)
		return NULL;
	byte = btf__add_int(btf, "unsigned char", 1, 0);
	word = btf__add_int(btf, "unsigned int", 4, 0);
	/* arrays insist on an integer key */
	options->btf_key_type_id =
		(uint32_t)(spec->key_size == 4 ? word
					       : btf__add_struct(btf, "key", spec->key_size));
	if (spec->key_size != 4)
		btf__add_field(btf, "byte", byte, 0, 0);
	options->btf_value_type_id = (uint32_t)btf__add_struct(btf, "value", spec->value_size);
	btf__add_field(btf, "byte", byte, 0, 0);
	if (btf__load_into_kernel(btf)) {
		btf__free(btf);
		return NULL;
	}
	options->btf_fd = (uint32_t)btf__fd(btf);
	return btf;
}

static int ring_template_new(void)
{
	LIBBPF_OPTS(bpf_map_create_opts, options, .map_flags = BPF_F_INNER_MAP);

	return bpf_map_create(BPF_MAP_TYPE_ARRAY, "ring", 4, sizeof(struct ring_slot), 1, &options);
}

static int map_make(enum map_id id, const struct map_spec *spec, int *ret_fd)
{
	LIBBPF_OPTS(bpf_map_create_opts, options);
	_cleanup_close_ int template = -1;
	struct btf *btf = NULL;
	int fd;

	if (spec->field != MAP_NOT_MAPPED)
		options.map_flags = BPF_F_MMAPABLE;
	if (id == MAP_RINGS) {
		template = ring_template_new();
		options.inner_map_fd = (uint32_t) template;
	}
	if (spec->btf) {
		btf = btf_of(spec, &options);
		if (!btf)
			return -errno;
	}
	fd = bpf_map_create(spec->type, map_name(id), spec->key_size, spec->value_size,
			    spec->entries ? spec->entries : FLOW_SETS_MIN, &options);
	btf__free(btf);
	if (fd < 0)
		return fd;
	*ret_fd = fd;
	return 0;
}

static int contract_fill(int fd, const struct pinned_maps_wrong *wrong, uint32_t value_size)
{
	char value[sizeof(struct contract) + 64] = {0};
	const struct contract contract = {
		.magic = wrong->magic ? wrong->magic : CONTRACT_MAGIC,
		.version = wrong->version ? wrong->version : CONTRACT_VERSION,
		.generation = 1,
		.vips_max = VIPS_MAX,
		.pools_max = POOLS_MAX,
		.clusters_max = CLUSTERS_MAX,
		.endpoints_max = ENDPOINTS_MAX,
		.workers_max = WORKERS_MAX,
		.devices_max = DEVICES_MAX,
		.nat_flows_max = NAT_FLOWS_MAX,
		.flow_sets = FLOW_SETS_MIN,
		.snat_port_low = 61000,
		.snat_port_high = 65000,
		.ring_seed = 1,
	};
	uint32_t zero = 0;

	if (value_size > sizeof(value))
		return -EINVAL;
	memcpy(value, &contract, sizeof(contract));
	return bpf_map_update_elem(fd, &zero, value, BPF_ANY);
}

static int map_make_and_pin(const struct instance *instance, enum map_id id,
			    const struct pinned_maps_wrong *wrong)
{
	struct map_spec spec = *map_spec_of(id);
	_cleanup_close_ int fd = -1;
	char path[INSTANCE_PATH_MAX + 32];
	int err;

	snprintf(path, sizeof(path), "%s/%s", instance->pin_dir, map_name(id));
	unlink(path);
	if (id == wrong->id) {
		if (wrong->missing)
			return 0;
		wrong_apply(wrong, &spec);
	}
	err = map_make(id, &spec, &fd);
	if (!err && id == MAP_CONTRACT)
		err = contract_fill(fd, wrong, spec.value_size);
	if (!err)
		err = bpf_obj_pin(fd, path);
	if (err)
		fprintf(stderr, "%s: cannot be made (%s)\n", path, strerror(-err));
	return err;
}

int pinned_maps_make(const struct instance *instance, const struct pinned_maps_wrong *wrong)
{
	static const struct pinned_maps_wrong right;

	if ((mkdir(INSTANCE_BPFFS, 0755) < 0 && errno != EEXIST) ||
	    (mkdir(instance->pin_dir, 0750) < 0 && errno != EEXIST))
		return -errno;
	for (int id = 0; id < MAP_ID_COUNT; id++) {
		int err = map_make_and_pin(instance, (enum map_id)id, wrong ? wrong : &right);

		if (err)
			return err;
	}
	return 0;
}
