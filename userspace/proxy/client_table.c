// SPDX-License-Identifier: BSD-2-Clause
#include "userspace/proxy/client_table.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <xxhash.h>

#include "userspace/base/address.h"
#include "userspace/base/prefix.h"

#define WAYS 32 /* slots of a set */
#define SLOTS_A_CONNECTION 4
#define SETS_MIN 16
#define SETS_MAX (1u << 16)

struct client_set {
	pthread_mutex_t lock; /* for looking up, counting and taking a place */
	uint32_t used; /* a slot of it was ever taken */
} __attribute__((aligned(64)));

/* The sets' heads are apart from their slots: memory that no client needs is never
 * touched.  Pointers hold in all processes, which inherit the mapping where it is. */
struct client_table {
	struct client_limits limits;
	uint64_t secret;
	size_t set_count; /* a power of two */
	struct client_slot *slots; /* WAYS a set */
	struct client_set sets[];
};

bool client_limits_any(const struct client_limits *limits)
{
	return limits->connections || limits->requests.per_ns || limits->bytes.per_ns;
}

const struct client_limits *client_table_limits(const struct client_table *table)
{
	return &table->limits;
}

/* ---- making and freeing ---- */

static size_t table_bytes(size_t set_count)
{
	return sizeof(struct client_table) +
	       set_count * (sizeof(struct client_set) + WAYS * sizeof(struct client_slot));
}

static size_t sets_for(size_t connections)
{
	size_t sets = SETS_MIN;

	while (sets < SETS_MAX && sets * WAYS < connections * SLOTS_A_CONNECTION)
		sets *= 2;
	return sets;
}

static int locks_init(struct client_table *table)
{
	pthread_mutexattr_t attributes;
	int err = pthread_mutexattr_init(&attributes);

	if (!err)
		err = pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
	if (!err)
		err = pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
	for (size_t i = 0; i < table->set_count && !err; i++)
		err = pthread_mutex_init(&table->sets[i].lock, &attributes);
	pthread_mutexattr_destroy(&attributes);
	return -err;
}

int client_table_new(const struct client_limits *limits, size_t connections,
		     struct client_table **ret_table)
{
	size_t set_count = sets_for(connections);
	struct client_table *table = mmap(NULL, table_bytes(set_count), PROT_READ | PROT_WRITE,
					  MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	int err;

	if (table == MAP_FAILED)
		return -errno;
	table->limits = *limits;
	table->set_count = set_count;
	table->slots = (struct client_slot *)&table->sets[set_count];
	err = getrandom(&table->secret, sizeof(table->secret), 0) < 0 ? -errno : 0;
	if (!err)
		err = locks_init(table);
	if (err) {
		client_table_free(table);
		return err;
	}
	*ret_table = table;
	return 0;
}

void client_table_free(struct client_table *table)
{
	if (table)
		munmap(table, table_bytes(table->set_count));
}

/* ---- slots ---- */

static uint64_t load(const uint64_t *value)
{
	return __atomic_load_n(value, __ATOMIC_RELAXED);
}

static uint32_t slot_connections(const struct client_slot *slot)
{
	uint32_t sum = 0;

	for (size_t row = 0; row < WORKERS_MAX; row++)
		sum += __atomic_load_n(&slot->connections[row], __ATOMIC_ACQUIRE);
	return sum;
}

/* Until when something is remembered of its client. */
static uint64_t slot_until(const struct client_slot *slot)
{
	uint64_t requests = load(&slot->requests_paid_ns), bytes = load(&slot->bytes_paid_ns);

	return requests > bytes ? requests : bytes;
}

/* The slot of whoever has no connection and is soonest paid for; NULL: none. */
static struct client_slot *slot_least(struct client_slot *slots)
{
	struct client_slot *least = NULL;

	for (size_t i = 0; i < WAYS; i++) {
		struct client_slot *slot = &slots[i];

		if (slot_connections(slot))
			continue;
		if (!least || slot_until(slot) < slot_until(least))
			least = slot;
	}
	return least;
}

/* With the set's lock.  A holder of it may be killed between any two writes: a slot
 * is nobody's until all of it is the new client's. */
static struct client_slot *slot_of(struct client_slot *slots, const struct ip_addr *client,
				   uint64_t now, bool *ret_forgot)
{
	struct client_slot *free = NULL;

	for (size_t i = 0; i < WAYS; i++) {
		struct client_slot *slot = &slots[i];

		if (slot->used && address_equal(&slot->client, client))
			return slot;
		if (!slot->used && !free)
			free = slot;
	}
	if (!free) {
		free = slot_least(slots);
		if (!free)
			return NULL;
		*ret_forgot = slot_until(free) > now;
	}
	__atomic_store_n(&free->used, 0, __ATOMIC_SEQ_CST);
	__atomic_store_n(&free->requests_paid_ns, 0, __ATOMIC_RELAXED);
	__atomic_store_n(&free->bytes_paid_ns, 0, __ATOMIC_RELAXED);
	free->client = *client;
	__atomic_store_n(&free->used, 1, __ATOMIC_SEQ_CST);
	return free;
}

/* Nothing that a dead holder left half done needs mending, see slot_of(). */
static void set_lock(struct client_set *set)
{
	if (pthread_mutex_lock(&set->lock) == EOWNERDEAD)
		pthread_mutex_consistent(&set->lock);
}

static enum client_admission admit(const struct client_table *table, struct client_slot *slots,
				   uint32_t row, const struct ip_addr *client, uint64_t now,
				   struct client_slot **ret_slot, bool *ret_forgot)
{
	struct client_slot *slot = slot_of(slots, client, now, ret_forgot);
	unsigned most = table->limits.connections;

