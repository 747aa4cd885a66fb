#include "message/mime.h"

#include <string.h>

#include "message/encoding.h"

#ifdef __SSE2__
#include <emmintrin.h>
#endif

/*
 * Values with parameters, rfc2045:5.1
 */

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

bool
mime_type_is(const struct mime_part *p, const char *type, const char *subtype)
{
	return bytes_is(p->type.type, type) &&
	       (subtype == NULL || bytes_is(p->type.subtype, subtype));
}

void
mime_decode(struct bytes body, enum digest_encoding encoding, struct buffer *out)
{
	if (encoding == ENCODED_QP)
		qp_decode(body, out);
	else if (encoding == ENCODED_BASE64)
		base64_decode_mime(body, out);
	else
		buffer_add(out, body);
}

/*
 * Going over many bytes
 */

typedef uint8_t sixteen __attribute__((vector_size(16)));

/* LFs from p to end, and in *flags whether a byte above 127 or a NUL is there. */
static uint64_t
survey(const char *p, const char *end, uint32_t *flags)
{
	const sixteen lf = (sixteen){ 0 } + (uint8_t)'\n';
	sixteen       high = { 0 }, nul = { 0 };
	uint64_t      lines = 0;
	uint8_t       any = 0, zero = 0;

	while (end - p >= 16) {
		sixteen   n = { 0 };
		ptrdiff_t rounds = (end - p) / 16 < 255 ? (end - p) / 16 : 255;

		for (; rounds > 0; rounds--, p += 16) {
			sixteen v;

			memcpy(&v, p, 16);
			n -= (sixteen)(v == lf);
			nul |= (sixteen)(v == 0);
			high |= v;
		}
		for (int i = 0; i < 16; i++)
			lines += n[i];
	}
	for (; p < end; p++) {
		lines += *p == '\n';
		any |= (uint8_t)*p;
		zero |= *p == '\0';
	}
	for (int i = 0; i < 16; i++) {
		any |= high[i];
		zero |= nul[i];
	}
	*flags |= (any & 0x80 ? DIGEST_8BIT : 0) | (zero ? DIGEST_NUL : 0);
	return lines;
}

/* The next line at or after p that begins with "--"; p is the start of a line. */
static const char *
next_dashes(const char *p, const char *end)
{
	if (end - p >= 2 && p[0] == '-' && p[1] == '-')
		return p;
#ifdef __SSE2__
	const __m128i lf = _mm_set1_epi8('\n'), dash = _mm_set1_epi8('-');

	for (; end - p >= 18; p += 16) {
		__m128i a = _mm_cmpeq_epi8(_mm_loadu_si128((const __m128i *)(const void *)p), lf);
		__m128i b = _mm_cmpeq_epi8(_mm_loadu_si128((const __m128i *)(const void *)(p + 1)),
		                           dash);
		__m128i c = _mm_cmpeq_epi8(_mm_loadu_si128((const __m128i *)(const void *)(p + 2)),
		                           dash);
		int     found = _mm_movemask_epi8(_mm_and_si128(a, _mm_and_si128(b, c)));

		if (found != 0)
			return p + __builtin_ctz((unsigned)found) + 1;
	}
#endif
	while (end - p >= 3 && (p = memchr(p, '\n', (size_t)(end - p) - 2)) != NULL) {
		if (p[1] == '-' && p[2] == '-')
			return p + 1;
		p++;
	}
	return NULL;
}

/*
 * The walk
 *
 * Open parts stand on a stack.  Boundaries that are being listened for are in
 * a small hash by their text, so that a line of dashes costs its own length
 * and not one comparison for each multipart around it.
 */

struct frame {
	uint32_t     part;
	uint32_t     children;
	uint64_t     lines;    /* lines of the content before its body */
	struct bytes boundary; /* at NULL: does not listen             */
	uint32_t     hash;
	uint8_t      next; /* in the bucket: frame + 1, or 0       */
};

enum { BUCKETS = 64 };

struct walk {
	struct mime  *m;
	struct arena *a;
	const char   *start, *end;
	const char   *counted; /* lines are counted up to here */
	uint64_t      lines;
	size_t        header_bytes;
	uint32_t      room, field_room;
	unsigned      depth, listening;
	struct frame  frame[MIME_NEST + 1];
	uint8_t       bucket[BUCKETS];
	uint8_t       lengths[MIME_BOUNDARY + 1]; /* how many boundaries are so long */
};

