/*
 * clerk-keeper -- commands for the keeper of an operating-system user: it has no socket of its own, so a command's comes
 * with the question, and the keeper, which is asked for when it is away, gets it
 */
#include "role/clerk.h"

#include <string.h>
#include <unistd.h>

/* A command whose keeper is on its way, or (`caller` NULL) the body of URL_READ, or with no descriptor of ACCOUNT_OUT. */
struct wanting {
	struct wanting *next;
	struct caller  *caller;
	struct buffer   body;
	uint32_t        keeper;
	int             fd;
};

static void
hand_over(struct house *h, uint32_t keeper, int fd)
{
	link_say(house_link(h, KEEPER, keeper), WORD_CALLER, 0, (struct bytes){ NULL, 0 }, fd);
	(void)close(fd);
}

int
run_keeper_call(struct order *e)
{
	struct wanting *w;
	uint64_t        uid;
	uint32_t        keeper;
	int             fd = caller_fd(e->caller);

	if (fd < 0 || !bytes_number(e->first, &uid) || uid == 0 || uid >= KEEPER_OF_USER) {
		if (fd >= 0)
			(void)close(fd);
		caller_complain(e->caller, "mansio: whose keeper?\n");
		return 2;
	}
	keeper = KEEPER_OF_USER | (uint32_t)uid;
	if (house_link(e->house, KEEPER, keeper) != NULL) {
		hand_over(e->house, keeper, fd);
		return 0;
	}
	w = memory_take(sizeof *w);
	*w = (struct wanting){ e->clerk->wanting, e->caller, { 0 }, keeper, fd };
	e->clerk->wanting = w;
	house_keeper_want(e->house, keeper);
	return -1;
}

void
clerk_url_wait(struct house *h, uint32_t keeper, struct bytes body, int fd)
{
	struct clerk   *c = h->mine;
	struct wanting *w = memory_take(sizeof *w);

	*w = (struct wanting){ .next = c->wanting, .keeper = keeper, .fd = fd };
	buffer_add(&w->body, body);
	c->wanting = w;
	house_keeper_want(h, keeper);
}

void
clerk_out_wait(struct house *h, uint32_t keeper, struct bytes body)
{
	clerk_url_wait(h, keeper, body, -1);
}

/* The next that waits for this keeper, out of the list; NULL none. */
static struct wanting *
wanting_take(struct clerk *c, uint32_t keeper)
{
	struct wanting **at = &c->wanting, *w;

	while ((w = *at) != NULL && w->keeper != keeper)
		at = &w->next;
	if (w != NULL)
		*at = w->next;
	return w;
}

void
clerk_keeper_came(struct house *h, uint32_t index)
{
	struct wanting *w;

	while ((w = wanting_take(h->mine, index)) != NULL) {
		if (w->caller != NULL) {
			hand_over(h, index, w->fd);
			caller_done(w->caller, 0);
		} else if (w->fd < 0)
			link_say(house_link(h, KEEPER, index), WORD_ACCOUNT_OUT, 0,
			         buffer_bytes(&w->body), -1);
		else
			clerk_url_hand_over(h, index, buffer_bytes(&w->body), w->fd);
		buffer_free(&w->body);
		memory_free(w);
	}
}

static void
disappoint(struct wanting *w, const char *why)
{
	if (w->caller != NULL) {
		caller_complain(w->caller, "mansio: the user with uid %u: %s\n",
		                w->keeper & ~KEEPER_OF_USER, why);
		caller_done(w->caller, 1);
	}
	if (w->fd >= 0)
		(void)close(w->fd);
	buffer_free(&w->body);
	memory_free(w);
}

bool
hear_keeper_absent(struct house *h, enum role from, uint32_t index, uint32_t ticket,
                   struct bytes body)
{
	struct unpack   u = unpack_of(body);
	uint32_t        keeper = unpack_u32(&u);
	struct wanting *w;
	struct bytes    why;
	char            text[200];

	(void)from;
	(void)index;
	(void)ticket;
	(void)unpack_bool(&u);
	why = unpack_bytes(&u);
	if (!unpack_done(&u) || !bytes_string(why, text, sizeof text))
		return false;
	while (house_link(h, KEEPER, keeper) == NULL && (w = wanting_take(h->mine, keeper)) != NULL)
		disappoint(w, text);
	return true;
}

void
clerk_keepers_end(struct clerk *c)
{
	struct wanting *w;

	while ((w = c->wanting) != NULL) {
		c->wanting = w->next;
		disappoint(w, "the server stops");
	}
}
