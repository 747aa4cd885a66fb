#include "message/bodystructure.h"

#include "message/nstring.h"

struct writer {
	const struct mime  *m;
	const struct bytes *envelope;
	bool                extended;
	struct arena       *scratch;
	struct buffer      *out;
};

static void
text_write(struct writer *w, struct bytes value)
{
	if (value.at != NULL)
		value = field_unfold(w->scratch, value);
	buffer_add_char(w->out, ' ');
	nstring_write(value, w->out);
}

static void
number_write(struct writer *w, uint64_t n)
{
	buffer_add_char(w->out, ' ');
	buffer_add_number(w->out, n);
}

/* body-fld-param = "(" string SP string *(SP string SP string) ")" / nil
   Text without a charset is of us-ascii, rfc2046:4.1.2. */
static void
parameters_write(struct writer *w, const struct mime_value *v, bool text)
{
	bool charset = !text || mime_parameter_of(v, "charset").at != NULL;
	char before = '(';

	buffer_add_char(w->out, ' ');
	if (v->parameters == 0 && charset) {
		buffer_add(w->out, BYTES("NIL"));
		return;
	}
	for (size_t i = 0; i < v->parameters; i++) {
		buffer_add_char(w->out, before);
		before = ' ';
		nstring_write(v->parameter[i].name, w->out);
		buffer_add_char(w->out, ' ');
		nstring_write(v->parameter[i].value, w->out);
	}
	if (!charset) {
		buffer_add_char(w->out, before);
		buffer_add(w->out, BYTES("\"charset\" \"us-ascii\""));
	}
	buffer_add_char(w->out, ')');
}

/* body-fld-dsp = "(" string SP body-fld-param ")" / nil */
static void
disposition_write(struct writer *w, const struct mime_part *p)
{
	if (p->disposition.type.at == NULL) {
		buffer_add(w->out, BYTES(" NIL"));
		return;
	}
	buffer_add(w->out, BYTES(" ("));
	nstring_write(p->disposition.type, w->out);
	parameters_write(w, &p->disposition, false);
	buffer_add_char(w->out, ')');
}

/* A language tag off the front of *rest, blanks and comments left out. */
static bool
next_language(struct bytes *rest, struct bytes *tag)
{
	while (bytes_split(rest, ',', tag)) {
		ptrdiff_t comment = bytes_find(*tag, '(');

		*tag = bytes_trim(comment < 0 ? *tag : bytes_cut(*tag, 0, (size_t)comment));
		if (tag->len > 0)
			return true;
	}
	return false;
}

/* body-fld-lang = nstring / "(" string *(SP string) ")"; rfc3282 */
static void
language_write(struct writer *w, struct bytes value)
{
	struct bytes rest = value, tag, more;

	buffer_add_char(w->out, ' ');
	if (!next_language(&rest, &tag)) {
		buffer_add(w->out, BYTES("NIL"));
		return;
	}
	if (!next_language(&rest, &more)) {
		nstring_write(tag, w->out);
		return;
	}
	buffer_add_char(w->out, '(');
	nstring_write(tag, w->out);
	do {
		buffer_add_char(w->out, ' ');
		nstring_write(more, w->out);
	} while (next_language(&rest, &more));
	buffer_add_char(w->out, ')');
}

/* What body-ext-1part and body-ext-mpart have in common at their ends:
   [SP body-fld-dsp [SP body-fld-lang [SP body-fld-loc ...]]] */
static void
extension_write(struct writer *w, const struct mime_part *p)
{
	disposition_write(w, p);
	language_write(w, p->language);
	text_write(w, p->location);
}

/* body-fields = body-fld-param SP body-fld-id SP body-fld-desc SP body-fld-enc
                 SP body-fld-octets */
static void
fields_write(struct writer *w, const struct mime_part *p)
{
	parameters_write(w, &p->type, mime_type_is(p, "text", NULL));
	text_write(w, p->id);
	text_write(w, p->description);
	buffer_add_char(w->out, ' ');
	nstring_write(p->encoding.at != NULL ? p->encoding : BYTES("7bit"), w->out);
	number_write(w, p->range.body_len);
}

/* All of a leaf; of a message what stands before its inner body; of a
   multipart the parenthesis. */
static void
part_open(struct writer *w, uint32_t index)
{
	const struct mime_part        *p = &w->m->part[index];
	static const struct mime_value opaque = {
		.type = { "application", 11 },
		.subtype = { "octet-stream", 12 },
	};
	struct mime_part shown;

	buffer_add_char(w->out, '(');
	if (p->range.kind == PART_MULTIPART)
		return;
	if (p->opaque) {
		shown = *p;
		shown.type = opaque;
		p = &shown;
	}
	nstring_write(p->type.type, w->out);
	buffer_add_char(w->out, ' ');
	nstring_write(p->type.subtype, w->out);
	fields_write(w, p);
	if (p->range.kind == PART_MESSAGE) {
		buffer_add_char(w->out, ' ');
		buffer_add(w->out, w->envelope[index + 1]);
		buffer_add_char(w->out, ' ');
		return;
	}
	if (mime_type_is(p, "text", NULL))
		number_write(w, p->range.lines);
	if (w->extended) {
		text_write(w, p->md5);
		extension_write(w, p);
	}
	buffer_add_char(w->out, ')');
}

/* What follows the parts inside. */
static void
part_close(struct writer *w, uint32_t index)
{
	const struct mime_part *p = &w->m->part[index];

	if (p->range.kind == PART_MESSAGE) {
		number_write(w, p->range.lines);
		if (w->extended) {
			text_write(w, p->md5);
			extension_write(w, p);
		}
	} else {
		buffer_add_char(w->out, ' ');
		nstring_write(p->type.subtype, w->out);
		if (w->extended) {
			parameters_write(w, &p->type, false);
			extension_write(w, p);
		}
	}
	buffer_add_char(w->out, ')');
}

/* The parts are in the order of the letter, so a stack of the open ones is all
   that is needed. */
void
bodystructure_write(const struct mime *m, const struct bytes *envelope, bool extended,
                    struct arena *scratch, struct buffer *out)
{
	struct writer w = { m, envelope, extended, scratch, out };
	uint32_t      open[MIME_NEST + 1];
	size_t        depth = 0;

	for (uint32_t i = 0; i < m->parts; i++) {
		while (depth > 0 && open[depth - 1] != m->part[i].range.parent)
			part_close(&w, open[--depth]);
		part_open(&w, i);
		if (m->part[i].range.kind != PART_LEAF)
			open[depth++] = i;
	}
	while (depth > 0)
		part_close(&w, open[--depth]);
}
