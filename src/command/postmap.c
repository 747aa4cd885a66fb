/* postmap, postalias, newaliases -- lookup tables asked, listed and looked at */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/file.h"
#include "command/letter-lines.h"
#include "command/lookup.h"
#include "role/tables.h"

enum { OPTIONS_USED_UP = -1, LETTER_MOST = 1 << 28 };

static int run_postmap(struct call *);
static int run_newaliases(struct call *);

#define NOTHING_BUILT                                                                                                  \
	"The server reads the text files themselves and takes up changes by itself: there is no indexed file to be "   \
	"made. Called with a table alone, its file is looked at, and a line that is not as it should be is said with " \
	"its number; it is left out here and the status is 0, as Postfix has it, but the server keeps the last good "  \
	"table meanwhile."

const struct command command_postmap = {
	.name = "postmap",
	.forms = "postmap [-bfFhmnNopruUvw] [-c CONFIG_DIR] [-s | -q KEY] TABLE ...",
	.about = "Asks a lookup table, lists it, or looks whether its file is as it should be.",
	.more = NOTHING_BUILT
	"\n"
	"-q asks for one key and prints what the first table that has it says; for the keys on standard input "
	"with -q -, one a line. The status is 0 when one was found. -s lists the first table. -f keeps the case "
	"of letters, -r has the last of two lines with one key hold and not the first, -w says nothing of them. "
	"With -q -, -h takes standard input for a letter and asks for each field of its header, -b for each line of its "
	"body; -m knows its parts, whose headers are headers then. With -F a value is a list of files, and what is in them is "
	"told. The others are taken and mean nothing here. The options -d and -i, which change an indexed file "
	"and not its text, are refused.",
	.run = run_postmap,
};
const struct command command_postalias = {
	.name = "postalias",
	.forms = "postalias [-fnNopruUvw] [-c CONFIG_DIR] [-s | -q KEY] TABLE ...",
	.about = "The same as postmap for files of aliases.",
	.more = NOTHING_BUILT,
	.run = run_postmap,
};
const struct command command_newaliases = {
	.name = "newaliases",
	.forms = "newaliases [-C CONFIG_DIR] [-oATABLE]",
	.about = "Looks at the files of alias_database, or at that of -oA, as postalias does.",
	.more = NOTHING_BUILT
	"\n"
	"The status is 1 when a file cannot be looked at, and 75 when it is called wrongly.",
	.run = run_newaliases,
};

/* What was asked for. */
struct wish {
	struct call        *call;
	enum table_grammar  grammar;
	struct table_source source;
	const char         *key;         /* -q; NULL */
	bool                list, files; /* -s, -F */
	unsigned            letter;      /* -h -b -m: LETTER_... */
};

/* "FILE:12: words" as Postfix says it: "FILE, line 12: words". */
static void
warn_line(const struct call *c, struct bytes line)
{
	for (size_t i = 0; i + 1 < line.len; i++) {
		size_t n = i + 1;
		while (line.at[i] == ':' && n < line.len && line.at[n] >= '0' && line.at[n] <= '9')
			n++;
		if (line.at[i] != ':' || n == i + 1 || n >= line.len || line.at[n] != ':')
			continue;
		lookup_warn(c, "%.*s, line %.*s", (int)i, line.at, (int)(line.len - i - 1),
		            line.at + i + 1);
		return;
	}
	lookup_warn(c, "%.*s", (int)line.len, line.at);
}

static void
warn_lines(const struct call *c, const struct buffer *b)
{
	struct bytes rest = buffer_bytes(b), line;

	while (bytes_split(&rest, '\n', &line))
		if (line.len > 0)
			warn_line(c, line);
}

/* A name without a slash is that of a database whose settings stand in main.cf, or a file that lies here. */
static int
open_here(void *ctx, const char *path)
{
	int fd = tables_source(ctx).open(ctx, path);

	return fd < 0 && errno == ENOENT && *path != '/' ? table_source_files.open(NULL, path) : fd;
}

static struct table_source
source_here(struct settings *s)
{
	struct table_source source = tables_source(s);

	source.open = open_here;
	return source;
}

/* NULL after complaining. */
static struct table *
open_table(struct wish *w, const char *name)
{
	struct buffer errors = { 0 }, warnings = { 0 };
	struct table *t = table_open(name, w->grammar, &w->source, &errors, &warnings);

	warn_lines(w->call, &errors);
	if (t != NULL && errors.len > 0)
		lookup_warn(w->call,
		            "%s: what is wrong is left out here; the server takes nothing of it "
		            "until it is mended, and keeps the last good one",
		            name);
	if (w->key == NULL && !w->list)
		warn_lines(w->call, &warnings);
	if (t == NULL)
		(void)lookup_fatal(w->call, "table %s cannot be used as it is", name);
	buffer_free(&errors);
	buffer_free(&warnings);
	return t;
}

