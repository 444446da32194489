// SPDX-License-Identifier: BSD-2-Clause
#include "userspace/proxy/counted.h"

#include <stddef.h>

void counted_begin(struct counted *counted, struct inflight *slot, uint64_t tokens)
{
	*counted = (struct counted){.slot = slot, .tokens = tokens, .waiting = true};
	__atomic_fetch_add(&slot->requests, 1, __ATOMIC_RELAXED);
	__atomic_fetch_add(&slot->waiting, 1, __ATOMIC_RELAXED);
	__atomic_fetch_add(&slot->uncached_tokens, tokens, __ATOMIC_RELAXED);
}

void counted_first_byte(struct counted *counted)
{
	if (!counted->waiting)
		return;
	counted->waiting = false;
	__atomic_fetch_sub(&counted->slot->waiting, 1, __ATOMIC_RELAXED);
	__atomic_fetch_sub(&counted->slot->uncached_tokens, counted->tokens, __ATOMIC_RELAXED);
}

void counted_end(struct counted *counted)
{
	counted_first_byte(counted);
	if (!counted->slot)
		return;
	__atomic_fetch_sub(&counted->slot->requests, 1, __ATOMIC_RELAXED);
	counted->slot = NULL;
}
