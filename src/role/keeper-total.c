/*
 * keeper-total -- accounts of a domain that is limited as a whole: the clerk hears what each holds, and is asked before more comes
 *
 * What an account holds is told when it is opened and before each commit that changes it (SHARE).  Whoever brings something asks
 * first (ROOM_ASK) and has the promise until the commit it is part of has told (spent), or gives it back (ROOM_BACK).  A clerk that
 * comes hears all of it again.  Where no domain has such a limit nothing here is done.
 */
#include "role/keeper.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "directory/directory.h"
#include "role/confine.h"

/* An account that counts: what was told of it last, and promises that its next commit tells of. */
struct share {
	uint64_t          account;
	const char       *domain; /* a key of k->totals: for who forgets */
	struct quota      held;
	bool              known; /* `held` was told, or would have been */
	bool              told;
	struct imap_room *spent;
};

/* One promise: asked for, had, or refused. */
struct imap_room {
	struct house     *house;
	uint32_t          ticket;
	uint64_t          account, letter; /* letter 0: a reader's             */
	uint64_t          bytes, messages;
	uint8_t           kind;
	bool              heard;
	int               why;
	struct imap_room *next; /* of a share's spent ones          */
	void (*done)(void *who, int why);
	void *who;
};

struct imap_total {
	struct house *house;
	uint32_t      ticket;
	void (*done)(void *who, int why, const struct quota *);
	void *who;
};

static struct bytes
ticket_key(const uint32_t *ticket)
{
	return (struct bytes){ (const char *)ticket, sizeof *ticket };
}

/* A ticket that is nobody's in this map. */
static uint32_t
fresh_ticket(struct keeper *k, const struct map *among)
{
	uint32_t ticket;

	while (ticket = ++k->next_ticket,
	       ticket == 0 || map_get(among, ticket_key(&ticket)) != NULL)
		continue;
	return ticket;
}

/* ---- which accounts count ---- */

/* The domain it counts in, if that is limited; a user's keeper hears of no other than its own. */
static const char *
domain_counted(const struct keeper *k, struct bytes address)
{
	struct map_place p = { 0 };
	ptrdiff_t        at = bytes_find_last(address, '@');

	if (k->personal)
		return map_next(k->totals, &p) ? p.value : NULL;
	return at < 0 ? NULL : map_get(k->totals, bytes_cut(address, (size_t)at + 1, SIZE_MAX));
}

static void
room_free(struct imap_room *r)
{
	struct keeper *k = keeper_of(r->house);
	uint64_t       key[2] = { r->account, r->letter };

	(void)map_drop(k->rooms, ticket_key(&r->ticket));
	if (r->letter != 0)
		(void)map_drop(k->letter_rooms, (struct bytes){ (const char *)key, sizeof key });
	memory_free(r);
}

static void
room_give_back(struct imap_room *r)
{
	struct link *l = house_link(r->house, CLERK, 0);

	if (l != NULL)
		link_say(l, WORD_ROOM_BACK, r->ticket, (struct bytes){ NULL, 0 }, -1);
	room_free(r);
}

static struct share *
share_of(struct keeper *k, uint64_t account, const char *domain)
{
	struct share *s = map_get(k->shares, map_number(&account));

	if (s == NULL && domain != NULL) {
		s = memory_take(sizeof *s);
		*s = (struct share){ .account = account, .domain = domain };
		(void)map_put(k->shares, map_number(&account), s);
	}
	return s;
}

static void
share_free(struct keeper *k, struct share *s)
{
	struct imap_room *r;

	while ((r = s->spent) != NULL) {
		s->spent = r->next;
		room_give_back(r);
	}
	(void)map_drop(k->shares, map_number(&s->account));
	memory_free(s);
}

/* ---- telling ---- */