static bool
read_file(const struct wish *w, const char *path, struct buffer *out)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	int why = fd < 0 ? errno : file_read(fd, SIZE_MAX, out);

	if (why != 0 && w->key != NULL)
		(void)lookup_fatal(w->call, "open %s: %s", path, strerror(why));
	else if (why != 0)
		lookup_warn(w->call, "open %s: %s: this entry is left out", path, strerror(why));
	if (fd >= 0)
		(void)close(fd);
	return why == 0;
}

/* -F: what is in the files that a value names, by an empty line; false after complaining. */
static bool
read_files(const struct wish *w, struct bytes *value, struct buffer *out)
{
	struct arena *scratch = arena_open(NULL);
	bool          good = true;

	for (struct bytes rest = *value; good && w->files && rest.len > 0;) {
		size_t n = 0;
		while (n < rest.len && strchr(", \t\r\n", rest.at[n]) == NULL)
			n++;
		if (n > 0 && out->len > 0)
			buffer_add_char(out, '\n');
		good = n == 0 || read_file(w, arena_copy(scratch, bytes_cut(rest, 0, n)), out);
		rest = bytes_cut(rest, n + 1, rest.len);
	}
	if (good && w->files)
		*value = buffer_bytes(out);
	arena_close(&scratch);
	return good;
}

/* "key value", by a tab; of aliases there is a colon behind the key. */
static void
print_pair(void *ctx, struct bytes key, struct bytes value)
{
	const struct wish *w = ctx;
	struct buffer      content = { 0 };

	if (!read_files(w, &value, &content))
		value.len = 0;
	(void)printf("%.*s%s\t%.*s\n", (int)key.len, key.at, w->grammar == TABLE_ALIASES ? ":" : "",
	             (int)value.len, value.len > 0 ? value.at : "");
	buffer_free(&content);
}

/* The first table that has it; false when it cannot be told, after complaining. */
static bool
ask(struct wish *w, struct table **table, int count, struct bytes key, struct arena *arena,
    bool *found, struct bytes *value)
{
	*found = false;
	for (int i = 0; i < count; i++)
		switch (table_find(table[i], key, arena, value)) {
		case TABLE_FOUND: *found = true; return true;
		case TABLE_NONE: break;
		case TABLE_WAIT:
		case TABLE_LATER:
			(void)lookup_fatal(w->call, "table %s: query error: %.*s",
			                   table_name(table[i]), (int)value->len,
			                   value->at == NULL ? "" : value->at);
			return false;
		}
	return true;
}

static int
ask_lines(struct wish *w, struct table **table, int count)
{
	struct arena *arena = arena_open(NULL);
	struct bytes  key, value;
	char         *line = NULL;
	size_t        room = 0;
	ssize_t       n;
	bool          any = false, found, told = true;

	while (told && (n = getline(&line, &room, stdin)) >= 0) {
		key = (struct bytes){ line, (size_t)n };
		if (n > 0 && line[n - 1] == '\n')
			key.len--;
		told = ask(w, table, count, key, arena, &found, &value);
		if (told && found)
			print_pair(w, key, value);
		any = any || found;
		arena_clear(arena);
	}
	free(line);
	arena_close(&arena);
	return told && any ? COMMAND_DONE : COMMAND_FAILED;
}

struct letter_asking {
	struct wish   *wish;
	struct table **table;
	int            count;
	bool           any;
};

static bool
ask_line(void *ctx, struct bytes line)
{
	struct letter_asking *l = ctx;
	struct arena         *arena = arena_open(NULL);
	struct bytes          value;
	bool found, told = ask(l->wish, l->table, l->count, line, arena, &found, &value);

	if (told && found)
		print_pair(l->wish, line, value);
	l->any = l->any || found;
	arena_close(&arena);
	return told;
}

static int
ask_letter(struct wish *w, struct table **table, int count)
{
	struct letter_asking l = { .wish = w, .table = table, .count = count };
	struct buffer        content = { 0 };
	bool                 told;
	size_t               n;

	while (content.len < LETTER_MOST &&
	       (n = fread(buffer_room(&content, 65536), 1, 65536, stdin)) > 0)
		buffer_took(&content, n);
	told = content.len < LETTER_MOST &&
	       letter_lines(buffer_bytes(&content), w->letter, ask_line, &l);
	if (content.len >= LETTER_MOST)
		(void)lookup_fatal(w->call, "the letter is too long");
	buffer_free(&content);
	return told && l.any ? COMMAND_DONE : COMMAND_FAILED;
}

