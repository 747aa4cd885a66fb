/*
 * policy-probe.c -- whether addresses take letters: what is remembered, and what a sender is asked to find out
 *
 * A probe asks the clerk where a letter to the address would go (ROUTE), and a sender whether it would be taken there
 * (PROBE).  Whoever wants to know waits a moment for it; the answer is remembered (policy/verified.h), and comes at
 * once the next time.
 */
#include "role/policy-witness.h"

#include <inttypes.h>
#include <string.h>

#include "base/clock.h"
#include "base/journal.h"
#include "base/random.h"
#include "policy/prober.h"
#include "policy/verified.h"
#include "policy/witness-settings.h"
#include "role/transports.h"

/* An address that is being asked about. */
struct probe {
	char    *address;
	uint32_t ticket;
	bool     sent; /* a sender has it, else the clerk */
};
struct waiting {
	struct waiting         *next, **at;
	struct policy_question *question;
	struct timer           *timer;
};
struct probes {
	struct house                  *house;
	struct policydb               *db;
	const struct witness_settings *set;
	struct map                    *open;    /* address -> struct probe */
	struct map                    *tickets; /* ticket -> struct probe  */
	struct waiting                *waiting;
	uint32_t                       next_ticket;
};

static const char in_progress[] = "Address verification in progress";

struct probes *
probes_open(struct house *h, struct policydb *db)
{
	struct probes *p = memory_take(sizeof *p);

	p->house = h;
	p->db = db;
	p->next_ticket = (uint32_t)random_number(); /* an answer to one before us is none to us */
	p->open = map_open();
	p->tickets = map_open();
	return p;
}

void
probes_settings(struct probes *p, const struct witness_settings *set)
{
	p->set = set;
}

void
probes_stop(struct probes *p)
{
	p->db = NULL;
}

/*
 * Answers
 */

static void
say(struct policy_question *q, const struct verified_known *k)
{
	static const enum rule_answer of[] = {
		[VERIFIED_GOOD] = RULE_ANSWER_FOUND,
		[VERIFIED_LATER] = RULE_ANSWER_LATER,
		[VERIFIED_BAD] = RULE_ANSWER_NONE,
		[VERIFIED_TODO] = RULE_ANSWER_LATER,
	};

	policy_answered(q, of[k->outcome], k->text);
}

static void
waiting_end(struct waiting *w)
{
	*w->at = w->next;
	if (w->next != NULL)
		w->next->at = w->at;
	timer_close(&w->timer);
	memory_free(w);
}

/* All who wait for this address hear it. */
static void
tell_waiting(struct probes *p, struct bytes address, const struct verified_known *k)
{
	struct waiting *next;

	for (struct waiting *w = p->waiting; w != NULL; w = next) {
		struct policy_question *q = w->question;

		next = w->next;
		if (!bytes_equal_nocase(q->key, address))
			continue;
		q->asker = NULL;
		waiting_end(w);
		say(q, k);
	}
}

static struct bytes
ticket_key(const uint32_t *ticket)
{
	return (struct bytes){ (const char *)ticket, sizeof *ticket };
}

static void
probe_end(struct probes *p, struct probe *one)
{
	(void)map_drop(p->open, bytes_of(one->address));
	(void)map_drop(p->tickets, ticket_key(&one->ticket));
	memory_free(one->address);
	memory_free(one);
}

static void
probe_done(struct probes *p, struct probe *one, enum verified_outcome outcome, struct bytes text)
{
	struct verified_known k = { outcome, text, 0, 0 };

	note("verify: <%s> is %s: %.*s", one->address,
	     outcome == VERIFIED_GOOD  ? "deliverable"
	     : outcome == VERIFIED_BAD ? "undeliverable"
	                               : "unknown",
	     (int)text.len, text.at);
	if (p->db != NULL)
		verified_keep(p->db, &p->set->verified, bytes_of(one->address), outcome, text,
		              clock_wall());
	witnesses_write_soon(p->house);
	tell_waiting(p, bytes_of(one->address), &k);
	probe_end(p, one);
}

