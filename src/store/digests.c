#include "store/digests.h"

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

/* Of a block, unpacked; what is longer than that alone stays in the log. */
enum { BLOCK_MOST = 1 << 20, ENTRY_HEAD = 24 };
enum { DIRECTORY = DIGESTS_ROWS * DIGESTS_ROW };
/* So much of the file is brought before it is asked for. */
enum { AHEAD = 2 << 20 };
/* With more entries than twice the rows that are left, and these, it is made anew. */
enum { SPARE = 1024 };

struct block {
	uint64_t at, first, last;           /* its place; its least and greatest message */
	uint32_t packed, raw, entries, sum; /* lengths; CRC32C of the packed bytes       */
};

struct digests {
	int           fd;     /* -1: there is none yet                    */
	int           why;    /* it cannot be written                     */
	bool          behind; /* there may be messages for a block more   */
	struct block *block;
	uint32_t      blocks, room;
	uint64_t      directory; /* where the last one stands               */
	uint64_t      end;       /* of the blocks                           */
	uint64_t      walked;    /* every message up to this had its chance */
	uint64_t      entries;
	/* reading */
	uint32_t      expected; /* so many will be asked for               */
	uint32_t      likely;   /* block that was found last               */
	uint64_t      brought;
	uint32_t      open, next; /* block in `within` + 1, entry that is likely asked for next */
	struct buffer within;
};

struct entry_view {
	uint64_t     message;
	int64_t      arrived;
	struct bytes prefix, digest;
};

/* ---- bytes ------------------------------------------------------------------------------ */

static void
title_pack(struct buffer *out)
{
	buffer_add(out, BYTES("MansioDg"));
	pack_u32(out, DIGESTS_VERSION);
	while (out->len < DIGESTS_TITLE - 4)
		pack_u8(out, 0);
	pack_u32(out, checksum_of(buffer_bytes(out)));
}

static void
row_pack(const struct block *b, struct buffer *out)
{
	pack_u64(out, b->at);
	pack_u64(out, b->first);
	pack_u64(out, b->last);
	pack_u32(out, b->packed);
	pack_u32(out, b->raw);
	pack_u32(out, b->entries);
	pack_u32(out, b->sum);
	pack_u32(out, 0);
	pack_u32(out, checksum_of(buffer_bytes(out)));
}

/* A row that was never written is all zeros; blocks follow one another, and so do their messages. */
static bool
row_unpack(const struct digests *d, struct bytes row, struct block *b)
{
	struct unpack u = unpack_of(row);

	b->at = unpack_u64(&u);
	b->first = unpack_u64(&u);
	b->last = unpack_u64(&u);
	b->packed = unpack_u32(&u);
	b->raw = unpack_u32(&u);
	b->entries = unpack_u32(&u);
	b->sum = unpack_u32(&u);
	(void)unpack_u32(&u);
	return unpack_u32(&u) == checksum_of(bytes_cut(row, 0, DIGESTS_ROW - 4)) &&
	       unpack_done(&u) && b->at == d->end && b->first > d->walked && b->last >= b->first &&
	       b->entries > 0 && b->entries <= DIGESTS_LETTERS && b->raw <= BLOCK_MOST &&
	       b->packed > 0 && b->packed <= (uint32_t)LZ4_COMPRESSBOUND(BLOCK_MOST);
}

static bool
entry_unpack(struct unpack *u, struct entry_view *e)
{
	uint32_t prefix, digest;

	e->message = unpack_u64(u);
	e->arrived = unpack_i64(u);
	prefix = unpack_u32(u);
	digest = unpack_u32(u);
	if (u->broken || u->rest.len < (size_t)prefix + digest)
		return false;
	e->prefix = bytes_cut(u->rest, 0, prefix);
	e->digest = bytes_cut(u->rest, prefix, digest);
	u->rest = bytes_cut(u->rest, (size_t)prefix + digest, SIZE_MAX);
	return true;
}

/* ---- the file ----------------------------------------------------------------------------- */

