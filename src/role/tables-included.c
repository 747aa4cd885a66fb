/*
 * tables-included -- files that aliases include: whoever writes these lists is not root, and may make links of them
 *
 * What a user's alias file names is opened with the rights of that user.  What somebody else than root could have put
 * into the place of a directory or of the file is opened with the rights of that one, and is led no further
 * (directory/alias.c).  Where both are users, both must be able to read it.
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/arena.h"
#include "role/tables.h"

enum { GROUPS_MOST = 1024, NO_GROUP = 65534, LINKS_MOST = 16 };

/* A link at the end of the first n bytes of path: where it leads, and the rest, take its place.  False: that is no path. */
static bool
follow_link(char path[static PATH_MAX], size_t n)
{
	char    part[PATH_MAX], to[PATH_MAX], whole[3 * PATH_MAX];
	size_t  dir = n;
	ssize_t len;

	memcpy(part, path, n);
	part[n] = '\0';
	len = readlink(part, to, sizeof to - 1);
	if (len <= 0)
		return false;
	to[len] = '\0';
	while (dir > 0 && path[dir - 1] != '/')
		dir--;
	(void)snprintf(whole, sizeof whole, "%.*s%s%s", to[0] == '/' ? 0 : (int)dir, path, to,
	               path + n);
	if (strlen(whole) >= PATH_MAX)
		return false;
	memcpy(path, whole, strlen(whole) + 1);
	return true;
}

/* The first on the way who is not root: from there on it leads where that user wants.  0: root alone has made the way, and
   path is that without links. */
static uid_t
writer_of(char path[static PATH_MAX])
{
	char        part[PATH_MAX];
	struct stat st;
	unsigned    links = 0;

	for (size_t n = 1; path[n - 1] != '\0'; n++) {
		if (path[n] != '/' && path[n] != '\0')
			continue;
		memcpy(part, path, n);
		part[n] = '\0';
		if (lstat(part, &st) < 0)
			return 0; /* nor will open() find it */
		if (st.st_uid != 0)
			return st.st_uid;
		if (!S_ISLNK(st.st_mode))
			continue;
		if (links++ == LINKS_MOST || !follow_link(path, n))
			path[0] = '\0'; /* that is no file */
		n = 0;
	}
	return 0;
}

/* Regular files alone. */
static int
open_file(const char *path, int more)
{
	int         fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK | more);
	struct stat st;

	if (fd < 0 || (fstat(fd, &st) == 0 && S_ISREG(st.st_mode)))
		return fd;
	(void)close(fd);
	errno = EINVAL;
	return -1;
}

/* Files are opened as this user, who has one group; nothing else of ours changes. */
static int
open_as(uid_t uid, const char *path)
{
	struct passwd *entry = getpwuid(uid);
	gid_t          gid = entry != NULL ? entry->pw_gid : NO_GROUP, before[GROUPS_MOST];
	int            groups = getgroups(GROUPS_MOST, before), fd = -1, why = EPERM;

	if (groups < 0 || setgroups(0, NULL) < 0)
		return -1;
	(void)setfsgid(gid);
	(void)setfsuid(uid);
	if ((uid_t)setfsuid(uid) == uid && (gid_t)setfsgid(gid) == gid) {
		fd = open_file(path, 0);
		why = errno;
	}
	(void)setfsuid(geteuid());
	(void)setfsgid(getegid());
	if ((uid_t)setfsuid(geteuid()) != geteuid() || setgroups((size_t)groups, before) < 0)
		panic("the rights of root did not come back");
	errno = why;
	return fd;
}

/* What two users can read: the same file for both, for one of them may have put another into its place meanwhile. */
static int
open_as_both(uid_t one, uid_t other, const char *path)
{
	int         fd = open_as(one, path), again = fd < 0 ? -1 : open_as(other, path);
	int         why = again < 0 ? errno : EACCES;
	struct stat a, b;

	if (again >= 0 && fstat(fd, &a) == 0 && fstat(again, &b) == 0 && a.st_dev == b.st_dev &&
	    a.st_ino == b.st_ino) {
		(void)close(again);
		return fd;
	}
	if (again >= 0)
		(void)close(again);
	if (fd >= 0)
		(void)close(fd);
	errno = why;
	return -1;
}

const char *
tables_included_path(const char *name)
{
	const char *path = *name == ':' ? strchr(name, '/') : name;

	return path != NULL ? path : "";
}

uint32_t
tables_included_for(const char *name)
{
	return *name == ':' && name[1] != '/' ? (uint32_t)strtoul(name + 1, NULL, 10) : 0;
}

int
tables_open_included(const char *name)
{
	const char *named = tables_included_path(name);
	uid_t       uid = tables_included_for(name), writer;
	char        path[PATH_MAX];

	if (geteuid() != 0)
		return open_file(named, 0);
	if (strlen(named) >= sizeof path) {
		errno = ENAMETOOLONG;
		return -1;
	}
	memcpy(path, named, strlen(named) + 1);
	writer = writer_of(path);
	if (uid != 0 && writer != 0 && uid != writer)
		return open_as_both(uid, writer, named);
	return uid != 0      ? open_as(uid, named)
	       : writer != 0 ? open_as(writer, named)
	                     : open_file(path, O_NOFOLLOW);
}

bool
tables_may_include(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && (st.st_uid == 0 || st.st_uid == geteuid());
}
