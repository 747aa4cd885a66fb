#include "command/postconf-doubts.h"

#include <string.h>

#include "base/cf.h"
#include "base/map.h"
#include "command/lookup.h"
#include "role/elsewhere.h"
#include "role/transports.h"

/*
 * What stands in the file
 */

bool
postconf_elsewhere(const char *name)
{
	for (size_t i = 0; i < elsewhere_count; i++)
		if (strcmp(elsewhere_names[i].name, name) == 0)
			return true;
	return false;
}

struct names {
	struct map *asked; /* by $name */
};

static void
note_asked(void *ctx, struct bytes name)
{
	struct names *n = ctx;

	(void)map_put(n->asked, name, n);
}

/* A name that neither we nor Postfix know, and that nothing asks for by $name. */
static bool
is_unused(const struct settings *s, int lines, const struct names *n, const struct setting_entry *e)
{
	return e->line <= lines && strchr(e->name, '/') == NULL &&
	       !settings_has_row(s, bytes_of(e->name)) &&
	       map_get(n->asked, bytes_of(e->name)) == NULL &&
	       transports_limit(s, e->name) == NULL && !postconf_elsewhere(e->name);
}

void
postconf_unused(const struct settings *s, int                                lines,
                void (*each)(void *ctx, const struct setting_entry *), void *ctx)
{
	struct names         n = { map_open() };
	struct setting_entry e;

	for (size_t i = 0; settings_entry(s, i, &e); i++)
		settings_asks(bytes_of(e.value), note_asked, &n);
	for (size_t i = 0; settings_entry(s, i, &e); i++)
		if (is_unused(s, lines, &n, &e))
			each(ctx, &e);
	map_close(&n.asked);
}

void
postconf_overruled(const struct call *c, struct bytes text)
{
	struct arena  *arena = arena_open(NULL);
	struct map    *before = map_open();
	struct cf_line line = { .number = 0 };
	struct bytes   name, value;
	const char    *old;

	while (cf_next(&text, &line)) {
		if (line.kind != CF_BEGIN)
			continue;
		name = cf_name(line.text, &value);
		if (value.at == NULL)
			continue;
		old = map_put(before, arena_keep(arena, name),
		              (char *)arena_copy(arena, bytes_trim(value)));
		if (old != NULL)
			lookup_warn(c, "%s, line %d: overriding earlier entry: %.*s=%s", c->config,
			            line.number, (int)name.len, name.at, old);
	}
	map_close(&before);
	arena_close(&arena);
}

/*
 * What is asked for
 */

bool
postconf_means_cage(int argc, char **argv)
{
	static const char *const fields[] = { "/private=", "/unprivileged=", "/chroot=" };

	for (int i = 0; i < argc; i++) {
		bool one = false;

		for (size_t f = 0; f < COUNT(fields); f++) {
			const char *at = strstr(argv[i], fields[f]);
			one = one || (at != NULL && strlen(at) == strlen(fields[f]) + 1 &&
			              strchr("yn-", at[strlen(fields[f])]) != NULL);
		}
		if (!one)
			return false;
	}
	return argc > 0;
}

const char *
postconf_clash(const bool given[static 128])
{
	static const struct {
		char        one, other;
		const char *words;
	} clashes[] = {
		{ 'd', 'n', "specify one of -d -n" },
		{ 'd', 'e', "specify one of -d -e" },
		{ 'd', 'X', "specify one of -d -X" },
		{ 'd', '#', "specify one of -d -#" },
		{ 'e', 'n', "specify one of -e -n" },
		{ 'n', 'X', "specify one of -n -X" },
		{ 'n', '#', "specify one of -n -#" },
		{ 'e', 'X', "specify one of -e -X" },
		{ 'e', '#', "specify one of -e -#" },
		{ 'X', '#', "specify one of -X -#" },
		{ 'M', 'F', "specify one of -F -M" },
		{ 'M', 'P', "specify one of -M -P" },
		{ 'F', 'P', "specify one of -F -P" },
		{ 'M', 'h', "with option -M, do not specify -h" },
		{ 'M', 'H', "with option -M, do not specify -H" },
		{ 'M', 'd', "with option -M, do not specify -d" },
		{ 'M', 'n', "with option -M, do not specify -n" },
		{ 'P', 'd', "with option -P, do not specify -d" },
		{ 'P', 'n', "with option -P, do not specify -n" },
		{ 'P', '#', "with option -P, do not specify -#" },
		{ 'F', 'd', "with option -F, do not specify -d" },
		{ 'F', 'n', "with option -F, do not specify -n" },
		{ 'F', 'X', "with option -F, do not specify -X" },
		{ 'F', '#', "with option -F, do not specify -#" },
	};

	for (size_t i = 0; i < COUNT(clashes); i++)
		if (given[(unsigned char)clashes[i].one] && given[(unsigned char)clashes[i].other])
			return clashes[i].words;
	return NULL;
}
