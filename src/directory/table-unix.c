/* table-unix -- unix:passwd.byname and unix:group.byname: who the operating system knows */

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <string.h>

#include "directory/table_inner.h"

enum { ROOM_LEAST = 4096, ROOM_MOST = 1 << 20 };

struct unix_table {
	bool groups, keep_case;
};

/* A line of passwd(5). */
static int
ask_passwd(const char *name, char *room, size_t n, struct arena *life, struct bytes *value)
{
	struct passwd p, *found = NULL;
	int           why = getpwnam_r(name, &p, room, n, &found);

	if (found != NULL)
		*value = bytes_of(arena_printf(life, "%s:%s:%lu:%lu:%s:%s:%s", p.pw_name,
		                               p.pw_passwd, (unsigned long)p.pw_uid,
		                               (unsigned long)p.pw_gid, p.pw_gecos, p.pw_dir,
		                               p.pw_shell));
	return found != NULL ? 0 : why;
}

/* A line of group(5). */
static int
ask_group(const char *name, char *room, size_t n, struct arena *life, struct bytes *value)
{
	struct group  g, *found = NULL;
	struct buffer out = { 0 };
	int           why = getgrnam_r(name, &g, room, n, &found);

	if (found == NULL)
		return why;
	buffer_printf(&out, "%s:%s:%lu:", g.gr_name, g.gr_passwd, (unsigned long)g.gr_gid);
	for (char **m = g.gr_mem; *m != NULL; m++)
		buffer_printf(&out, "%s%s", m == g.gr_mem ? "" : ",", *m);
	*value = arena_keep(life, buffer_bytes(&out));
	buffer_free(&out);
	return 0;
}

/* Not there is said in several ways (getpwnam(3)). */
static bool
is_nobody(int why)
{
	return why == 0 || why == ENOENT || why == ESRCH || why == EBADF || why == EPERM;
}

static enum table_outcome
find(void *own, struct bytes key, struct arena *life, struct bytes *value)
{
	const struct unix_table *t = own;
	const char *name = arena_copy(life, t->keep_case ? key : arena_lower(life, key));
	int         why = ERANGE;

	*value = (struct bytes){ NULL, 0 };
	for (size_t room = ROOM_LEAST; why == ERANGE && room <= ROOM_MOST; room *= 4) {
		char *at = memory_take(room);
		why = (t->groups ? ask_group : ask_passwd)(name, at, room, life, value);
		memory_free(at);
	}
	if (value->at != NULL)
		return TABLE_FOUND;
	if (is_nobody(why))
		return TABLE_NONE;
	*value = bytes_of(arena_printf(life, "the operating system: %s", strerror(why)));
	return TABLE_LATER;
}

static void *
unix_open(struct bytes name, enum table_grammar grammar, const struct table_source *source,
          struct buffer *errors, struct buffer *warnings)
{
	struct unix_table *t;
	bool               groups = bytes_equal(name, BYTES("group.byname"));

	(void)grammar;
	(void)warnings;
	if (!groups && !bytes_equal(name, BYTES("passwd.byname"))) {
		buffer_printf(errors, "unix:%.*s: write unix:passwd.byname or unix:group.byname\n",
		              (int)name.len, name.at);
		return NULL;
	}
	t = memory_take(sizeof *t);
	*t = (struct unix_table){ groups, (source->how & TABLE_KEEP_CASE) != 0 };
	return t;
}

const struct table_type table_unix = {
	.name = "unix",
	.remote = true,
	.open = unix_open,
	.find = find,
	.close = memory_free,
};
