/*
 * chronicle-trace -- the command line asks what happened
 *
 *     trace QUESTION SINCE UNTIL ALL JSON     microseconds, 0 any; "yes" or ""
 *
 * First what is meant is looked for (a letter, a refusal, a message-id, an address), then the life of each of them is
 * gathered and told.  Work is done file by file, some milliseconds a turn, so that events are heard meanwhile.
 */
#include "role/chronicle.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/map.h"
#include "message/envelope.h"

enum {
	TURN_MS = 10,
	ENTRIES_SOME = 20, /* without --all                               */
	ENTRIES_BESIDE =
		20, /* so many more are looked at: a file has not all in the order of time */
	ENTRIES_MOST = 1000000,
	KEYS_MOST = 4,
	DEPTH_MOST = 3,
	LIFE_MOST = 100000, /* events of one life                          */
	MANY = 200, /* for so many lines of a list all events are gone through, once for each */
	MANY_MOST = 8192,   /* of them                                     */
	KEPT_MOST = 200000, /* events of theirs, kept at one time; fewer lines then */
	SAID_MOST = 64 << 10,
};

static const int64_t near_us = INT64_C(86400) * 1000000 * 8;

/* Something that was found: a letter, or a transaction of which came none. */
struct entry {
	uint64_t letter, session;
	int64_t  newest_us;
	int      depth;
};

enum stage { STAGE_FIND, STAGE_STORY, STAGE_LETTER, STAGE_SESSION, STAGE_MANY, STAGE_LINES };
struct trace {
	struct trace         *next, **at;
	struct house         *house;
	struct caller        *caller;
	struct errand         again;
	struct timer         *pause;
	enum stage            stage;
	uint64_t              key[KEYS_MOST];
	size_t                keys, key_at;
	struct chronicle_walk walk;
	int64_t               since_us, until_us;
	bool                  all, json, lists, more;
	bool sorts; /* objects of several: kept until all are there, unless there are many */
	struct buffer
		entries; /* of struct entry: found, then told in their order; notices come in between */
	struct map *known; /* letters and sessions among them            */
	struct map
		*many; /* letter or session -> struct buffer of struct event *: gathered together */
	size_t   lines; /* up to this entry                           */
	size_t   batch; /* of so many at the most                     */
	size_t   kept;  /* events in `many`                           */
	size_t   told;
	struct arena *life;    /* of the life that is being gathered         */
	struct buffer events;  /* of struct event *                          */
	uint64_t      session; /* of the letter                              */
	struct buffer said;
	struct buffer
		lines_said; /* of struct line: those of a list, or objects, that stand in `said` */
	size_t  listed;
};

/* One of a list: its letter's first event, and where it stands in what is said.  Letters are found by their last event, and
   which came first may be another. */
struct line {
	int64_t at_us;
	size_t  at, len;
};

static void trace_go(void *ctx);

static void
many_drop(struct trace *t)
{
	for (struct map_place p = { 0 }; t->many != NULL && map_next(t->many, &p);) {
		struct buffer *b = map_drop(t->many, p.key);

		buffer_free(b);
		memory_free(b);
	}
	map_close(&t->many);
}

static void
trace_end(struct trace *t, int status)
{
	if (t->said.len > 0)
		caller_say(t->caller, "%.*s", (int)t->said.len, t->said.at);
	caller_done(t->caller, status);
	*t->at = t->next;
	if (t->next != NULL)
		t->next->at = t->at;
	errand_clear(&t->again);
	timer_close(&t->pause);
	buffer_free(&t->entries);
	buffer_free(&t->events);
	buffer_free(&t->said);
	buffer_free(&t->lines_said);
	map_close(&t->known);
	many_drop(t);
	arena_close(&t->life);
	memory_free(t);
}

static struct entry *
entry_at(struct trace *t, size_t i)
{
	return (struct entry *)(void *)t->entries.at + i;
}

static size_t
entries_of(const struct trace *t)
{
	return t->entries.len / sizeof(struct entry);
}

static size_t
entries_most(const struct trace *t)
{
	return t->all ? ENTRIES_MOST : ENTRIES_SOME + ENTRIES_BESIDE;
}

static char there;

