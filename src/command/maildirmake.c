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
	.more = "With -f a folder of that name within an existing Maildir. OWNER, whose it shall be, is for root. The name "
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

/* The directory and the three in it. */
static bool
make_maildir(const char *path, const struct passwd *owner)
{
	static const char *const parts[] = { "", "/cur", "/new", "/tmp" };
	char                     whole[4200];
	bool                     good = true;

	for (size_t i = 0; i < COUNT(parts) && good; i++) {
		(void)snprintf(whole, sizeof whole, "%.4000s%s", path, parts[i]);
		good = make_directory(whole, owner);
	}
	return good;
}

static int
run_maildirmake(struct call *c)
{
	const char          *folder = NULL;
	const struct passwd *owner = NULL;
	char                 path[4096];
	int                  fd;

	(void)command_option(c, "-f", &folder);
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
