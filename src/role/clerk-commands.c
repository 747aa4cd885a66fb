/*
 * clerk-commands -- `mansio domain|account|alias ...`, asked through the control socket
 *
 * Passwords come as the input of the command, never as an argument.  Hashing is done in
 * the thread pool; the caller waits.
 */
#include "role/clerk.h"

#include "base/clock.h"
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

/* The status of a login that would fail: EX_NOPERM of sysexits(3), as doveadm's. */

static struct bytes
argument(const struct word_ask *w, uint32_t at)
{
	return at < w->argc ? bytes_of(w->argv[at]) : (struct bytes){ NULL, 0 };
}

/* One sentence for each outcome; what is right is said where it can be. */
int
order_finish(struct order *e, enum directory_outcome o, const char *what)
{
	int         n = (int)e->first.len;
	const char *x = e->first.at;

	switch (o) {
	case DIRECTORY_OK: return 0;
	case DIRECTORY_NONE:
		caller_complain(e->caller, "mansio: there is no %s %.*s\n", what, n, x);
		break;
	case DIRECTORY_EXISTS:
		caller_complain(e->caller, "mansio: %s %.*s is there already\n", what, n, x);
		break;
	case DIRECTORY_IN_USE:
		caller_complain(
			e->caller,
			"mansio: domain %.*s still has accounts or aliases; delete them first (mansio account list %.*s)\n",
			n, x, n, x);
		break;
	case DIRECTORY_FOREIGN:
		caller_complain(
			e->caller,
			"mansio: the domain of %.*s is not ours; add it first: mansio domain add DOMAIN\n",
			n, x);
		break;
	case DIRECTORY_LOOP:
		caller_complain(e->caller, "mansio: %.*s would lead in a circle\n", n, x);
		break;
	case DIRECTORY_BAD:
		caller_complain(e->caller,
		                "mansio: \"%.*s\" is not right for %s; right would be %s\n", n, x,
		                what,
		                strcmp(what, "domain") == 0 ? "example.com" : "user@example.com");
		break;
	case DIRECTORY_MORE:
	case DIRECTORY_WAIT:
	case DIRECTORY_REFUSED:
	case DIRECTORY_DISCARDED:
	case DIRECTORY_LATER:
		caller_complain(e->caller,
		                "mansio: the directory cannot be used now; the log says why\n");
		break;
	}
	return 1;
}

/* ---- rows as text or JSON ------------------------------------------------------- */

void
order_json_text(struct buffer *out, const char *s)
{
	buffer_add_char(out, '"');
	for (; *s != '\0'; s++) {
		if (*s == '"' || *s == '\\')
			buffer_printf(out, "\\%c", *s);
		else if ((unsigned char)*s < 0x20)
			buffer_printf(out, "\\u%04x", (unsigned char)*s);
		else
			buffer_add_char(out, *s);
	}
	buffer_add_char(out, '"');
}

void
order_when(int64_t at, char out[static 24])
{
	time_t    t = (time_t)at;
	struct tm tm;

	if (gmtime_r(&t, &tm) == NULL || strftime(out, 24, "%Y-%m-%dT%H:%M:%SZ", &tm) == 0)
		out[0] = '\0';
}

void
order_row_open(struct order *e, struct buffer *b)
{
	buffer_add_string(b, e->rows++ == 0 ? "[\n " : ",\n ");
}

void
order_row_say(struct order *e, struct buffer *b)
{
	caller_say(e->caller, "%.*s", (int)b->len, b->at);
	buffer_free(b);
}

void
order_list_end(struct order *e)
{
	if (e->json)
		caller_say(e->caller, e->rows == 0 ? "[]\n" : "\n]\n");
}

