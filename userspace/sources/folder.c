// SPDX-License-Identifier: BSD-2-Clause
/* Every scan walks the whole folder and compares each file with what was read:
 * inotify only says when to look.  So a lost event, an overflow, a rename by an
 * editor or a link that is swapped (as Kubernetes does with mounted ConfigMaps)
 * needs no handling of its own.
 *
 * A file whose time stamp is younger than a second when it is read may change
 * again without a new stamp; it is read again until it has aged.  One that is being
 * written is left as it was, for half of it may be YAML too; closing it is an event.
 */
#include "userspace/sources/folder.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include "userspace/base/cleanup.h"
#include "userspace/base/clock.h"
#include "userspace/base/file.h"
#include "userspace/base/log.h"
#include "userspace/base/text.h"
#include "userspace/sources/last_good.h"
#include "userspace/sources/yaml.h"

/* So long after its last change a file counts as whole, though it is open still. */
#define WRITING_NS_MAX (10 * NS_PER_S)

#define WATCH_MASK                                                                                 \
	(IN_CREATE | IN_MODIFY | IN_CLOSE_WRITE | IN_ATTRIB | IN_MOVED_FROM | IN_MOVED_TO |        \
	 IN_DELETE | IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR)

/* What stat() says; equal stamps of an aged file mean equal bytes. */
struct stamp {
	uint64_t device, inode, size;
	uint64_t modified_ns, changed_ns;
};

struct source_file {
	char *path;
	struct stamp stamp;
	bool young; /* read within a second of its last change */
	int read_error; /* why it could not be read; 0: it could */
	bool blank; /* not one byte of content: cut short, or not written yet */
	uint64_t hash;
	size_t object_count, object_room;
	struct object **objects;
	struct messages messages;
	struct arena arena; /* of the messages */
	size_t *ignored; /* by object_ignored_name() */
};

/* A file that the walk found. */
struct found_file {
	char *path;
	struct stamp stamp;
};

struct folder {
	char *path;
	char *keep; /* where copies of good files are; NULL: none */
	int inotify_fd;
	bool watch_failed; /* said so */
	size_t file_count;
	struct source_file **files; /* by path */
	struct objects objects; /* of all files, unique */
	struct messages messages;
	struct arena arena; /* of the messages */
	uint64_t walk_hash; /* of what the last walk said */
};

struct walk {
	struct folder *folder;
	size_t count, room;
	struct found_file *files;
	uint64_t bytes;
	bool incomplete; /* a directory could not be read: nothing counts as deleted */
	struct messages messages;
	struct arena *arena;
};

/* ---- files ---- */

static void file_free(struct source_file *file)
{
	if (!file)
		return;
	for (size_t i = 0; i < file->object_count; i++)
		object_free(file->objects[i]);
	free(file->objects);
	arena_deinit(&file->arena);
	free(file->ignored);
	free(file->path);
	free(file);
}

static void file_freep(struct source_file **file)
{
	file_free(*file);
}

static int file_new(const char *path, struct source_file **ret_file)
{
	_cleanup_(file_freep) struct source_file *file = calloc(1, sizeof(*file));

	if (!file)
		return -ENOMEM;
	file->path = strdup(path);
	file->ignored = calloc(object_ignored_count(), sizeof(*file->ignored));
	if (!file->path || !file->ignored)
		return -ENOMEM;
	*ret_file = TAKE_PTR(file);
	return 0;
}

static int object_put(struct source_file *file, struct object *object)
{
	if (file->object_count == file->object_room) {
		size_t room = file->object_room ? file->object_room * 2 : 8;
		struct object **moved = realloc(file->objects, room * sizeof(*moved));

		if (!moved)
			return -ENOMEM;
		file->objects = moved;
		file->object_room = room;
	}
	file->objects[file->object_count++] = object;
	return 0;
}

/* ---- reading one file ---- */

struct reading {
	struct source_file *file;
	struct source_file *last; /* as it was; NULL: new */
};

static int reading_take(void *ctx, struct object *object)
{
	struct reading *reading = ctx;
	int err = object_put(reading->file, object);

	if (err)
		object_free(object);
	return err;
}

