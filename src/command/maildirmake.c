/* maildirmake -- a Maildir, by the name and with the options courier's and Dovecot's have */

#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "command/command.h"

static int run_maildirmake(struct call *);

#define MAILDIRMAKE_FORMS "maildirmake [-f FOLDER] DIRECTORY [OWNER]"
const struct command command_maildirmake = {
	.name = "maildirmake",
	.forms = MAILDIRMAKE_FORMS,
	.about = "Makes a Maildir: a directory with cur, new and tmp in it, for its owner alone.",
	.more = "Levels above it that are not there are made, too. With -f a folder of that name within an existing Maildir. OWNER, whose it shall be, is for root. The name "
		"maildirmake.dovecot answers too.",
	.run = run_maildirmake,
};

/* False after saying why; one that is there is as it should be. */
static bool
make_directory(const char *path, const struct passwd *owner)
{
	if (mkdir(path, 0700) < 0 && errno != EEXIST) {
		(void)fprintf(stderr, "maildirmake: %s: %s\n", path, strerror(errno));
		return false;
	}
	if (owner == NULL || lchown(path, owner->pw_uid, owner->pw_gid) == 0)
		return true;
	(void)fprintf(stderr, "maildirmake: %s: %s\n", path, strerror(errno));
	return false;
}

/* Levels above it that are not there, as Dovecot's does it; the owner's, too. */
static bool
make_levels(const char *path, const struct passwd *owner)
{
	char        whole[4200];
	struct stat st;

	for (size_t i = 1; path[i] != '\0' && i < sizeof whole; i++) {
		(void)snprintf(whole, sizeof whole, "%.*s", (int)i, path);
		if (path[i] == '/' && path[i + 1] != '\0' && stat(whole, &st) < 0 &&
		    !make_directory(whole, owner))
			return false;
	}
	return true;
}

/* The directory and the three in it. */
static bool
make_maildir(const char *path, const struct passwd *owner)
{
	static const char *const parts[] = { "", "/cur", "/new", "/tmp" };
	char                     whole[4200];
	bool                     good = make_levels(path, owner);

	for (size_t i = 0; i < COUNT(parts) && good; i++) {
		(void)snprintf(whole, sizeof whole, "%.4000s%s", path, parts[i]);
		good = make_directory(whole, owner);
	}
	return good;
}

static int
run_maildirmake(struct call *c)
{
	const char          *folder = NULL, *quota;
	const struct passwd *owner = NULL;
	char                 path[4096];
	int                  fd;

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
	if (folder == NULL)
		return make_maildir(c->argv[1], owner) ? COMMAND_DONE : COMMAND_FAILED;
	if (strchr(folder, '/') != NULL || folder[0] == '.' || folder[0] == '\0')
		return command_wrong(
			c,
			"\"%s\" is not the name of a folder; right would be Sent or Lists.debian",
			folder);
	(void)snprintf(path, sizeof path, "%.3800s/.%.200s", c->argv[1], folder);
	if (!make_maildir(path, owner))
		return COMMAND_FAILED;
	(void)snprintf(path, sizeof path, "%.3800s/.%.200s/maildirfolder", c->argv[1], folder);
	if ((fd = creat(path, 0600)) < 0 ||
	    (owner != NULL && fchown(fd, owner->pw_uid, owner->pw_gid) < 0)) {
		(void)fprintf(stderr, "maildirmake: %s: %s\n", path, strerror(errno));
		return COMMAND_FAILED;
	}
	(void)close(fd);
	return COMMAND_DONE;
}
