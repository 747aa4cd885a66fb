#include "spool/spool.h"

#include "base/checksum.h"
#include "base/clock.h"
#include "base/journal.h"
#include "message/envelope.h"
#include "spool/disk.h"
#include "spool/inside.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/*
 * What lies in the directory, and who may move it on:
 *
 *   NNNNNNNN.seg, no END, locked      OPEN        its writer, which gives it back
 *   NNNNNNNN.seg, no END, not locked  an orphan:  recovered, then SEALED; or empty and removed
 *   NNNNNNNN.seg, END at its end      SEALED      compaction, by the queue
 *   NNNNNNNN.torn                     what recovery cut off: removed after 30 days
 *   numbers                           every number below it may have been used
 */

enum { NUMBERS_AT_ONCE = 16, OWN_MORE = 64 * 1024 };
/* Room of a segment that is made while its writer waits: little enough to be filled with zeros in a moment. */
enum { ROOM_AT_ONCE = 4 << 20 };
#define TORN_KEPT_S ((int64_t)30 * 24 * 3600)
#define ENVELOPE_MOST ((uint64_t)256 << 20)
#define NUMBERS_MOST 0x7fffffffu /* ids stay positive as 64-bit integers of SQLite */

static void
segment_name(uint32_t number, char out[static 24])
{
	(void)snprintf(out, 24, "%08x.seg", number);
}

/* ---- the table of segments ---- */

static struct spool_segment *
row_of(struct spool *sp, uint32_t number)
{
	for (size_t i = sp->count; i-- > 0;)
		if (sp->segment[i].number == number)
			return &sp->segment[i];
	return NULL;
}

void
spool_row_add(struct spool *sp, struct spool_segment row)
{
	size_t i = sp->count;

	if (sp->count == sp->room) {
		sp->room = sp->room ? sp->room * 2 : 64;
		sp->segment = memory_resize(sp->segment, sp->room * sizeof *sp->segment);
	}
	while (i > 0 && sp->segment[i - 1].number > row.number) {
		sp->segment[i] = sp->segment[i - 1];
		i--;
	}
	sp->segment[i] = row;
	sp->count++;
}

static void
row_drop(struct spool *sp, uint32_t number)
{
	struct spool_segment *row = row_of(sp, number);

	if (row == NULL)
		return;
	memmove(row, row + 1, (size_t)(sp->segment + sp->count - row - 1) * sizeof *row);
	sp->count--;
}

bool
spool_segment_at(const struct spool *sp, size_t index, struct spool_segment *out)
{
	if (index >= sp->count)
		return false;
	*out = sp->segment[index];
	return true;
}

struct letters *
spool_letters(struct spool *sp)
{
	return sp->letters;
}

/* ---- numbers are never used twice ---- */

/* The file `numbers` holds one line: the number below which any may have been used, and its
   checksum.  It is replaced whole. */
static int
numbers_write(struct spool *sp, uint32_t upto)
{
	char text[32];
	int  n = snprintf(text, 9, "%08x", upto);
	int  fd, why;

	n += snprintf(text + n, sizeof text - (size_t)n, " %08x\n",
	              checksum_of((struct bytes){ text, 8 }));
	if ((fd = openat(sp->dir, "numbers.new", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600)) <
	    0)
		return errno;
	why = disk_write(fd, text, (size_t)n, 0);
	if (why == 0)
		why = disk_sync(fd);
	(void)close(fd);
	if (why == 0)
		why = disk_rename(sp->dir, "numbers.new", "numbers");
	if (why == 0)
		why = disk_sync_name(sp->dir);
	return why;
}

