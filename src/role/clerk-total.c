/*
 * clerk-total -- what all accounts of a domain may hold together: keepers tell what each account holds, and ask before more comes
 *
 * The numbers are directory/total.h's.  Here are the words, promises until they are told or given back, the count of a domain's accounts
 * one after the other, and the letter to its postmaster.  A domain is counted when it gets a limit, and again when a keeper of the pool
 * comes, for what the last one did in its last moment nobody has heard.  Keepers that are not running are not started for that: what
 * was told of their accounts last stays on disk, and they tell anew when they come.
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/clock.h"
#include "directory/total.h"
#include "message/domain.h"
#include "role/clerk.h"
#include "role/keeper.h"
#include "role/owner.h"

/* Accounts that are asked for at one time, and of how many, whose keepers may not be there; how long their answers are waited for, and
   the pause before the next. */
enum { COUNTED_AT_ONCE = 16, LOOKED_AT_ONCE = 256, COUNT_PATIENCE_MS = 10000, COUNT_PAUSE_MS = 5 };
enum { READY_PATIENCE_MS = 10000 };
enum { PERCENTS_MOST = 16, PROMISES_MOST = 1 << 20, LARGEST = 64 << 20 };

struct promise {
	struct total_use use;
	char             domain[];
};

struct together {
	struct totals       *totals;
	struct map          *promises;  /* keeper and ticket -> struct promise */
	struct map          *uncounted; /* domains, one of which is being counted: */
	char                 counting[256];
	struct total_account at;
	unsigned             asked;
	int64_t              asked_ms;
	struct timer        *turn;
	/* A clerk that has just come promises nothing before the keepers of the pool have said what was promised before. */
	bool          ready;
	struct map   *heard;   /* which have */
	struct buffer waiting; /* struct asking  */
	struct timer *patience;
	unsigned      percent[PERCENTS_MOST];
	size_t        percents;
};

static struct together *
together_of(struct house *h)
{
	return ((struct clerk *)h->mine)->together;
}

static uint64_t
promise_key(uint32_t keeper, uint32_t ticket)
{
	return (uint64_t)keeper << 32 | ticket;
}

/* ---- who must know ---- */

static void
say_total(struct link *l, const char *domain, bool limited)
{
	struct buffer *b;

	if (l == NULL)
		return;
	b = link_begin(l, WORD_TOTAL, 0);
	pack_string(b, domain);
	pack_bool(b, limited);
	link_end(l);
}

/* The domain a user's keeper counts in. */
static struct total *
total_of_keeper(struct house *h, uint32_t index)
{
	return total_of(together_of(h)->totals, DIRECTORY_SYSTEM_ACCOUNT(index & ~KEEPER_OF_USER),
	                ((struct clerk *)h->mine)->origin);
}

static bool
is_users(uint32_t index)
{
	return (index & KEEPER_OF_USER) != 0 && !is_owner_index(index);
}

/* Keepers of users hear of their own domain alone. */
static void
tell_all(struct house *h, const struct total *one, const char *domain)
{
	size_t   place = 0;
	uint32_t index;

	for (uint32_t i = 0; i < house_peers(h, KEEPER); i++)
		say_total(house_link(h, KEEPER, i), domain, one != NULL);
	while (house_user_keeper_next(h, &place, &index))
		if (!is_users(index) || one == NULL || total_of_keeper(h, index) == one)
			say_total(house_link(h, KEEPER, index), domain, one != NULL);
}

/* ---- the postmaster of a domain ---- */

