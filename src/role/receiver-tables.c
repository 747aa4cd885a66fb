/*
 * receiver-tables -- tables that are elsewhere and are looked into in the midst of a session: they are asked first, and
 * then looked into as those of files are
 *
 * What they said is kept in two halves: an answer that is looked at goes to the younger, and when that is full, the older
 * one is forgotten.  What is not there any more counts as not to be told now.
 */
#include "role/receiver.h"

#include <string.h>
#include <unistd.h>

#include "role/debug.h"
#include "role/enquiry.h"
#include "role/tables.h"

enum { ANSWERS_MOST = 20000, ARRIVALS_MOST = 2000 };

struct said {
	enum table_outcome outcome;
	size_t             len;
	char               value[];
};
struct client_answers {
	struct enquiries *enquiries;
	struct map       *young, *old; /* table, NUL, key -> struct said */
	struct arrival   *arrivals;
	size_t            arriving;
};

/* All that somebody waits for at once. */
struct gathering {
	struct receiver *receiver;
	struct arena    *life;
	struct wanted   *first;
	unsigned         waiting;
	void (*done)(void *ctx);
	void *ctx;
};
struct wanted {
	struct enquiry    enquiry; /* first */
	struct wanted    *next;
	struct gathering *of;
	const char       *table;
	struct bytes      key;
};

/*
 * What was said
 */

static void
name_in(struct buffer *b, const char *table, struct bytes key)
{
	buffer_add_string(b, table);
	buffer_add_char(b, '\0');
	buffer_add(b, key);
}

static void
empty(struct map **mp)
{
	for (struct map_place p = { 0 }; *mp != NULL && map_next(*mp, &p);)
		memory_free(p.value);
	map_close(mp);
}

static void
keep(struct client_answers *c, struct bytes name, struct said *said)
{
	if (map_count(c->young) >= ANSWERS_MOST / 2) {
		empty(&c->old);
		c->old = c->young;
		c->young = map_open();
	}
	memory_free(map_drop(c->old, name));
	memory_free(map_put(c->young, name, said));
}

static void
learn(struct client_answers *c, const char *table, struct bytes key, enum table_outcome outcome,
      struct bytes value)
{
	struct said  *said = memory_take(sizeof *said + value.len);
	struct buffer name = { 0 };

	said->outcome = outcome;
	said->len = value.len;
	if (value.len > 0)
		memcpy(said->value, value.at, value.len);
	name_in(&name, table, key);
	keep(c, buffer_bytes(&name), said);
	buffer_free(&name);
}

enum table_outcome
client_answer(struct receiver *r, const char *table, struct bytes key, struct arena *a,
              struct bytes *value)
{
	struct client_answers *c = r->answers;
	struct buffer          name = { 0 };
	struct said           *said;
	enum table_outcome     is = TABLE_LATER;

	name_in(&name, table, key);
	if ((said = map_get(c->young, buffer_bytes(&name))) == NULL &&
	    (said = map_drop(c->old, buffer_bytes(&name))) != NULL)
		keep(c, buffer_bytes(&name), said);
	*value = (struct bytes){ NULL, 0 };
	if (said != NULL) {
		is = said->outcome;
		*value = arena_keep(a, (struct bytes){ said->value, said->len });
	}
	buffer_free(&name);
	return is;
}

/*
 * Asking
 */

static void
answered(struct enquiry *e, enum table_outcome outcome, struct bytes value)
{
	struct wanted    *w = (struct wanted *)e;
	struct gathering *g = w->of;

	learn(g->receiver->answers, w->table, w->key, outcome, value);
	if (--g->waiting == 0)
		g->done(g->ctx);
}

static struct gathering *
gathering_open(struct receiver *r, void (*done)(void *ctx), void *ctx)
{
	struct arena     *life = arena_open(NULL);
	struct gathering *g = arena_take(life, sizeof *g);

	*g = (struct gathering){ .receiver = r, .life = life, .done = done, .ctx = ctx };
	return g;
}

static void
gathering_close(struct gathering **gp)
{
	struct gathering *g = *gp;
	struct arena     *life;

	*gp = NULL;
	if (g == NULL)
		return;
	for (struct wanted *w = g->first; w != NULL; w = w->next)
		enquiry_drop(g->receiver->answers->enquiries, &w->enquiry);
	life = g->life;
	arena_close(&life);
}

static void
gather(struct gathering *g, const char *table, struct bytes key)
{
	struct receiver       *r = g->receiver;
	struct client_answers *c = r->answers;
	enum table_outcome     is;
	struct bytes           value;
	struct wanted         *w;

	if (key.len == 0 || !table_is_remote(table, tables_default_type(r->house->settings)))
		return;
	is = enquiry_kept(c->enquiries, table, key, g->life, &value);
	if (is != TABLE_WAIT) {
		learn(c, table, key, is, value);
		return;
	}
	w = arena_take(g->life, sizeof *w);
	*w = (struct wanted){ .enquiry = { .answered = answered },
		              .next = g->first,
		              .of = g,
		              .table = arena_copy(g->life, bytes_of(table)),
		              .key = arena_keep(g->life, key) };
	g->first = w;
	g->waiting++;
	enquiry_ask(c->enquiries, &w->enquiry, w->table, w->key);
}

static void
gather_networks(struct gathering *g, const struct networks *n, struct bytes key)
{
	for (size_t i = 0; i < n->count; i++)
		if (n->item[i].table != NULL)
			gather(g, n->item[i].table, key);
}

