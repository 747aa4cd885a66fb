// SPDX-License-Identifier: ISC
#include "memory.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char NOTHING[1];

struct memory fs = {
	// The cut must not wait until the readers are tired.
	.running = PTHREAD_RWLOCK_WRITER_NONRECURSIVE_INITIALIZER_NP,
	.lock = PTHREAD_MUTEX_INITIALIZER,
};

void
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

void *
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
const char *
path_of(const char *path)
{
	return path[1] ? path + 1 : ".";
}

// ---- files ------------------------------------------------------------------

// The entry of an inode, made when it is missing.  Under fs.lock.
struct file *
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

void
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
int
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
int
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
void
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

struct dir *
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

struct held **
held_slot(ino_t ino)
{
	struct held **slot = &fs.held[ino % BUCKETS];
	while (*slot && (*slot)->ino != ino)
		slot = &(*slot)->next;
	return slot;
}

void
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
int
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
void
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

void
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

void
hold_empty(void)
{
	DIR *list = fdopendir(openat(fs.hold, ".", O_RDONLY | O_DIRECTORY));
	for (struct dirent *e; list && (e = readdir(list)); )
		if (strcmp(e->d_name, ".") && strcmp(e->d_name, ".."))
			tree_remove(fs.hold, e->d_name);
	if (list)
		closedir(list);
}

struct tally
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

void
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
