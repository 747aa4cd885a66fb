#include "role/transports.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>

#include "role/confine.h"

struct transport_rows {
	const char *transport;
};

/* clang-format off */
static const struct setting rows[] = {
	{ "transport", SETTING_TEXT, offsetof(struct transport_rows, transport), "",
	  "Said for a name: what a transport of that name is, for transport_maps and wherever else one may stand. slow/transport = smtp (or "
	  "lmtp, relay) sends as that one does, with settings of its own, as slow/smtp_bind_address = 192.0.2.7; maildrop/transport = pipe "
	  "flags=DRhu user=vmail argv=/usr/bin/maildrop -d ${recipient} gives letters to a command of that user, as Postfix's pipe(8).", NULL, 0, 0, "0.3" },
};

static const struct built_in {
	const char *name;
	enum transport_kind kind;
	const char *service;
} built_in[TRANSPORTS_BUILT_IN] = {
	{ "smtp",    BY_SMTP,    "smtp"       },
	{ "relay",   BY_SMTP,    "relay/smtp" },
	{ TRANSPORT_SMTPS, BY_SMTP,    "smtps/smtp" },
	{ "lmtp",    BY_LMTP,    "lmtp"       },
	{ "error",   BY_ERROR,   "error"      },
	{ "retry",   BY_RETRY,   "error"      },
	{ "discard", BY_DISCARD, "discard"    },
	{ "hold",    BY_HOLD,    "qmgr"       },
	{ "local",   BY_LOCAL,   "local"      },
	{ "virtual", BY_VIRTUAL, "virtual"    },
};

/* What is said of each by a setting of its own name: slow_destination_concurrency_limit. */
static const struct limit {
	const char *behind;
	enum setting_kind kind;
	size_t      where;
	const char *standard;
	int64_t     least;
} limits[] = {
	{ "_destination_concurrency_limit", SETTING_NUMBER, offsetof(struct transport, concurrency), "$default_destination_concurrency_limit", 1 },
	{ "_initial_destination_concurrency", SETTING_NUMBER, offsetof(struct transport, first_concurrency), "$initial_destination_concurrency", 1 },
	{ "_destination_recipient_limit", SETTING_NUMBER, offsetof(struct transport, recipients), "$default_destination_recipient_limit", 1 },
	{ "_destination_concurrency_positive_feedback", SETTING_WORD, offsetof(struct transport, good), "$default_destination_concurrency_positive_feedback", 0 },
	{ "_destination_concurrency_negative_feedback", SETTING_WORD, offsetof(struct transport, bad), "$default_destination_concurrency_negative_feedback", 0 },
	{ "_destination_concurrency_failed_cohort_limit", SETTING_NUMBER, offsetof(struct transport, cohorts), "$default_destination_concurrency_failed_cohort_limit", 0 },
	{ "_destination_rate_delay", SETTING_TIME, offsetof(struct transport, rate_ms), "$default_destination_rate_delay", 0 },
	{ "_transport_rate_delay", SETTING_TIME, offsetof(struct transport, spacing_ms), "$default_transport_rate_delay", 0 },
};
/* clang-format on */

const struct setting_table transport_setting_table = { "Transports", rows, COUNT(rows) };

/* ---- names ---- */

/* NAME/transport */
static bool
is_transport_line(const struct setting_entry *e, struct bytes *name)
{
	const char *slash = strchr(e->name, '/');

	if (slash == NULL || strcmp(slash + 1, "transport") != 0)
		return false;
	*name = (struct bytes){ e->name, (size_t)(slash - e->name) };
	return true;
}

static bool
is_name(struct bytes name)
{
	for (size_t i = 0; i < name.len; i++)
		if (strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.",
		           name.at[i]) == NULL ||
		    name.at[i] == '\0')
			return false;
	return name.len > 0 && name.len <= TRANSPORT_NAME_MOST;
}

