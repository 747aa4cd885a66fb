/* mbox.c -- the mbox driver: folders are files, INBOX may lie elsewhere (mbox.h, driver.h) */
#include "store/mbox.h"

#include "base/journal.h"
#include "message/encoding.h"
#include "spool/disk.h"
#include "store/maildir.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <openssl/evp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { DEPTH_MOST = 20, HEADER_MOST = 1 << 20, NAME_BYTES = 16 };
/* What the status fields take when we write them, so that they can change without moving what follows. */
enum { STATE_ROOM = 96, STATE_LEAST = 40 };

struct mbox {
	int          dir; /* the file is NAME in it                        */
	char         name[256];
	struct stamp stamp; /* of the file the places are of                 */
	uint32_t     uidvalidity;
};

/* ---- names ---- */

/* Names that begin with a dot are other programs': one of ours has the dot coded. */
static void
add_level(struct bytes level, struct buffer *out)
{
	if (bytes_starts(level, BYTES("."))) {
		buffer_add_string(out, "&AC4-");
		level = bytes_cut(level, 1, level.len);
	}
	utf8_to_utf7(level, out);
}

static bool
read_level(struct bytes name, struct buffer *out)
{
	if (bytes_starts(name, BYTES("&AC4-"))) {
		buffer_add_char(out, '.');
		name = bytes_cut(name, 5, name.len);
	}
	return utf7_to_utf8(name, out);
}

/* A directory and a name in it; `make`: levels above, too. */
static int
reach(struct place *p, const char *folder, bool make, char name[static 256])
{
	struct buffer path = { 0 };
	struct bytes  rest = bytes_of(folder), level;
	ptrdiff_t     slash;
	int           fd = -1;

	buffer_add_string(&path, p->location.root);
	if (strcmp(folder, "INBOX") == 0 && p->location.inbox != NULL) {
		buffer_reset(&path);
		buffer_add_string(&path, p->location.inbox);
	} else if (strcmp(folder, "INBOX") == 0) {
		buffer_add_string(&path, "/inbox");
	} else
		while (bytes_split(&rest, '/', &level)) {
			buffer_add_char(&path, '/');
			add_level(level, &path);
		}
	slash = bytes_find_last(buffer_bytes(&path), '/');
	errno = ENAMETOOLONG;
	if (slash >= 0 &&
	    bytes_string(bytes_cut(buffer_bytes(&path), (size_t)slash + 1, path.len), name, 256)) {
		path.at[slash] = '\0';
		fd = place_directory(slash == 0 ? "/" : path.at, make);
	}
	buffer_free(&path);
	return fd;
}

/* What another program keeps beside the folders, and what cannot be one. */
static bool
is_folder_name(const char *name)
{
	return name[0] != '.' && !bytes_ends_nocase(bytes_of(name), BYTES(".lock")) &&
	       strcmp(name, "subscriptions") != 0;
}

static bool
is_mbox(int dir, const char *name)
{
	struct stat st;
	char        begin[5];
	int         fd = openat(dir, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	bool        good = false;

	if (fd < 0)
		return false;
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode))
		good = st.st_size == 0 ||
		       (disk_read(fd, begin, 5, 0) == 0 && memcmp(begin, "From ", 5) == 0);
	(void)close(fd);
	return good;
}

/* ---- the place ---- */

/* Walks the directories; `each` NULL: only when they were changed is asked. */
struct walk {
	struct place *place;
	void (*each)(void *ctx, const char *name);
	void        *ctx;
	struct stamp stamp;
};

static void
walk_directory(struct walk *w, int fd, const char *above, int depth)
{
	DIR           *d = fdopendir(fd);
	struct dirent *e;
	struct stat    st;

	if (d == NULL) {
		(void)close(fd);
		return;
	}
	if (fstat(dirfd(d), &st) == 0) {
		w->stamp.at[1] += st.st_mtim.tv_nsec;
		w->stamp.at[3] += st.st_mtim.tv_sec;
		if (st.st_mtim.tv_sec > w->stamp.at[0])
			w->stamp.at[0] = st.st_mtim.tv_sec;
	}
	while ((e = readdir(d)) != NULL) {
		struct buffer name = { 0 };
		int           below;
		if (!is_folder_name(e->d_name) ||
		    (depth == 0 && bytes_is(bytes_of(e->d_name), "inbox")))
			continue;
		buffer_add_string(&name, above);
		if (read_level(bytes_of(e->d_name), &name)) {
			if (e->d_type != DT_REG && depth < DEPTH_MOST &&
			    (below = openat(dirfd(d), e->d_name,
			                    O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)) >=
			            0) {
				buffer_add(&name, (struct bytes){ "/", 2 });
				walk_directory(w, below, name.at, depth + 1);
			} else if (w->each != NULL && is_mbox(dirfd(d), e->d_name)) {
				buffer_add_char(&name, '\0');
				w->each(w->ctx, name.at);
			}
		}
		buffer_free(&name);
	}
	(void)closedir(d);
}