	if (!slot || slot->connections[row] == UINT16_MAX)
		return CLIENT_UNTRACKED;
	if (most && slot_connections(slot) >= most)
		return CLIENT_REFUSED;
	__atomic_fetch_add(&slot->connections[row], 1, __ATOMIC_ACQ_REL);
	*ret_slot = slot;
	return CLIENT_ADMITTED;
}

static struct ip_addr client_of(const struct client_limits *limits, const struct ip_addr *addr)
{
	return address_masked(addr, address_is_ipv4(addr) ? PREFIX_IPV4_BITS + limits->ipv4_bits
							  : limits->ipv6_bits);
}

enum client_admission client_table_admit(struct client_table *table, uint32_t row,
					 const struct ip_addr *addr, uint64_t now_ns,
					 struct client_slot **ret_slot, bool *ret_forgot)
{
	struct ip_addr client = client_of(&table->limits, addr);
	uint64_t hash = XXH3_64bits_withSeed(&client, sizeof(client), table->secret);
	size_t index = hash & (table->set_count - 1);
	struct client_set *set = &table->sets[index];
	enum client_admission admission;

	*ret_forgot = false;
	set_lock(set);
	__atomic_store_n(&set->used, 1, __ATOMIC_RELEASE);
	admission = admit(table, &table->slots[index * WAYS], row, &client, now_ns, ret_slot,
			  ret_forgot);
	pthread_mutex_unlock(&set->lock);
	return admission;
}

void client_table_leave(struct client_slot *slot, uint32_t row)
{
	__atomic_fetch_sub(&slot->connections[row], 1, __ATOMIC_ACQ_REL);
}

static void set_forget(struct client_slot *slots, uint32_t row)
{
	for (size_t i = 0; i < WAYS; i++) {
		uint16_t *held = &slots[i].connections[row];

		if (__atomic_load_n(held, __ATOMIC_RELAXED))
			__atomic_store_n(held, 0, __ATOMIC_RELEASE);
	}
}

void client_table_forget(struct client_table *table, uint32_t row)
{
	for (size_t i = 0; i < table->set_count; i++) {
		if (__atomic_load_n(&table->sets[i].used, __ATOMIC_ACQUIRE))
			set_forget(&table->slots[i * WAYS], row);
	}
}

/* ---- meters ---- */

static uint64_t rate_ns(const struct client_rate *rate, uint64_t count)
{
	return (uint64_t)((unsigned __int128)count * rate->per_ns / rate->count);
}

/* How long until `count` more are within the burst, for a meter that says `paid`. */
static uint64_t rate_wait(const struct client_rate *rate, uint64_t paid, uint64_t now,
			  uint64_t count)
{
	uint64_t owed = (paid > now ? paid - now : 0) + rate_ns(rate, count);
	uint64_t allowed = rate_ns(rate, rate->burst);

	return owed > allowed ? owed - allowed : 0;
}

static uint64_t rate_paid(const struct client_rate *rate, uint64_t paid, uint64_t now,
			  uint64_t count)
{
	return (paid > now ? paid : now) + rate_ns(rate, count);
}

uint64_t client_table_request(const struct client_table *table, struct client_slot *slot,
			      uint64_t now_ns)
{
	const struct client_rate *rate = &table->limits.requests;
	uint64_t *meter = &slot->requests_paid_ns, paid = load(meter), wait;

	if (!rate->per_ns)
		return 0;
	do {
		wait = rate_wait(rate, paid, now_ns, 1);
		if (wait)
			return wait;
	} while (!__atomic_compare_exchange_n(meter, &paid, rate_paid(rate, paid, now_ns, 1), false,
					      __ATOMIC_RELAXED, __ATOMIC_RELAXED));
	return 0;
}

uint64_t client_table_bytes_wait(const struct client_table *table, const struct client_slot *slot,
				 uint64_t now_ns)
{
	const struct client_rate *rate = &table->limits.bytes;

	return rate->per_ns ? rate_wait(rate, load(&slot->bytes_paid_ns), now_ns, 1) : 0;
}

void client_table_bytes(const struct client_table *table, struct client_slot *slot, uint64_t bytes,
			uint64_t now_ns)
{
	const struct client_rate *rate = &table->limits.bytes;
	uint64_t *meter = &slot->bytes_paid_ns, paid = load(meter);

	if (!rate->per_ns)
		return;
	while (!__atomic_compare_exchange_n(meter, &paid, rate_paid(rate, paid, now_ns, bytes),
					    false, __ATOMIC_RELAXED, __ATOMIC_RELAXED))
		;
}
