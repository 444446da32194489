// SPDX-License-Identifier: BSD-2-Clause
/* From typed words to a VIP.  An endpoint is ADDRESS:PORT[*WEIGHT][,NAME=VALUE]...:
 * the weight stays where it always was, everything else has a name. */
#include "maps/cli/vip_spec.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "maps/access/maps.h"
#include "userspace/base/cleanup.h"
#include "userspace/base/log.h"
#include "userspace/publish/ring.h"

#define SPEC_TEXT_MAX 128
#define SERVER_ID_MAX 65535

#define OPTIONS_HINT "way=nat|ipip|gue|l2 and id=1..65535"

/* Copies what is before `separator`; *ret_rest is what is behind it or NULL. */
static int head_split(const char *text, char separator, char head[SPEC_TEXT_MAX],
		      const char **ret_rest)
{
	const char *at = strrchr(text, separator);
	size_t length = at ? (size_t)(at - text) : strlen(text);

	if (length >= SPEC_TEXT_MAX)
		return -EINVAL;
	memcpy(head, text, length);
	head[length] = '\0';
	*ret_rest = at ? at + 1 : NULL;
	return 0;
}

static uint8_t proto_parse(const char *text)
{
	if (text && !strcmp(text, "tcp"))
		return IPPROTO_TCP;
	if (text && !strcmp(text, "udp"))
		return IPPROTO_UDP;
	return 0;
}

/* Packets can come from a link for it, or go out on one. */
static bool address_is_steerable(const struct ip_addr *addr)
{
	return address_is_unicast(addr) && !address_is_loopback(addr) &&
	       !address_is_link_local6(addr);
}

int vip_key_parse(const char *text, struct vip_key *ret_key)
{
	struct vip_key key = {0};
	char head[SPEC_TEXT_MAX];
	const char *proto = NULL;
	uint16_t port = 0;
	int err;

	err = head_split(text, '/', head, &proto);
	if (!err)
		err = address_port_parse(head, &key.addr, &port);
	key.proto = proto_parse(proto);
	key.port = htons(port);
	if (err || !port || !key.proto || !address_is_steerable(&key.addr))
		return log_error(-EINVAL,
				 "'%s': not a VIP; write ADDRESS:PORT/tcp or /udp, such as "
				 "10.99.0.20:8000/tcp or [2001:db8::1]:53/udp",
				 text);
	*ret_key = key;
	return 0;
}

const char *vip_key_format(const struct vip_key *key, char buffer[VIP_TEXT_MAX])
{
	char address[ADDRESS_TEXT_MAX];

	address_port_format(&key->addr, ntohs(key->port), address);
	if (key->proto == IPPROTO_TCP || key->proto == IPPROTO_UDP)
		snprintf(buffer, VIP_TEXT_MAX, "%s/%s", address,
			 key->proto == IPPROTO_TCP ? "tcp" : "udp");
	else
		snprintf(buffer, VIP_TEXT_MAX, "%s/%u", address, key->proto);
	return buffer;
}

static int whole_number_parse(const char *text, unsigned long max, unsigned long *ret_number)
{
	unsigned long number;
	char *end;

	if (*text < '0' || *text > '9')
		return -EINVAL;
	errno = 0;
	number = strtoul(text, &end, 10);
	if (errno || *end || !number || number > max)
		return -EINVAL;
	*ret_number = number;
	return 0;
}

/* The index of the word among names 0 .. count - 1 of `name_of`. */
static int word_parse(const char *text, const char *(*name_of)(uint8_t index), uint8_t first,
		      uint8_t count, uint8_t *ret_index)
{
	for (uint8_t i = first; i < count; i++) {
		if (!strcmp(text, name_of(i))) {
			*ret_index = i;
			return 0;
		}
	}
	return -EINVAL;
}

static int way_parse(const char *text, uint8_t *ret_way)
{
	return word_parse(text, endpoint_way_name, WAY_NAT, WAY_COUNT, ret_way);
}

static int way_set(struct endpoint_spec *spec, const char *value)
{
	return spec->way == WAY_NONE ? way_parse(value, &spec->way) : -EEXIST;
}

static int server_id_set(struct endpoint_spec *spec, const char *value)
{
	unsigned long id;

	if (spec->server_id)
		return -EEXIST;
	if (whole_number_parse(value, SERVER_ID_MAX, &id))
		return -EINVAL;
	spec->server_id = (uint16_t)id;
	return 0;
}

static const struct {
	const char *name;
	int (*set)(struct endpoint_spec *spec, const char *value); /* -EEXIST: said twice */
	const char *wants;
} endpoint_options[] = {
	{"way", way_set, "one of nat, ipip, gue, l2"},
	{"id", server_id_set, "a whole number from 1 to 65535, the server id in connection ids"},
};

