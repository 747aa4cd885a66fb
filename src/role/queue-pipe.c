/*
 * queue-pipe -- letters for transports that are commands (role/transports.h): each gets the letter in a file of its own by the
 * keeper of the user whose command it is, and all recipients of one transaction have one result
 */
#include "base/clock.h"
#include "role/confine.h"
#include "role/queue.h"
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

enum { BYTES_MOST = 64 << 20 };

/* A transaction on its way to a command. */
struct piping {
	struct house       *house;
	struct arena       *life;
	uint32_t            keeper;
	uint64_t            bytes;
	int64_t             said_us;
	bool                copying, said, over;
	struct queue_piping what;
	struct pipe_to     *to;
};

static struct bytes
ticket_key(const uint32_t *ticket)
{
	return (struct bytes){ (const char *)ticket, sizeof *ticket };
}

/* While its copy is made it stays, and ends with that. */
static void
piping_end(struct piping *p)
{
	struct queue_role *k = queue_of(p->house);
	struct arena      *life = p->life;

	(void)map_drop(k->piping, ticket_key(&p->what.ticket));
	p->over = true;
	if (p->said || p->copying)
		k->piping_bytes -= p->bytes;
	if (!p->copying)
		arena_close(&life);
}

static void
piping_result(struct piping *p, uint8_t result, const char *status, const char *text)
{
	struct house *h = p->house;
	uint32_t      ticket = p->what.ticket;

	piping_end(p);
	queue_piped(h, ticket,
	            &(struct word_delivered){ .result = result, .status = status, .text = text },
	            0);
}

static void
copied(void *ctx, int fd, uint64_t envelope_at, int why)
{
	struct piping *p = ctx;
	struct house  *h = p->house;
	struct arena  *life = p->life;
	struct link   *l = house_link(h, KEEPER, p->keeper);

	p->copying = false;
	if (p->over) {
		arena_close(&life);
		return;
	}
	queue_of(h)->piping_bytes -= p->bytes;
	if (why != 0) {
		piping_result(p, DELIVER_LATER, "4.3.0", letters_why(why));
		return;
	}
	if (l == NULL)
		return; /* begun again when it comes */
	queue_of(h)->piping_bytes += p->bytes;
	p->said = true;
	p->said_us = clock_wall_us();
	word_pack_pipe(link_begin(l, WORD_PIPE, p->what.ticket),
	               &(struct word_pipe){ .letter = p->what.letter->id,
	                                    .envelope_segment = SEGMENT_ALONE,
	                                    .envelope_at = envelope_at,
	                                    .transport = p->what.transport,
	                                    .nexthop = p->what.nexthop,
	                                    .sender = bytes_of(p->what.sender),
	                                    .passed = p->what.passed,
	                                    .recipient = p->to,
	                                    .recipients = p->what.rcpts });
	link_end_fd(l, fd);
}

/* Those that wait for their keeper, as far as memory for their letters goes. */
static void
pipes_go(struct house *h)
{
	struct queue_role *k = queue_of(h);

	for (struct map_place place = { 0 }; map_next(k->piping, &place);) {
		struct piping *p = place.value;
		size_t         count = map_count(k->piping);

		if (p->copying || p->said || house_link(h, KEEPER, p->keeper) == NULL)
			continue;
		if (k->piping_bytes > 0 && k->piping_bytes + p->bytes > BYTES_MOST)
			return;
		k->piping_bytes += p->bytes;
		p->copying = true;
		queue_copy_alone(h, p->what.letter, copied, p);
		if (map_count(k->piping) != count)
			place = (struct map_place){ 0 }; /* it failed at once */
	}
}

static void
go(void *house)
{
	pipes_go(house);
}

void
queue_pipe(struct house *h, const struct queue_piping *what)
{
	struct queue_role *k = queue_of(h);
	struct arena      *life = arena_open(NULL);
	struct piping     *p = arena_take(life, sizeof *p);
	const char        *lines = house_resource_text(h, "pipes");
	uint32_t           uid;

	*p = (struct piping){ .house = h, .life = life, .what = *what };
	p->bytes = what->letter->content_len;
	p->to = arena_take_array(life, what->rcpts, sizeof *p->to);
	p->what.transport = arena_copy(life, bytes_of(what->transport));
	p->what.nexthop = arena_copy(life, bytes_of(what->nexthop));
	p->what.passed = arena_keep(life, what->passed);
	for (uint32_t i = 0; i < what->rcpts; i++)
		p->to[i] = (struct pipe_to){
			arena_keep(life, bytes_of(what->rcpt[i]->address)),
			k->rows.original ? arena_keep(life, bytes_of(what->rcpt[i]->original))
					 : BYTES(""),
		};
	p->what.rcpt = NULL;
	(void)map_put(k->piping, ticket_key(&p->what.ticket), p);
	if (lines == NULL || !transports_uid(lines, what->transport, &uid)) {
		piping_result(p, DELIVER_LATER, "4.3.5",
		              "mail transport unavailable: its user is not there");
		return;
	}
	p->keeper = KEEPER_OF_USER | uid;
	if (house_link(h, KEEPER, p->keeper) == NULL)
		house_keeper_want(h, p->keeper);
	else
		errand_set(h->loop, &k->pipe);
}

bool
hear_piped(struct house *h, uint32_t index, uint32_t ticket, struct bytes body)
{
	struct queue_role    *k = queue_of(h);
	struct piping        *p = map_get(k->piping, ticket_key(&ticket));
	struct arena         *a = arena_open(NULL);
	struct word_delivered w;
	bool whole = word_unpack_delivered(body, a, &w) && w.result != DELIVER_FORWARDED &&
	             (p == NULL || (p->keeper == index && p->said));
	int64_t took = whole && p != NULL ? clock_wall_us() - p->said_us : 0;

	if (whole && p != NULL) {
		piping_end(p);
		queue_piped(h, ticket, &w, took > 0 ? took : 0);
		pipes_go(h);
		queue_pump(h);
	}
	arena_close(&a);
	return whole;
}

void
queue_pipes_keeper(struct house *h, uint32_t index)
{
	if ((index & KEEPER_OF_USER) != 0)
		pipes_go(h);
}

bool
queue_pipes_wait(const struct house *h, uint32_t index)
{
	const struct queue_role *k = h->mine;

	for (struct map_place p = { 0 }; map_next(k->piping, &p);)
		if (((struct piping *)p.value)->keeper == index)
			return true;
	return false;
}

/* The next one of this keeper: what is done with it takes it out of the map. */
static struct piping *
piping_of(struct queue_role *k, uint32_t index)
{
	for (struct map_place p = { 0 }; map_next(k->piping, &p);)
		if (((struct piping *)p.value)->keeper == index)
			return p.value;
	return NULL;
}

void
queue_pipes_lost(struct house *h, uint32_t index)
{
	struct piping *p;

	while ((p = piping_of(queue_of(h), index)) != NULL) {
		uint32_t ticket = p->what.ticket;

		piping_end(p);
		queue_pipe_lost(h, ticket);
	}
}

void
queue_pipes_not(struct house *h, uint32_t index, const char *why)
{
	struct piping *p;

	while ((p = piping_of(queue_of(h), index)) != NULL)
		piping_result(p, DELIVER_LATER, "4.3.0", why);
}

void
queue_pipe_open(struct house *h)
{
	struct queue_role *k = queue_of(h);

	k->piping = map_open();
	k->pipe = (struct errand){ .go = go, .ctx = h };
}
