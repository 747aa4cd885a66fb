/* maildirmake -- a Maildir, by the name and with the options courier's and Dovecot's have */

#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "command/command.h"
#include "store/location.h"

static int run_maildirmake(struct call *);

#define MAILDIRMAKE_FORMS "maildirmake [-f FOLDER] DIRECTORY [OWNER]"
const struct command command_maildirmake = {
	.name = "maildirmake",
	.forms = MAILDIRMAKE_FORMS,
	.about = "Makes a Maildir: a directory with cur, new and tmp in it, for its owner alone.",
	.more = "Levels above it that are not there are made, too. With -f a folder of that name within an existing Maildir. OWNER, whose it shall be, is for root, who follows no links but those of root then. The name "
		"maildirmake.dovecot answers too.",
	.run = run_maildirmake,
};

/* One level down, made where it is not there; `his`: it becomes the owner's though it was.  Root gives away nothing that
   lies behind a link which another could have put there.  -1 with errno. */
static int
step_down(int dir, const char *name, const struct passwd *owner, bool his)
{
	int  how = O_PATH | O_DIRECTORY | O_CLOEXEC, fd;
	bool made = mkdirat(dir, name, 0700) == 0;

	if (!made && errno != EEXIST)
		return -1;
	fd = openat(dir, name, how | (owner != NULL ? O_NOFOLLOW : 0));
	if (fd < 0 && owner != NULL && path_is_link_of_root(dir, name))
		fd = openat(dir, name, how);
	if (fd < 0 || owner == NULL || !(made || his) ||
	    fchownat(fd, "", owner->pw_uid, owner->pw_gid, AT_EMPTY_PATH) == 0)
		return fd;
	(void)close(fd);
	return -1;
}

/* The directory, with those above it that are not there, as Dovecot's does it. */
static int
make_levels(const char *path, const struct passwd *owner)
{
	struct bytes rest = bytes_of(path), part;
	char         name[256];
	int fd = open(path[0] == '/' ? "/" : ".", O_PATH | O_DIRECTORY | O_CLOEXEC), next, why;

	while (fd >= 0 && bytes_split(&rest, '/', &part)) {
		if (part.len == 0)
			continue;
		errno = ENAMETOOLONG;
		next = bytes_string(part, name, sizeof name)
		               ? step_down(fd, name, owner, rest.len == 0)
		               : -1;
		why = errno;
		(void)close(fd);
		errno = why;
		fd = next;
	}
	return fd;
}

static void
complain(const char *path, int why, const struct passwd *owner)
{
	(void)fprintf(stderr, "maildirmake: %s: %s%s\n", path, strerror(why),
	              owner != NULL && (why == ENOTDIR || why == ELOOP)
	                      ? "; for somebody else only links of root's own are followed"
	                      : "");
}

/* The directory and the three in it; -1 after saying why. */
static int
make_maildir(const char *path, const struct passwd *owner)
{
	static const char *const parts[] = { "cur", "new", "tmp" };
	int                      fd = make_levels(path, owner);

	for (size_t i = 0; i < COUNT(parts) && fd >= 0; i++) {
		int part = step_down(fd, parts[i], owner, true), why = errno;
		if (part < 0) {
			(void)close(fd);
			errno = why;
			fd = -1;
		} else
			(void)close(part);
	}
	if (fd < 0)
		complain(path, errno, owner);
	return fd;
}

/* What says that it is a folder of another; one that is there stays as it is. */
static int
mark_folder(int dir, const struct passwd *owner)
{
	int how = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, why = 0, fd;

	if ((fd = openat(dir, "maildirfolder", how, 0600)) < 0)
		return errno == EEXIST ? 0 : errno;
	if (owner != NULL && fchown(fd, owner->pw_uid, owner->pw_gid) < 0)
		why = errno;
	(void)close(fd);
	return why;
}

static int
run_maildirmake(struct call *c)
{
	const char          *folder = NULL, *quota;
	const struct passwd *owner = NULL;
	char                 path[4096];
	int                  fd, why;

	(void)command_option(c, "-f", &folder);
	if (command_option(c, "-q", &quota)) {
		(void)fputs(
			"maildirmake: what an account may hold is not kept in its Maildir; right would be: mansio quota set "
			"ADDRESS --storage SIZE\n",
			stderr);
		return COMMAND_WRONG;
	}
	if (c->argc < 2 || c->argc > 3 || c->argv[1][0] == '-')
		return command_wrong(c, "which directory?");
	if (c->argc == 3 && (owner = getpwnam(c->argv[2])) == NULL) {
		(void)fprintf(stderr, "maildirmake: there is no user %s\n", c->argv[2]);
		return COMMAND_FAILED;
	}
	if (folder == NULL) {
		if ((fd = make_maildir(c->argv[1], owner)) >= 0)
			(void)close(fd);
		return fd >= 0 ? COMMAND_DONE : COMMAND_FAILED;
	}
	if (strchr(folder, '/') != NULL || folder[0] == '.' || folder[0] == '\0')
		return command_wrong(
			c,
			"\"%s\" is not the name of a folder; right would be Sent or Lists.debian",
			folder);
	(void)snprintf(path, sizeof path, "%.3800s/.%.200s", c->argv[1], folder);
	if ((fd = make_maildir(path, owner)) < 0)
		return COMMAND_FAILED;
	why = mark_folder(fd, owner);
	(void)close(fd);
	if (why != 0)
		complain(path, why, owner);
	return why == 0 ? COMMAND_DONE : COMMAND_FAILED;
}
