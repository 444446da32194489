// SPDX-License-Identifier: BSD-2-Clause
#include "userspace/model/restore.h"

/* The shortest text with another name in it: `"model":"",` */
#define NAME_EVERY 11u
#define NAME_BYTES(length) (2 * (length) + 2) /* quotes, and escapes for all */

static void name_put(const struct restore *restore, struct text *out)
{
	text_puts(out, "\"");
	text_json_escape(out, restore->name, restore->length);
	text_puts(out, "\"");
}

void restore_feed(const struct restore *restore, const char *data, size_t length, struct text *out)
{
	while (length) {
		bool inside = usage_observer_in_name(restore->observer);
		size_t n = usage_observer_step(restore->observer, data, length);
		bool begins = !inside && usage_observer_in_name(restore->observer);

		if (!inside)
			text_append(out, data, begins ? n - 1 : n); /* its quote is in the name */
		if (begins)
			name_put(restore, out);
		data += n;
		length -= n;
	}
}

size_t restore_bytes_max(size_t name_length, size_t length)
{
	return length + (length / NAME_EVERY + 1) * NAME_BYTES(name_length);
}

size_t restore_input_max(size_t name_length, size_t room)
{
	size_t name = NAME_BYTES(name_length);

	return room <= name ? 0 : (room - name) * NAME_EVERY / (NAME_EVERY + name);
}
