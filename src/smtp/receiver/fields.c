#include "smtp/receiver/fields.h"

#include <string.h>

enum { NAME_MOST = 200 }; /* a longer name is no name: the body has begun */
enum kind { PLAIN, RECEIVED, DATE, MESSAGE_ID, ADDRESSES, TLS_REQUIRED, SOLICITATION };

/* clang-format off */
static const struct known {
	const char *name;
	enum kind   kind;
	unsigned    seen;
} known[] = {
	{ "Received",    RECEIVED,   0 },
	{ "Date",        DATE,       SEEN_DATE },
	{ "Message-ID",  MESSAGE_ID, SEEN_MESSAGE_ID },
	{ "From",        ADDRESSES,  SEEN_FROM },
	{ "Sender",      ADDRESSES,  0 },
	{ "Reply-To",    ADDRESSES,  0 },
	{ "To",          ADDRESSES,  SEEN_TO },
	{ "Cc",          ADDRESSES,  SEEN_TO },
	{ "Resent-From", ADDRESSES,  0 },
	{ "Resent-Sender", ADDRESSES, 0 },
	{ "Resent-Reply-To", ADDRESSES, 0 },
	{ "Resent-To",   ADDRESSES,  0 },
	{ "Resent-Cc",   ADDRESSES,  0 },
	{ "Errors-To",   ADDRESSES,  0 },
	{ "Return-Receipt-To", ADDRESSES, 0 },
	{ "Disposition-Notification-To", ADDRESSES, 0 },
	{ "Mail-Followup-To", ADDRESSES, 0 },
	{ "Apparently-To", ADDRESSES, 0 },
	{ "TLS-Required", TLS_REQUIRED, 0 },
	{ "Solicitation", SOLICITATION, 0 },
};
/* clang-format on */

/* rfc5322:2.2 field-name = 1*ftext, and rfc7103: a blank before the colon. */
static bool
name_of(struct bytes line, struct bytes *name)
{
	ptrdiff_t colon = bytes_find(bytes_cut(line, 0, NAME_MOST + 1), ':');

	if (colon <= 0)
		return false;
	*name = bytes_cut(line, 0, (size_t)colon);
	while (name->len > 0 && (name->at[name->len - 1] == ' ' || name->at[name->len - 1] == '\t'))
		name->len--;
	for (size_t i = 0; i < name->len; i++)
		if (name->at[i] <= ' ' || name->at[i] > '~')
			return false;
	return name->len > 0;
}

static bool
is_unwanted(const struct fields *f, struct bytes name)
{
	for (size_t i = 0; f->drop != NULL && i < f->drop->count; i++)
		if (bytes_is(name, f->drop->item[i]))
			return true;
	return false;
}

static void
begin_field(struct fields *f, struct bytes name)
{
	f->_now = PLAIN;
	f->_sees = 0;
	f->count++;
	f->_dropping = is_unwanted(f, name);
	for (size_t i = 0; !f->_dropping && i < COUNT(known); i++) {
		if (!bytes_is(name, known[i].name))
			continue;
		f->_now = known[i].kind;
		f->_sees = known[i].seen;
		break;
	}
	if (f->_now == RECEIVED)
		f->received++;
}

static struct bytes
value_of(struct bytes field)
{
	return bytes_trim(bytes_cut(field, (size_t)bytes_find(field, ':') + 1, field.len));
}

/* What stands between "<" and ">" or, failing that, the first word: for the log. */
static void
note_message_id(struct fields *f, struct bytes field)
{
	struct bytes value = value_of(field);
	ptrdiff_t    open = bytes_find(value, '<'), end;

	if (open >= 0)
		value = bytes_cut(value, (size_t)open, value.len);
	end = bytes_find(value, open >= 0 ? '>' : ' ');
	if (end >= 0)
		value.len = (size_t)end + (open >= 0 ? 1 : 0);
	if (value.len >= sizeof f->message_id)
		value.len = sizeof f->message_id - 1;
	(void)bytes_string(value, f->message_id, sizeof f->message_id);
}

/*
 * Bare names, R79: an address without a domain gets "@origin", a domain without a dot ".within".
 */
struct completion {
	const char *at, *end;
	const char *
		word_end; /* behind the last word of the address so far; NULL: it is none to complete */
	int     words, ats, local; /* words before the @ */
	bool odd, dotted;          /* the last word has a dot */
};

static bool
is_atom_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       (c != '\0' && strchr(".!#$%&'*+-/=?^_`{|}~", c) != NULL);
}

