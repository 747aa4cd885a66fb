/*
 * clerk-guard -- what stands between a right password and a mailbox, and what wrong ones lead to
 *
 * Admission: enabled, not suspended, a protocol and a network the account is for, and an app
 * password where a second factor is on and the proof was made of a password: a certificate, a Kerberos ticket and a
 * token of an issuer are no passwords, and whoever gives them out sees to further factors.  Failures: the last ones in memory for `mansio auth failures`,
 * and networks that earned a ban, which receivers and logins hear of.
 *
 * What is only good to know (when an app password was used, which networks an account comes from) is
 * written down together, a second later and at the end; a crash loses that second and nothing else.
 */
#include "role/clerk-guard.h"
#include "base/clock.h"
#include "channel/bans.h"
#include "role/enquiry.h"
#include "role/tables.h"
#include "smtp/receiver/settings.h"
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

enum { DOUBTS_MOST = 1000, TABLES_ASKED = 16 };
enum { FAILURES_KEPT = 4096, WRITTEN_AFTER_MS = 1000, USES_MOST = 4096, USED_AGAIN_S = 60 };
#define KNOWN_FOR_S (30LL * 24 * 3600)

struct failure {
	int64_t at;
	char    network[48], service[16], why[48], user[128];
};

/* The last use of an app password that is not on disk yet, or when it was written. */
struct use {
	int64_t at, written;
	char    from[48], by[16];
};

struct watch {
	struct house     *house;
	struct ban_limits limits;
	struct networks   exceptions;
	struct arena     *exceptions_life;
	struct bans      *bans;
	struct failure   *failure; /* a ring */
	uint64_t          failures;
	struct map       *uses;  /* id of an app password -> struct use */
	struct map       *known; /* "network user" -> when: to be written */
	struct timer     *writing;
	unsigned          doubts;
};

static struct watch *
watch_of(struct clerk *c)
{
	return c->watch;
}

/* ---- admission -------------------------------------------------------------------- */

static bool
from_allowed(const char *networks, const struct peer *peer)
{
	struct bytes   rest = bytes_of(networks), one;
	struct network n;
	const char    *wrong;

	while (bytes_split(&rest, ' ', &one))
		if (network_parse(one, &n, &wrong) && network_holds(&n, peer))
			return true;
	return networks[0] == '\0';
}

static const char *
date_text(int64_t at, struct arena *a)
{
	char      text[32];
	time_t    t = (time_t)at;
	struct tm tm;

	if (gmtime_r(&t, &tm) == NULL ||
	    strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &tm) == 0)
		return "?";
	return arena_copy(a, bytes_of(text));
}

/* The reason is for the log; whether the outside hears of it is in the answer.  A command may say neither service nor peer. */
enum auth_answer
clerk_admits(struct clerk *c, const struct admission *a, struct arena *life, const char **why)
{
	struct protection p;
	unsigned          protocol = protocol_of_service(a->service);
	int64_t           now = clock_wall();

	if (protection_of(c->directory, a->account, life, &p) != DIRECTORY_OK) {
		*why = "directory is not available";
		return AUTH_LATER;
	}
	if (p.suspended && (p.until == 0 || p.until > now)) {
		*why = arena_printf(life, "account is suspended%s%s%s%s",
		                    p.until != 0 ? " until " : "",
		                    p.until != 0 ? date_text(p.until, life) : "",
		                    p.reason[0] != '\0' ? ": " : "", p.reason);
		return AUTH_DISABLED;
	}
	if (*a->service != '\0' && p.protocols != 0 && (p.protocols & protocol) == 0)
		*why = arena_printf(life, "%s is not allowed for this account", a->service);
	else if (a->peer->family != 0 && !from_allowed(p.networks, a->peer))
		*why = "network is not allowed for this account";
	else if (a->device == NULL && !a->no_password && p.second_factor)
		*why = "second factor is on: an app password is needed";
	else if (a->device != NULL && a->device->expires != 0 && a->device->expires <= now)
		*why = arena_printf(life, "app password \"%s\" has expired", a->device->name);
	else if (*a->service != '\0' && a->device != NULL && (a->device->protocols & protocol) == 0)
		*why = arena_printf(life, "app password \"%s\" is not for %s", a->device->name,
		                    a->service);
	else
		return AUTH_OK;
	return AUTH_BAD;
}