/* A refused object stays as it last was: it moves over from the last reading. */
static int reading_refused(void *ctx, enum object_kind kind, const char *namespace_,
			   const char *name)
{
	struct reading *reading = ctx;
	struct source_file *last = reading->last;

	for (size_t i = 0; last && i < last->object_count; i++) {
		struct object *object = last->objects[i];
		int err;

		if (object->kind != kind || strcmp(object->namespace_, namespace_) != 0 ||
		    strcmp(object->name, name) != 0)
			continue;
		err = object_put(reading->file, object);
		if (err)
			return err;
		object->file = reading->file->path;
		last->objects[i] = last->objects[--last->object_count];
		return 0;
	}
	return 0;
}

static int documents_decode(struct reading *reading, const struct yaml_file *yaml)
{
	const struct object_sink sink = {
		.file = reading->file->path,
		.messages = &reading->file->messages,
		.arena = &reading->file->arena,
		.ignored = reading->file->ignored,
		.ctx = reading,
		.take = reading_take,
		.refused = reading_refused,
	};
	int err = 0;

	for (size_t i = 0; i < yaml->count && !err; i++)
		err = object_decode(&sink, yaml->documents[i]);
	return err;
}

/* The whole file is of no use: all that it held stays. */
static void file_keep_last(struct source_file *file, struct source_file *last)
{
	if (!last)
		return;
	file->objects = TAKE_PTR(last->objects);
	file->object_count = last->object_count;
	file->object_room = last->object_room;
	last->object_count = last->object_room = 0;
	for (size_t i = 0; i < file->object_count; i++)
		file->objects[i]->file = file->path;
	memcpy(file->ignored, last->ignored, object_ignored_count() * sizeof(*file->ignored));
}

static const char *kept_words(const struct source_file *file)
{
	return file->object_count ? "its last good objects stay in use until it is corrected"
				  : "it is ignored until it is corrected";
}

static bool data_is_blank(const char *data, size_t size)
{
	while (size && strchr(" \t\r\n", data[size - 1]) && data[size - 1])
		size--;
	return size == 0;
}

/* A disk that is full and a writer that died leave empty files; who wants the objects
 * gone deletes the file. */
static int file_parse_blank(struct source_file *file, struct source_file *last)
{
	file->blank = true;
	file_keep_last(file, last);
	if (file->object_count)
		message_add(&file->messages, &file->arena, LOG_LEVEL_ERROR,
			    "%s: empty; %s, or the file is deleted", file->path, kept_words(file));
	return 0;
}

static int file_parse(struct source_file *file, struct source_file *last, const char *data,
		      size_t size)
{
	struct reading reading = {.file = file, .last = last};
	struct yaml_error error;
	struct yaml_file yaml;
	int err;

	if (data_is_blank(data, size))
		return file_parse_blank(file, last);
	err = yaml_parse(data, size, &yaml, &error);
	if (err == -EBADMSG) {
		file_keep_last(file, last);
		message_add(&file->messages, &file->arena, LOG_LEVEL_ERROR,
			    "%s:%u: not YAML: %s; %s", file->path, error.line, error.text,
			    kept_words(file));
		return 0;
	}
	if (err)
		return err;
	err = documents_decode(&reading, &yaml);
	yaml_file_deinit(&yaml);
	return err;
}

static bool file_is_broken(const struct source_file *file)
{
	for (size_t i = 0; i < file->messages.count; i++) {
		if (file->messages.list[i].level == LOG_LEVEL_ERROR)
			return true;
	}
	return false;
}

/* Reads `found` into a new source_file; `last` gives what stays and is left to be
 * freed.  -ENOENT: it is gone again; -EALREADY: the bytes are the same. */
static int file_read_found(const struct folder *folder, const struct found_file *found,
			   struct source_file *last, uint64_t now_ns, struct source_file **ret_file)
{
	_cleanup_(file_freep) struct source_file *file = NULL;
	_cleanup_free_ char *data = NULL;
	size_t size = 0;
	int err = file_new(found->path, &file);