static void
warn_postmaster(struct house *h, struct total *one)
{
	struct together *t = together_of(h);
	struct link     *queue = house_link(h, QUEUE, 0);
	struct arena    *a;
	unsigned         percent;

	if (queue == NULL || map_get(t->uncounted, bytes_of(one->domain)) != NULL ||
	    (percent = total_warning(t->totals, one, t->percent, t->percents)) == 0)
		return;
	note_as("mansio/clerk",
	        "all accounts of %s together hold more than %u%% of what they may: %" PRIu64
	        " bytes, %" PRIu64 " messages",
	        one->domain, percent, one->used.bytes, one->used.messages);
	a = arena_open(NULL);
	word_pack_alert(
		link_begin(queue, WORD_ALERT, 0),
		&(struct word_alert){
			arena_printf(a, "postmaster@%s", one->domain),
			arena_printf(a, "the mailboxes of %s are %u%% full", one->domain, percent),
			arena_printf(
				a,
				"All accounts of %s together hold more than %u%% of what they may:\n"
				"%" PRIu64 " bytes of %" PRIu64 ", %" PRIu64 " messages of %" PRIu64
				" (0: no limit).\n"
				"When the limit is reached, mail for all of them will be refused.\n",
				one->domain, percent, one->used.bytes, one->limit.bytes,
				one->used.messages, one->limit.messages) });
	link_end(queue);
	arena_close(&a);
}

static bool
is_little(const struct clerk *c, const struct total *one)
{
	uint64_t largest = c->largest > 0 ? (uint64_t)c->largest : LARGEST;

	return total_room(one, (unsigned)c->grace) < largest;
}

/* Where there is little room, receivers ask for each letter. */
static void
look(struct house *h, struct total *one)
{
	bool little = is_little(h->mine, one);

	warn_postmaster(h, one);
	if (little != one->little) {
		one->little = little;
		clerk_changed(h);
	}
}

uint64_t
clerk_total_room(struct clerk *c, uint64_t account, struct bytes address)
{
	struct totals      *t = c->together->totals;
	ptrdiff_t           at = bytes_find_last(address, '@');
	const struct total *one;

	if (totals_count(t) == 0)
		return UINT64_MAX;
	one = is_system_account(account)
	              ? total_of(t, account, c->origin)
	              : total_find(t, bytes_cut(address, (size_t)(at + 1), SIZE_MAX));
	return one == NULL || !one->little ? UINT64_MAX : total_room(one, (unsigned)c->grace);
}

/* ---- counting ---- */

static void
count_next_domain(struct together *t)
{
	struct map_place p = { 0 };

	t->at = (struct total_account){ .account = 0 };
	t->counting[0] = '\0';
	if (map_next(t->uncounted, &p))
		(void)bytes_string(p.key, t->counting, sizeof t->counting);
}

static void
count_some(void *house)
{
	struct house    *h = house;
	struct together *t = together_of(h);
	struct arena    *a;
	struct total    *one;
	bool             more = true;

	if (t->counting[0] == '\0')
		count_next_domain(t);
	if (t->counting[0] == '\0')
		return;
	if (t->asked > 0 && clock_patient_ms() - t->asked_ms < COUNT_PATIENCE_MS) {
		timer_set(t->turn, COUNT_PATIENCE_MS);
		return;
	}
	a = arena_open(NULL);
	t->asked = 0;
	t->asked_ms = clock_patient_ms();
	for (size_t n = 0; n < LOOKED_AT_ONCE && t->asked < COUNTED_AT_ONCE &&
	                   (more = total_next(t->totals, bytes_of(t->counting), a, &t->at));
	     n++) {
		struct link *l = house_link(h, KEEPER, house_keeper_of(h, t->at.account));
		if (l == NULL)
			continue; /* as it was told last */
		struct buffer *b = link_begin(l, WORD_SHARE_ASK, 0);
		pack_u64(b, t->at.account);
		pack_string(b, t->at.address);
		link_end(l);
		t->asked++;
	}
	arena_close(&a);
	if (!more && t->asked == 0) {
		(void)map_drop(t->uncounted, bytes_of(t->counting));
		one = total_find(t->totals, bytes_of(t->counting));
		if (one != NULL)
			look(h, one);
		count_next_domain(t);
	}
	timer_set(t->turn, t->asked > 0 ? COUNT_PATIENCE_MS : COUNT_PAUSE_MS);
}

