#include "store/text.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <lz4.h>
#include <string.h>
#include <unistd.h>

#include "base/checksum.h"
#include "base/journal.h"
#include "base/pack.h"
#include "spool/disk.h"
#include "store/inside.h"
#include "store/text-inside.h"

/* A block is written when it has so much text; a last one of less than half is gone on with later. */
enum { BLOCK_TEXT = 256 << 10 };
/* Synced, and so believed at the next start, after so much. */
enum { SYNC_BYTES = 16 << 20 };
#define BLOCK_MOST ((uint32_t)64 << 20)

/* ---- bytes ------------------------------------------------------------------------------ */

static void
title_pack(const struct text *t, struct buffer *out)
{
	buffer_add(out, BYTES("MansioTx"));
	pack_u32(out, TEXT_VERSION);
	pack_u64(out, t->proved);
	pack_u64(out, t->walked);
	while (out->len < TEXT_TITLE - 4)
		pack_u8(out, 0);
	pack_u32(out, checksum_of(buffer_bytes(out)));
}

static bool
title_unpack(struct bytes b, struct text *t)
{
	struct unpack u = unpack_of(bytes_cut(b, 8, TEXT_TITLE - 12));
	struct unpack sum = unpack_of(bytes_cut(b, TEXT_TITLE - 4, 4));

	if (!bytes_starts(b, BYTES("MansioTx")) || unpack_u32(&u) != TEXT_VERSION ||
	    unpack_u32(&sum) != checksum_of(bytes_cut(b, 0, TEXT_TITLE - 4)))
		return false;
	t->proved = unpack_u64(&u);
	t->walked = unpack_u64(&u);
	return t->proved >= TEXT_TITLE;
}

static void
head_pack(const struct text_head *h, struct buffer *out)
{
	size_t from = out->len;

	buffer_add(out, BYTES("MtxB"));
	pack_u32(out, h->text_len);
	pack_u32(out, h->packed_len);
	pack_u32(out, h->entries);
	pack_u32(out, h->filter_log2);
	pack_u32(out, h->words_len);
	pack_u32(out, h->places_len);
	pack_u32(out, h->table_sum);
	pack_u32(out, h->words_sum);
	pack_u32(out, h->text_sum);
	pack_u32(out, checksum_of(bytes_cut(buffer_bytes(out), from, TEXT_HEAD - 4)));
}

static bool
head_unpack(struct bytes b, struct text_head *h)
{
	struct unpack u = unpack_of(bytes_cut(b, 4, TEXT_HEAD - 4));

	h->text_len = unpack_u32(&u);
	h->packed_len = unpack_u32(&u);
	h->entries = unpack_u32(&u);
	h->filter_log2 = unpack_u32(&u);
	h->words_len = unpack_u32(&u);
	h->places_len = unpack_u32(&u);
	h->table_sum = unpack_u32(&u);
	h->words_sum = unpack_u32(&u);
	h->text_sum = unpack_u32(&u);
	return bytes_starts(b, BYTES("MtxB")) &&
	       unpack_u32(&u) == checksum_of(bytes_cut(b, 0, TEXT_HEAD - 4)) &&
	       h->text_len <= BLOCK_MOST && h->packed_len <= BLOCK_MOST &&
	       h->words_len <= BLOCK_MOST && h->places_len <= BLOCK_MOST && h->entries > 0 &&
	       h->entries <= BLOCK_MOST / TEXT_ROW && h->filter_log2 >= 10 && h->filter_log2 <= 27;
}

uint64_t
text_block_size(const struct text_head *h)
{
	return TEXT_HEAD + (uint64_t)h->entries * TEXT_ROW + ((uint64_t)1 << h->filter_log2) / 8 +
	       h->words_len + h->places_len + h->packed_len;
}

static void
row_pack(const struct text_row *r, struct buffer *out)
{
	pack_u64(out, r->message);
	pack_u32(out, r->at);
	pack_u32(out, r->own_len);
	pack_u32(out, r->header_len);
	pack_u32(out, r->body_len | (r->too_long ? TEXT_TOO_LONG : 0));
}

