// SPDX-License-Identifier: BSD-2-Clause
/* drain, undrain and maint: what the operator wants of an endpoint or a cluster.
 *
 * The deadline of a drain is written with it, and every reader of the map acts on it by
 * its own clock: no process need be there when it comes.
 *
 * Only map `admin` is written; proxy and kernel programs read it on every pick,
 * so it holds from the next request or flow on.  A word about an endpoint is said
 * of its generation and ends with it: a new pod on the same id starts READY. */
#include "maps/cli/command.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>
#include <time.h>

#include "maps/cli/operator_lock.h"
#include "maps/cli/remaining.h"
#include "maps/cli/table.h"
#include "maps/cli/target.h"
#include "maps/cli/view.h"
#include "userspace/base/address.h"
#include "userspace/base/cleanup.h"
#include "userspace/base/clock.h"
#include "userspace/base/log.h"

#define WAIT_STEP_NS (200 * NS_PER_MS)
/* Counting costs a walk over both flow tables: at most a tenth of a core goes into it. */
#define WAIT_STEP_LOOKS 10
#define PROGRESS_CHANGED_NS NS_PER_S /* what is left is said at most so often, */
#define PROGRESS_SAME_NS (10 * NS_PER_S) /* and at least so often */

static const struct column columns[] = {
	{"kind", COLUMN_TEXT},	      {"id", COLUMN_NUMBER},	      {"name", COLUMN_TEXT},
	{"address", COLUMN_TEXT},     {"cluster", COLUMN_TEXT},	      {"was", COLUMN_TEXT},
	{"now", COLUMN_TEXT},	      {"since", COLUMN_AGE},	      {"drain_left", COLUMN_AGE},
	{"in_flight", COLUMN_NUMBER}, {"no_byte_yet", COLUMN_NUMBER}, {"flows", COLUMN_NUMBER},
	{"nat_flows", COLUMN_NUMBER}, {"table_flows", COLUMN_NUMBER},
};

/* One thing of which a word is said: an endpoint, or a cluster with all it has. */
struct subject {
	bool is_cluster;
	uint32_t id;
	enum admin_state was;
	uint64_t since; /* of the state it is in now */
	uint64_t drain_until; /* CLOCK_MONOTONIC ns; 0: no deadline */
	uint32_t *ids; /* endpoints it stands for: borrowed */
	size_t id_count;
	struct remaining remaining;
};

static int admin_write(const struct maps *maps, struct subject *subject, enum admin_state state,
		       uint64_t drain_until, uint64_t now_ns)
{
	uint32_t slot = subject->is_cluster ? ADMIN_CLUSTER_BASE + subject->id : subject->id;
	uint32_t generation = subject->is_cluster ? 0 : maps->endpoints[subject->id].generation;
	struct admin before = maps->admin[slot];
	struct admin admin = {
		.state = (uint8_t)state,
		.generation = generation,
		.since = now_ns,
		.drain_until = drain_until,
	};
	int err;

	if (before.generation == generation)
		admin.weight = before.weight;
	subject->was = subject->is_cluster ? cluster_admin(maps, subject->id)
					   : endpoint_admin(maps, subject->id);
	if (subject->was == state && before.generation == generation)
		admin.since = before.since;
	subject->since = admin.since;
	subject->drain_until = drain_until;
	if (subject->was == state && drain_until == before.drain_until)
		return 0;
	err = admin_put(maps, slot, &admin);
	if (err)
		return log_error(err, "admin: cannot write slot %u (%s)", slot, strerror(-err));
	return 0;
}

/* "endpoint 12 ai/gemma-0 (10.10.0.1:8000, cluster cluster-a)" */
static void subject_name_print(const struct maps *maps, const struct subject *subject, FILE *out)
{
	const struct endpoint *endpoint = &maps->endpoints[subject->id];
	char address[ADDRESS_TEXT_MAX];

	if (subject->is_cluster) {
		fprintf(out, "cluster %.*s", (int)sizeof(maps->clusters[0].name) - 1,
			maps->clusters[subject->id].name);
		return;
	}
	fprintf(out, "endpoint %u %.*s (%s", subject->id, (int)sizeof(endpoint->name) - 1,
		endpoint->name,
		address_port_format(&endpoint->addr, ntohs(endpoint->port), address));
	if (endpoint->cluster < CLUSTERS_MAX)
		fprintf(out, ", cluster %.*s", (int)sizeof(maps->clusters[0].name) - 1,
			maps->clusters[endpoint->cluster].name);
	fputc(')', out);
}

static const char *plural(uint64_t count)
{
	return count == 1 ? "" : "s";
}

