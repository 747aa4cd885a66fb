/* store -- the letter log and the mailboxes looked at while no server runs */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "command/client.h"
#include "command/keepers.h"
#include "role/wire.h"
#include "spool/letters.h"
#include "spool/spool.h"
#include "store/store.h"

enum { PATH_ROOM = 4096 };

static int run_store(struct call *);

const struct command command_store = {
	.name = "store",
	.forms = "store check [ACCOUNT [--quiet]]\n"
		 "store dump SEGMENT\n"
		 "store compact",
	.about =
		"Verifies what lies on disk, shows a segment of the letter log, or wins back room.",
	.more = "check reads every record of the letter log and every index of the mailboxes, verifies each checksum, and "
		"names what is wrong; the exit status is 1 then. It reads the files themselves; where a server is "
		"running its keepers, who own the mailboxes, check them while they serve, a little at a time. With "
		"ACCOUNT, which needs a running server, only that one's mailboxes are looked at; --quiet says nothing "
		"where nothing is wrong.\n"
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

/* Nobody owns the mailboxes: they are read here. */
static size_t
check_files(const struct common_settings *common, int segments, struct buffer *out)
{
	int             accounts = open_under(common, "store/accounts", O_DIRECTORY);
	struct letters *letters;
	size_t          wrong;

	if (accounts < 0)
		return 1;
	letters = letters_open(segments);
	wrong = store_check(accounts, letters, out);
	letters_close(&letters);
	return wrong;
}

/* What the keepers said; the last line of each is how many things are wrong. */
static size_t
print_found(struct bytes said)
{
	struct bytes line;
	uint64_t     n;
	size_t       wrong = 0;

	while (bytes_split(&said, '\n', &line)) {
		if (bytes_number(line, &n))
			wrong += (size_t)n;
		else if (line.len > 0)
			(void)printf("%.*s\n", (int)line.len, line.at);
	}
	return wrong;
}

static int
conclude(struct call *c, size_t wrong, const char *where)
{
	/* Who asks in Dovecot's words hears nothing when nothing is wrong. */
	bool quiet = c->argc > 3 && strcmp(c->argv[3], "--quiet") == 0;

	if (wrong == 0 && !quiet)
		(void)printf("all is well in %s\n", where);
	else if (wrong > 0)
		(void)printf("%zu things are wrong in %s\n", wrong, where);
	return wrong == 0 ? COMMAND_DONE : COMMAND_FAILED;
}

static int
check_all(struct call *c, const struct common_settings *common)
{
	static const char *const ask[] = { "store", "check" };
	struct buffer            out = { 0 }, said = { 0 };
	size_t                   wrong;
	int                      status = COMMAND_WRONG;
	int                      segments = open_under(common, "spool/letters", O_DIRECTORY);

	if (segments < 0)
		return COMMAND_FAILED;
	wrong = spool_check(segments, &out);
	if (command_runs(common))
		status =
			keepers_ask_all(c, 2, ask, open_under(common, "users", O_DIRECTORY), &said);
	else
		wrong += check_files(common, segments, &out);
	command_print(buffer_bytes(&out), stdout);
	wrong += print_found(buffer_bytes(&said));
	if (status == COMMAND_FAILED && wrong == 0)
		wrong = 1; /* said on the standard error */
	buffer_free(&out);
	buffer_free(&said);
	return conclude(c, wrong, common->mail_directory);
}

/* One account, by its keeper. */
static int
check_one(struct call *c, const char *who)
{
	struct people people;
	int           status = client_people(c, who, &people);
	size_t        wrong = 0;

	for (size_t i = 0; status == COMMAND_DONE && i < people.count; i++) {
		char          id[24], role[32];
		const char   *ask[] = { "store", "check", id };
		struct buffer said = { 0 };

		(void)snprintf(id, sizeof id, "%llu", (unsigned long long)people.one[i].id);
		keeper_socket(people.one[i].keeper, role);
		status =
			command_talk(c, role, &(struct word_ask){ ask, 3, { NULL, 0 } }, -1, &said);
		wrong += print_found(buffer_bytes(&said));
		buffer_free(&said);
	}
	people_close(&people);
	return status == COMMAND_WRONG || (status != COMMAND_DONE && wrong == 0)
	               ? status
	               : conclude(c, wrong, who);
}

static int
run_check(struct call *c)
{
	struct common_settings common;
	struct settings       *s;
	int                    status;

	if (c->argc > 4 || (c->argc == 4 && strcmp(c->argv[3], "--quiet") != 0))
		return command_wrong(c, "\"%s\" is too much", c->argv[c->argc - 1]);
	if (c->argc > 2)
		return check_one(c, c->argv[2]);
	if ((s = command_settings(c, &common)) == NULL)
		return COMMAND_FAILED;
	status = check_all(c, &common);
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
