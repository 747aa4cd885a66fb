/*
 * clerk-system -- what is said of operating-system users themselves (`mansio account suspend|set|app-password ... joe`), and whether
 * they are still whom it was said of
 *
 * It is said of a name and a uid together.  Who has one of the two alone is another, or the same after usermod(8), and nobody here can
 * tell which; who was away for a while and came back is another, or the same.  So what would open his mailbox (app passwords) opens it no
 * more, and what keeps him out goes on doing so, until somebody who knows says which it is: `account set joe system-user joe`, or `account
 * delete joe`.  The log says so once.
 */
#include <inttypes.h>
#include <string.h>

#include "base/clock.h"
#include "base/journal.h"
#include "role/clerk-resolve.h"

/* How often it is looked whether they are there, and how soon again whether one really is not. */
enum { LOOK_FIRST_MS = 1000, LOOK_MS = 60000, LOOK_AGAIN_MS = 15000, MISSED_OFTEN = 3 };

static struct clerk *
clerk_of(struct house *h)
{
	return h->mine;
}

/* A line of passwd(5): the name as it stands there, and the uid.  False: there is no mailbox for such a user. */
static bool
line_read(struct bytes line, struct bytes *name, uint32_t *uid)
{
	struct bytes part = { NULL, 0 };
	uint64_t     number;

	if (!bytes_split(&line, ':', name) || !bytes_split(&line, ':', &part) ||
	    !bytes_split(&line, ':', &part) || !bytes_number(part, &number) || number == 0 ||
	    number >= DIRECTORY_SYSTEM_UIDS || name->len == 0)
		return false;
	*uid = (uint32_t)number;
	return true;
}

enum directory_outcome
clerk_system_user(struct work *w, struct bytes who, const char **name, uint32_t *uid)
{
	const struct clerk *c = clerk_of(w->house);
	enum table_outcome  o = TABLE_NONE;
	struct bytes        line, found;

	for (size_t i = 0; i < c->rules.user_maps.count && o == TABLE_NONE; i++)
		o = lookup_find(w->lookups, c->rules.user_maps.item[i], who, &line);
	if (o == TABLE_WAIT)
		return DIRECTORY_WAIT;
	if (o != TABLE_FOUND)
		return o == TABLE_NONE ? DIRECTORY_NONE : DIRECTORY_LATER;
	if (!line_read(line, &found, uid))
		return DIRECTORY_NONE;
	*name = arena_copy(w->life, found);
	return DIRECTORY_OK;
}

/* ---- logins ---- */

uint64_t
clerk_system_account(struct clerk *c, struct bytes user)
{
	struct arena     *a = arena_open(NULL);
	struct system_row row;
	bool              stands =
		directory_system_find(c->directory, user, a, &row) == DIRECTORY_OK && row.gone == 0;

	arena_close(&a);
	return stands ? DIRECTORY_SYSTEM_ACCOUNT(row.uid) : 0;
}

static void
warn_of(struct clerk *c, const struct system_row *r, const char *name, uint32_t uid,
        struct arena *a)
{
	const char *words = arena_printf(
		a,
		"auth: what is said of %s was said of uid %u%s, and uid %u is %s now: app passwords open "
		"nothing, and what keeps %s out goes on doing so; if it is the same person: mansio account "
		"set %s system-user %s; if it is another: mansio account delete %s",
		r->name, r->uid, r->gone != 0 ? ", who was away meanwhile" : "", uid, name, r->name,
		r->name, name, r->name);

	if (clerk_is_news(c, words))
		warn_("%s", words);
}

enum directory_outcome
clerk_system_standing(struct clerk *c, struct bytes user, uint32_t uid, struct arena *a,
                      struct system_standing *out)
{
	const char            *name = arena_copy(a, user);
	struct system_row      named, numbered;
	enum directory_outcome by_name = directory_system_find(c->directory, user, a, &named),
			       by_uid = directory_system_of(c->directory, uid, a, &numbered);

	*out = (struct system_standing){ .enabled = true };
	if (by_name == DIRECTORY_LATER || by_uid == DIRECTORY_LATER)
		return DIRECTORY_LATER;
	if (by_name == DIRECTORY_OK) {
		out->enabled = named.enabled;
		if (named.uid != uid)
			out->before = DIRECTORY_SYSTEM_ACCOUNT(named.uid);
		if (named.uid != uid || named.gone != 0)
			warn_of(c, &named, name, uid, a);
	}
	if (by_uid == DIRECTORY_OK && strcmp(numbered.name, name) != 0) {
		out->enabled = out->enabled && numbered.enabled;
		warn_of(c, &numbered, name, uid, a);
	}
	return DIRECTORY_OK;
}

