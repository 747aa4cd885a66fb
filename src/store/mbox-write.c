/*
 * mbox-write.c -- an mbox is rewritten where it is, for others wait with it open (mbox.h)
 *
 * What is to be written goes to a journal beside the account's index first.
 *
 *   journal     mbox           then
 *     -         old            nothing to do
 *     torn      old            the journal is removed
 *     whole     old or new     the journal is removed
 *     whole     mixed          the journal's bytes are written again; new
 *     -         new            done
 *
 * Whoever adds a letter while nobody finishes it makes the mbox longer than it was and will be: that letter stays.
 */
#include "store/mbox.h"

#include "base/checksum.h"
#include "base/journal.h"
#include "base/pack.h"
#include "spool/disk.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PIECE = 65536, HEAD = 68 };

/* A name in the account's directory is as durable as the bytes. */
static int
sync_names(const struct mbox_home *p)
{
	char folder[64];
	int  fd, why;

	index_path(p->account, "", folder);
	fd = openat(p->accounts, folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return errno;
	why = disk_sync_name(fd);
	(void)close(fd);
	return why;
}

/* An old journal that came back after a power cut would undo what others wrote since. */
static int
remove_journal(const struct mbox_home *p, const char *path)
{
	int why = disk_unlink(p->accounts, path, 0);

	return why == 0 ? sync_names(p) : why;
}

/* One for each file, so that a folder opened first does not take another's. */
static void
journal_path(const struct mbox_home *p, const struct stat *st, char out[static 160])
{
	char folder[64];

	index_path(p->account, "", folder);
	(void)snprintf(out, 160, "%s/mbox-%" PRIx64 "-%" PRIx64 ".journal", folder,
	               (uint64_t)st->st_dev, (uint64_t)st->st_ino);
}

/* ---- the new bytes, put together in the journal ---- */

struct making {
	int      to;
	uint64_t at;
	uint32_t sum;
};

static int
put(struct making *m, struct bytes b)
{
	int why = b.len > 0 ? disk_write(m->to, b.at, b.len, m->at) : 0;

	m->at += b.len;
	m->sum = checksum_more(m->sum, b);
	return why;
}

static int
put_old(struct making *m, int fd, uint64_t from, uint64_t to)
{
	char piece[PIECE];
	int  why = 0;

	while (from < to && why == 0) {
		size_t n = to - from < PIECE ? (size_t)(to - from) : PIECE;
		if ((why = disk_read(fd, piece, n, from)) == 0)
			why = put(m, (struct bytes){ piece, n });
		from += n;
	}
	return why;
}

/* What is changed reaches to the last edit when all stays where it is, else to the end. */
static int
put_edits(struct making *m, int fd, const struct mbox_edit *edit, size_t count, uint64_t old)
{
	int64_t  net = 0;
	uint64_t at = edit[0].at;
	int      why = 0;

	for (size_t i = 0; i < count; i++)
		net += (int64_t)edit[i].insert.len - (int64_t)edit[i].remove;
	for (size_t i = 0; i < count && why == 0; i++) {
		if ((why = put_old(m, fd, at, edit[i].at)) == 0)
			why = put(m, buffer_bytes(&edit[i].insert));
		at = edit[i].at + edit[i].remove;
	}
	return why == 0 && net != 0 ? put_old(m, fd, at, old) : why;
}

/* What is written where. */
struct rewrite {
	uint64_t at, len, size; /* size of the whole then       */
	uint64_t before;        /* and what it was              */
	uint32_t old;           /* checksum of what stood there */
};

/* magic, device, inode, where, length, size of the whole then and before, checksums of what stood there, of the bytes, of this */
static void
pack_head(struct buffer *b, const struct stat *st, const struct rewrite *w, uint32_t sum)
{
	buffer_add(b, BYTES("MansMbx1"));
	pack_u64(b, (uint64_t)st->st_dev);
	pack_u64(b, (uint64_t)st->st_ino);
	pack_u64(b, w->at);
	pack_u64(b, w->len);
	pack_u64(b, w->size);
	pack_u64(b, w->before);
	pack_u32(b, w->old);
	pack_u32(b, sum);
	pack_u32(b, checksum_of(buffer_bytes(b)));
}

/* ---- from the journal to the mbox ---- */

static int
carry(int journal, int fd, const struct rewrite *w)
{
	char     piece[PIECE];
	uint64_t done = 0;
	int      why = 0;

	while (done < w->len && why == 0) {
		size_t n = w->len - done < PIECE ? (size_t)(w->len - done) : PIECE;
		if ((why = disk_read(journal, piece, n, HEAD + done)) == 0)
			why = disk_write(fd, piece, n, w->at + done);
		done += n;
	}
	return why;
}

/* One that grows has its new size from the beginning: what others add lies behind all we write. */
static int
carry_all(int journal, int fd, const struct rewrite *w)
{
	int why = w->size > w->before ? disk_cut(fd, w->size) : 0;

	if (why == 0)
		why = carry(journal, fd, w);
	if (why == 0 && w->size < w->before)
		why = disk_cut(fd, w->size);
	return why == 0 ? disk_sync(fd) : why;
}

static int
sum_of(int fd, uint64_t at, uint64_t len, uint32_t *sum)
{
	char piece[PIECE];
	int  why = 0;

	for (*sum = 0; len > 0 && why == 0;) {
		size_t n = len < PIECE ? (size_t)len : PIECE;
		if ((why = disk_read(fd, piece, n, at)) == 0)
			*sum = checksum_more(*sum, (struct bytes){ piece, n });
		at += n;
		len -= n;
	}
	return why;
}

/* How much of what stood there is written over. */
static uint64_t
old_len(const struct rewrite *w)
{
	return w->size == w->before ? w->len : w->before - w->at;
}

/* The journal, whole and durable; its descriptor, or -1 with errno. */
static int
write_journal(const struct mbox_home *p, const char *path, int fd, const struct stat *st,
              const struct mbox_edit *edit, size_t count, struct rewrite *w)
{
	struct making m = { .at = HEAD };
	struct buffer head = { 0 };
	int           why;

	m.to = openat(p->accounts, path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (m.to < 0)
		return -1;
	if ((why = put_edits(&m, fd, edit, count, w->before)) == 0) {
		w->len = m.at - HEAD;
		why = sum_of(fd, w->at, old_len(w), &w->old);
	}
	if (why == 0) {
		pack_head(&head, st, w, m.sum);
		why = disk_write(m.to, head.at, head.len, 0);
	}
	buffer_free(&head);
	if (why == 0)
		why = disk_sync(m.to);
	if (why == 0)
		why = sync_names(p);
	if (why == 0)
		return m.to;
	(void)close(m.to);
	errno = why;
	return -1;
}

/* Others tell a change by its second and the size: one that keeps both gets a second of its own. */
static void
show_change(int fd, const struct stat *before, const struct rewrite *w)
{
	enum { AHEAD_MOST_S = 60 };
	struct timespec when[2] = { { .tv_nsec = UTIME_OMIT }, { .tv_nsec = 0 } };
	struct stat     now;

	if (w->size != w->before || fstat(fd, &now) < 0 ||
	    before->st_mtim.tv_sec < now.st_mtim.tv_sec ||
	    before->st_mtim.tv_sec > now.st_mtim.tv_sec + AHEAD_MOST_S)
		return;
	when[1] = (struct timespec){ before->st_mtim.tv_sec + 1, now.st_mtim.tv_nsec };
	(void)futimens(fd, when); /* who may not set it leaves it as it is */
}

int
mbox_rewrite(const struct mbox_home *p, int fd, const struct mbox_edit *edit, size_t count)
{
	struct rewrite w = { 0 };
	struct stat    st;
	char           path[160];
	int            why, journal;

	if (count == 0)
		return 0;
	if (fstat(fd, &st) < 0)
		return errno;
	journal_path(p, &st, path);
	w.at = edit[0].at;
	w.size = w.before = (uint64_t)st.st_size;
	for (size_t i = 0; i < count; i++)
		w.size += edit[i].insert.len - edit[i].remove;
	if ((journal = write_journal(p, path, fd, &st, edit, count, &w)) < 0)
		return errno;
	why = carry_all(journal, fd, &w);
	(void)close(journal);
	show_change(fd, &st, &w);
	return why == 0 ? remove_journal(p, path) : why;
}

static bool
read_journal(int fd, const struct stat *st, struct rewrite *w)
{
	char          head[HEAD];
	struct unpack u = unpack_of((struct bytes){ head, HEAD });
	uint64_t      dev, ino;
	uint32_t      sum, got;

	if (disk_read(fd, head, HEAD, 0) != 0)
		return false;
	u.rest = bytes_cut(u.rest, 8, HEAD);
	dev = unpack_u64(&u);
	ino = unpack_u64(&u);
	w->at = unpack_u64(&u);
	w->len = unpack_u64(&u);
	w->size = unpack_u64(&u);
	w->before = unpack_u64(&u);
	w->old = unpack_u32(&u);
	sum = unpack_u32(&u);
	return unpack_u32(&u) == checksum_of((struct bytes){ head, HEAD - 4 }) &&
	       sum_of(fd, HEAD, w->len, &got) == 0 && got == sum && dev == (uint64_t)st->st_dev &&
	       ino == (uint64_t)st->st_ino;
}

/* Nothing was written yet, nor room made for it. */
static bool
is_untouched(int fd, const struct rewrite *w, uint64_t now)
{
	char     piece[PIECE];
	uint32_t sum;

	if (sum_of(fd, w->at, old_len(w), &sum) != 0 || sum != w->old)
		return false;
	if (now < w->size || w->size <= w->before)
		return true;
	for (uint64_t at = w->before; at < w->size; at += PIECE) {
		size_t n = w->size - at < PIECE ? (size_t)(w->size - at) : PIECE;
		if (disk_read(fd, piece, n, at) != 0 || piece[0] != '\0' ||
		    memcmp(piece, piece + 1, n - 1) != 0)
			return true;
	}
	return false;
}

/* All that was to be written stands there. */
static bool
is_carried(int journal, int fd, const struct rewrite *w)
{
	char one[PIECE], other[PIECE];

	for (uint64_t at = 0; at < w->len; at += PIECE) {
		size_t n = w->len - at < PIECE ? (size_t)(w->len - at) : PIECE;
		if (disk_read(journal, one, n, HEAD + at) != 0 ||
		    disk_read(fd, other, n, w->at + at) != 0 || memcmp(one, other, n) != 0)
			return false;
	}
	return true;
}

/* Empty lines between what the mbox has become shorter by and what was added behind it. */
static int
pad(int fd, uint64_t at, uint64_t end)
{
	char piece[PIECE];
	int  why = 0;

	memset(piece, '\n', sizeof piece);
	for (; at < end && why == 0; at += PIECE)
		why = disk_write(fd, piece, end - at < PIECE ? (size_t)(end - at) : PIECE, at);
	return why;
}

static int
finish(const struct mbox_home *p, int journal, int fd, const struct rewrite *w, uint64_t now)
{
	uint64_t longest = w->size > w->before ? w->size : w->before;
	int      why;

	if (is_untouched(fd, w, now) || (now != w->before && is_carried(journal, fd, w)))
		return 0;
	note("account %" PRIu64 ": a rewrite that was interrupted is finished", p->account);
	if (now <= longest)
		return carry_all(journal, fd, w);
	if ((why = carry(journal, fd, w)) == 0)
		why = pad(fd, w->size, w->before);
	return why == 0 ? disk_sync(fd) : why;
}

int
mbox_recover(const struct mbox_home *p, int fd)
{
	int            accounts = p->accounts, journal, why = 0;
	char           path[160];
	struct rewrite w;
	struct stat    st;

	if (fstat(fd, &st) < 0)
		return errno;
	journal_path(p, &st, path);
	if ((journal = openat(accounts, path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW)) < 0)
		return errno == ENOENT ? 0 : errno;
	if (read_journal(journal, &st, &w))
		why = finish(p, journal, fd, &w, (uint64_t)st.st_size);
	(void)close(journal);
	return why == 0 ? remove_journal(p, path) : why;
}
