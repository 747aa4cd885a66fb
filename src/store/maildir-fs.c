/*
 * maildir-fs.c -- a Maildir whose folders are directories in directories, Dovecot's LAYOUT=fs (maildir.h, driver.h)
 *
 *     ROOT/{tmp,new,cur}           INBOX
 *     ROOT/Sent/2026/{...}         Sent/2026, each level in modified UTF-7
 *     ROOT/INBOX/more/{...}        INBOX/more
 *
 * A directory that has neither new nor cur is only a level above others.
 */
#include "store/maildir.h"

#include "base/clock.h"
#include "message/encoding.h"
#include "spool/disk.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { DEPTH_MOST = 20 };

/* ---- names ---- */

static bool
is_part(struct bytes level)
{
	return bytes_equal(level, BYTES("tmp")) || bytes_equal(level, BYTES("new")) ||
	       bytes_equal(level, BYTES("cur"));
}

/* Two dots begin what is being thrown away: of a name that has them the first is coded.  False: no folder can have this
   name. */
static bool
path_of(const char *folder, struct buffer *out)
{
	struct bytes rest = bytes_of(folder), level;
	bool         more = false;

	while (bytes_split(&rest, '/', &level)) {
		if (is_part(level))
			return false;
		if (more)
			buffer_add_char(out, '/');
		more = true;
		if (bytes_starts(level, BYTES(".."))) {
			buffer_add_string(out, "&AC4-");
			level = bytes_cut(level, 1, level.len);
		}
		utf8_to_utf7(level, out);
	}
	return true;
}

/* Back, of one level; false: not a folder's. */
static bool
level_of(struct bytes name, struct buffer *out)
{
	size_t before = out->len;

	if (is_part(name) || bytes_equal(name, BYTES(".")) || bytes_starts(name, BYTES("..")))
		return false;
	if (bytes_starts(name, BYTES("&AC4-."))) {
		buffer_add_char(out, '.');
		name = bytes_cut(name, 5, name.len);
	}
	return utf7_to_utf8(name, out) && memchr(out->at + before, '/', out->len - before) == NULL;
}

void
maildir_fs_path(const struct location *l, const char *folder, struct buffer *out)
{
	struct buffer path = { 0 };

	if (strcmp(folder, "INBOX") == 0)
		buffer_add_string(out, l->root);
	else if (path_of(folder, &path)) {
		buffer_printf(out, "%s/", l->root);
		buffer_add(out, buffer_bytes(&path));
	}
	buffer_free(&path);
}

/* The directory in which a folder's own stands, and its name there; -1 with errno. */
static int
above(struct place *p, const char *folder, bool make, char name[static 256])
{
	struct buffer path = { 0 };
	ptrdiff_t     slash;
	int           fd = -1;

	buffer_add_string(&path, p->location.root);
	buffer_add_char(&path, '/');
	if (!path_of(folder, &path)) {
		errno = EINVAL;
	} else {
		slash = bytes_find_last(buffer_bytes(&path), '/');
		errno = ENAMETOOLONG;
		if (bytes_string(bytes_cut(buffer_bytes(&path), (size_t)slash + 1, path.len), name,
		                 256)) {
			path.at[slash] = '\0';
			fd = place_directory(path.at, make);
		}
	}
	buffer_free(&path);
	return fd;
}