static void
domain_say(void *ctx, const struct domain_row *r)
{
	struct order *e = ctx;
	struct buffer b = { 0 };
	char          when[24];

	order_when(r->made, when);
	if (!e->json) {
		buffer_printf(&b,
		              "%-32s accounts=%" PRIu64 " aliases=%" PRIu64 " catch-all=%s made=%s",
		              r->name, r->accounts, r->aliases,
		              r->catch_all[0] ? r->catch_all : "-", when);
		order_total_say(e, r->name, &b);
		buffer_add_char(&b, '\n');
		order_row_say(e, &b);
		return;
	}
	order_row_open(e, &b);
	buffer_add_string(&b, "{\"domain\": ");
	order_json_text(&b, r->name);
	buffer_printf(&b, ", \"accounts\": %" PRIu64 ", \"aliases\": %" PRIu64 ", \"catch_all\": ",
	              r->accounts, r->aliases);
	order_json_text(&b, r->catch_all);
	buffer_printf(&b, ", \"made\": \"%s\"", when);
	order_total_say(e, r->name, &b);
	buffer_add_char(&b, '}');
	order_row_say(e, &b);
}

static void
location_found(void *ctx, const struct limits_row *r)
{
	if (r->location[0] != '\0' && ((struct buffer *)ctx)->len == 0)
		buffer_add_string(ctx, r->location);
}

/* Where its letters lie: where its keeper says they do (`account show ADDRESS --place LOCATION`); or as is said of the
   account, of its domain, or for all; "log" where nothing is. */
static void
say_location(struct order *e, const char *address, struct buffer *b)
{
	struct buffer place = { 0 };
	struct bytes  domain = bytes_of(strrchr(address, '@') + 1);

	if (bytes_is(e->second, "--place") && e->ask->argc > 4)
		buffer_add_string(&place, e->ask->argv[4]);
	if (place.len == 0)
		(void)directory_limits_each(e->clerk->directory, bytes_of(address), location_found,
		                            &place);
	if (place.len == 0)
		(void)directory_limits_each(e->clerk->directory, domain, location_found, &place);
	if (place.len == 0)
		buffer_add_string(&place, e->house->common.mail_location);
	if (place.len == 0)
		buffer_add_string(&place, "log");
	buffer_add_char(&place, '\0');
	if (!e->json)
		buffer_printf(b, " mail_location=%s", place.at);
	else {
		buffer_add_string(b, ", \"mail_location\": ");
		order_json_text(b, place.at);
	}
	buffer_free(&place);
}

static void
account_say(void *ctx, const struct account_row *r)
{
	struct order *e = ctx;
	struct buffer b = { 0 };
	bool          shown = bytes_find(e->first, '@') >= 0 && strchr(r->address, '@') != NULL;
	char          when[24];

	order_when(r->made, when);
	if (!e->json) {
		buffer_printf(&b, "%-40s id=%" PRIu64 " enabled=%s scram=%s made=%s", r->address,
		              r->id, r->enabled ? "yes" : "no", r->scram ? "yes" : "no", when);
		order_protection_say(e, r->id, &b);
		if (shown)
			say_location(e, r->address, &b);
		buffer_add_char(&b, '\n');
		order_row_say(e, &b);
		return;
	}
	order_row_open(e, &b);
	buffer_add_string(&b, "{\"account\": ");
	order_json_text(&b, r->address);
	buffer_printf(&b, ", \"id\": %" PRIu64 ", \"enabled\": %s, \"scram\": %s, \"made\": \"%s\"",
	              r->id, r->enabled ? "true" : "false", r->scram ? "true" : "false", when);
	order_protection_say(e, r->id, &b);
	if (shown)
		say_location(e, r->address, &b);
	buffer_add_char(&b, '}');
	order_row_say(e, &b);
}

static void
alias_say(void *ctx, const struct alias_row *r)
{
	struct order *e = ctx;
	struct buffer b = { 0 };

	if (!e->json) {
		caller_say(e->caller, "%-40s %s\n", r->address, r->target);
		return;
	}
	order_row_open(e, &b);
	buffer_add_string(&b, "{\"alias\": ");
	order_json_text(&b, r->address);
	buffer_add_string(&b, ", \"target\": ");
	order_json_text(&b, r->target);
	buffer_add_char(&b, '}');
	order_row_say(e, &b);
}

/* ---- domains ------------------------------------------------------------------------ */

