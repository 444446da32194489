// SPDX-License-Identifier: BSD-2-Clause
/* A family must be written whole, so endpoints, VIPs and clusters are gathered
 * into rows first, and each family is a row of a table: name, type, help, and
 * what to read from a row.  A value that is not known gives no sample. */
#include "userspace/controller/pages.h"

#include <arpa/inet.h>
#include <errno.h>
#include <math.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "maps/access/maps.h"
#include "userspace/base/address.h"
#include "userspace/base/cleanup.h"
#include "userspace/base/clock.h"
#include "userspace/controller/watcher.h"
#include "userspace/sources/desired.h"
#include "userspace/telemetry/exposition.h"

#define UNKNOWN ((double)NAN) /* no sample; NAN alone would make counts floats */

static double seconds(uint64_t ns)
{
	return ns ? (double)ns / NS_PER_S : UNKNOWN;
}

/* ---- endpoints ---- */

struct endpoint_row {
	uint32_t id;
	const struct endpoint *endpoint;
	const struct health *health;
	const struct load *load; /* NULL: no sample of this generation */
	enum endpoint_use use;
	uint8_t admin;
	uint32_t scrape_failures;
	struct inflight inflight;
	struct traffic traffic;
	struct passive passive;
	uint64_t now;
	char address[ADDRESS_TEXT_MAX];
	const char *labels[11];
};

static double endpoint_up(const struct endpoint_row *row)
{
	return row->health->state == HEALTH_UP;
}

static double endpoint_usable(const struct endpoint_row *row)
{
	return row->use == ENDPOINT_USABLE;
}

static double endpoint_changed_at(const struct endpoint_row *row)
{
	return seconds(row->health->since);
}

static double endpoint_probed_at(const struct endpoint_row *row)
{
	return seconds(row->health->probed_at);
}

static double endpoint_waiting(const struct endpoint_row *row)
{
	return row->load ? row->load->waiting : UNKNOWN;
}

static double endpoint_running(const struct endpoint_row *row)
{
	return row->load ? row->load->running : UNKNOWN;
}

static double endpoint_kv(const struct endpoint_row *row)
{
	return row->load ? row->load->kv_permille / 1000.0 : UNKNOWN;
}

static double endpoint_blocks(const struct endpoint_row *row)
{
	return row->load && row->load->kv_blocks ? row->load->kv_blocks : UNKNOWN;
}

static double endpoint_scrape_age(const struct endpoint_row *row)
{
	if (!row->load)
		return UNKNOWN;
	return row->now > row->load->sampled_at
		       ? (double)(row->now - row->load->sampled_at) / NS_PER_S
		       : 0;
}

static double endpoint_scrape_failures(const struct endpoint_row *row)
{
	return row->scrape_failures;
}

static double endpoint_inflight(const struct endpoint_row *row)
{
	return row->inflight.requests;
}

/* Most endpoints are the proxy's, and packets never go to them one by one. */
static double packet_count(const struct endpoint_row *row, uint64_t count)
{
	return count || row->endpoint->owner == VIP_OWNER_OPERATOR ? (double)count : UNKNOWN;
}

static double endpoint_packets(const struct endpoint_row *row)
{
	return packet_count(row, row->traffic.packets);
}

static double endpoint_bytes(const struct endpoint_row *row)
{
	return packet_count(row, row->traffic.bytes);
}

static double endpoint_syns(const struct endpoint_row *row)
{
	return packet_count(row, row->passive.syns);
}

static double endpoint_synacks(const struct endpoint_row *row)
{
	return packet_count(row, row->passive.synacks);
}

static double endpoint_resets(const struct endpoint_row *row)
{
	return packet_count(row, row->passive.resets);
}

