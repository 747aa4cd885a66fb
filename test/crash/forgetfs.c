// SPDX-License-Identifier: ISC
//
// forgetfs: a file system with the shortest memory that POSIX allows.
//
//	forgetfs BACKING MOUNTPOINT --control SOCKET [--survive P] [--seed N]
//	forgetfs --tell SOCKET cut|sync|status
//
// Passes everything through to BACKING/live, and remembers for every file what
// it held when it was last fsynced, and for every directory which names it had
// when it was last fsynced.  "cut" pulls the plug: from then on every call
// fails with EIO, and the backing directory is rolled back to what a disk must
// have kept.  Unmount, mount again, and see what is left.
//
// The promises are exactly these, and none is given away for free:
//
//	fsync or fdatasync of a file	keeps its data and its size, not its name;
//	fsync of a directory		keeps the names in it (made, removed or
//					moved), not what the files contain;
//	one call to rename		comes or goes as a whole, as long as
//					neither directory was fsynced since.
//
// So a file that was written and fsynced, in a directory that was not, is
// gone; one whose directory was fsynced and whose data were not is there and
// empty.  Modes, owners and times are kept at once: nothing we test hangs on
// them.  syncfs(2) never reaches a FUSE file system; "sync" on the control
// socket stands in.
//
// Real disks keep more than they must, in no particular order.  With --survive
// P each unsynced block, size and change of name stays with probability P, and
// now and then a block is torn between its sectors.

#define FUSE_USE_VERSION 312

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fuse.h>
#include <getopt.h>
#include <inttypes.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/un.h>
#include <unistd.h>

enum { BLOCK = 4096, SECTOR = 512, BUCKETS = 4096 };

// A file somebody changed since its last fsync, or holds open.  .saved has one
// place per block: NULL for one not touched since, NOTHING for one that lay
// beyond the end then, otherwise a copy of what it held.
struct file {
	struct file *next;
	ino_t ino;
	unsigned handles;
	pthread_mutex_t lock;
	bool dirty;
	off_t kept_size;
	char **saved;
	size_t saved_room;
	size_t *touched;
	size_t touched_fill, touched_room;
};

// A name changed since its directory's last fsync, and what it stood for then.
// Names changed by the same call share a group and thereby their fate.
struct name {
	struct name *next;
	char *name;
	ino_t was;		// 0: there was no such name
	bool was_dir;
	uint64_t group;
};

struct dir {
	struct dir *next;
	ino_t ino;
	struct name *names;
};

// A file that lost a name which the disk still knows has another one in
// BACKING/hold, so that it can be given back.
struct held {
	struct held *next;
	ino_t ino;
	unsigned count;
};

struct handle {
	int fd;
	struct file *file;
};

static char NOTHING[1];

static struct {
	int live, hold;		// directories of the backing
	// Every operation reads; a cut writes and thereby waits for all others.
	pthread_rwlock_t running;
	pthread_mutex_t lock;	// the tables below
	bool cut;
	struct file *files[BUCKETS];
	struct dir *dirs[BUCKETS];
	struct held *held[BUCKETS];
	uint64_t groups;
	double survive;
	uint64_t random;
	const char *control;
} fs = {
	// The cut must not wait until the readers are tired.
	.running = PTHREAD_RWLOCK_WRITER_NONRECURSIVE_INITIALIZER_NP,
	.lock = PTHREAD_MUTEX_INITIALIZER,
};

static void
die(const char *format, ...)
{
	va_list ap;
	va_start(ap, format);
	fputs("forgetfs: ", stderr);
	vfprintf(stderr, format, ap);
	fputc('\n', stderr);
	va_end(ap);
	exit(2);
}

static void *
must(void *p)
{
	if (!p)
		die("out of memory");
	return p;
}

