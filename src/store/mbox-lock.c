/* mbox-lock.c -- an mbox is whoever's holds its locks (mbox.h) */
#include "store/mbox-lock.h"
#include "store/mbox.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* A dotlock so old belongs to a program that died; others renew theirs. */
enum { DOTLOCK_STALE_S = 120 };

static enum mbox_lock order[2][MBOX_LOCKS] = {
	{ MBOX_FCNTL },
	{ MBOX_DOTLOCK, MBOX_FCNTL },
};

static const char *const names[MBOX_LOCKS] = {
	[MBOX_DOTLOCK] = "dotlock",
	[MBOX_FCNTL] = "fcntl",
	[MBOX_FLOCK] = "flock",
};

bool
mbox_lock_order(bool write, const char *const *name, size_t count)
{
	enum mbox_lock all[MBOX_LOCKS] = { 0 };

	for (size_t i = 0; i < count; i++) {
		int k = MBOX_DOTLOCK;
		while (k < MBOX_LOCKS && strcmp(names[k], name[i]) != 0)
			k++;
		if (k == MBOX_LOCKS || i >= MBOX_LOCKS - 1)
			return false;
		all[i] = (enum mbox_lock)k;
	}
	memcpy(order[write], all, sizeof all);
	return true;
}

/* NAME.lock, made by nobody else. */
static int
dotlock(struct mbox_locked *l)
{
	struct stat st;
	char        pid[32];
	int         fd, n;

	fd = openat(l->dir, l->dot, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0 && errno == EEXIST && fstatat(l->dir, l->dot, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	    time(NULL) - st.st_mtime > DOTLOCK_STALE_S) {
		(void)unlinkat(l->dir, l->dot, 0);
		fd = openat(l->dir, l->dot, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW,
		            0600);
	}
	if (fd < 0)
		return errno == EEXIST ? EBUSY : errno;
	n = snprintf(pid, sizeof pid, "%d\n", (int)getpid());
	if (write(fd, pid, (size_t)n) != n)
		n = 0; /* it is there, and that is what counts */
	(void)close(fd);
	l->dotted = true;
	return 0;
}

static int
lock_one(struct mbox_locked *l, enum mbox_lock how, bool write)
{
	struct flock lock = { .l_type = write ? F_WRLCK : F_RDLCK, .l_whence = SEEK_SET };

	if (how == MBOX_DOTLOCK)
		return dotlock(l);
	if (how == MBOX_FCNTL && fcntl(l->fd, F_OFD_SETLK, &lock) < 0)
		return errno == EACCES || errno == EAGAIN ? EBUSY : errno;
	if (how == MBOX_FLOCK && flock(l->fd, (write ? LOCK_EX : LOCK_SH) | LOCK_NB) < 0)
		return errno == EWOULDBLOCK ? EBUSY : errno;
	return 0;
}

int
mbox_lock(int dir, const char *name, int fd, bool write, struct mbox_locked *l)
{
	int why = 0;

	*l = (struct mbox_locked){ .dir = dir, .fd = fd };
	(void)snprintf(l->dot, sizeof l->dot, "%s.lock", name);
	for (size_t i = 0; i < MBOX_LOCKS && order[write][i] != 0 && why == 0; i++)
		why = lock_one(l, order[write][i], write);
	if (why != 0)
		mbox_unlock(l);
	return why;
}

void
mbox_unlock(struct mbox_locked *l)
{
	struct flock lock = { .l_type = F_UNLCK, .l_whence = SEEK_SET };

	if (l->fd >= 0) {
		(void)fcntl(l->fd, F_OFD_SETLK, &lock);
		(void)flock(l->fd, LOCK_UN);
	}
	if (l->dotted)
		(void)unlinkat(l->dir, l->dot, 0);
	l->dotted = false;
}