static const struct {
	const char *name, *type, *help;
	double (*value)(const struct endpoint_row *row);
} endpoint_families[] = {
	{"sluice_endpoint_up", "gauge", "1 if probes say that the endpoint is well.", endpoint_up},
	{"sluice_endpoint_usable", "gauge",
	 "1 if new flows and requests may go there: health, operator and cluster together.",
	 endpoint_usable},
	{"sluice_endpoint_health_changed_timestamp_seconds", "gauge",
	 "When its health changed last.", endpoint_changed_at},
	{"sluice_endpoint_probed_timestamp_seconds", "gauge", "When the last probe of it ended.",
	 endpoint_probed_at},
	{"sluice_endpoint_requests_waiting", "gauge",
	 "Requests queued in the model server, as last scraped.", endpoint_waiting},
	{"sluice_endpoint_requests_running", "gauge",
	 "Requests in the model server's batch, as last scraped.", endpoint_running},
	{"sluice_endpoint_kv_cache_usage_ratio", "gauge",
	 "KV cache in use, 0 to 1, as last scraped.", endpoint_kv},
	{"sluice_endpoint_kv_cache_blocks", "gauge", "KV cache capacity in blocks.",
	 endpoint_blocks},
	{"sluice_endpoint_scrape_age_seconds", "gauge", "Age of the last good scrape.",
	 endpoint_scrape_age},
	{"sluice_endpoint_scrape_failures", "gauge", "Scrapes failed since the last good one.",
	 endpoint_scrape_failures},
	{"sluice_endpoint_inflight_requests", "gauge",
	 "Requests that this gateway's proxy has there now.", endpoint_inflight},
	{"sluice_endpoint_packets_total", "counter", "Packets that the data path sent to it.",
	 endpoint_packets},
	{"sluice_endpoint_bytes_total", "counter", "Bytes that the data path sent to it.",
	 endpoint_bytes},
	{"sluice_endpoint_syns_total", "counter", "SYNs that the data path sent to it.",
	 endpoint_syns},
	{"sluice_endpoint_synacks_total", "counter", "SYN-ACKs that came back from it.",
	 endpoint_synacks},
	{"sluice_endpoint_resets_total", "counter", "RSTs that came back from it.",
	 endpoint_resets},
};

static void endpoint_row_labels(struct endpoint_row *row, const struct maps *maps)
{
	const struct endpoint *endpoint = row->endpoint;
	bool has_cluster = endpoint->cluster < CLUSTERS_MAX;
	size_t at = 0;

	address_port_format(&endpoint->addr, ntohs(endpoint->port), row->address);
	row->labels[at++] = "cluster";
	row->labels[at++] = has_cluster ? maps->clusters[endpoint->cluster].name : "";
	row->labels[at++] = "region";
	row->labels[at++] = has_cluster ? maps->clusters[endpoint->cluster].region : "";
	row->labels[at++] = "pool";
	row->labels[at++] = endpoint->pool < POOLS_MAX ? maps->pools[endpoint->pool].name : "";
	row->labels[at++] = "endpoint";
	row->labels[at++] = endpoint->name;
	row->labels[at++] = "address";
	row->labels[at++] = row->address;
	row->labels[at] = NULL;
}

static void endpoint_row_fill(struct endpoint_row *row, const struct maps *maps, uint32_t id,
			      uint64_t now)
{
	const struct endpoint *endpoint = &maps->endpoints[id];
	const struct admin *admin = &maps->admin[id];

	row->id = id;
	row->now = now;
	row->endpoint = endpoint;
	row->health = &maps->health[id];
	if (maps->load[id].generation == endpoint->generation) {
		row->load = maps->load[id].sampled_at ? &maps->load[id] : NULL;
		row->scrape_failures = maps->load[id].failures;
	}
	row->use = endpoint_use(maps, id, endpoint->generation);
	row->admin = admin->generation == endpoint->generation ? admin->state : ADMIN_READY;
	row->inflight = inflight_sum(maps, id);
	ep_stats_read(maps, id, &row->traffic); /* zeros when it fails */
	passive_read(maps, id, &row->passive);
	endpoint_row_labels(row, maps);
}