/* ---- whether they are there ---- */

struct looked_at {
	struct looked_at *next;
	struct system_row row;
};
struct looking {
	struct arena     *life;
	struct looked_at *first;
};

static void
look_add(void *ctx, const struct system_row *r)
{
	struct looking   *l = ctx;
	struct looked_at *one = arena_take(l->life, sizeof *one);

	*one = (struct looked_at){ l->first, *r };
	one->row.name = arena_copy(l->life, bytes_of(r->name));
	l->first = one;
}

/* The name service may be away for a moment and say that there is no such user: that is asked some times before it is believed.  True:
   it is to be asked soon again. */
static bool
look_missed(struct clerk *c, const struct system_row *r)
{
	uint64_t  key = r->uid;
	uintptr_t times = (uintptr_t)map_get(c->system_missed, map_number(&key)) + 1;

	if (times < MISSED_OFTEN) {
		(void)map_put(c->system_missed, map_number(&key), (void *)times);
		return true;
	}
	(void)map_drop(c->system_missed, map_number(&key));
	if (directory_system_is_gone(c->directory, r->uid, clock_wall()) == DIRECTORY_OK)
		note("clerk: %s with uid %u is no user of the operating system any more: app passwords open nothing; mansio "
		     "account delete %s forgets what was said of him",
		     r->name, r->uid, r->name);
	return false;
}

/* Only where the settings say the table that has them all. */
static bool
can_be_told(const struct clerk *c)
{
	for (size_t i = 0; i < c->rules.user_maps.count; i++)
		if (strstr(c->rules.user_maps.item[i], "unix:passwd.byname") != NULL)
			return true;
	return false;
}

static enum directory_outcome
pass_look(struct work *w)
{
	struct clerk  *c = clerk_of(w->house);
	struct looking all = { w->life, NULL };
	bool           waits = false, soon = false;

	/* The settings were others when the timer was set; the next ones begin anew. */
	if (!can_be_told(c)) {
		for (struct map_place p = { 0 }; map_next(c->system_missed, &p);)
			(void)map_drop(c->system_missed, p.key);
		return DIRECTORY_OK;
	}
	(void)directory_system_each(c->directory, look_add, &all);
	for (struct looked_at *l = all.first; l != NULL; l = l->next) {
		const char            *name = "";
		uint32_t               uid = 0;
		uint64_t               key = l->row.uid;
		enum directory_outcome o =
			l->row.gone != 0 ? DIRECTORY_OK
					 : clerk_system_user(w, bytes_of(l->row.name), &name, &uid);

		if (o == DIRECTORY_WAIT)
			waits = true;
		else if (l->row.gone == 0 &&
		         (o == DIRECTORY_NONE || (o == DIRECTORY_OK && uid != l->row.uid)))
			l->row.made = 0; /* looked at below, when all have answered */
		else if (o == DIRECTORY_OK)
			(void)map_drop(c->system_missed, map_number(&key));
	}
	if (waits && !w->for_good)
		return DIRECTORY_WAIT;
	for (struct looked_at *l = all.first; l != NULL; l = l->next)
		if (l->row.made == 0)
			soon = look_missed(c, &l->row) || soon;
	timer_set(c->system_look, soon ? LOOK_AGAIN_MS : LOOK_MS);
	return DIRECTORY_OK;
}

static void
look_due(void *house)
{
	struct work *w = work_open(house, CLERK, 0, 0);

	w->pass = pass_look;
	work_on(w);
}

static void
is_any(void *ctx, const struct system_row *r)
{
	(void)r;
	*(bool *)ctx = true;
}

void
clerk_system_look(struct house *h)
{
	struct clerk *c = clerk_of(h);
	bool          any = false;

	if (c->directory != NULL)
		(void)directory_system_each(c->directory, is_any, &any);
	if (c->system_look == NULL) {
		c->system_missed = map_open();
		c->system_look = timer_open(h->loop, look_due, h);
	}
	if (any && can_be_told(c))
		timer_set(c->system_look, LOOK_FIRST_MS);
}

/* ---- commands ---- */

