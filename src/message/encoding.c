#include "message/encoding.h"

#include <string.h>

#include "base/scan.h"
#include "message/charset.h"

static int
hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = ascii_lower(c);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/*
 * Transfer encodings, rfc2045:6
 */

/* One line without its line end.  False when it ends with a soft break. */
static bool
qp_line(const char *p, const char *end, char **out)
{
	const char *last = end;
	char       *o = *out;

	while (last > p && (last[-1] == ' ' || last[-1] == '\t'))
		last--; /* rfc2045:6.7 (3): added on the way */
	while (p < last) {
		const char *eq = memchr(p, '=', (size_t)(last - p));
		size_t      plain = (size_t)((eq != NULL ? eq : last) - p);
		int         high, low;

		memcpy(o, p, plain);
		o += plain;
		p += plain;
		if (eq == NULL)
			break;
		if (p + 1 == last) {
			*out = o;
			return false;
		}
		high = hex_value(p[1]);
		low = p + 2 < last ? hex_value(p[2]) : -1;
		if (high >= 0 && low >= 0) {
			*o++ = (char)(high * 16 + low);
			p += 3;
		} else {
			*o++ = *p++;
		}
	}
	*out = o;
	return true;
}

void
qp_decode(struct bytes in, struct buffer *out)
{
	const char *p = in.at, *end = in.at + in.len;
	char       *start, *o;

	if (in.len == 0)
		return;
	start = o = buffer_room(out, in.len);
	while (p < end) {
		const char *lf = memchr(p, '\n', (size_t)(end - p));
		const char *stop = lf != NULL ? lf : end;
		bool        crlf = lf != NULL && stop > p && stop[-1] == '\r';

		if (qp_line(p, crlf ? stop - 1 : stop, &o) && lf != NULL) {
			if (crlf)
				*o++ = '\r';
			*o++ = '\n';
		}
		p = lf != NULL ? lf + 1 : end;
	}
	buffer_took(out, (size_t)(o - start));
}

/* 0..63, PAD for "=", SKIP for anything else (rfc2045:6.8: to be ignored) */
enum { PAD = 64, SKIP = 65 };

#define X8 SKIP, SKIP, SKIP, SKIP, SKIP, SKIP, SKIP, SKIP
static const uint8_t base64_value[256] = {
	X8, X8, X8, X8, X8, SKIP, SKIP, SKIP, 62,   SKIP, SKIP, SKIP, 63,   52,   53, 54,
	55, 56, 57, 58, 59, 60,   61,   SKIP, SKIP, SKIP, PAD,  SKIP, SKIP, SKIP, 0,  1,
	2,  3,  4,  5,  6,  7,    8,    9,    10,   11,   12,   13,   14,   15,   16, 17,
	18, 19, 20, 21, 22, 23,   24,   25,   SKIP, SKIP, SKIP, SKIP, SKIP, SKIP, 26, 27,
	28, 29, 30, 31, 32, 33,   34,   35,   36,   37,   38,   39,   40,   41,   42, 43,
	44, 45, 46, 47, 48, 49,   50,   51,   SKIP, SKIP, SKIP, SKIP, SKIP, X8,   X8, X8,
	X8, X8, X8, X8, X8, X8,   X8,   X8,   X8,   X8,   X8,   X8,   X8,
};
#undef X8

/* Padding ends a quantum, not the text: joined pieces are seen in the wild. */
/* A line says nothing of the next one. */
size_t
qp_piece(struct bytes in, size_t least)
{
	const char *lf = least < in.len ? memchr(in.at + least, '\n', in.len - least) : NULL;

	return lf != NULL ? (size_t)(lf - in.at) + 1 : in.len;
}

/* Four letters make three bytes, and padding begins anew. */
size_t
base64_piece(struct bytes in, size_t least)
{
	unsigned held = 0;

	for (size_t i = 0; i < in.len; i++) {
		uint8_t v = base64_value[(uint8_t)in.at[i]];
		if (v == PAD)
			held = 0;
		else if (v != SKIP)
			held = (held + 1) & 3;
		if (held == 0 && i + 1 >= least)
			return i + 1;
	}
	return in.len;
}

void
base64_decode_mime(struct bytes in, struct buffer *out)
{
	const uint8_t *p = (const uint8_t *)in.at, *end = p + in.len;
	char          *start, *o;
	uint32_t       bits = 0;
	int            held = 0;

	if (in.len == 0)
		return;
	start = o = buffer_room(out, in.len / 4 * 3 + 3);
	while (p < end) {
		uint8_t v;

		while (held == 0 && end - p >= 4) {
			uint32_t a = base64_value[p[0]], b = base64_value[p[1]];
			uint32_t c = base64_value[p[2]], d = base64_value[p[3]];

			if ((a | b | c | d) & 64)
				break;
			a = a << 18 | b << 12 | c << 6 | d;
			o[0] = (char)(a >> 16);
			o[1] = (char)(a >> 8);
			o[2] = (char)a;
			o += 3;
			p += 4;
		}
		if (p == end)
			break;
		v = base64_value[*p++];
		if (v == SKIP)
			continue;
		if (v == PAD) {
			if (held >= 2)
				*o++ = (char)(bits >> (held == 3 ? 10 : 4));
			if (held == 3)
				*o++ = (char)(bits >> 2);
			held = 0;
			bits = 0;
			continue;
		}
		bits = bits << 6 | v;
		if (++held == 4) {
			*o++ = (char)(bits >> 16);
			*o++ = (char)(bits >> 8);
			*o++ = (char)bits;
			held = 0;
			bits = 0;
		}
	}
	if (held >= 2)
		*o++ = (char)(bits >> (held == 3 ? 10 : 4));
	if (held == 3)
		*o++ = (char)(bits >> 2);
	buffer_took(out, (size_t)(o - start));
}

