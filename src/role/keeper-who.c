/*
 * keeper-who -- whose an address is, as the clerk knows it (URLFETCH of somebody else's URL)
 */
#include "role/keeper.h"

#include <string.h>

struct imap_who {
	struct house *house;
	uint32_t      ticket;
	char          address[400];
	void (*found)(void *who, const struct access_facts *);
	void *who;
};

static struct bytes
ticket_key(const uint32_t *ticket)
{
	return (struct bytes){ (const char *)ticket, sizeof *ticket };
}

struct imap_who *
keeper_who(void *ctx, const char *address, void (*found)(void *who, const struct access_facts *),
           void *who)
{
	struct house    *h = ctx;
	struct keeper   *k = keeper_of(h);
	struct link     *l = house_link(h, CLERK, 0);
	struct imap_who *w;

	if (l == NULL || strlen(address) >= sizeof w->address)
		return NULL;
	w = memory_take(sizeof *w);
	*w = (struct imap_who){ .house = h, .found = found, .who = who };
	(void)bytes_string(bytes_of(address), w->address, sizeof w->address);
	while (w->ticket = ++k->next_asked,
	       w->ticket == 0 || map_get(k->asked, ticket_key(&w->ticket)) != NULL)
		continue;
	(void)map_put(k->asked, ticket_key(&w->ticket), w);
	link_say(l, WORD_WHO, w->ticket, bytes_of(address), -1);
	return w;
}

void
keeper_who_drop(struct imap_who *w)
{
	(void)map_drop(keeper_of(w->house)->asked, ticket_key(&w->ticket));
	memory_free(w);
}

/* An account of another keeper is out of reach, and nobody's to the one who asks. */
bool
hear_who_is(struct house *h, uint32_t ticket, struct bytes body)
{
	struct keeper      *k = keeper_of(h);
	struct unpack       u = unpack_of(body);
	struct access_facts facts = { .account = unpack_u64(&u) };
	struct bytes        address = unpack_bytes(&u);
	struct imap_who    *w = map_drop(k->asked, ticket_key(&ticket));

	if (!unpack_done(&u))
		return false;
	if (w == NULL)
		return true; /* nobody waits any more */
	arena_clear(k->scratch);
	facts.user = arena_copy(k->scratch, address);
	if (facts.account == 0 || house_keeper_of(h, facts.account) != h->index ||
	    map_get(k->gone, map_number(&facts.account)) != NULL ||
	    keeper_locate(k, facts.account, address) != 0) {
		w->found(w->who, NULL);
	} else {
		keeper_limit(h, facts.account, address);
		keeper_groups(h, &facts, k->scratch);
		w->found(w->who, &facts);
	}
	memory_free(w);
	return true;
}

/* The clerk died with the questions. */
void
keeper_who_lost(struct keeper *k)
{
	struct map_place p = { 0 };

	while (map_next(k->asked, &p)) {
		struct imap_who *w = map_drop(k->asked, p.key);
		w->found(w->who, NULL);
		memory_free(w);
		p = (struct map_place){ 0 };
	}
}
