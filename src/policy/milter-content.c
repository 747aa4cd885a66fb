/* The letter goes through the chain: its fields, its body, and what each filter makes of them. */
#include "policy/milter_inner.h"

#include <string.h>

enum { HEAD_PIECE = 64 << 10, HEAD_MOST = 8 << 20, ENVELOPES_MOST = 10000 };

/*
 * Before the first filter
 */

/* Where the header section ends, with its last line end and without the empty line; -1: not yet. */
static ptrdiff_t
head_end(struct bytes head)
{
	ptrdiff_t at;

	if (bytes_starts(head, BYTES("\r\n")))
		return 0;
	at = bytes_search(head, BYTES("\r\n\r\n"));
	return at < 0 ? -1 : at + 2;
}

/* -1: it cannot be read, or has no end. */
static ptrdiff_t
read_head(struct milter_chain *c, struct buffer *head)
{
	const struct milter_content *in = &c->pass->in;

	while (head->len < in->len) {
		int64_t   n = c->needs->read(in->source, head->len, buffer_room(head, HEAD_PIECE),
		                             HEAD_PIECE);
		ptrdiff_t end;

		if (n <= 0)
			return -1;
		buffer_took(head, (size_t)n);
		if ((end = head_end(buffer_bytes(head))) >= 0)
			return end;
		if (head->len > HEAD_MOST)
			return -1;
	}
	return (ptrdiff_t)head->len;
}

bool
content_read_header(struct milter_chain *c)
{
	struct milter_pass *p = c->pass;
	struct buffer       head = { 0 };
	ptrdiff_t           end = read_head(c, &head);

	if (end < 0)
		(void)member_refuses(&c->member[0],
		                     "451 4.7.1 Service unavailable - try again later", false);
	else {
		milter_header_read(&p->header, p->life,
		                   arena_keep(p->life,
		                              bytes_cut(buffer_bytes(&head), 0, (size_t)end)));
		p->body.source = p->in.source;
		milter_header_append(&p->header, p->in.fields);
		p->no_body = (uint64_t)end + 2 > p->in.len;
		p->body_at = p->body.at = p->no_body ? p->in.len : (uint64_t)end + 2;
		p->body.len = p->in.len - p->body.at;
		content_begin_member(p);
	}
	buffer_free(&head);
	return end >= 0;
}

void
content_begin_member(struct milter_pass *p)
{
	p->phase = PHASE_FIELDS;
	p->field = 0;
	p->told = 0;
	p->skipped = false;
}

/*
 * Telling one filter
 */

static enum member_step
wait_for(struct milter_member *m)
{
	milter_line_wait(m->line, m->milter->content_ms);
	return STEP_WAIT;
}

/* So much waits already that it is to be sent first. */
static bool
is_behind(struct milter_member *m)
{
	return m->chain->needs->pending(m->line->mouth) > MILTER_PENDING_MOST;
}

static void
say_field(struct milter_member *m, const struct milter_field *f)
{
	struct bytes value = f->value;

	if (!(m->line->steps & STEP_LEADING_BLANK) && value.len > 0 && value.at[0] == ' ')
		value = bytes_cut(value, 1, value.len);
	milter_say_header(milter_line_out(m->line), f->name, value);
}

static enum member_step
tell_fields(struct milter_member *m)
{
	struct milter_pass *p = m->chain->pass;

	while (!(m->line->steps & STEP_NO_HEADERS) && p->field < p->header.count) {
		const struct milter_field *f = &p->header.field[p->field++];

		if (f->own)
			continue;
		say_field(m, f);
		if (!(m->line->steps & STEP_MUTE_HEADER))
			return wait_for(m);
		if (is_behind(m))
			return STEP_WAIT;
	}
	p->phase = PHASE_END_OF_HEADER;
	return STEP_NEXT;
}

static void
say_macros(struct milter_member *m, enum milter_stage stage)
{
	struct milter_macros lists[2];

	chain_macros(m->chain, lists);
	milter_line_macros(m->line, stage, lists, 2);
}