/* False: it is there already. */
static bool
entry_add(struct trace *t, const struct entry *e)
{
	uint64_t n = e->letter != 0 ? e->letter : e->session;

	if (map_get(t->known, map_number(&n)) != NULL)
		return false;
	(void)map_put(t->known, map_number(&n), &there);
	buffer_add(&t->entries, (struct bytes){ (const char *)e, sizeof *e });
	return true;
}

/*
 * Finding
 */

static bool
found(void *ctx, const struct event *e)
{
	struct trace *t = ctx;
	struct entry  entry = { .letter = e->letter,
		                .session = e->letter == 0 ? e->session : 0,
		                .newest_us = e->at_us };

	if (e->letter == 0 && e->session == 0)
		return true;
	/* What was refused in its transaction is told with it, and was before it. */
	if (e->kind == LIFE_ACCEPTED && e->session != 0)
		(void)map_put(t->known, map_number(&e->session), &there);
	if (entries_of(t) >= entries_most(t)) {
		uint64_t n = e->letter != 0 ? e->letter : e->session;

		t->more |= map_get(t->known, map_number(&n)) == NULL;
		return !t->more;
	}
	(void)entry_add(t, &entry);
	return true;
}

static int
compare_entries(const void *a, const void *b)
{
	const struct entry *x = a, *y = b;

	if (x->newest_us != y->newest_us)
		return x->newest_us < y->newest_us ? 1 : -1;
	if (x->letter != y->letter)
		return x->letter < y->letter ? 1 : -1;
	return (x->session < y->session) - (x->session > y->session);
}

static void
walk_begin(struct trace *t, uint64_t key, bool within)
{
	t->walk = (struct chronicle_walk){ .key = key,
		                           .since_us = within ? t->since_us : 0,
		                           .until_us = within ? t->until_us : 0,
		                           .next = UINT64_MAX };
}

/*
 * Gathering
 */

static struct event *
event_keep(struct arena *a, const struct event *e)
{
	struct event *kept = arena_take(a, sizeof *kept);

	*kept = *e;
	for (int i = 0; i < EVENT_TEXTS; i++)
		if (e->text[i].len > 0)
			kept->text[i] = arena_keep(a, e->text[i]);
	return kept;
}

static bool
gather(void *ctx, const struct event *e)
{
	struct trace       *t = ctx;
	const struct entry *of = entry_at(t, t->told);
	struct event       *kept;

	/* Of the transaction: what has not come as the letter's. */
	if (t->stage == STAGE_SESSION && of->letter != 0 && e->letter == of->letter)
		return true;
	if (e->kind == LIFE_ACCEPTED && e->letter == of->letter)
		t->session = e->session;
	kept = event_keep(t->life, e);
	buffer_add(&t->events, (struct bytes){ (const char *)&kept, sizeof kept });
	return t->events.len / sizeof kept < LIFE_MOST;
}

/* Lives of the next lines: all that was said in the days about them is gone through, once. */
static void
many_begin(struct trace *t)
{
	int64_t newest = 0, oldest = INT64_MAX;

	arena_clear(t->life);
	t->many = map_open();
	t->lines = entries_of(t) - t->told > t->batch ? t->told + t->batch : entries_of(t);
	t->kept = 0;
	for (size_t i = t->told; i < t->lines; i++) {
		const struct entry *e = entry_at(t, i);
		uint64_t            n = e->letter != 0 ? e->letter : e->session;

		(void)map_put(t->many, map_number(&n), memory_take(sizeof(struct buffer)));
		newest = e->newest_us > newest ? e->newest_us : newest;
		oldest = e->newest_us < oldest ? e->newest_us : oldest;
	}
	t->stage = STAGE_MANY;
	walk_begin(t, 0, false);
	t->walk.since_us = oldest - near_us;
	t->walk.until_us = newest + near_us;
}

static void
many_keep(struct trace *t, uint64_t number, const struct event *e, struct event **kept)
{
	struct buffer *b = number != 0 ? map_get(t->many, map_number(&number)) : NULL;

	if (b == NULL || b->len / sizeof *kept >= LIFE_MOST)
		return;
	if (*kept == NULL)
		*kept = event_keep(t->life, e);
	t->kept++;
	buffer_add(b, (struct bytes){ (const char *)kept, sizeof *kept });
}

