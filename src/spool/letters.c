#include "spool/letters.h"

#include "base/checksum.h"
#include "base/journal.h"
#include "spool/disk.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

/* Descriptors kept open; the one used longest ago makes room. */
enum { KEPT = 64 };
/* Contents whose checksum was found right; a place has one slot. */
enum { PROVED = 1024 };
/* Contents up to this are proved before their first byte is given out, larger ones when
   more than this of them is wanted: who looks at the header alone reads no more. */
enum { PROVED_AT_ONCE = 256 << 10 };
/* Letters read in the order in which they lie, with gaps up to this, are brought from the disk ahead of
   need: so much of their segment at a time, from the FOLLOWING-th on. */
enum { GAP = 64 << 10, AHEAD = 1 << 20, FOLLOWING = 4 };
/* What is expected is joined over so much that is not. */
enum { JOINED = 12 << 10 };
/* An envelope holds at most 50 000 recipients, a prefix and a digest. */
#define ENVELOPE_MOST ((uint64_t)256 << 20)

struct kept {
	uint32_t segment;
	int      fd;
	uint64_t used;
	bool     lent; /* is nowhere else: does not make room */
};
struct proved {
	uint64_t at, len;
	uint32_t segment; /* 0: none */
};
/* Where the reader is who goes through a segment. */
struct course {
	uint32_t segment;
	unsigned steps; /* this many in a row, none further than GAP */
	uint64_t at, brought;
};
struct letters {
	int           dir;
	struct course course[2]; /* of envelopes, of contents */
	struct {
		uint32_t segment;
		uint64_t from, end;
		uint32_t left; /* of what was expected, not read yet */
	} expected;
	uint64_t      turn;
	struct kept   kept[KEPT];
	struct kept  *last; /* the one asked for last */
	struct proved proved[PROVED];
};

struct letters *
letters_open(int dir)
{
	struct letters *l = memory_take(sizeof *l);

	l->dir = dir;
	for (int i = 0; i < KEPT; i++)
		l->kept[i].fd = -1;
	return l;
}

void
letters_close(struct letters **lp)
{
	struct letters *l = *lp;

	*lp = NULL;
	if (l == NULL)
		return;
	for (int i = 0; i < KEPT; i++)
		if (l->kept[i].fd >= 0)
			(void)close(l->kept[i].fd);
	memory_free(l);
}

/* EBADMSG: it is not what its name says, or of a version that we do not know. */
static int
prove_segment(int fd, uint32_t segment)
{
	char                 head[SEGMENT_HEADER];
	struct segment_title title;
	int                  why = disk_read(fd, head, sizeof head, 0);

	if (why != 0 && why != EBADMSG)
		return why;
	if (why == 0 && segment_title_read(head, &title) && title.version == SEGMENT_VERSION &&
	    title.number == segment)
		return 0;
	warn_("segment %08x: not a segment of that number, or of a version this program does not "
	      "know; it is left alone",
	      segment);
	return EBADMSG;
}

int
letters_fd(struct letters *l, uint32_t segment)
{
	struct kept *oldest = &l->kept[0];
	char         name[24];
	int          fd, why;

	if (l->last != NULL && l->last->fd >= 0 && l->last->segment == segment) {
		l->last->used = ++l->turn;
		return l->last->fd;
	}
	for (int i = 0; i < KEPT; i++) {
		struct kept *k = &l->kept[i];
		if (k->fd >= 0 && k->segment == segment) {
			k->used = ++l->turn;
			l->last = k;
			return k->fd;
		}
		if (!k->lent &&
		    (oldest->lent || (oldest->fd >= 0 && (k->fd < 0 || k->used < oldest->used))))
			oldest = k;
	}
	if (l->dir < 0 || oldest->lent)
		return errno = ENOENT, -1;
	(void)snprintf(name, sizeof name, "%08x.seg", segment);
	if ((fd = openat(l->dir, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW)) < 0)
		return -1;
	if ((why = prove_segment(fd, segment)) != 0) {
		(void)close(fd);
		return errno = why, -1;
	}
	if (oldest->fd >= 0)
		(void)close(oldest->fd);
	*oldest = (struct kept){ .segment = segment, .fd = fd, .used = ++l->turn };
	return fd;
}

