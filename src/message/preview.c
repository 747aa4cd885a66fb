#include "message/preview.h"

#include <string.h>

#include "message/charset.h"
#include "message/encoding.h"

enum { CHARACTERS_MOST = 200 };

/*
 * Attachments
 */

static bool
is_signature(const struct mime_part *p)
{
	static const char *const subtypes[] = {
		"pgp-signature",
		"pkcs7-signature",
		"x-pkcs7-signature",
		"pgp-encrypted",
	};

	for (size_t i = 0; i < COUNT(subtypes); i++)
		if (mime_type_is(p, "application", subtypes[i]))
			return true;
	return false;
}

static bool
has_name(const struct mime_part *p)
{
	return mime_parameter_of(&p->type, "name").at != NULL ||
	       mime_parameter_of(&p->type, "name*").at != NULL ||
	       mime_parameter_of(&p->disposition, "filename").at != NULL ||
	       mime_parameter_of(&p->disposition, "filename*").at != NULL;
}

bool
part_is_attachment(const struct mime *m, uint32_t index)
{
	const struct mime_part *p = &m->part[index], *parent = &m->part[p->range.parent];

	if (p->range.kind == PART_MULTIPART || is_signature(p))
		return false;
	if (bytes_is(p->disposition.type, "attachment"))
		return true;
	if (p->range.kind == PART_MESSAGE) /* forwarded; but a report's copy is not */
		return index != 0 && !mime_type_is(parent, "multipart", "report") &&
		       !bytes_is(p->disposition.type, "inline");
	if (mime_type_is(p, "text", NULL))
		return has_name(p) && index != 0 && !bytes_is(p->disposition.type, "inline");
	if (mime_type_is(p, "message", NULL))
		return false;
	/* pictures the HTML shows itself */
	return !(p->id.at != NULL && (bytes_is(p->disposition.type, "inline") ||
	                              mime_type_is(parent, "multipart", "related")));
}

/*
 * Collapsing blanks, counting characters
 */

struct line {
	struct buffer *out;
	size_t         characters;
	bool           gap;
};

static bool
is_full(const struct line *l)
{
	return l->characters >= CHARACTERS_MOST;
}

/* Blanks, and what newsletters fill their first lines with. */
static bool
is_blank(uint32_t c)
{
	return c <= ' ' || c == 0x7f || (c >= 0x80 && c <= 0xa0) || c == 0x3000 ||
	       (c >= 0x2000 && c <= 0x200a) || c == 0x2028 || c == 0x2029 || c == 0x202f;
}

static bool
is_nothing(uint32_t c)
{
	return c == 0xad || c == 0x34f || (c >= 0x200b && c <= 0x200f) || c == 0x2060 ||
	       c == 0xfeff || (c >= 0x202a && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069);
}

/* The blank that is due before the next character; false when all is full. */
static bool
put_gap(struct line *l)
{
	if (l->gap && l->characters > 0) {
		if (l->characters + 2 > CHARACTERS_MOST) {
			l->characters = CHARACTERS_MOST;
			return false;
		}
		buffer_add_char(l->out, ' ');
		l->characters++;
	}
	l->gap = false;
	return !is_full(l);
}

static void
put(struct line *l, uint32_t c, struct bytes bytes)
{
	if (is_blank(c)) {
		l->gap = true;
	} else if (!is_nothing(c) && put_gap(l)) {
		buffer_add(l->out, bytes);
		l->characters++;
	}
}

/* Printable ASCII goes by the word, the rest by the character. */
static void
put_text(struct line *l, struct bytes text)
{
	for (size_t i = 0; i < text.len && !is_full(l);) {
		size_t   from = i;
		uint32_t c;

		while (i < text.len && (unsigned char)(text.at[i] - '!') <= '~' - '!')
			i++;
		if (i > from) {
			size_t room;

			if (!put_gap(l))
				return;
			room = CHARACTERS_MOST - l->characters;
			buffer_add(l->out,
			           bytes_cut(text, from, i - from < room ? i - from : room));
			l->characters += i - from < room ? i - from : room;
			continue;
		}
		c = utf8_take(text, &i);
		put(l, c, (struct bytes){ text.at + from, i - from });
	}
}

/*
 * HTML, as far as it must be understood to leave it out
 */

