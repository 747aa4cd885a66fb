/*
 * content -- what the client sends between 354 and the final dot, made clean
 *
 * From:     smtp/receiver/session
 * Touches:  nothing but the buffer it appends to
 *
 * content_begin() before the first byte.  Set `fields` and `lenient` after it.
 * content_read()  eats from what has arrived and appends the letter as it will be stored and
 *     fetched: every line ended by CRLF, dots unstuffed (rfc5321:4.5.2).
 *     CONTENT_MORE: all of it was eaten, the end has not come.  CONTENT_ENDED: *used
 *     tells where the content ended; what follows is commands.
 *     It may be called with any pieces: the result is the same for every split.
 *
 * Only CR LF '.' CR LF ends the content (or '.' CR LF as its first line).  A bare LF
 * is a line end of the text but never part of the end of the letter, and the line after it cannot
 * be the final dot; so no relay that reads lines otherwise can have us see
 * two letters where it saw one.  `lenient` (networks excepted from
 * smtpd_forbid_bare_newline, or its "no": people with netcat) lets '.' LF end it too.
 * A CR that is not followed by LF becomes a blank.  NULs are kept.
 *
 * While the header section lasts `out` must keep all of it: fields looks back.  After
 * that (content_in_body()) the caller may take bytes out of the buffer.
 * What is `counted` (BDAT) has no dots: the end is where content_finish() is called. A body that is `binary`
 * too is kept as it comes, byte for byte.
 * `forbidden` characters are looked for in all the client sends (message_reject_characters).
 * When `dropping` is set nothing is appended any more; the end is still found.
 */
#ifndef SMTP_RECEIVER_CONTENT_H
#define SMTP_RECEIVER_CONTENT_H

#include "smtp/receiver/fields.h"

enum content_outcome { CONTENT_MORE, CONTENT_ENDED };
enum content_state { LINE_START, LINE_DOT, LINE_DOT_CR, LINE_INSIDE, LINE_CR };
struct content {
	struct fields fields;
	bool     lenient, dropping;
	bool     counted, binary;
	struct bytes forbidden;        /* characters it may not have, "" any is well */
	bool     refusable;            /* and it has one                   */
	bool     bare_lf, bare_cr;     /* whether there was one            */
	uint64_t raw;                  /* bytes the client has sent        */
	uint8_t  _state;               /* enum content_state               */
	bool     _after_bare;          /* the line before ended with a bare LF */
	bool     _body;
	size_t   _line_at;             /* of the header line being read    */
};
void content_begin(struct content *);
enum content_outcome content_read(struct content *, struct bytes arrived, struct buffer *out, size_t *used)
	__attribute__((warn_unused_result));
void content_finish(struct content *, struct buffer *out);
static inline bool content_in_body(const struct content *c) { return c->_body; }

#endif
