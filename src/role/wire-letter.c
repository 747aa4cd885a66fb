/* wire-letter.c -- the bodies of words about letters, from the receiver to the keepers, and about sessions */
#include "role/wire_inner.h"

#include "directory/directory.h"
#include "directory/table.h"
#include "message/digest.h"
#include "message/envelope.h"
#include "message/search.h"
#include "policy/clamd.h"

void
word_pack_segment(struct buffer *b, const struct word_segment *w)
{
	pack_u32(b, w->number);
	pack_u64(b, w->size);
	pack_bool(b, w->own);
	pack_u32(b, (uint32_t)w->why);
}

bool
word_unpack_segment(struct bytes body, struct arena *life, struct word_segment *w)
{
	struct reader r = reader_of(body, life);

	w->number = unpack_u32(&r.fields);
	w->size = unpack_u64(&r.fields);
	w->own = unpack_bool(&r.fields);
	w->why = read_i32(&r);
	return reader_done(&r);
}

void
word_pack_lookup(struct buffer *b, const struct word_lookup *w)
{
	pack_peer(b, &w->peer);
}

bool
word_unpack_lookup(struct bytes body, struct arena *life, struct word_lookup *w)
{
	struct reader r = reader_of(body, life);

	read_peer(&r, &w->peer);
	return reader_done(&r);
}

void
word_pack_looked(struct buffer *b, const struct word_looked *w)
{
	pack_u8(b, w->class);
	pack_bytes(b, w->name);
	pack_bytes(b, w->reverse);
}

bool
word_unpack_looked(struct bytes body, struct arena *life, struct word_looked *w)
{
	struct reader r = reader_of(body, life);

	w->class = unpack_u8(&r.fields);
	w->name = unpack_bytes(&r.fields);
	w->reverse = unpack_bytes(&r.fields);
	return reader_done(&r);
}

void
word_pack_judge(struct buffer *b, const struct word_judge *w)
{
	pack_bool(b, w->inside);
	pack_bytes(b, w->content);
	pack_u64(b, w->at);
	pack_u64(b, w->len);
	pack_bool(b, w->append);
	pack_string(b, w->listener);
	pack_bytes(b, w->trace);
	pack_bytes(b, w->known);
	pack_bytes(b, w->client);
	pack_bytes(b, w->helo);
	pack_bytes(b, w->sender);
	pack_bytes(b, w->user);
	pack_peer(b, &w->peer);
}

bool
word_unpack_judge(struct bytes body, struct arena *life, struct word_judge *w)
{
	struct reader r = reader_of(body, life);

	w->inside = unpack_bool(&r.fields);
	w->content = unpack_bytes(&r.fields);
	w->at = unpack_u64(&r.fields);
	w->len = unpack_u64(&r.fields);
	w->append = unpack_bool(&r.fields);
	w->listener = read_string(&r);
	w->trace = unpack_bytes(&r.fields);
	w->known = unpack_bytes(&r.fields);
	w->client = unpack_bytes(&r.fields);
	w->helo = unpack_bytes(&r.fields);
	w->sender = unpack_bytes(&r.fields);
	w->user = unpack_bytes(&r.fields);
	read_peer(&r, &w->peer);
	return reader_done(&r);
}

void
word_pack_judged(struct buffer *b, const struct word_judged *w)
{
	pack_u8(b, w->verdict);
	pack_string(b, w->reply);
	pack_bytes(b, w->prefix);
	pack_bytes(b, w->digest);
	pack_bytes(b, w->said);
}

bool
word_unpack_judged(struct bytes body, struct arena *life, struct word_judged *w)
{
	struct reader r = reader_of(body, life);

	w->verdict = read_choice(&r, JUDGE_ASKS);
	w->reply = read_string(&r);
	w->prefix = unpack_bytes(&r.fields);
	w->digest = unpack_bytes(&r.fields);
	w->said = unpack_bytes(&r.fields);
	return reader_done(&r);
}

void
word_pack_scan(struct buffer *b, const struct word_scan *w)
{
	pack_string(b, w->listener);
	pack_bool(b, w->inside);
	pack_bytes(b, w->content);
	pack_u64(b, w->at);
	pack_u64(b, w->len);
}

bool
word_unpack_scan(struct bytes body, struct arena *life, struct word_scan *w)
{
	struct reader r = reader_of(body, life);

	w->listener = read_string(&r);
	w->inside = unpack_bool(&r.fields);
	w->content = unpack_bytes(&r.fields);
	w->at = unpack_u64(&r.fields);
	w->len = unpack_u64(&r.fields);
	return reader_done(&r);
}