static uint64_t
lines_before(struct walk *w, const char *p)
{
	if (p > w->counted) {
		w->lines += survey(w->counted, p, &w->m->flags);
		w->counted = p;
	}
	return w->lines;
}

static uint32_t
hash_step(uint32_t hash, char c)
{
	return (hash ^ (unsigned char)c) * 0x01000193u;
}

static void
listen_for(struct walk *w, struct bytes boundary)
{
	struct frame *f = &w->frame[w->depth - 1];

	f->boundary = boundary;
	f->hash = 0;
	for (size_t i = 0; i < boundary.len; i++)
		f->hash = hash_step(f->hash, boundary.at[i]);
	f->next = w->bucket[f->hash % BUCKETS];
	w->bucket[f->hash % BUCKETS] = (uint8_t)w->depth;
	w->lengths[boundary.len]++;
	w->listening++;
}

/* The frame must be the last that listens. */
static void
listen_no_more(struct walk *w, struct frame *f)
{
	if (f->boundary.at == NULL)
		return;
	w->bucket[f->hash % BUCKETS] = f->next;
	w->lengths[f->boundary.len]--;
	w->listening--;
	f->boundary.at = NULL;
}

/* Whose boundary follows the two dashes at p?  The longest that fits, of equal
   ones the innermost (rfc2046:5.1.1: the rest of the line does not matter). */
static struct frame *
whose_boundary(const struct walk *w, const char *p)
{
	const struct frame *best = NULL;
	uint32_t            hash = 0;

	p += 2;
	for (size_t n = 1; n <= MIME_BOUNDARY && p + n <= w->end; n++) {
		if (p[n - 1] == '\n')
			break;
		hash = hash_step(hash, p[n - 1]);
		if (w->lengths[n] == 0)
			continue;
		for (unsigned i = w->bucket[hash % BUCKETS]; i != 0; i = w->frame[i - 1].next) {
			const struct frame *f = &w->frame[i - 1];

			if (f->hash == hash && f->boundary.len == n &&
			    memcmp(f->boundary.at, p, n) == 0) {
				best = f;
				break;
			}
		}
	}
	return best != NULL ? (struct frame *)(uintptr_t)best : NULL;
}

static bool
divides(const void *whom, const char *line)
{
	return whose_boundary(whom, line) != NULL;
}

/* The next dividing line at or after p, and whose it is. */
static const char *
next_division(const struct walk *w, const char *p, struct frame **whose)
{
	if (w->listening == 0)
		return NULL;
	while ((p = next_dashes(p, w->end)) != NULL) {
		*whose = whose_boundary(w, p);
		if (*whose != NULL)
			return p;
		p = line_end(p, w->end);
	}
	return NULL;
}

/*
 * Headers
 */

enum part_field {
	FIELD_TYPE = LETTER_FIELDS,
	FIELD_ENCODING,
	FIELD_DISPOSITION,
	FIELD_DESCRIPTION,
	FIELD_ID,
	FIELD_MD5,
	FIELD_LANGUAGE,
	FIELD_LOCATION,
	FIELD_RECEIVED,
	FIELD_OTHER
};

static const struct {
	uint8_t len;
	char    name[26];
} names[FIELD_OTHER] = {
#define NAME(n)                 \
	{                       \
		sizeof n - 1, n \
	}
	[FIELD_DATE] = NAME("Date"),
	[FIELD_SUBJECT] = NAME("Subject"),
	[FIELD_FROM] = NAME("From"),
	[FIELD_SENDER] = NAME("Sender"),
	[FIELD_REPLY_TO] = NAME("Reply-To"),
	[FIELD_TO] = NAME("To"),
	[FIELD_CC] = NAME("Cc"),
	[FIELD_BCC] = NAME("Bcc"),
	[FIELD_IN_REPLY_TO] = NAME("In-Reply-To"),
	[FIELD_MESSAGE_ID] = NAME("Message-ID"),
	[FIELD_REFERENCES] = NAME("References"),
	[FIELD_TYPE] = NAME("Content-Type"),
	[FIELD_ENCODING] = NAME("Content-Transfer-Encoding"),
	[FIELD_DISPOSITION] = NAME("Content-Disposition"),
	[FIELD_DESCRIPTION] = NAME("Content-Description"),
	[FIELD_ID] = NAME("Content-ID"),
	[FIELD_MD5] = NAME("Content-MD5"),
	[FIELD_LANGUAGE] = NAME("Content-Language"),
	[FIELD_LOCATION] = NAME("Content-Location"),
	[FIELD_RECEIVED] = NAME("Received"),
#undef NAME
};

