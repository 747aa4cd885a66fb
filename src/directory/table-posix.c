/* regular expressions of POSIX said in the words of PCRE */
#include "directory/table_inner.h"

#include <string.h>

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

/* What is to come, and what was written of it. */
struct translation {
	struct bytes   rest;
	struct buffer *out;
	bool           lines;
};

static char
next(const struct translation *t, size_t n)
{
	return n < t->rest.len ? t->rest.at[n] : '\0';
}

static void
copy(struct translation *t, size_t n)
{
	buffer_add(t->out, bytes_cut(t->rest, 0, n));
	t->rest = bytes_cut(t->rest, n, t->rest.len);
}

/* The length of "[:alpha:]" at the front, or 0. */
static size_t
class_length(const struct translation *t)
{
	char kind = next(t, 1);

	if (next(t, 0) != '[' || (kind != ':' && kind != '.' && kind != '='))
		return 0;
	for (size_t n = 2; n + 1 < t->rest.len; n++)
		if (t->rest.at[n] == kind && t->rest.at[n + 1] == ']')
			return n + 2;
	return 0;
}

/* [abc], where a backslash is one of them and ] may stand first. */
static const char *
bracket(struct translation *t)
{
	bool   first = true;
	size_t n;

	copy(t, 1);
	if (next(t, 0) == '^') {
		copy(t, 1);
		if (t->lines)
			buffer_add_string(t->out, "\\n");
	}
	for (; t->rest.len > 0 && (first || next(t, 0) != ']'); first = false) {
		n = class_length(t);
		if (n == 0 && strchr("\\[]", next(t, 0)) != NULL)
			buffer_add_char(t->out, '\\');
		copy(t, n == 0 ? 1 : n);
	}
	if (t->rest.len == 0)
		return "a \"[\" is opened and never closed";
	copy(t, 1);
	return NULL;
}

/* What glibc knows behind a backslash means the same there; what it does not know is the
   character itself, whatever PCRE would take it for. */
static const char *
escape(struct translation *t)
{
	static const struct {
		char        c;
		const char *said;
	} words[] = {
		{ '<', "\\b(?=\\w)" }, { '>', "\\b(?<=\\w)" }, { '`', "\\A" }, { '\'', "\\z" }
	};
	char c = next(t, 1);

	if (c == '\0')
		return "nothing stands behind the last backslash";
	for (size_t i = 0; i < COUNT(words); i++)
		if (words[i].c == c) {
			buffer_add_string(t->out, words[i].said);
			t->rest = bytes_cut(t->rest, 2, t->rest.len);
			return NULL;
		}
	if (strchr("123456789bBwWsS", c) == NULL &&
	    ((ascii_lower(c) >= 'a' && ascii_lower(c) <= 'z') || c == '0'))
		t->rest = bytes_cut(t->rest, 1, t->rest.len);
	else
		copy(t, 1);
	copy(t, 1);
	return NULL;
}

/* {2} {2,} {2,3} {,3}: its length, or 0. */
static size_t
interval_length(const struct translation *t)
{
	size_t n = 1, digits = 0;

	if (next(t, 0) != '{')
		return 0;
	for (; (next(t, n) >= '0' && next(t, n) <= '9') || next(t, n) == ','; n++)
		digits += next(t, n) != ',';
	return digits > 0 && next(t, n) == '}' ? n + 1 : 0;
}

/* One or more of * + ? are together one of them. */
static const char *
repetition(struct translation *t)
{
	bool   none = false, many = false, any = false;
	size_t n;

	for (; t->rest.len > 0 && strchr("*+?", next(t, 0)) != NULL; any = true) {
		none = none || next(t, 0) != '+';
		many = many || next(t, 0) != '?';
		t->rest = bytes_cut(t->rest, 1, t->rest.len);
	}
	if (any)
		buffer_add_char(t->out, !many ? '?' : none ? '*' : '+');
	if ((n = interval_length(t)) == 0)
		return NULL;
	if (any)
		return "a repetition is repeated; put the inner one in parentheses";
	if (next(t, 1) == ',') {
		buffer_add_string(t->out, "{0");
		t->rest = bytes_cut(t->rest, 1, t->rest.len);
		n--;
	}
	copy(t, n);
	if (t->rest.len > 0 && (strchr("*+?", next(t, 0)) != NULL || interval_length(t) > 0))
		return "a repetition is repeated; put the inner one in parentheses";
	return NULL;
}

static const char *
atom(struct translation *t)
{
	const char *why = NULL;
	char        c = next(t, 0);

	if (c == '[') {
		why = bracket(t);
	} else if (c == '\\') {
		why = escape(t);
	} else if (c == '(' || c == '|' || c == '^') {
		copy(t, 1);
		if (strchr("*+?", next(t, 0)) != NULL && t->rest.len > 0)
			return "nothing stands before a *, + or ? that it could repeat";
		return NULL;
	} else {
		copy(t, 1);
	}
	return why == NULL ? repetition(t) : why;
}

static const char *
basic_to_pcre(struct bytes pattern, struct buffer *out)
{
	PCRE2_UCHAR *said = NULL;
	PCRE2_SIZE   len = 0;

	if (pcre2_pattern_convert((PCRE2_SPTR)pattern.at, pattern.len, PCRE2_CONVERT_POSIX_BASIC,
	                          &said, &len, NULL) != 0)
		return "this is no basic regular expression";
	buffer_add(out, (struct bytes){ (const char *)said, len });
	pcre2_converted_pattern_free(said);
	return NULL;
}

const char *
table_posix(struct bytes pattern, bool basic, bool lines, struct buffer *out)
{
	struct translation t = { .rest = pattern, .out = out, .lines = lines };
	const char        *why = NULL;

	if (basic)
		return basic_to_pcre(pattern, out);
	if (pattern.len > 0 && strchr("*+?", pattern.at[0]) != NULL)
		return "nothing stands before a *, + or ? that it could repeat";
	while (t.rest.len > 0 && why == NULL)
		why = atom(&t);
	return why;
}
