/*
 * mime-value -- a value with parameters: type/subtype; name=value (rfc2045:5.1), in pieces and charsets
 * (rfc2231), as it is met in the world
 */
#include "message/mime.h"

#include <string.h>

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* token = 1*<any CHAR except SPACE, CTLs, or tspecials>; 8-bit bytes also */
static bool
is_token(char c)
{
	static const char tspecials[] = "()<>@,;:\\\"/[]?=";

	return (unsigned char)c > ' ' && c != 0x7f &&
	       memchr(tspecials, c, sizeof tspecials - 1) == NULL;
}

/* CFWS; a comment that is not closed is plain text. */
static void
skip_blanks(struct bytes *b)
{
	size_t depth = 0, i = 0, outside = 0;

	for (; i < b->len; i++) {
		char c = b->at[i];

		if (c == '(')
			depth++;
		else if (c == ')' && depth > 0)
			depth--;
		else if (c == '\\' && depth > 0)
			i++;
		else if (depth == 0 && !is_blank(c))
			break;
		if (depth == 0)
			outside = i + 1;
	}
	*b = bytes_cut(*b, outside, b->len);
}

static struct bytes
take_token(struct bytes *b)
{
	size_t n = 0;

	while (n < b->len && is_token(b->at[n]))
		n++;
	*b = (struct bytes){ b->at + n, b->len - n };
	return (struct bytes){ b->at - n, n };
}

/* quoted-string without its quotes; up to the end when it is not closed */
static struct bytes
take_quoted(struct bytes *b, struct arena *a)
{
	size_t n = 1, len = 0;
	bool   plain = true;
	char  *out;

	while (n < b->len && b->at[n] != '"') {
		if (b->at[n] == '\\' || b->at[n] == '\r' || b->at[n] == '\n') {
			plain = false;
			n += b->at[n] == '\\';
		}
		n++;
	}
	if (n > b->len)
		n = b->len;
	if (plain) {
		struct bytes inside = bytes_cut(*b, 1, n - 1);

		*b = bytes_cut(*b, n + 1, b->len);
		return inside;
	}
	out = arena_take(a, n + 1);
	for (size_t i = 1; i < n; i++) {
		if (b->at[i] == '\\' && i + 1 < n)
			i++;
		if (b->at[i] != '\r' && b->at[i] != '\n')
			out[len++] = b->at[i];
	}
	*b = bytes_cut(*b, n + 1, b->len);
	return (struct bytes){ out, len };
}

/* value = token / quoted-string; or, rfc7103-wise, all up to the semicolon */
static struct bytes
take_value(struct bytes *b, struct arena *a)
{
	struct bytes rest = *b, value;

	if (b->len > 0 && b->at[0] == '"')
		return take_quoted(b, a);
	value = take_token(&rest);
	skip_blanks(&rest);
	if (rest.len > 0 && rest.at[0] != ';') {
		ptrdiff_t semicolon = bytes_find(*b, ';');

		value = bytes_cut(*b, 0, semicolon < 0 ? b->len : (size_t)semicolon);
		rest = bytes_cut(*b, value.len, b->len);
		value = field_unfold(a, value);
	}
	*b = rest;
	return value;
}

/* One parameter as it was written: base name, place among its continuations
   (-1: not continued), and whether its value is charset'language'%XX. */
struct piece {
	struct bytes name, value;
	int          place;
	bool         extended;
};

/* rfc2231:7  name ["*" place] ["*"] */
static struct piece
piece_of(struct bytes name, struct bytes value)
{
	struct piece p = { name, value, -1, false };
	ptrdiff_t    star = bytes_find(name, '*');
	uint64_t     place;

	if (star <= 0)
		return p;
	p.name.len = (size_t)star;
	name = bytes_cut(name, (size_t)star + 1, name.len);
	if (name.len > 0 && name.at[name.len - 1] == '*') {
		p.extended = true;
		name.len--;
	} else if (name.len == 0) {
		p.extended = true;
		return p;
	}
	if (name.len > 3 || !bytes_number(name, &place) || place >= MIME_PARAMETERS) {
		p.name = (struct bytes){ p.name.at, p.name.len + 1 + name.len + p.extended };
		p.extended = false; /* a name with a star in it, no more */
		return p;
	}
	p.place = (int)place;
	return p;
}

/* A plain piece among extended ones, written as they are. */
static void
put_percent(char **out, struct bytes value)
{
	static const char hex[] = "0123456789ABCDEF";
	char             *o = *out;

	for (size_t i = 0; i < value.len; i++) {
		unsigned char c = (unsigned char)value.at[i];

		if (is_token((char)c) && c < 0x80 && c != '%' && c != '*' && c != '\'') {
			*o++ = (char)c;
		} else {
			*o++ = '%';
			*o++ = hex[c >> 4];
			*o++ = hex[c & 15];
		}
	}
	*out = o;
}

