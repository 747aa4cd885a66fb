/*
 * search -- does this letter say that?  (rfc3501:6.4.4 BODY TEXT HEADER ...)
 *
 * From:     role/verifier on behalf of a keeper; parses content, so runs there
 *
 * Text is decoded (transfer encoding, charset to UTF-8, encoded words) and
 * compared without regard to case (i;unicode-casemap for what simple folding covers).
 */
#ifndef MESSAGE_SEARCH_H
#define MESSAGE_SEARCH_H

#include "base/arena.h"

enum search_where { SEARCH_HEADER, SEARCH_BODY, SEARCH_TEXT };

/* `field` names the header field for SEARCH_HEADER.  `needle` is UTF-8; empty
   matches any letter that has the field.  Bounded as digest_make() is. */
bool letter_says(struct bytes content, enum search_where, struct bytes field,
                 struct bytes needle, struct arena *scratch);
/* Unicode simple case folding, as used on both sides. */
struct bytes search_fold(struct arena *, struct bytes utf8);

#endif
