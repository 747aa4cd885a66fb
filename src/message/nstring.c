#include "message/nstring.h"

#include <string.h>

enum { QUOTED_MOST = 998 };

static bool
is_printable(struct bytes b)
{
	unsigned bad = 0;

	for (size_t i = 0; i < b.len; i++)
		bad |= (unsigned char)(b.at[i] - ' ') > '~' - ' ';
	return bad == 0;
}

static void
literal_write(struct bytes b, struct buffer *out)
{
	size_t from;

	buffer_add_char(out, '{');
	buffer_add_number(out, b.len);
	buffer_add(out, BYTES("}\r\n"));
	from = out->len;
	buffer_add(out, b);
	for (size_t i = from; i < out->len; i++)
		if (out->at[i] == '\0')
			out->at[i] = '?';
}

void
nstring_write(struct bytes b, struct buffer *out)
{
	char *o, *start;

	if (b.at == NULL) {
		buffer_add(out, BYTES("NIL"));
		return;
	}
	if (b.len > QUOTED_MOST || !is_printable(b)) {
		literal_write(b, out);
		return;
	}
	start = o = buffer_room(out, 2 * b.len + 2);
	*o++ = '"';
	for (size_t i = 0; i < b.len; i++) {
		if (b.at[i] == '"' || b.at[i] == '\\')
			*o++ = '\\';
		*o++ = b.at[i];
	}
	*o++ = '"';
	buffer_took(out, (size_t)(o - start));
}

/* Past the quoted string at p, or NULL. */
static const char *
past_quoted(const char *p, const char *end)
{
	for (p++; p < end; p++) {
		if (*p == '"')
			return p + 1;
		if (*p == '\\')
			p++;
		if (p == end || (unsigned char)*p < ' ' || (unsigned char)*p > '~')
			return NULL;
	}
	return NULL;
}

/* Past the literal at p, or NULL. */
static const char *
past_literal(const char *p, const char *end)
{
	uint64_t    n;
	const char *brace = memchr(p, '}', (size_t)(end - p));

	if (brace == NULL || end - brace < 3 || brace[1] != '\r' || brace[2] != '\n' ||
	    !bytes_number((struct bytes){ p + 1, (size_t)(brace - p) - 1 }, &n) ||
	    n > (uint64_t)(end - brace - 3) || memchr(brace + 3, '\0', n) != NULL)
		return NULL;
	return brace + 3 + n;
}

bool
nstring_list_valid(struct bytes b)
{
	const char *p = b.at, *end = b.at + b.len;
	size_t      depth = 0;

	if (b.len < 2 || *p != '(')
		return false;
	while (p < end) {
		if (*p == '(') {
			depth++;
			p++;
		} else if (*p == ')') {
			p++;
			if (--depth == 0)
				return p == end;
		} else if (*p == '"') {
			p = past_quoted(p, end);
		} else if (*p == '{') {
			p = past_literal(p, end);
		} else if (*p == ' ' || (*p >= '0' && *p <= '9')) {
			p++;
		} else if (end - p >= 3 && memcmp(p, "NIL", 3) == 0) {
			p += 3;
		} else {
			return false;
		}
		if (p == NULL)
			return false;
	}
	return false;
}
