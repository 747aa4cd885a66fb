#include "unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "command/keepers.h"
#include "command/source.h"

struct line_case {
	const char *why, *line;
	int64_t     wanted; /* -1: none */
};
static const struct line_case lines[] = {
	{ "rfc4155:A", "From bouncer@example.com Sun Nov 22 01:02:03 2026\n", 1795309323 },
	{ "a day of one figure", "From MAILER-DAEMON Tue Nov  3 10:20:30 2026", 1793701230 },
	{ "no seconds", "From jack Tue Nov  3 10:20 2026", 1793701200 },
	{ "a body's sentence", "From here on it is downhill", -1 },
	{ "a quoted one", ">From jack Tue Nov  3 10:20:30 2026", -1 },
};

static void
test_lines(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(lines); i++) {
		int64_t got = -1;
		bool    good = mbox_date(bytes_of(lines[i].line), &got);
		HOLDS(lines[i].why, good == (lines[i].wanted >= 0));
		HOLDS(lines[i].why, !good || got == lines[i].wanted);
	}
}

struct folder_case {
	const char *why, *directory, *wanted;
};
static const struct folder_case folders[] = {
	{ "Maildir++", ".Lists.debian", "Lists/debian" },
	{ "rfc3501:5.1.3", ".~peter.mail.&U,BTFw-.&ZeVnLIqe-", "~peter/mail/台北/日本語" },
	{ "a dot within a name", ".de&AC4-bian", "de.bian" },
	{ "an ampersand", ".A &- B", "A & B" },
	{ "not modified UTF-7", ".R&D", "R&D" },
	{ "the Maildir itself", ".", NULL },
	{ "what is above", "..", NULL },
	{ "its parts", "cur", NULL },
};

static void
test_folders(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(folders); i++) {
		char name[200];
		bool good = maildir_folder(folders[i].directory, name, sizeof name);
		HOLDS(folders[i].why, good == (folders[i].wanted != NULL));
		if (good)
			SAME(folders[i].why, bytes_of(name), bytes_of(folders[i].wanted));
	}
}

static const struct {
	const char *why, *mask, *name;
	bool        fits;
} masks[] = {
	{ "the same", "jack@example.com", "Jack@Example.com", true },
	{ "a star", "*@example.com", "jack@example.com", true },
	{ "a star of nothing", "jack*", "jack", true },
	{ "back to the last star", "*a*b", "xaybab", true },
	{ "one", "j?ck", "jack", true },
	{ "not two", "j?k", "jack", false },
	{ "too short", "jack", "jac", false },
	{ "too long", "jac", "jack", false },
	{ "many stars end soon", "*a*a*a*a*a*a*a*a*a*a*b",
	  "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", false },
};

static void
test_masks(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(masks); i++)
		HOLDS(masks[i].why, mask_fits(masks[i].mask, masks[i].name) == masks[i].fits);
}

UNIT(test_lines, test_folders, test_masks)