	if (err)
		return err;
	file->stamp = found->stamp;
	file->young = now_ns < found->stamp.modified_ns + NS_PER_S;
	err = file_read(found->path, YAML_BYTES_MAX, &data, &size);
	if (err == -ENOENT || err == -ENOMEM)
		return err;
	if (!err) {
		file->hash = XXH3_64bits(data, size);
		if (last && !last->read_error && last->hash == file->hash) {
			last->stamp = file->stamp;
			last->young = file->young;
			return -EALREADY;
		}
		err = file_parse(file, last, data, size);
		if (err)
			return err;
		if (folder->keep && !file->blank && !file_is_broken(file))
			last_good_store(folder->keep, found->path, data, size);
	} else if (last && last->read_error == err) {
		return -EALREADY;
	} else {
		file_keep_last(file, last);
		file->read_error = err;
		message_add(&file->messages, &file->arena, LOG_LEVEL_ERROR,
			    "%s: cannot be read: %s; %s", file->path, strerror(-err),
			    kept_words(file));
		file->young = true; /* try again at the next scan */
	}
	*ret_file = TAKE_PTR(file);
	return 0;
}

/* ---- walking ---- */

static bool name_is_source(const char *name)
{
	static const char *const endings[] = {".yaml", ".yml", ".json"};
	const size_t length = strlen(name);

	for (size_t i = 0; i < ARRAY_SIZE(endings); i++) {
		const size_t ending = strlen(endings[i]);

		if (length > ending && strcmp(name + length - ending, endings[i]) == 0)
			return true;
	}
	return false;
}

static int found_add(struct walk *walk, const char *path, const struct stat *st)
{
	struct found_file *found;

	if (walk->count == FOLDER_FILES_MAX ||
	    walk->bytes + (uint64_t)st->st_size > FOLDER_BYTES_MAX) {
		message_add(
			&walk->messages, walk->arena, LOG_LEVEL_ERROR,
			"%s: more than %d files or %u bytes; the rest is not read, split the folder",
			walk->folder->path, FOLDER_FILES_MAX, FOLDER_BYTES_MAX);
		walk->incomplete = true;
		return 0;
	}
	if (walk->count == walk->room) {
		size_t room = walk->room ? walk->room * 2 : 64;
		struct found_file *moved = realloc(walk->files, room * sizeof(*moved));

		if (!moved)
			return -ENOMEM;
		walk->files = moved;
		walk->room = room;
	}
	found = &walk->files[walk->count];
	found->path = strdup(path);
	if (!found->path)
		return -ENOMEM;
	found->stamp = (struct stamp){
		.device = st->st_dev,
		.inode = st->st_ino,
		.size = (uint64_t)st->st_size,
		.modified_ns =
			(uint64_t)st->st_mtim.tv_sec * NS_PER_S + (uint64_t)st->st_mtim.tv_nsec,
		.changed_ns =
			(uint64_t)st->st_ctim.tv_sec * NS_PER_S + (uint64_t)st->st_ctim.tv_nsec,
	};
	walk->bytes += found->stamp.size;
	walk->count++;
	return 0;
}

static void directory_watch(struct folder *folder, const char *path)
{
	if (folder->inotify_fd < 0 || inotify_add_watch(folder->inotify_fd, path, WATCH_MASK) >= 0)
		return;
	if (errno != ENOSPC && errno != ENOMEM)
		return; /* gone, or not ours to read: whoever opens it says so */
	if (!folder->watch_failed)
		log_warning("%s: cannot be watched: %s; it is looked at every few seconds instead, "
			    "raise fs.inotify.max_user_watches",
			    path, strerror(errno));
	folder->watch_failed = true;
}

static int directory_walk(struct walk *walk, const char *path, int depth);

