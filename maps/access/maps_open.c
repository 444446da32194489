// SPDX-License-Identifier: BSD-2-Clause
/* Opening the pinned maps of an instance.
 *
 * The contract is read first, by its first two words only, so that a map set of
 * another version is refused by name however much else has changed.  Then every
 * map is opened with no more rights than the role needs, its shape is compared
 * with maps/layout, and mappable arrays are mapped.  Nothing is created here:
 * maps are made by the loader. */
#include "maps/access/maps.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>

#include "maps/access/map_spec.h"
#include "userspace/base/cleanup.h"
#include "userspace/base/instance.h"
#include "userspace/base/log.h"

#define CONTRACT_BYTES_MAX 4096

static int pin_open(const struct instance *instance, enum map_id id, bool writable, int *ret_fd)
{
	LIBBPF_OPTS(bpf_obj_get_opts, options, .file_flags = writable ? 0 : BPF_F_RDONLY);
	char path[INSTANCE_PATH_MAX + 32];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", instance->pin_dir, map_name(id));
	fd = bpf_obj_get_opts(path, &options);
	if (fd >= 0) {
		*ret_fd = fd;
		return 0;
	}
	if (fd == -ENOENT)
		return log_error(fd,
				 "%s: no such map; run 'sluice-loader --instance %s load' first",
				 path, instance->name);
	if (fd == -EPERM || fd == -EACCES)
		return log_error(fd, "%s: not allowed to open it (%s); run as root", path,
				 strerror(-fd));
	return log_error(fd, "%s: cannot open the map (%s)", path, strerror(-fd));
}

static int map_info(const struct instance *instance, enum map_id id, int fd,
		    struct bpf_map_info *ret_info)
{
	uint32_t size = sizeof(*ret_info);

	memset(ret_info, 0, sizeof(*ret_info));
	if (bpf_obj_get_info_by_fd(fd, ret_info, &size) < 0)
		return log_error(-errno, "%s/%s: cannot read what map it is (%s)",
				 instance->pin_dir, map_name(id), strerror(errno));
	return 0;
}

/* A value of any size that starts as struct contract does. */
static int contract_read(const struct instance *instance, int fd, struct contract *ret_contract)
{
	_Alignas(struct contract) char value[CONTRACT_BYTES_MAX] = {0};
	const struct contract *contract = (const void *)value;
	struct bpf_map_info info;
	uint32_t zero = 0;
	int err;

	err = map_info(instance, MAP_CONTRACT, fd, &info);
	if (err)
		return err;
	if (info.type != BPF_MAP_TYPE_ARRAY || info.key_size != sizeof(zero) ||
	    info.value_size > sizeof(value))
		return log_error(-EPROTO, "%s/contract: not a contract of Sluice; remove the pin",
				 instance->pin_dir);
	err = bpf_map_lookup_elem(fd, &zero, value);
	if (err)
		return log_error(err, "%s/contract: cannot read it (%s)", instance->pin_dir,
				 strerror(-err));
	if (contract->magic != CONTRACT_MAGIC)
		return log_error(
			-EPROTO,
			"%s/contract: magic is %08x, not %08x: made by something else, or "
			"a load was cut short; run 'sluice-loader --instance %s load' again",
			instance->pin_dir, contract->magic, CONTRACT_MAGIC, instance->name);
	if (contract->version != CONTRACT_VERSION)
		return log_error(
			-EPROTO,
			"%s/contract: the maps are of contract version %u, this program "
			"speaks version %u; use the programs of one release, or unload and "
			"load again",
			instance->pin_dir, contract->version, CONTRACT_VERSION);
	if (contract->flow_sets < FLOW_SETS_MIN || contract->flow_sets > FLOW_SETS_MAX ||
	    contract->flow_sets & (contract->flow_sets - 1))
		return log_error(-EPROTO, "%s/contract: %u flow sets make no table; load again",
				 instance->pin_dir, contract->flow_sets);
	*ret_contract = *contract;
	return 0;
}

static int shape_refuse(const struct instance *instance, enum map_id id, const char *what,
			uint64_t is, uint64_t wanted)
{
	return log_error(
		-EPROTO,
		"%s/%s: %s is %llu, this program wants %llu (contract version %u); use the "
		"programs of one release, or unload and load again",
		instance->pin_dir, map_name(id), what, (unsigned long long)is,
		(unsigned long long)wanted, CONTRACT_VERSION);
}

static int shape_check(const struct instance *instance, const struct contract *contract,
		       enum map_id id, const struct bpf_map_info *info)
{
	const struct map_spec *spec = map_spec_of(id);
	bool mapped = spec->field != MAP_NOT_MAPPED;

	if (info->type != spec->type)
		return shape_refuse(instance, id, "its kind (enum bpf_map_type)", info->type,
				    spec->type);
	if (info->key_size != spec->key_size)
		return shape_refuse(instance, id, "the key size", info->key_size, spec->key_size);
	if (info->value_size != spec->value_size)
		return shape_refuse(instance, id, "the value size", info->value_size,
				    spec->value_size);
	if (info->max_entries != map_spec_entries(spec, contract))
		return shape_refuse(instance, id, "the number of entries", info->max_entries,
				    map_spec_entries(spec, contract));
	if (mapped && !(info->map_flags & BPF_F_MMAPABLE))
		return shape_refuse(instance, id, "the flag BPF_F_MMAPABLE", 0, 1);
	if (spec->btf && !info->btf_id)
		return log_error(
			-EPROTO,
			"%s/%s: has no BTF, so it was not made by sluice-loader; unload and "
			"load again",
			instance->pin_dir, map_name(id));
	return 0;
}

