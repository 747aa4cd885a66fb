/*
 * BDAT: the letter in counted pieces (rfc3030)
 *
 * A chunk is a room of its own: it takes exactly the bytes that were announced, whatever they are and whatever
 * becomes of the letter, and its one way out is chunk_ended().  Who announces what cannot be counted is sent away,
 * as nobody knows where the next command begins.
 */
#include "smtp/receiver/session_inner.h"

#include "base/clock.h"
#include "base/journal.h"
#include "smtp/extension.h"

enum { CHUNK_DIGITS = 18 };

static room_fn room_chunk;

/* bdat-cmd ::= "BDAT" SP chunk-size [ SP end-marker ]                     rfc3030:2 */
static bool
chunk_parse(struct bytes argument, uint64_t *size, bool *last)
{
	struct bytes number, end = argument;

	if (!bytes_split(&end, ' ', &number))
		return false;
	end = bytes_trim(end);
	*last = bytes_is(end, "LAST");
	return number.len <= CHUNK_DIGITS && bytes_number(number, size) && (*last || end.len == 0);
}

static void
chunk_uncounted(struct session *s, const char *reply, struct bytes argument)
{
	warn_as(s->config->service, "malformed BDAT command from %s: %.*s", client_of(s),
	        argument.len < 100 ? (int)argument.len : 100, argument.at);
	say(s, "%s", reply);
	mail_end(s);
	hang_up(s);
}

/* A letter of many small chunks may take no longer than one that comes by DATA. */
static void
count_time(struct session *s)
{
	struct letter *l = s->letter;
	int64_t        rate = s->config->set.min_data_rate;

	if (l == NULL || s->burl || rate <= 0)
		return;
	l->behind += clock_patient_ms() - s->since - (int64_t)(s->taken * 1000 / (uint64_t)rate);
	if (l->behind < 0)
		l->behind = 0;
}

/* All of it has come; or nothing was to come. */
void
chunk_ended(struct session *s, const char *well)
{
	struct letter *l = s->letter;
	const char    *no = s->chunk_reply;

	count_time(s);
	s->room = room_command;
	s->chunk_reply = NULL;
	if (no == NULL && s->chunk_last) {
		content_finish(&l->reader, &l->content);
		content_ended(s);
		return;
	}
	if (no == NULL && (no = content_fault(s, l)) != NULL) {
		no = explained(s, "BDAT", BYTES(""), no);
		mail_end(s);
	}
	if (no != NULL)
		say(s, "%s", no);
	else if (well != NULL)
		say(s, "%s", well);
	else
		say(s, "250 2.0.0 Ok: %llu bytes", (unsigned long long)s->chunk_size);
	if (no != NULL && is_farewell(bytes_of(no)))
		hang_up(s);
	answered(s);
}

void
chunk_look(struct session *s)
{
	if (s->held || s->over)
		return;
	if (s->fetching)
		burl_look(s);
	else if (s->room == room_chunk && s->chunk_left == 0)
		chunk_ended(s, NULL);
}

static size_t
room_chunk(struct session *s, struct bytes arrived)
{
	struct bytes   piece = bytes_cut(arrived, 0, s->chunk_left);
	struct letter *l = s->letter;
	size_t         used;

	s->chunk_left -= piece.len;
	s->taken += piece.len;
	if (s->chunk_reply == NULL) {
		INSIDE(content_read(&l->reader, piece, &l->content, &used) == CONTENT_MORE);
		content_gathered(s, true);
	}
	chunk_look(s);
	return piece.len;
}

void
chunk_begins(struct session *s)
{
	if (s->burl) {
		burl_begins(s);
		return;
	}
	s->room = room_chunk;
	chunk_look(s);
}

/* More than is ever taken: it is not even heard. */
static bool
is_beyond_bearing(const struct session *s, uint64_t size)
{
	uint64_t most = (uint64_t)s->config->set.message_size;

	return most > 0 && size > 2 * most + PATIENCE_MORE;
}

void
bdat_refused(struct session *s, struct bytes argument, const char *reply)
{
	if (!chunk_parse(argument, &s->chunk_size, &s->chunk_last)) {
		chunk_uncounted(s, "521 5.5.4 Syntax: BDAT count [LAST]", argument);
		return;
	}
	if (is_beyond_bearing(s, s->chunk_size)) {
		chunk_uncounted(s, "552 5.3.4 Chunk exceeds message size limit", argument);
		return;
	}
	s->burl = false;
	s->chunk_left = s->chunk_size;
	s->chunk_reply = reply;
	chunk_begins(s);
}

static void
bdat_judged(struct session *s, const struct session_verdict *v)
{
	struct letter *l = s->letter;

	s->held = false;
	if (v->refused) {
		s->chunk_reply = refusal_logged(s, "BDAT", v);
		chunk_begins(s);
	} else {
		l->chunked = true;
		content_asks_room(s);
	}
	if (!s->held && !s->taking && !s->over)
		s->mouth->resume(s->mouth_of);
}

void
verb_bdat(struct session *s, struct bytes argument)
{
	struct letter *l = s->letter;

	if (!(extensions_of(s) & EXTENSION_CHUNKING)) {
		chunk_uncounted(s, "521 5.5.1 Error: command not implemented", argument);
		return;
	}
	if (!chunk_parse(argument, &s->chunk_size, &s->chunk_last)) {
		chunk_uncounted(s, "521 5.5.4 Syntax: BDAT count [LAST]", argument);
		return;
	}
	if (is_beyond_bearing(s, s->chunk_size)) {
		chunk_uncounted(s, "552 5.3.4 Chunk exceeds message size limit", argument);
		return;
	}
	s->burl = false;
	s->chunk_left = s->chunk_size;
	s->chunk_reply = NULL;
	if (s->chunk_size == 0 && !s->chunk_last)
		s->junk++;
	if (l->chunked) {
		chunk_begins(s);
		return;
	}
	judge(s, MOMENT_DATA, bdat_judged);
}