static int entry_walk(struct walk *walk, const char *directory, const struct dirent *entry,
		      int depth)
{
	char path[4096];
	struct stat st, target;

	if (entry->d_name[0] == '.' || entry->d_name[0] == '#')
		return 0;
	if (snprintf(path, sizeof(path), "%s/%s", directory, entry->d_name) >= (int)sizeof(path))
		return 0;
	if (lstat(path, &st) < 0)
		return 0; /* gone again */
	if (S_ISDIR(st.st_mode))
		return directory_walk(walk, path, depth + 1);
	if (!name_is_source(entry->d_name) && !S_ISLNK(st.st_mode))
		return 0;
	if (stat(path, &target) < 0) {
		if (!name_is_source(entry->d_name))
			return 0;
		message_add(&walk->messages, walk->arena, LOG_LEVEL_WARNING,
			    "%s: cannot be looked at: %s; it is ignored", path, strerror(errno));
		return 0;
	}
	if (S_ISDIR(target.st_mode))
		message_add(&walk->messages, walk->arena, LOG_LEVEL_WARNING,
			    "%s: a link to a folder, which is not followed; link the files in it",
			    path);
	return S_ISREG(target.st_mode) && name_is_source(entry->d_name)
		       ? found_add(walk, path, &target)
		       : 0;
}

static void closedirp(DIR **directory)
{
	if (*directory)
		closedir(*directory);
}

static int directory_walk(struct walk *walk, const char *path, int depth)
{
	_cleanup_(closedirp) DIR *directory = NULL;
	struct dirent *entry;
	int err = 0;

	if (depth > FOLDER_DEPTH_MAX) {
		message_add(&walk->messages, walk->arena, LOG_LEVEL_WARNING,
			    "%s: deeper than %d folders; it is not read", path, FOLDER_DEPTH_MAX);
		return 0;
	}
	/* watched before it is read, so that nothing falls between */
	directory_watch(walk->folder, path);
	directory = opendir(path);
	if (!directory) {
		walk->incomplete = true;
		message_add(&walk->messages, walk->arena, LOG_LEVEL_ERROR,
			    "%s: cannot be read: %s; what it last held stays in use", path,
			    strerror(errno));
		return 0;
	}
	while (!err && (entry = readdir(directory)))
		err = entry_walk(walk, path, entry, depth);
	return err;
}

static int found_compare(const void *a, const void *b)
{
	return strcmp(((const struct found_file *)a)->path, ((const struct found_file *)b)->path);
}

static void walk_deinit(struct walk *walk)
{
	for (size_t i = 0; i < walk->count; i++)
		free(walk->files[i].path);
	free(walk->files);
}

/* ---- scanning ---- */

static bool stamp_equal(const struct stamp *a, const struct stamp *b)
{
	return memcmp(a, b, sizeof(*a)) == 0;
}

/* What the copy of a file holds; NULL: there is none, or no memory. */
static struct source_file *file_from_copy(const struct folder *folder, const char *path)
{
	_cleanup_(file_freep) struct source_file *file = NULL;
	_cleanup_free_ char *data = NULL;
	size_t size = 0;

	if (!folder->keep || last_good_load(folder->keep, path, &data, &size) < 0)
		return NULL;
	if (file_new(path, &file) < 0 || file_parse(file, NULL, data, size) < 0)
		return NULL;
	return TAKE_PTR(file);
}

/* A file that is seen for the first time, and is broken or blank: is there a copy? */
static int file_recall(const struct folder *folder, const struct found_file *found, uint64_t now_ns,
		       struct source_file **file)
{
	_cleanup_(file_freep) struct source_file *last = file_from_copy(folder, found->path);
	struct source_file *recalled;
	int err;

	if (!last)
		return 0;
	err = file_read_found(folder, found, last, now_ns, &recalled);
	if (err)
		return err;
	file_free(*file);
	*file = recalled;
	return 0;
}

/* `last` (may be NULL) and `found` are one path: *ret_file is what stands there
 * now, NULL when it is gone. */
static int file_refresh(const struct folder *folder, const struct found_file *found,
			struct source_file *last, uint64_t now_ns, struct source_file **ret_file,
			bool *changed)
{
	struct source_file *file = NULL;
	int err;

	if (last && !last->young && stamp_equal(&last->stamp, &found->stamp)) {
		*ret_file = last;
		return 0;
	}
	if (now_ns < found->stamp.modified_ns + WRITING_NS_MAX &&
	    file_is_being_written(found->path)) {
		*ret_file = last ? last : file_from_copy(folder, found->path);
		*changed |= *ret_file != last;
		return 0;
	}
	err = file_read_found(folder, found, last, now_ns, &file);
	if (!err && !last && (file->blank || file_is_broken(file)))
		file_recall(folder, found, now_ns, &file); /* a failure: it stays as it is */
	if (err == -EALREADY) {
		*ret_file = last;
		return 0;
	}
	if (err && err != -ENOENT) {
		*ret_file = last;
		return err;
	}
	file_free(last);
	*changed = true;
	*ret_file = file;
	return 0;
}

