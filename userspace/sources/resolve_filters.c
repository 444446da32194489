// SPDX-License-Identifier: BSD-2-Clause
/* One set of edits sets, adds and removes at once: what is set or removed replaces
 * what the message had, what is added stands beside it.  So of two sets in a row only
 * those edits of the first survive whose header the second neither sets nor removes. */
#include "userspace/sources/resolve_filters.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

/* One direction: requests or responses. */
struct edits {
	struct snapshot_pair *set, *add;
	const char **remove;
	size_t set_count, add_count, remove_count;
};

static bool replaces(const struct edits *edits, const char *name)
{
	for (size_t i = 0; i < edits->set_count; i++) {
		if (strcasecmp(edits->set[i].name, name) == 0)
			return true;
	}
	for (size_t i = 0; i < edits->remove_count; i++) {
		if (strcasecmp(edits->remove[i], name) == 0)
			return true;
	}
	return false;
}

/* What `second` leaves of a list that was made before it, and then more. */
static int pairs_join(struct arena *arena, const struct snapshot_pair *before, size_t before_count,
		      const struct edits *second, const struct snapshot_pair *more,
		      size_t more_count, struct snapshot_pair **ret_pairs, size_t *ret_count)
{
	struct snapshot_pair *pairs = arena_alloc(arena, before_count + more_count, sizeof(*pairs));
	size_t count = 0;

	if (!pairs)
		return -ENOMEM;
	for (size_t i = 0; i < before_count; i++) {
		if (!replaces(second, before[i].name))
			pairs[count++] = before[i];
	}
	for (size_t i = 0; i < more_count; i++)
		pairs[count++] = more[i];
	*ret_pairs = pairs;
	*ret_count = count;
	return 0;
}

static int names_join(struct arena *arena, const struct edits *first, const struct edits *second,
		      struct edits *both)
{
	both->remove_count = first->remove_count + second->remove_count;
	both->remove = arena_alloc(arena, both->remove_count, sizeof(*both->remove));
	if (!both->remove)
		return -ENOMEM;
	for (size_t i = 0; i < both->remove_count; i++)
		both->remove[i] = i < first->remove_count ? first->remove[i]
							  : second->remove[i - first->remove_count];
	return 0;
}

static int edits_join(struct arena *arena, struct edits first, struct edits second,
		      struct edits *ret_both)
{
	int err = pairs_join(arena, first.set, first.set_count, &second, second.set,
			     second.set_count, &ret_both->set, &ret_both->set_count);

	if (!err)
		err = pairs_join(arena, first.add, first.add_count, &second, second.add,
				 second.add_count, &ret_both->add, &ret_both->add_count);
	return err ? err : names_join(arena, &first, &second, ret_both);
}

static struct edits request_edits(const struct snapshot_filters *f)
{
	return (struct edits){f->request_set,	    f->request_add,	  f->request_remove,
			      f->request_set_count, f->request_add_count, f->request_remove_count};
}

static struct edits response_edits(const struct snapshot_filters *f)
{
	return (struct edits){f->response_set,	     f->response_add,
			      f->response_remove,    f->response_set_count,
			      f->response_add_count, f->response_remove_count};
}

static void paths_join(const struct snapshot_filters *second, struct snapshot_filters *both)
{
	if (second->rewrite_type != REWRITE_NONE) {
		both->rewrite_type = second->rewrite_type;
		both->rewrite_path = second->rewrite_path;
	}
	if (second->rewrite_host)
		both->rewrite_host = second->rewrite_host;
	if (!second->redirect_status)
		return;
	both->redirect_status = second->redirect_status;
	both->redirect_scheme = second->redirect_scheme;
	both->redirect_host = second->redirect_host;
	both->redirect_path = second->redirect_path;
	both->redirect_path_type = second->redirect_path_type;
	both->redirect_port = second->redirect_port;
}

int filters_join(struct arena *arena, const struct snapshot_filters *first,
		 const struct snapshot_filters *second, struct snapshot_filters *ret_both)
{
	struct edits requests, responses;
	int err = edits_join(arena, request_edits(first), request_edits(second), &requests);

	if (!err)
		err = edits_join(arena, response_edits(first), response_edits(second), &responses);
	if (err)
		return err;
	*ret_both = *first;
	ret_both->request_set = requests.set;
	ret_both->request_set_count = requests.set_count;
	ret_both->request_add = requests.add;
	ret_both->request_add_count = requests.add_count;
	ret_both->request_remove = requests.remove;
	ret_both->request_remove_count = requests.remove_count;
	ret_both->response_set = responses.set;
	ret_both->response_set_count = responses.set_count;
	ret_both->response_add = responses.add;
	ret_both->response_add_count = responses.add_count;
	ret_both->response_remove = responses.remove;
	ret_both->response_remove_count = responses.remove_count;
	paths_join(second, ret_both);
	return 0;
}