static int
run_domain_add(struct order *e)
{
	return order_finish(e, directory_domain_add(e->clerk->directory, e->first), "domain");
}

static int
run_domain_list(struct order *e)
{
	enum directory_outcome o =
		directory_domain_each(e->clerk->directory, e->first, domain_say, e);

	order_list_end(e);
	return o == DIRECTORY_NONE && e->first.len == 0 ? 0 : order_finish(e, o, "domain");
}

static int
run_domain_delete(struct order *e)
{
	enum directory_outcome o = directory_domain_delete(e->clerk->directory, e->first);

	if (o == DIRECTORY_OK)
		clerk_total_forget(e->house, e->first);
	return order_finish(e, o, "domain");
}

/* domain set DOMAIN catch-all ADDRESS|none */
static int
run_domain_set(struct order *e)
{
	struct bytes to = argument(e->ask, 4);

	if (bytes_starts(e->second, BYTES("--")))
		return order_set_limits(e, "domain");
	if (!bytes_is(e->second, "catch-all") || to.len == 0) {
		caller_complain(e->caller,
		                "usage: mansio domain set DOMAIN catch-all ADDRESS|none\n");
		return 2;
	}
	if (bytes_is(to, "none"))
		to.len = 0;
	return order_finish(e, directory_domain_catch_all(e->clerk->directory, e->first, to),
	                    "domain");
}

/* ---- accounts ----------------------------------------------------------------------- */

static void
account_id_of(void *ctx, const struct account_row *r)
{
	uint64_t *id = ctx;

	*id = r->id;
}

/* Its sessions end; nothing happens where there are none. */
void
clerk_sessions_end(struct house *h, struct bytes address, const char *words)
{
	struct clerk *c = h->mine;
	uint64_t      id = 0;

	if (directory_account_each(c->directory, address, (struct bytes){ NULL, 0 }, account_id_of,
	                           &id) == DIRECTORY_OK)
		clerk_account_out(h, id, words);
}

/* A user's keeper may have let go of us and have got a session since: it is asked for, then. */
void
clerk_account_out(struct house *h, uint64_t account, const char *words)
{
	uint32_t      keeper = house_keeper_of(h, account);
	struct buffer body = { 0 };
	struct link  *l;

	if (house_peers(h, KEEPER) == 0)
		return;
	pack_u64(&body, account);
	pack_string(&body, words);
	if ((l = house_link(h, KEEPER, keeper)) != NULL)
		link_say(l, WORD_ACCOUNT_OUT, 0, buffer_bytes(&body), -1);
	else if (is_system_account(account))
		clerk_out_wait(h, keeper, buffer_bytes(&body));
	buffer_free(&body);
}

/* A password on its way through the thread pool. */
struct hashing {
	struct house          *house;
	struct caller         *caller;
	struct arena          *life;
	struct bytes           address, password;
	bool                   fresh; /* account add, not account set */
	bool                   kick;  /* sessions of the old password end */
	bool                   plain; /* it is kept as it is, too         */
	bool                   made;
	struct password_record record;
};

static void
hashing_run(void *ctx)
{
	struct hashing *w = ctx;

	w->made = password_make(w->password, &w->record);
}

static enum directory_outcome
hashing_store(struct hashing *w)
{
	struct clerk     *c = w->house->mine;
	struct arena     *a = arena_open(NULL);
	struct credential credential = {
		.hash = w->record.hash,
		.scram_iterations = w->record.scram_iterations,
		.scram_salt = w->record.scram_salt,
		.scram_stored = w->record.scram_stored,
		.scram_server = w->record.scram_server,
	};
	enum directory_outcome o;
	uint64_t               id;

	if (w->fresh &&
	    !clerk_owner(w->house, w->address, (struct bytes){ NULL, 0 }, a, &credential.owner))
		o = DIRECTORY_LATER;
	else if (w->fresh)
		o = directory_account_add(c->directory, w->address, &credential, false, &id);
	else
		o = directory_account_set_credential(c->directory, w->address, &credential);
	if (o == DIRECTORY_OK)
		o = directory_scram_sha1_set(c->directory, w->address, w->record.scram_sha1);
	if (o == DIRECTORY_OK && w->plain)
		o = directory_account_keep_plain(c->directory, w->address, w->password);
	arena_close(&a);
	clerk_owners_tell(w->house);
	return o;
}