/* Of one line alone LIFE_MOST is all. */
static bool
many_too_large(const struct trace *t)
{
	return t->kept > KEPT_MOST && t->lines - t->told > 1;
}

static bool
gather_many(void *ctx, const struct event *e)
{
	struct trace *t = ctx;
	struct event *kept = NULL;

	many_keep(t, e->letter, e, &kept);
	if (e->other != e->letter)
		many_keep(t, e->other, e, &kept);
	if (e->letter == 0)
		many_keep(t, e->session, e, &kept);
	return !many_too_large(t);
}

static void
life_begin(struct trace *t)
{
	const struct entry *e = entry_at(t, t->told);
	struct chronicle   *c = chronicler_of(t->house)->chronicle;

	arena_clear(t->life);
	buffer_reset(&t->events);
	t->session = e->session;
	t->stage = e->letter != 0 ? STAGE_LETTER : STAGE_SESSION;
	walk_begin(t,
	           e->letter != 0 ? chronicle_key_number(c, KEY_LETTER, e->letter)
	                          : chronicle_key_number(c, KEY_SESSION, e->session),
	           false);
	/* A line of a list needs what is near; a letter lives for some days. */
	if (t->lists && e->newest_us != 0) {
		t->walk.since_us = e->newest_us - near_us;
		t->walk.until_us = e->newest_us + near_us;
	}
}

/* Notices that were made of it are told behind it. */
static void
follow_notices(struct trace *t, const struct life *l)
{
	struct entry  of = *entry_at(t, t->told);
	struct buffer rest = { 0 };
	size_t        from = (t->told + 1) * sizeof of;

	if (of.depth >= DEPTH_MOST)
		return;
	buffer_add(&rest, bytes_cut(buffer_bytes(&t->entries), from, SIZE_MAX));
	t->entries.len = from;
	for (size_t i = 0; i < l->count; i++)
		if (l->event[i]->kind == LIFE_NOTICE && l->event[i]->letter == of.letter)
			(void)entry_add(t, &(struct entry){ .letter = l->event[i]->other,
			                                    .depth = of.depth + 1 });
	buffer_add(&t->entries, buffer_bytes(&rest));
	buffer_free(&rest);
}

/* What was said from there on is one line. */
static void
line_keep(struct trace *t, int64_t at_us, size_t from)
{
	struct line line = { at_us, from, t->said.len - from };

	buffer_add(&t->lines_said, (struct bytes){ (const char *)&line, sizeof line });
}

/* Objects of a letter; those of its notices go with it. */
static void
objects_keep(struct trace *t, int64_t at_us, int depth, size_t from)
{
	struct line *last;

	if (depth == 0 || t->lines_said.len == 0) {
		line_keep(t, at_us, from);
		return;
	}
	last = (struct line *)(void *)(t->lines_said.at + t->lines_said.len) - 1;
	last->len = t->said.len - last->at;
}

static int
compare_lines(const void *a, const void *b)
{
	const struct line *x = a, *y = b;

	return x->at_us != y->at_us ? (x->at_us < y->at_us) - (x->at_us > y->at_us)
	                            : (x->at > y->at) - (x->at < y->at);
}

/* The lines of a list that were kept, the newest first. */
static void
lines_say(struct trace *t)
{
	struct line  *line = (struct line *)(void *)t->lines_said.at;
	size_t        count = t->lines_said.len / sizeof *line;
	struct buffer out = { 0 };

	if (!t->lists && !t->sorts)
		return;
	if (count > 0)
		qsort(line, count, sizeof *line, compare_lines);
	for (size_t i = 0; i < count; i++) {
		if (!t->all && t->listed == ENTRIES_SOME) {
			t->more = true;
			break;
		}
		t->listed++;
		buffer_add(&out, bytes_cut(buffer_bytes(&t->said), line[i].at, line[i].len));
		if (out.len > SAID_MOST) {
			caller_say(t->caller, "%.*s", (int)out.len, out.at);
			buffer_reset(&out);
		}
	}
	if (out.len > 0)
		caller_say(t->caller, "%.*s", (int)out.len, out.at);
	buffer_free(&out);
	buffer_reset(&t->said);
	buffer_reset(&t->lines_said);
}

