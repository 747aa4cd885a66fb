#include "spool/segment.h"

#include "base/checksum.h"
#include "base/pack.h"
#include "spool/disk.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

static const char     title_magic[8] = { 'M', 'a', 'n', 's', 'i', 'o', 'S', 'g' };
static const uint32_t record_magic = 0x4c72744du; /* "MtrL" on disk */

enum { SCAN_BODIES = 256 * 1024, SCAN_HEADERS = 4096 };
/* A record is read with so much in one go: most envelopes with their header. */
enum { RECORD_AT_ONCE = 4096 };

/* ---- the bytes of headers ---- */

static void
put32(char *out, uint32_t n)
{
	for (int i = 0; i < 4; i++)
		out[i] = (char)(unsigned char)(n >> 8 * i);
}

static void
put64(char *out, uint64_t n)
{
	put32(out, (uint32_t)n);
	put32(out + 4, (uint32_t)(n >> 32));
}

static uint32_t
get32(const char *in)
{
	uint32_t n = 0;

	for (int i = 0; i < 4; i++)
		n |= (uint32_t)(unsigned char)in[i] << 8 * i;
	return n;
}

static uint64_t
get64(const char *in)
{
	return get32(in) | (uint64_t)get32(in + 4) << 32;
}

void
segment_title_make(char out[static SEGMENT_HEADER], uint32_t number, int64_t made,
                   enum segment_purpose purpose)
{
	memset(out, 0, SEGMENT_HEADER);
	memcpy(out, title_magic, sizeof title_magic);
	put32(out + 8, SEGMENT_VERSION);
	put32(out + 12, number);
	put64(out + 16, (uint64_t)made);
	put32(out + 24, (uint32_t)purpose);
	put32(out + 60, checksum_of((struct bytes){ out, 60 }));
}

bool
segment_title_read(const char in[static SEGMENT_HEADER], struct segment_title *out)
{
	if (memcmp(in, title_magic, sizeof title_magic) != 0)
		return false;
	if (get32(in + 60) != checksum_of((struct bytes){ in, 60 }))
		return false;
	out->version = get32(in + 8);
	out->number = get32(in + 12);
	out->made = (int64_t)get64(in + 16);
	out->purpose = (enum segment_purpose)get32(in + 24);
	return out->version == SEGMENT_VERSION && get32(in + 24) <= SEGMENT_COMPACTION;
}

void
record_header_make(char out[static RECORD_HEADER], enum record_type type, uint64_t letter,
                   uint64_t body_len, uint32_t body_sum)
{
	put32(out, record_magic);
	put32(out + 4, (uint32_t)type);
	put64(out + 8, letter);
	put64(out + 16, body_len);
	put32(out + 24, body_sum);
	put32(out + 28, checksum_of((struct bytes){ out, 28 }));
}

bool
record_header_read(const char in[static RECORD_HEADER], struct record *out, uint32_t *body_sum)
{
	uint32_t type = get32(in + 4);

	if (get32(in) != record_magic || get32(in + 28) != checksum_of((struct bytes){ in, 28 }))
		return false;
	if (type < RECORD_CONTENT || type > RECORD_END)
		return false;
	out->type = (enum record_type)type;
	out->letter = get64(in + 8);
	out->body_len = get64(in + 16);
	if (body_sum != NULL)
		*body_sum = get32(in + 24);
	return true;
}

void
record_add(struct buffer *out, enum record_type type, uint64_t letter, struct bytes body)
{
	static const char zeros[8];

	record_header_make(buffer_room(out, RECORD_HEADER), type, letter, body.len,
	                   checksum_of(body));
	buffer_took(out, RECORD_HEADER);
	buffer_add(out, body);
	buffer_add(out, (struct bytes){ zeros, record_padded(body.len) - body.len });
}

bool
segment_sealed(int fd, uint64_t size)
{
	char          header[RECORD_HEADER];
	struct record r;

	if (size < SEGMENT_HEADER + RECORD_HEADER || size % 8 != 0)
		return false;
	if (disk_read(fd, header, sizeof header, size - RECORD_HEADER) != 0)
		return false;
	return record_header_read(header, &r, NULL) && r.type == RECORD_END &&
	       r.letter == size - RECORD_HEADER && r.body_len == 0;
}

/* ---- walking ---- */

/* A window of the file that slides forward. */
struct walk {
	int      fd;
	uint64_t size;
	char    *window;
	size_t   room;
	uint64_t at;
	size_t   have;
	bool     unread; /* the disk failed, not the file */
};

/* `n` bytes at `at`, n at most the window's room; NULL when they cannot be read. */
static const char *
walk_get(struct walk *w, uint64_t at, size_t n)
{
	uint64_t left;
	int      why;

	if (at >= w->at && at - w->at <= w->have && w->have - (size_t)(at - w->at) >= n)
		return w->window + (at - w->at);
	if (at > w->size || w->size - at < n)
		return NULL;
	left = w->size - at;
	w->at = at;
	w->have = left < w->room ? (size_t)left : w->room;
	if ((why = disk_read(w->fd, w->window, w->have, at)) != 0) {
		w->unread = why != EBADMSG;
		w->have = 0;
		return NULL;
	}
	return w->window;
}

static bool
body_right(struct walk *w, const struct record *r, uint32_t sum)
{
	uint32_t found = 0;
	uint64_t done = 0;

	while (done < r->body_len) {
		uint64_t    left = r->body_len - done;
		size_t      n = left < w->room ? (size_t)left : w->room;
		const char *p = walk_get(w, r->body_at + done, n);
		if (p == NULL)
			return false;
		found = checksum_more(found, (struct bytes){ p, n });
		done += n;
	}
	return found == sum;
}

