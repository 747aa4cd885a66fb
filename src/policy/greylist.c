#include "policy/greylist.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

enum { SWEEP_AT_ONCE = 500, ADDRESS_MOST = 320, HOUR = 3600 };

const char *const greylist_words[] = {
	[GREYLIST_NEW] = "new",     [GREYLIST_EARLY] = "early",   [GREYLIST_PASSED] = "passed",
	[GREYLIST_KNOWN] = "known", [GREYLIST_CLIENT] = "client",
};

/* Who was let in is known until max_age of silence; who was not must come back in time. */
static bool
is_stale(const struct greylist_settings *set, const struct greylist_known *k, int64_t now)
{
	return k->passed > 0 ? now - k->last > set->max_age / 1000
	                     : now - k->first > set->window / 1000;
}

enum greylist_verdict
greylist_judge(const struct greylist_settings *set, struct greylist_known *k, int64_t now)
{
	/* the clock was set back: what is said to be of tomorrow is of now */
	if (k->first > now)
		k->first = now;
	if (k->tries == 0 || is_stale(set, k, now)) {
		*k = (struct greylist_known){ now, now, 1, 0 };
		return GREYLIST_NEW;
	}
	k->tries++;
	k->last = now;
	if (k->passed > 0) {
		k->passed++;
		return GREYLIST_KNOWN;
	}
	if (now - k->first < set->delay / 1000)
		return GREYLIST_EARLY;
	k->passed = 1;
	return GREYLIST_PASSED;
}

void
greylist_network(const struct peer *peer, const struct greylist_settings *set,
                 char out[static GREYLIST_NETWORK_ROOM])
{
	uint8_t raw[16] = { 0 };
	char    text[INET6_ADDRSTRLEN] = "";
	size_t  len = peer->family == AF_INET ? 4 : 16;
	int64_t bits = peer->family == AF_INET ? set->bits : set->bits6;

	if (peer->family != AF_INET && peer->family != AF_INET6) {
		(void)snprintf(out, GREYLIST_NETWORK_ROOM, "%s", peer->text);
		return;
	}
	for (size_t i = 0; i < len; i++) {
		int64_t here = bits - (int64_t)i * 8;
		raw[i] = here >= 8  ? peer->raw[i]
		         : here > 0 ? (uint8_t)(peer->raw[i] & 0xff << (8 - here))
		                    : 0;
	}
	(void)inet_ntop(peer->family, raw, text, sizeof text);
	(void)snprintf(out, GREYLIST_NETWORK_ROOM, "%s/%d", text, (int)bits);
}

static bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

struct bytes
greylist_sender(struct arena *a, struct bytes sender)
{
	struct bytes  low = arena_lower(a, bytes_cut(sender, 0, ADDRESS_MOST));
	ptrdiff_t     at = bytes_find_last(low, '@'), plus;
	struct bytes  local = bytes_cut(low, 0, at < 0 ? low.len : (size_t)at);
	struct buffer out = { 0 };

	plus = bytes_find(local, '+');
	if (plus > 0)
		local = bytes_cut(local, 0, (size_t)plus);
	for (size_t i = 0; i < local.len; i++)
		if (!is_digit(local.at[i]))
			buffer_add_char(&out, local.at[i]);
		else if (i == 0 || !is_digit(local.at[i - 1]))
			buffer_add_char(&out, '#');
	if (at >= 0)
		buffer_add(&out, bytes_cut(low, (size_t)at, low.len));
	low = arena_keep(a, buffer_bytes(&out));
	buffer_free(&out);
	return low;
}

static void
bind_triplet(sqlite3_stmt *s, const struct greylist_triplet *t)
{
	policydb_bind(s, 1, t->network);
	policydb_bind(s, 2, t->sender);
	policydb_bind(s, 3, t->recipient);
}

