// SPDX-License-Identifier: BSD-2-Clause
/* From argv to a command that runs.
 *
 * Options may stand anywhere; the global ones are understood before and after
 * the command's name.  A command names its own by bits (command_options.c). */
#include "maps/cli/command.h"

#include <errno.h>
#include <string.h>

#include "userspace/base/cleanup.h"
#include "userspace/base/log.h"
#include "userspace/base/text.h"

#define PROGRAM "sluicectl"
#define ROWS_MAX 16
#define INTERVAL_MS_DEFAULT 1000
#define METHOD_DEFAULT "POST"

enum exit_code { EXIT_DONE, EXIT_FAILED, EXIT_NOT_UNDERSTOOD };

static const struct command *const commands[] = {
	&command_show,	  &command_watch,   &command_drain,   &command_undrain,
	&command_maint,	  &command_vip_add, &command_vip_set, &command_vip_remove,
	&command_capture, &command_explain, &command_model,
};

static void about_write(struct text *text)
{
	text_puts(text, "Shows and changes a gateway's pinned maps; needs no other process.\n\n"
			"Commands:\n");
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
		text_printf(text, "  %-12s %s\n", commands[i]->name, commands[i]->summary);
	text_puts(text, "  help         long help of a command: sluicectl help COMMAND");
}

static struct option_table global_table(void)
{
	static char about[2048];
	struct text text = TEXT_INIT(about);

	about_write(&text);
	return (struct option_table){.program = PROGRAM,
				     .usage = "[OPTIONS] COMMAND ...",
				     .about = about,
				     .rows = global_rows,
				     .row_count = GLOBAL_OPTION_COUNT};
}

/* `words` begin with the command's name?  Then how many words it is. */
static int name_matches(const struct command *command, int count, char **words)
{
	const char *space = strchr(command->name, ' ');
	size_t first = space ? (size_t)(space - command->name) : strlen(command->name);

	if (count < 1 || strlen(words[0]) != first || strncmp(words[0], command->name, first))
		return 0;
	if (!space)
		return 1;
	return count > 1 && !strcmp(words[1], space + 1) ? 2 : 0;
}

static const struct command *command_find(int count, char **words, int *ret_used)
{
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++) {
		*ret_used = name_matches(commands[i], count, words);
		if (*ret_used)
			return commands[i];
	}
	return NULL;
}

/* "vip add, vip set, vip remove" for "vip"; nothing for what begins no command. */
static void group_list(const char *word, struct text *text)
{
	size_t length = strlen(word);

	for (size_t i = 0; i < ARRAY_SIZE(commands); i++) {
		if (!strncmp(commands[i]->name, word, length) && commands[i]->name[length] == ' ')
			text_printf(text, "%s%s", text->length ? ", " : "", commands[i]->name);
	}
}

static const struct command *command_find_or_say(int count, char **words, int *ret_used)
{
	const struct command *command = command_find(count, words, ret_used);
	char buffer[128] = "";
	struct text group = TEXT_INIT(buffer);

	if (command)
		return command;
	group_list(words[0], &group);
	if (group.length)
		log_error(-EINVAL, "'%s%s%s': no such command; there are: %s", words[0],
			  count > 1 ? " " : "", count > 1 ? words[1] : "", buffer);
	else
		log_error(-EINVAL, "'%s': no such command; '" PROGRAM " --help' lists them",
			  words[0]);
	return NULL;
}

struct command_usage {
	struct option_row rows[ROWS_MAX];
	char usage[256];
	struct option_table table;
};

static void usage_init(struct command_usage *usage, const struct command *command)
{
	size_t count = GLOBAL_OPTION_COUNT;

	memcpy(usage->rows, global_rows, sizeof(global_rows));
	for (int i = 0; i < COMMAND_OPTION_COUNT; i++) {
		if (command->options & WITH(i))
			usage->rows[count++] = command_rows[i];
	}
	snprintf(usage->usage, sizeof(usage->usage), "[OPTIONS] %s %s", command->name,
		 command->arguments);
	usage->table = (struct option_table){.program = PROGRAM,
					     .usage = usage->usage,
					     .about = command->help,
					     .rows = usage->rows,
					     .row_count = count};
}