static int
walk(struct walk *w)
{
	int fd = openat(w->place->root, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return errno;
	walk_directory(w, fd, "", 0);
	return 0;
}

static int
mbox_open(struct place *p)
{
	(void)p;
	return 0;
}

static void
mbox_close(struct place *p)
{
	(void)p;
}

static bool
mbox_list_stamp(struct place *p, struct stamp *out)
{
	struct walk w = { .place = p };

	if (walk(&w) != 0)
		return false;
	*out = w.stamp;
	return true;
}

static int
mbox_folders(struct place *p, void (*each)(void *ctx, const char *name), void *ctx)
{
	struct walk w = { .place = p, .each = each, .ctx = ctx };

	return walk(&w);
}

/* An empty file, durable with its name, where there is none. */
static int
make_file(int dir, const char *name)
{
	int fd = openat(dir, name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK,
	                0600);

	if (fd < 0)
		return errno == EEXIST ? 0 : errno;
	(void)close(fd);
	return disk_sync_name(dir);
}

static int
mbox_make(struct place *p, const char *folder)
{
	char name[256];
	int  why, dir = reach(p, folder, true, name);

	if (dir < 0)
		return errno;
	why = is_folder_name(name) ? make_file(dir, name) : EINVAL;
	(void)close(dir);
	return why;
}

static int
mbox_remove(struct place *p, const char *folder)
{
	char name[256];
	int  why, dir = reach(p, folder, false, name);

	if (dir < 0)
		return errno == ENOENT ? 0 : errno;
	if ((why = disk_unlink(dir, name, 0)) == 0)
		why = disk_sync_name(dir);
	(void)close(dir);
	return why == ENOENT ? 0 : why;
}

static int
mbox_rename(struct place *p, const char *from, const char *to)
{
	char old[256], fresh[256];
	int  one = reach(p, from, false, old), other, why = errno;

	if (one < 0)
		return why;
	if ((other = reach(p, to, true, fresh)) < 0)
		why = errno;
	else {
		why = !is_folder_name(fresh)                 ? EINVAL
		      : renameat(one, old, other, fresh) < 0 ? errno
		                                             : disk_sync_name(other);
		if (why == 0)
			why = disk_sync_name(one);
		(void)close(other);
	}
	(void)close(one);
	return why;
}

/* ---- a folder ---- */

static int
mbox_enter(struct folder *f)
{
	struct mbox *d = memory_take(sizeof *d);

	d->dir = reach(f->place, f->mailbox->name, true, d->name);
	if (d->dir < 0) {
		int why = errno;
		memory_free(d);
		return why;
	}
	f->mine = d;
	return 0;
}

static void
mbox_leave(struct folder *f)
{
	struct mbox *d = f->mine;

	f->mine = NULL;
	if (d == NULL)
		return;
	(void)close(d->dir);
	memory_free(d);
}

static void
stamp_of(const struct stat *st, struct stamp *out)
{
	*out = (struct stamp){ { st->st_mtim.tv_sec, st->st_mtim.tv_nsec, 0, st->st_size, 0,
		                 (int64_t)st->st_ino } };
}

/* No file is no mail. */
static bool
mbox_stamp(struct folder *f, struct stamp *out)
{
	struct mbox *d = f->mine;
	struct stat  st;

	*out = (struct stamp){ { 0 } };
	if (fstatat(d->dir, d->name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT;
	stamp_of(&st, out);
	return true;
}

/* The file, with its lock; -1 with errno, ENOENT: there is none. */
static int
take(struct folder *f, bool write, struct mbox_locked *lock)
{
	struct mbox *d = f->mine;
	struct stat  st;
	int          fd, why;

	fd = openat(d->dir, d->name,
	            (write ? O_RDWR : O_RDONLY) | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
	if (fd < 0)
		return -1;
	if (fstat(fd, &st) < 0)
		why = errno;
	else if (!S_ISREG(st.st_mode) || st.st_nlink > 1)
		why = EPERM;
	else if ((why = mbox_lock(d->dir, d->name, fd, write, lock)) == 0) {
		if (!write || (why = mbox_recover(f->place, fd)) == 0)
			return fd;
		mbox_unlock(lock);
	}
	(void)close(fd);
	errno = why;
	return -1;
}

static void
give(int fd, struct mbox_locked *lock)
{
	mbox_unlock(lock);
	(void)close(fd);
}

/* ---- reading ---- */

/* The file, mapped for as long as its lock is held. */
struct text {
	const char *at;
	size_t      len;
	bool        torn; /* what was there is not there any more */
};

/* Who does not care for locks may cut it off meanwhile: what is gone is read as zeros, and `torn` says it. */
static struct text *mapped;

static void
page_gone(int number, siginfo_t *what, void *ctx)
{
	uintptr_t page = (uintptr_t)what->si_addr & ~(uintptr_t)4095;
	uintptr_t from = mapped != NULL ? (uintptr_t)mapped->at : 0;
	(void)ctx;

	if (mapped == NULL || page < from || page >= from + mapped->len ||
	    mmap((void *)page, from + mapped->len - page, PROT_READ,
	         MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == MAP_FAILED)
		(void)signal(number, SIG_DFL);
	else
		mapped->torn = true;
}

static int
map_text(int fd, struct text *t)
{
	struct sigaction act = { .sa_sigaction = page_gone, .sa_flags = SA_SIGINFO };
	struct stat      st;
	void            *at;

	*t = (struct text){ .at = "" };
	if (fstat(fd, &st) < 0)
		return errno;
	if (st.st_size == 0)
		return 0;
	at = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (at == MAP_FAILED)
		return errno;
	*t = (struct text){ .at = at, .len = (size_t)st.st_size };
	mapped = t;
	(void)sigaction(SIGBUS, &act, NULL);
	return 0;
}

/* 0, or EBADMSG: what was read means nothing. */
static int
unmap_text(struct text *t)
{
	mapped = NULL;
	if (t->len > 0)
		(void)munmap((void *)(uintptr_t)t->at, t->len);
	return t->torn ? EBADMSG : 0;
}

/* A line with its end; false at the end of the text. */
static bool
line_at(const struct text *t, size_t at, struct bytes *line)
{
	const char *lf;

	if (at >= t->len)
		return false;
	lf = memchr(t->at + at, '\n', t->len - at);
	*line = (struct bytes){ t->at + at,
		                lf != NULL ? (size_t)(lf - t->at) - at + 1 : t->len - at };
	return true;
}

static struct bytes
without_end(struct bytes line)
{
	while (line.len > 0 && (line.at[line.len - 1] == '\n' || line.at[line.len - 1] == '\r'))
		line.len--;
	return line;
}

/* A message in the text: From line, header, body; `end` is where the next begins, `stop` before the empty line. */
struct letter {
	size_t            from, header, body, stop, end;
	struct mbox_state state;
	char              name[NAME_BYTES * 2 + 1];
};

/* The hash goes over what no program changes while the letter stays the same. */
static void
read_header(const struct text *t, struct letter *l, struct bytes from)
{
	EVP_MD_CTX   *hash = EVP_MD_CTX_new();
	unsigned char sum[EVP_MAX_MD_SIZE];
	struct bytes  line;
	bool          hidden = false;

	if (hash == NULL || EVP_DigestInit_ex(hash, EVP_sha256(), NULL) != 1)
		panic("no SHA-256");
	(void)EVP_DigestUpdate(hash, from.at, from.len);
	l->body = l->header;
	while (l->body - l->header < HEADER_MOST && line_at(t, l->body, &line)) {
		bool         folded = line.at[0] == ' ' || line.at[0] == '\t';
		struct bytes text = without_end(line);
		if (l->body > l->header && mbox_is_from(text))
			break;
		l->body += line.len;
		if (text.len == 0)
			break;
		if (!folded) {
			enum mbox_field field = mbox_field_of(text);
			hidden = field != MBOX_NO_FIELD;
			mbox_field_read(field, text, &l->state);
		}
		if (!hidden)
			(void)EVP_DigestUpdate(hash, text.at, text.len);
	}
	(void)EVP_DigestFinal_ex(hash, sum, NULL);
	EVP_MD_CTX_free(hash);
	for (size_t i = 0; i < NAME_BYTES; i++)
		(void)snprintf(l->name + i * 2, 3, "%02x", sum[i]);
}

/* The next message at or after `at`. */
static bool
next_letter(const struct text *t, size_t at, struct letter *l)
{
	struct bytes line;
	bool         empty = false;

	*l = (struct letter){ .from = at };
	while (line_at(t, l->from, &line) && !mbox_is_from(without_end(line)))
		l->from += line.len; /* what stands before the first is nobody's letter */
	if (!line_at(t, l->from, &line))
		return false;
	l->state.date = mbox_from_date(without_end(line));
	l->header = l->from + line.len;
	read_header(t, l, without_end(line));
	l->stop = l->end = l->body;
	while (line_at(t, l->end, &line)) {
		struct bytes text = without_end(line);
		if ((empty || l->end == l->body) && mbox_is_from(text))
			break;
		empty = text.len == 0;
		l->end += line.len;
		l->stop =
			empty ? l->end - line.len : l->end; /* one empty line stands between two */
	}
	return true;
}

static uint64_t
keyword_bits(struct folder *f, struct bytes words)
{
	struct bytes word;
	uint64_t     bits = 0;

	while (bytes_split(&words, ' ', &word))
		if (word.len > 0)
			bits |= maildir_bit(f, word);
	return bits;
}

/* Which of those with one hash is which: they lie in the order in which they came. */
struct numbering {
	const struct folder *folder;
	struct map          *seen;  /* by hash: how many were met                    */
	struct map          *known; /* by hash: the next we know, its place + 1      */
	size_t              *next;  /* by place: the next of the same hash, its + 1  */
};

static struct bytes
name_hash(const struct file *file)
{
	return bytes_cut(bytes_of(file->name), 0, (size_t)NAME_BYTES * 2);
}

static void
numbering_open(struct numbering *n, const struct folder *f)
{
	*n = (struct numbering){ f, map_open(), map_open(),
		                 memory_take((f->count + 1) * sizeof(size_t)) };
	for (size_t i = f->count; i-- > 0;) {
		n->next[i] = (size_t)(uintptr_t)map_get(n->known, name_hash(f->file[i]));
		(void)map_put(n->known, name_hash(f->file[i]), (void *)(uintptr_t)(i + 1));
	}
}

static void
numbering_close(struct numbering *n)
{
	map_close(&n->seen);
	map_close(&n->known);
	memory_free(n->next);
}

/* The second of two that are the same is NAME#2, and stays it when the first goes. */
static void
number_name(struct numbering *x, const struct letter *l, struct buffer *out)
{
	const struct folder *f = x->folder;
	struct bytes         hash = bytes_of(l->name);
	uintptr_t            n = (uintptr_t)map_get(x->seen, hash) + 1;
	uintptr_t            known = (uintptr_t)map_get(x->known, hash);

	(void)map_put(x->seen, hash, (void *)n);
	buffer_reset(out);
	if (known != 0) {
		(void)map_drop(x->known, hash);
		if (x->next[known - 1] != 0)
			(void)map_put(x->known, hash, (void *)(uintptr_t)x->next[known - 1]);
		buffer_add_string(out, f->file[known - 1]->name);
	} else
		do {
			buffer_reset(out);
			buffer_add_string(out, l->name);
			if (n > 1)
				buffer_printf(out, "#%" PRIuPTR, n);
			n++;
		} while (map_get(f->by_name, buffer_bytes(out)) != NULL);
	buffer_add_char(out, '\0');
}

static int
mbox_scan(struct folder *f, void (*each)(void *ctx, const struct found *), void *ctx)
{
	struct mbox       *d = f->mine;
	struct mbox_locked lock;
	struct letter      l = { 0 };
	struct buffer      name = { 0 };
	struct numbering   names;
	struct text        t;
	struct stat        st;
	int                fd = take(f, false, &lock), why;

	d->stamp = (struct stamp){ { 0 } };
	if (fd < 0)
		return errno == ENOENT ? 0 : errno;
	if ((why = map_text(fd, &t)) != 0 || fstat(fd, &st) < 0) {
		give(fd, &lock);
		return why != 0 ? why : EIO;
	}
	numbering_open(&names, f);
	while (next_letter(&t, l.end, &l)) {
		number_name(&names, &l, &name);
		if (l.state.uidvalidity != 0 && l.from == 0)
			d->uidvalidity = l.state.uidvalidity;
		each(ctx,
		     &(struct found){ .name = bytes_of(name.at),
		                      .where = bytes_of(d->name),
		                      .at = l.from,
		                      .len = l.end - l.from,
		                      .flags = l.state.system | keyword_bits(f, l.state.keywords),
		                      .date = l.state.date,
		                      .uid = d->uidvalidity != 0 ? l.state.uid : 0 });
	}
	numbering_close(&names);
	buffer_free(&name);
	if ((why = unmap_text(&t)) == 0)
		stamp_of(&st, &d->stamp);
	give(fd, &lock);
	return why;
}

static bool
mbox_former(struct folder *f, uint32_t *uidvalidity, uint32_t *uidnext)
{
	struct mbox_locked lock;
	struct letter      l;
	struct text        t;
	int                fd = take(f, false, &lock);
	bool               found = false;

	if (fd < 0)
		return false;
	if (map_text(fd, &t) == 0) {
		found = next_letter(&t, 0, &l) && l.state.uidvalidity != 0;
		*uidvalidity = found ? l.state.uidvalidity : 0;
		*uidnext = 0;
		found = unmap_text(&t) == 0 && found;
	}
	give(fd, &lock);
	return found;
}

/* As readers see it: without the status fields and the '>' of quoting. */
static void
plain_letter(const struct text *t, const struct letter *l, struct buffer *out)
{
	struct bytes line;
	bool         hidden = false;

	for (size_t at = l->header; at < l->stop && line_at(t, at, &line); at += line.len) {
		if (at + line.len > l->stop)
			line.len = l->stop - at;
		size_t skip = mbox_is_quoted(line) ? 1 : 0;
		if (at < l->body) {
			if (line.at[0] != ' ' && line.at[0] != '\t')
				hidden = mbox_field_of(line) != MBOX_NO_FIELD;
			if (hidden)
				continue;
			if (skip == 0 && !mbox_is_kept(line, &skip))
				skip = 0;
		}
		buffer_add(out, bytes_cut(line, skip, line.len));
	}
}

static int
mbox_content(struct folder *f, const struct file *file, uint64_t *at, uint64_t *len)
{
	struct mbox       *d = f->mine;
	struct mbox_locked lock;
	struct stamp       now;
	struct buffer      out = { 0 };
	struct letter      l;
	struct text        t;
	int                made = -1, why, fd;

	if (!mbox_stamp(f, &now) || memcmp(&now, &d->stamp, sizeof now) != 0) {
		errno = ENOENT; /* places are looked for anew */
		return -1;
	}
	if ((fd = take(f, false, &lock)) < 0)
		return -1;
	if ((why = map_text(fd, &t)) == 0) {
		if (file->at >= t.len || !next_letter(&t, file->at, &l) || l.from != file->at)
			why = ENOENT;
		else if (l.stop - l.header > LETTER_MOST)
			why = EFBIG;
		else
			plain_letter(&t, &l, &out);
		if (unmap_text(&t) != 0)
			why = ENOENT;
	}
	give(fd, &lock);
	out.len -= file->cut <= out.len ? file->cut : out.len;
	if (why == 0 && (made = memfd_create("letter", MFD_CLOEXEC)) < 0)
		why = errno;
	if (why == 0 && out.len > 0)
		why = disk_write(made, out.at, out.len, 0);
	*at = 0;
	*len = out.len;
	buffer_free(&out);
	if (why == 0)
		return made;
	if (made >= 0)
		(void)close(made);
	errno = why;
	return -1;
}

/* ---- adding ---- */

static void
keyword_words(const struct mailbox *m, uint64_t flags, struct buffer *out)
{
	for (int bit = KEYWORD_FIRST; bit < KEYWORD_FIRST + m->keywords && bit < 64; bit++)
		if (flags & (uint64_t)1 << bit)
			buffer_printf(out, "%s%s", out->len > 0 ? " " : "",
			              m->keyword[bit - KEYWORD_FIRST]);
}

static uint64_t
mbox_letters(struct folder *f)
{
	(void)f;
	return UINT64_MAX;
}

/* The sender for the From line: of Return-Path, when that stands first. */
static struct bytes
sender_of(struct bytes text)
{
	struct bytes line, path = BYTES("Return-Path: <");
	ptrdiff_t    end;

	if (!bytes_split(&text, '\n', &line) || !bytes_starts_nocase(line, path))
		return BYTES("MAILER-DAEMON");
	line = bytes_cut(line, path.len, line.len);
	end = bytes_find(line, '>');
	if (end <= 0 || bytes_find(bytes_cut(line, 0, (size_t)end), ' ') >= 0)
		return BYTES("MAILER-DAEMON");
	return bytes_cut(line, 0, (size_t)end);
}

static int
read_source(const struct source *source, struct buffer *out)
{
	char *room = buffer_room(out, (size_t)source->size + 1);
	int   why = source->size > 0 ? source->read(source->ctx, 0, room, (size_t)source->size) : 0;

	if (why == 0)
		buffer_took(out, (size_t)source->size);
	return why;
}

static void
write_state(struct folder *f, uint64_t flags, struct buffer *out)
{
	struct buffer words = { 0 };

	keyword_words(f->mailbox, flags, &words);
	mbox_state_write(flags & SYSTEM_FLAGS, false, buffer_bytes(&words), STATE_ROOM, out);
	buffer_free(&words);
}

/* From line, status fields before the empty line, quoting; LF, if nothing is lost by it. */
static void
write_letter(struct folder *f, struct bytes text, const struct file *file, int64_t date,
             struct buffer *out)
{
	struct bytes sender = sender_of(text), line;
	struct tm    tm;
	size_t       skip;
	char         when[64];
	time_t       at = (time_t)date;
	bool         header = true;

	(void)gmtime_r(&at, &tm);
	(void)strftime(when, sizeof when, "%a %b %e %H:%M:%S %Y", &tm);
	buffer_printf(out, "From %.*s %s\n", (int)(sender.len < 400 ? sender.len : 400), sender.at,
	              when);
	while (bytes_split(&text, '\n', &line)) {
		if (text.at == NULL && line.len == 0)
			break;
		if (!file->plain && line.len > 0 && line.at[line.len - 1] == '\r')
			line.len--;
		if (header && without_end(line).len == 0) {
			write_state(f, file->flags, out);
			header = false;
		}
		if (mbox_needs_quote(line))
			buffer_add_char(out, '>');
		else if (header && mbox_is_kept(line, &skip))
			buffer_add_string(out, "X-Kept-");
		buffer_add(out, line);
		buffer_add_char(out, '\n');
	}
	if (header)
		write_state(f, file->flags, out);
	buffer_add_char(out, '\n');
}

/* Whether this is what was given, with LF for CRLF unless it is kept as it stands. */
static bool
is_same(struct bytes given, struct bytes plain, const struct file *file)
{
	size_t j = 0;

	plain.len -= file->cut <= plain.len ? file->cut : plain.len;
	if (file->plain)
		return bytes_equal(given, plain);
	for (size_t i = 0; i < given.len; i++) {
		if (given.at[i] == '\r' && i + 1 < given.len && given.at[i + 1] == '\n')
			continue;
		if (j == plain.len || plain.at[j++] != given.at[i])
			return false;
	}
	return j == plain.len;
}

/* What was added can be read back as it was given, or it is not added. */
static bool
reads_back(const struct buffer *written, struct bytes given, const struct file *file,
           struct letter *l)
{
	struct text   t = { .at = written->at, .len = written->len };
	struct buffer plain = { 0 };
	bool          same = next_letter(&t, 0, l) && l->end == t.len;

	if (same)
		plain_letter(&t, l, &plain);
	same = same && is_same(given, buffer_bytes(&plain), file);
	buffer_free(&plain);
	return same;
}

/* No empty line is in it; in the mbox there is one. */
static bool
is_header_only(struct bytes text)
{
	struct bytes line;

	while (bytes_split(&text, '\n', &line) && (text.at != NULL || line.len > 0))
		if (without_end(line).len == 0)
			return false;
	return true;
}

static int
append_text(int fd, const struct buffer *out, uint64_t *at)
{
	struct stat st;
	char        tail[2] = { '\n', '\n' };
	size_t      gap = 0;
	int         why;

	if (fstat(fd, &st) < 0)
		return errno;
	*at = (uint64_t)st.st_size;
	if (st.st_size >= 2 && (why = disk_read(fd, tail, 2, *at - 2)) != 0)
		return why;
	if (st.st_size > 0 && (tail[1] != '\n' || tail[0] != '\n'))
		gap = tail[1] == '\n' ? 1 : 2;
	why = disk_write(fd, "\n\n", gap, *at);
	if (why == 0)
		why = disk_write(fd, out->at, out->len, *at + gap);
	if (why == 0)
		why = disk_sync(fd);
	if (why != 0)
		(void)disk_cut(fd, *at);
	*at += gap;
	return why;
}

static void
take_name(struct folder *f, struct file *file, struct letter *l)
{
	char name[NAME_BYTES * 2 + 24];
	int  n = 1;

	(void)snprintf(name, sizeof name, "%s", l->name);
	while (map_get(f->by_name, bytes_of(name)) != NULL)
		(void)snprintf(name, sizeof name, "%s#%d", l->name, ++n);
	memory_free(file->name);
	file->name = memcpy(memory_take(strlen(name) + 1), name, strlen(name) + 1);
}

static int
mbox_put(struct folder *f, struct file *file, const struct source *source, int64_t date,
         struct landing **landing)
{
	struct mbox       *d = f->mine;
	struct mbox_locked lock;
	struct buffer      given = { 0 }, out = { 0 };
	struct letter      l;
	struct stat        st;
	struct stamp       before;
	int                fd, why = read_source(source, &given);

	(void)landing;
	if (why == 0)
		why = content_is_plain(source, &file->plain);
	file->cut = given.len > 0 && given.at[given.len - 1] != '\n';
	if (is_header_only(buffer_bytes(&given)))
		file->cut++;
	if (why == 0)
		write_letter(f, buffer_bytes(&given), file, date, &out);
	if (why == 0 && !reads_back(&out, buffer_bytes(&given), file, &l))
		why = EINVAL;
	if (why == 0)
		why = make_file(d->dir, d->name);
	if (why == 0 && (fd = take(f, true, &lock)) < 0)
		why = errno;
	else if (why == 0) {
		bool known =
			mbox_stamp(f, &before) && memcmp(&before, &d->stamp, sizeof before) == 0;
		if ((why = append_text(fd, &out, &file->at)) == 0) {
			take_name(f, file, &l);
			file->len = out.len;
			file->outside = file->flags;
			file->where = memcpy(memory_take(strlen(d->name) + 1), d->name,
			                     strlen(d->name) + 1);
			if (known && fstat(fd, &st) == 0)
				stamp_of(&st, &d->stamp); /* all other places are as they were */
		}
		give(fd, &lock);
	}
	buffer_free(&given);
	buffer_free(&out);
	return why;
}

/* ---- changing ---- */

struct changing {
	struct folder    *folder;
	struct map       *wanted; /* by name                                  */
	struct mbox_edit *edit;
	size_t            count, room;
	struct buffer     base; /* the X-IMAPbase line of a first letter that goes */
};

static struct buffer *
edit_add(struct changing *c, uint64_t at, uint64_t remove)
{
	if (c->count == c->room) {
		c->room = c->room ? c->room * 2 : 16;
		c->edit = memory_resize(c->edit, c->room * sizeof *c->edit);
	}
	c->edit[c->count] = (struct mbox_edit){ .at = at, .remove = remove };
	return &c->edit[c->count++].insert;
}

/* The status fields go, wherever they stand in the header, and come back at its end; what we do not change of
   them (X-UID, X-IMAPbase) stays where it is. */
static void
change_flags(struct changing *c, const struct text *t, const struct letter *l, uint64_t flags)
{
	struct buffer  words = { 0 };
	struct bytes   line;
	size_t         room = 0, at = l->header, empty = l->body;
	struct buffer *to;

	for (; at < l->body && line_at(t, at, &line); at += line.len) {
		enum mbox_field field = mbox_field_of(line);
		if (without_end(line).len == 0)
			empty = at;
		if (field == MBOX_STATUS || field == MBOX_X_STATUS || field == MBOX_X_KEYWORDS) {
			(void)edit_add(c, at, line.len);
			room += line.len;
		}
	}
	keyword_words(c->folder->mailbox, flags, &words);
	to = edit_add(c, empty, 0);
	if (c->base.len > 0)
		buffer_add(to, buffer_bytes(&c->base));
	buffer_reset(&c->base);
	mbox_state_write(flags & SYSTEM_FLAGS, true, buffer_bytes(&words),
	                 room > STATE_LEAST ? room : STATE_ROOM, to);
	buffer_free(&words);
}

static void
keep_base(struct changing *c, const struct text *t, const struct letter *l)
{
	struct bytes line;

	for (size_t at = l->header; at < l->body && line_at(t, at, &line); at += line.len)
		if (mbox_field_of(line) == MBOX_X_IMAPBASE)
			buffer_add(&c->base, line);
}

static void
gather_edits(struct changing *c, const struct text *t)
{
	struct numbering names;
	struct buffer    name = { 0 };
	struct letter    l = { 0 };

	numbering_open(&names, c->folder);
	while (next_letter(t, l.end, &l)) {
		struct file *file;
		number_name(&names, &l, &name);
		file = map_get(c->wanted, bytes_of(name.at));
		if (file != NULL && file->gone) {
			keep_base(c, t, &l);
			(void)edit_add(c, l.from, l.end - l.from);
		} else if (file != NULL)
			change_flags(c, t, &l, file->flags);
		else if (c->base.len > 0)
			change_flags(c, t, &l,
			             l.state.system | keyword_bits(c->folder, l.state.keywords));
	}
	numbering_close(&names);
	buffer_free(&name);
}

static int
mbox_apply(struct folder *f, struct file **file, size_t count)
{
	struct mbox       *d = f->mine;
	struct changing    c = { .folder = f };
	struct mbox_locked lock;
	struct text        t;
	int                why, fd = take(f, true, &lock);

	if (fd < 0)
		return errno == ENOENT ? 0 : errno;
	c.wanted = map_open();
	for (size_t i = 0; i < count; i++)
		(void)map_put(c.wanted, bytes_of(file[i]->name), file[i]);
	if ((why = map_text(fd, &t)) == 0) {
		gather_edits(&c, &t);
		if ((why = unmap_text(&t)) == 0)
			why = mbox_rewrite(f->place, fd, c.edit, c.count);
	}
	for (size_t i = 0; i < count && why == 0; i++)
		file[i]->outside = file[i]->flags;
	for (size_t i = 0; i < c.count; i++)
		buffer_free(&c.edit[i].insert);
	memory_free(c.edit);
	buffer_free(&c.base);
	map_close(&c.wanted);
	give(fd, &lock);
	d->stamp = (struct stamp){ { 0 } };
	return why;
}

static unsigned
mbox_paths(struct folder *f, char out[2][1200])
{
	struct buffer path = { 0 };
	struct bytes  rest = bytes_of(f->mailbox->name), level;
	bool          inbox = strcmp(f->mailbox->name, "INBOX") == 0;

	buffer_add_string(&path, inbox && f->place->location.inbox != NULL
	                                 ? f->place->location.inbox
	                                 : f->place->location.root);
	if (inbox && f->place->location.inbox == NULL)
		buffer_add_string(&path, "/inbox");
	while (!inbox && bytes_split(&rest, '/', &level)) {
		buffer_add_char(&path, '/');
		add_level(level, &path);
	}
	if (!bytes_string(buffer_bytes(&path), out[0], 1200))
		out[0][0] = '\0';
	buffer_free(&path);
	return 1;
}

static bool
mbox_ours(struct folder *f, const char *name, bool away)
{
	(void)f;
	(void)name;
	(void)away;
	return false; /* the stamp tells */
}

static void
mbox_subscriptions(struct place *p, void (*each)(void *ctx, const char *name), void *ctx)
{
	kin_subscriptions(p->root, ".subscriptions", '/', (struct bytes){ NULL, 0 }, each, ctx);
}

const struct driver mbox_driver = {
	.name = "mbox",
	.sure = true,
	.together = true,
	.dated = true,
	.open = mbox_open,
	.close = mbox_close,
	.list_stamp = mbox_list_stamp,
	.folders = mbox_folders,
	.make = mbox_make,
	.remove = mbox_remove,
	.rename = mbox_rename,
	.enter = mbox_enter,
	.leave = mbox_leave,
	.stamp = mbox_stamp,
	.scan = mbox_scan,
	.put = mbox_put,
	.apply = mbox_apply,
	.content = mbox_content,
	.former = mbox_former,
	.letters = mbox_letters,
	.paths = mbox_paths,
	.ours = mbox_ours,
	.subscriptions = mbox_subscriptions,
};