/*
 * Encoded words, rfc2047
 */

struct word {
	struct bytes charset, text;
	char         encoding;
};

static bool
is_token_char(char c)
{
	return c > ' ' && c < 0x7f && c != '?' && c != '=' && c != '(' && c != ')' && c != '<' &&
	       c != '>' && c != '@' && c != ',' && c != ';' && c != '"';
}

/* encoded-word = "=?" charset ["*" language] "?" encoding "?" text "?="
   at p, where "=?" stands; past it, or NULL when it is no such word.  The text
   may hold blanks, which it should not; it ends at the next "?" in any case,
   so the same bytes are never looked at more than thrice. */
static const char *
take_word(const char *p, const char *end, struct word *w)
{
	const char *start = p += 2, *question;

	while (p < end && is_token_char(*p) && p - start < 64)
		p++;
	if (p == start || end - p < 3 || p[0] != '?' || p[2] != '?')
		return NULL;
	w->charset = (struct bytes){ start, (size_t)(p - start) };
	w->encoding = ascii_lower(p[1]);
	if (w->encoding != 'q' && w->encoding != 'b')
		return NULL;
	start = p += 3;
	question = memchr(p, '?', (size_t)(end - p));
	if (question == NULL || question + 1 == end || question[1] != '=')
		return NULL;
	w->text = (struct bytes){ start, (size_t)(question - start) };
	if (bytes_find(w->charset, '*') >= 0) /* rfc2231:5 */
		w->charset.len = (size_t)bytes_find(w->charset, '*');
	return question + 2;
}

/* rfc2047:4.2 */
static void
q_decode(struct bytes in, struct buffer *out)
{
	char *start = buffer_room(out, in.len + 1), *o = start;

	for (size_t i = 0; i < in.len; i++) {
		int high, low;

		if (in.at[i] == '=' && i + 2 < in.len && (high = hex_value(in.at[i + 1])) >= 0 &&
		    (low = hex_value(in.at[i + 2])) >= 0) {
			*o++ = (char)(high * 16 + low);
			i += 2;
		} else {
			*o++ = in.at[i] == '_' ? ' ' : in.at[i];
		}
	}
	buffer_took(out, (size_t)(o - start));
}

/* A field has no lines and no controls once it is decoded, whatever was in it. */
static void
calm(struct buffer *out, size_t from)
{
	for (size_t i = from; i < out->len; i++)
		if ((unsigned char)out->at[i] < ' ' || out->at[i] == 0x7f)
			out->at[i] = ' ';
}

/* A run of words in one charset is decoded as one text, because some divide
   in the middle of a character.  Returns past the last of them. */
static const char *
decode_run(const char *p, const char *end, const struct word *first, struct buffer *raw,
           struct buffer *out)
{
	struct word  w = *first;
	struct bytes charset = first->charset;
	size_t       from = out->len;

	buffer_reset(raw);
	for (;;) {
		const char *next = p, *after;

		if (w.encoding == 'q')
			q_decode(w.text, raw);
		else
			base64_decode_mime(w.text, raw);
		while (next < end &&
		       (*next == ' ' || *next == '\t' || *next == '\r' || *next == '\n'))
			next++;
		if (end - next < 2 || next[0] != '=' || next[1] != '?' ||
		    (after = take_word(next, end, &w)) == NULL)
			break; /* the blanks before plain text stay */
		p = next;
		if (!bytes_equal_nocase(w.charset, charset))
			break; /* blanks between two words go      */
		p = after;
	}
	charset_to_utf8(charset, buffer_bytes(raw), SIZE_MAX, out);
	calm(out, from);
	return p;
}

/* Plain text of a field: its folds become blanks, 8-bit bytes are guessed. */
static void
put_plain(const char *p, const char *end, struct buffer *raw, struct buffer *out)
{
	char *start, *o;
	bool  high = false;

	if (p == end)
		return;
	buffer_reset(raw);
	start = o = buffer_room(raw, (size_t)(end - p));
	for (; p < end; p++) {
		if (*p == '\r' || *p == '\n')
			continue;
		high |= (unsigned char)*p >= 0x80;
		*o++ = (unsigned char)*p < ' ' || *p == 0x7f ? ' ' : *p;
	}
	buffer_took(raw, (size_t)(o - start));
	if (high)
		charset_guess_to_utf8(buffer_bytes(raw), out);
	else
		buffer_add(out, buffer_bytes(raw));
}

