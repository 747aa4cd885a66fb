/* mbox.c -- the mbox driver: folders are files, INBOX may lie elsewhere (mbox.h, driver.h) */
#include "store/mbox.h"

#include "message/encoding.h"
#include "spool/disk.h"
#include "store/maildir.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { DEPTH_MOST = 20 };

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

static void
mbox_path(const struct location *l, const char *folder, struct buffer *out)
{
	struct bytes rest = bytes_of(folder), level;
	bool         inbox = strcmp(folder, "INBOX") == 0;

	buffer_add_string(out, inbox && l->inbox != NULL ? l->inbox : l->root);
	if (inbox && l->inbox == NULL)
		buffer_add_string(out, "/inbox");
	while (!inbox && bytes_split(&rest, '/', &level)) {
		buffer_add_char(out, '/');
		add_level(level, out);
	}
}

/* A directory and a name in it; `make`: levels above, too. */
static int
reach(struct place *p, const char *folder, bool make, char name[static 256])
{
	struct buffer path = { 0 };
	ptrdiff_t     slash;
	int           fd = -1;

	mbox_path(&p->location, folder, &path);
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

	if (d == NULL) {
		(void)close(fd);
		return;
	}
	stamp_add(&w->stamp, dirfd(d));
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
int
mbox_file_make(int dir, const char *name)
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
	why = is_folder_name(name) ? mbox_file_make(dir, name) : EINVAL;
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
	mbox_changing_leave(d->changing);
	mbox_survey_leave(d->survey);
	(void)close(d->dir);
	memory_free(d);
}

void
mbox_stamp_of(const struct stat *st, struct stamp *out)
{
	*out = (struct stamp){ { st->st_mtim.tv_sec, st->st_mtim.tv_nsec, 0, st->st_size, 0,
		                 (int64_t)st->st_ino } };
}

/* No file is no mail. */
bool
mbox_stamp(struct folder *f, struct stamp *out)
{
	struct mbox *d = f->mine;
	struct stat  st;

	*out = (struct stamp){ { 0 } };
	if (fstatat(d->dir, d->name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT;
	mbox_stamp_of(&st, out);
	return true;
}

struct mbox_home
mbox_home_of(const struct folder *f)
{
	const struct account *a = f->mailbox->account;

	return (struct mbox_home){ a->store->accounts, a->id };
}

/* The file, with its lock; -1 with errno, ENOENT: there is none. */
int
mbox_take(struct folder *f, bool write, struct mbox_locked *lock)
{
	struct mbox     *d = f->mine;
	struct mbox_home home = mbox_home_of(f);
	struct stat      st;
	int              fd, why;

	errno = EBUSY; /* by our own thread */
	if (d->changing != NULL || (write && d->survey != NULL))
		return -1;
	fd = openat(d->dir, d->name,
	            (write ? O_RDWR : O_RDONLY) | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
	if (fd < 0)
		return -1;
	if (fstat(fd, &st) < 0)
		why = errno;
	else if (!S_ISREG(st.st_mode) || st.st_nlink > 1)
		why = EPERM;
	else if ((why = mbox_lock(d->dir, d->name, fd, write, lock)) == 0) {
		if (!write || (why = mbox_recover(&home, fd)) == 0)
			return fd;
		mbox_unlock(lock);
	}
	(void)close(fd);
	errno = why;
	return -1;
}

void
mbox_give(int fd, struct mbox_locked *lock)
{
	mbox_unlock(lock);
	(void)close(fd);
}

/* ---- the driver ---- */

static uint64_t
mbox_letters(struct folder *f)
{
	(void)f;
	return UINT64_MAX;
}

static unsigned
mbox_paths(struct folder *f, char out[2][1200])
{
	struct buffer path = { 0 };

	mbox_path(&f->place->location, f->mailbox->name, &path);
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
	.path = mbox_path,
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