static void
tell_refusals(struct trace *t, const struct life *l)
{
	for (size_t i = 0; i < l->count; i++)
		if (l->event[i]->kind == LIFE_REFUSED || l->count == 1) {
			size_t from = t->said.len;

			refusal_line(l->event[i], &t->said);
			line_keep(t, l->event[i]->at_us, from);
		}
}

static void
life_end(struct trace *t)
{
	struct entry e = *entry_at(t, t->told);
	struct life  l = { (const struct event **)(void *)t->events.at,
		           t->events.len / sizeof(struct event *) };
	size_t       from = t->said.len;

	life_sort(&l);
	if (l.count == 0) {
		/* Found under this id, and gone meanwhile; or never there. */
	} else if (t->json) {
		life_tell_json(&l, e.letter, &t->said);
		if (t->sorts)
			objects_keep(t, l.event[0]->at_us, e.depth, from);
	} else if (t->lists && e.letter != 0) {
		life_line(&l, e.letter, &t->said);
		line_keep(t, l.event[0]->at_us, from);
	} else if (t->lists) {
		tell_refusals(t, &l);
	} else {
		life_tell(&l, e.letter, e.depth, &t->said);
	}
	if (!t->lists && e.letter != 0)
		follow_notices(t, &l);
	t->told++;
	if (t->said.len > SAID_MOST && !t->lists && !t->sorts) {
		caller_say(t->caller, "%.*s", (int)t->said.len, t->said.at);
		buffer_reset(&t->said);
	}
}

/* Gone through; what was too much is begun again with half as many lines. */
static void
many_end(struct trace *t)
{
	if (!many_too_large(t)) {
		t->stage = STAGE_LINES;
		return;
	}
	many_drop(t);
	t->batch = (t->lines - t->told) / 2;
	many_begin(t);
}

/* The next line, of what was gathered. */
static void
line_tell(struct trace *t)
{
	const struct entry *e = entry_at(t, t->told);
	uint64_t            n = e->letter != 0 ? e->letter : e->session;
	struct buffer      *b = map_drop(t->many, map_number(&n));

	buffer_reset(&t->events);
	if (b != NULL) {
		buffer_add(&t->events, buffer_bytes(b));
		buffer_free(b);
		memory_free(b);
	}
	life_end(t);
	if (t->told < t->lines)
		return;
	lines_say(t);
	many_drop(t);
	if (t->told < entries_of(t))
		many_begin(t);
}

/*
 * Turns
 */

/* A transaction of which a letter came is that letter. */
static bool
find_letter(void *ctx, const struct event *e)
{
	struct trace *t = ctx;

	if (e->kind == LIFE_ACCEPTED)
		entry_at(t, 0)->letter = e->letter;
	return e->kind != LIFE_ACCEPTED;
}

static void
found_all(struct trace *t)
{
	size_t n = entries_of(t);

	if (n > 1)
		qsort(t->entries.at, n, sizeof(struct entry), compare_entries);
	t->lists = n > 1 && !t->json;
	t->sorts = n > 1 && n <= MANY && t->json; /* lines_say() takes the newest */
	if (n == 1 && entry_at(t, 0)->letter == 0) {
		t->stage = STAGE_STORY;
		walk_begin(t,
		           chronicle_key_number(chronicler_of(t->house)->chronicle, KEY_SESSION,
		                                entry_at(t, 0)->session),
		           false);
	} else if (t->lists && n > MANY) {
		t->batch = MANY_MOST;
		many_begin(t);
	} else if (n > 0) {
		life_begin(t);
	}
}

/* One file of the walk, or the end of one.  False: all is told. */
static bool
step(struct trace *t)
{
	struct chronicle *c = chronicler_of(t->house)->chronicle;

	switch (t->stage) {
	case STAGE_FIND:
		if (chronicle_walk(c, &t->walk, found, t))
			return true;
		if (++t->key_at < t->keys) {
			walk_begin(t, t->key[t->key_at], true);
			return true;
		}
		found_all(t);
		return entries_of(t) > 0;
	case STAGE_STORY:
		if (!chronicle_walk(c, &t->walk, find_letter, t))
			life_begin(t);
		return true;
	case STAGE_LETTER:
		if (chronicle_walk(c, &t->walk, gather, t))
			return true;
		if (t->session != 0 && !t->lists) {
			t->stage = STAGE_SESSION;
			walk_begin(t, chronicle_key_number(c, KEY_SESSION, t->session), false);
			return true;
		}
		break;
	case STAGE_SESSION:
		if (chronicle_walk(c, &t->walk, gather, t))
			return true;
		break;
	case STAGE_MANY:
		if (!chronicle_pass(c, &t->walk, gather_many, t))
			many_end(t);
		return true;
	case STAGE_LINES: line_tell(t); return t->told < entries_of(t);
	}
	life_end(t);
	if (t->told >= entries_of(t))
		return false;
	life_begin(t);
	return true;
}