static unsigned
field_of_name(struct bytes name)
{
	for (unsigned i = 0; i < FIELD_OTHER; i++)
		if (names[i].len == name.len &&
		    ascii_lower(names[i].name[0]) == ascii_lower(name.at[0]) &&
		    bytes_is(name, names[i].name))
			return i;
	return FIELD_OTHER;
}

/* The fields that are joined when there are several, in the order they came. */
struct gathered {
	struct bytes     value;
	struct gathered *next;
};
struct letter_reading {
	struct gathered *first[3], *last[3];
	size_t           len[3];
};

static void
gather(struct walk *w, struct letter_reading *l, unsigned which, struct bytes value)
{
	struct gathered *g = arena_take(w->a, sizeof *g);

	g->value = value;
	if (l->last[which] != NULL)
		l->last[which]->next = g;
	else
		l->first[which] = g;
	l->last[which] = g;
	l->len[which] += value.len + 1;
}

static struct bytes
gathered_text(struct walk *w, const struct letter_reading *l, unsigned which)
{
	char *out, *o;

	if (l->first[which] == NULL)
		return (struct bytes){ NULL, 0 };
	if (l->first[which]->next == NULL)
		return l->first[which]->value;
	out = o = arena_take(w->a, l->len[which]);
	for (const struct gathered *g = l->first[which]; g != NULL; g = g->next) {
		memcpy(o, g->value.at, g->value.len);
		o += g->value.len;
		if (g->next != NULL)
			*o++ = ',';
	}
	return (struct bytes){ out, (size_t)(o - out) };
}

/* A row of the table of fields.  False when there are too many. */
static bool
note_field(struct walk *w, uint32_t part, const struct field *f)
{
	struct mime *m = w->m;

	if (m->fields == MIME_FIELDS_ALL)
		return false;
	if (m->fields == w->field_room) {
		struct digest_field *more =
			arena_take_array(w->a, w->field_room * 2 + 48, sizeof *more);

		if (m->fields > 0)
			memcpy(more, m->field, m->fields * sizeof *more);
		m->field = more;
		w->field_room = w->field_room * 2 + 48;
	}
	m->field[m->fields++] = (struct digest_field){
		part,
		(uint16_t)f->name.len,
		(uint64_t)(f->whole.at - w->start),
		f->whole.len,
	};
	return true;
}

static void
set_first(struct bytes *to, struct bytes value)
{
	if (to->at == NULL)
		*to = value;
}

/* Read the header at p into the part; where its body begins. */
static const char *
read_header(struct walk *w, uint32_t index, const char *p)
{
	struct header         h = { .at = p, .end = w->end };
	struct mime_part     *part = &w->m->part[index];
	struct letter_reading lists = { .len = { 0 } };
	struct bytes          type = { NULL, 0 }, disposition = { NULL, 0 };
	struct field          f;
	size_t                fields = 0;

	if (w->listening > 0) {
		h.divides = divides;
		h.whom = w;
	}
	while (header_next(&h, &f)) {
		unsigned which;

		w->header_bytes += f.whole.len;
		if (++fields > MIME_FIELDS || w->header_bytes > MIME_HEADER ||
		    (part->letter != NULL && !note_field(w, index, &f))) {
			w->m->flags |= DIGEST_CUT_SHORT;
			continue;
		}
		which = field_of_name(f.name);
		switch (which) {
		case FIELD_TYPE: set_first(&type, f.value); break;
		case FIELD_ENCODING: set_first(&part->encoding, f.value); break;
		case FIELD_DISPOSITION: set_first(&disposition, f.value); break;
		case FIELD_DESCRIPTION: set_first(&part->description, f.value); break;
		case FIELD_ID: set_first(&part->id, f.value); break;
		case FIELD_MD5: set_first(&part->md5, f.value); break;
		case FIELD_LANGUAGE: set_first(&part->language, f.value); break;
		case FIELD_LOCATION: set_first(&part->location, f.value); break;
		case FIELD_RECEIVED: w->m->received += index == 0; break;
		case FIELD_TO:
		case FIELD_CC:
		case FIELD_BCC:
			if (part->letter != NULL)
				gather(w, &lists, which - FIELD_TO, f.value);
			break;
		case FIELD_OTHER: break;
		default:
			if (part->letter != NULL)
				set_first(&part->letter->field[which], f.value);
		}
	}
	for (unsigned i = 0; part->letter != NULL && i < 3; i++)
		part->letter->field[FIELD_TO + i] = gathered_text(w, &lists, i);
	part->type = (struct mime_value){ .type = { NULL, 0 } };
	if (type.at == NULL || !mime_value_parse(type, true, w->a, &part->type))
		part->type = (struct mime_value){ .type = { NULL, 0 } };
	if (disposition.at == NULL ||
	    !mime_value_parse(disposition, false, w->a, &part->disposition))
		part->disposition = (struct mime_value){ .type = { NULL, 0 } };
	return h.at;
}

