/* config -- the settings: checked, shown, set */

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "base/map.h"
#include "channel/tls.h"
#include "command/chains.h"
#include "command/command.h"
#include "command/dovecot.h"
#include "command/edition.h"
#include "command/postfix.h"
#include "role/classes.h"
#include "role/tables-ask.h"
#include "role/tables.h"
#include "role/transports.h"
#include "role/wire.h"

static int run_config(struct call *);

const struct command command_config = {
	.name = "config",
	.forms = "config check [--offline]\n"
		 "config show [-n | -d] [-x] [-h] [NAME ...]\n"
		 "config set NAME=VALUE ...\n"
		 "config import FILE",
	.about =
		"Checks the settings, shows them, sets them in the file, or takes over those of Dovecot or Postfix.",
	.more = "check says what is wrong with main.cf and with the lookup tables it names, each complaint with its "
		"file and line and what would be right; it looks into the files of trust anchors, too. "
		"Databases and back ends of credentials that other servers keep are asked once, for somebody nobody has: what they do not want "
		"(a password, a table, a column) is an error, and that they cannot be reached now is warned of. --offline asks none of them.\n"
		"\n"
		"show prints settings as they count: with -n those that stand in the file, also those of one "
		"listener (submission/NAME), with -d the standard ones. Values are shown as they are written; with "
		"-x every $name in them is expanded, with -h the value stands alone.\n"
		"\n"
		"set writes the file anew with comments and order kept, after the whole of it was checked, and the tables it names. The "
		"running server takes it up at: mansio reload.\n"
		"\n"
		"import reads what doveconf -nP printed (\"-\" is the standard input) and prints lines for main.cf: protocols, listeners, "
		"TLS, the places of mailboxes, logins, and every setting that is called the same here. What has no name here is printed as a remark. "
		"Of a main.cf of Postfix's, which is read as it is, all lines are printed, and behind them those that keep its meaning "
		"where our own standard is another: allow_mail_to_commands, if an alias or a .forward runs a command. "
		"Nothing is changed; put the lines into the file, and say mansio config check.",
	.run = run_config,
};

/* A main.cf with all that is known of it. */
struct config {
	struct buffer    text;
	struct settings *settings;
};

/* False after complaining: text is not as it should be.  *warned: it was complained of, and holds. */
static bool
check_text(struct bytes text, const char *file, struct settings **out, bool *warned)
{
	struct buffer errors = { 0 }, warnings = { 0 };
	bool          good;

	*out = house_settings_read(text, file, &errors, &warnings);
	good = *out != NULL && house_settings_check(*out, file, &errors, &warnings);
	*warned = warnings.len > 0;
	command_print(buffer_bytes(&errors), stderr);
	command_print(buffer_bytes(&warnings), stderr);
	buffer_free(&errors);
	buffer_free(&warnings);
	return good;
}

/* The directory's, of a server that runs with this file. */
static void
ask_domains(struct call *c, struct settings *s, struct buffer *out)
{
	static const char *const ask[] = { "domain", "list" };
	struct common_settings   common;

	if (settings_fill(s, &common_setting_table, NULL, &common, NULL) && command_runs(&common))
		(void)command_hear(c, "clerk", &(struct word_ask){ ask, 2, { NULL, 0 } }, out);
}

/* The files of lookup tables too, line by line. */
static bool
check_tables(struct call *c, struct settings *s, bool *warned)
{
	struct buffer       errors = { 0 }, warnings = { 0 }, ours = { 0 };
	bool                good = tables_check(s, &errors, &warnings);
	struct table_source source = tables_source(s);

	ask_domains(c, s, &ours);
	classes_check(s, &source, buffer_bytes(&ours), &warnings);
	buffer_free(&ours);
	*warned = *warned || warnings.len > 0;
	command_print(buffer_bytes(&errors), stderr);
	command_print(buffer_bytes(&warnings), stderr);
	buffer_free(&errors);
	buffer_free(&warnings);
	return good;
}