/* With the promises that are in it, which end by that. */
static void
say_share(struct house *h, struct share *s, const struct quota *held, uint32_t ticket)
{
	struct link      *l = house_link(h, CLERK, 0);
	struct imap_room *r;
	uint32_t          count = 0;
	struct buffer    *b;

	s->held = *held;
	s->known = true;
	s->told = l != NULL;
	if (l == NULL) {
		/* A clerk that comes hears of the sum, and of no promise that is in it. */
		while ((r = s->spent) != NULL) {
			s->spent = r->next;
			room_free(r);
		}
		return;
	}
	for (r = s->spent; r != NULL; r = r->next)
		count++;
	b = link_begin(l, WORD_SHARE, ticket);
	pack_u64(b, s->account);
	pack_u64(b, held->bytes);
	pack_u64(b, held->messages);
	pack_u32(b, count);
	while ((r = s->spent) != NULL) {
		s->spent = r->next;
		pack_u32(b, r->ticket);
		room_free(r);
	}
	link_end(l);
}

void
keeper_total_look(struct house *h, struct account *a, struct bytes address)
{
	struct keeper *k = keeper_of(h);
	uint64_t       id = account_id(a);
	struct share  *s;
	struct quota   q;

	if (map_count(k->totals) == 0 ||
	    (s = share_of(k, id, domain_counted(k, address))) == NULL || account_quota(a, &q) != 0)
		return;
	/* What is not committed yet is told with the commit. */
	if (!s->told || (!store_dirty(k->store) &&
	                 (q.bytes != s->held.bytes || q.messages != s->held.messages)))
		say_share(h, s, &q, 0);
}

/* Before a commit. */
void
keeper_total_changed(struct house *h, uint64_t account, const struct quota *now)
{
	struct keeper *k = keeper_of(h);
	struct share  *s = map_count(k->shares) > 0 ? share_of(k, account, NULL) : NULL;

	if (s != NULL)
		say_share(h, s, now, 0);
}

/* The account was deleted, and the clerk knows. */
void
keeper_total_gone(struct keeper *k, uint64_t account)
{
	struct share *s = map_count(k->shares) > 0 ? share_of(k, account, NULL) : NULL;

	if (s != NULL)
		share_free(k, s);
}

/* One that was never opened holds nothing; one that cannot be opened is counted as before. */
bool
hear_share_ask(struct house *h, struct bytes body)
{
	struct keeper  *k = keeper_of(h);
	struct link    *l = house_link(h, CLERK, 0);
	struct unpack   u = unpack_of(body);
	uint64_t        id = unpack_u64(&u);
	struct bytes    address = unpack_bytes(&u);
	struct account *a;
	struct quota    q;
	bool            known;
	int             why;
	struct share   *s;
	struct buffer  *b;

	if (!unpack_done(&u) || id == 0)
		return false;
	if (l == NULL || house_keeper_of(h, id) != h->index)
		return true; /* another keeper's, by settings it has heard before us, or after */
	if (!account_is_there(k->store, id)) {
		b = link_begin(l, WORD_SHARE, 1);
		pack_u64(b, id);
		pack_u64(b, 0);
		pack_u64(b, 0);
		pack_u32(b, 0);
		link_end(l);
		return true;
	}
	if (k->user != NULL)
		(void)keeper_locate(k, id, address);
	keeper_limit(h, id, address);
	/* With what is not committed yet: that is what its promises were for, and they end by this. */
	s = share_of(k, id, NULL);
	a = s != NULL ? account_take(k->store, id, &why) : NULL;
	known = a != NULL && account_quota(a, &q) == 0;
	account_drop(&a);
	if (known) {
		say_share(h, s, &q, 1);
		return true;
	}
	b = link_begin(l, WORD_SHARE, 1);
	pack_u64(b, id);
	pack_u64(b, UINT64_MAX);
	pack_u64(b, UINT64_MAX);
	pack_u32(b, 0);
	link_end(l);
	return true;
}

/* ---- which domains ---- */

