#include "role/inquest.h"

#include <string.h>

#include "base/clock.h"
#include "base/map.h"
#include "base/random.h"
#include "directory/table.h"
#include "policy/checks-elsewhere.h"

enum { LOOK_MS = 1000, WORD_SIZE = 256 << 10 };

struct inquests {
	struct house   *house;
	struct map     *open; /* ticket -> inquest with a word open */
	uint32_t        next;
	struct timer   *timer;
	struct errand   errand;
	struct inquest *ended; /* whose `done` comes in the next turn */
};

struct inquest {
	struct inquests           *all;
	struct inquest            *next;
	struct arena              *life;
	struct elsewhere_question *question;
	uint32_t                   count, at;     /* those before `at` are answered */
	uint32_t                   ticket, asked; /* of the word that is open; 0 none */
	size_t                     size;
	int64_t                    until_ms; /* 0: nothing was asked yet */
	bool                       said, again, over, ends;
	struct buffer              known;
	void (*done)(void *ctx);
	void *ctx;
};

static struct bytes
ticket_key(const uint32_t *ticket)
{
	return (struct bytes){ (const char *)ticket, sizeof *ticket };
}

/*
 * The word that is open
 */

static void
say(struct inquest *i)
{
	struct link              *l = house_link(i->all->house, PROXYMAP, 0);
	struct bytes              key[TABLE_ASK_ALL_MOST];
	struct word_table_ask_all w = { arena_copy(i->life, i->question[i->at].table), key,
		                        i->asked };

	if (l == NULL) {
		house_proxymap_want(i->all->house);
		return;
	}
	for (uint32_t n = 0; n < i->asked; n++)
		key[n] = i->question[i->at + n].key;
	i->said = true;
	word_pack_table_ask_all(link_begin(l, WORD_TABLE_ASK_ALL, i->ticket), &w);
	link_end(l);
}

static void
word_end(struct inquest *i)
{
	if (i->ticket != 0)
		(void)map_drop(i->all->open, ticket_key(&i->ticket));
	i->ticket = 0;
	i->said = i->again = false;
}

static void
end(struct inquest *i)
{
	word_end(i);
	i->ends = true;
	i->next = i->all->ended;
	i->all->ended = i;
	errand_set(i->all->house->loop, &i->all->errand);
}

/* What was not answered will not be. */
static void
give_up(struct inquest *i, struct bytes why)
{
	i->over = true;
	why = arena_keep(i->life, why);
	for (; i->at < i->count; i->at++) {
		i->question[i->at].answer = CHECK_LATER;
		i->question[i->at].value = why;
	}
	end(i);
}

/* As many of one table as go together. */
static void
word_begin(struct inquest *i)
{
	struct inquests                 *all = i->all;
	const struct elsewhere_question *first = &i->question[i->at];
	size_t                           size = 0;

	if (i->at == i->count) {
		end(i);
		return;
	}
	for (i->asked = 0; i->asked < TABLE_ASK_ALL_MOST && i->at + i->asked < i->count;
	     i->asked++) {
		if (!bytes_equal(first[i->asked].table, first->table) ||
		    (i->asked > 0 && size + first[i->asked].key.len > WORD_SIZE))
			break;
		size += first[i->asked].key.len;
	}
	while (i->ticket = ++all->next,
	       i->ticket == 0 || map_get(all->open, ticket_key(&i->ticket)) != NULL)
		continue;
	if (map_count(all->open) == 0)
		timer_set(all->timer, LOOK_MS);
	(void)map_put(all->open, ticket_key(&i->ticket), i);
	say(i);
}

static void
take_answers(struct inquest *i, const struct word_table_said_all *w)
{
	static const enum check_answer of[] = { [TABLE_FOUND] = CHECK_SAYS,
		                                [TABLE_NONE] = CHECK_NOTHING,
		                                [TABLE_LATER] = CHECK_LATER };
	struct bytes                   why = BYTES("");
	bool                           later = false;

	word_end(i);
	for (uint32_t n = 0; n < w->answers && n < i->asked && !later; n++) {
		struct elsewhere_question *q = &i->question[i->at++];

		q->answer = of[w->answer[n].outcome];
		q->value = arena_keep(i->life, w->answer[n].value);
		i->size += q->value.len;
		later = q->answer == CHECK_LATER;
		why = q->value;
	}
	if (later)
		give_up(i, why);
	else if (i->size > INQUEST_SIZE)
		give_up(i, BYTES("the answers for one letter are too long"));
	else if (clock_patient_ms() >= i->until_ms)
		give_up(i, BYTES("what one letter asks took too long"));
	else
		word_begin(i);
}

/*
 * All of a role
 */

bool
inquests_heard(struct inquests *all, uint32_t ticket, struct bytes body)
{
	struct arena              *life = arena_open(NULL);
	struct inquest            *i = map_get(all->open, ticket_key(&ticket));
	struct word_table_said_all w;
	bool                       good = word_unpack_table_said_all(body, life, &w);

	if (good && i != NULL)
		take_answers(i, &w);
	arena_close(&life);
	return good;
}

