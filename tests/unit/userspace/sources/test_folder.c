// SPDX-License-Identifier: BSD-2-Clause
/* Folders and sets of them, on real files below /tmp and on the real loop. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "userspace/base/clock.h"
#include "userspace/base/log.h"
#include "userspace/base/loop.h"
#include "userspace/sources/desired.h"
#include "userspace/sources/folder.h"
#include "userspace/sources/source_set.h"

#define NAMESPACE(name) "---\napiVersion: v1\nkind: Namespace\nmetadata: {name: " name "}\n"

struct place {
	char root[64];
	struct folder *folder;
	uint64_t now_ns; /* far after every file's time stamp */
};

static char last_log[4096];
static size_t log_count;

static void log_keep(enum log_level level, const char *text)
{
	(void)level;
	log_count++;
	snprintf(last_log, sizeof(last_log), "%s", text);
}

static const char *path_in(const struct place *place, const char *name)
{
	static char path[4][256];
	static int turn;

	turn = (turn + 1) % 4;
	snprintf(path[turn], sizeof(path[turn]), "%s/%s", place->root, name);
	return path[turn];
}

static void file_put(const struct place *place, const char *name, const char *text)
{
	FILE *file = fopen(path_in(place, name), "w");

	assert_non_null(file);
	fputs(text, file);
	fclose(file);
}

static int place_setup(void **state)
{
	struct place *place = calloc(1, sizeof(*place));

	log_sink = log_keep;
	log_count = 0;
	last_log[0] = '\0';
	snprintf(place->root, sizeof(place->root), "/tmp/sluice-folder-XXXXXX");
	if (!mkdtemp(place->root) || folder_open(place->root, NULL, &place->folder))
		return -1;
	place->now_ns = clock_realtime_ns() + 3600 * NS_PER_S;
	*state = place;
	return 0;
}

