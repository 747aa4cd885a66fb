/* wire-milter.c -- the bodies of the words about mail filters: MILTER_EVENT, MILTER_LETTER, MILTER_SAID, MILTER_MADE */
#include "role/wire_inner.h"

enum { ARGUMENTS_MOST = 1000, MACROS_MOST = 100, ENVELOPES_MOST = 20000 };

static void
pack_macros(struct buffer *b, const struct milter_macros *m)
{
	pack_u32(b, (uint32_t)m->count);
	for (size_t i = 0; i < m->count; i++) {
		pack_bytes(b, m->each[i].name);
		pack_bytes(b, m->each[i].value);
	}
}

static void
read_macros(struct reader *r, struct milter_macros *out)
{
	uint32_t             n = read_count(r, 8, MACROS_MOST);
	struct milter_macro *each = arena_take_array(r->life, n + (size_t)1, sizeof *each);

	for (uint32_t i = 0; i < n; i++) {
		each[i].name = unpack_bytes(&r->fields);
		each[i].value = unpack_bytes(&r->fields);
	}
	*out = (struct milter_macros){ each, n };
}

void
word_pack_milter_event(struct buffer *b, const struct word_milter_event *w)
{
	pack_u8(b, w->stage);
	pack_string(b, w->listener);
	pack_peer(b, &w->peer);
	pack_bool(b, w->refused);
	pack_u32(b, w->arguments);
	for (uint32_t i = 0; i < w->arguments; i++)
		pack_bytes(b, w->argument[i]);
	pack_macros(b, &w->macros);
}

bool
word_unpack_milter_event(struct bytes body, struct arena *a, struct word_milter_event *w)
{
	struct reader r = reader_of(body, a);
	struct bytes *argument;

	w->stage = read_choice(&r, MILTER_STAGES - 1);
	w->listener = read_string(&r);
	read_peer(&r, &w->peer);
	w->refused = unpack_bool(&r.fields);
	w->arguments = read_count(&r, 4, ARGUMENTS_MOST);
	w->argument = argument = arena_take_array(a, w->arguments + (size_t)1, sizeof *argument);
	for (uint32_t i = 0; i < w->arguments; i++)
		argument[i] = unpack_bytes(&r.fields);
	read_macros(&r, &w->macros);
	return reader_done(&r);
}

void
word_pack_milter_letter(struct buffer *b, const struct word_milter_letter *w)
{
	pack_bool(b, w->inside);
	pack_bytes(b, w->content);
	pack_u64(b, w->at);
	pack_u64(b, w->len);
	pack_u64(b, w->most);
	pack_bytes(b, w->fields);
	pack_macros(b, &w->macros);
}

bool
word_unpack_milter_letter(struct bytes body, struct arena *a, struct word_milter_letter *w)
{
	struct reader r = reader_of(body, a);

	w->inside = unpack_bool(&r.fields);
	w->content = unpack_bytes(&r.fields);
	w->at = unpack_u64(&r.fields);
	w->len = unpack_u64(&r.fields);
	w->most = unpack_u64(&r.fields);
	w->fields = unpack_bytes(&r.fields);
	read_macros(&r, &w->macros);
	return reader_done(&r);
}

void
word_pack_milter_said(struct buffer *b, const struct word_milter_said *w)
{
	pack_string(b, w->reply);
	pack_bool(b, w->shut);
	pack_bool(b, w->discard);
	pack_bool(b, w->hold);
	pack_u32(b, w->wants);
	pack_string(b, w->by);
	pack_string(b, w->reason);
}

static void
read_said(struct reader *r, struct word_milter_said *w)
{
	w->reply = read_string(r);
	w->shut = unpack_bool(&r->fields);
	w->discard = unpack_bool(&r->fields);
	w->hold = unpack_bool(&r->fields);
	w->wants = unpack_u32(&r->fields);
	w->by = read_string(r);
	w->reason = read_string(r);
}

bool
word_unpack_milter_said(struct bytes body, struct arena *a, struct word_milter_said *w)
{
	struct reader r = reader_of(body, a);

	read_said(&r, w);
	return reader_done(&r);
}

void
word_pack_milter_made(struct buffer *b, const struct word_milter_made *w)
{
	word_pack_milter_said(b, &w->said);
	pack_bytes(b, w->edits);
	pack_bytes(b, w->front);
	pack_bytes(b, w->checks);
	pack_u64(b, w->body_len);
	pack_u32(b, w->envelopes);
	for (uint32_t i = 0; i < w->envelopes; i++) {
		pack_u8(b, w->envelope[i].change);
		pack_bytes(b, w->envelope[i].address);
		pack_bytes(b, w->envelope[i].parameters);
	}
}

bool
word_unpack_milter_made(struct bytes body, struct arena *a, struct word_milter_made *w)
{
	struct reader           r = reader_of(body, a);
	struct milter_envelope *envelope;

	read_said(&r, &w->said);
	w->edits = unpack_bytes(&r.fields);
	w->front = unpack_bytes(&r.fields);
	w->checks = unpack_bytes(&r.fields);
	w->body_len = unpack_u64(&r.fields);
	w->envelopes = read_count(&r, 9, ENVELOPES_MOST);
	w->envelope = envelope = arena_take_array(a, w->envelopes + (size_t)1, sizeof *envelope);
	for (uint32_t i = 0; i < w->envelopes; i++) {
		envelope[i].change = read_choice(&r, MILTER_LESS_RCPT);
		envelope[i].address = unpack_bytes(&r.fields);
		envelope[i].parameters = unpack_bytes(&r.fields);
	}
	return reader_done(&r);
}
