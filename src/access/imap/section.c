#include "access/imap/section.h"

#include <string.h>

#include "access/imap/grammar.h"
#include "access/imap/write.h"

/* clang-format off */
static const struct { const char *word; enum section_what what; } texts[] = {
	{ "HEADER.FIELDS.NOT", SECTION_FIELDS_NOT },
	{ "HEADER.FIELDS",     SECTION_FIELDS     },
	{ "HEADER",            SECTION_HEADER     },
	{ "TEXT",              SECTION_TEXT       },
	{ "MIME",              SECTION_MIME       },
};
/* clang-format on */

/* header-list = "(" header-fld-name *(SP header-fld-name) ")" */
static void
read_fields(struct scan *r, struct arena *arena, struct section *s)
{
	read_space(r);
	scan_expect(r, "(");
	s->field = arena_take_array(arena, SECTION_FIELDS_MOST, sizeof *s->field);
	do
		s->field[s->fields++] = read_astring(r, arena);
	while (s->fields < SECTION_FIELDS_MOST && scan_ok(r) && scan_skip(r, ' '));
	if (s->fields == SECTION_FIELDS_MOST && scan_next_is(r, ' '))
		scan_fail(r, "fewer field names");
	scan_expect(r, ")");
}

/* section-text = section-msgtext / "MIME"; MIME only behind numbers */
static void
read_text(struct scan *r, struct arena *arena, struct section *s)
{
	for (size_t i = 0; i < COUNT(texts); i++) {
		if (!scan_skip_word(r, texts[i].word))
			continue;
		s->what = texts[i].what;
		if (s->what == SECTION_MIME && s->depth == 0)
			scan_fail(r, "a part number before MIME");
		if (s->what == SECTION_FIELDS || s->what == SECTION_FIELDS_NOT)
			read_fields(r, arena, s);
		return;
	}
	scan_fail(r, "a section");
}

/* partial = "<" number "." nz-number ">" */
static void
read_partial(struct scan *r, struct section *s)
{
	if (!scan_skip(r, '<'))
		return;
	s->partial = true;
	s->from = scan_number(r, INT64_MAX);
	scan_expect(r, ".");
	s->most = scan_number(r, INT64_MAX);
	if (scan_ok(r) && s->most == 0)
		scan_fail(r, "a length above 0");
	scan_expect(r, ">");
}

/* section-spec = section-msgtext / (section-part ["." section-text]) */
void
section_read(struct scan *r, struct arena *arena, struct section *s)
{
	bool more = !scan_next_is(r, ']');

	while (more && r->rest.len > 0 && r->rest.at[0] >= '0' && r->rest.at[0] <= '9') {
		if (s->depth == SECTION_DEPTH_MOST)
			scan_fail(r, "fewer part numbers");
		if (!scan_ok(r))
			return;
		s->path[s->depth++] = read_nz_number(r);
		more = scan_skip(r, '.');
	}
	if (more)
		read_text(r, arena, s);
	scan_expect(r, "]");
	read_partial(r, s);
}

void
section_write(struct buffer *out, const struct section *s)
{
	const char *word = NULL;

	buffer_add_char(out, '[');
	for (size_t i = 0; i < s->depth; i++)
		buffer_printf(out, "%s%u", i > 0 ? "." : "", s->path[i]);
	for (size_t i = 0; i < COUNT(texts); i++)
		if (texts[i].what == s->what)
			word = texts[i].word;
	if (word != NULL)
		buffer_printf(out, "%s%s", s->depth > 0 ? "." : "", word);
	if (s->fields > 0) {
		for (size_t i = 0; i < s->fields; i++) {
			buffer_add_string(out, i == 0 ? " (" : " ");
			write_astring(out, s->field[i]);
		}
		buffer_add_char(out, ')');
	}
	buffer_add_char(out, ']');
	if (s->partial)
		buffer_printf(out, "<%llu>", (unsigned long long)s->from);
}

