#include "message/digest.h"

#include <string.h>

#include "base/journal.h"
#include "base/pack.h"
#include "message/address.h"
#include "message/bodystructure.h"
#include "message/date.h"
#include "message/encoding.h"
#include "message/imap-envelope.h"
#include "message/mime.h"
#include "message/nstring.h"
#include "message/preview.h"
#include "message/subject.h"

/*
 * A packed digest:
 *
 *     u8 version, u32 flags, u64 content_size, i64 sent, u32 zone, u32 received,
 *     the strings in the order of struct digest,
 *     bytes of all parts, bytes of all fields
 *
 * The tables have rows of one length.  Offsets in them are of 4 bytes, or of 8
 * when the content is of 4 GiB or more.
 */

enum { ADDRESSES_MOST = 10000 };

static size_t
offset_size(uint64_t content_size)
{
	return content_size > UINT32_MAX ? 8 : 4;
}

/* u32 parent, u32 number, u32 lines, u8 kind, u8 encoding, four offsets */
static size_t
part_size(uint64_t content_size)
{
	return 14 + 4 * offset_size(content_size);
}

/* u32 part, u16 name_len, two offsets */
static size_t
field_size(uint64_t content_size)
{
	return 6 + 2 * offset_size(content_size);
}

/*
 * Making
 */

static void
store(char *at, uint64_t n, size_t bytes)
{
	for (size_t i = 0; i < bytes; i++)
		at[i] = (char)(n >> (8 * i));
}

/* Strings are written in place: their length is filled in afterwards. */
static size_t
string_begin(struct buffer *out)
{
	pack_u32(out, 0);
	return out->len;
}

static void
string_end(struct buffer *out, size_t from)
{
	store(out->at + from - 4, out->len - from, 4);
}

/* The value as UTF-8 text on one line, its own copy in the arena. */
static struct bytes
decoded(struct bytes value, struct arena *a)
{
	struct buffer text = { 0 };
	struct bytes  kept;

	if (value.len == 0)
		return BYTES("");
	value = field_unfold(a, value);
	if (bytes_find(value, '=') < 0 && bytes_find(value, '\t') < 0) {
		bool plain = true;

		for (size_t i = 0; i < value.len; i++)
			plain &= (unsigned char)(value.at[i] - ' ') <= '~' - ' ';
		if (plain)
			return value;
	}
	words_decode(value, &text);
	kept = arena_keep(a, bytes_trim(buffer_bytes(&text)));
	buffer_free(&text);
	return kept;
}

/* A line of UTF-8: no controls in it. */
static bool
is_line(struct bytes b)
{
	for (size_t i = 0; i < b.len; i++)
		if ((unsigned char)b.at[i] < ' ' || b.at[i] == 0x7f)
			return false;
	return utf8_valid(b);
}

/* The first address of From, its domain lower-cased; none if it is no line. */
static struct bytes
first_address(struct bytes from, struct arena *a)
{
	struct mailboxes r = mailboxes_of(from, a);
	struct mailbox   m;
	struct address   first;

	while (mailboxes_next(&r, &m)) {
		if (m.group_start || m.group_end || (m.local.len == 0 && m.domain.len == 0))
			continue;
		first = (struct address){ m.local, arena_lower(a, m.domain) };
		return is_line(first.local) && is_line(first.domain) ? address_text(a, &first)
		                                                     : BYTES("");
	}
	return BYTES("");
}

/* The envelope of each letter inside, by its part; all empty but those. */
static struct bytes *
envelopes_of(const struct mime *m, size_t *addresses, struct arena *a)
{
	struct bytes *envelope = arena_take_array(a, m->parts, sizeof *envelope);
	struct buffer text = { 0 };

	for (uint32_t i = 1; i < m->parts; i++) {
		if (m->part[i].letter == NULL)
			continue;
		buffer_reset(&text);
		imap_envelope_write(m->part[i].letter, addresses, a, &text);
		envelope[i] = arena_keep(a, buffer_bytes(&text));
	}
	buffer_free(&text);
	return envelope;
}

static uint32_t
flags_of(const struct mime *m)
{
	const struct mime_letter *l = m->part[0].letter;
	uint32_t                  flags = m->flags;

	for (uint32_t i = 0; i < m->parts; i++)
		if (part_is_attachment(m, i)) {
			flags |= DIGEST_ATTACHMENT;
			break;
		}
	if (l->field[FIELD_DATE].at != NULL)
		flags |= DIGEST_HAS_DATE;
	if (l->field[FIELD_MESSAGE_ID].at != NULL)
		flags |= DIGEST_HAS_MESSAGE_ID;
	if (l->field[FIELD_FROM].at != NULL)
		flags |= DIGEST_HAS_FROM;
	return flags;
}