static void
forget_all(struct digests *d)
{
	d->blocks = d->expected = d->likely = d->open = d->next = 0;
	d->walked = d->entries = d->brought = 0;
	d->directory = DIGESTS_TITLE;
	d->end = DIGESTS_TITLE + DIRECTORY;
	d->behind = true;
}

static void
begin_anew(struct digests *d)
{
	struct buffer title = { 0 };

	forget_all(d);
	title_pack(&title);
	d->why = disk_cut(d->fd, 0);
	if (d->why == 0)
		d->why = disk_write(d->fd, title.at, title.len, 0);
	buffer_free(&title);
}

static void
block_add(struct digests *d, const struct block *b)
{
	if (d->blocks == d->room) {
		d->room = d->room == 0 ? 16 : d->room * 2;
		d->block = memory_resize(d->block, d->room * sizeof *d->block);
	}
	d->block[d->blocks++] = *b;
	d->end = b->at + b->packed;
	d->walked = b->last;
	d->entries += b->entries;
	/* A directory that is full is followed by the next one. */
	if (d->blocks % DIGESTS_ROWS == 0) {
		d->directory = d->end;
		d->end += DIRECTORY;
	}
}

/* False: here the file ends, or stops being whole. */
static bool
directory_read(struct digests *d, uint64_t size)
{
	char          *rows = memory_take(DIRECTORY);
	size_t         got, from = 0;
	struct block   b;
	uint32_t       before = d->blocks;
	const uint64_t at = d->directory;

	while (from < DIRECTORY &&
	       disk_read_some(d->fd, rows + from, DIRECTORY - from, at + from, &got) == 0 &&
	       got > 0)
		from += got;
	for (size_t i = 0; i < DIGESTS_ROWS; i++) {
		if (!row_unpack(d, (struct bytes){ rows + i * DIGESTS_ROW, DIGESTS_ROW }, &b) ||
		    b.at + b.packed > size)
			break;
		block_add(d, &b);
	}
	memory_free(rows);
	return d->blocks - before == DIGESTS_ROWS;
}

static void
file_read(struct account *a, struct digests *d)
{
	struct buffer title = { 0 };
	char          there[DIGESTS_TITLE];
	off_t         size = lseek(d->fd, 0, SEEK_END);

	title_pack(&title);
	if (size > 0 && (disk_read(d->fd, there, sizeof there, 0) != 0 ||
	                 memcmp(there, title.at, sizeof there) != 0))
		note("account %" PRIu64
		     ": its digests are damaged, or of another version; they are made anew",
		     a->id);
	if (size <= 0 || disk_read(d->fd, there, sizeof there, 0) != 0 ||
	    memcmp(there, title.at, sizeof there) != 0)
		begin_anew(d);
	else
		while (directory_read(d, (uint64_t)size))
			;
	buffer_free(&title);
}

static void
file_open(struct account *a, struct digests *d, int make)
{
	char path[64];

	index_path(a->id, "/digests", path);
	d->fd = openat(a->store->accounts, path, O_RDWR | O_CLOEXEC | O_NOFOLLOW | make, 0600);
	if (d->fd >= 0)
		file_read(a, d);
	else if (errno != ENOENT) {
		d->why = errno;
		warn_("account %" PRIu64 ": its digests cannot be read or written: %s", a->id,
		      strerror(d->why));
	}
}

/* NULL: none are wanted, or its letters lie elsewhere, with digests of their own. */
static struct digests *
digests_of(struct account *a)
{
	if (!a->store->text_on || a->place != NULL)
		return NULL;
	if (a->digests == NULL) {
		a->digests = memory_take(sizeof *a->digests);
		forget_all(a->digests);
		file_open(a, a->digests, 0);
	}
	return a->digests;
}

static void
damaged(struct account *a, struct digests *d)
{
	warn_("account %" PRIu64 ": its digests are damaged; they are made anew", a->id);
	begin_anew(d);
}

void
digests_note(struct account *a)
{
	if (a->digests != NULL)
		a->digests->behind = true;
}