static void
hashing_done(void *ctx)
{
	struct hashing *w = ctx;
	struct order    e = {
		   .house = w->house, .clerk = w->house->mine, .caller = w->caller, .first = w->address
	};
	int status = 1;

	if (!w->made)
		caller_complain(
			w->caller,
			"mansio: this password cannot be used; right would be 1 to %d bytes without NUL\n",
			PASSWORD_MOST);
	else
		status = order_finish(&e, hashing_store(w), "account");
	if (status == 0)
		clerk_changed(w->house);
	if (status == 0 && w->kick)
		clerk_sessions_end(w->house, w->address,
		                   "The password of this account was changed");
	caller_done(w->caller, status);
	explicit_bzero((char *)(uintptr_t)w->password.at, w->password.len);
	arena_close(&w->life);
	memory_free(w);
}

/* The pool takes it from here; the caller is answered by hashing_done(). */
static int
hash_then(struct order *e, bool fresh)
{
	struct hashing *w;
	struct bytes    password = e->ask->input;

	while (password.len > 0 &&
	       (password.at[password.len - 1] == '\n' || password.at[password.len - 1] == '\r'))
		password.len--;
	if (password.len == 0) {
		caller_complain(
			e->caller,
			"mansio: no password given; right would be --password-file FILE, a line on stdin, or the prompt\n");
		return 1;
	}
	w = memory_take(sizeof *w);
	*w = (struct hashing){
		.house = e->house,
		.caller = e->caller,
		.life = arena_open(NULL),
		.fresh = fresh,
		.kick = e->kick,
		.plain = e->plain,
	};
	w->address = arena_keep(w->life, e->first);
	w->password = arena_keep(w->life, password);
	loop_job(e->house->loop, hashing_run, hashing_done, w);
	return -1;
}

static int
run_account_add(struct order *e)
{
	return hash_then(e, true);
}

/* `account list [DOMAIN]`, `account show ADDRESS` */
static int
run_account_list(struct order *e)
{
	bool         one = bytes_find(e->first, '@') >= 0;
	struct bytes none = { NULL, 0 };

	if (!one && order_system_shown(e))
		return 0;
	enum directory_outcome o =
		directory_account_each(e->clerk->directory, one ? e->first : none,
	                               one ? none : e->first, account_say, e);

	if (e->first.len == 0 && o != DIRECTORY_LATER)
		o = directory_system_each(e->clerk->directory, order_system_say, e);
	order_list_end(e);
	return o == DIRECTORY_NONE && !one ? 0 : order_finish(e, o, "account");
}

static void
account_id_say(void *ctx, const struct account_row *r)
{
	struct order *e = ctx;

	caller_say(e->caller, "%" PRIu64 " %" PRIu32 " %s\n", r->id,
	           house_keeper_of(e->house, r->id), r->address);
}

/* `account id [ADDRESS|DOMAIN]`: "ID KEEPER ADDRESS" lines, by which a command finds the keeper; a name alone is
   one of our own domain, as at a login. */
static int
run_account_id(struct order *e)
{
	struct bytes           none = { NULL, 0 };
	enum directory_outcome o;
	char                   whole[600];

	if (e->first.len > 0 && bytes_find(e->first, '@') < 0 && bytes_find(e->first, '.') < 0) {
		(void)snprintf(whole, sizeof whole, "%.250s@%.300s", e->first.at, e->clerk->origin);
		e->first = bytes_of(whole);
	}
	if (bytes_find(e->first, '@') < 0)
		o = directory_account_each(e->clerk->directory, none, e->first, account_id_say, e);
	else
		o = directory_account_each(e->clerk->directory, e->first, none, account_id_say, e);
	return order_finish(e, o, "account");
}