static void
count_domain(struct house *h, const char *domain)
{
	struct together *t = together_of(h);

	(void)map_put(t->uncounted, bytes_of(domain), t);
	if (strcmp(t->counting, domain) == 0)
		t->at = (struct total_account){ .account = 0 };
	if (t->asked == 0)
		timer_set(t->turn, COUNT_PAUSE_MS);
}

/* ---- promises ---- */

static void
promise_end(struct together *t, uint64_t key)
{
	struct promise *p = map_drop(t->promises, map_number(&key));
	struct total   *one = p != NULL ? total_find(t->totals, bytes_of(p->domain)) : NULL;

	if (one != NULL)
		total_put_back(one, p->use);
	memory_free(p);
}

static void
promise_make(struct together *t, uint64_t key, const struct total *one, struct total_use use)
{
	size_t          len = strlen(one->domain) + 1;
	struct promise *p = memory_take(sizeof *p + len);

	p->use = use;
	memcpy(p->domain, one->domain, len);
	(void)map_put(t->promises, map_number(&key), p);
}

/* A ROOM_ASK. */
struct asking {
	uint32_t         index, ticket;
	uint64_t         account;
	struct total_use use;
	uint8_t          kind;
};

static void
room_answer(struct house *h, const struct asking *q)
{
	struct clerk    *c = h->mine;
	struct together *t = c->together;
	struct link     *l = house_link(h, KEEPER, q->index);
	struct total    *one = total_of(t->totals, q->account, c->origin);
	uint64_t         key = promise_key(q->index, q->ticket);
	int              why = 0;

	promise_end(t, key);
	if (one != NULL && q->kind == ROOM_HAD)
		total_hold(one, q->use);
	else if (one != NULL && map_count(t->promises) >= PROMISES_MOST)
		why = EAGAIN;
	else if (one != NULL)
		why = total_take(one, q->use, q->kind == ROOM_FOR_LETTER ? (unsigned)c->grace : 0);
	/* What a keeper told and did not do before it died may be in the sum: no letter is returned for that. */
	if (why == EDQUOT && map_get(t->uncounted, bytes_of(one->domain)) != NULL)
		why = EAGAIN;
	if (one != NULL && why == 0)
		promise_make(t, key, one, q->use);
	if (l != NULL && q->kind != ROOM_HAD) {
		struct buffer *b = link_begin(l, WORD_ROOM_SAID, q->ticket);
		pack_u32(b, (uint32_t)why);
		link_end(l);
	}
}

/* What waits and is not to be answered any more; ticket 0: nothing of this keeper. */
static void
waiting_drop(struct together *t, uint32_t index, uint32_t ticket)
{
	struct buffer all = t->waiting;
	struct asking q;

	t->waiting = (struct buffer){ 0 };
	for (size_t at = 0; at < all.len; at += sizeof q) {
		memcpy(&q, all.at + at, sizeof q);
		if (q.index != index || (ticket != 0 && q.ticket != ticket))
			buffer_add(&t->waiting, (struct bytes){ (const char *)&q, sizeof q });
	}
	buffer_free(&all);
}

static void
ready(void *house)
{
	struct together *t = together_of(house);
	struct buffer    all = t->waiting;
	struct asking    q;

	t->ready = true;
	t->waiting = (struct buffer){ 0 };
	for (size_t at = 0; at < all.len; at += sizeof q) {
		memcpy(&q, all.at + at, sizeof q);
		room_answer(house, &q);
	}
	buffer_free(&all);
}

bool
hear_shares_told(struct house *h, enum role from, uint32_t index, uint32_t ticket,
                 struct bytes body)
{
	struct together *t = together_of(h);
	uint64_t         n = index;

	(void)from;
	(void)ticket;
	if (t->ready || (index & KEEPER_OF_USER) != 0)
		return body.len == 0;
	(void)map_put(t->heard, map_number(&n), t);
	if (map_count(t->heard) >= house_peers(h, KEEPER))
		ready(h);
	return body.len == 0;
}

