/*
 * imap-envelope -- IMAP's ENVELOPE of a letter (rfc3501:7.4.2, rfc9051:7.5.2)
 *
 * imap_envelope_write() appends the parenthesised list.  `addresses` is how many
 * more may be written; it goes down, and what lies beyond is left out.
 */
#ifndef MESSAGE_IMAP_ENVELOPE_H
#define MESSAGE_IMAP_ENVELOPE_H

#include "message/mime.h"

void imap_envelope_write(const struct mime_letter *, size_t *addresses, struct arena *scratch,
                    struct buffer *out);

#endif
