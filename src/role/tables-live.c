/* the local tables of a role: built, kept, built anew */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/journal.h"
#include "base/map.h"
#include "role/complaints.h"
#include "role/tables.h"

/* One table and the files it was made of. */
struct local {
	struct local      *next;
	struct tables     *all;
	char              *name;
	enum table_grammar grammar;
	struct table      *table;
	struct buffer      stamp; /* of the files it is, or is being, made of */
	bool               named, building, good, standard;
};

struct tables {
	struct house *house;
	struct local *first;
	void (*changed)(void *ctx);
	void *ctx;
	bool  again; /* files came while something was being built */
};

/* A table being built: it has descriptors of its own, since what the house has may be closed
   meanwhile. */
struct building {
	struct local *local;
	struct arena *arena;
	struct file {
		struct file *next;
		const char  *path;
		int          fd;
	} * file;
	const char   *default_type;
	struct table *table;
	struct buffer errors, warnings;
};

static const char *
resource_of(struct arena *a, const char *path)
{
	return arena_printf(a, "table/%s", path);
}

/*
 * Building
 */

static void
take_file(void *ctx, const char *path, bool remote)
{
	struct building *b = ctx;
	struct file     *f = arena_take(b->arena, sizeof *f);
	int              fd = house_resource(b->local->all->house, resource_of(b->arena, path));

	(void)remote;
	*f = (struct file){ b->file, arena_copy(b->arena, bytes_of(path)),
		            fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, 0) };
	b->file = f;
}

static int
open_taken(void *ctx, const char *path)
{
	struct building *b = ctx;

	for (struct file *f = b->file; f != NULL; f = f->next)
		if (strcmp(f->path, path) == 0 && f->fd >= 0)
			return fcntl(f->fd, F_DUPFD_CLOEXEC, 0);
	errno = ENOENT;
	return -1;
}

static struct building *
building_open(struct local *l)
{
	struct building *b = memory_take(sizeof *b);

	b->local = l;
	b->arena = arena_open(NULL);
	b->default_type =
		arena_copy(b->arena, bytes_of(tables_default_type(l->all->house->settings)));
	table_files(l->name, b->default_type, take_file, b);
	l->building = true;
	return b;
}

static void
build(void *ctx)
{
	struct building    *b = ctx;
	struct table_source source = { .open = open_taken,
		                       .ctx = b,
		                       .default_type = b->default_type };

	if (b->local->standard && b->file != NULL && b->file->fd < 0)
		b->table = table_empty(b->local->name);
	else
		b->table = table_open(b->local->name, b->local->grammar, &source, &b->errors,
		                      &b->warnings);
}

/* The new table in the place of the old one; or what was wrong with it. */
static void
settle(struct building *b)
{
	struct local *l = b->local;

	complaints_warn(buffer_bytes(&b->errors));
	complaints_warn(buffer_bytes(&b->warnings));
	if (b->table == NULL && l->good)
		warn_("table %s: not taken over: the last good one stays", l->name);
	if (b->table == NULL && !l->good && l->table == NULL) {
		warn_("table %s cannot be used: what depends on it is put off", l->name);
		l->table = table_failing(l->name, "the table is not as it should be");
	}
	if (b->table != NULL) {
		if (l->table != NULL)
			note("table %s: loaded anew", l->name);
		table_close(&l->table);
		l->table = b->table;
		l->good = true;
	}
	l->building = false;
	for (struct file *f = b->file; f != NULL; f = f->next)
		if (f->fd >= 0)
			(void)close(f->fd);
	buffer_free(&b->errors);
	buffer_free(&b->warnings);
	arena_close(&b->arena);
	memory_free(b);
}

static void
built(void *ctx)
{
	struct building *b = ctx;
	struct tables   *t = b->local->all;
	bool             fresh = b->table != NULL;

	settle(b);
	if (fresh && t->changed != NULL)
		t->changed(t->ctx);
	if (t->again) {
		t->again = false;
		tables_reload(t);
	}
}

/*
 * Which there are
 */

struct stamping {
	struct house  *house;
	struct buffer *out;
};

static void
add_stamp(void *ctx, const char *path, bool remote)
{
	struct stamping *s = ctx;
	struct arena    *scratch = arena_open(NULL);
	const char      *text = house_resource_text(s->house, resource_of(scratch, path));

	(void)remote;
	buffer_printf(s->out, "%s %s\n", path, text == NULL ? "" : text);
	arena_close(&scratch);
}

/* Whether its files, or how they are read, are no longer those it was made of. */
static bool
is_stale(struct local *l, enum table_grammar grammar)
{
	struct buffer   now = { 0 };
	struct stamping s = { l->all->house, &now };
	const char     *type = tables_default_type(l->all->house->settings);
	bool            same;

	buffer_printf(&now, "%s %d\n", type, grammar);
	table_files(l->name, type, add_stamp, &s);
	same = bytes_equal(buffer_bytes(&now), buffer_bytes(&l->stamp));
	buffer_free(&l->stamp);
	l->stamp = now;
	return !same;
}

static struct local *
local_of(struct tables *t, const char *name)
{
	for (struct local *l = t->first; l != NULL; l = l->next)
		if (strcmp(l->name, name) == 0)
			return l;
	return NULL;
}

static struct local *
local_make(struct tables *t, const char *name)
{
	struct local *l = memory_take(sizeof *l);

	l->next = t->first;
	l->all = t;
	l->name = memory_take(strlen(name) + 1);
	memcpy(l->name, name, strlen(name) + 1);
	t->first = l;
	return l;
}

/* At the start all is built at once; later in the thread pool. */
struct visit {
	struct tables *tables;
	bool           at_once;
};

static void
visit_named(void *ctx, const struct table_named *named)
{
	struct visit    *v = ctx;
	struct tables   *t = v->tables;
	struct local    *l;
	struct building *b;

	if ((named->roles & FROM(t->house->role)) == 0 || named->is_file ||
	    table_is_remote(named->name, tables_default_type(t->house->settings)))
		return;
	if ((l = local_of(t, named->name)) == NULL)
		l = local_make(t, named->name);
	l->named = true;
	if (l->building)
		t->again = true;
	if (l->building || !is_stale(l, named->grammar))
		return;
	l->grammar = named->grammar;
	l->standard = named->standard;
	b = building_open(l);
	if (v->at_once) {
		build(b);
		settle(b);
	} else {
		loop_job(t->house->loop, build, built, b);
	}
}

/* Those no setting names any more. */
static void
forget_unnamed(struct tables *t)
{
	struct local **at = &t->first, *l;

	while ((l = *at) != NULL) {
		if (l->named || l->building) {
			at = &l->next;
			continue;
		}
		*at = l->next;
		table_close(&l->table);
		buffer_free(&l->stamp);
		memory_free(l->name);
		memory_free(l);
	}
}

static void
visit_all(struct tables *t, bool at_once)
{
	struct visit v = { t, at_once };

	for (struct local *l = t->first; l != NULL; l = l->next)
		l->named = false;
	tables_named(t->house->settings, visit_named, &v);
	forget_unnamed(t);
}

struct tables *
tables_open(struct house *h, void (*changed)(void *ctx), void *ctx)
{
	struct tables *t = memory_take(sizeof *t);

	*t = (struct tables){ .house = h, .changed = changed, .ctx = ctx };
	visit_all(t, true);
	return t;
}

void
tables_reload(struct tables *t)
{
	visit_all(t, false);
}

struct table *
tables_local(struct tables *t, const char *name)
{
	struct local *l = local_of(t, name);

	return l == NULL ? NULL : l->table;
}
