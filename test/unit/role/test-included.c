/* Who reads the files that aliases include: made as root, read for users. */
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "role/tables.h"

enum { ONE = 4321, OTHER = 4322 };

static char place[] = "/tmp/mansio-included-XXXXXX";

/* What lies there; a mode of 0 is a link. */
static const struct made {
	const char *name, *to;
	mode_t      mode;
	uid_t       owner;
} made[] = {
	{ "shut", NULL, S_IFDIR | 0700, 0 },
	{ "shut/list", "", 0644, 0 },
	{ "public", "", 0644, 0 },
	{ "private", "", 0600, 0 },
	{ "pipe", NULL, S_IFIFO | 0644, 0 },
	{ "way", "shut", 0, 0 },
	{ "one", NULL, S_IFDIR | 0755, ONE },
	{ "one/list", "", 0600, ONE },
	{ "one/open", "", 0644, ONE },
	{ "one/secret", "../shut/list", 0, ONE },
	{ "one/of-other", "../other/list", 0, ONE },
	{ "other", NULL, S_IFDIR | 0755, OTHER },
	{ "other/list", "", 0600, OTHER },
	{ "to-one", "one/list", 0, 0 },
	{ "to-secret", "one/secret", 0, 0 },
	{ "round", "round", 0, 0 },
};

static void
make(const struct made *m)
{
	char path[128];
	int  fd;

	(void)snprintf(path, sizeof path, "%s/%s", place, m->name);
	if (m->mode == 0)
		assert_int_equal(symlink(m->to, path), 0);
	else if (S_ISDIR(m->mode))
		assert_int_equal(mkdir(path, 0700), 0);
	else if (S_ISFIFO(m->mode))
		assert_int_equal(mkfifo(path, 0600), 0);
	else {
		fd = open(path, O_CREAT | O_EXCL | O_WRONLY, 0600);
		assert_true(fd >= 0);
		(void)close(fd);
	}
	assert_int_equal(lchown(path, m->owner, m->owner), 0);
	if (m->mode != 0)
		assert_int_equal(chmod(path, m->mode & 0777), 0);
}

static void
clear(void)
{
	char path[128];

	for (size_t i = COUNT(made); i-- > 0;) {
		(void)snprintf(path, sizeof path, "%s/%s", place, made[i].name);
		(void)remove(path);
	}
	assert_int_equal(rmdir(place), 0);
}

static void
test_whose_rights_open_a_file(void **state)
{
	static const struct {
		const char *why;
		uid_t       reader;
		const char *path;
		int         wanted;
	} rows[] = {
		{ "root's aliases read what is root's alone", 0, "private", 0 },
		{ "and behind a link of root's", 0, "way/list", 0 },
		{ "a user's aliases do not", ONE, "private", EACCES },
		{ "nor in a directory that is shut", ONE, "shut/list", EACCES },
		{ "nor by root's link", ONE, "way/list", EACCES },
		{ "nor by their own", ONE, "one/secret", EACCES },
		{ "what everybody may read they do", ONE, "public", 0 },
		{ "and what is their own", ONE, "one/list", 0 },
		{ "by a link, too", ONE, "to-one", 0 },
		{ "another user's they do not", OTHER, "one/list", EACCES },
		{ "unless everybody may", OTHER, "one/open", 0 },
		{ "a user's link leads nobody to what that user may not read", OTHER,
		  "one/of-other", EACCES },
		{ "nor root", 0, "one/secret", EACCES },
		{ "nor behind a link of root's", 0, "to-secret", EACCES },
		{ "a user's list in root's aliases", 0, "one/list", 0 },
		{ "a link to itself", 0, "round", ENOENT },
		{ "what is no file", 0, "pipe", EINVAL },
		{ "nobody", ONE, "nobody", ENOENT },
	};
	char name[160], reader[16];

	(void)state;
	if (geteuid() != 0)
		skip();
	assert_non_null(mkdtemp(place));
	assert_int_equal(chmod(place, 0755), 0);
	for (size_t i = 0; i < COUNT(made); i++)
		make(&made[i]);
	for (size_t i = 0; i < COUNT(rows); i++) {
		int fd, why;

		(void)snprintf(reader, sizeof reader, "%u", (unsigned)rows[i].reader);
		(void)snprintf(name, sizeof name, ":%s%s/%s", rows[i].reader == 0 ? "" : reader,
		               place, rows[i].path);
		fd = tables_open_included(name);
		why = fd < 0 ? errno : 0;
		if (fd >= 0)
			(void)close(fd);
		if (why != rows[i].wanted)
			fail_msg("%s: %s, not %s", rows[i].why, strerror(why),
			         strerror(rows[i].wanted));
		HOLDS("root's rights are back", access(place, W_OK) == 0 && geteuid() == 0);
	}
	clear();
}

static void
test_names(void **state)
{
	static const struct {
		const char *name, *path;
		uint32_t    reader;
	} rows[] = {
		{ "/etc/aliases", "/etc/aliases", 0 },
		{ ":/etc/list", "/etc/list", 0 },
		{ ":4321/home/list", "/home/list", 4321 },
		{ "ldap:accounts", "ldap:accounts", 0 },
		{ ":", "", 0 },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		SAME(rows[i].name, bytes_of(tables_included_path(rows[i].name)),
		     bytes_of(rows[i].path));
		HOLDS(rows[i].name, tables_included_for(rows[i].name) == rows[i].reader);
	}
}

UNIT(test_names, test_whose_rights_open_a_file)
