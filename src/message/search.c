#include "message/search.h"

#include <string.h>

#include "message/charset.h"
#include "message/encoding.h"
#include "message/fold.h"
#include "message/html.h"
#include "message/mime.h"

/* So much of a part is turned to UTF-8 and folded at a time. */
enum { CHUNK = 64 * 1024, CHUNK_MOST = 1024 * 1024 };

/* Text is searched piece by piece; the end of one is kept before the next, so
   that a word on the seam is found. */
struct search {
	struct bytes  needle; /* folded */
	struct buffer text;   /* folded: what is kept, then what is new */
	/* Or nothing is looked for, and all that would be is kept: */
	struct buffer *kept;
	size_t         room;
	bool           full;
};

static void
fold_one(uint32_t c, struct buffer *out)
{
	uint32_t folded[FOLD_MOST];
	size_t   count = fold_character(c, folded), len = 0;
	char    *room = buffer_room(out, count * 4);

	for (size_t n = 0; n < count; n++)
		len += utf8_put(folded[n], room + len);
	buffer_took(out, len);
}

/* How many bytes at the front are ASCII: they are put there in capitals. */
static size_t
fold_ascii(struct bytes in, char *o)
{
	const uint64_t ones = UINT64_C(0x0101010101010101), high = ones << 7;
	size_t         i = 0;

	for (; i + 8 <= in.len; i += 8) {
		uint64_t eight, small;

		memcpy(&eight, in.at + i, 8);
		if (eight & high)
			break;
		/* The high bit of a byte: at or above 'a', and not above 'z'. */
		small = ((eight + ones * (0x80 - 'a')) ^ (eight + ones * (0x7f - 'z'))) & high;
		eight ^= small >> 2;
		memcpy(o + i, &eight, 8);
	}
	for (; i < in.len && (unsigned char)in.at[i] < 0x80; i++)
		o[i] = ascii_upper(in.at[i]);
	return i;
}

/* How many bytes at the front are ideographs from U+4000 to U+9FFF, which have no case: they stay as they are. */
static size_t
ideographs(struct bytes in)
{
	const unsigned char *c = (const unsigned char *)in.at;
	size_t               n = 0;

	while (in.len - n >= 3 && c[n] >= 0xe4 && c[n] <= 0xe9 && (c[n + 1] & 0xc0) == 0x80 &&
	       (c[n + 2] & 0xc0) == 0x80)
		n += 3;
	return n;
}

static void
fold_to(struct bytes in, struct buffer *out)
{
	while (in.len > 0) {
		size_t at = fold_ascii(in, buffer_room(out, in.len)), as_they_are;

		buffer_took(out, at);
		in = bytes_cut(in, at, in.len);
		as_they_are = ideographs(in);
		buffer_add(out, bytes_cut(in, 0, as_they_are));
		for (at = as_they_are; at < in.len && (unsigned char)in.at[at] >= 0x80 &&
		                       ideographs(bytes_cut(in, at, 3)) == 0;)
			fold_one(utf8_take(in, &at), out);
		in = bytes_cut(in, at, in.len);
	}
}

struct bytes
search_fold(struct arena *a, struct bytes utf8)
{
	struct buffer folded = { 0 };
	struct bytes  kept;

	fold_to(utf8, &folded);
	kept = arena_keep(a, buffer_bytes(&folded));
	buffer_free(&folded);
	return kept;
}

static bool
search_text(struct search *s, struct bytes utf8)
{
	size_t keep = s->needle.len - 1;

	if (s->kept != NULL) {
		s->full |= utf8.len > s->room || s->kept->len > s->room - utf8.len;
		if (!s->full)
			fold_to(utf8, s->kept);
		s->full |= s->kept->len > s->room; /* one character may become many */
		return s->full;
	}
	fold_to(utf8, &s->text);
	if (bytes_search(buffer_bytes(&s->text), s->needle) >= 0)
		return true;
	if (s->text.len > keep)
		buffer_eat(&s->text, s->text.len - keep);
	return false;
}

/* Between two texts nothing is found. */
static void
text_ends(struct search *s)
{
	if (s->kept != NULL && !s->full)
		buffer_add_char(s->kept, SEARCH_SEPARATOR);
	buffer_reset(&s->text);
}

/* HTML is searched as a reader sees it. */
static bool
search_html(struct search *s, struct html *h, struct bytes utf8, bool last)
{
	struct buffer seen = { 0 };
	bool          found;

	html_text(h, utf8, &seen);
	if (last)
		html_end(h, &seen);
	found = search_text(s, buffer_bytes(&seen));
	buffer_free(&seen);
	return found;
}

/* Text in a charset, divided at line ends, where even iso-2022-jp begins anew. */
static bool
search_charset(struct search *s, struct bytes charset, struct bytes text, bool html)
{
	bool wide = bytes_starts_nocase(charset, BYTES("utf-16")) ||
	            bytes_starts_nocase(charset, BYTES("utf-32"));
	struct buffer utf8 = { 0 };
	struct html   page = { 0 };
	bool          found = false;

	while (text.len > 0 && !found) {
		size_t n = text.len;

		if (n > CHUNK && !wide) {
			const char *lf = memchr(text.at + CHUNK, '\n', n - CHUNK);
			size_t      line = lf != NULL ? (size_t)(lf - text.at) + 1 : n;

			n = line < CHUNK_MOST ? line : CHUNK_MOST;
		}
		buffer_reset(&utf8);
		charset_to_utf8(charset, bytes_cut(text, 0, n), SIZE_MAX, &utf8);
		text = bytes_cut(text, n, text.len);
		found = html ? search_html(s, &page, buffer_bytes(&utf8), text.len == 0)
		             : search_text(s, buffer_bytes(&utf8));
	}
	buffer_free(&utf8);
	text_ends(s);
	return found;
}

