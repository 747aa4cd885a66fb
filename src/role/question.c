#include "role/question.h"
#include "base/random.h"

#define NOBODY UINT32_MAX

void
questions_open(struct questions *qs, struct house *h)
{
	/* An answer to whoever was here before us is none to us. */
	*qs = (struct questions){ .house = h,
		                  .open = map_open(),
		                  .next = (uint32_t)random_number() };
}

static struct bytes
ticket_key(const uint32_t *ticket)
{
	return (struct bytes){ (const char *)ticket, sizeof *ticket };
}

/* A living verifier; NOBODY: none does now, the question waits. */
static uint32_t
verifier_choose(const struct questions *qs)
{
	uint32_t n = house_peers(qs->house, VERIFIER), best = NOBODY;

	for (uint32_t i = 0; i < n && i < VERIFIERS_MOST; i++) {
		if (house_link(qs->house, VERIFIER, i) == NULL)
			continue;
		if (qs->load[i] < QUESTION_HEAVY)
			return i;
		if (best == NOBODY || qs->load[i] < qs->load[best])
			best = i;
	}
	return best;
}

static void
unload(struct questions *qs, const struct question *q)
{
	if (q->verifier != NOBODY)
		qs->load[q->verifier] -= q->weight + 1;
}

static struct question *
question_take(struct questions *qs, uint32_t ticket)
{
	struct question *q = map_drop(qs->open, ticket_key(&ticket));

	if (q != NULL) {
		q->ticket = 0;
		unload(qs, q);
	}
	return q;
}

static void
question_put(struct questions *qs, struct question *q)
{
	q->verifier = verifier_choose(qs);
	if (q->verifier == NOBODY)
		return;
	qs->load[q->verifier] += q->weight + 1;
	q->ask(q);
}

void
question_ask(struct questions *qs, struct question *q)
{
	while (q->ticket = ++qs->next,
	       q->ticket == 0 || map_get(qs->open, ticket_key(&q->ticket)) != NULL)
		continue;
	(void)map_put(qs->open, ticket_key(&q->ticket), q);
	question_put(qs, q);
}

void
question_drop(struct questions *qs, struct question *q)
{
	if (q->ticket != 0)
		(void)question_take(qs, q->ticket);
}

/* An answer to a question that was dropped meanwhile is nothing. */
bool
question_heard(struct questions *qs, uint32_t ticket, struct bytes body)
{
	struct question *q = question_take(qs, ticket);

	if (q != NULL)
		q->answered(q, &body);
	return true;
}

/* Those asked twice are answered after the walk: an answer may ask something new. */
void
questions_lost(struct questions *qs, uint32_t verifier)
{
	struct buffer    doomed = { 0 };
	struct question *q;

	for (struct map_place p = { 0 }; map_next(qs->open, &p);) {
		q = p.value;
		if (q->verifier != verifier)
			continue;
		if (q->again)
			pack_u32(&doomed, q->ticket);
		else {
			q->again = true;
			unload(qs, q);
			question_put(qs, q);
		}
	}
	for (struct unpack u = unpack_of(buffer_bytes(&doomed)); u.rest.len > 0;) {
		q = question_take(qs, unpack_u32(&u));
		if (q != NULL)
			q->answered(q, NULL);
	}
	buffer_free(&doomed);
}

void
questions_wait_over(struct questions *qs)
{
	for (struct map_place p = { 0 }; map_next(qs->open, &p);) {
		struct question *q = p.value;
		if (q->verifier == NOBODY)
			question_put(qs, q);
	}
}
