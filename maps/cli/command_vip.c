// SPDX-License-Identifier: BSD-2-Clause
/* vip add, set and remove: L4 VIPs of the operator, with no controller needed. */
#include "maps/cli/command.h"

#include <string.h>

#include "maps/cli/operator_lock.h"
#include "maps/cli/operator_vip.h"
#include "maps/cli/table.h"
#include "maps/cli/view.h"
#include "maps/cli/vip_spec.h"
#include "userspace/base/cleanup.h"
#include "userspace/base/log.h"

#define VIP_OPTIONS                                                                                \
	(WITH(OPTION_ENDPOINT) | WITH(OPTION_WAY) | WITH(OPTION_PICK) | WITH(OPTION_DOWN) |        \
	 WITH(OPTION_QUIC))

static const struct column columns[] = {
	{"vip", COLUMN_TEXT},
	{"change", COLUMN_TEXT},
	{"id", COLUMN_NUMBER},
	{"pool", COLUMN_TEXT},
	{"pool_id", COLUMN_NUMBER},
	{"pick", COLUMN_TEXT},
	{"down", COLUMN_TEXT},
	{"quic", COLUMN_TEXT},
	{"added", COLUMN_NUMBER},
	{"kept", COLUMN_NUMBER},
	{"ways_changed", COLUMN_NUMBER},
	{"removed", COLUMN_NUMBER},
	{"ring_rows", COLUMN_NUMBER},
	{"rows_moved", COLUMN_NUMBER},
	{"flows_cut", COLUMN_NUMBER},
	{"nat_flows_left", COLUMN_NUMBER},
};

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
	table_push_text(&table, vip_pick_name(done->vip.pick));
	table_push_text(&table, vip_down_name(done->vip.down));
	table_push_text(&table, done->vip.flags & VIP_F_QUIC ? "yes" : "no");
	table_push_number(&table, done->added);
	table_push_number(&table, done->kept);
	table_push_number(&table, done->ways_changed);
	table_push_number(&table, done->removed);
	table_push_number(&table, done->ring_size);
	table_push_number(&table, done->rows_moved);
	table_push_number(&table, done->flows_cut);
	table_push_number(&table, done->nat_flows_left);
	if (table.err)
		return log_error(table.err, "out of memory");
	table_print_json(&table, request->out);
	return 0;
}

/* "; pick maglev -> least" */
static void choice_print(const char *what, const char *before, const char *after, FILE *out)
{
	if (strcmp(before, after))
		fprintf(out, "; %s %s -> %s", what, before, after);
}

static void choices_print(const struct operator_vip *done, FILE *out)
{
	choice_print("pick", vip_pick_name(done->before.pick), vip_pick_name(done->vip.pick), out);
	choice_print("down", vip_down_name(done->before.down), vip_down_name(done->vip.down), out);
	choice_print("quic", done->before.flags & VIP_F_QUIC ? "on" : "off",
		     done->vip.flags & VIP_F_QUIC ? "on" : "off", out);
}

static void flows_print(const struct operator_vip *done, FILE *out)
{
	if (done->flows_cut)
		fprintf(out,
			"; %llu live L4 flows to endpoints that were removed or went over to "
			"NAT were cut",
			(unsigned long long)done->flows_cut);
	if (done->nat_flows_left)
		fprintf(out, "; %llu live NAT flows go on by NAT until they end",
			(unsigned long long)done->nat_flows_left);
}

static int change_print(const struct request *request, const struct maps *maps,
			const struct operator_vip *done, const char *what)
{
	char text[VIP_TEXT_MAX];

	if (request->json)
		return change_print_json(request, maps, done, what);
	fprintf(request->out, "%s: %s; endpoints: %u added, %u kept, %u removed",
		vip_key_format(&done->key, text), what, done->added, done->kept, done->removed);
	if (done->ways_changed)
		fprintf(request->out, "; %u reached another way now", done->ways_changed);
	if (done->ring_size)
		fprintf(request->out, "; pool %.*s; ring of %u rows, %u moved",
			(int)sizeof(maps->pools[0].name) - 1, maps->pools[done->vip.pool].name,
			done->ring_size, done->rows_moved);
	if (done->before.mode == VIP_MODE_L4)
		choices_print(done, request->out);
	flows_print(done, request->out);
	fputc('\n', request->out);
	return 0;
}

