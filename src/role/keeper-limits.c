/*
 * keeper-limits -- SETQUOTA: the directory is the clerk's, so it is asked; what it changes comes back as LIMITS
 */
#include "role/keeper.h"
#include <errno.h>

struct imap_limits {
	struct house *house;
	uint32_t      ticket;
	void (*done)(void *who, int why, uint64_t account);
	void *who;
};

static struct bytes
ticket_key(const uint32_t *ticket)
{
	return (struct bytes){ (const char *)ticket, sizeof *ticket };
}

bool
keeper_is_quota_admin(const struct keeper *k, const char *user)
{
	for (size_t i = 0; i < k->rows.quota_admins.count; i++)
		if (bytes_is(bytes_of(user), k->rows.quota_admins.item[i]))
			return true;
	return false;
}

static void
limits_free(struct imap_limits *l)
{
	(void)map_drop(keeper_of(l->house)->limits_asked, ticket_key(&l->ticket));
	memory_free(l);
}

static void
limits_answer(struct imap_limits *l, int why, uint64_t account)
{
	void (*done)(void *, int, uint64_t) = l->done;
	void *who = l->who;

	limits_free(l);
	done(who, why, account);
}

void
keeper_limits_say(struct link *to, uint32_t ticket, const char *address,
                  const struct quota_limits *limits)
{
	struct buffer *b = link_begin(to, WORD_LIMIT_ASK, ticket);

	pack_string(b, address);
	pack_bool(b, limits != NULL);
	pack_i64(b, limits != NULL ? (int64_t)limits->bytes : 0);
	pack_i64(b, limits != NULL ? (int64_t)limits->messages : 0);
	link_end(to);
}

struct imap_limits *
keeper_limits_ask(void *house, const struct access_facts *facts, const char *address,
                  const struct quota_limits *limits,
                  void (*done)(void *who, int why, uint64_t account), void *who)
{
	struct keeper      *k = keeper_of(house);
	struct link        *to = house_link(house, CLERK, 0);
	struct imap_limits *l;

	errno = EACCES;
	if (!keeper_is_quota_admin(k, facts->user))
		return NULL;
	errno = EAGAIN;
	if (to == NULL)
		return NULL;
	l = memory_take(sizeof *l);
	*l = (struct imap_limits){ .house = house, .done = done, .who = who };
	while (l->ticket = ++k->next_ticket,
	       l->ticket == 0 || map_get(k->limits_asked, ticket_key(&l->ticket)) != NULL)
		continue;
	(void)map_put(k->limits_asked, ticket_key(&l->ticket), l);
	if (limits != NULL)
		note_as("mansio/keeper",
		        "%s sets what %s may hold: %llu bytes, %llu messages (0: no limit)",
		        facts->user, address, (unsigned long long)limits->bytes,
		        (unsigned long long)limits->messages);
	keeper_limits_say(to, l->ticket, address, limits);
	return l;
}

void
keeper_limits_drop(struct imap_limits *l)
{
	limits_free(l);
}

bool
hear_limit_done(struct house *h, uint32_t ticket, struct bytes body)
{
	struct keeper      *k = keeper_of(h);
	struct imap_limits *l = map_get(k->limits_asked, ticket_key(&ticket));
	struct unpack       u = unpack_of(body);
	int                 why = (int)unpack_u32(&u);
	uint64_t            account = unpack_u64(&u);
	struct bytes        address = unpack_bytes(&u);

	if (!unpack_done(&u))
		return false;
	if (ticket == 0)
		keeper_place_told(h);
	if (l == NULL)
		return true; /* the session is gone meanwhile */
	if (why == 0 && house_keeper_of(h, account) == h->index)
		keeper_limit(h, account, address);
	else
		account = 0; /* of another keeper */
	limits_answer(l, why, account);
	return true;
}

/* Whether it was done nobody can say now; to ask again does no harm. */
void
keeper_limits_lost(struct house *h)
{
	struct map_place    p;
	struct imap_limits *l;

	for (p = (struct map_place){ 0 }; map_next(keeper_of(h)->limits_asked, &p);
	     p = (struct map_place){ 0 }) {
		l = p.value;
		limits_answer(l, EAGAIN, 0);
	}
}
