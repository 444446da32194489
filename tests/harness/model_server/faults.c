// SPDX-License-Identifier: BSD-2-Clause
#include "tests/harness/model_server/faults.h"

#include <errno.h>
#include <json-c/json.h>
#include <stdlib.h>
#include <string.h>

#include "userspace/base/cleanup.h"
#include "userspace/base/clock.h"

static const char *const hang_names[] = {"none", "inference", "all"};
static const char *const metrics_names[] = {"good", "stale", "broken"};

static int name_find(const char *const *names, size_t count, struct json_object *value)
{
	if (!json_object_is_type(value, json_type_string))
		return -EINVAL;
	for (size_t i = 0; i < count; i++) {
		if (strcmp(names[i], json_object_get_string(value)) == 0)
			return (int)i;
	}
	return -EINVAL;
}

static int bool_read(struct json_object *value, bool *ret)
{
	if (!json_object_is_type(value, json_type_boolean))
		return -EINVAL;
	*ret = json_object_get_boolean(value);
	return 0;
}

static int64_t number_read(struct json_object *value, int64_t low, int64_t high)
{
	int64_t number = json_object_get_int64(value);

	if (!json_object_is_type(value, json_type_int) || number < low || number > high)
		return -EINVAL;
	return number;
}

static int64_t seconds_read(struct json_object *value, uint64_t now, uint64_t *ret_at)
{
	double seconds = json_object_get_double(value);

	if (!json_object_is_type(value, json_type_int) &&
	    !json_object_is_type(value, json_type_double))
		return -EINVAL;
	if (!(seconds >= 0 && seconds <= 86400))
		return -EINVAL;
	*ret_at = seconds > 0 ? now + (uint64_t)(seconds * (double)NS_PER_S) : 0;
	return 0;
}

static int64_t key_apply(struct faults *faults, const char *key, struct json_object *value,
			 uint64_t now)
{
	int64_t n = -EINVAL;
	bool yes = false;

	if (strcmp(key, "refuse") == 0) {
		n = bool_read(value, &faults->refuse);
	} else if (strcmp(key, "hang") == 0) {
		n = name_find(hang_names, ARRAY_SIZE(hang_names), value);
		faults->hang = (enum fault_hang)(n >= 0 ? n : 0);
	} else if (strcmp(key, "error") == 0) {
		n = value ? number_read(value, 400, 599) : 0;
		faults->error_status = (int)n;
	} else if (strcmp(key, "cut_after") == 0) {
		n = value ? number_read(value, 0, 1000000) : 0;
		faults->cut = value;
		faults->cut_after = (uint32_t)n;
	} else if (strcmp(key, "metrics") == 0) {
		n = name_find(metrics_names, ARRAY_SIZE(metrics_names), value);
		faults->metrics = (enum fault_metrics)(n >= 0 ? n : 0);
	} else if (strcmp(key, "healthy") == 0) {
		n = bool_read(value, &yes);
		faults->unhealthy = !yes;
	} else if (strcmp(key, "slow_start_s") == 0) {
		n = seconds_read(value, now, &faults->loading_until_ns);
	} else if (strcmp(key, "for_s") == 0) {
		n = seconds_read(value, now, &faults->until_ns);
	} else if (strcmp(key, "reset") == 0) {
		n = bool_read(value, &yes);
		if (yes)
			*faults = (struct faults){0};
	}
	return n;
}

static int object_apply(struct faults *faults, struct json_object *object, uint64_t now,
			const char **ret_why)
{
	struct faults next = *faults;

	json_object_object_foreach(object, key, value)
	{
		if (key_apply(&next, key, value, now) < 0) {
			*ret_why = "unknown key or value: the keys are refuse hang error cut_after "
				   "metrics healthy slow_start_s for_s reset";
			return -EINVAL;
		}
	}
	*faults = next;
	return 0;
}

int faults_apply(struct faults *faults, const char *json, size_t length, uint64_t now,
		 const char **ret_why)
{
	struct json_tokener *tokener = json_tokener_new();
	struct json_object *object = NULL;
	int err = -EINVAL;

	if (!tokener)
		return -ENOMEM;
	if (length < 65536)
		object = json_tokener_parse_ex(tokener, json, (int)length);
	json_tokener_free(tokener);
	*ret_why = "not a JSON object";
	if (object && json_object_is_type(object, json_type_object))
		err = object_apply(faults, object, now, ret_why);
	json_object_put(object);
	return err;
}

void faults_expire(struct faults *faults, uint64_t now)
{
	if (faults->until_ns && faults->until_ns <= now)
		*faults = (struct faults){0};
	if (faults->loading_until_ns && faults->loading_until_ns <= now)
		faults->loading_until_ns = 0;
}

uint64_t faults_next_at(const struct faults *faults)
{
	uint64_t at = faults->until_ns ?: UINT64_MAX;

	if (faults->loading_until_ns && faults->loading_until_ns < at)
		at = faults->loading_until_ns;
	return at;
}

bool faults_loading(const struct faults *faults, uint64_t now)
{
	return faults->loading_until_ns > now;
}

static double seconds_left(uint64_t at, uint64_t now)
{
	return at > now ? (double)(at - now) / (double)NS_PER_S : 0;
}

void faults_format(const struct faults *faults, uint64_t now, struct buffer *out)
{
	buffer_printf(out, "{\"refuse\": %s, \"hang\": \"%s\", \"error\": ",
		      faults->refuse ? "true" : "false", hang_names[faults->hang]);
	if (faults->error_status)
		buffer_printf(out, "%d", faults->error_status);
	else
		buffer_puts(out, "null");
	buffer_puts(out, ", \"cut_after\": ");
	if (faults->cut)
		buffer_printf(out, "%u", faults->cut_after);
	else
		buffer_puts(out, "null");
	buffer_printf(out,
		      ", \"metrics\": \"%s\", \"healthy\": %s, \"slow_start_s\": %.1f, "
		      "\"for_s\": %.1f}\n",
		      metrics_names[faults->metrics], faults->unhealthy ? "false" : "true",
		      seconds_left(faults->loading_until_ns, now),
		      seconds_left(faults->until_ns, now));
}
