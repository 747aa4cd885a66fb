/*
 * policy -- decides with restriction lists what strangers may do
 *
 * From:     receivers (POLICY_ASK), where the lists need an answer they have not; the command line
 * To:       clerk (RESOLVE, SENDER_ASK, ROUTE), proxymap (TABLE_ASK), senders (PROBE)
 * Touches:  policy/ of the mail directory: what was refused, for some days
 *
 * It reads what clients said and no letters.  One process, so that what it keeps is one.
 */
#include "role/policy.h"

#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/journal.h"
#include "base/random.h"
#include "role/policy-witness.h"

enum { TICK_MS = 1000 };

/* Who asks what. */
static const struct policy_asker *const askers[RULE_QUESTION_KINDS] = {
	[ASK_TABLE] = &policy_asks_table,     [ASK_RESOLVE] = &policy_asks_resolve,
	[ASK_OWNER] = &policy_asks_owner,     [ASK_DNS] = &policy_asks_dns,
	[ASK_SERVICE] = &policy_asks_service, [ASK_GREY] = &policy_asks_grey,
	[ASK_PROBE] = &policy_asks_probe,
};

/*
 * Works
 */

static void judge(struct policy_work *);

static void
judge_again(void *ctx)
{
	judge(ctx);
}

struct policy_work *
policy_work_open(struct house *h, const struct rule_facts *facts)
{
	struct policy      *p = policy_of(h);
	struct policy_work *w = memory_take(sizeof *w);

	*w = (struct policy_work){ .house = h,
		                   .life = arena_open(NULL),
		                   .facts = *facts,
		                   .next = p->works,
		                   .at = &p->works,
		                   .again = { .go = judge_again, .ctx = w } };
	if (p->works != NULL)
		p->works->at = &w->next;
	p->works = w;
	if (p->count++ == 0)
		timer_set(p->tick, TICK_MS);
	return w;
}

void
policy_work_drop(struct policy_work *w)
{
	struct policy *p = policy_of(w->house);

	for (struct policy_question *q = w->wanted; q != NULL; q = q->next)
		askers[q->kind]->drop(q);
	errand_clear(&w->again);
	*w->at = w->next;
	if (w->next != NULL)
		w->next->at = w->at;
	p->count--;
	rules_drop(&w->rules);
	buffer_free(&w->trace);
	arena_close(&w->life);
	memory_free(w);
}

static enum rule_answer
answer_table(struct policy_work *w, const char *name, struct bytes key, struct arena *life,
             struct bytes *value)
{
	static const enum rule_answer of[] = { [TABLE_FOUND] = RULE_ANSWER_FOUND,
		                               [TABLE_NONE] = RULE_ANSWER_NONE,
		                               [TABLE_LATER] = RULE_ANSWER_LATER,
		                               [TABLE_WAIT] = RULE_ANSWER_WAIT };
	struct policy                *p = policy_of(w->house);
	struct table                 *local = tables_local(p->tables, name);

	if (local != NULL)
		return of[table_find(local, key, life, value)];
	return of[enquiry_kept(p->enquiries, name, key, life, value)];
}

static struct policy_question *
find_question(struct policy_question *q, enum rule_question_kind kind, const char *name,
              struct bytes key)
{
	while (q != NULL &&
	       !(q->kind == kind && bytes_equal(q->key, key) && strcmp(q->name, name) == 0))
		q = q->next;
	return q;
}

/* What is known; what is not is what the work waits for. */
static enum rule_answer
ask(void *ctx, enum rule_question_kind kind, const char *name, struct bytes key, struct arena *life,
    struct bytes *value)
{
	struct policy_work     *w = ctx;
	struct policy_question *q;
	enum rule_answer        a;

	*value = (struct bytes){ NULL, 0 };
	if ((q = find_question(w->known, kind, name, key)) != NULL) {
		*value = q->value;
		return q->answer;
	}
	if (find_question(w->wanted, kind, name, key) != NULL ||
	    find_question(w->missing, kind, name, key) != NULL)
		return RULE_ANSWER_WAIT;
	if (kind == ASK_TABLE && (a = answer_table(w, name, key, life, value)) != RULE_ANSWER_WAIT)
		return a;
	if (w->questions >= RULE_QUESTIONS_MOST)
		return RULE_ANSWER_LATER;
	w->questions++;
	q = arena_take(w->life, sizeof *q);
	*q = (struct policy_question){ .next = w->missing,
		                       .work = w,
		                       .kind = kind,
		                       .name = arena_copy(w->life, bytes_of(name)),
		                       .key = arena_keep(w->life, key) };
	w->missing = q;
	return RULE_ANSWER_WAIT;
}

