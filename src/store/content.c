/* content.c -- letters that lie outside, as they are fetched: with CRLF (foreign.h) */
#include "store/foreign.h"

#include "base/journal.h"
#include "spool/disk.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { KEPT_MOST = 16, PIECE = 65536, IN_MEMORY_MOST = 1 << 20 };

struct contents {
	struct {
		uint64_t account, message, at, len, used;
		int      fd;
	} kept[KEPT_MOST];
	uint64_t uses;
};

/* ---- LF and CRLF ---- */

/* A nameless file, that goes when it is closed. */
static int
nameless(struct store *s, uint64_t len)
{
	int fd = -1;

	if (len > IN_MEMORY_MOST)
		fd = openat(s->accounts, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	return fd >= 0 ? fd : memfd_create("letter", MFD_CLOEXEC);
}

/* Puts a CR before every LF that has none.  *bare counts them; out NULL: only that. */
static void
with_crlf(struct bytes in, char *last, struct buffer *out, uint64_t *bare)
{
	const char *p = in.at, *end = in.at + in.len;

	while (p < end) {
		const char *lf = memchr(p, '\n', (size_t)(end - p));
		const char *to = lf != NULL ? lf : end;
		bool        has = lf != NULL && (lf > p ? lf[-1] == '\r' : *last == '\r');
		if (out != NULL)
			buffer_add(out, (struct bytes){ p, (size_t)(to - p) });
		if (to > p)
			*last = to[-1];
		if (lf == NULL)
			break;
		if (!has)
			(*bare)++;
		if (out != NULL)
			buffer_add(out, has ? BYTES("\n") : BYTES("\r\n"));
		*last = '\n';
		p = lf + 1;
	}
}

static int
translate(int from, uint64_t at, uint64_t len, int to, uint64_t *bare, uint64_t *made)
{
	char          piece[PIECE], last = '\0';
	struct buffer out = { 0 };
	int           why = 0;

	*bare = *made = 0;
	while (len > 0 && why == 0) {
		size_t n = len < PIECE ? (size_t)len : PIECE;
		if ((why = disk_read(from, piece, n, at)) != 0)
			break;
		buffer_reset(&out);
		with_crlf((struct bytes){ piece, n }, &last, to >= 0 ? &out : NULL, bare);
		if (to >= 0 && out.len > 0)
			why = disk_write(to, out.at, out.len, *made);
		*made += out.len;
		at += n;
		len -= n;
	}
	buffer_free(&out);
	return why;
}

int
content_crlf(struct store *s, int fd, bool plain, uint64_t *at, uint64_t *len)
{
	uint64_t bare = 0, made;
	int      out = -1, why = 0;

	if (*len > LETTER_MOST)
		why = EFBIG;
	if (why != 0 || plain || (why = translate(fd, *at, *len, -1, &bare, &made)) != 0 ||
	    bare == 0)
		goto out;
	if ((out = nameless(s, *len)) < 0)
		why = errno;
	else if ((why = translate(fd, *at, *len, out, &bare, &made)) == 0) {
		(void)close(fd);
		*at = 0;
		*len = made;
		return out;
	}
out:
	if (why == 0)
		return fd;
	if (out >= 0)
		(void)close(out);
	(void)close(fd);
	errno = why;
	return -1;
}

int
content_is_plain(const struct source *source, bool *plain)
{
	char     piece[PIECE], before = '\0', last = '\0';
	uint64_t at = 0;
	int      why;

	*plain = false;
	while (at < source->size && !*plain) {
		size_t n = source->size - at < PIECE ? (size_t)(source->size - at) : PIECE;
		if ((why = source->read(source->ctx, at, piece, n)) != 0)
			return why;
		for (size_t i = 0; i < n; i++) {
			if (piece[i] == '\n' && (last != '\r' || before == '\r'))
				*plain = true;
			before = last;
			last = piece[i];
		}
		at += n;
	}
	return 0;
}

int
content_write(const struct source *source, bool plain, int fd, uint64_t *len)
{
	char     piece[PIECE + 1];
	uint64_t at = 0;
	bool     cr = false; /* one is held back until we see what follows */
	int      why = 0;

	*len = 0;
	while (at < source->size && why == 0) {
		size_t n = source->size - at < PIECE ? (size_t)(source->size - at) : PIECE, m = 0;
		if ((why = source->read(source->ctx, at, piece + 1, n)) != 0)
			break;
		at += n;
		if (plain) {
			why = disk_write(fd, piece + 1, n, *len);
			*len += n;
			continue;
		}
		for (size_t i = 1; i <= n; i++) {
			char c = piece[i];
			if (cr && c != '\n')
				piece[m++] = '\r';
			cr = c == '\r';
			if (!cr)
				piece[m++] = c;
		}
		if (cr && at == source->size)
			piece[m++] = '\r';
		if (m > 0)
			why = disk_write(fd, piece, m, *len);
		*len += m;
	}
	return why;
}

/* ---- the few that are kept open ---- */

static void
forget(struct contents *c, size_t i)
{
	if (c->kept[i].account != 0)
		(void)close(c->kept[i].fd);
	c->kept[i].account = 0;
}

void
contents_forget(struct store *s, uint64_t account, uint64_t message)
{
	struct contents *c = s->contents;

	for (size_t i = 0; c != NULL && i < KEPT_MOST; i++)
		if (c->kept[i].account == account &&
		    (message == 0 || c->kept[i].message == message))
			forget(c, i);
}

void
contents_close(struct store *s)
{
	for (size_t i = 0; s->contents != NULL && i < KEPT_MOST; i++)
		forget(s->contents, i);
	memory_free(s->contents);
	s->contents = NULL;
}

static struct folder *
folder_with(struct account *a, uint64_t mailbox)
{
	for (struct mailbox *m = a->mailboxes; m != NULL; m = m->next)
		if (m->id == mailbox && !m->gone && mailbox_load(m) == 0)
			return m->folder;
	return NULL;
}

static struct folder *
folder_holding(struct account *a, uint64_t message)
{
	sqlite3_stmt *s = index_ready(a->index, FILE_GET);
	uint64_t      mailbox = 0;

	if (s == NULL)
		return NULL;
	(void)sqlite3_bind_int64(s, 1, (int64_t)message);
	if (index_row(a->index, s) == 1)
		mailbox = (uint64_t)sqlite3_column_int64(s, 0);
	(void)sqlite3_reset(s);
	return folder_with(a, mailbox);
}

/* A file that is renamed while we look for it is looked for twice more. */
static int
open_again(struct folder *f, struct file *file, uint64_t *at, uint64_t *len)
{
	int fd = -1;

	for (int tries = 0; tries < 3; tries++) {
		int why;
		if (file->where != NULL &&
		    ((fd = f->place->driver->content(f, file, at, len)) >= 0 || errno != ENOENT))
			return fd;
		if ((why = folder_refresh(f)) == EBUSY) {
			errno = why;
			return -1;
		}
	}
	errno = ENOENT;
	return fd;
}

/* Opens it, and says in the log which file it is when that fails. */
static int
open_letter(struct account *a, uint64_t message, uint64_t size, uint64_t *at, uint64_t *len)
{
	struct folder *f = folder_holding(a, message);
	struct file   *file = f != NULL ? folder_file(f, message) : NULL;
	int            fd;

	if (file == NULL) {
		errno = EBADMSG;
		return -1;
	}
	fd = open_again(f, file, at, len);
	if (fd >= 0)
		f->locked = 0;
	if (fd < 0 && errno == EBUSY)
		return -1; /* for now */
	if (fd >= 0)
		fd = content_crlf(a->store, fd, file->plain, at, len);
	if (fd >= 0 && *len != size) {
		(void)close(fd);
		fd = -1;
		errno = EBADMSG;
	}
	if (fd < 0) {
		int           why = errno;
		struct buffer path = { 0 };
		folder_path(f, file, &path);
		warn_("account %" PRIu64 ", mailbox %s: %.*s: %s", a->id, f->mailbox->name,
		      (int)path.len, path.at,
		      why == ENOENT    ? "the file is gone"
		      : why == EBADMSG ? "the file was changed: it is not as long as it was"
		                       : strerror(why));
		buffer_free(&path);
		errno = EBADMSG;
	}
	return fd;
}

int
content_open(struct account *a, uint64_t message, uint64_t size, uint64_t *at)
{
	struct store    *s = a->store;
	struct contents *c;
	size_t           oldest = 0;
	uint64_t         len;
	int              fd;

	if (s->contents == NULL)
		s->contents = memory_take(sizeof *s->contents);
	c = s->contents;
	for (size_t i = 0; i < KEPT_MOST; i++) {
		if (c->kept[i].account == a->id && c->kept[i].message == message) {
			c->kept[i].used = ++c->uses;
			*at = c->kept[i].at;
			return c->kept[i].fd;
		}
		if (c->kept[i].account == 0 || c->kept[i].used < c->kept[oldest].used)
			oldest = i;
	}
	if ((fd = open_letter(a, message, size, at, &len)) < 0)
		return -1;
	forget(c, oldest);
	c->kept[oldest].account = a->id;
	c->kept[oldest].message = message;
	c->kept[oldest].at = *at;
	c->kept[oldest].len = len;
	c->kept[oldest].fd = fd;
	c->kept[oldest].used = ++c->uses;
	return fd;
}
