/*
 * What a stranger does before its turn: who is no mail server, and in haste, speaks first.  The ideas are
 * those of Postfix's POSTSCREEN_README; here it is the session itself that waits.
 */
#include "smtp/receiver/session_inner.h"

#include <string.h>

#include "base/clock.h"
#include "base/journal.h"
#include "smtp/receiver/screen-list.h"
#include "smtp/reply.h"

enum { SHOWN_MOST = 100 };

/* Whom we know, and who has passed not long ago, is greeted at once. */
bool
screen_wanted(const struct session *s)
{
	const struct receiver_config *c = s->config;

	return c->set.screen && c->kind == KIND_SMTP && !c->set.tls_wrappermode &&
	       s->peer.family != AF_UNIX && !networks_hold(&c->screen_allow, &s->peer);
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

static void
tell(struct session *s, const char *what, struct bytes said)
{
	struct buffer text = { 0 };
	int64_t       after = clock_patient_ms() - s->since;

	reply_text(&text, bytes_cut(said, 0, SHOWN_MOST));
	note_as(s->config->service, "%s %zu after %lld.%02lld from [%s]:%u: %.*s", what, said.len,
	        (long long)after / 1000, (long long)after % 1000 / 10, s->peer.text, s->peer.port,
	        (int)text.len, text.at);
	buffer_free(&text);
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

static void
pass(struct session *s)
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
	tell(s, "PREGREET", arrived);
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
		pass(s);
	greet_met(s);
	met(s);
}

/* HELO or EHLO was said, and perhaps more without waiting.  True: it is sent away. */
bool
screen_hello(struct session *s, struct bytes line)
{
	if (!s->screened)
		return false;
	if (!s->behind) {
		pass(s);
		return false;
	}
	tell(s, "COMMAND PIPELINING", line);
	return punish(s, s->config->set.pipelining_action, "5.5.1 Protocol error");
}