static int
ask_key(struct wish *w, struct table **table, int count)
{
	struct arena *arena = arena_open(NULL);
	struct buffer content = { 0 };
	struct bytes  value;
	bool          found = false;
	bool          told = ask(w, table, count, bytes_of(w->key), arena, &found, &value) &&
	            (!found || read_files(w, &value, &content));

	if (told && found)
		(void)printf("%.*s\n", (int)value.len, value.len > 0 ? value.at : "");
	buffer_free(&content);
	arena_close(&arena);
	return told && found ? COMMAND_DONE : COMMAND_FAILED;
}

/* The first table alone, as Postfix has it. */
static int
list(struct wish *w, struct table *table)
{
	if (!table_each(table, print_pair, w))
		return lookup_fatal(w->call, "table %s: sequence operation is not supported",
		                    table_name(table));
	return COMMAND_DONE;
}

static int
query(struct wish *w, char **names, int count)
{
	struct table **table = memory_take((size_t)(count + 1) * sizeof(struct table *));
	int            opened = 0, status = COMMAND_FAILED;

	count = w->list ? 1 : count;
	while (opened < count && (table[opened] = open_table(w, names[opened])) != NULL)
		opened++;
	if (opened == count)
		status = w->list                    ? list(w, table[0])
		         : w->letter != 0           ? ask_letter(w, table, count)
		         : strcmp(w->key, "-") == 0 ? ask_lines(w, table, count)
		                                    : ask_key(w, table, count);
	while (opened > 0)
		table_close(&table[--opened]);
	memory_free(table);
	return status;
}

/* Only what is a text file of keys and values is ever built. */
static bool
is_built(const char *name, const char *default_type)
{
	static const char *const types[] = { "btree", "cdb", "dbm", "hash", "lmdb" };
	struct bytes             word = bytes_of(name);
	ptrdiff_t                colon = bytes_find(word, ':');

	word = colon < 0 || *name == '/' ? bytes_of(default_type)
	                                 : bytes_cut(word, 0, (size_t)colon);
	for (size_t i = 0; i < COUNT(types); i++)
		if (bytes_is(word, types[i]))
			return true;
	return false;
}

/* -F: whether the files that a value names are there. */
static void
look_at_files(void *ctx, struct bytes key, struct bytes value)
{
	struct wish  *w = ctx;
	struct buffer content = { 0 };

	(void)key;
	(void)read_files(w, &value, &content);
	buffer_free(&content);
}

static int
look_at(struct wish *w, char **names, int count)
{
	for (int i = 0; i < count; i++) {
		const char   *colon = strchr(names[i], ':');
		struct table *t;
		if (!is_built(names[i], w->source.default_type))
			return lookup_fatal(
				w->call,
				"unsupported dictionary type: %.*s does not support bulk-mode creation.",
				(int)(colon == NULL ? 0 : colon - names[i]), names[i]);
		if ((t = open_table(w, names[i])) == NULL)
			return COMMAND_FAILED;
		if (w->files)
			(void)table_each(t, look_at_files, w);
		table_close(&t);
	}
	return COMMAND_DONE;
}

static int
usage(struct wish *w)
{
	return lookup_fatal(w->call,
	                    "usage: %s [-%s] [-c config_dir] [-s | -q key] [type:]file ...",
	                    w->call->command->name,
	                    w->grammar == TABLE_ALIASES ? "fnNopruUvw" : "bfFhmnNopruUvw");
}

/* Where somebody says the settings are, they must be; false after complaining. */
static bool
config_at(struct call *c, const char *directory, struct arena *arena)
{
	c->config = lookup_config(directory, arena);
	if (access(c->config, R_OK) == 0)
		return true;
	(void)lookup_fatal(c, "open %s: %s", c->config, strerror(errno));
	return false;
}

static int
only_one(struct wish *w)
{
	return lookup_fatal(w->call, "specify only one of -s -q or -d");
}

/* An option; 0, or the status to end with. */
static int
take_option(struct wish *w, int option, struct arena *arena)
{
	switch (option) {
	case 'c': return config_at(w->call, optarg, arena) ? 0 : COMMAND_FAILED;
	case 'f': w->source.how |= TABLE_KEEP_CASE; break;
	case 'r': w->source.how |= TABLE_LAST_HOLDS; break;
	case 'w': w->source.how |= TABLE_NO_WARNING; break;
	case 'q':
		if (w->key != NULL)
			return only_one(w);
		w->key = optarg;
		break;
	case 's': w->list = true; break;
	case 'F': w->files = true; break;
	case 'h': w->letter |= LETTER_HEADERS; break;
	case 'b': w->letter |= LETTER_BODY; break;
	case 'm': w->letter |= LETTER_PARTS; break;
	case 'd':
	case 'i':
		return lookup_fatal(w->call, "-%c: tables are their text files here; edit the file",
		                    option);
	case '?': return usage(w);
	default: break; /* -n and others, of files that are not made here */
	}
	return 0;
}