/* All that the judgement found missing; some are answered at once. */
static void
ask_missing(struct policy_work *w)
{
	struct policy *p = policy_of(w->house);

	while (w->missing != NULL) {
		struct policy_question    *q = w->missing;
		const struct policy_asker *asker = askers[q->kind];

		w->missing = q->next;
		q->next = w->wanted;
		w->wanted = q;
		q->until_ms = asker->patience_ms == 0 ? INT64_MAX
		                                      : clock_patient_ms() + asker->patience_ms;
		p->asked++;
		asker->ask(q);
	}
}

/* What a receiver knows before it asks: false when that is to be waited for. */
static bool
know_recipient(struct policy_work *w)
{
	struct bytes  value;
	struct unpack u;

	if (!w->explains || !w->facts.has_recipient || w->facts.recipient_is != RECIPIENT_UNASKED)
		return true;
	if (ask(w, ASK_RESOLVE, "", w->facts.recipient_whole, w->life, &value) == RULE_ANSWER_WAIT)
		return false;
	u = unpack_of(value);
	w->facts.recipient_is = unpack_u8(&u);
	w->facts.recipient_why = unpack_bytes(&u);
	if (!unpack_done(&u) || w->facts.recipient_is >= RECIPIENT_CLASSES)
		w->facts.recipient_is = RECIPIENT_LATER;
	return true;
}

static void
judge(struct policy_work *w)
{
	static const struct rule_needs needs = { ask };
	struct policy                 *p = policy_of(w->house);
	struct arena                  *scratch;
	struct rule_verdict            v;

	w->missing = NULL;
	if (!know_recipient(w)) {
		ask_missing(w);
		return;
	}
	scratch = arena_open(w->life);
	buffer_reset(&w->trace);
	v = rules_judge(w->rules, &w->facts, &needs, w, scratch, w->explains ? &w->trace : NULL);
	/* Why is seldom asked of what passes, and telling it costs more than judging. */
	if (v.outcome == RULE_REFUSES && w->traces && !w->explains)
		v = rules_judge(w->rules, &w->facts, &needs, w, scratch, &w->trace);
	if (v.outcome != RULE_WAIT) {
		p->judged++;
		w->done(w, &v);
		policy_work_drop(w);
		return;
	}
	arena_close(&scratch);
	ask_missing(w);
}

void
policy_answered(struct policy_question *q, enum rule_answer answer, struct bytes value)
{
	struct policy_work      *w = q->work;
	struct policy_question **at = &w->wanted;

	while (*at != q)
		at = &(*at)->next;
	*at = q->next;
	q->answer = answer == RULE_ANSWER_WAIT ? RULE_ANSWER_LATER : answer;
	q->value = arena_keep(w->life, value);
	q->next = w->known;
	w->known = q;
	errand_set(w->house->loop, &w->again);
}

void
policy_work_go(struct policy_work *w)
{
	errand_set(w->house->loop, &w->again);
}

static void
tick(void *ctx)
{
	struct policy          *p = ctx;
	int64_t                 now = clock_patient_ms();
	struct policy_question *next;

	for (struct policy_work *w = p->works; w != NULL; w = w->next)
		for (struct policy_question *q = w->wanted; q != NULL; q = next) {
			next = q->next;
			if (q->until_ms > now)
				continue;
			askers[q->kind]->drop(q);
			policy_answered(q, RULE_ANSWER_LATER, BYTES("no answer in time"));
		}
	if (p->count > 0)
		timer_set(p->tick, TICK_MS);
}

/*
 * Receivers
 */

static void
say(struct house *h, uint32_t receiver, uint32_t ticket, const struct word_policy_said *said)
{
	struct link *l = house_link(h, RECEIVER, receiver);

	if (l == NULL)
		return;
	word_pack_policy_said(link_begin(l, WORD_POLICY_SAID, ticket), said);
	link_end(l);
}