static const struct built_in *
built_in_named(struct bytes name)
{
	for (size_t i = 0; i < COUNT(built_in); i++)
		if (bytes_equal(name, bytes_of(built_in[i].name)))
			return &built_in[i];
	return NULL;
}

struct transport *
transport_named(struct transports *all, struct bytes name)
{
	for (size_t i = 0; i < all->count; i++)
		if (bytes_equal(name, bytes_of(all->one[i].name)))
			return &all->one[i];
	return NULL;
}

/* ---- what they are ---- */

/* "smtp", "pipe flags=..." : NULL, or what is wrong. */
static const char *
kind_of(struct bytes value, struct arena *a, struct transport *t)
{
	struct bytes           word = { NULL, 0 };
	const struct built_in *as;
	struct pipe_command    command;
	const char            *why;

	value = bytes_trim(value);
	t->command = value;
	while (word.len < value.len && value.at[word.len] != ' ' && value.at[word.len] != '\t')
		word.len++;
	word.at = value.at;
	t->command = bytes_trim(bytes_cut(value, word.len, SIZE_MAX));
	if (bytes_equal(word, BYTES("pipe"))) {
		t->kind = BY_PIPE;
		t->service = "pipe";
		if (!pipe_read(t->command, a, &command, &why))
			return why;
		t->final = (command.flags & PIPE_FINAL) != 0;
		return NULL;
	}
	if ((as = built_in_named(word)) == NULL || bytes_equal(word, BYTES(TRANSPORT_SMTPS)) ||
	    (as->kind != BY_SMTP && as->kind != BY_LMTP))
		return "write smtp, lmtp, relay, or pipe "
		       "and what it is told, as pipe flags=DRhu user=vmail argv=/usr/bin/maildrop -d "
		       "${recipient}";
	if (t->command.len > 0)
		return "nothing stands behind it but for pipe; write slow/smtp_bind_address = "
		       "192.0.2.7 and the like for settings of its own";
	t->kind = as->kind;
	t->service =
		as->kind == BY_SMTP || as->kind == BY_LMTP
			? arena_printf(a, "%s/%s", t->name, as->kind == BY_SMTP ? "smtp" : "lmtp")
			: as->service;
	return NULL;
}

enum transport_kind
transport_kind_of(const struct settings *s, struct bytes name)
{
	const struct built_in *as = built_in_named(name);
	enum transport_kind    kind = TRANSPORT_KINDS;
	struct arena          *a = arena_open(NULL);
	struct setting_entry   e;
	struct bytes           found;

	for (size_t i = 0; as == NULL && kind == TRANSPORT_KINDS && settings_entry(s, i, &e); i++) {
		struct transport t = { .name = "" };

		if (is_transport_line(&e, &found) && bytes_equal(found, name) &&
		    kind_of(arena_keep(a, bytes_of(e.value)), a, &t) == NULL)
			kind = t.kind;
	}
	arena_close(&a);
	return as != NULL ? as->kind : kind;
}

/* slow_destination_concurrency_limit, as a row. */
static struct setting
limit_row(const struct limit *l, const char *transport, char name[static TRANSPORT_NAME_MOST + 64])
{
	(void)snprintf(name, TRANSPORT_NAME_MOST + 64, "%s%s", transport, l->behind);
	return (struct setting){ .name = name,
		                 .kind = l->kind,
		                 .where = l->where,
		                 .standard = l->standard,
		                 .least = l->least,
		                 .most = l->kind == SETTING_TIME ? 86400000 : 10000 };
}

const char *
transports_limit(const struct settings *s, const char *name)
{
	size_t      place = 0;
	const char *transport;

	while ((transport = transports_name(s, false, &place)) != NULL)
		for (size_t i = 0, n = strlen(transport); i < COUNT(limits); i++)
			if (strncmp(name, transport, n) == 0 &&
			    strcmp(name + n, limits[i].behind) == 0)
				return limits[i].standard;
	return NULL;
}

