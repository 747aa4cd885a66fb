#include "command/postfix.h"

#include <fcntl.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/arena.h"
#include "command/command.h"
#include "delivery/forward.h"
#include "directory/resolve.h"
#include "directory/walk.h"
#include "role/tables.h"

enum { USERS_MOST = 20000 };

bool
postfix_is(struct bytes text)
{
	static const char *const names[] = { "alias_database",     "alias_maps",
		                             "command_directory",  "compatibility_level",
		                             "daemon_directory",   "inet_interfaces",
		                             "mail_owner",         "mailbox_size_limit",
		                             "mydestination",      "mydomain",
		                             "myhostname",         "myorigin",
		                             "queue_directory",    "readme_directory",
		                             "relayhost",          "smtpd_banner",
		                             "virtual_alias_maps", "virtual_mailbox_maps" };
	struct bytes             line, name;

	while (bytes_split(&text, '\n', &line))
		for (size_t i = 0; i < COUNT(names); i++) {
			struct bytes rest = line;

			if (bytes_split(&rest, '=', &name) && rest.at != NULL &&
			    bytes_is(bytes_trim(name), names[i]))
				return true;
		}
	return false;
}

/* ---- who runs a command -------------------------------------------------------- */

struct looking {
	struct arena *scratch;
	const char   *alias;   /* the first that runs one, NULL none does */
	const char   *forward; /* the first file that does                */
};

static void
look_at_alias(void *ctx, struct bytes name, struct bytes value)
{
	struct looking   *l = ctx;
	struct alias_part part;

	while (l->alias == NULL && bytes_find(value, '|') >= 0 &&
	       alias_next(&value, false, l->scratch, &part))
		if (part.kind == TARGET_COMMAND)
			l->alias = arena_copy(l->scratch, name);
}

static void
look_at_aliases(struct looking *l, struct settings *s)
{
	struct resolve_rules      rules;
	const struct table_source source = tables_source(s);

	if (!settings_fill(s, &resolve_setting_table, NULL, &rules, NULL))
		return;
	for (size_t i = 0; i < rules.alias_maps.count && l->alias == NULL; i++) {
		struct buffer said = { 0 };
		struct table *t = table_is_remote(rules.alias_maps.item[i], source.default_type)
		                          ? NULL
		                          : table_open(rules.alias_maps.item[i], TABLE_ALIASES,
		                                       &source, &said, &said);

		if (t != NULL)
			(void)table_each(t, look_at_alias, l);
		table_close(&t);
		buffer_free(&said);
	}
}

/* What cannot be read counts for nothing, here as where mail comes. */
static bool
runs_command(const char *path, struct arena *scratch)
{
	static struct forward_target target[FORWARD_TARGETS_MOST];
	char                         text[FORWARD_TEXT_MOST];
	int     fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	ssize_t n = fd >= 0 ? read(fd, text, sizeof text) : -1;
	size_t  count;
	bool    wrong;

	if (fd >= 0)
		(void)close(fd);
	if (n <= 0)
		return false;
	count = forward_read((struct bytes){ text, (size_t)n }, scratch, target, &wrong);
	for (size_t i = 0; i < count; i++)
		if (target[i].kind == FORWARD_COMMAND)
			return true;
	return false;
}

static void
look_at_forwards(struct looking *l)
{
	const struct passwd *user;
	int                  users = 0;

	setpwent();
	while (l->forward == NULL && users++ < USERS_MOST && (user = getpwent()) != NULL) {
		const char *path = arena_printf(l->scratch, "%s/.forward", user->pw_dir);

		if (runs_command(path, l->scratch))
			l->forward = path;
	}
	endpwent();
}

/* ---- the text --------------------------------------------------------------------- */

static bool
is_set(const struct settings *s, const char *name)
{
	return settings_line(s, name) > 0;
}

/* Postfix runs them by itself; here whoever wants that says so. */
static void
keep_commands(struct settings *s, struct buffer *out)
{
	struct looking l = { .scratch = arena_open(NULL) };

	if (!is_set(s, "allow_mail_to_commands")) {
		look_at_aliases(&l, s);
		look_at_forwards(&l);
		if (l.alias != NULL)
			buffer_printf(
				out,
				"# The alias \"%s\" runs a command, as Postfix allows it by itself.\n",
				l.alias);
		if (l.forward != NULL)
			buffer_printf(out, "# %s runs a command, as Postfix allows it by itself.\n",
			              l.forward);
		if (l.alias != NULL || l.forward != NULL)
			buffer_printf(out, "allow_mail_to_commands = %s\n",
			              l.alias == NULL     ? "forward"
			              : l.forward == NULL ? "alias"
			                                  : "alias, forward");
		else
			buffer_add_string(
				out,
				"# No alias and no .forward runs a command: allow_mail_to_commands "
				"stays empty, and none will.\n");
	}
	arena_close(&l.scratch);
}

void
postfix_translate(struct bytes text, const char *file, struct buffer *out)
{
	struct buffer    errors = { 0 }, warnings = { 0 };
	struct settings *s = house_settings_read(text, file, &errors, &warnings);

	buffer_add(out, text);
	if (text.len > 0 && text.at[text.len - 1] != '\n')
		buffer_add_char(out, '\n');
	buffer_add_string(out, "\n# Where the standard here is another than Postfix's:\n");
	if (s != NULL)
		keep_commands(s, out);
	else
		command_print(buffer_bytes(&errors), stderr);
	settings_close(&s);
	buffer_free(&errors);
	buffer_free(&warnings);
}