/* Its keeper removes its mailboxes and what was granted to it; it is a member of no group any more. */
static void
account_gone_say(struct order *e, uint64_t id, const char *address)
{
	struct link    *l = house_link(e->house, KEEPER, house_keeper_of(e->house, id));
	struct gone_row row = { .id = id, .address = address, .at = clock_wall() };

	if (l != NULL) {
		clerk_say_gone(l, &row);
		clerk_tell_people(e->house, house_keeper_of(e->house, id));
	}
}

/* Its name as it is kept, which is how it stands in what was granted to it. */
struct leaving {
	struct arena *life;
	const char   *address;
	uint64_t      whose;
};

static void
leaving_is(void *ctx, const struct account_row *r)
{
	struct leaving *l = ctx;

	l->address = arena_copy(l->life, bytes_of(r->address));
	l->whose = r->id;
}

static int
run_account_delete(struct order *e)
{
	enum directory_outcome o;
	int                    status;
	uint64_t               id = 0;
	uint32_t               keepers = house_peers(e->house, KEEPER);
	struct leaving         l = { NULL, "", 0 };

	if (order_system_deleted(e, &status))
		return status;
	l.life = arena_open(NULL);
	(void)directory_account_each(e->clerk->directory, e->first, (struct bytes){ NULL, 0 },
	                             leaving_is, &l);
	o = directory_account_delete(e->clerk->directory, e->first, &id);
	if (o == DIRECTORY_OK && keepers > 0)
		account_gone_say(e, id, l.address);
	if (o == DIRECTORY_OK) {
		clerk_total_gone(e->house, id);
		clerk_total_bound(e->house, l.whose, id);
	}
	arena_close(&l.life);
	return order_finish(e, o, "account");
}

/* account set ADDRESS system-user UID: the command has looked the name up; 0: nobody's any more. */
static int
set_system_user(struct order *e, struct bytes to)
{
	enum directory_outcome o;
	uint64_t               uid, was = 0, is = 0;
	struct bytes           none = { NULL, 0 };
	int                    status;

	if (order_system_is(e, to, argument(e->ask, 5), &status))
		return status;
	if (bytes_number(to, &uid) && uid >= DIRECTORY_SYSTEM_UIDS) {
		caller_complain(e->caller,
		                "mansio: uid %.*s is too large: right would be one below %u\n",
		                (int)to.len, to.at, DIRECTORY_SYSTEM_UIDS);
		return 1;
	}
	if (!bytes_number(to, &uid)) {
		caller_complain(e->caller,
		                "usage: mansio account set ADDRESS system-user NAME|none\n");
		return 2;
	}
	(void)directory_account_each(e->clerk->directory, e->first, none, account_id_of, &was);
	o = directory_account_bind(e->clerk->directory, e->first, (uint32_t)uid);
	(void)directory_account_each(e->clerk->directory, e->first, none, account_id_of, &is);
	if (o == DIRECTORY_OK)
		clerk_total_bound(e->house, was, is);
	if (o == DIRECTORY_OK)
		clerk_sessions_end(e->house, e->first,
		                   "The mailboxes of this account are elsewhere now");
	return order_finish(e, o, "account");
}

static int
set_enabled(struct order *e, bool yes)
{
	static const char      words[] = "This account was disabled";
	struct directory      *d = e->clerk->directory;
	struct arena          *a = arena_open(NULL);
	enum directory_outcome o;

	if (e->system)
		o = directory_system_enable(d, arena_copy(a, e->first), yes);
	else
		o = directory_account_enable(d, e->first, yes);
	if (o == DIRECTORY_OK && !yes && e->account != 0)
		clerk_account_out(e->house, e->account, words);
	else if (o == DIRECTORY_OK && !yes)
		clerk_sessions_end(e->house, e->first, words);
	arena_close(&a);
	return order_finish(e, o, "account");
}

