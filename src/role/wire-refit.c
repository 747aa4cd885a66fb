/* wire-refit.c -- the bodies of REFIT and REFITTED */
#include "role/wire_inner.h"

enum { EACH_PAIR = 4 + 4, EACH_ADDRESS = 4, ADDRESSES_MOST = 5000 };

void
word_pack_refit(struct buffer *b, const struct word_refit *w)
{
	pack_string(b, w->transport);
	pack_bool(b, w->lmtp);
	pack_bool(b, w->tell);
	pack_bool(b, w->checks);
	pack_bool(b, w->seven);
	pack_u64(b, w->at);
	pack_u64(b, w->len);
	pack_u32(b, w->pairs);
	for (uint32_t i = 0; i < w->pairs; i++) {
		pack_bytes(b, w->pair[i].old);
		pack_bytes(b, w->pair[i].instead);
	}
	pack_bytes(b, w->known);
}

bool
word_unpack_refit(struct bytes body, struct arena *life, struct word_refit *w)
{
	struct reader      r = reader_of(body, life);
	struct refit_pair *pair;

	w->transport = read_string(&r);
	w->lmtp = unpack_bool(&r.fields);
	w->tell = unpack_bool(&r.fields);
	w->checks = unpack_bool(&r.fields);
	w->seven = unpack_bool(&r.fields);
	w->at = unpack_u64(&r.fields);
	w->len = unpack_u64(&r.fields);
	w->pairs = read_count(&r, EACH_PAIR, ADDRESSES_MOST);
	pair = arena_take_array(life, w->pairs, sizeof *pair);
	for (uint32_t i = 0; i < w->pairs; i++) {
		pair[i].old = unpack_bytes(&r.fields);
		pair[i].instead = unpack_bytes(&r.fields);
	}
	w->pair = pair;
	w->known = unpack_bytes(&r.fields);
	return reader_done(&r);
}

void
word_pack_refitted(struct buffer *b, const struct word_refitted *w)
{
	pack_u8(b, w->answer);
	pack_bool(b, w->is_signed);
	pack_bytes(b, w->edits);
	pack_u32(b, w->addresses);
	for (uint32_t i = 0; i < w->addresses; i++)
		pack_bytes(b, w->address[i]);
}

bool
word_unpack_refitted(struct bytes body, struct arena *life, struct word_refitted *w)
{
	struct reader r = reader_of(body, life);
	struct bytes *address;

	w->answer = read_choice(&r, REFIT_ASKS);
	w->is_signed = unpack_bool(&r.fields);
	w->edits = unpack_bytes(&r.fields);
	w->addresses = read_count(&r, EACH_ADDRESS, ADDRESSES_MOST);
	address = arena_take_array(life, w->addresses, sizeof *address);
	for (uint32_t i = 0; i < w->addresses; i++)
		address[i] = unpack_bytes(&r.fields);
	w->address = address;
	return reader_done(&r);
}