/* A user's keeper has one account. */
static void
tell_user(struct house *h)
{
	uint64_t        id = system_account(SYSTEM_MAILBOX, house_user(h)->uid);
	struct account *a;
	int             why;

	if (!account_is_there(keeper_of(h)->store, id) || keeper_user_locate(h, id) != 0)
		return;
	a = account_take(keeper_of(h)->store, id, &why);
	if (a != NULL)
		keeper_total_look(h, a, (struct bytes){ NULL, 0 });
	account_drop(&a);
}

bool
hear_total(struct house *h, struct bytes body)
{
	struct keeper *k = keeper_of(h);
	struct unpack  u = unpack_of(body);
	struct bytes   domain = unpack_bytes(&u);
	bool           limited = unpack_bool(&u);
	char          *name;

	if (!unpack_done(&u) || domain.len == 0)
		return false;
	name = map_get(k->totals, domain);
	if (limited && name == NULL) {
		name = memory_take(domain.len + 1);
		(void)bytes_string(domain, name, domain.len + 1);
		(void)map_put(k->totals, domain, name);
	} else if (!limited && name != NULL) {
		for (struct map_place p = { 0 }; map_next(k->shares, &p);)
			if (((struct share *)p.value)->domain == name)
				share_free(k, p.value);
		memory_free(map_drop(k->totals, domain));
	}
	if (limited && k->told)
		keeper_limits_again(h); /* those somebody reads are told of at once */
	if (limited && k->personal)
		tell_user(h);
	return true;
}

/* ---- promises ---- */

static void
room_say(struct imap_room *r, uint8_t kind)
{
	struct link   *l = house_link(r->house, CLERK, 0);
	struct buffer *b;

	if (l == NULL)
		return; /* asked when it comes */
	b = link_begin(l, WORD_ROOM_ASK, r->ticket);
	pack_u64(b, r->account);
	pack_u64(b, r->bytes);
	pack_u64(b, r->messages);
	pack_u8(b, kind);
	link_end(l);
}

/* The next SHARE of its account has it in. */
static void
room_spend(struct imap_room *r)
{
	struct keeper *k = keeper_of(r->house);
	struct share  *s = share_of(k, r->account, NULL);
	uint64_t       key[2] = { r->account, r->letter };

	if (s == NULL) {
		room_give_back(r);
		return;
	}
	if (r->letter != 0)
		(void)map_drop(k->letter_rooms, (struct bytes){ (const char *)key, sizeof key });
	r->letter = 0;
	r->done = NULL;
	r->next = s->spent;
	s->spent = r;
}

static struct imap_room *
room_ask(struct house *h, const struct imap_room *like)
{
	struct keeper    *k = keeper_of(h);
	struct imap_room *r = memory_take(sizeof *r);

	*r = *like;
	r->house = h;
	r->ticket = fresh_ticket(k, k->rooms);
	(void)map_put(k->rooms, ticket_key(&r->ticket), r);
	room_say(r, r->kind);
	return r;
}

bool
hear_room_said(struct house *h, uint32_t ticket, struct bytes body)
{
	struct keeper    *k = keeper_of(h);
	struct imap_room *r = map_get(k->rooms, ticket_key(&ticket));
	struct unpack     u = unpack_of(body);
	int               why = (int)unpack_u32(&u);

	if (!unpack_done(&u))
		return false;
	if (r == NULL || r->heard)
		return true; /* nobody waits any more: what was promised went back */
	r->heard = true;
	r->why = why;
	if (r->letter != 0 && why != EAGAIN)
		timer_set(k->heard, 0); /* with others that are answered now */
	else if (r->done != NULL)
		r->done(r->who, why);
	return true;
}

/* ---- letters of the queue ---- */

