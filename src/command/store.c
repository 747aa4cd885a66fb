/* store -- the letter log and the mailboxes looked at while no server runs */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "command/command.h"
#include "spool/letters.h"
#include "spool/spool.h"
#include "store/store.h"

enum { PATH_ROOM = 4096 };

static int run_store(struct call *);

const struct command command_store = {
	.name = "store",
	.forms = "store check\n"
		 "store dump SEGMENT\n"
		 "store compact",
	.about =
		"Verifies what lies on disk, shows a segment of the letter log, or wins back room.",
	.more = "check reads every record of the letter log and every index of the mailboxes, verifies each checksum, and "
		"names what is wrong; the exit status is 1 then. It reads the files themselves. An account that a "
		"running server has open is named and left out.\n"
		"\n"
		"dump shows the records of a segment, given as a path or as its number in hexadecimal.\n"
		"\n"
		"compact asks the running server to copy the living letters out of segments that are mostly dead.",
	.run = run_store,
};

static int
open_under(const struct common_settings *common, const char *under, int flags)
{
	char path[PATH_ROOM];
	int  fd;

	(void)snprintf(path, sizeof path, "%s/%s", common->mail_directory, under);
	if ((fd = open(path, flags | O_RDONLY | O_CLOEXEC)) < 0)
		(void)fprintf(stderr, "mansio: %s: %s\n", path, strerror(errno));
	return fd;
}

static int
check_all(const struct common_settings *common)
{
	struct buffer   out = { 0 };
	struct letters *letters;
	size_t          wrong;
	int             segments = open_under(common, "spool/letters", O_DIRECTORY);
	int             accounts = open_under(common, "store/accounts", O_DIRECTORY);

	if (segments < 0 || accounts < 0)
		return COMMAND_FAILED;
	wrong = spool_check(segments, &out);
	letters = letters_open(segments);
	wrong += store_check(accounts, letters, &out);
	command_print(buffer_bytes(&out), stdout);
	if (wrong == 0)
		(void)printf("all is well in %s\n", common->mail_directory);
	else
		(void)printf("%zu things are wrong in %s\n", wrong, common->mail_directory);
	letters_close(&letters);
	buffer_free(&out);
	return wrong == 0 ? COMMAND_DONE : COMMAND_FAILED;
}

static int
run_check(struct call *c)
{
	struct common_settings common;
	struct settings       *s = command_settings(c, &common);
	int                    status;

	if (s == NULL)
		return COMMAND_FAILED;
	status = check_all(&common);
	settings_close(&s);
	return status;
}

static int
dump(const struct common_settings *common, const char *which)
{
	char          name[PATH_ROOM];
	struct buffer out = { 0 };
	int           fd;
	bool          good;

	if (strchr(which, '/') != NULL || strstr(which, ".seg") != NULL)
		fd = open(which, O_RDONLY | O_CLOEXEC);
	else {
		(void)snprintf(name, sizeof name, "spool/letters/%08lx.seg",
		               strtoul(which, NULL, 16));
		fd = open_under(common, name, 0);
	}
	if (fd < 0)
		return COMMAND_FAILED;
	good = spool_dump(fd, &out);
	command_print(buffer_bytes(&out), stdout);
	buffer_free(&out);
	(void)close(fd);
	return good ? COMMAND_DONE : COMMAND_FAILED;
}

static int
run_dump(struct call *c)
{
	struct common_settings common;
	struct settings       *s;
	int                    status;

	if (c->argc != 3)
		return command_wrong(c, "which segment?");
	if ((s = command_settings(c, &common)) == NULL)
		return COMMAND_FAILED;
	status = dump(&common, c->argv[2]);
	settings_close(&s);
	return status;
}

static int
run_compact(struct call *c)
{
	static const char *const ask[] = { "store", "compact" };

	return command_ask(c, "queue", 2, ask, (struct bytes){ NULL, 0 });
}

static int
run_store(struct call *c)
{
	static const struct {
		const char *name;
		int (*run)(struct call *);
	} verbs[] = { { "check", run_check }, { "dump", run_dump }, { "compact", run_compact } };

	for (size_t i = 0; i < COUNT(verbs) && c->argc > 1; i++)
		if (strcmp(c->argv[1], verbs[i].name) == 0)
			return verbs[i].run(c);
	return command_wrong(c,
	                     c->argc > 1 ? "store does not know \"%s\""
	                                 : "store wants to know what%s",
	                     c->argc > 1 ? c->argv[1] : "");
}
