#include "message/seven.h"

#include "message/header.h"

enum { QUOTED_LINE = 76, BASE64_BYTES = 57 };

static bool
has_eight(struct bytes b)
{
	for (size_t i = 0; i < b.len; i++)
		if ((unsigned char)b.at[i] >= 0x80)
			return true;
	return false;
}

/* ---- the encodings ---- */

static bool
is_end(struct bytes text, size_t at)
{
	return at >= text.len ||
	       (text.at[at] == '\r' && at + 1 < text.len && text.at[at + 1] == '\n');
}

/* rfc2045:6.7: what may stand for itself; never "From " or a dot at the front, which roads change. */
static bool
is_plain(struct bytes text, size_t at, size_t column)
{
	char c = text.at[at];

	if (c == ' ' || c == '\t')
		return !is_end(text, at + 1);
	if (column == 0 &&
	    (c == '.' || (c == 'F' && bytes_starts(bytes_cut(text, at, SIZE_MAX), BYTES("From ")))))
		return false;
	return c > ' ' && c < 0x7f && c != '=';
}

void
seven_quote(struct bytes text, struct buffer *out)
{
	size_t column = 0;

	for (size_t i = 0; i < text.len; i++) {
		bool   plain;
		size_t takes;

		if (is_end(text, i)) {
			buffer_add(out, BYTES("\r\n"));
			column = 0;
			i++;
			continue;
		}
		plain = is_plain(text, i, column);
		takes = plain ? 1 : 3;
		if (column + takes > QUOTED_LINE - (is_end(text, i + 1) ? 0U : 1U)) {
			buffer_add(out, BYTES("=\r\n"));
			column = 0;
			plain = plain && is_plain(text, i, 0);
			takes = plain ? 1 : 3;
		}
		if (plain)
			buffer_add_char(out, text.at[i]);
		else
			buffer_printf(out, "=%02X", (unsigned char)text.at[i]);
		column += takes;
	}
}

/* An "=" that says no byte and ends no line: a byte above 127 comes too soon behind it. */
static bool
is_lone(struct bytes text, size_t at, size_t n)
{
	return text.at[at] == '=' && n < 3 && !is_end(text, at + n);
}

/* How much of quoted-printable stands together: "=C3", a byte, the "=" at the end of a line. */
static size_t
quoted_length(struct bytes text, size_t at)
{
	size_t n = 1;

	while (text.at[at] == '=' && n < 3 && !is_end(text, at + n) &&
	       (unsigned char)text.at[at + n] < 0x80)
		n++;
	return n;
}

/* A line of quoted-printable in which bytes stand that may not: those are said anew, the rest stays (rfc2045:6.7). */
static void
requote_line(struct bytes line, struct buffer *out)
{
	size_t column = 0, n, takes;

	for (size_t i = 0; i < line.len; i += n) {
		bool anew = (unsigned char)line.at[i] >= 0x80;

		n = quoted_length(line, i);
		if (is_lone(line, i, n)) {
			anew = true;
			n = 1;
		}
		takes = anew ? 3 : n;
		if (column + takes > QUOTED_LINE - (i + n == line.len ? 0U : 1U)) {
			buffer_add(out, BYTES("=\r\n"));
			column = 0;
		}
		if (anew)
			buffer_printf(out, "=%02X", (unsigned char)line.at[i]);
		else
			buffer_add(out, bytes_cut(line, i, n));
		column += takes;
	}
}

static void
requote(struct bytes text, struct buffer *out)
{
	size_t from = 0, to;

	while (from < text.len) {
		struct bytes line;

		for (to = from; !is_end(text, to);)
			to++;
		line = bytes_cut(text, from, to - from);
		if (has_eight(line))
			requote_line(line, out);
		else
			buffer_add(out, line);
		buffer_add(out, bytes_cut(text, to, 2));
		from = to + 2;
	}
}

/* rfc2045:6.8: what is not of its alphabet a reader passes over. */
static void
put_without_eight(struct bytes text, struct buffer *out)
{
	for (size_t i = 0; i < text.len; i++)
		if ((unsigned char)text.at[i] < 0x80)
			buffer_add_char(out, text.at[i]);
}

