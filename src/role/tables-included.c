/*
 * tables-included -- files that aliases include: whoever writes these lists is not root, and may make links of them
 *
 * What somebody else than root could have put into the place of a directory or of the file is opened with that
 * user's rights, and is led no further (directory/alias.c).
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <pwd.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/arena.h"
#include "role/tables.h"

enum { GROUPS_MOST = 1024, NO_GROUP = 65534 };

/* The first on the way who is not root: from there on it leads where that user wants. */
static uid_t
writer_of(const char *path)
{
	char        part[PATH_MAX];
	struct stat st;

	for (size_t n = 1; n < sizeof part && path[n - 1] != '\0'; n++) {
		if (path[n] != '/' && path[n] != '\0')
			continue;
		memcpy(part, path, n);
		part[n] = '\0';
		if (lstat(part, &st) < 0)
			return 0; /* nor will open() find it */
		if (st.st_uid != 0)
			return st.st_uid;
	}
	return 0;
}

static int
open_file(const char *path)
{
	return open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
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
		fd = open_file(path);
		why = errno;
	}
	(void)setfsuid(geteuid());
	(void)setfsgid(getegid());
	if ((uid_t)setfsuid(geteuid()) != geteuid() || setgroups((size_t)groups, before) < 0)
		panic("the rights of root did not come back");
	errno = why;
	return fd;
}

int
tables_open_included(const char *path)
{
	uid_t uid = geteuid() == 0 ? writer_of(path) : 0;

	return uid == 0 ? open_file(path) : open_as(uid, path);
}

bool
tables_may_include(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && (st.st_uid == 0 || st.st_uid == geteuid());
}
