/* What a client asks of its letter: who may, and how far */
#include "smtp/receiver/session_inner.h"

#include "base/clock.h"
#include "message/envelope.h"
#include "message/verp.h"

enum { SECOND_US = 1000000 };

static bool
may_have_priority(const struct session *s)
{
	switch (s->config->set.priority_permitted) {
	case PRIORITY_USERS: return s->user.len > 0;
	case PRIORITY_TRUSTED: return s->user.len > 0 || s->trusted;
	case PRIORITY_ALL: return true;
	default: return false;
	}
}

/* rfc3865:2.3: a class and those below it ("net.example:ADV" has "net.example:ADV:ADLT") */
static bool
is_unsolicited(const struct session *s, struct bytes classes)
{
	const struct setting_list *list = &s->config->set.no_soliciting;
	struct bytes               one;

	while (bytes_split(&classes, ',', &one)) {
		one = bytes_trim(one);
		for (size_t i = 0; i < list->count; i++) {
			struct bytes no = bytes_of(list->item[i]);

			if (bytes_starts_nocase(one, no) &&
			    (one.len == no.len || one.at[no.len] == ':'))
				return true;
		}
	}
	return false;
}

const char *
solicitation_refused(const struct session *s, struct bytes classes)
{
	return is_unsolicited(s, classes) ? "550 5.7.1 Error: no soliciting here" : NULL;
}

/* rfc4865:4.2: not past the limit that was told. */
static const char *
take_release(const struct session *s, const struct mail_parameters *m, struct letter *l)
{
	int64_t now = clock_wall();
	int64_t until = m->hold_for > 0 ? now + m->hold_for : m->hold_until;

	if (!m->holds || until <= now)
		return NULL;
	if (until - now > s->config->set.future_release / 1000)
		return "501 5.5.4 Error: a letter is not held for so long";
	l->handling.not_before_us = until * SECOND_US;
	l->hold_for = m->hold_for;
	l->flags |= m->hold_for > 0 ? ENVELOPE_HELD_FOR : 0;
	return NULL;
}

/* rfc2852:4.1 */
static const char *
take_deliver_by(const struct session *s, const struct mail_parameters *m, struct handling *h)
{
	if (m->by_mode == 0)
		return NULL;
	if (m->by_mode == 'R' && m->by < s->config->set.deliver_by_least / 1000)
		return "554 5.4.7 Error: the time for the delivery is too short";
	h->by_mode = m->by_mode;
	h->by_trace = m->by_trace;
	h->by_us = (clock_wall() + m->by) * SECOND_US;
	if (h->by_mode == 'R' && h->by_us <= h->not_before_us)
		return "501 5.5.4 Error: to be delivered by a time before it is released";
	return NULL;
}

/* VERP_README: for whom nobody sent it there is nothing to be told apart. */
static const char *
take_verp(const struct session *s, const struct mail_parameters *m, struct letter *l)
{
	const struct receiver_settings *set = &s->config->set;
	struct bytes delimiters = m->verp.len > 0 ? m->verp : bytes_of(set->verp_delimiters);

	if (!m->has_verp)
		return NULL;
	if (!verp_delimiters(delimiters,
	                     m->verp.len > 0 ? set->verp_filter : "!#$%&'*+-/=?^_`{|}~."))
		return "501 5.5.4 Bad XVERP parameter syntax";
	if (l->sender.len == 0)
		return "503 5.5.4 Error: XVERP requires non-null sender";
	l->handling.verp = arena_keep(l->life, delimiters);
	return NULL;
}

const char *
wishes_take(struct session *s, const struct mail_parameters *m, struct letter *l)
{
	const char *no;

	if ((no = solicitation_refused(s, m->solicit)) != NULL ||
	    (no = take_release(s, m, l)) != NULL ||
	    (no = take_deliver_by(s, m, &l->handling)) != NULL || (no = take_verp(s, m, l)) != NULL)
		return no;
	if (m->has_priority && may_have_priority(s))
		l->handling.priority = m->priority;
	l->lowered = m->has_priority && l->handling.priority != m->priority;
	l->declared = m->size;
	l->body = m->body;
	l->ret = m->ret;
	l->brought.solicit = arena_keep(l->life, m->solicit);
	l->brought.auth_sender = arena_keep(l->life, m->auth);
	l->envid = arena_keep(l->life, m->envid);
	l->flags |= (m->utf8 ? ENVELOPE_SMTPUTF8 : 0) | (m->requiretls ? ENVELOPE_REQUIRETLS : 0) |
	            (m->report ? ENVELOPE_REPORT : 0) |
	            (m->verify ? ENVELOPE_VERIFY | ENVELOPE_REPORT : 0);
	l->submission = s->user.len > 0;
	return NULL;
}