static bool
all_zeros(const char *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (p[i] != 0)
			return false;
	return true;
}

struct scan_call {
	bool bodies, sealed;
	bool (*seen)(void *ctx, const struct record *);
	void (*damaged)(void *ctx, uint64_t at, const char *why);
	void *ctx;
};

static void
tell_damage(const struct scan_call *c, uint64_t at, const char *why)
{
	if (c->damaged != NULL)
		c->damaged(c->ctx, at, why);
}

/* Records from `at` on; *good follows the last whole one. */
static enum segment_end
walk_records(struct walk *w, const struct scan_call *c, uint64_t at, uint64_t *good)
{
	for (;;) {
		struct record r = { 0 };
		uint32_t      sum;
		const char   *p;

		*good = at;
		if (at == w->size)
			return SEGMENT_END_OPEN;
		if ((p = walk_get(w, at, RECORD_HEADER)) == NULL) {
			tell_damage(c, at,
			            w->unread ? "the disk does not give a record header"
			                      : "the file ends inside a record header");
			return w->unread ? SEGMENT_END_UNREAD : SEGMENT_END_TORN;
		}
		if (!c->sealed && all_zeros(p, RECORD_HEADER))
			return SEGMENT_END_OPEN;
		if (!record_header_read(p, &r, &sum)) {
			tell_damage(c, at, "a record header is broken");
			return SEGMENT_END_TORN;
		}
		r.at = at;
		r.body_at = at + RECORD_HEADER;
		if (r.body_len > w->size - r.body_at ||
		    record_padded(r.body_len) > w->size - r.body_at) {
			tell_damage(c, at, "a record reaches beyond the end of the file");
			return SEGMENT_END_TORN;
		}
		if (r.type == RECORD_END) {
			if (r.letter != at || r.body_len != 0) {
				tell_damage(c, at, "an END record that belongs elsewhere");
				return SEGMENT_END_TORN;
			}
			return SEGMENT_END_SEALED;
		}
		if (c->bodies) {
			r.whole = body_right(w, &r, sum);
			if (w->unread) {
				tell_damage(c, at, "the disk does not give a record");
				return SEGMENT_END_UNREAD;
			}
			if (!r.whole) {
				tell_damage(c, at, "a record's checksum is wrong");
				if (!c->sealed)
					return SEGMENT_END_TORN;
			}
		}
		at = r.body_at + record_padded(r.body_len);
		if ((!c->bodies || r.whole) && !c->seen(c->ctx, &r)) {
			*good = at;
			return at == w->size ? SEGMENT_END_OPEN : SEGMENT_END_SEALED;
		}
	}
}

enum segment_end
segment_scan(int fd, uint64_t from, bool bodies, bool (*seen)(void *ctx, const struct record *),
             void (*damaged)(void *ctx, uint64_t at, const char *why), void *ctx, uint64_t *good)
{
	struct scan_call     c = { .bodies = bodies, .seen = seen, .damaged = damaged, .ctx = ctx };
	struct walk          w = { .fd = fd, .room = bodies ? SCAN_BODIES : SCAN_HEADERS };
	struct segment_title title;
	struct stat          st;
	enum segment_end     end = SEGMENT_END_ALIEN;
	const char          *p;

	*good = 0;
	if (fstat(fd, &st) < 0 || st.st_size < 0)
		return SEGMENT_END_ALIEN;
	w.size = (uint64_t)st.st_size;
	w.window = memory_take(w.room);
	p = walk_get(&w, 0, SEGMENT_HEADER);
	if (w.unread)
		end = SEGMENT_END_UNREAD;
	if (p != NULL && segment_title_read(p, &title)) {
		c.sealed = segment_sealed(fd, w.size);
		if (from < SEGMENT_HEADER)
			from = SEGMENT_HEADER;
		end = from <= w.size ? walk_records(&w, &c, from, good) : SEGMENT_END_TORN;
	}
	memory_free(w.window);
	return end;
}

const char *
record_read(int fd, uint64_t at, enum record_type type, uint64_t letter, struct arena *arena,
            uint64_t most, struct bytes *body)
{
	char          front[RECORD_AT_ONCE] __attribute__((uninitialized));
	struct record r = { 0 };
	uint32_t      sum;
	char         *p;
	size_t        have, rest;
	int           why;

	*body = (struct bytes){ NULL, 0 };
	if ((why = disk_read_some(fd, front, sizeof front, at, &have)) != 0)
		return errno = why, NULL;
	if (have < RECORD_HEADER || !record_header_read(front, &r, &sum) || r.type != type ||
	    r.letter != letter || r.body_len > most)
		return errno = EBADMSG, NULL;
	have -= RECORD_HEADER;
	if (have > r.body_len)
		have = (size_t)r.body_len;
	rest = (size_t)r.body_len - have;
	p = arena_take(arena, (size_t)r.body_len + 1);
	memcpy(p, front + RECORD_HEADER, have);
	if (rest > 0 && (why = disk_read(fd, p + have, rest, at + RECORD_HEADER + have)) != 0)
		return errno = why, NULL;
	*body = (struct bytes){ p, (size_t)r.body_len };
	if (checksum_of(*body) != sum) {
		*body = (struct bytes){ NULL, 0 };
		return errno = EBADMSG, NULL;
	}
	return p;
}
