/*
 * What a stranger does before its turn: who is no mail server, and in haste, speaks first.  The ideas are
 * those of Postfix's POSTSCREEN_README; here it is the session itself that waits.
 */
#include "smtp/receiver/session_inner.h"

#include <string.h>

#include "base/clock.h"
#include "base/journal.h"
#include "smtp/receiver/screen-list.h"

enum { SHOWN_MOST = 100, HEARD_MOST = 400 };

static bool
stands_here(const struct session *s)
{
	const struct receiver_config *c = s->config;

	return c->set.screen && c->kind == KIND_SMTP && !c->set.tls_wrappermode &&
	       s->peer.family != AF_UNIX;
}

/* Whom we know, and who has passed not long ago, is greeted at once. */
bool
screen_wanted(const struct session *s)
{
	return stands_here(s) && !networks_hold(&s->config->screen_allow, &s->peer);
}

static void
tell_allowed(const struct session *s)
{
	note_as(s->config->service, "ALLOWLISTED [%s]:%u", s->peer.text, s->peer.port);
}

void
screen_passed_by(const struct session *s)
{
	if (stands_here(s) && !screen_wanted(s))
		tell_allowed(s);
}

static bool
find(void *ctx, const char *table, struct arena *a, struct bytes *out)
{
	const struct session  *s = ctx;
	struct network_tables *tables = s->config->tables;

	return tables != NULL && tables->value(tables, table, s->peer.text, a, out);
}

/*
 * Speaking first
 */

/* As C writes it, and Postfix its log. */
static void
escape(struct bytes said, struct buffer *out)
{
	static const char plain[] = "\a\b\f\n\r\t\v\\", words[] = "abfnrtv\\";

	for (size_t i = 0; i < said.len && i < HEARD_MOST; i++) {
		unsigned char c = (unsigned char)said.at[i];
		const char   *at = c != 0 ? strchr(plain, c) : NULL;

		if (at != NULL)
			buffer_printf(out, "\\%c", words[at - plain]);
		else if (c >= ' ' && c < 127)
			buffer_add_char(out, (char)c);
		else
			buffer_printf(out, "\\%03o", c);
	}
}

static void
tell_early(struct session *s, struct bytes said)
{
	struct buffer text = { 0 };
	int64_t       after = clock_patient_ms() - s->since;

	escape(said, &text);
	note_as(s->config->service, "PREGREET %zu after %lld.%02lld from [%s]:%u: %.*s", said.len,
	        (long long)after / 1000, (long long)after % 1000 / 10, s->peer.text, s->peer.port,
	        text.len < SHOWN_MOST ? (int)text.len : SHOWN_MOST, text.at);
	buffer_free(&text);
}

static void
tell_pipelining(struct session *s)
{
	struct buffer text = { 0 };

	escape(s->beyond, &text);
	note_as(s->config->service, "COMMAND PIPELINING from [%s]:%u after %s: %.*s", s->peer.text,
	        s->peer.port, s->where, (int)text.len, text.at);
	buffer_free(&text);
}

/* It goes while it is tested. */
void
screen_left(const struct session *s)
{
	int64_t after = clock_patient_ms() - s->since;

	if (s->screened)
		note_as(s->config->service,
		        "HANGUP after %lld.%02lld from [%s]:%u in tests %s SMTP handshake",
		        (long long)after / 1000, (long long)after % 1000 / 10, s->peer.text,
		        s->peer.port, s->resting ? "before" : "after");
}

/* True: it is sent away. */
static bool
punish(struct session *s, int action, const char *words)
{
	s->screened = false;
	if (action == SCREEN_DROP) {
		say(s, "521 %s", words);
		hang_up(s);
		return true;
	}
	if (action == SCREEN_ENFORCE)
		s->unwelcome = words;
	return false;
}

void
screen_pass(struct session *s)
{
	if (!s->screened)
		return;
	s->screened = false;
	note_as(s->config->service, "PASS NEW [%s]:%u", s->peer.text, s->peer.port);
	s->needs->pass(s->house, s, s->config->set.greet_ttl);
}

/* Nothing may come now.  What does is heard when it is its turn. */
size_t
room_early(struct session *s, struct bytes arrived)
{
	tell_early(s, arrived);
	if (punish(s, s->config->set.greet_action, "5.5.1 Protocol error"))
		return arrived.len;
	hold(s);
	return 0;
}

void
screen_begin(struct session *s)
{
	const struct receiver_settings *set = &s->config->set;
	const char                     *by;
	enum screen_access access = screen_list_says(&set->screen_access, s->trusted, find, s, &by);

	s->since = s->heard = clock_patient_ms();
	if (access == ACCESS_ALLOWED) {
		tell_allowed(s);
		greet_met(s);
		return;
	}
	s->tested = true;
	if (access == ACCESS_DENIED) {
		note_as(s->config->service, "DENYLISTED [%s]:%u", s->peer.text, s->peer.port);
		if (punish(s, set->deny_action, "5.3.2 Service currently unavailable"))
			return;
	}
	if (s->needs->pass(s->house, s, 0)) {
		note_as(s->config->service, "PASS OLD [%s]:%u", s->peer.text, s->peer.port);
		greet_met(s);
		return;
	}
	s->screened = true;
	if (set->greet_banner[0] != '\0')
		say(s, "220-%s", set->greet_banner);
	s->resting = true;
	s->mouth->rest(s->mouth_of, receiver_patience(s->config)->greet_wait);
}

/* It has waited. */
void
screen_over(struct session *s)
{
	if (!s->config->set.screen_pipelining)
		screen_pass(s);
	greet_met(s);
	met(s);
}

/* HELO or EHLO was said, and perhaps more without waiting.  True: it is sent away. */
bool
screen_hello(struct session *s)
{
	if (!s->screened)
		return false;
	if (!s->behind) {
		screen_pass(s);
		return false;
	}
	tell_pipelining(s);
	return punish(s, s->config->set.pipelining_action, "5.5.1 Protocol error");
}