void
word_pack_scanned(struct buffer *b, const struct word_scanned *w)
{
	pack_u8(b, w->answer);
	pack_bytes(b, w->name);
}

bool
word_unpack_scanned(struct bytes body, struct arena *life, struct word_scanned *w)
{
	struct reader r = reader_of(body, life);

	w->answer = read_choice(&r, CLAMD_FAILED);
	w->name = unpack_bytes(&r.fields);
	return reader_done(&r);
}

void
word_pack_letter(struct buffer *b, const struct word_letter *w)
{
	pack_u64(b, w->letter);
	pack_u32(b, w->envelope_segment);
	pack_u64(b, w->envelope_at);
	pack_u64(b, w->content_len);
	pack_i64(b, w->arrived_us);
	pack_u32(b, w->flags);
	pack_bytes(b, w->sender);
	pack_bytes(b, w->message_id);
	pack_bytes(b, w->client);
	handling_pack(&w->handling, b);
	pack_u32(b, w->recipients);
	for (uint32_t i = 0; i < w->recipients; i++) {
		pack_bytes(b, w->recipient[i].address);
		pack_bytes(b, w->recipient[i].orcpt);
		pack_u8(b, w->recipient[i].notify);
	}
}

bool
word_unpack_letter(struct bytes body, struct arena *life, struct word_letter *w)
{
	enum {
		EACH = 4 + 4 + 1,
		NOTIFY_ALL = NOTIFY_NEVER | NOTIFY_SUCCESS | NOTIFY_FAILURE | NOTIFY_DELAY,
	};
	struct reader            r = reader_of(body, life);
	struct letter_recipient *recipient;

	w->letter = unpack_u64(&r.fields);
	w->envelope_segment = unpack_u32(&r.fields);
	w->envelope_at = unpack_u64(&r.fields);
	w->content_len = unpack_u64(&r.fields);
	w->arrived_us = unpack_i64(&r.fields);
	w->flags = unpack_u32(&r.fields);
	w->sender = unpack_bytes(&r.fields);
	w->message_id = unpack_bytes(&r.fields);
	w->client = unpack_bytes(&r.fields);
	if (!handling_unpack(&r.fields, &w->handling))
		return false;
	w->recipients = read_count(&r, EACH, ENVELOPE_RECIPIENTS_MOST);
	recipient = arena_take_array(life, w->recipients, sizeof *recipient);
	for (uint32_t i = 0; i < w->recipients; i++) {
		recipient[i].address = unpack_bytes(&r.fields);
		recipient[i].orcpt = unpack_bytes(&r.fields);
		recipient[i].notify = read_choice(&r, NOTIFY_ALL);
	}
	w->recipient = recipient;
	return reader_done(&r);
}

void
word_pack_deliver(struct buffer *b, const struct word_deliver *w)
{
	pack_u64(b, w->letter);
	pack_u32(b, w->envelope_segment);
	pack_u64(b, w->envelope_at);
	pack_u64(b, w->account);
	pack_bytes(b, w->address);
	pack_bytes(b, w->original);
	pack_bytes(b, w->detail);
	pack_bytes(b, w->sender);
	pack_bytes(b, w->entered);
	pack_bytes(b, w->passed);
	pack_bool(b, w->aside);
}

bool
word_unpack_deliver(struct bytes body, struct arena *life, struct word_deliver *w)
{
	struct reader r = reader_of(body, life);

	w->letter = unpack_u64(&r.fields);
	w->envelope_segment = unpack_u32(&r.fields);
	w->envelope_at = unpack_u64(&r.fields);
	w->account = unpack_u64(&r.fields);
	w->address = unpack_bytes(&r.fields);
	w->original = unpack_bytes(&r.fields);
	w->detail = unpack_bytes(&r.fields);
	w->sender = unpack_bytes(&r.fields);
	w->entered = unpack_bytes(&r.fields);
	w->passed = unpack_bytes(&r.fields);
	w->aside = unpack_bool(&r.fields);
	return reader_done(&r);
}

void
word_pack_delivered(struct buffer *b, const struct word_delivered *w)
{
	pack_u8(b, w->result);
	pack_string(b, w->status);
	pack_string(b, w->text);
	pack_bool(b, w->again);
	pack_u32(b, w->targets);
	for (uint32_t i = 0; i < w->targets; i++) {
		pack_u64(b, w->target[i].account);
		pack_bytes(b, w->target[i].address);
		pack_bytes(b, w->target[i].detail);
	}
}