/* What other servers keep. */
static bool
check_servers(struct settings *s, const char *file, bool *warned)
{
	struct buffer errors = { 0 }, warnings = { 0 };
	bool          good = tables_ask(s, file, &errors, &warnings);

	*warned = *warned || warnings.len > 0;
	command_print(buffer_bytes(&errors), stderr);
	command_print(buffer_bytes(&warnings), stderr);
	buffer_free(&errors);
	buffer_free(&warnings);
	return good;
}

/* A file that senders trust by: what in it is neither a certificate nor a public key is of no use.  0, or 1 after warning,
   or -1 after complaining: the server would not start with it. */
static int
check_anchor_file(const char *setting, const char *path)
{
	enum { BLOCKS_MOST = 1000 };
	struct buffer text = { 0 };
	struct bytes  rest;
	struct arena *a = arena_open(NULL);
	size_t        blocks = 0, good = 0;
	ptrdiff_t     at;
	int           result = -1;

	if (!command_read(path, &text)) {
		(void)fprintf(stderr, "%s = %s: it cannot be read\n", setting, path);
	} else if (bytes_search(buffer_bytes(&text), BYTES("PRIVATE KEY-----")) >= 0) {
		(void)fprintf(stderr,
		              "%s = %s: there is a private key in it; write a file of "
		              "certificates and public keys alone\n",
		              setting, path);
		explicit_bzero(text.at, text.len);
	} else {
		rest = buffer_bytes(&text);
		for (; (at = bytes_search(rest, BYTES("-----BEGIN "))) >= 0; blocks++)
			rest = bytes_cut(rest, (size_t)at + 1, SIZE_MAX);
		good = tls_anchors(buffer_bytes(&text), a,
		                   arena_take_array(a, BLOCKS_MOST, sizeof(struct tls_record)),
		                   BLOCKS_MOST);
		if (good == 0)
			(void)fprintf(stderr,
			              "%s = %s: no certificate or public key in it: nobody is "
			              "trusted by it\n",
			              setting, path);
		else if (good < blocks)
			(void)fprintf(stderr,
			              "%s = %s: of %zu parts in it %zu are certificates or public "
			              "keys; the others are passed over\n",
			              setting, path, blocks, good);
		result = good == 0 || good < blocks;
	}
	buffer_free(&text);
	arena_close(&a);
	return result;
}

/* Of each transport, each file once. */
static bool
check_anchors(struct settings *s, bool *warned)
{
	static const char *const names[] = { "smtp_tls_trust_anchor_file",
		                             "smtp_tls_policy_anchor_files" };
	struct map              *seen = map_open();
	const char              *transport;
	size_t                   place = 0;
	bool                     good = true;

	while ((transport = transports_name(s, false, &place)) != NULL) {
		struct sender_settings r;
		struct buffer          errors = { 0 };

		if (transport_sends_by(s, transport, &r, &errors)) {
			const struct setting_list *list[] = { &r.tls_anchors,
				                              &r.tls_policy_anchors };

			for (size_t l = 0; l < COUNT(list); l++)
				for (size_t i = 0; i < list[l]->count; i++) {
					struct bytes path = bytes_of(list[l]->item[i]);
					int          found;

					if (map_put(seen, path, s) != NULL)
						continue;
					found = check_anchor_file(names[l], list[l]->item[i]);
					good = good && found >= 0;
					*warned = *warned || found > 0;
				}
		}
		buffer_free(&errors);
	}
	map_close(&seen);
	return good;
}

static void
config_close(struct config *c)
{
	settings_close(&c->settings);
	buffer_free(&c->text);
}

static int
run_check(struct call *c)
{
	struct config config = { .settings = NULL };
	bool          offline = c->argc == 3 && strcmp(c->argv[2], "--offline") == 0;
	bool          warned = false, good;

	if (c->argc > 2 && !offline)
		return command_wrong(c, "\"%s\" is not --offline", c->argv[2]);
	good = command_read(c->config, &config.text) &&
	       check_text(buffer_bytes(&config.text), c->config, &config.settings, &warned) &&
	       check_tables(c, config.settings, &warned) &&
	       chains_check(config.settings, &warned) && check_anchors(config.settings, &warned) &&
	       (offline || check_servers(config.settings, c->config, &warned));
	if (good)
		(void)printf(warned ? "%s can be used; what it warns of is above\n"
		                    : "%s is as it should be\n",
		             c->config);
	config_close(&config);
	return good ? COMMAND_DONE : COMMAND_FAILED;
}

