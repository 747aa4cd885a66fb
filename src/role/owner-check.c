/*
 * owner-check -- to whom mailboxes cannot belong, as files say it: told by the check of settings, before mail waits for it (owner.h)
 */
#include <string.h>

#include "directory/credential.h"
#include "role/owner.h"

enum { COMPLAINTS_MOST = 20 };

struct owner_check {
	const struct common_settings *common;
	struct buffer                *warnings;
	const char                   *name; /* of the file or table */
	struct arena                 *life;
	unsigned                      told;
	bool                          gids; /* a table of virtual_gid_maps */
	bool                          told_of_log;
	/* Most lines say the same as the one before. */
	struct mail_owner last;
	const char       *wrong;
};

static const char *
said(struct owner_check *c, struct mail_owner o, int64_t least)
{
	if (c->last.uid == NULL || strcmp(o.uid, c->last.uid) != 0 ||
	    strcmp(o.gid, c->last.gid) != 0) {
		c->last = (struct mail_owner){ arena_copy(c->life, bytes_of(o.uid)),
			                       arena_copy(c->life, bytes_of(o.gid)) };
		c->wrong = owner_wrong(c->common, &o, least);
	}
	return c->wrong;
}

/* ---- a passwd-file ---- */

static bool
is_log(const char *location)
{
	return *location == '\0' || strcmp(location, "log") == 0;
}

static const char *
field(struct bytes fields, const char *name, struct arena *a)
{
	struct bytes value;

	return credential_field(fields, name, &value) ? arena_copy(a, value) : "";
}

static void
look_at_user(void *ctx, int line, struct bytes user, struct bytes fields)
{
	struct owner_check *c = ctx;
	struct arena       *a = arena_open(NULL);
	struct mail_owner   o = { field(fields, "uid", a), field(fields, "gid", a) };
	const char         *mail = field(fields, "mail", a), *wrong;

	if (*mail == '\0')
		mail = *c->common->mail_location != '\0' ? c->common->mail_location
		                                         : c->common->virtual_mailbox_base;
	if (*o.uid != '\0' && is_log(mail) && !c->told_of_log) {
		c->told_of_log = true;
		buffer_printf(
			c->warnings,
			"%s:%d: uid %s of %.*s is not used, nor are those below: letters of the letter log belong to our own "
			"accounts; write mail_location, and mailboxes are files that belong to whom it says\n",
			c->name, line, o.uid, (int)user.len, user.at);
	}
	if (*o.uid != '\0' && !is_log(mail) &&
	    (wrong = said(c, o, c->common->first_valid_uid)) != NULL &&
	    ++c->told <= COMPLAINTS_MOST)
		buffer_printf(
			c->warnings,
			"%s:%d: the mailboxes of %.*s cannot belong to uid %s%s%s: %s; mail for them would wait\n",
			c->name, line, (int)user.len, user.at, o.uid,
			*o.gid != '\0' ? ", gid " : "", o.gid, wrong);
	arena_close(&a);
}

void
owner_check_users(const struct common_settings *common, const struct passwdfile *users,
                  const char *file, struct buffer *warnings)
{
	struct owner_check c = {
		.common = common, .warnings = warnings, .name = file, .life = arena_open(NULL)
	};

	passwdfile_each(users, look_at_user, &c);
	arena_close(&c.life);
}

/* ---- virtual_uid_maps, virtual_gid_maps ---- */

static void
look_at_value(void *ctx, struct bytes key, struct bytes value)
{
	struct owner_check *c = ctx;
	struct arena       *a = arena_open(NULL);
	const char         *text = arena_copy(a, bytes_trim(value)), *wrong;
	const char         *any = arena_printf(a, "%lld", (long long)c->common->first_valid_uid);
	struct mail_owner   o = { c->gids ? any : text, c->gids ? text : "" };

	if (*text == '\0')
		wrong = "a number or a name is to stand there";
	else
		wrong = said(c, o, c->common->virtual_minimum_uid);
	if (wrong != NULL && ++c->told <= COMPLAINTS_MOST)
		buffer_printf(
			c->warnings,
			"%s: %.*s: the mailboxes cannot belong to %s %s: %s; mail for them would wait\n",
			c->name, (int)key.len, key.at, c->gids ? "gid" : "uid", text, wrong);
	arena_close(&a);
}

void
owner_check_table(const struct common_settings *common, struct table *t, const char *setting,
                  struct buffer *warnings)
{
	struct owner_check c = { .common = common,
		                 .warnings = warnings,
		                 .name = table_name(t),
		                 .life = arena_open(NULL),
		                 .gids = strcmp(setting, "virtual_gid_maps") == 0 };
	struct bytes       value;

	/* What cannot be listed may have one answer for all. */
	if ((c.gids || strcmp(setting, "virtual_uid_maps") == 0) &&
	    !table_each(t, look_at_value, &c) && strncmp(c.name, "static:", 7) == 0 &&
	    table_find(t, BYTES("any"), c.life, &value) == TABLE_FOUND)
		look_at_value(&c, BYTES("any address"), value);
	arena_close(&c.life);
}
