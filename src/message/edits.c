#include "message/edits.h"

#include <string.h>

enum { EDIT_LEAST = 8 + 8 + 4 + 8 + 8 };

struct edits
edits_in(struct arena *life)
{
	return (struct edits){ ._life = life };
}

static bool
follows(const struct edit *before, const struct edit *next)
{
	uint64_t end;

	return !__builtin_add_overflow(before->at, before->len, &end) && next->at >= end;
}

static void
make_room(struct edits *e)
{
	uint32_t     room = e->_room == 0 ? 8 : 2 * e->_room;
	struct edit *more;

	if (e->count < e->_room)
		return;
	more = arena_take_array(e->_life, room, sizeof *more);
	if (e->count > 0)
		memcpy(more, e->edit, e->count * sizeof *more);
	e->edit = more;
	e->_room = room;
}

/* What is put in at the place where bytes go comes before what stands instead of them. */
bool
edits_add(struct edits *e, const struct edit *one)
{
	uint32_t i = e->count;

	while (i > 0 && (e->edit[i - 1].at > one->at ||
	                 (e->edit[i - 1].at == one->at && e->edit[i - 1].len > 0 && one->len == 0)))
		i--;
	if (e->count >= EDITS_MOST || (i > 0 && !follows(&e->edit[i - 1], one)) ||
	    (i < e->count && !follows(one, &e->edit[i])))
		return false;
	make_room(e);
	memmove(e->edit + i + 1, e->edit + i, (e->count - i) * sizeof *e->edit);
	e->edit[i] = *one;
	e->count++;
	return true;
}

void
edits_pack(const struct edits *e, struct buffer *out)
{
	pack_u32(out, e->count);
	for (uint32_t i = 0; i < e->count; i++) {
		pack_u64(out, e->edit[i].at);
		pack_u64(out, e->edit[i].len);
		pack_bytes(out, e->edit[i].instead);
		pack_u64(out, e->edit[i].file_at);
		pack_u64(out, e->edit[i].file_len);
	}
}

bool
edits_unpack(struct bytes packed, struct arena *life, struct edits *out)
{
	struct unpack u = unpack_of(packed);
	uint32_t      count = unpack_u32(&u);

	*out = edits_in(life);
	if (u.broken || count > EDITS_MOST || count > u.rest.len / EDIT_LEAST)
		return false;
	out->edit = arena_take_array(life, count, sizeof *out->edit);
	for (uint32_t i = 0; i < count; i++) {
		struct edit *e = &out->edit[i];

		e->at = unpack_u64(&u);
		e->len = unpack_u64(&u);
		e->instead = unpack_bytes(&u);
		e->file_at = unpack_u64(&u);
		e->file_len = unpack_u64(&u);
		if (i > 0 && !follows(e - 1, e))
			return false;
	}
	out->count = out->_room = count;
	return unpack_done(&u);
}

bool
edits_fit(const struct edits *e, uint64_t content_len, uint64_t file_len)
{
	for (uint32_t i = 0; i < e->count; i++) {
		uint64_t end;

		if (__builtin_add_overflow(e->edit[i].at, e->edit[i].len, &end) ||
		    end > content_len)
			return false;
		if (__builtin_add_overflow(e->edit[i].file_at, e->edit[i].file_len, &end) ||
		    (e->edit[i].file_len > 0 && end > file_len))
			return false;
	}
	return true;
}

uint64_t
edits_size(const struct edits *e, uint64_t content_len)
{
	for (uint32_t i = 0; i < e->count; i++)
		content_len += e->edit[i].instead.len + e->edit[i].file_len - e->edit[i].len;
	return content_len;
}

struct edits_walk
edits_walk_of(const struct edits *e, uint64_t content_len)
{
	return (struct edits_walk){ .edits = e, .content_len = content_len };
}

/* Of each edit three steps: the content before it, its bytes, its part of the file. */
bool
edits_next(struct edits_walk *w, struct edits_piece *out)
{
	while (w->next < w->edits->count) {
		const struct edit *e = &w->edits->edit[w->next];

		if (w->step == 0)
			*out = (struct edits_piece){ PIECE_CONTENT, BYTES(""), w->at,
				                     e->at - w->at };
		else if (w->step == 1)
			*out = (struct edits_piece){ PIECE_BYTES, e->instead, 0, e->instead.len };
		else
			*out = (struct edits_piece){ PIECE_FILE, BYTES(""), e->file_at,
				                     e->file_len };
		if (++w->step == 3) {
			w->step = 0;
			w->next++;
			w->at = e->at + e->len;
		}
		if (out->len > 0)
			return true;
	}
	*out = (struct edits_piece){ PIECE_CONTENT, BYTES(""), w->at, w->content_len - w->at };
	w->at = w->content_len;
	return out->len > 0;
}

void
edits_apply(const struct edits *e, struct bytes content, struct bytes file, struct buffer *out)
{
	struct edits_walk  w = edits_walk_of(e, content.len);
	struct edits_piece p;

	while (edits_next(&w, &p))
		buffer_add(out, p.of == PIECE_BYTES ? p.bytes
		                                    : bytes_cut(p.of == PIECE_FILE ? file : content,
		                                                p.at, p.len));
}
