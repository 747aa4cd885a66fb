/* policy-command.c -- mansio policy why ID, mansio policy explain ... */
#include "role/policy.h"

#include <arpa/inet.h>
#include <string.h>

#include "role/policy-witness.h"
#include "smtp/receiver/settings.h"

static void
why(struct house *h, struct caller *c, const char *id)
{
	struct buffer text = { 0 };
	bool          known = refusals_find(policy_of(h)->refusals, bytes_of(id), &text);

	if (known)
		caller_say(c, "%.*s", (int)text.len, text.at);
	else
		caller_complain(
			c, "mansio: no refusal %s is remembered; they are kept for some days\n",
			id);
	buffer_free(&text);
	caller_done(c, known ? 0 : 1);
}

/*
 * mansio policy explain
 */

/* What it is about, and how far it has come: in its own arena. */
struct explaining {
	struct arena     *life;
	struct house     *house;
	struct caller    *caller;
	struct rules     *rules;
	struct rule_facts facts;
	enum rule_moment  moment;
};

static void explain_next(struct explaining *);

static void
explain_end(struct explaining *e, int status)
{
	struct arena *life = e->life;

	caller_done(e->caller, status);
	rules_drop(&e->rules);
	arena_close(&life);
}

static void
explained(struct policy_work *w, const struct rule_verdict *v)
{
	static const char *const moments[RULE_MOMENTS] = {
		[AT_CONNECT] = "when it connects",
		[AT_HELO] = "at HELO",
		[AT_MAIL] = "at MAIL",
		[AT_RCPT] = "at RCPT",
		[AT_DATA] = "at DATA",
		[AT_END] = "when the letter is there",
	};
	struct explaining *e = w->explaining;
	bool               discards = false;

	caller_say(e->caller, "%s\n%.*s", moments[e->moment], (int)w->trace.len, w->trace.at);
	for (const struct rule_action *a = v->action; a != NULL; a = a->next) {
		static const char *const deeds[RULE_DEEDS] = {
			[DEED_HOLD] = "HOLD",     [DEED_DISCARD] = "DISCARD",
			[DEED_FILTER] = "FILTER", [DEED_REDIRECT] = "REDIRECT",
			[DEED_BCC] = "BCC",       [DEED_PREPEND] = "PREPEND",
		};
		caller_say(e->caller, "  the letter: %s %.*s\n", deeds[a->deed], (int)a->text.len,
		           a->text.at);
		/* Before there is a letter nothing can be done with it. */
		discards |= a->deed == DEED_DISCARD && e->moment >= AT_MAIL;
	}
	if (v->outcome == RULE_REFUSES) {
		caller_say(e->caller, "refused by %.*s of %.*s: %.*s\n", (int)v->rule.len,
		           v->rule.at, (int)v->list.len, v->list.at, (int)v->reply.len,
		           v->reply.at);
		explain_end(e, 1);
		return;
	}
	if (discards) {
		caller_say(e->caller, "it is discarded, and asked nothing more\n");
		explain_end(e, 0);
		return;
	}
	e->facts.deferred = arena_keep(e->life, v->deferred);
	e->facts.recipient_is = w->facts.recipient_is;
	e->facts.recipient_why = arena_keep(e->life, w->facts.recipient_why);
	e->moment++;
	explain_next(e);
}

/* As in a session, where nobody knows what the client will say later. */
static void
hide_what_comes(struct rule_facts *f)
{
	if (f->moment < AT_HELO) {
		f->helo_said = false;
		f->helo = BYTES("");
	}
	if (f->moment < AT_MAIL) {
		f->has_sender = false;
		f->sender = f->sender_whole = BYTES("");
	}
	if (f->moment < AT_RCPT) {
		f->has_recipient = false;
		f->recipient = f->recipient_whole = BYTES("");
	}
}