void
words_decode(struct bytes field, struct buffer *out)
{
	const char   *p = field.at, *end = field.at + field.len, *plain = p;
	struct buffer raw = { 0 };

	while (p < end) {
		const char *eq = memchr(p, '=', (size_t)(end - p)), *after;
		struct word w;

		if (eq == NULL || end - eq < 2)
			break;
		p = eq + 1;
		if (eq[1] != '?' || (after = take_word(eq, end, &w)) == NULL)
			continue;
		put_plain(plain, eq, &raw, out);
		plain = p = decode_run(after, end, &w, &raw, out);
	}
	if (field.len > 0)
		put_plain(plain, end, &raw, out);
	buffer_free(&raw);
}

/*
 * Modified UTF-7, rfc3501:5.1.3
 */

static const char utf7_alphabet[] =
	"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+,";

static int
utf7_value(char c)
{
	uint8_t v = base64_value[(unsigned char)(c == ',' ? '/' : c == '/' ? ' ' : c)];

	return v < 64 ? v : -1;
}

static void
put_utf8(struct buffer *out, uint32_t c)
{
	buffer_took(out, utf8_put(c, buffer_room(out, 4)));
}

/* The base64 of one shift, up to its "-".  It must hold whole UTF-16 units,
   no stray bits, no lone surrogates and nothing that could stand as itself. */
static bool
utf7_shift(struct scan *r, struct buffer *out)
{
	uint32_t bits = 0, high = 0;
	int      held = 0, v;
	bool     any = false;

	while (r->rest.len > 0 && (v = utf7_value(r->rest.at[0])) >= 0) {
		scan_take(r, 1);
		bits = bits << 6 | (uint32_t)v;
		held += 6;
		if (held >= 16) {
			uint32_t unit = bits >> (held - 16) & 0xffff;

			held -= 16;
			bits &= (1u << held) - 1;
			any = true;
			if (high != 0) {
				if (unit < 0xdc00 || unit > 0xdfff)
					return false;
				put_utf8(out, 0x10000 + ((high - 0xd800) << 10) + (unit - 0xdc00));
				high = 0;
			} else if (unit >= 0xd800 && unit <= 0xdbff) {
				high = unit;
			} else if ((unit >= 0xdc00 && unit <= 0xdfff) || unit == 0 ||
			           (unit >= 0x20 && unit <= 0x7e)) {
				return false;
			} else {
				put_utf8(out, unit);
			}
		}
	}
	return any && high == 0 && held < 6 && bits == 0 && scan_skip(r, '-');
}

bool
utf7_to_utf8(struct bytes in, struct buffer *out)
{
	struct scan r = scan_of(in);
	size_t      before = out->len;
	bool        shifted = false;

	while (r.rest.len > 0) {
		char c = r.rest.at[0];

		if (c < 0x20 || c > 0x7e)
			goto bad;
		scan_take(&r, 1);
		if (c != '&') {
			buffer_add_char(out, c);
			shifted = false;
		} else if (scan_skip(&r, '-')) {
			buffer_add_char(out, '&');
			shifted = false;
		} else {
			/* two shifts in a row could have been one */
			if (shifted || !utf7_shift(&r, out))
				goto bad;
			shifted = true;
		}
	}
	return true;
bad:
	out->len = before;
	return false;
}

struct utf7_writer {
	struct buffer *out;
	uint32_t       bits;
	int            held;
	bool           inside;
};

static void
utf7_unit(struct utf7_writer *w, uint32_t unit)
{
	if (!w->inside) {
		buffer_add_char(w->out, '&');
		w->inside = true;
		w->bits = 0;
		w->held = 0;
	}
	w->bits = w->bits << 16 | unit;
	w->held += 16;
	while (w->held >= 6) {
		w->held -= 6;
		buffer_add_char(w->out, utf7_alphabet[w->bits >> w->held & 63]);
	}
	w->bits &= (1u << w->held) - 1;
}

static void
utf7_back(struct utf7_writer *w)
{
	if (!w->inside)
		return;
	if (w->held > 0)
		buffer_add_char(w->out, utf7_alphabet[w->bits << (6 - w->held) & 63]);
	buffer_add_char(w->out, '-');
	w->inside = false;
}

void
utf8_to_utf7(struct bytes in, struct buffer *out)
{
	struct utf7_writer w = { .out = out };

	for (size_t i = 0; i < in.len;) {
		uint32_t c = utf8_take(in, &i);

		if (c >= 0x20 && c <= 0x7e) {
			utf7_back(&w);
			buffer_add_char(out, (char)c);
			if (c == '&')
				buffer_add_char(out, '-');
		} else if (c < 0x10000) {
			utf7_unit(&w, c);
		} else {
			utf7_unit(&w, 0xd800 + ((c - 0x10000) >> 10));
			utf7_unit(&w, 0xdc00 + ((c - 0x10000) & 0x3ff));
		}
	}
	utf7_back(&w);
}