static enum member_step
tell_end_of_header(struct milter_member *m)
{
	m->chain->pass->phase = PHASE_BODY;
	if (m->line->steps & STEP_NO_HEADER_END)
		return STEP_NEXT;
	say_macros(m, STAGE_END_OF_HEADER);
	milter_say(milter_line_out(m->line), MILTER_HEADER_END);
	return m->line->steps & STEP_MUTE_HEADER_END ? STEP_NEXT : wait_for(m);
}

/* Straight from the file into what is sent; false: it cannot be read. */
static bool
say_chunk(struct milter_member *m, size_t len)
{
	struct milter_pass *p = m->chain->pass;
	struct buffer      *out = milter_line_out(m->line);
	size_t              begun = milter_begin(out, MILTER_BODY);
	int64_t             n = m->chain->needs->read(p->body.source, p->body.at + p->told,
	                                              buffer_room(out, len), len);

	if (n <= 0) {
		out->len = begun;
		return false;
	}
	buffer_took(out, (size_t)n);
	milter_end(out, begun);
	p->told += (uint64_t)n;
	return true;
}

static enum member_step
tell_body(struct milter_member *m)
{
	struct milter_pass *p = m->chain->pass;

	while (!(m->line->steps & STEP_NO_BODY) && !p->skipped && p->told < p->body.len) {
		uint64_t left = p->body.len - p->told;

		if (!say_chunk(m, left < MILTER_CHUNK ? (size_t)left : MILTER_CHUNK))
			return member_failed(m, "the letter cannot be read for it");
		if (!(m->line->steps & STEP_MUTE_BODY))
			return wait_for(m);
		if (is_behind(m))
			return STEP_WAIT;
	}
	p->phase = PHASE_END;
	return STEP_NEXT;
}

static enum member_step
tell_end(struct milter_member *m)
{
	say_macros(m, STAGE_END_OF_DATA);
	milter_say(milter_line_out(m->line), MILTER_BODY_END);
	m->in_mail = false;
	return wait_for(m);
}

enum member_step
content_step(struct milter_member *m)
{
	static enum member_step (*const tell[])(struct milter_member *) = {
		[PHASE_FIELDS] = tell_fields,
		[PHASE_END_OF_HEADER] = tell_end_of_header,
		[PHASE_BODY] = tell_body,
		[PHASE_END] = tell_end,
	};
	struct milter_pass *p = m->chain->pass;
	enum member_step    step = STEP_NEXT;

	if (m->state == MEMBER_REFUSES)
		return member_refuses(m, m->reply, m->shut);
	if (m->state == MEMBER_DOWN)
		return member_default(m);
	if (m->state != MEMBER_ON)
		return STEP_NEXT;
	while (step == STEP_NEXT && p->phase != PHASE_END)
		step = tell[p->phase](m);
	return step == STEP_NEXT && m->state == MEMBER_ON ? tell_end(m) : step;
}

/*
 * What it makes of the letter
 */

static void
drop_coming(struct milter_chain *c)
{
	if (c->pass->coming != NULL)
		c->needs->source_close(&c->pass->coming);
	c->pass->coming_len = 0;
	c->pass->coming_cr = c->pass->coming_line = false;
}

/* Lines end with CRLF, whatever the filter says; a CR that ends none becomes a blank, as in letters that come in. */
static void
clean_lines(struct milter_pass *p, struct bytes piece, struct buffer *out)
{
	for (size_t i = 0; i < piece.len; i++) {
		char ch = piece.at[i];

		if (p->coming_cr && ch != '\n')
			buffer_add_char(out, ' ');
		p->coming_cr = ch == '\r';
		if (ch == '\n')
			buffer_add_char(out, '\r');
		if (ch != '\r')
			buffer_add_char(out, ch);
		p->coming_line = ch != '\n';
	}
}

