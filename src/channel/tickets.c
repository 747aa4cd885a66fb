#include "channel/tickets.h"
#include "base/arena.h"
#include "base/journal.h"
#include "base/random.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <string.h>

/* Behind a seed that is older there are no tickets. */
enum { PERIODS_MOST = 10000, PERIOD_LEAST = 10, PERIOD_MOST = 30 * 86400 };

/* As it lies in a seed: number and length of the period, the secret. */
struct seed {
	int64_t       number, period_s;
	unsigned char secret[TICKET_SECRET];
};
_Static_assert(sizeof(struct seed) == TICKET_SEED, "a seed is its bytes");

struct tickets {
	struct seed       seed;
	struct ticket_key now, before;
	bool              has_before;
};

/* SHA-256 of a secret and a word. */
static void
derive(const unsigned char secret[static TICKET_SECRET], const char *word,
       unsigned char out[static TICKET_SECRET])
{
	unsigned char in[TICKET_SECRET + 16];
	size_t        n = strlen(word);

	memcpy(in, secret, TICKET_SECRET);
	memcpy(in + TICKET_SECRET, word, n);
	if (EVP_Digest(in, TICKET_SECRET + n, out, NULL, EVP_sha256(), NULL) != 1)
		panic("no SHA-256");
	OPENSSL_cleanse(in, sizeof in);
}

static void
key_of(const struct seed *s, struct ticket_key *k)
{
	unsigned char name[TICKET_SECRET];

	derive(s->secret, "ticket name", name);
	memcpy(k->name, name, TICKET_NAME);
	derive(s->secret, "ticket mac", k->mac);
	derive(s->secret, "ticket cipher", k->cipher);
}

static void
step(struct seed *s)
{
	derive(s->secret, "next period", s->secret);
	s->number++;
}

void
tickets_seed(char seed[static TICKET_SEED], int64_t now_s, int64_t period_s)
{
	struct seed s = { now_s / period_s, period_s, { 0 } };

	random_fill(s.secret, sizeof s.secret);
	memcpy(seed, &s, sizeof s);
	OPENSSL_cleanse(&s, sizeof s);
}

static bool
is_sound(const struct seed *s, int64_t now_s)
{
	int64_t steps;

	if (s->period_s < PERIOD_LEAST || s->period_s > PERIOD_MOST)
		return false;
	steps = now_s / s->period_s - s->number;
	return steps >= 0 && steps <= PERIODS_MOST;
}

bool
tickets_advance(char seed[static TICKET_SEED], int64_t now_s)
{
	struct seed s;

	memcpy(&s, seed, sizeof s);
	if (!is_sound(&s, now_s))
		return false;
	while (s.number < now_s / s.period_s)
		step(&s);
	memcpy(seed, &s, sizeof s);
	OPENSSL_cleanse(&s, sizeof s);
	return true;
}

int64_t
tickets_period(const char seed[static TICKET_SEED])
{
	struct seed s;
	int64_t     period;

	memcpy(&s, seed, sizeof s);
	period = s.period_s;
	OPENSSL_cleanse(&s, sizeof s);
	return period;
}

struct tickets *
tickets_open(const char seed[static TICKET_SEED])
{
	struct tickets *t = memory_take(sizeof *t);

	memcpy(&t->seed, seed, TICKET_SEED);
	key_of(&t->seed, &t->now);
	return t;
}

/* A clock that was set back stays where it was: nothing is lost but the change of keys. */
static void
keep_time(struct tickets *t, int64_t now_s)
{
	if (!is_sound(&t->seed, now_s))
		return;
	while (t->seed.number < now_s / t->seed.period_s) {
		step(&t->seed);
		t->before = t->now;
		t->has_before = true;
		key_of(&t->seed, &t->now);
	}
}

const struct ticket_key *
tickets_now(struct tickets *t, int64_t now_s)
{
	keep_time(t, now_s);
	return &t->now;
}

const struct ticket_key *
tickets_named(struct tickets *t, int64_t now_s, const unsigned char name[static TICKET_NAME],
              bool *old)
{
	keep_time(t, now_s);
	*old = false;
	if (memcmp(name, t->now.name, TICKET_NAME) == 0)
		return &t->now;
	*old = true;
	return t->has_before && memcmp(name, t->before.name, TICKET_NAME) == 0 ? &t->before : NULL;
}

void
tickets_close(struct tickets **tp)
{
	struct tickets *t = *tp;

	*tp = NULL;
	if (t == NULL)
		return;
	OPENSSL_cleanse(t, sizeof *t);
	memory_free(t);
}
