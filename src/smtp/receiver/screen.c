/*
 * What a stranger does before its turn: who is no mail server, and in haste, speaks first.  The ideas are
 * those of Postfix's POSTSCREEN_README; here it is the session itself that waits.
 */
#include "smtp/receiver/session_inner.h"

#include <string.h>

#include "base/clock.h"
#include "base/journal.h"
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

/*
 * postscreen_access_list
 */

enum access { ACCESS_NOTHING, ACCESS_OVER, ACCESS_ALLOWED, ACCESS_DENIED };

static const struct {
	const char *word;
	enum access says;
} access_words[] = {
	{ "permit_mynetworks", ACCESS_ALLOWED },
	{ "permit", ACCESS_ALLOWED },
	{ "reject", ACCESS_DENIED },
	{ "dunno", ACCESS_OVER },
};

static enum access
word_says(const struct session *s, struct bytes word)
{
	for (size_t i = 0; i < COUNT(access_words); i++)
		if (bytes_is(word, access_words[i].word))
			return i > 0 || s->trusted ? access_words[i].says : ACCESS_NOTHING;
	return ACCESS_NOTHING;
}

/* What a table has is such a list again, without tables; its dunno ends that one alone. */
static enum access
table_says(const struct session *s, const char *table)
{
	struct network_tables *tables = s->config->tables;
	struct arena          *a = arena_open(NULL);
	struct bytes           rest, word;
	enum access            says = ACCESS_NOTHING;

	if (tables != NULL && tables->value(tables, table, s->peer.text, a, &rest)) {
		for (size_t n = 0; says == ACCESS_NOTHING && rest.len > 0; n = 0) {
			while (n < rest.len && strchr(", \t\r\n", rest.at[n]) == NULL)
				n++;
			word = bytes_cut(rest, 0, n);
			rest = bytes_cut(rest, n + 1, SIZE_MAX);
			says = word_says(s, word);
		}
		if (says == ACCESS_OVER)
			says = ACCESS_NOTHING;
	}
	arena_close(&a);
	return says;
}

static enum access
list_says(const struct session *s)
{
	const struct setting_list *list = &s->config->set.screen_access;
	enum access                says = ACCESS_NOTHING;

	for (size_t i = 0; i < list->count && says == ACCESS_NOTHING; i++)
		says = strchr(list->item[i], ':') != NULL ? table_says(s, list->item[i])
		                                          : word_says(s, bytes_of(list->item[i]));
	return says;
}

const char *
screen_access_wrong(const struct setting_list *list)
{
	for (size_t i = 0; i < list->count; i++) {
		bool known = strchr(list->item[i], ':') != NULL;

		for (size_t n = 0; n < COUNT(access_words); n++)
			known = known || bytes_is(bytes_of(list->item[i]), access_words[n].word);
		if (!known)
			return list->item[i];
	}
	return NULL;
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

	enum access access = list_says(s);

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
