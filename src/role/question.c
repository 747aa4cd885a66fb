#include "role/question.h"
#include "base/random.h"

#define NOBODY UINT32_MAX

void
questions_open(struct questions *qs, struct house *h)
{
	/* An answer to whoever was here before us is none to us. */
	*qs = (struct questions){ .house = h, .open = map_open(), .next = (uint32_t)random_number() };
}

static struct bytes
ticket_key(const uint32_t *ticket)
{
	return (struct bytes){ (const char *)ticket, sizeof *ticket };
}

/* The next verifier that lives; NOBODY: none does now, the question waits. */
static uint32_t
verifier_choose(struct questions *qs)
{
	uint32_t n = house_peers(qs->house, VERIFIER);

	for (uint32_t i = 0; i < n; i++) {
		uint32_t at = (qs->turn + i) % n;
		if (house_link(qs->house, VERIFIER, at) != NULL) {
			qs->turn = at + 1;
			return at;
		}
	}
	return NOBODY;
}

static void
question_put(struct questions *qs, struct question *q)
{
	q->verifier = verifier_choose(qs);
	if (q->verifier != NOBODY)
		q->ask(q);
}

void
question_ask(struct questions *qs, struct question *q)
{
	while (q->ticket = ++qs->next, q->ticket == 0 || map_get(qs->open, ticket_key(&q->ticket)) != NULL)
		continue;
	(void)map_put(qs->open, ticket_key(&q->ticket), q);
	question_put(qs, q);
}

void
question_drop(struct questions *qs, struct question *q)
{
	if (q->ticket != 0)
		(void)map_drop(qs->open, ticket_key(&q->ticket));
	q->ticket = 0;
}

/* An answer to a question that was dropped meanwhile is nothing. */
bool
question_heard(struct questions *qs, uint32_t ticket, struct bytes body)
{
	struct question *q = map_drop(qs->open, ticket_key(&ticket));

	if (q != NULL) {
		q->ticket = 0;
		q->answered(q, &body);
	}
	return true;
}

/* Those asked twice are answered after the walk: an answer may ask something new. */
void
questions_lost(struct questions *qs, uint32_t verifier)
{
	struct buffer doomed = { 0 };
	struct question *q;

	for (struct map_place p = { 0 }; map_next(qs->open, &p);) {
		q = p.value;
		if (q->verifier != verifier)
			continue;
		if (q->again)
			pack_u32(&doomed, q->ticket);
		else {
			q->again = true;
			question_put(qs, q);
		}
	}
	for (struct unpack u = unpack_of(buffer_bytes(&doomed)); u.rest.len > 0;) {
		uint32_t ticket = unpack_u32(&u);

		q = map_drop(qs->open, ticket_key(&ticket));
		if (q != NULL) {
			q->ticket = 0;
			q->answered(q, NULL);
		}
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