int
letters_lend(struct letters *l, uint32_t segment, int fd)
{
	struct kept *room = NULL;

	for (int i = 0; i < KEPT; i++) {
		struct kept *k = &l->kept[i];
		if (!k->lent &&
		    (room == NULL || (room->fd >= 0 && (k->fd < 0 || k->used < room->used))))
			room = k;
	}
	if (room == NULL) {
		(void)close(fd);
		return ENFILE;
	}
	if (room->fd >= 0)
		letters_forget(l, room->segment);
	*room = (struct kept){ segment, fd, ++l->turn, true };
	return 0;
}

void
letters_release(struct letters *l, uint32_t segment)
{
	for (int i = 0; i < KEPT; i++)
		if (l->kept[i].segment == segment)
			l->kept[i].lent = false;
}

/* Where nobody can tell, it is not. */
static bool
is_here(int fd, uint64_t at)
{
	char         byte;
	struct iovec one = { &byte, 1 };

	return preadv2(fd, &one, 1, (off_t)at, RWF_NOWAIT) == 1;
}

bool
letters_are_here(struct letters *l, uint32_t segment, uint64_t at)
{
	int fd = letters_fd(l, segment);

	return fd >= 0 && is_here(fd, at);
}

void
letters_bring(struct letters *l)
{
	int fd = l->expected.end > 0 ? letters_fd(l, l->expected.segment) : -1;

	if (fd >= 0)
		(void)posix_fadvise(fd, (off_t)l->expected.from,
		                    (off_t)(l->expected.end - l->expected.from),
		                    POSIX_FADV_WILLNEED);
	l->expected.end = 0;
}

void
letters_expect(struct letters *l, uint32_t segment, uint64_t at, uint64_t len)
{
	bool joins = segment == l->expected.segment && at >= l->expected.from &&
	             at <= l->expected.end + JOINED && at + len - l->expected.from <= AHEAD;

	l->expected.left++;
	if (l->expected.end > 0 && joins) {
		l->expected.end = at + len;
		return;
	}
	letters_bring(l);
	l->expected.segment = segment;
	l->expected.from = at;
	l->expected.end = at + len;
}

/* Whether this envelope is one of those that were expected. */
static bool
was_expected(struct letters *l, uint32_t segment, uint64_t letter)
{
	if (l->expected.left == 0)
		return false;
	l->expected.left--;
	return segment == letter_segment(letter);
}

/* The kernel sees single reads with gaps and would bring each only when it is asked for. */
static void
look_ahead(struct course *c, int fd, uint32_t segment, uint64_t at)
{
	bool follows = c->segment == segment && at >= c->at && at - c->at <= GAP;

	if (!follows)
		*c = (struct course){ .segment = segment };
	c->at = at;
	if (++c->steps < FOLLOWING || at + AHEAD / 2 < c->brought)
		return;
	if (c->brought < at)
		c->brought = at;
	/* Asking for pages that are there costs a look at each. */
	if (!is_here(fd, c->brought + AHEAD - 1))
		(void)posix_fadvise(fd, (off_t)c->brought, AHEAD, POSIX_FADV_WILLNEED);
	c->brought += AHEAD;
}

int
letters_envelope(struct letters *l, uint32_t segment, uint64_t at, uint64_t letter,
                 struct arena *arena, struct bytes *packed)
{
	int fd = letters_fd(l, segment);

	if (fd >= 0 && !was_expected(l, segment, letter))
		look_ahead(&l->course[0], fd, segment, at);
	if (fd < 0 ||
	    record_read(fd, at, RECORD_ENVELOPE, letter, arena, ENVELOPE_MOST, packed) == NULL)
		return errno;
	return 0;
}