static int entry_remove(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

static int place_teardown(void **state)
{
	struct place *place = *state;

	folder_close(place->folder);
	nftw(place->root, entry_remove, 8, FTW_DEPTH | FTW_PHYS);
	free(place);
	return 0;
}

static bool scan(struct place *place)
{
	bool changed = false;

	assert_int_equal(folder_scan(place->folder, place->now_ns, &changed), 0);
	return changed;
}

static bool has(const struct place *place, const char *name)
{
	return objects_find(folder_objects(place->folder), KIND_NAMESPACE, "", name);
}

static bool says(const struct place *place, const char *a, const char *b)
{
	const struct messages *messages = folder_messages(place->folder);

	for (size_t i = 0; i < messages->count; i++) {
		if (strstr(messages->list[i].text, a) && strstr(messages->list[i].text, b))
			return true;
	}
	return false;
}

/* ---- one folder ---- */

static void yaml_yml_and_json_are_read_in_sub_folders_too(void **state)
{
	struct place *place = *state;

	file_put(place, "a.yaml", NAMESPACE("a"));
	mkdir(path_in(place, "sub"), 0755);
	file_put(place, "sub/b.yml", NAMESPACE("b"));
	file_put(
		place, "c.json",
		"{\"apiVersion\": \"v1\", \"kind\": \"Namespace\", \"metadata\": {\"name\": \"c\"}}");
	assert_true(scan(place));
	assert_true(has(place, "a") && has(place, "b") && has(place, "c"));
	assert_int_equal(folder_objects(place->folder)->count, 3);
	assert_false(scan(place));
}

static void editors_and_hidden_files_are_passed_over(void **state)
{
	struct place *place = *state;

	file_put(place, "a.yaml~", NAMESPACE("a"));
	file_put(place, ".b.yaml", NAMESPACE("b"));
	file_put(place, "#c.yaml", NAMESPACE("c"));
	file_put(place, "d.yaml.swp", NAMESPACE("d"));
	assert_int_equal(symlink("nobody@host", path_in(place, ".#e.yaml")), 0);
	scan(place);
	assert_int_equal(folder_objects(place->folder)->count, 0);
	assert_int_equal(folder_messages(place->folder)->count, 0);
}

static void a_broken_file_keeps_its_last_good_objects(void **state)
{
	struct place *place = *state;

	file_put(place, "a.yaml", NAMESPACE("a") NAMESPACE("b"));
	scan(place);
	file_put(place, "a.yaml", NAMESPACE("a") "---\nkind: [\n");
	assert_true(scan(place));
	assert_true(has(place, "a") && has(place, "b"));
	assert_true(says(place, "a.yaml:7: not YAML", "last good objects stay"));
	assert_string_equal(folder_objects(place->folder)->list[0]->file, path_in(place, "a.yaml"));
	file_put(place, "a.yaml", NAMESPACE("a"));
	assert_true(scan(place));
	assert_true(has(place, "a") && !has(place, "b"));
	assert_int_equal(folder_messages(place->folder)->count, 0);
}

static void an_emptied_file_keeps_its_last_good_objects(void **state)
{
	struct place *place = *state;

	file_put(place, "a.yaml", NAMESPACE("a"));
	file_put(place, "b.yaml", " \n");
	scan(place);
	assert_int_equal(folder_messages(place->folder)->count, 0);
	file_put(place, "a.yaml", "");
	assert_true(scan(place));
	assert_true(has(place, "a"));
	assert_true(says(place, "a.yaml: empty", "last good objects stay"));
	file_put(place, "a.yaml", "# nothing is wanted here\n");
	assert_true(scan(place));
	assert_false(has(place, "a"));
}

static void a_file_that_is_being_written_is_read_when_it_is_whole(void **state)
{
	struct place *place = *state;
	FILE *out;

	file_put(place, "a.yaml", NAMESPACE("a"));
	scan(place);
	place->now_ns = clock_realtime_ns();
	out = fopen(path_in(place, "a.yaml"), "w");
	assert_non_null(out);
	fputs(NAMESPACE("b"), out);
	fflush(out);
	assert_false(scan(place));
	assert_true(has(place, "a") && !has(place, "b"));
	place->now_ns += 11 * NS_PER_S; /* whoever has it open has forgotten it */
	assert_true(scan(place));
	assert_true(has(place, "b") && !has(place, "a"));
	place->now_ns = clock_realtime_ns();
	fputs(NAMESPACE("a"), out);
	fclose(out);
	assert_true(scan(place));
	assert_true(has(place, "a") && has(place, "b"));
}

static void a_refused_object_stays_as_it_last_was(void **state)
{
	static const char pool[] =
		"apiVersion: inference.networking.k8s.io/v1\nkind: InferencePool\nmetadata: {name: p, "
		"namespace: ai}\nspec: {selector: {matchLabels: {a: b}}, targetPorts: [{number: %s}]}\n";
	struct place *place = *state;
	const struct object *object;
	char text[512];

	snprintf(text, sizeof(text), pool, "8000");
	file_put(place, "p.yaml", text);
	scan(place);
	for (int i = 0; i < 2; i++) {
		snprintf(text, sizeof(text), pool, i ? "0" : "many");
		file_put(place, "p.yaml", text);
		assert_true(scan(place));
		object =
			objects_find(folder_objects(place->folder), KIND_INFERENCE_POOL, "ai", "p");
		assert_non_null(object);
		assert_int_equal(((const struct inference_pool *)object->spec)->ports[0].number,
				 8000);
		assert_int_equal(folder_messages(place->folder)->count, 1);
		assert_true(says(place, "spec.targetPorts[0].number", "stays as it last was"));
	}
	snprintf(text, sizeof(text), pool, "9000");
	file_put(place, "p.yaml", text);
	scan(place);
	object = objects_find(folder_objects(place->folder), KIND_INFERENCE_POOL, "ai", "p");
	assert_int_equal(((const struct inference_pool *)object->spec)->ports[0].number, 9000);
	assert_int_equal(folder_messages(place->folder)->count, 0);
}

static void a_deleted_or_renamed_file_takes_its_objects_along(void **state)
{
	struct place *place = *state;

	file_put(place, "a.yaml", NAMESPACE("a"));
	file_put(place, "b.yaml", NAMESPACE("b"));
	scan(place);
	unlink(path_in(place, "a.yaml"));
	assert_int_equal(rename(path_in(place, "b.yaml"), path_in(place, "c.yaml")), 0);
	assert_true(scan(place));
	assert_false(has(place, "a"));
	assert_true(has(place, "b"));
	assert_non_null(strstr(folder_objects(place->folder)->list[0]->file, "c.yaml"));
}

static void a_file_replaced_by_rename_is_seen(void **state)
{
	struct place *place = *state;

	file_put(place, "a.yaml", NAMESPACE("a"));
	scan(place);
	file_put(place, ".a.yaml.tmp", NAMESPACE("b"));
	assert_int_equal(rename(path_in(place, ".a.yaml.tmp"), path_in(place, "a.yaml")), 0);
	assert_true(scan(place));
	assert_true(has(place, "b") && !has(place, "a"));
}

static void a_young_file_is_read_again_though_its_stamp_is_the_same(void **state)
{
	struct place *place = *state;
	struct timespec times[2] = {{.tv_sec = 1000000000}, {.tv_sec = 1000000000}};
	const char *path = path_in(place, "a.yaml");

	/* at its own time of change, and long after it */
	file_put(place, "a.yaml", NAMESPACE("a"));
	assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
	place->now_ns = 1000000000 * NS_PER_S;
	scan(place);
	assert_false(scan(place)); /* the bytes are the same */
	file_put(place, "a.yaml", NAMESPACE("b"));
	assert_int_equal(utimensat(AT_FDCWD, path_in(place, "a.yaml"), times, 0), 0);
	assert_true(scan(place));
	assert_true(has(place, "b"));
}

static void a_linked_file_is_followed_as_mounted_config_maps_need_it(void **state)
{
	struct place *place = *state;

	mkdir(path_in(place, "..one"), 0755);
	mkdir(path_in(place, "..two"), 0755);
	file_put(place, "..one/a.yaml", NAMESPACE("a"));
	file_put(place, "..two/a.yaml", NAMESPACE("b"));
	assert_int_equal(symlink("..one", path_in(place, "..data")), 0);
	assert_int_equal(symlink("..data/a.yaml", path_in(place, "a.yaml")), 0);
	scan(place);
	assert_true(has(place, "a"));
	assert_int_equal(folder_objects(place->folder)->count, 1);
	assert_int_equal(symlink("..two", path_in(place, "..tmp")), 0);
	assert_int_equal(rename(path_in(place, "..tmp"), path_in(place, "..data")), 0);
	assert_true(scan(place));
	assert_true(has(place, "b") && !has(place, "a"));
}

static void links_to_folders_are_said_and_not_followed(void **state)
{
	struct place *place = *state;

	mkdir(path_in(place, "sub"), 0755);
	assert_int_equal(symlink("..", path_in(place, "sub/loop")), 0);
	assert_int_equal(symlink(".", path_in(place, "loop.yaml")), 0);
	assert_int_equal(symlink("nowhere", path_in(place, "dangling.yaml")), 0);
	file_put(place, "sub/a.yaml", NAMESPACE("a"));
	scan(place);
	assert_int_equal(folder_objects(place->folder)->count, 1);
	assert_int_equal(folder_messages(place->folder)->count, 3);
	assert_true(says(place, "dangling.yaml", "ignored"));
	assert_true(says(place, "sub/loop", "a link to a folder"));
	assert_true(says(place, "loop.yaml", "a link to a folder"));
}

static void the_first_of_two_equal_objects_is_used(void **state)
{
	struct place *place = *state;

	file_put(place, "a.yaml", NAMESPACE("a"));
	file_put(place, "b.yaml", NAMESPACE("x") NAMESPACE("a"));
	scan(place);
	assert_int_equal(folder_objects(place->folder)->count, 2);
	assert_true(says(place, "b.yaml:6: Namespace a: metadata.name", "a.yaml:2"));
}

static void kinds_that_are_not_acted_upon_are_listed_once(void **state)
{
	struct place *place = *state;

	file_put(place, "a.yaml",
		 "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: d}\n---\n"
		 "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\n");
	file_put(place, "b.yaml", "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: e}\n");
	scan(place);
	assert_int_equal(folder_messages(place->folder)->count, 1);
	assert_true(says(place, "not acted upon", "Secret, Deployment"));
}

static void a_file_that_is_too_large_keeps_the_last_state(void **state)
{
	struct place *place = *state;

	file_put(place, "a.yaml", NAMESPACE("a"));
	scan(place);
	assert_int_equal(truncate(path_in(place, "a.yaml"), 5 << 20), 0);
	assert_true(scan(place));
	assert_true(has(place, "a"));
	assert_true(says(place, "a.yaml", "last good objects stay"));
	assert_false(scan(place));
}

static void a_folder_that_vanishes_keeps_its_last_state(void **state)
{
	struct place *place = *state;
	char moved[80];

	file_put(place, "a.yaml", NAMESPACE("a"));
	scan(place);
	snprintf(moved, sizeof(moved), "%s-moved", place->root);
	assert_int_equal(rename(place->root, moved), 0);
	assert_true(scan(place));
	assert_true(has(place, "a"));
	assert_true(says(place, place->root, "stays in use"));
	assert_int_equal(log_count, 0); /* nothing of limits of inotify */
	assert_int_equal(rename(moved, place->root), 0);
	assert_true(scan(place)); /* what it says is over */
	assert_int_equal(folder_messages(place->folder)->count, 0);
	assert_false(scan(place));
	assert_true(has(place, "a"));
}

static void only_a_folder_can_be_opened(void **state)
{
	struct place *place = *state;
	struct folder *folder = NULL;

	file_put(place, "a.yaml", "");
	assert_int_equal(folder_open("/nonexistent", NULL, &folder), -ENOENT);
	assert_non_null(strstr(last_log, "/nonexistent"));
	assert_int_equal(folder_open(path_in(place, "a.yaml"), NULL, &folder), -ENOTDIR);
	assert_null(folder);
}

/* ---- a set of folders on the loop ---- */

struct listening {
	struct loop *loop;
	struct source_set *set;
	size_t changes;
};

static void changed_count(void *ctx)
{
	((struct listening *)ctx)->changes++;
}

static void listening_open(struct listening *listening, const struct place *place)
{
	const struct source_folder config = {.path = place->root};
	const struct source_folder clusters[] = {{"a", path_in(place, "a")}};

	mkdir(path_in(place, "a"), 0755);
	assert_int_equal(loop_new(8, &listening->loop), 0);
	assert_int_equal(source_set_open(listening->loop, &config, clusters, 1, NULL, changed_count,
					 listening, &listening->set),
			 0);
}

static void listening_close(struct listening *listening)
{
	source_set_close(listening->set);
	loop_free(listening->loop);
}

/* Turns the loop until there was a change, `ms` at most. */
static void listening_wait(struct listening *listening, uint64_t ms)
{
	const uint64_t end = clock_monotonic_ns() + ms * NS_PER_MS;
	const size_t before = listening->changes;

	while (listening->changes == before && clock_monotonic_ns() < end)
		assert_int_equal(loop_turn(listening->loop, 50), 0);
}

static void a_burst_of_writes_is_one_change(void **state)
{
	struct place *place = *state;
	struct listening listening = {0};
	struct desired *desired;

	listening_open(&listening, place);
	for (int i = 0; i < 10; i++) {
		char name[32];

		snprintf(name, sizeof(name), "a/%d.yaml", i);
		file_put(place, name, "# nothing yet\n");
		loop_turn(listening.loop, 1);
	}
	assert_int_equal(listening.changes, 0);
	listening_wait(&listening, 3000);
	assert_int_equal(listening.changes, 1);
	assert_int_equal(source_set_resolve(listening.set, &desired), 0);
	assert_int_equal(desired->cluster_count, 1);
	desired_free(desired);
	listening_close(&listening);
}

static void a_message_is_logged_once_and_again_when_it_comes_back(void **state)
{
	struct place *place = *state;
	struct listening listening = {0};
	struct desired *desired;

	file_put(place, "a.yaml", "kind: [\n");
	listening_open(&listening, place);
	assert_int_equal(source_set_resolve(listening.set, &desired), 0);
	desired_free(desired);
	/* the broken file, and that cluster a's region is not known */
	assert_int_equal(log_count, 2);
	assert_int_equal(source_set_resolve(listening.set, &desired), 0);
	desired_free(desired);
	assert_int_equal(log_count, 2);
	file_put(place, "a.yaml", "");
	listening_wait(&listening, 3000);
	assert_int_equal(source_set_resolve(listening.set, &desired), 0);
	desired_free(desired);
	file_put(place, "a.yaml", "kind: [\n");
	listening_wait(&listening, 3000);
	assert_int_equal(source_set_resolve(listening.set, &desired), 0);
	desired_free(desired);
	assert_int_equal(log_count, 3);
	assert_non_null(strstr(last_log, "a.yaml:2: not YAML"));
	listening_close(&listening);
}

static void a_folder_made_later_is_watched_as_well(void **state)
{
	struct place *place = *state;
	struct listening listening = {0};

	listening_open(&listening, place);
	mkdir(path_in(place, "a/sub"), 0755);
	file_put(place, "a/sub/one.yaml", NAMESPACE("a"));
	listening_wait(&listening, 3000);
	assert_int_equal(listening.changes, 1);
	file_put(place, "a/sub/two.yaml", NAMESPACE("b"));
	listening_wait(&listening, 3000);
	assert_int_equal(listening.changes, 2);
	listening_close(&listening);
}

static void bad_sets_are_refused(void **state)
{
	struct place *place = *state;
	const struct source_folder config = {.path = place->root};
	const struct source_folder twice[] = {{"a", place->root}, {"a", place->root}};
	const struct source_folder shared[] = {{"a", place->root}, {"b", place->root}};
	const struct source_folder missing = {"a", "/nonexistent"};
	struct source_set *set = NULL;
	struct loop *loop;

	assert_int_equal(loop_new(8, &loop), 0);
	assert_int_equal(source_set_open(loop, &config, twice, 2, NULL, changed_count, NULL, &set),
			 -EEXIST);
	assert_non_null(strstr(last_log, "given twice"));
	assert_int_equal(source_set_open(loop, &config, shared, 2, NULL, changed_count, NULL, &set),
			 -EEXIST);
	assert_int_equal(source_set_open(loop, &config, &missing, 1, NULL, changed_count, NULL,
					 &set),
			 -ENOENT);
	assert_int_equal(source_set_open(loop, &missing, NULL, 0, NULL, changed_count, NULL, &set),
			 -ENOENT);
	assert_null(set);
	assert_int_equal(source_set_open(loop, &config, twice, 1, NULL, changed_count, NULL, &set),
			 0);
	source_set_close(set);
	loop_free(loop);
}

#define FOLDER_TEST(f) cmocka_unit_test_setup_teardown(f, place_setup, place_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		FOLDER_TEST(yaml_yml_and_json_are_read_in_sub_folders_too),
		FOLDER_TEST(editors_and_hidden_files_are_passed_over),
		FOLDER_TEST(a_broken_file_keeps_its_last_good_objects),
		FOLDER_TEST(an_emptied_file_keeps_its_last_good_objects),
		FOLDER_TEST(a_file_that_is_being_written_is_read_when_it_is_whole),
		FOLDER_TEST(a_refused_object_stays_as_it_last_was),
		FOLDER_TEST(a_deleted_or_renamed_file_takes_its_objects_along),
		FOLDER_TEST(a_file_replaced_by_rename_is_seen),
		FOLDER_TEST(a_young_file_is_read_again_though_its_stamp_is_the_same),
		FOLDER_TEST(a_linked_file_is_followed_as_mounted_config_maps_need_it),
		FOLDER_TEST(links_to_folders_are_said_and_not_followed),
		FOLDER_TEST(the_first_of_two_equal_objects_is_used),
		FOLDER_TEST(kinds_that_are_not_acted_upon_are_listed_once),
		FOLDER_TEST(a_file_that_is_too_large_keeps_the_last_state),
		FOLDER_TEST(a_folder_that_vanishes_keeps_its_last_state),
		FOLDER_TEST(only_a_folder_can_be_opened),
		FOLDER_TEST(a_burst_of_writes_is_one_change),
		FOLDER_TEST(a_message_is_logged_once_and_again_when_it_comes_back),
		FOLDER_TEST(a_folder_made_later_is_watched_as_well),
		FOLDER_TEST(bad_sets_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
