// SPDX-License-Identifier: BSD-2-Clause
/* Looking things up by the names the maps carry, so that no other process is
 * needed.  Names in maps may be cut, and are compared up to their field's size. */
#include "maps/cli/target.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "userspace/base/address.h"
#include "userspace/base/cleanup.h"
#include "userspace/base/log.h"
#include "userspace/base/text.h"

#define LISTED_MAX 1024

static bool name_is(const char *field, size_t size, const char *name)
{
	return field[0] && strlen(name) < size && !strncmp(field, name, size);
}

static void name_list(struct text *text, const char *field, size_t size)
{
	if (field[0])
		text_printf(text, "%s%.*s", text->length ? ", " : "", (int)strnlen(field, size),
			    field);
}

int target_cluster(const struct maps *maps, const char *name, uint32_t *ret_cluster)
{
	char buffer[LISTED_MAX];
	struct text known = TEXT_INIT(buffer);

	buffer[0] = '\0';
	for (uint32_t id = 0; id < CLUSTERS_MAX; id++) {
		const struct cluster *cluster = &maps->clusters[id];

		if (name_is(cluster->name, sizeof(cluster->name), name)) {
			*ret_cluster = id;
			return 0;
		}
		name_list(&known, cluster->name, sizeof(cluster->name));
	}
	return log_error(-ENOENT, "cluster '%s': no such cluster; known are: %s%s", name,
			 buffer[0] ? buffer : "none", known.cut ? "..." : "");
}

int target_pool(const struct maps *maps, const char *name, uint32_t *ret_pool)
{
	char buffer[LISTED_MAX];
	struct text known = TEXT_INIT(buffer);

	buffer[0] = '\0';
	for (uint32_t id = 0; id < POOLS_MAX; id++) {
		const struct pool *pool = &maps->pools[id];

		if (name_is(pool->name, sizeof(pool->name), name)) {
			*ret_pool = id;
			return 0;
		}
		name_list(&known, pool->name, sizeof(pool->name));
	}
	return log_error(-ENOENT, "pool '%s': no such pool; known are: %s%s", name,
			 buffer[0] ? buffer : "none", known.cut ? "..." : "");
}

/* What the operator typed, read once. */
struct wanted {
	const char *name;
	bool by_id, by_address;
	uint32_t id;
	struct ip_addr addr;
	uint16_t port;
};

static struct wanted wanted_read(const char *text)
{
	struct wanted wanted = {.name = text};
	unsigned long id;
	char *end;

	id = strtoul(text, &end, 10);
	if (*text >= '0' && *text <= '9' && !*end && id < ENDPOINTS_MAX) {
		wanted.by_id = true;
		wanted.id = (uint32_t)id;
	} else if (!address_port_parse(text, &wanted.addr, &wanted.port)) {
		wanted.by_address = true;
	}
	return wanted;
}

static bool wanted_matches(const struct wanted *wanted, const struct maps *maps, uint32_t id)
{
	const struct endpoint *endpoint = &maps->endpoints[id];

	if (endpoint->way == WAY_NONE)
		return false;
	if (wanted->by_id)
		return id == wanted->id;
	if (wanted->by_address)
		return address_equal(&endpoint->addr, &wanted->addr) &&
		       ntohs(endpoint->port) == wanted->port;
	return name_is(endpoint->name, sizeof(endpoint->name), wanted->name);
}

static int ambiguous(const struct maps *maps, const char *text, const uint32_t *ids, size_t count)
{
	char buffer[LISTED_MAX], address[ADDRESS_TEXT_MAX];
	struct text list = TEXT_INIT(buffer);

	for (size_t i = 0; i < count; i++) {
		const struct endpoint *endpoint = &maps->endpoints[ids[i]];
		uint32_t cluster = endpoint->cluster;

		text_printf(&list, "%s%u (%s, cluster %.*s)", i ? ", " : "", ids[i],
			    address_port_format(&endpoint->addr, ntohs(endpoint->port), address),
			    (int)sizeof(maps->clusters[0].name) - 1,
			    cluster < CLUSTERS_MAX ? maps->clusters[cluster].name : "none");
	}
	return log_error(-EINVAL,
			 "endpoint '%s': is in several clusters: %s%s; add --cluster NAME, or name "
			 "one by its id or address",
			 text, buffer, list.cut ? "..." : "");
}

int target_endpoints(const struct maps *maps, const char *text, const char *cluster, uint32_t *ids,
		     size_t room, size_t *ret_count)
{
	struct wanted wanted = wanted_read(text);
	uint32_t only = CLUSTER_NONE;
	bool several = false;
	size_t count = 0;
	int err;

	if (cluster) {
		err = target_cluster(maps, cluster, &only);
		if (err)
			return err;
	}
	for (uint32_t id = 0; id < ENDPOINTS_MAX && count < room; id++) {
		if (!wanted_matches(&wanted, maps, id) ||
		    (cluster && maps->endpoints[id].cluster != only))
			continue;
		ids[count++] = id;
		several |= maps->endpoints[id].cluster != maps->endpoints[ids[0]].cluster;
	}
	if (!count)
		return log_error(-ENOENT,
				 "endpoint '%s'%s%s: no such endpoint; 'sluicectl show endpoints' "
				 "lists names, ids and addresses",
				 text, cluster ? " in cluster " : "", cluster ? cluster : "");
	if (several)
		return ambiguous(maps, text, ids, count);
	*ret_count = count;
	return 0;
}

static int use_parse(const char *name, int *ret_use)
{
	for (int use = ENDPOINT_USABLE; use <= ENDPOINT_MAINT; use++) {
		if (!strcmp(name, endpoint_use_name((enum endpoint_use)use))) {
			*ret_use = use;
			return 0;
		}
	}
	return log_error(-EINVAL, "--use %s: wants usable, draining, down or maint", name);
}

int target_filter_init(const struct request *request, const struct maps *maps,
		       struct target_filter *ret_filter)
{
	struct target_filter filter = {CLUSTER_NONE, POOL_NONE, -1};
	int err = 0;

	if (request->cluster)
		err = target_cluster(maps, request->cluster, &filter.cluster);
	if (!err && request->pool)
		err = target_pool(maps, request->pool, &filter.pool);
	if (!err && request->use)
		err = use_parse(request->use, &filter.use);
	if (!err)
		*ret_filter = filter;
	return err;
}

bool target_filter_matches(const struct target_filter *filter, const struct maps *maps, uint32_t id)
{
	const struct endpoint *endpoint = &maps->endpoints[id];

	if (endpoint->way == WAY_NONE)
		return false;
	if (filter->cluster != CLUSTER_NONE && endpoint->cluster != filter->cluster)
		return false;
	if (filter->pool != POOL_NONE && endpoint->pool != filter->pool)
		return false;
	return filter->use < 0 || (int)endpoint_use(maps, id, 0) == filter->use;
}
