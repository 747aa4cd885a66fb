/* What mail filters (milters) say of each command: they are the house's; the session tells them what was said, and obeys */
#include "smtp/receiver/session_inner.h"

#include <stdio.h>
#include <string.h>

#include "base/journal.h"
#include "smtp/reply.h"

enum { PARAMETERS_MOST = 64, RULE_ROOM = 300 };

/* Which event of a filter each moment is; FILTER_NONE: none. */
static const uint8_t stage_of[] = {
	[MOMENT_CONNECT] = FILTER_CONNECT, [MOMENT_HELO] = FILTER_HELO, [MOMENT_MAIL] = FILTER_MAIL,
	[MOMENT_RCPT] = FILTER_RCPT,       [MOMENT_VRFY] = FILTER_NONE, [MOMENT_DATA] = FILTER_DATA,
	[MOMENT_END] = FILTER_NONE,        [MOMENT_ETRN] = FILTER_NONE,
};

/* A client comes, or is another one now (XCLIENT). */
void
filters_begin(struct session *s)
{
	s->filters = s->config->filters ? 1u << FILTER_CONNECT : 0;
	s->filters_deny = false;
	s->greets_late = s->config->judges_clients || s->config->filters;
}

void
filters_over(struct session *s)
{
	if (s->filters != 0)
		s->needs->filter_abort(s->house, s);
}

/*
 * Asking
 */

/* Where the path of MAIL or RCPT ends: behind its ">", or where there is none, before the first blank. */
static size_t
path_end(struct bytes line)
{
	bool   quoted = false, opened = false;
	size_t i = 0;

	for (; i < line.len; i++) {
		char c = line.at[i];

		if (c == '\\' && quoted)
			i++;
		else if (c == '"')
			quoted = !quoted;
		else if (c == '<' && !quoted)
			opened = true;
		else if (c == '>' && !quoted)
			return i + 1;
		else if (c == ' ' && !quoted && !opened)
			break;
	}
	return i;
}

/* "<jack@example.com>", and the parameters as they were written behind it. */
static size_t
path_arguments(struct session *s, struct bytes address, struct bytes *out)
{
	struct bytes line = bytes_trim(s->said), rest, word;
	ptrdiff_t    colon = bytes_find(line, ':');
	size_t       n = 0;

	line = bytes_trim(bytes_cut(line, (size_t)(colon + 1), line.len));
	rest = bytes_cut(line, path_end(line), line.len);
	out[n++] = bytes_of(arena_printf(s->letter->life, "<%.*s>", (int)address.len, address.at));
	while (n < PARAMETERS_MOST && bytes_split(&rest, ' ', &word))
		if (word.len > 0)
			out[n++] = word;
	return n;
}

static void
tell(struct session *s, enum filter_stage stage, struct bytes line, struct bytes refusal)
{
	struct bytes        argument[PARAMETERS_MOST];
	struct filter_event e = { .stage = stage, .argument = argument, .refusal = refusal };

	if (stage == FILTER_MAIL)
		e.arguments = path_arguments(s, s->letter->sender, argument);
	else if (stage == FILTER_RCPT)
		e.arguments = path_arguments(s, s->asked, argument);
	else if (stage != FILTER_DATA && stage != FILTER_CONNECT)
		argument[e.arguments++] = line;
	s->needs->filter(s->house, s, &e);
}

static bool
is_wanted(const struct session *s, unsigned stage)
{
	return stage != FILTER_NONE && (s->filters >> stage & 1) != 0 &&
	       (s->letter == NULL || !s->letter->discard);
}

void
filters_judge(struct session *s, const struct session_verdict *v, judged_fn *then)
{
	unsigned stage = stage_of[s->moment];

	if (v->refused && stage == FILTER_RCPT && is_wanted(s, FILTER_REFUSED))
		tell(s, FILTER_RCPT, BYTES(""), v->reply);
	if (v->refused || !is_wanted(s, stage)) {
		then(s, v);
		return;
	}
	s->filtered = then;
	s->filter_stage = (uint8_t)stage;
	hold(s);
	tell(s, (enum filter_stage)stage, s->helo, BYTES(""));
}

/* False: nobody wants to hear of it. */
bool
filters_unknown(struct session *s, struct bytes line, judged_fn *then)
{
	if (!is_wanted(s, FILTER_UNKNOWN))
		return false;
	s->filtered = then;
	s->filter_stage = FILTER_UNKNOWN;
	hold(s);
	tell(s, FILTER_UNKNOWN, line, BYTES(""));
	return true;
}