static void command_help(const struct command *command)
{
	struct command_usage usage;

	usage_init(&usage, command);
	options_print_help(&usage.table);
	if (command->help_more)
		command->help_more(stdout);
}

static int word_add(struct request *request, const struct command *command, const char *word)
{
	if (request->word_count == command->words_max)
		return log_error(-EINVAL, "%s: '%s' is one word too many; usage: " PROGRAM " %s %s",
				 command->name, word, command->name, command->arguments);
	request->words[request->word_count++] = word;
	return 0;
}

/* args[0] is the last word of the command's name and is overwritten, so that
 * getopt's messages begin with the program's name. */
static int command_parse(const struct command *command, struct request *request, int count,
			 char **args, enum options_verdict *ret_verdict)
{
	static char program[] = PROGRAM;
	struct command_usage usage;
	int index, err;

	usage_init(&usage, command);
	for (;;) {
		args[0] = program;
		err = options_parse(&usage.table, request, count, args, &index, ret_verdict);
		if (err || *ret_verdict == OPTIONS_DONE)
			break;
		if (index >= count) {
			if (request->word_count >= command->words_min)
				return 0;
			return log_error(-EINVAL,
					 "%s: something is missing; usage: " PROGRAM " %s %s",
					 command->name, command->name, command->arguments);
		}
		err = word_add(request, command, args[index]);
		if (err)
			break;
		args += index;
		count -= index;
	}
	if (!err && command->help_more)
		command->help_more(stdout);
	return err;
}

static int help_run(int count, char **words)
{
	const struct option_table table = global_table();
	const struct command *command;
	bool found = false;
	int used;

	if (count == 0) {
		options_print_help(&table);
		return EXIT_DONE;
	}
	command = command_find(count, words, &used);
	if (command) {
		command_help(command);
		return EXIT_DONE;
	}
	/* "help vip": all that begin with it */
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++) {
		size_t length = strlen(words[0]);

		if (strncmp(commands[i]->name, words[0], length) ||
		    commands[i]->name[length] != ' ')
			continue;
		command_help(commands[i]);
		printf("\n");
		found = true;
	}
	if (!found)
		command_find_or_say(count, words, &used);
	return found ? EXIT_DONE : EXIT_NOT_UNDERSTOOD;
}

static int request_run(const struct command *command, struct request *request)
{
	if (command->run(request))
		return EXIT_FAILED;
	if (fflush(request->out) || ferror(request->out)) {
		log_error(-EIO, "cannot write the output");
		return EXIT_FAILED;
	}
	return EXIT_DONE;
}

int command_line_run(int argc, char **argv, FILE *out)
{
	struct request request = {
		.out = out, .interval_ms = INTERVAL_MS_DEFAULT, .method = METHOD_DEFAULT};
	const struct option_table table = global_table();
	const struct command *command;
	enum options_verdict verdict;
	int index, used;

	if (instance_init(&request.instance, INSTANCE_DEFAULT) ||
	    options_parse(&table, &request, argc, argv, &index, &verdict))
		return EXIT_NOT_UNDERSTOOD;
	if (verdict == OPTIONS_DONE)
		return EXIT_DONE;
	if (index >= argc || !strcmp(argv[index], "help"))
		return help_run(argc - index - (index < argc), argv + index + (index < argc));
	command = command_find_or_say(argc - index, argv + index, &used);
	if (!command)
		return EXIT_NOT_UNDERSTOOD;
	index += used - 1;
	if (command_parse(command, &request, argc - index, argv + index, &verdict))
		return EXIT_NOT_UNDERSTOOD;
	return verdict == OPTIONS_DONE ? EXIT_DONE : request_run(command, &request);
}
