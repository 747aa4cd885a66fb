/* fetch-items -- each item of FETCH, written for one message */
#include <errno.h>

#include "access/imap/fetch_inner.h"
#include "access/imap/objectid.h"
#include "message/date.h"

/* Content up to this is read and said with the rest; more is sent from the file. */
enum { READ_MOST = 32 << 10 };

static bool
put_flags(struct imap *s, struct fetch_work *w, const struct fetch_item *item)
{
	(void)item;
	write_flags_again(&w->page, &w->flags_said, s->view->mailbox, w->entry.flags,
	                  w->entry.uid >= s->view->recent);
	return true;
}

static bool
put_uid(struct imap *s, struct fetch_work *w, const struct fetch_item *item)
{
	(void)s;
	(void)item;
	buffer_add_number(&w->page, w->entry.uid);
	return true;
}

static bool
put_modseq(struct imap *s, struct fetch_work *w, const struct fetch_item *item)
{
	(void)s;
	(void)item;
	buffer_printf(&w->page, "(%llu)", (unsigned long long)w->entry.modseq);
	return true;
}

static bool
put_internaldate(struct imap *s, struct fetch_work *w, const struct fetch_item *item)
{
	char text[32];

	(void)s;
	(void)item;
	imap_datetime_text(w->letter.message.internal_date, w->letter.message.zone, text);
	buffer_printf(&w->page, "\"%s\"", text);
	return true;
}

/* When it came into this mailbox (rfc8514:3); what was copied before that was written down came with
   the letter, as far as anybody knows. */
static bool
put_savedate(struct imap *s, struct fetch_work *w, const struct fetch_item *item)
{
	char text[32];

	(void)s;
	(void)item;
	imap_datetime_text(letter_saved(&w->letter, &w->entry), 0, text);
	buffer_printf(&w->page, "\"%s\"", text);
	return true;
}

static bool
put_emailid(struct imap *s, struct fetch_work *w, const struct fetch_item *item)
{
	(void)s;
	(void)item;
	buffer_add_char(&w->page, '(');
	objectid_email(&w->page, &w->letter.message);
	buffer_add_char(&w->page, ')');
	return true;
}

static bool
put_threadid(struct imap *s, struct fetch_work *w, const struct fetch_item *item)
{
	(void)s;
	(void)item;
	buffer_add_char(&w->page, '(');
	objectid_thread(&w->page, &w->letter);
	buffer_add_char(&w->page, ')');
	return true;
}

/* The digest has it ready, so LAZY makes no difference (rfc8970:4.1). */
bool
fetch_put_preview(struct imap *s, struct fetch_work *w, const struct fetch_item *item)
{
	(void)item;
	write_text(&w->page, w->letter.digest.preview, s->utf8 || s->rev2);
	return true;
}

static bool
put_size(struct imap *s, struct fetch_work *w, const struct fetch_item *item)
{
	(void)s;
	(void)item;
	buffer_add_number(&w->page, w->letter.message.size);
	return true;
}

static bool
put_envelope(struct imap *s, struct fetch_work *w, const struct fetch_item *item)
{
	(void)s;
	(void)item;
	buffer_add(&w->page, w->letter.digest.envelope);
	return true;
}

static bool
put_bodystructure(struct imap *s, struct fetch_work *w, const struct fetch_item *item)
{
	(void)s;
	(void)item;
	buffer_add(&w->page, w->letter.digest.bodystructure);
	return true;
}

static bool
put_body(struct imap *s, struct fetch_work *w, const struct fetch_item *item)
{
	(void)s;
	(void)item;
	buffer_add(&w->page, w->letter.digest.body);
	return true;
}

void
fetch_page_flush(struct imap *s, struct fetch_work *w)
{
	stream_say(s->stream, buffer_bytes(&w->page));
	buffer_reset(&w->page);
}

/* A long range: what is ours from memory, the content straight from the log. */
static bool
put_from_file(struct imap *s, struct fetch_work *w, uint64_t at, uint64_t len)
{
	struct letter *l = &w->letter;
	uint64_t       own = letter_own_len(l);
	off_t          place;
	int            fd = message_content_fd(l->account, &l->message, &place);

	if (fd < 0) {
		l->why = errno;
		return false;
	}
	if (at < own) {
		struct bytes part = bytes_cut(letter_own(l), at, len);
		buffer_add(&w->page, part);
		at += part.len;
		len -= part.len;
	}
	fetch_page_flush(s, w);
	w->flushed = true;
	stream_say_file(s->stream, fd, place + (off_t)(at - own), len);
	return true;
}

uint64_t
fetch_clip(const struct section *section, uint64_t len, uint64_t *from)
{
	*from = 0;
	if (!section->partial)
		return len;
	*from = section->from < len ? section->from : len;
	return len - *from < section->most ? len - *from : section->most;
}

void
fetch_tally(struct imap *s, const struct section *section, uint64_t len)
{
	bool header = section->what != SECTION_ALL && section->what != SECTION_TEXT;

	*(header ? &s->tally.hdr_count : &s->tally.body_count) += 1;
	*(header ? &s->tally.hdr_bytes : &s->tally.body_bytes) += len;
}

static void
put_clipped(struct imap *s, struct fetch_work *w, const struct section *section,
            const struct buffer *all)
{
	uint64_t from, len = fetch_clip(section, all->len, &from);

	buffer_printf(&w->page, "{%llu}\r\n", (unsigned long long)len);
	buffer_add(&w->page, bytes_cut(buffer_bytes(all), from, len));
	fetch_tally(s, section, len);
}

