#include "message/notice-template.h"

#include "message/charset.h"
#include "message/encoding.h"

const char *const template_names[TEMPLATE_KINDS] = { "failure", "delay", "success", "verify" };

struct reading {
	struct bytes             rest;
	const char              *name;
	unsigned                 line;
	struct arena            *arena;
	struct notice_templates *out;
	struct buffer           *errors;
	bool                     good;
};

static void
complain(struct reading *r, const char *what, struct bytes about)
{
	buffer_printf(r->errors, "%s:%u: %s%s%.*s%s\n", r->name, r->line, what,
	              about.len > 0 ? ": \"" : "", (int)(about.len > 80 ? 80 : about.len),
	              about.len > 0 ? about.at : "", about.len > 0 ? "\"" : "");
	r->good = false;
}

static bool
next_line(struct reading *r, struct bytes *line)
{
	if (!bytes_split(&r->rest, '\n', line))
		return false;
	r->line++;
	if (line->len > 0 && line->at[line->len - 1] == '\r')
		line->len--;
	return true;
}

/* "failure_template.zh" */
static bool
read_name(struct bytes name, struct notice_template *t)
{
	static const struct bytes behind = { "_template", 9 };
	ptrdiff_t                 dot = bytes_find(name, '.');
	struct bytes              word = dot < 0 ? name : bytes_cut(name, 0, (size_t)dot);

	t->language = dot < 0 ? BYTES("") : bytes_cut(name, (size_t)dot + 1, SIZE_MAX);
	if ((dot >= 0 && t->language.len == 0) || !bytes_ends_nocase(word, behind))
		return false;
	word.len -= behind.len;
	for (size_t i = 0; i < TEMPLATE_KINDS; i++)
		if (bytes_is(word, template_names[i])) {
			t->kind = (enum template_kind)i;
			return true;
		}
	return false;
}

/* name "=" "<<" WORD */
static bool
read_begin(struct bytes line, struct notice_template *t, struct bytes *end)
{
	ptrdiff_t    equals = bytes_find(line, '=');
	struct bytes value;

	if (equals < 0 || !read_name(bytes_trim(bytes_cut(line, 0, (size_t)equals)), t))
		return false;
	value = bytes_trim(bytes_cut(line, (size_t)equals + 1, SIZE_MAX));
	if (!bytes_starts(value, BYTES("<<")))
		return false;
	*end = bytes_trim(bytes_cut(value, 2, SIZE_MAX));
	return end->len > 0 && bytes_find(*end, ' ') < 0;
}

static bool
is_header(struct bytes line, struct bytes *name, struct bytes *value)
{
	ptrdiff_t colon = bytes_find(line, ':');

	if (colon <= 0)
		return false;
	*name = bytes_cut(line, 0, (size_t)colon);
	*value = bytes_trim(bytes_cut(line, (size_t)colon + 1, SIZE_MAX));
	for (size_t i = 0; i < name->len; i++)
		if (name->at[i] <= ' ' || name->at[i] >= 0x7f)
			return false;
	return true;
}

static void
take_header(struct reading *r, struct notice_template *t, struct bytes *charset, struct bytes name,
            struct bytes value)
{
	const struct {
		const char   *name;
		struct bytes *to;
	} known[] = { { "Charset", charset },
		      { "From", &t->from },
		      { "Subject", &t->subject },
		      { "Postmaster-Subject", &t->postmaster_subject } };

	for (size_t i = 0; i < COUNT(known); i++) {
		if (!bytes_is(name, known[i].name))
			continue;
		for (size_t k = 0; k < value.len; k++)
			if ((unsigned char)value.at[k] < ' ' ||
			    (unsigned char)value.at[k] >= 0x7f) {
				complain(r, "a header of a template is of ASCII characters alone",
				         name);
				return;
			}
		*known[i].to = arena_keep(r->arena, value);
		return;
	}
	complain(r, "there are Charset, From, Subject and Postmaster-Subject in a template", name);
}

/* The lines up to the word that ends them; false: it does not come. */
static bool
read_body(struct reading *r, struct notice_template *t, struct bytes end)
{
	struct bytes  line, name, value, charset = BYTES("us-ascii");
	struct buffer text = { 0 }, utf8 = { 0 };
	bool          headers = true, ended = false;

	while (!ended && next_line(r, &line)) {
		ended = bytes_equal(line, end);
		if (ended)
			break;
		if (headers && is_header(line, &name, &value)) {
			take_header(r, t, &charset, name, value);
			continue;
		}
		if (headers && bytes_trim(line).len == 0) {
			headers = false;
			continue;
		}
		headers = false;
		buffer_add(&text, line);
		buffer_add_string(&text, "\r\n");
	}
	if (!bytes_are_ascii(buffer_bytes(&text)) && bytes_is(charset, "us-ascii") &&
	    !utf8_valid(buffer_bytes(&text)))
		complain(r, "the text is neither ASCII nor UTF-8; say its charset in Charset:",
		         BYTES(""));
	if (!bytes_is(charset, "us-ascii") && !charset_known(charset))
		complain(r, "this charset is not known", charset);
	charset_to_utf8(bytes_is(charset, "us-ascii") ? BYTES("utf-8") : charset,
	                buffer_bytes(&text), 3 * TEMPLATE_TEXT_MOST, &utf8);
	t->text = arena_keep(r->arena, buffer_bytes(&utf8));
	buffer_free(&text);
	buffer_free(&utf8);
	return ended;
}

/* The last one of a name is what counts. */
static void
keep(struct reading *r, const struct notice_template *t)
{
	struct notice_templates *all = r->out;

	for (size_t i = 0; i < all->count; i++)
		if (all->one[i].kind == t->kind &&
		    bytes_equal_nocase(all->one[i].language, t->language)) {
			all->one[i] = *t;
			return;
		}
	if (all->count < TEMPLATES_MOST)
		all->one[all->count++] = *t;
	else
		complain(r, "these are too many templates", BYTES(""));
}

bool
templates_read(struct bytes file, const char *name, struct arena *a, struct notice_templates *out,
               struct buffer *errors)
{
	struct reading r = {
		.rest = file, .name = name, .arena = a, .out = out, .errors = errors, .good = true
	};
	struct bytes line;

	out->count = 0;
	if (file.len > TEMPLATE_TEXT_MOST) {
		complain(&r, "the file is too long", BYTES(""));
		return false;
	}
	while (next_line(&r, &line)) {
		struct notice_template t = { .from = BYTES("") };
		struct bytes           end;

		line = bytes_trim(line);
		if (line.len == 0 || line.at[0] == '#')
			continue;
		if (!read_begin(line, &t, &end)) {
			complain(&r, "write failure_template = <<EOF, or delay_, success_, verify_",
			         line);
			continue;
		}
		t.language = arena_keep(a, t.language);
		if (read_body(&r, &t, end))
			keep(&r, &t);
		else
			complain(&r, "the word that ends the template is missing", end);
	}
	return r.good;
}

const struct notice_template *
templates_find(const struct notice_templates *all, enum template_kind kind, const char *language)
{
	const struct notice_template *any = NULL;

	for (size_t i = 0; i < all->count; i++) {
		const struct notice_template *t = &all->one[i];

		if (t->kind != kind)
			continue;
		if (bytes_is(t->language, language))
			return t;
		if (t->language.len == 0)
			any = t;
	}
	return any;
}