/* Rows follow one another in the text of the block. */
bool
text_row_unpack(struct unpack *u, uint32_t text_len, struct text_row *r)
{
	uint64_t end;

	r->message = unpack_u64(u);
	r->at = unpack_u32(u);
	r->own_len = unpack_u32(u);
	r->header_len = unpack_u32(u);
	r->body_len = unpack_u32(u);
	r->too_long = (r->body_len & TEXT_TOO_LONG) != 0;
	r->body_len &= ~TEXT_TOO_LONG;
	end = (uint64_t)r->at + r->own_len + r->header_len + r->body_len;
	return !u->broken && end <= text_len;
}

/* ---- which messages --------------------------------------------------------------------- */

static uint32_t *
slot_of(const struct text *t, uint64_t message)
{
	uint64_t mixed = (message ^ message >> 32) * UINT64_C(0x9e3779b97f4a7c15);
	uint32_t at = (uint32_t)((mixed ^ mixed >> 32) >> 16) & (t->slots - 1);

	while (t->slot[at] != 0 && (t->message[t->slot[at] - 1] & ~TEXT_ID_LONG) != message)
		at = (at + 1) & (t->slots - 1);
	return &t->slot[at];
}

static void
slots_grow(struct text *t)
{
	memory_free(t->slot);
	t->slots = t->slots == 0 ? 256 : t->slots * 2;
	t->slot = memory_take(t->slots * sizeof *t->slot);
	for (uint32_t i = 0; i < t->entries; i++)
		*slot_of(t, t->message[i] & ~TEXT_ID_LONG) = i + 1;
}

static void
note_entry(struct text *t, uint64_t message, bool too_long)
{
	if (t->entries == t->entries_room) {
		t->entries_room = t->entries_room == 0 ? 128 : t->entries_room * 2;
		t->message = memory_resize(t->message, t->entries_room * sizeof *t->message);
	}
	t->message[t->entries++] = message | (too_long ? TEXT_ID_LONG : 0);
	if (t->entries >= t->slots / 2)
		slots_grow(t);
	else
		*slot_of(t, message) = t->entries;
}

int64_t
text_place(struct text *t, uint64_t message)
{
	uint32_t place;

	if (t->next < t->entries && (t->message[t->next] & ~TEXT_ID_LONG) == message)
		place = t->next + 1;
	else
		place = t->slots == 0 ? 0 : *slot_of(t, message);
	t->next = place;
	return place == 0 || (t->message[place - 1] & TEXT_ID_LONG) ? -1 : (int64_t)place - 1;
}

bool
text_knows(const struct text *t, uint64_t message)
{
	return t->slots > 0 && *slot_of(t, message) != 0;
}

uint32_t
text_count(const struct text *t)
{
	return t->entries;
}

uint32_t
text_generation(const struct text *t)
{
	return t->generation;
}

uint64_t
text_size(const struct text *t)
{
	return t->end + t->tail.len;
}

/* ---- reading the directory ---------------------------------------------------------------- */

static void
forget_all(struct text *t)
{
	t->blocks = t->entries = t->tail_first = 0;
	t->slots = 0;
	memory_free(t->slot);
	t->slot = NULL;
	buffer_reset(&t->tail);
	buffer_reset(&t->tail_rows);
	t->end = t->proved = TEXT_TITLE;
	t->walked = 0;
	t->generation++;
}

static void
write_title(struct text *t)
{
	struct buffer title = { 0 };

	title_pack(t, &title);
	if (t->why == 0)
		t->why = disk_write(t->fd, title.at, title.len, 0);
	buffer_free(&title);
}

void
text_drop(struct text *t)
{
	forget_all(t);
	t->why = disk_cut(t->fd, 0);
	write_title(t);
	t->loaded = true;
	t->behind = true;
}

void
text_damaged(struct text *t, const char *what)
{
	warn_("account %" PRIu64 ": its text index is damaged (%s); it is made anew",
	      t->account->id, what);
	text_drop(t);
}