static void
pack_parts(const struct mime *m, struct buffer *out)
{
	size_t width = offset_size(m->content.len), row = part_size(m->content.len);
	size_t from = string_begin(out);
	char  *at = buffer_room(out, m->parts * row);

	for (uint32_t i = 0; i < m->parts; i++, at += row) {
		const struct digest_part *p = &m->part[i].range;
		const uint64_t offset[4] = { p->header_at, p->header_len, p->body_at, p->body_len };

		store(at, p->parent, 4);
		store(at + 4, p->number, 4);
		store(at + 8, p->lines, 4);
		at[12] = (char)p->kind;
		at[13] = (char)p->encoding;
		for (size_t o = 0; o < 4; o++)
			store(at + 14 + o * width, offset[o], width);
	}
	buffer_took(out, m->parts * row);
	string_end(out, from);
}

static void
pack_fields(const struct mime *m, struct buffer *out)
{
	size_t width = offset_size(m->content.len), row = field_size(m->content.len);
	size_t from = string_begin(out);
	char  *at = buffer_room(out, m->fields * row);

	for (uint32_t i = 0; i < m->fields; i++, at += row) {
		const struct digest_field *f = &m->field[i];

		store(at, f->part, 4);
		store(at + 4, f->name_len, 2);
		store(at + 6, f->at, width);
		store(at + 6 + width, f->len, width);
	}
	buffer_took(out, m->fields * row);
	string_end(out, from);
}

void
digest_make(struct bytes content, struct arena *scratch, struct buffer *out)
{
	const struct mime        *m = mime_parse(content, scratch);
	const struct mime_letter *l = m->part[0].letter;
	size_t                    addresses = ADDRESSES_MOST, begin = out->len, from;
	struct bytes             *envelope, subject;
	uint32_t                  flags = flags_of(m);
	int64_t                   sent = 0;
	int32_t                   zone = 0;

	if (!date_parse(l->field[FIELD_DATE], &sent, &zone))
		sent = zone = 0;
	subject = decoded(l->field[FIELD_SUBJECT], scratch);

	pack_u8(out, DIGEST_VERSION);
	pack_u32(out, flags);
	pack_u64(out, content.len);
	pack_i64(out, sent);
	pack_u32(out, (uint32_t)zone);
	pack_u32(out, m->received);
	from = string_begin(out);
	imap_envelope_write(l, &addresses, scratch, out);
	string_end(out, from);
	envelope = envelopes_of(m, &addresses, scratch);
	from = string_begin(out);
	bodystructure_write(m, envelope, true, scratch, out);
	string_end(out, from);
	from = string_begin(out);
	bodystructure_write(m, envelope, false, scratch, out);
	string_end(out, from);
	pack_bytes(out, message_id_of(l->field[FIELD_MESSAGE_ID], scratch));
	pack_bytes(out,
	           references_of(l->field[FIELD_REFERENCES], l->field[FIELD_IN_REPLY_TO], scratch));
	pack_bytes(out, subject);
	pack_bytes(out, subject_base(subject, scratch));
	pack_bytes(out, decoded(l->field[FIELD_FROM], scratch));
	pack_bytes(out, first_address(l->field[FIELD_FROM], scratch));
	pack_bytes(out, decoded(l->field[FIELD_TO], scratch));
	pack_bytes(out, decoded(l->field[FIELD_CC], scratch));
	pack_bytes(out, decoded(l->field[FIELD_BCC], scratch));
	from = string_begin(out);
	preview_write(m, out);
	string_end(out, from);
	pack_parts(m, out);
	pack_fields(m, out);
	if (addresses == 0)
		store(out->at + begin + 1, flags | DIGEST_CUT_SHORT, 4);
}

/*
 * Viewing
 */

static uint64_t
load(const char *at, size_t bytes)
{
	uint64_t n = 0;

	for (size_t i = 0; i < bytes; i++)
		n |= (uint64_t)(unsigned char)at[i] << (8 * i);
	return n;
}

struct digest_part
digest_part_at(const struct digest *d, uint32_t index)
{
	size_t      width = offset_size(d->content_size);
	const char *at = d->_parts.at + index * part_size(d->content_size);

	INSIDE(index < d->parts);
	return (struct digest_part){
		.parent = (uint32_t)load(at, 4),
		.number = (uint32_t)load(at + 4, 4),
		.lines = (uint32_t)load(at + 8, 4),
		.kind = (uint8_t)at[12],
		.encoding = (uint8_t)at[13],
		.header_at = load(at + 14, width),
		.header_len = load(at + 14 + width, width),
		.body_at = load(at + 14 + 2 * width, width),
		.body_len = load(at + 14 + 3 * width, width),
	};
}

