/* postconf -- the settings as Postfix's command shows and edits them */
#include <errno.h>
#include <getopt.h>
#include <openssl/crypto.h>
#include <openssl/opensslv.h>
#include <stdlib.h>
#include <string.h>

#include "base/cf.h"
#include "base/map.h"
#include "base/service_line.h"
#include "command/edition.h"
#include "command/lookup.h"
#include "command/postconf-doubts.h"
#include "command/postconf-templates.h"
#include "role/listeners.h"
#include "role/tables.h"
#include "role/transports.h"

enum { FOLD_AT = 80, WORDS_MOST = 2048 };

static int run_postconf(struct call *);

const struct command command_postconf = {
	.name = "postconf",
	.forms = "postconf [-dfhHnopx] [-c CONFIG_DIR] [-C CLASS] [-o NAME=VALUE] [NAME ...]\n"
		 "postconf [-e] [-c CONFIG_DIR] NAME=VALUE ...\n"
		 "postconf -X | -# [-c CONFIG_DIR] NAME ...\n"
		 "postconf -M [-e | -X | -#] [-c CONFIG_DIR] SERVICE/TYPE ...\n"
		 "postconf -M | -P [-e] [-fhHx] [-c CONFIG_DIR] [SERVICE ...]\n"
		 "postconf -F [-hH] [-c CONFIG_DIR] [SERVICE ...]\n"
		 "postconf -b | -t [-c CONFIG_DIR] [TEMPLATE_FILE]\n"
		 "postconf -a | -A | -l | -m\n"
		 "postconf -T compile-version | run-version | public-key-algorithms",
	.about = "Shows and edits the settings as Postfix's command of that name does.",
	.more = "Without names all settings are shown, with -n those that stand in the file, with -d the standard "
		"ones. -x expands every $name, -h leaves out the names, -H the values, -f folds long lines. -C user "
		"shows names that are set for use as $name alone; builtin those that are settings.\n"
		"\n"
		"-e, or NAME=VALUE alone, sets in the file; -X takes a name out of it and -# makes its lines remarks. The "
		"running server takes it up at: mansio reload.\n"
		"\n"
		"-M shows the listeners and the named transports in the form of master.cf, -P the settings that hold for one of them; there is "
		"no file master.cf. -F shows the fields of -M one by one. -M -e SERVICE/TYPE=ENTRY, with an entry of master.cf, writes the settings "
		"that say the same, its -o NAME=VALUE among them; -M -X and -M -# leave nothing to listen at, and no transport of that name. -P -e SERVICE/TYPE/NAME=VALUE sets SERVICE/NAME in main.cf.\n"
		"\n"
		"-t shows the texts of notices, -b with every $name put in: those of TEMPLATE_FILE, or of bounce_template_file, and our own "
		"where it has none.\n"
		"\n"
		"-m shows the types of lookup tables, -l the locks of mailboxes, -a and -A the values of smtpd_sasl_type and smtp_sasl_type that may stand in a file: saslauthd and Dovecot are asked by auth_backends. -T what OpenSSL is linked.",
	.run = run_postconf,
};

/* Letters of options that were given. */
struct wish {
	struct call     *call;
	struct settings *settings;
	int              lines; /* of the file itself */
	bool             given[128];
	const char *class;
	struct buffer  text; /* of the file, and of -o behind it */
	struct edition edition;
};

static bool
is(const struct wish *w, char option)
{
	return w->given[(unsigned char)option];
}

/*
 * Showing
 */

static void
put_folded(const char *name, const char *value)
{
	struct bytes rest = bytes_of(value), word;
	size_t       at = strlen(name) + 2;

	(void)printf("%s =", name);
	while (bytes_split(&rest, ' ', &word)) {
		if (word.len == 0)
			continue;
		if (at + 1 + word.len > FOLD_AT && at > 4) {
			(void)printf("\n   ");
			at = 3;
		}
		(void)printf(" %.*s", (int)word.len, word.at);
		at += 1 + word.len;
	}
	(void)putchar('\n');
}