bool
word_unpack_delivered(struct bytes body, struct arena *life, struct word_delivered *w)
{
	enum { EACH = 8 + 4 + 4 };
	struct reader          r = reader_of(body, life);
	struct resolve_target *target;

	w->result = read_choice(&r, DELIVER_FORWARDED);
	w->status = read_string(&r);
	w->text = read_string(&r);
	w->again = unpack_bool(&r.fields);
	w->targets = read_count(&r, EACH, ENVELOPE_RECIPIENTS_MOST);
	target = arena_take_array(life, w->targets, sizeof *target);
	for (uint32_t i = 0; i < w->targets; i++) {
		target[i].account = unpack_u64(&r.fields);
		target[i].address = unpack_bytes(&r.fields);
		target[i].detail = unpack_bytes(&r.fields);
	}
	w->target = target;
	return reader_done(&r);
}

bool
word_delivered_fits(const struct word_delivered *w, uint32_t keeper)
{
	if (w->result != DELIVER_FORWARDED)
		return w->targets == 0;
	for (uint32_t i = 0; i < w->targets; i++)
		if (w->target[i].account != 0 &&
		    (!is_system_account(w->target[i].account) ||
		     (KEEPER_OF_USER | system_uid(w->target[i].account)) != keeper))
			return false;
	return (keeper & KEEPER_OF_USER) != 0;
}

void
word_pack_session(struct buffer *b, const struct word_session *w)
{
	pack_string(b, w->protocol);
	pack_string(b, w->user);
	pack_u64(b, w->account);
	pack_string(b, w->method);
	pack_peer(b, &w->peer);
	pack_peer(b, &w->here);
	pack_bool(b, w->tls);
	pack_string(b, w->tls_text);
	pack_string(b, w->session);
	pack_string(b, w->tag);
	pack_bytes(b, w->last);
	pack_bytes(b, w->unread);
	pack_bytes(b, w->pass);
	pack_string(b, w->offers);
}

bool
word_unpack_session(struct bytes body, struct arena *life, struct word_session *w)
{
	struct reader r = reader_of(body, life);

	w->protocol = read_string(&r);
	w->user = read_string(&r);
	w->account = unpack_u64(&r.fields);
	w->method = read_string(&r);
	read_peer(&r, &w->peer);
	read_peer(&r, &w->here);
	w->tls = unpack_bool(&r.fields);
	w->tls_text = read_string(&r);
	w->session = read_string(&r);
	w->tag = read_string(&r);
	w->last = unpack_bytes(&r.fields);
	w->unread = unpack_bytes(&r.fields);
	w->pass = unpack_bytes(&r.fields);
	w->offers = read_string(&r);
	return reader_done(&r);
}

void
word_pack_decode(struct buffer *b, const struct word_decode *w)
{
	pack_u8(b, w->encoding);
	pack_u64(b, w->at);
	pack_u64(b, w->len);
	pack_u64(b, w->from);
	pack_u64(b, w->most);
	pack_bool(b, w->counts);
	pack_bytes(b, w->fields);
	pack_bool(b, w->others);
}

bool
word_unpack_decode(struct bytes body, struct arena *life, struct word_decode *w)
{
	struct reader r = reader_of(body, life);

	w->encoding = read_choice(&r, ENCODED_OTHER);
	w->at = unpack_u64(&r.fields);
	w->len = unpack_u64(&r.fields);
	w->from = unpack_u64(&r.fields);
	w->most = unpack_u64(&r.fields);
	w->counts = unpack_bool(&r.fields);
	w->fields = unpack_bytes(&r.fields);
	w->others = unpack_bool(&r.fields);
	return reader_done(&r);
}

void
word_pack_decoded(struct buffer *b, const struct word_decoded *w)
{
	pack_bool(b, w->good);
	pack_bool(b, w->nul);
	pack_u64(b, w->total);
	pack_u64(b, w->coded);
	pack_u64(b, w->plain);
	pack_bytes(b, w->part);
}

bool
word_unpack_decoded(struct bytes body, struct arena *life, struct word_decoded *w)
{
	struct reader r = reader_of(body, life);

	w->good = unpack_bool(&r.fields);
	w->nul = unpack_bool(&r.fields);
	w->total = unpack_u64(&r.fields);
	w->coded = unpack_u64(&r.fields);
	w->plain = unpack_u64(&r.fields);
	w->part = unpack_bytes(&r.fields);
	return reader_done(&r);
}