/* 0: there is no such file.  -1: it cannot be believed. */
static int64_t
numbers_read(int dir)
{
	char text[18] = "", sum[16];
	int  fd = openat(dir, "numbers", O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	int  why;

	if (fd < 0)
		return errno == ENOENT ? 0 : -1;
	why = disk_read(fd, text, sizeof text, 0);
	(void)close(fd);
	if (why != 0)
		return -1;
	(void)snprintf(sum, sizeof sum, " %08x\n", checksum_of((struct bytes){ text, 8 }));
	if (memcmp(text + 8, sum, 10) != 0)
		return -1;
	text[8] = '\0';
	return (int64_t)strtoul(text, NULL, 16);
}

/* With the lock held. */
static int
number_take(struct spool *sp, uint32_t *number)
{
	int why;

	if (sp->next >= NUMBERS_MOST)
		return EOVERFLOW;
	if (sp->next >= sp->numbered) {
		if ((why = numbers_write(sp, sp->next + NUMBERS_AT_ONCE)) != 0)
			return why;
		sp->numbered = sp->next + NUMBERS_AT_ONCE;
	}
	*number = sp->next++;
	return 0;
}

/* ---- making a segment ---- */

static int
room_left(const struct spool *sp, uint64_t size)
{
	uint64_t bytes;
	int      why = disk_room(sp->dir, &bytes);

	return why != 0 ? why : bytes < size + sp->reserve ? ENOSPC : 0;
}

/* The lock that says "its writer lives" belongs to the open file, wherever its descriptor is sent. */
static int
lock(int fd)
{
	struct flock l = { .l_type = F_WRLCK, .l_whence = SEEK_SET };

	return fcntl(fd, F_OFD_SETLK, &l) < 0 ? errno : 0;
}

static int
fill_with_zeros(int fd, uint64_t size)
{
	size_t n = 1 << 20;
	char  *zeros = memory_take(n);
	int    why = 0;

	for (uint64_t at = SEGMENT_HEADER; at < size && why == 0; at += n)
		why = disk_write(fd, zeros, size - at < n ? (size_t)(size - at) : n, at);
	memory_free(zeros);
	return why;
}

/* A new file with header and room, synced; its name not yet.  Returns its descriptor or -1 with errno. */
static int
make(const struct spool *sp, uint32_t number, enum segment_purpose purpose, uint64_t size,
     bool zeros)
{
	char name[24], title[SEGMENT_HEADER];
	int  fd, why;

	segment_name(number, name);
	if ((fd = openat(sp->dir, name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600)) < 0)
		return -1;
	if ((sp->gid >= 0 && fchown(fd, (uid_t)-1, (gid_t)sp->gid) < 0) ||
	    fchmod(fd, (mode_t)sp->mode) < 0) {
		why = errno;
		goto undo;
	}
	if ((why = lock(fd)) != 0)
		goto undo;
	if ((why = posix_fallocate(fd, 0, (off_t)size)) != 0)
		goto undo;
	segment_title_make(title, number, clock_wall(), purpose);
	if ((why = disk_write(fd, title, sizeof title, 0)) != 0)
		goto undo;
	if (zeros && (why = fill_with_zeros(fd, size)) != 0)
		goto undo;
	if ((why = disk_sync(fd)) != 0)
		goto undo;
	return fd;

undo:
	(void)disk_unlink(sp->dir, name, 0);
	(void)close(fd);
	return errno = why, -1;
}

/* The whole of it: number, file, name on disk.  *number is set also on success only. */
int
spool_make_new(struct spool *sp, enum segment_purpose purpose, uint64_t size, bool zeros,
               uint32_t *number)
{
	int why, fd;

	pthread_mutex_lock(&sp->lock);
	why = number_take(sp, number);
	pthread_mutex_unlock(&sp->lock);
	if (why != 0)
		return errno = why, -1;
	if ((fd = make(sp, *number, purpose, size, zeros)) < 0)
		return -1;
	if ((why = disk_sync_name(sp->dir)) != 0) {
		(void)close(fd);
		return errno = why, -1;
	}
	return fd;
}

void
spool_prepare(struct spool *sp)
{
	uint32_t number;
	bool     ready;
	int      fd, why;

	pthread_mutex_lock(&sp->lock);
	ready = sp->spare_fd >= 0;
	pthread_mutex_unlock(&sp->lock);
	if (ready || room_left(sp, sp->size) != 0)
		return;
	if ((fd = spool_make_new(sp, SEGMENT_SMALL, sp->size, true, &number)) < 0) {
		why = errno;
		warn_("spool: cannot prepare a segment: %s", strerror(why));
		return;
	}
	pthread_mutex_lock(&sp->lock);
	sp->spare_fd = fd;
	sp->spare = number;
	pthread_mutex_unlock(&sp->lock);
}

int
spool_lend(struct spool *sp, bool own, uint64_t size, uint32_t *number, uint64_t *room)
{
	int fd = -1, why;

	*room = own ? size + OWN_MORE : sp->size;
	if (!own) {
		pthread_mutex_lock(&sp->lock);
		fd = sp->spare_fd;
		*number = sp->spare;
		sp->spare_fd = -1;
		pthread_mutex_unlock(&sp->lock);
	}
	if (fd < 0) {
		if (!own && *room > ROOM_AT_ONCE)
			*room = ROOM_AT_ONCE;
		if ((why = room_left(sp, *room)) != 0)
			return errno = why, -1;
		fd = spool_make_new(sp, own ? SEGMENT_OWN : SEGMENT_SMALL, *room, !own, number);
		if (fd < 0)
			return -1;
	}
	pthread_mutex_lock(&sp->lock);
	spool_row_add(sp, (struct spool_segment){ .number = *number,
	                                          .state = SEGMENT_OPEN,
	                                          .used = SEGMENT_HEADER,
	                                          .size = *room,
	                                          .made = clock_wall(),
	                                          .own = own });
	pthread_mutex_unlock(&sp->lock);
	return fd;
}

/* ---- sealing and recovery ---- */

/* What lies behind the last whole record was promised to nobody; it is kept for a while all the same. */
static int
set_aside(const struct spool *sp, uint32_t number, int fd, uint64_t from, uint64_t size)
{
	char  name[24];
	char *chunk = memory_take(SPOOL_CHUNK);
	int   out = -1, why = 0;

	(void)snprintf(name, sizeof name, "%08x.torn", number);
	for (uint64_t at = from; at < size && why == 0;) {
		size_t n = size - at < SPOOL_CHUNK ? (size_t)(size - at) : SPOOL_CHUNK;
		bool   empty = true;
		if ((why = disk_read(fd, chunk, n, at)) != 0)
			break;
		for (size_t i = 0; i < n && empty; i++)
			empty = chunk[i] == 0;
		if (!empty && out < 0)
			out = openat(sp->dir, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
		if (!empty && out < 0)
			why = errno;
		else if (!empty)
			why = disk_write(out, chunk, n, at - from);
		at += n;
	}
	memory_free(chunk);
	if (out >= 0) {
		warn_("segment %08x: what lies behind offset %" PRIu64 " is not whole; kept as %s",
		      number, from, name);
		(void)close(out);
	}
	return why;
}

int
spool_seal(int fd, uint64_t used)
{
	char end[RECORD_HEADER];
	int  why;

	record_header_make(end, RECORD_END, used, 0, 0);
	if ((why = disk_cut(fd, used)) != 0)
		return why;
	if ((why = disk_write(fd, end, sizeof end, used)) != 0)
		return why;
	return disk_sync(fd);
}

void
spool_row_sealed(struct spool *sp, uint32_t number, uint64_t used)
{
	struct spool_segment *row;

	pthread_mutex_lock(&sp->lock);
	if ((row = row_of(sp, number)) != NULL) {
		row->state = SEGMENT_SEALED;
		row->used = used;
		row->size = used + RECORD_HEADER;
	}
	pthread_mutex_unlock(&sp->lock);
	letters_forget(sp->letters, number);
}

static bool
see_nothing(void *ctx, const struct record *r)
{
	(void)ctx;
	(void)r;
	return true;
}

/* Its writer is gone, fd is ours: cut behind the last whole record and seal; nothing in it: remove. */
static int
recover(struct spool *sp, uint32_t number, int fd)
{
	struct stat      st;
	uint64_t         good;
	enum segment_end end = segment_scan(fd, 0, true, see_nothing, NULL, NULL, &good);
	int              why;

	if (end == SEGMENT_END_ALIEN)
		return EBADMSG;
	if (end == SEGMENT_END_UNREAD)
		return EIO; /* what was promised may lie behind it */
	if (fstat(fd, &st) < 0)
		return errno;
	if (end == SEGMENT_END_SEALED && good + RECORD_HEADER == (uint64_t)st.st_size) {
		/* The plug was pulled between sealing and sync: do it again. */
		why = disk_sync(fd);
	} else {
		if ((why = set_aside(sp, number, fd, good, (uint64_t)st.st_size)) != 0)
			return why;
		if (good == SEGMENT_HEADER)
			return spool_remove(sp, number);
		why = spool_seal(fd, good);
	}
	if (why == 0)
		spool_row_sealed(sp, number, good);
	return why;
}

static int
open_segment(const struct spool *sp, uint32_t number)
{
	char name[24];

	segment_name(number, name);
	return openat(sp->dir, name, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
}

/* Whether the records up to `used` are what their headers say, so that it may be sealed there. */
struct boundary {
	uint64_t used;
	bool     reached;
};

static bool
see_boundary(void *ctx, const struct record *r)
{
	struct boundary *b = ctx;
	uint64_t         end = r->body_at + record_padded(r->body_len);

	b->reached = end == b->used;
	return end < b->used;
}

int
spool_done(struct spool *sp, uint32_t number, uint64_t used)
{
	struct boundary b = { .used = used };
	uint64_t        good;
	int             fd, why = 0;

	if (used <= SEGMENT_HEADER)
		return spool_remove(sp, number);
	if ((fd = open_segment(sp, number)) < 0)
		return errno;
	(void)segment_scan(fd, 0, false, see_boundary, NULL, &b, &good);
	if (b.reached && (why = spool_seal(fd, used)) == 0)
		spool_row_sealed(sp, number, used);
	else if (!b.reached)
		why = recover(sp, number, fd);
	(void)close(fd);
	return why;
}

/* ---- letters found ---- */

/* The contents seen last: an envelope nearly always stands right behind its content. */
enum { RECENT = 8 };
struct finding {
	struct spool   *sp;
	uint32_t        segment;
	int             fd;
	uint64_t        only_after; /* copies of letters before this are old news */
	spool_found_fn *found;
	void           *ctx;
	struct record   recent[RECENT];
	unsigned        turn;
};

/* Not near by: it lies in another segment, under its id. */
static void
place_from_log(struct finding *f, const struct record *r, struct spool_found *out)
{
	char          header[RECORD_HEADER];
	struct record content;
	int           fd = letters_fd(f->sp->letters, letter_segment(r->letter));

	out->content_segment = letter_segment(r->letter);
	out->content_at = letter_offset(r->letter) + RECORD_HEADER;
	if (fd >= 0 && disk_read(fd, header, sizeof header, letter_offset(r->letter)) == 0 &&
	    record_header_read(header, &content, NULL) && content.letter == r->letter)
		out->content_len = content.body_len;
	else
		warn_("segment %08x, offset %" PRIu64 ": the content of letter %010" PRIX64
		      " is not where it should be",
		      f->segment, r->at, r->letter);
}

static bool
see_letter(void *ctx, const struct record *r)
{
	struct finding    *f = ctx;
	struct spool_found found = { .letter = r->letter,
		                     .envelope_segment = f->segment,
		                     .envelope_at = r->at };

	if (r->type == RECORD_CONTENT) {
		f->recent[f->turn++ % RECENT] = *r;
		return true;
	}
	if (r->letter < f->only_after)
		return true;
	for (unsigned i = 0; i < RECENT; i++) {
		if (f->recent[i].letter == r->letter && f->recent[i].type == RECORD_CONTENT) {
			found.content_segment = f->segment;
			found.content_at = f->recent[i].body_at;
			found.content_len = f->recent[i].body_len;
		}
	}
	if (found.content_at == 0)
		place_from_log(f, r, &found);
	f->found(f->ctx, &found);
	return true;
}

static int
find_letters(struct spool *sp, uint32_t number, uint64_t from, uint64_t only_after,
             spool_found_fn *found, void *ctx)
{
	struct finding f = {
		.sp = sp, .segment = number, .only_after = only_after, .found = found, .ctx = ctx
	};
	enum segment_end end;
	uint64_t         good;

	if ((f.fd = open_segment(sp, number)) < 0)
		return errno;
	end = segment_scan(f.fd, from, true, see_letter, NULL, &f, &good);
	if (end == SEGMENT_END_ALIEN)
		warn_("segment %08x cannot be read: its header is broken", number);
	(void)close(f.fd);
	return end == SEGMENT_END_UNREAD ? EIO : 0;
}

int
spool_orphan(struct spool *sp, uint32_t number, spool_found_fn *found, void *ctx)
{
	struct spool_segment *row;
	bool                  sealed;
	int                   fd, why;

	if ((fd = open_segment(sp, number)) < 0)
		return errno;
	if ((why = lock(fd)) != 0) {
		(void)close(fd);
		return why; /* EAGAIN: its writer lives */
	}
	why = recover(sp, number, fd);
	(void)close(fd);
	if (why != 0)
		return why;
	pthread_mutex_lock(&sp->lock);
	row = row_of(sp, number);
	sealed = row != NULL && row->state == SEGMENT_SEALED;
	pthread_mutex_unlock(&sp->lock);
	return sealed ? find_letters(sp, number, 0, 0, found, ctx) : 0;
}

int
spool_orphans(struct spool *sp, spool_found_fn *found, void *ctx)
{
	int first = 0;

	for (size_t i = 0; i < sp->count;) {
		uint32_t number = sp->segment[i].number;
		int      why = 0;

		if (sp->segment[i].state == SEGMENT_OPEN)
			why = spool_orphan(sp, number, found, ctx);
		if (why != 0 && why != EAGAIN && why != EACCES && first == 0)
			first = why;
		if (i < sp->count && sp->segment[i].number == number)
			i++;
	}
	return first;
}

int
spool_each_after(struct spool *sp, uint32_t segment, uint64_t at, spool_found_fn *found, void *ctx)
{
	uint64_t checkpoint = (uint64_t)segment << 32 | (at & 0xffffffffu);
	int      first = 0;

	for (size_t i = 0; i < sp->count; i++) {
		char                 head[SEGMENT_HEADER];
		struct segment_title title;
		uint32_t             number = sp->segment[i].number;
		uint64_t             only_after = 0;
		int                  fd, why;

		if (number < segment)
			continue;
		if ((fd = letters_fd(sp->letters, number)) < 0 ||
		    disk_read(fd, head, sizeof head, 0) != 0 || !segment_title_read(head, &title))
			continue; /* complained of by spool_open() */
		if (title.purpose == SEGMENT_COMPACTION)
			only_after = checkpoint;
		why = find_letters(sp, number, number == segment ? at : 0, only_after, found, ctx);
		if (why != 0 && first == 0)
			first = why;
	}
	return first;
}

int
spool_remove(struct spool *sp, uint32_t number)
{
	char name[24];
	int  why;

	segment_name(number, name);
	if ((why = disk_unlink(sp->dir, name, 0)) != 0 && why != ENOENT)
		return why;
	letters_forget(sp->letters, number);
	pthread_mutex_lock(&sp->lock);
	row_drop(sp, number);
	pthread_mutex_unlock(&sp->lock);
	return disk_sync_name(sp->dir);
}

/* ---- opening ---- */

static bool
number_in(const char *name, const char *ending, uint32_t *number)
{
	struct bytes text = bytes_of(name);

	if (strspn(name, "0123456789abcdef") < 8 ||
	    !bytes_equal(bytes_cut(text, 8, text.len), bytes_of(ending)))
		return false;
	*number = (uint32_t)strtoul(name, NULL, 16);
	return true;
}

/* A segment that was being made when the plug was pulled: no header, no letter. */
static bool
only_zeros(int fd, uint64_t size)
{
	char *chunk = memory_take(SPOOL_CHUNK);
	bool  zeros = true;

	for (uint64_t at = 0; at < size && zeros; at += SPOOL_CHUNK) {
		size_t n = size - at < SPOOL_CHUNK ? (size_t)(size - at) : SPOOL_CHUNK;
		zeros = disk_read(fd, chunk, n, at) == 0;
		for (size_t i = 0; i < n && zeros; i++)
			zeros = chunk[i] == 0;
	}
	memory_free(chunk);
	return zeros;
}

/* One segment found in the directory. */
static void
enter(struct spool *sp, uint32_t number, struct buffer *errors)
{
	char                 head[SEGMENT_HEADER];
	struct segment_title title;
	struct stat          st;
	struct spool_segment row = { .number = number, .state = SEGMENT_SEALED };
	int                  fd = open_segment(sp, number), why = 0;

	if (fd < 0 || fstat(fd, &st) < 0) {
		buffer_printf(errors, "segment %08x: %s\n", number, strerror(errno));
		if (fd >= 0)
			(void)close(fd);
		return;
	}
	row.size = (uint64_t)st.st_size;
	row.made = (int64_t)st.st_mtime;
	row.used = row.size;
	if (disk_read(fd, head, sizeof head, 0) != 0 || !segment_title_read(head, &title) ||
	    title.number != number) {
		if (lock(fd) == 0 && only_zeros(fd, row.size))
			(void)spool_remove(sp, number);
		else
			buffer_printf(
				errors,
				"segment %08x: its header is broken or of an unknown version; left alone\n",
				number);
		(void)close(fd);
		return;
	}
	row.made = title.made;
	row.own = title.purpose == SEGMENT_OWN;
	if (segment_sealed(fd, row.size)) {
		row.used = row.size - RECORD_HEADER;
		spool_row_add(sp, row);
	} else {
		row.state = SEGMENT_OPEN;
		spool_row_add(sp, row);
		if (lock(fd) == 0)
			why = recover(sp, number, fd);
		if (why != 0)
			buffer_printf(errors, "segment %08x: cannot be recovered: %s\n", number,
			              strerror(why));
	}
	(void)close(fd);
}

static void
forget_torn(const struct spool *sp, const char *name)
{
	struct stat st;

	if (fstatat(sp->dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	    clock_wall() - st.st_mtime > TORN_KEPT_S)
		(void)disk_unlink(sp->dir, name, 0);
}

static int
read_directory(struct spool *sp, struct buffer *errors)
{
	struct dirent *e;
	uint32_t       number, highest = 0;
	int64_t        known;
	DIR           *d;
	int            why, fd = openat(sp->dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0 || (d = fdopendir(fd)) == NULL)
		return errno;
	while (errno = 0, (e = readdir(d)) != NULL) {
		if (number_in(e->d_name, ".torn", &number))
			forget_torn(sp, e->d_name);
		if (!number_in(e->d_name, ".seg", &number))
			continue;
		enter(sp, number, errors);
		if (number > highest)
			highest = number;
	}
	why = errno;
	(void)closedir(d);
	if (why != 0)
		return why; /* segments that are not known would never be heard of */
	known = numbers_read(sp->dir);
	if (known < 0) {
		/* Far ahead of all that can have been taken, so that no number is used twice. */
		known = (int64_t)highest + 4096;
		buffer_printf(errors, "file numbers is broken; going on with segment %08x\n",
		              (uint32_t)known);
	}
	sp->next = highest + 1 > (uint32_t)known ? highest + 1 : (uint32_t)known;
	sp->numbered = sp->next;
	return 0;
}

struct spool *
spool_open(int dir, uint64_t segment_size, uint64_t reserve, int mode, int gid,
           struct buffer *errors)
{
	struct spool *sp = memory_take(sizeof *sp);
	int           why;

	sp->dir = dir;
	sp->size = record_padded(segment_size);
	sp->reserve = reserve;
	sp->mode = mode;
	sp->gid = gid;
	sp->spare_fd = sp->copy.fd = -1;
	sp->letters = letters_open(dir);
	(void)pthread_mutex_init(&sp->lock, NULL);
	if ((why = read_directory(sp, errors)) != 0) {
		buffer_printf(errors, "the directory of segments: %s\n", strerror(why));
		spool_close(&sp);
		errno = why;
	}
	return sp;
}

void
spool_close(struct spool **spp)
{
	struct spool *sp = *spp;
	char          name[24];

	*spp = NULL;
	if (sp == NULL)
		return;
	if (sp->copy.fd >= 0)
		(void)close(sp->copy.fd);
	if (sp->spare_fd >= 0) {
		segment_name(sp->spare, name);
		(void)disk_unlink(sp->dir, name, 0);
		(void)close(sp->spare_fd);
	}
	letters_close(&sp->letters);
	(void)pthread_mutex_destroy(&sp->lock);
	memory_free(sp->segment);
	memory_free(sp);
}

#undef TORN_KEPT_S
#undef ENVELOPE_MOST
#undef NUMBERS_MOST