static void remaining_print(const struct remaining *remaining, FILE *out)
{
	fprintf(out, "%llu request%s in flight there", (unsigned long long)remaining->requests,
		plural(remaining->requests));
	if (remaining->no_byte_yet)
		fprintf(out, " (%llu without a byte of the answer yet)",
			(unsigned long long)remaining->no_byte_yet);
	fprintf(out, ", %llu live L4 flow%s", (unsigned long long)remaining_flows(remaining),
		plural(remaining_flows(remaining)));
	if (remaining->table_flows)
		fprintf(out, " (%llu by NAT, %llu in the flow table)",
			(unsigned long long)remaining->nat_flows,
			(unsigned long long)remaining->table_flows);
}

static void subject_print(const struct maps *maps, const struct subject *subject,
			  enum admin_state state, uint64_t now_ns, FILE *out)
{
	char age[AGE_TEXT_MAX];

	subject_name_print(maps, subject, out);
	if (subject->was == state)
		fprintf(out, ": was %s already", admin_state_name((uint8_t)state));
	else
		fprintf(out, ": %s -> %s", admin_state_name((uint8_t)subject->was),
			admin_state_name((uint8_t)state));
	if (subject->was == state && subject->since && now_ns > subject->since)
		fprintf(out, ", for %s", age_format(now_ns - subject->since, age));
	if (subject->drain_until)
		fprintf(out, ", what is left is out in %s",
			age_format(view_left(subject->drain_until, clock_monotonic_ns()), age));
	fputs("; ", out);
	remaining_print(&subject->remaining, out);
	fputc('\n', out);
}

static void subject_push(const struct maps *maps, const struct subject *subject,
			 enum admin_state state, uint64_t now_ns, struct table *table)
{
	const struct endpoint *endpoint = &maps->endpoints[subject->id];
	char address[ADDRESS_TEXT_MAX];

	table_row(table);
	table_push_text(table, subject->is_cluster ? "cluster" : "endpoint");
	table_push_number(table, subject->id);
	if (subject->is_cluster) {
		view_push_cluster(table, maps, subject->id);
		table_push_none(table);
		view_push_cluster(table, maps, subject->id);
	} else {
		view_push_name(table, endpoint->name, sizeof(endpoint->name));
		table_push_text(table, address_port_format(&endpoint->addr, ntohs(endpoint->port),
							   address));
		view_push_cluster(table, maps, endpoint->cluster);
	}
	table_push_text(table, admin_state_name((uint8_t)subject->was));
	table_push_text(table, admin_state_name((uint8_t)state));
	view_push_age(table, subject->since, now_ns);
	view_push_left(table, subject->drain_until, clock_monotonic_ns());
	table_push_number(table, subject->remaining.requests);
	table_push_number(table, subject->remaining.no_byte_yet);
	table_push_number(table, remaining_flows(&subject->remaining));
	table_push_number(table, subject->remaining.nat_flows);
	table_push_number(table, subject->remaining.table_flows);
}

static int subjects_print(const struct request *request, const struct maps *maps,
			  const struct subject *subjects, size_t count, enum admin_state state)
{
	_cleanup_(table_deinit) struct table table = {0};
	uint64_t now_ns = clock_realtime_ns();

	table_init(&table, columns, ARRAY_SIZE(columns));
	for (size_t i = 0; i < count; i++) {
		if (request->json)
			subject_push(maps, &subjects[i], state, now_ns, &table);
		else
			subject_print(maps, &subjects[i], state, now_ns, request->out);
	}
	if (table.err)
		return log_error(table.err, "out of memory");
	if (request->json)
		table_print_json(&table, request->out);
	return 0;
}

/* READY again, but its cluster is not: say so, or the operator wonders. */
static void cluster_remind(const struct maps *maps, const struct subject *subject)
{
	uint32_t cluster = maps->endpoints[subject->id].cluster;

	if (subject->is_cluster || cluster >= CLUSTERS_MAX ||
	    cluster_admin(maps, cluster) == ADMIN_READY)
		return;
	log_warning("endpoint %u: its cluster %.*s is %s, so it gets nothing new; 'sluicectl "
		    "undrain cluster %.*s' changes that",
		    subject->id, (int)sizeof(maps->clusters[0].name) - 1,
		    maps->clusters[cluster].name,
		    admin_state_name((uint8_t)cluster_admin(maps, cluster)),
		    (int)sizeof(maps->clusters[0].name) - 1, maps->clusters[cluster].name);
}

/* *ret_left: the sum over all subjects. */
static int remaining_update(const struct maps *maps, struct subject *subjects, size_t count,
			    struct remaining *ret_left)
{
	_cleanup_free_ struct flow_counts *flows = NULL;
	struct remaining left = {0};
	int err;

