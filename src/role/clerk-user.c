/*
 * clerk-user -- what is known of a user: `auth user`, which doveadm user and doveadm auth lookup print
 */
#include <string.h>

#include "message/casefold.h"
#include "role/clerk-resolve.h"
#include "role/keeper.h"
#include "role/tables.h"

enum { NO_SUCH_USER = 67, TOLD_LATER = 75 };

static struct clerk *
clerk_of(struct house *h)
{
	return h->mine;
}

static void
fields_of_limits(void *ctx, const struct limits_row *r)
{
	struct buffer *b = ctx;

	if (r->bytes > 0 || r->messages > 0)
		buffer_add_string(b, "quota_rule=*");
	if (r->bytes > 0)
		buffer_printf(b, ":bytes=%lld", (long long)r->bytes);
	if (r->messages > 0)
		buffer_printf(b, ":messages=%lld", (long long)r->messages);
	if (r->bytes > 0 || r->messages > 0)
		buffer_add_char(b, '\n');
	if (r->location[0] != '\0')
		buffer_printf(b, "mail=%s\n", r->location);
}

/* A line of passwd(5) as fields. */
static void
fields_of_line(struct bytes line, struct buffer *b)
{
	static const char *const names[] = { "user", NULL, "uid", "gid", NULL, "home" };
	struct bytes             part;

	for (size_t i = 0; i < COUNT(names) && bytes_split(&line, ':', &part); i++)
		if (names[i] != NULL)
			credential_field_add(b, names[i], part);
}

/* Whom mail for this very address would be laid before: a user of the system in a local domain, one of virtual_mailbox_maps. */
static enum directory_outcome
mailbox_fields(struct work *w, struct buffer *b)
{
	struct resolving               r = resolving_of(w);
	struct resolve_answer          found = { .table = "", .reply = "" };
	enum directory_outcome         o;
	const struct directory_target *t = NULL;

	r.unmapped = true;
	o = resolve_in_turns(w, &r, &found);
	if (o == DIRECTORY_MORE || o == DIRECTORY_WAIT || o == DIRECTORY_LATER)
		return o;
	if (o == DIRECTORY_OK && found.count == 1)
		t = &found.target[0];
	if (t == NULL ||
	    !bytes_equal(casefold(w->life, t->address), casefold(w->life, w->address)) ||
	    (t->account == 0 && !t->shadow) ||
	    (is_system_account(t->account) && system_kind_of(t->account) > SYSTEM_OWN_MAILBOX))
		return o == DIRECTORY_FOREIGN ? o : DIRECTORY_NONE;
	buffer_printf(b, "user=%.*s\n", (int)t->address.len, t->address.at);
	if (is_system_account(t->account))
		buffer_printf(b, "system_uid=%u\n", system_uid(t->account));
	if (t->place.len > 0)
		credential_field_add(b, "mail", t->place);
	return DIRECTORY_OK;
}

/* A name for the log-in, which users of the system have without a domain, and with the origin where that is nobody's domain. */
static enum table_outcome
system_fields(struct work *w, struct bytes name, struct buffer *b)
{
	const struct clerk *c = clerk_of(w->house);
	enum table_outcome  t = TABLE_NONE;
	struct bytes        line;

	for (size_t i = 0; i < c->rules.user_maps.count && t == TABLE_NONE; i++)
		t = lookup_find(w->lookups, c->rules.user_maps.item[i], name, &line);
	if (t == TABLE_FOUND)
		fields_of_line(line, b);
	return t;
}

/* Of the directory, of a back end, of the operating system, or of a table of mailboxes, as each says it. */
static enum directory_outcome
user_fields(struct work *w, struct buffer *b)
{
	struct clerk           *c = clerk_of(w->house);
	struct directory_target found = { .fields = BYTES("") };
	struct credential       who = { .source = "" };
	bool                    unsaid = false;
	enum directory_outcome  o =
		directory_credential(c->directory, w->address, c->origin, w->life, &who);
	ptrdiff_t          at = bytes_find_last(w->address, '@');
	enum table_outcome t;

	if (o == DIRECTORY_LATER)
		return o;
	if (o == DIRECTORY_OK && !credential_is_source(bytes_of(who.source))) {
		buffer_printf(b, "user=%s\n", who.address);
		if (is_system_account(who.account))
			buffer_printf(b, "system_uid=%u\n", system_uid(who.account));
		(void)directory_limits_each(c->directory, bytes_of(who.address), fields_of_limits,
		                            b);
		return DIRECTORY_OK;
	}
	t = chain_person(w->house, w->lookups, w->address, w->life, &found, &unsaid);
	if (t == TABLE_FOUND) {
		buffer_printf(b, "user=%.*s\n", (int)found.address.len, found.address.at);
		buffer_add(b, found.fields);
	}
	if (t == TABLE_NONE && at < 0)
		t = system_fields(w, w->address, b);
	else if (t == TABLE_NONE && !(o == DIRECTORY_OK && unsaid)) {
		enum directory_outcome laid = mailbox_fields(w, b);

		if (laid != DIRECTORY_FOREIGN)
			return laid;
		if (bytes_is(bytes_cut(w->address, (size_t)at + 1, SIZE_MAX), c->origin))
			t = system_fields(w, bytes_cut(w->address, 0, (size_t)at), b);
	}
	if (t == TABLE_NONE && o == DIRECTORY_OK && unsaid) {
		buffer_printf(b, "user=%s\n", who.address);
		t = TABLE_FOUND;
	}
	return t == TABLE_FOUND  ? DIRECTORY_OK
	       : t == TABLE_NONE ? DIRECTORY_NONE
	       : t == TABLE_WAIT ? DIRECTORY_WAIT
	                         : DIRECTORY_LATER;
}

static enum directory_outcome
pass_user(struct work *w)
{
	const char            *place = w->house->common.mail_location;
	struct buffer          b = { 0 };
	struct bytes           value;
	enum directory_outcome o = user_fields(w, &b);

	if (o == DIRECTORY_MORE || (o == DIRECTORY_WAIT && !w->for_good)) {
		buffer_free(&b);
		return o;
	}
	if (o == DIRECTORY_OK && !credential_field(buffer_bytes(&b), "mail", &value))
		buffer_printf(&b, "mail=%s\n", place);
	if (o == DIRECTORY_OK)
		caller_say(w->caller, "%.*s", (int)b.len, b.len > 0 ? b.at : "");
	else
		caller_complain(w->caller, "mansio: %s\n",
		                o == DIRECTORY_NONE ? "there is no such user"
		                                    : "it cannot be told now");
	caller_done(w->caller, o == DIRECTORY_OK     ? 0
	                       : o == DIRECTORY_NONE ? NO_SUCH_USER
	                                             : TOLD_LATER);
	buffer_free(&b);
	return o;
}

/* auth user USER: lines "name=value" */
int
run_auth_user(struct order *e)
{
	struct work *w = work_open(e->house, COMMAND, 0, 0);

	w->caller = e->caller;
	w->address = arena_keep(w->life, e->first);
	w->pass = pass_user;
	work_on(w);
	return -1;
}