bool
hear_room_ask(struct house *h, enum role from, uint32_t index, uint32_t ticket, struct bytes body)
{
	struct together *t = together_of(h);
	struct unpack    u = unpack_of(body);
	struct asking    q;

	(void)from;
	memset(&q, 0, sizeof q);
	q.index = index;
	q.ticket = ticket;
	q.account = unpack_u64(&u);
	q.use.bytes = unpack_u64(&u);
	q.use.messages = unpack_u64(&u);
	q.kind = unpack_u8(&u);
	if (!unpack_done(&u) || q.kind >= ROOM_KINDS || q.account == 0 || ticket == 0 ||
	    house_keeper_of(h, q.account) != index)
		return false;
	if (t->ready || q.kind == ROOM_HAD || t->waiting.len / sizeof q >= PROMISES_MOST)
		room_answer(h, &q);
	else
		buffer_add(&t->waiting, (struct bytes){ (const char *)&q, sizeof q });
	return true;
}

bool
hear_room_back(struct house *h, enum role from, uint32_t index, uint32_t ticket, struct bytes body)
{
	(void)from;
	promise_end(together_of(h), promise_key(index, ticket));
	if (ticket != 0)
		waiting_drop(together_of(h), index, ticket);
	return body.len == 0;
}

/* ---- shares ---- */

bool
hear_share(struct house *h, enum role from, uint32_t index, uint32_t ticket, struct bytes body)
{
	struct clerk    *c = h->mine;
	struct together *t = c->together;
	struct unpack    u = unpack_of(body);
	uint64_t         id = unpack_u64(&u);
	struct total_use now;
	struct total    *one;
	uint32_t         tickets;

	(void)from;
	now.bytes = unpack_u64(&u);
	now.messages = unpack_u64(&u);
	tickets = unpack_u32(&u);
	if (u.broken || id == 0 || house_keeper_of(h, id) != index ||
	    tickets != u.rest.len / sizeof tickets)
		return false;
	one = total_of(t->totals, id, c->origin);
	if (one == NULL)
		total_gone(t->totals, id);
	else if (now.bytes != UINT64_MAX)
		(void)total_share(t->totals, one, id, now);
	while (tickets-- > 0)
		promise_end(t, promise_key(index, unpack_u32(&u)));
	if (ticket != 0 && t->asked > 0 && --t->asked == 0)
		timer_set(t->turn, COUNT_PAUSE_MS);
	if (one != NULL)
		look(h, one);
	return unpack_done(&u);
}

/* Who let go of a user's keeper holds its hand again: else nobody would answer it. */
void
clerk_total_meet(struct house *h, uint64_t account)
{
	struct clerk *c = h->mine;
	uint32_t      index;

	if (totals_count(c->together->totals) == 0 || account == 0 ||
	    ((index = house_keeper_of(h, account)) & KEEPER_OF_USER) == 0 ||
	    house_link(h, KEEPER, index) != NULL ||
	    total_of(c->together->totals, account, c->origin) == NULL)
		return;
	house_keeper_want(h, index);
}

void
clerk_total_gone(struct house *h, uint64_t account)
{
	total_gone(together_of(h)->totals, account);
}

/* What a user's keeper was told may hold no longer. */
void
clerk_total_bound(struct house *h, uint64_t was, uint64_t is)
{
	struct together *t = together_of(h);
	uint64_t         id[2] = { was, is };

	if (was == is || totals_count(t->totals) == 0)
		return;
	total_gone(t->totals, was);
	for (size_t i = 0; i < COUNT(id); i++) {
		struct map_place    p = { 0 };
		const struct total *one;
		struct link        *l;
		if (!is_system_account(id[i]))
			continue;
		l = house_link(h, KEEPER, house_keeper_of(h, id[i]));
		while ((one = totals_next(t->totals, &p)) != NULL)
			if (one != total_of_keeper(h, house_keeper_of(h, id[i])))
				say_total(l, one->domain, false);
		if ((one = total_of_keeper(h, house_keeper_of(h, id[i]))) != NULL)
			say_total(l, one->domain, true);
	}
}

