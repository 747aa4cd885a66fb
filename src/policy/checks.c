#include "policy/checks.h"

#include <string.h>

#include "base/journal.h"
#include "message/header.h"
#include "message/inspect.h"
#include "message/status.h"

enum {
	KEY_MOST = 60 << 10, /* of a field that is longer the front is looked up */
	TEXT_SHOWN = 200,
	LINE_PIECE = 2048,
};

/* One letter being checked. */
struct checking {
	const struct checks_settings *set;
	const struct checks_needs    *needs;
	struct arena                 *life;
	struct checks_said           *said;
	struct edits                 *edits; /* of what is gone through now         */
	bool                          over;  /* nothing more is looked up           */
	uint32_t                      note_room;
};
/* Where an answer applies. */
struct spot {
	const struct inspected *in;
	const char             *list; /* the setting                               */
	bool                    header;
};

/* clang-format off */
static const struct {
	const char *setting;
	bool        header;
} lists[CHECK_LISTS] = {
	[CHECK_HEADER] = { "header_checks", true },
	[CHECK_MIME] = { "mime_header_checks", true },
	[CHECK_NESTED] = { "nested_header_checks", true },
	[CHECK_BODY] = { "body_checks", false },
};
static const struct {
	const char *setting, *reply, *words;
} faults[INSPECT_FAULTS] = {
	[FAULT_NESTING] = { "mime_nesting_limit", "5.6.0", "MIME nesting exceeds safety limit" },
	[FAULT_8BIT_HEADER] = { "strict_7bit_headers", "5.6.0", "improper use of 8-bit data in message header" },
	[FAULT_8BIT_BODY] = { "strict_8bitmime_body", "5.6.0", "improper use of 8-bit data in message body" },
	[FAULT_ENCODING] = { "strict_mime_encoding_domain", "5.6.0", "invalid message/* or multipart/* encoding domain" },
};
/* clang-format on */

bool
checks_wanted(const struct checks_settings *s)
{
	bool any = s->strict || s->strict_body || s->strict_header || s->strict_encoding;

	for (size_t i = 0; i < CHECK_LISTS; i++)
		any |= s->list[i].count > 0;
	return any;
}

/* ---- what is said of it ------------------------------------------------------------ */

static struct bytes
shown(struct arena *life, struct bytes text)
{
	struct bytes out = arena_keep(life, bytes_cut(text, 0, TEXT_SHOWN));
	char        *at = (char *)(uintptr_t)out.at;

	for (size_t i = 0; i < out.len; i++)
		if ((unsigned char)at[i] < ' ' || at[i] == 0x7f)
			at[i] = '?';
	return out;
}

static void
note_it(struct checking *c, const char *class, const char *context, struct bytes content,
        struct bytes text)
{
	struct checks_said *s = c->said;
	struct bytes        part = shown(c->life, content);

	if (s->notes >= CHECK_NOTES_MOST)
		return;
	if (s->note == NULL)
		s->note = arena_take_array(c->life, CHECK_NOTES_MOST, sizeof *s->note);
	s->note[s->notes].what =
		bytes_of(arena_printf(c->life, "%s: %s%s%.*s", class, context,
	                              *context == '\0' ? "" : " ", (int)part.len, part.at));
	s->note[s->notes++].text = shown(c->life, text);
}

static void
tell(struct checking *c, const struct spot *at, const char *class, struct bytes text)
{
	note_it(c, class, at->header ? "header" : "body", at->in->text, text);
}

/* Text that goes out to the client: one line of printable bytes. */
static struct bytes
said_text(struct checking *c, struct bytes text, const char *otherwise)
{
	struct bytes words = shown(c->life, text);

	return status_len(words) > 0 ? words
	                             : bytes_of(arena_printf(c->life, "5.7.1 %.*s",
	                                                     words.len > 0 ? (int)words.len
	                                                                   : (int)strlen(otherwise),
	                                                     words.len > 0 ? words.at : otherwise));
}

static void
refuse(struct checking *c, const char *by, struct bytes words)
{
	bool later = words.at[0] == '4';

	if (words.at[0] != '5' && words.at[0] != '4') {
		warn_("bad DSN action in %.*s -- need 4.x.x or 5.x.x", (int)words.len, words.at);
		words = arena_keep(c->life, words);
		*(char *)(uintptr_t)words.at = '4';
		later = true;
	}
	c->said->verdict = CHECKS_REFUSE;
	c->said->by = bytes_of(by);
	c->said->reply = bytes_of(
		arena_printf(c->life, "%s %.*s", later ? "451" : "550", (int)words.len, words.at));
}

