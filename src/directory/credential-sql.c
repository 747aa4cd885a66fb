/* credential-sql.c -- sql:/path.cf: a table of the driver the file names, asked for columns */
#include "directory/credential-remote.h"
#include "directory/renaming.h"
#include <string.h>
#include <unistd.h>

struct sql {
	struct table *table, *users; /* users: NULL, the first does for it */
	struct table *all;           /* NULL: iterate_query is not set     */
	struct arena *life;
	const char   *scheme;
};

static void
sql_close(void *own)
{
	struct sql *s = own;

	table_close(&s->table);
	table_close(&s->users);
	table_close(&s->all);
	arena_close(&s->life);
	memory_free(s);
}

/* What the table does not need to know. */
static const char *
word_of(struct settings *s, const char *name, const char *standard)
{
	struct setting_entry e;
	const char          *value = standard;

	for (size_t i = 0; settings_entry(s, i, &e); i++)
		if (strcmp(e.name, name) == 0)
			value = e.value;
	return value;
}

static bool
read_file(const char *path, const struct table_source *source, struct buffer *out)
{
	int     fd = source->open(source->ctx, path);
	ssize_t n = -1;

	if (fd < 0)
		return false;
	for (off_t at = 0;
	     out->len < REMOTE_CF_MOST && (n = pread(fd, buffer_room(out, 4096), 4096, at)) > 0;
	     at += n)
		buffer_took(out, (size_t)n);
	(void)close(fd);
	return n == 0;
}

static void *
sql_open(const char *path, const struct table_source *source, struct buffer *errors,
         struct buffer *warnings)
{
	struct sql         *s = memory_take(sizeof *s);
	struct table_source columns = *source;
	struct buffer       text = { 0 }, unheard = { 0 };
	struct settings    *cf = NULL;
	const char         *driver = "";
	bool                users = false, all = false;

	s->life = arena_open(NULL);
	if (read_file(path, source, &text))
		cf = settings_read(buffer_bytes(&text), path, errors, &unheard);
	if (cf != NULL) {
		driver = arena_copy(s->life, bytes_of(word_of(cf, "driver", "")));
		users = *word_of(cf, "user_query", "") != '\0';
		all = *word_of(cf, "iterate_query", "") != '\0';
		s->scheme =
			arena_copy(s->life, bytes_of(word_of(cf, "default_pass_scheme", "CRYPT")));
	}
	columns.how |= TABLE_COLUMNS | TABLE_KEEP_CASE;
	if (cf == NULL)
		buffer_printf(errors, "%s: cannot be read\n", path);
	else if (strcmp(driver, "pgsql") != 0 && strcmp(driver, "mysql") != 0 &&
	         strcmp(driver, "sqlite") != 0)
		buffer_printf(errors, "%s: driver: write pgsql, mysql or sqlite\n", path);
	else
		s->table = table_open(arena_printf(s->life, "%s:%s", driver, path), TABLE_PLAIN,
		                      &columns, errors, warnings);
	columns.how |= TABLE_USERS;
	if (s->table != NULL && users &&
	    (s->users = table_open(arena_printf(s->life, "%s:%s", driver, path), TABLE_PLAIN,
	                           &columns, errors, warnings)) == NULL)
		table_close(&s->table);
	columns.how |= TABLE_ITERATES;
	if (s->table != NULL && all &&
	    (s->all = table_open(arena_printf(s->life, "%s:%s", driver, path), TABLE_PLAIN,
	                         &columns, errors, warnings)) == NULL)
		table_close(&s->table);
	settings_close(&cf);
	if (text.len > 0)
		explicit_bzero(text.at, text.len);
	buffer_free(&text);
	buffer_free(&unheard);
	if (s->table == NULL) {
		sql_close(s);
		return NULL;
	}
	return s;
}

static void
sql_ask(void *own, const struct credential_question *q, struct arena *a,
        struct credential_answer *out)
{
	struct sql  *s = own;
	bool         users = q->mode == CREDENTIAL_USER && s->users != NULL;
	struct bytes value, more, name;

	switch (table_find(users ? s->users : s->table, q->user, a, &value)) {
	case TABLE_FOUND:
		credential_conclude(q, s->scheme, value, a, out);
		if (q->mode == CREDENTIAL_CHECK && out->outcome == CREDENTIAL_PASS &&
		    s->users != NULL) {
			enum table_outcome o;

			/* As at Dovecot it is asked for whom the password's columns say. */
			name = renaming_user(out->fields, q->user);
			o = table_find(s->users, name, a, &more);
			credential_join(o, name, more, a, out);
		}
		break;
	case TABLE_NONE: out->outcome = CREDENTIAL_NOBODY; break;
	default:
		out->outcome = CREDENTIAL_LATER;
		out->why = arena_copy(a, value);
		break;
	}
}

static void
sql_reach(void *own, struct reach *r)
{
	struct sql *s = own;

	table_reach(s->table, r);
}

/* A name whose domain has not come: a column with nothing in it is not told. */
static void
name_half(struct bytes *half, credential_each *each, void *ctx)
{
	if (half->len > 0)
		each(ctx, *half);
	*half = (struct bytes){ NULL, 0 };
}

/* A column user, or the two halves of the name. */
static enum table_outcome
sql_each(void *own, credential_each *each, void *ctx, struct arena *a, const char **why)
{
	struct sql        *s = own;
	struct bytes       value, line, name, half = { NULL, 0 };
	enum table_outcome o;

	*why = "iterate_query is not set";
	if (s->all == NULL)
		return TABLE_NONE;
	o = table_find(s->all, BYTES("*"), a, &value);
	*why = arena_copy(a, o == TABLE_LATER ? value : BYTES(""));
	while (o == TABLE_FOUND && bytes_split(&value, '\n', &line)) {
		if (!bytes_split(&line, '=', &name) || line.len == 0)
			continue;
		if (bytes_is(name, "user"))
			each(ctx, line);
		else if (bytes_is(name, "username")) {
			name_half(&half, each, ctx);
			half = line;
		} else if (bytes_is(name, "domain") && half.len > 0) {
			half = bytes_of(arena_printf(a, "%.*s@%.*s", (int)half.len, half.at,
			                             (int)line.len, line.at));
			name_half(&half, each, ctx);
		}
	}
	if (o == TABLE_FOUND)
		name_half(&half, each, ctx);
	return o == TABLE_NONE ? TABLE_FOUND : o;
}

const struct credential_ways credential_sql = { true,      sql_open, sql_ask, sql_reach,
	                                        sql_close, NULL,     sql_each };