static uint64_t
random_next(void)
{
	uint64_t z = fs.random += 0x9e3779b97f4a7c15u;
	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

static bool
random_survives(void)
{
	return fs.survive > 0 &&
	    (double)(random_next() >> 11) / 9007199254740992.0 < fs.survive;
}

// Paths come as "/a/b"; the backing knows them relative to its live directory.
static const char *
path_of(const char *path)
{
	return path[1] ? path + 1 : ".";
}

// ---- files ------------------------------------------------------------------

// The entry of an inode, made when it is missing.  Under fs.lock.
static struct file *
file_of(ino_t ino)
{
	struct file **slot = &fs.files[ino % BUCKETS];
	for (struct file *f = *slot; f; f = f->next)
		if (f->ino == ino)
			return f;
	struct file *f = must(calloc(1, sizeof *f));
	f->ino = ino;
	pthread_mutex_init(&f->lock, NULL);
	f->next = *slot;
	return *slot = f;
}

static void
file_settle(struct file *f)
{
	for (size_t i = 0; i < f->touched_fill; i++) {
		char **s = &f->saved[f->touched[i]];
		if (*s != NOTHING)
			free(*s);
		*s = NULL;
	}
	f->touched_fill = 0;
	f->dirty = false;
}

// From now on there is something to forget.  Under the file's lock.
static int
file_begin(struct file *f, int fd)
{
	struct stat st;
	if (f->dirty)
		return 0;
	if (fstat(fd, &st) < 0)
		return -errno;
	f->kept_size = st.st_size;
	f->dirty = true;
	return 0;
}

// Sets aside what the disk holds of [from, to) before it is written over.
static int
file_save(struct file *f, int fd, off_t from, off_t to)
{
	int e = file_begin(f, fd);
	if (e || to <= from)
		return e;
	size_t first = (size_t)(from / BLOCK), last = (size_t)((to - 1) / BLOCK);
	if (last >= f->saved_room) {
		size_t room = last + 1 + last / 2;
		f->saved = must(realloc(f->saved, room * sizeof *f->saved));
		memset(f->saved + f->saved_room, 0,
		    (room - f->saved_room) * sizeof *f->saved);
		f->saved_room = room;
	}
	for (size_t i = first; i <= last; i++) {
		if (f->saved[i])
			continue;
		off_t at = (off_t)i * BLOCK;
		char *copy = NOTHING;
		if (at < f->kept_size) {
			copy = must(calloc(1, BLOCK));
			size_t n = f->kept_size - at < BLOCK ?
			    (size_t)(f->kept_size - at) : BLOCK;
			if (pread(fd, copy, n, at) < 0) {
				free(copy);
				return -errno;
			}
		}
		if (f->touched_fill == f->touched_room) {
			f->touched_room = f->touched_room * 2 + 16;
			f->touched = must(realloc(f->touched,
			    f->touched_room * sizeof *f->touched));
		}
		f->touched[f->touched_fill++] = i;
		f->saved[i] = copy;
	}
	return 0;
}

// A new file may have inherited the number of one that is gone for good.
static void
file_born(ino_t ino)
{
	pthread_mutex_lock(&fs.lock);
	struct file *f = file_of(ino);
	if (f->handles == 0)
		file_settle(f);
	pthread_mutex_unlock(&fs.lock);
}

// Puts one block back as the disk had it, or partly so.
static void
block_forget(struct file *f, int fd, size_t i, off_t size)
{
	char now[BLOCK] = { 0 };
	off_t at = (off_t)i * BLOCK;
	if (at >= size)
		return;
	size_t n = size - at < BLOCK ? (size_t)(size - at) : BLOCK;
	static const char zeros[BLOCK];
	const char *was = f->saved[i] == NOTHING ? zeros : f->saved[i];
	if (pread(fd, now, n, at) < 0)
		return;
	bool torn = fs.survive > 0 && random_next() % 4 == 0;
	if (torn) {
		for (size_t s = 0; s < n; s += SECTOR)
			if (!random_survives())
				memcpy(now + s, was + s,
				    n - s < SECTOR ? n - s : SECTOR);
		was = now;
	} else if (random_survives()) {
		return;
	}
	if (pwrite(fd, was, n, at) < 0)
		perror("forgetfs: rolling back a block");
}

static void
file_forget(struct file *f, int fd)
{
	struct stat st;
	if (fstat(fd, &st) < 0)
		return;
	off_t size = f->kept_size;
	if (size != st.st_size && random_survives())
		size = st.st_size;
	if (ftruncate(fd, size) < 0)
		perror("forgetfs: rolling back a size");
	for (size_t i = 0; i < f->touched_fill; i++)
		block_forget(f, fd, f->touched[i], size);
}

// ---- names ------------------------------------------------------------------

static struct dir *
dir_of(ino_t ino)
{
	struct dir **slot = &fs.dirs[ino % BUCKETS];
	for (struct dir *d = *slot; d; d = d->next)
		if (d->ino == ino)
			return d;
	struct dir *d = must(calloc(1, sizeof *d));
	d->ino = ino;
	d->next = *slot;
	return *slot = d;
}

static struct held **
held_slot(ino_t ino)
{
	struct held **slot = &fs.held[ino % BUCKETS];
	while (*slot && (*slot)->ino != ino)
		slot = &(*slot)->next;
	return slot;
}

static void
hold_name(char to[32], ino_t ino)
{
	snprintf(to, 32, "%ju", (uintmax_t)ino);
}

static void
hold_take(ino_t ino, int at, const char *name)
{
	struct held **slot = held_slot(ino);
	if (!*slot) {
		char kept[32];
		hold_name(kept, ino);
		if (linkat(at, name, fs.hold, kept, 0) < 0 && errno != EEXIST)
			perror("forgetfs: holding a file");
		*slot = must(calloc(1, sizeof **slot));
		(*slot)->ino = ino;
	}
	(*slot)->count++;
}

static void
hold_drop(ino_t ino)
{
	struct held **slot = held_slot(ino);
	if (!*slot || --(*slot)->count > 0)
		return;
	struct held *gone = *slot;
	char kept[32];
	hold_name(kept, ino);
	unlinkat(fs.hold, kept, 0);
	*slot = gone->next;
	free(gone);
}

static void
group_merge(uint64_t from, uint64_t to)
{
	if (fs.survive <= 0)
		return;		// nothing survives, with whomever
	for (size_t b = 0; b < BUCKETS; b++)
		for (struct dir *d = fs.dirs[b]; d; d = d->next)
			for (struct name *n = d->names; n; n = n->next)
				if (n->group == from)
					n->group = to;
}

// A name is about to change: note what it stands for, unless that was done
// since its directory's last fsync.  Under fs.lock, before the change.
static int
name_touch(const char *path, uint64_t group)
{
	const char *base = strrchr(path, '/') + 1;
	char parent[PATH_MAX];
	snprintf(parent, sizeof parent, "%.*s", (int)(base - path), path);
	struct stat st;
	if (fstatat(fs.live, path_of(parent), &st, AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	struct dir *d = dir_of(st.st_ino);
	for (struct name *n = d->names; n; n = n->next)
		if (strcmp(n->name, base) == 0) {
			group_merge(n->group, group);
			n->group = group;
			return 0;
		}

	struct name *n = must(calloc(1, sizeof *n));
	n->name = must(strdup(base));
	n->group = group;
	if (fstatat(fs.live, path_of(path), &st, AT_SYMLINK_NOFOLLOW) == 0) {
		n->was = st.st_ino;
		n->was_dir = S_ISDIR(st.st_mode);
		if (!n->was_dir)
			hold_take(st.st_ino, fs.live, path_of(path));
	}
	n->next = d->names;
	d->names = n;
	return 0;
}

static void tree_remove(int at, const char *name);

// The names of this directory are on the disk now.
static void
dir_settle(struct dir *d)
{
	while (d->names) {
		struct name *n = d->names;
		d->names = n->next;
		if (n->was && n->was_dir) {
			char kept[32];
			hold_name(kept, n->was);
			tree_remove(fs.hold, kept);
		} else if (n->was) {
			hold_drop(n->was);
		}
		free(n->name);
		free(n);
	}
}

static void
dir_born(ino_t ino)
{
	dir_settle(dir_of(ino));
}

static void
tree_remove(int at, const char *name)
{
	if (unlinkat(at, name, 0) == 0 || (errno != EISDIR && errno != EPERM))
		return;
	int fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	DIR *list = fd < 0 ? NULL : fdopendir(fd);
	if (list) {
		for (struct dirent *e; (e = readdir(list)); )
			if (strcmp(e->d_name, ".") && strcmp(e->d_name, ".."))
				tree_remove(fd, e->d_name);
		closedir(list);
	}
	unlinkat(at, name, AT_REMOVEDIR);
}

// ---- the cut ----------------------------------------------------------------

// Descriptors for the files and directories whose past must be restored.
// Taken before anything moves, so that they stay good while things move.
struct grip {
	struct grip *next;
	ino_t ino;
	int fd;
};

static struct grip *grips[BUCKETS];

static int
grip_of(ino_t ino)
{
	for (struct grip *g = grips[ino % BUCKETS]; g; g = g->next)
		if (g->ino == ino)
			return g->fd;
	return -1;
}

static void
grip_take(ino_t ino, int at, const char *name, int flags)
{
	if (grip_of(ino) >= 0)
		return;
	int fd = openat(at, name, flags | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return;
	struct grip *g = must(malloc(sizeof *g));
	*g = (struct grip){ grips[ino % BUCKETS], ino, fd };
	grips[ino % BUCKETS] = g;
}

static void
grips_drop(void)
{
	for (size_t b = 0; b < BUCKETS; b++)
		while (grips[b]) {
			struct grip *g = grips[b];
			grips[b] = g->next;
			close(g->fd);
			free(g);
		}
}

static bool
dir_changed(ino_t ino)
{
	for (struct dir *d = fs.dirs[ino % BUCKETS]; d; d = d->next)
		if (d->ino == ino)
			return d->names;
	return false;
}

static bool
file_changed(ino_t ino)
{
	for (struct file *f = fs.files[ino % BUCKETS]; f; f = f->next)
		if (f->ino == ino)
			return f->dirty;
	return false;
}

// Walks the tree and grips whatever has changed.
static void
tree_grip(int at, const char *name)
{
	int fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return;
	struct stat st;
	if (fstat(fd, &st) == 0 && dir_changed(st.st_ino))
		grip_take(st.st_ino, fd, ".", O_RDONLY | O_DIRECTORY);
	DIR *list = fdopendir(fd);
	for (struct dirent *e; list && (e = readdir(list)); ) {
		if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, ".."))
			continue;
		if (e->d_type == DT_DIR)
			tree_grip(fd, e->d_name);
		else if (e->d_type == DT_REG && file_changed(e->d_ino))
			grip_take(e->d_ino, fd, e->d_name, O_RDWR);
	}
	if (list)
		closedir(list);
}

// Every group of names throws its coin once.
static bool
group_survives(uint64_t group)
{
	if (fs.survive <= 0)
		return false;
	static uint64_t salt;
	if (!salt)
		salt = random_next();
	uint64_t before = fs.random;
	fs.random = salt ^ group * 0x2545f4914f6cdd1du;
	bool yes = random_survives();
	fs.random = before;
	return yes;
}

struct tally {
	unsigned names, files, blocks;
};

// First every name that must change its meaning is moved out of the way into
// the hold, then the old meanings are put in place: so no order matters.
static void
names_forget(struct tally *t)
{
	for (size_t b = 0; b < BUCKETS; b++)
		for (struct dir *d = fs.dirs[b]; d; d = d->next) {
			int at = grip_of(d->ino);
			for (struct name *n = d->names; n; n = n->next) {
				struct stat st;
				if (at < 0 || group_survives(n->group))
					continue;
				t->names++;
				if (fstatat(at, n->name, &st, AT_SYMLINK_NOFOLLOW) < 0)
					continue;
				char aside[64];
				if (S_ISDIR(st.st_mode))
					hold_name(aside, st.st_ino);
				else
					snprintf(aside, sizeof aside, "aside.%u", t->names);
				if (renameat(at, n->name, fs.hold, aside) < 0)
					perror("forgetfs: moving a name aside");
			}
		}
	for (size_t b = 0; b < BUCKETS; b++)
		for (struct dir *d = fs.dirs[b]; d; d = d->next) {
			int at = grip_of(d->ino);
			for (struct name *n = d->names; n; n = n->next) {
				if (at < 0 || !n->was || group_survives(n->group))
					continue;
				char kept[32];
				hold_name(kept, n->was);
				// A directory that is not in the hold has been
				// moved to where its name was fsynced: there is
				// only one of it, and there it stays.
				int r = n->was_dir ?
				    renameat(fs.hold, kept, at, n->name) :
				    linkat(fs.hold, kept, at, n->name, 0);
				if (r < 0 && !(n->was_dir && errno == ENOENT))
					perror("forgetfs: restoring a name");
			}
		}
}

static void
hold_empty(void)
{
	DIR *list = fdopendir(openat(fs.hold, ".", O_RDONLY | O_DIRECTORY));
	for (struct dirent *e; list && (e = readdir(list)); )
		if (strcmp(e->d_name, ".") && strcmp(e->d_name, ".."))
			tree_remove(fs.hold, e->d_name);
	if (list)
		closedir(list);
}

static struct tally
power_cut(void)
{
	struct tally t = { 0 };
	pthread_rwlock_wrlock(&fs.running);
	if (!fs.cut) {
		fs.cut = true;
		tree_grip(fs.live, ".");
		tree_grip(fs.hold, ".");
		for (size_t b = 0; b < BUCKETS; b++)
			for (struct file *f = fs.files[b]; f; f = f->next)
				if (f->dirty && grip_of(f->ino) >= 0) {
					t.files++;
					t.blocks += (unsigned)f->touched_fill;
					file_forget(f, grip_of(f->ino));
				}
		names_forget(&t);
		grips_drop();
		hold_empty();
	}
	pthread_rwlock_unlock(&fs.running);
	return t;
}

static void
everything_settle(void)
{
	pthread_rwlock_wrlock(&fs.running);
	for (size_t b = 0; b < BUCKETS; b++) {
		for (struct file *f = fs.files[b]; f; f = f->next)
			file_settle(f);
		for (struct dir *d = fs.dirs[b]; d; d = d->next)
			dir_settle(d);
	}
	pthread_rwlock_unlock(&fs.running);
}

// ---- operations -------------------------------------------------------------

// Every operation lies between these two.
static int
op_enter(void)
{
	pthread_rwlock_rdlock(&fs.running);
	if (!fs.cut)
		return 0;
	pthread_rwlock_unlock(&fs.running);
	return -EIO;
}

static int
op_leave(int result)
{
	int e = result < 0 ? -errno : result;
	pthread_rwlock_unlock(&fs.running);
	return e;
}

#define ENTER() do { int e_ = op_enter(); if (e_) return e_; } while (0)

static struct handle *
handle_of(struct fuse_file_info *fi)
{
	return (struct handle *)(uintptr_t)fi->fh;
}

static void *
op_init(struct fuse_conn_info *c, struct fuse_config *config)
{
	(void)c;
	config->use_ino = 1;
	config->nullpath_ok = 1;
	config->hard_remove = 1;	// we have descriptors for unlinked files
	config->entry_timeout = config->attr_timeout = 60;
	config->negative_timeout = 0;
	return NULL;
}

static int
op_getattr(const char *path, struct stat *st, struct fuse_file_info *fi)
{
	ENTER();
	int r = fi ? fstat(handle_of(fi)->fd, st) :
	    fstatat(fs.live, path_of(path), st, AT_SYMLINK_NOFOLLOW);
	if (r == 0 && !S_ISDIR(st->st_mode)) {
		pthread_mutex_lock(&fs.lock);
		if (*held_slot(st->st_ino))
			st->st_nlink--;		// our own name for it
		pthread_mutex_unlock(&fs.lock);
	}
	return op_leave(r);
}

static int
op_readlink(const char *path, char *to, size_t room)
{
	ENTER();
	ssize_t n = readlinkat(fs.live, path_of(path), to, room - 1);
	if (n >= 0)
		to[n] = 0;
	return op_leave(n < 0 ? -1 : 0);
}

// Whose group a new name has: that of a directory with the set-gid bit (the
// file below has it already), else of who asked.
static bool
group_inherited(const char *path)
{
	char dir[PATH_MAX];
	struct stat st;
	const char *slash = strrchr(path_of(path), '/');
	size_t len = slash ? (size_t)(slash - path_of(path)) : 0;

	if (len >= sizeof dir)
		return false;
	memcpy(dir, path_of(path), len);
	dir[len] = '\0';
	return fstatat(fs.live, len ? dir : ".", &st, 0) == 0 && (st.st_mode & S_ISGID);
}

// After a name was made: it belongs to who asked, and its inode is new.
static int
name_made(const char *path)
{
	struct fuse_context *c = fuse_get_context();
	struct stat st;
	gid_t group = group_inherited(path) ? (gid_t)-1 : c->gid;
	if (fchownat(fs.live, path_of(path), c->uid, group,
	    AT_SYMLINK_NOFOLLOW) < 0 ||
	    fstatat(fs.live, path_of(path), &st, AT_SYMLINK_NOFOLLOW) < 0)
		return -1;
	if (S_ISDIR(st.st_mode))
		dir_born(st.st_ino);
	return 0;
}

static int
op_mknod(const char *path, mode_t mode, dev_t dev)
{
	ENTER();
	pthread_mutex_lock(&fs.lock);
	int r = name_touch(path, ++fs.groups);
	if (r == 0 && (r = mknodat(fs.live, path_of(path), mode, dev)) == 0)
		r = name_made(path);
	pthread_mutex_unlock(&fs.lock);
	return op_leave(r);
}

static int
op_mkdir(const char *path, mode_t mode)
{
	ENTER();
	pthread_mutex_lock(&fs.lock);
	int r = name_touch(path, ++fs.groups);
	if (r == 0 && (r = mkdirat(fs.live, path_of(path), mode)) == 0)
		r = name_made(path);
	pthread_mutex_unlock(&fs.lock);
	return op_leave(r);
}

static int
op_symlink(const char *target, const char *path)
{
	ENTER();
	pthread_mutex_lock(&fs.lock);
	int r = name_touch(path, ++fs.groups);
	if (r == 0 && (r = symlinkat(target, fs.live, path_of(path))) == 0)
		r = name_made(path);
	pthread_mutex_unlock(&fs.lock);
	return op_leave(r);
}

static int
op_unlink(const char *path)
{
	ENTER();
	pthread_mutex_lock(&fs.lock);
	int r = name_touch(path, ++fs.groups);
	if (r == 0)
		r = unlinkat(fs.live, path_of(path), 0);
	pthread_mutex_unlock(&fs.lock);
	return op_leave(r);
}

static bool
dir_empty(const char *path)
{
	int fd = openat(fs.live, path_of(path), O_RDONLY | O_DIRECTORY);
	DIR *list = fd < 0 ? NULL : fdopendir(fd);
	bool empty = true;
	for (struct dirent *e; list && (e = readdir(list)); )
		if (strcmp(e->d_name, ".") && strcmp(e->d_name, ".."))
			empty = false;
	if (list)
		closedir(list);
	return empty;
}

// A directory that the disk may still know cannot be linked a second time; so
// it is moved into the hold instead of being removed.
static int
op_rmdir(const char *path)
{
	ENTER();
	struct stat st;
	pthread_mutex_lock(&fs.lock);
	int r = fstatat(fs.live, path_of(path), &st, AT_SYMLINK_NOFOLLOW);
	if (r == 0 && !S_ISDIR(st.st_mode)) {
		errno = ENOTDIR;
		r = -1;
	} else if (r == 0 && !dir_empty(path)) {
		errno = ENOTEMPTY;
		r = -1;
	} else if (r == 0 && (r = name_touch(path, ++fs.groups)) == 0) {
		char kept[32];
		hold_name(kept, st.st_ino);
		r = renameat(fs.live, path_of(path), fs.hold, kept);
	}
	pthread_mutex_unlock(&fs.lock);
	return op_leave(r);
}

static int
op_rename(const char *from, const char *to, unsigned flags)
{
	ENTER();
	struct stat a, b;
	pthread_mutex_lock(&fs.lock);
	int r = -1;
	bool found = fstatat(fs.live, path_of(from), &a, AT_SYMLINK_NOFOLLOW) == 0;
	bool onto_dir = found && flags == 0 && S_ISDIR(a.st_mode) &&
	    fstatat(fs.live, path_of(to), &b, AT_SYMLINK_NOFOLLOW) == 0 &&
	    S_ISDIR(b.st_mode) && a.st_ino != b.st_ino;
	if (onto_dir && !dir_empty(to)) {
		errno = ENOTEMPTY;
	} else if (found) {
		uint64_t group = ++fs.groups;
		if ((r = name_touch(from, group)) == 0)
			r = name_touch(to, group);
		char kept[32];
		hold_name(kept, b.st_ino);
		if (r == 0 && onto_dir)
			r = renameat(fs.live, path_of(to), fs.hold, kept);
		if (r == 0)
			r = renameat2(fs.live, path_of(from), fs.live,
			    path_of(to), flags);
	}
	pthread_mutex_unlock(&fs.lock);
	return op_leave(r);
}

static int
op_link(const char *from, const char *to)
{
	ENTER();
	pthread_mutex_lock(&fs.lock);
	int r = name_touch(to, ++fs.groups);
	if (r == 0)
		r = linkat(fs.live, path_of(from), fs.live, path_of(to), 0);
	pthread_mutex_unlock(&fs.lock);
	return op_leave(r);
}

static int
op_chmod(const char *path, mode_t mode, struct fuse_file_info *fi)
{
	ENTER();
	return op_leave(fi ? fchmod(handle_of(fi)->fd, mode) :
	    fchmodat(fs.live, path_of(path), mode, 0));
}

static int
op_chown(const char *path, uid_t uid, gid_t gid, struct fuse_file_info *fi)
{
	ENTER();
	return op_leave(fi ? fchown(handle_of(fi)->fd, uid, gid) :
	    fchownat(fs.live, path_of(path), uid, gid, AT_SYMLINK_NOFOLLOW));
}

static int
op_utimens(const char *path, const struct timespec t[2],
    struct fuse_file_info *fi)
{
	ENTER();
	return op_leave(fi ? futimens(handle_of(fi)->fd, t) :
	    utimensat(fs.live, path_of(path), t, AT_SYMLINK_NOFOLLOW));
}

static struct handle *
handle_open(int fd)
{
	struct stat st;
	if (fstat(fd, &st) < 0) {
		close(fd);
		return NULL;
	}
	struct handle *h = must(calloc(1, sizeof *h));
	h->fd = fd;
	pthread_mutex_lock(&fs.lock);
	h->file = file_of(st.st_ino);
	h->file->handles++;
	pthread_mutex_unlock(&fs.lock);
	return h;
}

static int
handle_truncate(struct handle *h, off_t size)
{
	struct file *f = h->file;
	pthread_mutex_lock(&f->lock);
	int r = file_begin(f, h->fd);
	if (r == 0)
		r = file_save(f, h->fd, size, f->kept_size);
	if (r == 0)
		r = ftruncate(h->fd, size);
	pthread_mutex_unlock(&f->lock);
	return r;
}

static void
handle_close(struct handle *h)
{
	pthread_mutex_lock(&fs.lock);
	h->file->handles--;
	pthread_mutex_unlock(&fs.lock);
	close(h->fd);
	free(h);
}

// What is set aside must be read first, so a writer also gets to read; and a
// pwrite to a file opened with O_APPEND would ignore its offset.
static int
flags_of(int flags)
{
	flags &= ~(O_APPEND | O_DIRECT | O_TRUNC | O_SYNC | O_DSYNC);
	if ((flags & O_ACCMODE) == O_WRONLY)
		flags = (flags & ~O_ACCMODE) | O_RDWR;
	return flags | O_CLOEXEC;
}

static int
op_open(const char *path, struct fuse_file_info *fi)
{
	ENTER();
	int flags = flags_of(fi->flags) & ~(O_CREAT | O_EXCL);
	if (fi->flags & O_TRUNC)
		flags = (flags & ~O_ACCMODE) | O_RDWR;
	int fd = openat(fs.live, path_of(path), flags);
	struct handle *h = fd < 0 ? NULL : handle_open(fd);
	if (!h)
		return op_leave(-1);
	if ((fi->flags & O_TRUNC) && handle_truncate(h, 0) < 0) {
		handle_close(h);
		return op_leave(-1);
	}
	fi->fh = (uint64_t)(uintptr_t)h;
	return op_leave(0);
}

static int
op_create(const char *path, mode_t mode, struct fuse_file_info *fi)
{
	ENTER();
	struct handle *h = NULL;
	struct stat st;
	pthread_mutex_lock(&fs.lock);
	int fd = -1;
	if (fstatat(fs.live, path_of(path), &st, AT_SYMLINK_NOFOLLOW) == 0) {
		errno = EEXIST;		// the kernel looks first, and retries
	} else if (name_touch(path, ++fs.groups) == 0) {
		fd = openat(fs.live, path_of(path),
		    flags_of(fi->flags) | O_CREAT | O_EXCL, mode);
		if (fd >= 0)
			name_made(path);
	}
	pthread_mutex_unlock(&fs.lock);
	if (fd >= 0 && fstat(fd, &st) == 0) {
		file_born(st.st_ino);
		h = handle_open(fd);
	}
	if (!h)
		return op_leave(-1);
	fi->fh = (uint64_t)(uintptr_t)h;
	return op_leave(0);
}

static int
op_truncate(const char *path, off_t size, struct fuse_file_info *fi)
{
	ENTER();
	if (fi)
		return op_leave(handle_truncate(handle_of(fi), size));
	int fd = openat(fs.live, path_of(path), O_RDWR | O_CLOEXEC);
	struct handle *h = fd < 0 ? NULL : handle_open(fd);
	if (!h)
		return op_leave(-1);
	int r = handle_truncate(h, size), e = errno;
	handle_close(h);
	errno = e;
	return op_leave(r);
}

static int
op_read(const char *path, char *to, size_t size, off_t at,
    struct fuse_file_info *fi)
{
	(void)path;
	ENTER();
	return op_leave((int)pread(handle_of(fi)->fd, to, size, at));
}

static int
op_write(const char *path, const char *from, size_t size, off_t at,
    struct fuse_file_info *fi)
{
	(void)path;
	ENTER();
	struct handle *h = handle_of(fi);
	pthread_mutex_lock(&h->file->lock);
	int r = file_save(h->file, h->fd, at, at + (off_t)size);
	if (r == 0)
		r = (int)pwrite(h->fd, from, size, at);
	if (r >= 0 && (fi->flags & (O_SYNC | O_DSYNC)))
		file_settle(h->file);
	pthread_mutex_unlock(&h->file->lock);
	return op_leave(r);
}

static int
op_fallocate(const char *path, int mode, off_t at, off_t size,
    struct fuse_file_info *fi)
{
	(void)path;
	ENTER();
	struct handle *h = handle_of(fi);
	pthread_mutex_lock(&h->file->lock);
	// Plain allocation changes at most the size; punching and zeroing change
	// what is there.
	int r = mode & ~FALLOC_FL_KEEP_SIZE ?
	    file_save(h->file, h->fd, at, at + size) :
	    file_begin(h->file, h->fd);
	if (r == 0)
		r = fallocate(h->fd, mode, at, size);
	pthread_mutex_unlock(&h->file->lock);
	return op_leave(r);
}

// The backing itself is not synced: it only has to outlive this process, and
// a test that waits for a real disk here learns nothing.
static int
op_fsync(const char *path, int data, struct fuse_file_info *fi)
{
	(void)path, (void)data;
	ENTER();
	struct handle *h = handle_of(fi);
	pthread_mutex_lock(&h->file->lock);
	file_settle(h->file);
	pthread_mutex_unlock(&h->file->lock);
	return op_leave(0);
}

static int
op_release(const char *path, struct fuse_file_info *fi)
{
	(void)path;
	handle_close(handle_of(fi));	// even after a cut
	return 0;
}

static off_t
op_lseek(const char *path, off_t at, int whence, struct fuse_file_info *fi)
{
	(void)path;
	ENTER();
	off_t r = lseek(handle_of(fi)->fd, at, whence);
	int e = errno;
	pthread_rwlock_unlock(&fs.running);
	return r < 0 ? -e : r;
}

static int
op_statfs(const char *path, struct statvfs *st)
{
	(void)path;
	ENTER();
	return op_leave(fstatvfs(fs.live, st));
}

static int
op_opendir(const char *path, struct fuse_file_info *fi)
{
	ENTER();
	int fd = openat(fs.live, path_of(path), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	fi->fh = (uint64_t)fd;
	return op_leave(fd < 0 ? -1 : 0);
}

static int
op_readdir(const char *path, void *buffer, fuse_fill_dir_t fill, off_t at,
    struct fuse_file_info *fi, enum fuse_readdir_flags flags)
{
	(void)path, (void)at, (void)flags;
	ENTER();
	int fd = openat((int)fi->fh, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *list = fd < 0 ? NULL : fdopendir(fd);
	if (!list)
		return op_leave(-1);
	for (struct dirent *e; (e = readdir(list)); ) {
		struct stat st = { .st_ino = e->d_ino,
		    .st_mode = (mode_t)e->d_type << 12 };
		if (fill(buffer, e->d_name, &st, 0, 0))
			break;
	}
	closedir(list);
	return op_leave(0);
}

static int
op_fsyncdir(const char *path, int data, struct fuse_file_info *fi)
{
	(void)path, (void)data;
	ENTER();
	struct stat st;
	int r = fstat((int)fi->fh, &st);
	if (r == 0) {
		pthread_mutex_lock(&fs.lock);
		dir_settle(dir_of(st.st_ino));
		pthread_mutex_unlock(&fs.lock);
	}
	return op_leave(r);
}

static int
op_releasedir(const char *path, struct fuse_file_info *fi)
{
	(void)path;
	close((int)fi->fh);
	return 0;
}

static const struct fuse_operations operations = {
	.init = op_init,
	.getattr = op_getattr,
	.readlink = op_readlink,
	.mknod = op_mknod,
	.mkdir = op_mkdir,
	.unlink = op_unlink,
	.rmdir = op_rmdir,
	.symlink = op_symlink,
	.rename = op_rename,
	.link = op_link,
	.chmod = op_chmod,
	.chown = op_chown,
	.utimens = op_utimens,
	.truncate = op_truncate,
	.open = op_open,
	.create = op_create,
	.read = op_read,
	.write = op_write,
	.fallocate = op_fallocate,
	.fsync = op_fsync,
	.release = op_release,
	.lseek = op_lseek,
	.statfs = op_statfs,
	.opendir = op_opendir,
	.readdir = op_readdir,
	.fsyncdir = op_fsyncdir,
	.releasedir = op_releasedir,
};

// ---- the plug ---------------------------------------------------------------

static void
control_obey(int peer, const char *word)
{
	if (strcmp(word, "cut") == 0) {
		struct tally t = power_cut();
		dprintf(peer, "cut names=%u files=%u blocks=%u\n", t.names,
		    t.files, t.blocks);
	} else if (strcmp(word, "sync") == 0) {
		everything_settle();
		dprintf(peer, "synced\n");
	} else if (strcmp(word, "status") == 0) {
		dprintf(peer, fs.cut ? "cut\n" : "running\n");
	} else {
		dprintf(peer, "cannot %s\n", word);
	}
}

static void *
control_run(void *listener)
{
	for (;;) {
		int fd = accept4(*(int *)listener, NULL, NULL, SOCK_CLOEXEC);
		char word[64];
		ssize_t n = fd < 0 ? 0 : read(fd, word, sizeof word - 1);
		if (n > 0) {
			word[n] = 0;
			word[strcspn(word, "\r\n")] = 0;
			control_obey(fd, word);
		}
		if (fd >= 0)
			close(fd);
	}
	return NULL;
}

static struct sockaddr_un
control_address(const char *path)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	if (strlen(path) >= sizeof a.sun_path)
		die("%s is too long for a socket", path);
	memcpy(a.sun_path, path, strlen(path));
	return a;
}

static int
control_listen(const char *path)
{
	struct sockaddr_un a = control_address(path);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	unlink(path);
	if (fd < 0 || bind(fd, (struct sockaddr *)&a, sizeof a) < 0 ||
	    listen(fd, 8) < 0)
		die("%s: %s", path, strerror(errno));
	return fd;
}

static int
control_tell(const char *path, const char *word)
{
	struct sockaddr_un a = control_address(path);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || connect(fd, (struct sockaddr *)&a, sizeof a) < 0)
		die("%s: %s", path, strerror(errno));
	dprintf(fd, "%s\n", word);
	char reply[256];
	for (ssize_t n; (n = read(fd, reply, sizeof reply)) > 0; )
		if (write(STDOUT_FILENO, reply, (size_t)n) != n)
			return 1;
	return 0;
}

static const char usage[] =
"usage: forgetfs BACKING MOUNTPOINT --control SOCKET [--survive P] [--seed N]\n"
"       forgetfs --tell SOCKET cut|sync|status\n";

static int
dir_open(const char *at, const char *sub)
{
	char path[PATH_MAX];
	snprintf(path, sizeof path, "%s/%s", at, sub);
	mkdir(path, 0755);
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		die("%s: %s", path, strerror(errno));
	return fd;
}

int
main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "control", 1, NULL, 'c' }, { "survive", 1, NULL, 'p' },
		{ "seed", 1, NULL, 's' }, { "tell", 1, NULL, 't' }, { 0 },
	};
	const char *tell = NULL;
	int o;
	while ((o = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (o) {
		case 'c': fs.control = optarg; break;
		case 'p': fs.survive = atof(optarg); break;
		case 's': fs.random = strtoull(optarg, NULL, 10); break;
		case 't': tell = optarg; break;
		default: optind = argc + 1;
		}
	}
	if (tell && optind == argc - 1)
		return control_tell(tell, argv[optind]);
	if (optind != argc - 2 || !fs.control) {
		fputs(usage, stderr);
		return 2;
	}
	umask(0);
	fs.live = dir_open(argv[optind], "live");
	fs.hold = dir_open(argv[optind], "hold");
	hold_empty();
	static int listener;
	listener = control_listen(fs.control);
	pthread_t thread;
	if (pthread_create(&thread, NULL, control_run, &listener))
		die("no thread");

	static char foreground[] = "-f", option[] = "-o";
	static char with[] = "allow_other,default_permissions,fsname=forgetfs,max_idle_threads=8";
	char *words[] = { argv[0], foreground, option, with, argv[optind + 1] };
	int r = fuse_main(5, words, &operations, NULL);
	hold_empty();
	unlink(fs.control);
	return r;
}