/* ---- the actions ------------------------------------------------------------------- */

static void
act_reject(struct checking *c, const struct spot *at, struct bytes text)
{
	struct bytes words = said_text(c, text, "message content rejected");

	refuse(c, at->list, words);
	tell(c, at, "reject", words);
	c->over = true;
}

static void
act_discard(struct checking *c, const struct spot *at, struct bytes text)
{
	tell(c, at, "discard", text);
	c->said->discard = true;
	c->over = true;
}

static void
act_hold(struct checking *c, const struct spot *at, struct bytes text)
{
	if (c->said->hold.len > 0 || c->said->discard)
		return;
	tell(c, at, "hold", text);
	c->said->hold = text.len > 0 ? shown(c->life, text)
	                             : bytes_of(arena_printf(c->life, "held by %s", at->list));
}

static void
act_warn(struct checking *c, const struct spot *at, struct bytes text)
{
	tell(c, at, "warning", text);
}

static void
act_info(struct checking *c, const struct spot *at, struct bytes text)
{
	tell(c, at, "info", text);
}

static void
act_pass(struct checking *c, const struct spot *at, struct bytes text)
{
	tell(c, at, "pass", text);
	c->over = true;
}

/* NULL, or why the text behind the word cannot be obeyed. */
static const char *
filter_fault(struct bytes text, bool header)
{
	(void)header;
	return bytes_find(text, ':') < 0 ? "requires transport:destination" : NULL;
}

static void
act_filter(struct checking *c, const struct spot *at, struct bytes text)
{
	if (filter_fault(text, at->header) != NULL) {
		warn_("bad FILTER command %.*s in %s -- need transport:destination", (int)text.len,
		      text.at, at->list);
		return;
	}
	c->said->filter = arena_keep(c->life, text);
	tell(c, at, "filter", text);
}

static bool
is_address(struct bytes text)
{
	return bytes_find(text, '@') > 0 && bytes_find(text, ' ') < 0 && bytes_find(text, '\n') < 0;
}

static const char *
address_fault(struct bytes text, bool header)
{
	(void)header;
	return is_address(text) ? NULL : "requires user@domain";
}

static void
act_redirect(struct checking *c, const struct spot *at, struct bytes text)
{
	if (!is_address(text)) {
		warn_("bad REDIRECT target \"%.*s\" in %s -- need user@domain", (int)text.len,
		      text.at, at->list);
		return;
	}
	c->said->redirect = arena_keep(c->life, text);
	tell(c, at, "redirect", text);
	c->over = true;
}

static void
act_bcc(struct checking *c, const struct spot *at, struct bytes text)
{
	struct checks_said *s = c->said;

	if (!is_address(text)) {
		warn_("bad BCC address \"%.*s\" in %s -- need user@domain", (int)text.len, text.at,
		      at->list);
		return;
	}
	if (s->copies >= CHECK_COPIES_MOST)
		return;
	if (s->copy == NULL)
		s->copy = arena_take_array(c->life, CHECK_COPIES_MOST, sizeof *s->copy);
	s->copy[s->copies++] = arena_keep(c->life, text);
	tell(c, at, "bcc", text);
}

/* ---- those that change the letter --------------------------------------------------- */

/* What a table says is text of an administrator with pieces of a stranger's field in it: every line after the first goes
   on with the field, and ends as lines end. */
static struct bytes
as_lines(struct checking *c, struct bytes text, bool ended)
{
	struct buffer out = { 0 };
	struct bytes  line, kept;
	bool          first = true;

	while (bytes_split(&text, '\n', &line)) {
		if (!first) {
			buffer_add_string(&out, "\r\n");
			if (line.len == 0 || (line.at[0] != ' ' && line.at[0] != '\t'))
				buffer_add_char(&out, '\t');
		}
		for (size_t i = 0; i < line.len; i++)
			buffer_add_char(&out, line.at[i] == '\r' || line.at[i] == '\0'
			                              ? ' '
			                              : line.at[i]);
		first = false;
	}
	if (ended)
		buffer_add_string(&out, "\r\n");
	kept = arena_keep(c->life, buffer_bytes(&out));
	buffer_free(&out);
	return kept;
}