/* account set ADDRESS password | enabled yes|no | system-user UID */
static int
run_account_set(struct order *e)
{
	struct bytes to = argument(e->ask, 4);
	bool         alone = e->ask->argc <= 5; /* what stands behind would be done by nobody */
	bool one = e->ask->argc <= 6; /* --kick with --keep-plain-secret, who a user is now */

	if (e->account != 0)
		e->first = e->person; /* who was found */
	if (bytes_is(e->second, "password") && one)
		return hash_then(e, false);
	if (bytes_is(e->second, "--networks") || bytes_is(e->second, "--protocols"))
		return order_set_bounds(e);
	if (bytes_starts(e->second, BYTES("--")))
		return order_set_limits(e, "account");
	if (bytes_is(e->second, "system-user") && one)
		return set_system_user(e, to);
	if (bytes_is(e->second, "owner") && alone)
		return run_account_own(e);
	if (bytes_is(e->second, "enabled") && (bytes_is(to, "yes") || bytes_is(to, "no")) &&
	    alone) {
		return set_enabled(e, bytes_is(to, "yes"));
	}
	caller_complain(
		e->caller,
		"usage: mansio account set ADDRESS password [--password-file FILE] [--kick] [--keep-plain-secret]\n"
		"       mansio account set ADDRESS enabled yes|no\n"
		"       mansio account set ADDRESS system-user NAME|none\n"
		"       mansio account set ADDRESS owner UID[:GID]\n"
		"       mansio account set ADDRESS --quota-storage SIZE --quota-messages N --mail-location LOCATION\n"
		"       mansio account set ADDRESS --networks LIST|all --protocols LIST|all\n");
	return 2;
}

/* `keeper count`: how many there are, for what is asked of each. */
static int
run_keeper_count(struct order *e)
{
	size_t   place = 0;
	uint32_t index;

	caller_say(e->caller, "%" PRIu32 "\n", house_peers(e->house, KEEPER));
	while (house_user_keeper_next(e->house, &place, &index))
		caller_say(e->caller, "%" PRIu32 "\n", index & ~KEEPER_OF_USER);
	return 0;
}

/* `account test ADDRESS`, `auth test USER`: whether a login with this password would succeed. */
static int
run_account_test(struct order *e)
{
	struct bytes password = e->ask->input;

	while (password.len > 0 &&
	       (password.at[password.len - 1] == '\n' || password.at[password.len - 1] == '\r'))
		password.len--;
	login_test(e->house, e->caller, e->ask, password);
	return -1;
}

/* ---- aliases ------------------------------------------------------------------------ */

/* It is kept all the same: whom it leads to may come later. */
static void
target_unknown(struct order *e, struct bytes target, struct arena *a)
{
	const struct clerk      *c = e->clerk;
	struct directory_target *led;
	size_t                   count;

	if (directory_resolve(c->directory, target, c->rows.delimiter, c->origin, a, &led,
	                      &count) == DIRECTORY_NONE)
		caller_complain(e->caller, "mansio: note: there is no %.*s in the directory yet\n",
		                (int)target.len, target.at);
}

static void
note_account(void *ctx, const struct account_row *r)
{
	(void)r;
	*(bool *)ctx = true;
}

/* It may be meant, and mail goes another way than before. */
static void
note_of_own(struct order *e, const struct bytes *target, size_t n)
{
	struct bytes none = { NULL, 0 };
	bool         account = false, itself = false;

	for (size_t i = 0; i < n; i++)
		itself = itself || bytes_equal_nocase(target[i], e->first);
	(void)directory_account_each(e->clerk->directory, e->first, none, note_account, &account);
	if (account && !itself)
		caller_complain(
			e->caller,
			"mansio: note: %.*s is an account, which gets no more mail now; name it "
			"among the targets to keep a copy there\n",
			(int)e->first.len, e->first.at);
	else if (itself && !account)
		caller_complain(
			e->caller,
			"mansio: note: %.*s leads to itself, and there is no such account\n",
			(int)e->first.len, e->first.at);
	else if (itself && n == 1)
		caller_complain(e->caller,
		                "mansio: note: %.*s leads to itself alone: its mail goes where it "
		                "went without this alias\n",
		                (int)e->first.len, e->first.at);
}