/* ---- limits ---- */

enum directory_outcome
clerk_total_set(struct house *h, struct bytes domain, const uint64_t *bytes,
                const uint64_t *messages)
{
	struct clerk          *c = h->mine;
	struct together       *t = c->together;
	struct arena          *a = arena_open(NULL);
	enum directory_outcome o = DIRECTORY_BAD;
	struct bytes           name;
	struct total          *one;
	bool                   was;

	if (!domain_canonical(domain, a, &name))
		goto out;
	was = total_find(t->totals, name) != NULL;
	o = total_limit(t->totals, name, c->origin, bytes, messages);
	if (o != DIRECTORY_OK)
		goto out;
	one = total_find(t->totals, name);
	if (was != (one != NULL))
		tell_all(h, one, arena_copy(a, name));
	if (one != NULL && !was)
		count_domain(h, one->domain);
	if (one == NULL)
		(void)map_drop(t->uncounted, name);
	clerk_changed(h);
	if (one != NULL)
		look(h, one);
out:
	arena_close(&a);
	return o;
}

void
clerk_total_forget(struct house *h, struct bytes domain)
{
	uint64_t none = 0;

	if (totals_count(together_of(h)->totals) > 0)
		(void)clerk_total_set(h, domain, &none, &none);
}

/* GETQUOTA and SETQUOTA.  A keeper that runs under somebody's uid is told of its own domain, and sets nothing. */
bool
hear_total_ask(struct house *h, enum role from, uint32_t index, uint32_t ticket, struct bytes body)
{
	struct clerk          *c = h->mine;
	struct link           *l = house_link(h, from, index);
	struct unpack          u = unpack_of(body);
	uint64_t               id = unpack_u64(&u), bytes, messages;
	struct bytes           domain = unpack_bytes(&u), name;
	bool                   set = unpack_bool(&u), foreign;
	struct arena          *a;
	const struct total    *one;
	struct total           none = { .little = false };
	enum directory_outcome o = DIRECTORY_OK;

	bytes = unpack_u64(&u);
	messages = unpack_u64(&u);
	if (!unpack_done(&u) || id == 0 || house_keeper_of(h, id) != index || bytes > INT64_MAX ||
	    messages > INT64_MAX)
		return false;
	if (l == NULL)
		return true;
	a = arena_open(NULL);
	one = total_of(c->together->totals, id, c->origin);
	if (domain.len == 0 && one != NULL)
		domain = arena_keep(a, bytes_of(one->domain));
	if (!domain_canonical(domain, a, &name))
		name = domain;
	foreign = (index & KEEPER_OF_USER) != 0 &&
	          (set || one == NULL || !bytes_is(name, one->domain));
	if (set && !foreign && name.len > 0)
		o = clerk_total_set(h, name, &bytes, &messages);
	one = foreign ? NULL : total_find(c->together->totals, name);
	if (one == NULL && set && !foreign && o == DIRECTORY_OK && name.len > 0)
		one = &none; /* not limited any more */
	struct buffer *b = link_begin(l, WORD_TOTAL_IS, ticket);
	pack_u32(b, one != NULL && o == DIRECTORY_OK ? 0
	            : o == DIRECTORY_LATER           ? EAGAIN
	            : foreign && set                 ? EACCES
	                                             : ENOENT);
	pack_u64(b, one != NULL ? one->used.bytes : 0);
	pack_u64(b, one != NULL ? one->used.messages : 0);
	pack_u64(b, one != NULL ? one->limit.bytes : 0);
	pack_u64(b, one != NULL ? one->limit.messages : 0);
	link_end(l);
	arena_close(&a);
	return true;
}

/* ---- the house ---- */

