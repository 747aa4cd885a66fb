#include "directory/table_inner.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

struct table {
	const struct table_type *type;
	void                    *own;
	char                    *name;
};

/* In the order of postconf -m. */
static const struct table_type *const types[] = {
	&table_btree,    &table_cdb,       &table_cidr,   &table_dbm,     &table_fail,
	&table_hash,     &table_inline,    &table_ldap,   &table_lmdb,    &table_mysql,
	&table_oauth,    &table_pcre,      &table_pgsql,  &table_pipemap, &table_randmap,
	&table_regexp,   &table_socketmap, &table_sqlite, &table_static,  &table_tcp,
	&table_texthash, &table_unionmap,  &table_unix,
};

const struct table_type *
table_type_at(size_t i)
{
	return i < COUNT(types) ? types[i] : NULL;
}

/*
 * Names
 */

static const struct table_type *
type_named(struct bytes name)
{
	for (size_t i = 0; i < COUNT(types); i++)
		if (bytes_equal(name, bytes_of(types[i]->name)))
			return types[i];
	return NULL;
}

/* name = [ "proxy:" ] [ type ":" ] rest; without a type it is of the default one. */
static struct bytes
type_word(struct bytes name, const char *default_type, struct bytes *rest)
{
	ptrdiff_t colon;

	if (bytes_starts(name, BYTES("proxy:")))
		name = bytes_cut(name, 6, name.len);
	colon = bytes_find(name, ':');
	if (colon < 0 || bytes_starts(name, BYTES("/"))) {
		*rest = name;
		return bytes_of(default_type);
	}
	*rest = bytes_cut(name, (size_t)colon + 1, name.len);
	return bytes_cut(name, 0, (size_t)colon);
}

const struct table_type *
table_type_of(struct bytes name, const char *default_type, struct bytes *rest)
{
	return type_named(type_word(name, default_type, rest));
}

bool
table_is_name(const char *word)
{
	struct bytes name = bytes_of(word);
	ptrdiff_t    colon = bytes_find(name, ':');

	return colon > 0 && (bytes_starts(name, BYTES("proxy:")) ||
	                     type_named(bytes_cut(name, 0, (size_t)colon)) != NULL);
}

/* How deep braces stand in braces; -1 when they do not fit. */
static int
depth_of(struct bytes text)
{
	int depth = 0, most = 0;

	for (size_t i = 0; i < text.len && depth >= 0; i++) {
		depth += (text.at[i] == '{') - (text.at[i] == '}');
		most = depth > most ? depth : most;
	}
	return depth == 0 ? most : -1;
}

const char *
table_name_fault(const char *name, const char *default_type, struct arena *arena)
{
	struct bytes rest, word = type_word(bytes_of(name), default_type, &rest);
	char         shown[64];

	if (type_named(word) == NULL)
		return arena_printf(
			arena,
			"there is no type of table \"%s\"; mansio postconf -m lists those there are",
			table_shown(word, shown));
	if (rest.len == 0)
		return arena_printf(arena, "a name must stand behind \"%.*s:\"", (int)word.len,
		                    word.at);
	if (depth_of(rest) > TABLE_DEPTH_MOST)
		return arena_printf(arena, "braces stand in braces more than %d deep",
		                    TABLE_DEPTH_MOST);
	return NULL;
}

/* What is so of one part at least of a name, or of all. */
static bool
holds_for(struct bytes name, const char *default_type, bool (*is)(const struct table_type *),
          bool all, int depth)
{
	struct bytes             rest, inner, part;
	const struct table_type *type = table_type_of(name, default_type, &rest);
	bool                     holds = all, some = false;

	if (type == NULL || depth > TABLE_DEPTH_MOST)
		return false;
	if (!type->nested)
		return is(type);
	if (!table_unbrace(rest, &inner))
		return false;
	while (table_part(&inner, &part)) {
		bool one = holds_for(part, default_type, is, all, depth + 1);
		holds = all ? holds && one : holds || one;
		some = true;
	}
	return some && holds;
}

static bool
type_is_remote(const struct table_type *type)
{
	return type->remote;
}

static bool
type_is_pattern(const struct table_type *type)
{
	return type->pattern;
}

bool
table_is_remote(const char *name, const char *default_type)
{
	return holds_for(bytes_of(name), default_type, type_is_remote, false, 0);
}

bool
table_is_pattern(const char *name, const char *default_type)
{
	return holds_for(bytes_of(name), default_type, type_is_pattern, true, 0);
}

/* Who wants to hear of files. */
struct hearer {
	const char *default_type;
	void (*each)(void *, const char *path, bool remote);
	void *ctx;
	bool  remote; /* a table around this one is */
};