static void endpoints_state_write(struct exposition *page, const struct endpoint_row *rows,
				  size_t count)
{
	exposition_family(page, "sluice_endpoint_state_info", "gauge",
			  "1; the labels say what probes saw, what the operator wants, and what "
			  "follows.");
	for (size_t i = 0; i < count; i++) {
		const struct endpoint_row *row = &rows[i];
		const char *labels[19];

		memcpy(labels, row->labels, 10 * sizeof(labels[0]));
		labels[10] = "health";
		labels[11] = health_state_name(row->health->state);
		labels[12] = "reason";
		labels[13] = health_reason_name(row->health->reason);
		labels[14] = "admin";
		labels[15] = admin_state_name(row->admin);
		labels[16] = "use";
		labels[17] = endpoint_use_name(row->use);
		labels[18] = NULL;
		exposition_uint(page, "sluice_endpoint_state_info", labels, 1);
	}
}

static int endpoints_write(struct exposition *page, const struct maps *maps, uint64_t now)
{
	_cleanup_free_ struct endpoint_row *rows = NULL;
	size_t count = 0, next = 0;

	for (uint32_t id = 0; id < ENDPOINTS_MAX; id++)
		count += maps->endpoints[id].way != WAY_NONE;
	rows = calloc(count + 1, sizeof(*rows));
	if (!rows)
		return -ENOMEM;
	for (uint32_t id = 0; id < ENDPOINTS_MAX && next < count; id++) {
		if (maps->endpoints[id].way != WAY_NONE)
			endpoint_row_fill(&rows[next++], maps, id, now);
	}
	for (size_t f = 0; f < ARRAY_SIZE(endpoint_families); f++) {
		exposition_family(page, endpoint_families[f].name, endpoint_families[f].type,
				  endpoint_families[f].help);
		for (size_t i = 0; i < next; i++) {
			double value = endpoint_families[f].value(&rows[i]);

			if (!isnan(value))
				exposition_double(page, endpoint_families[f].name, rows[i].labels,
						  value);
		}
	}
	endpoints_state_write(page, rows, next);
	return 0;
}

/* ---- clusters ---- */

static double cluster_rtt(const struct cluster *cluster)
{
	return cluster->rtt_us ? cluster->rtt_us / 1e6 : UNKNOWN;
}

static double cluster_observed_at(const struct cluster *cluster)
{
	return seconds(cluster->observed_at);
}

static double cluster_endpoints(const struct cluster *cluster)
{
	return cluster->endpoints;
}

static const struct {
	const char *name, *help;
	double (*value)(const struct cluster *cluster);
} cluster_families[] = {
	{"sluice_cluster_endpoints", "Endpoints that the cluster has.", cluster_endpoints},
	{"sluice_cluster_round_trip_seconds", "Smoothed connect time of probes to it.",
	 cluster_rtt},
	{"sluice_cluster_observed_timestamp_seconds", "When a probe there succeeded last.",
	 cluster_observed_at},
};

static void clusters_write(struct exposition *page, const struct maps *maps)
{
	for (size_t f = 0; f < ARRAY_SIZE(cluster_families); f++) {
		exposition_family(page, cluster_families[f].name, "gauge",
				  cluster_families[f].help);
		for (uint32_t id = 0; id < CLUSTERS_MAX; id++) {
			const struct cluster *cluster = &maps->clusters[id];
			const char *labels[] = {"cluster", cluster->name, "region", cluster->region,
						NULL};
			double value = cluster_families[f].value(cluster);

			if (cluster->name[0] && !isnan(value))
				exposition_double(page, cluster_families[f].name, labels, value);
		}
	}
}

/* ---- the data path ---- */

struct vip_row {
	char text[ADDRESS_TEXT_MAX];
	const char *labels[9];
	struct traffic traffic;
};

struct vip_rows {
	const struct maps *maps;
	struct vip_row *rows;
	size_t count;
};

static int vip_row_add(void *ctx, const struct vip_key *key, const struct vip *vip)
{
	struct vip_rows *rows = ctx;
	struct vip_row *row;

	if (rows->count == VIPS_MAX)
		return -E2BIG;
	row = &rows->rows[rows->count++];
	address_port_format(&key->addr, ntohs(key->port), row->text);
	row->labels[0] = "vip";
	row->labels[1] = row->text;
	row->labels[2] = "proto";
	row->labels[3] = key->proto == IPPROTO_UDP ? "udp" : "tcp";
	row->labels[4] = "mode";
	row->labels[5] = vip->mode == VIP_MODE_L7 ? "l7" : "l4";
	row->labels[6] = "owner";
	row->labels[7] = vip->owner == VIP_OWNER_OPERATOR ? "operator" : "controller";
	vip_stats_read(rows->maps, vip->id, &row->traffic);
	return 0;
}

