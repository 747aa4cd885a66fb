/* file.c -- a letter is added to a file, or put into a Maildir (handoff.h) */
#include "delivery/handoff.h"

#include "spool/disk.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { LOCK_TRIES = 20, LOCK_STALE_S = 500 };

static struct delivery_answer
failed(struct arena *a, const char *path, int why)
{
	bool passes = why == ENOSPC || why == EDQUOT || why == EAGAIN || why == EIO ||
	              why == EACCES || why == EROFS || why == EMFILE || why == ENFILE;

	return (struct delivery_answer){ passes ? DELIVERY_LATER : DELIVERY_REFUSED, false,
		                         why == ENOSPC || why == EDQUOT ? "4.3.1"
		                         : passes                       ? "4.2.0"
		                                                        : "5.2.0",
		                         arena_printf(a, "cannot add to file %s: %s", path,
		                                      strerror(why)) };
}

static struct delivery_answer
refused(struct arena *a, const char *path, const char *why)
{
	return (struct delivery_answer){ DELIVERY_REFUSED, false, "5.7.0",
		                         arena_printf(a, "file %s %s", path, why) };
}

static struct delivery_answer
delivered(const char *where)
{
	return (struct delivery_answer){ DELIVERY_DONE, false, "2.0.0", where };
}

/* ---- an mbox ---- */