/* An operating-system user of whom something is said. */
void
order_system_say(void *ctx, const struct system_row *r)
{
	struct order *e = ctx;
	uint64_t      id = DIRECTORY_SYSTEM_ACCOUNT(r->uid);
	struct buffer b = { 0 };
	char          when[24], gone[24] = "";

	order_when(r->made, when);
	if (r->gone != 0)
		order_when(r->gone, gone);
	if (!e->json) {
		buffer_printf(&b, "%-40s id=%" PRIu64 " enabled=%s scram=no made=%s system-user=%u",
		              r->name, id, r->enabled ? "yes" : "no", when, r->uid);
		if (r->gone != 0)
			buffer_printf(&b, " gone=%s", gone);
		order_protection_say(e, id, &b);
		buffer_add_char(&b, '\n');
		order_row_say(e, &b);
		return;
	}
	order_row_open(e, &b);
	buffer_add_string(&b, "{\"account\": ");
	order_json_text(&b, r->name);
	buffer_printf(
		&b,
		", \"id\": %" PRIu64
		", \"enabled\": %s, \"scram\": false, \"made\": \"%s\", \"system_user\": %u, \"gone\": %s%s%s",
		id, r->enabled ? "true" : "false", when, r->uid, r->gone != 0 ? "\"" : "",
		r->gone != 0 ? gone : "null", r->gone != 0 ? "\"" : "");
	order_protection_say(e, id, &b);
	buffer_add_char(&b, '}');
	order_row_say(e, &b);
}

/* Of whom the command says something by his bare name, if there is such a row. */
static bool
is_said_of(struct order *e, struct arena *a, struct system_row *out)
{
	return e->first.len > 0 && bytes_find(e->first, '@') < 0 &&
	       directory_system_find(e->clerk->directory, e->first, a, out) == DIRECTORY_OK;
}

bool
order_system_shown(struct order *e)
{
	struct arena     *a = arena_open(NULL);
	struct system_row r;
	bool              is = is_said_of(e, a, &r);

	if (is) {
		order_system_say(e, &r);
		order_list_end(e);
	}
	arena_close(&a);
	return is;
}

/* The user, and the mail, are not ours to remove. */
bool
order_system_deleted(struct order *e, int *status)
{
	struct arena     *a = arena_open(NULL);
	struct system_row r;
	bool              is = is_said_of(e, a, &r);

	if (is) {
		enum directory_outcome o = directory_system_delete(e->clerk->directory, r.name);
		*status = order_finish(e, o, "account");
		r.bytes = r.messages = -1;
		if (o == DIRECTORY_OK) {
			clerk_tell_system(e->house, &r);
			clerk_account_out(e->house, DIRECTORY_SYSTEM_ACCOUNT(r.uid),
			                  "What was said of this account is forgotten");
		}
	}
	arena_close(&a);
	return is;
}

static int
set_same_user(struct order *e, const struct system_row *r, uint32_t uid, struct bytes name)
{
	struct arena          *a = arena_open(NULL);
	const char            *now = arena_copy(a, name);
	struct system_row      is = *r;
	enum directory_outcome o;

	if (uid == 0 || name.len == 0) {
		caller_complain(e->caller,
		                "mansio: %s is an operating-system user; mansio account delete %s "
		                "forgets what was said of him\n",
		                r->name, r->name);
		arena_close(&a);
		return 1;
	}
	o = directory_system_is(e->clerk->directory, r->name, now, uid);
	if (o == DIRECTORY_OK) {
		is.bytes = is.messages = -1;
		clerk_tell_system(e->house, &is);
		if (uid != r->uid && r->uid != 0)
			clerk_account_out(e->house, DIRECTORY_SYSTEM_ACCOUNT(r->uid),
			                  "This account has another uid now");
		if (directory_system_find(e->clerk->directory, name, a, &is) == DIRECTORY_OK)
			clerk_tell_system(e->house, &is);
	}
	if (o == DIRECTORY_OK && uid != r->uid)
		caller_say(e->caller,
		           "%s has uid %u now; app passwords and recovery codes are void: make "
		           "new ones\n",
		           now, uid);
	e->first = name;
	arena_close(&a);
	return order_finish(e, o, "account");
}

bool
order_system_is(struct order *e, struct bytes to, struct bytes name, int *status)
{
	struct arena     *a = arena_open(NULL);
	struct system_row r;
	uint64_t          uid;
	bool is = is_said_of(e, a, &r) && bytes_number(to, &uid) && uid < DIRECTORY_SYSTEM_UIDS;

	if (is)
		*status = set_same_user(e, &r, (uint32_t)uid, name);
	arena_close(&a);
	return is;
}