/* mechanism = token, its comments left out; at NULL when there is none. */
static struct bytes
encoding_word(struct bytes value)
{
	struct bytes word;

	if (value.at == NULL)
		return value;
	skip_blanks(&value);
	word = take_token(&value);
	return word.len > 0 ? word : (struct bytes){ NULL, 0 };
}

static enum digest_encoding
encoding_named(struct bytes word)
{
	static const struct {
		const char          *name;
		enum digest_encoding is;
	} known[] = {
		{ "7bit", ENCODED_7BIT },     { "8bit", ENCODED_8BIT },
		{ "binary", ENCODED_BINARY }, { "quoted-printable", ENCODED_QP },
		{ "base64", ENCODED_BASE64 },
	};

	for (size_t i = 0; i < COUNT(known); i++)
		if (bytes_is(word, known[i].name))
			return known[i].is;
	return word.len == 0 ? ENCODED_7BIT : ENCODED_OTHER;
}

/*
 * Parts
 */

static struct mime_part *
new_part(struct walk *w, uint32_t parent, uint32_t number)
{
	struct mime      *m = w->m;
	struct mime_part *p;

	if (m->parts == w->room) {
		uint32_t          room = w->room * 2 + 4;
		struct mime_part *more = arena_take_array(w->a, room, sizeof *more);

		if (m->parts > 0)
			memcpy(more, m->part, m->parts * sizeof *more);
		m->part = more;
		w->room = room;
	}
	p = &m->part[m->parts++];
	p->range.parent = parent;
	p->range.number = number;
	return p;
}

/* rfc2045:5.2, and rfc2046:5.1.5 for the parts of a digest */
static void
default_type(struct walk *w, struct mime_part *p)
{
	const struct mime_part *parent = &w->m->part[p->range.parent];

	p->type.type = BYTES("text");
	p->type.subtype = BYTES("plain");
	if (parent != p && parent->range.kind == PART_MULTIPART &&
	    mime_type_is(parent, "multipart", "digest")) {
		p->type.type = BYTES("message");
		p->type.subtype = BYTES("rfc822");
	}
}

/* Open the part whose header begins at p; where its body begins. */
static const char *
open_part(struct walk *w, uint32_t parent, uint32_t number, const char *p)
{
	struct mime_part *part = new_part(w, parent, number);
	uint32_t          index = w->m->parts - 1;
	struct frame     *f = &w->frame[w->depth++];
	struct bytes      boundary;
	const char       *body;

	if (index == 0 || w->m->part[parent].range.kind == PART_MESSAGE)
		part->letter = arena_take(w->a, sizeof *part->letter);
	body = read_header(w, index, p);
	if (part->type.type.at == NULL)
		default_type(w, part);
	part->range.header_at = (uint64_t)(p - w->start);
	part->range.header_len = (uint64_t)(body - p);
	part->range.body_at = (uint64_t)(body - w->start);
	part->encoding = encoding_word(part->encoding);
	part->range.encoding = (uint8_t)encoding_named(part->encoding);
	*f = (struct frame){ .part = index, .lines = lines_before(w, body) };

	if (bytes_is(part->type.type, "multipart"))
		part->range.kind = PART_MULTIPART;
	else if (mime_type_is(part, "message", "rfc822") || mime_type_is(part, "message", "global"))
		part->range.kind = PART_MESSAGE;
	if (part->range.kind != PART_LEAF && (w->depth >= MIME_NEST || w->m->parts >= MIME_PARTS)) {
		part->range.kind = PART_LEAF;
		part->opaque = true;
		w->m->flags |= DIGEST_CUT_SHORT;
	}
	if (part->range.kind == PART_MULTIPART) {
		boundary = bytes_trim(mime_parameter_of(&part->type, "boundary"));
		if (boundary.len > MIME_BOUNDARY)
			w->m->flags |= DIGEST_CUT_SHORT;
		else if (boundary.len > 0)
			listen_for(w, boundary);
	}
	return body;
}