static void
pack_extents(struct buffer *b, const struct letter_extent *letter, uint32_t letters)
{
	pack_u32(b, letters);
	for (uint32_t i = 0; i < letters; i++) {
		pack_u64(b, letter[i].at);
		pack_u64(b, letter[i].len);
	}
}

static const struct letter_extent *
read_extents(struct reader *r, uint32_t *letters)
{
	struct letter_extent *letter;

	*letters = unpack_u32(&r->fields);
	if (*letters > r->fields.rest.len / 16) {
		r->fields.broken = true;
		*letters = 0;
	}
	letter = arena_take_array(r->life, *letters + (size_t)1, sizeof *letter);
	for (uint32_t i = 0; i < *letters; i++) {
		letter[i].at = unpack_u64(&r->fields);
		letter[i].len = unpack_u64(&r->fields);
	}
	return letter;
}

void
word_pack_seek(struct buffer *b, const struct word_seek *w)
{
	pack_u8(b, w->where);
	pack_bytes(b, w->field);
	pack_bytes(b, w->needle);
	pack_extents(b, w->letter, w->letters);
}

bool
word_unpack_seek(struct bytes body, struct arena *life, struct word_seek *w)
{
	struct reader r = reader_of(body, life);

	w->where = read_choice(&r, SEARCH_TEXT);
	w->field = unpack_bytes(&r.fields);
	w->needle = unpack_bytes(&r.fields);
	w->letter = read_extents(&r, &w->letters);
	return reader_done(&r);
}

void
word_pack_text(struct buffer *b, const struct word_text *w)
{
	pack_extents(b, w->letter, w->letters);
}

bool
word_unpack_text(struct bytes body, struct arena *life, struct word_text *w)
{
	struct reader r = reader_of(body, life);

	w->letter = read_extents(&r, &w->letters);
	return reader_done(&r);
}

void
word_pack_texted(struct buffer *b, const struct word_texted *w)
{
	pack_u32(b, w->letters);
	for (uint32_t i = 0; i < w->letters; i++) {
		pack_u8(b, w->letter[i].state);
		pack_bytes(b, w->letter[i].header);
		pack_bytes(b, w->letter[i].body);
	}
}

bool
word_unpack_texted(struct bytes body, struct arena *life, struct word_texted *w)
{
	struct reader        r = reader_of(body, life);
	struct letter_texts *letter;

	w->letters = unpack_u32(&r.fields);
	if (w->letters > r.fields.rest.len / 9)
		return false;
	letter = arena_take_array(life, w->letters + (size_t)1, sizeof *letter);
	for (uint32_t i = 0; i < w->letters; i++) {
		letter[i].state = read_choice(&r, TEXT_LATER);
		letter[i].header = unpack_bytes(&r.fields);
		letter[i].body = unpack_bytes(&r.fields);
	}
	w->letter = letter;
	return reader_done(&r);
}

void
word_pack_moved(struct buffer *b, const struct word_moved *w)
{
	pack_u32(b, w->segment);
	pack_u32(b, w->letters);
	for (uint32_t i = 0; i < w->letters; i++) {
		pack_u64(b, w->letter[i].letter);
		pack_u32(b, w->letter[i].content_segment);
		pack_u64(b, w->letter[i].content_at);
		pack_u64(b, w->letter[i].content_len);
		pack_u32(b, w->letter[i].envelope_segment);
		pack_u64(b, w->letter[i].envelope_at);
	}
}

bool
word_unpack_moved(struct bytes body, struct arena *life, struct word_moved *w)
{
	enum { EACH = 8 + 4 + 8 + 8 + 4 + 8 };
	struct reader        r = reader_of(body, life);
	struct moved_letter *letter;

	w->segment = unpack_u32(&r.fields);
	w->letters = read_count(&r, EACH, UINT32_MAX);
	letter = arena_take_array(life, w->letters, sizeof *letter);
	for (uint32_t i = 0; i < w->letters; i++) {
		letter[i].letter = unpack_u64(&r.fields);
		letter[i].content_segment = unpack_u32(&r.fields);
		letter[i].content_at = unpack_u64(&r.fields);
		letter[i].content_len = unpack_u64(&r.fields);
		letter[i].envelope_segment = unpack_u32(&r.fields);
		letter[i].envelope_at = unpack_u64(&r.fields);
	}
	w->letter = letter;
	return reader_done(&r);
}
