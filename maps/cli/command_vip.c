// SPDX-License-Identifier: BSD-2-Clause
/* vip add, set and remove: L4 VIPs of the operator, with no controller needed. */
#include "maps/cli/command.h"

#include <errno.h>

#include "maps/cli/operator_lock.h"
#include "maps/cli/operator_vip.h"
#include "maps/cli/table.h"
#include "maps/cli/view.h"
#include "maps/cli/vip_spec.h"
#include "userspace/base/cleanup.h"
#include "userspace/base/log.h"

static const struct column columns[] = {
	{"vip", COLUMN_TEXT},	       {"change", COLUMN_TEXT},	     {"id", COLUMN_NUMBER},
	{"pool", COLUMN_TEXT},	       {"pool_id", COLUMN_NUMBER},   {"added", COLUMN_NUMBER},
	{"kept", COLUMN_NUMBER},       {"removed", COLUMN_NUMBER},   {"ring_rows", COLUMN_NUMBER},
	{"rows_moved", COLUMN_NUMBER}, {"flows_cut", COLUMN_NUMBER},
};

struct change {
	struct vip_key key;
	struct endpoint_spec specs[REQUEST_ENDPOINTS_MAX];
	size_t spec_count;
	struct operator_vip done;
};

static int change_parse(const struct request *request, struct change *ret_change)
{
	int err;

	err = vip_key_parse(request->words[0], &ret_change->key);
	for (size_t i = 0; !err && i < request->endpoint_count; i++)
		err = endpoint_spec_parse(request->endpoints[i], &ret_change->specs[i]);
	ret_change->spec_count = request->endpoint_count;
	return err;
}

static int change_print_json(const struct request *request, const struct maps *maps,
			     const struct operator_vip *done, const char *what)
{
	_cleanup_(table_deinit) struct table table = {0};
	char text[VIP_TEXT_MAX];

	table_init(&table, columns, ARRAY_SIZE(columns));
	table.single = true;
	table_row(&table);
	table_push_text(&table, vip_key_format(&done->key, text));
	table_push_text(&table, what);
	table_push_number(&table, done->vip.id);
	view_push_pool(&table, maps, done->vip.pool);
	table_push_number(&table, done->vip.pool);
	table_push_number(&table, done->added);
	table_push_number(&table, done->kept);
	table_push_number(&table, done->removed);
	table_push_number(&table, done->ring_size);
	table_push_number(&table, done->rows_moved);
	table_push_number(&table, done->flows_cut);
	if (table.err)
		return log_error(table.err, "out of memory");
	table_print_json(&table, request->out);
	return 0;
}

static int change_print(const struct request *request, const struct maps *maps,
			const struct operator_vip *done, const char *what)
{
	char text[VIP_TEXT_MAX];

	if (request->json)
		return change_print_json(request, maps, done, what);
	fprintf(request->out, "%s: %s; endpoints: %u added, %u kept, %u removed",
		vip_key_format(&done->key, text), what, done->added, done->kept, done->removed);
	if (done->ring_size)
		fprintf(request->out, "; pool %.*s; ring of %u rows, %u moved",
			(int)sizeof(maps->pools[0].name) - 1, maps->pools[done->vip.pool].name,
			done->ring_size, done->rows_moved);
	if (done->flows_cut)
		fprintf(request->out, "; %llu live L4 flows to removed endpoints were cut",
			(unsigned long long)done->flows_cut);
	fputc('\n', request->out);
	return 0;
}

static int vip_add_run(struct request *request)
{
	_cleanup_(maps_closep) struct maps *maps = NULL;
	_cleanup_close_ int lock = -1;
	struct change change = {0};
	int err;

	err = change_parse(request, &change);
	if (!err)
		err = operator_maps_open(&request->instance, &maps, &lock);
	if (!err)
		err = operator_vip_add(maps, &change.key, request->pool, change.specs,
				       change.spec_count, &change.done);
	return err ? err : change_print(request, maps, &change.done, "added");
}

static int vip_set_run(struct request *request)
{
	_cleanup_(maps_closep) struct maps *maps = NULL;
	_cleanup_close_ int lock = -1;
	struct change change = {0};
	int err;

	err = change_parse(request, &change);
	if (!err)
		err = operator_maps_open(&request->instance, &maps, &lock);
	if (!err)
		err = operator_vip_set(maps, &change.key, change.specs, change.spec_count,
				       &change.done);
	return err ? err : change_print(request, maps, &change.done, "set");
}

static int vip_remove_run(struct request *request)
{
	_cleanup_(maps_closep) struct maps *maps = NULL;
	_cleanup_close_ int lock = -1;
	struct change change = {0};
	int err;

	err = change_parse(request, &change);
	if (!err)
		err = operator_maps_open(&request->instance, &maps, &lock);
	if (!err)
		err = operator_vip_remove(maps, &change.key, &change.done);
	return err ? err : change_print(request, maps, &change.done, "removed");
}

const struct command command_vip_add = {
	.name = "vip add",
	.arguments = "ADDRESS:PORT/tcp|udp --endpoint ADDRESS:PORT[*WEIGHT]...",
	.summary = "make an L4 VIP of the operator's",
	.help = "Makes an L4 VIP that belongs to the operator: packets to it are steered to its\n"
		"endpoints in the kernel, by a Maglev ring, with addresses and ports rewritten.  The\n"
		"controller never touches it.  It lives until 'vip remove' or 'sluice-loader unload'.\n"
		"Weights are shares: *200 gets twice as many new flows as *100.  The VIP's address\n"
		"must be routed to this host; it need not be an address of it.",
	.options = WITH(OPTION_POOL) | WITH(OPTION_ENDPOINT),
	.words_min = 1,
	.words_max = 1,
	.run = vip_add_run,
};

const struct command command_vip_set = {
	.name = "vip set",
	.arguments = "ADDRESS:PORT/tcp|udp --endpoint ADDRESS:PORT[*WEIGHT]...",
	.summary = "replace the endpoints and weights of such a VIP",
	.help = "Replaces the endpoints of a VIP made with 'vip add' by the ones named, in one write.\n"
		"Endpoints that stay keep their flows; live flows to removed ones are cut, so drain\n"
		"first: 'sluicectl drain endpoint ADDRESS:PORT --wait SECONDS'.",
	.options = WITH(OPTION_ENDPOINT),
	.words_min = 1,
	.words_max = 1,
	.run = vip_set_run,
};

const struct command command_vip_remove = {
	.name = "vip remove",
	.arguments = "ADDRESS:PORT/tcp|udp",
	.summary = "remove such a VIP with its endpoints",
	.help = "Removes a VIP made with 'vip add', its pool, ring and endpoints.  VIPs of the\n"
		"controller are refused: they go with the Gateway they come from.",
	.words_min = 1,
	.words_max = 1,
	.run = vip_remove_run,
};