/* A refusal is written down before it is said. */
static void
tell_receiver(struct policy_work *w, const struct rule_verdict *v)
{
	struct policy          *p = policy_of(w->house);
	struct word_policy_said said = { .verdict = *v };
	char                    id[REFUSAL_ID_ROOM] = "";
	struct buffer           text = { 0 };

	if (v->outcome == RULE_REFUSES) {
		p->refused++;
		refusal_id(id);
		refusal_describe(&w->facts, v, buffer_bytes(&w->trace), &text);
		refusals_add(p->refusals, bytes_of(id), buffer_bytes(&text));
		buffer_free(&text);
	}
	said.id = bytes_of(id);
	say(w->house, w->receiver, w->asked, &said);
}

struct rules *
policy_rules_of(struct policy *p, struct bytes listener)
{
	size_t place = listener_place(&p->house->listeners, listener);

	return place < p->house->listeners.count ? p->rules[place] : NULL;
}

static bool
hear_ask(struct house *h, uint32_t receiver, uint32_t ticket, struct bytes body)
{
	struct policy         *p = policy_of(h);
	struct arena          *life = arena_open(NULL);
	struct word_policy_ask a;
	struct policy_work    *w;
	struct rules          *rules;
	bool                   good = word_unpack_policy_ask(arena_keep(life, body), life, &a);

	rules = good ? policy_rules_of(p, a.facts.listener) : NULL;
	if (good && (rules == NULL || p->count >= POLICY_WORKS_MOST)) {
		say(h, receiver, ticket,
		    &(struct word_policy_said){
			    .verdict = { .outcome = RULE_REFUSES,
		                         .reply = BYTES("451 4.3.0 Error: too busy") } });
	} else if (good) {
		w = policy_work_open(h, &a.facts);
		arena_close(&w->life);
		w->life = life;
		w->rules = rules_take(rules);
		w->receiver = receiver;
		w->asked = ticket;
		w->traces = true;
		w->done = tell_receiver;
		judge(w);
		return true;
	}
	arena_close(&life);
	return good;
}

static bool
hear_told(struct house *h, struct bytes body)
{
	struct policy          *p = policy_of(h);
	struct arena           *life = arena_open(NULL);
	struct word_policy_told w;
	bool                    good = word_unpack_policy_told(body, life, &w);

	if (good) {
		p->refused++;
		refusals_add(p->refusals, w.id, w.text);
	}
	arena_close(&life);
	return good;
}

static bool
policy_hear(struct house *h, enum role from, uint32_t index, enum word word, uint32_t ticket,
            struct bytes body, int fd)
{
	(void)from;
	if (word == WORD_SCAN)
		return policy_hear_scan(h, index, ticket, body, fd);
	if (word == WORD_PROXY)
		return policy_hear_proxy(h, index, ticket, body, fd);
	if (word == WORD_MILTER_EVENT || word == WORD_MILTER_LETTER || word == WORD_MILTER_OVER)
		return milters_hear(policy_of(h)->milters, index, word, ticket, body, fd);
	if (fd >= 0)
		(void)close(fd);
	switch (word) {
	case WORD_POLICY_ASK: return hear_ask(h, index, ticket, body);
	case WORD_POLICY_TOLD: return hear_told(h, body);
	case WORD_TABLE_SAID_ALL: return inquests_heard(policy_of(h)->inquests, ticket, body);
	case WORD_TABLE_SAID: return enquiries_heard(policy_of(h)->enquiries, ticket, body);
	case WORD_RESOLVED:
	case WORD_SENDER_SAID: return policy_hear_clerk(h, word, ticket, body);
	case WORD_ROUTED: return probes_routed(witnesses_probes(h), ticket, body);
	case WORD_PROBED: return probes_heard(witnesses_probes(h), ticket, body);
	case WORD_DIRECTORY_NEW: return true; /* nothing is kept of what the clerk said */
	default: return false;
	}
}

/*
 * The day
 */

/* Who waits for one that was being built looks again. */
static void
tables_changed(void *ctx)
{
	struct policy *p = policy_of(ctx);

	for (struct policy_work *w = p->works; w != NULL; w = w->next)
		for (struct policy_question **at = &w->wanted; *at != NULL;) {
			if (!(*at)->awaits) {
				at = &(*at)->next;
				continue;
			}
			*at = (*at)->next;
			errand_set(w->house->loop, &w->again);
		}
}