/* Where nothing may be encoded, and nothing above 127 has a meaning. */
static void
put_questions(struct bytes text, struct buffer *out)
{
	for (size_t i = 0; i < text.len; i++)
		buffer_add_char(out, (unsigned char)text.at[i] < 0x80 ? text.at[i] : '?');
}

static void
put_base64(struct bytes body, struct buffer *out)
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

	for (size_t i = 0; i < body.len; i += 3) {
		size_t   n = body.len - i < 3 ? body.len - i : 3;
		unsigned v = 0;

		for (size_t k = 0; k < 3; k++)
			v = v << 8 | (k < n ? (unsigned char)body.at[i + k] : 0);
		for (size_t k = 0; k < 4; k++)
			buffer_add_char(out, k <= n ? digits[v >> (18 - 6 * k) & 63] : '=');
		if (i / 3 % (BASE64_BYTES / 3) == BASE64_BYTES / 3 - 1 && i + 3 < body.len)
			buffer_add(out, BYTES("\r\n"));
	}
}

/* ---- one part ---- */

struct part_facts {
	struct bytes encoding, type; /* whole fields; "" there is none */
	bool         mime;           /* MIME-Version                   */
	bool         text, message;  /* message: it may not be encoded */
	bool         partial;        /* of a letter that is nobody's to change */
	struct bytes name;           /* of the encoding                */
};

static struct part_facts
facts_of(struct bytes head)
{
	struct part_facts f = { .text = true };
	struct header     h = header_of(head);
	struct field      field;
	struct bytes      value;

	while (header_next(&h, &field)) {
		if (bytes_is(field.name, "MIME-Version"))
			f.mime = true;
		else if (bytes_is(field.name, "Content-Transfer-Encoding"))
			f.encoding = field.whole, f.name = bytes_trim(field.value);
		else if (bytes_is(field.name, "Content-Type")) {
			value = bytes_trim(field.value);
			f.type = field.whole;
			f.text = bytes_starts_nocase(value, BYTES("text/"));
			/* rfc6532:3.7: these may. */
			f.message = bytes_starts_nocase(value, BYTES("message/")) &&
			            !bytes_starts_nocase(value, BYTES("message/global"));
			f.partial = bytes_starts_nocase(value, BYTES("message/partial"));
		}
	}
	return f;
}

/* "Content-Transfer-Encoding: NAME" in the place of the one there, or at the head's front. */
static bool
put_encoding(struct edits *e, struct bytes content, const struct digest_part *p, bool whole_letter,
             const char *name, struct arena *a)
{
	struct part_facts f = facts_of(bytes_cut(content, p->header_at, p->header_len));
	const char       *mime = whole_letter && !f.mime ? "MIME-Version: 1.0\r\n" : "";
	const char       *type = whole_letter && !f.mime && f.type.len == 0
	                                 ? "Content-Type: text/plain; charset=unknown-8bit\r\n"
	                                 : "";
	struct edit       edit = { .at = p->header_at };
	struct buffer     made = { 0 };

	if (f.encoding.len > 0) {
		edit.at = (uint64_t)(f.encoding.at - content.at);
		edit.len = f.encoding.len;
	} else if (p->header_len == 0) {
		return false;
	}
	buffer_printf(&made, "%s%sContent-Transfer-Encoding: %s\r\n", mime, type, name);
	/* A name that no reader knows stays to be seen (rfc2045:6.4). */
	if (p->encoding == ENCODED_OTHER) {
		buffer_add(&made, BYTES("X-"));
		put_questions(f.encoding, &made);
	}
	edit.instead = arena_keep(a, buffer_bytes(&made));
	buffer_free(&made);
	return edits_add(e, &edit);
}

/* Its alphabet is of ASCII, as that of base64; nobody here writes it. */
static bool
is_uuencode(struct bytes name)
{
	static const char *const names[] = { "x-uuencode", "uuencode", "x-uue", "uue" };

	for (size_t i = 0; i < COUNT(names); i++)
		if (bytes_is(name, names[i]))
			return true;
	return false;
}