static void
read_limits(struct settings *s, struct transport *t)
{
	char name[TRANSPORT_NAME_MOST + 64];

	for (size_t i = 0; i < COUNT(limits); i++) {
		struct setting             row = limit_row(&limits[i], t->name, name);
		const struct setting_table table = { "", &row, 1 };

		settings_know_row(s, &row);
		(void)settings_fill(s, &table, t->name, t, NULL);
	}
	if (t->rate_ms > 0)
		t->concurrency = t->first_concurrency = 1;
	t->pace = (struct pace_rules){ .first = (uint32_t)t->first_concurrency,
		                       .most = (uint32_t)t->concurrency,
		                       .cohorts = (uint32_t)t->cohorts };
	/* What is no feedback is complained of by transports_check(). */
	if (!pace_feedback_read(bytes_of(t->good), &t->pace.good))
		t->pace.good = (struct pace_feedback){ 1, 0 };
	if (!pace_feedback_read(bytes_of(t->bad), &t->pace.bad))
		t->pace.bad = (struct pace_feedback){ 1, 0 };
}

void
transports_read(struct settings *s, struct arena *a, struct transports *out)
{
	struct setting_entry e;
	struct bytes         name;

	out->count = 0;
	for (size_t i = 0; i < COUNT(built_in); i++)
		out->one[out->count++] = (struct transport){ .name = built_in[i].name,
			                                     .kind = built_in[i].kind,
			                                     .service = built_in[i].service };
	for (size_t i = 0; settings_entry(s, i, &e); i++) {
		struct transport t = { .name = NULL };

		if (!is_transport_line(&e, &name) || !is_name(name) ||
		    transport_named(out, name) != NULL || out->count == TRANSPORTS_MOST)
			continue;
		t.name = arena_copy(a, name);
		if (kind_of(arena_keep(a, bytes_of(e.value)), a, &t) == NULL)
			out->one[out->count++] = t;
	}
	for (size_t i = 0; i < out->count; i++)
		read_limits(s, &out->one[i]);
}

const char *
transports_name(const struct settings *s, bool made, size_t *place)
{
	static char          name[TRANSPORT_NAME_MOST + 1];
	struct setting_entry e;
	struct bytes         found;

	if (*place == 0 && made)
		*place = COUNT(built_in);
	if (*place < COUNT(built_in))
		return built_in[(*place)++].name;
	while (settings_entry(s, (*place)++ - COUNT(built_in), &e))
		if (is_transport_line(&e, &found) && is_name(found) &&
		    bytes_string(found, name, sizeof name))
			return name;
	return NULL;
}

/* "foo_destination_recipient_limit": foo, of which nothing else is said. */
static bool
is_limit_of_nobody(const struct settings *s, struct bytes name, struct bytes *transport)
{
	for (size_t i = 0; i < COUNT(limits); i++) {
		struct bytes behind = bytes_of(limits[i].behind);
		size_t       place = 0;
		const char  *one;

		if (name.len <= behind.len || !bytes_ends_nocase(name, behind))
			continue;
		*transport = bytes_cut(name, 0, name.len - behind.len);
		if (!is_name(*transport) || bytes_equal(*transport, BYTES("default")))
			continue;
		while ((one = transports_name(s, false, &place)) != NULL)
			if (bytes_equal(*transport, bytes_of(one)))
				return false;
		return true;
	}
	return false;
}

void
transports_know(struct settings *s)
{
	size_t               place = 0;
	const char          *transport;
	char                 name[TRANSPORT_NAME_MOST + 64];
	struct setting_entry e;
	struct bytes         nobody;

	while ((transport = transports_name(s, false, &place)) != NULL)
		for (size_t i = 0; i < COUNT(limits); i++) {
			struct setting row = limit_row(&limits[i], transport, name);

			settings_know_row(s, &row);
		}
	/* transports_check() has better words for these than that they are no settings. */
	for (size_t i = 0; settings_entry(s, i, &e); i++)
		if (is_limit_of_nobody(s, bytes_of(e.name), &nobody))
			settings_know(s, e.name);
}