static const struct {
	char     name[8];
	uint16_t is;
} entities[] = {
	{ "amp", '&' },       { "lt", '<' },       { "gt", '>' },       { "quot", '"' },
	{ "apos", '\'' },     { "nbsp", ' ' },     { "copy", 0xa9 },    { "reg", 0xae },
	{ "hellip", 0x2026 }, { "mdash", 0x2014 }, { "ndash", 0x2013 }, { "lsquo", 0x2018 },
	{ "rsquo", 0x2019 },  { "ldquo", 0x201c }, { "rdquo", 0x201d }, { "laquo", 0xab },
	{ "raquo", 0xbb },    { "middot", 0xb7 },  { "bull", 0x2022 },  { "euro", 0x20ac },
	{ "trade", 0x2122 },  { "zwnj", 0x200c },  { "zwj", 0x200d },   { "shy", 0xad },
	{ "auml", 0xe4 },     { "ouml", 0xf6 },    { "uuml", 0xfc },    { "szlig", 0xdf },
	{ "eacute", 0xe9 },   { "egrave", 0xe8 },  { "agrave", 0xe0 },  { "ccedil", 0xe7 },
	{ "yen", 0xa5 },
};

/* The character an entity stands for, 0 when it is none. */
static uint32_t
entity_value(struct bytes name)
{
	uint32_t c = 0;

	if (name.len < 2 || name.at[0] != '#') {
		for (size_t i = 0; i < COUNT(entities); i++)
			if (bytes_equal(name, bytes_of(entities[i].name)))
				return entities[i].is;
		return 0;
	}
	if (ascii_lower(name.at[1]) == 'x') {
		for (size_t i = 2; i < name.len; i++) {
			char d = ascii_lower(name.at[i]);

			if (!((d >= '0' && d <= '9') || (d >= 'a' && d <= 'f')))
				return 0;
			c = c << 4 | (uint32_t)(d <= '9' ? d - '0' : d - 'a' + 10);
		}
	} else {
		for (size_t i = 1; i < name.len; i++) {
			if (name.at[i] < '0' || name.at[i] > '9')
				return 0;
			c = c * 10 + (uint32_t)(name.at[i] - '0');
		}
	}
	return c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff) ? 0 : c;
}

/* "&" name ";" off the front; a lone "&" is itself. */
static void
take_entity(struct line *l, struct bytes *rest)
{
	struct bytes near = bytes_cut(*rest, 1, 9);
	ptrdiff_t    semicolon = bytes_find(near, ';');
	uint32_t     c = semicolon > 0 ? entity_value(bytes_cut(near, 0, (size_t)semicolon)) : 0;
	char         utf8[4];

	if (c == 0) {
		put(l, '&', BYTES("&"));
		*rest = bytes_cut(*rest, 1, rest->len);
		return;
	}
	put(l, c, (struct bytes){ utf8, utf8_put(c, utf8) });
	*rest = bytes_cut(*rest, (size_t)semicolon + 2, rest->len);
}

/* Past `mark`, or at the end if it never comes. */
static struct bytes
after(struct bytes rest, struct bytes mark)
{
	ptrdiff_t at = bytes_search_nocase(rest, mark);

	return at < 0 ? BYTES("") : bytes_cut(rest, (size_t)at + mark.len, rest.len);
}

static bool
is_one_of(struct bytes name, const char *const words[], size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (bytes_is(name, words[i]))
			return true;
	return false;
}

/* A tag off the front; what a browser would not show goes with it. */
static void
take_tag(struct line *l, struct bytes *rest)
{
	static const char *const within[] = {
		"a",      "abbr",   "acronym", "b",   "bdi",  "bdo",  "big",   "cite",
		"code",   "del",    "dfn",     "em",  "font", "i",    "ins",   "kbd",
		"label",  "mark",   "o:p",     "q",   "s",    "samp", "small", "span",
		"strike", "strong", "sub",     "sup", "tt",   "u",    "var",   "wbr",
	};
	static const char *const unseen[] = { "head", "script", "style", "title", "template" };
	struct bytes             name;
	size_t                   n = 1;
	char                     quote = '\0', before = '\0';

	if (bytes_starts(*rest, BYTES("<!--"))) {
		*rest = after(*rest, BYTES("-->"));
		return;
	}
	if (rest->len < 2 || !((rest->at[1] >= 'A' && ascii_lower(rest->at[1]) <= 'z' &&
	                        ascii_lower(rest->at[1]) >= 'a') ||
	                       rest->at[1] == '/' || rest->at[1] == '!' || rest->at[1] == '?')) {
		put(l, '<', BYTES("<"));
		*rest = bytes_cut(*rest, 1, rest->len);
		return;
	}
	while (n < rest->len && (unsigned char)rest->at[n] > ' ' && rest->at[n] != '>' &&
	       (n == 1 || rest->at[n] != '/'))
		n++;
	name = bytes_cut(*rest, 1, n - 1);
	for (; n < rest->len && (quote != '\0' || rest->at[n] != '>'); n++) {
		char c = rest->at[n];

		if (quote != '\0')
			quote = c == quote ? '\0' : quote;
		else if ((c == '"' || c == '\'') && before == '=')
			quote = c;
		if (c != ' ')
			before = c;
	}
	*rest = bytes_cut(*rest, n + 1, rest->len);
	for (size_t i = 0; i < COUNT(unseen); i++) {
		char close[16] = "</";

		if (!bytes_is(name, unseen[i]))
			continue;
		memcpy(close + 2, unseen[i], strlen(unseen[i]));
		*rest = after(*rest, bytes_of(close));
		*rest = after(*rest, BYTES(">"));
		return;
	}
	if (name.len > 0 && name.at[0] == '/')
		name = bytes_cut(name, 1, name.len);
	if (!is_one_of(name, within, COUNT(within)))
		l->gap = true;
}