/* What says how it is encoded, or may not be encoded at all: that stays, and no byte is above 127.  False: it is neither. */
static bool
put_as_it_is(struct bytes body, const struct digest_part *p, const struct part_facts *f,
             struct buffer *out)
{
	if (p->encoding == ENCODED_QP)
		requote(body, out);
	else if (p->encoding == ENCODED_BASE64)
		put_without_eight(body, out);
	else if (f->message || is_uuencode(f->name))
		put_questions(body, out);
	else
		return false;
	return true;
}

static bool
leaf_make(struct edits *e, struct bytes content, const struct digest_part *p, bool whole_letter,
          uint64_t *anew, struct arena *a)
{
	struct bytes      body = bytes_cut(content, p->body_at, p->body_len);
	struct part_facts f = facts_of(bytes_cut(content, p->header_at, p->header_len));
	bool              binary = p->encoding == ENCODED_BINARY;
	struct buffer     out = { 0 };
	struct edit       edit = { .at = p->body_at, .len = p->body_len };

	if (!has_eight(body) && !binary)
		return p->encoding != ENCODED_8BIT ||
		       put_encoding(e, content, p, whole_letter, "7bit", a);
	if (f.partial || (binary && f.message) || (*anew += body.len) > SEVEN_MOST)
		return false;
	if (put_as_it_is(body, p, &f, &out)) {
		edit.instead = arena_keep(a, buffer_bytes(&out));
		buffer_free(&out);
		return (p->encoding != ENCODED_8BIT ||
		        put_encoding(e, content, p, whole_letter, "7bit", a)) &&
		       edits_add(e, &edit);
	}
	if (f.text && !binary)
		seven_quote(body, &out);
	else
		put_base64(body, &out);
	edit.instead = arena_keep(a, buffer_bytes(&out));
	buffer_free(&out);
	return put_encoding(e, content, p, whole_letter,
	                    f.text && !binary ? "quoted-printable" : "base64", a) &&
	       edits_add(e, &edit);
}

/* What stands between parts is for nobody (rfc2046:5.1.1): a question mark for each byte above 127. */
static bool
between_make(struct edits *e, struct bytes content, uint64_t from, uint64_t until, uint64_t *anew,
             struct arena *a)
{
	struct edit edit = { .at = from, .len = until - from };
	char       *made;

	if (until <= from || !has_eight(bytes_cut(content, from, until - from)))
		return true;
	if ((*anew += until - from) > SEVEN_MOST)
		return false;
	made = arena_take(a, until - from);
	for (uint64_t i = from; i < until; i++)
		made[i - from] = (unsigned char)content.at[i] < 0x80 ? content.at[i] : '?';
	edit.instead = (struct bytes){ made, until - from };
	return edits_add(e, &edit);
}

/* A multipart in which no part was found: what it says is nowhere else. */
static bool
is_broken(const struct digest *d, uint32_t i, struct bytes content, const struct digest_part *p)
{
	return p->kind == PART_MULTIPART && digest_child(d, i, 1) < 0 &&
	       has_eight(bytes_cut(content, p->body_at, p->body_len));
}

bool
seven_make(struct bytes content, const struct digest *d, struct arena *a, struct edits *e)
{
	uint64_t anew = 0, seen = 0; /* all before `seen` was looked at */

	for (uint32_t i = 0; i < d->parts; i++) {
		struct digest_part p = digest_part_at(d, i);
		bool good = i == 0 || between_make(e, content, seen, p.header_at, &anew, a);

		if (!good || is_broken(d, i, content, &p))
			return false;
		if (p.kind == PART_LEAF)
			good = leaf_make(e, content, &p, i == 0, &anew, a);
		else if (p.encoding == ENCODED_8BIT || p.encoding == ENCODED_BINARY)
			good = put_encoding(e, content, &p, i == 0, "7bit", a);
		if (!good)
			return false;
		seen = p.kind == PART_LEAF ? p.body_at + p.body_len : p.body_at;
	}
	return between_make(e, content, seen, content.len, &anew, a) &&
	       (d->flags & DIGEST_CUT_SHORT) == 0;
}