/* A file that the walk did not find. */
static struct source_file *file_missing(const struct walk *walk, struct source_file *last,
					bool *changed)
{
	if (walk->incomplete)
		return last;
	if (walk->folder->keep)
		last_good_remove(walk->folder->keep, last->path);
	file_free(last);
	*changed = true;
	return NULL;
}

/* Merges two lists that are sorted by path. */
static int files_merge(struct folder *folder, struct walk *walk, uint64_t now_ns, bool *changed)
{
	struct source_file **merged = calloc(folder->file_count + walk->count + 1, sizeof(*merged));
	size_t old = 0, new = 0, count = 0;
	int err = merged ? 0 : -ENOMEM;

	while (merged && (old < folder->file_count || new < walk->count)) {
		struct source_file *last = old < folder->file_count ? folder->files[old] : NULL;
		struct found_file *found = new < walk->count ? &walk->files[new] : NULL;
		int order = !last ? 1 : !found ? -1 : strcmp(last->path, found->path);
		struct source_file *file = NULL;

		if (err)
			file = order <= 0 ? last : NULL; /* out of memory: keep the rest */
		else if (order < 0)
			file = file_missing(walk, last, changed);
		else
			err = file_refresh(folder, found, order == 0 ? last : NULL, now_ns, &file,
					   changed);
		old += order <= 0;
		new += order >= 0;
		if (file)
			merged[count++] = file;
	}
	if (merged) {
		free(folder->files);
		folder->files = merged;
		folder->file_count = count;
	}
	return err;
}

/* ---- what the files hold together ---- */

static int object_pointer_compare(const void *a, const void *b)
{
	return object_compare(*(struct object *const *)a, *(struct object *const *)b);
}

static bool object_same(const struct object *a, const struct object *b)
{
	return a->kind == b->kind && strcmp(a->namespace_, b->namespace_) == 0 &&
	       strcmp(a->name, b->name) == 0;
}

/* The first by file and line stays. */
static void objects_unique(struct folder *folder)
{
	struct objects *objects = &folder->objects;
	size_t kept = 0;

	for (size_t i = 0; i < objects->count; i++) {
		const struct object *object = objects->list[i];

		if (kept && object_same(objects->list[kept - 1], object)) {
			const struct object *first = objects->list[kept - 1];

			message_add(
				&folder->messages, &folder->arena, LOG_LEVEL_ERROR,
				"%s:%u: %s %s%s%s: metadata.name: it is there already, in %s:%u; "
				"that one is used, remove one of the two",
				object->file, object->line, object_kind_name(object->kind),
				object->namespace_, *object->namespace_ ? "/" : "", object->name,
				first->file, first->line);
			continue;
		}
		objects->list[kept++] = objects->list[i];
	}
	objects->count = kept;
}

static int objects_gather(struct folder *folder)
{
	size_t count = 0;
	struct object **list;

	for (size_t i = 0; i < folder->file_count; i++)
		count += folder->files[i]->object_count;
	list = calloc(count + 1, sizeof(*list));
	if (!list)
		return -ENOMEM;
	free(folder->objects.list);
	folder->objects = (struct objects){.list = list};
	for (size_t i = 0; i < folder->file_count; i++) {
		const struct source_file *file = folder->files[i];

		for (size_t k = 0; k < file->object_count; k++)
			list[folder->objects.count++] = file->objects[k];
	}
	qsort(list, count, sizeof(*list), object_pointer_compare);
	objects_unique(folder);
	return 0;
}

