/* Questions to verifiers that come, go and die: each is answered once. */
#include "unit.h"

#include "role/question.h"

enum { VERIFIERS = 3, QUESTIONS = 50 };

static bool living[VERIFIERS];

/* The house as far as a question sees it. */
uint32_t
house_peers(struct house *h, enum role role)
{
	(void)h;
	return role == VERIFIER ? VERIFIERS : 0;
}

struct link *
house_link(struct house *h, enum role role, uint32_t index)
{
	(void)h;
	return role == VERIFIER && living[index] ? (struct link *)(void *)&living[index] : NULL;
}

struct mine {
	struct question   question; /* first */
	struct questions *of;
	int               asked, answered, nobody;
	uint32_t          last;
	bool              asks_again;
};

static void
mine_ask(struct question *q)
{
	struct mine *m = (struct mine *)q;

	HOLDS("only the living are asked", living[q->verifier]);
	HOLDS("under its ticket", q->ticket != 0);
	m->asked++;
	m->last = q->ticket;
}

static void
mine_answered(struct question *q, const struct bytes *body)
{
	struct mine *m = (struct mine *)q;

	HOLDS("it is no question any more", q->ticket == 0);
	m->answered++;
	if (body == NULL)
		m->nobody++;
	if (m->asks_again) {
		m->asks_again = false;
		m->question.again = false;
		question_ask(m->of, &m->question);
	}
}

static struct mine
new_one(struct questions *qs)
{
	return (struct mine){ .of = qs,
		              .question = { .ask = mine_ask, .answered = mine_answered } };
}

static void
everybody(bool lives)
{
	for (size_t i = 0; i < VERIFIERS; i++)
		living[i] = lives;
}

static void
test_asked_and_answered(void **state)
{
	struct questions qs;
	struct mine      m[QUESTIONS];
	uint32_t         counted[VERIFIERS] = { 0 };
	(void)state;

	everybody(true);
	questions_open(&qs, NULL);
	for (int i = 0; i < QUESTIONS; i++) {
		m[i] = new_one(&qs);
		question_ask(&qs, &m[i].question);
		counted[m[i].question.verifier]++;
	}
	for (size_t i = 0; i < VERIFIERS; i++)
		HOLDS("in turn", counted[i] >= QUESTIONS / VERIFIERS);
	for (int i = QUESTIONS - 1; i >= 0; i--) {
		HOLDS("heard", question_heard(&qs, m[i].last, BYTES("yes")));
		HOLDS("heard twice", question_heard(&qs, m[i].last, BYTES("yes")));
		HOLDS("once", m[i].asked == 1 && m[i].answered == 1 && m[i].nobody == 0);
	}
	HOLDS("an answer to nothing", question_heard(&qs, 12345, BYTES("what")));
	HOLDS("none is left", map_count(qs.open) == 0);
	map_close(&qs.open);
}

static void
test_one_dies(void **state)
{
	struct questions qs;
	struct mine      m[QUESTIONS];
	(void)state;

	everybody(true);
	questions_open(&qs, NULL);
	for (int i = 0; i < QUESTIONS; i++) {
		m[i] = new_one(&qs);
		question_ask(&qs, &m[i].question);
	}
	living[1] = false;
	questions_lost(&qs, 1);
	for (int i = 0; i < QUESTIONS; i++)
		HOLDS("asked of another", m[i].question.verifier != 1 && m[i].answered == 0 &&
		                                  m[i].asked == (m[i].question.again ? 2 : 1));
	living[0] = living[2] = false;
	questions_lost(&qs, 0);
	questions_lost(&qs, 2);
	for (int i = 0; i < QUESTIONS; i++)
		HOLDS("twice is enough", m[i].question.again && m[i].answered == m[i].nobody &&
		                                 m[i].answered == (m[i].asked == 2 ? 1 : 0));
	everybody(true);
	questions_wait_over(&qs);
	for (int i = 0; i < QUESTIONS; i++) {
		HOLDS("who waited is asked now", m[i].asked == 2);
		if (m[i].answered == 0)
			(void)question_heard(&qs, m[i].last, BYTES("yes"));
		HOLDS("each answered once", m[i].answered == 1);
	}
	map_close(&qs.open);
}

static void
test_nobody_lives(void **state)
{
	struct questions qs;
	struct mine      one, two;
	(void)state;

	everybody(false);
	questions_open(&qs, NULL);
	one = new_one(&qs);
	two = new_one(&qs);
	question_ask(&qs, &one.question);
	question_ask(&qs, &two.question);
	HOLDS("it waits", one.asked == 0 && one.answered == 0);
	question_drop(&qs, &two.question);
	question_drop(&qs, &two.question);
	living[2] = true;
	questions_wait_over(&qs);
	questions_wait_over(&qs);
	HOLDS("asked once", one.asked == 1 && one.question.verifier == 2 && two.asked == 0);
	question_drop(&qs, &one.question);
	(void)question_heard(&qs, one.last, BYTES("yes"));
	HOLDS("dropped is dropped", one.answered == 0 && map_count(qs.open) == 0);
	map_close(&qs.open);
}

/* An answer may ask something new, also while the dead are counted. */
static void
test_answers_ask(void **state)
{
	struct questions qs;
	struct mine      m[QUESTIONS];
	(void)state;

	everybody(true);
	questions_open(&qs, NULL);
	for (int i = 0; i < QUESTIONS; i++) {
		m[i] = new_one(&qs);
		m[i].asks_again = true;
		m[i].question.again = true;
		question_ask(&qs, &m[i].question);
	}
	living[0] = false;
	questions_lost(&qs, 0);
	for (int i = 0; i < QUESTIONS; i++) {
		HOLDS("asked anew", m[i].question.ticket != 0 && m[i].question.verifier != 0);
		HOLDS("of the living", (m[i].asked == 2) == (m[i].nobody == 1));
	}
	HOLDS("all are open", map_count(qs.open) == QUESTIONS);
	map_close(&qs.open);
}

UNIT(test_asked_and_answered, test_one_dies, test_nobody_lives, test_answers_ask)