/* A dotlock, where one can be made; 0, EAGAIN: somebody has it. */
static int
dotlock(const char *path, char lock[static 1100])
{
	struct timespec pause = { 0, 250 * 1000000L };
	struct stat     st;

	if (snprintf(lock, 1100, "%s.lock", path) >= 1100)
		return ENAMETOOLONG;
	for (int i = 0; i < LOCK_TRIES; i++) {
		int fd = open(lock, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
		if (fd >= 0) {
			(void)close(fd);
			return 0;
		}
		if (errno == EACCES || errno == EROFS) {
			*lock = '\0'; /* a directory where we make no files: fcntl has to do */
			return 0;
		}
		if (errno != EEXIST)
			return errno;
		if (lstat(lock, &st) == 0 && time(NULL) - st.st_mtime > LOCK_STALE_S)
			(void)unlink(lock);
		else
			(void)nanosleep(&pause, NULL);
	}
	return EAGAIN;
}

static int
lock_file(int fd)
{
	struct flock    lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	struct timespec pause = { 0, 250 * 1000000L };

	for (int i = 0; i < LOCK_TRIES; i++) {
		if (fcntl(fd, F_SETLK, &lock) == 0)
			return 0;
		if (errno != EACCES && errno != EAGAIN)
			return errno;
		(void)nanosleep(&pause, NULL);
	}
	return EAGAIN;
}

/* What is wrong with such a file; NULL: nothing. */
static const char *
complaint(const struct stat *st)
{
	if (!S_ISREG(st->st_mode))
		return "is no file";
	if ((st->st_mode & (S_IXUSR | S_IXGRP | S_IXOTH)) != 0)
		return "can be executed";
	return st->st_nlink > 1 ? "has more than one name" : NULL;
}

/* All of it, or as it was before. */
static int
append(const struct handoff *e, int letter, int fd)
{
	off_t end = lseek(fd, 0, SEEK_END);
	int   why = end < 0 ? errno
	                    : handoff_write(e, letter, PIPE_FROM | PIPE_FROM_QUOTED | PIPE_BLANK, fd);

	if (why == 0)
		why = disk_sync(fd);
	if (why != 0 && end >= 0 && ftruncate(fd, end) < 0)
		why = errno;
	return why;
}

static int
sync_directory_of(const char *path)
{
	char        above[1100];
	const char *slash = strrchr(path, '/');
	int         fd, why;

	(void)snprintf(above, sizeof above, "%.*s", slash == path ? 1 : (int)(slash - path), path);
	if ((fd = open(above, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) < 0)
		return 0; /* may be passed but not read */
	why = disk_sync_name(fd);
	(void)close(fd);
	return why;
}

static struct delivery_answer
to_mbox(const struct handoff *e, int letter, const char *path, struct arena *a)
{
	char        lock[1100] = "";
	const char *wrong = "cannot be looked at";
	struct stat st;
	bool        made = false;
	int         why, fd = open(path, O_RDWR | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);

	if (fd < 0 && errno == ENOENT) {
		fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
		made = fd >= 0;
	}
	if (fd < 0)
		return errno == ELOOP ? refused(a, path, "is a link") : failed(a, path, errno);
	if (fstat(fd, &st) < 0 || (wrong = complaint(&st)) != NULL) {
		(void)close(fd);
		return refused(a, path, wrong);
	}
	if ((why = dotlock(path, lock)) == 0 && (why = lock_file(fd)) == 0)
		why = append(e, letter, fd);
	if (*lock != '\0' && why != EAGAIN)
		(void)unlink(lock);
	if (why == 0 && made)
		why = sync_directory_of(path);
	(void)close(fd);
	return why == 0 ? delivered(arena_printf(a, "delivered to file: %s", path))
	                : failed(a, path, why);
}

/* ---- a Maildir ---- */

static int
make_maildir(const char *path)
{
	static const char *const parts[] = { "", "/cur", "/new", "/tmp" };
	char                     part[1100];

	for (size_t i = 0; i < COUNT(parts); i++) {
		(void)snprintf(part, sizeof part, "%s%s", path, parts[i]);
		if (mkdir(part, 0700) < 0 && errno != EEXIST)
			return errno;
	}
	return 0;
}

/* The same name each time it is tried: one that lies there has come. */
static struct delivery_answer
to_maildir(const struct handoff *e, int letter, const char *path, struct arena *a)
{
	char host[256] = "localhost";
	int  why = make_maildir(path), dir = -1, fd = -1;

	(void)gethostname(host, sizeof host - 1);
	for (char *c = host; *c != '\0'; c++)
		*c = *c == '/' || *c == ':' ? '_' : *c;
	const char *name =
		arena_printf(a, "%" PRId64 ".M%06" PRId64 "L%" PRIX64 ".%s",
	                     e->arrived_us / 1000000, e->arrived_us % 1000000, e->letter, host);
	const char *tmp = arena_printf(a, "tmp/%s", name), *new = arena_printf(a, "new/%s", name);

	if (why == 0 && (dir = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)) < 0)
		why = errno;
	if (why == 0)
		(void)unlinkat(dir, tmp, 0);
	if (why == 0 &&
	    (fd = openat(dir, tmp, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600)) < 0)
		why = errno;
	if (why == 0 && (why = handoff_write(e, letter, 0, fd)) == 0)
		why = disk_sync(fd);
	if (why == 0 && renameat(dir, tmp, dir, new) < 0)
		why = errno;
	if (fd >= 0)
		(void)close(fd);
	if (why == 0 && (fd = openat(dir, "new", O_RDONLY | O_DIRECTORY | O_CLOEXEC)) >= 0) {
		why = disk_sync_name(fd);
		(void)close(fd);
	}
	if (why != 0 && dir >= 0)
		(void)unlinkat(dir, tmp, 0);
	if (dir >= 0)
		(void)close(dir);
	return why == 0 ? delivered("delivered to maildir") : failed(a, path, why);
}

struct delivery_answer
file_do(const struct handoff *e, int letter, struct arena *a)
{
	char path[1024];

	if (!bytes_string(e->what, path, sizeof path) || path[0] != '/' || path[1] == '\0')
		return refused(a, arena_copy(a, e->what), "is no absolute path");
	if (strcmp(path, "/dev/null") == 0)
		return delivered("delivered to file: /dev/null");
	(void)umask(0077);
	return path[e->what.len - 1] == '/' ? to_maildir(e, letter, path, a)
	                                    : to_mbox(e, letter, path, a);
}