static int endpoint_option_parse(const char *text, char *option, struct endpoint_spec *spec)
{
	char *value = strchr(option, '=');

	if (value)
		*value++ = '\0';
	for (size_t i = 0; value && i < ARRAY_SIZE(endpoint_options); i++) {
		int err;

		if (strcmp(option, endpoint_options[i].name))
			continue;
		err = endpoint_options[i].set(spec, value);
		if (err == -EEXIST)
			return log_error(-EINVAL, "--endpoint '%s': %s is said twice", text,
					 option);
		if (err)
			return log_error(-EINVAL, "--endpoint '%s': '%s' for %s; it wants %s", text,
					 value, option, endpoint_options[i].wants);
		return 0;
	}
	return log_error(
		-EINVAL,
		"--endpoint '%s': '%s' is no option of an endpoint; there are " OPTIONS_HINT
		", each after a comma behind ADDRESS:PORT[*WEIGHT]",
		text, option);
}

/* `options`: "way=gue,id=7"; written on. */
static int endpoint_options_parse(const char *text, char *options, struct endpoint_spec *spec)
{
	char *next = options;
	int err = 0;

	while (!err && next) {
		char *option = strsep(&next, ",");

		err = endpoint_option_parse(text, option, spec);
	}
	return err;
}

/* "ADDRESS:PORT[*WEIGHT]" */
static int endpoint_head_parse(const char *text, const char *words, struct endpoint_spec *spec)
{
	char head[SPEC_TEXT_MAX];
	const char *weight = NULL;
	unsigned long number = SPEC_WEIGHT_DEFAULT;
	int err;

	err = head_split(words, '*', head, &weight);
	if (!err)
		err = address_port_parse(head, &spec->addr, &spec->port);
	if (err || !spec->port || !address_is_steerable(&spec->addr))
		return log_error(-EINVAL,
				 "--endpoint '%s': not an endpoint; write ADDRESS:PORT, or "
				 "ADDRESS:PORT*WEIGHT, with the address of another host",
				 text);
	if (weight && whole_number_parse(weight, RING_WEIGHT_MAX, &number))
		return log_error(
			-EINVAL,
			"--endpoint '%s': a weight is a whole number from 1 to %u; leave an "
			"endpoint out that shall get nothing",
			text, RING_WEIGHT_MAX);
	spec->weight = (uint32_t)number;
	return 0;
}

int endpoint_spec_parse(const char *text, struct endpoint_spec *ret_spec)
{
	struct endpoint_spec spec = {0};
	char words[SPEC_TEXT_MAX];
	char *options;
	int err;

	if (strlen(text) >= sizeof(words))
		return log_error(-EINVAL, "--endpoint '%.40s...': longer than an endpoint can be",
				 text);
	strcpy(words, text);
	options = strchr(words, ',');
	if (options)
		*options++ = '\0';
	err = endpoint_head_parse(text, words, &spec);
	if (!err && options)
		err = endpoint_options_parse(text, options, &spec);
	if (!err)
		*ret_spec = spec;
	return err;
}

static int vip_options_parse(const struct request *request, struct vip_spec *spec, uint8_t *ret_way)
{
	if (request->way && way_parse(request->way, ret_way))
		return log_error(-EINVAL, "--way %s: there are nat, ipip, gue and l2",
				 request->way);
	if (request->pick &&
	    word_parse(request->pick, vip_pick_name, 0, VIP_PICK_COUNT, &spec->pick))
		return log_error(-EINVAL, "--pick %s: there are maglev and least", request->pick);
	if (request->down &&
	    word_parse(request->down, vip_down_name, 0, VIP_DOWN_COUNT, &spec->down))
		return log_error(-EINVAL, "--down %s: there are reset and drop", request->down);
	return 0;
}

int vip_spec_parse(const struct request *request, struct vip_spec *ret_spec)
{
	uint8_t way = WAY_NAT;
	int err;

	*ret_spec = (struct vip_spec){.pool = request->pool,
				      .quic = request->quic,
				      .pick = VIP_PICK_MAGLEV,
				      .down = VIP_DOWN_RESET,
				      .endpoint_count = request->endpoint_count};
	err = vip_key_parse(request->words[0], &ret_spec->key);
	if (!err)
		err = vip_options_parse(request, ret_spec, &way);
	for (size_t i = 0; !err && i < request->endpoint_count; i++) {
		struct endpoint_spec *endpoint = &ret_spec->endpoints[i];

		err = endpoint_spec_parse(request->endpoints[i], endpoint);
		if (!err && endpoint->way == WAY_NONE)
			endpoint->way = way;
	}
	return err;
}
