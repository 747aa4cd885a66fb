/*
 * fields -- watches the header section of a letter go by, line by line
 *
 * From:     smtp/receiver/content, which calls fields_line() for each whole line
 * Touches:  the tail of the buffer the line was put in, nothing else
 *
 * It counts, notes what is there and obeys the limits; it understands no value but a
 * Message-ID, and that only for the log.  For a letter that is submitted by one of our
 * users (local_header_rewrite_clients) it also completes bare names in address fields with `origin`, and domains without a dot with `within`.  A field that is
 * longer than `field_most` is cut, as Postfix does it.  Of every letter
 * it leaves out the fields of `drop` with their continuation lines (message_drop_headers; rfc6409:8, rfc5322:3.6.3).
 *
 * fields_line() the line stands at *line_at of `out`, its CRLF with it.  False when
 *               the header section has ended with it; a body that began without the empty
 *               line has got one put before it (rfc5322:2.1).
 * fields_part() the same for the first part of a line whose end is not here yet.
 * fields_end()  the letter has ended within its header section.
 */
#ifndef SMTP_RECEIVER_FIELDS_H
#define SMTP_RECEIVER_FIELDS_H

#include "base/buffer.h"
#include "base/setting.h"

enum fields_seen {
	SEEN_DATE       = 1 << 0,
	SEEN_MESSAGE_ID = 1 << 1,
	SEEN_FROM       = 1 << 2,
	SEEN_TO         = 1 << 3,      /* or Cc                          */
};
struct fields {
	/* set by the session before the first line */
	const struct setting_list *drop;   /* names of fields that are left out; NULL none */
	const char *origin;            /* completes bare names; NULL none */
	const char *within;            /* and domains without a dot; NULL they stay so */
	bool        repair;            /* what is empty and must not be goes: letter_missing() puts it anew */
	uint64_t    field_most;        /* header_size_limit; 0 none       */
	uint64_t    section_most;      /* of all fields; 0 none           */
	/* what was seen */
	unsigned    seen;              /* enum fields_seen                */
	uint32_t    received;          /* Received fields                 */
	uint32_t    count;
	bool        too_long;          /* section_most was met            */
	bool        cut;               /* field_most was                  */
	char        message_id[256];   /* "" none                         */
	bool        tls_optional;      /* TLS-Required: No (rfc8689:4.1)  */
	char        solicitation[256]; /* rfc3865:2.5, "" none            */
	/* its own */
	size_t      _field_at;         /* where the field being read begins */
	size_t      _lines;            /* of it before the one being read */
	bool        _full, _over;      /* nothing more of it is kept; the line is too long */
	unsigned    _now;              /* enum of fields.c: its kind      */
	unsigned    _sees;             /* what is seen when it has ended  */
	bool        _dropping, _begun;
};
bool fields_line(struct fields *, struct buffer *out, size_t line_at);
bool fields_part(struct fields *, struct buffer *out, size_t line_at);
void fields_end(struct fields *, struct buffer *out);

#endif