static void
put(const struct wish *w, const char *name, const char *value)
{
	if (is(w, 'H'))
		(void)printf("%s\n", name);
	else if (is(w, 'h'))
		(void)printf("%s\n", value);
	else if (is(w, 'f'))
		put_folded(name, value);
	else
		(void)printf("%s =%s%s\n", name, *value == '\0' ? "" : " ", value);
}

/* The value in the file, or NULL. */
static const char *
value_set(const struct wish *w, const char *name)
{
	struct setting_entry e;

	for (size_t i = 0; settings_entry(w->settings, i, &e); i++)
		if (strcmp(e.name, name) == 0)
			return e.value;
	return NULL;
}

/* Scripts ask for it to find main.cf; it is where that lies, whatever is set. */
static void
show_directory(const struct wish *w)
{
	struct bytes path = bytes_of(w->call->config);
	ptrdiff_t    at = bytes_find_last(path, '/');
	char         text[4096];

	(void)snprintf(text, sizeof text, "%.*s", at > 0 ? (int)at : 1, at >= 0 ? path.at : ".");
	put(w, "config_directory", text);
}

/* False: no setting, and not set either. */
static bool
show_name(const struct wish *w, const char *name)
{
	const struct setting *row = house_setting_row(name);
	const char           *value = is(w, 'd') ? NULL : value_set(w, name);
	const char           *limit = row == NULL ? transports_limit(w->settings, name) : NULL;

	if (value == NULL && row == NULL && limit == NULL)
		return false;
	if (value == NULL)
		value = row != NULL ? row->standard : limit;
	if (is(w, 'x'))
		value = value == limit ? settings_value(w->settings, limit + 1)
		                       : settings_value(w->settings, name);
	put(w, name, value == NULL ? "" : value);
	return true;
}