static void
put_html(struct line *l, struct bytes rest)
{
	while (rest.len > 0 && !is_full(l)) {
		size_t n = 0;

		if (rest.at[0] == '<') {
			take_tag(l, &rest);
			continue;
		}
		if (rest.at[0] == '&') {
			take_entity(l, &rest);
			continue;
		}
		while (n < rest.len && rest.at[n] != '<' && rest.at[n] != '&')
			n++;
		put_text(l, bytes_cut(rest, 0, n));
		rest = bytes_cut(rest, n, rest.len);
	}
}

/*
 * From a part to its first words
 */

/* Without the character that was cut through at the end. */
static struct bytes
whole_characters(struct bytes b)
{
	for (size_t back = 1; back <= 3 && back <= b.len; back++) {
		unsigned char c = (unsigned char)b.at[b.len - back];

		if (c >= 0xc0) {
			size_t want = c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;

			return want > back ? bytes_cut(b, 0, b.len - back) : b;
		}
		if (c < 0x80)
			break;
	}
	return b;
}

/* As much of the part as `budget` bytes of it give. */
static void
put_part(struct line *l, const struct mime *m, const struct mime_part *p, size_t budget)
{
	struct bytes  body = bytes_cut(m->content, p->range.body_at, p->range.body_len);
	struct bytes  charset = mime_parameter_of(&p->type, "charset");
	struct buffer raw = { 0 }, text = { 0 };
	struct bytes  decoded;
	bool          cut = body.len > budget;

	if (cut)
		body.len = budget;
	decoded = body;
	if (p->range.encoding == ENCODED_QP || p->range.encoding == ENCODED_BASE64) {
		mime_decode(body, p->range.encoding, &raw);
		decoded = buffer_bytes(&raw);
	}
	if (cut)
		decoded = whole_characters(decoded);
	if (!bytes_are_ascii(decoded) || charset_is_seven(charset)) {
		charset_to_utf8(charset, decoded, SIZE_MAX, &text);
		decoded = buffer_bytes(&text);
	}
	if (mime_type_is(p, "text", "html"))
		put_html(l, decoded);
	else
		put_text(l, decoded);
	buffer_free(&text);
	buffer_free(&raw);
}

/* A little at first, which is enough for most; more if that was not. */
static bool
try_part(const struct mime *m, const struct mime_part *p, struct buffer *out)
{
	bool         html = mime_type_is(p, "text", "html");
	const size_t budget[] = { html ? 4096 : 1024, html ? 65536 : 16384 };
	struct line  l = { out, 0, false };
	size_t       from = out->len;

	for (size_t i = 0; i < COUNT(budget); i++) {
		out->len = from;
		l = (struct line){ out, 0, false };
		put_part(&l, m, p, budget[i]);
		if (is_full(&l) || p->range.body_len <= budget[i])
			break;
	}
	return l.characters > 0;
}

void
preview_write(const struct mime *m, struct buffer *out)
{
	static const char *const order[] = { "plain", "html" };

	for (size_t o = 0; o < COUNT(order); o++) {
		for (uint32_t i = 0; i < m->parts; i++) {
			const struct mime_part *p = &m->part[i];

			if (p->range.kind != PART_LEAF || !mime_type_is(p, "text", order[o]) ||
			    part_is_attachment(m, i))
				continue;
			if (try_part(m, p, out))
				return;
			break; /* it says nothing */
		}
	}
}
