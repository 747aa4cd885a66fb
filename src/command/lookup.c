#include "command/lookup.h"

#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/arena.h"

static void complain(const struct call *c, const char *how, const char *form, va_list list)
	__attribute__((format(printf, 3, 0)));

static void
complain(const struct call *c, const char *how, const char *form, va_list list)
{
	(void)fflush(stdout);
	(void)fprintf(stderr, "%s: %s: ", c->command->name, how);
	(void)vfprintf(stderr, form, list);
	(void)fputc('\n', stderr);
}

void
lookup_warn(const struct call *c, const char *form, ...)
{
	va_list list;

	va_start(list, form);
	complain(c, "warning", form, list);
	va_end(list);
}

int
lookup_fatal(const struct call *c, const char *form, ...)
{
	va_list list;

	va_start(list, form);
	complain(c, "fatal", form, list);
	va_end(list);
	return COMMAND_FAILED;
}

const char *
lookup_config(const char *of_option, struct arena *arena)
{
	struct stat st;

	if (stat(of_option, &st) == 0 && !S_ISDIR(st.st_mode))
		return of_option;
	return arena_printf(arena, "%s/main.cf", of_option);
}

struct settings *
lookup_settings(const struct call *c)
{
	struct buffer    text = { 0 }, errors = { 0 }, warnings = { 0 };
	struct settings *s = NULL;

	if (access(c->config, F_OK) < 0 || command_read(c->config, &text))
		s = house_settings_read(buffer_bytes(&text), c->config, &errors, &warnings);
	command_print(buffer_bytes(&errors), stderr);
	buffer_free(&text);
	buffer_free(&errors);
	buffer_free(&warnings);
	return s;
}