static int vips_write(struct exposition *page, const struct maps *maps)
{
	_cleanup_free_ struct vip_row *memory = calloc(VIPS_MAX, sizeof(*memory));
	struct vip_rows rows = {.maps = maps, .rows = memory};

	if (!memory)
		return -ENOMEM;
	vips_each(maps, vip_row_add, &rows); /* what was read so far is shown */
	exposition_family(page, "sluice_vip_packets_total", "counter",
			  "Packets to the VIP that the data path saw.");
	for (size_t i = 0; i < rows.count; i++)
		exposition_uint(page, "sluice_vip_packets_total", memory[i].labels,
				memory[i].traffic.packets);
	exposition_family(page, "sluice_vip_bytes_total", "counter",
			  "Bytes to the VIP that the data path saw.");
	for (size_t i = 0; i < rows.count; i++)
		exposition_uint(page, "sluice_vip_bytes_total", memory[i].labels,
				memory[i].traffic.bytes);
	return 0;
}

static void verdicts_write(struct exposition *page, const struct maps *maps)
{
	struct traffic traffic[VERDICT_COUNT];

	if (verdicts_read(maps, traffic) < 0)
		return;
	for (int what = 0; what < 2; what++) {
		const char *name = what ? "sluice_verdict_bytes_total"
					: "sluice_verdict_packets_total";

		exposition_family(page, name, "counter",
				  what ? "Bytes by what the data path did with them."
				       : "Packets by what the data path did with them.");
		for (int verdict = 0; verdict < VERDICT_COUNT; verdict++) {
			const char *labels[] = {"verdict", verdict_name(verdict), "action",
						verdict_drops(verdict) ? "drop" : "pass", NULL};

			exposition_uint(page, name, labels,
					what ? traffic[verdict].bytes : traffic[verdict].packets);
		}
	}
}

/* ---- paths ---- */

static void nexthops_write(struct exposition *page, const struct maps *maps)
{
	uint64_t counts[NEXTHOP_RESOLVED + 1] = {0};

	for (uint32_t id = 0; id < NEXTHOPS_MAX; id++) {
		uint16_t state = __atomic_load_n(&maps->nexthops[id].state, __ATOMIC_RELAXED);

		if (state < ARRAY_SIZE(counts))
			counts[state]++;
	}
	exposition_family(page, "sluice_nexthops", "gauge",
			  "Next hops of endpoints, by whether their link-layer address is known.");
	for (uint16_t state = NEXTHOP_UNRESOLVED; state <= NEXTHOP_RESOLVED; state++) {
		const char *labels[] = {"state", nexthop_state_name(state), NULL};

		exposition_uint(page, "sluice_nexthops", labels, counts[state]);
	}
}

/* ---- the controller itself ---- */

static void objects_write(struct exposition *page, const struct desired *desired)
{
	const struct {
		const char *kind;
		size_t count;
	} kinds[] = {
		{"cluster", desired->cluster_count},	 {"endpoint", desired->endpoint_count},
		{"pool", desired->pool_count},		 {"vip", desired->vip_count},
		{"listener", desired->listener_count},	 {"route", desired->route_count},
		{"objective", desired->objective_count},
	};

	exposition_family(page, "sluice_controller_objects", "gauge",
			  "Objects that the configuration asks for, by kind.");
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		const char *labels[] = {"kind", kinds[i].kind, NULL};

		exposition_uint(page, "sluice_controller_objects", labels, kinds[i].count);
	}
}