static void
files_of(const struct hearer *h, struct bytes name, int depth)
{
	struct bytes             rest, inner, part;
	const struct table_type *type = table_type_of(name, h->default_type, &rest);
	struct arena            *scratch;

	if (type == NULL || depth > TABLE_DEPTH_MOST || rest.len == 0)
		return;
	if (type->nested && table_unbrace(rest, &inner))
		while (table_part(&inner, &part))
			files_of(h, part, depth + 1);
	if (!type->file || rest.at[0] == '{')
		return;
	scratch = arena_open(NULL);
	h->each(h->ctx,
	        type->rows != NULL && rest.at[0] != '/'
	                ? arena_printf(scratch, "%s:%.*s", type->name, (int)rest.len, rest.at)
	                : arena_copy(scratch, rest),
	        type->remote || h->remote);
	arena_close(&scratch);
}

void
table_files(const char *name, const char                              *default_type,
            void (*each)(void *, const char *path, bool remote), void *ctx)
{
	struct hearer h = { default_type, each, ctx, table_is_remote(name, default_type) };

	files_of(&h, bytes_of(name), 0);
}

/*
 * Tables
 */

struct table *
table_open(const char *name, enum table_grammar grammar, const struct table_source *source,
           struct buffer *errors, struct buffer *warnings)
{
	struct arena            *scratch = arena_open(NULL);
	const char              *why = table_name_fault(name, source->default_type, scratch);
	struct table            *t = NULL;
	struct bytes             rest;
	const struct table_type *type = table_type_of(bytes_of(name), source->default_type, &rest);
	void                    *own = NULL;

	if (why != NULL)
		buffer_printf(errors, "%s: %s\n", name, why);
	else
		own = type->open(rest, grammar, source, errors, warnings);
	if (own != NULL) {
		t = memory_take(sizeof *t);
		t->type = type;
		t->own = own;
		t->name = memory_take(strlen(name) + 1);
		memcpy(t->name, name, strlen(name) + 1);
	}
	arena_close(&scratch);
	return t;
}

void
table_close(struct table **tp)
{
	struct table *t = *tp;

	*tp = NULL;
	if (t == NULL)
		return;
	t->type->close(t->own);
	memory_free(t->name);
	memory_free(t);
}

enum table_outcome
table_find(struct table *t, struct bytes key, struct arena *arena, struct bytes *value)
{
	*value = (struct bytes){ NULL, 0 };
	if (key.len == 0 || key.len > TABLE_KEY_MOST || memchr(key.at, '\0', key.len) != NULL)
		return TABLE_NONE;
	return t->type->find(t->own, key, arena, value);
}

void
table_reach(const struct table *t, struct reach *r)
{
	if (t->type->reach != NULL)
		t->type->reach(t->own, r);
}

const char *
table_name(const struct table *t)
{
	return t->name;
}

bool
table_each(struct table *t, void (*each)(void *, struct bytes key, struct bytes value), void *ctx)
{
	if (t->type->each == NULL)
		return false;
	t->type->each(t->own, each, ctx);
	return true;
}

/*
 * A table that could not be opened
 */

static enum table_outcome
failing_find(void *own, struct bytes key, struct arena *arena, struct bytes *value)
{
	(void)key;
	*value = arena_keep(arena, bytes_of(own));
	return TABLE_LATER;
}

/* fail:why, a table that never can tell: for tests of what depends on one. */
static void *
fail_open(struct bytes name, enum table_grammar grammar, const struct table_source *source,
          struct buffer *errors, struct buffer *warnings)
{
	char *why = memory_take(name.len + 1);

	(void)grammar;
	(void)source;
	(void)errors;
	(void)warnings;
	memcpy(why, name.at, name.len);
	return why;
}

const struct table_type table_fail = {
	.name = "fail",
	.open = fail_open,
	.find = failing_find,
	.close = memory_free,
};

static const struct table_type failing = { .name = "", .find = failing_find, .close = memory_free };

static enum table_outcome
empty_find(void *own, struct bytes key, struct arena *arena, struct bytes *value)
{
	(void)own;
	(void)key;
	(void)arena;
	(void)value;
	return TABLE_NONE;
}

static const struct table_type empty = { .name = "", .find = empty_find, .close = memory_free };

static char *
string_copy(const char *s)
{
	size_t n = strlen(s) + 1;

	return memcpy(memory_take(n), s, n);
}

static struct table *
stand_in(const struct table_type *type, const char *name, const char *own)
{
	struct table *t = memory_take(sizeof *t);

	*t = (struct table){ type, string_copy(own), string_copy(name) };
	return t;
}

struct table *
table_failing(const char *name, const char *why)
{
	return stand_in(&failing, name, why);
}

struct table *
table_empty(const char *name)
{
	return stand_in(&empty, name, "");
}
