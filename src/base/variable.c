#include "base/variable.h"
#include "base/buffer.h"
#include <string.h>

/* clang-format off */
static const struct { const char *name; char letter; } names[] = {
	{ "user", 'u' }, { "username", 'n' }, { "domain", 'd' }, { "home", 'h' },
};
/* clang-format on */

static char
letter_of(struct bytes name)
{
	for (size_t i = 0; i < COUNT(names); i++)
		if (bytes_equal(name, bytes_of(names[i].name)))
			return names[i].letter;
	return '\0';
}

/* What stands behind a "|": of the name its half, or a change of letters. */
static bool
filter(struct bytes word, char *letter, char *change)
{
	if (bytes_equal(word, BYTES("lower")) || bytes_equal(word, BYTES("upper"))) {
		*change = word.at[0] == 'l' ? 'L' : 'U';
		return true;
	}
	if (*letter != 'u' || letter_of(word) == '\0' || letter_of(word) == 'h')
		return false;
	*letter = letter_of(word);
	return true;
}

/* "%{name}", perhaps with L or U before the brace: how long it is, 0: it is none of them. */
static size_t
long_name(const char *at, char *letter, char *change)
{
	const char  *brace = at[1] == 'L' || at[1] == 'U' ? at + 2 : at + 1, *end;
	struct bytes inside, word;

	if (*brace != '{' || (end = strchr(brace, '}')) == NULL)
		return 0;
	*change = brace == at + 2 ? at[1] : '\0';
	inside = (struct bytes){ brace + 1, (size_t)(end - brace - 1) };
	if (!bytes_split(&inside, '|', &word) || (*letter = letter_of(bytes_trim(word))) == '\0')
		return 0;
	while (bytes_split(&inside, '|', &word))
		if (!filter(bytes_trim(word), letter, change))
			return 0;
	return (size_t)(end - at) + 1;
}

const char *
variable_shorten(const char *text, struct arena *a)
{
	struct buffer out = { 0 };
	const char   *made = text;
	char          letter, change;

	if (strchr(text, '{') == NULL)
		return text;
	for (size_t n; *text != '\0'; text += n) {
		n = *text == '%' ? long_name(text, &letter, &change) : 0;
		if (n == 0) {
			/* "%%{user}" is a percent sign and a word. */
			n = text[0] == '%' && text[1] == '%' ? 2 : 1;
			buffer_add(&out, (struct bytes){ text, n });
			continue;
		}
		buffer_add_char(&out, '%');
		if (change != '\0')
			buffer_add_char(&out, change);
		buffer_add_char(&out, letter);
	}
	made = arena_copy(a, buffer_bytes(&out));
	buffer_free(&out);
	return made;
}
