#include "role/enquiry.h"

#include <string.h>

#include "base/clock.h"
#include "base/map.h"
#include "base/random.h"

enum { FAILED_MS = 1000, PATIENCE_MS = 30000, LOOK_MS = 1000, OPEN_MOST = 20000 };

/* An answer that is known. */
struct known {
	int64_t            until_ms;
	enum table_outcome outcome;
	size_t             len;
	char               value[];
};

/* A question that is open, and all who wait for it. */
struct question_open {
	struct enquiry *first;
	uint32_t        ticket;
	bool            asked, again;
	int64_t         until_ms;
	size_t          table_len; /* of the key of the maps: table, NUL, key     */
	size_t          len;
	char            name[];
};

/* Answers go from `young` to `old` when they are asked for again, never the other way: when `young` is
   full, what is left in `old` was not asked for lately. */
struct enquiries {
	struct house *house;
	struct map   *young, *old;
	struct map   *open, *by_ticket;
	int64_t       cache_ms;
	size_t        most;
	uint32_t      next;
	struct timer *timer;
	struct errand errand;
	struct ended *ended; /* whom to call in the next turn           */
};

struct ended {
	struct ended      *next;
	struct enquiry    *first;
	enum table_outcome outcome;
	size_t             len;
	char               value[];
};

static struct bytes
ticket_key(const uint32_t *ticket)
{
	return (struct bytes){ (const char *)ticket, sizeof *ticket };
}

static void
add_name(struct buffer *b, const char *table, struct bytes key)
{
	buffer_add(b, bytes_of(table));
	buffer_add_char(b, '\0');
	buffer_add(b, key);
}

/*
 * What is known
 */

static void
empty(struct map **mp)
{
	for (struct map_place p = { 0 }; *mp != NULL && map_next(*mp, &p);)
		memory_free(p.value);
	map_close(mp);
}

static void
keep(struct enquiries *e, struct bytes name, struct known *k)
{
	if (map_count(e->young) >= e->most / 2) {
		empty(&e->old);
		e->old = e->young;
		e->young = map_open();
	}
	memory_free(map_put(e->young, name, k));
}

static void
learn(struct enquiries *e, struct bytes name, enum table_outcome outcome, struct bytes value)
{
	int64_t ms = outcome == TABLE_LATER && e->cache_ms > FAILED_MS ? FAILED_MS : e->cache_ms;
	struct known *k;

	memory_free(map_drop(e->old, name));
	if (ms == 0)
		return;
	k = memory_take(sizeof *k + value.len);
	k->until_ms = clock_patient_ms() + ms;
	k->outcome = outcome;
	k->len = value.len;
	if (value.len > 0)
		memcpy(k->value, value.at, value.len);
	keep(e, name, k);
}

enum table_outcome
enquiry_kept(struct enquiries *e, const char *table, struct bytes key, struct arena *life,
             struct bytes *value)
{
	struct buffer      name = { 0 };
	struct known      *k;
	bool               was_old = false;
	enum table_outcome is = TABLE_WAIT;

	*value = (struct bytes){ NULL, 0 };
	add_name(&name, table, key);
	if ((k = map_get(e->young, buffer_bytes(&name))) == NULL) {
		k = map_get(e->old, buffer_bytes(&name));
		was_old = k != NULL;
	}
	if (k != NULL && k->until_ms > clock_patient_ms()) {
		is = k->outcome;
		*value = arena_keep(life, (struct bytes){ k->value, k->len });
		if (was_old) {
			(void)map_drop(e->old, buffer_bytes(&name));
			keep(e, buffer_bytes(&name), k);
		}
	}
	buffer_free(&name);
	return is;
}

/*
 * What is asked
 */

static void
say(struct enquiries *e, struct question_open *q)
{
	struct link          *l = house_link(e->house, PROXYMAP, 0);
	struct word_table_ask w = { q->name,
		                    { q->name + q->table_len + 1, q->len - q->table_len - 1 } };

	if (l == NULL) {
		house_proxymap_want(e->house);
		return;
	}
	q->asked = true;
	word_pack_table_ask(link_begin(l, WORD_TABLE_ASK, q->ticket), &w);
	link_end(l);
}

/* Those who wait are told in the next turn: they may ask again while they hear it. */
static void
tell_ended(void *ctx)
{
	struct enquiries *e = ctx;
	struct ended     *d;
	struct enquiry   *q;

	while ((d = e->ended) != NULL) {
		if ((q = d->first) == NULL) {
			e->ended = d->next;
			memory_free(d);
			continue;
		}
		d->first = q->next;
		q->next = NULL;
		q->answered(q, d->outcome, (struct bytes){ d->value, d->len });
	}
}

