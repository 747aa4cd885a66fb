#include "smtp/receiver/characters.h"

#include <stdbool.h>
#include <string.h>

static const char letters[] = "abfnrtv\\";
static const char values[] = "\a\b\f\n\r\t\v\\";

static unsigned
octal(const char **at)
{
	unsigned value = 0;

	for (int n = 0; n < 3 && **at >= '0' && **at <= '7'; n++)
		value = value * 8 + (unsigned)(*(*at)++ - '0');
	return value;
}

/* What stands behind a backslash. */
static bool
escaped(const char **at, unsigned *value)
{
	const char *letter = **at != '\0' ? strchr(letters, **at) : NULL;

	if (letter != NULL) {
		*value = (unsigned char)values[letter - letters];
		(*at)++;
		return true;
	}
	if (**at < '0' || **at > '7')
		return false;
	*value = octal(at);
	return *value < CHARACTERS_MOST;
}

size_t
characters_parse(const char *text, char out[static CHARACTERS_MOST], const char **wrong)
{
	size_t count = 0;

	while (*text != '\0') {
		unsigned value = (unsigned char)*text++;

		if (value == '\\' && !escaped(&text, &value)) {
			*wrong = "behind \\ write one of abfnrtv\\, or up to three octal digits";
			return count;
		}
		if (count == 0 || memchr(out, (int)value, count) == NULL)
			out[count++] = (char)value;
	}
	return count;
}
