/*
 * mbox-write.c -- an mbox is rewritten where it is, for others wait with it open (mbox.h)
 *
 * What is to be written goes to a journal beside the account's index first.
 *
 *   journal     mbox           then
 *     -         old            nothing to do
 *     torn      old            the journal is removed
 *     whole     old or mixed   the journal's bytes are written (again); new
 *     -         new            done
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
#include <sys/stat.h>
#include <unistd.h>

enum { PIECE = 65536, HEAD = 64 };

/* One for each file, so that a folder opened first does not take another's. */
static void
journal_path(const struct place *p, const struct stat *st, char out[static 160])
{
	char folder[64];

	index_path(p->account->id, "", folder);
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

/* magic, device, inode, where, length, size of the whole then, checksum of the bytes, checksum of this */
static void
pack_head(struct buffer *b, const struct stat *st, uint64_t at, uint64_t len, uint64_t size,
          uint32_t sum)
{
	buffer_add(b, BYTES("MansMbx1"));
	pack_u64(b, (uint64_t)st->st_dev);
	pack_u64(b, (uint64_t)st->st_ino);
	pack_u64(b, at);
	pack_u64(b, len);
	pack_u64(b, size);
	pack_u32(b, sum);
	pack_u32(b, checksum_of(buffer_bytes(b)));
}

/* ---- from the journal to the mbox ---- */

static int
carry(int journal, int fd, uint64_t at, uint64_t len, uint64_t size)
{
	char     piece[PIECE];
	uint64_t done = 0;
	int      why = 0;

	while (done < len && why == 0) {
		size_t n = len - done < PIECE ? (size_t)(len - done) : PIECE;
		if ((why = disk_read(journal, piece, n, HEAD + done)) == 0)
			why = disk_write(fd, piece, n, at + done);
		done += n;
	}
	if (why == 0)
		why = disk_cut(fd, size);
	return why == 0 ? disk_sync(fd) : why;
}

int
mbox_rewrite(struct place *p, int fd, const struct mbox_edit *edit, size_t count)
{
	struct making m = { .at = HEAD };
	struct buffer head = { 0 };
	struct stat   st;
	char          path[160];
	uint64_t      size;
	int           why, accounts = p->account->store->accounts;

	if (count == 0)
		return 0;
	if (fstat(fd, &st) < 0)
		return errno;
	journal_path(p, &st, path);
	m.to = openat(accounts, path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (m.to < 0)
		return errno;
	size = (uint64_t)st.st_size;
	for (size_t i = 0; i < count; i++)
		size += edit[i].insert.len - edit[i].remove;
	if ((why = put_edits(&m, fd, edit, count, (uint64_t)st.st_size)) == 0) {
		pack_head(&head, &st, edit[0].at, m.at - HEAD, size, m.sum);
		why = disk_write(m.to, head.at, head.len, 0);
	}
	buffer_free(&head);
	if (why == 0)
		why = disk_sync(m.to);
	if (why == 0)
		why = carry(m.to, fd, edit[0].at, m.at - HEAD, size);
	if (why == 0)
		(void)disk_unlink(accounts, path, 0);
	(void)close(m.to);
	return why;
}

static bool
is_whole(int fd, uint64_t len, uint32_t sum)
{
	char     piece[PIECE];
	uint32_t got = 0;
	uint64_t at = 0;

	for (; at < len; at += PIECE) {
		size_t n = len - at < PIECE ? (size_t)(len - at) : PIECE;
		if (disk_read(fd, piece, n, HEAD + at) != 0)
			return false;
		got = checksum_more(got, (struct bytes){ piece, n });
	}
	return got == sum;
}

int
mbox_recover(struct place *p, int fd)
{
	int           accounts = p->account->store->accounts, journal, why = 0;
	char          path[160], head[HEAD] = { 0 };
	struct unpack u = unpack_of((struct bytes){ head, HEAD });
	uint64_t      dev, ino, at, len, size;
	uint32_t      sum, check;
	struct stat   st;

	if (fstat(fd, &st) < 0)
		return errno;
	journal_path(p, &st, path);
	if ((journal = openat(accounts, path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW)) < 0)
		return errno == ENOENT ? 0 : errno;
	if (disk_read(journal, head, HEAD - 8, 0) == 0) {
		u.rest = bytes_cut(u.rest, 8, HEAD);
		dev = unpack_u64(&u);
		ino = unpack_u64(&u);
		at = unpack_u64(&u);
		len = unpack_u64(&u);
		size = unpack_u64(&u);
		sum = unpack_u32(&u);
		check = unpack_u32(&u);
		if (check == checksum_of((struct bytes){ head, 52 }) &&
		    is_whole(journal, len, sum) && dev == (uint64_t)st.st_dev &&
		    ino == (uint64_t)st.st_ino) {
			note("account %" PRIu64 ": a rewrite that was interrupted is finished",
			     p->account->id);
			why = carry(journal, fd, at, len, size);
		}
	}
	(void)close(journal);
	if (why == 0)
		(void)disk_unlink(accounts, path, 0);
	return why;
}
