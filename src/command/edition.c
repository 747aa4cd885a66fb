#include "command/edition.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "command/settling.h"

static bool
give_up(struct edition *e)
{
	int why = errno;

	(void)close(e->fd);
	e->fd = -1;
	errno = why;
	return false;
}

/* Who had it has made it FILE, or thrown it away: then it is another's name, or nobody's. */
static bool
is_still(const struct edition *e)
{
	struct stat held, named;

	return fstat(e->fd, &held) == 0 && lstat(e->draft, &named) == 0 &&
	       held.st_dev == named.st_dev && held.st_ino == named.st_ino;
}

bool
edition_open(struct edition *e, const char *path)
{
	*e = (struct edition){ .path = path, .fd = -1 };
	if ((size_t)snprintf(e->draft, sizeof e->draft, "%s.new", path) >= sizeof e->draft) {
		errno = ENAMETOOLONG;
		return false;
	}
	for (;;) {
		e->fd = open(e->draft, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK,
		             0600);
		if (e->fd < 0)
			return false;
		while (flock(e->fd, LOCK_EX) < 0)
			if (errno != EINTR)
				return give_up(e);
		if (is_still(e))
			return true;
		(void)give_up(e);
	}
}

/* What somebody left who was ended in the middle is written over. */
bool
edition_write(struct edition *e, struct bytes text)
{
	struct stat st;

	if (stat(e->path, &st) < 0 || ftruncate(e->fd, 0) < 0 ||
	    write(e->fd, text.at, text.len) != (ssize_t)text.len ||
	    (geteuid() == 0 && fchown(e->fd, st.st_uid, st.st_gid) < 0) ||
	    fchmod(e->fd, st.st_mode & 07777) < 0 || fsync(e->fd) < 0 ||
	    rename(e->draft, e->path) < 0)
		return false;
	(void)close(e->fd);
	e->fd = -1;
	return settling_above(e->path);
}

void
edition_close(struct edition *e)
{
	if (e->fd < 0)
		return;
	(void)unlink(e->draft);
	(void)close(e->fd);
	e->fd = -1;
}
