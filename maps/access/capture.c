// SPDX-License-Identifier: BSD-2-Clause
/* What sluicectl asks the programs to report. */
#include "maps/access/maps.h"

#include <bpf/bpf.h>

int capture_put(const struct maps *maps, const struct capture *capture)
{
	const uint32_t zero = 0;

	return bpf_map_update_elem(maps->fds[MAP_CAPTURE], &zero, capture, BPF_ANY);
}

int capture_get(const struct maps *maps, struct capture *ret_capture)
{
	const uint32_t zero = 0;

	return bpf_map_lookup_elem(maps->fds[MAP_CAPTURE], &zero, ret_capture);
}