static struct proved *
proved_slot(struct letters *l, const struct letter_place *place)
{
	uint64_t n = place->content_at / 8 + place->content_segment * (uint64_t)2654435761U;

	return &l->proved[n % PROVED];
}

/* Its header says that this content has this checksum. */
static bool
is_header(const char *head, const struct letter_place *place, uint32_t *sum)
{
	struct record r;

	return record_header_read(head, &r, sum) && r.type == RECORD_CONTENT &&
	       r.body_len == place->content_len;
}

static void
note_proved(struct letters *l, const struct letter_place *place)
{
	*proved_slot(l, place) =
		(struct proved){ place->content_at, place->content_len, place->content_segment };
}

/* All of it in one go: proved as it is given out. */
static int
read_whole(struct letters *l, const struct letter_place *place, int fd, void *out)
{
	size_t   len = (size_t)place->content_len;
	char     head[RECORD_HEADER];
	uint32_t sum;
	int      why;

	if (place->content_at < RECORD_HEADER)
		return EBADMSG;
	if ((why = disk_read_two(fd, head, sizeof head, out, len,
	                         place->content_at - RECORD_HEADER)) != 0)
		return why;
	if (!is_header(head, place, &sum) || checksum_of((struct bytes){ out, len }) != sum)
		return EBADMSG;
	note_proved(l, place);
	return 0;
}

/* Read it all once and compare checksums.  0 or errno (EBADMSG: damaged). */
static int
prove(struct letters *l, const struct letter_place *place, int fd)
{
	enum { PIECE = 65536 };
	struct proved *slot = proved_slot(l, place);
	char           head[RECORD_HEADER];
	char           piece[PIECE] __attribute__((uninitialized));
	uint32_t       sum, found = 0;
	int            why;

	if (slot->segment == place->content_segment && slot->at == place->content_at &&
	    slot->len == place->content_len)
		return 0;
	if (place->content_at < RECORD_HEADER)
		return EBADMSG;
	if ((why = disk_read(fd, head, sizeof head, place->content_at - RECORD_HEADER)) != 0)
		return why;
	if (!is_header(head, place, &sum))
		return EBADMSG;
	for (uint64_t at = 0; at < place->content_len; at += PIECE) {
		uint64_t left = place->content_len - at;
		size_t   n = left < PIECE ? (size_t)left : PIECE;

		if ((why = disk_read(fd, piece, n, place->content_at + at)) != 0)
			return why;
		found = checksum_more(found, (struct bytes){ piece, n });
	}
	if (found != sum)
		return EBADMSG;
	note_proved(l, place);
	return 0;
}

int
letters_read(struct letters *l, const struct letter_place *place, uint64_t at, void *out,
             size_t len)
{
	int fd, why;

	if (at > place->content_len || len > place->content_len - at)
		return EINVAL;
	if ((fd = letters_fd(l, place->content_segment)) < 0)
		return errno;
	if (at == 0)
		look_ahead(&l->course[1], fd, place->content_segment, place->content_at);
	if (at == 0 && len == place->content_len && len > 0)
		return read_whole(l, place, fd, out);
	if ((place->content_len <= PROVED_AT_ONCE || at + len > PROVED_AT_ONCE) &&
	    (why = prove(l, place, fd)) != 0)
		return why;
	return disk_read(fd, out, len, place->content_at + at);
}

const char *
letters_why(int why)
{
	return why == EBADMSG ? "the letter is damaged in the log" : strerror(why);
}

void
letters_forget(struct letters *l, uint32_t segment)
{
	for (int i = 0; i < KEPT; i++) {
		if (l->kept[i].fd >= 0 && l->kept[i].segment == segment) {
			(void)close(l->kept[i].fd);
			l->kept[i] = (struct kept){ .fd = -1 };
		}
	}
	for (int i = 0; i < PROVED; i++)
		if (l->proved[i].segment == segment)
			l->proved[i].segment = 0;
}

#undef ENVELOPE_MOST