static int
open_below(int dir, const char *name)
{
	return openat(dir, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
}

int
maildir_fs_base(struct place *p, const char *folder, struct buffer *dir)
{
	char name[256];
	int  fd, base, why;

	if (strcmp(folder, "INBOX") == 0) {
		buffer_add(dir, (struct bytes){ ".", 2 });
		return open_below(p->root, ".");
	}
	if ((fd = above(p, folder, false, name)) < 0)
		return -1;
	base = open_below(fd, name);
	why = errno;
	(void)close(fd);
	errno = why;
	(void)path_of(folder, dir);
	buffer_add_char(dir, '\0');
	return base;
}

/* ---- which there are ---- */

/* Walks the directories; `each` NULL: only when they were changed is asked. */
struct walk {
	void (*each)(void *ctx, const char *name);
	void        *ctx;
	struct stamp stamp;
};

static bool
has_letters(int dir)
{
	struct stat st;

	return (fstatat(dir, "cur", &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(st.st_mode)) ||
	       (fstatat(dir, "new", &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(st.st_mode));
}

static void walk_directory(struct walk *, int fd, struct bytes above, int depth);

static void
walk_one(struct walk *w, int dir, const char *entry, struct bytes above, int depth)
{
	struct buffer name = { 0 };
	int           below = -1;

	buffer_add(&name, above);
	if (level_of(bytes_of(entry), &name) && (below = open_below(dir, entry)) >= 0) {
		bool inbox = depth == 0 && strcasecmp(entry, "INBOX") == 0;
		buffer_add(&name, (struct bytes){ "\0", 1 });
		if (w->each != NULL && !inbox && has_letters(below))
			w->each(w->ctx, name.at);
		name.at[name.len - 1] = '/';
		if (depth < DEPTH_MOST && (!inbox || strcmp(entry, "INBOX") == 0))
			walk_directory(w, below, buffer_bytes(&name), depth + 1);
		else
			(void)close(below);
	}
	buffer_free(&name);
}

/* Takes the descriptor. */
static void
walk_directory(struct walk *w, int fd, struct bytes above, int depth)
{
	DIR           *d = fdopendir(fd);
	struct dirent *e;

	if (d == NULL) {
		(void)close(fd);
		return;
	}
	stamp_add(&w->stamp, dirfd(d));
	while ((e = readdir(d)) != NULL)
		if (e->d_type == DT_DIR || e->d_type == DT_UNKNOWN)
			walk_one(w, dirfd(d), e->d_name, above, depth);
	(void)closedir(d);
}

static int
walk(struct place *p, struct walk *w)
{
	int fd = open_below(p->root, ".");

	if (fd < 0)
		return errno;
	walk_directory(w, fd, (struct bytes){ NULL, 0 }, 0);
	return 0;
}

bool
maildir_fs_list_stamp(struct place *p, struct stamp *out)
{
	struct walk w = { 0 };

	if (walk(p, &w) != 0)
		return false;
	*out = w.stamp;
	return true;
}

int
maildir_fs_folders(struct place *p, void (*each)(void *ctx, const char *name), void *ctx)
{
	struct walk w = { .each = each, .ctx = ctx };

	return walk(p, &w);
}

/* ---- making and moving them ---- */

/* What Dovecot keeps, or would, beside the letters of a level: with a directory of that name it could open the mailbox
   no more. */
static bool
is_kin(struct bytes level, bool top)
{
	return bytes_starts(level, BYTES("dovecot-")) || bytes_starts(level, BYTES("dovecot.")) ||
	       bytes_equal(level, BYTES("maildirfolder")) ||
	       bytes_equal(level, BYTES("maildirsize")) ||
	       (top && (bytes_equal(level, BYTES("subscriptions")) ||
	                bytes_equal(level, BYTES("courierimapsubscribed"))));
}

bool
maildir_fs_fits(const char *folder)
{
	struct buffer path = { 0 };
	struct bytes  rest = bytes_of(folder), level;
	bool          good = path_of(folder, &path);

	for (bool top = true; good && bytes_split(&rest, '/', &level); top = false)
		good = !is_kin(level, top);
	buffer_free(&path);
	return good;
}

int
maildir_fs_make(struct place *p, const char *folder)
{
	char name[256];
	int  dir, base = -1, why;

	if (strcmp(folder, "INBOX") == 0)
		return maildir_make_parts(p->root);
	if ((dir = above(p, folder, true, name)) < 0)
		return errno;
	if ((why = disk_make(dir, name, 0700)) == EEXIST)
		why = 0;
	if (why == 0 && (base = open_below(dir, name)) < 0)
		why = errno;
	if (why == 0 && (why = disk_sync_name(dir)) == 0)
		why = maildir_make_parts(base);
	if (base >= 0)
		(void)close(base);
	(void)close(dir);
	return why;
}

/* A folder's letters and what lies beside them, from directory to directory; folders below it stay.  Its letters are
   first: as long as one of new and cur is there it is a folder, so wherever this ends none is lost sight of. */
static int
move_letters(int from, int to)
{
	static const char *const parts[] = { "cur", "new", "tmp" };
	DIR                     *d;
	struct dirent           *e;
	struct stat              st;

	for (size_t i = 0; i < COUNT(parts); i++)
		if (renameat(from, parts[i], to, parts[i]) < 0 && errno != ENOENT)
			return errno;
	if ((d = maildir_read_directory(from, ".")) == NULL)
		return errno;
	while ((e = readdir(d)) != NULL)
		if (fstatat(from, e->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 && !S_ISDIR(st.st_mode))
			(void)renameat(from, e->d_name, to, e->d_name);
	(void)closedir(d);
	return disk_sync_name(to);
}

/* The folder at dir/name becomes to/fresh, which is there or is made; true levels below it stay where they are. */
static int
move_folder(int dir, const char *name, int to, const char *fresh)
{
	int from = open_below(dir, name), into, why;

	if (from < 0)
		return errno;
	why = disk_make(to, fresh, 0700);
	if ((why == 0 || why == EEXIST) && (into = open_below(to, fresh)) >= 0) {
		if ((why = move_letters(from, into)) == 0)
			why = disk_sync_name(to);
		(void)close(into);
	} else if (why == 0 || why == EEXIST)
		why = errno;
	(void)close(from);
	if (why == 0)
		(void)disk_unlink(dir, name, AT_REMOVEDIR); /* stays where others are below it */
	return why == 0 ? disk_sync_name(dir) : why;
}

int
maildir_fs_remove(struct place *p, const char *folder)
{
	char name[256], away[64];
	int  dir, why;

	if ((dir = above(p, folder, false, name)) < 0)
		return errno == ENOENT ? 0 : errno;
	(void)snprintf(away, sizeof away, "..DOVECOT-TRASHED-%" PRId64, clock_wall_us());
	why = move_folder(dir, name, p->root, away);
	(void)close(dir);
	if (why == 0)
		maildir_empty_trash(p->root, away);
	return why == ENOENT ? 0 : why;
}

/* Was it moved with the level above it? */
static bool
is_there(int dir, const char *name)
{
	int  fd = open_below(dir, name);
	bool there = fd >= 0 && has_letters(fd);

	if (fd >= 0)
		(void)close(fd);
	return there;
}

/* With all that is below it, at once; where there is a level of the new name, or it is to lie below itself, without. */
static int
rename_from(int dir, const char *name, int to, const char *fresh)
{
	int why;

	if (renameat(dir, name, to, fresh) == 0)
		return (why = disk_sync_name(to)) == 0 ? disk_sync_name(dir) : why;
	why = errno;
	return why == ENOTEMPTY || why == EEXIST || why == EINVAL
	               ? move_folder(dir, name, to, fresh)
	               : why;
}

int
maildir_fs_rename(struct place *p, const char *from, const char *to)
{
	char old[256], fresh[256];
	int  one, other, why;

	if ((other = above(p, to, true, fresh)) < 0)
		return errno;
	if ((one = above(p, from, false, old)) < 0)
		why = errno;
	else {
		why = rename_from(one, old, other, fresh);
		(void)close(one);
	}
	if (why == ENOENT && is_there(other, fresh))
		why = 0;
	(void)close(other);
	return why;
}

void
maildir_fs_subscriptions(struct place *p, void (*each)(void *ctx, const char *name), void *ctx)
{
	kin_subscriptions(p->root, "subscriptions", '/', (struct bytes){ NULL, 0 }, each, ctx);
}