/* BODY[HEADER.FIELDS (...)]: gathered in memory, headers are short (message/digest.h). */
static bool
put_fields(struct imap *s, struct fetch_work *w, const struct section *section,
           const struct section_span *span)
{
	struct letter     *l = &w->letter;
	struct digest_part part = digest_part_at(&l->digest, span->part);
	struct buffer      out = { 0 };
	struct bytes header = { letter_take(l, letter_own_len(l) + part.header_at, part.header_len),
		                part.header_len };

	if (header.at == NULL)
		return false;
	section_fields(section, &l->digest, span->part,
	               span->part == 0 ? letter_own(l) : (struct bytes){ 0 }, header,
	               part.header_at, &out);
	put_clipped(s, w, section, &out);
	buffer_free(&out);
	return true;
}

void
fetch_put_far(struct imap *s, struct fetch_work *w, const struct section *section,
              const struct section_span *header)
{
	struct buffer out = { 0 };

	if (header->part == 0)
		section_own(section, letter_own(&w->letter), &out);
	buffer_add(&out, buffer_bytes(&w->far));
	buffer_add_string(&out, "\r\n");
	put_clipped(s, w, section, &out);
	buffer_free(&out);
	buffer_free(&w->far);
}

/* BINARY and its kind: without the transfer encoding (rfc3516). */
bool
fetch_decodes(const struct fetch_att *att)
{
	return bytes_starts(bytes_of(att->name), BYTES("BINARY"));
}

bool
fetch_is_whole(const struct section *section)
{
	return section->what == SECTION_ALL && section->depth == 0;
}

bool
fetch_put_section(struct imap *s, struct fetch_work *w, const struct fetch_item *item)
{
	const struct section *section = &item->section;
	struct letter        *l = &w->letter;
	struct section_span   span = { 0, l->message.size, 0 };
	uint64_t              from, len;

	if (!fetch_is_whole(section) &&
	    !section_find(section, &l->digest, letter_own_len(l), &span)) {
		buffer_add_string(&w->page, "NIL");
		return true;
	}
	if (section->what == SECTION_FIELDS || section->what == SECTION_FIELDS_NOT)
		return put_fields(s, w, section, &span);
	len = fetch_clip(section, span.len, &from);
	buffer_printf(&w->page, "%s{%llu}\r\n",
	              fetch_decodes(item->att) && (l->digest.flags & DIGEST_NUL) ? "~" : "",
	              (unsigned long long)len);
	if (len > READ_MOST) {
		fetch_tally(s, section, len);
		return put_from_file(s, w, span.at + from, len);
	}
	if (letter_read(l, span.at + from, buffer_room(&w->page, len), len) != 0)
		return false;
	buffer_took(&w->page, len);
	fetch_tally(s, section, len);
	return true;
}

/* BINARY.SIZE of what needs no decoding. */
bool
fetch_put_binary_size(struct imap *s, struct fetch_work *w, const struct fetch_item *item)
{
	struct section_span span = { 0 };

	(void)s;
	(void)section_find(&item->section, &w->letter.digest, letter_own_len(&w->letter), &span);
	buffer_add_number(&w->page, span.len);
	return true;
}

/* fetch-att   rfc3501:9; the longer names first */
/* clang-format off */
const struct fetch_att fetch_atts[] = {
	{ "BINARY.PEEK",   fetch_put_section,       LETTER_DIGEST, false, true,  false, SECTION_ALL },
	{ "BINARY.SIZE",   fetch_put_binary_size,   LETTER_DIGEST, false, true,  false, SECTION_ALL },
	{ "BINARY[",       fetch_put_section,       LETTER_DIGEST, true,  true,  false, SECTION_ALL },
	{ "BODYSTRUCTURE", put_bodystructure, LETTER_DIGEST, false, false, true,  SECTION_ALL },
	{ "BODY.PEEK",     fetch_put_section,       LETTER_DIGEST, false, true,  false, SECTION_ALL },
	{ "BODY[",         fetch_put_section,       LETTER_DIGEST, true,  true,  false, SECTION_ALL },
	{ "BODY",          put_body,          LETTER_DIGEST, false, false, true,  SECTION_ALL },
	{ "EMAILID",       put_emailid,       LETTER_ROW,    false, false, true,  SECTION_ALL },
	{ "ENVELOPE",      put_envelope,      LETTER_DIGEST, false, false, true,  SECTION_ALL },
	{ "FLAGS",         put_flags,         LETTER_UNREAD, false, false, false, SECTION_ALL },
	{ "INTERNALDATE",  put_internaldate,  LETTER_ROW,    false, false, true,  SECTION_ALL },
	{ "MODSEQ",        put_modseq,        LETTER_UNREAD, false, false, false, SECTION_ALL },
	{ "PREVIEW",       fetch_put_preview,       LETTER_DIGEST, false, false, true,  SECTION_ALL },
	{ "RFC822.HEADER", fetch_put_section,       LETTER_DIGEST, false, false, false, SECTION_HEADER },
	{ "RFC822.SIZE",   put_size,          LETTER_ROW,    false, false, true,  SECTION_ALL },
	{ "RFC822.TEXT",   fetch_put_section,       LETTER_DIGEST, true,  false, false, SECTION_TEXT },
	{ "RFC822",        fetch_put_section,       LETTER_DIGEST, true,  false, false, SECTION_ALL },
	{ "SAVEDATE",      put_savedate,      LETTER_ROW,    false, false, false, SECTION_ALL },
	{ "THREADID",      put_threadid,      LETTER_DIGEST, false, false, true,  SECTION_ALL },
	{ "UID",           put_uid,           LETTER_UNREAD, false, false, false, SECTION_ALL },
};
/* clang-format on */
const size_t fetch_att_count = COUNT(fetch_atts);