struct bytes
section_label(const char *word, const struct section *s, struct arena *arena)
{
	struct buffer out = { 0 };
	struct bytes  label;

	buffer_add_string(&out, word);
	section_write(&out, s);
	buffer_add_char(&out, ' ');
	label = arena_keep(arena, buffer_bytes(&out));
	buffer_free(&out);
	return label;
}

/* The letter inside a message/rfc822 part; -1: it is none. */
static int64_t
letter_in(const struct digest *d, uint32_t part)
{
	if (digest_part_at(d, part).kind != PART_MESSAGE)
		return -1;
	return digest_child(d, part, 1);
}

/* Part number n of a letter: a child of its multipart, or its only body. */
static int64_t
part_of_letter(const struct digest *d, uint32_t letter, uint32_t n)
{
	if (digest_part_at(d, letter).kind == PART_MULTIPART)
		return digest_child(d, letter, n);
	return n == 1 ? (int64_t)letter : -1;
}

/* rfc3501:6.4.5: numbers go into multiparts, and into the letters that
   message/rfc822 parts hold. */
static int64_t
walk(const struct section *s, const struct digest *d)
{
	int64_t part = part_of_letter(d, 0, s->path[0]);

	for (size_t i = 1; part >= 0 && i < s->depth; i++) {
		if (digest_part_at(d, (uint32_t)part).kind == PART_MULTIPART) {
			part = digest_child(d, (uint32_t)part, s->path[i]);
			continue;
		}
		part = letter_in(d, (uint32_t)part);
		if (part >= 0)
			part = part_of_letter(d, (uint32_t)part, s->path[i]);
	}
	return part;
}

static bool
find_in_letter(const struct section *s, const struct digest *d, uint64_t own,
               struct section_span *out)
{
	struct digest_part whole = digest_part_at(d, 0);

	switch (s->what) {
	case SECTION_ALL: *out = (struct section_span){ 0, own + d->content_size, 0 }; return true;
	case SECTION_TEXT:
		*out = (struct section_span){ own + whole.body_at, whole.body_len, 0 };
		return true;
	default: *out = (struct section_span){ 0, own + whole.header_len, 0 }; return true;
	}
}

bool
section_find(const struct section *s, const struct digest *d, uint64_t own,
             struct section_span *out)
{
	struct digest_part p;
	int64_t            part;

	if (s->depth == 0)
		return find_in_letter(s, d, own, out);
	part = walk(s, d);
	/* HEADER and TEXT behind numbers are those of a letter inside. */
	if (part >= 0 && s->what != SECTION_ALL && s->what != SECTION_MIME)
		part = letter_in(d, (uint32_t)part);
	if (part < 0)
		return false;
	p = digest_part_at(d, (uint32_t)part);
	out->part = (uint32_t)part;
	if (s->what == SECTION_ALL || s->what == SECTION_TEXT) {
		out->at = own + p.body_at;
		out->len = p.body_len;
	} else {
		out->at = own + p.header_at;
		out->len = p.header_len;
	}
	return true;
}

/* ---- what BODYSTRUCTURE says of a part ---- */

/* Behind a literal that begins here; behind all of it when it says to be longer. */
static size_t
literal_end(struct bytes t, size_t at)
{
	struct scan r = scan_of(bytes_cut(t, at, t.len));
	uint64_t    len;

	scan_expect(&r, "{");
	len = scan_number(&r, UINT32_MAX);
	scan_expect(&r, "}\r\n");
	return scan_ok(&r) && len <= r.rest.len ? t.len - r.rest.len + (size_t)len : t.len;
}

/* Behind the string, number, NIL or list that begins here. */
static size_t
element_end(struct bytes t, size_t at)
{
	size_t depth = 0;

	do {
		char c = at < t.len ? t.at[at] : '\0';
		if (c == '(' || c == ')' || c == ' ') {
			depth += c == '(';
			depth -= c == ')' && depth > 0;
			at++;
		} else if (c == '{')
			at = literal_end(t, at);
		else if (c == '"') {
			for (at++; at < t.len && t.at[at] != '"'; at++)
				at += t.at[at] == '\\';
			at++;
		} else
			while (at < t.len && memchr(" ()", t.at[at], 3) == NULL)
				at++;
	} while (depth > 0 && at < t.len);
	return at < t.len ? at : t.len;
}

