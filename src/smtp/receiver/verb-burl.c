/*
 * BURL: a piece of the letter that lies in a mailbox (rfc4468)
 *
 * Of BDAT's chunks it is the one whose bytes the house brings: it says how many there are, then gives them, and while
 * it does nothing of the client is heard.  The letter may be mixed of both.
 */
#include "smtp/receiver/session_inner.h"

#include "base/journal.h"
#include "smtp/extension.h"

static room_fn room_fetched;

/* burl-cmd = "BURL" SP absolute-URI [SP end-marker]                       rfc4468:7 */
static bool
burl_parse(struct bytes argument, struct bytes *url, bool *last)
{
	struct bytes end = bytes_trim(argument);

	if (!bytes_split(&end, ' ', url))
		return false;
	end = bytes_trim(end);
	*last = bytes_is(end, "LAST");
	return url->len > 0 && (*last || end.len == 0);
}

/* The client waits; what it sends meanwhile is not taken. */
static size_t
room_fetched(struct session *s, struct bytes arrived)
{
	(void)s;
	(void)arrived;
	return 0;
}

static void
fetch_over(struct session *s)
{
	s->fetching = false;
	s->room = room_command;
	s->needs->fetch_drop(s->house, s);
}

/* What was taken of the letter goes with it (rfc4468:3.4). */
static void
fetch_fails(struct session *s, const char *reply)
{
	const char *no = explained(s, "BURL", BYTES(""), reply);

	if (s->fetching)
		fetch_over(s);
	mail_end(s);
	say(s, "%s", no);
	answered(s);
}

/* All of it has come. */
static void
fetch_ended(struct session *s)
{
	const struct content *c = &s->letter->reader;

	if (!c->binary && c->bare_cr) {
		fetch_fails(s, "554 5.6.3 Conversion required but not supported");
		return;
	}
	fetch_over(s);
	chunk_ended(s, "250 2.5.0 Waiting for additional BURL or BDAT commands");
}

/* There is room for it, or there is none and chunk_reply says so. */
void
burl_begins(struct session *s)
{
	if (s->chunk_reply != NULL) {
		say(s, "%s", s->chunk_reply);
		s->chunk_reply = NULL;
		answered(s);
		return;
	}
	s->fetching = true;
	s->sized = false;
	s->room = room_fetched;
	s->needs->fetch(s->house, s, s->url);
}

void
session_fetched(struct session *s, enum fetched how, uint64_t len)
{
	static const char *const replies[] = {
		[FETCHED_NOT] = "554 5.6.6 IMAP URL resolution failed",
		[FETCHED_UNTRUSTED] = "554 5.7.14 URL resolution requires trust relationship",
		[FETCHED_LATER] = "451 4.4.1 IMAP server unavailable",
	};
	int64_t        most = s->config->set.message_size;
	struct letter *l = s->letter;

	if (!s->fetching || s->over)
		return;
	if (how != FETCHED) {
		fetch_fails(s, replies[how]);
		return;
	}
	if (len > INT64_MAX ||
	    (most > 0 && len + (l->streamed ? l->len : 0) + l->content.len > (uint64_t)most)) {
		fetch_fails(s, "554 5.3.4 Message too big for system");
		return;
	}
	s->sized = true;
	s->chunk_size = s->chunk_left = len;
	chunk_look(s);
}

size_t
session_fetched_part(struct session *s, struct bytes arrived)
{
	struct bytes   piece = bytes_cut(arrived, 0, s->chunk_left);
	struct letter *l = s->letter;
	size_t         used;

	if (s->over || !s->fetching)
		return arrived.len;
	if (s->held)
		return 0;
	s->chunk_left -= piece.len;
	s->taken += piece.len;
	INSIDE(content_read(&l->reader, piece, &l->content, &used) == CONTENT_MORE);
	content_gathered(s, true);
	chunk_look(s);
	return piece.len;
}

/* What was held back goes on. */
void
burl_look(struct session *s)
{
	if (!s->sized)
		return;
	if (s->chunk_left == 0)
		fetch_ended(s);
	else
		s->needs->fetch_more(s->house, s);
}

static void
burl_judged(struct session *s, const struct session_verdict *v)
{
	if (v->refused) {
		say_refused(s, "BURL", BYTES(""), v);
		answered(s);
		return;
	}
	s->held = false;
	s->letter->chunked = true;
	content_asks_room(s);
	if (!s->held && !s->taking && !s->over)
		s->mouth->resume(s->mouth_of);
}

void
verb_burl(struct session *s, struct bytes argument)
{
	struct letter *l = s->letter;
	struct bytes   url;

	if (!(extensions_of(s) & EXTENSION_BURL)) {
		say(s, "502 5.5.1 Error: command not implemented");
		answered(s);
		return;
	}
	if (!burl_parse(argument, &url, &s->chunk_last)) {
		say(s, "501 5.5.4 Syntax: BURL URL [LAST]");
		answered(s);
		return;
	}
	s->url = arena_keep(l->life, url);
	s->burl = true;
	s->chunk_reply = NULL;
	s->chunk_size = s->chunk_left = 0;
	if (l->chunked)
		burl_begins(s);
	else
		judge(s, MOMENT_DATA, burl_judged);
}
