// SPDX-License-Identifier: ISC
//
// forgetfs: a file system with the shortest memory that POSIX allows.
//
//	forgetfs BACKING MOUNTPOINT --control SOCKET [--survive P] [--seed N] [--lag MS]
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
// With --lag an fsync of a file takes so many milliseconds, and others go on.
//
// Real disks keep more than they must, in no particular order.  With --survive
// P each unsynced block, size and change of name stays with probability P, and
// now and then a block is torn between its sectors.

#define FUSE_USE_VERSION 312

#include "memory.h"

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

struct handle {
	int fd;
	struct file *file;
};

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
	if (fs.lag > 0)
		(void)usleep(fs.lag * 1000);
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
"usage: forgetfs BACKING MOUNTPOINT --control SOCKET [--survive P] [--seed N] [--lag MS]\n"
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
		{ "seed", 1, NULL, 's' }, { "lag", 1, NULL, 'l' }, { "tell", 1, NULL, 't' }, { 0 },
	};
	const char *tell = NULL;
	int o;
	while ((o = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (o) {
		case 'c': fs.control = optarg; break;
		case 'p': fs.survive = atof(optarg); break;
		case 's': fs.random = strtoull(optarg, NULL, 10); break;
		case 'l': fs.lag = (unsigned)atoi(optarg); break;
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