static void
gather_list(struct gathering *g, const struct setting_list *list, struct bytes key)
{
	for (size_t i = 0; i < list->count; i++) {
		const char *item = list->item[i] + (list->item[i][0] == '!');

		if (table_is_name(item))
			gather(g, item, key);
	}
}

/* All lists of clients that there are for this one. */
static void
gather_client(struct gathering *g, const struct receiver_config *c, const struct peer *peer)
{
	struct bytes           key = bytes_of(peer->text);
	const struct networks *lists[] = {
		&c->mynetworks,    &c->exceptions,     &c->bare_excluded,
		&c->screen_allow,  &c->auth_excepted,  &c->expn_hosts,
		&c->xclient_hosts, &c->xforward_hosts, &c->verp_clients,
	};

	for (size_t i = 0; i < COUNT(lists); i++)
		gather_networks(g, lists[i], key);
	gather_list(g, &c->set.screen_access, key);
	gather_list(g, &c->set.discarded_of, key);
	gather_list(g, &c->set.local_clients, key);
}

/*
 * A client comes
 */

/* Whoever is not let in until it is known what he is. */
struct arrival {
	struct arrival   *next, **at;
	struct receiver  *receiver;
	struct door      *door;
	int               fd;
	struct peer       peer;
	struct gathering *g;
	void (*enter)(struct door *, int fd, const struct peer *);
};

static void
arrival_end(struct arrival *a)
{
	*a->at = a->next;
	if (a->next != NULL)
		a->next->at = a->at;
	a->receiver->answers->arriving--;
	gathering_close(&a->g);
	if (a->fd >= 0)
		(void)close(a->fd);
	memory_free(a);
}

static void
arrived(void *ctx)
{
	struct arrival *a = ctx;
	int             fd = a->fd;

	a->fd = -1;
	a->enter(a->door, fd, &a->peer);
	arrival_end(a);
}

void
client_arrives(struct door *d, int fd, const struct peer *peer,
               void (*enter)(struct door *, int fd, const struct peer *))
{
	struct receiver       *r = d->receiver;
	struct client_answers *c = r->answers;
	struct arrival        *a;
	struct gathering      *g;

	if (!r->asks_of_clients || c->arriving >= ARRIVALS_MOST) {
		enter(d, fd, peer);
		return;
	}
	a = memory_take(sizeof *a);
	g = gathering_open(r, arrived, a);
	gather_client(g, d->config, peer);
	if (g->waiting == 0) {
		gathering_close(&g);
		memory_free(a);
		enter(d, fd, peer);
		return;
	}
	*a = (struct arrival){ .next = c->arrivals,
		               .at = &c->arrivals,
		               .receiver = r,
		               .door = d,
		               .fd = fd,
		               .peer = *peer,
		               .g = g,
		               .enter = enter };
	if (c->arrivals != NULL)
		c->arrivals->at = &a->next;
	c->arrivals = a;
	c->arriving++;
}

void
client_arrivals_forget(struct receiver *r, const struct door *d)
{
	struct arrival *next;

	for (struct arrival *a = r->answers->arrivals; a != NULL; a = next) {
		next = a->next;
		if (a->door == d)
			arrival_end(a);
	}
}

/*
 * In a session
 */

static void
looked(void *ctx)
{
	struct visit *v = ctx;

	gathering_close(&v->gathering);
	session_looked(v->session);
}

/* True: it waits, and session_looked() follows. */
static bool
waits(struct visit *v, struct gathering *g)
{
	if (g->waiting == 0)
		gathering_close(&g);
	v->gathering = g;
	return g != NULL;
}

bool
need_look(void *house, struct session *s, const struct setting_list *tables,
          const struct bytes *key, size_t keys)
{
	struct receiver  *r = receiver_of(house);
	struct visit     *v = *session_held(s);
	struct gathering *g;

	if (!r->asks_of_clients)
		return false;
	g = gathering_open(r, looked, v);
	for (size_t i = 0; i < keys; i++)
		gather_list(g, tables, key[i]);
	return waits(v, g);
}

bool
need_look_at_client(void *house, struct session *s)
{
	struct receiver  *r = receiver_of(house);
	struct visit     *v = *session_held(s);
	struct gathering *g;

	if (!r->asks_of_clients)
		return false;
	g = gathering_open(r, looked, v);
	gather_client(g, session_config(s), session_peer(s));
	return waits(v, g);
}

void
need_look_drop(struct visit *v)
{
	gathering_close(&v->gathering);
}

/*
 * The role's day
 */

static void
want(void *ctx, const struct table_named *named)
{
	struct receiver *r = ctx;

	r->asks_of_clients |= !named->is_file && table_is_of_clients(named) &&
	                      table_is_remote(named->name, tables_default_type(r->house->settings));
}

/* Answers of before are void. */
void
client_answers_renew(struct receiver *r)
{
	struct client_answers   *c = r->answers;
	struct proxymap_settings set;

	r->asks_of_clients = false;
	tables_named(r->house->settings, want, r);
	if (!house_settings(r->house, &proxymap_setting_table, NULL, &set))
		return;
	if (c == NULL) {
		c = r->answers = memory_take(sizeof *c);
		c->young = map_open();
		c->old = map_open();
		c->enquiries = enquiries_open(r->house, &set);
		debug_ask_by(c->enquiries);
	}
	enquiries_forget(c->enquiries, &set);
}

bool
hear_client_answer(struct receiver *r, uint32_t ticket, struct bytes body)
{
	return enquiries_heard(r->answers->enquiries, ticket, body);
}

void
client_answers_lost(struct receiver *r)
{
	enquiries_lost(r->answers->enquiries);
}

void
client_answers_met(struct receiver *r)
{
	enquiries_met(r->answers->enquiries);
}