	err = flow_counts_read(maps, clock_monotonic_ns(), clock_tick(), &flows);
	if (err)
		return err;
	for (size_t i = 0; i < count; i++) {
		struct remaining *one = &subjects[i].remaining;

		*one = remaining_of(maps, flows, subjects[i].ids, subjects[i].id_count);
		left.requests += one->requests;
		left.no_byte_yet += one->no_byte_yet;
		left.nat_flows += one->nat_flows;
		left.table_flows += one->table_flows;
	}
	*ret_left = left;
	return 0;
}

static uint64_t remaining_total(const struct remaining *remaining)
{
	return remaining->requests + remaining_flows(remaining);
}

/* What was said last of a wait. */
struct progress {
	uint64_t said_at; /* CLOCK_MONOTONIC; 0: nothing yet */
	uint64_t total;
};

static void progress_say(struct progress *progress, const struct remaining *left, uint64_t now_ns,
			 uint64_t deadline)
{
	uint64_t total = remaining_total(left), silent = now_ns - progress->said_at;
	char age[AGE_TEXT_MAX];

	if (progress->said_at &&
	    silent < (total == progress->total ? PROGRESS_SAME_NS : PROGRESS_CHANGED_NS))
		return;
	*progress = (struct progress){now_ns, total};
	log_info("waiting: %llu request%s and %llu live L4 flow%s left, for %s at most",
		 (unsigned long long)left->requests, plural(left->requests),
		 (unsigned long long)remaining_flows(left), plural(remaining_flows(left)),
		 age_format(deadline > now_ns ? deadline - now_ns : 0, age));
}

/* Rests after a look that took `look_ns` of CPU time, not beyond the deadline. */
static void wait_step(uint64_t look_ns, uint64_t left_ns)
{
	uint64_t step = look_ns * WAIT_STEP_LOOKS;
	struct timespec t;

	if (step < WAIT_STEP_NS)
		step = WAIT_STEP_NS;
	if (step > left_ns)
		step = left_ns;
	t = (struct timespec){(time_t)(step / NS_PER_S), (long)(step % NS_PER_S)};
	nanosleep(&t, NULL);
}

/* Until nothing is left or the time is over. */
static int remaining_wait(const struct maps *maps, struct subject *subjects, size_t count,
			  unsigned long wait_s)
{
	uint64_t deadline = clock_monotonic_ns() + wait_s * NS_PER_S;
	struct progress progress = {0};

	for (;;) {
		uint64_t start = clock_read_ns(CLOCK_THREAD_CPUTIME_ID), now;
		struct remaining left;
		int err = remaining_update(maps, subjects, count, &left);

		if (err || !remaining_total(&left))
			return err;
		now = clock_monotonic_ns();
		if (now >= deadline)
			return -ETIMEDOUT;
		progress_say(&progress, &left, now, deadline);
		wait_step(clock_read_ns(CLOCK_THREAD_CPUTIME_ID) - start, deadline - now);
	}
}

static int subjects_say(const struct request *request, const struct maps *maps, int *lock_fd,
			struct subject *subjects, size_t count, enum admin_state state)
{
	uint64_t drain_until = 0;
	int err = 0, waited;

	if (request->deadline_s)
		drain_until = clock_monotonic_ns() + request->deadline_s * NS_PER_S;
	for (size_t i = 0; !err && i < count; i++)
		err = admin_write(maps, &subjects[i], state, drain_until, clock_realtime_ns());
	closep(lock_fd);
	if (err)
		return err;
	waited = request->wait_s ? remaining_wait(maps, subjects, count, request->wait_s)
				 : remaining_update(maps, subjects, count, &(struct remaining){0});
	if (waited && waited != -ETIMEDOUT)
		return waited;
	err = subjects_print(request, maps, subjects, count, state);
	if (waited == -ETIMEDOUT)
		return log_error(waited, "not empty after %lus; it stays %s", request->wait_s,
				 admin_state_name((uint8_t)state));
	for (size_t i = 0; state == ADMIN_READY && i < count; i++)
		cluster_remind(maps, &subjects[i]);
	return err;
}

static int endpoints_say(const struct request *request, const struct maps *maps, int *lock_fd,
			 enum admin_state state)
{
	_cleanup_free_ struct subject *subjects = NULL;
	uint32_t ids[REQUEST_ENDPOINTS_MAX];
	size_t count;
	int err;

	err = target_endpoints(maps, request->words[1], request->cluster, ids, ARRAY_SIZE(ids),
			       &count);
	if (err)
		return err;
	subjects = calloc(count, sizeof(*subjects));
	if (!subjects)
		return log_error(-ENOMEM, "out of memory");
	for (size_t i = 0; i < count; i++)
		subjects[i] = (struct subject){.id = ids[i], .ids = &ids[i], .id_count = 1};
	return subjects_say(request, maps, lock_fd, subjects, count, state);
}

