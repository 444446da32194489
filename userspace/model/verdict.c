// SPDX-License-Identifier: BSD-2-Clause
#include "userspace/model/verdict.h"

static const struct {
	const char *name;
	const char *text;
} verdicts[] = {
#define X(id, word, sentence) [id] = {word, sentence},
	MODEL_VERDICT_LIST(X)
#undef X
};

const char *model_verdict_name(enum model_verdict verdict)
{
	return verdicts[verdict].name;
}

const char *model_verdict_text(enum model_verdict verdict)
{
	return verdicts[verdict].text;
}

void model_facts_reset(struct model_facts *facts)
{
	facts->name[0] = facts->version[0] = '\0';
	facts->name_length = 0;
	facts->name_begin = facts->name_end = 0;
	facts->version_is_label = facts->stream = false;
	facts->max_tokens = facts->text_bytes = 0;
}