/* ---- what is written down later --------------------------------------------------------- */

static void
known_write(struct watch *w, struct directory *d)
{
	for (struct map_place p = { 0 }; map_next(w->known, &p);) {
		struct arena        *a = arena_open(NULL);
		struct bytes         rest = p.key, network;
		struct known_network k = { .at = (int64_t)(intptr_t)p.value };

		(void)bytes_split(&rest, ' ', &network);
		k.network = arena_copy(a, network);
		k.user = arena_copy(a, rest);
		(void)known_network_put(d, &k);
		(void)map_drop(w->known, p.key);
		arena_close(&a);
	}
}

static void
uses_write(struct watch *w, struct directory *d)
{
	for (struct map_place p = { 0 }; map_next(w->uses, &p);) {
		struct use *u = p.value;
		uint64_t    id;

		if (u->at == u->written)
			continue;
		memcpy(&id, p.key.at, sizeof id);
		(void)app_password_used(d, id, u->at, u->from, u->by);
		u->written = u->at;
	}
	/* Those who were not there lately begin anew. */
	if (map_count(w->uses) >= USES_MOST)
		for (struct map_place p = { 0 }; map_next(w->uses, &p);)
			memory_free(map_drop(w->uses, p.key));
}

void
clerk_write_down(struct clerk *c)
{
	struct watch *w = watch_of(c);

	if (!directory_changes_begin(c->directory))
		return;
	known_write(w, c->directory);
	uses_write(w, c->directory);
	(void)directory_changes_end(c->directory, true);
}

static void
writing_due(void *clerk)
{
	clerk_write_down(clerk);
}

static void
use_note(struct watch *w, const struct admission *a)
{
	struct use *u = map_get(w->uses, map_number(&a->device->id));
	int64_t     now = clock_wall();
	bool        same;

	if (u == NULL) {
		if (map_count(w->uses) >= USES_MOST)
			return;
		u = memory_take(sizeof *u);
		(void)map_put(w->uses, map_number(&a->device->id), u);
	}
	/* A client that comes every second from one place is written once a minute. */
	same = strcmp(u->from, a->peer->text) == 0 && strcmp(u->by, a->service) == 0;
	if (same && now - u->written < USED_AGAIN_S)
		return;
	u->at = now;
	(void)bytes_string(bytes_of(a->peer->text), u->from, sizeof u->from);
	(void)snprintf(u->by, sizeof u->by, "%.15s", a->service);
	timer_set(w->writing, WRITTEN_AFTER_MS);
}

void
clerk_passed(struct clerk *c, const struct admission *a)
{
	struct watch *w = watch_of(c);
	struct arena *scratch;
	const char   *key;

	if (a->device != NULL)
		use_note(w, a);
	if (!guard_passed(c->guard, bytes_of(a->network), a->user, clock_patient_ms()))
		return;
	scratch = arena_open(NULL);
	key = arena_printf(scratch, "%s %.*s", a->network, (int)a->user.len, a->user.at);
	(void)map_put(w->known, bytes_of(key), (void *)(intptr_t)clock_wall());
	timer_set(w->writing, WRITTEN_AFTER_MS);
	arena_close(&scratch);
}

/* ---- bans ---------------------------------------------------------------------------------- */

static void
ban_say(struct link *l, const char *network, int64_t ms)
{
	bans_pack(link_begin(l, WORD_BAN, 0), network, ms);
	link_end(l);
}

