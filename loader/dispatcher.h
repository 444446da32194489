/* SPDX-License-Identifier: BSD-2-Clause */
/* libxdp's dispatcher: one XDP program of a device that calls up to ten others in turn.
 *
 * A program of ours in it is known by the instance's contract map, which it uses; that map's
 * id is called `owner` here.  So nothing has to be written down for a program to be found. */
#ifndef SLUICE_LOADER_DISPATCHER_H
#define SLUICE_LOADER_DISPATCHER_H

#include <stdint.h>

#include "loader/share.h"

struct bpf_object;

/* What has the device's XDP, and what of `owner` is in it. */
struct dispatcher {
	struct share_device device;
	uint32_t own_id; /* the program of `owner` that was loaded last; 0: none */
	uint32_t own_priority;
};

/* `owner` 0: nobody's. */
void dispatcher_look(uint32_t ifindex, uint32_t owner, struct dispatcher *ret_dispatcher);

/* Can it work here?  Loads and attaches an extension to a program that is not attached
 * anywhere.  0, or why not: -EPERM on kernels that refuse extensions altogether. */
int dispatcher_probe(void);

/* Must be called before `object` is opened. */
int dispatcher_prepare(void);
/* Loads xdp_shared of `object` and puts it into the device's dispatcher, a new one if the
 * device is free, in one step.  Does not log.  Where the dispatcher cannot work it fails: as
 * an extension the program cannot be attached alone. */
int dispatcher_join(uint32_t ifindex, struct bpf_object *object, uint32_t priority,
		    uint32_t *ret_id);

/* Takes out all programs of `owner` but `keep_id` (0: all), in one step; the others stay, the
 * last one takes the dispatcher along.  Fine if there is none.  Does not log. */
int dispatcher_leave(uint32_t ifindex, uint32_t owner, uint32_t keep_id);

/* Removes libxdp's folders that hold programs of `owner` for a dispatcher that is not, or no
 * longer, attached: what a killed join or leave left, or a device that went away.  Call it in
 * the namespace of the owner's devices, or when that is gone. */
void dispatcher_clean(uint32_t owner);

#endif
