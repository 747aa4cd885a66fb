/*
 * tables-parameters -- databases whose settings stand in main.cf: ldap:accounts, accounts_server_host = ...
 *
 * The lines of one become a file of its own, which only role proxymap is given; in what the other roles read of
 * main.cf they are empty, since there are passwords among them, and so are lines that nothing but these asks for, as
 * secret = ... of accounts_bind_pw = $secret.  In both every line keeps its number.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/cf.h"
#include "base/map.h"
#include "role/tables.h"

enum { NAME_ROOM = 256 };

/* "ldap" and "accounts" of one. */
struct database {
	const struct table_type *type;
	struct bytes             name;
};

static bool
is_of_a_name(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '_' || c == '-' || c == '.';
}

/* The next "type:name" in a value, wherever it stands; what is a path has a file of its own. */
static bool
database_next(struct bytes value, size_t *place, struct database *d)
{
	for (; *place < value.len; ++*place) {
		if (*place > 0 && is_of_a_name(value.at[*place - 1]))
			continue;
		for (size_t i = 0; (d->type = table_type_at(i)) != NULL; i++) {
			struct bytes rest = bytes_cut(value, *place, value.len);
			size_t       word = strlen(d->type->name), n = word + 1;

			if (d->type->rows == NULL || !bytes_starts(rest, bytes_of(d->type->name)) ||
			    rest.len <= n || rest.at[word] != ':' || rest.at[n] == '.')
				continue;
			while (n < rest.len && is_of_a_name(rest.at[n]))
				n++;
			d->name = bytes_cut(rest, word + 1, n - word - 1);
			*place += n;
			if (d->name.len > 0 && d->name.len < NAME_ROOM / 2)
				return true;
			break;
		}
	}
	return false;
}

/* "accounts_server_host", of a row. */
static bool
row_name(const struct database *d, const struct setting *row, char out[static NAME_ROOM])
{
	struct arena *scratch = arena_open(NULL);
	bool fits = bytes_string(bytes_of(arena_printf(scratch, "%.*s_%s", (int)d->name.len,
	                                               d->name.at, row->name)),
	                         out, NAME_ROOM);

	arena_close(&scratch);
	return fits;
}

static void
each_database(const struct settings *s, void (*each)(void *ctx, const struct database *), void *ctx)
{
	struct setting_entry e;
	struct database      d;

	for (size_t i = 0; settings_entry(s, i, &e); i++)
		for (size_t place = 0; database_next(bytes_of(e.value), &place, &d);)
			each(ctx, &d);
}

static void
know(void *ctx, const struct database *d)
{
	struct setting row;
	char           name[NAME_ROOM];

	for (size_t i = 0; i < d->type->rows->count; i++) {
		row = d->type->rows->row[i];
		row.name = name;
		if (row_name(d, &d->type->rows->row[i], name))
			settings_know_row(ctx, &row);
	}
}

void
tables_know_parameters(struct settings *s)
{
	each_database(s, know, s);
}

/*
 * As a file
 */

/* The first line of its own behind this one. */
static const struct setting *
next_row(const struct settings *s, const struct database *d, int behind, int *line,
         char name[static NAME_ROOM])
{
	const struct setting *next = NULL;
	char                  one[NAME_ROOM];

	for (size_t i = 0; i < d->type->rows->count; i++) {
		const struct setting *row = &d->type->rows->row[i];
		int                   at = row_name(d, row, one) ? settings_line(s, one) : 0;

		if (at <= behind || (next != NULL && at >= *line))
			continue;
		next = row;
		*line = at;
		memcpy(name, one, NAME_ROOM);
	}
	return next;
}

/* False: there are none. */
static bool
write_lines(struct settings *s, const struct database *d, struct buffer *out)
{
	const struct setting *row;
	char                  name[NAME_ROOM];
	int                   line = 0;

	for (int behind = 0; (row = next_row(s, d, behind, &line, name)) != NULL; behind = line) {
		const char *value = settings_value(s, name);

		for (int i = behind + (behind == 0); i < line; i++)
			buffer_add_char(out, '\n');
		buffer_printf(out, "%s = ", row->name);
		for (; value != NULL && *value != '\0'; value++)
			buffer_add_char(out, *value == '\n' ? ' ' : *value);
	}
	buffer_add_char(out, '\n');
	return line > 0;
}

bool
tables_parameters(struct settings *s, const char *name, struct buffer *out)
{
	struct database d;
	size_t          place = 0;

	return database_next(bytes_of(name), &place, &d) && place == strlen(name) &&
	       write_lines(s, &d, out);
}