/*
 * Asking
 */

static void
new_ticket(struct probes *p, struct probe *one)
{
	if (one->ticket != 0)
		(void)map_drop(p->tickets, ticket_key(&one->ticket));
	if (++p->next_ticket == 0)
		p->next_ticket = 1;
	one->ticket = p->next_ticket;
	(void)map_put(p->tickets, ticket_key(&one->ticket), one);
}

/* "" nobody. */
static struct bytes
asks_as(struct probes *p, struct arena *a)
{
	const struct prober prober = { p->set->verify_sender, p->set->myorigin,
		                       p->set->verify_sender_ttl / 1000 };

	return prober_name(&prober, clock_wall(), a);
}

static void
ask_sender(struct probes *p, struct probe *one, const struct word_routed *r, bool lmtp)
{
	struct arena         *a = arena_open(NULL);
	struct send_recipient to = { bytes_of(one->address), { "", 0 }, 0 };
	uint32_t              of = house_peers(p->house, SENDER);
	uint32_t              index = of == 0 ? 0 : (uint32_t)(hash_of(bytes_of(r->nexthop)) % of);
	struct link          *l = of == 0 ? NULL : house_link(p->house, SENDER, index);

	if (l == NULL) {
		probe_done(p, one, VERIFIED_LATER, BYTES("nobody can ask its server now"));
		arena_close(&a);
		return;
	}
	new_ticket(p, one);
	one->sent = true;
	word_pack_send(link_begin(l, WORD_PROBE, one->ticket),
	               &(struct word_send){ .transport = r->transport,
	                                    .nexthop = r->nexthop,
	                                    .lmtp = lmtp,
	                                    .sender = asks_as(p, a),
	                                    .recipient = &to,
	                                    .recipients = 1 });
	link_end(l);
	arena_close(&a);
}

/* What there is without asking anybody. */
static void
follow_route(struct probes *p, struct probe *one, const struct word_routed *r)
{
	struct bytes words = bytes_of(r->nexthop);

	if (r->scope == ROUTED_LATER) {
		probe_done(p, one, VERIFIED_LATER,
		           BYTES("it cannot be told now where it would go"));
		return;
	}
	switch (transport_kind_of(p->house->settings, bytes_of(r->transport))) {
	case BY_SMTP: ask_sender(p, one, r, false); return;
	case BY_LMTP: ask_sender(p, one, r, true); return;
	case BY_ERROR:
		probe_done(p, one, VERIFIED_BAD,
		           words.len > 0 ? words : BYTES("mail is not taken"));
		return;
	case BY_RETRY: probe_done(p, one, VERIFIED_LATER, words); return;
	case TRANSPORT_KINDS:
		probe_done(p, one, VERIFIED_LATER, BYTES("mail transport unavailable"));
		return;
	case BY_PIPE:
	case BY_LOCAL:
	case BY_VIRTUAL:
	case BY_DISCARD:
	case BY_HOLD: break;
	}
	probe_done(p, one, VERIFIED_GOOD, bytes_of(r->transport));
}

bool
probes_routed(struct probes *p, uint32_t ticket, struct bytes body)
{
	struct arena      *life = arena_open(NULL);
	struct probe      *one = map_get(p->tickets, ticket_key(&ticket));
	struct word_routed r;
	bool               good = word_unpack_routed(body, life, &r);

	if (good && one != NULL && !one->sent)
		follow_route(p, one, &r);
	arena_close(&life);
	return good;
}