/* One message for all kinds that nothing is done with. */
static void ignored_say(struct folder *folder)
{
	char buffer[900] = "";
	struct text names = TEXT_INIT(buffer);

	for (size_t kind = 0; kind < object_ignored_count(); kind++) {
		size_t count = 0;

		for (size_t i = 0; i < folder->file_count; i++)
			count += folder->files[i]->ignored[kind];
		if (count)
			text_printf(&names, "%s%s", names.length ? ", " : "",
				    object_ignored_name(kind));
	}
	if (names.length)
		message_add(&folder->messages, &folder->arena, LOG_LEVEL_INFO,
			    "%s: kinds that are known but not acted upon in this version: %s",
			    folder->path, buffer);
}

static int folder_gather(struct folder *folder, const struct walk *walk)
{
	arena_deinit(&folder->arena);
	folder->messages = (struct messages){0};
	messages_append(&folder->messages, &folder->arena, &walk->messages);
	for (size_t i = 0; i < folder->file_count; i++)
		messages_append(&folder->messages, &folder->arena, &folder->files[i]->messages);
	ignored_say(folder);
	return objects_gather(folder);
}

/* Messages of the walk come and go without any file changing.  A sum, because the
 * order of a directory's entries means nothing. */
static uint64_t walk_hash(const struct walk *walk)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < walk->messages.count; i++) {
		const char *text = walk->messages.list[i].text;

		sum += XXH3_64bits(text, strlen(text));
	}
	return sum;
}

int folder_scan(struct folder *folder, uint64_t now_ns, bool *ret_changed)
{
	struct arena scratch = {0};
	struct walk walk = {.folder = folder, .arena = &scratch};
	bool changed = false;
	int err = directory_walk(&walk, folder->path, 0);

	if (!err) {
		if (walk.count)
			qsort(walk.files, walk.count, sizeof(*walk.files), found_compare);
		err = files_merge(folder, &walk, now_ns, &changed);
		changed |= walk_hash(&walk) != folder->walk_hash;
		folder->walk_hash = walk_hash(&walk);
	}
	/* objects may have been freed even when memory ran out half way */
	if (changed) {
		int gathered = folder_gather(folder, &walk);

		err = err ? err : gathered;
	}
	walk_deinit(&walk);
	arena_deinit(&scratch);
	*ret_changed = changed;
	return err;
}

/* ---- opening ---- */

int folder_open(const char *path, const char *keep, struct folder **ret_folder)
{
	_cleanup_(folder_closep) struct folder *folder = calloc(1, sizeof(*folder));
	struct stat st;

	if (!folder)
		return -ENOMEM;
	folder->inotify_fd = -1;
	if (stat(path, &st) < 0)
		return log_error(-errno,
				 "%s: cannot be used as a source: %s; give an existing folder",
				 path, strerror(errno));
	if (!S_ISDIR(st.st_mode))
		return log_error(-ENOTDIR,
				 "%s: not a folder; give the folder that holds the YAML files",
				 path);
	folder->path = strdup(path);
	folder->keep = keep ? strdup(keep) : NULL;
	if (!folder->path || (keep && !folder->keep))
		return -ENOMEM;
	for (size_t length = strlen(folder->path); length > 1 && folder->path[length - 1] == '/';
	     length--)
		folder->path[length - 1] = '\0';
	folder->inotify_fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	if (folder->inotify_fd < 0)
		log_warning("%s: cannot be watched: %s; it is looked at every few seconds instead, "
			    "raise fs.inotify.max_user_instances",
			    path, strerror(errno));
	*ret_folder = TAKE_PTR(folder);
	return 0;
}

void folder_close(struct folder *folder)
{
	if (!folder)
		return;
	for (size_t i = 0; i < folder->file_count; i++)
		file_free(folder->files[i]);
	free(folder->files);
	free(folder->objects.list);
	arena_deinit(&folder->arena);
	closep(&folder->inotify_fd);
	free(folder->path);
	free(folder->keep);
	free(folder);
}

int folder_watch_fd(const struct folder *folder)
{
	return folder->inotify_fd;
}

void folder_watch_drain(struct folder *folder)
{
	char events[4096];

	while (read(folder->inotify_fd, events, sizeof(events)) > 0)
		; /* what happened does not matter, only that something did */
}

const struct objects *folder_objects(const struct folder *folder)
{
	return &folder->objects;
}

const struct messages *folder_messages(const struct folder *folder)
{
	return &folder->messages;
}