/* ---- whose a pipe's commands are ---- */

bool
transport_pipe_user(const struct pipe_command *c, uid_t *uid, gid_t *gid, bool *own_group,
                    const char **why)
{
	char           name[64];
	struct passwd *user;
	struct group  *group;

	*why = "there is no such user";
	if (!bytes_string(c->user, name, sizeof name) || (user = getpwnam(name)) == NULL)
		return false;
	*uid = user->pw_uid;
	*gid = user->pw_gid;
	*own_group = true;
	*why = "no command is executed as root: name another user";
	if (*uid == 0)
		return false;
	if (c->group.len == 0)
		return true;
	*why = "there is no such group";
	if (!bytes_string(c->group, name, sizeof name) || (group = getgrnam(name)) == NULL)
		return false;
	*own_group = group->gr_gid == user->pw_gid;
	*gid = group->gr_gid;
	*why = "no command is executed with root's group: name another one";
	return *gid != 0;
}

/* The next pipe and whose it is; false at the end. */
static bool
pipe_next(struct settings *s, struct arena *a, size_t *place, struct bytes *name,
          struct pipe_command *c, uid_t *uid, gid_t *gid)
{
	struct setting_entry e;
	const char          *why;
	bool                 own;

	while (settings_entry(s, (*place)++, &e)) {
		struct transport t = { .name = "" };

		if (is_transport_line(&e, name) && is_name(*name) &&
		    kind_of(bytes_of(e.value), a, &t) == NULL && t.kind == BY_PIPE &&
		    pipe_read(t.command, a, c, &why) &&
		    transport_pipe_user(c, uid, gid, &own, &why))
			return true;
	}
	return false;
}

gid_t
transports_group(struct settings *s, uid_t of, gid_t own)
{
	struct arena       *a = arena_open(NULL);
	struct pipe_command c;
	struct bytes        name;
	size_t              place = 0;
	uid_t               uid;
	gid_t               gid, found = own;

	while (pipe_next(s, a, &place, &name, &c, &uid, &gid))
		if (uid == of && gid != own)
			found = gid;
	arena_close(&a);
	return found;
}

void
transports_users(struct settings *s, struct buffer *lines)
{
	struct arena       *a = arena_open(NULL);
	struct pipe_command c;
	struct bytes        name;
	size_t              place = 0;
	uid_t               uid;
	gid_t               gid;

	while (pipe_next(s, a, &place, &name, &c, &uid, &gid))
		buffer_printf(lines, "%.*s %u\n", (int)name.len, name.at, uid);
	arena_close(&a);
}

/* "name uid" */
static bool
line_read(struct bytes line, struct bytes *name, uint64_t *uid)
{
	struct bytes rest = line;

	return bytes_split(&rest, ' ', name) && bytes_number(rest, uid) && *uid < UINT32_MAX;
}

bool
transports_uid(const char *lines, const char *name, uint32_t *uid)
{
	struct bytes rest = bytes_of(lines), line, found;
	uint64_t     number;

	while (bytes_split(&rest, '\n', &line))
		if (line_read(line, &found, &number) && bytes_equal(found, bytes_of(name))) {
			*uid = (uint32_t)number;
			return true;
		}
	return false;
}

bool
transports_has_uid(const char *lines, uint32_t uid)
{
	struct bytes rest = bytes_of(lines), line, found;
	uint64_t     number;

	while (bytes_split(&rest, '\n', &line))
		if (line_read(line, &found, &number) && number == uid)
			return true;
	return false;
}

/* ---- the check ---- */