static void
ban_tell(struct house *h, const char *network, int64_t ms)
{
	static const enum role hearers[] = { RECEIVER, LOGIN };

	for (size_t r = 0; r < COUNT(hearers); r++)
		for (uint32_t i = 0; i < house_peers(h, hearers[r]); i++) {
			struct link *l = house_link(h, hearers[r], i);
			if (l != NULL)
				ban_say(l, network, ms);
		}
}

/* How long from now; without end is ten years, which no process lives. */
static int64_t
ban_left_ms(const struct ban *b, int64_t now)
{
	int64_t s = b->until == 0 ? 10LL * 365 * 24 * 3600 : b->until - now;

	return s > 0 ? s * 1000 : 0;
}

bool
clerk_ban(struct clerk *c, const struct ban *b)
{
	struct watch *w = watch_of(c);
	int64_t       left = ban_left_ms(b, clock_wall()), now = clock_patient_ms();

	if (!bans_put(w->bans, bytes_of(b->network), now + left, now) ||
	    ban_put(c->directory, b) != DIRECTORY_OK)
		return false;
	ban_tell(w->house, b->network, left);
	return true;
}

enum directory_outcome
clerk_unban(struct clerk *c, const char *network)
{
	struct watch          *w = watch_of(c);
	enum directory_outcome o = ban_drop(c->directory, bytes_of(network));

	if (o != DIRECTORY_OK)
		return o;
	(void)bans_put(w->bans, bytes_of(network), 0, clock_patient_ms());
	guard_sentenced(c->guard, bytes_of(network), 0, clock_patient_ms());
	ban_tell(w->house, network, 0);
	return o;
}

/* Tables among them are the clerk's own, or elsewhere: `asks` is one of whose answer is to be waited for then. */
struct exception_tables {
	struct network_tables all; /* first */
	struct clerk         *clerk;
	const char           *asks, *told; /* told: of whose the outcome is, NULL none */
	enum table_outcome    outcome;
};

static enum network_answer
exception_find(struct network_tables *all, const char *name, const char *address)
{
	struct exception_tables *e = (struct exception_tables *)all;
	struct clerk            *c = e->clerk;
	struct table            *t = c->tables == NULL ? NULL : tables_local(c->tables, name);
	struct arena            *scratch = arena_open(NULL);
	struct bytes             value, key = bytes_of(address);
	enum table_outcome       o = TABLE_LATER;

	if (t != NULL)
		o = table_find(t, key, scratch, &value);
	else if (e->told != NULL && strcmp(e->told, name) == 0)
		o = e->outcome;
	else if (table_is_remote(name, tables_default_type(watch_of(c)->house->settings)))
		o = enquiry_kept(c->enquiries, name, key, scratch, &value);
	e->asks = o == TABLE_WAIT ? name : NULL;
	arena_close(&scratch);
	return o == TABLE_FOUND ? NETWORK_HAS : o == TABLE_NONE ? NETWORK_NOT : NETWORK_LATER;
}

static enum network_answer
excepted(const struct watch *w, const struct peer *peer)
{
	((struct exception_tables *)w->exceptions.tables)->asks = NULL;
	return peer->family == AF_UNIX ? NETWORK_HAS : networks_look(&w->exceptions, peer);
}

bool
clerk_is_banned(struct clerk *c, const struct peer *peer)
{
	return bans_hold(watch_of(c)->bans, peer, clock_patient_ms());
}

/* ---- failures --------------------------------------------------------------------------------- */

static void
cut_text(char *out, size_t room, struct bytes text)
{
	size_t n = text.len < room - 1 ? text.len : room - 1;

	for (size_t i = 0; i < n; i++)
		out[i] = (unsigned char)text.at[i] < 0x20 || text.at[i] == 0x7f ? '?' : text.at[i];
	out[n] = '\0';
}