/* A multipart in which nothing was found has one part, all of it, so that it
   can be read and its structure be told (rfc9051 wants at least one). */
static void
only_child(struct walk *w, uint32_t parent)
{
	struct mime_part       *child = new_part(w, parent, 1);
	const struct mime_part *whole = &w->m->part[parent];

	child->type.type = BYTES("text");
	child->type.subtype = BYTES("plain");
	child->range.header_at = child->range.body_at = whole->range.body_at;
	child->range.body_len = whole->range.body_len;
	child->range.lines = whole->range.lines;
}

/* Close what is open above `depth`; their bodies end at p. */
static void
close_parts(struct walk *w, unsigned depth, const char *p)
{
	uint64_t lines = lines_before(w, p);

	while (w->depth > depth) {
		struct frame     *f = &w->frame[--w->depth];
		struct mime_part *part = &w->m->part[f->part];

		part->range.body_len = (uint64_t)(p - w->start) - part->range.body_at;
		part->range.lines = (uint32_t)(lines - f->lines);
		listen_no_more(w, f);
		if (part->range.kind == PART_MULTIPART && f->children == 0)
			only_child(w, f->part);
	}
}

/* Where the body of the innermost part ends when a dividing line begins at p:
   the line end before it is the boundary's, rfc2046:5.1.1. */
static const char *
body_end(const struct walk *w, const char *p)
{
	const struct frame *f = &w->frame[w->depth - 1];
	const char         *body = w->start + w->m->part[f->part].range.body_at;

	if (p > body && p[-1] == '\n')
		p--;
	if (p > body && p[-1] == '\r')
		p--;
	return p;
}

static void
walk_content(struct walk *w)
{
	const char *p = open_part(w, 0, 0, w->start);

	for (;;) {
		struct frame *f = &w->frame[w->depth - 1], *whose = NULL;
		const char   *line, *after;
		uint32_t      part = f->part;

		if (w->m->part[part].range.kind == PART_MESSAGE && f->children == 0) {
			f->children = 1;
			p = open_part(w, part, 1, p);
			continue;
		}
		line = next_division(w, p, &whose);
		if (line == NULL)
			break;
		p = line_end(line, w->end);
		after = line + 2 + whose->boundary.len;
		if (w->end - after >= 2 && after[0] == '-' && after[1] == '-') {
			close_parts(w, (unsigned)(whose - w->frame) + 1, body_end(w, line));
			listen_no_more(w, whose);
		} else if (w->m->parts == MIME_PARTS) {
			w->m->flags |= DIGEST_CUT_SHORT;
		} else {
			close_parts(w, (unsigned)(whose - w->frame) + 1, body_end(w, line));
			part = whose->part;
			p = open_part(w, part, ++whose->children, p);
		}
	}
	close_parts(w, 0, w->end);
}

struct mime *
mime_parse(struct bytes content, struct arena *a)
{
	struct walk *w = arena_take(a, sizeof *w);
	struct mime *m = arena_take(a, sizeof *m);
	uint32_t     in_header = 0;

	if (content.at == NULL)
		content = BYTES("");
	m->content = content;
	w->m = m;
	w->a = a;
	w->start = w->counted = content.at;
	w->end = content.at + content.len;
	walk_content(w);
	survey(content.at, content.at + m->part[0].range.header_len, &in_header);
	if (in_header & DIGEST_8BIT)
		m->flags |= DIGEST_8BIT_HEADER;
	return m;
}