/* The moments in their order; those that have no rules are silent. */
static void
explain_next(struct explaining *e)
{
	struct policy_work *w;
	struct rule_facts   now;

	while (e->moment <= AT_END && (e->moment == AT_VRFY || !rules_have(e->rules, e->moment)))
		e->moment++;
	if (e->moment > AT_END) {
		caller_say(e->caller, "nothing refuses it\n");
		explain_end(e, 0);
		return;
	}
	now = e->facts;
	now.moment = (uint8_t)e->moment;
	now.recipients = e->moment > AT_RCPT;
	hide_what_comes(&now);
	w = policy_work_open(e->house, &now);
	w->rules = rules_take(e->rules);
	w->caller = e->caller;
	w->explaining = e;
	w->explains = w->traces = true;
	w->done = explained;
	policy_work_go(w);
}

/* Whether it is in mynetworks; a table of it is only looked for by receivers. */
static bool
is_trusted(struct house *h, const char *address, struct caller *c)
{
	const struct setting_list *list = &h->common.mynetworks;
	struct peer                peer = { .family = strchr(address, ':') ? AF_INET6 : AF_INET };
	struct network_item        item;
	const char                *wrong = "";

	if (inet_pton(peer.family, address, peer.raw) != 1)
		return false;
	for (size_t i = 0; i < list->count; i++) {
		if (!network_item_parse(list->item[i], &item, &wrong))
			continue;
		if (item.table != NULL)
			caller_say(c, "%s of mynetworks is not looked at here\n", item.table);
		else if (network_holds(&item.net, &peer))
			return !item.no;
	}
	return false;
}

static struct bytes
whole(struct house *h, struct arena *a, struct bytes address)
{
	if (address.len == 0 || bytes_find(address, '@') >= 0)
		return address;
	return bytes_of(
		arena_printf(a, "%.*s@%s", (int)address.len, address.at, h->common.myorigin));
}

/* explain listener client name helo from to auth tls: each "" where nothing was said, but for a sender of <>. */
static void
explain(struct house *h, struct caller *c, const struct word_ask *ask)
{
	struct arena      *life = arena_open(NULL);
	struct explaining *e = arena_take(life, sizeof *e);
	struct rule_facts *f = &e->facts;
	struct bytes       word[8];

	for (size_t i = 0; i < COUNT(word); i++)
		word[i] = arena_keep(life, bytes_of(ask->argv[i + 2]));
	*e = (struct explaining){ .life = life, .house = h, .caller = c };
	e->rules = rules_take(policy_rules_of(policy_of(h), word[0]));
	if (e->rules == NULL) {
		caller_complain(c, "mansio: there is no listener %s; one is smtp\n", ask->argv[2]);
		explain_end(e, 2);
		return;
	}
	*f = (struct rule_facts){
		.listener = word[0],
		.address = word[1],
		.port = BYTES("0"),
		.name = word[2].len > 0 ? word[2] : BYTES("unknown"),
		.reverse = word[2].len > 0 ? word[2] : BYTES("unknown"),
		.named = word[2].len > 0 ? NAME_CONFIRMED : NAME_NONE,
		.helo_said = word[3].len > 0,
		.esmtp = true,
		.helo = word[3],
		.has_sender = true,
		.sender = bytes_is(word[4], "<>") ? BYTES("") : word[4],
		.has_recipient = true,
		.recipient = word[5],
		.user = word[6],
		.method = word[6].len > 0 ? BYTES("PLAIN") : BYTES(""),
		.tls = word[7].len > 0,
		.lmtp = bytes_is(word[0], "lmtp"),
		.instance = BYTES("explain"),
	};
	f->trusted = is_trusted(h, ask->argv[3], c);
	f->sender_whole = whole(h, life, f->sender);
	f->recipient_whole = whole(h, life, f->recipient);
	explain_next(e);
}

void
policy_command(struct house *h, struct caller *c, const struct word_ask *w)
{
	if (w->argc == 3 && strcmp(w->argv[1], "why") == 0) {
		why(h, c, w->argv[2]);
		return;
	}
	if (w->argc == 10 && strcmp(w->argv[1], "explain") == 0) {
		explain(h, c, w);
		return;
	}
	if (witnesses_command(h, c, w))
		return;
	caller_complain(c, "mansio: policy wants: why ID\n");
	caller_done(c, 2);
}
