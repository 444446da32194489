/* SPDX-License-Identifier: BSD-2-Clause */
/* A model's name as it arrives, wherever it stands: kept up to its limit, judged
 * at its end. */
#ifndef SLUICE_MODEL_NAME_H
#define SLUICE_MODEL_NAME_H

#include "userspace/model/verdict.h"

struct model_name {
	struct model_facts *facts; /* where the bytes go */
	size_t length; /* may pass MODEL_NAME_MAX */
	bool bad_chars;
};

void model_name_begin(struct model_name *name, struct model_facts *facts);
void model_name_append(struct model_name *name, const char *data, size_t length);
/* The name has ended: MODEL_OK, and it is in the facts; or why it is none we take. */
enum model_verdict model_name_judge(struct model_name *name);
/* Would it be taken from a client? */
enum model_verdict model_name_check(const char *name, size_t length);
/* What followed the name was not good. */
void model_name_forget(struct model_facts *facts);

#endif