static bool
search_part(struct search *s, const struct mime *m, const struct mime_part *p)
{
	struct bytes  body = bytes_cut(m->content, p->range.body_at, p->range.body_len);
	struct bytes  charset = mime_parameter_of(&p->type, "charset");
	struct buffer raw = { 0 };
	bool          found;

	if (p->range.encoding == ENCODED_QP || p->range.encoding == ENCODED_BASE64) {
		mime_decode(body, p->range.encoding, &raw);
		body = buffer_bytes(&raw);
	}
	found = search_charset(s, charset, body, mime_type_is(p, "text", "html"));
	buffer_free(&raw);
	return found;
}

/* One field, decoded and on one line; `name` before it or not. */
static bool
search_field(struct search *s, const struct field *f, bool name, struct arena *a)
{
	struct buffer text = { 0 };
	bool          found;

	if (name) {
		buffer_add(&text, f->name);
		buffer_add(&text, BYTES(": "));
	}
	words_decode(field_unfold(a, f->value), &text);
	found = search_text(s, buffer_bytes(&text));
	text_ends(s);
	buffer_free(&text);
	return found;
}

/* The header of a part: all its fields, or those of one name. */
static bool
search_header(struct search *s, const struct mime *m, uint32_t part, struct bytes name,
              struct arena *a)
{
	const struct digest_part *p = &m->part[part].range;
	struct header             h = header_of(bytes_cut(m->content, p->header_at, p->header_len));
	struct field              f;

	while (!s->full && header_next(&h, &f)) {
		if (name.len > 0 && !bytes_equal_nocase(f.name, name))
			continue;
		if ((s->needle.len == 0 && s->kept == NULL) ||
		    search_field(s, &f, name.len == 0, a))
			return true;
	}
	return false;
}

/* Text is what people read: text parts, reports, and the headers of the parts
   inside (the names of what is attached, the subjects of letters). */
static bool
search_body(struct search *s, const struct mime *m, struct arena *a)
{
	for (uint32_t i = 0; i < m->parts; i++) {
		const struct mime_part *p = &m->part[i];

		if (i > 0 && p->range.header_len > 0 && search_header(s, m, i, BYTES(""), a))
			return true;
		if (p->range.kind == PART_LEAF &&
		    (mime_type_is(p, "text", NULL) || mime_type_is(p, "message", NULL)) &&
		    search_part(s, m, p))
			return true;
	}
	return false;
}

bool
letter_says(struct bytes content, enum search_where where, struct bytes field, struct bytes needle,
            struct arena *scratch)
{
	struct search      s = { .needle = search_fold(scratch, needle) };
	const struct mime *m = mime_parse(content, scratch);
	bool               found = false;

	if (where == SEARCH_HEADER)
		found = search_header(&s, m, 0, field, scratch);
	else if (s.needle.len == 0)
		found = true;
	else
		found = (where == SEARCH_TEXT && search_header(&s, m, 0, BYTES(""), scratch)) ||
		        search_body(&s, m, scratch);
	buffer_free(&s.text);
	return found;
}

bool
letter_text(struct bytes content, size_t most, struct arena *scratch, struct buffer *header,
            struct buffer *body)
{
	const struct mime *m = mime_parse(content, scratch);
	struct search      s = { .kept = header, .room = most };

	(void)search_header(&s, m, 0, BYTES(""), scratch);
	s.kept = body;
	s.room = most > header->len ? most - header->len : 0;
	(void)(s.full || search_body(&s, m, scratch));
	buffer_free(&s.text);
	return !s.full;
}

/* The next line of that field: its value, or what goes on with it. */
static bool
own_next(struct bytes *lines, struct bytes field, bool *ours, struct bytes *value)
{
	struct bytes line;

	while (bytes_split(lines, '\n', &line)) {
		*value = line;
		if (line.len > 0 && line.at[0] != ' ' && line.at[0] != '\t') {
			ptrdiff_t colon = bytes_find(line, ':');
			*ours = colon >= 0 &&
			        bytes_equal_nocase(bytes_cut(line, 0, (size_t)colon), field);
			*value = bytes_cut(line, (size_t)(colon + 1), line.len);
		}
		if (*ours)
			return true;
	}
	return false;
}

bool
search_own_says(struct bytes lines, struct bytes field, struct bytes folded)
{
	struct bytes value;
	bool         ours = false;

	while (own_next(&lines, field, &ours, &value))
		if (folded.len == 0 || bytes_search(value, folded) >= 0)
			return true;
	return false;
}

void
search_own_values(struct bytes lines, struct bytes field, struct buffer *out)
{
	struct bytes value;
	bool         ours = false;

	while (own_next(&lines, field, &ours, &value)) {
		buffer_add(out, value);
		buffer_add_char(out, SEARCH_SEPARATOR);
	}
}