struct digest_field
digest_field_at(const struct digest *d, uint32_t index)
{
	size_t      width = offset_size(d->content_size);
	const char *at = d->_fields.at + index * field_size(d->content_size);

	INSIDE(index < d->fields);
	return (struct digest_field){
		.part = (uint32_t)load(at, 4),
		.name_len = (uint16_t)load(at + 4, 2),
		.at = load(at + 6, width),
		.len = load(at + 6 + width, width),
	};
}

/* The parts are in the order of the letter: what is inside a part follows it
   without a gap, and has it or a later one for a parent. */
int64_t
digest_child(const struct digest *d, uint32_t parent, uint32_t number)
{
	for (uint32_t i = parent + 1; i < d->parts; i++) {
		struct digest_part p = digest_part_at(d, i);

		if (p.parent == parent && p.number == number)
			return i;
		if (p.parent < parent)
			break;
	}
	return -1;
}

/* Does at..at+len lie in within..within+within_len? */
static bool
lies_in(uint64_t at, uint64_t len, uint64_t within, uint64_t within_len)
{
	return at >= within && at - within <= within_len && len <= within_len - (at - within);
}

/* A part lies in its parent's body, its header before its body, and it is the
   next child of a part that may have children. */
static bool
part_is_sound(const struct digest *d, uint32_t index)
{
	struct digest_part p = digest_part_at(d, index), parent;

	if (p.kind > PART_MESSAGE || p.encoding > ENCODED_OTHER ||
	    !lies_in(p.header_at, p.header_len, 0, d->content_size) ||
	    !lies_in(p.body_at, p.body_len, 0, d->content_size) ||
	    p.body_at < p.header_at + p.header_len)
		return false;
	if (index == 0)
		return p.parent == 0 && p.number == 0;
	if (p.parent >= index)
		return false;
	parent = digest_part_at(d, p.parent);
	return p.number >= 1 && parent.kind != PART_LEAF &&
	       (parent.kind != PART_MESSAGE || p.number == 1) &&
	       lies_in(p.header_at, p.header_len, parent.body_at, parent.body_len) &&
	       lies_in(p.body_at, p.body_len, parent.body_at, parent.body_len);
}

static bool
field_is_sound(const struct digest *d, uint32_t index)
{
	struct digest_field f = digest_field_at(d, index);
	struct digest_part  p;

	if (f.part >= d->parts || f.name_len == 0 || f.name_len >= f.len)
		return false;
	p = digest_part_at(d, f.part);
	return lies_in(f.at, f.len, p.header_at, p.header_len);
}

/* A table of whole rows; how many there are. */
static bool
count_rows(struct bytes table, size_t row, uint32_t *count)
{
	if (table.len % row != 0 || table.len / row > UINT32_MAX)
		return false;
	*count = (uint32_t)(table.len / row);
	return true;
}

bool
digest_view(struct bytes packed, struct digest *out)
{
	struct unpack u = unpack_of(packed);
	struct digest d = { 0 };
	struct bytes *string[] = {
		&d.envelope, &d.bodystructure, &d.body,    &d.message_id, &d.references,
		&d.subject,  &d.base_subject,  &d.from,    &d.from_addr,  &d.to,
		&d.cc,       &d.bcc,           &d.preview, &d._parts,     &d._fields,
	};

	if (unpack_u8(&u) != DIGEST_VERSION)
		return false;
	d.flags = unpack_u32(&u);
	d.content_size = unpack_u64(&u);
	d.sent = unpack_i64(&u);
	d.sent_zone = (int32_t)unpack_u32(&u);
	d.received_count = unpack_u32(&u);
	for (size_t i = 0; i < COUNT(string); i++)
		*string[i] = unpack_bytes(&u);
	if (!unpack_done(&u) || !count_rows(d._parts, part_size(d.content_size), &d.parts) ||
	    d.parts == 0 || !count_rows(d._fields, field_size(d.content_size), &d.fields))
		return false;
	for (uint32_t i = 0; i < d.parts; i++)
		if (!part_is_sound(&d, i))
			return false;
	for (uint32_t i = 0; i < d.fields; i++)
		if (!field_is_sound(&d, i))
			return false;
	*out = d;
	return true;
}

bool
digest_strings_valid(const struct digest *d)
{
	const struct bytes line[] = {
		d->message_id, d->references, d->subject, d->base_subject, d->from,
		d->from_addr,  d->to,         d->cc,      d->bcc,          d->preview,
	};

	for (size_t i = 0; i < COUNT(line); i++)
		if (!is_line(line[i]))
			return false;
	return nstring_list_valid(d->envelope) && nstring_list_valid(d->bodystructure) &&
	       nstring_list_valid(d->body);
}
