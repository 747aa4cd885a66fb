/*
 * search -- does this letter say that?  (rfc3501:6.4.4 BODY TEXT HEADER ...)
 *
 * From:     role/verifier on behalf of a keeper; parses content, so runs there
 *
 * Text is decoded (transfer encoding, charset to UTF-8, encoded words) and
 * compared without regard to case and to how a letter is composed: i;unicode-casemap, rfc5051.  Of HTML it is what a reader
 * sees (message/html.h).
 */
#ifndef MESSAGE_SEARCH_H
#define MESSAGE_SEARCH_H

#include "base/arena.h"
#include "base/buffer.h"

enum search_where { SEARCH_HEADER, SEARCH_BODY, SEARCH_TEXT };

/* `field` names the header field for SEARCH_HEADER.  `needle` is UTF-8; empty
   matches any letter that has the field.  Bounded as digest_make() is. */
bool letter_says(struct bytes content, enum search_where, struct bytes field,
                 struct bytes needle, struct arena *scratch);
/* All that may be found, folded, each field and part with SEARCH_SEPARATOR behind it: the header's fields as
   "name: value", and what SEARCH_BODY looks at.  letter_says() finds a needle where it stands between two
   separators.  False: it is more than `most` bytes. */
bool letter_text(struct bytes content, size_t most, struct arena *scratch,
                 struct buffer *header, struct buffer *body);
/* A byte that is in no folded text. */
#define SEARCH_SEPARATOR '\xff'
/* Does this field say it, of header lines of our own that were folded as a whole? */
bool search_own_says(struct bytes folded_lines, struct bytes field, struct bytes folded);
/* The values in which it looks, each with SEARCH_SEPARATOR behind it. */
void search_own_values(struct bytes folded_lines, struct bytes field, struct buffer *out);
/* As used on both sides, and to sort (rfc5255:4.2). */
struct bytes search_fold(struct arena *, struct bytes utf8);

#endif
