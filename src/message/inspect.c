#include "message/inspect.h"

#include <string.h>

#include "message/header.h"
#include "message/mime.h"

enum domain { DOMAIN_7BIT, DOMAIN_8BIT, DOMAIN_CODED };

void
inspect_of(struct inspect *i, struct bytes content, const struct inspect_rules *rules,
           struct arena *scratch)
{
	*i = (struct inspect){ .content = content,
		               .rules = *rules,
		               .scratch = arena_open(scratch),
		               .room = INSPECTED_HEADER,
		               .next_room = INSPECTED_LINE };
}

void
inspect_end(struct inspect *i)
{
	buffer_free(&i->text);
	arena_close(&i->scratch);
}

static struct bytes
rest_of(const struct inspect *i)
{
	return bytes_cut(i->content, i->at, i->content.len);
}

static bool
has_8bit(struct bytes b)
{
	for (size_t n = 0; n < b.len; n++)
		if ((unsigned char)b.at[n] >= 0x80)
			return true;
	return false;
}

static bool
fault(struct inspect *i, enum inspect_fault which, struct bytes text, struct inspected *out)
{
	if (i->faulted[which])
		return false;
	i->faulted[which] = true;
	*out = (struct inspected){
		.what = INSPECTED_FAULT, .fault = which, .at = i->at, .text = text
	};
	return true;
}

/* ---- headers ---------------------------------------------------------------------- */

/* Before the first field of a header of this kind; what follows it is text if nothing in it says otherwise. */
static void
enter(struct inspect *i, enum inspected_what room, bool letter_follows)
{
	i->room = (uint8_t)room;
	i->next_room = letter_follows ? INSPECTED_NESTED : INSPECTED_LINE;
	i->domain = DOMAIN_7BIT;
	i->composite = false;
	i->encoding = BYTES("");
}

static bool
is_nested_type(const struct mime_value *v)
{
	return bytes_is(v->type, "message") &&
	       (bytes_is(v->subtype, "rfc822") || bytes_is(v->subtype, "global"));
}

/* False: too deep. */
static bool
hear_type(struct inspect *i, struct bytes value)
{
	struct mime_value v;
	struct bytes      word;

	i->next_room = INSPECTED_LINE;
	i->composite = false;
	if (!mime_value_parse(value, true, i->scratch, &v))
		return true;
	if (is_nested_type(&v))
		i->next_room = INSPECTED_NESTED;
	i->composite = bytes_is(v.type, "multipart") ||
	               (bytes_is(v.type, "message") && !bytes_is(v.subtype, "global"));
	if (!bytes_is(v.type, "multipart"))
		return true;
	word = mime_parameter_of(&v, "boundary");
	if (word.len == 0)
		return true;
	if (i->boundaries >= INSPECT_NEST || i->boundaries > i->rules.nest_most + 1)
		return false;
	i->boundary[i->boundaries].word =
		arena_keep(i->scratch, bytes_cut(word, 0,
	                                         i->rules.boundary_most > 0 ? i->rules.boundary_most
	                                                                    : SIZE_MAX));
	i->boundary[i->boundaries++].digest = bytes_is(v.subtype, "digest");
	return true;
}

static void
hear_encoding(struct inspect *i, struct bytes value)
{
	struct bytes word = mime_token_of(value);

	i->encoding = arena_keep(i->scratch, word);
	i->domain = bytes_is(word, "8bit") || bytes_is(word, "binary")               ? DOMAIN_8BIT
	            : bytes_is(word, "base64") || bytes_is(word, "quoted-printable") ? DOMAIN_CODED
	                                                                             : DOMAIN_7BIT;
}

/* Those that tell what a body is are looked for among those of parts. */
static bool
tells_of_body(struct bytes name)
{
	static const char *const names[] = {
		"MIME-Version", "Content-Type",        "Content-Transfer-Encoding",
		"Content-ID",   "Content-Description", "Content-Disposition"
	};

	for (size_t n = 0; n < COUNT(names); n++)
		if (bytes_is(name, names[n]))
			return true;
	return false;
}

static size_t
field_len(struct bytes rest)
{
	const char *end = rest.at + rest.len, *p = line_end(rest.at, end);

	while (p < end && (*p == ' ' || *p == '\t'))
		p = line_end(p, end);
	return (size_t)(p - rest.at);
}

/* What stands behind a NUL is seen by no pattern. */
static struct bytes
up_to_nul(struct bytes text)
{
	ptrdiff_t nul = bytes_find(text, '\0');

	return nul < 0 ? text : bytes_cut(text, 0, (size_t)nul);
}