static void messages_write(struct exposition *page, const struct desired *desired)
{
	const char *error[] = {"level", "error", NULL}, *warning[] = {"level", "warning", NULL};
	uint64_t errors = 0, warnings = 0;

	for (size_t i = 0; i < desired->messages.count; i++) {
		errors += desired->messages.list[i].level == LOG_LEVEL_ERROR;
		warnings += desired->messages.list[i].level == LOG_LEVEL_WARNING;
	}
	exposition_family(page, "sluice_controller_config_messages", "gauge",
			  "What is wrong with the configuration of now, by level.");
	exposition_uint(page, "sluice_controller_config_messages", error, errors);
	exposition_uint(page, "sluice_controller_config_messages", warning, warnings);
}

static void reloads_write(struct exposition *page, const struct controller_reloads *reloads)
{
	const char *ok[] = {"result", "ok", NULL}, *failed[] = {"result", "failed", NULL};

	exposition_family(page, "sluice_controller_config_reloads_total", "counter",
			  "Times that configuration was read and published, by result.");
	exposition_uint(page, "sluice_controller_config_reloads_total", ok, reloads->ok);
	exposition_uint(page, "sluice_controller_config_reloads_total", failed, reloads->failed);
	exposition_family(page, "sluice_controller_config_last_reload_timestamp_seconds", "gauge",
			  "When configuration was published last, and when that failed last.");
	if (reloads->ok_at)
		exposition_double(page, "sluice_controller_config_last_reload_timestamp_seconds",
				  ok, seconds(reloads->ok_at));
	if (reloads->failed_at)
		exposition_double(page, "sluice_controller_config_last_reload_timestamp_seconds",
				  failed, seconds(reloads->failed_at));
	exposition_family(page, "sluice_controller_snapshot_generation", "gauge",
			  "Generation of the routes snapshot written last.");
	exposition_uint(page, "sluice_controller_snapshot_generation", NULL,
			reloads->snapshot_generation);
}

static void counts_write(struct exposition *page, const struct watcher_counts *counts)
{
	exposition_family(page, "sluice_controller_probes_total", "counter",
			  "Health probes that ended, by result.");
	for (int reason = HEALTH_REASON_OK; reason < HEALTH_REASON_COUNT; reason++) {
		const char *labels[] = {"result", health_reason_name((uint8_t)reason), NULL};

		exposition_uint(page, "sluice_controller_probes_total", labels,
				counts->probes[reason]);
	}
	exposition_family(page, "sluice_controller_scrapes_total", "counter",
			  "Scrapes of model servers that ended, by result.");
	for (int result = 0; result < SCRAPE_RESULT_COUNT; result++) {
		const char *labels[] = {"result", scrape_result_name(result), NULL};

		exposition_uint(page, "sluice_controller_scrapes_total", labels,
				counts->scrapes[result]);
	}
	exposition_family(page, "sluice_controller_health_changes_total", "counter",
			  "Changes of endpoints' health, by the new state.");
	for (int state = HEALTH_UP; state < HEALTH_COUNT; state++) {
		const char *labels[] = {"state", health_state_name((uint8_t)state), NULL};

		exposition_uint(page, "sluice_controller_health_changes_total", labels,
				counts->changes[state]);
	}
}

int pages_metrics(const struct pages_input *input, char **ret_text, size_t *ret_length)
{
	struct exposition page = {0};
	int err;

	exposition_family(&page, "sluice_controller_start_time_seconds", "gauge",
			  "When this controller started.");
	exposition_double(&page, "sluice_controller_start_time_seconds", NULL,
			  seconds(input->started_at));
	if (input->desired) {
		objects_write(&page, input->desired);
		messages_write(&page, input->desired);
	}
	exposition_family(&page, "sluice_controller_sources_broken", "gauge",
			  "1 if a file or object is refused; its last good form is in use.");
	exposition_uint(&page, "sluice_controller_sources_broken", NULL, input->sources_broken);
	reloads_write(&page, input->reloads);
	counts_write(&page, input->counts);
	clusters_write(&page, input->maps);
	err = endpoints_write(&page, input->maps, input->now);
	if (!err)
		err = vips_write(&page, input->maps);
	verdicts_write(&page, input->maps);
	nexthops_write(&page, input->maps);
	if (!err)
		err = page.err;
	if (err) {
		exposition_free(&page);
		return err;
	}
	*ret_text = exposition_take(&page, ret_length);
	return 0;
}
