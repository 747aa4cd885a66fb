/*
 * maildir.c -- Maildir++: a file for each letter, a directory for each folder (driver.h); maildir-fs.c has them otherwise
 *
 *     ROOT/{tmp,new,cur}        INBOX
 *     ROOT/.Sent.2026/{...}     Sent/2026, in modified UTF-7
 *
 * A file is NAME:2,FLAGS in cur, NAME (or, by mutt, NAME:2,FLAGS) in new.  NAME never changes, so it is what a message is known by.
 * Flags are the letters D F P R S T in that order, then a to z as dovecot-keywords names them.
 */
#include "store/maildir.h"

#include "base/clock.h"
#include "base/journal.h"
#include "message/encoding.h"
#include "spool/disk.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

/* What lies in tmp longer than this belongs to nobody (the maildir convention). */
enum { TMP_LEFT_S = 36 * 3600, ODD_S = 3600 };

static const char *const parts[MAILDIR_PARTS] = { "tmp", "new", "cur" };

/* clang-format off */
static const struct { char letter; uint64_t flag; } system_flags[] = {
	{ 'D', FLAG_DRAFT }, { 'F', FLAG_FLAGGED }, { 'R', FLAG_ANSWERED }, { 'S', FLAG_SEEN }, { 'T', FLAG_DELETED },
};
/* clang-format on */

/* ---- names of folders ---- */

/* "Sent/2026" is ".Sent.2026"; a dot of the name's own is coded, for dots stand between levels. */
static void
folder_name(const char *name, struct buffer *out)
{
	struct bytes rest = bytes_of(name), level;

	while (bytes_split(&rest, '/', &level)) {
		struct bytes part;
		bool         more = false;
		buffer_add_char(out, '.');
		while (bytes_split(&level, '.', &part)) {
			if (more)
				buffer_add_string(out, "&AC4-");
			utf8_to_utf7(part, out);
			more = true;
		}
	}
	buffer_add_char(out, '\0');
}

/* Back; false: not a folder's name. */
static bool
folder_of(const char *dir, struct buffer *out)
{
	struct bytes rest = bytes_of(dir), level;
	bool         more = false;

	if (dir[0] != '.' || dir[1] == '\0' || dir[1] == '.')
		return false;
	rest = bytes_cut(rest, 1, rest.len);
	buffer_reset(out);
	while (bytes_split(&rest, '.', &level)) {
		size_t before = out->len + more;
		if (more)
			buffer_add_char(out, '/');
		more = true;
		while (level.len > 0) {
			ptrdiff_t    dot = bytes_search(level, BYTES("&AC4-"));
			struct bytes part = bytes_cut(level, 0, dot < 0 ? level.len : (size_t)dot);
			if (!utf7_to_utf8(part, out))
				return false;
			level = bytes_cut(level, part.len, level.len);
			if (dot >= 0) {
				buffer_add_char(out, '.');
				level = bytes_cut(level, 5, level.len);
			}
		}
		if (out->len == before || memchr(out->at + before, '/', out->len - before) != NULL)
			return false;
	}
	buffer_add_char(out, '\0');
	return true;
}

/* ---- the place ---- */

int
maildir_make_parts(int dir)
{
	bool fresh = false;

	for (size_t i = 0; i < MAILDIR_PARTS; i++) {
		int why = disk_make(dir, parts[i], 0700);
		if (why != 0 && why != EEXIST)
			return why;
		fresh = fresh || why == 0;
	}
	return fresh ? disk_sync_name(dir) : 0;
}

static int
maildir_open(struct place *p)
{
	return maildir_make_parts(p->root);
}

static void
maildir_close(struct place *p)
{
	(void)p;
}

static bool
stat_of(int dir, const char *name, int64_t at[2])
{
	struct stat st;

	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return false;
	at[0] = st.st_mtim.tv_sec;
	at[1] = st.st_mtim.tv_nsec;
	return true;
}

static bool
maildir_list_stamp(struct place *p, struct stamp *out)
{
	*out = (struct stamp){ { 0 } };
	return stat_of(p->root, ".", out->at);
}

/* A copy of a directory's descriptor whose reading begins at the beginning. */
DIR *
maildir_read_directory(int dir, const char *name)
{
	int  fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);

	if (d == NULL && fd >= 0)
		(void)close(fd);
	return d;
}