/* Of a block that was not synced all is looked at. */
static bool
is_whole(struct text *t, uint64_t at, const struct text_head *h)
{
	size_t table = h->entries * (size_t)TEXT_ROW + ((size_t)1 << h->filter_log2) / 8;
	size_t words = h->words_len, text = table + words + h->places_len;
	size_t len = text + h->packed_len;
	char  *all = memory_take(len);
	bool   right = disk_read(t->fd, all, len, at + TEXT_HEAD) == 0;

	right = right && checksum_of((struct bytes){ all, table }) == h->table_sum &&
	        checksum_of((struct bytes){ all + table, words }) == h->words_sum &&
	        checksum_of((struct bytes){ all + text, h->packed_len }) == h->text_sum;
	memory_free(all);
	return right;
}

/* The block at the end of what is known: false when there is none, or it is not whole. */
static bool
read_block(struct text *t)
{
	char             head[TEXT_HEAD], *rows;
	struct text_head h;
	struct text_row  r;
	struct unpack    u;
	size_t           len;
	bool             right;

	if (disk_read(t->fd, head, sizeof head, t->end) != 0 ||
	    !head_unpack((struct bytes){ head, sizeof head }, &h))
		return false;
	if (t->end >= t->proved && !is_whole(t, t->end, &h))
		return false;
	len = h.entries * (size_t)TEXT_ROW;
	rows = memory_take(len);
	right = disk_read(t->fd, rows, len, t->end + TEXT_HEAD) == 0;
	if (t->blocks == t->blocks_room) {
		t->blocks_room = t->blocks_room == 0 ? 16 : t->blocks_room * 2;
		t->block = memory_resize(t->block, t->blocks_room * sizeof *t->block);
	}
	t->block[t->blocks] = (struct text_block){ t->end, t->entries, h };
	u = unpack_of((struct bytes){ rows, len });
	for (uint32_t i = 0; right && i < h.entries; i++)
		if ((right = text_row_unpack(&u, h.text_len, &r)))
			note_entry(t, r.message, r.too_long);
	memory_free(rows);
	if (!right)
		return false;
	t->blocks++;
	t->end += text_block_size(&h);
	t->tail_first = t->entries;
	return true;
}

/* A small last block is gone on with: its text is the tail, and it will be written again. */
static void
take_tail(struct text *t)
{
	struct text_block *last = t->blocks > 0 ? &t->block[t->blocks - 1] : NULL;
	size_t             rows;

	if (last == NULL || last->head.text_len >= BLOCK_TEXT / 2)
		return;
	if (!text_block_read(t, last, &t->tail)) {
		text_damaged(t, "its last block cannot be read");
		return;
	}
	rows = last->head.entries * (size_t)TEXT_ROW;
	if (disk_read(t->fd, buffer_room(&t->tail_rows, rows), rows, last->at + TEXT_HEAD) != 0) {
		text_damaged(t, "its last block cannot be read");
		return;
	}
	buffer_took(&t->tail_rows, rows);
	t->tail_first = last->first;
	t->end = last->at;
	t->blocks--;
}

bool
text_load(struct text *t, uint32_t blocks)
{
	off_t size = t->loaded ? 0 : lseek(t->fd, 0, SEEK_END);

	for (; !t->loaded && blocks > 0; blocks--)
		if ((uint64_t)size <= t->end || !read_block(t)) {
			if ((uint64_t)size > t->end)
				note("account %" PRIu64 ": its text index ends at %" PRIu64
				     " of %" PRIu64 " bytes; what follows is made anew",
				     t->account->id, t->end, (uint64_t)size);
			if (t->end < t->proved)
				t->walked = 0; /* something is missing in the middle */
			t->loaded = true;
			take_tail(t);
		}
	return t->loaded;
}

/* ---- opening, closing ---------------------------------------------------------------------- */

static bool
is_older(struct bytes title)
{
	struct unpack u = unpack_of(bytes_cut(title, 8, 4));

	return bytes_starts(title, BYTES("MansioTx")) && unpack_u32(&u) < TEXT_VERSION;
}

