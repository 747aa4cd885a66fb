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

/* The first of these letters that was given, from *i on; '\0': none. */
static char
next_given(const bool given[static 128], const char *letters, size_t *i)
{
	while (letters[*i] != '\0')
		if (given[(unsigned char)letters[(*i)++]])
			return letters[*i - 1];
	return '\0';
}

bool
postconf_clash(const bool given[static 128], char why[static POSTCONF_WHY])
{
	/* What is to be shown: one of these, and what does not go with it. */
	static const char modes[] = "aAbFlmMpPtT";
	static const struct {
		char mode;
		const char * not ;
	} barred[] = {
		{ 'a', "defhHnoxX#" }, { 'A', "defhHnoxX#" }, { 'b', "defhHnoxX#" },
		{ 'l', "defhHnoxX#" }, { 'm', "defhHnoxX#" }, { 't', "defhHnoxX#" },
		{ 'T', "defhHnoxX#" }, { 'M', "dnhH" },       { 'P', "dn#" },
		{ 'F', "dnX#" },
	};
	static const char pairs[][3] = { "dn", "de", "dX", "d#", "do", "en", "eX", "e#", "ef",
		                         "eh", "eH", "eo", "ex", "nX", "n#", "fX", "f#", "hH",
		                         "hX", "h#", "HX", "H#", "oX", "o#", "xX", "x#", "X#" };
	size_t            i = 0, at = 0;
	char              mode = next_given(given, modes, &i), other = '\0';

	if (mode != '\0' && (other = next_given(given, modes, &i)) != '\0') {
		(void)snprintf(why, POSTCONF_WHY, "specify one of -%c -%c", mode, other);
		return true;
	}
	for (i = 0; i < COUNT(barred) && other == '\0'; i++)
		if (barred[i].mode == mode)
			other = next_given(given, barred[i].not, &at);
	if (other != '\0') {
		(void)snprintf(why, POSTCONF_WHY, "with option -%c, do not specify -%c", mode,
		               other);
		return true;
	}
	for (i = 0; i < COUNT(pairs); i++)
		if (given[(unsigned char)pairs[i][0]] && given[(unsigned char)pairs[i][1]]) {
			(void)snprintf(why, POSTCONF_WHY, "specify one of -%c -%c", pairs[i][0],
			               pairs[i][1]);
			return true;
		}
	return false;
}