/* One step towards a ban, and perhaps the last. */
static void
count_failure(struct clerk *c, const struct failure *f)
{
	struct watch *w = watch_of(c);
	char          reason[80];
	uint32_t      times = 0;
	int64_t ms = guard_banned(c->guard, &w->limits, bytes_of(f->network), clock_patient_ms(),
	                          &times);

	if (ms == 0)
		return;
	(void)snprintf(reason, sizeof reason, "%" PRId64 " failed logins, last as %.40s",
	               w->limits.failures, f->user[0] != '\0' ? f->user : "nobody");
	(void)clerk_ban(c, &(struct ban){ f->network, f->at, f->at + ms / 1000, times, reason });
	warn_("%s is banned for %" PRId64 " seconds: %s", f->network, ms / 1000, reason);
}

/* A failure of somebody of whom a table elsewhere is asked whether he is never banned. */
struct doubt {
	struct enquiry enquiry; /* first */
	struct clerk  *clerk;
	struct peer    peer;
	struct failure failure;
	char          *table; /* that is asked */
	unsigned       asked;
};

static bool doubt_ask(struct doubt *);

/* While it cannot be told nobody is banned; he waits longer each time all the same. */
static void
doubt_end(struct enquiry *e, enum table_outcome o, struct bytes value)
{
	struct doubt            *d = (struct doubt *)e;
	struct clerk            *c = d->clerk;
	struct exception_tables *t = (struct exception_tables *)watch_of(c)->exceptions.tables;
	enum network_answer      a;

	(void)value;
	t->told = d->table;
	t->outcome = o;
	a = excepted(watch_of(c), &d->peer);
	t->told = NULL;
	if (a == NETWORK_LATER && doubt_ask(d))
		return;
	if (a == NETWORK_NOT)
		count_failure(c, &d->failure);
	watch_of(c)->doubts--;
	memory_free(d->table);
	memory_free(d);
}

/* The next table of those not known. */
static bool
doubt_ask(struct doubt *d)
{
	struct clerk *c = d->clerk;
	const char   *table = ((struct exception_tables *)watch_of(c)->exceptions.tables)->asks;

	if (table == NULL || d->asked++ >= TABLES_ASKED)
		return false;
	memory_free(d->table);
	d->table = memory_take(strlen(table) + 1);
	memcpy(d->table, table, strlen(table) + 1);
	d->enquiry = (struct enquiry){ .answered = doubt_end };
	enquiry_ask(c->enquiries, &d->enquiry, table, bytes_of(d->peer.text));
	return true;
}

static void
doubt_begin(struct clerk *c, const struct peer *peer, const struct failure *f)
{
	struct doubt *d;

	if (watch_of(c)->doubts >= DOUBTS_MOST)
		return;
	d = memory_take(sizeof *d);
	*d = (struct doubt){ .clerk = c, .peer = *peer, .failure = *f };
	if (doubt_ask(d))
		watch_of(c)->doubts++;
	else
		memory_free(d);
}

void
clerk_failed(struct clerk *c, const struct admission *a, const char *why)
{
	struct watch   *w = watch_of(c);
	struct failure *f = &w->failure[w->failures++ % FAILURES_KEPT];
	bool            lent = a->network[0] == LENT_MARK;

	f->at = clock_wall();
	cut_text(f->network, sizeof f->network, bytes_of(a->network + lent));
	cut_text(f->service, sizeof f->service, bytes_of(a->service));
	cut_text(f->why, sizeof f->why, bytes_of(why));
	cut_text(f->user, sizeof f->user, a->user);
	if (a->proved || lent)
		return;
	switch (excepted(w, a->peer)) {
	case NETWORK_HAS: return;
	case NETWORK_NOT: count_failure(c, f); return;
	case NETWORK_LATER: doubt_begin(c, a->peer, f);
	}
}