/* Behind a quoted string or a comment that begins at `at`; `end` if it has no end. */
static const char *
past_quoted(const char *at, const char *end)
{
	char close = *at == '"' ? '"' : ')';
	int  depth = 0;

	for (; at < end; at++) {
		if (*at == '\\')
			at++;
		else if (close == ')' && *at == '(')
			depth++;
		else if (*at == close && (close == '"' ? depth++ > 0 : --depth == 0))
			return at + 1;
	}
	return end;
}

/* Read up to the end of one address of the list: ',' or the end.  An address in
   angle brackets starts the count of words again: what stood before was a name. */
static void
read_address(struct completion *c)
{
	bool angle = false;

	for (; c->at < c->end && *c->at != ',' && (*c->at != ';' || angle);) {
		if (*c->at == '"' || *c->at == '(') {
			c->odd |= angle;
			c->words += *c->at == '"';
			c->at = past_quoted(c->at, c->end);
		} else if (*c->at == '<' && !angle) {
			angle = true;
			c->words = 0;
			c->word_end = NULL;
			c->at++;
		} else if (*c->at == '>' && angle) {
			while (c->at < c->end && *c->at != ',' && *c->at != ';')
				c->at++;
			return;
		} else if (is_atom_char(*c->at)) {
			for (c->dotted = false; c->at < c->end && is_atom_char(*c->at); c->at++)
				c->dotted |= *c->at == '.';
			c->word_end = c->at;
			c->words++;
		} else if (*c->at == ':' && !angle && c->ats == 0) {
			c->words = 0; /* the name of a group: its members follow */
			c->word_end = NULL;
			c->at++;
		} else {
			if (*c->at == '@') {
				c->ats++;
				c->local = c->words;
				c->word_end = NULL;
			}
			c->odd |= !strchr("@ \t\r\n", *c->at);
			c->at++;
		}
	}
}

/* What is put behind the last word of an address, and what stands between; NULL: it is whole. */
static const char *
missing(const struct fields *f, const struct completion *c, char *between)
{
	*between = c->ats == 0 ? '@' : '.';
	if (c->odd || c->word_end == NULL)
		return NULL;
	if (c->words == 1 && c->ats == 0)
		return f->origin;
	return c->words == 2 && c->ats == 1 && c->local == 1 && !c->dotted ? f->within : NULL;
}

/* Routes and everything strange are left as they are. */
static void
complete_names(struct fields *f, struct buffer *out, size_t line_at)
{
	struct bytes      field = { out->at + f->_field_at, line_at - f->_field_at };
	size_t            colon = (size_t)bytes_find(field, ':') + 1;
	struct completion c = { .at = field.at + colon, .end = field.at + field.len };
	struct buffer     whole = { 0 };
	const char       *from = field.at, *more;
	char              between;
	bool              changed = false;

	while (c.at < c.end) {
		c.words = c.ats = 0;
		c.odd = c.dotted = false;
		c.word_end = NULL;
		read_address(&c);
		more = missing(f, &c, &between);
		if (more != NULL) {
			buffer_add(&whole, (struct bytes){ from, (size_t)(c.word_end - from) });
			buffer_add_char(&whole, between);
			buffer_add_string(&whole, more);
			from = c.word_end;
			changed = true;
		}
		if (c.at < c.end)
			c.at++;
	}
	if (changed) {
		buffer_add(&whole, (struct bytes){ from, out->len - f->_field_at -
		                                                 (size_t)(from - field.at) });
		out->len = f->_field_at;
		buffer_add(out, buffer_bytes(&whole));
	}
	buffer_free(&whole);
}

/* A Date, From or Message-ID that says nothing is made anew (rfc6409:8). */
static void
take_out(struct fields *f, struct buffer *out, size_t line_at)
{
	memmove(out->at + f->_field_at, out->at + line_at, out->len - line_at);
	out->len -= line_at - f->_field_at;
}

/* All of a field is there: it ends where the next line begins. */
static void
end_field(struct fields *f, struct buffer *out, size_t line_at)
{
	struct bytes field = { out->at + f->_field_at, line_at - f->_field_at };

	if (!f->_begun || f->_dropping)
		return;
	if (f->repair && f->_sees & (SEEN_DATE | SEEN_MESSAGE_ID | SEEN_FROM) &&
	    value_of(field).len == 0) {
		take_out(f, out, line_at);
		return;
	}
	f->seen |= f->_sees;
	if (f->_now == TLS_REQUIRED)
		f->tls_optional = bytes_is(value_of(field), "No");
	if (f->_now == SOLICITATION)
		(void)bytes_string(bytes_cut(value_of(field), 0, sizeof f->solicitation - 1),
		                   f->solicitation, sizeof f->solicitation);
	if (f->_now == MESSAGE_ID && f->message_id[0] == '\0')
		note_message_id(f, field);
	if (f->_now == ADDRESSES && f->origin != NULL && !f->too_long)
		complete_names(f, out, line_at);
}