static void
finish(struct trace *t)
{
	bool none = t->told == 0 || (t->told == 1 && t->events.len == 0);

	if (none && entries_of(t) <= 1) {
		caller_complain(t->caller, "nothing is known of it%s\n",
		                t->house->common.event_store ? "" : ": event_store = no");
		trace_end(t, 1);
		return;
	}
	lines_say(t);
	if (t->more && !t->json)
		buffer_printf(&t->said, "... and older ones: --all, --until\n");
	trace_end(t, 0);
}

static void
trace_go(void *ctx)
{
	struct trace *t = ctx;
	int64_t       until = clock_patient_ms() + TURN_MS;

	if (caller_gone(t->caller)) {
		trace_end(t, 1);
		return;
	}
	if (!caller_hears(t->caller)) {
		timer_set(t->pause, TURN_MS);
		return;
	}
	while (clock_patient_ms() < until)
		if (!step(t)) {
			finish(t);
			return;
		}
	errand_set(t->house->loop, &t->again);
}

/*
 * The question
 */

static bool
is_refusal(struct bytes q)
{
	if (q.len != 11 || ascii_upper(q.at[0]) != 'P')
		return false;
	for (size_t i = 1; i < q.len; i++) {
		char c = ascii_upper(q.at[i]);
		if (!(c >= 'A' && c <= 'Z') && !(c >= '2' && c <= '9'))
			return false;
	}
	return true;
}

static void
understand(struct trace *t, struct bytes q)
{
	const struct chronicler *r = chronicler_of(t->house);
	uint64_t                 letter;

	if (letter_id_parse(q, &letter) && letter != 0) {
		(void)entry_add(t, &(struct entry){ .letter = letter });
		life_begin(t);
		return;
	}
	if (is_refusal(q)) {
		t->key[t->keys++] = chronicle_key(r->chronicle, KEY_REFUSAL, q);
	} else {
		t->key[t->keys++] = chronicle_key(r->chronicle, KEY_ADDRESS, q);
		t->key[t->keys++] = chronicle_key_hidden(r->chronicle, q);
		t->key[t->keys++] = chronicle_key(r->chronicle, KEY_MESSAGE_ID, q);
	}
	walk_begin(t, t->key[0], true);
}

static int64_t
number_in(const char *text)
{
	return strtoll(text, NULL, 10);
}

void
trace_command(struct house *h, struct caller *caller, const struct word_ask *w)
{
	struct chronicler *c = chronicler_of(h);
	struct trace      *t;

	if (w->argc != 6 || strcmp(w->argv[0], "trace") != 0 || *w->argv[1] == '\0') {
		caller_complain(caller, "usage: mansio trace ID|MESSAGE-ID|ADDRESS\n");
		caller_done(caller, 2);
		return;
	}
	t = memory_take(sizeof *t);
	*t = (struct trace){ .next = c->traces,
		             .at = &c->traces,
		             .house = h,
		             .caller = caller,
		             .again = { .go = trace_go, .ctx = t },
		             .pause = timer_open(h->loop, trace_go, t),
		             .since_us = number_in(w->argv[2]),
		             .until_us = number_in(w->argv[3]),
		             .all = *w->argv[4] != '\0',
		             .json = *w->argv[5] != '\0',
		             .known = map_open(),
		             .life = arena_open(NULL) };
	if (c->traces != NULL)
		c->traces->at = &t->next;
	c->traces = t;
	understand(t, bytes_trim(bytes_of(w->argv[1])));
	errand_set(h->loop, &t->again);
}

void
traces_end(struct house *h)
{
	while (chronicler_of(h)->traces != NULL) {
		caller_complain(chronicler_of(h)->traces->caller, "the server stops\n");
		trace_end(chronicler_of(h)->traces, 1);
	}
}
