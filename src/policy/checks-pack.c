/* checks-pack.c -- what checks said, from the verifier to the receiver */
#include "policy/checks.h"

void
checks_pack(const struct checks_said *s, struct buffer *out)
{
	struct buffer edits = { 0 };

	pack_u8(out, s->verdict);
	pack_bool(out, s->discard);
	pack_bytes(out, s->reply);
	pack_bytes(out, s->by);
	pack_bytes(out, s->hold);
	pack_bytes(out, s->filter);
	pack_bytes(out, s->redirect);
	pack_u32(out, s->copies);
	for (uint32_t i = 0; i < s->copies; i++)
		pack_bytes(out, s->copy[i]);
	pack_u32(out, s->notes);
	for (uint32_t i = 0; i < s->notes; i++) {
		pack_bytes(out, s->note[i].what);
		pack_bytes(out, s->note[i].text);
	}
	pack_bool(out, s->traced);
	pack_bytes(out, s->trace);
	edits_pack(&s->edits, &edits);
	pack_bytes(out, buffer_bytes(&edits));
	buffer_free(&edits);
}

static uint32_t
count_of(struct unpack *u, uint32_t most)
{
	uint32_t n = unpack_u32(u);

	u->broken |= n > most;
	return u->broken ? 0 : n;
}

bool
checks_unpack(struct bytes packed, struct arena *life, struct checks_said *s)
{
	struct unpack u = unpack_of(packed);
	struct bytes  edits;

	*s = (struct checks_said){ .verdict = unpack_u8(&u) };
	s->discard = unpack_bool(&u);
	s->reply = unpack_bytes(&u);
	s->by = unpack_bytes(&u);
	s->hold = unpack_bytes(&u);
	s->filter = unpack_bytes(&u);
	s->redirect = unpack_bytes(&u);
	s->copies = count_of(&u, CHECK_COPIES_MOST);
	s->copy = arena_take_array(life, s->copies + (size_t)1, sizeof *s->copy);
	for (uint32_t i = 0; i < s->copies; i++)
		s->copy[i] = unpack_bytes(&u);
	s->notes = count_of(&u, CHECK_NOTES_MOST);
	s->note = arena_take_array(life, s->notes + (size_t)1, sizeof *s->note);
	for (uint32_t i = 0; i < s->notes; i++) {
		s->note[i].what = unpack_bytes(&u);
		s->note[i].text = unpack_bytes(&u);
	}
	s->traced = unpack_bool(&u);
	s->trace = unpack_bytes(&u);
	edits = unpack_bytes(&u);
	return unpack_done(&u) && s->verdict <= CHECKS_LATER &&
	       edits_unpack(edits, life, &s->edits);
}