/* alias add|set ADDRESS TARGET...: all of the targets or none */
static int
alias_put(struct order *e, bool replace)
{
	struct arena          *a = arena_open(NULL);
	size_t                 n = e->ask->argc - 3;
	struct bytes          *target = arena_take_array(a, n, sizeof *target);
	enum directory_outcome o;

	for (size_t i = 0; i < n; i++)
		target[i] = bytes_of(e->ask->argv[3 + i]);
	o = directory_alias_put(e->clerk->directory, e->first, target, n, replace);
	for (size_t i = 0; o == DIRECTORY_OK && i < n; i++)
		if (!bytes_equal_nocase(target[i], e->first))
			target_unknown(e, target[i], a);
	if (o == DIRECTORY_OK)
		note_of_own(e, target, n);
	arena_close(&a);
	return order_finish(e, o, "alias");
}

static int
run_alias_add(struct order *e)
{
	return alias_put(e, false);
}

static int
run_alias_set(struct order *e)
{
	return alias_put(e, true);
}

static int
run_alias_list(struct order *e)
{
	bool                   one = bytes_find(e->first, '@') >= 0;
	struct bytes           none = { NULL, 0 };
	enum directory_outcome o = directory_alias_each(e->clerk->directory, one ? e->first : none,
	                                                one ? none : e->first, alias_say, e);

	order_list_end(e);
	return o == DIRECTORY_NONE && !one ? 0 : order_finish(e, o, "alias");
}

static int
run_alias_delete(struct order *e)
{
	return order_finish(e, directory_alias_delete(e->clerk->directory, e->first, e->second),
	                    "alias");
}

/* ---- the table -------------------------------------------------------------------------- */

/* run returns the exit status, or -1 when the caller is answered later. */
/* clang-format off */
static const struct order_row {
	const char *noun, *verb;
	uint32_t    least;               /* arguments behind the verb */
	bool        changes;
	int       (*run)(struct order *);
	const char *usage;
} orders[] = {
	{ "domain",  "add",    1, true,  run_domain_add,     "DOMAIN" },
	{ "domain",  "list",   0, false, run_domain_list,    "[--json]" },
	{ "domain",  "show",   1, false, run_domain_list,    "DOMAIN [--json]" },
	{ "domain",  "delete", 1, true,  run_domain_delete,  "DOMAIN" },
	{ "domain",  "set",    3, true,  run_domain_set,     "DOMAIN catch-all ADDRESS|none|--quota-storage SIZE|--quota-messages N|--total-storage SIZE|--total-messages N" },
	{ "domain",  "totals", 0, false, run_domain_totals,  "[DOMAIN]" },
	{ "account", "add",    1, true,  run_account_add,    "ADDRESS [--password-file FILE] [--keep-plain-secret]" },
	{ "account", "list",   0, false, run_account_list,   "[DOMAIN] [--json]" },
	{ "account", "show",   1, false, run_account_list,   "ADDRESS [--json]" },
	{ "account", "id",     0, false, run_account_id,     "[ADDRESS|DOMAIN]" },
	{ "account", "test",   1, false, run_account_test,   "ADDRESS [--password-file FILE]" },
	{ "account", "delete", 1, true,  run_account_delete, "ADDRESS" },
	{ "account", "set",    2, true,  run_account_set,    "ADDRESS password|enabled yes|no|system-user NAME|owner UID[:GID]|--quota-storage SIZE|--mail-location LOCATION|--networks LIST|--protocols LIST" },
	{ "account", "app-password", 2, false, run_account_app_password, "add|list|revoke ADDRESS [NAME] [--protocols LIST] [--expires WHEN]" },
	{ "account", "totp",   2, false, run_account_totp,   "enable|confirm|test|disable ADDRESS" },
	{ "account", "one-time", 2, false, run_account_one_time, "set ADDRESS md5|sha1 SEED COUNT|delete ADDRESS" },
	{ "account", "suspend", 1, true, run_account_suspend, "ADDRESS [--until WHEN] [--reason WORDS]" },
	{ "account", "resume", 1, true,  run_account_resume, "ADDRESS" },
	{ "auth",    "user",   1, false, run_auth_user,      "USER" },
	{ "auth",    "test",   1, false, run_account_test,   "USER [--password-file FILE]" },
	{ "import",  "rows",   1, true,  run_import,         "FILE" },
	{ "auth",    "failures", 0, false, run_auth_failures, "[--account ADDRESS] [--network NETWORK] [--json]" },
	{ "auth",    "bans",   0, false, run_auth_bans,      "[--json]" },
	{ "auth",    "ban",    1, false, run_auth_ban,       "NETWORK [--for TIME] [--reason WORDS]" },
	{ "auth",    "unban",  1, false, run_auth_unban,     "NETWORK" },
	{ "group",   "add",    1, true,  run_group_add,      "ADDRESS [--member ADDRESS...]" },
	{ "group",   "list",   0, false, run_group_list,     "[ADDRESS]" },
	{ "group",   "join",   2, true,  run_group_join,     "ADDRESS MEMBER..." },
	{ "group",   "leave",  2, true,  run_group_leave,    "ADDRESS MEMBER..." },
	{ "group",   "delete", 1, true,  run_account_delete, "ADDRESS" },
	{ "keeper",  "count",  0, false, run_keeper_count,   "" },
	{ "keeper",  "call",   1, false, run_keeper_call,    "UID" },
	{ "address", "test",   1, false, run_address_test,   "ADDRESS" },
	{ "address", "lookup", 0, false, run_address_lookup, "ADDRESS...|-" },
	{ "alias",   "add",    2, true,  run_alias_add,      "ADDRESS TARGET..." },
	{ "alias",   "list",   0, false, run_alias_list,     "[DOMAIN] [--json]" },
	{ "alias",   "show",   1, false, run_alias_list,     "ADDRESS [--json]" },
	{ "alias",   "delete", 1, true,  run_alias_delete,   "ADDRESS [TARGET]" },
	{ "alias",   "set",    2, true,  run_alias_set,      "ADDRESS TARGET..." },
};
/* clang-format on */

