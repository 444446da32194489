// SPDX-License-Identifier: BSD-2-Clause
/* What only the loader writes: the contract, and the devices XDP may send by. */
#include "maps/access/maps.h"

#include <bpf/bpf.h>
#include <linux/bpf.h>

int contract_put(int contract_fd, const struct contract *contract)
{
	uint32_t zero = 0;

	return bpf_map_update_elem(contract_fd, &zero, contract, BPF_ANY);
}

int devices_put(const struct maps *maps, uint32_t ifindex)
{
	struct bpf_devmap_val value = {.ifindex = ifindex, .bpf_prog.fd = -1};

	return bpf_map_update_elem(maps->fds[MAP_DEVICES], &ifindex, &value, BPF_ANY);
}

int devices_remove(const struct maps *maps, uint32_t ifindex)
{
	return bpf_map_delete_elem(maps->fds[MAP_DEVICES], &ifindex);
}