/* As Postfix cuts: line ends count once; a line that would lose nearly all goes whole (its first tenth of the limit is not
   there), and with what is behind it.  `ended`: its CRLF is there. */
static void
cut_line(struct fields *f, struct buffer *out, size_t line_at, bool ended)
{
	size_t most = (size_t)f->field_most, end = ended ? 2 : 0;
	size_t before = line_at - f->_field_at - f->_lines;
	size_t room = before < most ? most - before : 0;
	bool   gone = f->_full || (before > 0 && (room == 0 || room < most / 10));

	if (f->field_most == 0 ||
	    (!f->_full && !f->_over && before + out->len - line_at - end <= most))
		return;
	f->cut = f->_over = true;
	/* Of a line that is not there yet its blank stays, for that tells what it is. */
	if (gone)
		out->len = line_at + (ended ? 0 : 1);
	else if (out->len - line_at - end > room || ended) {
		size_t len = out->len - line_at - end;

		out->len = line_at + (len < room ? len : room);
		if (ended)
			buffer_add(out, BYTES("\r\n"));
	}
	if (ended) {
		f->_full = true;
		f->_over = false;
	}
}

/* What was cut does not count; a field that is left out does, as far as it would be kept. */
static void
check_limits(struct fields *f, struct buffer *out, size_t line_at)
{
	cut_line(f, out, line_at, true);
	if (f->section_most > 0 && out->len > f->section_most)
		f->too_long = true;
	if (!f->_dropping)
		f->_lines += out->len > line_at;
}

/* The first line that is no field: put the empty line that is missing before it. */
static void
begin_body(struct buffer *out, size_t line_at)
{
	size_t len = out->len - line_at;

	(void)buffer_room(out, 2);
	memmove(out->at + line_at + 2, out->at + line_at, len);
	memcpy(out->at + line_at, "\r\n", 2);
	buffer_took(out, 2);
}

bool
fields_line(struct fields *f, struct buffer *out, size_t line_at)
{
	struct bytes line = { out->at + line_at, out->len - line_at }, name;
	size_t       before = out->len;

	if (f->_begun && (line.at[0] == ' ' || line.at[0] == '\t')) {
		check_limits(f, out, line_at);
		if (f->_dropping)
			out->len = line_at;
		return true;
	}
	end_field(f, out, line_at);
	line_at += out->len - before; /* the field before may have grown */
	line = (struct bytes){ out->at + line_at, out->len - line_at };
	if (bytes_equal(line, BYTES("\r\n")))
		return false;
	if (!f->_begun && line.len <= NAME_MOST && bytes_starts(line, BYTES("From ")) &&
	    !name_of(line, &name)) {
		out->len = line_at; /* the envelope line of an mbox file; rfc5322:4.5.2 is none */
		return true;
	}
	if (!name_of(line, &name)) {
		begin_body(out, line_at);
		return false;
	}
	f->_begun = true;
	f->_field_at = line_at;
	f->_lines = 0;
	f->_full = false;
	begin_field(f, name);
	check_limits(f, out, line_at);
	if (f->_dropping)
		out->len = line_at;
	return true;
}

/* Half a line that is long already: it must not fill the memory. */
bool
fields_part(struct fields *f, struct buffer *out, size_t line_at)
{
	struct bytes line = { out->at + line_at, out->len - line_at }, name;
	bool         more = f->_begun && line.len > 0 && (line.at[0] == ' ' || line.at[0] == '\t');
	bool         full = f->_full;
	size_t       field_at = f->_field_at, lines = f->_lines;

	if (line.len <= NAME_MOST)
		return true;
	if (more || name_of(line, &name)) {
		/* Where fields are cut nobody knows yet what will be kept. */
		if (f->field_most == 0 && f->section_most > 0 && out->len > f->section_most)
			f->too_long = true;
		if (!more) {
			f->_field_at = line_at;
			f->_lines = 0;
			f->_full = false;
		}
		cut_line(f, out, line_at, false);
		f->_field_at = field_at;
		f->_lines = lines;
		f->_full = full;
		return true;
	}
	end_field(f, out, line_at);
	begin_body(out, out->len - line.len);
	return false;
}

void
fields_end(struct fields *f, struct buffer *out)
{
	end_field(f, out, out->len);
}
