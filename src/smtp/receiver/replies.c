/*
 * replies -- what a session says: to the client, to the log, to the history of what was said, and to the house
 *
 * Every reply passes through here: errors are counted, a refusal that nobody has explained gets its id, soft_bounce
 * makes 4yz of 5yz and the footer is added.
 */
#include "smtp/receiver/session_inner.h"

#include <stdarg.h>
#include <string.h>

#include "base/journal.h"
#include "smtp/reply.h"

static void
count_error(struct session *s, struct bytes reply)
{
	if (reply_error(reply))
		s->errors++;
}

void
say_fixed(struct session *s, struct bytes whole)
{
	count_error(s, whole);
	history_add(&s->history, false, whole);
	buffer_add(s->mouth->out(s->mouth_of), whole);
}

void
overhear(struct session *s, const struct buffer *out, size_t from)
{
	history_add(&s->history, false, bytes_cut(buffer_bytes(out), from, out->len));
}

/* At the end of a session (`lines` 0), or where there is more of it than so many. */
void
history_tell(struct session *s, uint32_t lines)
{
	if (s->history.lines <= lines)
		return;
	if (history_is_wanted(&s->history) && s->needs->complain != NULL)
		s->needs->complain(s->house, s, &s->history);
	history_reset(&s->history);
}

void
history_flush(struct session *s)
{
	history_tell(s, (uint32_t)s->config->set.history_lines);
}

/* What is said then is said of the letter and of all its recipients. */
static bool
is_of_content(const char *verb)
{
	return strcmp(verb, "DATA") == 0 || strcmp(verb, "BDAT") == 0 ||
	       strcmp(verb, "END-OF-MESSAGE") == 0;
}

void
tell_house(struct session *s, const struct session_told *what)
{
	struct session_told all = *what;

	if (s->needs->told == NULL)
		return;
	if (what->recipient.len == 0 && is_of_content(what->verb))
		all.letter = s->letter;
	s->needs->told(s->house, s, &all);
}

/* "... (PABCDEFGHJK)": it has its id. */
static bool
has_id(struct bytes reply)
{
	static const size_t id = 14;
	struct bytes        end = bytes_cut(reply, reply.len < id ? 0 : reply.len - id, id);

	if (end.len < id || !bytes_starts(end, BYTES(" (P")) || end.at[id - 1] != ')')
		return false;
	for (size_t i = 3; i < id - 1; i++)
		if (!(end.at[i] >= 'A' && end.at[i] <= 'Z') &&
		    !(end.at[i] >= '2' && end.at[i] <= '9'))
			return false;
	return true;
}

/* A refusal that nobody has explained yet: a command out of its turn, a path that is none, a password that is wrong. */
static void
explain(struct session *s, struct buffer *out, size_t from)
{
	struct bytes           said = bytes_cut(buffer_bytes(out), from, out->len);
	struct arena          *a;
	struct session_refusal r = { .verb = s->where };
	struct bytes           id;

	if (said.len < 4 || said.at[0] != '5' || has_id(said))
		return;
	a = arena_open(NULL);
	r.reply = arena_keep(a, said);
	id = s->needs->remember(s->house, s, &r);
	if (id.len > 0) {
		buffer_printf(out, " (%.*s)", (int)id.len, id.at);
		tell_house(s, &(struct session_told){ .verb = r.verb, .reply = r.reply, .id = id });
	}
	arena_close(&a);
}

/* soft_bounce: 5.. becomes 4.. in each line of a reply, and so does the status in it. */
static void
soften(struct buffer *out, size_t from)
{
	for (size_t at = from; at + 6 < out->len; at++) {
		char *line = out->at + at;

		if (at > from && line[-1] != '\n')
			continue;
		if (line[0] == '5')
			line[0] = '4';
		if (line[4] == '5' && line[5] == '.')
			line[4] = '4';
	}
}

void
say(struct session *s, const char *form, ...)
{
	struct buffer *out = s->mouth->out(s->mouth_of);
	size_t         from = out->len;
	va_list        list;

	va_start(list, form);
	buffer_vprintf(out, form, list);
	va_end(list);
	count_error(s, bytes_cut(buffer_bytes(out), from, out->len));
	history_blame(&s->history, fault_of_reply(bytes_cut(buffer_bytes(out), from, out->len)));
	explain(s, out, from);
	if (has_footer(s) && reply_error(bytes_cut(buffer_bytes(out), from, out->len)))
		add_footer(s, out, from);
	if (s->config->set.soft_bounce && out->len > from && out->at[from] == '5')
		soften(out, from);
	overhear(s, out, from);
	buffer_add(out, BYTES("\r\n"));
}

/* Postfix's line, so that what reads its log reads ours; behind it who said so. */
void
log_reject_by(struct session *s, const char *verb, struct bytes rcpt, const char *reply,
              struct bytes rule, struct bytes id)
{
	struct letter *l = s->letter;

	note_as(s->config->service,
	        "NOQUEUE: reject: %s from %s: %s; from=<%.*s>%s%.*s%s proto=%s%s%.*s%s%s%.*s%s%.*s",
	        verb, client_of(s), reply, l != NULL ? (int)l->sender.len : 0,
	        l != NULL ? l->sender.at : "", rcpt.len > 0 ? " to=<" : "", (int)rcpt.len,
	        rcpt.len > 0 ? rcpt.at : "", rcpt.len > 0 ? ">" : "", protocol_of(s),
	        s->helo.len > 0 ? " helo=<" : "", (int)s->helo.len,
	        s->helo.len > 0 ? s->helo.at : "", s->helo.len > 0 ? ">" : "",
	        rule.len > 0 ? " rule=" : "", (int)rule.len, rule.len > 0 ? rule.at : "",
	        id.len > 0 ? " id=" : "", (int)id.len, id.len > 0 ? id.at : "");
	tell_house(s, &(struct session_told){ .verb = verb,
	                                      .recipient = rcpt,
	                                      .reply = bytes_of(reply),
	                                      .rule = rule,
	                                      .id = id });
}