static struct greylist_known
known(struct policydb *db, const struct greylist_triplet *t)
{
	sqlite3_stmt         *s = policydb_query(db, GREY_GET);
	struct greylist_known k = { 0 };

	bind_triplet(s, t);
	if (sqlite3_step(s) == SQLITE_ROW)
		k = (struct greylist_known){ sqlite3_column_int64(s, 0), sqlite3_column_int64(s, 1),
			                     sqlite3_column_int64(s, 2),
			                     sqlite3_column_int64(s, 3) };
	(void)sqlite3_reset(s);
	return k;
}

static void
keep(struct policydb *db, const struct greylist_triplet *t, const struct greylist_known *k)
{
	sqlite3_stmt *s = policydb_query(db, GREY_PUT);

	bind_triplet(s, t);
	(void)sqlite3_bind_int64(s, 4, k->first);
	(void)sqlite3_bind_int64(s, 5, k->last);
	(void)sqlite3_bind_int64(s, 6, k->tries);
	(void)sqlite3_bind_int64(s, 7, k->passed);
	(void)policydb_run(db, s);
}

static void
keep_client(struct policydb *db, struct bytes network, int64_t passed, int64_t now)
{
	sqlite3_stmt *s = policydb_query(db, CLIENT_PUT);

	policydb_bind(s, 1, network);
	(void)sqlite3_bind_int64(s, 2, passed);
	(void)sqlite3_bind_int64(s, 3, now);
	(void)policydb_run(db, s);
}

/* How many triplets of this network were let in, unless that is too long ago. */
static int64_t
client_passed(struct policydb *db, const struct greylist_settings *set, struct bytes network,
              int64_t now, int64_t *last)
{
	sqlite3_stmt *s = policydb_query(db, CLIENT_GET);
	int64_t       passed = 0;

	*last = 0;
	policydb_bind(s, 1, network);
	if (sqlite3_step(s) == SQLITE_ROW) {
		passed = sqlite3_column_int64(s, 0);
		*last = sqlite3_column_int64(s, 1);
	}
	(void)sqlite3_reset(s);
	return now - *last > set->max_age / 1000 ? 0 : passed;
}

/* What a statement took away. */
static int
took(struct policydb *db, enum policydb_table table, int n)
{
	*policydb_rows(db, table) -= n > 0 ? n : 0;
	return n;
}

void
greylist_ask(struct policydb *db, const struct greylist_settings *set,
             const struct greylist_triplet *t, int64_t now, struct greylist_answer *out)
{
	int64_t               last;
	int64_t               passed = client_passed(db, set, t->network, now, &last);
	struct greylist_known k;
	bool                  is_new;

	*out = (struct greylist_answer){ GREYLIST_CLIENT, 0 };
	if (set->allow > 0 && passed >= set->allow) {
		/* once an hour is often enough to know that it comes */
		if (now - last > HOUR)
			keep_client(db, t->network, passed, now);
		return;
	}
	k = known(db, t);
	is_new = k.tries == 0;
	out->verdict = greylist_judge(set, &k, now);
	if (out->verdict <= GREYLIST_EARLY)
		out->wait = k.first + set->delay / 1000 - now;
	if (is_new) {
		policydb_make_room(db, POLICYDB_GREY, GREY_OLDEST, set->most);
		++*policydb_rows(db, POLICYDB_GREY);
	}
	keep(db, t, &k);
	/* One letter to many, or many that were written in one minute, say no more of a network than one. */
	if (out->verdict != GREYLIST_PASSED || (last > 0 && now >= last && now - last < HOUR))
		return;
	if (last == 0) {
		policydb_make_room(db, POLICYDB_CLIENT, CLIENT_OLDEST, set->most);
		++*policydb_rows(db, POLICYDB_CLIENT);
	}
	keep_client(db, t->network, passed + 1, now);
}