/*
 * Showing
 */

struct show {
	struct settings *settings;
	int              lines; /* of the file: what stands behind is found out, not set */
	bool             set, standard, expanded, bare;
};

static const char *
value_set(const struct show *s, const char *name, bool *in_file)
{
	struct setting_entry e;

	for (size_t i = 0; settings_entry(s->settings, i, &e); i++)
		if (strcmp(e.name, name) == 0) {
			*in_file = e.line <= s->lines;
			return e.value;
		}
	*in_file = false;
	return NULL;
}

static void
show_line(const struct show *s, const char *name, const char *value)
{
	if (s->expanded && !s->standard)
		value = settings_value(s->settings, name);
	if (!s->bare)
		(void)printf("%s =%s", name, *value == '\0' ? "" : " ");
	(void)printf("%s\n", value);
}

/* False: there is no such setting. */
static bool
show_name(const struct show *s, const char *name)
{
	const char           *slash = strchr(name, '/');
	const struct setting *row = house_setting_row(slash == NULL ? name : slash + 1);
	bool                  in_file;
	const char           *value = value_set(s, name, &in_file);

	if (row == NULL && value == NULL)
		return false;
	if (s->set && !in_file)
		return true;
	if (value == NULL && slash != NULL)
		value = value_set(s, slash + 1, &in_file);
	if ((s->standard || value == NULL) && row != NULL)
		value = row->standard;
	show_line(s, name, value);
	return true;
}

static void
show_all(const struct show *s)
{
	const struct setting_table *t;
	struct setting_entry        e;

	for (size_t i = 0; !s->set && (t = house_setting_table(i)) != NULL; i++)
		for (size_t r = 0; r < t->count; r++)
			(void)show_name(s, t->row[r].name);
	for (size_t i = 0; !s->standard && settings_entry(s->settings, i, &e); i++)
		if (e.line <= s->lines && (s->set || house_setting_row(e.name) == NULL))
			show_line(s, e.name, e.value);
}

static int
count_lines(struct bytes text)
{
	int          n = 0;
	struct bytes line;

	while (bytes_split(&text, '\n', &line))
		n++;
	return n;
}

static int
run_show(struct call *c)
{
	struct config config = { .settings = NULL };
	struct buffer errors = { 0 }, warnings = { 0 };
	struct show   s;
	int           status = COMMAND_DONE;

	s.set = command_option(c, "-n", NULL);
	s.standard = command_option(c, "-d", NULL);
	s.expanded = command_option(c, "-x", NULL);
	s.bare = command_option(c, "-h", NULL);
	if (!command_read(c->config, &config.text))
		return COMMAND_FAILED;
	config.settings =
		house_settings_read(buffer_bytes(&config.text), c->config, &errors, &warnings);
	command_print(buffer_bytes(&errors), stderr);
	command_print(buffer_bytes(&warnings), stderr);
	buffer_free(&errors);
	buffer_free(&warnings);
	s.settings = config.settings;
	s.lines = count_lines(buffer_bytes(&config.text));
	if (s.settings == NULL)
		status = COMMAND_FAILED;
	else if (c->argc == 2)
		show_all(&s);
	for (int i = 2; i < c->argc && s.settings != NULL; i++)
		if (!show_name(&s, c->argv[i])) {
			(void)fprintf(
				stderr,
				"mansio: %s is not a setting; those there are stand in main.cf(5)\n",
				c->argv[i]);
			status = COMMAND_FAILED;
		}
	config_close(&config);
	return status;
}

/*
 * Setting
 */