static const char *
value_fault(struct settings *s, struct bytes name, const char *value, struct arena *a)
{
	struct transport       t = { .name = arena_copy(a, name) };
	struct pipe_command    c;
	struct common_settings common;
	uid_t                  uid;
	gid_t                  gid;
	bool                   own;
	const char            *why;

	if (!is_name(name))
		return "is no name: write at most 31 letters, digits, dots and hyphens";
	/* It was to be made by hand before 0.3. */
	if (built_in_named(name) != NULL && !bytes_equal(name, BYTES(TRANSPORT_SMTPS)))
		return "is there already, and what it is cannot be changed: choose another name";
	if ((why = kind_of(bytes_of(value), a, &t)) != NULL)
		return why;
	if (built_in_named(name) != NULL && t.kind != BY_SMTP)
		return "is there already, and speaks SMTP with TLS from the first byte: choose another name";
	if (t.kind != BY_PIPE || !pipe_read(t.command, a, &c, &why))
		return NULL;
	if (!transport_pipe_user(&c, &uid, &gid, &own, &why))
		return arena_printf(a, "user=%.*s: %s", (int)c.user.len, c.user.at, why);
	if (!settings_fill(s, &common_setting_table, NULL, &common, NULL))
		return NULL;
	for (enum role r = RECEIVER; r < COMMAND; r++)
		if (role_account(r, &common).uid == uid)
			return "user= is an account of the mail system's own: commands get another user";
	if (!own && transports_group(s, uid, gid) != gid)
		return "user= has pipes with two groups besides the user's own: give them the same";
	return NULL;
}

static bool
is_feedback_line(struct bytes name)
{
	return bytes_ends_nocase(name, BYTES("_destination_concurrency_positive_feedback")) ||
	       bytes_ends_nocase(name, BYTES("_destination_concurrency_negative_feedback"));
}

bool
transports_check(struct settings *s,
                 void (*complain)(void *ctx, const char *setting, const char *why), void *ctx)
{
	struct setting_entry  e;
	struct bytes          name;
	struct transport_rows r;
	struct arena         *a = arena_open(NULL);
	bool                  good = true;
	size_t                count = 0;
	struct pace_feedback  feedback;

	for (size_t i = 0; settings_entry(s, i, &e); i++) {
		const char *why;

		if (!is_transport_line(&e, &name))
			continue;
		why = value_fault(s, name, e.value, a);
		if (why == NULL && ++count > TRANSPORTS_MOST - COUNT(built_in))
			why = "is one transport too many: there can be 54";
		if (why == NULL)
			continue;
		complain(ctx, e.name, why);
		good = false;
	}
	for (size_t i = 0; settings_entry(s, i, &e); i++)
		if (is_limit_of_nobody(s, bytes_of(e.name), &name)) {
			complain(ctx, e.name,
			         arena_printf(
					 a,
					 "is of no transport: there is none named \"%.*s\"; write "
					 "%.*s/transport = smtp, or lmtp, or pipe and what it is "
					 "told, or take this line away",
					 (int)name.len, name.at, (int)name.len, name.at));
			good = false;
		}
	for (size_t i = 0; settings_entry(s, i, &e); i++)
		if (is_feedback_line(bytes_of(e.name)) && *e.value != '$' &&
		    !pace_feedback_read(bytes_of(e.value), &feedback)) {
			complain(ctx, e.name,
			         "wants a number from 0 to 1, also as 1/concurrency or "
			         "1/sqrt_concurrency");
			good = false;
		}
	arena_close(&a);
	if (settings_fill(s, &transport_setting_table, NULL, &r, NULL) && *r.transport != '\0') {
		complain(ctx, "transport",
		         "is said for one transport: write slow/transport = smtp");
		good = false;
	}
	return good;
}

bool
transport_sends_by(struct settings *s, const char *name, struct sender_settings *out,
                   struct buffer *errors)
{
	struct arena           *a = arena_open(NULL);
	struct transports      *all = arena_take(a, sizeof *all);
	const struct transport *t;
	bool                    lmtp;

	transports_read(s, a, all);
	t = transport_named(all, bytes_of(name));
	lmtp = t != NULL && t->kind == BY_LMTP;
	arena_close(&a);
	return settings_fill(s, &sender_setting_table, name, out, errors) &&
	       (!lmtp || settings_fill(s, sender_lmtp_setting_table(), name, out, errors));
}