int
keeper_total_room(void *house, uint64_t account, uint64_t letter, uint64_t size)
{
	struct house     *h = house;
	struct keeper    *k = keeper_of(h);
	uint64_t          key[2] = { account, letter };
	struct bytes      by = { (const char *)key, sizeof key };
	struct imap_room *r;
	int               why;

	if (map_count(k->shares) == 0 || share_of(k, account, NULL) == NULL)
		return 0;
	r = map_get(k->letter_rooms, by);
	if (r == NULL) {
		r = room_ask(h, &(struct imap_room){ .account = account,
		                                     .letter = letter,
		                                     .bytes = size,
		                                     .messages = 1,
		                                     .kind = ROOM_FOR_LETTER });
		(void)map_put(k->letter_rooms, by, r);
		return EBUSY;
	}
	if (!r->heard)
		return EBUSY;
	if ((why = r->why) != 0)
		room_free(r);
	return why == EAGAIN ? EBUSY : why;
}

void
keeper_total_letter(struct house *h, uint64_t account, uint64_t letter, bool came)
{
	struct keeper    *k = keeper_of(h);
	uint64_t          key[2] = { account, letter };
	struct imap_room *r =
		map_count(k->letter_rooms) > 0
			? map_get(k->letter_rooms, (struct bytes){ (const char *)key, sizeof key })
			: NULL;

	if (r == NULL)
		return;
	if (came && r->heard && r->why == 0)
		room_spend(r);
	else
		room_give_back(r);
}

/* The queue is gone, and what it had put off with us: its successor brings the letters again. */
void
keeper_total_queue_lost(struct keeper *k)
{
	for (struct map_place p = { 0 }; map_next(k->letter_rooms, &p);)
		room_give_back(p.value);
}

/* ---- readers ---- */

struct imap_room *
keeper_room_ask(void *house, const struct access_facts *facts, uint64_t account, uint64_t bytes,
                uint64_t messages, void (*done)(void *who, int why), void *who)
{
	struct house  *h = house;
	struct keeper *k = keeper_of(h);

	errno = 0;
	/* Mailboxes are shared within one domain. */
	if (map_count(k->totals) == 0 ||
	    share_of(k, account, domain_counted(k, bytes_of(facts->user))) == NULL)
		return NULL;
	errno = EAGAIN;
	if (house_link(h, CLERK, 0) == NULL)
		return NULL;
	return room_ask(h, &(struct imap_room){ .account = account,
	                                        .bytes = bytes,
	                                        .messages = messages,
	                                        .kind = ROOM_FOR_READER,
	                                        .done = done,
	                                        .who = who });
}

void
keeper_room_end(struct imap_room *r, bool came)
{
	if (came && r->heard && r->why == 0)
		room_spend(r);
	else
		room_give_back(r);
}

/* ---- GETQUOTA and SETQUOTA ---- */

/* Who asks sees what they have done, though it may not be on the disk yet. */
static void
tell_now(struct house *h, uint64_t account)
{
	struct share   *s = share_of(keeper_of(h), account, NULL);
	struct account *a;
	struct quota    q;
	int             why;

	if (s == NULL || (a = account_take(keeper_of(h)->store, account, &why)) == NULL)
		return;
	if (account_quota(a, &q) == 0)
		say_share(h, s, &q, 0);
	account_drop(&a);
}

static void
total_answer(struct imap_total *t, int why, const struct quota *q)
{
	void (*done)(void *, int, const struct quota *) = t->done;
	void *who = t->who;

	keeper_total_drop(t);
	done(who, why, q);
}

void
keeper_total_drop(struct imap_total *t)
{
	(void)map_drop(keeper_of(t->house)->totals_asked, ticket_key(&t->ticket));
	memory_free(t);
}

