#include "message/mime.h"

#include <string.h>

#include "message/encoding.h"

#ifdef __SSE2__
#include <emmintrin.h>
#endif

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
	size_t        header_bytes[2]; /* of lists of addresses, and of others */
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

/* What becomes part of the digest is bounded; fields we do not know by name cost nothing. */
static bool
keep_text(struct walk *w, unsigned which, size_t len)
{
	size_t *bytes = &w->header_bytes[which < FIELD_TO || which > FIELD_BCC];

	if (len > MIME_HEADER - *bytes) {
		w->m->flags |= DIGEST_CUT_SHORT;
		return false;
	}
	*bytes += len;
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
		unsigned which = field_of_name(f.name);

		if (part->letter != NULL && (++fields > MIME_FIELDS || !note_field(w, index, &f)))
			w->m->flags |= DIGEST_CUT_SHORT;
		if (index == 0 && which == FIELD_OTHER && bytes_is(f.name, "delivered-to"))
			w->m->flags |= DIGEST_DELIVERED_TO;
		if (which < FIELD_RECEIVED && !keep_text(w, which, f.whole.len))
			continue;
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
	part->encoding = mime_token_of(part->encoding);
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