static void
edit(struct checking *c, uint64_t at, uint64_t len, struct bytes instead)
{
	if (!edits_add(c->edits, &(struct edit){ .at = at, .len = len, .instead = instead })) {
		c->said->verdict = CHECKS_LATER;
		c->said->reply = BYTES("451 4.3.0 Error: too much is to be changed in the letter");
		c->over = true;
	}
}

/* What is to stand in a header must be a field. */
static const char *
text_fault(struct bytes text, bool header)
{
	const char *colon;

	if (text.len == 0)
		return "requires text behind it";
	return header && field_name(text.at, text.at + text.len, &colon) == 0
	               ? "requires a field, as X-Seen: yes"
	               : NULL;
}

static bool
good_text(const struct spot *at, const char *action, struct bytes text)
{
	if (text.len == 0) {
		warn_("%s action without text in %s map", action, at->list);
		return false;
	}
	if (text_fault(text, at->header) != NULL) {
		warn_("bad %s header text \"%.*s\" in %s map -- need \"headername: headervalue\"",
		      action, (int)text.len, text.at, at->list);
		return false;
	}
	return true;
}

static void
act_prepend(struct checking *c, const struct spot *at, struct bytes text)
{
	if (!good_text(at, "PREPEND", text))
		return;
	tell(c, at, "prepend", text);
	edit(c, at->in->at, 0, as_lines(c, text, true));
}

static void
act_replace(struct checking *c, const struct spot *at, struct bytes text)
{
	if (!good_text(at, "REPLACE", text))
		return;
	tell(c, at, "replace", text);
	edit(c, at->in->at, at->in->len, as_lines(c, text, !at->in->piece));
}

static void
act_ignore(struct checking *c, const struct spot *at, struct bytes text)
{
	(void)text;
	edit(c, at->in->at, at->in->len, BYTES(""));
}

static void
act_strip(struct checking *c, const struct spot *at, struct bytes text)
{
	tell(c, at, "strip", text);
	act_ignore(c, at, text);
}

static void
act_dunno(struct checking *c, const struct spot *at, struct bytes text)
{
	(void)c;
	(void)at;
	(void)text;
}

/* clang-format off */
static const struct action {
	const char *word;
	void (*act)(struct checking *, const struct spot *, struct bytes text);
	const char *(*fault)(struct bytes text, bool header);     /* NULL: any text will do */
} actions[] = {
	{ "REJECT",   act_reject,   NULL },
	{ "WARN",     act_warn,     NULL },
	{ "INFO",     act_info,     NULL },
	{ "FILTER",   act_filter,   filter_fault },
	{ "PASS",     act_pass,     NULL },
	{ "DISCARD",  act_discard,  NULL },
	{ "HOLD",     act_hold,     NULL },
	{ "PREPEND",  act_prepend,  text_fault },
	{ "REPLACE",  act_replace,  text_fault },
	{ "REDIRECT", act_redirect, address_fault },
	{ "BCC",      act_bcc,      address_fault },
	{ "STRIP",    act_strip,    NULL },
	{ "IGNORE",   act_ignore,   NULL },
	{ "DUNNO",    act_dunno,    NULL },
	{ "OK",       act_dunno,    NULL },
};
/* clang-format on */

/* NULL: there is no such word.  *text is what stands behind it. */
static const struct action *
action_of(struct bytes value, struct bytes *text)
{
	size_t n = 0;

	while (n < value.len && value.at[n] != ' ' && value.at[n] != '\t')
		n++;
	*text = bytes_cut(value, n, value.len);
	while (text->len > 0 && (text->at[0] == ' ' || text->at[0] == '\t'))
		*text = bytes_cut(*text, 1, text->len);
	for (size_t i = 0; i < COUNT(actions); i++)
		if (bytes_is(bytes_cut(value, 0, n), actions[i].word))
			return &actions[i];
	return NULL;
}

static void
act(struct checking *c, const struct spot *at, struct bytes value)
{
	struct bytes         text;
	const struct action *a = action_of(value, &text);

	if (a != NULL)
		a->act(c, at, text);
	else
		warn_("unknown command in %s map: %.*s", at->list, (int)value.len, value.at);
}

