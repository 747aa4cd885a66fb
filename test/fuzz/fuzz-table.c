/*
 * Any text as the file of any local table, and any key asked of it.  The first byte says
 * which type; the last line is the key.  What can be listed must be found by its own key.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "directory/table.h"

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len);

static const struct {
	const char        *name;
	enum table_grammar grammar;
} types[] = {
	{ "hash:/x", TABLE_PLAIN }, { "hash:/x", TABLE_ALIASES }, { "regexp:/x", TABLE_PLAIN },
	{ "pcre:/x", TABLE_PLAIN }, { "cidr:/x", TABLE_PLAIN },   { NULL, TABLE_PLAIN },
};

static int
open_text(void *ctx, const char *path)
{
	const struct bytes *text = ctx;
	int                 fd = memfd_create("table", MFD_CLOEXEC);

	(void)path;
	if (fd < 0 || (text->len > 0 && write(fd, text->at, text->len) != (ssize_t)text->len))
		abort();
	return fd;
}

struct asking {
	struct table *table;
	struct arena *arena;
};

static void
ask(void *ctx, struct bytes key, struct bytes value)
{
	struct asking *a = ctx;
	struct bytes   said;

	if (key.len == 0 || memchr(key.at, '\0', key.len) != NULL)
		return;
	if (table_find(a->table, key, a->arena, &said) != TABLE_FOUND || !bytes_equal(said, value))
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *at, size_t len)
{
	struct bytes        text = { (const char *)at + 1, len > 0 ? len - 1 : 0 }, value;
	struct table_source source = { .open = open_text, .ctx = &text, .default_type = "hash" };
	struct buffer       errors = { 0 }, warnings = { 0 };
	struct asking       a = { .arena = arena_open(NULL) };
	size_t              which = len > 0 ? at[0] % COUNT(types) : 0;
	ptrdiff_t           last = bytes_find_last(text, '\n');
	const char         *name = types[which].name;

	/* A name with all in it. */
	if (name == NULL)
		name = arena_copy(a.arena, text);
	if (strlen(name) < 4096 && !table_is_remote(name, "hash"))
		a.table = table_open(name, types[which].grammar, &source, &errors, &warnings);
	if ((a.table == NULL) != (errors.len > 0) && strlen(name) < 4096 &&
	    !table_is_remote(name, "hash"))
		abort();
	if (a.table != NULL) {
		(void)table_each(a.table, ask, &a);
		(void)table_find(a.table, bytes_cut(text, (size_t)(last + 1), text.len), a.arena,
		                 &value);
	}
	table_close(&a.table);
	arena_close(&a.arena);
	buffer_free(&errors);
	buffer_free(&warnings);
	return 0;
}