static void
end(struct enquiries *e, struct enquiry *first, enum table_outcome outcome, struct bytes value)
{
	struct ended **at = &e->ended, *d = memory_take(sizeof *d + value.len);

	*d = (struct ended){ .first = first, .outcome = outcome, .len = value.len };
	if (value.len > 0)
		memcpy(d->value, value.at, value.len);
	for (struct enquiry *q = first; q != NULL; q = q->next)
		q->of = NULL;
	while (*at != NULL)
		at = &(*at)->next;
	*at = d;
	errand_set(e->house->loop, &e->errand);
}

/* It is answered, or given up. */
static void
question_end(struct enquiries *e, struct question_open *q, enum table_outcome outcome,
             struct bytes value)
{
	struct bytes name = { q->name, q->len };

	(void)map_drop(e->open, name);
	(void)map_drop(e->by_ticket, ticket_key(&q->ticket));
	learn(e, name, outcome, value);
	end(e, q->first, outcome, value);
	memory_free(q);
}

static void
look(void *ctx)
{
	struct enquiries *e = ctx;
	int64_t           now = clock_patient_ms();
	struct buffer     late = { 0 };
	uint32_t          ticket;

	for (struct map_place p = { 0 }; map_next(e->by_ticket, &p);)
		if (((struct question_open *)p.value)->until_ms <= now)
			buffer_add(&late, p.key);
	for (struct bytes rest = buffer_bytes(&late); rest.len > 0;
	     rest = bytes_cut(rest, sizeof ticket, rest.len)) {
		memcpy(&ticket, rest.at, sizeof ticket);
		question_end(e, map_get(e->by_ticket, ticket_key(&ticket)), TABLE_LATER,
		             BYTES("no answer in time"));
	}
	buffer_free(&late);
	if (map_count(e->open) > 0)
		timer_set(e->timer, LOOK_MS);
}

static struct question_open *
question_make(struct enquiries *e, const char *table, struct bytes name)
{
	struct question_open *q = memory_take(sizeof *q + name.len + 1);

	q->table_len = strlen(table);
	q->len = name.len;
	memcpy(q->name, name.at, name.len);
	q->until_ms = clock_patient_ms() + PATIENCE_MS;
	while (q->ticket = ++e->next,
	       q->ticket == 0 || map_get(e->by_ticket, ticket_key(&q->ticket)) != NULL)
		continue;
	if (map_count(e->open) == 0)
		timer_set(e->timer, LOOK_MS);
	(void)map_put(e->open, name, q);
	(void)map_put(e->by_ticket, ticket_key(&q->ticket), q);
	return q;
}

void
enquiry_ask(struct enquiries *e, struct enquiry *mine, const char *table, struct bytes key)
{
	struct buffer         name = { 0 };
	struct question_open *q;

	add_name(&name, table, key);
	q = map_get(e->open, buffer_bytes(&name));
	mine->next = NULL;
	mine->of = NULL;
	if (q == NULL && map_count(e->open) >= OPEN_MOST) {
		end(e, mine, TABLE_LATER, BYTES("too many questions are open"));
	} else {
		if (q == NULL) {
			q = question_make(e, table, buffer_bytes(&name));
			say(e, q);
		}
		mine->of = q;
		mine->next = q->first;
		q->first = mine;
	}
	buffer_free(&name);
}

static bool
take_out(struct enquiry **at, struct enquiry *mine)
{
	for (; *at != NULL; at = &(*at)->next)
		if (*at == mine) {
			*at = mine->next;
			return true;
		}
	return false;
}

/* The question stays open: its answer will be known. */
void
enquiry_drop(struct enquiries *e, struct enquiry *mine)
{
	if (mine->of != NULL) {
		(void)take_out(&mine->of->first, mine);
		mine->of = NULL;
		return;
	}
	for (struct ended *d = e->ended; d != NULL; d = d->next)
		if (take_out(&d->first, mine))
			return;
}

bool
enquiries_heard(struct enquiries *e, uint32_t ticket, struct bytes body)
{
	struct arena          *life = arena_open(NULL);
	struct question_open  *q = map_get(e->by_ticket, ticket_key(&ticket));
	struct word_table_said w;
	bool                   good = word_unpack_table_said(body, life, &w);

	if (good && q != NULL)
		question_end(e, q, (enum table_outcome)w.outcome, w.value);
	arena_close(&life);
	return good;
}