/* One NAME=VALUE into the text. */
static bool
edit(struct buffer *text, const char *assignment)
{
	struct arena *scratch = arena_open(NULL);
	struct buffer edited = { 0 };
	const char   *equals = strchr(assignment, '=');
	struct bytes  name;

	if (equals == NULL) {
		arena_close(&scratch);
		return false;
	}
	name = bytes_trim((struct bytes){ assignment, (size_t)(equals - assignment) });
	settings_edit(buffer_bytes(text), arena_copy(scratch, name),
	              arena_copy(scratch, bytes_trim(bytes_of(equals + 1))), &edited);
	buffer_free(text);
	*text = edited;
	arena_close(&scratch);
	return name.len > 0;
}

/* False after complaining: a table that cannot be used, and that is new.  What was wrong before does not keep anybody
   from mending something else. */
static bool
tables_still_good(struct settings *s, struct bytes before, const char *file)
{
	struct buffer    errors = { 0 }, was = { 0 }, unheard = { 0 };
	struct settings *old = house_settings_read(before, file, &unheard, &unheard);
	bool             good = tables_check(s, &errors, &unheard);

	if (!good && old != NULL && !tables_check(old, &was, &unheard))
		good = true;
	if (!good)
		command_print(buffer_bytes(&errors), stderr);
	settings_close(&old);
	buffer_free(&errors);
	buffer_free(&was);
	buffer_free(&unheard);
	return good;
}

/* From the text as it is until the new one stands in its place nobody else edits. */
static int
set_alone(struct call *c, struct edition *e)
{
	struct config config = { .settings = NULL };
	struct buffer before = { 0 };
	int           status = COMMAND_FAILED;
	bool          warned = false;

	if (!command_read(c->config, &config.text))
		return COMMAND_FAILED;
	buffer_add(&before, buffer_bytes(&config.text));
	for (int i = 2; i < c->argc; i++)
		if (!edit(&config.text, c->argv[i])) {
			config_close(&config);
			buffer_free(&before);
			return command_wrong(c, "\"%s\" is not NAME=VALUE", c->argv[i]);
		}
	if (!check_text(buffer_bytes(&config.text), c->config, &config.settings, &warned) ||
	    !tables_still_good(config.settings, buffer_bytes(&before), c->config))
		(void)fprintf(stderr, "mansio: %s stays as it was\n", c->config);
	else if (!edition_write(e, buffer_bytes(&config.text)))
		(void)fprintf(stderr, "mansio: %s: %s\n", c->config, strerror(errno));
	else
		status = COMMAND_DONE;
	config_close(&config);
	buffer_free(&before);
	return status;
}

static int
run_set(struct call *c)
{
	struct edition e;
	int            status = COMMAND_FAILED;

	if (c->argc < 3)
		return command_wrong(c, "nothing to set");
	if (!edition_open(&e, c->config)) {
		(void)fprintf(stderr, "mansio: %s: %s\n", c->config, strerror(errno));
		return COMMAND_FAILED;
	}
	status = set_alone(c, &e);
	edition_close(&e);
	return status;
}

static int
run_import(struct call *c)
{
	struct buffer theirs = { 0 }, ours = { 0 };

	if (c->argc != 3)
		return command_wrong(c, "config import wants one file");
	if (!command_read(c->argv[2], &theirs))
		return COMMAND_FAILED;
	if (postfix_is(buffer_bytes(&theirs)))
		postfix_translate(buffer_bytes(&theirs), c->argv[2], &ours);
	else
		dovecot_translate(buffer_bytes(&theirs), &ours);
	command_print(buffer_bytes(&ours), stdout);
	buffer_free(&theirs);
	buffer_free(&ours);
	return COMMAND_DONE;
}

static int
run_config(struct call *c)
{
	static const struct {
		const char *name;
		int (*run)(struct call *);
	} verbs[] = { { "check", run_check },
		      { "show", run_show },
		      { "set", run_set },
		      { "import", run_import } };

	for (size_t i = 0; i < COUNT(verbs) && c->argc > 1; i++)
		if (strcmp(c->argv[1], verbs[i].name) == 0)
			return verbs[i].run(c);
	return command_wrong(c,
	                     c->argc > 1 ? "config does not know \"%s\""
	                                 : "config wants to know what%s",
	                     c->argc > 1 ? c->argv[1] : "");
}