static int cluster_say(const struct request *request, const struct maps *maps, int *lock_fd,
		       enum admin_state state)
{
	_cleanup_free_ uint32_t *ids = calloc(ENDPOINTS_MAX, sizeof(*ids));
	struct subject subject = {.is_cluster = true, .ids = ids};
	int err;

	if (!ids)
		return log_error(-ENOMEM, "out of memory");
	if (request->cluster)
		return log_error(-EINVAL,
				 "--cluster chooses among endpoints of one name; leave it out");
	err = target_cluster(maps, request->words[1], &subject.id);
	if (err)
		return err;
	for (uint32_t id = 0; id < ENDPOINTS_MAX; id++) {
		if (maps->endpoints[id].way != WAY_NONE &&
		    maps->endpoints[id].cluster == subject.id)
			ids[subject.id_count++] = id;
	}
	return subjects_say(request, maps, lock_fd, &subject, 1, state);
}

static int admin_run(const struct request *request, enum admin_state state)
{
	bool is_cluster = !strcmp(request->words[0], "cluster");
	_cleanup_(maps_closep) struct maps *maps = NULL;
	_cleanup_close_ int lock = -1;
	int err;

	if (!is_cluster && strcmp(request->words[0], "endpoint"))
		return log_error(-EINVAL, "'%s': say 'endpoint' or 'cluster', then which",
				 request->words[0]);
	err = operator_maps_open(&request->instance, &maps, &lock);
	if (err)
		return err;
	return is_cluster ? cluster_say(request, maps, &lock, state)
			  : endpoints_say(request, maps, &lock, state);
}

static int drain_run(struct request *request)
{
	return admin_run(request, ADMIN_DRAIN);
}

static int undrain_run(struct request *request)
{
	return admin_run(request, ADMIN_READY);
}

static int maint_run(struct request *request)
{
	return admin_run(request, ADMIN_MAINT);
}

#define WHICH "endpoint NAME|ID|ADDRESS:PORT | cluster NAME"
#define WHICH_HELP                                                                                  \
	"An endpoint is named by its pod (namespace/pod), its id, or its address and port; a pod\n" \
	"with several records (pools or ports) means all of them.  What was asked for is kept in\n" \
	"map `admin`, beside what probes observe; 'sluicectl show endpoints' has both."

const struct command command_drain = {
	.name = "drain",
	.arguments = WHICH,
	.summary = "no new requests and flows there; those it has may end",
	.help = "Asks for DRAIN: no new request or flow goes there from now on, those it has go on.\n"
		"Says how many are still there; --wait SECONDS waits until none is, says on the way\n"
		"what is left, and fails if some are left then.  L4 flows count while they are live:\n"
		"not closing, and through NAT with a packet in the last minute; in the flow table (ipip,\n"
		"gue, l2) until silent for 3 minutes (UDP and QUIC) or 2 hours (TCP).\n\n"
		"A busy flow may never end by itself: --deadline SECONDS says how long old ones may\n"
		"stay.  From then on it is as in maint: UDP moves, TCP in mid-flow is reset or dropped\n"
		"as its VIP says, no request begins there.  The deadline is in map `admin` and needs no\n"
		"process to be there; 'drain' again says it anew (without --deadline: none), 'undrain'\n"
		"and 'maint' clear it.\n\n" WHICH_HELP,
	.options = WITH(OPTION_CLUSTER) | WITH(OPTION_WAIT) | WITH(OPTION_DEADLINE),
	.words_min = 2,
	.words_max = 2,
	.run = drain_run,
};

const struct command command_undrain = {
	.name = "undrain",
	.arguments = WHICH,
	.summary = "back to READY, from drain or maint",
	.help = "Asks for READY again.  Whether new work comes also depends on its health, and for an\n"
		"endpoint on what was asked for of its cluster.\n\n" WHICH_HELP,
	.options = WITH(OPTION_CLUSTER),
	.words_min = 2,
	.words_max = 2,
	.run = undrain_run,
};

const struct command command_maint = {
	.name = "maint",
	.arguments = WHICH,
	.summary = "out: treated as down",
	.help = "Asks for MAINT: treated as down, whatever probes see.  Requests that wait there for\n"
		"their first byte may be sent again elsewhere; 'drain' is the gentle way.\n\n" WHICH_HELP,
	.options = WITH(OPTION_CLUSTER),
	.words_min = 2,
	.words_max = 2,
	.run = maint_run,
};