static int
by_name(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Whether a list of classes, "user,builtin", has this one. */
static bool
has_class(const char *list, const char *name)
{
	struct bytes rest = bytes_of(list), one;

	while (bytes_split(&rest, ',', &one))
		if (bytes_equal(bytes_trim(one), bytes_of(name)))
			return true;
	return false;
}

/* NULL, or one of the classes of -C that is none. */
static const char *
class_wrong(const char *list, struct arena *arena)
{
	struct bytes rest = bytes_of(list), one;

	while (bytes_split(&rest, ',', &one)) {
		one = bytes_trim(one);
		if (!has_class("builtin,service,user,all", arena_copy(arena, one)))
			return arena_copy(arena, one);
	}
	return NULL;
}

/* Whether a class of -C has it. */
static bool
in_class(const struct wish *w, const char *name)
{
	bool builtin = house_setting_row(name) != NULL || postconf_elsewhere(name);

	return w->class == NULL || has_class(w->class, "all") ||
	       has_class(w->class, builtin ? "builtin" : "user");
}

static void
put_unused(void *unused, const struct setting_entry *e)
{
	(void)map_put(unused, bytes_of(e->name), unused);
}

static void
warn_unused(void *call, const struct setting_entry *e)
{
	struct call *c = call;

	lookup_warn(c, "%s: unused parameter: %s=%s", c->config, e->name, e->value);
}

/* Without those in `unused`. */
static void
show_all(const struct wish *w, const struct map *unused)
{
	const struct setting_table *t;
	struct setting_entry        e;
	const char                 *name[WORDS_MOST];
	size_t                      count = 0;

	for (size_t i = 0; !is(w, 'n') && (t = house_setting_table(i)) != NULL; i++)
		for (size_t r = 0; r < t->count && count < WORDS_MOST; r++)
			if (in_class(w, t->row[r].name))
				name[count++] = t->row[r].name;
	for (size_t i = 0; !is(w, 'd') && settings_entry(w->settings, i, &e); i++)
		if (e.line <= w->lines && strchr(e.name, '/') == NULL && count < WORDS_MOST &&
		    in_class(w, e.name) && (is(w, 'n') || house_setting_row(e.name) == NULL) &&
		    map_get(unused, bytes_of(e.name)) == NULL)
			name[count++] = e.name;
	qsort(name, count, sizeof *name, by_name);
	for (size_t i = 0; i < count; i++)
		(void)show_name(w, name[i]);
}

/* What is set and unused is as unknown as what is not set. */
static int
show(struct wish *w, int argc, char **argv)
{
	struct map *unused = map_open();

	postconf_unused(w->settings, w->lines, put_unused, unused);
	if (argc == 0)
		show_all(w, unused);
	for (int i = 0; i < argc; i++)
		if (strcmp(argv[i], "config_directory") == 0)
			show_directory(w);
		else if (map_get(unused, bytes_of(argv[i])) != NULL || !show_name(w, argv[i]))
			lookup_warn(w->call, "%s: unknown parameter", argv[i]);
	map_close(&unused);
	if (!is(w, 'd'))
		postconf_unused(w->settings, w->lines, warn_unused, w->call);
	return COMMAND_DONE;
}

/*
 * Editing
 */

/* The lines of a name made remarks. */
static void
comment_out(struct bytes text, const char *name, struct buffer *out)
{
	struct cf_line line = { .number = 0 };
	struct bytes   value;
	bool           inside = false;

	while (cf_next(&text, &line)) {
		if (line.kind == CF_BEGIN)
			inside = bytes_equal(cf_name(line.text, &value), bytes_of(name)) &&
			         value.at != NULL;
		if (inside && line.kind != CF_REMARK)
			buffer_add_char(out, '#');
		buffer_add(out, line.whole);
	}
}

/* "submission/inet/name" is submission/name in main.cf; NULL: it is not of that form. */
static const char *
listener_name(const char *name, struct arena *arena)
{
	const char *type = strchr(name, '/'), *end = type == NULL ? NULL : strchr(type + 1, '/');

	if (end == NULL)
		return NULL;
	return arena_printf(arena, "%.*s%s", (int)(type - name), name, end);
}

/* NULL, or what is wrong with one argument. */
static const char *
edit_one(struct wish *w, const char *argument, struct buffer *out, struct arena *arena)
{
	const char *equals = strchr(argument, '='), *name = argument;
	bool        sets = !is(w, 'X') && !is(w, '#');

	if (strchr(argument, '\n') != NULL)
		return "-e, -X, or -# accepts no multi-line input";
	if (sets && equals == NULL)
		return arena_printf(arena, "missing '=' after attribute name: \"%s\"", argument);
	if (!sets && equals != NULL)
		return "-X or -# requires names without value";
	if (sets)
		name = arena_copy(arena, bytes_trim((struct bytes){ argument,
		                                                    (size_t)(equals - argument) }));
	if (is(w, 'P') && (name = listener_name(name, arena)) == NULL)
		return arena_printf(arena, "\"%s\" is not SERVICE/TYPE/NAME", argument);
	if (*name == '\0')
		return arena_printf(arena, "missing attribute name: \"%s\"", argument);
	if (*name == '#')
		return "-e, -X, or -# accepts no comment input";
	if (sets && strpbrk(name, " \t") != NULL)
		return arena_printf(arena, "missing '=' after attribute name: \"%s\"", argument);
	if (is(w, '#'))
		comment_out(buffer_bytes(&w->text), name, out);
	else
		settings_edit(buffer_bytes(&w->text), name,
		              sets ? arena_copy(arena, bytes_trim(bytes_of(equals + 1))) : NULL,
		              out);
	return NULL;
}

/* listen_NAME of "NAME/inet"; NULL: nobody listens so here. */
static const struct setting *
listener_row(struct bytes service, struct arena *arena)
{
	struct bytes name;

	(void)bytes_split(&service, '/', &name);
	if (bytes_is(name, "smtps"))
		name = BYTES("submissions");
	return house_setting_row(arena_printf(arena, "listen_%.*s", (int)name.len, name.at));
}

static void
edit_pair(struct buffer *text, const char *name, const char *value)
{
	struct buffer out = { 0 };

	settings_edit(buffer_bytes(text), name, value, &out);
	buffer_free(text);
	*text = out;
}

/* A listener that `listeners` does not name yet. */
static void
edit_named(const struct wish *w, struct buffer *text, const char *name, struct arena *arena)
{
	const char  *before = value_set(w, "listeners");
	struct bytes rest = bytes_of(before), word;

	while (bytes_split(&rest, ' ', &word))
		if (bytes_is(word, name))
			return;
	edit_pair(text, "listeners",
	          before == NULL || *before == '\0' ? name
	                                            : arena_printf(arena, "%s %s", before, name));
}

/* An entry of a master.cf becomes the settings that say the same.  NULL, or what is wrong. */
static const char *
service_set(struct wish *w, struct bytes service, struct bytes entry, struct buffer *out,
            struct arena *arena)
{
	struct service_line line;
	bool                read = service_line_read(entry, arena, &line);

	service = bytes_trim(service);
	if (!read || line.kind == SERVICE_PROGRAM)
		return arena_printf(
			arena,
			"there is no master.cf, and no service \"%.*s\"%s%s; mansio postconf -M "
			"shows those there are",
			(int)service.len, service.at, read ? ": " : "", read ? line.note : "");
	if (line.kind == SERVICE_INSIDE)
		return arena_printf(arena, "\"%.*s\" cannot be changed: %s", (int)service.len,
		                    service.at, line.note);
	for (size_t i = 0; i < line.pairs; i++)
		if (strcmp(line.pair[i].value, "pipe") == 0)
			return arena_printf(
				arena, "there is no service \"%.*s\": a pipe wants user= and argv=",
				(int)service.len, service.at);
	buffer_add(out, buffer_bytes(&w->text));
	if (line.named)
		edit_named(w, out, line.name, arena);
	for (size_t i = 0; i < line.pairs; i++)
		edit_pair(out, line.pair[i].name, line.pair[i].value);
	return NULL;
}

/* The names of `listeners` without this one; NULL: it is none of them. */
static const char *
listeners_without(const struct wish *w, struct bytes name, struct arena *arena)
{
	struct bytes rest = bytes_of(value_set(w, "listeners")), word;
	const char  *less = "";
	bool         there = false;

	while (bytes_split(&rest, ' ', &word))
		if (bytes_equal(word, name))
			there = true;
		else if (word.len > 0)
			less = arena_printf(arena, "%s%s%.*s", less, *less == '\0' ? "" : " ",
			                    (int)word.len, word.at);
	return there ? less : NULL;
}

/* Takes a transport or a named listener, and what is its own, out of the file, or makes remarks of it. */
static bool
named_drop(const struct wish *w, struct bytes service, struct buffer *out, struct arena *arena)
{
	struct bytes         rest = service, name;
	struct setting_entry e;
	const char          *own, *listeners = NULL;
	bool                 transport;

	(void)bytes_split(&rest, '/', &name);
	own = arena_printf(arena, "%.*s/", (int)name.len, name.at);
	transport = bytes_is(rest, "unix") &&
	            value_set(w, arena_printf(arena, "%stransport", own)) != NULL;
	if (!transport && (listeners = listeners_without(w, name, arena)) == NULL)
		return false;
	buffer_add(out, buffer_bytes(&w->text));
	if (listeners != NULL)
		edit_pair(out, "listeners", *listeners == '\0' ? NULL : listeners);
	for (size_t i = 0; settings_entry(w->settings, i, &e); i++)
		if (bytes_starts(bytes_of(e.name), bytes_of(own))) {
			struct buffer less = { 0 };
			if (is(w, '#'))
				comment_out(buffer_bytes(out), e.name, &less);
			else
				settings_edit(buffer_bytes(out), e.name, NULL, &less);
			buffer_free(out);
			*out = less;
		}
	return true;
}

/* -M -e, -X and -#.  NULL, or what is wrong. */
static const char *
edit_service(struct wish *w, const char *argument, struct buffer *out, struct arena *arena)
{
	struct bytes          rest = bytes_of(argument), service;
	const struct setting *row;
	bool                  sets = !is(w, 'X') && !is(w, '#');

	if (sets != (strchr(argument, '=') != NULL))
		return sets ? arena_printf(arena, "missing '=' after service/type: \"%s\"",
		                           argument)
		            : "-X or -# requires names without value";
	(void)bytes_split(&rest, '=', &service);
	if (sets)
		return service_set(w, service, rest, out, arena);
	if (named_drop(w, bytes_trim(service), out, arena))
		return NULL;
	row = listener_row(bytes_trim(service), arena);
	if (row == NULL)
		return arena_printf(
			arena,
			"there is no master.cf, and no service \"%.*s\"; mansio postconf -M "
			"shows those there are",
			(int)service.len, service.at);
	settings_edit(buffer_bytes(&w->text), row->name, "", out);
	return NULL;
}

/* Of two values for one name the last counts. */
static void
warn_of_earlier(const struct wish *w, int argc, char **argv)
{
	for (int i = 0; i < argc && !is(w, 'M'); i++) {
		struct bytes value = bytes_of(argv[i]), name, other;
		bool         again = false;

		(void)bytes_split(&value, '=', &name);
		for (int k = i + 1; k < argc && !again; k++) {
			struct bytes rest = bytes_of(argv[k]);

			(void)bytes_split(&rest, '=', &other);
			again = bytes_equal(bytes_trim(name), bytes_trim(other));
		}
		name = bytes_trim(name);
		value = bytes_trim(value);
		if (again && strchr(argv[i], '=') != NULL)
			lookup_warn(w->call, "ignoring earlier request: '%.*s = %.*s'",
			            (int)name.len, name.at, (int)value.len, value.at);
	}
}

static int
edit(struct wish *w, int argc, char **argv)
{
	struct arena *arena = arena_open(NULL);
	const char   *why = NULL;
	int           status = COMMAND_DONE;

	warn_of_earlier(w, argc, argv);
	for (int i = 0; i < argc && why == NULL; i++) {
		struct buffer out = { 0 };
		why = is(w, 'M') ? edit_service(w, argv[i], &out, arena)
		                 : edit_one(w, argv[i], &out, arena);
		buffer_free(&w->text);
		w->text = out;
	}
	if (why != NULL)
		status = lookup_fatal(w->call, "%s", why);
	else if (!edition_write(&w->edition, buffer_bytes(&w->text)))
		status = lookup_fatal(w->call, "open %s: %s", w->call->config, strerror(errno));
	arena_close(&arena);
	return status;
}

/*
 * Listeners and transports
 */

/* Service, or service and type; with -P and -F another. */
static const char *
request_wrong(const struct wish *w, int argc, char **argv, struct arena *arena)
{
	static const struct {
		char        option;
		int         slashes;
		const char *form;
	} forms[] = { { 'M', 1, "service_name[/type]" },
		      { 'F', 2, "service_name[/type[/field]]" },
		      { 'P', 2, "service_name[/type[/parameter]]" } };

	for (size_t f = 0; f < COUNT(forms); f++)
		for (int i = 0; i < argc && is(w, forms[f].option); i++) {
			int slashes = 0;
			for (const char *at = argv[i]; (at = strchr(at, '/')) != NULL; at++)
				slashes++;
			if (slashes > forms[f].slashes)
				return arena_printf(arena, "-%c option requires %s",
				                    forms[f].option, forms[f].form);
		}
	return NULL;
}

/* What stands in the last column of master.cf. */
static const char *
program_of(enum listener_service s)
{
	return s == LISTEN_LMTP   ? "lmtpd"
	       : s >= LISTEN_POP3 ? "pop3"
	       : s >= LISTEN_IMAP ? "imap"
	                          : "smtpd";
}

/* Whether a request of -M or -P, "submission/inet", names this one; a "*" names all. */
static bool
is_asked(const char *request, const char *service, const char *type, const char *name)
{
	const char  *is[] = { service, type, name };
	struct bytes rest = bytes_of(request), part;

	for (size_t i = 0; bytes_split(&rest, '/', &part); i++)
		if (i >= COUNT(is) || is[i] == NULL ||
		    (!bytes_is(part, "*") && !bytes_equal(part, bytes_of(is[i]))))
			return false;
	return true;
}

static bool
is_wanted(int argc, char **argv, bool *heard, const char *service, const char *type,
          const char *name)
{
	bool wanted = argc == 0;

	for (int i = 0; i < argc; i++)
		if (is_asked(argv[i], service, type, name))
			wanted = heard[i] = true;
	return wanted;
}

/* Every override of one listener, for -P as a line and for -M behind its own. */
static void
show_own(const struct wish *w, const char *service, const char *type, int argc, char **argv,
         bool *heard)
{
	struct setting_entry e;
	size_t               n = strlen(service);

	for (size_t i = 0; settings_entry(w->settings, i, &e); i++) {
		if (strncmp(e.name, service, n) != 0 || e.name[n] != '/' ||
		    strcmp(e.name + n, "/transport") == 0)
			continue;
		if (is(w, 'M')) {
			(void)printf("    -o %s=%s\n", e.name + n + 1, e.value);
		} else if (is_wanted(argc, argv, heard, service, type, e.name + n + 1)) {
			struct arena *scratch = arena_open(NULL);
			put(w, arena_printf(scratch, "%s/%s/%s", service, type, e.name + n + 1),
			    e.value);
			arena_close(&scratch);
		}
	}
}

/* -F: "service/type/field = value". */
static void
show_fields(const struct wish *w, int argc, char **argv, bool *heard, const char *const service[2],
            const char *program)
{
	const char *const field[][2] = {
		{ "service", service[0] }, { "type", service[1] }, { "private", "n" },
		{ "unprivileged", "-" },   { "chroot", "y" },      { "wakeup", "-" },
		{ "process_limit", "-" },  { "command", program },
	};
	struct arena *scratch = arena_open(NULL);

	for (size_t i = 0; i < COUNT(field); i++)
		if (is_wanted(argc, argv, heard, service[0], service[1], field[i][0]))
			put(w,
			    arena_printf(scratch, "%s/%s/%s", service[0], service[1], field[i][0]),
			    field[i][1]);
	arena_close(&scratch);
}

/* NULL, or a field that is asked for and is none. */
static const char *
field_wrong(int argc, char **argv)
{
	static const char *const fields[] = { "service",       "type",    "private",
		                              "unprivileged",  "chroot",  "wakeup",
		                              "process_limit", "command", "*" };

	for (int i = 0; i < argc; i++) {
		struct bytes rest = bytes_of(argv[i]), part, name = { NULL, 0 };
		bool         known = false;

		for (int n = 0; bytes_split(&rest, '/', &part); n++)
			name = n == 2 ? part : name;
		for (size_t f = 0; f < COUNT(fields); f++)
			known = known || bytes_is(name, fields[f]);
		if (name.len > 0 && !known)
			return name.at;
	}
	return NULL;
}

static void
show_transports(const struct wish *w, int argc, char **argv, bool *heard)
{
	struct arena *arena = arena_open(NULL);
	const char   *name, *value;
	size_t        place = 0;

	while ((name = transports_name(w->settings, true, &place)) != NULL) {
		value = settings_value(w->settings, arena_printf(arena, "%s/transport", name));
		if (is(w, 'F')) {
			show_fields(w, argc, argv, heard, (const char *[]){ name, "unix" }, value);
			continue;
		}
		if (is(w, 'M') && !is_wanted(argc, argv, heard, name, "unix", NULL))
			continue;
		if (is(w, 'M'))
			(void)printf("%-10s unix  -       -       y       -       -       %s\n",
			             name, value);
		show_own(w, name, "unix", argc, argv, heard);
	}
	arena_close(&arena);
}

static void
show_listeners(const struct wish *w, const struct common_settings *common, int argc, char **argv,
               bool *heard)
{
	struct listeners all;

	listeners_read(w->settings, &all);
	for (size_t l = 0; l < all.count; l++) {
		const enum listener_service service = all.one[l].service;
		struct setting_list         list = { NULL, 0 };
		const char                 *name = all.one[l].name, *type = "inet";

		if (l < LISTEN_SERVICES)
			list = common->listen[l];
		else
			(void)listener_addresses(w->settings, name, &list);
		if (list.count == 0 || !house_speaks(common, service))
			continue;
		if (strncmp(list.item[0], "unix:", 5) == 0)
			type = "unix";
		if (is(w, 'F'))
			show_fields(w, argc, argv, heard, (const char *[]){ name, type },
			            program_of(service));
		else if (is(w, 'M') && is_wanted(argc, argv, heard, name, type, NULL))
			(void)printf("%-10s %-5s n       -       y       -       -       %s\n",
			             name, type, program_of(service));
		else if (is(w, 'M'))
			continue;
		if (is(w, 'F'))
			continue;
		show_own(w, name, type, argc, argv, heard);
	}
}

static int
show_services(struct wish *w, int argc, char **argv)
{
	struct common_settings common;
	bool                  *heard;
	struct arena          *arena = arena_open(NULL);
	const char            *wrong = request_wrong(w, argc, argv, arena);
	int                    status = COMMAND_DONE;

	if (wrong != NULL)
		status = lookup_fatal(w->call, "%s", wrong);
	arena_close(&arena);
	if (status != COMMAND_DONE)
		return status;
	wrong = is(w, 'F') ? field_wrong(argc, argv) : NULL;
	if (wrong != NULL)
		return lookup_fatal(w->call, "invalid service attribute name: \"%s\"", wrong);
	if (!settings_fill(w->settings, &common_setting_table, NULL, &common, NULL))
		return lookup_fatal(w->call, "%s is not as it should be", w->call->config);
	heard = memory_take((size_t)argc + 1);
	show_listeners(w, &common, argc, argv, heard);
	show_transports(w, argc, argv, heard);
	for (int i = 0; i < argc; i++)
		if (!heard[i])
			lookup_warn(w->call, "unmatched request: \"%s\"", argv[i]);
	memory_free(heard);
	return COMMAND_DONE;
}

/*
 * What there is
 */

static int
show_types(void)
{
	const struct table_type *t;

	for (size_t i = 0; (t = table_type_at(i)) != NULL; i++)
		(void)puts(t->name);
	return COMMAND_DONE;
}

/* What is linked, and the kinds of keys that certificates here may have. */
static int
show_tls(struct call *c, const char *mode)
{
	static const struct {
		const char *mode, *text;
	} fixed[] = {
		{ "compile-version", OPENSSL_VERSION_TEXT },
		{ "public-key-algorithms", "ecdsa\nrsa" },
	};

	for (size_t i = 0; i < COUNT(fixed); i++)
		if (strcmp(mode, fixed[i].mode) == 0) {
			(void)puts(fixed[i].text);
			return COMMAND_DONE;
		}
	if (strcmp(mode, "run-version") == 0) {
		(void)puts(OpenSSL_version(OPENSSL_VERSION));
		return COMMAND_DONE;
	}
	lookup_warn(c, "unknown 'postconf -T' mode: %s", mode);
	return COMMAND_FAILED;
}

static int
count_lines(struct bytes text)
{
	struct bytes line;
	int          n = 0;

	while (bytes_split(&text, '\n', &line))
		n++;
	return n;
}

/* The file, and -o behind it.  Standard values need no file. */
static bool
read_settings(struct wish *w, const struct buffer *more)
{
	struct buffer errors = { 0 }, warnings = { 0 }, whole = { 0 };

	if (!is(w, 'd') && !command_read(w->call->config, &w->text))
		return false;
	buffer_add(&whole, buffer_bytes(&w->text));
	buffer_add_char(&whole, '\n');
	buffer_add(&whole, buffer_bytes(more));
	w->lines = count_lines(buffer_bytes(&whole));
	w->settings =
		house_settings_read(buffer_bytes(&whole), w->call->config, &errors, &warnings);
	command_print(buffer_bytes(&errors), stderr);
	buffer_free(&errors);
	buffer_free(&warnings);
	buffer_free(&whole);
	return w->settings != NULL;
}

static bool
edits_file(const struct wish *w)
{
	return is(w, 'e') || is(w, 'X') || is(w, '#');
}

static int
run_wish(struct wish *w, int argc, char **argv)
{
	bool edits = edits_file(w);

	if (edits && argc == 0)
		return lookup_fatal(w->call, "%s",
		                    is(w, 'e') ? "-e requires name=value argument"
		                               : "missing service argument");
	if (!edits && !is(w, 'd'))
		postconf_overruled(w->call, buffer_bytes(&w->text));
	if (is(w, 't') || is(w, 'b'))
		return templates_show(w->settings, argc > 0 ? argv[0] : NULL, is(w, 'b'));
	if (edits && is(w, 'F') && postconf_means_cage(argc, argv)) {
		lookup_warn(w->call,
		            "nothing to change: each process is in a cage of its own, whatever "
		            "master.cf says of chroot and privileges");
		return COMMAND_DONE;
	}
	if (edits && is(w, 'F'))
		return lookup_fatal(
			w->call,
			"fields of services are not set one by one; write listen_SERVICE, or NAME/transport, in main.cf");
	if (edits)
		return edit(w, argc, argv);
	return is(w, 'M') || is(w, 'P') || is(w, 'F') ? show_services(w, argc, argv)
	                                              : show(w, argc, argv);
}

/* Who edits reads what the one before wrote. */
static int
run_settled(struct wish *w, const struct buffer *more, int argc, char **argv)
{
	int status = COMMAND_FAILED;

	if (edits_file(w) && !edition_open(&w->edition, w->call->config))
		return lookup_fatal(w->call, "open %s: %s", w->call->config, strerror(errno));
	if (read_settings(w, more))
		status = run_wish(w, argc, argv);
	edition_close(&w->edition);
	return status;
}

static int
run_postconf(struct call *c)
{
	struct wish   w = { .call = c, .edition = { .fd = -1 } };
	struct arena *arena = arena_open(NULL);
	struct buffer more = { 0 };
	const char   *directory = getenv("MAIL_CONFIG");
	const char   *mode = "";
	const char   *wrong = NULL;
	char          clash[POSTCONF_WHY];
	int           option, status = 0;

	if (directory != NULL)
		c->config = lookup_config(directory, arena);
	optind = 0;
	while ((option = getopt(c->argc, c->argv, "+aAbc:C:defFhHlmMno:pPtT:vxX#")) != -1) {
		w.given[option & 127] = true;
		if (option == 'c')
			c->config = lookup_config(optarg, arena);
		else if (option == 'C')
			w.class = optarg;
		else if (option == 'T')
			mode = optarg;
		else if (option == 'o')
			buffer_printf(&more, "%s\n", optarg);
		if (option == 'o' && strchr(optarg, '=') == NULL && wrong == NULL)
			wrong = arena_printf(
				arena,
				"invalid parameter override: %s: missing '=' after attribute name",
				optarg);
		if (option == 'C' && wrong == NULL && class_wrong(optarg, arena) != NULL)
			wrong = arena_printf(arena, "unknown -C option value \"%s\" in \"%s\"",
			                     class_wrong(optarg, arena), optarg);
	}
	for (int i = optind; i < c->argc; i++)
		w.given['e'] |= strchr(c->argv[i], '=') != NULL;
	if (is(&w, '?'))
		status = lookup_fatal(c, "usage: postconf [-aAbdefFhHlmMnpPtxX#] [-c config_dir] "
		                         "[-C class] [-o name=value] [name...]");
	else if (wrong != NULL)
		status = lookup_fatal(c, "%s", wrong);
	else if (postconf_clash(w.given, clash))
		status = lookup_fatal(c, "%s", clash);
	else if (is(&w, 'T'))
		status = show_tls(c, mode);
	else if (is(&w, 'm'))
		status = show_types();
	else if (is(&w, 'l'))
		(void)puts("flock\nfcntl\ndotlock");
	else if (is(&w, 'a') || is(&w, 'A'))
		(void)puts(is(&w, 'a') ? "cyrus\ndovecot" : "cyrus");
	else
		status = run_settled(&w, &more, c->argc - optind, c->argv + optind);
	settings_close(&w.settings);
	buffer_free(&w.text);
	buffer_free(&more);
	arena_close(&arena);
	return status;
}