static bool
is_maildir(int root, const char *name)
{
	char        path[300];
	struct stat st;

	(void)snprintf(path, sizeof path, "%s/cur", name);
	return fstatat(root, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(st.st_mode) &&
	       fstatat(root, path, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(st.st_mode);
}

static int
maildir_folders(struct place *p, void (*each)(void *ctx, const char *name), void *ctx)
{
	DIR           *d = maildir_read_directory(p->root, ".");
	struct buffer  name = { 0 };
	struct dirent *e;

	if (d == NULL)
		return errno;
	while ((e = readdir(d)) != NULL)
		if (folder_of(e->d_name, &name) && strlen(e->d_name) < 256 &&
		    is_maildir(p->root, e->d_name))
			each(ctx, name.at);
	(void)closedir(d);
	buffer_free(&name);
	return 0;
}

/* With the empty file by which delivery agents know a folder of a Maildir++. */
static int
maildir_make(struct place *p, const char *name)
{
	struct buffer dir = { 0 };
	int           fd, why;

	if (strcmp(name, "INBOX") == 0)
		return maildir_make_parts(p->root);
	folder_name(name, &dir);
	if (dir.len > 255)
		why = ENAMETOOLONG;
	else if ((why = disk_make(p->root, dir.at, 0700)) == EEXIST)
		why = 0;
	if (why == 0) {
		if ((fd = openat(p->root, dir.at,
		                 O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW)) < 0)
			why = errno;
		else {
			why = disk_sync_name(p->root);
			int mark = openat(fd, "maildirfolder",
			                  O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
			if (mark >= 0)
				(void)close(mark);
			if (why == 0)
				why = maildir_make_parts(fd);
			(void)close(fd);
		}
	}
	buffer_free(&dir);
	return why;
}

/* All files of a directory; what is not a file stays, and so does the directory then. */
static void
empty_directory(int dir, const char *name)
{
	DIR           *d = maildir_read_directory(dir, name);
	struct dirent *e;

	if (d == NULL)
		return;
	while ((e = readdir(d)) != NULL)
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
			(void)disk_unlink(dirfd(d), e->d_name, 0);
	(void)closedir(d);
}

void
maildir_empty_trash(int root, const char *away)
{
	int fd = openat(root, away, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);

	if (fd < 0)
		return;
	for (size_t i = 0; i < MAILDIR_PARTS; i++) {
		empty_directory(fd, parts[i]);
		(void)disk_unlink(fd, parts[i], AT_REMOVEDIR);
	}
	(void)close(fd);
	empty_directory(root, away);
	(void)disk_unlink(root, away, AT_REMOVEDIR);
}

static int
maildir_remove(struct place *p, const char *name)
{
	struct buffer dir = { 0 };
	char          away[64];
	int           why;

	/* First out of sight, then file by file: half a folder is never seen. */
	folder_name(name, &dir);
	(void)snprintf(away, sizeof away, "..DOVECOT-TRASHED-%" PRId64, clock_wall_us());
	why = disk_rename(p->root, dir.at, away);
	buffer_free(&dir);
	if (why == 0)
		why = disk_sync_name(p->root);
	if (why != 0)
		return why == ENOENT ? 0 : why;
	maildir_empty_trash(p->root, away);
	return 0;
}

static int
maildir_rename(struct place *p, const char *from, const char *to)
{
	struct buffer one = { 0 }, other = { 0 };
	int           why;

	folder_name(from, &one);
	folder_name(to, &other);
	why = other.len > 255 ? ENAMETOOLONG : disk_rename(p->root, one.at, other.at);
	if (why == 0)
		why = disk_sync_name(p->root);
	buffer_free(&one);
	buffer_free(&other);
	return why;
}

/* ---- a folder ---- */

/* Nobody delivers for so long: what a program that died left behind. */
static void
clean_tmp(int tmp)
{
	DIR           *d = maildir_read_directory(tmp, ".");
	struct dirent *e;
	struct stat    st;
	int64_t        now = clock_wall();

	if (d == NULL)
		return;
	while ((e = readdir(d)) != NULL)
		if (fstatat(tmp, e->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode) &&
		    now - st.st_atim.tv_sec > TMP_LEFT_S && now - st.st_mtim.tv_sec > TMP_LEFT_S)
			(void)disk_unlink(tmp, e->d_name, 0);
	(void)closedir(d);
}

static int
open_parts(struct maildir *d, int base)
{
	struct stat st;

	for (size_t i = 0; i < MAILDIR_PARTS; i++)
		if ((d->part[i] = openat(base, parts[i],
		                         O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW)) < 0)
			return errno;
	if (fstat(d->part[MAILDIR_CUR], &st) < 0)
		return errno;
	d->owner = st.st_uid;
	return 0;
}

static void
stop_reading(struct maildir *d)
{
	if (d->reading != NULL)
		(void)closedir(d->reading);
	d->reading = NULL;
}

static void
maildir_leave(struct folder *f)
{
	struct maildir *d = f->mine;

	f->mine = NULL;
	if (d == NULL)
		return;
	for (size_t i = 0; i < MAILDIR_PARTS; i++)
		if (d->part[i] >= 0)
			(void)close(d->part[i]);
	stop_reading(d);
	if (d->base >= 0)
		(void)close(d->base);
	map_close(&d->uids);
	buffer_free(&d->dir);
	for (int i = 0; i < KEYWORD_LETTERS; i++)
		memory_free(d->keyword[i]);
	memory_free(d);
}

static void
maildir_path(const struct location *l, const char *folder, struct buffer *out)
{
	buffer_add_string(out, l->root);
	if (strcmp(folder, "INBOX") == 0)
		return;
	buffer_add_char(out, '/');
	folder_name(folder, out);
	out->len--; /* its NUL */
}

static int
maildir_base(struct place *p, const char *folder, struct buffer *dir)
{
	if (strcmp(folder, "INBOX") == 0)
		buffer_add(dir, (struct bytes){ ".", 2 });
	else
		folder_name(folder, dir);
	return openat(p->root, dir->at, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
}

static int
enter(struct folder *f, int (*base)(struct place *, const char *folder, struct buffer *dir))
{
	struct maildir *d = memory_take(sizeof *d);
	int             why = 0;

	f->mine = d;
	for (size_t i = 0; i < MAILDIR_PARTS; i++)
		d->part[i] = -1;
	d->base = base(f->place, f->mailbox->name, &d->dir);
	if (d->base < 0)
		why = errno;
	if (why == 0 && (why = maildir_make_parts(d->base)) == 0)
		why = open_parts(d, d->base);
	if (why != 0) {
		maildir_leave(f);
		return why;
	}
	clean_tmp(d->part[MAILDIR_TMP]);
	return 0;
}

static int
maildir_enter(struct folder *f)
{
	return enter(f, maildir_base);
}

static int
maildir_fs_enter(struct folder *f)
{
	return enter(f, maildir_fs_base);
}

static bool
maildir_stamp(struct folder *f, struct stamp *out)
{
	struct maildir *d = f->mine;

	*out = (struct stamp){ { 0 } };
	if (!stat_of(d->part[MAILDIR_NEW], ".", out->at) ||
	    !stat_of(d->part[MAILDIR_CUR], ".", out->at + 2))
		return false;
	(void)stat_of(d->base, "dovecot-keywords", out->at + 4);
	return true;
}

/* ---- flags in names ---- */

/* NAME:2,FLAGS; what is behind is nobody's when it has another form. */
static struct bytes
base_of(struct bytes file, struct bytes *flags)
{
	ptrdiff_t colon = bytes_find(file, ':');

	*flags = (struct bytes){ NULL, 0 };
	if (colon < 0)
		return file;
	if (bytes_starts(bytes_cut(file, (size_t)colon, file.len), BYTES(":2,")))
		*flags = bytes_cut(file, (size_t)colon + 3, file.len);
	return bytes_cut(file, 0, (size_t)colon);
}

static uint64_t
flags_of(struct folder *f, struct bytes letters)
{
	struct maildir *d = f->mine;
	uint64_t        flags = 0;

	for (size_t i = 0; i < letters.len && letters.at[i] != ','; i++) {
		char c = letters.at[i];
		for (size_t k = 0; k < COUNT(system_flags); k++)
			if (system_flags[k].letter == c)
				flags |= system_flags[k].flag;
		if (c == 'P')
			flags |= maildir_bit(f, BYTES("$Forwarded"));
		else if (c >= 'a' && c <= 'z' && d->keyword[c - 'a'] != NULL)
			flags |= maildir_bit(f, bytes_of(d->keyword[c - 'a']));
	}
	return flags;
}

uint64_t
maildir_bit(struct folder *f, struct bytes keyword)
{
	int bit = mailbox_keyword(f->mailbox, keyword, true);

	return bit < 0 || bit >= 64 ? 0 : (uint64_t)1 << bit;
}

static char
letter_of(const struct maildir *d, const char *keyword)
{
	for (int i = 0; i < KEYWORD_LETTERS; i++)
		if (d->keyword[i] != NULL && bytes_is(bytes_of(keyword), d->keyword[i]))
			return (char)('a' + i);
	return '\0';
}

static int
by_letter(const void *one, const void *other)
{
	return *(const char *)one - *(const char *)other;
}

/* The letters for these flags, in their order. */
static void
letters_for(struct folder *f, uint64_t flags, char out[static 40])
{
	struct maildir *d = f->mine;
	size_t          n = 0;

	for (size_t k = 0; k < COUNT(system_flags); k++)
		if (flags & system_flags[k].flag)
			out[n++] = system_flags[k].letter;
	for (int bit = KEYWORD_FIRST; bit < KEYWORD_FIRST + f->mailbox->keywords && bit < 64;
	     bit++) {
		const char *name = f->mailbox->keyword[bit - KEYWORD_FIRST];
		char        c = bytes_is(bytes_of(name), "$Forwarded") ? 'P' : letter_of(d, name);
		if ((flags & (uint64_t)1 << bit) && c != '\0' && n < 32)
			out[n++] = c;
	}
	qsort(out, n, 1, by_letter);
	out[n] = '\0';
}

static uint64_t
maildir_letters(struct folder *f)
{
	struct maildir *d = f->mine;
	uint64_t        mask = 0;

	for (size_t k = 0; k < COUNT(system_flags); k++)
		mask |= system_flags[k].flag;
	maildir_keywords_keep(f);
	for (int bit = KEYWORD_FIRST; bit < KEYWORD_FIRST + f->mailbox->keywords && bit < 64;
	     bit++) {
		const char *name = f->mailbox->keyword[bit - KEYWORD_FIRST];
		if (bytes_is(bytes_of(name), "$Forwarded") || letter_of(d, name) != '\0')
			mask |= (uint64_t)1 << bit;
	}
	return mask;
}

/* ---- reading ---- */

/* So many files are told of before others have their turn. */
enum { SOME_MOST = 2048 };

/* A directory, a pipe, a link: no letter, and nobody else would tell why it is not shown. */
static void
no_file(struct folder *f, const char *where)
{
	struct maildir *d = f->mine;

	if (d->odd > clock_wall())
		return;
	d->odd = clock_wall() + ODD_S;
	warn_("account %" PRIu64
	      ", mailbox %s: %s%s%s/%s is no file, and so no letter: it should be elsewhere",
	      f->mailbox->account->id, f->mailbox->name, f->place->location.root,
	      d->dir.len > 1 ? "/" : "", d->dir.len > 1 ? d->dir.at : "", where);
}

static void
tell_file(struct folder *f, enum maildir_part part, const struct dirent *e,
          void (*each)(void *ctx, const struct found *), void *ctx)
{
	struct maildir *d = f->mine;
	struct found    found = { 0 };
	struct bytes    flags;
	ptrdiff_t       dot;
	uint64_t        date;
	char            where[300];

	(void)snprintf(where, sizeof where, "%s/%s", parts[part], e->d_name);
	if (e->d_name[0] == '.')
		return;
	if (e->d_type != DT_REG && e->d_type != DT_UNKNOWN) {
		no_file(f, where);
		return;
	}
	found.name = base_of(bytes_of(e->d_name), &flags);
	found.flags = flags_of(f, flags); /* in new, too: mutt marks what nobody has seen yet */
	found.where = bytes_of(where);
	dot = bytes_find(found.name, '.');
	if (bytes_number(bytes_cut(found.name, 0, dot < 0 ? 0 : (size_t)dot), &date) &&
	    date < INT64_C(1) << 40)
		found.date = (int64_t)date;
	found.uid = (uint32_t)(uintptr_t)(d->uids != NULL ? map_get(d->uids, found.name) : NULL);
	each(ctx, &found);
}

/* EAGAIN: so many were told of, and there may be more. */
static int
scan_part(struct folder *f, enum maildir_part part, DIR *dir, size_t most,
          void (*each)(void *ctx, const struct found *), void *ctx)
{
	struct dirent *e;

	for (size_t n = 0; n < most; n++) {
		errno = 0;
		if ((e = readdir(dir)) == NULL)
			return errno;
		tell_file(f, part, e, each, ctx);
	}
	return EAGAIN;
}

static int
maildir_scan_some(struct folder *f, void (*each)(void *ctx, const struct found *), void *ctx)
{
	struct maildir *d = f->mine;
	int             why;

	if (d->reading == NULL) {
		maildir_keywords_read(f);
		d->reads = MAILDIR_NEW;
	}
	for (; d->reads < MAILDIR_PARTS; d->reads++) {
		if (d->reading == NULL &&
		    (d->reading = maildir_read_directory(d->part[d->reads], ".")) == NULL)
			return errno;
		if ((why = scan_part(f, d->reads, d->reading, SOME_MOST, each, ctx)) == EAGAIN)
			return why;
		stop_reading(d);
		if (why != 0)
			return why;
	}
	return 0;
}

static int
maildir_scan(struct folder *f, void (*each)(void *ctx, const struct found *), void *ctx)
{
	struct maildir *d = f->mine;
	int             why = 0;

	maildir_keywords_read(f);
	for (enum maildir_part part = MAILDIR_NEW; part < MAILDIR_PARTS && why == 0; part++) {
		DIR *dir = maildir_read_directory(d->part[part], ".");
		if (dir == NULL)
			return errno;
		why = scan_part(f, part, dir, SIZE_MAX, each, ctx);
		(void)closedir(dir);
	}
	return why;
}

/* "cur/NAME" as directory and name. */
static const char *
split_where(const struct maildir *d, const char *where, int *dir)
{
	for (size_t i = 0; i < MAILDIR_PARTS; i++)
		if (strncmp(where, parts[i], 3) == 0)
			*dir = d->part[i];
	return where + 4;
}

/* A link could lead out, and a second name of somebody else's file would show it; what everybody may read is shown
   to nobody by that. */
static bool
is_to_be_read(const struct maildir *d, const struct stat *st)
{
	return S_ISREG(st->st_mode) &&
	       (st->st_uid == d->owner || st->st_uid == geteuid() || (st->st_mode & S_IROTH) != 0);
}

static int
open_file(const struct maildir *d, int dir, const char *name, uint64_t *len)
{
	struct stat st;
	int fd = openat(dir, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);

	if (fd < 0)
		return -1;
	if (fstat(fd, &st) == 0 && is_to_be_read(d, &st)) {
		*len = (uint64_t)st.st_size;
		return fd;
	}
	(void)close(fd);
	errno = EPERM;
	return -1;
}

static int
maildir_content(struct folder *f, const struct file *file, uint64_t *at, uint64_t *len)
{
	struct maildir *d = f->mine;
	int             dir = -1, fd;
	const char     *name;

	if (file->where == NULL) {
		errno = ENOENT;
		return -1;
	}
	name = split_where(d, file->where, &dir);
	*at = 0;
	if ((fd = open_file(d, dir, name, len)) < 0 && errno == ENOENT && file->landing)
		fd = open_file(d, d->part[MAILDIR_TMP], file->name, len);
	return fd;
}

/* ---- writing ---- */

static const char *
host_name(void)
{
	static char    name[80];
	struct utsname u;
	size_t         n = 0;

	if (name[0] != '\0')
		return name;
	if (uname(&u) == 0)
		for (const char *p = u.nodename; *p != '\0' && n < sizeof name - 8; p++) {
			if (*p == '/' || *p == ':' || *p == ',')
				n += (size_t)snprintf(name + n, 5, "\\%03o", (unsigned char)*p);
			else
				name[n++] = *p;
		}
	if (n == 0)
		memcpy(name, "localhost", 10);
	return name;
}

/* Where a file of this name with these flags will lie. */
static void
set_where(struct folder *f, struct file *file, bool fresh)
{
	uint64_t mask = maildir_letters(f); /* gives letters to new keywords */
	char     letters[40], where[400];

	letters_for(f, file->flags, letters);
	if (fresh && letters[0] == '\0')
		(void)snprintf(where, sizeof where, "new/%s", file->name);
	else
		(void)snprintf(where, sizeof where, "cur/%s:2,%s", file->name, letters);
	memory_free(file->where);
	file->where = memcpy(memory_take(strlen(where) + 1), where, strlen(where) + 1);
	file->outside = file->flags & mask;
}

static void
set_name(struct file *file, const char *form_time, uint64_t stored, uint64_t size)
{
	char name[240];

	(void)snprintf(name, sizeof name, "%s.%s,S=%" PRIu64 ",W=%" PRIu64, form_time, host_name(),
	               stored, size);
	memory_free(file->name);
	file->name = memcpy(memory_take(strlen(name) + 1), name, strlen(name) + 1);
}

static int
maildir_put(struct folder *f, struct file *file, const struct source *source, int64_t date,
            struct landing **landing)
{
	struct maildir *d = f->mine;
	struct timespec times[2] = { { .tv_nsec = UTIME_NOW }, { .tv_sec = date } };
	char            unique[80], tmp[100];
	uint64_t        stored;
	int             fd, why, to = -1;
	const char     *as;

	/* The same letter has the same name however often it is tried. */
	(void)snprintf(unique, sizeof unique, "%" PRId64 ".M%06" PRIu64 "L%" PRIX64 "A%" PRIu64,
	               date, file->message % 1000000, file->message, f->mailbox->account->id);
	(void)snprintf(tmp, sizeof tmp, "%s", unique);
	(void)disk_unlink(d->part[MAILDIR_TMP], tmp, 0);
	if ((why = content_is_plain(source, &file->plain)) != 0)
		return why;
	fd = openat(d->part[MAILDIR_TMP], tmp, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW,
	            0600);
	if (fd < 0)
		return errno;
	if ((why = content_write(source, file->plain, fd, &stored)) == 0) {
		set_name(file, unique, stored, source->size);
		set_where(f, file, true);
		(void)futimens(fd, times); /* the internal date, for whoever reads it there */
		/* Until it has landed it is found under its own name in tmp. */
		if (renameat(d->part[MAILDIR_TMP], tmp, d->part[MAILDIR_TMP], file->name) < 0)
			why = errno;
	}
	if (why == 0) {
		as = split_where(d, file->where, &to);
		landing_add(landing, fd, d->part[MAILDIR_TMP], file->name, to, as);
	} else
		(void)disk_unlink(d->part[MAILDIR_TMP], tmp, 0);
	(void)close(fd);
	return why;
}

/* A second name for the same bytes; where the file system has none, a copy. */
static int
maildir_link(struct folder *from, const struct file *old, struct folder *to, struct file *file,
             struct landing **landing)
{
	struct maildir *source = from->mine, *d = to->mine;
	struct bytes    rest = bytes_of(old->name), part;
	char            unique[100];
	int             dir = -1, target = -1;
	const char     *name = split_where(source, old->where, &dir), *as;
	struct stat     st;

	(void)bytes_split(&rest, '.', &part);
	(void)snprintf(unique, sizeof unique, "%.*s.M%06" PRIu64 "C%" PRIu64 "A%" PRIu64,
	               (int)(part.len < 20 ? part.len : 20), part.at, file->message % 1000000,
	               file->message, to->mailbox->account->id);
	if (old->landing && fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0) {
		dir = source->part[MAILDIR_TMP];
		name = old->name;
	}
	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0 && errno == ENOENT) {
		(void)folder_refresh(from);
		name = split_where(source, old->where, &dir);
	}
	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno;
	if (!S_ISREG(st.st_mode) || (st.st_uid != source->owner && st.st_uid != geteuid()))
		return EPERM;
	set_name(file, unique, (uint64_t)st.st_size, file->len);
	set_where(to, file, false);
	as = split_where(d, file->where, &target);
	if (linkat(dir, name, d->part[MAILDIR_TMP], file->name, 0) < 0 && errno != EEXIST)
		return errno;
	landing_add(landing, -1, d->part[MAILDIR_TMP], file->name, target, as);
	return 0;
}

static int
apply_one(struct folder *f, struct file *file)
{
	struct maildir *d = f->mine;
	char            letters[40], name[300], where[310];
	int             dir = -1, why;
	const char     *old;

	if (file->where == NULL)
		return file->gone ? 0 : ENOENT;
	old = split_where(d, file->where, &dir);
	if (file->gone)
		return (why = disk_unlink(dir, old, 0)) == ENOENT ? ENOENT : why;
	letters_for(f, file->flags, letters);
	(void)snprintf(name, sizeof name, "%s:2,%s", file->name, letters);
	(void)snprintf(where, sizeof where, "cur/%s", name);
	if (strcmp(where, file->where) != 0 && renameat(dir, old, d->part[MAILDIR_CUR], name) < 0)
		return errno;
	memory_free(file->where);
	file->where = memcpy(memory_take(strlen(where) + 1), where, strlen(where) + 1);
	file->outside = file->flags & maildir_letters(f);
	return 0;
}

/* What is on its way lies under its own name in tmp. */
static void
maildir_stranded(struct folder *f, void (*each)(void *, const char *), void *ctx)
{
	struct maildir *m = f->mine;
	DIR            *d = maildir_read_directory(m->part[MAILDIR_TMP], ".");
	struct dirent  *e;

	while (d != NULL && (e = readdir(d)) != NULL)
		each(ctx, e->d_name);
	if (d != NULL)
		(void)closedir(d);
}

/* What somebody renamed meanwhile is looked for once more; what is not there any more is not our work. */
static int
maildir_apply(struct folder *f, struct file **file, size_t count)
{
	struct maildir *d = f->mine;
	bool            refreshed = false;

	/* The names are durable before the index says what they are: else an old one that came back
	   after a power cut would be somebody's change. */
	for (size_t i = MAILDIR_NEW; i < MAILDIR_PARTS; i++)
		landing_add(&f->mailbox->account->landing, -1, -1, NULL, d->part[i], NULL);
	for (size_t i = 0; i < count; i++) {
		int why = apply_one(f, file[i]);
		if (why == ENOENT && !refreshed) {
			refreshed = true;
			(void)folder_refresh(f);
			why = apply_one(f, file[i]);
		}
		/* A name of somebody else's may leave no room for flags: they are kept here alone. */
		if (why != 0 && why != ENOENT && why != ENAMETOOLONG)
			return why;
	}
	return 0;
}

static unsigned
maildir_paths(struct folder *f, char out[2][1200])
{
	struct maildir *d = f->mine;

	for (int i = 0; i < 2; i++)
		(void)snprintf(out[i], 1200, "%s/%s/%s", f->place->location.root, d->dir.at,
		               parts[i + 1]);
	return 2;
}

static bool
maildir_ours(struct folder *f, const char *name, bool away)
{
	struct bytes       flags;
	const struct file *file = map_get(f->by_name, base_of(bytes_of(name), &flags));
	bool here = file != NULL && file->where != NULL && strcmp(file->where + 4, name) == 0;

	if (file == NULL)
		return away; /* a file we removed; or one that was never known */
	return away ? !here || file->gone : here;
}

/* clang-format off */
/* What is the same wherever the folders lie. */
#define MAILDIR_DRIVER \
	.name = "maildir", .levels = true, .open = maildir_open, .close = maildir_close, .leave = maildir_leave, \
	.stamp = maildir_stamp, .scan = maildir_scan, .scan_some = maildir_scan_some, .put = maildir_put, .link = maildir_link, \
	.stranded = maildir_stranded, .apply = maildir_apply, .content = maildir_content, .former = maildir_former, \
	.letters = maildir_letters, .paths = maildir_paths, .ours = maildir_ours
/* clang-format on */

const struct driver maildir_driver = {
	MAILDIR_DRIVER,
	.path = maildir_path,
	.list_stamp = maildir_list_stamp,
	.folders = maildir_folders,
	.make = maildir_make,
	.remove = maildir_remove,
	.rename = maildir_rename,
	.enter = maildir_enter,
	.subscriptions = maildir_subscriptions,
};

const struct driver maildir_fs_driver = {
	MAILDIR_DRIVER,
	.path = maildir_fs_path,
	.list_stamp = maildir_fs_list_stamp,
	.folders = maildir_fs_folders,
	.fits = maildir_fs_fits,
	.make = maildir_fs_make,
	.remove = maildir_fs_remove,
	.rename = maildir_fs_rename,
	.enter = maildir_fs_enter,
	.subscriptions = maildir_fs_subscriptions,
};