/* What was expunged has its row for a while, and would be gathered again: the rows count, not the messages. */
void
digests_left(struct account *a, uint64_t rows)
{
	struct digests *d = digests_of(a);

	if (d != NULL && d->fd >= 0 && d->why == 0 && d->entries > rows * 2 + SPARE)
		begin_anew(d);
}

void
digests_close(struct account *a)
{
	struct digests *d = a->digests;

	a->digests = NULL;
	if (d == NULL)
		return;
	if (d->fd >= 0)
		(void)close(d->fd);
	buffer_free(&d->within);
	memory_free(d->block);
	memory_free(d);
}

/* ---- reading ------------------------------------------------------------------------------ */

static bool
holds(const struct block *b, uint64_t message)
{
	return message >= b->first && message <= b->last;
}

/* The block that has it, if any has; who goes through many finds it where the last one was, or behind that. */
static bool
block_of(struct digests *d, uint64_t message)
{
	uint32_t low = 0, high = d->blocks;

	for (uint32_t i = d->likely; i < d->blocks && i < d->likely + 2; i++)
		if (holds(&d->block[i], message)) {
			d->likely = i;
			return true;
		}
	while (low < high) {
		uint32_t middle = low + (high - low) / 2;
		if (d->block[middle].last < message)
			low = middle + 1;
		else
			high = middle;
	}
	if (low == d->blocks || !holds(&d->block[low], message))
		return false;
	d->likely = low;
	return true;
}

bool
digests_expect(struct account *a, uint64_t message)
{
	struct digests *d = digests_of(a);

	if (d == NULL || !block_of(d, message))
		return false;
	d->expected++;
	return true;
}

/* What follows is brought from the disk in time for who goes on from block to block. */
static void
look_ahead(struct digests *d, uint64_t at)
{
	if (at > d->brought || at + 2 * AHEAD < d->brought)
		d->brought = at; /* elsewhere than before */
	if (at + AHEAD / 2 < d->brought)
		return;
	(void)posix_fadvise(d->fd, (off_t)d->brought, AHEAD, POSIX_FADV_WILLNEED);
	d->brought += AHEAD;
}

static bool
block_read(struct digests *d, const struct block *b)
{
	char *packed = memory_take(b->packed);
	bool  right;

	look_ahead(d, b->at);
	buffer_reset(&d->within);
	right = disk_read(d->fd, packed, b->packed, b->at) == 0 &&
	        checksum_of((struct bytes){ packed, b->packed }) == b->sum &&
	        LZ4_decompress_safe(packed, buffer_room(&d->within, b->raw), (int)b->packed,
	                            (int)b->raw) == (int)b->raw;
	if (right)
		buffer_took(&d->within, b->raw);
	memory_free(packed);
	return right;
}

/* Entries are in the order of their messages; `next` is the offset of the one behind the last that was found. */
static bool
entry_find(struct digests *d, uint64_t message, struct entry_view *e)
{
	struct unpack u = unpack_of(bytes_cut(buffer_bytes(&d->within), d->next, SIZE_MAX));

	for (int turn = 0; turn < 2; turn++) {
		while (u.rest.len > 0 && entry_unpack(&u, e) && e->message <= message)
			if (e->message == message) {
				d->next = (uint32_t)(d->within.len - u.rest.len);
				return true;
			}
		u = unpack_of(buffer_bytes(&d->within));
	}
	return false;
}

bool
digests_find(struct account *a, const struct message *m, struct arena *arena, struct bytes *packed,
             struct bytes *prefix)
{
	struct digests   *d = a->digests;
	struct entry_view e;

	if (d == NULL || d->expected == 0)
		return false;
	d->expected--;
	if (!block_of(d, m->id))
		return false;
	if (d->open != d->likely + 1) {
		d->open = d->next = 0;
		if (!block_read(d, &d->block[d->likely])) {
			damaged(a, d);
			return false;
		}
		d->open = d->likely + 1;
	}
	if (!entry_find(d, m->id, &e) || e.arrived != m->internal_date ||
	    e.prefix.len != m->prefix_len)
		return false;
	*packed = arena_keep(arena, e.digest);
	*prefix = arena_keep(arena, e.prefix);
	return true;
}

