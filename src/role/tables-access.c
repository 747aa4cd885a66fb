/* tables-access.c -- what lines of access tables and of header and body checks say, looked at before mail meets them (tables.h) */
#include <string.h>

#include "policy/checks.h"
#include "policy/rules.h"
#include "role/bindable.h"
#include "role/listeners.h"
#include "role/settings.h"
#include "role/tables.h"

enum { TOLD_MOST = 20, CLASSES_MOST = 10000 };

struct access_lines {
	struct arena       *life, *scratch;
	struct setting_list classes;
	struct buffer      *warnings;
	unsigned            told;
	bool                binds;          /* of smtp_bind_address_maps */
	bool                checks, header; /* of checks; of fields */
};

/* The classes of all listeners: a line is looked at once, whoever asks for it. */
static struct setting_list
classes_of(struct settings *s, struct arena *life)
{
	struct setting_list    all = { NULL, 0 };
	struct listeners       listeners;
	struct policy_settings set;
	const char           **item;

	listeners_read(s, &listeners);
	item = arena_take_array(life, CLASSES_MOST, sizeof *item);
	for (int i = -1; i < (int)listeners.count; i++) {
		if (!settings_fill(s, &policy_setting_table, i < 0 ? NULL : listeners.one[i].name,
		                   &set, NULL))
			continue;
		for (size_t n = 0; n < set.classes.count && all.count < CLASSES_MOST; n++)
			item[all.count++] = arena_copy(life, bytes_of(set.classes.item[n]));
	}
	all.item = item;
	return all;
}

struct access_lines *
access_lines_open(struct settings *s, struct buffer *warnings)
{
	struct arena        *life = arena_open(NULL);
	struct access_lines *a = arena_take(life, sizeof *a);

	a->life = life;
	a->scratch = arena_open(life);
	a->classes = classes_of(s, life);
	a->warnings = warnings;
	return a;
}

static bool
is_of_binds(const struct table_named *named)
{
	return strcmp(named->setting, "smtp_bind_address_maps") == 0 ||
	       strcmp(named->setting, "lmtp_bind_address_maps") == 0;
}

bool
access_lines_for(const struct table_named *named)
{
	return named->access || named->text || is_of_binds(named);
}

void
access_lines_begin(struct access_lines *a, const struct table_named *named)
{
	a->told = 0;
	a->binds = is_of_binds(named);
	a->checks = !named->access;
	a->header = strstr(named->setting, "body") == NULL;
}

void
access_lines_hear(void *ctx, const char *file, int line, struct bytes value)
{
	struct access_lines *a = ctx;
	const char          *why = a->binds    ? bindable_fault(value, a->scratch)
	                           : a->checks ? checks_action_fault(value, a->header, a->scratch)
	                                       : rules_action_fault(value, &a->classes, a->scratch);

	if (why != NULL && ++a->told <= TOLD_MOST) {
		buffer_printf(a->warnings, line > 0 ? "%s:%d: " : "%s: ", file, line);
		buffer_printf(a->warnings, "%s\n", why);
		if (a->told == TOLD_MOST)
			buffer_printf(a->warnings, "%s: and perhaps more of this kind\n", file);
	}
	arena_clear(a->scratch);
}

void
access_lines_close(struct access_lines **ap)
{
	struct arena *life = *ap != NULL ? (*ap)->life : NULL;

	*ap = NULL;
	arena_close(&life);
}