bool
probes_heard(struct probes *p, uint32_t ticket, struct bytes body)
{
	static const enum verified_outcome of[] = {
		[SENT_DELIVERED] = VERIFIED_GOOD,
		[SENT_LATER] = VERIFIED_LATER,
		[SENT_REFUSED] = VERIFIED_BAD,
	};
	struct arena    *life = arena_open(NULL);
	struct probe    *one = map_get(p->tickets, ticket_key(&ticket));
	struct word_sent w;
	bool             good = word_unpack_sent(body, life, &w) && w.recipients == 1;

	if (good && one != NULL && one->sent)
		probe_done(p, one, of[w.recipient[0].result], bytes_of(w.recipient[0].text));
	arena_close(&life);
	return good;
}

/* Who was asked has died: what it would have said is not known. */
void
probes_lost(struct probes *p, bool sender)
{
	for (struct map_place at = { 0 }; map_next(p->open, &at);) {
		struct probe *one = at.value;

		if (one->sent == sender)
			probe_done(p, one, VERIFIED_LATER, BYTES("nobody can ask its server now"));
	}
}

/* One more address, unless it is being asked about; false: there are too many. */
static bool
probe_begin(struct probes *p, struct bytes address)
{
	struct link  *l = house_link(p->house, CLERK, 0);
	struct arena *a;
	struct probe *one;

	if (map_get(p->open, address) != NULL)
		return true;
	if (l == NULL || map_count(p->open) >= (size_t)p->set->verify_pending)
		return false;
	one = memory_take(sizeof *one);
	one->address = memory_take(address.len + 1);
	memcpy(one->address, address.at, address.len);
	(void)map_put(p->open, address, one);
	new_ticket(p, one);
	if (p->db != NULL)
		verified_asked(p->db, &p->set->verified, address, clock_wall());
	witnesses_write_soon(p->house);
	a = arena_open(NULL);
	word_pack_route(link_begin(l, WORD_ROUTE, one->ticket),
	                &(struct word_route){
				.address = address, .sender = asks_as(p, a), .probe = true });
	link_end(l);
	arena_close(&a);
	return true;
}

static void
waited_enough(void *ctx)
{
	struct waiting         *w = ctx;
	struct policy_question *q = w->question;

	q->asker = NULL;
	waiting_end(w);
	policy_answered(q, RULE_ANSWER_LATER, bytes_of(in_progress));
}

static void
wait_for(struct probes *p, struct policy_question *q)
{
	struct waiting *w = memory_take(sizeof *w);

	*w = (struct waiting){ .next = p->waiting, .at = &p->waiting, .question = q };
	if (p->waiting != NULL)
		p->waiting->at = &w->next;
	p->waiting = w;
	q->asker = w;
	w->timer = timer_open(p->house->loop, waited_enough, w);
	timer_set(w->timer, p->set->verify_polls * p->set->verify_delay);
}

void
probes_ask(struct policy_question *q)
{
	struct probes        *p = witnesses_probes(q->work->house);
	struct bytes          address = arena_lower(q->work->life, q->key);
	struct verified_known k = { VERIFIED_TODO, { "", 0 }, 0, 0 };
	enum verified_step    step = VERIFIED_ASK;

	if (p->db != NULL)
		step = verified_find(p->db, &p->set->verified, address, clock_wall(), q->work->life,
		                     &k);
	/* Who only wants to know has nobody asked for it. */
	if (q->work->explains && step != VERIFIED_USE && step != VERIFIED_USE_AND_ASK) {
		policy_answered(q, RULE_ANSWER_LATER,
		                BYTES("its server would be asked now, and is not by this command"));
		return;
	}
	if (step == VERIFIED_USE || step == VERIFIED_USE_AND_ASK) {
		if (step == VERIFIED_USE_AND_ASK && !q->work->explains)
			(void)probe_begin(p, address);
		say(q, &k);
	} else if (probe_begin(p, address))
		wait_for(p, q);
	else
		policy_answered(q, RULE_ANSWER_LATER,
		                BYTES("too many addresses are being verified"));
}

void
probes_drop(struct policy_question *q)
{
	struct waiting *w = q->asker;

	q->asker = NULL;
	if (w != NULL)
		waiting_end(w);
}