static void **mapping_of(struct maps *maps, const struct map_spec *spec)
{
	return (void **)((char *)maps + spec->field);
}

/* The kernel maps only descriptors that may write, also for reading (and then
 * keeps mprotect() from adding the right), so this one is opened for the purpose. */
static int map_array(const struct instance *instance, struct maps *maps, enum map_id id)
{
	const struct map_spec *spec = map_spec_of(id);
	int prot = PROT_READ | (map_spec_writable(spec, maps->role) ? PROT_WRITE : 0);
	_cleanup_close_ int fd = -1;
	void *mapping;
	int err;

	err = pin_open(instance, id, true, &fd);
	if (err)
		return err;
	mapping = mmap(NULL, map_spec_mapped_bytes(spec, &maps->contract), prot, MAP_SHARED, fd, 0);
	if (mapping == MAP_FAILED)
		return log_error(-errno, "%s/%s: cannot map it into memory (%s)", instance->pin_dir,
				 map_name(id), strerror(errno));
	*mapping_of(maps, spec) = mapping;
	return 0;
}

static int map_open(const struct instance *instance, struct maps *maps, enum map_id id)
{
	struct bpf_map_info info;
	int err;

	if (id != MAP_CONTRACT) {
		err = pin_open(instance, id, map_spec_writable(map_spec_of(id), maps->role),
			       &maps->fds[id]);
		if (err)
			return err;
	}
	err = map_info(instance, id, maps->fds[id], &info);
	if (err)
		return err;
	err = shape_check(instance, &maps->contract, id, &info);
	if (err)
		return err;
	return map_spec_of(id)->field == MAP_NOT_MAPPED ? 0 : map_array(instance, maps, id);
}

/* BTF of struct ring_slot, so that bpftool shows rings by field too.  Inner
 * arrays are made by user space, so no program's BTF describes them. */
static int ring_btf_load(struct ring_btf *ret_ring_btf)
{
	struct btf *btf = btf__new_empty();
	int u32, either, slot, err;

	if (!btf)
		return -ENOMEM;
	u32 = btf__add_int(btf, "unsigned int", 4, 0);
	either = btf__add_union(btf, NULL, 4);
	btf__add_field(btf, "endpoint", u32, 0, 0);
	btf__add_field(btf, "size", u32, 0, 0);
	slot = btf__add_struct(btf, "ring_slot", sizeof(struct ring_slot));
	btf__add_field(btf, NULL, either, 0, 0);
	btf__add_field(btf, NULL, either + 2, 32, 0);
	btf__add_union(btf, NULL, 4);
	btf__add_field(btf, "previous", u32, 0, 0);
	btf__add_field(btf, "swapped_at", u32, 0, 0);
	err = btf__load_into_kernel(btf);
	if (!err) {
		ret_ring_btf->fd = fcntl(btf__fd(btf), F_DUPFD_CLOEXEC, 3);
		err = ret_ring_btf->fd < 0 ? -errno : 0;
		ret_ring_btf->key_type = (uint32_t)u32;
		ret_ring_btf->value_type = (uint32_t)slot;
	}
	btf__free(btf);
	return err;
}

static struct maps *maps_new(enum maps_role role)
{
	struct maps *maps = calloc(1, sizeof(*maps));

	if (!maps)
		return NULL;
	maps->role = role;
	maps->ring_btf.fd = -1;
	for (int id = 0; id < MAP_ID_COUNT; id++)
		maps->fds[id] = -1;
	return maps;
}

int maps_open(const struct instance *instance, enum maps_role role, struct maps **ret_maps)
{
	_cleanup_(maps_closep) struct maps *maps = maps_new(role);
	int err;

	if (!maps)
		return log_error(-ENOMEM, "%s: out of memory", instance->pin_dir);
	err = pin_open(instance, MAP_CONTRACT, map_spec_writable(map_spec_of(MAP_CONTRACT), role),
		       &maps->fds[MAP_CONTRACT]);
	if (err)
		return err;
	err = contract_read(instance, maps->fds[MAP_CONTRACT], &maps->contract);
	if (err)
		return err;
	for (int id = 0; id < MAP_ID_COUNT; id++) {
		err = map_open(instance, maps, (enum map_id)id);
		if (err)
			return err;
	}
	maps->cpu_count = libbpf_num_possible_cpus();
	if (maps->cpu_count < 1)
		return log_error(
			maps->cpu_count ? maps->cpu_count : -EINVAL,
			"/sys/devices/system/cpu/possible: cannot read how many CPUs there are");
	if (map_spec_writable(map_spec_of(MAP_RINGS), role)) {
		err = ring_btf_load(&maps->ring_btf);
		if (err)
			return log_error(err,
					 "%s/rings: cannot describe its rows to the kernel (%s)",
					 instance->pin_dir, strerror(-err));
	}
	*ret_maps = TAKE_PTR(maps);
	return 0;
}

void maps_close(struct maps *maps)
{
	if (!maps)
		return;
	for (int id = 0; id < MAP_ID_COUNT; id++) {
		const struct map_spec *spec = map_spec_of((enum map_id)id);

		if (spec->field != MAP_NOT_MAPPED && *mapping_of(maps, spec))
			munmap(*mapping_of(maps, spec),
			       map_spec_mapped_bytes(spec, &maps->contract));
		closep(&maps->fds[id]);
	}
	closep(&maps->ring_btf.fd);
	free(maps);
}