/* One that left because the settings have no need of it does not come again by itself. */
static void
want_again(struct enquiries *e)
{
	if (map_count(e->by_ticket) > 0)
		house_proxymap_want(e->house);
}

/* What two of them died over is not asked of a third. */
void
enquiries_lost(struct enquiries *e)
{
	struct buffer doomed = { 0 };
	uint32_t      ticket;

	for (struct map_place p = { 0 }; map_next(e->by_ticket, &p);) {
		struct question_open *q = p.value;
		if (!q->asked)
			continue;
		q->asked = false;
		if (q->again)
			buffer_add(&doomed, p.key);
		q->again = true;
	}
	for (struct bytes rest = buffer_bytes(&doomed); rest.len > 0;
	     rest = bytes_cut(rest, sizeof ticket, rest.len)) {
		memcpy(&ticket, rest.at, sizeof ticket);
		question_end(e, map_get(e->by_ticket, ticket_key(&ticket)), TABLE_LATER,
		             BYTES("who was asked died twice"));
	}
	buffer_free(&doomed);
	want_again(e);
}

void
enquiries_met(struct enquiries *e)
{
	for (struct map_place p = { 0 }; map_next(e->by_ticket, &p);) {
		struct question_open *q = p.value;
		if (!q->asked)
			say(e, q);
	}
}

/*
 * Life
 */

struct enquiries *
enquiries_open(struct house *h, const struct proxymap_settings *rows)
{
	struct enquiries *e = memory_take(sizeof *e);

	e->house = h;
	e->young = map_open();
	e->old = map_open();
	e->open = map_open();
	e->by_ticket = map_open();
	e->cache_ms = rows->cache_ms;
	e->most = (size_t)rows->cache_most;
	e->next = (uint32_t)random_number();
	e->timer = timer_open(h->loop, look, e);
	e->errand = (struct errand){ .go = tell_ended, .ctx = e };
	return e;
}

void
enquiries_forget(struct enquiries *e, const struct proxymap_settings *rows)
{
	empty(&e->young);
	empty(&e->old);
	e->young = map_open();
	e->old = map_open();
	e->cache_ms = rows->cache_ms;
	e->most = (size_t)rows->cache_most;
}

void
enquiries_close(struct enquiries **ep)
{
	struct enquiries *e = *ep;

	*ep = NULL;
	if (e == NULL)
		return;
	errand_clear(&e->errand);
	timer_close(&e->timer);
	for (struct ended *d; (d = e->ended) != NULL;) {
		e->ended = d->next;
		memory_free(d);
	}
	map_close(&e->by_ticket);
	empty(&e->open);
	empty(&e->young);
	empty(&e->old);
	memory_free(e);
}

/*
 * Rounds
 */

/* One question of a round. */
struct round_part {
	struct enquiry        enquiry;
	struct enquiry_round *round;
	struct round_part    *next;
	struct arena         *life;
	const char           *table;
	struct bytes          key;
};

static void
part_answered(struct enquiry *mine, enum table_outcome outcome, struct bytes value)
{
	struct round_part    *part = (struct round_part *)mine;
	struct enquiry_round *r = part->round;

	lookup_answer(r->lookups, part->table, part->key, outcome, value);
	if (--r->waiting > 0)
		return;
	enquiry_round_drop(r);
	r->done(r);
}

void
enquiry_lookups(struct enquiries *e, struct enquiry_round *r, struct lookups *lookups)
{
	const struct lookup_question *q;
	struct arena                 *life = arena_open(NULL);
	struct round_part            *part, *first = NULL;

	r->all = e;
	r->lookups = lookups;
	r->waiting = 0;
	for (size_t place = 0; (q = lookups_next(lookups, &place)) != NULL;) {
		if (q->outcome != TABLE_WAIT)
			continue;
		part = arena_take(life, sizeof *part);
		*part = (struct round_part){ .enquiry = { .answered = part_answered },
			                     .round = r,
			                     .next = first,
			                     .life = life,
			                     .table = arena_copy(life, bytes_of(q->table)),
			                     .key = arena_keep(life, q->key) };
		first = part;
		r->waiting++;
	}
	INSIDE(first != NULL);
	r->part = first;
	for (part = first; part != NULL; part = part->next)
		enquiry_ask(e, &part->enquiry, part->table, part->key);
}

void
enquiry_round_drop(struct enquiry_round *r)
{
	struct arena *life;

	if (r->part == NULL)
		return;
	life = r->part->life;
	for (struct round_part *part = r->part; part != NULL; part = part->next)
		enquiry_drop(r->all, &part->enquiry);
	r->part = NULL;
	r->waiting = 0;
	arena_close(&life);
}