/* The newest last, those that match: of this network or within it. */
void
clerk_failures_each(struct clerk *c, struct bytes user, const char *network,
                    void (*each)(void *, const struct failure_row *), void *ctx)
{
	struct watch *w = watch_of(c);
	uint64_t      from = w->failures > FAILURES_KEPT ? w->failures - FAILURES_KEPT : 0;

	for (uint64_t i = from; i < w->failures; i++) {
		const struct failure *f = &w->failure[i % FAILURES_KEPT];
		struct failure_row    r = { f->at, f->network, f->service, f->user, f->why };
		if ((user.len == 0 || bytes_is(user, f->user)) &&
		    (network == NULL || bans_covers(network, f->network)))
			each(ctx, &r);
	}
}

/* ---- a day ------------------------------------------------------------------------------------- */

static void
known_recall(void *ctx, const struct known_network *k)
{
	struct clerk *c = ctx;
	int64_t       now = clock_patient_ms();

	guard_recall(c->guard, bytes_of(k->network), bytes_of(k->user),
	             now - (clock_wall() - k->at) * 1000, now);
}

static void
ban_recall(void *ctx, const struct ban *b)
{
	struct clerk *c = ctx;
	int64_t       now = clock_patient_ms(), left = ban_left_ms(b, clock_wall());

	if (left > 0)
		(void)bans_put(watch_of(c)->bans, bytes_of(b->network), now + left, now);
	guard_sentenced(c->guard, bytes_of(b->network), b->times,
	                b->until == 0 ? now : now + (b->until - clock_wall()) * 1000);
}

struct telling {
	struct link *link;
	int64_t      now;
};

static void
ban_tell_one(void *ctx, const struct ban *b)
{
	struct telling *t = ctx;
	int64_t         left = ban_left_ms(b, t->now);

	if (left > 0)
		ban_say(t->link, b->network, left);
}

void
clerk_guard_tell(struct clerk *c, struct link *l)
{
	struct telling t = { l, clock_wall() };

	(void)ban_each(c->directory, 0, ban_tell_one, &t);
}

void
clerk_guard_settings(struct clerk *c)
{
	struct watch            *w = watch_of(c);
	struct setting_list      list = c->rows.ban_exceptions;
	struct network_item     *item;
	struct exception_tables *tables;
	const char              *wrong;

	w->limits = (struct ban_limits){ c->rows.ban_failures, c->rows.ban_within_ms,
		                         c->rows.ban_ms, c->rows.ban_longest_ms };
	arena_close(&w->exceptions_life);
	w->exceptions_life = arena_open(NULL);
	tables_patterns(w->house, w->exceptions_life, &list);
	tables = arena_take(w->exceptions_life, sizeof *tables);
	*tables = (struct exception_tables){
		{ 1, exception_find, NULL, NULL }, c, NULL, NULL, TABLE_WAIT
	};
	item = arena_take_array(w->exceptions_life, list.count + 1, sizeof *item);
	w->exceptions = (struct networks){ item, 0, &tables->all };
	for (size_t i = 0; i < list.count; i++)
		if (network_item_parse(arena_copy(w->exceptions_life, bytes_of(list.item[i])),
		                       &item[w->exceptions.count], &wrong))
			w->exceptions.count++;
		else
			warn_("auth_ban_exceptions: %s: %s", list.item[i], wrong);
}

void
clerk_guard_open(struct house *h)
{
	struct clerk *c = h->mine;
	struct watch *w = memory_take(sizeof *w);

	c->watch = w;
	w->house = h;
	w->bans = bans_open();
	w->failure = memory_take(FAILURES_KEPT * sizeof *w->failure);
	w->uses = map_open();
	w->known = map_open();
	w->writing = timer_open(h->loop, writing_due, c);
	w->exceptions_life = arena_open(NULL);
	if (c->directory == NULL)
		return;
	(void)known_network_each(c->directory, clock_wall() - KNOWN_FOR_S, known_recall, c);
	/* Those that ended are remembered for as long as a ban grows. */
	(void)ban_each(c->directory, clock_wall() - KNOWN_FOR_S, ban_recall, c);
}