/*
 * Hearing
 */

/* "smtpd_milters inet:127.0.0.1:8891": of several filters, which. */
static struct bytes
rule_of(struct bytes by, char out[static RULE_ROOM])
{
	(void)snprintf(out, RULE_ROOM, "smtpd_milters%s%.*s", by.len > 0 ? " " : "", (int)by.len,
	               by.len > 0 ? by.at : "");
	return bytes_of(out);
}

static void
log_filter(struct session *s, const char *deed, const char *text, struct bytes by, struct bytes id)
{
	/* clang-format off */
	static const char *const verbs[] = {
		[FILTER_CONNECT] = "CONNECT", [FILTER_HELO] = "EHLO", [FILTER_MAIL] = "MAIL", [FILTER_RCPT] = "RCPT",
		[FILTER_DATA] = "DATA", [FILTER_CONTENT] = "END-OF-MESSAGE", [FILTER_UNKNOWN] = "UNKNOWN",
	};
	/* clang-format on */
	struct letter *l = s->letter;
	const char    *verb = verbs[s->filter_stage];
	char           rule[RULE_ROOM];

	if (s->filter_stage == FILTER_HELO && s->hello == HELLO_HELO)
		verb = "HELO";
	note_as(s->config->service,
	        "NOQUEUE: milter-%s: %s from %s: %s;%s%.*s%s%s%.*s%s proto=%s%s%.*s%s%s%s%.*s%s%.*s",
	        deed, verb, client_of(s), text, l != NULL ? " from=<" : "",
	        l != NULL ? (int)l->sender.len : 0, l != NULL ? l->sender.at : "",
	        l != NULL ? ">" : "", s->asked.len > 0 ? " to=<" : "", (int)s->asked.len,
	        s->asked.len > 0 ? s->asked.at : "", s->asked.len > 0 ? ">" : "", protocol_of(s),
	        s->helo.len > 0 ? " helo=<" : "", (int)s->helo.len,
	        s->helo.len > 0 ? s->helo.at : "", s->helo.len > 0 ? ">" : "",
	        id.len > 0 ? " rule=smtpd_milters" : "", by.len > 0 ? " milter=" : "", (int)by.len,
	        by.at, id.len > 0 ? " id=" : "", (int)id.len, id.at);
	tell_house(s, &(struct session_told){ .note = strcmp(deed, "reject") != 0,
	                                      .verb = verb,
	                                      .recipient = s->asked,
	                                      .reply = bytes_of(text),
	                                      .rule = rule_of(by, rule),
	                                      .id = id });
}

/* Of a session the whole of which is refused the client hears at MAIL; the greeting shows it, too (as Postfix's). */
static bool
is_told_later(const struct session *s, const struct filter_said *f)
{
	return (s->filter_stage == FILTER_CONNECT || s->filter_stage == FILTER_HELO) && !f->shut;
}

void
session_filtered(struct session *s, const struct filter_said *f)
{
	judged_fn             *then = s->filtered;
	struct session_verdict v = { .refused = f->reply.len > 0, .reply = f->reply };

	if (s->over || then == NULL)
		return;
	s->filtered = NULL;
	s->filters = f->wants;
	if (v.refused) {
		char text[1024] = "", rule[RULE_ROOM];

		(void)bytes_string(bytes_cut(f->reply, 0, sizeof text - 1), text, sizeof text);
		(void)remembered(s,
		                 &(struct session_refusal){ "", s->asked, f->reply,
		                                            rule_of(f->by, rule) },
		                 &v.id);
		log_filter(s, "reject", text, f->by, v.id);
		v.by_filter = true;
		v.shut = f->shut;
	}
	if (v.refused && is_told_later(s, f)) {
		char text[RULE_ROOM];

		if (s->life == NULL)
			s->life = arena_open(NULL);
		if (!s->filters_deny)
			s->denied_by = arena_keep(s->life, rule_of(f->by, text));
		s->filters_deny = s->filters_deny || f->reply.at[0] == '5';
		v.refused = false;
	}
	if (f->discard && s->letter != NULL) {
		log_filter(s, "discard", "milter triggers DISCARD action", f->by, BYTES(""));
		s->letter->discard = true;
	}
	if (f->hold && s->letter != NULL) {
		log_filter(s, "hold", "milter triggers HOLD action", f->by, BYTES(""));
		s->letter->handling.hold = arena_keep(s->letter->life, f->reason);
	}
	then(s, &v);
}