static void
open_file(struct text *t)
{
	char path[64], title[TEXT_TITLE] = "";

	index_path(t->account->id, "/text", path);
	t->fd = openat(t->account->store->accounts, path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW,
	               0600);
	if (t->fd < 0) {
		t->why = errno;
		return;
	}
	if (disk_read(t->fd, title, sizeof title, 0) != 0 ||
	    !title_unpack((struct bytes){ title, sizeof title }, t)) {
		if (is_older((struct bytes){ title, sizeof title }))
			note("account %" PRIu64
			     ": its text index is of an older version; it is made anew",
			     t->account->id);
		else if (lseek(t->fd, 0, SEEK_END) > 0)
			warn_("account %" PRIu64
			      ": its text index is damaged (its header); it is made anew",
			      t->account->id);
		text_drop(t);
	}
}

struct text *
text_of(struct account *a)
{
	struct text *t = a->text;

	if (!a->store->text_on)
		return NULL;
	if (t == NULL) {
		t = a->text = memory_take(sizeof *t);
		t->account = a;
		t->end = t->proved = TEXT_TITLE;
		t->behind = true;
		open_file(t);
		if (t->fd < 0)
			warn_("account %" PRIu64 ": no text index: %s", a->id, strerror(t->why));
	}
	return t->fd < 0 ? NULL : t;
}

void
text_free(struct text **own)
{
	struct text *t = *own;

	*own = NULL;
	if (t == NULL)
		return;
	if (t->fd >= 0)
		(void)close(t->fd);
	if (t->sync != NULL)
		t->sync->text = NULL;
	text_free(&t->gather);
	text_fields_free(t);
	buffer_free(&t->tail);
	buffer_free(&t->tail_rows);
	buffer_free(&t->block_text);
	buffer_free(&t->block_words);
	memory_free(t->message);
	memory_free(t->slot);
	memory_free(t->block);
	memory_free(t);
}

void
text_close(struct account *a)
{
	if (a->text != NULL && a->text->fd >= 0 && a->text->loaded)
		text_flush(a->text);
	text_free(&a->text);
}

void
text_swap(struct text *t, struct text *other)
{
	struct text was = *t;

	*t = *other;
	*other = was;
	t->generation = was.generation + 1;
	t->sampled_ms = was.sampled_ms;
	t->behind = was.behind;
	t->gather = other;
	other->gather = NULL;
	if (t->sync != NULL)
		t->sync->text = t;
	if (other->sync != NULL)
		other->sync->text = other;
	if (t->sync != NULL)
		t->sync->generation = t->generation;
}

/* ---- syncing -------------------------------------------------------------------------------- */

static void
sync_run(void *job)
{
	struct text_sync *s = job;

	s->why = disk_sync(s->fd);
}

static void
sync_done(void *job)
{
	struct text_sync *s = job;

	(void)close(s->fd);
	if (s->text != NULL) {
		s->text->sync = NULL;
		if (s->why == 0 && s->generation == s->text->generation) {
			s->text->proved = s->upto;
			write_title(s->text);
		}
	}
	memory_free(s);
}

static void
sync_some(struct text *t)
{
	struct store     *store = t->account->store;
	struct text_sync *s;
	int               fd;

	if (t->sync != NULL || t->end - t->proved < SYNC_BYTES || (fd = dup(t->fd)) < 0)
		return;
	s = memory_take(sizeof *s);
	*s = (struct text_sync){ t, fd, t->end, t->generation, 0 };
	t->sync = s;
	store->needs.job(store->ctx, sync_run, sync_done, s);
}

/* ---- adding ----------------------------------------------------------------------------------- */

static void
make_filter(const struct text *t, uint32_t log2, char *filter)
{
	const unsigned char *p = (const unsigned char *)t->tail.at;

	for (size_t i = 0; i + 2 < t->tail.len; i++) {
		uint32_t bit = text_filter_bit(p + i, log2);
		filter[bit / 8] = (char)(filter[bit / 8] | 1 << (bit % 8));
	}
}

