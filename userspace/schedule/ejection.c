// SPDX-License-Identifier: BSD-2-Clause
#include "userspace/schedule/ejection.h"

static uint64_t pause_ns(uint32_t failures)
{
	uint32_t doublings = failures < 16 ? failures : 16;
	uint64_t pause = EJECTION_STEP_NS << doublings;

	return pause < EJECTION_MAX_NS ? pause : EJECTION_MAX_NS;
}

void ejection_fail(struct ejection *ejection, uint32_t free_failures, uint64_t now_ns)
{
	if (ejection->failures < UINT32_MAX)
		ejection->failures++;
	if (ejection->failures > free_failures)
		ejection->until_ns = now_ns + pause_ns(ejection->failures - free_failures);
}

void ejection_succeed(struct ejection *ejection)
{
	*ejection = (struct ejection){0};
}

bool ejection_active(const struct ejection *ejection, uint64_t now_ns)
{
	return ejection->until_ns > now_ns;
}

void ejection_given(struct ejection *ejection, uint64_t now_ns)
{
	if (ejection->until_ns && ejection->until_ns <= now_ns)
		ejection->until_ns = now_ns + EJECTION_STEP_NS;
}