/* ---- making -------------------------------------------------------------------------------- */

static size_t
next_ids(struct account *a, uint64_t after, uint64_t id[static DIGESTS_LETTERS])
{
	sqlite3_stmt *s = index_ready(a->index, MESSAGE_AFTER);
	size_t        n = 0;

	if (s == NULL)
		return 0;
	(void)sqlite3_bind_int64(s, 1, (int64_t)after);
	while (n < DIGESTS_LETTERS && index_row(a->index, s) == 1)
		id[n++] = (uint64_t)sqlite3_column_int64(s, 0);
	(void)sqlite3_reset(s);
	return n;
}

/* False: the block is full without it. */
static bool
entry_add(struct account *a, uint64_t id, struct arena *scratch, struct buffer *raw,
          struct block *b)
{
	struct message m;
	struct bytes   digest, prefix;
	size_t         len;

	if (message_read(a, id, scratch, &m) != 0)
		return true;
	digest = message_packed(a, &m, scratch, &prefix);
	len = ENTRY_HEAD + prefix.len + digest.len;
	if (digest.at == NULL || len > BLOCK_MOST)
		return true;
	if (raw->len + len > BLOCK_MOST)
		return false;
	pack_u64(raw, id);
	pack_i64(raw, m.internal_date);
	pack_u32(raw, (uint32_t)prefix.len);
	pack_u32(raw, (uint32_t)digest.len);
	buffer_add(raw, prefix);
	buffer_add(raw, digest);
	b->entries++;
	return true;
}

/* First the block, then the row by which it is found. */
static void
block_write(struct account *a, struct digests *d, struct block *b, struct bytes raw)
{
	size_t        room = (size_t)LZ4_compressBound((int)raw.len);
	char         *packed = memory_take(room);
	struct buffer row = { 0 };

	if (d->fd < 0)
		file_open(a, d, O_CREAT);
	b->at = d->end;
	b->raw = (uint32_t)raw.len;
	b->packed = (uint32_t)LZ4_compress_default(raw.at, packed, (int)raw.len, (int)room);
	b->sum = checksum_of((struct bytes){ packed, b->packed });
	row_pack(b, &row);
	if (d->why == 0)
		d->why = disk_write(d->fd, packed, b->packed, b->at);
	if (d->why == 0)
		d->why = disk_write(d->fd, row.at, row.len,
		                    d->directory + d->blocks % DIGESTS_ROWS * DIGESTS_ROW);
	if (d->why == 0)
		block_add(d, b);
	else
		warn_("account %" PRIu64 ": its digests cannot be written: %s", a->id,
		      strerror(d->why));
	memory_free(packed);
	buffer_free(&row);
}

/* A block more, when there are letters enough for one. */
static bool
block_make(struct account *a, struct digests *d, struct arena *scratch)
{
	uint64_t      id[DIGESTS_LETTERS];
	size_t        n = next_ids(a, d->walked, id), i = 0;
	struct block  b = { 0 };
	struct buffer raw = { 0 };

	d->behind = n == DIGESTS_LETTERS;
	if (!d->behind)
		return false;
	while (i < n && entry_add(a, id[i], scratch, &raw, &b)) {
		arena_clear(scratch);
		i++;
	}
	b.first = id[0];
	b.last = id[i - 1];
	if (b.entries > 0)
		block_write(a, d, &b, buffer_bytes(&raw));
	else
		d->walked = b.last;
	buffer_free(&raw);
	return true;
}

/* What is not on the disk could be another letter after a crash. */
static bool
is_safe(const struct account *a)
{
	return !a->dirty && !a->syncing && a->safe >= a->committed;
}

bool
digests_next(struct store *s, struct arena *scratch)
{
	for (struct account *a = s->all; a != NULL; a = a->next) {
		struct digests *d = a->refused == 0 ? digests_of(a) : NULL;

		if (d == NULL || d->why != 0 || !d->behind || !is_safe(a))
			continue;
		if (block_make(a, d, scratch))
			return true;
	}
	return false;
}