/* The words of the tail; nothing when they are not worth it. */
static void
pack_words(const struct text *t, struct text_head *h, struct buffer *out)
{
	struct text_row *row = memory_take(h->entries * sizeof *row);
	struct unpack    u = unpack_of(buffer_bytes(&t->tail_rows));
	struct buffer    index = { 0 }, places = { 0 };

	for (uint32_t i = 0; i < h->entries; i++)
		(void)text_row_unpack(&u, h->text_len, &row[i]);
	words_make(buffer_bytes(&t->tail), row, h->entries, &index, &places);
	h->words_len = (uint32_t)index.len;
	h->places_len = (uint32_t)places.len;
	h->words_sum = checksum_of(buffer_bytes(&index));
	buffer_add(out, buffer_bytes(&index));
	buffer_add(out, buffer_bytes(&places));
	buffer_free(&index);
	buffer_free(&places);
	memory_free(row);
}

/* All of a block behind its head. */
static void
pack_block(const struct text *t, struct text_head *h, struct buffer *out)
{
	size_t table = t->tail_rows.len + ((size_t)1 << h->filter_log2) / 8, room;
	char  *at = buffer_room(out, table);

	memset(at, 0, table);
	memcpy(at, t->tail_rows.at, t->tail_rows.len);
	make_filter(t, h->filter_log2, at + t->tail_rows.len);
	h->table_sum = checksum_of((struct bytes){ at, table });
	buffer_took(out, table);
	pack_words(t, h, out);
	room = (size_t)LZ4_compressBound((int)t->tail.len);
	at = buffer_room(out, room);
	h->packed_len = (uint32_t)LZ4_compress_default(t->tail.at != NULL ? t->tail.at : "", at,
	                                               (int)t->tail.len, (int)room);
	h->text_sum = checksum_of((struct bytes){ at, h->packed_len });
	buffer_took(out, h->packed_len);
}

/* The tail becomes a block. */
void
text_flush(struct text *t)
{
	struct text_head h = { .text_len = (uint32_t)t->tail.len,
		               .entries = t->entries - t->tail_first,
		               .filter_log2 = 10 };
	struct buffer    block = { 0 }, rest = { 0 };

	if (h.entries == 0 || t->why != 0)
		return;
	while (((size_t)1 << h.filter_log2) < t->tail.len)
		h.filter_log2++;
	pack_block(t, &h, &rest);
	head_pack(&h, &block);
	if (t->end < t->proved)
		t->proved = t->end; /* what is written over is not synced any more */
	buffer_add(&block, buffer_bytes(&rest));
	buffer_free(&rest);
	t->why = disk_write(t->fd, block.at, block.len, t->end);
	if (t->why == 0)
		t->why = disk_cut(t->fd, t->end + block.len);
	buffer_free(&block);
	if (t->why != 0) {
		warn_("account %" PRIu64 ": its text index cannot be written: %s", t->account->id,
		      strerror(t->why));
		return;
	}
	if (t->blocks == t->blocks_room) {
		t->blocks_room = t->blocks_room == 0 ? 16 : t->blocks_room * 2;
		t->block = memory_resize(t->block, t->blocks_room * sizeof *t->block);
	}
	t->block[t->blocks++] = (struct text_block){ t->end, t->tail_first, h };
	t->end += text_block_size(&h);
	t->tail_first = t->entries;
	buffer_reset(&t->tail);
	buffer_reset(&t->tail_rows);
	write_title(t);
	sync_some(t);
}

void
text_add(struct text *t, const struct text_entry *e)
{
	struct text_row r = { .message = e->message, .too_long = e->too_long };

	if (!t->loaded || t->why != 0 || text_knows(t, e->message))
		return;
	r.at = (uint32_t)t->tail.len;
	if (!r.too_long) {
		r.own_len = (uint32_t)e->own.len;
		r.header_len = (uint32_t)e->header.len;
		r.body_len = (uint32_t)e->body.len;
		buffer_add(&t->tail, e->own);
		buffer_add(&t->tail, e->header);
		buffer_add(&t->tail, e->body);
	}
	row_pack(&r, &t->tail_rows);
	note_entry(t, e->message, r.too_long);
	if (t->tail.len >= BLOCK_TEXT)
		text_flush(t);
}

#undef BLOCK_MOST