static const struct order_row *
order_of(struct bytes noun, struct bytes verb)
{
	for (size_t i = 0; i < COUNT(orders); i++)
		if (bytes_is(noun, orders[i].noun) && bytes_is(verb, orders[i].verb))
			return &orders[i];
	return NULL;
}

static void
usage(struct caller *caller, struct bytes noun)
{
	for (size_t i = 0; i < COUNT(orders); i++)
		if (bytes_is(noun, orders[i].noun))
			caller_complain(caller, "usage: mansio %s %s %s\n", orders[i].noun,
			                orders[i].verb, orders[i].usage);
}

void
clerk_command(struct house *h, struct caller *caller, const struct word_ask *w)
{
	const struct order_row *row = order_of(argument(w, 0), argument(w, 1));
	struct order            e = { .house = h, .clerk = h->mine, .caller = caller, .ask = w };
	struct arena           *scratch = arena_open(NULL);
	struct word_ask         plain = *w;
	const char            **argv = arena_take_array(scratch, w->argc + 1, sizeof *argv);
	int                     status = 2;

	/* Options may stand anywhere; the rest keeps its order. */
	plain.argc = 0;
	for (uint32_t i = 0; i < w->argc; i++) {
		if (strcmp(w->argv[i], "--json") == 0)
			e.json = true;
		else if (strcmp(w->argv[i], "--kick") == 0)
			e.kick = true;
		else if (strcmp(w->argv[i], "--keep-plain-secret") == 0)
			e.plain = true;
		else
			argv[plain.argc++] = w->argv[i];
	}
	plain.argv = argv;
	e.ask = &plain;
	if (row == NULL || plain.argc < 2 + row->least)
		usage(caller, argument(w, 0));
	else {
		e.first = argument(&plain, 2);
		e.second = argument(&plain, 3);
		status = order_finds(&e, row->run) ? -1 : row->run(&e);
		if (status == 0 && row->changes)
			clerk_changed(h);
	}
	if (status >= 0)
		caller_done(caller, status);
	arena_close(&scratch);
}