/* Whether the options go together; 0, or the status to end with. */
static int
look_at_options(struct wish *w)
{
	if (w->list && w->key != NULL)
		return only_one(w);
	if (w->letter != 0 && (w->key == NULL || strcmp(w->key, "-") != 0))
		return lookup_fatal(w->call, "specify -b -h or -m only with \"-q -\"");
	return 0;
}

static int
run_wish(struct wish *w, int argc, char **argv)
{
	struct settings *s = lookup_settings(w->call);
	unsigned         how;
	int              status;

	if (s == NULL)
		return COMMAND_FAILED;
	how = w->source.how;
	w->source = source_here(s);
	w->source.how =
		how | TABLE_LEAVES_OUT | (w->grammar == TABLE_ALIASES ? tables_alias_how(s) : 0);
	if (w->letter == LETTER_PARTS) {
		lookup_warn(w->call, "ignoring -m option without -b or -h");
		w->letter = 0;
	}
	if (w->list || w->key != NULL)
		status = query(w, argv, argc);
	else
		status = look_at(w, argv, argc);
	settings_close(&s);
	return status;
}

static int
run_postmap(struct call *c)
{
	struct wish   w = { .call = c, .source = table_source_files };
	struct arena *arena = arena_open(NULL);
	const char   *directory = getenv("MAIL_CONFIG");
	const char   *options = "+bc:d:fFhimnNopq:rsuUvw";
	int           option, status = 0;

	if (c->command == &command_postalias) {
		w.grammar = TABLE_ALIASES;
		options = "+c:d:finNopq:rsuUvw";
	}
	if (directory != NULL)
		c->config = lookup_config(directory, arena);
	optind = 0;
	while (status == 0 && (option = getopt(c->argc, c->argv, options)) != OPTIONS_USED_UP)
		status = take_option(&w, option, arena);
	if (status == 0)
		status = look_at_options(&w);
	if (status == 0 && optind >= c->argc)
		status = usage(&w);
	if (status == 0)
		status = run_wish(&w, c->argc - optind, c->argv + optind);
	arena_close(&arena);
	return status;
}

/* Called as sendmail(1) is, of whose options -C and -oA alone say something here: where the settings are, and the file
   that is looked at instead.  What is wrongly called ends with 75, as there. */
static int
newaliases_options(struct call *c, const char **name, struct arena *arena)
{
	int option, status = COMMAND_DONE;

	optind = 0;
	while (status == COMMAND_DONE &&
	       (option = getopt(c->argc, c->argv, SENDMAIL_OPTIONS)) != OPTIONS_USED_UP)
		if (option == '?')
			status = lookup_fatal(c, "usage: newaliases [options]");
		else if (option == 'n')
			status = lookup_fatal(c, "-n option not supported");
		else if (option == 't')
			status = lookup_fatal(c, "-t can be used only in delivery mode");
		else if (option == 'C')
			status = config_at(c, optarg, arena) ? COMMAND_DONE : COMMAND_FAILED;
		else if (option == 'o' && optarg[0] == 'A')
			*name = optarg + 1;
	if (status == COMMAND_DONE && *name != NULL && **name == '\0')
		status = lookup_fatal(c, "-oA requires pathname");
	if (status == COMMAND_DONE && optind < c->argc)
		status = lookup_fatal(c, "alias initialization mode requires no recipient");
	return status == COMMAND_DONE ? COMMAND_DONE : EX_TEMPFAIL;
}

static int
look_at_aliases(struct wish *w, struct settings *s, const char *named, struct arena *arena)
{
	struct common_settings common;
	int                    status = COMMAND_DONE;
	char                  *name;

	if (!settings_fill(s, &common_setting_table, NULL, &common, NULL))
		return COMMAND_FAILED;
	w->source = source_here(s);
	w->source.how |= TABLE_LEAVES_OUT | tables_alias_how(s);
	if (named != NULL) {
		name = arena_copy(arena, bytes_of(named));
		return look_at(w, &name, 1);
	}
	for (size_t i = 0; i < common.alias_database.count && status == COMMAND_DONE; i++) {
		name = arena_copy(arena, bytes_of(common.alias_database.item[i]));
		status = look_at(w, &name, 1);
	}
	return status;
}

static int
run_newaliases(struct call *c)
{
	struct wish      w = { .call = c, .grammar = TABLE_ALIASES, .source = table_source_files };
	struct arena    *arena = arena_open(NULL);
	const char      *directory = getenv("MAIL_CONFIG");
	struct settings *s;
	const char      *named = NULL;
	int              status;

	if (directory != NULL)
		c->config = lookup_config(directory, arena);
	status = newaliases_options(c, &named, arena);
	s = status == COMMAND_DONE ? lookup_settings(c) : NULL;
	if (status == COMMAND_DONE)
		status = s != NULL ? look_at_aliases(&w, s, named, arena) : COMMAND_FAILED;
	arena_close(&arena);
	settings_close(&s);
	return status;
}