void
greylist_look(struct policydb *db, const struct greylist_settings *set,
              const struct greylist_triplet *t, int64_t now, struct greylist_answer *out)
{
	int64_t               last;
	struct greylist_known k;

	*out = (struct greylist_answer){ GREYLIST_CLIENT, 0 };
	if (set->allow > 0 && client_passed(db, set, t->network, now, &last) >= set->allow)
		return;
	k = known(db, t);
	out->verdict = greylist_judge(set, &k, now);
	if (out->verdict <= GREYLIST_EARLY)
		out->wait = k.first + set->delay / 1000 - now;
}

bool
greylist_sweep(struct policydb *db, const struct greylist_settings *set, int64_t now)
{
	sqlite3_stmt *s = policydb_query(db, GREY_EXPIRE);
	int           n;

	(void)sqlite3_bind_int64(s, 1, now - set->window / 1000);
	(void)sqlite3_bind_int64(s, 2, now - set->max_age / 1000);
	(void)sqlite3_bind_int64(s, 3, SWEEP_AT_ONCE);
	n = took(db, POLICYDB_GREY, policydb_run(db, s));
	s = policydb_query(db, GREY_EXPIRE_CLIENTS);
	(void)sqlite3_bind_int64(s, 1, now - set->max_age / 1000);
	(void)took(db, POLICYDB_CLIENT, policydb_run(db, s));
	return n >= SWEEP_AT_ONCE;
}

int64_t
greylist_count(struct policydb *db)
{
	return *policydb_rows(db, POLICYDB_GREY);
}

int
greylist_list(struct policydb *db, const struct greylist_triplet *after, int most,
              void (*each)(void *ctx, const struct greylist_triplet *,
                           const struct greylist_known *),
              void *ctx)
{
	sqlite3_stmt *s = policydb_query(db, GREY_LIST);
	int           n = 0;

	bind_triplet(s, after);
	(void)sqlite3_bind_int(s, 4, most);
	for (; sqlite3_step(s) == SQLITE_ROW; n++) {
		struct greylist_triplet t = { policydb_text(s, 0), policydb_text(s, 1),
			                      policydb_text(s, 2) };
		struct greylist_known k = { sqlite3_column_int64(s, 3), sqlite3_column_int64(s, 4),
			                    sqlite3_column_int64(s, 5),
			                    sqlite3_column_int64(s, 6) };
		each(ctx, &t, &k);
	}
	(void)sqlite3_reset(s);
	return n;
}

int
greylist_clients(struct policydb *db, struct bytes after, int most,
                 void (*each)(void *ctx, struct bytes network, int64_t passed, int64_t last),
                 void *ctx)
{
	sqlite3_stmt *s = policydb_query(db, CLIENT_LIST);
	int           n = 0;

	policydb_bind(s, 1, after);
	(void)sqlite3_bind_int(s, 2, most);
	for (; sqlite3_step(s) == SQLITE_ROW; n++)
		each(ctx, policydb_text(s, 0), sqlite3_column_int64(s, 1),
		     sqlite3_column_int64(s, 2));
	(void)sqlite3_reset(s);
	return n;
}

/* Of a network as such, what it has earned goes too. */
int
greylist_delete(struct policydb *db, const struct greylist_triplet *t)
{
	sqlite3_stmt *s = policydb_query(db, GREY_DROP);
	int           n, clients = 0;

	bind_triplet(s, t);
	n = took(db, POLICYDB_GREY, policydb_run(db, s));
	if (t->sender.len == 0 && t->recipient.len == 0) {
		s = policydb_query(db, CLIENT_DROP);
		policydb_bind(s, 1, t->network);
		clients = took(db, POLICYDB_CLIENT, policydb_run(db, s));
	}
	return n < 0 || clients < 0 ? -1 : n + clients;
}

int
greylist_flush(struct policydb *db)
{
	int n = took(db, POLICYDB_GREY, policydb_run(db, policydb_query(db, GREY_FLUSH)));
	int clients = took(db, POLICYDB_CLIENT, policydb_run(db, policydb_query(db, CLIENT_FLUSH)));

	return n < 0 || clients < 0 ? -1 : n + clients;
}