static const char *
more_body(struct milter_chain *c, struct bytes piece)
{
	struct milter_pass *p = c->pass;
	struct buffer       lines = { 0 };
	bool                good;

	if (p->coming == NULL)
		p->coming = c->needs->source_open(c->house);
	clean_lines(p, piece, &lines);
	good = p->coming != NULL && p->coming_len + lines.len <= p->in.most &&
	       c->needs->source_add(p->coming, buffer_bytes(&lines));
	p->coming_len += lines.len;
	buffer_free(&lines);
	return good ? NULL : "there is no room for the body it makes";
}

/* "<jack@example.com>" or without the brackets. */
static struct bytes
bare_address(struct bytes text)
{
	text = bytes_trim(text);
	if (text.len >= 2 && text.at[0] == '<' && text.at[text.len - 1] == '>')
		return bytes_cut(text, 1, text.len - 2);
	return text;
}

static const char *
change_envelope(struct milter_chain *c, enum milter_envelope_change what,
                const struct milter_answer *a)
{
	struct milter_pass *p = c->pass;

	if (p->envelopes == p->envelope_room) {
		size_t                  room = p->envelopes == 0 ? 8 : 2 * p->envelopes;
		struct milter_envelope *more = arena_take_array(p->life, room, sizeof *more);

		if (p->envelopes > 0)
			memcpy(more, p->envelope, p->envelopes * sizeof *more);
		p->envelope = more;
		p->envelope_room = room;
	}
	if (p->envelopes >= ENVELOPES_MOST)
		return "it changes too much of the envelope";
	p->envelope[p->envelopes++] = (struct milter_envelope){
		.change = (uint8_t)what,
		.address = arena_keep(p->life, bare_address(a->name)),
		.parameters = arena_keep(p->life, a->value),
	};
	return NULL;
}

static void
hold_letter(struct milter_member *m, struct bytes reason)
{
	struct milter_chain *c = m->chain;

	c->answer.hold = true;
	c->answer.by = m->milter->name;
	c->answer.reason = arena_copy(c->scratch, reason);
}

/* Which action each change needs. */
static uint32_t
action_of(uint8_t word)
{
	/* clang-format off */
	static const struct { uint8_t word; uint32_t action; } rows[] = {
		{ MILTER_ADD_HEADER, ACTION_ADD_HEADER },       { MILTER_INSERT_HEADER, ACTION_ADD_HEADER },
		{ MILTER_CHANGE_HEADER, ACTION_CHANGE_HEADER }, { MILTER_REPLACE_BODY, ACTION_CHANGE_BODY },
		{ MILTER_CHANGE_FROM, ACTION_CHANGE_FROM },     { MILTER_ADD_RCPT, ACTION_ADD_RCPT },
		{ MILTER_ADD_RCPT_PAR, ACTION_ADD_RCPT_PAR },   { MILTER_DELETE_RCPT, ACTION_DELETE_RCPT },
		{ MILTER_QUARANTINE, ACTION_QUARANTINE },
	};
	/* clang-format on */

	for (size_t i = 0; i < COUNT(rows); i++)
		if (rows[i].word == word)
			return rows[i].action;
	return 0;
}

/* NULL, or what is wrong with it. */
static const char *
make_change(struct milter_member *m, const struct milter_answer *a)
{
	static const char     bad[] = "it makes a header field that is none, or too many";
	struct milter_chain  *c = m->chain;
	struct milter_header *h = &c->pass->header;
	const char           *space = m->line->steps & STEP_LEADING_BLANK ? "" : " ";

	switch (a->word) {
	case MILTER_ADD_HEADER: return milter_header_add(h, a->name, space, a->value) ? NULL : bad;
	case MILTER_INSERT_HEADER:
		return milter_header_insert(h, a->index, a->name, space, a->value) ? NULL : bad;
	case MILTER_CHANGE_HEADER:
		return milter_header_change(h, a->index, a->name, space, a->value) ? NULL : bad;
	case MILTER_REPLACE_BODY: return more_body(c, a->value);
	case MILTER_CHANGE_FROM: return change_envelope(c, MILTER_NEW_SENDER, a);
	case MILTER_ADD_RCPT:
	case MILTER_ADD_RCPT_PAR: return change_envelope(c, MILTER_MORE_RCPT, a);
	case MILTER_DELETE_RCPT: return change_envelope(c, MILTER_LESS_RCPT, a);
	default: break;
	}
	hold_letter(m, a->value);
	return NULL;
}