/* Those whose time is over, or that two of them died of. */
static void
doom(struct inquests *all, bool lost)
{
	struct buffer doomed = { 0 };
	int64_t       now = clock_patient_ms();

	for (struct map_place p = { 0 }; map_next(all->open, &p);) {
		struct inquest *i = p.value;

		if (lost && i->said && i->again)
			buffer_add(&doomed, (struct bytes){ (const char *)&i, sizeof i });
		if (lost && i->said)
			i->again = true;
		if (lost)
			i->said = false;
		if (!lost && i->until_ms <= now)
			buffer_add(&doomed, (struct bytes){ (const char *)&i, sizeof i });
	}
	for (struct bytes rest = buffer_bytes(&doomed); rest.len > 0;
	     rest = bytes_cut(rest, sizeof(struct inquest *), rest.len)) {
		struct inquest *i;

		memcpy(&i, rest.at, sizeof i);
		give_up(i, lost ? BYTES("who was asked died twice") : BYTES("no answer in time"));
	}
	buffer_free(&doomed);
}

/* A proxymap that left because the settings have no need of it does not come again by itself. */
void
inquests_lost(struct inquests *all)
{
	doom(all, true);
	if (map_count(all->open) > 0)
		house_proxymap_want(all->house);
}

void
inquests_met(struct inquests *all)
{
	for (struct map_place p = { 0 }; map_next(all->open, &p);)
		if (!((struct inquest *)p.value)->said)
			say(p.value);
}

static void
look(void *ctx)
{
	struct inquests *all = ctx;

	doom(all, false);
	if (map_count(all->open) > 0)
		timer_set(all->timer, LOOK_MS);
}

static void
tell_ended(void *ctx)
{
	struct inquests *all = ctx;
	struct inquest  *i;

	while ((i = all->ended) != NULL) {
		all->ended = i->next;
		i->ends = false;
		i->done(i->ctx);
	}
}

struct inquests *
inquests_open(struct house *h)
{
	struct inquests *all = memory_take(sizeof *all);

	all->house = h;
	all->open = map_open();
	all->next = (uint32_t)random_number();
	all->timer = timer_open(h->loop, look, all);
	all->errand = (struct errand){ .go = tell_ended, .ctx = all };
	return all;
}

void
inquests_close(struct inquests **allp)
{
	struct inquests *all = *allp;

	*allp = NULL;
	if (all == NULL)
		return;
	INSIDE(all->ended == NULL && map_count(all->open) == 0);
	errand_clear(&all->errand);
	timer_close(&all->timer);
	map_close(&all->open);
	memory_free(all);
}

/*
 * One letter
 */

struct inquest *
inquest_open(struct inquests *all, void (*done)(void *ctx), void *ctx)
{
	struct inquest *i = memory_take(sizeof *i);

	i->all = all;
	i->life = arena_open(NULL);
	i->done = done;
	i->ctx = ctx;
	return i;
}

static bool
is_allowed(struct bytes table, const struct setting_list *allowed, size_t lists)
{
	for (size_t l = 0; l < lists; l++)
		for (size_t n = 0; n < allowed[l].count; n++)
			if (bytes_is(table, allowed[l].item[n]))
				return true;
	return false;
}

bool
inquest_ask(struct inquest *i, struct bytes wanted, const struct setting_list *allowed,
            size_t lists)
{
	uint32_t                   n = 0;
	struct elsewhere_question *all, *q;
	bool                       good;

	INSIDE(i->ticket == 0 && !i->ends);
	q = elsewhere_unpack(arena_keep(i->life, wanted), i->life, &n);
	good = q != NULL && n > 0 && !i->over && n <= INQUEST_MOST - i->count;
	for (uint32_t k = 0; good && k < n; k++) {
		i->size += q[k].key.len;
		good = is_allowed(q[k].table, allowed, lists) && q[k].answer == CHECK_WAIT;
	}
	if (!good || i->size > INQUEST_SIZE) {
		warn_("checks of a letter %s",
		      n > INQUEST_MOST - i->count || i->size > INQUEST_SIZE
		              ? "ask too much of tables that are elsewhere: body_checks_size_limit says how "
		                "much of a part is looked at"
		              : "ask for tables that are not theirs");
		return false;
	}
	all = arena_take_array(i->life, i->count + (size_t)n, sizeof *all);
	if (i->count > 0)
		memcpy(all, i->question, i->count * sizeof *all);
	memcpy(all + i->count, q, n * sizeof *all);
	i->question = all;
	i->count += n;
	if (i->until_ms == 0)
		i->until_ms = clock_patient_ms() + INQUEST_MS;
	word_begin(i);
	return true;
}

struct bytes
inquest_known(struct inquest *i)
{
	buffer_reset(&i->known);
	if (i->count > 0)
		elsewhere_pack(i->question, i->count, &i->known);
	return buffer_bytes(&i->known);
}

void
inquest_close(struct inquest **ip)
{
	struct inquest *i = *ip;

	*ip = NULL;
	if (i == NULL)
		return;
	word_end(i);
	for (struct inquest **at = &i->all->ended; i->ends && *at != NULL; at = &(*at)->next)
		if (*at == i) {
			*at = i->next;
			break;
		}
	buffer_free(&i->known);
	arena_close(&i->life);
	memory_free(i);
}
