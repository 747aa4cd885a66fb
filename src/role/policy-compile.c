/* policy-compile.c -- the restriction lists of a listener out of the settings: for whoever judges, and for the check */
#include "role/listeners.h"
#include "role/policy.h"
#include "role/settings.h"

#include <stdio.h>
#include <string.h>

struct compiling {
	struct settings *settings;
	const char      *listener;
};

static bool
is_pattern(void *ctx, const char *table)
{
	struct compiling *c = ctx;

	return table_is_pattern(table, tables_default_type(c->settings));
}

static const char *
table_fault(void *ctx, const char *table, struct arena *life)
{
	struct compiling *c = ctx;

	return table_name_fault(table, tables_default_type(c->settings), life);
}

static bool
class_of(void *ctx, const char *name, struct setting_list *out)
{
	struct compiling          *c = ctx;
	const struct setting       row = { .name = name, .kind = SETTING_RULES, .standard = "" };
	const struct setting_table table = { "", &row, 1 };
	struct setting_entry       e;
	bool                       set = false;

	for (size_t i = 0; settings_entry(c->settings, i, &e); i++) {
		const char *slash = strchr(e.name, '/');
		set = set || strcmp(slash == NULL ? e.name : slash + 1, name) == 0;
	}
	settings_know(c->settings, name);
	return set && settings_fill(c->settings, &table, c->listener, out, NULL);
}

static bool
lists(const char *words, const char *word)
{
	struct bytes rest = bytes_of(words);

	return bytes_search(rest, bytes_of(word)) >= 0;
}

/* Whether main.cf has it of this listener alone. */
static bool
is_own(const struct settings *s, const char *listener, const char *name)
{
	struct setting_entry e;
	size_t               n = strlen(listener);

	for (size_t i = 0; settings_entry(s, i, &e); i++)
		if (strncmp(e.name, listener, n) == 0 && e.name[n] == '/' &&
		    strcmp(e.name + n + 1, name) == 0)
			return true;
	return false;
}

/* Nobody relays by LMTP, and what is said of all listeners is said of SMTP. */
static void
settle_lmtp(struct settings *s, const char *listener, struct policy_settings *set)
{
	static const char *const relay[] = { "reject_unauth_destination" };

	for (enum rule_stage i = 0; i < RULE_STAGES; i++)
		if (!is_own(s, listener, rule_list_names[i]))
			set->list[i] = i == RULE_RELAY ? (struct setting_list){ relay, 1 }
			                               : (struct setting_list){ NULL, 0 };
	set->sender_check = LOGIN_UNCHECKED;
}

/* The one of that name, or one that an administrator named. */
static bool
speaks_lmtp(struct settings *s, const char *listener)
{
	struct listeners all;
	size_t           place;

	listeners_read(s, &all);
	place = listener_place(&all, bytes_of(listener));
	return place < all.count && all.one[place].service == LISTEN_LMTP;
}

struct rules *
policy_compile(struct settings *s, const char *listener, struct buffer *errors,
               struct buffer *warnings)
{
	struct compiling c = { s, listener };
	const char      *delimiters = settings_value(s, "recipient_delimiter"),
		   *parents = settings_value(s, "parent_domain_matches_subdomains");
	struct rule_world world = {
		.is_pattern = is_pattern,
		.table_fault = table_fault,
		.class_of = class_of,
		.ctx = &c,
		.lmtp = speaks_lmtp(s, listener),
		.delimiters = delimiters == NULL ? "" : delimiters,
		.bare_parents = parents != NULL && lists(parents, "smtpd_access_maps"),
	};
	struct policy_settings set;

	if (!settings_fill(s, &policy_setting_table, listener, &set, errors) ||
	    !settings_fill(s, &witness_setting_table, listener, &set.witness, errors))
		return NULL;
	set.witness.myhostname = settings_value(s, "myhostname");
	set.witness.myorigin = settings_value(s, "myorigin");
	if (world.lmtp)
		settle_lmtp(s, listener, &set);
	return rules_compile(&set, &world, errors, warnings);
}

/*
 * The check
 */

static bool
is_said(const struct settings *s, const char *name, int *line)
{
	struct setting_entry e;

	for (size_t i = 0; settings_entry(s, i, &e); i++)
		if (strcmp(e.name, name) == 0) {
			*line = e.line;
			return true;
		}
	return false;
}

/* "NAME: words", each with the line where the name stands, and with the listener whose it is: that of all is the first's.
   What was said of one before is not said of the next, too. */
static void
put_lines(const struct settings *s, const char *file, const char *listener, bool first,
          struct bytes lines, struct buffer *out)
{
	struct bytes one, rest, name;
	char         text[128], own[160];

	while (bytes_split(&lines, '\n', &one)) {
		int  line = 0;
		bool whose;

		rest = one;
		if (one.len == 0 || !bytes_split(&rest, ':', &name) ||
		    bytes_search(buffer_bytes(out), one) >= 0)
			continue;
		if (!bytes_string(name, text, sizeof text))
			text[0] = '\0';
		(void)snprintf(own, sizeof own, "%s/%s", listener, text);
		whose = is_said(s, own, &line) || !first;
		if (line > 0 || is_said(s, text, &line))
			buffer_printf(out, "%s:%d: ", file, line);
		else
			buffer_printf(out, "%s: ", file);
		buffer_printf(out, "%s%s%.*s\n", whose ? listener : "", whose ? "/" : "",
		              (int)one.len, one.at);
	}
}

static bool
says_of_screen(const struct settings *s, const char **name, int *line)
{
	struct setting_entry e;

	for (size_t i = 0; settings_entry(s, i, &e); i++)
		if (strncmp(e.name, "postscreen_", 11) == 0) {
			*name = e.name;
			*line = e.line;
			return true;
		}
	return false;
}

bool
policy_check(struct settings *s, const char *file, struct buffer *errors, struct buffer *warnings)
{
	bool             good = true;
	const char      *name;
	int              line, other;
	struct listeners all;

	listeners_read(s, &all);
	for (size_t i = 0; i < all.count; i++) {
		struct buffer wrong = { 0 }, doubtful = { 0 };
		struct rules *rules;

		/* Each by itself: one may have a class or a list of sites of its own. */
		if (all.one[i].service > LISTEN_LMTP)
			continue;
		rules = policy_compile(s, all.one[i].name, &wrong, &doubtful);
		put_lines(s, file, all.one[i].name, i == 0, buffer_bytes(&wrong), errors);
		put_lines(s, file, all.one[i].name, i == 0, buffer_bytes(&doubtful), warnings);
		good = good && rules != NULL;
		rules_drop(&rules);
		buffer_free(&wrong);
		buffer_free(&doubtful);
	}
	/* postscreen is a service of its own in Postfix's master.cf, and a setting here. */
	if (!is_said(s, "postscreen_enable", &other) && !is_own(s, "smtp", "postscreen_enable") &&
	    says_of_screen(s, &name, &line))
		buffer_printf(
			warnings,
			"%s:%d: %s is set and postscreen_enable is not: nobody is tested; write "
			"postscreen_enable = yes\n",
			file, line, name);
	/* A file from before smtpd_relay_restrictions says who may relay among its rules for recipients. */
	if (is_said(s, "smtpd_recipient_restrictions", &line) &&
	    !is_said(s, "smtpd_relay_restrictions", &other))
		buffer_printf(
			warnings,
			"%s:%d: smtpd_recipient_restrictions is set and smtpd_relay_restrictions "
			"is not: its standard (%s) is asked before it; set it, to say who may relay\n",
			file, line, settings_value(s, "smtpd_relay_restrictions"));
	return good;
}