/* The list that is element n, from 0, of this list; a multipart's parts have no blanks between them. */
static struct bytes
element(struct bytes t, uint32_t n)
{
	size_t at = 1, end;

	while (n-- > 0 && at < t.len) {
		at = element_end(t, at);
		at += at < t.len && t.at[at] == ' ';
	}
	if (at >= t.len || t.at[at] != '(')
		return (struct bytes){ 0 };
	end = element_end(t, at);
	return bytes_cut(t, at, end - at);
}

/* body-type-msg = media-message SP body-fields SP envelope SP body ...: it is the ninth. */
enum { BODY_OF_MESSAGE = 8 };

struct bytes
section_structure(const struct section *s, const struct digest *d, struct bytes text)
{
	int64_t part = 0;
	bool    whole = true; /* `part` is a letter, whose number 1 may be itself */

	for (size_t i = 0; i < s->depth && text.len > 0; i++) {
		if (!whole && digest_part_at(d, (uint32_t)part).kind != PART_MULTIPART) {
			part = letter_in(d, (uint32_t)part);
			text = element(text, BODY_OF_MESSAGE);
			whole = true;
		}
		if (part < 0)
			return (struct bytes){ 0 };
		if (digest_part_at(d, (uint32_t)part).kind == PART_MULTIPART)
			text = element(text, s->path[i] - 1);
		else if (s->path[i] != 1)
			return (struct bytes){ 0 };
		part = whole ? part_of_letter(d, (uint32_t)part, s->path[i])
		             : digest_child(d, (uint32_t)part, s->path[i]);
		whole = false;
		if (part < 0)
			return (struct bytes){ 0 };
	}
	return text;
}

static bool
is_chosen(const struct section *s, struct bytes name)
{
	for (size_t i = 0; i < s->fields; i++)
		if (bytes_equal_nocase(s->field[i], name))
			return s->what == SECTION_FIELDS;
	return s->what == SECTION_FIELDS_NOT;
}

struct bytes
section_names(const struct section *s, struct arena *arena)
{
	struct buffer out = { 0 };
	struct bytes  names;

	for (size_t i = 0; i < s->fields; i++) {
		buffer_add(&out, s->field[i]);
		buffer_add_char(&out, '\n');
	}
	names = arena_keep(arena, buffer_bytes(&out));
	buffer_free(&out);
	return names;
}

/* Head and prefix are ours: whole lines, "Name: ..." and continuations. */
void
section_own(const struct section *s, struct bytes own, struct buffer *out)
{
	bool chosen = false;

	while (own.len > 0) {
		ptrdiff_t    end = bytes_find(own, '\n');
		struct bytes line = bytes_cut(own, 0, end < 0 ? own.len : (size_t)end + 1);
		if (line.at[0] != ' ' && line.at[0] != '\t') {
			ptrdiff_t colon = bytes_find(line, ':');
			chosen = is_chosen(s, bytes_trim(bytes_cut(line, 0,
			                                           colon < 0 ? line.len
			                                                     : (size_t)colon)));
		}
		if (chosen)
			buffer_add(out, line);
		own = bytes_cut(own, line.len, own.len);
	}
}

void
section_fields(const struct section *s, const struct digest *d, uint32_t part, struct bytes own,
               struct bytes header, uint64_t header_at, struct buffer *out)
{
	section_own(s, own, out);
	for (uint32_t i = 0; i < d->fields; i++) {
		struct digest_field f = digest_field_at(d, i);
		struct bytes        text;
		if (f.part != part || f.at < header_at)
			continue;
		text = bytes_cut(header, f.at - header_at, f.len);
		if (is_chosen(s, bytes_cut(text, 0, f.name_len)))
			buffer_add(out, text);
	}
	buffer_add(out, BYTES("\r\n"));
}