/* What "$1" stands for nobody can tell before. */
const char *
checks_action_fault(struct bytes value, bool header, struct arena *life)
{
	struct bytes         text;
	const struct action *a = action_of(value, &text);
	const char          *why;

	if (bytes_find(value, '$') >= 0)
		return NULL;
	if (a == NULL)
		return arena_printf(life,
		                    "\"%.*s\" is no action, as REJECT, WARN, DISCARD, HOLD or "
		                    "REPLACE; the line does nothing",
		                    (int)(value.len > 60 ? 60 : value.len), value.at);
	why = a->fault == NULL ? NULL : a->fault(text, header);
	return why == NULL ? NULL
	                   : arena_printf(life, "%s %s; the line does nothing", a->word, why);
}

/* ---- the letter --------------------------------------------------------------------- */

static enum check_list
list_of(const struct inspected *in)
{
	return in->what == INSPECTED_HEADER   ? CHECK_HEADER
	       : in->what == INSPECTED_MIME   ? CHECK_MIME
	       : in->what == INSPECTED_NESTED ? CHECK_NESTED
	                                      : CHECK_BODY;
}

static void
look_up(struct checking *c, const struct inspected *in)
{
	enum check_list            which = list_of(in);
	const struct setting_list *tables = &c->set->list[which];
	struct spot                at = { in, lists[which].setting, lists[which].header };
	struct bytes               value;

	if (in->text.len == 0 ||
	    (!at.header && c->set->body_most > 0 && in->from >= (uint64_t)c->set->body_most))
		return;
	for (size_t i = 0; i < tables->count; i++) {
		enum check_answer answer =
			c->needs->find(c->needs->ctx, tables->item[i],
		                       bytes_cut(in->text, 0, KEY_MOST), c->life, &value);

		switch (answer) {
		case CHECK_SAYS:
			if (!c->said->waits)
				act(c, &at, value);
			return;
		case CHECK_NOTHING: break;
		case CHECK_ENOUGH:
		case CHECK_WAIT:
			c->over |= answer == CHECK_ENOUGH;
			c->said->waits = true;
			return;
		case CHECK_LATER:
			warn_("%s map lookup problem -- message not accepted, try again later",
			      at.list);
			c->said->verdict = CHECKS_LATER;
			c->said->by = bytes_of(at.list);
			c->said->reply = BYTES("451 4.3.0 Error: queue file write error");
			c->over = true;
			return;
		}
	}
}

static void
hear_fault(struct checking *c, const struct inspected *in)
{
	const char *words = faults[in->fault].words;
	bool        eight = in->fault == FAULT_8BIT_HEADER || in->fault == FAULT_8BIT_BODY;

	if (c->said->verdict != CHECKS_PASS)
		return;
	note_it(c, arena_printf(c->life, "reject: mime-error %s", words), "", in->text, BYTES(""));
	refuse(c, eight && c->set->strict ? "strict_8bitmime" : faults[in->fault].setting,
	       bytes_of(arena_printf(c->life, "%s %s", faults[in->fault].reply, words)));
}

static void
go_through(struct checking *c, struct bytes content, const struct inspect_rules *rules)
{
	struct arena    *scratch = arena_open(NULL);
	struct inspect   i;
	struct inspected in;

	inspect_of(&i, content, rules, scratch);
	while (!c->over && inspect_next(&i, &in)) {
		if (in.what == INSPECTED_FAULT)
			hear_fault(c, &in);
		else
			look_up(c, &in);
	}
	inspect_end(&i);
	arena_close(&scratch);
}

void
checks_run(const struct checks_settings *set, const struct checks_needs *needs, struct bytes trace,
           struct bytes content, struct arena *life, struct checks_said *said)
{
	struct edits    of_trace = edits_in(life);
	struct checking c = {
		.set = set, .needs = needs, .life = life, .said = said, .edits = &of_trace
	};
	struct inspect_rules rules = { .no_mime = true };
	struct buffer        out = { 0 };

	*said = (struct checks_said){ .edits = edits_in(life) };
	go_through(&c, trace, &rules);
	if (of_trace.count > 0) {
		edits_apply(&of_trace, trace, BYTES(""), &out);
		said->traced = true;
		said->trace = arena_keep(life, buffer_bytes(&out));
		buffer_free(&out);
	}
	c.edits = &said->edits;
	rules = (struct inspect_rules){ .no_mime = set->no_mime,
		                        .no_8bit_header = set->strict || set->strict_header,
		                        .no_8bit_body = set->strict || set->strict_body,
		                        .strict_encoding = set->strict_encoding,
		                        .line_most = LINE_PIECE,
		                        .boundary_most = (size_t)set->boundary_most,
		                        .nest_most = (unsigned)set->nest_most };
	go_through(&c, content, &rules);
}
