/*
 * verb-mail -- MAIL: from whom, and whether a letter may begin (rfc5321:4.1.1.2, rfc1870, rfc9422); and how addresses
 * are read, which RCPT and VRFY do the same
 */
#include "smtp/receiver/session_inner.h"

#include <string.h>

#include "base/journal.h"

bool
may_relay(const struct session *s)
{
	return !s->lmtp && (s->user.len > 0 || s->trusted);
}

/* "jill" is jill@myorigin, and jill@host lies in mydomain where append_dot_mydomain says so (R79); `*added`: so many bytes. */
struct bytes
whole_address(struct session *s, struct arena *a, const struct address *path, bool bare,
              size_t *added)
{
	const char    *within = s->config->within;
	struct address whole = *path;

	*added = 0;
	if (bare) {
		whole.domain = bytes_of(s->config->myorigin);
		*added = whole.domain.len + 1;
	} else if (within != NULL && whole.domain.len > 0 && whole.domain.at[0] != '[' &&
	           bytes_find(whole.domain, '.') < 0) {
		*added = strlen(within) + 1;
		whole.domain = bytes_of(
			arena_printf(a, "%.*s.%s", (int)whole.domain.len, whole.domain.at, within));
	}
	return address_text(a, &whole);
}

/* rfc9422:4.1 MAILMAX; 0: as many as they like */
int64_t
mails_most(const struct session *s)
{
	bool bears = s->lmtp || s->trusted || s->excepted || s->user.len > 0;

	return bears ? 0 : s->config->set.session_messages;
}

static bool
mails_enough(const struct session *s)
{
	return mails_most(s) > 0 && s->mails >= mails_most(s);
}

struct grammar
grammar_of(const struct session *s)
{
	return (struct grammar){ .strict = s->config->set.strict_envelopes,
		                 .ascii = s->config->set.strict_utf8,
		                 .utf8 = s->letter != NULL && s->letter->flags & ENVELOPE_SMTPUTF8,
		                 .hyphen = s->config->set.hyphen_allowed,
		                 .extensions = extensions_of(s) };
}

static bool
mail_check(struct session *s, const struct mail_command *m)
{
	const struct receiver_settings *set = &s->config->set;
	const char                     *no = NULL;

	if (m->with.has_size && set->message_size > 0 && m->with.size > (uint64_t)set->message_size)
		no = "552 5.3.4 Message size exceeds fixed limit"; /* rfc1870:6.1 */
	else if (s->needs->room(s->house, s, m->with.size) == ROOM_FULL)
		no = "452 4.3.1 Insufficient system storage";
	if (no != NULL)
		no = explained(s, "MAIL", BYTES(""), no);
	else if (!within(s, COUNT_MESSAGE, set->message_rate, "Message delivery request rate")) {
		say(s, "450 4.7.1 Error: too much mail from %s", s->peer.text);
		return false;
	} else if (!user_within(s, COUNT_ACCOUNT_MESSAGE, set->account_messages,
	                        "Message delivery request rate")) {
		say(s, "450 4.7.1 Error: too much mail from this account");
		return false;
	} else if (mails_enough(s)) {
		warn_as(s->config->service, "too many messages in one connection from %s",
		        client_of(s));
		say(s, "421 4.7.0 %s Error: too many messages in one connection",
		    s->config->myhostname);
		hang_up(s);
		return false;
	}
	if (no != NULL)
		say(s, "%s", no);
	return no == NULL;
}

static void
mail_judged(struct session *s, const struct session_verdict *v)
{
	if (v->refused) {
		say_refused(s, "MAIL", BYTES(""), v);
		mail_end(s);
	} else
		say_fixed(s, BYTES("250 2.1.0 Ok\r\n"));
	answered(s);
}

void
verb_mail(struct session *s, struct bytes argument)
{
	struct arena       *scratch = arena_open(NULL);
	struct grammar      g = grammar_of(s);
	struct mail_command m;
	const char         *no;
	size_t              added;

	if (!mail_parse(argument, &g, scratch, &m, &no))
		say(s, "%s", no);
	else if (mail_check(s, &m)) {
		s->letter = letter_open(s, whole_address(s, scratch, &m.sender, m.bare, &added));
		s->mails++;
		s->history.quiet |= s->letter->sender.len == 0 && session_is_here(s);
		s->letter->needs = s->needs;
		s->letter->house = s->house;
		s->letter->added = added;
		s->said = arena_keep(s->letter->life, argument);
		s->letter->number = ++s->letters;
		no = wishes_take(s, &m.with, s->letter);
		arena_close(&scratch);
		if (no == NULL) {
			judge(s, MOMENT_MAIL, mail_judged);
			return;
		}
		no = explained(s, "MAIL", BYTES(""), no);
		mail_end(s);
		say(s, "%s", no);
	}
	arena_close(&scratch);
	answered(s);
}