struct imap_total *
keeper_total_ask(void *house, const struct access_facts *facts, const char *domain,
                 const struct quota_limits *limits,
                 void (*done)(void *who, int why, const struct quota *), void *who)
{
	struct house      *h = house;
	struct keeper     *k = keeper_of(h);
	struct link       *l = house_link(h, CLERK, 0);
	const char        *own = domain_counted(k, bytes_of(facts->user));
	struct imap_total *t;
	struct buffer     *b;

	errno = ENOENT;
	if (*domain == '\0' && own == NULL && limits == NULL)
		return NULL;
	errno = EACCES;
	if ((*domain != '\0' || limits != NULL) && !keeper_is_quota_admin(k, facts->user))
		return NULL;
	errno = EAGAIN;
	if (l == NULL)
		return NULL;
	tell_now(h, facts->account);
	t = memory_take(sizeof *t);
	*t = (struct imap_total){ h, fresh_ticket(k, k->totals_asked), done, who };
	(void)map_put(k->totals_asked, ticket_key(&t->ticket), t);
	if (limits != NULL)
		note_as("mansio/keeper",
		        "%s sets what all accounts of %s may hold: %llu bytes, %llu messages (0: no limit)",
		        facts->user, *domain != '\0' ? domain : "their domain",
		        (unsigned long long)limits->bytes, (unsigned long long)limits->messages);
	b = link_begin(l, WORD_TOTAL_ASK, t->ticket);
	pack_u64(b, facts->account);
	pack_string(b, domain);
	pack_bool(b, limits != NULL);
	pack_u64(b, limits != NULL ? limits->bytes : 0);
	pack_u64(b, limits != NULL ? limits->messages : 0);
	link_end(l);
	return t;
}

bool
hear_total_is(struct house *h, uint32_t ticket, struct bytes body)
{
	struct imap_total *t = map_get(keeper_of(h)->totals_asked, ticket_key(&ticket));
	struct unpack      u = unpack_of(body);
	int                why = (int)unpack_u32(&u);
	struct quota       q;

	q.bytes = unpack_u64(&u);
	q.messages = unpack_u64(&u);
	q.limit.bytes = unpack_u64(&u);
	q.limit.messages = unpack_u64(&u);
	if (!unpack_done(&u))
		return false;
	if (t != NULL)
		total_answer(t, why, &q);
	return true;
}

/* ---- a clerk goes, a clerk comes ---- */

void
keeper_total_clerk_lost(struct keeper *k)
{
	struct map_place p;

	for (p = (struct map_place){ 0 }; map_next(k->totals_asked, &p);
	     p = (struct map_place){ 0 })
		total_answer(p.value, EAGAIN, &(struct quota){ 0 });
}

/* It hears what was promised before what it was promised for. */
void
keeper_total_clerk_came(struct house *h)
{
	struct keeper *k = keeper_of(h);

	for (struct map_place p = { 0 }; map_next(k->rooms, &p);) {
		struct imap_room *r = p.value;
		if (!r->heard)
			room_say(r, r->kind);
		else if (r->why == 0)
			room_say(r, ROOM_HAD);
	}
	for (struct map_place p = { 0 }; map_next(k->shares, &p);) {
		struct share     *s = p.value;
		struct imap_room *spent = s->spent;
		if (!s->known)
			continue; /* that it holds nothing was never seen */
		s->spent = NULL;  /* they are in what is told next, not in this */
		say_share(h, s, &(struct quota){ s->held.bytes, s->held.messages, { 0, 0 } }, 0);
		s->spent = spent;
	}
	link_say(house_link(h, CLERK, 0), WORD_SHARES_TOLD, 0, (struct bytes){ NULL, 0 }, -1);
}

void
keeper_totals_close(struct keeper *k)
{
	for (struct map_place p = { 0 }; map_next(k->shares, &p);)
		share_free(k, p.value);
	for (struct map_place p = { 0 }; map_next(k->rooms, &p);)
		room_free(p.value);
	for (struct map_place p = { 0 }; map_next(k->totals, &p);)
		memory_free(p.value);
	map_close(&k->shares);
	map_close(&k->rooms);
	map_close(&k->letter_rooms);
	map_close(&k->totals);
	map_close(&k->totals_asked);
}
