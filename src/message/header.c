#include "message/header.h"

#include <string.h>

const char *
line_end(const char *p, const char *end)
{
	const char *lf = p < end ? memchr(p, '\n', (size_t)(end - p)) : NULL;

	return lf != NULL ? lf + 1 : end;
}

struct bytes
line_unended(struct bytes line)
{
	if (line.len > 0 && line.at[line.len - 1] == '\n')
		line.len--;
	if (line.len > 0 && line.at[line.len - 1] == '\r')
		line.len--;
	return line;
}

size_t
line_empty(const char *p, const char *end)
{
	if (p < end && *p == '\n')
		return 1;
	return end - p >= 2 && p[0] == '\r' && p[1] == '\n' ? 2 : 0;
}

/* field-name = 1*%d33-57 / %d59-126; rfc7103:7.4 blanks before the colon */
size_t
field_name(const char *p, const char *end, const char **colon)
{
	const char *start = p, *name;

	while (p<end && * p> ' ' && *p < 0x7f && *p != ':')
		p++;
	name = p;
	if (name == start || name - start > FIELD_NAME_MOST)
		return 0;
	while (p < end && (*p == ' ' || *p == '\t') && p - start < 2 * FIELD_NAME_MOST)
		p++;
	if (p == end || *p != ':')
		return 0;
	*colon = p;
	return (size_t)(name - start);
}

struct header
header_of(struct bytes b)
{
	if (b.at == NULL)
		b = BYTES("");
	return (struct header){ .at = b.at, .end = b.at + b.len };
}

static bool
is_over(const struct header *h, const char *p)
{
	if (p == h->end || line_empty(p, h->end) > 0)
		return true;
	return h->divides != NULL && h->end - p > 2 && p[0] == '-' && p[1] == '-' &&
	       h->divides(h->whom, p);
}

/* Where the first field begins, behind lines that are none, or NULL. */
static const char *
first_field(const struct header *h)
{
	const char *colon;

	for (const char *p = h->at; !is_over(h, p); p = line_end(p, h->end))
		if (field_name(p, h->end, &colon) > 0)
			return p;
	return NULL;
}

bool
header_next(struct header *h, struct field *out)
{
	const char *p = h->at, *colon, *stop;
	size_t      name;

	if (!h->begun) {
		h->begun = true;
		if (!is_over(h, p)) {
			p = first_field(h);
			if (p == NULL) { /* all body */
				h->end = h->at;
				return false;
			}
			h->at = p;
		}
	}
	if (is_over(h, p)) {
		h->at = h->end = p + line_empty(p, h->end);
		return false;
	}
	name = field_name(p, h->end, &colon);
	stop = line_end(p, h->end);
	while (!is_over(h, stop)) {
		const char *next;

		if (*stop != ' ' && *stop != '\t' && field_name(stop, h->end, &next) > 0)
			break;
		stop = line_end(stop, h->end);
	}
	out->whole = (struct bytes){ p, (size_t)(stop - p) };
	out->name = (struct bytes){ p, name };
	out->value = (struct bytes){ colon + 1, (size_t)(stop - colon) - 1 };
	h->at = stop;
	return true;
}

bool
field_chosen(struct bytes names, bool others, struct bytes name)
{
	struct bytes one;

	while (bytes_split(&names, '\n', &one))
		if (bytes_equal_nocase(one, name))
			return !others;
	return others;
}

/* Past the fold at i: line ends, lines of nothing but blanks (rfc7103:7.3), and
   the first blank of the line that goes on; there may be none (rfc7103:7.2). */
static size_t
past_fold(struct bytes b, size_t i)
{
	for (;;) {
		size_t blanks;

		while (i < b.len && (b.at[i] == '\r' || b.at[i] == '\n'))
			i++;
		blanks = i;
		while (blanks < b.len && (b.at[blanks] == ' ' || b.at[blanks] == '\t'))
			blanks++;
		if (blanks == i || blanks == b.len ||
		    (b.at[blanks] != '\r' && b.at[blanks] != '\n'))
			return blanks > i ? i + 1 : i;
		i = blanks;
	}
}

struct bytes
field_unfold(struct arena *a, struct bytes value)
{
	struct bytes b = bytes_trim(value);
	char        *out;
	size_t       n = 0;

	if (bytes_find(b, '\n') < 0 && bytes_find(b, '\r') < 0)
		return b;
	out = arena_take(a, b.len + 1);
	for (size_t i = 0; i < b.len;) {
		if (b.at[i] == '\r' || b.at[i] == '\n') {
			i = past_fold(b, i);
			out[n++] = ' ';
		} else {
			out[n++] = b.at[i++];
		}
	}
	return (struct bytes){ out, n };
}