static const struct piece *
piece_at(const struct piece *piece, size_t pieces, struct bytes name, int place)
{
	for (size_t i = 0; i < pieces; i++)
		if (piece[i].place == place && bytes_equal_nocase(piece[i].name, name))
			return &piece[i];
	return NULL;
}

/* rfc2231:3 */
static struct bytes
join_pieces(const struct piece *piece, size_t pieces, struct bytes name, bool extended,
            struct arena *a)
{
	const struct piece *p;
	size_t              room = 3;
	char               *out, *o;

	for (int i = 0; (p = piece_at(piece, pieces, name, i)) != NULL; i++)
		room += extended ? 3 * p->value.len : p->value.len;
	out = o = arena_take(a, room);
	for (int i = 0; (p = piece_at(piece, pieces, name, i)) != NULL; i++) {
		if (extended && !p->extended) {
			if (i == 0) { /* of no charset, in no language */
				*o++ = '\'';
				*o++ = '\'';
			}
			put_percent(&o, p->value);
		} else {
			memcpy(o, p->value.at, p->value.len);
			o += p->value.len;
		}
	}
	return (struct bytes){ out, (size_t)(o - out) };
}

static void
join_parameters(const struct piece *piece, size_t pieces, struct arena *a, struct mime_value *out)
{
	out->parameter = arena_take_array(a, pieces, sizeof *out->parameter);
	for (size_t i = 0; i < pieces; i++) {
		const struct piece    *p = &piece[i], *next;
		struct mime_parameter *m = &out->parameter[out->parameters];
		bool                   extended = p->extended;

		if (p->place > 0)
			continue;
		m->value = p->value;
		if (p->place == 0) {
			if (piece_at(piece, i, p->name, 0) != NULL)
				continue; /* told twice */
			for (int n = 1; (next = piece_at(piece, pieces, p->name, n)) != NULL; n++)
				extended |= next->extended;
			m->value = join_pieces(piece, pieces, p->name, extended, a);
		}
		m->name = p->name;
		if (extended) {
			char *name = arena_take(a, p->name.len + 1);

			memcpy(name, p->name.at, p->name.len);
			name[p->name.len] = '*';
			m->name = (struct bytes){ name, p->name.len + 1 };
		}
		out->parameters++;
	}
}

bool
mime_value_parse(struct bytes value, bool slash, struct arena *a, struct mime_value *out)
{
	struct piece piece[MIME_PARAMETERS];
	size_t       pieces = 0;
	struct bytes rest = value;

	*out = (struct mime_value){ .type = { NULL, 0 } };
	skip_blanks(&rest);
	out->type = take_token(&rest);
	if (slash) {
		skip_blanks(&rest);
		if (rest.len == 0 || rest.at[0] != '/')
			return false;
		rest = bytes_cut(rest, 1, rest.len);
		skip_blanks(&rest);
		out->subtype = take_token(&rest);
	}
	if (out->type.len == 0 || (slash && out->subtype.len == 0))
		return false;
	for (;;) {
		ptrdiff_t    semicolon;
		struct bytes name, got;

		skip_blanks(&rest);
		if (rest.len == 0)
			break;
		if (rest.at[0] == ';') {
			rest = bytes_cut(rest, 1, rest.len);
			continue;
		}
		name = take_token(&rest);
		skip_blanks(&rest);
		if (name.len > 0 && rest.len > 0 && rest.at[0] == '=') {
			rest = bytes_cut(rest, 1, rest.len);
			skip_blanks(&rest);
			got = take_value(&rest, a);
			if (pieces < MIME_PARAMETERS)
				piece[pieces++] = piece_of(name, got);
			continue;
		}
		semicolon = bytes_find(rest, ';'); /* noise */
		rest = semicolon < 0 ? BYTES("") : bytes_cut(rest, (size_t)semicolon, rest.len);
	}
	if (pieces > 0)
		join_parameters(piece, pieces, a, out);
	return true;
}

struct bytes
mime_parameter_of(const struct mime_value *v, const char *name)
{
	for (size_t i = 0; i < v->parameters; i++)
		if (bytes_is(v->parameter[i].name, name))
			return v->parameter[i].value;
	return (struct bytes){ NULL, 0 };
}

struct bytes
mime_token_of(struct bytes value)
{
	struct bytes word;

	if (value.at == NULL)
		return value;
	skip_blanks(&value);
	word = take_token(&value);
	return word.len > 0 ? word : (struct bytes){ NULL, 0 };
}