/* Its new body is what the next one sees. */
static void
take_body(struct milter_chain *c)
{
	struct milter_pass *p = c->pass;

	if (p->coming == NULL)
		return;
	if (p->coming_line)
		(void)more_body(c, BYTES("\n"));
	if (p->new_body != NULL)
		c->needs->source_close(&p->new_body);
	p->new_body = p->coming;
	p->new_len = p->coming_len;
	p->coming = NULL;
	drop_coming(c);
	p->body = (struct milter_source){ p->new_body, 0, p->new_len };
}

static enum member_step
answer_of_end(struct milter_member *m, const struct milter_answer *a)
{
	const char *wrong;

	if (is_verdict(a->word)) {
		enum member_step step = member_verdict(m, a, false);

		if (m->state == MEMBER_ON || m->state == MEMBER_CONTENT)
			take_body(m->chain);
		else
			drop_coming(m->chain);
		return step;
	}
	if (action_of(a->word) == 0 || !(m->line->actions & action_of(a->word)))
		wrong = "it does what it did not ask to be allowed";
	else
		wrong = make_change(m, a);
	if (wrong == NULL)
		return wait_for(m);
	drop_coming(m->chain);
	return member_failed(m, wrong);
}

enum member_step
content_answer(struct milter_member *m, const struct milter_answer *a)
{
	struct milter_pass *p = m->chain->pass;
	enum member_step    step;

	if (p->phase == PHASE_END)
		return answer_of_end(m, a);
	if (a->word == MILTER_SKIP && p->phase == PHASE_BODY && m->line->steps & STEP_SKIP)
		p->skipped = true;
	else if (a->word != MILTER_CONTINUE) {
		step = member_verdict(m, a, false);
		m->in_mail = m->in_mail && m->line != NULL;
		return step;
	}
	return content_step(m);
}

/*
 * After the last filter
 */

static bool
gather_edits(struct milter_chain *c, struct milter_made *made, struct buffer *front)
{
	struct milter_pass *p = c->pass;
	struct edit         e = { .at = p->body_at, .file_len = p->new_len };

	if (!milter_header_edits(&p->header, &made->edits, front))
		return false;
	if (p->new_body == NULL)
		return true;
	/* A letter that had no empty line gets one with its body. */
	e.len = p->in.len - e.at;
	if (p->no_body)
		e.instead = BYTES("\r\n");
	return edits_add(&made->edits, &e);
}

void
content_end(struct milter_chain *c)
{
	struct milter_pass *p = c->pass;
	struct milter_made  made = { .envelope = p->envelope, .envelopes = p->envelopes };
	struct buffer       front = { 0 };

	made.edits = edits_in(p->life);
	drop_coming(c);
	if (c->answer.reply == NULL && !c->answer.discard) {
		if (!gather_edits(c, &made, &front))
			(void)member_refuses(&c->member[0],
			                     "554 5.6.0 The filters changed too much", false);
		made.body = p->new_body;
		p->new_body = NULL;
	}
	made.front = buffer_bytes(&front);
	made.said = c->answer;
	if (c->answer.reply != NULL)
		made.edits.count = 0;
	content_drop(c);
	c->made(c->ctx, &made);
	buffer_free(&front);
}

void
content_drop(struct milter_chain *c)
{
	struct milter_pass *p = c->pass;

	c->pass = NULL;
	if (p == NULL)
		return;
	if (p->coming != NULL)
		c->needs->source_close(&p->coming);
	if (p->new_body != NULL)
		c->needs->source_close(&p->new_body);
}
