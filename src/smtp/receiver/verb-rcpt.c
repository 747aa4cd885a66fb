/*
 * verb-rcpt -- RCPT: to whom (rfc5321:4.1.1.3).  The directory says what the address is, whoever demands it says
 * whose the sender's is, and then the restriction lists judge
 */
#include "smtp/receiver/session_inner.h"

#include <stdio.h>

#include "base/journal.h"

void
asked_end(struct session *s)
{
	s->asked.len = s->asked_why.len = s->asked_filter.len = 0;
	s->asked_known = false;
	answered(s);
}

static void
rcpt_judged(struct session *s, const struct session_verdict *v)
{
	if (v->refused) {
		say_refused(s, "RCPT", s->asked, v);
		s->refused++;
	} else {
		struct letter_rcpt *to = letter_add(s->letter, s->asked);

		to->orcpt = s->asked_with.orcpt;
		to->notify = s->asked_with.notify;
		/* What a list said is of the letter at hand, and goes before what a table says of a mailbox. */
		if (s->letter->handling.filter.len == 0)
			s->letter->handling.filter = s->asked_filter;
		to->known = s->asked_known;
		to->is = s->asked_is;
		say_fixed(s, BYTES("250 2.1.5 Ok\r\n"));
	}
	asked_end(s);
}

/* What the directory said is one of the things that the lists look at. */
void
know_asked(struct session *s, enum resolved r, const char *why)
{
	s->asked_known = true;
	s->asked_is = (uint8_t)r;
	s->asked_why = arena_keep(s->letter != NULL ? s->letter->life : s->life, bytes_of(why));
}

static void
rcpt_resolved(struct session *s, enum resolved r, const char *table)
{
	know_asked(s, r, table);
	judge(s, MOMENT_RCPT, rcpt_judged);
}

int64_t
recipients_most(const struct session *s)
{
	const struct receiver_settings *set = &s->config->set;
	bool                            known = may_relay(s) || s->lmtp || set->auth_required;
	int64_t                         most = known ? set->recipients : set->recipients_stranger;

	/* What holds for all holds for strangers. */
	if (!known && set->recipients > 0 && (most <= 0 || set->recipients < most))
		most = set->recipients;
	return most <= 0 || most > ENVELOPE_RECIPIENTS_MOST ? ENVELOPE_RECIPIENTS_MOST : most;
}

/* rfc9422:4.3: one domain more, or one there was. */
static bool
meet_domain(struct session *s, struct bytes address)
{
	ptrdiff_t    at = bytes_find_last(address, '@');
	struct bytes name = bytes_cut(address, (size_t)(at + 1), address.len);

	if (s->config->set.session_domains <= 0)
		return true;
	for (struct domain_met *d = s->met; d != NULL; d = d->next)
		if (bytes_equal(d->name, name))
			return true;
	if (s->domains >= s->config->set.session_domains)
		return false;
	if (s->life == NULL)
		s->life = arena_open(NULL);
	struct domain_met *d = arena_take(s->life, sizeof *d);
	*d = (struct domain_met){ s->met, arena_keep(s->life, name) };
	s->met = d;
	s->domains++;
	return true;
}

static bool
rcpt_check(struct session *s)
{
	const struct receiver_settings *set = &s->config->set;
	int64_t                         most = recipients_most(s);

	/* Of those taken, as Postfix counts: the letter may have as many as are good. */
	if (s->letter->rcpts >= most) {
		if (s->overshot == 0)
			warn_as(s->config->service, "too many recipients from %s: more than %lld",
			        client_of(s), (long long)most);
		s->refused++;
		say(s, "452 4.5.3 Error: too many recipients");
		if (s->overshot++ < set->overshoot)
			s->errors--; /* rfc5321:4.5.3.1.10: it is no mistake to try */
		return false;
	}
	if (!within(s, COUNT_RECIPIENT, set->recipient_rate, "Recipient address rate")) {
		say(s, "450 4.7.1 Error: too many recipients from %s", s->peer.text);
		return false;
	}
	if (!user_within(s, COUNT_ACCOUNT_RECIPIENT, set->account_recipients,
	                 "Recipient address rate")) {
		say(s, "450 4.7.1 Error: too many recipients from this account");
		return false;
	}
	if (s->unwelcome != NULL) {
		char no[64];

		s->refused++;
		(void)snprintf(no, sizeof no, "550 %s", s->unwelcome);
		say(s, "%s", explained(s, "RCPT", s->asked, no));
		return false;
	}
	return true;
}

/* The question lives as long as the transaction, or VRFY's in the session. */
void
ask_about(struct session *s, struct bytes address, ask_fn *then)
{
	s->asked = address;
	s->then = then;
	hold(s);
	s->needs->resolve(s->house, s, address);
}

/*
 * Whose address is it that they send as?  Asked at the first RCPT, so that the log has both.
 */

void
session_owner(struct session *s, enum owner o)
{
	if (s->over || s->letter == NULL || s->asked.len == 0 || s->then != NULL)
		return;
	s->letter->owner = (uint8_t)o;
	s->letter->sender_known = true;
	ask_about(s, s->asked, rcpt_resolved);
}

void
verb_rcpt(struct session *s, struct bytes argument)
{
	struct grammar      g = grammar_of(s);
	struct rcpt_command c;
	const char         *no;

	if (!rcpt_check(s)) {
		answered(s);
		return;
	}
	if (!rcpt_parse(argument, &g, s->letter->life, &c, &no)) {
		s->refused++;
		say(s, "%s", no);
		answered(s);
		return;
	}
	s->asked = whole_address(s, s->letter->life, &c.recipient, c.bare, &s->asked_added);
	s->said = arena_keep(s->letter->life, argument);
	s->asked_with = c.with;
	s->asked_with.orcpt = arena_keep(s->letter->life, c.with.orcpt);
	if (!meet_domain(s, s->asked)) {
		s->refused++;
		s->asked.len = 0;
		say(s, "452 4.5.3 Error: too many domains in one session");
		answered(s);
		return;
	}
	if ((s->letter->sender_known && s->letter->owner != OWNER_LATER) ||
	    !s->needs->wants_owner(s->house, s))
		ask_about(s, s->asked, rcpt_resolved);
	else {
		s->then = NULL;
		hold(s);
		s->needs->owner(s->house, s, s->user, s->letter->sender);
	}
}

void
session_filter(struct session *s, const char *way)
{
	if (s->letter != NULL && !s->over)
		s->asked_filter = arena_keep(s->letter->life, bytes_of(way));
}

void
session_resolved(struct session *s, enum resolved r, const char *table)
{
	ask_fn *then = s->then;

	s->then = NULL;
	if (then != NULL && !s->over)
		then(s, r, table);
}