static int vip_add_run(struct request *request)
{
	_cleanup_(maps_closep) struct maps *maps = NULL;
	_cleanup_close_ int lock = -1;
	struct operator_vip done;
	struct vip_spec spec;
	int err;

	err = vip_spec_parse(request, &spec);
	if (!err)
		err = operator_maps_open(&request->instance, &maps, &lock);
	if (!err)
		err = operator_vip_add(maps, &spec, &done);
	return err ? err : change_print(request, maps, &done, "added");
}

static int vip_set_run(struct request *request)
{
	_cleanup_(maps_closep) struct maps *maps = NULL;
	_cleanup_close_ int lock = -1;
	struct operator_vip done;
	struct vip_spec spec;
	int err;

	err = vip_spec_parse(request, &spec);
	if (!err)
		err = operator_maps_open(&request->instance, &maps, &lock);
	if (!err)
		err = operator_vip_set(maps, &spec, &done);
	return err ? err : change_print(request, maps, &done, "set");
}

static int vip_remove_run(struct request *request)
{
	_cleanup_(maps_closep) struct maps *maps = NULL;
	_cleanup_close_ int lock = -1;
	struct operator_vip done;
	struct vip_key key;
	int err;

	err = vip_key_parse(request->words[0], &key);
	if (!err)
		err = operator_maps_open(&request->instance, &maps, &lock);
	if (!err)
		err = operator_vip_remove(maps, &key, &done);
	return err ? err : change_print(request, maps, &done, "removed");
}

#define ARGUMENTS "ADDRESS:PORT/tcp|udp --endpoint ADDRESS:PORT[*WEIGHT][,way=WAY][,id=N]..."

#define ENDPOINT_HELP                                                                               \
	"An endpoint is ADDRESS:PORT, *WEIGHT right behind it, then options after commas:\n"        \
	"  *WEIGHT    its share: *200 gets twice as many new flows as *100, the default\n"          \
	"  ,way=WAY   how packets reach it, where that differs from --way\n"                        \
	"  ,id=N      with --quic: the server id (1 to 65535) in connection ids it gives out,\n"    \
	"             in plain text as draft-ietf-quic-load-balancers-21 has it\n\n"                \
	"Ways (--way, default nat):\n"                                                              \
	"  nat        address and port rewritten, both ways; one IP family; needs --snat\n"         \
	"  ipip, gue  the packet as it is, in IP-in-IP or GUE; any IP families; answers go\n"       \
	"             straight to the client.  The server listens on the VIP's address and port\n"  \
	"  l2         the packet as it is, to the MAC of a server on the same link; else like\n"    \
	"             ipip; one IP family\n\n"                                                      \
	"Picks of new flows (--pick): maglev, the same on every gateway, or least, the less\n"      \
	"loaded of two rows, by live flows and what servers report.  TCP flows whose endpoint is\n" \
	"DOWN or in MAINT get a reset, or their packets are dropped so that they go on if it\n"     \
	"comes back (--down)."

const struct command command_vip_add = {
	.name = "vip add",
	.arguments = ARGUMENTS,
	.summary = "make an L4 VIP of the operator's",
	.help = "Makes an L4 VIP that belongs to the operator: packets to it are steered to its\n"
		"endpoints in the kernel, by a Maglev ring.  The controller never touches it.  It\n"
		"lives until 'vip remove' or 'sluice-loader unload'.  The VIP's address must be\n"
		"routed to this host; it need not be an address of it.\n\n" ENDPOINT_HELP,
	.options = WITH(OPTION_POOL) | VIP_OPTIONS,
	.words_min = 1,
	.words_max = 1,
	.run = vip_add_run,
};

const struct command command_vip_set = {
	.name = "vip set",
	.arguments = ARGUMENTS,
	.summary = "say such a VIP anew: endpoints, weights, ways and all",
	.help = "Makes a VIP made with 'vip add' what is said now, in one write; what is not said has\n"
		"its default again.  Endpoints that stay keep their ids and flows, also when they\n"
		"are reached another way: flows by NAT then go on by NAT, flows of ipip, gue and l2\n"
		"change over among these and are cut by nat.  Live flows to removed endpoints are\n"
		"cut, so drain first: 'sluicectl drain endpoint ADDRESS:PORT --wait SECONDS'.\n\n" ENDPOINT_HELP,
	.options = VIP_OPTIONS,
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