int
tables_open_parameters(struct settings *s, const char *name)
{
	struct buffer text = { 0 };
	int           fd = -1;

	if (!tables_parameters(s, name, &text)) {
		buffer_free(&text);
		errno = ENOENT;
		return -1;
	}
	fd = memfd_create("parameters", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd >= 0 && (write(fd, text.at, text.len) != (ssize_t)text.len ||
	                fcntl(fd, F_ADD_SEALS,
	                      F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) < 0)) {
		(void)close(fd);
		fd = -1;
	}
	explicit_bzero(text.at, text.len);
	buffer_free(&text);
	return fd;
}

static int
open_path(void *ctx, const char *path)
{
	return *path == '/' || *path == '.' ? table_source_files.open(NULL, path)
	                                    : tables_open_parameters(ctx, path);
}

struct table_source
tables_source(struct settings *s)
{
	return (struct table_source){ .open = open_path,
		                      .ctx = s,
		                      .default_type = tables_default_type(s) };
}

/*
 * Out of sight
 */

struct hiding {
	const char *name;
	bool        found;
};

static void
look_for(void *ctx, const struct database *d)
{
	struct hiding *h = ctx;
	size_t         n = d->name.len;

	if (strncmp(h->name, d->name.at, n) != 0 || h->name[n] != '_')
		return;
	for (size_t i = 0; i < d->type->rows->count; i++)
		h->found = h->found || strcmp(h->name + n + 1, d->type->rows->row[i].name) == 0;
}

static bool
is_parameter(const struct settings *s, struct bytes name)
{
	char          text[NAME_ROOM];
	struct hiding h = { text, false };

	if (bytes_string(name, text, sizeof text))
		each_database(s, look_for, &h);
	return h.found;
}

/* What is asked for: by lines that are hidden, and by others. */
struct demand {
	struct settings *settings;
	struct map      *hidden; /* names whose lines are                     */
	struct map      *here;   /* names that others ask for                 */
	struct map      *there;  /* names that the hidden ones ask for        */
	struct map      *into;
};

static void
note_demand(void *ctx, struct bytes name)
{
	struct demand *d = ctx;

	(void)map_put(d->into, name, d);
}

static void
ask_all(struct demand *d)
{
	struct setting_entry e;

	for (size_t i = 0; settings_entry(d->settings, i, &e); i++) {
		d->into = map_get(d->hidden, bytes_of(e.name)) != NULL ? d->there : d->here;
		settings_asks(bytes_of(e.value), note_demand, d);
	}
}

/* Names of the administrator's own, which only hidden lines ask for; then what these ask for, and so on. */
static bool
hide_more(struct demand *d)
{
	struct setting_entry e;
	bool                 more = false;

	d->here = map_open();
	d->there = map_open();
	ask_all(d);
	for (size_t i = 0; settings_entry(d->settings, i, &e); i++) {
		struct bytes name = bytes_of(e.name);

		if (map_get(d->hidden, name) == NULL && map_get(d->there, name) != NULL &&
		    map_get(d->here, name) == NULL && !settings_has_row(d->settings, name)) {
			(void)map_put(d->hidden, name, d);
			more = true;
		}
	}
	map_close(&d->here);
	map_close(&d->there);
	return more;
}

static struct map *
hidden_names(struct settings *s)
{
	struct demand        d = { .settings = s, .hidden = map_open() };
	struct setting_entry e;

	for (size_t i = 0; settings_entry(s, i, &e); i++)
		if (is_parameter(s, bytes_of(e.name)))
			(void)map_put(d.hidden, bytes_of(e.name), &d);
	while (map_count(d.hidden) > 0 && hide_more(&d))
		continue;
	return d.hidden;
}

void
tables_hide_parameters(struct settings *s, struct buffer *text)
{
	struct map    *names = hidden_names(s);
	struct buffer  out = { 0 };
	struct bytes   rest = buffer_bytes(text), value;
	struct cf_line line = { .number = 0 };
	bool           hidden = false;

	while (cf_next(&rest, &line)) {
		if (line.kind == CF_BEGIN)
			hidden = map_get(names, cf_name(line.text, &value)) != NULL;
		if (hidden && line.kind != CF_REMARK)
			buffer_add_char(&out, '\n');
		else
			buffer_add(&out, line.whole);
	}
	map_close(&names);
	explicit_bzero(text->at, text->len);
	buffer_free(text);
	*text = out;
}