static void
settings_new(struct house *h)
{
	struct policy           *p = policy_of(h);
	struct proxymap_settings proxymap;

	policy_scan_settings(h);
	if (!house_settings(h, &proxymap_setting_table, NULL, &proxymap))
		return;
	for (size_t i = 0; i < h->listeners.count; i++) {
		const char   *name = h->listeners.one[i].name;
		struct buffer errors = { 0 }, warnings = { 0 };
		struct rules *rules;

		if (h->listeners.one[i].service > LISTEN_LMTP) {
			rules_drop(&p->rules[i]);
			continue;
		}
		rules = policy_compile(h->settings, name, &errors, &warnings);
		if (rules == NULL)
			fault("%s: %.*s", name, (int)errors.len, errors.at);
		else {
			rules_drop(&p->rules[i]);
			p->rules[i] = rules;
		}
		buffer_free(&errors);
		buffer_free(&warnings);
	}
	if (p->inquests == NULL)
		p->inquests = inquests_open(h);
	if (p->enquiries == NULL)
		p->enquiries = enquiries_open(h, &proxymap);
	enquiries_forget(p->enquiries, &proxymap);
	if (p->tables != NULL)
		tables_reload(p->tables);
	if (p->milters != NULL)
		milters_reload(p->milters);
}

static bool
policy_start(struct house *h)
{
	struct policy *p = memory_take(sizeof *p);

	h->mine = p;
	p->house = h;
	p->next_ticket =
		(uint32_t)random_below(INT32_MAX); /* an answer to one before us is none to us */
	p->tickets = map_open();
	p->tick = timer_open(h->loop, tick, p);
	p->refusals = refusals_open(house_path(h, "policy"));
	settings_new(h);
	p->tables = tables_open(h, tables_changed, h);
	p->witnesses = witnesses_open(h);
	p->milters = milters_open(h, &p->tables, &p->enquiries, &p->inquests);
	return p->enquiries != NULL;
}

static void
policy_begin(struct house *h)
{
	int fd = house_resource(h, "control/policy");

	if (fd >= 0)
		house_commands(h, fd, policy_command);
}

static void
policy_peer(struct house *h, enum role role, uint32_t index)
{
	(void)index;
	if (role == PROXYMAP) {
		enquiries_met(policy_of(h)->enquiries);
		inquests_met(policy_of(h)->inquests);
	}
}

/* What a receiver that died asked, nobody waits for. */
static void
policy_lost(struct house *h, enum role role, uint32_t index)
{
	struct policy_work *next;

	if (role == PROXYMAP) {
		enquiries_lost(policy_of(h)->enquiries);
		inquests_lost(policy_of(h)->inquests);
	}
	if (role == CLERK)
		policy_clerk_lost(h);
	if (role == CLERK || role == SENDER)
		probes_lost(witnesses_probes(h), role == SENDER);
	if (role == RECEIVER) {
		policy_scans_end(h, &index);
		policy_proxies_end(h, &index);
		milters_lost(policy_of(h)->milters, index);
	}
	for (struct policy_work *w = policy_of(h)->works; role == RECEIVER && w != NULL; w = next) {
		next = w->next;
		if (w->caller == NULL && w->receiver == index)
			policy_work_drop(w);
	}
}

static void
policy_stop(struct house *h)
{
	policy_scans_end(h, NULL);
	policy_proxies_end(h, NULL);
	refusals_close(&policy_of(h)->refusals);
	witnesses_stop(policy_of(h)->witnesses);
	milters_close(&policy_of(h)->milters);
	house_leave(h);
}

static void
policy_status(struct house *h, uint32_t *connections, struct buffer *text)
{
	struct policy *p = policy_of(h);

	*connections = (uint32_t)p->count;
	buffer_printf(text,
	              "judged=%" PRIu64 " asked=%" PRIu64 " refused=%" PRIu64 " scanned=%" PRIu64,
	              p->judged, p->asked, p->refused, p->scanned);
	witnesses_status(p->witnesses, text);
	milters_status(p->milters, text);
	policy_freshness_status(p, text);
}

static void
policy_reload(struct house *h)
{
	if (!policy_reaches(h)) {
		note("the settings lead elsewhere now: starting anew");
		policy_stop(h);
		return;
	}
	settings_new(h);
	witnesses_reload(policy_of(h)->witnesses);
}

const struct role_card policy_card = {
	.name = "policy",
	.prepare = policy_prepare,
	.start = policy_start,
	.work = policy_begin,
	.hear = policy_hear,
	.peer = policy_peer,
	.lost = policy_lost,
	.reload = policy_reload,
	.tables = settings_new,
	.stop = policy_stop,
	.status = policy_status,
};