bool
clerk_totals_open(struct house *h)
{
	struct clerk    *c = h->mine;
	struct together *t = memory_take(sizeof *t);

	t->promises = map_open();
	t->uncounted = map_open();
	t->heard = map_open();
	t->turn = timer_open(h->loop, count_some, h);
	t->patience = timer_open(h->loop, ready, h);
	timer_set(t->patience, READY_PATIENCE_MS);
	t->totals = totals_open(c->directory);
	c->together = t;
	return t->totals != NULL;
}

void
clerk_totals_settings(struct clerk *c, const struct setting_list *percents)
{
	struct together *t = c->together;
	struct map_place p = { 0 };
	struct total    *one;
	uint64_t         n;

	while ((one = totals_next(t->totals, &p)) != NULL)
		one->little = is_little(c, one);
	t->percents = 0;
	for (size_t i = 0; i < percents->count && t->percents < PERCENTS_MOST; i++)
		if (bytes_number(bytes_of(percents->item[i]), &n) && n <= 100)
			t->percent[t->percents++] = (unsigned)n;
}

/* Before it hears that it knows all (LIMITS). */
void
clerk_total_keeper_came(struct house *h, uint32_t index)
{
	struct together    *t = together_of(h);
	struct link        *l = house_link(h, KEEPER, index);
	struct map_place    p = { 0 };
	const struct total *one;

	if (totals_count(t->totals) == 0)
		return;
	if (is_users(index)) {
		if ((one = total_of_keeper(h, index)) != NULL)
			say_total(l, one->domain, true);
		return;
	}
	while ((one = totals_next(t->totals, &p)) != NULL) {
		say_total(l, one->domain, true);
		if ((index & KEEPER_OF_USER) == 0)
			count_domain(h, one->domain);
	}
}

/* What it was promised did not come, or is told anew. */
void
clerk_total_keeper_lost(struct house *h, uint32_t index)
{
	struct together *t = together_of(h);

	waiting_drop(t, index, 0);
	for (struct map_place p = { 0 }; map_next(t->promises, &p);) {
		uint64_t key;
		memcpy(&key, p.key.at, sizeof key);
		if (key >> 32 == index)
			promise_end(t, key);
	}
}

/* ---- the command line ---- */

void
order_total_say(struct order *e, const char *domain, struct buffer *b)
{
	const struct total *one = total_find(e->clerk->together->totals, bytes_of(domain));

	if (one == NULL)
		return;
	buffer_printf(b,
	              e->json ? ", \"total_bytes\": %" PRIu64 ", \"total_bytes_limit\": %" PRIu64
	                        ", \"total_messages\": %" PRIu64
	                        ", \"total_messages_limit\": %" PRIu64
	                      : " total-storage=%" PRIu64 "/%" PRIu64 " total-messages=%" PRIu64
	                        "/%" PRIu64,
	              one->used.bytes, one->limit.bytes, one->used.messages, one->limit.messages);
}

static void
total_line(struct order *e, const struct total *one)
{
	caller_say(e->caller, "%s %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 "\n", one->domain,
	           one->used.bytes, one->limit.bytes, one->used.messages, one->limit.messages);
	e->rows++;
}

/* domain totals [DOMAIN]: of those that are limited. */
int
run_domain_totals(struct order *e)
{
	const struct totals *t = e->clerk->together->totals;
	struct arena        *a = arena_open(NULL);
	struct map_place     p = { 0 };
	struct bytes         name;
	const struct total  *one;

	if (e->first.len == 0)
		while ((one = totals_next(t, &p)) != NULL)
			total_line(e, one);
	else if (domain_canonical(e->first, a, &name) && (one = total_find(t, name)) != NULL)
		total_line(e, one);
	arena_close(&a);
	if (e->first.len == 0 || e->rows > 0)
		return 0;
	caller_complain(
		e->caller,
		"mansio: nothing bounds what all accounts of %.*s may hold; right would be: "
		"mansio domain set %.*s --total-storage 100G --total-messages 1000000\n",
		(int)e->first.len, e->first.at, (int)e->first.len, e->first.at);
	return 1;
}