/* The field as patterns see it: folds are LF, no blanks before the colon. */
static struct bytes
field_text(struct inspect *i, struct bytes field, size_t name, size_t colon)
{
	buffer_reset(&i->text);
	buffer_add(&i->text, bytes_cut(field, 0, name));
	field = line_unended(bytes_cut(field, colon, field.len));
	while (field.len > 0) {
		size_t n = (size_t)(line_end(field.at, field.at + field.len) - field.at);

		buffer_add(&i->text, line_unended(bytes_cut(field, 0, n)));
		if (n < field.len || field.at[n - 1] == '\n')
			buffer_add_char(&i->text, '\n');
		field = bytes_cut(field, n, field.len);
	}
	return up_to_nul(buffer_bytes(&i->text));
}

static bool
next_field(struct inspect *i, size_t name, size_t colon, struct inspected *out)
{
	struct bytes rest = rest_of(i), field = bytes_cut(rest, 0, field_len(rest));
	struct bytes value = bytes_cut(field, colon + 1, field.len);
	bool         mime = !i->rules.no_mime && tells_of_body(bytes_cut(field, 0, name));

	*out = (struct inspected){ .what = mime ? INSPECTED_MIME : (enum inspected_what)i->room,
		                   .at = i->at,
		                   .len = field.len,
		                   .text = field_text(i, field, name, colon) };
	if (i->rules.no_8bit_header && has_8bit(field) &&
	    fault(i, FAULT_8BIT_HEADER, out->text, out))
		return true;
	if (mime && bytes_is(bytes_cut(field, 0, name), "Content-Type") && !hear_type(i, value) &&
	    fault(i, FAULT_NESTING, out->text, out))
		return true;
	if (mime && bytes_is(bytes_cut(field, 0, name), "Content-Transfer-Encoding"))
		hear_encoding(i, value);
	i->at += field.len;
	return true;
}

/* The header is over: with an empty line, or with a line that is no field.  False: nothing to be told of. */
static bool
header_over(struct inspect *i, size_t empty, struct inspected *out)
{
	if (!i->rules.no_mime && i->rules.strict_encoding && i->composite &&
	    i->domain == DOMAIN_CODED && fault(i, FAULT_ENCODING, i->encoding, out))
		return true;
	i->at += empty;
	i->text_at = 0;
	if (empty > 0 && i->next_room == INSPECTED_NESTED && !i->rules.no_mime)
		enter(i, INSPECTED_NESTED, false);
	else
		i->room = INSPECTED_LINE;
	return false;
}

/* ---- text ------------------------------------------------------------------------- */

/* A line that begins with a boundary ends the parts within, and begins another or what stands behind the last. */
static void
divide(struct inspect *i, struct bytes line)
{
	if (line.len < 2 || line.at[0] != '-' || line.at[1] != '-')
		return;
	line = bytes_cut(line, 2, line.len);
	for (unsigned n = i->boundaries; n > 0; n--) {
		struct inspect_boundary *b = &i->boundary[n - 1];

		if (!bytes_starts(line, b->word))
			continue;
		i->boundaries = n;
		if (bytes_starts(bytes_cut(line, b->word.len, line.len), BYTES("--"))) {
			i->boundaries--;
			i->text_at = 0;
		} else
			enter(i, INSPECTED_MIME, b->digest);
		return;
	}
}

static bool
next_line(struct inspect *i, struct inspected *out)
{
	struct bytes rest = rest_of(i), whole, line;
	size_t       most = i->rules.line_most;

	whole = bytes_cut(rest, 0, (size_t)(line_end(rest.at, rest.at + rest.len) - rest.at));
	line = line_unended(whole);
	if (i->rules.no_8bit_body && i->domain == DOMAIN_7BIT && has_8bit(line) &&
	    fault(i, FAULT_8BIT_BODY, line, out))
		return true;
	*out = (struct inspected){
		.what = INSPECTED_LINE, .at = i->at, .len = whole.len, .from = i->text_at
	};
	if (most > 0 && line.len > most) {
		line = bytes_cut(line, 0, most);
		out->len = most;
		out->piece = true;
	}
	out->text = up_to_nul(line);
	i->text_at += line.len + 1;
	if (!i->inside_line && !i->rules.no_mime)
		divide(i, line);
	i->inside_line = out->piece;
	i->at += out->len;
	return true;
}

bool
inspect_next(struct inspect *i, struct inspected *out)
{
	while (i->at < i->content.len) {
		struct bytes rest = rest_of(i);
		const char  *colon, *end = rest.at + rest.len;
		size_t       empty = line_empty(rest.at, end), name;

		if (i->room == INSPECTED_LINE)
			return next_line(i, out);
		name = empty > 0 ? 0 : field_name(rest.at, end, &colon);
		if (name > 0)
			return next_field(i, name, (size_t)(colon - rest.at), out);
		if (header_over(i, empty, out))
			return true;
	}
	return false;
}
